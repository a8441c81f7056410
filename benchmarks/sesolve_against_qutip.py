"""Does the oracle beat QuTiP's fastest at equal error: 5x on 64 dense levels, 2x on a chain, 3x on a square of sites?

Run ``python benchmarks/sesolve_against_qutip.py``; it takes about two minutes. In every case 100 times up to t = 10/J
are saved, with an error of at most 1e-10 in the 2-norm at each of them. Errors are measured against solutions that
neither side had a part in: matrix exponentials by scipy, and the sine modes of the open lattices. Each of QuTiP's
methods gets the fastest of its settings that keeps to this error. Then all take turns of five calls, on one BLAS thread
each, and the table gives the medians; the least times tell how busy the machine was.

J is the size of a coupling: the hopping on the lattice, the root mean square of |H_ab| of the dense matrix. The last
case, for which no goal was set, shows the limit: at an eighth of the coupling the band is as narrow as the lattice's,
and an ODE solver needs few steps, while the diagonalisation that takes most of the oracle's time gets no shorter.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
import qutip
from scipy import sparse
from scipy.fft import dst, dstn
from scipy.linalg import expm
from threadpoolctl import threadpool_limits

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from qm_reference import sesolve

TOLERANCE = 1e-10
ROUNDS, CALLS = 9, 5
TIMES = np.linspace(0.0, 10.0, 100)
STEPPERS = ("adams", "bdf", "lsoda", "dop853", "vern7", "vern9", "tsit5")


class Case(NamedTuple):
    name: str
    goal: float | None
    H: Any
    psi0: np.ndarray
    exact: np.ndarray
    methods: tuple[str, ...]

    def error(self, kets: np.ndarray) -> float:
        return float(np.linalg.norm(kets - self.exact, axis=1).max())


class Contender(NamedTuple):
    name: str
    solve: Callable[[], Any]
    error: float


def dense_levels(coupling: float, goal: float | None) -> Case:
    """Couplings from the Gaussian unitary ensemble; the band reaches to 16 times their size."""
    rng = np.random.default_rng(64)
    real, imaginary = rng.normal(size=(2, 64, 64))
    H = 0.5 * coupling * (real + real.T + 1j * (imaginary - imaginary.T))
    psi0 = rng.normal(size=64) + 1j * rng.normal(size=64)
    psi0 /= np.linalg.norm(psi0)
    exact = np.array([expm(-1j * H * time) @ psi0 for time in TIMES])
    return Case(f"64 dense levels, coupling {coupling:g} J", goal, H, psi0, exact, (*STEPPERS, "diag", "krylov"))


def lattice(goal: float) -> Case:
    """A moving Gaussian packet on an open chain; QuTiP's diag, minutes for so many sites, stays out."""
    size = 4096
    hops = -np.ones(size - 1)
    H = sparse.diags_array([hops, hops], offsets=[-1, 1], format="csr")
    sites = np.arange(size)
    psi0 = np.exp(-(((sites - size / 2) / 20.0) ** 2) + 0.5j * sites)
    psi0 /= np.linalg.norm(psi0)
    energies = -2.0 * np.cos(np.pi * np.arange(1, size + 1) / (size + 1))
    modes = sine_transform(psi0)
    exact = np.array([sine_transform(np.exp(-1j * energies * time) * modes) for time in TIMES])
    return Case("chain of 4096 sites, hopping J", goal, H, psi0, exact, (*STEPPERS, "krylov"))


def square(goal: float) -> Case:
    """A packet on a square lattice with walls, whose modes are products of those of two chains."""
    side = 64
    hops = -np.ones(side - 1)
    chain = sparse.diags_array([hops, hops], offsets=[-1, 1], shape=(side, side))
    sites = np.arange(side)
    one, other = (np.exp(-(((sites - centre) / 8.0) ** 2) + 0.5j * sites) for centre in (24, 32))
    psi0 = np.outer(one / np.linalg.norm(one), other / np.linalg.norm(other))
    energies = -2.0 * np.cos(np.pi * np.arange(1, side + 1) / (side + 1))
    modes = sine_transforms(psi0)
    exact = [sine_transforms(np.exp(-1j * np.add.outer(energies, energies) * time) * modes).ravel() for time in TIMES]
    H = sparse.csr_array(sparse.kronsum(chain, chain))
    return Case("square of 64 x 64 sites, hopping J", goal, H, psi0.ravel(), np.array(exact), (*STEPPERS, "krylov"))


