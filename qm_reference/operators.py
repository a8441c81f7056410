"""What the methods ask of a matrix, dense or sparse; the enclosures are what makes their error bounds rigorous."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from scipy import sparse

Matrix: TypeAlias = "np.ndarray | sparse.csr_array"

WIDENING = 1.0 + 1e-12
"""Covers the rounding in the bounds below."""


class Band(NamedTuple):
    """Every eigenvalue lies within ``radius`` of ``centre``."""

    centre: float
    radius: float

    @property
    def norm(self) -> float:
        """Bound on the 2-norm."""
        return abs(self.centre) + self.radius


def gershgorin_band(hermitian: Matrix) -> Band:
    """min_a (H_aa - R_a) <= E <= max_a (H_aa + R_a) with R_a = sum_{b != a} |H_ab|."""
    diagonal = hermitian.diagonal().real
    with np.errstate(over="ignore"):
        reach = moduli(hermitian).sum(axis=1) - np.abs(diagonal)
        low, high = float(np.min(diagonal - reach)), float(np.max(diagonal + reach))
    return _between(low, high)


def tight_band(hermitian: Matrix) -> Band:
    """The outermost eigenvalues where H is dense, Gershgorin's bounds on them where it is sparse."""
    if not isinstance(hermitian, np.ndarray):
        return gershgorin_band(hermitian)
    energies = np.linalg.eigvalsh(hermitian)
    return _between(float(energies[0]), float(energies[-1]))


def norm_bound(matrix: Matrix) -> float:
    """|A|_2 where A is dense, its bound sqrt(|A|_1 |A|_inf) where it is sparse."""
    if isinstance(matrix, np.ndarray):
        return float(np.linalg.norm(matrix, 2)) * WIDENING
    sizes = moduli(matrix)
    return math.sqrt(float(sizes.sum(axis=0).max()) * float(sizes.sum(axis=1).max())) * WIDENING


def moduli(matrix: Any) -> Any:
    """|A_ab|, dense or CSR as it came; neither numpy's nor scipy's types say that abs keeps the kind of a matrix."""
    return abs(matrix)


def dense(matrix: Matrix) -> np.ndarray:
    """A as complex128 (P, P)."""
    return matrix if isinstance(matrix, np.ndarray) else matrix.toarray()


def shifted(matrix: Matrix, origin: float) -> Matrix:
    """A - origin, dense or CSR as it came."""
    if not origin:
        return matrix
    if isinstance(matrix, np.ndarray):
        return matrix - origin * np.eye(matrix.shape[0])
    from scipy import sparse  # already loaded by whoever made the matrix

    return sparse.csr_array(matrix - origin * sparse.eye_array(matrix.shape[0], format="csr"))


def _between(low: float, high: float) -> Band:
    return Band(0.5 * (low + high), 0.5 * (high - low) * WIDENING)
