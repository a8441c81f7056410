"""Smooth drives as trains of pulses: H(t) sampled at midpoints, with a stated error."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from copydyn.experiment import Pulse
from copydyn.inputs import Matrix, as_hermitian, as_real, as_whole
from copydyn.refusal import BadType, BadValue

FEWEST, MOST = 16, 100_000
"""Steps that a tolerance starts from, and beyond which a typing error is likelier than a wish."""

GENEROUS = 1.05
"""The error falls as steps^-2 only in the end; a little more than that rule asks for saves a second round."""


class Drive(NamedTuple):
    """A train of pulses that stands for a smooth drive.

    ``pulses`` go where a Hamiltonian goes; ``error`` bounds the distance, in the operator norm, of what they do from
    what the drive does.
    """

    pulses: tuple[Pulse, ...]
    error: float


def sampled(
    hamiltonian: Callable[[float], Any],
    duration: float,
    steps: int | None = None,
    *,
    tolerance: float | None = None,
    hbar: float = 1.0,
) -> Drive:
    """Replace H(t), 0 <= t <= duration, by ``steps`` pulses of length h, each with H at its midpoint.

    The first terms of Magnus' series that the midpoints miss are (h^3/24) H'' and (h^3/12) [H', H]/(i hbar) a step, so
    that the evolution is off, in the operator norm and to the leading order in h, by at most

        (h^2 / 24 hbar) integral ( |H''| + 2 |[H', H]| / hbar ) dt

    which is what ``error`` says, with the derivatives taken from the edges and the middle of each step.

    Parameters
    ----------
    hamiltonian : callable
        Gives the Hermitian H(t), (P, P), energy, dense or sparse.
    duration : float
    steps : int, optional
    tolerance : float, optional
        Take as many steps as bring the error below it. One of the two must be given.
    hbar : float

    Returns
    -------
    Drive
        ``pulses`` and ``error``.

    Raises
    ------
    BadType, BadValue
        If H(t) is not Hermitian or changes its shape, or the tolerance asks for more than `MOST` steps.

    Notes
    -----
    With D(s) = H(s) - H(0) around a midpoint, seen from the frame that turns with H(0), Duhamel's formula gives the
    error of a step as the integral of D from -h/2 to h/2. There D(0) = 0, its first derivative drops out by symmetry,
    and its second is H'' + (2i/hbar) [H, H'].
    """
    span, unit = as_real(duration, "duration", positive=True), as_real(hbar, "hbar", positive=True)
    if not callable(hamiltonian):
        raise BadType("hamiltonian must be a function of the time, but is none; a constant H needs no sampling.")
    if (steps is None) == (tolerance is None):
        raise BadValue("steps or tolerance must be given, one of the two; take for instance steps = 200.")
    if steps is not None:
        return _drive(hamiltonian, span, as_whole(steps, "steps", least=1, most=MOST), unit)
    wanted, count = as_real(tolerance, "tolerance", positive=True), FEWEST
    while (drive := _drive(hamiltonian, span, count, unit)).error > wanted:
        more = max(count + 1.0, GENEROUS * count * math.sqrt(drive.error / wanted))
        if more > MOST:
            raise BadValue(
                f"tolerance must be within reach of {MOST} steps, but {wanted:g} asks for {more:.3g}; "
                "take a larger one, or a shorter or slower drive."
            )
        count = math.ceil(more)
    return drive


def _drive(hamiltonian: Callable[[float], Any], span: float, steps: int, hbar: float) -> Drive:
    length = span / steps
    matrices = _at(hamiltonian, np.linspace(0.0, span, 2 * steps + 1))
    error = 0.0
    with np.errstate(over="ignore", invalid="ignore"):  # an error without bound is one, and is refused
        for before, middle, after in zip(matrices[0:-2:2], matrices[1::2], matrices[2::2]):
            slope, turn = after - before, after - 2.0 * middle + before  # h H' and (h/2)^2 H''
            error += length / (6.0 * hbar) * _norm(turn)
            error += (length / hbar) * (length / hbar) / 12.0 * _norm(slope @ middle - middle @ slope)
    return Drive(tuple(Pulse(length, middle) for middle in matrices[1::2]), error)


def _at(hamiltonian: Callable[[float], Any], times: np.ndarray) -> Sequence[Matrix]:
    matrices = []
    for time in times:
        matrices.append(as_hermitian(hamiltonian(float(time)), f"H(t = {time:g})"))
        if matrices[-1].shape != matrices[0].shape:
            raise BadValue(
                f"H(t = {time:g}) must have shape {matrices[0].shape} like H(t = {times[0]:g}), but has "
                f"{matrices[-1].shape}; let the drive keep its labels."
            )
    return matrices


def _norm(matrix: Matrix) -> float:
    """Operator norm; of a sparse matrix the largest sum over a row, which bounds it for H = +-H^+."""
    if isinstance(matrix, np.ndarray):
        return float(np.linalg.norm(matrix, 2)) if np.all(np.isfinite(matrix)) else math.inf
    return float(sparse.linalg.norm(matrix, np.inf))
