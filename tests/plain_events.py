"""The loops in which copies copy each other, written plainly: angles, lists of members, and no squeezes.

Steps are begun and finished by the kernels' own functions, which other tests hold to formulas; what happens in between
is written here once more, with the kernels' random numbers in their order, so that both must give the same events. One
loop serves all kernels, as a `Law` says what they differ by.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from copydyn.kernels import variates


class Law(NamedTuple):
    """What one kind of copies does.

    ``begin(longest)`` -> (length, total bound); ``bounds()`` the bound of every channel, ``edge(channel)`` (a, b), and
    ``rate(channel, first, second, elapsed)`` how fast copies go from b to a there, or the other way if it is negative;
    ``draws``: whether the two copies that meet are drawn; ``take(copier, copied, elapsed)`` whatever the copier takes
    over but the label; ``finish(elapsed)``.
    """

    begin: Callable
    bounds: Callable
    edge: Callable
    rate: Callable
    draws: bool
    take: Callable
    finish: Callable


class Members:
    """Who carries which label: a list for each, in which who leaves is replaced by the last."""

    def __init__(self, counts):
        edges = np.cumsum([0, *counts])
        self.of = [list(range(a, b)) for a, b in pairwise(edges)]

    def label(self, copy):
        return next(label for label, own in enumerate(self.of) if copy in own)

    def move(self, copy, label):
        own = self.of[self.label(copy)]
        last = own.pop()
        if last != copy:
            own[own.index(copy)] = last
        self.of[label].append(copy)


def cell_of(share, weights):
    """Vose's table, made anew for each draw: small cells filled up by large ones, the last found first."""
    size = len(weights)
    height, other = np.array(weights) * size / np.sum(weights), np.arange(size)
    small = [cell for cell in range(size) if height[cell] < 1.0]
    large = [cell for cell in range(size) if height[cell] >= 1.0]
    while small and large:
        poor, rich = small.pop(), large[-1]
        other[poor] = rich
        height[rich] -= 1.0 - height[poor]
        if height[rich] < 1.0:
            small.append(large.pop())
    place = share * size
    cell = int(place)
    return cell if cell in small + large or place - cell < height[cell] else int(other[cell])


def play(law, counts, limits, members, span, random_state, floor=0):
    """Play from 0 to ``span``; change ``counts`` in place, and give the events (time, copier, copied, from, to).

    ``limits()`` are the least and the largest counts that the step allows: an event beyond them ends it.
    """
    now, events = 0.0, []

    def happen(time, elapsed, copier, copied, loses, gains):
        events.append((time, copier, copied, loses, gains))
        if members is None:
            counts[loses] -= 1
            counts[gains] += 1
        else:
            law.take(copier, copied, elapsed)
            members.move(copier, gains)
            counts[:] = [len(own) for own in members.of]

    while now < span:
        length, total = law.begin(span - now)
        elapsed, ends = 0.0, None
        while total > 0.0:
            elapsed += variates.exponential(random_state) / total
            if elapsed >= length:
                break
            bounds = law.bounds()
            channel = cell_of(variates.uniform(random_state), bounds) if len(bounds) > 1 else 0
            a, b = law.edge(channel)
            first = second = -1
            if law.draws:
                first = members.of[a][int(variates.uniform(random_state) * counts[a])]
                second = members.of[b][int(variates.uniform(random_state) * counts[b])]
            rate = law.rate(channel, first, second, elapsed)
            if variates.uniform(random_state) * bounds[channel] >= abs(rate):
                continue
            copier, copied, loses, gains = (second, first, b, a) if rate > 0.0 else (first, second, a, b)
            if counts[loses] <= floor:
                continue
            lowest, highest = limits()
            if counts[loses] <= lowest[loses] or counts[gains] >= highest[gains]:
                ends = (copier, copied, loses, gains)
                break
            happen(now + elapsed, elapsed, copier, copied, loses, gains)
        passed = length if ends is None else elapsed
        now = span if ends is None and length >= span - now else now + passed
        law.finish(passed)
        if ends is not None:
            happen(now, 0.0, *ends)
    return events
