"""Does an ensemble of 1e16 copies leap over a lattice as fast as QuTiP carries the wave function, at a cost without N?

Run ``python benchmarks/leaps.py``; it takes about five minutes, of which the sites of the last tables take most. Four
questions, a table each, every rival in the same run:

- 256 x 256 sites, hopping J, to t = 10/J: QuTiP's sesolve with its default tolerances, against `engine="leap"` with
  1e16 copies, and against the scheme that splits the evolution edge by edge (a two-level unitary and a normal draw for
  each edge, there and back), written here. The error is the total variation against the modes of the lattice, which
  contains the noise of 1e16 copies. A packet, whose tails are labels with few copies, and one that fills the lattice.
  The goal, no more time than QuTiP, is missed: a third of a leap is random numbers, and the mean flow of each half
  has nine terms, for an error a thousand times below the noise, where QuTiP's default is content with 1e-4.
- The cost against N, from 1e6 to 1e18: goal, at most 1.15 times as much. Where labels have few copies less can be
  leapt, and small N cost more.
- The cost against P: chains of 1e4, 1e5 and 1e6 sites; goal, linear within 20 %. With the bytes a site. It is missed:
  the smallest chain stays in the processor's caches, while the largest comes from memory several times a leap.
- A double slit of 512 x 512 sites, and one ensemble by one thread and by two.

Seconds are those of the processor, but for threads, where they are those of the wall; medians of runs in turns.
"""

from __future__ import annotations

import math
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import numpy as np
import qutip
from numba import njit
from scipy import sparse

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from timing import race, table, timed

from copydyn import Experiment
from copydyn.kernels.variates import next_normal, opened
from copydyn.runs import room
from copydyn.systems import double_slit, lattice, ring
from copydyn.theories import CopyDynamics
from copydyn.theories.copies.ensemble import couplings_of, share_out

COPIES = 10**16
SIDE, SPAN = 256, 10.0
ROUNDS = 3
GOAL_QUTIP, GOAL_COPIES, GOAL_SITES = 1.0, 1.15, 0.2


class Square(NamedTuple):
    """A square lattice with walls, a start, and where the start is at the end."""

    name: str
    hamiltonian: sparse.csr_array
    ket: np.ndarray
    exact: np.ndarray

    def error(self, ket: np.ndarray) -> float:
        """Total variation of the probabilities."""
        return 0.5 * float(np.abs(np.abs(ket) ** 2 - np.abs(self.exact) ** 2).sum())


def square(name: str, width: float) -> Square:
    hop = -sparse.diags_array([np.ones(SIDE - 1)] * 2, offsets=[1, -1], shape=(SIDE, SIDE))
    energies, modes = np.linalg.eigh(hop.toarray())
    later = (modes * np.exp(-1j * SPAN * energies)) @ modes.T
    sites = np.arange(SIDE)
    one, other = (
        np.exp(-(((sites - centre) / (2 * width)) ** 2) + 1j * momentum * sites)
        for centre, momentum in ((SIDE / 2 - 20, 0.9), (SIDE / 2, 0.4))
    )
    ket = np.outer(one / np.linalg.norm(one), other / np.linalg.norm(other))
    return Square(name, sparse.csr_array(sparse.kronsum(hop, hop)), ket.ravel(), (later @ ket @ later.T).ravel())


# ---- the rivals on the square ----


def by_qutip(case: Square) -> Callable[[], tuple[float, float]]:
    h, psi = qutip.Qobj(sparse.csr_matrix(case.hamiltonian.astype(complex))), qutip.Qobj(case.ket)

    def run() -> tuple[float, float]:
        seconds, solved = timed(qutip.sesolve, h, psi, [0.0, SPAN])
        return seconds, case.error(solved.states[-1].full().ravel())

    return run


def by_leaps(case: Square, **settings: Any) -> Callable[[], tuple[float, float]]:
    experiment = Experiment.of(case.hamiltonian, case.ket, [0.0, SPAN])
    theory = CopyDynamics(COPIES, "leap", **settings)

    def run() -> tuple[float, float]:
        seconds, found = timed(theory.evolve, experiment, 1)
        return seconds, case.error(np.sqrt(found.frequency.values[0, -1]))

    return run


