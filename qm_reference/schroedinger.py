"""The Schrödinger equation for constant and piecewise constant Hamiltonians."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from qm_reference.blas import one_thread
from qm_reference.inputs import (
    as_ket,
    as_positive,
    as_pulses,
    as_times,
    as_tolerance,
    require_one_space,
    require_precision,
)
from qm_reference.operators import Band, Matrix, dense, gershgorin_band, shifted
from qm_reference.series import bessel_coefficients, bessel_terms, sum_series
from qm_reference.timeline import Evolution, Stretch, follow, stretches

LONGEST_ANGLE = 200.0
"""Largest radius x time / hbar of one Chebyshev series: long enough that its tail of terms is a small part of it, short
enough that its terms times the save times within it, the size of the final product, stay few."""


@one_thread()
def sesolve(H: Any, psi0: Any, tlist: Any, *, hbar: float = 1.0, tol: float = 1e-10) -> np.ndarray:
    """iħ dψ/dt = H ψ, ψ(tlist[0]) = psi0.

    Parameters
    ----------
    H : (P, P) array_like, scipy sparse matrix, qutip.Qobj, or a list of (duration, H)
        In units of energy; a list is a train of pulses, each constant in time, counted from time 0.
    psi0 : (P,) array_like or qutip.Qobj
        Normalised ket.
    tlist : array_like (time,)
        Strictly increasing save times >= 0, in units of hbar / energy.
    hbar : float
        In units of energy x time.
    tol : float
        Bound on the 2-norm of the error of each saved ket; at least 2^-51 |H| t/hbar, of which rounding takes half.

    Returns
    -------
    complex128 (time, P)

    Raises
    ------
    TypeError
        If an argument is not made of numbers.
    ValueError
        If H is not square, finite and Hermitian; psi0 does not fit H, is a bra or is not normalised; tlist does not
        increase, is negative or outlasts the pulses; or double precision cannot keep ``tol``.

    Notes
    -----
    The cheaper of two methods is taken for each pulse, by the operations that they cost:

    - Diagonalisation, psi(t) = U exp(-i E t/hbar) U^+ psi0, all times in one matrix product; as a rule for up to 64
      levels, dense or sparse, for dense matrices, and over long spans.
    - The Chebyshev series of exp(-i H t/hbar), one recursion for all save times. Gershgorin's discs enclose the
      spectrum and Kapteyn's inequality bounds the tail, so that the truncation error is below tol/2 by proof; the
      other half is left to rounding. Beyond the result it takes `series.BLOCK_BYTES` of memory, and as much as the
      result again where that is not enough for all terms.

    H. Tal-Ezer and R. Kosloff, J. Chem. Phys. 81, 3967 (1984).
    """
    pulses = as_pulses(H)
    ket = as_ket(psi0, pulses[0].hamiltonian.shape[0])
    require_one_space(H, psi0=psi0)
    times = as_times(tlist, pulses)
    hbar, tol = as_positive(hbar, "hbar"), as_tolerance(tol)
    route = [(stretch, gershgorin_band(stretch.hamiltonian)) for stretch in stretches(pulses, times)]
    require_precision(
        sum(energies.norm * stretch.length for stretch, energies in route) / hbar,
        tol,
        "|H| t/hbar",
        "subtract a constant energy from H",
    )
    share = 0.5 * tol / max(float(times[-1] - times[0]), np.finfo(float).tiny)
    return follow(ket, times.size, ((step, _evolution(step, energies, hbar, share)) for step, energies in route))


def _evolution(stretch: Stretch, energies: Band, hbar: float, share: float) -> Evolution:
    """Choose the cheaper method; ``share`` is the truncation error allowed per unit of time."""
    hamiltonian = stretch.hamiltonian
    terms = bessel_terms(energies.radius * stretch.length / hbar, share * stretch.length)
    entries = hamiltonian.size if isinstance(hamiltonian, np.ndarray) else hamiltonian.nnz
    # In units of what one P^3 of LAPACK costs, an entry of a matrix-vector product costs 4 and the call itself 4e4.
    if hamiltonian.shape[0] ** 3 <= terms * (4 * entries + 40_000):
        return _Eigenbasis(hamiltonian, energies, hbar)
    return _Chebyshev(hamiltonian, energies, hbar, share)


class _Eigenbasis:
    """psi(t) = exp(-i c t/hbar) U exp(-i (E - c) t/hbar) U^+ psi(0).

    LAPACK's energies err by a few 2^-52 of the largest of them, which t/hbar multiplies: counted from the middle c of
    the band they are no larger than the band is wide, whatever constant H contains.
    """

    longest = math.inf

    def __init__(self, hamiltonian: Matrix, band: Band, hbar: float) -> None:
        self.frequency = band.centre / hbar
        full = dense(shifted(hamiltonian, band.centre))
        energies, self.modes = np.linalg.eigh(full if np.any(full.imag) else full.real)
        self.frequencies = energies / hbar

    def __call__(self, state: np.ndarray, spans: np.ndarray, out: np.ndarray) -> None:
        amplitudes = self.modes.conj().T @ state
        np.matmul(_turns(self.frequencies, spans) * amplitudes, self.modes.T, out=out)
        _turn(out, self.frequency, spans)


def _turn(states: np.ndarray, frequency: float, spans: np.ndarray) -> None:
    """Multiply the state at each span by exp(-i w t), in place."""
    if frequency:
        states *= np.exp(-1j * frequency * spans)[:, None]


def _turns(frequencies: np.ndarray, spans: np.ndarray) -> np.ndarray:
    """exp(-i w t), complex128 (span, frequency); by doubling where the spans are even, z^(n + k) = z^n z^k.

    Doubling is several times as fast as the exponentials, which would otherwise take as long as the matrix product.
    """
    count, step = spans.size, spans[-1] / spans.size
    if np.any(np.abs(spans - step * np.arange(1, count + 1)) > 2.0**-52 * spans[-1]):
        direct: np.ndarray = np.exp(-1j * spans[:, None] * frequencies)
        return direct
    turns = np.empty((count, frequencies.size), dtype=np.complex128)
    turns[0] = np.exp(-1j * step * frequencies)
    filled = 1
    while filled < count:
        further = turns[filled : 2 * filled]
        np.multiply(turns[: len(further)], turns[filled - 1], out=further)
        filled *= 2
    return turns


class _Chebyshev:
    """psi(t) = exp(-i c t/hbar) sum_k (2 - delta_k0) J_k(r t/hbar) (-i)^k T_k((H - c)/r) psi(0)."""

    def __init__(self, hamiltonian: Matrix, energies: Band, hbar: float, share: float) -> None:
        self.frequency, self.share = energies.centre / hbar, share
        self.rate = energies.radius / hbar
        self.longest = LONGEST_ANGLE / self.rate if self.rate else math.inf
        self.generator = (-2j / (energies.radius or 1.0)) * shifted(hamiltonian, energies.centre)

    def __call__(self, state: np.ndarray, spans: np.ndarray, out: np.ndarray) -> None:
        terms = bessel_terms(self.rate * float(spans[-1]), self.share * float(spans[-1]))
        sum_series(bessel_coefficients(self.rate * spans, terms), self._vectors(state), out)
        _turn(out, self.frequency, spans)

    def _vectors(self, state: np.ndarray) -> Iterator[np.ndarray]:
        """v_k = (-i)^k T_k psi by v_{k+1} = -2i A v_k + v_{k-1}: the powers of i in v_k leave real coefficients."""
        before, now = state, 0.5 * (self.generator @ state)
        yield before
        while True:
            yield now
            after = self.generator @ now
            after += before
            before, now = now, after
