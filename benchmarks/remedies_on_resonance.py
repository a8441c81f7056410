"""Which remedy for nodes gets an ensemble past a zero that its path runs straight into, and at what cost?

Run ``python benchmarks/remedies_on_resonance.py``; it takes about ten seconds. H = sigma_x/2 and psi = (1, -i)/sqrt(2),
whose path meets a zero of one label or the other at t = pi/2, 3 pi/2 and 5 pi/2; N = 1e4 copies up to t = 10, where
spectators and the floor come on top. For each strength of a remedy the table gives, over 100 ensembles,

- the deviation from the psi that was asked for: the mean of the largest |n/N - |psi|^2| at 101 times on the way;
- the infidelity 1 - |<psi_ens|psi>|^2 at the end;
- the share of ensembles that have lost a label by then.

Brackets hold standard errors in units of the last digit. The ket that is admixed is the eigenstate (1, 1)/sqrt(2), with
the phase of its part in psi, which moves the path off the zero, or a quarter turn later, which in first order moves it
along. A turned basis tilts the beables' axis by the angle from z towards the axis of the motion, x; the ensemble's ket
then tells |psi|^2 in the basis that was asked for.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import xarray as xr

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from timing import table

from copydyn.comparison.compare import kets_of
from copydyn.experiment import Experiment
from copydyn.experiment.bases import in_basis
from copydyn.theories import CopyDynamics, Schrodinger

COPIES, ENSEMBLES = 10_000, 100
EXPERIMENT = Experiment.of([[0.0, 0.5], [0.5, 0.0]], np.array([1.0, -1.0j]) / np.sqrt(2), np.linspace(0, 10, 101))
PSI = kets_of(Schrodinger().evolve(EXPERIMENT))

IN_PHASE = tuple(0.5 * (1 - 1j) * np.ones(2))
QUARTER_OFF = tuple(0.5 * (1 + 1j) * np.ones(2))
AMOUNTS = (1e-4, 1e-3, 3e-3, 0.01, 0.03, 0.1, 0.3)


def remedies() -> Iterator[tuple[str, str, CopyDynamics, float]]:
    """Name and strength of each remedy, its theory, and the angle by which the beables are turned."""
    yield "none", "", CopyDynamics(COPIES), 0.0
    for number in (1, 10, 100, 1000):
        yield "spectators", str(number), CopyDynamics(COPIES, spectators=number), 0.0
    for number in (1, 10, 100, 1000):
        yield "floor", str(number), CopyDynamics(COPIES, floor=number), 0.0
    for name, ket in (("admixture, in phase", IN_PHASE), ("admixture, a quarter turn off", QUARTER_OFF)):
        for eps in AMOUNTS:
            yield name, f"{eps:g}", CopyDynamics(COPIES, admixture=(eps, ket)), 0.0
    for angle in (0.01, 0.05, 0.1, 0.3, 1.0, np.pi / 2):
        yield "basis turned by an angle", f"{angle:.4g}", CopyDynamics(COPIES), angle


def turn(angle: float) -> np.ndarray:
    """U of H -> U H U^+, real."""
    cosine, sine = np.cos(angle / 2), np.sin(angle / 2)
    return np.array([[cosine, sine], [-sine, cosine]])


def distances(result: xr.Dataset, basis: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Deviation, infidelity and whether a label is extinct, float64 (ensemble,)."""
    kets = kets_of(result) @ basis  # U^+ psi, for a real U
    away = np.abs(np.abs(kets) ** 2 - np.abs(PSI) ** 2)
    beside = kets[:, -1] - np.sum(PSI[:, -1].conj() * kets[:, -1], axis=1, keepdims=True) * PSI[:, -1]
    extinct = (result["counts"].values[:, -1] == 0).any(axis=1)
    return away.max(axis=(1, 2)), np.sum(np.abs(beside) ** 2, axis=1), extinct.astype(float)


def with_error(values: np.ndarray) -> str:
    """Mean and its standard error, as 0.0286(13); four digits where all values are the same."""
    mean, error = values.mean(), values.std(ddof=1) / np.sqrt(values.size)
    if error < 1e-6:
        return f"{mean:.4f}"
    digits = max(0, -int(np.floor(np.log10(error / 2))))  # the error then has 2 to 19 in the last place
    return f"{mean:.{digits}f}({error * 10**digits:.0f})"


def main() -> None:
    rows = []
    for name, strength, theory, angle in remedies():
        basis = turn(angle)
        result = theory.evolve(in_basis(EXPERIMENT, basis), seed=1, replicas=ENSEMBLES, jobs=1)
        deviation, infidelity, extinct = distances(result, basis)
        rows.append((name, strength, with_error(deviation), with_error(infidelity), f"{extinct.mean():.2f}"))
    print(table(("remedy", "strength", "deviation", "infidelity", "extinct"), rows))


if __name__ == "__main__":
    main()
