"""Is the mean of n/N right to the order 1/N, with the default step, in the engines of counted copies?

Run ``python benchmarks/mean_at_order_one_over_n.py``; it takes ten minutes on one core (``--runs 0.2``: a fifth of the
runs; ``--seed 3``: others; ``--case family``: the cases with this in their name). The law, with rho = |psi|^2,
h = H/hbar, r_ab = 2 |Im(psi_a* h_ab psi_b)| and s_a = sum_b r_ab, is

    N (E[n_a/N] - rho_a) -> C_aa,    dC/dt = -i[h, C] - Gamma o (psi psi^+),    C(0) = 0,    o: entry by entry,
    Gamma_ab = (s_a/rho_a^2 + s_b/rho_b^2)/8 + r_ab/(4 rho_a rho_b), a != b,    Gamma_aa = 0

which leaves out what is of order 1/N in N times the bias; so a straight line in 1/N through the three ensembles is
drawn, too, whose value at 1/N = 0 is the law's. An error of the phases that does not depend on N grows with N here:
steps of 0.05 of second order, with which the first case errs by 2.6e-4, are 0.42 off at N = 1600. What a step does to
infinitely many copies, with no noise at all, is in the last table.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.linalg import expm

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from mean_steps import carried
from timing import table, timed

from copydyn.experiment import Experiment
from copydyn.theories import CopyDynamics
from copydyn.theories.copies.rules import Harmonic, Rule

COPIES = (200, 800, 1600)
SPREAD = 0.05
"""Standard error of N times the bias that is asked for."""

SLICES = 400
OFFSET = 1e-12
"""Of the sines: a rule that is no longer called Smolin's, and does the same."""


class Case(NamedTuple):
    name: str
    pulses: list[tuple[float, np.ndarray]]
    hbar: float
    ket: np.ndarray
    label: int
    engine: dict[str, Any]
    copies: tuple[int, ...]


