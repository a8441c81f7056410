"""The process per label: counts that jump by one, phases that flow (section 3.1 of Smolin 2012, aligned phases)."""

from __future__ import annotations

import math

from numba import uint32

from copydyn.kernels.compiled import kernel
from copydyn.kernels.flow import begin_step, finish_step, sine_after
from copydyn.kernels.roster import hand_over, member
from copydyn.kernels.variates import closed, next_below, next_cell, next_exponential, next_uniform, opened

MODE_SMOLIN = 1.0
"""Copies flow along (32), whose limit is the Schrödinger equation."""

MODE_PRINTED = -1.0
"""Copies flow along (39) as printed: against (32)."""


REACHED, PAUSED, LOG_FULL, STALLED = range(4)
HELD, CROSSES, FREE = range(3)


@kernel
def advance(counts, unit, couplings, start, end, phase_step, floor, mode, budget, random_state, work, roster, log):
    """Evolve one ensemble in place from ``start`` towards ``end``.

    Copy events are drawn one by one by thinning: on edge (a, b) a move of one copy is proposed at the step's bound
    and accepted with the ratio of the true rate 2 R_ab sqrt(n_a n_b) |sin theta_ab(t)| to it, so that counts are
    exact in law for the phases used; the order of the phases is explained in `copydyn.kernels.flow`.

    Parameters
    ----------
    counts : int64 (beable,)
    unit : complex128 (beable,)
        exp(-i phi).
    couplings, work
        See `copydyn.kernels.flow`.
    phase_step : float
        Largest relative change of an amplitude within a step.
    floor : int
        A label with this many copies gives none away.
    mode : float
        `MODE_SMOLIN` or `MODE_PRINTED`.
    budget : int
        Pause at the end of the step in which so much work has been done, a proposal being one unit and a step
        `cost_of_step`; a call that goes on from there gives the same bytes as one that never paused.
    random_state : uint64 (4,)
    roster, log
        See `copydyn.kernels.roster`; with None the copies are anonymous and no event is written. A log that
        might not hold the next step's events ends the call early: empty it and go on.

    Returns
    -------
    (status, time reached, copy events, proposals, steps)
        `REACHED` the end, `PAUSED`, `LOG_FULL`, or `STALLED`: the step has become too short for the clock to move.
    """
    edge_a, edge_b = couplings.a, couplings.b
    edges = edge_a.size
    alone = edges == 1 and roster is None
    cost = cost_of_step(counts.size, edges)
    now = start
    events, proposals, steps = 0, 0, 0
    while now < end:
        if proposals + cost * steps >= budget:
            return PAUSED, now, events, proposals, steps
        length, total = begin_step(counts, unit, couplings, end - now, phase_step, mode, work)
        if length < end - now and end + length == end:  # judged where the clock is coarsest: 0 + 1e-300 > 0
            return STALLED, now, events, proposals, steps
        if not room_for(total * length, log):
            return LOG_FULL, now, events, proposals, steps
        elapsed = 0.0
        crossing = False
        edge, loses, gains = uint32(0), uint32(0), uint32(0)
        first, second, leaver, model = 0, 0, 0, 0
        words = opened(random_state)
        if alone:
            elapsed, crossing, loses, gains, happened, tried, words = play_one_edge(
                edge_a[0], edge_b[0], length, total, floor, mode, counts, words, work
            )
            events += happened
            proposals += tried
        while total > 0.0 and not alone:
            wait, words = next_exponential(words)
            elapsed += wait / total
            if elapsed >= length:
                break
            proposals += 1
            if edges > 1:
                edge, words = next_cell(words, edges, work.threshold, work.other)
            a, b = edge_a[edge], edge_b[edge]
            if roster is not None:
                first, words = next_below(words, counts[a])
                second, words = next_below(words, counts[b])
            angle = elapsed * (work.detuning[edge] + elapsed * work.bending[edge])
            sine = sine_after(work.sine[edge], work.cosine[edge], angle)
            share, words = next_uniform(words)
            mark = share * work.bound[edge]
            if mark * mark >= (counts[a] * 1.0 * counts[b]) * (sine * sine):
                continue
            if sine * mode > 0.0:
                leaver, model, loses, gains = second, first, b, a
            else:
                leaver, model, loses, gains = first, second, a, b
            chance = may_leave(loses, gains, counts, floor, work)
            if chance == HELD:
                continue
            if chance == CROSSES:
                crossing = True
                break
            happen(now + elapsed, leaver, model, loses, gains, counts, roster, log)
            events += 1
        closed(words, random_state)
        if crossing:
            now += elapsed
        else:
            elapsed = length
            now = end if length >= end - now else now + length
        finish_step(counts, unit, couplings, elapsed, mode, work)
        if crossing:  # up to its very end the step knew the old counts, and so must the flow of the phases
            happen(now, leaver, model, loses, gains, counts, roster, log)
            events += 1
        steps += 1
    return REACHED, now, events, proposals, steps


