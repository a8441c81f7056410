"""Enclosures of spectra and norms: what makes the error bounds of the expansions rigorous."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from qm_reference.inputs import Matrix

WIDENING = 1.0 + 1e-12
"""Covers the rounding in the sums below."""


class Band(NamedTuple):
    """Every eigenvalue lies within ``radius`` of ``centre``."""

    centre: float
    radius: float

    @property
    def norm(self) -> float:
        """Bound on the 2-norm."""
        return abs(self.centre) + self.radius


def band(hermitian: Matrix) -> Band:
    """min_a (H_aa - R_a) <= E <= max_a (H_aa + R_a) with R_a = sum_{b != a} |H_ab| (Gershgorin)."""
    diagonal = hermitian.diagonal().real
    with np.errstate(over="ignore"):
        reach = np.asarray(abs(hermitian).sum(axis=1)).ravel() - np.abs(diagonal)
        low, high = float(np.min(diagonal - reach)), float(np.max(diagonal + reach))
    return Band(0.5 * (low + high), 0.5 * (high - low) * WIDENING)


def norm_bound(matrix: Matrix) -> float:
    """|A|_2, or its bound sqrt(|A|_1 |A|_inf) where A is sparse."""
    if isinstance(matrix, np.ndarray):
        return float(np.linalg.norm(matrix, 2)) * WIDENING
    moduli = abs(matrix)
    return math.sqrt(float(moduli.sum(axis=0).max()) * float(moduli.sum(axis=1).max())) * WIDENING
