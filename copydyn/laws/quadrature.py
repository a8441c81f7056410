"""Integrals over time of rates that have kinks and peaks, many panels at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.polynomial import legendre

ORDER = 8
"""Points on a panel."""

RTOL = 1e-6
"""Relative error of an integral."""

BLOCK = 2**20
"""Numbers held at once: what needs more is worked through in portions."""

SHORTEST = 1e-14
"""Shortest panel, relative to the time where it lies."""

Rate = Callable[[np.ndarray], np.ndarray]


def _lobatto(order: int) -> tuple[np.ndarray, np.ndarray]:
    """Points and weights of Lobatto's rule on [-1, 1]: Gauss's with both ends, between which no kink can hide.

    The inner points are the roots of the Jacobi polynomial P^(1,1), the eigenvalues of a symmetric matrix (Golub and
    Welsch): real by construction, where the roots of a general polynomial are complex numbers without imaginary part.
    """
    k = np.arange(1.0, order - 2)
    beside = np.sqrt(k * (k + 2.0) / ((2.0 * k + 1.0) * (2.0 * k + 3.0)))
    points = np.concatenate([[-1.0], np.linalg.eigvalsh(np.diag(beside, -1)), [1.0]])
    return points, 2.0 / (order * (order - 1) * legendre.Legendre.basis(order - 1)(points) ** 2)


_POINTS, _WEIGHTS = _lobatto(ORDER)
_HIGHEST = np.linalg.inv(legendre.legvander(_POINTS, ORDER - 1))[-3:].T


class Panels(NamedTuple):
    """Stretches of time on which Lobatto's rule is accurate: ``starts``, ``ends`` float64 (panel,).

    ``owner`` (panel,) is the number of the interval that each is a part of, and ``window`` that of the panel of the
    first division.
    """

    starts: np.ndarray
    ends: np.ndarray
    owner: np.ndarray
    window: np.ndarray

    @property
    def lengths(self) -> np.ndarray:
        """How long each panel is."""
        return self.ends - self.starts

    @property
    def times(self) -> np.ndarray:
        """Lobatto's points, float64 (panel x ORDER,)."""
        return (0.5 * (self.starts + self.ends)[:, None] + np.multiply.outer(0.5 * self.lengths, _POINTS)).ravel()

    @property
    def weights(self) -> np.ndarray:
        """Lobatto's weights, float64 (panel x ORDER,)."""
        return np.multiply.outer(0.5 * self.lengths, _WEIGHTS).ravel()

    def take(self, which: np.ndarray | slice) -> Panels:
        """Give some of the panels."""
        return Panels(*(column[which] for column in self))

    def portions(self, per_time: int) -> Iterator[Panels]:
        """Give so many at once that arrays (time, per_time) stay small."""
        size = max(1, BLOCK // (ORDER * per_time))
        return (self.take(slice(first, first + size)) for first in range(0, self.starts.size, size))

    def windows(self) -> Iterator[Panels]:
        """Group the panels, which are in order of time, by their window."""
        edges = np.flatnonzero(np.diff(self.window, prepend=-1, append=-1))
        return (self.take(slice(first, last)) for first, last in pairwise(edges))

    def halves(self) -> Panels:
        """Give the left and the right half of each panel, next to each other."""
        middles = 0.5 * (self.starts + self.ends)
        starts = np.column_stack([self.starts, middles]).ravel()
        ends = np.column_stack([middles, self.ends]).ravel()
        return Panels(starts, ends, np.repeat(self.owner, 2), np.repeat(self.window, 2))

    def integrals(self, rate: Rate, per_time: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Estimate on each panel, how far to doubt it, and its rounding error; each float64 (panel,).

        The doubt is a fifth of the last three terms of the Legendre series: hardly less than the error of any kink.
        """
        parts = [rate(part.times).reshape(2, -1, ORDER) for part in self.portions(per_time)]
        values, blur = np.concatenate([np.zeros((2, 0, ORDER)), *parts], axis=1)
        ripple = np.linalg.norm(values @ _HIGHEST, axis=1)
        half = 0.5 * self.lengths
        return half * (values @ _WEIGHTS), 0.2 * half * ripple, half * (blur @ _WEIGHTS)


class Quadrature(NamedTuple):
    """``integrals`` float64 (interval,), and the ``panels``, in order of time, on which Lobatto's rule is as good."""

    integrals: np.ndarray
    panels: Panels


def evenly(cuts: np.ndarray, widest: float) -> Panels:
    """Divide the intervals between ``cuts`` into panels at most ``widest`` long."""
    counts = np.maximum(1, np.ceil(np.diff(cuts) / widest)).astype(int)
    owner = np.repeat(np.arange(counts.size), counts)
    widths = (np.diff(cuts) / counts)[owner]
    window = np.arange(owner.size)
    number = window - (np.cumsum(counts) - counts)[owner]
    return Panels(cuts[owner] + number * widths, cuts[owner] + (number + 1) * widths, owner, window)


def integrate(rate: Rate, panels: Panels, *, per_time: int, rtol: float = RTOL, atol: float = 0.0) -> Quadrature:
    """Integrate ``rate`` over each interval, halving the panels until each agrees with its two halves.

    The error allowed on a panel is half of what is allowed on its interval, times the root of its share of the length:
    where a kink falls in a panel is chance, the rule's error has no mean over that, and errors of chance add in
    squares. The halves are what is kept, so that the error of a peak, which is not of chance, is long gone by then.

    Parameters
    ----------
    rate : callable
        Times float64 (point,) to the integrand and its rounding error, float64 (2, point): what lies below the rounding
        error is not chased.
    panels : Panels
        A first division of the intervals, fine enough to see every oscillation.
    per_time : int
        How many numbers ``rate`` has to hold for one time.
    rtol, atol : float
        Error allowed in the integral over one interval.
    """
    intervals = int(panels.owner[-1]) + 1 if panels.owner.size else 0
    lengths = np.bincount(panels.owner, panels.lengths, intervals)
    settled, sums = [panels.take(slice(0))], np.zeros(intervals)
    coarse = panels.integrals(rate, per_time)[0]
    while coarse.size:
        halves = panels.halves()
        parts, doubts, blurs = halves.integrals(rate, per_time)
        fine, doubt, blur = (column[0::2] + column[1::2] for column in (parts, doubts, blurs))
        size = np.abs(sums + np.bincount(panels.owner, fine, intervals))
        share = np.sqrt(panels.lengths / lengths[panels.owner])
        allowed = (rtol * size + atol)[panels.owner] * share / 2.0
        # two opinions: coarse and fine may by chance be wrong by the same amount
        rough = np.maximum(np.abs(fine - coarse), doubt) > np.maximum(allowed, blur)
        rough &= panels.lengths > SHORTEST * np.abs(panels.ends)
        settled.append(panels.take(~rough))
        sums += np.bincount(panels.owner[~rough], fine[~rough], intervals)
        both = np.repeat(rough, 2)
        panels, coarse = halves.take(both), parts[both]
    done = Panels(*(np.concatenate(column) for column in zip(*settled)))
    return Quadrature(sums, done.take(np.argsort(done.starts)))