@kernel
def play_one_edge(a, b, length, total, floor, mode, counts, words, work):
    """Play a step of anonymous copies on a single edge: the loop of `advance`, with all that it needs in registers.

    The way of a copy is easily guessed here, so that a branch costs less than a choice of labels.

    Returns
    -------
    (time elapsed, whether an event crosses the bounds, its labels, copy events, proposals, words of the generator)
    """
    here, there = counts[a], counts[b]
    lowest_here, highest_here = work.lowest[a], work.highest[a]
    lowest_there, highest_there = work.lowest[b], work.highest[b]
    sine_before, cosine_before = work.sine[0], work.cosine[0]
    detuning, bending, bound = work.detuning[0], work.bending[0], work.bound[0]
    elapsed = 0.0
    crossing = False
    loses, gains = a, b
    events, proposals = 0, 0
    while total > 0.0:
        wait, words = next_exponential(words)
        elapsed += wait / total
        if elapsed >= length:
            break
        proposals += 1
        sine = sine_after(sine_before, cosine_before, elapsed * (detuning + elapsed * bending))
        share, words = next_uniform(words)
        mark = share * bound
        if mark * mark >= (here * 1.0 * there) * (sine * sine):
            continue
        if sine * mode > 0.0:
            if there <= floor:
                continue
            if there <= lowest_there or here >= highest_here:
                crossing, loses, gains = True, b, a
                break
            there -= 1
            here += 1
        else:
            if here <= floor:
                continue
            if here <= lowest_here or there >= highest_there:
                crossing, loses, gains = True, a, b
                break
            here -= 1
            there += 1
        events += 1
    counts[a], counts[b] = here, there
    return elapsed, crossing, loses, gains, events, proposals, words


@kernel
def cost_of_step(labels, edges):
    """Tell how long a step takes in units of a proposal, some ten nanoseconds."""
    return 4 + labels + edges


@kernel
def room_for(expected, log):
    """Tell whether ``log`` holds a step of ``expected`` proposals: ten deviations more are never seen."""
    if log.time.size == 0:
        return True
    return log.used[0] + expected + 10.0 * math.sqrt(expected) + 100.0 < log.time.size


@kernel
def may_leave(loses, gains, counts, floor, work):
    """Tell whether a copy is free to go from one label to the other, is held by the floor, or crosses the bounds."""
    if counts[loses] <= floor:
        return HELD
    if counts[loses] <= work.lowest[loses] or counts[gains] >= work.highest[gains]:
        return CROSSES
    return FREE


@kernel
def happen(time, leaver, model, loses, gains, counts, roster, log):
    """Let the copy at rank ``leaver`` of one label copy the one at rank ``model`` of another.

    Anonymous copies are only counted. Who was copied is looked up for the log alone: in a large ensemble every look-up
    waits for memory.
    """
    if roster is not None:
        if log.time.size > 0:
            record(time, member(loses, leaver, roster), member(gains, model, roster), loses, gains, log)
        hand_over(loses, leaver, gains, counts, roster)
    else:
        counts[loses] -= 1
        counts[gains] += 1


@kernel
def record(time, copier, copied, lost, gained, log):
    """Write one copy event, where a log is kept."""
    if log.time.size > 0:
        entry = log.used[0]
        log.time[entry] = time
        log.copier[entry] = copier
        log.copied[entry] = copied
        log.lost[entry] = lost
        log.gained[entry] = gained
        log.used[0] = entry + 1
