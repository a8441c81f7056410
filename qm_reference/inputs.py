"""Checks of what callers hand in; each refusal is one sentence with the argument, the rule, the value and a way out.

scipy is recognised by its manners and imported only once a sparse matrix has come, so that importing the referee stays
cheap; QuTiP is recognised likewise and never imported.
"""

from __future__ import annotations

import math
from numbers import Real
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from qm_reference.operators import Matrix, dense, moduli

if TYPE_CHECKING:
    from scipy import sparse

HERMITIAN_TOLERANCE = 1e-10
"""Largest |A - A^+| that counts as rounding, relative to the largest |A_ab|."""

STATE_TOLERANCE = 1e-8
"""Largest departure of a norm or a trace from one, or of a probability below zero, that counts as rounding."""

SMALLEST_TOLERANCE = 1e-13
"""Below this, double precision cannot keep the promise whatever the method."""

SLACK = 1e-12
"""By how much, relatively, rounding may carry the last save time beyond the last pulse."""


class Pulse(NamedTuple):
    """A Hamiltonian that holds for ``duration``."""

    duration: float
    hamiltonian: Matrix


def as_pulses(H: Any) -> tuple[Pulse, ...]:
    """Give ``H`` as a train of pulses; a lone matrix becomes one pulse without end."""
    if not _is_train(H):
        return (Pulse(math.inf, as_hermitian(H, "H")),)
    pulses = tuple(
        Pulse(as_positive(duration, f"the duration of pulse {number}"), as_hermitian(matrix, f"H of pulse {number}"))
        for number, (duration, matrix) in enumerate(H)
    )
    size = pulses[0].hamiltonian.shape[0]
    for number, pulse in enumerate(pulses):
        _require_size(pulse.hamiltonian, size, f"H of pulse {number}", "the first pulse")
    return pulses


def as_hermitian(matrix: Any, name: str) -> Matrix:
    """Give ``matrix`` as its Hermitian part, complex128 (P, P), dense or CSR as it came."""
    square = _as_square(matrix, name)
    adjoint = square.conj().T if isinstance(square, np.ndarray) else square.conj().T.tocsr()
    with np.errstate(over="ignore"):
        skew = moduli(square - adjoint)
        largest = float(moduli(square).max())
    excess = float(skew.max())
    if excess == 0.0:
        return square
    if excess > HERMITIAN_TOLERANCE * largest:
        row, column = divmod(int(skew.argmax()), square.shape[0])
        raise ValueError(
            f"{name} must be Hermitian to {HERMITIAN_TOLERANCE:g} of its largest entry, but entry [{row}, {column}] "
            f"differs from the conjugate of [{column}, {row}] by {excess:.3g}; "
            "pass its Hermitian part if that is what you mean."
        )
    whole = 0.5 * square + 0.5 * adjoint
    return whole if isinstance(whole, np.ndarray) else _as_csr(whole)


def as_jumps(c_ops: Any, size: int) -> list[Matrix]:
    """Give ``c_ops`` as square matrices of ``size`` levels."""
    if not isinstance(c_ops, (list, tuple)):
        raise TypeError(f"c_ops must be a list of matrices, but is {_kind(c_ops)}; write [c] for a single one.")
    jumps = [_as_square(jump, f"c_ops[{number}]") for number, jump in enumerate(c_ops)]
    for number, jump in enumerate(jumps):
        _require_size(jump, size, f"c_ops[{number}]", "H")
    return jumps


def as_ket(psi0: Any, size: int, name: str = "psi0") -> np.ndarray:
    """Give ``psi0`` as complex128 (P,), normalised as it came."""
    ket = _as_numbers(_unwrapped(psi0), name)
    if ket.shape[1:] == (1,):
        ket = ket[:, 0]
    _refuse_bra(ket, name)
    if ket.shape != (size,):
        raise ValueError(
            f"{name} must be a ket of shape ({size},) like H, but has shape {ket.shape}; make the two agree."
        )
    _require_finite(ket, name)
    with np.errstate(over="ignore"):
        norm = float(np.linalg.norm(ket))
    if norm == 0.0:
        raise ValueError(f"{name} must be a state, but its norm is 0; give at least one amplitude.")
    if abs(norm * norm - 1.0) > STATE_TOLERANCE:
        raise ValueError(
            f"{name} must be normalised to {STATE_TOLERANCE:g}, but its squared norm is {norm * norm:.10g}; "
            "divide it by its norm."
        )
    return ket


