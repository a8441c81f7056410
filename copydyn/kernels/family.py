"""The process per label for the whole family of rules of which Smolin's is one point ((18), (19), (27), (28)).

With theta = phi_a - phi_b + delta_ab on the edge (a, b), a < b, each harmonic m of the family is a channel of its own:

    s = ratio copying_m R_ab sin(m theta + copy_offset_m),    copies move b -> a at the rate  s n_a^q n_b^(1-q), s > 0,
                                                                      or a -> b at the rate |s| n_b^q n_a^(1-q), s < 0,
    d phi_a / dt = omega_a + sum_b (n_a/n_b)^r sum_m R_ab turning_m cos(m theta + turn_offset_m)

so that channels of one edge may move copies in both directions at once. Seen from b the arguments change their sign, as
theta does; the cosine is the same at both ends. What has no copies neither gives, nor gains, nor turns anything.

Angles are never formed: exp(i m theta) is the m-th power of conj(u_a) h_ab u_b / |h_ab|.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import uint32

from copydyn.kernels.compiled import kernel
from copydyn.kernels.flow import sine_after, slack, turned
from copydyn.kernels.memory import zeros
from copydyn.kernels.per_label import LOG_FULL, PAUSED, REACHED, STALLED, cost_of_step, happen, room_for
from copydyn.kernels.variates import closed, fill_alias, next_below, next_cell, next_exponential, next_uniform, opened

FROZEN_STEP = 0.05
"""Relative change of an amplitude within a step where phases stand still: no error grows with it, only the bounds."""

SAFETY = math.sqrt(2.0)
"""By how much phases are thought to turn faster than they do: it makes steps as short as those of `flow` are."""


class Family(NamedTuple):
    """One rule as the kernel reads it; harmonics in rising order.

    q, r : float; order : int64 (harmonic,); copying, turning : float64 (harmonic,), ratio included in copying;
    copy_factor, turn_factor : complex128 (harmonic,), exp(i offset); flow : bool, False where phases stand still.
    """

    q: float
    r: float
    order: np.ndarray
    copying: np.ndarray
    turning: np.ndarray
    copy_factor: np.ndarray
    turn_factor: np.ndarray
    flow: bool


class FamilyWorkspace(NamedTuple):
    """What one step knows, as `flow.Workspace`; a channel is a harmonic of an edge, channel = edge * harmonics + m.

    Per label: the turning rate at both ends, the largest relative rate of change, the expected traffic of copies, and
    the counts between which the bounds hold. Per channel: s, its cosine, how fast its argument turns, the bound on the
    rate, the least rate a unit of sine, and the alias table of the bounds.
    """

    turning: np.ndarray
    turning_end: np.ndarray
    fastest: np.ndarray
    traffic: np.ndarray
    lowest: np.ndarray
    highest: np.ndarray
    sine: np.ndarray
    cosine: np.ndarray
    detuning: np.ndarray
    bound: np.ndarray
    least: np.ndarray
    threshold: np.ndarray
    other: np.ndarray
    stack: np.ndarray


def family_workspace(labels: int, edges: int, family: Family) -> FamilyWorkspace:
    """Allocate the scratch of one run once."""
    channels = edges * family.order.size
    return FamilyWorkspace(
        *(zeros(labels) for _ in range(4)),
        *(zeros(labels, np.int64) for _ in range(2)),
        *(zeros(channels) for _ in range(6)),
        *(zeros(channels, np.uint32) for _ in range(2)),
    )


@kernel
def advance_family(
    counts, unit, couplings, start, end, phase_step, floor, family, budget, random_state, work, roster, log
):
    """Evolve one ensemble in place; parameters and result as in `per_label.advance`, with ``family`` for its mode."""
    edge_a, edge_b = couplings.a, couplings.b
    harmonics = family.order.size
    channels = edge_a.size * harmonics
    cost = cost_of_step(counts.size, 4 * channels)
    now = start
    events, proposals, steps = 0, 0, 0
    while now < end:
        if proposals + cost * steps >= budget:
            return PAUSED, now, events, proposals, steps
        length, total = begin_family_step(counts, unit, couplings, end - now, phase_step, family, work)
        if not length >= end - now and not end + length > end:  # judged where the clock is coarsest: 0 + 1e-300 > 0
            return STALLED, now, events, proposals, steps
        if not room_for(total * length, log):
            return LOG_FULL, now, events, proposals, steps
        elapsed = 0.0
        crossing = False
        channel, loses, gains = uint32(0), uint32(0), uint32(0)
        first, second, leaver, model = 0, 0, 0, 0
        words = opened(random_state)
        while total > 0.0:
            wait, words = next_exponential(words)
            elapsed += wait / total
            if elapsed >= length:
                break
            proposals += 1
            if channels > 1:
                channel, words = next_cell(words, channels, work.threshold, work.other)
            # a division costs a third of an event, and rules with one harmonic need none
            edge = channel if harmonics == 1 else channel // harmonics
            a, b = edge_a[edge], edge_b[edge]
            if roster is not None:
                first, words = next_below(words, counts[a])
                second, words = next_below(words, counts[b])
            sine = work.sine[channel]
            if family.flow:  # where phases stand still the series would give the same sine
                sine = sine_after(sine, work.cosine[channel], work.detuning[channel] * elapsed)
            share, words = next_uniform(words)
            mark = share * work.bound[channel]
            if sine > 0.0:
                leaver, model, loses, gains = second, first, b, a
            else:
                leaver, model, loses, gains = first, second, a, b
            # below the least rate that the step's counts allow, the power need not be known
            sure = mark < work.least[channel] * abs(sine)
            if not sure and mark >= traffic_between(counts[gains], counts[loses], family.q) * abs(sine):
                continue
            if counts[loses] <= floor:
                continue
            if counts[loses] <= work.lowest[loses] or counts[gains] >= work.highest[gains]:
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
        if family.flow:
            finish_family_step(counts, unit, couplings, elapsed, family, work)
        if crossing:  # up to its very end the step knew the old counts, and so must the flow of the phases
            happen(now, leaver, model, loses, gains, counts, roster, log)
            events += 1
        steps += 1
    return REACHED, now, events, proposals, steps


@kernel
def begin_family_step(counts, unit, couplings, longest, phase_step, family, work):
    """Fill ``work`` for a step of at most ``longest``; return (length, total bound): see `flow.begin_step`."""
    _, edge_a, edge_b, _ = couplings
    harmonics = family.order.size
    channels = edge_a.size * harmonics
    limit = phase_step if family.flow else max(phase_step, FROZEN_STEP)
    family_turning(counts, unit, couplings, family, work.turning)
    length = longest
    fastest = _fastest_turning(counts, couplings, family, work)
    if fastest * length > limit:
        length = limit / fastest
    fastest = _fastest_copying(counts, unit, couplings, family, length, work)
    if fastest * length > limit:
        length = limit / fastest
    if not length > 0.0:  # where a power overflows there is no step, and the caller stalls
        return 0.0, 0.0
    for label in range(counts.size):
        work.traffic[label] = 0.0
    for channel in range(channels):
        a, b = edge_a[channel // harmonics], edge_b[channel // harmonics]
        work.bound[channel], _, _ = _reach(channel, length, work)
        flow = work.bound[channel] * work.least[channel] * length
        work.traffic[a] += flow
        work.traffic[b] += flow
    for label in range(counts.size):
        room = slack(counts[label], work.traffic[label])
        work.lowest[label] = counts[label] - room
        work.highest[label] = counts[label] + room
    for channel in range(channels):
        if work.bound[channel] > 0.0:
            a, b = edge_a[channel // harmonics], edge_b[channel // harmonics]
            _, onward, back = _reach(channel, length, work)
            most, least = 0.0, math.inf
            if onward:
                most, least = _extremes(a, b, family.q, work)
            if back:
                high, low = _extremes(b, a, family.q, work)
                most, least = max(most, high), min(least, low)
            work.bound[channel] *= most
            work.least[channel] = least
    total = fill_alias(work.bound, channels, work.threshold, work.other, work.stack)
    return length, total


@kernel
def _reach(channel, length, work):
    """Largest |s| within a step, and whether copies may move b -> a, and a -> b."""
    sine = work.sine[channel]
    strength = math.sqrt(sine * sine + work.cosine[channel] * work.cosine[channel])
    # |sin(x + y)| <= |sin x| + |y|: much tighter than one, because the step is short
    drift = abs(work.detuning[channel]) * length * strength
    return min(abs(sine) + drift, strength), sine + drift > 0.0, sine - drift < 0.0


@kernel
def family_turning(counts, unit, couplings, family, turning):
    """Write d phi_a/dt of (19), (28) into ``turning``: zero where phases stand still."""
    omega, edge_a, edge_b, h = couplings
    for label in range(counts.size):
        turning[label] = omega[label] if family.flow else 0.0
    if not family.flow:
        return
    for edge in range(edge_a.size):
        a, b = edge_a[edge], edge_b[edge]
        if counts[a] > 0 and counts[b] > 0:
            size = _size(h[edge])
            factor = unit[a].conjugate() * (h[edge] / size) * unit[b]
            power, order = factor, 1
            pull = 0.0
            for harmonic in range(family.order.size):
                while order < family.order[harmonic]:
                    power *= factor
                    order += 1
                pull += family.turning[harmonic] * (power * family.turn_factor[harmonic]).real
            ratio = to_the_power(counts[a] / counts[b], family.r)
            turning[a] += size * pull * ratio
            turning[b] += size * pull / ratio


@kernel
def _fastest_turning(counts, couplings, family, work):
    """Largest rate at which phases may turn in a step, 1/time: omega aside, or of a harmonic's argument."""
    _, edge_a, edge_b, h = couplings
    if not family.flow:
        return 0.0
    # whatever the phases are: where they hold all still for a moment, they may let go within the step
    strength = 0.0
    for harmonic in range(family.order.size):
        strength += SAFETY * family.order[harmonic] * abs(family.turning[harmonic])
    highest = family.order[family.order.size - 1]
    fastest = 0.0
    for label in range(counts.size):
        work.fastest[label] = 0.0
    for edge in range(edge_a.size):
        a, b = edge_a[edge], edge_b[edge]
        if counts[a] > 0 and counts[b] > 0:
            size = _size(h[edge])
            ratio = to_the_power(counts[a] / counts[b], family.r)
            work.fastest[a] += size * strength * ratio
            work.fastest[b] += size * strength / ratio
            fastest = max(fastest, highest * abs(work.turning[a] - work.turning[b]))
    for label in range(counts.size):
        fastest = max(fastest, work.fastest[label])
    return fastest


