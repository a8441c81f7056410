"""Which lines and branches the tests run: `python benchmarks/covered.py FOLDER [--share 97]`.

The whole suite runs under coverage, in a copy of the project and with the processes that it starts. Compiled kernels
are not seen there; so those tests that `planted.py` runs with the compiler off run once more without it. FOLDER keeps
what was found, which `mutants.py` reads as well; files below the share are printed, with what of them was not run.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from planted import faults
from trials import ROOT, Copy

CONFIGURATION = """
[run]
branch = true
source_pkgs = copydyn,qm_reference
relative_files = true
parallel = true
sigterm = true
patch = subprocess, fork, _exit

[report]
exclude_also =
    if TYPE_CHECKING:
    ^\\s*\\.\\.\\.$
    raise NotImplementedError
    raise AssertionError
    @abstractmethod
"""
"""Lines that no run can reach, and stubs, are not asked for."""


class Runs:
    """What ran where: reads the folder that `covered.py` has made."""

    def __init__(self, folder: Path) -> None:
        from coverage import CoverageData

        self._data = CoverageData(str(folder / "coverage"))
        self._data.read()
        self._seconds = {}
        for case in ElementTree.parse(folder / "outcome.xml").iter("testcase"):
            self._seconds[f"{case.get('file')}::{case.get('name')}"] = float(case.get("time") or 0)

    def files(self) -> list[str]:
        """Give the files of the packages."""
        return sorted(self._data.measured_files())

    @cached_property
    def _width(self) -> Counter[str]:
        """How many lines each test runs."""
        width = Counter[str]()
        for file in self.files():
            for contexts in self._data.contexts_by_lineno(file).values():
                width.update(contexts)
        return width

    def of_line(self, file: str, line: int, seconds: float) -> tuple[str, ...]:
        """Give the tests that run a line, those first that run little else, until they take so long together.

        What stands outside of functions runs once, for whoever imports it: of such a line, the tests that run most of
        the file otherwise.
        """
        lines, inside = self._data.contexts_by_lineno(file), _inside(file)
        chosen: list[str] = []
        if line in inside:
            contexts = sorted(filter(None, lines.get(line, [])), key=lambda name: (self._width[name], name))
        else:
            share = Counter(name for one in inside for name in lines.get(one, []) if name)
            contexts = sorted(share, key=lambda name: (-share[name] / self._width[name], name))
        for context in contexts:
            test = context.partition("|")[0]
            seconds -= self._seconds.get(test, 0)
            if seconds < 0 and chosen:
                break
            if test not in chosen:
                chosen.append(test)
        return tuple(chosen[:MOST_TESTS])


def _inside(file: str) -> set[int]:
    """Number the lines of a file that are in bodies of functions."""
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    return {line for one in functions for line in range(one.body[0].lineno, (one.end_lineno or 0) + 1)}


MOST_TESTS = 200
"""More names do not fit on a command line comfortably, and what passes so many tests passes."""


def measured(folder: Path) -> None:
    """Run the suite under coverage, then what can run without the compiler, and keep what they ran."""
    with tempfile.TemporaryDirectory() as place:
        copy = Path(place)
        Copy(copy)
        (copy / "coverage.cfg").write_text(CONFIGURATION)
        options = [
            "--cov",
            "--cov-config=coverage.cfg",
            "--cov-context=test",
            "--cov-report=",
            "-p",
            "no:cacheprovider",
        ]
        program = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            *options,
            "--junit-xml=outcome.xml",
            "-o",
            "junit_family=xunit1",
        ]
        environment = os.environ | {"PYTHONPATH": place}
        subprocess.run([*program, "-n", "2"], cwd=copy, env=environment, check=False)
        shutil.copy(copy / "outcome.xml", folder)
        (copy / ".coverage").rename(copy / "whole")  # a name that the next run does not clear away

        plain = sorted({test for fault in faults() if not fault.jit for test in fault.tests})
        environment["NUMBA_DISABLE_JIT"] = "1"
        if plain:
            subprocess.run(
                [*program, "-n", "2", "-W", "ignore::RuntimeWarning", *plain], cwd=copy, env=environment, check=False
            )
            (copy / ".coverage").rename(copy / "plain")
        coverage = [sys.executable, "-m", "coverage"]
        found = [name for name in ("whole", "plain") if (copy / name).exists()]
        subprocess.run([*coverage, "combine", "--rcfile=coverage.cfg", *found], cwd=copy, check=True)
        report = [*coverage, "json", "--rcfile=coverage.cfg", "-q", "-o", str(folder.resolve() / "coverage.json")]
        subprocess.run(report, cwd=copy, check=True)
        shutil.copy(copy / ".coverage", folder / "coverage")


def main(arguments: Sequence[str]) -> int:
    """Measure unless that was done, and print what is below the share."""
    parser = argparse.ArgumentParser(description="Say which lines and branches the tests do not run.")
    parser.add_argument("folder", type=Path, help="where to keep what was found; read if it is there")
    parser.add_argument("--share", type=float, default=97, help="percent below which a file is printed")
    asked = parser.parse_args(arguments)
    if not (asked.folder / "coverage.json").exists():
        asked.folder.mkdir(parents=True, exist_ok=True)
        measured(asked.folder)

    found = json.loads((asked.folder / "coverage.json").read_text())
    for name, file in sorted(found["files"].items()):
        if file["summary"]["percent_covered"] < asked.share:
            print(f"{name}: {file['summary']['percent_covered']:.0f} %")
            jumps = [f"{start}→{end}" for start, end in file["missing_branches"] if start > 0 and end > 0]
            for what, missing in (("lines", _ranges(file["missing_lines"])), ("branches", jumps)):
                if missing:
                    print(
                        textwrap.fill(
                            ", ".join(missing), 100, initial_indent=f"    {what}: ", subsequent_indent=" " * 8
                        )
                    )
    print(f"all files: {found['totals']['percent_covered']:.1f} % of lines and branches")
    return 0


def _ranges(lines: Sequence[int]) -> list[str]:
    """Write neighbouring numbers as one range."""
    ranges: list[list[int]] = []
    for line in lines:
        if ranges and ranges[-1][-1] == line - 1:
            ranges[-1].append(line)
        else:
            ranges.append([line])
    return [str(one[0]) if len(one) == 1 else f"{one[0]}-{one[-1]}" for one in ranges]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
