"""Drives as trains of pulses: H(t) sampled at midpoints, with a stated error."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from copydyn.blas import one_thread
from copydyn.experiment import Pulse
from copydyn.experiment.inputs import Matrix, as_hermitian, as_real, as_reals, as_whole
from copydyn.refusal import BadType, BadValue

FEWEST, MOST = 16, 100_000
"""Steps that a tolerance starts from, and beyond which a typing error is likelier than a wish."""

GENEROUS = 1.05
"""The error falls as steps^-2 only in the end; a little more than that rule asks for saves a second round."""

SHORTEST = 1e-3
"""Part of the duration that a drive's shortest time scale is taken for where nothing is said of it."""

BLOCK = 2**20
"""Entries of matrices that are held at once."""

RESOLVED = 1.0
"""Radians by which a step may turn for the leading orders of its error to be worth more than a bound."""

_INNER = math.sqrt(3.0 / 7.0)
NODES = np.array([-1.0, -_INNER, 0.0, _INNER, 1.0])
WEIGHTS = np.array([9.0, 49.0, 64.0, 49.0, 9.0]) / 180.0
COARSER = np.array([1.0, 0.0, 4.0, 0.0, 1.0]) / 6.0
"""Lobatto's rule of five nodes, in units of half the interval and of the interval, and Simpson's on three of them."""


class Drive(NamedTuple):
    """A train of pulses that stands for a smooth drive.

    ``pulses`` go where a Hamiltonian goes; ``error`` estimates from above the distance, in the operator norm, of what
    they do from what the drive does.
    """

    pulses: tuple[Pulse, ...]
    error: float

    def stated(self) -> Drive:
        """Say no more than that two unitaries are at most 2 apart."""
        return self._replace(error=min(self.error, 2.0))


@one_thread()
def sampled(
    hamiltonian: Callable[[float], Any],
    duration: float,
    steps: int | None = None,
    *,
    tolerance: float | None = None,
    hbar: float = 1.0,
    shortest: float | None = None,
    breaks: Sequence[float] = (),
) -> Drive:
    """Replace H(t), 0 <= t <= duration, by ``steps`` pulses of length h, each with H at its midpoint.

    With D(s) = H(s) - H(0) around the midpoint of a step, the evolution is off by at most integral |D| ds / hbar, and
    where the step is short, to the leading orders, by at most

        | integral D ds | / hbar  +  | [H(0), integral s D ds] | / hbar^2

    in the operator norm, which is (h^3/24 hbar) |H''| + (h^3/12 hbar^2) |[H, H']| where H is smooth. ``error`` is the
    sum over all steps of the smaller of the two, and of the first alone where a step turns by more than `RESOLVED`,
    with what two rules of quadrature differ by added. It is an estimate from above, no bound.

    Parameters
    ----------
    hamiltonian : callable
        Gives the Hermitian H(t), (P, P), energy, dense or sparse.
    duration : float
    steps : int, optional
    tolerance : float, optional
        Take as many steps as bring the error below it. One of the two must be given.
    hbar : float
    shortest : float, time, optional
        What lasts as long is seen wherever it lies: the integrals look at H(t) at least four times within it, at the
        nodes of Lobatto's rule, whose distances no period divides. A thousandth of the duration by default; a longer
        time looks less often.
    breaks : sequence of float, time, optional
        Where H(t) jumps: pulses begin and end there, and ``steps`` are shared out to what lies between, one at least to
        each. Without them the error of a jump falls as steps^-1 only.

    Returns
    -------
    Drive
        ``pulses`` and ``error``, which is at most 2, as far as two unitaries can be apart.

    Raises
    ------
    BadType, BadValue
        If H(t) is not Hermitian or changes its shape, or the tolerance asks for more than `MOST` steps.

    Notes
    -----
    Seen from the frame that turns with H(0), Duhamel's formula gives the error of a step as the integral of D, which
    the second formula expands in s. What is shorter than ``shortest`` may be missed, in the pulses and in the error.
    """
    span, unit = as_real(duration, "duration", positive=True), as_real(hbar, "hbar", positive=True)
    if not callable(hamiltonian):
        raise BadType("hamiltonian must be a function of the time, but is none; a constant H needs no sampling.")
    if (steps is None) == (tolerance is None):
        raise BadValue("steps or tolerance must be given, one of the two; take for instance steps = 200.")
    scale = as_real(SHORTEST * span if shortest is None else shortest, "shortest", positive=True)
    if span > scale * MOST:
        raise BadValue(f"shortest must be at least duration/{MOST}, but is {scale:g}; cut the drive into several.")
    edges, middle = _edges(breaks, span), 0.5 * span
    shape = as_hermitian(hamiltonian(middle), f"H(t = {middle:g})").shape
    look = _Looking(hamiltonian, shape, edges, scale, unit)
    if steps is not None:
        return look.drive(as_whole(steps, "steps", least=1, most=MOST)).stated()
    return look.within(as_real(tolerance, "tolerance", positive=True)).stated()


