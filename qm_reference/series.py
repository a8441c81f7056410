"""Polynomial expansions of an exponential at many times at once, with bounds on what is cut off.

Both expansions read exp(G t) v = sum_k c_k(t) v_k with real c_k. The vectors v_k do not depend on t: they are made once
for all times, and the sums over them are one real matrix product.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

BLOCK_BYTES = 2**26
"""Memory for the vectors v_k; longer series are summed block by block (64 MiB)."""


def sum_series(coefficients: np.ndarray, vectors: Iterator[np.ndarray], out: np.ndarray) -> None:
    """out(t) = sum_k c_k(t) v_k.

    Parameters
    ----------
    coefficients : float64 (time, term)
        The c_k(t).
    vectors : iterator of complex128
        The v_k, arrays of one shape.
    out : complex128 (time, *shape)
        Contiguous; overwritten.
    """
    times, terms = coefficients.shape
    rows = min(terms, max(1, BLOCK_BYTES // out[0].nbytes))
    block = np.empty((rows, *out.shape[1:]), dtype=np.complex128)
    sums = out.reshape(times, -1).view(np.float64)
    for start in range(0, terms, rows):
        filled = block[: terms - start]
        for row, vector in zip(filled, vectors):
            row[...] = vector
        weights, parts = coefficients[:, start : start + rows], filled.reshape(len(filled), -1).view(np.float64)
        if start == 0:
            np.matmul(weights, parts, out=sums)
        else:
            sums += weights @ parts


def bessel_coefficients(z: np.ndarray, terms: int) -> np.ndarray:
    """(2 - delta_k0) J_k(z), k < terms, float64 (z, term), to rounding and twice the tail that `bessel_terms` bounds.

    From exp(i z sin a) = sum_k J_k(z) exp(i k a) (Jacobi and Anger) by the fast Fourier transform on 2 x terms angles,
    ten times as fast as `scipy.special.jv` for a table.
    """
    angles = np.pi / terms * np.arange(2 * terms)
    table = np.fft.fft(np.exp(1j * z[:, None] * np.sin(angles)), axis=1).real[:, :terms] / terms
    table[:, 0] *= 0.5
    return table


def bessel_terms(z: float, tol: float) -> int:
    """Smallest K > z for which 4 sum_{k >= K} |J_k(z)| <= tol by Kapteyn's inequality.

    |J_k(z)| <= exp(-f_k) with f_k = k a_k - sqrt(k^2 - z^2), cosh a_k = k/z (DLMF 10.14.8). As df/dk = a_k grows with
    k, the tail is at most the geometric series exp(-f_K) / (1 - exp(-a_K)). Half of the four terms of the bound pay
    for what is cut off, half for the aliasing in `bessel_coefficients`.
    """
    if z == 0.0:
        return 1
    terms = math.floor(z) + 1
    while True:
        slope = math.acosh(terms / z)
        exponent = terms * slope - math.sqrt((terms - z) * (terms + z))
        if slope > 0.0 and 4.0 * math.exp(-exponent) <= tol * -math.expm1(-slope):
            return terms
        terms += 1


def taylor_coefficients(z: np.ndarray, terms: int) -> np.ndarray:
    """z^k / k!, k < terms, float64 (z, term)."""
    ratios = np.ones((z.size, terms))
    ratios[:, 1:] = z[:, None] / np.arange(1, terms)
    return np.cumprod(ratios, axis=1)


def taylor_terms(z: float, tol: float) -> int:
    """Smallest K > z for which sum_{k >= K} z^k / k! <= z^K / K! / (1 - z/(K + 1)) <= tol."""
    terms, term = 1, z
    while terms <= z or term > tol * (1.0 - z / (terms + 1)):
        terms += 1
        term *= z / terms
    return terms
