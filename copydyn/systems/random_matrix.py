"""Random Hamiltonians."""

from __future__ import annotations

import numpy as np

from copydyn.experiment import System
from copydyn.experiment.inputs import as_real, as_whole

MOST_LEVELS = 8192
"""Each couples to each: a matrix of 1 GB."""


def gue(levels: int = 8, width: float = 1.0, seed: int = 0, hbar: float = 1.0) -> System:
    """H = (width/4) (X + X^+) / sqrt(levels), X_ab complex normal of unit variance in each part.

    A matrix of the Gaussian unitary ensemble whose spectrum fills [-width, width] when there are many levels.
    The same ``seed`` gives the same matrix.
    """
    size = as_whole(levels, "levels", least=1, most=MOST_LEVELS)
    scale = as_real(width, "width", positive=True)
    words = np.random.Generator(np.random.PCG64(as_whole(seed, "seed")))
    x = words.normal(size=(size, size)) + 1j * words.normal(size=(size, size))
    h = 0.25 * scale * (x + x.conj().T) / np.sqrt(size)
    return System(h, meaning="level", hbar=hbar, name="gue")
