"""Leaps: any number of copies, carried by the mean flow, with the noise of their copy events.

The state is the amplitudes x_a = sqrt(n_a) exp(-i phi_a). A leap of length h is

1. half a leap of the mean flow (`mean_flow`),
2. on each edge (a, b) the noise of the copy events of the whole leap: k - m copies from one end to the other, with k
   drawn from the Poisson law of mean m = h |J|, J = 2 Im(conj(x_a) h_ab x_b) the current,
3. half a leap of the mean flow,

except for labels with few copies and their edges, which `few` carries through 1 and 3, and for the edges of labels that
bend by much of themselves, whose noise `swift` draws in pieces of the leap. The mean flow has no splitting error; what
the noise does within a leap errs by the square of h. An x_a that is zero stays zero.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from copydyn.kernels.compiled import kernel
from copydyn.kernels.few import (
    CUT,
    DEAD,
    DONE,
    FEW,
    FLOWING,
    MANY,
    STUCK,
    SWIFT,
    Few,
    carry,
    few_scratch,
    form_clusters,
    gather,
    kicked,
    settle,
)
from copydyn.kernels.keyed import stream
from copydyn.kernels.mean_flow import BUFFER, expand, expand_on, turned_by, value_at
from copydyn.kernels.memory import zeros
from copydyn.kernels.per_label import PAUSED, REACHED, STALLED
from copydyn.kernels.swift import MOMENTS, NOISY, bends, draw_swift, kick_swift, sort_swift
from copydyn.kernels.variates import next_poisson

BLOCK = 1024
"""Edges that share a random stream."""

AT_HAND = 2048
"""Labels whose series are made together, where what is made twice at the seams is little."""

SEAM = 8
"""By how much they must be more than the labels of a seam."""

MARGIN = 3.0
"""Distance, in roots of copies, that the mean flow must keep from few copies: what noise does to it in a leap."""

SAFE = 3.0
"""What a label that hardly bends has of this distance before it is asked how far it moves."""

WHOLE = 1000.0
"""Copies below which a count is not rounded to make up for others: few are in whole copies anyway."""

MOST_EVENTS = 2**63 - 1

OF_NOISE, OF_CLUSTERS, OF_SWIFT = range(3)
"""What a random stream is for; those of clusters have all odd numbers."""


class LeapWork(NamedTuple):
    """Scratch of a run: complex128 ``terms`` (term, beable), ``total`` (beable,) and ``moments`` (power, beable), uint8
    ``kind`` (beable,), float64 ``noise`` (edge,), ``moved`` (block,), the events of a block of edges, ``buffer``
    (thread, number), and what clusters need.
    """

    terms: np.ndarray
    total: np.ndarray
    moments: np.ndarray
    kind: np.ndarray
    noise: np.ndarray
    moved: np.ndarray
    buffer: np.ndarray
    few: Few


def leap_scratch(labels: int, edges: int, orders: int, threads: int = 1) -> LeapWork:
    """Allocate it, for expansions up to ``orders``."""
    terms, moments = (zeros(labels * rows, np.complex128).reshape(rows, labels) for rows in (orders + 1, MOMENTS))
    noise, moved = zeros(edges), zeros(edges // BLOCK + 1)
    buffer = zeros(threads * BUFFER).reshape(threads, BUFFER)
    few = few_scratch(labels, edges)
    total, kind = zeros(labels, np.complex128), zeros(labels, np.uint8)
    return LeapWork(terms, total, moments, kind, noise, moved, buffer, few)


class Way(NamedTuple):
    """How leaps are made.

    ``few``, copies up to which they are counted; ``step``, of the phases of few copies; ``leap_step``, by which phases
    turn, and amplitudes bend, in a leap.
    """

    few: int
    step: float
    leap_step: float


@kernel
def leap(x, copies, length, orders, pulse, edges_of, stars, way, random_state, number, place, work):
    """Carry one ensemble of ``copies`` copies over a leap, in place.

    Parameters
    ----------
    x : complex128 (beable,)
    length : float
    orders : int
        Terms of the mean flow over half of it.
    edges_of : (a, b, h)
    number, place : int
        Of the leap within its stretch and of the stretch within the plan: the names of its random streams.

    Returns
    -------
    (status, copy events, labels that took more than their share of time)
    """
    labels, blocks = x.size, noise_blocks(edges_of[0].size)
    events, apart, clusters, swift = 0.0, 0, 0, 0
    reach = stars.reach[pulse]
    block = AT_HAND if SEAM * reach * orders <= AT_HAND else labels  # so many labels stay in the cache, term by term
    sort_out(0, labels, x, work.kind)
    for half in range(2):
        series = (work.terms, work.total, work.buffer[0])
        for first in range(0, labels, block):
            last = min(first + block, labels)
            expand(x, first, last, reach, orders, 0.5 * length, work.kind, pulse, stars, *series)
            if half == 0:
                apart += classify(first, last, copies, length, pulse, stars, way, work)
        for first in range(0, labels, block):
            last = min(first + block, labels)
            expand_on(first, last, reach, orders, 0.5 * length, work.kind, pulse, stars, apart > 0, *series)
        if half == 0 and apart > 0:
            clusters, swift, more = set_apart(length, orders, pulse, stars, way, random_state, number, place, work)
            events += more
        status, more = flow(
            x, 0.5 * length, orders, pulse, edges_of, stars, way, clusters, random_state, number, place, half, work
        )
        events += more
        if status == STUCK:
            return status, events, apart
        if half == 0:
            draw_noise(0, blocks, x, length, edges_of, random_state, number, place, work)
            events += moved_in(blocks, work)
            kick_all(0, labels, x, pulse, stars, work)
            if swift > 0:
                kick_swift(x, 0.5 * length, work.kind, pulse, stars, work.moments, work.total, work.buffer[0])
    turned_by(x, stars.centre[pulse] * length)
    keep_copies(x, copies, work.kind)
    return DONE, events, apart


@kernel
def sort_out(first, last, x, kind):
    """Tell the dead among the labels from ``first`` on, up to ``last``."""
    for a in range(first, last):
        kind[a] = MANY if x[a] != 0.0 else DEAD


@kernel
def classify(first, last, copies, length, pulse, stars, way, work):
    """Mark as `SWIFT` the labels from ``first`` on, up to ``last``, that the leap is not fit for; return how many.

    Their motion in it is bounded by the first terms of the mean flow, whose own turning does not count as motion.
    """
    found = 0
    floor = math.sqrt(way.few) + MARGIN
    pull = stars.radius[pulse] * math.sqrt(copies)  # no label can be pulled harder
    for a in range(first, last):
        if work.kind[a] == DEAD:
            continue
        modulus = _modulus(work.terms[0, a])
        calm = not bends(work.terms, a, way.leap_step)
        if calm and modulus < SAFE * floor:
            calm = modulus - _motion(a, length, pulse, stars, work.terms) > floor
        allowed = 0.5 * NOISY * NOISY * modulus * modulus * modulus / length
        if calm and (pull <= allowed or _pull(a, pulse, stars, work.terms[0]) <= allowed):
            continue
        work.kind[a] = SWIFT
        found += 1
    return found


@kernel
def set_apart(length, orders, pulse, stars, way, random_state, number, place, work):
    """Sort the labels that the leap is not fit for, by all terms of its first half; draw the noise of swift ones.

    Returns
    -------
    (clusters, swift labels, copy events)
    """
    floor, half, clusters, events = math.sqrt(way.few) + MARGIN, 0.5 * length, 0, 0.0
    few, swift = sort_swift(orders, half, floor, pulse, stars, way.leap_step, work.kind, work.terms, work.few)
    if few > 0:
        clusters = form_clusters(work.kind, pulse, stars, work.few)
    if swift > 0:
        events = draw_swift(
            orders, half, pulse, stars, way.leap_step, random_state, number, place, OF_SWIFT,
            work.kind, work.terms, work.moments,
        )  # fmt: skip
    return clusters, swift, events


@kernel
def _modulus(z):
    """|z|, without `hypot`'s care for what is too large to be squared."""
    return math.sqrt(z.real * z.real + z.imag * z.imag)


