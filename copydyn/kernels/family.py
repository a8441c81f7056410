"""The process per label for the whole family of rules of which Smolin's is one point ((18), (19), (27), (28)).

With theta = phi_a - phi_b + delta_ab on the edge (a, b), a < b, each harmonic m of the family is a channel of its own:

    s = ratio copying_m R_ab sin(m theta + copy_offset_m),    copies move b -> a at the rate  s n_a^q n_b^(1-q), s > 0,
                                                                      or a -> b at the rate |s| n_b^q n_a^(1-q), s < 0,
    d phi_a / dt = omega_a + sum_b (n_a/n_b)^r sum_m R_ab turning_m cos(m theta + turn_offset_m)

so that channels of one edge may move copies in both directions at once. Seen from b the arguments change their sign, as
theta does; the cosine is the same at both ends. What has no copies neither gives, nor gains, nor turns anything.

Angles are never formed: exp(i m theta) is the m-th power of conj(u_a) h_ab u_b / |h_ab|.

A step is that of `copydyn.kernels.flow`: phases follow the curvature of the mean flow, in which n_a' = g_a n_a. Where
(n_a/n_b)^r P is what turns phi_a, P a sum over harmonics, and l = r (g_a - g_b),

    phi_a'   = omega_a + sum_b (n_a/n_b)^r P,    phi_a'' = sum_b (n_a/n_b)^r (P' + l P),
    phi_a''' = sum_b (n_a/n_b)^r (P'' + 2 l P' + (l^2 + l') P),    P' = (dP/dtheta) theta'

l has the other sign at the other end, and g' follows from the flows of copies likewise. Where q is not 1/2 a flow has a
kink as its sine changes its sign: a step across it errs by the third order.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import uint32

from copydyn.kernels.compiled import kernel
from copydyn.kernels.flow import farthest_sine, limits, sine_after, turned
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


_LABEL = np.dtype(
    [(name, np.float64) for name in ("turning", "bend", "curve", "turning_now", "bend_now", "growth", "faster")]
    + [(name, np.float64) for name in ("fastest", "traffic")]
)

_EDGE = np.dtype(
    [(name, np.float64) for name in ("coupling", "ratio", "pull", "pull_slope", "pull_bend")]
    + [(name, np.float64) for name in ("onward", "back", "flow", "flow_slope", "flow_here", "flow_there")]
)


class FamilyWorkspace(NamedTuple):
    """What one step knows, as `flow.Workspace`; a channel is a harmonic of an edge, channel = edge * harmonics + m.

    Records of ``label``: phi', phi'' and phi''' at the beginning of the step; phi', phi'', g and g' as last evaluated;
    the largest relative rate of change, and the expected traffic of copies. Records of ``edge``, as last evaluated: R,
    (n_a/n_b)^r, R P with its first and second derivative by theta; n_a^q n_b^(1-q) and that of the other way; and the
    copies that a gains from b in a unit of time, with the derivatives by theta, log n_a and log n_b. ``lowest`` and
    ``highest`` are the counts between which the bounds hold. Per channel: s, its cosine, how fast its argument turns
    and bends, the bound on the rate, the least rate a unit of sine, and the alias table of the bounds.
    """

    label: np.ndarray
    edge: np.ndarray
    lowest: np.ndarray
    highest: np.ndarray
    sine: np.ndarray
    cosine: np.ndarray
    detuning: np.ndarray
    bending: np.ndarray
    bound: np.ndarray
    least: np.ndarray
    threshold: np.ndarray
    other: np.ndarray
    stack: np.ndarray


def family_workspace(labels: int, edges: int, family: Family) -> FamilyWorkspace:
    """Allocate the scratch of one run once."""
    channels = edges * family.order.size
    return FamilyWorkspace(
        np.zeros(labels, _LABEL).view(np.recarray),
        np.zeros(edges, _EDGE).view(np.recarray),
        *(zeros(labels, np.int64) for _ in range(2)),
        *(zeros(channels) for _ in range(7)),
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
                angle = elapsed * (work.detuning[channel] + elapsed * work.bending[channel])
                sine = sine_after(sine, work.cosine[channel], angle)
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
    look(counts, unit, couplings, family, work)
    if not look_ahead(counts, couplings, family, work):
        return 0.0, 0.0
    for label in range(counts.size):
        work.label[label].turning, work.label[label].bend = work.label[label].turning_now, work.label[label].bend_now
        work.label[label].traffic = 0.0
    look_farther(couplings, family, work)
    length = longest
    fastest = _fastest_turning(counts, couplings, family, work)
    if fastest * length > limit:
        length = limit / fastest
    _open_channels(couplings, family, length, work)
    fastest = _fastest_copying(counts, couplings, family, length, work)
    if fastest * length > limit:
        length = limit / fastest
    if not length > 0.0:  # where a power overflows there is no step, and the caller stalls
        return 0.0, 0.0
    _open_channels(couplings, family, length, work)
    for channel in range(channels):
        a, b = edge_a[channel // harmonics], edge_b[channel // harmonics]
        work.bound[channel], _, _ = _reach(channel, length, work)
        flow = work.bound[channel] * work.least[channel] * length
        work.label[a].traffic += flow
        work.label[b].traffic += flow
    for label in range(counts.size):
        growth, faster = work.label[label].growth, work.label[label].faster
        net = counts[label] * length * (growth + 0.5 * length * (faster + growth * growth))
        work.lowest[label], work.highest[label] = limits(counts[label], net, work.label[label].traffic)
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
def _open_channels(couplings, family, length, work):
    """Tell how the arguments of all sines go on in a step of ``length``."""
    harmonics = family.order.size
    for edge in range(couplings.a.size):
        here, there = work.label[couplings.a[edge]], work.label[couplings.b[edge]]
        turning, bend = here.turning - there.turning, here.bend - there.bend
        bending = 0.5 * (bend + 0.25 * length * (here.curve - there.curve))
        for harmonic in range(harmonics):
            channel = edge * harmonics + harmonic
            work.detuning[channel] = family.order[harmonic] * turning
            work.bending[channel] = family.order[harmonic] * bending


@kernel
def _reach(channel, length, work):
    """Largest |s| within a step, and whether copies may move b -> a, and a -> b."""
    sine, cosine = work.sine[channel], work.cosine[channel]
    detuning, bending = work.detuning[channel], work.bending[channel]
    strength = math.sqrt(sine * sine + cosine * cosine)
    drift = length * (abs(detuning) + length * abs(bending)) * strength
    farthest = farthest_sine(sine, cosine, detuning, bending, length, strength)
    return farthest, sine + drift > 0.0, sine - drift < 0.0


@kernel
def look(counts, unit, couplings, family, work):
    """Fill in what the phases and counts of this moment say of the edges, and phi' and g of the labels."""
    omega, edge_a, edge_b, h = couplings
    label, edges, harmonics = work.label, work.edge, family.order.size
    for a in range(counts.size):
        label[a].turning_now = omega[a] if family.flow else 0.0
        label[a].growth = 0.0
    for edge in range(edge_a.size):
        a, b, here = edge_a[edge], edge_b[edge], edges[edge]
        here.pull = here.pull_slope = here.pull_bend = 0.0
        here.flow = here.flow_slope = here.flow_here = here.flow_there = 0.0
        here.onward = here.back = 0.0
        here.ratio = 1.0
        here.coupling = _size(h[edge])
        present = counts[a] > 0 and counts[b] > 0
        if present:
            here.ratio = to_the_power(counts[a] / counts[b], family.r)
            here.onward = here.back = traffic_between(counts[a], counts[b], family.q)
            if family.q != 0.5:
                here.back = traffic_between(counts[b], counts[a], family.q)
        factor = unit[a].conjugate() * (h[edge] / here.coupling) * unit[b]
        power, order = factor, 1
        for harmonic in range(harmonics):
            while order < family.order[harmonic]:
                power *= factor
                order += 1
            strength = here.coupling if present else 0.0
            pull = strength * family.turning[harmonic] * (power * family.turn_factor[harmonic])
            here.pull += pull.real
            here.pull_slope -= order * pull.imag
            here.pull_bend -= order * order * pull.real
            turn = strength * family.copying[harmonic] * (power * family.copy_factor[harmonic])
            work.sine[edge * harmonics + harmonic] = turn.imag
            work.cosine[edge * harmonics + harmonic] = turn.real
            traffic, share = here.onward, family.q
            if turn.imag < 0.0:
                traffic, share = here.back, 1.0 - family.q
            here.flow += turn.imag * traffic
            here.flow_slope += order * turn.real * traffic
            here.flow_here += share * turn.imag * traffic
            here.flow_there += (1.0 - share) * turn.imag * traffic
        if family.flow:
            label[a].turning_now += here.ratio * here.pull
            label[b].turning_now += here.pull / here.ratio
        label[a].growth += here.flow
        label[b].growth -= here.flow
    for a in range(counts.size):
        label[a].growth *= 1.0 / counts[a] if counts[a] > 0 else 0.0


