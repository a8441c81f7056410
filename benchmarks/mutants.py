"""Mechanical faults in what is plain Python, and whether the tests that run a line notice that it is wrong.

    pip install -r benchmarks/mutants.txt
    python benchmarks/covered.py COVERAGE            # first: which tests run which line
    python benchmarks/mutants.py COVERAGE [--sample 120] [--seed 1] [--keep FILE]

The faults are those of cosmic-ray: one operator for another, a number changed by one, `break` for `continue`, `not`
put in or left out, a decorator removed, a loop that never runs. A place is drawn first and then one of its faults, so
that an operator with eleven rivals counts once. Annotations are left alone, as nothing reads them, and the kernels are
left to `planted.py`.

A fault is tried on the tests that run its line, those first that run little else, for at most ``--seconds``; lines
that only other processes run are tried on the tests that `planted.py` knows for their file. What survives is printed
as it would be read in a review.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import random
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from covered import Runs
from planted import faults
from trials import ROOT, Trial, judged


class Place(NamedTuple):
    """Where an operator family can change a file; ``faults`` are the operators and their counts there."""

    file: str
    line: int
    faults: list[tuple[str, int]]


def places(file: str) -> list[Place]:
    """Find all places of a file at which cosmic-ray would change something."""
    from cosmic_ray.ast import ast_nodes, get_ast
    from cosmic_ray.plugins import get_operator, operator_names

    tree = get_ast((ROOT / file).read_text(encoding="utf-8"))
    found: defaultdict[tuple[int, int, str], list[tuple[str, int]]] = defaultdict(list)
    for name in operator_names():
        operator = get_operator(name)
        if operator.arguments():
            continue  # those want to be told what to replace
        positions = (start for node in ast_nodes(tree) for start, _ in operator().mutation_positions(node))
        for occurrence, (line, column) in enumerate(positions):
            found[line, column, name.partition("_")[0]].append((name, occurrence))
    return [Place(file, line, at) for (line, _, _), at in sorted(found.items())]


def changed(place: Place, draw: random.Random) -> str | None:
    """Give the file with one of the faults of a place in it, or nothing if that cannot change what it does."""
    from cosmic_ray.mutating import mutate_code
    from cosmic_ray.plugins import get_operator

    right = (ROOT / place.file).read_text(encoding="utf-8")
    name, occurrence = draw.choice(place.faults)
    wrong = mutate_code(right, get_operator(name)(), occurrence)
    return None if wrong is None or _does(wrong) == _does(right) else wrong


SPEED_ONLY = ("kernel", "allocating_kernel", "cache")
"""Decorators that change how long a function takes, and not what it gives."""


class _Bare(ast.NodeTransformer):
    """Takes off annotations, what is there for the type checker only, and what is there for speed only."""

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        node.decorator_list = [one for one in node.decorator_list if ast.unparse(one) not in SPEED_ONLY]
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        node.annotation = ast.Constant(None)
        return self.generic_visit(node)

    def visit_If(self, node: ast.If) -> ast.AST | None:
        return None if ast.unparse(node.test) == "TYPE_CHECKING" else self.generic_visit(node)


def _does(source: str) -> str:
    """Give what is left of a source without its annotations; one that cannot be parsed is like no other."""
    try:
        return ast.dump(_Bare().visit(ast.parse(source)))
    except SyntaxError:
        return source


def drawn(runs: Runs, sample: int, seed: int, seconds: float) -> Iterator[Trial]:
    """Draw places from all files alike, and give a trial of each that some test runs."""
    known: defaultdict[str, tuple[str, ...]] = defaultdict(tuple)
    for fault in faults():
        known[fault.file] += fault.tests
    draw = random.Random(seed)
    everywhere = [place for file in runs.files() if "/kernels/" not in file for place in places(file)]
    draw.shuffle(everywhere)
    for place in everywhere:
        if sample == 0:
            return
        text = changed(place, draw)
        tests = runs.of_line(place.file, place.line, seconds) or tuple(dict.fromkeys(known[place.file]))
        if text is not None:
            sample -= 1
            yield Trial(f"line {place.line}", place.file, text, tests)


def main(arguments: Sequence[str]) -> int:
    """Try a sample, and print the score and the survivors."""
    parser = argparse.ArgumentParser(description="Change lines mechanically, and see whether the tests notice.")
    parser.add_argument("coverage", type=Path, help="the folder that covered.py has made")
    parser.add_argument("--sample", type=int, default=120, help="faults to try")
    parser.add_argument("--seed", type=int, default=1, help="of the sample")
    parser.add_argument("--seconds", type=float, default=60, help="of tests to try a fault on")
    parser.add_argument("--workers", type=int, default=2, help="faults that are tried side by side")
    parser.add_argument("--keep", type=Path, help="a file of verdicts, to go on with later")
    asked = parser.parse_args(arguments)

    trials = list(drawn(Runs(asked.coverage), asked.sample, asked.seed, asked.seconds))
    unseen = [trial for trial in trials if not trial.tests]
    survivors = []
    for number, (trial, verdict) in enumerate(
        judged([trial for trial in trials if trial.tests], asked.workers, "-x", keep=asked.keep), 1
    ):
        print(f"{number:4}/{len(trials)}  {verdict.outcome:7} {verdict.seconds:5.0f} s  ", end="")
        print(f"{trial.file}: {trial.name}", flush=True)
        if not verdict.caught:
            survivors.append(trial)
    for trial in [*survivors, *unseen]:
        print(f"\n{'no test runs it' if trial in unseen else 'survived'}: {trial.file}")
        right = (ROOT / trial.file).read_text(encoding="utf-8").splitlines()
        lines = difflib.unified_diff(right, trial.text.splitlines(), lineterm="", n=1)
        print(*(line for line in lines if not line.startswith(("---", "+++"))), sep="\n")
    share = 1 - (len(survivors) + len(unseen)) / len(trials)
    error = (share * (1 - share) / len(trials)) ** 0.5
    print(f"\n{share:.1%} of {len(trials)} caught, with a standard error of {error:.1%}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