@kernel
def _motion(a, length, pulse, stars, terms):
    """Bound how far x_a moves in the leap, by what its neighbours do."""
    drive = terms[1, a] + 0.5j * length * stars.diagonal[pulse, a] * terms[0, a]
    return 2.0 * _modulus(drive) + 4.0 * _modulus(terms[2, a]) + 8.0 * _modulus(terms[3, a])


@kernel
def _pull(a, pulse, stars, x):
    """Bound the sum of the currents of a label, per unit of its own amplitude."""
    total = 0.0
    for place in range(stars.first[pulse, a], stars.first[pulse, a + 1]):
        total += math.hypot(stars.re[place], stars.im[place]) * _modulus(x[stars.other[place]])
    return total


@kernel
def flow(x, length, orders, pulse, edges_of, stars, way, clusters, random_state, number, place, half, work):
    """Let the mean flow carry the many, and its steps the few, over a stretch of which the terms are expanded."""
    if clusters == 0:
        for a in range(x.size):
            x[a] = work.total[a]
        return DONE, 0.0
    rest, events, piece, turn = length, 0.0, 0, 1 - 2 * half
    while True:
        name = 2 * (2 * piece + half) + OF_CLUSTERS
        until, status = rest, CUT
        while status == CUT:  # and once more, to where the first cluster asks for a cut
            status, until, more = _carry_clusters(
                x, rest, until, orders, pulse, edges_of, stars, way, clusters, turn, random_state, number, place, name,
                work,
            )  # fmt: skip
        if status == STUCK:
            return status, events
        events += more
        if until == rest:
            _hand_over(x, work)
            return DONE, events
        for a in range(x.size):
            if work.kind[a] == MANY or work.kind[a] == SWIFT:
                work.total[a] = value_at(work.terms, orders, a, until / rest)
        _hand_over(x, work)
        rest -= until
        piece += 1
        series = (work.terms, work.total, work.buffer[0])
        expand(x, 0, x.size, 0, orders, rest, work.kind, pulse, stars, *series)
        expand_on(0, x.size, 0, orders, rest, work.kind, pulse, stars, True, *series)


