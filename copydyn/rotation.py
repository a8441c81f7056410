"""Rotations: a unitary as a pulse, and counts that are read in another basis than that of the beables."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.linalg import schur

from copydyn.inputs import as_real, as_unitary

MINUS_ONE = 1e-9
"""Eigenvalues nearer to -1 than this get the angle +pi: rounding must not tear a degenerate pair apart."""


def generator(unitary: Any, duration: float, hbar: float = 1.0) -> np.ndarray:
    """Give the Hermitian H with exp(-i H duration / hbar) = U: H = (i hbar / duration) log U on the principal branch.

    Parameters
    ----------
    unitary : (P, P) array, scipy sparse matrix, or qutip.Qobj
        U.
    duration : float
        How long the pulse is to last, > 0.
    hbar : float

    Returns
    -------
    complex128 (P, P), energy
        Its eigenvalues lie in [-pi, pi) hbar / duration.

    Raises
    ------
    BadType, BadValue
        If U is not unitary, or the duration not positive.
    """
    u = as_unitary(unitary, "U")
    scale = as_real(hbar, "hbar", positive=True) / as_real(duration, "duration", positive=True)
    upper, vectors = schur(
        u, output="complex"
    )  # of a normal matrix: diagonal, with orthonormal vectors even if degenerate
    angles = np.angle(np.diagonal(upper))
    angles = np.where(angles < -np.pi + MINUS_ONE, np.pi, angles)
    h = (vectors * (-scale * angles)) @ vectors.conj().T
    return np.asarray(0.5 * (h + h.conj().T))
