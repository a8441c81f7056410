"""What one copy event does to psi, and how often events happen on Schrödinger's path.

On the edge e = (a, b) copies move at the rate N r_e, r_e = 2 R_ab sqrt(rho_a rho_b) |sin theta_e| (32), towards a or b.
One event changes rho_a and rho_b by +-1/N and leaves the phases as they are, which kicks psi (34) by

    +-k_e / N,    k_a = psi_a / 2 rho_a,    k_b = -psi_b / 2 rho_b.

A label without copies takes no part. No angle is formed: R_ab sqrt(rho_a rho_b) sin theta_e is the imaginary part of
conj(psi_a) H_ab psi_b / hbar, and the sine of an exact pi an exact zero.
"""

from __future__ import annotations

import numpy as np

from copydyn.kernels.compiled import allocating_kernel
from copydyn.laws.path import Edges


@allocating_kernel
def event_rates(kets: np.ndarray, edges: Edges, rounding: float) -> np.ndarray:
    """sum_e r_e, the rate of copy events a copy, and its rounding error; float64 (2, time)."""
    out = np.zeros((2, kets.shape[0]))
    strength = np.abs(edges.coupling)
    for t in range(kets.shape[0]):
        psi, size = kets[t], np.abs(kets[t])
        for e in range(edges.a.size):
            a, b = edges.a[e], edges.b[e]
            if size[a] > rounding and size[b] > rounding:
                out[0, t] += 2.0 * abs((np.conj(psi[a]) * psi[b] * edges.coupling[e]).imag)
                out[1, t] += 2.0 * rounding * strength[e] * (size[a] + size[b])
    return out


@allocating_kernel
def losses(kets: np.ndarray, edges: Edges, rounding: float) -> np.ndarray:
    """sum_e r_e |k_e|^2, the rate of N times the infidelity, and its rounding error; float64 (2, time).

    The error is that of the sines, for amplitudes that are off by ``rounding``.
    """
    out = np.zeros((2, kets.shape[0]))
    inverse, strength = np.empty(kets.shape[1]), np.abs(edges.coupling)
    for t in range(kets.shape[0]):
        psi, size = kets[t], np.abs(kets[t])
        _invert(psi, rounding, inverse)
        for e in range(edges.a.size):
            a, b = edges.a[e], edges.b[e]
            if inverse[a] > 0.0 and inverse[b] > 0.0:
                length = 0.25 * (inverse[a] + inverse[b])
                out[0, t] += 2.0 * abs((np.conj(psi[a]) * psi[b] * edges.coupling[e]).imag) * length
                out[1, t] += 4.0 * rounding * strength[e] * (size[a] + size[b]) * length
    return out


@allocating_kernel
def tilts(kets: np.ndarray, directions: np.ndarray, edges: Edges, rounding: float) -> np.ndarray:
    """sum_e r_e Im[<w|k_e>]^2, the noise that unit vectors w (time, beable) see, and its rounding error; (2, time)."""
    out = np.zeros((2, kets.shape[0]))
    inverse = np.empty(kets.shape[1])
    for t in range(kets.shape[0]):
        psi = kets[t]
        _invert(psi, rounding, inverse)
        tilt = 0.5 * (np.conj(directions[t]) * psi).imag * inverse
        for e in range(edges.a.size):
            a, b = edges.a[e], edges.b[e]
            rate = 2.0 * abs((np.conj(psi[a]) * psi[b] * edges.coupling[e]).imag)
            seen = abs(tilt[a] - tilt[b])
            error = rounding * (inverse[a] + inverse[b])
            out[0, t] += rate * seen**2
            out[1, t] += rate * error * (2.0 * seen + error)
    return out


@allocating_kernel
def sources(kets: np.ndarray, edges: Edges, rounding: float) -> tuple[np.ndarray, np.ndarray]:
    """sum_e r_e k_e k_e^+ and sum_e r_e k_e k_e^T as lists; complex128 (2, time, beable) and (2, time, edge).

    The first holds the diagonals, the second the entries [a, b] of the edges.
    """
    times, size = kets.shape
    diagonal = np.zeros((2, times, size), dtype=np.complex128)
    beside = np.empty((2, times, edges.a.size), dtype=np.complex128)
    inverse = np.empty(size)
    for t in range(times):
        _invert(kets[t], rounding, inverse)
        lever = 0.5 * kets[t] * inverse
        for e in range(edges.a.size):
            a, b = edges.a[e], edges.b[e]
            rate = 2.0 * abs((np.conj(kets[t, a]) * kets[t, b] * edges.coupling[e]).imag)
            beside[0, t, e] = -rate * lever[a] * np.conj(lever[b])
            beside[1, t, e] = -rate * lever[a] * lever[b]
            diagonal[0, t, a] += rate
            diagonal[0, t, b] += rate
        diagonal[1, t] = diagonal[0, t] * lever**2
        diagonal[0, t] *= lever * np.conj(lever)
    return diagonal, beside


@allocating_kernel
def levers(kets: np.ndarray, rounding: float) -> np.ndarray:
    """psi_a / 2 rho_a, and zero for empty labels; complex128 (time, beable)."""
    out = np.empty_like(kets)
    inverse = np.empty(kets.shape[1])
    for t in range(kets.shape[0]):
        _invert(kets[t], rounding, inverse)
        out[t] = 0.5 * kets[t] * inverse
    return out


@allocating_kernel
def _invert(psi: np.ndarray, rounding: float, inverse: np.ndarray) -> None:
    """Fill ``inverse`` (beable,) with 1/rho_a, and zero for empty labels."""
    for a in range(psi.size):
        share = psi[a].real ** 2 + psi[a].imag ** 2
        inverse[a] = 1.0 / share if share > rounding**2 else 0.0