@kernel
def _carry_clusters(
    x, length, until, orders, pulse, edges_of, stars, way, clusters, turn, random_state, number, place, name, work
):
    """Carry all clusters to ``until``, or as far as the first of them asks for a cut."""
    few, kind = work.few, work.kind
    for a in range(x.size):
        few.label[a].seen, few.label[a].gain, few.label[a].push, few.label[a].twist = 0, 0.0, 0.0, 0.0
        few.label[a].copies, few.label[a].deviation, few.label[a].late, few.label[a].done = FLOWING, 0.0, 0.0, 0
    words = stream(random_state, clusters + 1, number, place, name)
    for a in range(x.size):
        if kind[a] == FEW:
            words = settle(a, x[a], way.few, words, few)
    events, status, reached = 0.0, 0, until
    for i in range(clusters):  # one way in the first half of a leap and back in the second: a symmetric splitting
        cluster = i + 1 if turn > 0 else clusters - i
        size = gather(cluster, turn, kind, pulse, stars, few)
        words = stream(random_state, cluster, number, place, name)
        outcome, time, more, words = carry(
            cluster, size, edges_of, length, until, orders, work.terms, stars.diagonal[pulse], way.few, way.step,
            words, few,
        )  # fmt: skip
        events += more
        if outcome == STUCK:
            return STUCK, time, events
        if outcome == CUT and time < reached:
            status, reached = CUT, time
    return status, reached, events


@kernel
def _hand_over(x, work):
    """Take the few as their steps have left them, and give the many what clusters owe them."""
    few = work.few
    for a in range(x.size):
        if work.kind[a] == FEW:
            x[a] = few.label[a].outcome
            if x[a] == 0.0:
                work.kind[a] = DEAD
        elif work.kind[a] != DEAD:
            there = work.total[a]
            if few.label[a].gain != 0.0 or few.label[a].push != 0.0:
                there = kicked(there + few.label[a].push, few.label[a].gain)
            if few.label[a].twist != 0.0:
                there *= complex(math.cos(few.label[a].twist), math.sin(few.label[a].twist))
            x[a] = there


@kernel
def noise_blocks(edges):
    """Tell into how many blocks the edges are cut."""
    return (edges + BLOCK - 1) // BLOCK


@kernel
def draw_noise(first, last, x, length, edges_of, random_state, number, place, work):
    """Draw what copy events move beyond the mean on the edges of blocks from ``first`` on, up to ``last``."""
    edge_a, edge_b, h = edges_of
    kind, noise = work.kind, work.noise
    for block in range(first, last):
        events = 0.0
        words = stream(random_state, block, number, place, OF_NOISE)
        for edge in range(block * BLOCK, min((block + 1) * BLOCK, edge_a.size)):
            a, b = edge_a[edge], edge_b[edge]
            noise[edge] = 0.0
            if kind[a] == MANY and kind[b] == MANY:
                flow = 2.0 * length * (x[a].conjugate() * h[edge] * x[b]).imag
                mean = abs(flow)
                drawn, words = next_poisson(words, mean)
                events += drawn
                noise[edge] = math.copysign(drawn - mean, (drawn - mean) * flow)
        work.moved[block] = events


@kernel
def moved_in(blocks, work):
    """Add up the events of all blocks, in their order."""
    events = 0.0
    for block in range(blocks):
        events += work.moved[block]
    return events


@kernel
def kick_all(first, last, x, pulse, stars, work):
    """Add up the noise of the edges of each label from ``first`` on, up to ``last``, and change its copies by it."""
    for a in range(first, last):
        if work.kind[a] == MANY:
            gained = 0.0
            for place in range(stars.first[pulse, a], stars.first[pulse, a + 1]):
                drawn = work.noise[stars.edge[place]]
                gained += drawn if a < stars.other[place] else -drawn
            x[a] = kicked(x[a], gained)