def _edges(breaks: Sequence[float], span: float) -> np.ndarray:
    """Give 0, the breaks in order, and the end."""
    inner = np.unique(as_reals(list(breaks), "breaks")) if len(breaks) else np.empty(0)
    if inner.size and not (inner[0] > 0.0 and inner[-1] < span):
        bad = inner[0] if inner[0] <= 0.0 else inner[-1]
        raise BadValue(f"breaks must lie within the duration of {span:g}, but one is at {bad:g}; leave it out.")
    return np.array([0.0, *inner, span])


class _Looking(NamedTuple):
    """How a drive is looked at: between ``edges``, in intervals of five nodes no longer than ``interval``."""

    hamiltonian: Callable[[float], Any]
    shape: tuple[int, ...]
    edges: np.ndarray
    interval: float
    hbar: float

    def drive(self, steps: int) -> Drive:
        """Make the pulses, and add up their errors."""
        pulses: list[Pulse] = []
        error = 0.0
        for start, end in pairwise(self.edges.tolist()):
            count = max(1, math.ceil(steps * ((end - start) / self.edges[-1]) - 1e-9))
            length = (end - start) / count
            rule = _Rule.of(length, self.interval)
            # What holds at a jump belongs to one of its sides, so that both are looked at from within.
            first = start if start == 0.0 else math.nextafter(start, end)
            last = end if end == self.edges[-1] else math.nextafter(end, start)
            at_once = max(1, BLOCK // (rule.offsets.size * math.prod(self.shape)))
            for done in range(0, count, at_once):
                middles = start + (np.arange(done, min(done + at_once, count)) + 0.5) * length
                matrices = self._at(np.clip(middles[:, None] + rule.offsets, first, last))
                centre = rule.offsets.size // 2
                pulses += [Pulse(length, row[centre].copy()) for row in matrices]  # a view would keep all looks
                error += _error(matrices, rule, length, self.hbar)
        return Drive(tuple(pulses), error)

    def _at(self, times: np.ndarray) -> Any:
        """Give H(t) at the ``times`` (step, node): one array (step, node, P, P) where it is dense, else lists."""
        raw = [self.hamiltonian(time) for time in times.ravel().tolist()]
        stack = _as_stack(raw, self.shape)
        if stack is None:
            matrices = [self._checked(entries, time) for entries, time in zip(raw, times.ravel().tolist())]
            if not all(isinstance(matrix, np.ndarray) for matrix in matrices):
                return [matrices[row * times.shape[1] : (row + 1) * times.shape[1]] for row in range(len(times))]
            stack = np.array(matrices)
        return stack.reshape(*times.shape, *self.shape)

    def _checked(self, entries: Any, time: float) -> Matrix:
        matrix = as_hermitian(entries, f"H(t = {time:g})")
        if matrix.shape != self.shape:
            raise BadValue(
                f"H(t = {time:g}) must have shape {self.shape} as at half time, but has {matrix.shape}; let the drive "
                "keep its labels."
            )
        return matrix

    def within(self, tolerance: float) -> Drive:
        """Take steps until the error is below ``tolerance``, and not many more than that takes."""
        count = FEWEST
        while (drive := self.drive(count)).error > tolerance:
            more = max(count + 1.0, _steps_for(tolerance, count, drive.error))
            if more > MOST:
                raise BadValue(
                    f"tolerance must be within reach of {MOST} steps, but {tolerance:g} asks for {more:.3g}; "
                    "take a larger one, a shorter or slower drive, or name the moments where it jumps as breaks."
                )
            count = math.ceil(more)
        # Errors of steps that are too long fall faster than the rule says: what it led to may be far too many.
        fewer = max(FEWEST, math.ceil(_steps_for(tolerance, count, drive.error)))
        if fewer < 0.9 * count and (cheaper := self.drive(fewer)).error <= tolerance:
            return cheaper
        return drive


def _steps_for(tolerance: float, count: int, error: float) -> float:
    return GENEROUS * count * math.sqrt(error / tolerance)


class _Rule(NamedTuple):
    """Nodes counted from the middle of a step, which is one of them, and the weights of two rules of quadrature."""

    offsets: np.ndarray
    weights: np.ndarray
    coarser: np.ndarray

    @classmethod
    def of(cls, length: float, interval: float) -> _Rule:
        """Cut a step into an odd number of intervals, which share their ends."""
        parts = math.ceil(length / interval) | 1
        width = length / parts
        centres = (np.arange(parts) - parts // 2) * width
        offsets = np.append((centres[:, None] + 0.5 * width * NODES[:-1]).ravel(), 0.5 * length)
        return cls(offsets, _shared(width * WEIGHTS, parts), _shared(width * COARSER, parts))


def _shared(weights: np.ndarray, parts: int) -> np.ndarray:
    """Add the weights of the ends that neighbouring intervals share."""
    whole = np.append(np.tile(weights[:-1], parts), weights[-1])
    whole[4:-1:4] += weights[-1]
    return whole


def _as_stack(raw: Sequence[Any], shape: tuple[int, ...]) -> np.ndarray | None:
    """Check arrays all at once, which costs a tenth; None where something is wrong, or is no array."""
    if any(type(one) is not np.ndarray or one.dtype.kind not in "iufc" or one.shape != shape for one in raw):
        return None
    stack = np.array(raw, dtype=np.complex128)
    exact = bool(np.all(np.isfinite(stack))) and np.array_equal(stack, stack.conj().swapaxes(1, 2))
    return stack if exact else None


def _error(matrices: Any, rule: _Rule, length: float, hbar: float) -> float:
    """How far the pulses of some steps may be from the drive, in the operator norm: see `sampled`."""
    if not isinstance(matrices, np.ndarray) and len(matrices) > 1:
        return math.fsum(_error([row], rule, length, hbar) for row in matrices)
    centre = rule.offsets.size // 2
    with np.errstate(over="ignore", invalid="ignore"):  # an error without bound is one, and is refused
        if isinstance(matrices, np.ndarray):
            middle: Any = matrices[:, centre]
            changes: Any = matrices - middle[:, None]
        else:
            middle = matrices[0][centre]
            changes = [matrix - middle for matrix in matrices[0]]
        area, moment = _integral(rule.weights, changes), _integral(rule.weights * rule.offsets, changes)
        unsure = _norm(_integral(rule.weights - rule.coarser, changes))
        turned = (_norm(area) + unsure) / hbar + _norm(middle @ moment - moment @ middle) / hbar / hbar
        angle = length * _norm(_centred(middle)) / hbar
        bound = (_norm(changes, loosely=True) @ rule.weights + unsure) / hbar
        if np.any(angle + bound > RESOLVED):
            bound = (_norm(changes) @ rule.weights + unsure) / hbar
        errors = np.where(angle + bound <= RESOLVED, np.minimum(turned, bound), bound)
    return float(np.sum(errors))


def _integral(weights: np.ndarray, values: Any) -> Any:
    """Sum over the nodes: the second axis of (step, node, P, P), or the entries of a list."""
    if isinstance(values, np.ndarray):
        return np.einsum("n,sn...->s...", weights, values)
    return sum(weight * value for weight, value in zip(weights.tolist(), values))


def _centred(matrix: Any) -> Any:
    """H without a constant energy, which turns nothing."""
    if not isinstance(matrix, np.ndarray):
        return matrix - matrix.diagonal().mean() * sparse.eye_array(matrix.shape[0])
    energy = np.trace(matrix, axis1=-2, axis2=-1) / matrix.shape[-1]
    return matrix - energy[..., None, None] * np.eye(matrix.shape[-1])


def _norm(matrix: Any, *, loosely: bool = False) -> Any:
    """Operator norm, float64 (...), or loosely Frobenius', which is not below it and costs less.

    Of a sparse matrix the largest sum over a row, which bounds it for H = +-H^+.
    """
    if isinstance(matrix, list):
        return np.array([_norm(one) for one in matrix])
    if not isinstance(matrix, np.ndarray):
        return float(sparse.linalg.norm(matrix, np.inf))
    finite = np.all(np.isfinite(matrix), axis=(-2, -1))
    sizes = np.linalg.norm(np.where(finite[..., None, None], matrix, 0.0), "fro" if loosely else 2, axis=(-2, -1))
    return np.where(finite, sizes, np.inf)