@njit(nogil=True, error_model="numpy")
def sweep(
    x: np.ndarray, a: np.ndarray, b: np.ndarray, strength: float, length: float, backwards: bool, words: Any
) -> Any:
    """Each edge alone for ``length``: exp(-i h t) of two levels, and the noise of so many copies as it moves."""
    cosine, sine = math.cos(strength * length), math.sin(strength * length)
    for step in range(a.size):
        edge = a.size - 1 - step if backwards else step
        x_a, x_b = x[a[edge]], x[b[edge]]
        before = x_a.real * x_a.real + x_a.imag * x_a.imag
        y_a, y_b = cosine * x_a - 1j * sine * x_b, cosine * x_b - 1j * sine * x_a
        n_a, n_b = y_a.real * y_a.real + y_a.imag * y_a.imag, y_b.real * y_b.real + y_b.imag * y_b.imag
        drawn, words = next_normal(words)
        noise = math.sqrt(abs(n_a - before)) * drawn
        if n_a + noise > 0.0 and n_b - noise > 0.0 and n_a > 0.0 and n_b > 0.0:
            y_a, y_b = y_a * math.sqrt(1.0 + noise / n_a), y_b * math.sqrt(1.0 - noise / n_b)
        x[a[edge]], x[b[edge]] = y_a, y_b
    return words


@njit(nogil=True, error_model="numpy")
def sweeps(x: np.ndarray, a: np.ndarray, b: np.ndarray, strength: float, length: float, steps: int, state: Any) -> None:
    """Go through all edges there and back, a step of second order."""
    words = opened(state)
    for _ in range(steps):
        words = sweep(x, a, b, strength, 0.5 * length, False, words)
        words = sweep(x, a, b, strength, 0.5 * length, True, words)


def by_sweeps(case: Square, length: float) -> Callable[[], tuple[float, float]]:
    couplings = couplings_of(case.hamiltonian, 1.0)
    state = np.random.SeedSequence(1).generate_state(4, np.uint64)
    start = np.sqrt(share_out(case.ket, COPIES)) * case.ket / np.maximum(np.abs(case.ket), 1e-300)

    def run() -> tuple[float, float]:
        x = start.copy()
        seconds, _ = timed(sweeps, x, couplings.a, couplings.b, -1.0, length, round(SPAN / length), state)
        return seconds, case.error(x / np.linalg.norm(x))

    return run


def on_the_square() -> tuple[str, bool]:
    rows, met = [], True
    for case in (square("packet", 8.0), square("filled", 40.0)):
        rivals = {
            "QuTiP sesolve": by_qutip(case),
            "leap": by_leaps(case),
            "leap, leap_step 0.5": by_leaps(case, leap_step=0.5),
            "edge by edge, step 0.1/J": by_sweeps(case, 0.1),
            "edge by edge, step 0.05/J": by_sweeps(case, 0.05),
        }
        laps = race(list(rivals.values()), ROUNDS)
        qutips = laps[0]
        met &= min(lap.seconds for lap in laps[1:3]) <= GOAL_QUTIP * qutips.seconds
        for rival, lap in zip(rivals, laps):
            ratio = lap.seconds / qutips.seconds
            rows.append([f"{case.name}: {rival}", f"{lap.seconds:.2f}", f"{lap.outcomes[-1]:.1e}", f"{ratio:.2f}"])
    return table(("256 x 256, t = 10/J, N = 1e16", "seconds", "total variation", "x QuTiP"), rows), met


# ---- against N, against P ----


def against_copies() -> tuple[str, bool]:
    sites = 2.0 * np.pi * np.arange(16) / 16
    waves = 1.0 + 0.3 * np.exp(1j * sites) + 0.2j * np.exp(-2j * sites)
    experiment = Experiment.of(ring(16, flux=2.0).hamiltonian, waves / np.linalg.norm(waves), [0.0, 4000.0])
    sizes = (10**6, 10**9, 10**12, 10**16, 10**18)
    runs = [lambda copies=copies: timed(CopyDynamics(copies, "leap").evolve, experiment, 1) for copies in sizes]
    laps = race(runs, 5)
    first = laps[0].seconds
    rows = [
        [f"{copies:.0e}", f"{1e6 * lap.seconds / lap.outcomes[0].attrs['leaps']:.1f}", f"{lap.seconds / first:.2f}"]
        for copies, lap in zip(sizes, laps)
    ]
    return table(("ring of 16, N", "us a leap", "x N = 1e6"), rows), laps[-1].seconds <= GOAL_COPIES * first