@kernel
def _fastest_copying(counts, unit, couplings, family, length, work):
    """Largest relative rate of change of an amplitude in a step, 1/time.

    On the way the sines of the channels are filled, and ``work.least`` with the traffic between their labels.
    """
    _, edge_a, edge_b, h = couplings
    harmonics = family.order.size
    for label in range(counts.size):
        work.fastest[label] = 0.0
    for edge in range(edge_a.size):
        a, b = edge_a[edge], edge_b[edge]
        present = counts[a] > 0 and counts[b] > 0
        size = _size(h[edge])
        factor = unit[a].conjugate() * (h[edge] / size) * unit[b]
        power, order = factor, 1
        for harmonic in range(harmonics):
            channel = edge * harmonics + harmonic
            while order < family.order[harmonic]:
                power *= factor
                order += 1
            strength = size * family.copying[harmonic] if present else 0.0
            turn = strength * (power * family.copy_factor[harmonic])
            work.sine[channel] = turn.imag
            work.cosine[channel] = turn.real
            work.detuning[channel] = order * (work.turning[a] - work.turning[b])
            most, onward, back = _reach(channel, length, work)
            weight = 0.0
            if onward:
                weight = traffic_between(counts[a], counts[b], family.q)
            if back:
                weight = max(weight, traffic_between(counts[b], counts[a], family.q))
            work.least[channel] = weight
            flow = 0.5 * order * most * weight
            if flow > 0.0:
                work.fastest[a] += flow / counts[a]
                work.fastest[b] += flow / counts[b]
    fastest = 0.0
    for label in range(counts.size):
        fastest = max(fastest, work.fastest[label])
    return fastest


