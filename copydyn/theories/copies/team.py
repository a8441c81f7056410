"""Leaps of one large ensemble by several threads: the phases of `copydyn.kernels.leap.leap`, shared out by labels.

What a phase does for a label or a block of edges does not depend on who does it, so that the bytes are those of one
thread, which `tests/test_leap_threads.py` insists on. Clusters of few labels stay with one thread. Threads meet six
times a leap: a meeting takes a third of a millisecond, so that each of them fills the terms of its own labels, and once
more those of as many beside them as its own will ask for.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numpy as np

from copydyn.kernels import leap as kernels
from copydyn.kernels import mean_flow
from copydyn.kernels.few import DONE, STUCK
from copydyn.kernels.mean_flow import Stars
from copydyn.kernels.swift import kick_swift

WORTH = 2**15
"""Labels from which on it is worth sharing out a leap: a phase then takes longer than threads take to meet."""

SHARE_TWICE = 0.25
"""Largest share of a thread's labels that may be done twice."""


class Team:
    """Threads that do the phases of a leap together.

    Parameters
    ----------
    size : int
        How many there are, the calling one included.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._pool = ThreadPoolExecutor(size - 1, "copydyn-team")

    def leap(
        self,
        x: np.ndarray,
        copies: int,
        length: float,
        orders: int,
        pulse: int,
        edges_of: tuple[np.ndarray, np.ndarray, np.ndarray],
        stars: Stars,
        way: kernels.Way,
        random_state: np.ndarray,
        number: int,
        place: int,
        work: kernels.LeapWork,
    ) -> tuple[int, float, int]:
        """Do what `copydyn.kernels.leap.leap` does, with the same bytes."""
        labels, blocks = x.size, kernels.noise_blocks(edges_of[0].size)
        name = (random_state, number, place)
        span, reach = 0.5 * length, int(stars.reach[pulse])

        def expand(thread: int, first: int, last: int) -> None:
            series = (work.terms, work.total, work.buffer[thread])
            mean_flow.expand(x, first, last, reach, orders, span, work.kind, pulse, stars, *series)

        def expand_on(thread: int, first: int, last: int) -> None:
            series = (work.terms, work.total, work.buffer[thread])  # kept: no thread may write over another's terms
            mean_flow.expand_on(first, last, reach, orders, span, work.kind, pulse, stars, True, *series)

        def begin(thread: int, first: int, last: int) -> int:
            expand(thread, first, last)
            return int(kernels.classify(first, last, copies, length, pulse, stars, way, work))

        def draw(_: int, first: int, last: int) -> None:
            kernels.draw_noise(first, last, x, length, edges_of, *name, work)

        def kick(_: int, first: int, last: int) -> None:
            kernels.kick_all(first, last, x, pulse, stars, work)

        events, apart, clusters, swift = 0.0, 0, 0, 0
        kernels.sort_out(0, labels, x, work.kind)
        for half in range(2):
            if half == 0:
                apart = sum(self._each(labels, begin))
            else:
                self._each(labels, expand)
            self._each(labels, expand_on)
            if half == 0 and apart > 0:
                clusters, swift, more = kernels.set_apart(length, orders, pulse, stars, way, *name, work)
                events += more
            status, more = kernels.flow(x, span, orders, pulse, edges_of, stars, way, clusters, *name, half, work)
            events += more
            if status == STUCK:
                return int(status), events, apart
            if half == 0:
                self._each(blocks, draw)
                events += kernels.moved_in(blocks, work)
                self._each(labels, kick)
                if swift > 0:
                    kick_swift(x, span, work.kind, pulse, stars, work.moments, work.total, work.buffer[0])
        mean_flow.turned_by(x, stars.centre[pulse] * length)
        kernels.keep_copies(x, copies, work.kind)
        return DONE, events, apart

    def _each(self, size: int, phase: Callable[[int, int, int], Any]) -> list[Any]:
        """Share out 0..size-1; return what comes back."""
        edges = [size * part // self.size for part in range(self.size + 1)]
        own, *others = enumerate(pairwise(edges))
        working = [self._pool.submit(phase, thread, *part) for thread, part in others]
        return [phase(own[0], *own[1]), *(work.result() for work in working)]


def team_of(jobs: int, labels: int, reach: int, orders: int) -> Team | None:
    """Give as many threads as there is work for, or None where one does it as fast.

    Parameters
    ----------
    jobs : int
        The most that are wanted.
    reach, orders : int
        Largest distance of coupled labels, and terms of the mean flow: their product is done twice at each seam.
    """
    if labels < WORTH:
        return None
    most = int(SHARE_TWICE * labels / max(1, 2 * reach * orders))
    size = min(jobs, most, labels // (WORTH // 2))
    return Team(size) if size > 1 else None
