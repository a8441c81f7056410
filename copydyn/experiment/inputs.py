"""What users hand in, turned into checked arrays: the only place that knows the many faces of a matrix or a ket."""

from __future__ import annotations

import math
import numbers
import reprlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import numpy as np
from scipy import sparse

from copydyn.refusal import BadType, BadValue, did_you_mean

Matrix: TypeAlias = "np.ndarray | sparse.csr_array"

Ket: TypeAlias = Annotated[Any, "ket"]
"""What a parameter takes that has many faces in Python, (P,) array_like or qutip.Qobj, and in a scenario is a list."""

DiagonalOrMatrix: TypeAlias = Annotated[Any, "diagonal or matrix"]
"""Likewise (P,) real numbers, or a Hermitian matrix (P, P), which in a scenario is a list of rows."""

if TYPE_CHECKING:
    Whole: TypeAlias = Any
else:
    Whole = int
"""A parameter that is kept as an int, and may be given as 1e5, which no type but this can say."""

HERMITIAN_TOLERANCE = 1e-10
"""Largest |H - H^+| that is taken for rounding, relative to the largest |H_ab|."""

UNITARY_TOLERANCE = 1e-10
"""Largest |U U^+ - 1| that is taken for rounding."""

NORM_TOLERANCE = 1e-8
"""Largest | ||psi||^2 - 1 | that is taken for rounding."""

MOST_COPIES = 2**62
"""Counts are int64; above this the sum of two of them could overflow."""

MOST_LABELS = 2**31 - 1
"""A label is named by an int32."""

LARGEST_SYSTEM = 2**20
"""Labels of the systems that are made here: beyond it they take minutes and all of the memory."""


def as_hermitian(matrix: Any, name: str = "H") -> Matrix:
    """Give ``matrix`` as a Hermitian complex128 array (P, P), dense or CSR as it came.

    Parameters
    ----------
    matrix : array_like, scipy sparse matrix or array, or qutip.Qobj, (P, P)
    name : str
        The argument's name in the sentences of refusal.

    Raises
    ------
    BadType
        If it is not a matrix of numbers.
    BadValue
        If it is empty, not square, not finite, or not Hermitian to `HERMITIAN_TOLERANCE`.
    """
    square = _as_square(matrix, name)
    values = square.data if isinstance(square, sparse.csr_array) else square
    if not np.all(np.isfinite(values)):
        raise BadValue(f"{name} must be finite, but {_first_bad_entry(square)}; check how the matrix was made.")
    largest = float(np.max(np.abs(values), initial=0.0))
    with np.errstate(over="ignore"):
        skew = abs(square - square.conj().T)
    excess = float(skew.max()) if square.shape[0] else 0.0
    if excess > HERMITIAN_TOLERANCE * largest:
        a, b = divmod(int(skew.argmax()), square.shape[0])
        raise BadValue(
            f"{name} must be Hermitian to {HERMITIAN_TOLERANCE:g} of its largest entry, but {name}[{a}, {b}] and the "
            f"conjugate of {name}[{b}, {a}] differ by {excess:.3g}; use ({name} + {name}^+)/2 if that is what you mean."
        )
    hermitian = 0.5 * square + 0.5 * square.conj().T
    if isinstance(hermitian, np.ndarray):
        hermitian.setflags(write=False)
        return hermitian
    hermitian = sparse.csr_array(hermitian)
    hermitian.eliminate_zeros()
    hermitian.sort_indices()
    return hermitian


