"""What `planted.py` and `mutants.py` share: a fault is put into a copy of the project, and tests are run there.

A fault never touches the checkout. Each worker has a copy of its own in a temporary folder, with the compiled kernels
of the checkout beside it, and one fault stands in a copy at a time.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from queue import Queue
from time import monotonic
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]

PATIENCE = 300
"""Seconds after which tests that have not ended are taken to hang: whoever runs them would notice that too."""


class Trial(NamedTuple):
    """A fault: ``text`` in place of the contents of ``file``, and the tests that should see it."""

    name: str
    file: str
    text: str
    tests: tuple[str, ...]
    jit: bool = True

    @property
    def key(self) -> str:
        """Names what was tried, so that a list that was broken off can be gone on with."""
        return sha256(json.dumps(self).encode()).hexdigest()


class Verdict(NamedTuple):
    """How the tests ended, those that failed and those that passed, and the seconds they took."""

    outcome: str  # "passed", "failed" or "hung"
    failed: list[str]
    passed: list[str]
    seconds: float

    @property
    def caught(self) -> bool:
        """Tell whether somebody would have noticed."""
        return self.outcome != "passed"


class Copy:
    """A copy of the project, with what is neither committed nor ignored, to plant faults in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        asked = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        listed = subprocess.run(asked, cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")
        cached = [str(path.relative_to(ROOT)) for path in ROOT.glob("copydyn/**/*.nb[ci]")]
        for name in filter(None, [*listed, *cached]):
            if (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, folder / name)  # the time of a source says which cached kernels are its own

    def judge(self, trial: Trial, *options: str) -> Verdict:
        """Plant the fault, run its tests, and put the file right again."""
        file = self.folder / trial.file
        aside = file.with_name(f"{file.name}.right")
        file.rename(aside)  # keeps its time, which says that its compiled kernels are its own
        try:
            file.write_text(trial.text, encoding="utf-8")
            # a fault in a kernel is compiled apart, so that the others find their own still there
            with _folder(trial.jit and "/kernels/" in trial.file) as cache:
                return self.run(trial.tests, *options, jit=trial.jit, cache=cache)
        finally:
            aside.replace(file)

    def run(self, tests: Sequence[str], *options: str, jit: bool = True, cache: Path | None = None) -> Verdict:
        """Run tests in this copy as it stands."""
        environment = os.environ | {"PYTHONPATH": str(self.folder)}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)  # to compile what is imported takes longer than most tests
        if cache is not None:
            environment["NUMBA_CACHE_DIR"] = str(cache)
        if not jit:
            environment["NUMBA_DISABLE_JIT"] = "1"
            options = ("-W", "ignore::RuntimeWarning", *options)  # words of 64 bits overflow on purpose
        log = self.folder / "outcome.xml"
        log.unlink(missing_ok=True)
        program = [sys.executable, "-m", "pytest", "-q", "--tb=no", "-p", "no:cacheprovider", f"--junit-xml={log}"]
        start = monotonic()
        running = subprocess.Popen(
            [*program, "-o", "junit_family=xunit1", *options, *tests],
            cwd=self.folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        try:
            running.wait(PATIENCE if trial_sized(options) else None)
        except subprocess.TimeoutExpired:
            return Verdict("hung", [], [], monotonic() - start)
        finally:
            _end(running)
        failed, passed = _read(log)
        return Verdict("failed" if running.returncode else "passed", failed, passed, monotonic() - start)


def trial_sized(options: Sequence[str]) -> bool:
    """Tell whether these are the tests of one fault, not those of a whole list, which take as long as they take."""
    return "-n" not in options


def control(trials: Sequence[Trial], folder: Path, workers: int) -> list[str]:
    """Give the tests that fail without any fault, and so cannot judge one."""
    copy, broken = Copy(folder), []
    for jit in (True, False):
        tests = sorted({test for trial in trials if trial.jit == jit for test in trial.tests})
        tests = [test for test in tests if test.partition("::")[0] == test or test.partition("::")[0] not in tests]
        if tests:
            verdict = copy.run(tests, "-n", str(workers), jit=jit)
            broken += verdict.failed or (["a test that is not there"] if verdict.caught else [])
    return broken


def judged(
    trials: Sequence[Trial], workers: int, *options: str, keep: Path | None = None
) -> Iterator[tuple[Trial, Verdict]]:
    """Try all faults, and give each as soon as it is judged; verdicts that ``keep`` has are not sought again."""
    known = kept(keep)
    yield from ((trial, known[trial.key]) for trial in trials if trial.key in known)
    left = [trial for trial in trials if trial.key not in known]
    with tempfile.TemporaryDirectory() as place, ThreadPoolExecutor(workers) as pool:
        copies: Queue[Copy] = Queue()
        for number in range(min(workers, len(left))):
            copies.put(Copy(Path(place) / str(number)))
        running = [pool.submit(_judged, copies, trial, options) for trial in left]
        for trial, verdict in (ended.result() for ended in as_completed(running)):
            if keep is not None:
                with keep.open("a") as file:
                    file.write(json.dumps([trial.key, verdict]) + "\n")
            yield trial, verdict


def _judged(copies: Queue[Copy], trial: Trial, options: Sequence[str]) -> tuple[Trial, Verdict]:
    copy = copies.get()
    try:
        return trial, copy.judge(trial, *options)
    finally:
        copies.put(copy)


def kept(keep: Path | None) -> dict[str, Verdict]:
    """Read the verdicts of an earlier go, by the keys of their trials."""
    lines = keep.read_text().splitlines() if keep is not None and keep.exists() else []
    return {key: Verdict(*verdict) for key, verdict in map(json.loads, lines)}


def _read(log: Path) -> tuple[list[str], list[str]]:
    """Give the test functions that failed and that passed, without their parameters."""
    failed, passed = set(), set()
    if log.exists():
        for case in ElementTree.parse(log).iter("testcase"):
            name = f"{case.get('file') or case.get('classname')}::{(case.get('name') or '').partition('[')[0]}"
            ends = {part.tag for part in case}
            if ends & {"failure", "error"}:
                failed.add(name)
            elif "skipped" not in ends:
                passed.add(name)
    return sorted(failed), sorted(passed - failed)


def _end(running: subprocess.Popen[bytes]) -> None:
    """Leave nothing running that the tests have started."""
    with suppress(ProcessLookupError):
        os.killpg(running.pid, signal.SIGKILL)
    running.wait()


@contextmanager
def _folder(wanted: bool) -> Iterator[Path | None]:
    if not wanted:
        yield None
        return
    with tempfile.TemporaryDirectory() as place:
        yield Path(place)
