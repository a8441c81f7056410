"""Leaps of one large ensemble by several threads: the phases of `copydyn.kernels.leap.leap`, shared out by labels.

What a phase does for a label or a block of edges does not depend on who does it, so that the bytes are those of one
thread, which `tests/test_leap_threads.py` insists on. Clusters of few labels stay with one thread.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from copydyn.kernels import leap as kernels
from copydyn.kernels.few import STUCK, form_clusters
from copydyn.kernels.mean_flow import Stars, first_term, next_term, turned_by

WORTH = 2**14
"""Labels from which on it is worth sharing out a leap: a phase then takes longer than threads take to meet."""


class Team:
    """Threads that do the phases of a leap together.

    Parameters
    ----------
    size : int
        How many there are, the calling one included.
    """

    def __init__(self, size: int) -> None:
        self._size = size
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
        labels, half, kind = x.size, 0.5 * length, work.kind
        name = (random_state, number, place)

        def flow(which: int) -> tuple[int, float]:
            way_to_go = (edges_of, stars, way, clusters)
            status, events = kernels.flow(x, half, orders, pulse, *way_to_go, *name, which, work)
            return int(status), float(events)

        self._each(labels, lambda a, b: kernels.sort_out(a, b, x, kind))
        self._expand(x, orders, half, pulse, stars, work)
        few = self._each(labels, lambda a, b: kernels.classify(a, b, copies, length, pulse, stars, way, work))
        clusters = form_clusters(kind, pulse, stars, work.few) if few > 0 else 0
        status, events = flow(0)
        if status == STUCK:
            return status, events, few
        blocks = kernels.noise_blocks(edges_of[0].size)
        self._each(blocks, lambda a, b: kernels.draw_noise(a, b, x, length, edges_of, *name, work))
        events += kernels.moved_in(blocks, work)
        self._each(labels, lambda a, b: kernels.kick_all(a, b, x, pulse, stars, work))
        self._expand(x, orders, half, pulse, stars, work)
        status, more = flow(1)
        turned_by(x, stars.centre[pulse] * length)
        kernels.keep_copies(x, copies, kind)
        return status, events + more, few

    def close(self) -> None:
        """Let the threads go."""
        self._pool.shutdown(wait=False)

    def _expand(
        self, x: np.ndarray, orders: int, length: float, pulse: int, stars: Stars, work: kernels.LeapWork
    ) -> None:
        terms, total, kind = work.terms, work.total, work.kind
        self._each(x.size, lambda a, b: first_term(x, a, b, terms, total))
        for k in range(1, orders + 1):
            self._each(x.size, partial(_next, k, (length, kind, pulse, stars), (terms, total)))

    def _each(self, size: int, phase: Callable[[int, int], Any]) -> int:
        """Share out 0..size-1; return the sum of what comes back, where numbers do."""
        edges = [size * part // self._size for part in range(self._size + 1)]
        others = [self._pool.submit(phase, a, b) for a, b in pairwise(edges[1:])]
        found = [phase(edges[0], edges[1]), *(other.result() for other in others)]
        return sum(count for count in found if count is not None)


def _next(order: int, what: tuple[Any, ...], series: tuple[np.ndarray, np.ndarray], first: int, last: int) -> None:
    next_term(order, *what, first, last, *series)