@kernel
def _size(number):
    """|number|; `abs` and `hypot` guard against overflow, and made a step twice as long on a thousand edges."""
    return math.sqrt(number.real * number.real + number.imag * number.imag)


@kernel
def _extremes(gains, loses, q, work):
    """Largest and least of n_gains^q n_loses^(1-q) for the counts within the step's limits."""
    most_gaining, least_gaining = work.highest[gains], work.lowest[gains]
    if q < 0.0:
        most_gaining, least_gaining = least_gaining, most_gaining
    most_losing, least_losing = work.highest[loses], work.lowest[loses]
    if q > 1.0:
        most_losing, least_losing = least_losing, most_losing
    return traffic_between(most_gaining, most_losing, q), traffic_between(least_gaining, least_losing, q)


@kernel
def traffic_between(gaining, losing, q):
    """n_gaining^q n_losing^(1-q): copies that take part in a flow between two labels (18)."""
    if q == 0.5:
        return math.sqrt(gaining * 1.0 * losing)
    return losing * to_the_power(gaining / losing, q)


@kernel
def to_the_power(ratio, exponent):
    """ratio^exponent, without `pow` for the exponents that are asked for most."""
    if exponent == -0.5:
        return 1.0 / math.sqrt(ratio)
    if exponent == 0.0:
        return 1.0
    if exponent == 1.0:
        return ratio
    return ratio**exponent


@kernel
def finish_family_step(counts, unit, couplings, elapsed, family, work):
    """Turn the phase factors by the mean of the turning rates at both ends of the step (second order)."""
    for label in range(counts.size):
        unit[label] = turned(unit[label], work.turning[label] * elapsed)
    family_turning(counts, unit, couplings, family, work.turning_end)
    for label in range(counts.size):
        unit[label] = turned(unit[label], 0.5 * (work.turning_end[label] - work.turning[label]) * elapsed)