def gue(size: int, seed: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    a = generator.normal(size=(size, size)) + 1j * generator.normal(size=(size, size))
    return (a + a.conj().T) / 2


def ket_of(size: int, seed: int, copies: int = 200) -> np.ndarray:
    """Give a ket that so many copies, or a multiple of them, hold exactly."""
    generator = np.random.default_rng(seed)
    counts = np.round(copies * generator.dirichlet(3 * np.ones(size)))
    counts[0] += copies - counts.sum()
    return np.sqrt(counts / copies) * np.exp(-1j * generator.uniform(0, 2 * np.pi, size))


def ring_with_flux() -> tuple[np.ndarray, np.ndarray]:
    """Four sites with unequal energies and a flux of 1.2 rad, and a wave packet on them."""
    hop = -np.diag(np.exp(0.3j) * np.ones(3), 1)
    hop[3, 0] = -np.exp(0.3j)
    counts, phases = np.array([45, 55, 44, 56]), np.array([-1.8, 1.8, 1.1, -0.5])
    return hop + hop.conj().T + np.diag([0.8, -0.3, 0.5, -1.0]), np.sqrt(counts / 200) * np.exp(1j * phases)


def cases() -> list[Case]:
    triangle, ket = gue(3, 12), ket_of(3, 1)
    ring, packet = ring_with_flux()
    once = [(2.5, triangle)]
    smolin = Rule(harmonics=(Harmonic(copy_offset=OFFSET),))
    two_pulses = [(1.0, gue(3, 22)), (1.0, gue(3, 23))]
    return [
        Case("three levels", once, 1.0, ket, 1, {"engine": "exact"}, COPIES),
        Case("ring, flux, hbar = 2", [(2.0, ring)], 2.0, packet, 1, {"engine": "exact"}, COPIES),
        Case("two pulses", two_pulses, 1.0, ket_of(3, 337), 0, {"engine": "exact"}, COPIES),
        Case("three levels, agents", once, 1.0, ket, 1, {"engine": "agents"}, COPIES[1:2]),
        Case("three levels, family", once, 1.0, ket, 1, {"engine": "exact", "rule": smolin}, COPIES[1:2]),
    ]


def law(case: Case) -> tuple[float, float, float]:
    """rho, C and the least rho on the way; C by the midpoint rule in the interaction picture."""
    psi, shift, least = case.ket.astype(complex), np.zeros((case.ket.size,) * 2, complex), 1.0
    for span, hamiltonian in case.pulses:
        h, step = hamiltonian / case.hbar, span / SLICES
        half = expm(-0.5j * step * h)
        for _ in range(SLICES):
            middle = half @ psi
            shift = half @ (half @ shift @ half.conj().T - step * dephasing(h, middle)) @ half.conj().T
            psi = half @ middle
            least = min(least, float(np.min(np.abs(psi) ** 2)))
    return abs(psi[case.label]) ** 2, shift[case.label, case.label].real, least


def dephasing(h: np.ndarray, psi: np.ndarray) -> np.ndarray:
    """Gamma o (psi psi^+)."""
    rho, off = np.abs(psi) ** 2, h - np.diag(np.diag(h))
    rates = 2.0 * np.abs(np.imag(psi.conj()[:, None] * off * psi[None, :]))
    own = rates.sum(axis=1) / rho**2 / 8.0
    gamma = own[:, None] + own[None, :] + rates / (4.0 * rho[:, None] * rho[None, :])
    np.fill_diagonal(gamma, 0.0)
    return gamma * np.outer(psi, psi.conj())


def experiment_of(case: Case) -> Experiment:
    span = sum(length for length, _ in case.pulses)
    pulses = case.pulses if len(case.pulses) > 1 else case.pulses[0][1]
    return Experiment.of(pulses, case.ket, [0.0, span], hbar=case.hbar)


def measured(case: Case, copies: int, share: float, seed: int) -> tuple[float, float, int, float]:
    """N (mean of n/N - rho) and its standard error, runs, and microseconds of processor time a run."""
    theory, experiment, rho = CopyDynamics(copies, **case.engine), experiment_of(case), law(case)[0]
    assert np.allclose(copies * np.abs(case.ket) ** 2, np.round(copies * np.abs(case.ket) ** 2))
    first = theory.evolve(experiment, seed=1, replicas=500).counts.values[:, -1, case.label]
    runs = max(500, int(share * np.var(first) / SPREAD**2))
    seconds, found = timed(theory.evolve, experiment, seed=seed, replicas=runs)
    counts = found.counts.values[:, -1, case.label]
    return counts.mean() - copies * rho, counts.std(ddof=1) / np.sqrt(runs), runs, 1e6 * seconds / runs


def limit(copies: list[int], bias: list[float], error: list[float]) -> tuple[float, float]:
    """Value at 1/N = 0, and its error, of the straight line in 1/N that fits best."""
    columns = np.stack([np.ones(len(copies)), 1.0 / np.array(copies)], axis=1) / np.array(error)[:, None]
    covariance = np.linalg.inv(columns.T @ columns)
    return (covariance @ columns.T @ (np.array(bias) / error))[0], float(np.sqrt(covariance[0, 0]))


def main() -> None:
    share, seed, wanted = float(option("--runs", "1")), int(option("--seed", "2")), option("--case", "")
    rows = []
    for case in cases():
        if wanted not in case.name:
            continue
        _, expected, least = law(case)
        found = []
        for copies in case.copies:
            bias, error, runs, cost = measured(case, copies, share, seed)
            found.append((copies, bias, error))
            numbers = (f"{least:.3f}", str(copies), f"{runs:.1e}", f"{cost:.0f}", f"{bias:.3f} +- {error:.3f}")
            rows.append((case.name, *numbers, f"{expected:.3f}", f"{(bias - expected) / error:+.1f}"))
            print(" ".join(rows[-1]), file=sys.stderr, flush=True)
        if len(found) > 2:
            bias, error = limit(*(list(column) for column in zip(*found)))
            off = f"{(bias - expected) / error:+.1f}"
            rows.append(("", "", "limit", "", "", f"{bias:.3f} +- {error:.3f}", f"{expected:.3f}", off))
    print(
        table(("engine exact unless said", "least rho", "N", "runs", "us a run", "N bias", "law", "errors off"), rows)
    )
    steps = (0.2, 0.1, 0.05, 0.025)
    rows = []
    for case in cases()[:3]:
        for curved in (True, False):
            errors = [float(np.max(np.abs(mean_flow_error(case, step, curved)))) for step in steps]
            slopes = np.diff(np.log(errors)) / np.diff(np.log(steps))
            way = "fourth order" if curved else "second order"
            rows.append((f"{case.name}, {way}", *(f"{error:.1e}" for error in errors), f"{slopes[-1]:.2f}"))
    print(table(("error of n/N by the mean flow of steps of", *map(str, steps), "slope"), rows))


def option(name: str, default: str) -> str:
    return sys.argv[sys.argv.index(name) + 1] if name in sys.argv else default


def mean_flow_error(case: Case, step: float, curved: bool) -> np.ndarray:
    """n/N - rho of infinitely many copies that are carried in steps."""
    ket, psi = case.ket, case.ket
    for span, hamiltonian in case.pulses:
        ket = carried(hamiltonian / case.hbar, ket, span, step, curved=curved)
        psi = expm(-1j * span * hamiltonian / case.hbar) @ psi
    return np.abs(ket) ** 2 - np.abs(psi) ** 2


if __name__ == "__main__":
    main()