def as_density(rho0: Any, size: int) -> np.ndarray:
    """Give ``rho0``, a ket or a density matrix, as complex128 (n, n)."""
    array = _as_numbers(_unwrapped(rho0), "rho0")
    _refuse_bra(array, "rho0")
    if array.ndim == 1 or array.shape[1:] == (1,):
        ket = as_ket(array, size, "rho0")
        return np.outer(ket, ket.conj())
    rho = dense(as_hermitian(array, "rho0"))
    _require_size(rho, size, "rho0", "H")
    trace = float(np.trace(rho).real)
    if abs(trace - 1.0) > STATE_TOLERANCE:
        raise ValueError(
            f"rho0 must have trace 1 to {STATE_TOLERANCE:g}, but its trace is {trace:.10g}; divide it by its trace."
        )
    smallest = float(np.linalg.eigvalsh(rho)[0])
    if smallest < -STATE_TOLERANCE:
        raise ValueError(
            f"rho0 must have no eigenvalue below -{STATE_TOLERANCE:g}, but has {smallest:.3g}, "
            "which is no probability; check how rho0 was made."
        )
    return rho


def require_one_space(H: Any, **others: Any) -> None:
    """Refuse qutip.Qobj whose tensor spaces differ, as QuTiP does; what is an array goes with all."""
    parts = {f"H of pulse {number}": h for number, (_, h) in enumerate(H)} if _is_train(H) else {"H": H}
    for name, value in others.items():
        rows = {f"{name}[{number}]": one for number, one in enumerate(value)} if isinstance(value, list | tuple) else {}
        parts |= rows or {name: value}
    spaces = {name: list(part.dims[0]) for name, part in parts.items() if hasattr(part, "full")}
    first = next(iter(spaces), "")
    for name, space in spaces.items():
        if space != spaces[first]:
            raise ValueError(
                f"{name} must live in the tensor space {spaces[first]} of {first}, but lives in {space}; make their "
                "dims agree, or pass the plain arrays with .full()."
            )


def as_times(tlist: Any, pulses: tuple[Pulse, ...]) -> np.ndarray:
    """Give ``tlist`` as float64 (time,), strictly increasing and within the pulses."""
    times = _as_numbers(tlist, "tlist")
    if times.ndim != 1:
        raise ValueError(f"tlist must be one-dimensional, but has shape {times.shape}; give a plain list of times.")
    if times.size == 0:
        raise ValueError("tlist must hold at least one time, but is empty; its first entry is the time of psi0.")
    _require_finite(times, "tlist")
    if np.any(times.imag):
        raise ValueError(f"tlist must be real, but holds {times[np.flatnonzero(times.imag)[0]]}; give real times.")
    times = np.ascontiguousarray(times.real)
    if times[0] < 0.0:
        raise ValueError(f"tlist must not be negative, but begins at {times[0]:g}; count time from 0.")
    if np.any(stuck := np.diff(times) <= 0.0):
        late = int(np.flatnonzero(stuck)[0]) + 1
        raise ValueError(
            f"tlist must increase strictly, but tlist[{late}] = {times[late]:g} follows {times[late - 1]:g}; "
            "sort it and drop what is repeated."
        )
    end = math.fsum(pulse.duration for pulse in pulses)
    if times[-1] > end * (1.0 + SLACK):
        raise ValueError(
            f"tlist must end within the pulses, which last {end:g}, but ends at {times[-1]:g}; "
            "add a pulse or shorten tlist."
        )
    return times


