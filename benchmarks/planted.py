"""Would the tests notice? Plants faults one at a time, and runs the tests that should see each.

    python benchmarks/planted.py                    # the whole list, planted/*.toml
    python benchmarks/planted.py --sample 20        # some of it, drawn with --seed
    python benchmarks/planted.py --only per_copy    # faults whose name or file contains this
    python benchmarks/planted.py --tests            # also: which test functions no fault has made fail

A fault has a name, a file, a context ``old`` that occurs in it once, the replacement ``new``, and ``tests``: files or
functions. With ``jit = false`` these run with numba's compiler off, so that the kernels are plain Python. A fault that
is known to survive says why in ``survives``. Each ends as

* caught: a test failed, or hung for longer than anybody would wait;
* survived: all passed;
* not planted: its context is gone, or no longer unique. Mend the list;
* not judged: one of its tests fails without it. All tests of the list run once without any fault before.

With ``--keep FILE`` verdicts are kept, and what stands there is not tried again: so a list that was broken off can be
gone on with, as long as no test has changed. Exit code 1 if a fault survived that is not known to.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import tomllib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from timing import table
from trials import ROOT, Trial, Verdict, control, judged, kept

LISTS = Path(__file__).with_name("planted")


class Fault(NamedTuple):
    """One entry of a list."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    jit: bool = True
    survives: str = ""

    def planted(self) -> Trial | None:
        """Give the file with the fault in it, or nothing where its context is not there exactly once."""
        file = ROOT / self.file
        text = file.read_text(encoding="utf-8") if file.exists() else ""
        if text.count(self.old) != 1:
            return None
        return Trial(self.name, self.file, text.replace(self.old, self.new), self.tests, self.jit)


def faults() -> list[Fault]:
    """Read all lists."""
    found = []
    for path in sorted(LISTS.glob("*.toml")):
        entries = tomllib.loads(path.read_text(encoding="utf-8"))["fault"]
        found += [Fault(**entry | {"tests": tuple(entry["tests"])}) for entry in entries]
    return found


def main(arguments: Sequence[str]) -> int:
    """Try the faults that were asked for, and say what became of them."""
    asked = _asked(arguments)
    chosen = [fault for fault in faults() if asked.only in fault.name or asked.only in fault.file]
    if asked.sample:
        chosen = random.Random(asked.seed).sample(chosen, min(asked.sample, len(chosen)))
    trials = {fault: fault.planted() for fault in chosen}
    planted = {trial: fault for fault, trial in trials.items() if trial is not None}

    with tempfile.TemporaryDirectory() as place:
        known = kept(asked.keep)
        broken = control([trial for trial in planted if trial.key not in known], Path(place), asked.workers)
    if broken:
        print("Without any fault these fail, so that they judge none:", *broken, sep="\n  ", flush=True)
    sound = [trial for trial, fault in planted.items() if not any(test.startswith(fault.tests) for test in broken)]

    verdicts: dict[Fault, Verdict] = {}
    for trial, verdict in judged(sound, asked.workers, keep=asked.keep):
        fault = planted[trial]
        verdicts[fault] = verdict
        print(f"{len(verdicts):4}/{len(sound)}  {_end(fault, verdict):9} {verdict.seconds:5.0f} s  ", end="")
        print(f"{fault.file}: {fault.name}", flush=True)

    _report(trials, verdicts)
    if asked.tests:
        _silent(verdicts)
    return int(any(_end(fault, verdict) == "SURVIVED" for fault, verdict in verdicts.items()))


def _end(fault: Fault, verdict: Verdict) -> str:
    if verdict.caught:
        return "caught" if not fault.survives else "caught!"
    return "survived" if fault.survives else "SURVIVED"


def _report(trials: dict[Fault, Trial | None], verdicts: dict[Fault, Verdict]) -> None:
    """Print the score of every package, and each fault that was not caught."""
    counts: dict[str, Counter[str]] = {}
    for fault, trial in trials.items():
        package = str(Path(fault.file).parent)
        end = "not planted" if trial is None else "not judged"
        if fault in verdicts:
            end = "caught" if verdicts[fault].caught else "survived"
        counts.setdefault(package, Counter())[end] += 1
    ends = ("caught", "survived", "not planted", "not judged")
    rows = [[package, *(str(count[end]) for end in ends)] for package, count in sorted(counts.items())]
    total = sum(counts.values(), Counter[str]())
    print("\n" + table(["", *ends], [*rows, ["all", *(str(total[end]) for end in ends)]]))
    if tried := total["caught"] + total["survived"]:
        seconds = sum(verdict.seconds for verdict in verdicts.values())
        print(f"{total['caught'] / tried:.1%} caught; {seconds / tried:.0f} s a fault")
    for fault, trial in trials.items():
        if trial is None:
            print(f"not planted: {fault.file}: {fault.name}")
        elif fault not in verdicts:
            print(f"not judged, as its tests fail anyway: {fault.file}: {fault.name}")
        elif not verdicts[fault].caught:
            print(f"survived: {fault.file}: {fault.name}: {fault.survives or 'nobody knows why'}")
        elif fault.survives:
            print(f"caught, though it was held to survive: {fault.file}: {fault.name}")


def _silent(verdicts: dict[Fault, Verdict]) -> None:
    """Print the test functions that no fault has made fail."""
    loud = {test for verdict in verdicts.values() for test in verdict.failed}
    asked = [sys.executable, "-m", "pytest", "-q", "--collect-only", "-p", "no:cacheprovider"]
    lines = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    tests = dict.fromkeys(line.partition("[")[0] for line in lines if "::" in line)
    silent = [test for test in tests if test not in loud]
    print(f"\n{len(silent)} of {len(tests)} test functions never failed:", *silent, sep="\n  ")


def _asked(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Plant faults, and see whether the tests notice.")
    parser.add_argument("--sample", type=int, default=0, help="try so many, drawn at random")
    parser.add_argument("--seed", type=int, default=1, help="of the sample")
    parser.add_argument("--only", default="", help="try those whose name or file contains this")
    parser.add_argument("--workers", type=int, default=2, help="faults that are tried side by side")
    parser.add_argument("--keep", type=Path, help="a file of verdicts, to go on with later")
    parser.add_argument("--tests", action="store_true", help="say which tests never failed")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