def chain(sites: int, span: float) -> Experiment:
    place = np.arange(sites)
    ket = 1.0 + 0.5 * np.cos(2 * np.pi * place / 100.0) * np.exp(0.4j * place)
    return Experiment.of(lattice(sites).hamiltonian, ket / np.linalg.norm(ket), [0.0, span])


def against_sites() -> tuple[str, bool]:
    rows, each = [], []
    for sites, span in ((10**4, 400.0), (10**5, 80.0), (10**6, 24.0)):
        experiment, theory = chain(sites, span), CopyDynamics(COPIES, "leap")
        whole = race([partial(stepping, experiment, theory)], 2)[0]
        each.append(1e9 * whole.seconds / (sites * whole.outcomes[0]))
        rows.append(
            [f"{sites:.0e}", f"{whole.seconds:.2f}", f"{each[-1]:.0f}", f"{room.of_leaps(sites, sites, 9) / sites:.0f}"]
        )
    spread = max(each) / min(each) - 1.0
    rows.append(["spread", "", f"{100 * spread:.0f} %", ""])
    return table(("chain, sites", "seconds", "ns a site and leap", "bytes a site"), rows), spread <= GOAL_SITES


def stepping(experiment: Experiment, theory: CopyDynamics) -> tuple[float, int]:
    """Time the leaps alone: a run less one that has nearly no time to leap in."""
    short = Experiment.of(experiment.system.hamiltonian, experiment.ket, experiment.tlist * 1e-3)
    seconds, found = timed(theory.evolve, experiment, 1)
    without, one = timed(theory.evolve, short, 1)
    return seconds - without, int(found.attrs["leaps"] - one.attrs["leaps"])


def large() -> str:
    """A double slit of 512 x 512 sites, by one thread and by two; seconds of the wall."""
    side = 512
    system = double_slit(side, side, wall=256, opening=20, separation=24, height=5.0)
    x, y = np.meshgrid(np.arange(side), np.arange(side), indexing="ij")
    ket = np.exp(-(((x - 180) / 40.0) ** 2) - (((y - side / 2) / 60.0) ** 2) + 1.2j * x).ravel()
    experiment = Experiment.of(system.hamiltonian, ket / np.linalg.norm(ket), [0.0, 5.0])
    theory, rows = CopyDynamics(COPIES, "leap"), []
    results = {}
    for jobs in (1, 2, 1, 2):
        start = perf_counter()
        results[jobs] = theory.evolve(experiment, 1, jobs=jobs)
        rows.append([f"512 x 512, {jobs} thread{'s' if jobs > 1 else ''}", f"{perf_counter() - start:.1f}"])
    assert results[1].identical(results[2])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0
    rows.append(["peak memory of this process, MB", f"{peak:.0f}"])
    return table(("double slit, t = 5, N = 1e16", "seconds"), rows)


PROGRAM = """
import time; start = time.perf_counter()
import copydyn
copydyn.copysolve([[0.3, 0.5], [0.5, -0.3]], [0.8, 0.6j], [0.0, 1.0], copies=1e12, seed=1, engine="leap")
print(time.perf_counter() - start)
"""


def first_call() -> str:
    """Seconds from the import to the first result, with an empty cache of compiled kernels and with a full one."""
    with tempfile.TemporaryDirectory() as cache:
        command = [sys.executable, "-c", PROGRAM]
        environment = os.environ | {"NUMBA_CACHE_DIR": cache, "PYTHONPATH": str(Path(__file__).resolve().parents[1])}
        cold, warm = (
            float(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout)
            for _ in range(2)
        )
    return f"first leap of a process: {cold:.0f} s where kernels are compiled, {warm:.1f} s from the cache"


def main() -> None:
    for question, goal in (
        (on_the_square, f"leap / QuTiP at most {GOAL_QUTIP}"),
        (against_copies, f"1e18 / 1e6 at most {GOAL_COPIES}"),
        (against_sites, f"linear within {100 * GOAL_SITES:.0f} %"),
    ):
        text, met = question()
        print(f"{text}\ngoal, {goal}: {'met' if met else 'missed'}\n", flush=True)
    print(large(), flush=True)
    print(first_call())


if __name__ == "__main__":
    main()
