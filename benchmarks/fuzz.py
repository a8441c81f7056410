"""Input of all kinds against everything that reads what users write: `python benchmarks/fuzz.py [INPUTS] [SEED]`.

Every input must end in one of two ways: it is refused in sentences that name the place and the key, or it is accepted.
Anything else is a finding, shown with the smallest input that shows it: another exception, a warning, a sentence
without its place, more than 2 s of processor time or 1 GiB of memory, or an input that was run as a program.

Scenario files and sweeps are read and checked as the commands do before anything runs. Those of the last two kinds go
through `copydyn.__main__.main` itself, in this process; what is accepted there runs to its end if it is small (at most
64 labels, 12 save times, 12 runs, and some 1e5 copy events), with the workers of a sweep in this process too, and else
stops where the run would begin. Sizes that are sound but take long, such as the 8192 levels that `gue` admits, are
drawn only by accident.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import io
import resource
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))


from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from timing import table

import copydyn.pipeline
import copydyn.sweeps.api
from copydyn.__main__ import main
from copydyn.scenario.scenario import Scenario, load
from copydyn.sweeps.asked import Asked, asked
from copydyn.sweeps.crew import Answer
from copydyn.sweeps.drive import Tally
from copydyn.sweeps.work import Task, work
from copydyn.theories.copies.leaps import most_events
from tests import wild

INPUTS, SEED = 100_000, 1
BATCH = 500
"""Inputs that one generator draws: beyond, it slows down."""

MOST_FINDINGS = 5
"""Of a kind, after which no more are looked for."""

ROOM = 8 * 2**30
"""Bytes of address space beyond which an input ends in a MemoryError, so that the machine outlives it."""

COMPILED = 300
"""Seconds that a run may take, as it may be the first one to need some kernel."""

MOST_LABELS, MOST_TIMES, MOST_RUNS, MOST_EVENTS = 64, 12, 12, 1e5


class Kind(NamedTuple):
    """What is drawn, how many in a hundred, and who reads it."""

    name: str
    share: float
    inputs: st.SearchStrategy[Any]
    read: Callable[[Any], str]


class Count:
    """What became of the inputs of a kind."""

    def __init__(self) -> None:
        self.drawn = self.refused = self.accepted = self.run = 0
        self.slowest, self.seconds = 0.0, 0.0
        self.findings: list[str] = []


def scenario_file(content: str | bytes) -> str:
    """Read a scenario as `python -m copydyn scenario` does."""
    _written(content)
    return wild.verdict(lambda: load(wild.FILE))


def sweep_file(content: str | bytes) -> str:
    """Read a sweep as `python -m copydyn sweep` does."""
    _written(content)
    return wild.verdict(lambda: wild.examined(asked(wild.FILE, seed=1)))


def axis_texts(texts: list[str]) -> str:
    """Read axes as `python -m copydyn sweep` does."""
    _written(wild.ONE if len(texts) % 2 else wild.TWO)
    return wild.verdict(lambda: wild.examined(asked(wild.FILE, texts, seed=1)), *texts)


def command(verb: str, content: str | bytes, *texts: str) -> str:
    """Call the command line, which says with its exit code what it makes of the input."""
    _written(content)
    printed, errors = io.StringIO(), io.StringIO()
    more = ["--no-plot"] if verb == "scenario" else []
    folder = tempfile.mkdtemp(dir=".")
    start = time.process_time()
    with wild.watched("the command", COMPILED, COMPILED), redirect_stdout(printed), redirect_stderr(errors):
        try:
            code: Any = main([verb, wild.FILE, "--out", f"{folder}/out", "--quiet", "--jobs", "1", *more, *texts])
        except SystemExit as leaving:
            code = leaving.code
            if any(text.startswith("-") for text in texts):  # argparse has taken it for an option
                return "refused" if code == 2 else "accepted"
            raise wild.Flaw(f"it left with {code}: {errors.getvalue()}") from None
    ran = RAN.pop("it", False)
    if not ran and time.process_time() - start > wild.MOST_SECONDS:
        raise wild.Slow(f"the command took {time.process_time() - start:.1f} s")
    if code in (0, 1):
        return "run" if ran else "accepted"
    if code != 2:
        raise wild.Flaw(f"exit code {code}: {errors.getvalue()}")
    lines = errors.getvalue().splitlines()
    if ran:  # what a run refuses, such as a claim that cannot be judged, has no line
        return "refused"
    for line in lines:
        wild.require_a_sentence(line.removeprefix("copydyn: "), texts)
    if not lines:
        raise wild.Mumbled("exit code 2 without a sentence")
    return "refused"


RAN: dict[str, bool] = {}
_run_scenario, _run_sweep = copydyn.pipeline.run, copydyn.sweeps.api.run


def small(scenario: Scenario, points: int) -> bool:
    """Tell whether a scenario is done in a moment."""
    experiment = scenario.experiment
    copies = max([getattr(theory, "copies", 1) for theory in scenario.theories.values()], default=1)
    return (
        experiment.system.size <= MOST_LABELS
        and experiment.tlist.size <= MOST_TIMES
        and len(experiment.system.pulses) <= MOST_LABELS
        and points * len(scenario.theories) * scenario.run.replicas <= MOST_RUNS
        and most_events(experiment, copies) <= MOST_EVENTS
        and copies <= MOST_EVENTS
    )


def run_scenario(scenario: Scenario, *arguments: Any, **options: Any) -> Any:
    """Stand in for `copydyn.pipeline.run`."""
    if not small(scenario, 1):
        return type("Outcome", (), {"holds": True})()
    RAN["it"] = True
    return _run_scenario(scenario, *arguments, **options)


def run_sweep(wanted: Asked, out: Path, **options: Any) -> Tally:
    """Stand in for `copydyn.sweeps.api.run`."""
    recipe = wanted.recipe
    if recipe.points > 4 or recipe.replicas > 3 or recipe.target is not None:
        return Tally()
    copydyn.sweeps.api.Crew = Here  # type: ignore[misc,assignment]
    for point in range(recipe.points):
        tables = recipe.tables_at(recipe.values(point))
        tables.pop("claim", None)  # which a sweep does not judge, nor look at
        Path("point.toml").write_text(copydyn.sweeps.recipe.emitted({**tables, "run": {"replicas": recipe.replicas}}))
        if not small(load("point.toml"), recipe.points):
            return Tally()
    RAN["it"] = True
    return _run_sweep(wanted, out, **options)


class Here:
    """The workers of a sweep, in this process."""

    def __init__(self, size: int) -> None:
        self.size = self.most = size
        self._asked: list[Task] = []

    def ask(self, task: Task) -> None:
        self._asked.append(task)

    def answers(self, seconds: float) -> list[Answer]:
        tasks, self._asked = self._asked, []
        return [Answer(task, work(task)) for task in tasks]

    def close(self, *, patience: float = 0.0) -> None:
        """Nobody is to be let go."""


def _written(content: str | bytes) -> None:
    Path(wild.FILE).write_bytes(content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content)


TEXTS = st.lists(wild.axes(), min_size=1, max_size=2)
ARGUMENTS = TEXTS.map(lambda texts: [text.replace("\0", "") for text in texts])  # no system passes a NUL on
KINDS = (
    Kind("scenario files from the registries", 25, wild.scenarios(), scenario_file),
    Kind("shipped scenario files, mutated", 20, wild.mutants(), scenario_file),
    Kind("raw bytes", 10, wild.RAW, scenario_file),
    Kind("[sweep] tables", 18, wild.sweep_tables(), sweep_file),
    Kind("axes on the command line", 20, TEXTS, axis_texts),
    Kind("python -m copydyn scenario", 4, wild.scenarios(), lambda text: command("scenario", text)),
    Kind(
        "python -m copydyn sweep",
        3,
        st.tuples(wild.sweep_tables(), ARGUMENTS | st.just(["theory.copies=10,20"]) | st.just([])),
        lambda drawn: command("sweep", drawn[0], *drawn[1]),
    ),
)


def fuzz(kind: Kind, many: int, number: int) -> Count:
    """Try ``many`` inputs of a kind."""
    count = Count()

    def one(drawn: Any) -> None:
        count.drawn += 1
        start = time.process_time()
        try:
            outcome = kind.read(drawn)
        finally:
            seconds = time.process_time() - start
            count.slowest, count.seconds = max(count.slowest, seconds), count.seconds + seconds
        count.refused += outcome == "refused"
        count.accepted += outcome != "refused"
        count.run += outcome == "run"

    smallest: dict[tuple[str, int], str] = {}

    def caught(drawn: Any) -> None:
        try:
            one(drawn)
        except Exception as fault:
            where = traceback.extract_tb(fault.__traceback__)[-1]
            smallest[type(fault).__name__ + where.filename, where.lineno or 0] = f"{drawn!r:.1000}\n{_story(fault)}"
            raise

    while count.drawn < many and len(count.findings) < MOST_FINDINGS:
        before = count.drawn
        batch = settings(
            max_examples=min(BATCH, many - before),
            deadline=None,
            database=None,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
            print_blob=False,
        )
        smallest.clear()
        try:
            seed(number)(batch(given(kind.inputs)(caught)))()
        except Exception as fault:
            count.findings += list(smallest.values()) or [_story(fault)]
        number += 1
        if count.drawn == before:
            break
    return count


def _story(fault: BaseException) -> str:
    lines = [line[:500] for line in traceback.format_exception(fault)]
    return "\n".join(line.rstrip() for line in lines[-6:])


def run(inputs: int, number: int) -> int:
    """Try them all, and say what came of it."""
    rows, findings = [], 0
    start = time.perf_counter()
    for place, kind in enumerate(KINDS):
        count = fuzz(kind, max(1, round(inputs * kind.share / 100)), (number * 1000 + place) * 100_000)
        findings += len(count.findings)
        for finding in count.findings:
            print(f"---- {kind.name}\n{finding}", flush=True)
        numbers = (count.drawn, count.refused, count.accepted, count.run or "-")
        mean = 1000 * count.seconds / max(1, count.drawn)
        rows.append([kind.name, *map(str, numbers), f"{mean:.1f}", f"{count.slowest:.2f}", str(len(count.findings))])
        print(f"{kind.name}: {count.drawn}", file=sys.stderr, flush=True)
    headings = ("kind", "inputs", "refused", "accepted", "run", "mean ms", "slowest s", "findings")
    total = ["all together", *(str(sum(int(row[k]) for row in rows if row[k] != "-")) for k in range(1, 5)), "", "", ""]
    total[-1] = str(findings)
    print(table(headings, [*rows, total]))
    minutes = (time.perf_counter() - start) / 60
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"seed {number}, {minutes:.1f} minutes, {memory:.2f} GiB at most")
    return 1 if findings else 0


if __name__ == "__main__":
    wanted = [int(word) for word in sys.argv[1:]]
    resource.setrlimit(resource.RLIMIT_AS, (ROOM, ROOM))
    copydyn.pipeline.run, copydyn.sweeps.api.run = run_scenario, run_sweep
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        wild.furnish(Path(folder))
        for text in (wild.ONE, wild.ONE.replace("copies = 20", 'copies = 20\nengine = "leap"')):
            command("scenario", text)  # compiles what else would be compiled on somebody's account
        code = run(*(wanted + [INPUTS, SEED][len(wanted) :]))
        os.chdir(ROOT)
    sys.exit(code)