@kernel
def look_ahead(counts, couplings, family, work):
    """Fill in phi'' and g' after `look`; return whether they are finite."""
    _, edge_a, edge_b, _ = couplings
    label, edges = work.label, work.edge
    for a in range(counts.size):
        label[a].bend_now = label[a].faster = 0.0
    for edge in range(edge_a.size):
        a, b, here = edge_a[edge], edge_b[edge], edges[edge]
        apart = label[a].turning_now - label[b].turning_now
        swing, twist = here.pull_slope * apart, family.r * (label[a].growth - label[b].growth) * here.pull
        if family.flow:
            label[a].bend_now += here.ratio * (swing + twist)
            label[b].bend_now += (swing - twist) / here.ratio
        flow = here.flow_slope * apart + here.flow_here * label[a].growth + here.flow_there * label[b].growth
        label[a].faster += flow
        label[b].faster -= flow
    total = 0.0
    for a in range(counts.size):
        share = 1.0 / counts[a] if counts[a] > 0 else 0.0
        label[a].faster = share * label[a].faster - label[a].growth * label[a].growth
        total += abs(label[a].faster) + abs(label[a].bend_now)
    return total < math.inf


@kernel
def look_farther(couplings, family, work):
    """Fill in phi''' after `look_ahead`."""
    _, edge_a, edge_b, _ = couplings
    label, edges = work.label, work.edge
    for a in range(label.size):
        label[a].curve = 0.0
    if not family.flow:
        return
    for edge in range(edge_a.size):
        a, b, here = edge_a[edge], edge_b[edge], edges[edge]
        apart, parting = label[a].turning - label[b].turning, label[a].bend - label[b].bend
        swing = here.pull_slope * apart
        whirl = here.pull_bend * apart * apart + here.pull_slope * parting
        twist = family.r * (label[a].growth - label[b].growth)
        faster = family.r * (label[a].faster - label[b].faster)
        even, odd = whirl + twist * twist * here.pull, 2.0 * twist * swing + faster * here.pull
        label[a].curve += here.ratio * (even + odd)
        label[b].curve += (even - odd) / here.ratio


