"""How engine "leap" cuts a run: the length of its leaps, the terms of its mean flow, their error, and what it takes."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from copydyn.experiment import Experiment
from copydyn.experiment.inputs import Matrix
from copydyn.kernels.leap import Leaps
from copydyn.kernels.mean_flow import MOST_TERMS, Stars, terms_needed
from copydyn.kernels.replicas import Plan, Train
from copydyn.refusal import BadValue

LEAP_STEP = 0.4
"""Default of ``leap_step``: the noise of the frequencies is then right to about a per cent (tests/test_leap.py)."""

LONGEST_LEAP = 0.5
"""Angle beyond which too many labels change by too much of themselves to be carried by a leap."""

FINEST_LEAP = 1e-4

STEP_OF_FEW = 0.1
"""Default of ``phase_step`` in leaps, where it is about the phases of few copies only."""

FEW = 64
"""Default of ``few``; the laws of nodes hold for 16 to 1000 (tests/test_leap_nodes.py)."""

FEWEST, LARGEST_FEW = 16, 10**6

SHARE_OF_NOISE = 0.01
"""Error that the mean flow may make in a run, in units of the noise N^(-1/2)."""

ENOUGH = 1e-12
"""Relative error of half a leap that costs so little that no smaller N asks for more: costs hardly depend on N."""

BIAS = 0.1
"""Share of the noise from which on a run is called limited by its bias."""

ROUNDING = 2.0**-52
"""Relative error of the amplitudes by rounding in one expansion of the mean flow: ten times what is measured."""

FEWEST_TERMS = 3
"""The motion of a label in a leap is judged by so many terms."""

FEWEST_BANDED = 64
"""Labels from which on the diagonals of a matrix are worth a list of their own."""

MOST_LEAPS = 2**31 - 1
"""Of one stretch between two save times: the name of a random stream has 32 bits for their number."""


class LeapPlan(NamedTuple):
    """The leaps of every stretch of a plan, and how far their mean flow is from the exact one at the end.

    ``error`` bounds the 2-norm of the error of the normalised amplitudes: what the series leave out, and rounding.
    """

    leaps: Leaps
    error: float

    @property
    def number(self) -> int:
        """Of all leaps."""
        return int(self.leaps.leaps.sum())


def leap_plan(experiment: Experiment, plan: Plan, stars: Stars, leap_step: float, copies: int) -> LeapPlan:
    """Cut every stretch into equal leaps, in which no phase turns by more than ``leap_step`` against the middle one.

    Raises
    ------
    BadValue
        If a stretch would take more than `MOST_LEAPS` leaps.
    """
    start = np.concatenate([experiment.tlist[:1], plan.end])[: plan.end.size]
    angle = stars.radius[plan.pulse] * (plan.end - start)
    number = np.maximum(1.0, np.ceil(angle / leap_step * (1.0 - 1e-12)))
    if number.size and number.max() > MOST_LEAPS:
        raise BadValue(
            f"leaps must be at most {MOST_LEAPS} between two save times, but would be {number.max():.3g}, as "
            f"phases turn by up to {angle.max():.3g} rad; shorten tlist, or subtract large energies from H."
        )
    half = 0.5 * angle / number
    allowed = SHARE_OF_NOISE / math.sqrt(copies) / max(2.0 * float(number.sum()), 1.0)
    allowed = min(ENOUGH, max(allowed, ROUNDING))
    orders = np.array([max(FEWEST_TERMS, terms_needed(x, allowed)) for x in half], dtype=np.int64)
    left_out = sum(2.0 * n * _tail(x, k) for n, x, k in zip(number, half, orders.tolist()))
    error = left_out + ROUNDING * 2.0 * float(number.sum())
    return LeapPlan(Leaps(start, number.astype(np.int64), orders), float(error))


def _tail(angle: float, orders: int) -> float:
    """Bound on the sum of angle^k/k! over k > orders."""
    first = math.exp((orders + 1) * math.log(angle) - math.lgamma(orders + 2)) if angle > 0.0 else 0.0
    return first / (1.0 - angle / (orders + 2))


def stars_of(train: Train) -> Stars:
    """List for every pulse and label the labels that it is coupled to."""
    pulses, labels = train.omega.shape
    first = np.zeros((pulses, labels + 1), dtype=np.int64)
    columns = []
    centre, radius, real = np.zeros(pulses), np.zeros(pulses), np.zeros(pulses, dtype=np.bool_)
    reach_of_labels = np.zeros(pulses, dtype=np.int64)
    for pulse in range(pulses):
        own = slice(train.first[pulse], train.first[pulse + 1])
        a, b, h = train.a[own].astype(np.int64), train.b[own].astype(np.int64), train.h[own]
        row, other, value = np.concatenate([a, b]), np.concatenate([b, a]), np.concatenate([h, h.conj()])
        order = np.lexsort((other, row))
        columns.append((other[order], np.tile(np.arange(a.size), 2)[order], value[order]))
        first[pulse] = 2 * train.first[pulse] + np.searchsorted(row[order], np.arange(labels + 1))
        reach = np.bincount(row, np.abs(value), labels)
        low, high = np.min(train.omega[pulse] - reach), np.max(train.omega[pulse] + reach)
        centre[pulse], radius[pulse] = 0.5 * (low + high), 0.5 * (high - low)
        real[pulse] = not np.any(h.imag)
        reach_of_labels[pulse] = np.max(np.abs(a - b), initial=0)
    shift, bands, band_first = _bands_of(train, columns, first)
    other, edge, value = (np.concatenate(column) for column in zip(*columns))
    return Stars(
        first=first,
        other=other.astype(np.uint32),
        edge=edge.astype(np.uint32),
        re=np.ascontiguousarray(value.real),
        im=np.ascontiguousarray(value.imag),
        diagonal=np.ascontiguousarray(train.omega - centre[:, None]),
        centre=centre,
        radius=radius,
        real=real,
        shift=shift,
        bands=bands,
        band_first=band_first,
        reach=reach_of_labels,
    )


def _bands_of(train: Train, columns: list[Any], first: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """List the diagonals of the pulses whose couplings are real and lie on few of them: see `Stars`."""
    labels = train.omega.shape[1]
    shifts, bands, band_first = [], [], [0]
    for pulse, (other, _, value) in enumerate(columns):
        row = np.repeat(np.arange(labels), np.diff(first[pulse]))
        distances = np.unique(other - row)
        if labels >= FEWEST_BANDED and not np.any(value.imag) and distances.size * labels <= 2 * value.size:
            reach = np.bincount(row, np.abs(value), labels)
            centre = 0.5 * (np.min(train.omega[pulse] - reach) + np.max(train.omega[pulse] + reach))
            shifts.append(0)
            bands.append(train.omega[pulse] - centre)
            for distance in distances.tolist():
                on = other - row == distance
                shifts.append(distance)
                bands.append(np.bincount(row[on], value.real[on], labels))
        band_first.append(len(bands))
    table = np.repeat(np.array(bands), 2, axis=1) if bands else np.zeros((0, 2 * labels))
    return np.array(shifts, dtype=np.int64), table, np.array(band_first, dtype=np.int64)


def most_orders(leaps: Leaps) -> int:
    """Give the largest number of terms, at least one."""
    return min(MOST_TERMS, int(leaps.orders.max(initial=FEWEST_TERMS)))


def most_events(experiment: Experiment, copies: int) -> float:
    """Bound the copy events of an ensemble by N integral max_a sum_b R_ab dt.

    The rate (32) of all edges together, N sum_e 2 R_e sqrt(rho_a rho_b) |sin theta_e|, is at most N times the largest
    eigenvalue of the matrix R, and that is at most its largest sum over a row.
    """
    rates = [_largest_sum(pulse.hamiltonian) / experiment.system.hbar for pulse in experiment.system.pulses]
    segments = experiment.system.segments(experiment.tlist)
    return copies * math.fsum(rates[segment.pulse] * (segment.end - segment.start) for segment in segments)


def _largest_sum(hamiltonian: Matrix) -> float:
    """Largest sum over a row of |H_ab|, b != a."""
    sums = np.asarray(abs(hamiltonian).sum(axis=1)).ravel() - np.abs(hamiltonian.diagonal())
    return float(sums.max(initial=0.0))