def sine_transforms(ket: np.ndarray) -> np.ndarray:
    """Along both axes; its own inverse."""
    return dstn(ket.real, type=1, norm="ortho") + 1j * dstn(ket.imag, type=1, norm="ortho")


def sine_transform(ket: np.ndarray) -> np.ndarray:
    """Its own inverse."""
    return dst(ket.real, type=1, norm="ortho") + 1j * dst(ket.imag, type=1, norm="ortho")


def settings(method: str) -> Iterator[dict[str, Any]]:
    """QuTiP's options from loose to tight, without its progress bar and its normalisation of every ket."""
    common = {"method": method, "progress_bar": "", "normalize_output": False, "store_states": True}
    if method == "diag":
        yield common
    elif method == "krylov":
        for dimension in (12, 16, 20, 25, 30, 40):
            for atol in (1e-8, 1e-9, 1e-10, 1e-11, 1e-12):
                yield common | {"krylov_dim": dimension, "atol": atol, "nsteps": 10**6}
    else:
        for tolerance in 10.0 ** -np.arange(9.0, 14.1, 0.5):
            yield common | {"atol": tolerance, "rtol": tolerance, "nsteps": 10**6}


def ours(case: Case) -> Contender:
    def solve() -> np.ndarray:
        return sesolve(case.H, case.psi0, TIMES, tol=TOLERANCE)

    return Contender("qm_reference", solve, case.error(solve()))


def theirs(case: Case, method: str) -> Contender | None:
    """The fastest of the method's settings that keeps to the error, or None if none does."""
    H, psi0 = qutip.Qobj(case.H if isinstance(case.H, np.ndarray) else sparse.csr_matrix(case.H)), qutip.Qobj(case.psi0)
    best, least = None, np.inf
    for options in settings(method):

        def solve(options: dict[str, Any] = options) -> Any:
            return qutip.sesolve(H, psi0, TIMES, options=options)

        seconds, result = min((timed(solve) for _ in range(3)), key=lambda run: run[0])
        error = case.error(np.array([state.full()[:, 0] for state in result.states]))
        if error <= TOLERANCE and seconds < least:
            best, least = Contender(f"QuTiP {method}", solve, error), seconds
    return best


def timed(solve: Callable[[], Any]) -> tuple[float, Any]:
    start = perf_counter()
    result = solve()
    return perf_counter() - start, result


def race(contenders: list[Contender]) -> list[list[float]]:
    """Seconds of every call of each; they take turns, so that a busy machine slows all of them alike."""
    taken: list[list[float]] = [[] for _ in contenders]
    for _ in range(ROUNDS):
        for seconds, contender in zip(taken, contenders):
            seconds += [timed(contender.solve)[0] for _ in range(CALLS)]
    return taken


def report(case: Case) -> None:
    contenders = [ours(case), *filter(None, (theirs(case, method) for method in case.methods))]
    taken = race(contenders)
    ratios = [median(seconds) / median(taken[0]) for seconds in taken]
    for ratio, contender, seconds in sorted(zip(ratios, contenders, taken), key=lambda row: row[0]):
        times = f"{1e3 * median(seconds):9.2f} {1e3 * min(seconds):9.2f}"
        print(f"{case.name:34} {contender.name:14} {contender.error:8.1e} {times} {ratio:7.1f}")
    fastest = min(ratios[1:])
    verdict = "no goal" if case.goal is None else f"goal {case.goal:g}x: {'met' if fastest >= case.goal else 'missed'}"
    print(f"{case.name:34} fastest of QuTiP / qm_reference = {fastest:.1f}x, {verdict}\n")


def main() -> None:
    print(f"100 saved times up to 10/J, error <= {TOLERANCE:g}, {ROUNDS * CALLS} runs each, one BLAS thread")
    print(f"{'case':34} {'method':14} {'error':>8} {'median ms':>9} {'least ms':>9} {'ratio':>7}")
    with threadpool_limits(1):
        for case in (dense_levels(1.0, goal=5.0), lattice(goal=2.0), square(goal=3.0), dense_levels(0.125, goal=None)):
            report(case)


if __name__ == "__main__":
    main()