@kernel
def _fastest_turning(counts, couplings, family, work):
    """Largest rate at which phases may turn in a step, 1/time: omega aside, or of a harmonic's argument."""
    _, edge_a, edge_b, _ = couplings
    if not family.flow:
        return 0.0
    # whatever the phases are: where they hold all still for a moment, they may let go within the step
    strength = 0.0
    for harmonic in range(family.order.size):
        strength += SAFETY * family.order[harmonic] * abs(family.turning[harmonic])
    highest = family.order[family.order.size - 1]
    fastest = 0.0
    label = work.label
    for a in range(counts.size):
        label[a].fastest = 0.0
    for edge in range(edge_a.size):
        a, b, here = edge_a[edge], edge_b[edge], work.edge[edge]
        if counts[a] > 0 and counts[b] > 0:
            label[a].fastest += here.coupling * strength * here.ratio
            label[b].fastest += here.coupling * strength / here.ratio
            fastest = max(fastest, highest * abs(label[a].turning - label[b].turning))
    for a in range(counts.size):
        fastest = max(fastest, label[a].fastest)
    return fastest


@kernel
def _fastest_copying(counts, couplings, family, length, work):
    """Largest relative rate of change of an amplitude in a step, 1/time.

    On the way ``work.least`` is filled with the traffic between the labels of each channel.
    """
    _, edge_a, edge_b, _ = couplings
    harmonics = family.order.size
    label = work.label
    for a in range(counts.size):
        label[a].fastest = 0.0
    for edge in range(edge_a.size):
        a, b, here = edge_a[edge], edge_b[edge], work.edge[edge]
        for harmonic in range(harmonics):
            channel = edge * harmonics + harmonic
            most, onward, back = _reach(channel, length, work)
            weight = 0.0
            if onward:
                weight = here.onward
            if back:
                weight = max(weight, here.back)
            work.least[channel] = weight
            flow = 0.5 * family.order[harmonic] * most * weight
            if flow > 0.0:
                label[a].fastest += flow / counts[a]
                label[b].fastest += flow / counts[b]
    fastest = 0.0
    for a in range(counts.size):
        fastest = max(fastest, label[a].fastest)
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
    """Turn the phase factors to the end of the step, as `flow.finish_step` does."""
    label = work.label
    for a in range(counts.size):
        unit[a] = turned(unit[a], _ahead(a, elapsed, label) * elapsed)
    look(counts, unit, couplings, family, work)
    look_ahead(counts, couplings, family, work)
    for a in range(counts.size):
        corner = (label[a].bend - label[a].bend_now) * (1.0 / 12.0)
        whole = 0.5 * (label[a].turning + label[a].turning_now) + elapsed * corner
        unit[a] = turned(unit[a], (whole - _ahead(a, elapsed, label)) * elapsed)


@kernel
def _ahead(a, elapsed, label):
    """Mean of the turning rate over the step, as far as its beginning can tell."""
    return label[a].turning + elapsed * (0.5 * label[a].bend + elapsed * label[a].curve * (1.0 / 6.0))