def as_unitary(matrix: Any, name: str = "U") -> np.ndarray:
    """Give ``matrix`` as a unitary complex128 array (P, P), dense and read-only.

    Parameters
    ----------
    matrix : array_like, scipy sparse matrix or array, or qutip.Qobj, (P, P)
    name : str
        The argument's name in the sentences of refusal.

    Raises
    ------
    BadType
        If it is not a matrix of numbers.
    BadValue
        If it is empty, not square, not finite, or if U U^+ differs from 1 by more than `UNITARY_TOLERANCE`.
    """
    square = _as_square(matrix, name)
    u = np.array(dense(square))
    if not np.all(np.isfinite(u)):
        raise BadValue(f"{name} must be finite, but {_first_bad_entry(u)}; check how the matrix was made.")
    with np.errstate(over="ignore", invalid="ignore"):
        overlaps = u @ u.conj().T
    defect = np.abs(overlaps - np.eye(u.shape[0]))
    if not np.max(defect) <= UNITARY_TOLERANCE:
        a, b = divmod(int(defect.argmax()), u.shape[0])
        alone = f"the squared norm of row {a} is {overlaps[a, a].real:.6g}"
        pair = f"rows {a} and {b} overlap by {defect[a, b]:.3g}"
        raise BadValue(
            f"{name} must be unitary to {UNITARY_TOLERANCE:g}, but {alone if a == b else pair}; give orthonormal rows."
        )
    u.setflags(write=False)
    return u


def as_ket(ket: Any, size: int, *, normalise: bool = False, name: str = "psi0") -> np.ndarray:
    """Give ``ket`` as a normalised complex128 array (P,).

    Raises
    ------
    BadType
        If it is not a vector of numbers.
    BadValue
        If its length is not ``size``, if it is not finite, has zero norm, or (unless ``normalise``) a norm that
        differs from one by more than `NORM_TOLERANCE`.
    """
    vector = as_vector(ket, name)
    if vector.ndim != 1:
        raise BadValue(f"{name} must be a vector, but has shape {vector.shape}; give a ket of length {size}.")
    if vector.size != size:
        raise BadValue(
            f"{name} must have one amplitude for each of the {size} beable labels, but has {vector.size}; "
            "make the ket and the Hamiltonian agree."
        )
    if not np.all(np.isfinite(vector)):
        bad = int(np.flatnonzero(~np.isfinite(vector))[0])
        raise BadValue(f"{name} must be finite, but {name}[{bad}] is {vector[bad]}; check how the ket was made.")
    scale = float(np.max(np.abs(vector)))
    if scale == 0.0:
        raise BadValue(f"{name} must not be the zero vector, which is no state; give at least one amplitude.")
    norm = scale * float(np.linalg.norm(vector / scale))  # scaled: a norm of 1e-200 must not underflow
    if not normalise and abs(norm * norm - 1.0) > NORM_TOLERANCE:
        fault = f"{name} must be normalised to {NORM_TOLERANCE:g}, but its squared norm is {norm * norm:.10g}"
        raise BadValue(
            f"{fault}; divide it by its norm, or ask for it with Preparation({name}, normalise=True).",
            in_scenario=f"{fault}; divide it by its norm, or ask for it with preparation.normalise=true.",
        )
    unit = vector / scale
    unit /= np.linalg.norm(unit)
    unit.setflags(write=False)
    return unit


def as_vector(ket: Any, name: str = "psi0") -> np.ndarray:
    """Give a ket of any size as it came, complex128; a column (P, 1) becomes (P,), and a row (1, P), a bra, is refused.

    Raises
    ------
    BadType, BadValue
    """
    vector = _as_complex(ket.full() if is_qobj(ket) else ket, name)
    if vector.ndim == 2 and vector.shape[0] == 1 < vector.shape[1]:
        raise BadValue(
            f"{name} must be a ket, but is a bra, of shape {vector.shape}; take its adjoint ({name}.dag(), or "
            f"{name}.conj().T of an array)."
        )
    return vector.ravel() if vector.ndim == 2 and vector.shape[1] == 1 else vector


def is_qobj(value: Any) -> bool:
    """Know a qutip.Qobj by its manners: qutip is not required."""
    return hasattr(value, "full") and hasattr(value, "to") and hasattr(value, "dims")


def space_of(value: Any) -> list[Any] | None:
    """Give the dimensions of the tensor space that a qutip.Qobj acts on or lies in, [2, 3]; None of anything else."""
    return list(value.dims[0]) if is_qobj(value) else None