def as_positive(value: Any, name: str) -> float:
    """Give ``value`` as a finite float above zero."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a real number, but is {_kind(value)}; give a positive float.")
    number = float(value)
    if not (math.isfinite(number) and number > 0.0):
        raise ValueError(f"{name} must be finite and > 0, but is {number:g}; give a positive float.")
    return number


def as_tolerance(tol: Any) -> float:
    """Give ``tol`` as a float that double precision can honour."""
    number = as_positive(tol, "tol")
    if not SMALLEST_TOLERANCE <= number < 1.0:
        raise ValueError(
            f"tol must be at least {SMALLEST_TOLERANCE:g} and below 1, but is {number:g}; "
            "double precision carries about 16 digits."
        )
    return number


def require_precision(action: float, tol: float, meaning: str, remedy: str) -> None:
    """Refuse an ``action`` (|H| t/hbar) so large that rounding, about 2^-52 of it, exceeds its half of ``tol``."""
    rounding = action * 2.0**-52
    if not rounding <= 0.5 * tol:
        raise ValueError(
            f"tol must be at least twice the rounding error of about 2^-52 {meaning} = {rounding:.2g}, but is {tol:g}; "
            f"loosen tol, shorten tlist, or {remedy}."
        )


def _is_train(H: Any) -> bool:
    """Tell [(duration, H), ...] from a matrix in nested lists, whose rows hold nothing but numbers."""
    if not isinstance(H, (list, tuple)) or len(H) == 0:
        return False
    return all(isinstance(row, (list, tuple)) and len(row) == 2 and _is_matrix(row[1]) for row in H)


def _is_matrix(value: Any) -> bool:
    return isinstance(value, (list, tuple)) or len(getattr(value, "shape", ())) == 2


def _as_square(matrix: Any, name: str) -> Matrix:
    """Give ``matrix`` as a finite complex128 (P, P) matrix, dense or CSR as it came."""
    if hasattr(matrix, "full") and hasattr(matrix, "data_as"):  # a qutip.Qobj
        is_dense = matrix.dtype.__name__ == "Dense"
        matrix = matrix.full() if is_dense else matrix.to("CSR").data_as("csr_matrix")
    square = _as_csr(matrix, name) if hasattr(matrix, "tocsr") else _as_numbers(matrix, name)
    if square.ndim != 2 or square.shape[0] != square.shape[1]:
        raise ValueError(f"{name} must be a square matrix, but has shape {square.shape}; give shape (P, P).")
    if square.shape[0] == 0:
        raise ValueError(f"{name} must act on at least one level, but is empty; give at least shape (1, 1).")
    _require_finite(square, name)
    return square


def _refuse_bra(state: np.ndarray, name: str) -> None:
    if state.ndim == 2 and state.shape[0] == 1 < state.shape[1]:
        raise ValueError(f"{name} must be a ket, but is a bra, of shape {state.shape}; take its adjoint.")


def _unwrapped(state: Any) -> Any:
    """Give the plain array within a qutip.Qobj or a sparse column."""
    if hasattr(state, "full"):
        return state.full()
    return state.toarray() if hasattr(state, "toarray") else state


def _as_csr(matrix: Any, name: str = "") -> sparse.csr_array:
    from scipy import sparse

    _require_numeric(matrix, name)
    csr = sparse.csr_array(matrix, dtype=np.complex128)
    if not csr.has_canonical_format:
        csr = csr.copy()  # the caller's matrix may share its entries with this one
        csr.sum_duplicates()
    return csr


def _as_numbers(data: Any, name: str) -> np.ndarray:
    if _is_masked(data):
        raise ValueError(f"{name} must have no masked entries, but has; fill them, or leave them out.")
    try:
        array = np.asarray(data)
    except ValueError as cause:  # ragged nesting
        raise TypeError(f"{name} must be an array of numbers, but is not: {cause}") from None
    _require_numeric(array, name)
    return array.astype(np.complex128)


def _is_masked(data: Any) -> bool:
    """Find a masked entry, which numpy would replace by what lies beneath the mask, also in lists of masked arrays."""
    if isinstance(data, (list, tuple)):
        return any(_is_masked(row) for row in data if isinstance(row, (list, tuple, np.ma.MaskedArray)))
    return bool(np.ma.is_masked(data))


def _require_numeric(array: Any, name: str) -> None:
    if array.dtype.kind not in "iufc":
        raise TypeError(f"{name} must be an array of numbers, but holds {array.dtype} entries; convert it first.")


def _require_finite(array: Matrix, name: str) -> None:
    entries = array if isinstance(array, np.ndarray) else array.data
    bad = ~np.isfinite(entries)
    if not np.any(bad):
        return
    axes = np.nonzero(bad) if isinstance(array, np.ndarray) else [axis[bad] for axis in array.tocoo().coords]
    place = ", ".join(str(axis[0]) for axis in axes)
    raise ValueError(f"{name} must be finite, but {name}[{place}] is {entries[bad][0]:g}; check how {name} was made.")


def _require_size(matrix: Matrix, size: int, name: str, model: str) -> None:
    if matrix.shape[0] != size:
        raise ValueError(
            f"{name} must have shape ({size}, {size}) like {model}, but has shape {matrix.shape}; make the two agree."
        )


def _kind(value: Any) -> str:
    return f"{value!r} ({type(value).__name__})" if isinstance(value, (str, bool, Real)) else type(value).__name__