@kernel
def keep_copies(x, copies, kind):
    """Undo the rounding in the sum of all copies, on the labels that have many."""
    counted, carried = 0.0, 0.0
    for a in range(x.size):
        square = x[a].real * x[a].real + x[a].imag * x[a].imag
        if kind[a] == MANY or kind[a] == SWIFT:
            carried += square
        else:
            counted += square
    if carried > 0.0 and counted < copies:
        factor = math.sqrt((copies - counted) / carried)
        for a in range(x.size):
            if kind[a] == MANY or kind[a] == SWIFT:
                x[a] *= factor


@kernel
def count_copies(x, copies, counts):
    """Round |x_a|^2 to whole numbers that sum to ``copies``; what a label is cut by goes to the next, the rest to the
    largest.
    """
    carry_over, total, largest = 0.0, 0, 0
    for a in range(x.size):
        exact = x[a].real * x[a].real + x[a].imag * x[a].imag
        counts[a] = 0
        if exact > 0.0:
            whole = math.floor(exact + 0.5 if exact < WHOLE else exact + carry_over + 0.5)
            carry_over += exact - whole
            counts[a] = int(whole)
        total += counts[a]
        if counts[a] > counts[largest]:
            largest = a
    counts[largest] += copies - total


class Leaps(NamedTuple):
    """How each stretch of a plan is cut: float64 ``start``, int64 ``leaps`` and ``orders``, all (stretch,)."""

    start: np.ndarray
    leaps: np.ndarray
    orders: np.ndarray


@kernel
def advance_leaps(counts, x, random_state, progress, saved, train, stars, plan, leaps, way, copies, budget, work):
    """Evolve replicas of aligned, anonymous copies along ``plan``, one after the other.

    Parameters
    ----------
    counts, x, random_state : (replica, beable), (replica, beable), (replica, 4)
        ``x`` is the state; counts are brought up to date at save times. The generators name streams and do not change.
    progress, saved
        As for `replicas.advance_replicas`; events beyond 2^63 are not counted.
    copies : int
        In each ensemble.
    budget : int
        Pause about then, in units of ten nanoseconds; a call that goes on from there gives the same bytes.

    Returns
    -------
    (status, replica)
        `per_label.REACHED` the end of all, `PAUSED`, or `STALLED` in that replica.
    """
    labels = x.shape[1]
    for replica in range(x.shape[0]):
        while progress.place[replica] < plan.pulse.size:
            place = progress.place[replica]
            pulse = plan.pulse[place]
            low, high = train.first[pulse], train.first[pulse + 1]
            edges_of = (train.a[low:high], train.b[low:high], train.h[low:high])
            length, number = where(replica, progress, plan, leaps)
            while number < leaps.leaps[place]:
                if budget <= 0:
                    return PAUSED, replica
                status, events, apart = leap(
                    x[replica], copies, length, leaps.orders[place], pulse, edges_of, stars, way,
                    random_state[replica], number, place, work,
                )  # fmt: skip
                if status == STUCK:
                    return STALLED, replica
                come_further(number, length, events, replica, progress, plan, leaps)
                number += 1
                budget -= 100 + (leaps.orders[place] + 2) * (labels + 2 * (high - low)) + 1000 * apart
            arrive(counts, x, copies, replica, progress, saved, plan)
    return REACHED, x.shape[0]


@kernel
def where(replica, progress, plan, leaps):
    """Length of the leaps of the present stretch, and how many of them are done."""
    place = progress.place[replica]
    length = (plan.end[place] - leaps.start[place]) / leaps.leaps[place]
    return length, round((progress.clock[replica] - leaps.start[place]) / length)


@kernel
def come_further(number, length, events, replica, progress, plan, leaps):
    """Take down that leap ``number`` of the stretch is done."""
    place = progress.place[replica]
    ends = number + 1 == leaps.leaps[place]
    progress.clock[replica] = plan.end[place] if ends else leaps.start[place] + (number + 1) * length
    room = MOST_EVENTS - progress.events[replica]
    progress.events[replica] += room if events >= room else int(events)


@kernel
def arrive(counts, x, copies, replica, progress, saved, plan):
    """Take down what there is at the end of a stretch, if that is a save time, and go on to the next one."""
    place = progress.place[replica]
    moment = plan.save[place]
    if moment >= 0:
        count_copies(x[replica], copies, counts[replica])
        for label in range(x.shape[1]):
            saved.counts[replica, moment, label] = counts[replica, label]
            saved.factor[replica, moment, label] = x[replica, label]
        saved.events[replica, moment] = progress.events[replica]
    progress.place[replica] = place + 1