def require_one_space(spaces: Mapping[str, list[Any] | None]) -> None:
    """Refuse things whose tensor spaces differ, as QuTiP does; what has none (an array) goes with all.

    Raises
    ------
    BadValue
    """
    known = [(name, space) for name, space in spaces.items() if space is not None]
    for name, space in known[1:]:
        first, wanted = known[0]
        if space != wanted:
            raise BadValue(
                f"{name} must live in the tensor space {wanted} of {first}, but lives in {space}; make their dims "
                "agree, or pass the plain arrays with .full()."
            )


def as_times(tlist: Any, name: str = "tlist") -> np.ndarray:
    """Give ``tlist`` as float64 (time,): finite, not negative, strictly increasing, at least one."""
    times = as_reals(tlist, name)
    if times.ndim != 1:
        raise BadValue(f"{name} must be a list of times, but has shape {times.shape}; give a one-dimensional array.")
    if times.size == 0:
        raise BadValue(f"{name} must hold at least one time, but is empty.")
    if times[0] < 0.0:
        raise BadValue(f"{name} must not be negative, but {name}[0] is {times[0]:g}; let the experiment start at 0.")
    steps = np.diff(times)
    if np.any(steps <= 0.0):
        bad = int(np.flatnonzero(steps <= 0.0)[0])
        what = "repeats" if steps[bad] == 0.0 else "decreases"
        raise BadValue(
            f"{name} must increase strictly, but {what} at {name}[{bad + 1}] = {times[bad + 1]:g}; "
            "sort it and drop what is repeated."
        )
    times.setflags(write=False)
    return times


def as_reals(values: Any, name: str) -> np.ndarray:
    """Give ``values`` as a float64 array of the same shape, all finite."""
    raw = _as_complex(values, name)
    if not np.all(np.isfinite(raw)):
        bad = np.argwhere(~np.isfinite(raw))[0].tolist()
        raise BadValue(f"{name} must be finite, but {name}{bad or ''} is {raw[tuple(bad)].real}.")
    if np.any(raw.imag != 0.0):
        raise BadValue(f"{name} must be real, but has complex entries; give real numbers.")
    return np.array(raw.real)


def as_copies(copies: Any, name: str = "copies") -> int:
    """Give ``copies`` as an int in 1..2^62; a float counts when its value is an integer (1e5)."""
    return as_whole(copies, name, least=1, most=MOST_COPIES)


def as_whole(value: Any, name: str, *, least: int = 0, most: int | None = None) -> int:
    """Give ``value`` as an int from ``least`` to ``most``; a float counts when its value is an integer (1e5)."""
    if type(value) is not int:  # to look through what else is whole takes ten times as long
        if isinstance(value, (bool, np.bool_)) or not isinstance(value, (numbers.Real, np.number)):
            raise BadType(f"{name} must be a whole number, but is {shown(value)} ({type(value).__name__}).")
        if not isinstance(value, numbers.Integral):
            value = _as_float(value)
            if not math.isfinite(value):
                raise BadValue(f"{name} must be a finite whole number, but is {value}.")
            if value != math.floor(value):
                raise BadValue(f"{name} must be a whole number, but is {value:g}; round it.")
    whole = int(value)
    if whole < least:
        raise BadValue(f"{name} must be >= {least}, but is {value}; give {least} or more.")
    if most is not None and whole > most:
        raise BadValue(f"{name} must be at most {most}, but is {value}; give {most} or less.")
    return whole


def as_real(value: Any, name: str, *, positive: bool = False) -> float:
    """Give ``value`` as a finite float, positive where asked."""
    if type(value) is not float and (  # to look through what else is real takes ten times as long
        isinstance(value, (bool, np.bool_)) or not isinstance(value, (numbers.Real, np.number))
    ):
        raise BadType(f"{name} must be a real number, but is {shown(value)} ({type(value).__name__}).")
    real = _as_float(value)
    if not math.isfinite(real):
        raise BadValue(f"{name} must be finite, but is {real}.")
    if positive and real <= 0.0:
        raise BadValue(f"{name} must be > 0, but is {real:g}.")
    return real


