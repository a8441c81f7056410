"""How far are means off where clusters of few labels touch, and does a shorter leap help?

Run ``python benchmarks/seams_of_clusters.py``; it takes a minute. A ring of 64 labels holds 10 to 79 copies in each, so
that engine "leap" carries all of them in clusters of at most 16. Their means at t = 1 are held against those of engine
"exact": z is the difference in standard errors, and the mean of z^2 over the labels is 1 +- 0.18 without a bias.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from scipy import sparse

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from timing import table

from copydyn.experiment import Experiment
from copydyn.theories import CopyDynamics

SIZE, COPIES, RUNS, FLUX = 64, 2560, 4000, 2.0


def ring() -> Experiment:
    hop = np.full(SIZE, np.exp(1j * FLUX / SIZE))
    h = sparse.coo_array((hop, (np.arange(SIZE), (np.arange(SIZE) + 1) % SIZE)), shape=(SIZE, SIZE)).tocsr()
    place = 2.0 * np.pi * np.arange(SIZE) / SIZE
    ket = 1.0 + 0.3 * np.exp(3j * place) + 0.2j * np.exp(-5j * place)
    return Experiment.of(h + h.conj().T, ket / np.linalg.norm(ket), [0.0, 1.0])


def main() -> None:
    experiment = ring()
    exact = CopyDynamics(COPIES, "exact").evolve(experiment, seed=7, replicas=RUNS).counts.values[:, -1]
    rows = []
    for step in (0.4, 0.2, 0.1):
        leap = (
            CopyDynamics(COPIES, "leap", leap_step=step).evolve(experiment, seed=7, replicas=RUNS).counts.values[:, -1]
        )
        off = (leap.mean(axis=0) - exact.mean(axis=0)) / exact.std(axis=0)
        z = off / np.sqrt(2.0 / RUNS)
        rows.append((f"{step:g}", f"{np.mean(z**2):.2f}", f"{np.max(np.abs(off)):.3f}", f"{np.max(np.abs(z)):.1f}"))
    print(table(("leap_step", "mean z^2", "largest difference / s.d.", "largest |z|"), rows))


if __name__ == "__main__":
    main()
