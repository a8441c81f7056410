"""Do 1e5 replicas of a small ensemble cost nothing in Python: under 20 s on two cores, and two cores 1.9x one?

Run ``python benchmarks/replicas_in_bulk.py``; it takes about two minutes. Two levels on resonance, N = 1000 copies, one
Rabi period, from a ket whose path stays away from nodes. The rivals take turns: the batch on one thread and on two,
and one call of `evolve` a replica, for 2000 of them, as a loop in Python would do it. The table gives medians of the
seconds on the clock; the sum over cores of the time that this process worked tells how busy the machine was.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from timing import race, table

from copydyn.experiment import Experiment
from copydyn.theories import CopyDynamics

REPLICAS, FEW, COPIES, ROUNDS = 100_000, 2_000, 1_000, 3
PERIOD = 2.0 * np.pi
KET = np.array([np.sqrt(0.8), np.sqrt(0.2) * np.exp(0.25j * np.pi)])
EXPERIMENT = Experiment.of([[0.0, 0.5], [0.5, 0.0]], KET, [0.0, PERIOD])
THEORY = CopyDynamics(COPIES)


def batch(jobs: int) -> Any:
    return THEORY.evolve(EXPERIMENT, seed=1, replicas=REPLICAS, jobs=jobs)


def one_by_one() -> None:
    for seed in range(FEW):
        THEORY.evolve(EXPERIMENT, seed=seed)


def clocked(work: Callable[..., Any], *arguments: Any) -> Callable[[], tuple[float, float]]:
    """Seconds on the clock, and the number of cores that they kept busy."""

    def lap() -> tuple[float, float]:
        start, worked = perf_counter(), process_time()
        work(*arguments)
        seconds = perf_counter() - start
        return seconds, (process_time() - worked) / seconds

    return lap


def main() -> None:
    one, two, loop = race([clocked(batch, 1), clocked(batch, 2), clocked(one_by_one)], ROUNDS)
    each = one.seconds / REPLICAS
    rows = [
        (name, str(number), f"{lap.seconds:.2f}", f"{1e6 * lap.seconds / number:.1f}", f"{ratio:.2f}", f"{cores:.2f}")
        for name, number, lap, ratio, cores in (
            ("batch, one thread", REPLICAS, one, 1.0, float(np.median(one.outcomes))),
            ("batch, two threads", REPLICAS, two, one.seconds / two.seconds, float(np.median(two.outcomes))),
            ("one call a replica", FEW, loop, each / (loop.seconds / FEW), float(np.median(loop.outcomes))),
        )
    ]
    print(table(("two levels, N = 1000, one period", "replicas", "s", "us each", "speed", "cores"), rows))
    print(f"1e5 replicas on two cores: {two.seconds:.1f} s, goal 20 s: {'met' if two.seconds < 20.0 else 'missed'}")
    gain = one.seconds / two.seconds
    print(f"two threads against one: {gain:.2f}x, goal 1.9x: {'met' if gain >= 1.9 else 'missed'}")


if __name__ == "__main__":
    main()
