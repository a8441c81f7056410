"""What does a sweep cost beside its points: in time, in memory, and when its store is opened?

The points are a theory that burns processor time and gives a result of fixed size, so that everything else is overhead.

    python benchmarks/sweeps.py [ROUNDS=3] [POINTS=10000]
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import xarray as xr
from timing import table

from copydyn import open_sweep
from copydyn.results import result
from copydyn.sweeps.api import axes_of, run
from copydyn.sweeps.asked import asked
from copydyn.theories import THEORIES

SCENARIO = """
[system]
kind = "two-level"
detuning = 0.3
[preparation]
amplitudes = [0.8, "0.6j"]
[schedule]
stop = 1
points = 3
[theory]
kind = "Burning"
seconds = {seconds}
[run]
replicas = 1
seed = 1
"""

RESULTS: dict[int, xr.Dataset] = {}


@dataclass(frozen=True)
class Burning:
    """A theory that takes ``seconds`` of processor time, and no more."""

    seconds: float = 0.0
    number: int = 0

    @property
    def name(self) -> str:
        return "Burning"

    def require(self, experiment, replicas=1):
        """Take any."""

    def evolve(self, experiment: Any, seed: Any = None, replicas: int = 1, **_: Any) -> xr.Dataset:
        end = time.thread_time() + self.seconds
        found = RESULTS.get(id(experiment))
        if found is None:
            even = np.full((experiment.tlist.size, experiment.system.size), 1.0 / experiment.system.size)
            variables = {"probability": even, "frequency": even[None], "status": np.array(["ok"])}
            found = RESULTS[id(experiment)] = result.new(experiment, variables, {"theory": "Burning", "replicas": 1})
        while time.thread_time() < end:
            pass
        return found


THEORIES["Burning"] = Burning  # workers are forked, and know it


def swept(folder: Path, points: int, seconds: float, jobs: int) -> float:
    """Seconds on the wall of a sweep, from the question to the last commit."""
    shutil.rmtree(folder, ignore_errors=True)
    scenario = folder.with_suffix(".toml")
    scenario.write_text(SCENARIO.format(seconds=seconds))
    begun = time.perf_counter()
    wanted = asked(str(scenario), more=axes_of({"theory.number": range(points)})[0])
    run(wanted, folder, jobs=jobs)
    return time.perf_counter() - begun


def burnt(points: int, seconds: float) -> float:
    """Seconds on the wall that the points take one after the other without a sweep; on a busy machine, more."""
    burning = Burning(seconds)
    experiment = asked_experiment()
    burning.evolve(experiment)  # makes the result, and imports what that takes
    begun = time.perf_counter()
    for _ in range(points):
        burning.evolve(experiment)
    return time.perf_counter() - begun


def asked_experiment() -> Any:
    from copydyn.scenario.scenario import load

    return load("rabi", ["schedule.points=3"]).experiment


def rounds_of(rounds: int, *rivals: Callable[[], float]) -> list[list[float]]:
    found: list[list[float]] = [[] for _ in rivals]
    for _ in range(rounds):
        for rival, seconds in zip(rivals, found):
            seconds.append(rival())
    return found


def memory() -> float:
    """Most memory that this process has had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0


def main(rounds: int, points: int) -> None:
    place = Path(tempfile.mkdtemp())
    try:
        folder = place / "sweep"
        swept(folder, 10, 0.0, 2)
        rows = []
        alone, small = rounds_of(
            rounds, lambda: burnt(points // 10, 1e-3) * 10, lambda: swept(folder, points, 1e-3, jobs=2)
        )
        share = [ideal / 2.0 / seconds for ideal, seconds in zip(alone, small)]
        rows.append([f"{points} points of 1 ms, 2 workers, of the ideal", f"{median(share):.3f}", ">= 0.85"])
        one, two = rounds_of(rounds, lambda: swept(folder, 60, 0.1, jobs=1), lambda: swept(folder, 60, 0.1, jobs=2))
        gain = [first / second for first, second in zip(one, two)]
        rows.append(["60 points of 0.1 s, 2 workers over 1", f"{median(gain):.3f}", ">= 1.9"])
        before = memory()
        swept(folder, 1000, 0.0, jobs=2)
        few = memory()
        seconds = swept(folder, 100_000, 0.0, jobs=2)
        many = memory()
        rows.append(["memory of the parent for 1e5 points over that for 1e3", f"{many / few:.3f}", "flat"])
        rows.append(["  in MB, before, 1e3 points, 1e5 points", f"{before:.0f}, {few:.0f}, {many:.0f}", ""])
        rows.append(["1e5 points of no work, us a point and worker", f"{2e6 * seconds / 1e5:.0f}", ""])
        opening = []
        for _ in range(rounds):
            begun = time.perf_counter()
            found = open_sweep(folder)
            opening.append(time.perf_counter() - begun)
        assert found.sizes["number"] == 100_000
        assert bool((found.status == "ok").all())
        files = sum(1 for _ in (folder / "runs").rglob("*.nc"))
        rows.append([f"opening a store of 1e5 runs in {files} files, s", f"{median(opening):.2f}", "< 5"])
        print(table(["", "measured", "goal"], rows))
    finally:
        shutil.rmtree(place)


if __name__ == "__main__":
    main(*(int(argument) for argument in (*sys.argv[1:], *("3", "10000")[len(sys.argv) - 1 :])))
