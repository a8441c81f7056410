"""Integrals over time of rates that have kinks and peaks, many panels at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

ORDER = 8
"""Gauss points on a panel."""

RTOL = 1e-6
"""Relative error of an integral."""

BLOCK = 2**20
"""Numbers held at once: what needs more is worked through in portions."""

SHORTEST = 1e-14
"""Shortest panel, relative to the time where it lies."""

Rate = Callable[[np.ndarray], np.ndarray]

_POINTS, _WEIGHTS = np.polynomial.legendre.leggauss(ORDER)


class Panels(NamedTuple):
    """Stretches of time on which Gauss's rule is accurate: ``starts``, ``ends`` float64 (panel,).

    ``owner`` (panel,) is the number of the interval that each is a part of.
    """

    starts: np.ndarray
    ends: np.ndarray
    owner: np.ndarray

    @property
    def lengths(self) -> np.ndarray:
        """How long each panel is."""
        return self.ends - self.starts

    @property
    def times(self) -> np.ndarray:
        """Gauss points, float64 (panel, ORDER)."""
        middles, halves = 0.5 * (self.starts + self.ends), 0.5 * self.lengths
        return np.asarray(middles[:, None] + np.multiply.outer(halves, _POINTS))

    @property
    def weights(self) -> np.ndarray:
        """Gauss weights, float64 (panel, ORDER)."""
        return np.multiply.outer(0.5 * self.lengths, _WEIGHTS)

    def portions(self, per_time: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Gauss points and weights, so many at once that arrays (time, per_time) stay small."""
        times, weights = self.times.ravel(), self.weights.ravel()
        size = max(1, BLOCK // per_time)
        for first in range(0, times.size, size):
            yield times[first : first + size], weights[first : first + size]

    def take(self, which: np.ndarray | slice) -> Panels:
        """Give some of the panels."""
        return Panels(self.starts[which], self.ends[which], self.owner[which])

    def windows(self, widest: float) -> Iterator[tuple[float, Panels]]:
        """Group the panels, which divide one interval, into windows as `evenly` did, with the middle of each."""
        start, end = self.starts[0], self.ends[-1]
        count = max(1, math.ceil((end - start) / widest))
        width = (end - start) / count
        number = ((0.5 * (self.starts + self.ends) - start) / width).astype(int)
        for window in range(count):
            yield float(start + (window + 0.5) * width), self.take(number == window)

    def halves(self) -> Panels:
        """Give the left and the right half of each panel, next to each other."""
        middles = 0.5 * (self.starts + self.ends)
        starts = np.column_stack([self.starts, middles]).ravel()
        ends = np.column_stack([middles, self.ends]).ravel()
        return Panels(starts, ends, np.repeat(self.owner, 2))

    def integrals(self, rate: Rate) -> np.ndarray:
        """Gauss's estimates of both rows of ``rate`` on each panel, float64 (2, panel)."""
        times = self.times
        return np.asarray((rate(times.ravel()).reshape(2, *times.shape) * self.weights).sum(axis=2))


class Quadrature(NamedTuple):
    """``integrals`` float64 (interval,), and the ``panels``, in order of time, on which Gauss's rule is as good."""

    integrals: np.ndarray
    panels: Panels


def evenly(cuts: np.ndarray, widest: float) -> Panels:
    """Divide the intervals between ``cuts`` into panels at most ``widest`` long."""
    counts = np.maximum(1, np.ceil(np.diff(cuts) / widest)).astype(int)
    owner = np.repeat(np.arange(counts.size), counts)
    widths = (np.diff(cuts) / counts)[owner]
    number = np.arange(owner.size) - (np.cumsum(counts) - counts)[owner]
    return Panels(cuts[owner] + number * widths, cuts[owner] + (number + 1) * widths, owner)


def integrate(rate: Rate, panels: Panels, *, rtol: float = RTOL, atol: float = 0.0) -> Quadrature:
    """Integrate ``rate`` over each interval, halving the panels until each agrees with its two halves.

    The error allowed on a panel is a third of the interval's times the root of its share of the length: where a kink
    falls in a panel is chance, Gauss's error has no mean over that, and errors of chance add in squares. The halves are
    what is kept, so that the error of a peak, which is not of chance, is long gone when it is allowed.

    Parameters
    ----------
    rate : callable
        Times float64 (point,) to the integrand and its rounding error, float64 (2, point): what lies below the rounding
        error is not chased.
    panels : Panels
        A first division of the intervals, fine enough to see every oscillation.
    rtol, atol : float
        Error allowed in the integral over one interval.
    """
    intervals = int(panels.owner[-1]) + 1 if panels.owner.size else 0
    lengths = np.bincount(panels.owner, panels.lengths, intervals)
    settled, sums = [panels.take(slice(0))], np.zeros(intervals)
    coarse = panels.integrals(rate)[0]
    while coarse.size:
        halves = panels.halves()
        parts, blur = halves.integrals(rate)
        fine, limit = parts[0::2] + parts[1::2], blur[0::2] + blur[1::2]
        size = np.abs(sums + np.bincount(panels.owner, fine, intervals))
        share = np.sqrt(panels.lengths / lengths[panels.owner])
        allowed = (rtol * size + atol)[panels.owner] * share / 3.0
        rough = np.abs(fine - coarse) > np.maximum(allowed, limit)
        rough &= panels.lengths > SHORTEST * np.abs(panels.ends)
        settled.append(panels.take(~rough))
        sums += np.bincount(panels.owner[~rough], fine[~rough], intervals)
        both = np.repeat(rough, 2)
        panels, coarse = halves.take(both), parts[both]
    done = Panels(*(np.concatenate(column) for column in zip(*settled)))
    return Quadrature(sums, done.take(np.argsort(done.starts)))