def choose(value: Any, name: str, options: Sequence[str]) -> None:
    """Refuse a ``value`` that is none of the ``options``."""
    if not isinstance(value, str) or value not in options:
        found = "is missing" if isinstance(value, str) and not value else f"is {shown(value)}"
        hint = did_you_mean(value, options) if isinstance(value, str) else ""
        raise BadValue(f"{name} must be one of {', '.join(options)}, but {found}{f' ({hint})' if hint else ''}.")


def dense(matrix: Matrix) -> np.ndarray:
    """Give a matrix as an array."""
    return matrix if isinstance(matrix, np.ndarray) else matrix.toarray()


def shown(value: Any) -> str:
    """Give ``repr(value)`` as it fits into a sentence: on one line, and not too long."""
    return reprlib.repr(value).replace("\n", " ")


def _as_float(value: Any) -> float:
    """Give a real number as a float, infinite where it is too large for one."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _as_complex(data: Any, name: str) -> np.ndarray:
    """Give what holds numbers, and no bools or strings, as a new complex128 array."""
    kind = type(data).__name__
    if _is_masked(data):
        raise BadValue(f"{name} must have no masked entries, but has; fill them, or leave them out.")
    try:
        array = np.asarray(data)
    except (TypeError, ValueError):
        raise BadType(f"{name} must be an array of numbers, but is a {kind} whose rows differ in length.") from None
    if array.dtype.kind not in "iufc":
        raise BadType(f"{name} must be an array of numbers, but is {kind} with entries of type {array.dtype}.")
    with np.errstate(over="ignore"):  # a long double may become infinite
        return np.array(array, dtype=np.complex128)


def _is_masked(data: Any) -> bool:
    """Find a masked entry, which numpy would replace by what lies beneath the mask, also in lists of masked arrays."""
    if isinstance(data, (list, tuple)):
        return any(_is_masked(row) for row in data if isinstance(row, (list, tuple, np.ma.MaskedArray)))
    return bool(np.ma.is_masked(data))


def _as_square(matrix: Any, name: str) -> Matrix:
    if is_qobj(matrix):
        if matrix.shape[0] == matrix.shape[1] and matrix.dims[0] != matrix.dims[1]:
            raise BadValue(f"{name} must map a space to itself, but has dims {matrix.dims}; give a square operator.")
        matrix = matrix.full() if matrix.dtype.__name__ == "Dense" else matrix.to("CSR").data_as("csr_matrix")
    elif _is_driven(matrix):
        raise BadType(
            f"{name} must be a matrix, but is a function of time; copydyn.drives.sampled makes pulses of H(t) that go "
            "where H goes."
        )
    if sparse.issparse(matrix):
        if matrix.dtype.kind not in "iufc":
            raise BadType(f"{name} must be a matrix of numbers, but has entries of type {matrix.dtype}.")
        square: Matrix = sparse.csr_array(matrix, dtype=np.complex128)
    else:
        square = _as_complex(matrix, name)
    if square.ndim != 2 or square.shape[0] != square.shape[1]:
        raise BadValue(f"{name} must be a square matrix, but has shape {square.shape}.")
    if square.shape[0] == 0:
        raise BadValue(f"{name} must act on at least one label, but is empty.")
    return square


def _is_driven(matrix: Any) -> bool:
    """Know H(t), as a function, a qutip.QobjEvo, or the list [H0, [H1, f], ...] that sesolve takes."""
    rows = matrix if isinstance(matrix, (list, tuple)) else []
    entries = [entry for row in rows if isinstance(row, (list, tuple)) for entry in row]
    return any(callable(one) for one in (matrix, *rows, *entries))


def _first_bad_entry(matrix: Matrix) -> str:
    if isinstance(matrix, np.ndarray):
        a, b = np.argwhere(~np.isfinite(matrix))[0]
        return f"its entry [{a}, {b}] is {matrix[a, b]}"
    entries = matrix.tocoo()
    bad = int(np.flatnonzero(~np.isfinite(entries.data))[0])
    return f"its entry [{entries.coords[0][bad]}, {entries.coords[1][bad]}] is {entries.data[bad]}"
