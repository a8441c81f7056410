"""The Lindblad equation for constant and piecewise constant Hamiltonians with constant jump operators."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from qm_reference.blas import one_thread
from qm_reference.inputs import (
    as_density,
    as_jumps,
    as_positive,
    as_pulses,
    as_times,
    as_tolerance,
    require_one_space,
    require_precision,
)
from qm_reference.operators import Matrix, dense, norm_bound, shifted, tight_band
from qm_reference.series import sum_series, taylor_coefficients, taylor_terms
from qm_reference.timeline import Evolution, Stretch, follow, stretches

LONGEST_ANGLE = 4.0
"""Largest |L| x time of one Taylor series: its terms then sum to at most e^4, which costs less
than two digits of sixteen."""

LARGEST_SUPEROPERATOR = 32
"""Levels up to which L may be written out as a matrix of n^2 rows; that of 32 levels takes 16 MiB."""

SMALLEST_SPARSE = 32
"""Levels up to which sparse operators are made dense, where that is faster."""


@one_thread()
def mesolve(H: Any, rho0: Any, tlist: Any, c_ops: Any = (), *, hbar: float = 1.0, tol: float = 1e-8) -> np.ndarray:
    """dρ/dt = -(i/ħ) [H, ρ] + Σ_k (c_k ρ c_k⁺ - {c_k⁺ c_k, ρ}/2), ρ(tlist[0]) = rho0.

    Parameters
    ----------
    H : (n, n) array_like, scipy sparse matrix, qutip.Qobj, or a list of (duration, H)
        In units of energy; a list is a train of pulses, each constant in time, counted from time 0.
    rho0 : (n, n) or (n,) array_like or qutip.Qobj
        Density matrix or normalised ket.
    tlist : array_like (time,)
        Strictly increasing save times >= 0, in units of hbar / energy.
    c_ops : list of (n, n) array_like, scipy sparse matrix or qutip.Qobj
        Jump operators, in units of 1 / sqrt(time); they hold throughout.
    hbar : float
        In units of energy x time.
    tol : float
        Bound on the trace norm of the error of each saved density matrix; at least 2^-51 |L| t, of which rounding takes
        half.

    Returns
    -------
    complex128 (time, n, n)

    Raises
    ------
    TypeError
        If an argument is not made of numbers, or c_ops is not a list.
    ValueError
        If H is not square, finite and Hermitian; rho0 does not fit H, is not Hermitian, or has a trace other than 1 or
        a negative eigenvalue; an operator does not fit H; tlist does not increase, is negative or outlasts the pulses;
        or double precision cannot keep ``tol``.

    Notes
    -----
    The cheaper of two methods is taken for each pulse, by the operations that they cost:

    - exp(L t) by scaling and squaring, once for each distinct step between save times. L may be stiff and need not be
      diagonalisable. Open to at most `LARGEST_SUPEROPERATOR` levels.
    - The Taylor series of exp(L t) rho in pieces of |L| t <= `LONGEST_ANGLE`. With
      |L| <= E_max - E_min over hbar + 2 sum_k |c_k|^2 in the trace norm, its remainder is bounded by proof, and since
      exp(L t) contracts the trace norm, the errors of the pieces at most add up, to less than tol/2. A stiff L makes
      it slow, the work being proportional to |L| t, but not less accurate.

    G. Lindblad, Commun. Math. Phys. 48, 119 (1976).
    """
    pulses = as_pulses(H)
    levels = pulses[0].hamiltonian.shape[0]
    rho, jumps = as_density(rho0, levels), as_jumps(c_ops, levels)
    require_one_space(H, rho0=rho0, c_ops=c_ops)
    times = as_times(tlist, pulses)
    hbar, tol = as_positive(hbar, "hbar"), as_tolerance(tol)
    route = [(stretch, _generator(stretch.hamiltonian, jumps, hbar)) for stretch in stretches(pulses, times)]
    require_precision(
        sum(generator.norm * stretch.length for stretch, generator in route), tol, "|L| t", "slow the fastest rate down"
    )
    share = 0.5 * tol / max(float(times[-1] - times[0]), np.finfo(float).tiny)
    return follow(rho, times.size, ((stretch, _evolution(stretch, generator, share)) for stretch, generator in route))


class _Generator(NamedTuple):
    """L(rho) = K rho + rho K^+ + sum_k c_k rho c_k^+ with K = -i H/hbar - sum_k c_k^+ c_k / 2."""

    drift: Matrix
    jumps: list[Matrix]
    norm: float
    """Bound on L in the trace norm."""

    def __call__(self, rho: np.ndarray) -> np.ndarray:
        """L(rho) of a Hermitian rho, for which rho K^+ = (K rho)^+ and c rho c^+ = c (c rho)^+."""
        half = self.drift @ rho
        flow: np.ndarray = half + half.conj().T
        for jump in self.jumps:
            flow += jump @ (jump @ rho).conj().T
        return flow

    def matrix(self) -> np.ndarray:
        """L on the rows of rho, one after the other, where A rho B becomes A (x) B^T: complex128 (n^2, n^2)."""
        drift, *jumps = (dense(operator) for operator in (self.drift, *self.jumps))
        one = np.eye(drift.shape[0])
        matrix: np.ndarray = np.kron(drift, one) + np.kron(one, drift.conj())
        for jump in jumps:
            matrix += np.kron(jump, jump.conj())
        return matrix


def _generator(hamiltonian: Matrix, jumps: list[Matrix], hbar: float) -> _Generator:
    if hamiltonian.shape[0] <= SMALLEST_SPARSE:
        hamiltonian, jumps = dense(hamiltonian), [dense(jump) for jump in jumps]
    energies = tight_band(hamiltonian)
    sizes = [norm_bound(jump) for jump in jumps]
    norm = 2.0 * energies.radius / hbar + 2.0 * sum(size * size for size in sizes)
    with np.errstate(over="ignore", invalid="ignore"):  # where this overflows, so does the norm, which is then refused
        # No density matrix feels a constant energy; without it |K| and the rounding are smaller.
        drift: Any = (-1j / hbar) * shifted(hamiltonian, energies.centre)
        for jump in jumps:
            drift = drift - 0.5 * (jump.conj().T @ jump)
    return _Generator(drift, jumps, norm)


def _evolution(stretch: Stretch, generator: _Generator, share: float) -> Evolution:
    """Choose the cheaper method; ``share`` is the truncation error allowed per unit of time."""
    levels = generator.drift.shape[0]
    angle = generator.norm * stretch.length
    pieces = max(1.0, angle / LONGEST_ANGLE)
    terms = pieces * taylor_terms(min(angle, LONGEST_ANGLE), share * stretch.length / pieces)
    # In units of what a complex multiplication costs in BLAS; the constants are the overhead of the calls.
    by_series = terms * ((1 + 2 * len(generator.jumps)) * levels**3 + 20_000)
    spans = stretch.to_end
    steps = np.diff(spans, prepend=0.0)
    by_matrix = (1 + np.count_nonzero(np.abs(np.diff(steps)) > _grain(spans))) * (16 * levels**6 + 300_000)
    if levels <= LARGEST_SUPEROPERATOR and by_matrix < by_series:
        return _Superoperator(generator)
    return _Taylor(generator, share)


class _Superoperator:
    """rho(t + step) = exp(L step) rho(t) from one save time to the next, with L as a matrix."""

    longest = math.inf

    def __init__(self, generator: _Generator) -> None:
        self.matrix = generator.matrix()

    def __call__(self, state: np.ndarray, spans: np.ndarray, out: np.ndarray) -> None:
        from scipy.linalg import expm

        now, start, count, step, propagator = 0.0, 0.0, 0, math.inf, self.matrix
        for saved, span in zip(out, spans):
            # Steps that differ by rounding share a propagator; counted from one start, their differences do not add up.
            if abs(span - (start + (count + 1) * step)) > _grain(spans):
                start, count, step = now, 0, span - now
                propagator = expm(self.matrix * step)
            count += 1
            now = start + count * step
            state = _hermitian_part((propagator @ state.ravel()).reshape(state.shape))
            saved[...] = state


class _Taylor:
    """rho(t) = sum_k (|L| t)^k / k! (L/|L|)^k rho(0)."""

    def __init__(self, generator: _Generator, share: float) -> None:
        self.generator, self.share = generator, share
        self.longest = LONGEST_ANGLE / generator.norm if generator.norm else math.inf

    def __call__(self, state: np.ndarray, spans: np.ndarray, out: np.ndarray) -> None:
        angles = self.generator.norm * spans
        terms = taylor_terms(float(angles[-1]), self.share * float(spans[-1]))
        sum_series(taylor_coefficients(angles, terms), self._vectors(state), out)
        out[...] = _hermitian_part(out)

    def _vectors(self, state: np.ndarray) -> Iterator[np.ndarray]:
        vector = state
        while True:
            yield vector
            vector = self.generator(vector) / self.generator.norm


def _hermitian_part(states: np.ndarray) -> np.ndarray:
    """(rho + rho^+)/2: what it drops is rounding, which could otherwise grow from step to step."""
    part: np.ndarray = 0.5 * (states + states.conj().swapaxes(-1, -2))
    return part


def _grain(spans: np.ndarray) -> float:
    """Differences between times up to this are rounding."""
    return float(spans[-1]) * 2.0**-50
