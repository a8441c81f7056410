"""The process per copy with phases of their own: (39) and (40), the pair (I, J) drawn copy by copy.

A phase feels the other labels only through Z_a = sum over J in a of exp(-i phi_J), so that all turning rates

    d phi_I / dt = omega_b + Re[exp(i phi_I) G_b],    G_b = sum_a h_ba Z_a / sqrt(n_a n_b),    b = a_I

cost O(copies + edges) a step. Within a step a copy turns at the rate of its beginning; a copier continues the path of
the copy that it has joined, from the beginning of the step on. The correction at the end is of second order.
"""

from __future__ import annotations

import math

from copydyn.kernels.compiled import kernel
from copydyn.kernels.flow import slack
from copydyn.kernels.per_label import LOG_FULL, PAUSED, REACHED, STALLED, cost_of_step, record, room_for
from copydyn.kernels.roster import member, move
from copydyn.kernels.variates import below, draw_alias, exponential, fill_alias, uniform


@kernel
def advance_copies(
    counts, sums, couplings, start, end, phase_step, floor, mode, budget, random_state, work, roster, log
):
    """Evolve one ensemble of unaligned copies in place; parameters and result as in `per_label.advance`.

    ``sums`` : complex128 (beable,) holds Z_a on entry and on return.
    """
    edge_a, edge_b = couplings.a, couplings.b
    edges = edge_a.size
    cost = cost_of_step(counts.size, edges) + 5 * roster.beable.size
    now = start
    events, proposals, steps = 0, 0, 0
    while now < end:
        if proposals + cost * steps >= budget:
            return PAUSED, now, events, proposals, steps
        length, total = begin_copies_step(counts, sums, couplings, end - now, phase_step, work)
        if length < end - now and end + length == end:  # judged where the clock is coarsest: 0 + 1e-300 > 0
            return STALLED, now, events, proposals, steps
        if not room_for(total * length, log):
            return LOG_FULL, now, events, proposals, steps
        elapsed = 0.0
        crossing = False
        copier, copied, loses, gains = -1, -1, -1, -1
        while total > 0.0:
            elapsed += exponential(random_state) / total
            if elapsed >= length:
                break
            proposals += 1
            edge = draw_alias(random_state, edges, work.threshold, work.other) if edges > 1 else 0
            a, b = edge_a[edge], edge_b[edge]
            first = member(a, below(random_state, counts[a]), roster)
            second = member(b, below(random_state, counts[b]), roster)
            angle = _phase_after(first, elapsed, couplings.omega, work.field, roster)
            angle -= _phase_after(second, elapsed, couplings.omega, work.field, roster)
            h = couplings.h[edge]
            sine = 2.0 * (h.imag * math.cos(angle) + h.real * math.sin(angle))  # 2 R sin(angle + delta)
            mark = uniform(random_state) * work.bound[edge]
            if mark * mark >= (counts[a] * 1.0 * counts[b]) * (sine * sine):
                continue
            if sine * mode > 0.0:
                copier, copied, loses, gains = second, first, b, a
            else:
                copier, copied, loses, gains = first, second, a, b
            if counts[loses] <= floor:
                continue
            if counts[loses] <= work.lowest[loses] or counts[gains] >= work.highest[gains]:
                crossing = True
                break
            record(now + elapsed, copier, copied, loses, gains, log)
            move(copier, gains, counts, roster)
            roster.phase[copier] = roster.phase[copied]
            events += 1
        if crossing:
            now += elapsed
        else:
            elapsed = length
            now = end if length >= end - now else now + length
        finish_copies_step(counts, sums, couplings, elapsed, work, roster)
        if crossing:  # up to its very end the step knew the old counts, and so must the flow of the phases
            record(now, copier, copied, loses, gains, log)
            join(copier, copied, counts, sums, roster)
            events += 1
        steps += 1
    return REACHED, now, events, proposals, steps


@kernel
def join(copier, copied, counts, sums, roster):
    """Let ``copier`` take over the state of ``copied``, and keep Z_a true."""
    old, new = roster.phase[copier], roster.phase[copied]
    sums[roster.beable[copier]] -= complex(math.cos(old), -math.sin(old))
    sums[roster.beable[copied]] += complex(math.cos(new), -math.sin(new))
    move(copier, roster.beable[copied], counts, roster)
    roster.phase[copier] = new


@kernel
def sum_phases(sums, roster):
    """Z_a = sum over the copies J of label a of exp(-i phi_J)."""
    sums[:] = 0.0
    for copy in range(roster.beable.size):
        angle = roster.phase[copy]
        sums[roster.beable[copy]] += complex(math.cos(angle), -math.sin(angle))


@kernel
def label_fields(counts, sums, couplings, work, field):
    """Write G_b into ``field``, and into ``work.strength`` the square that G_b would have without interference."""
    field[:] = 0.0
    work.strength[:] = 0.0
    for edge in range(couplings.a.size):
        a, b, h = couplings.a[edge], couplings.b[edge], couplings.h[edge]
        if counts[a] > 0 and counts[b] > 0:
            root = math.sqrt(counts[a] * 1.0 * counts[b])
            field[a] += h * sums[b] / root
            field[b] += h.conjugate() * sums[a] / root
            square = h.real * h.real + h.imag * h.imag
            work.strength[a] += square * counts[b] / counts[a]
            work.strength[b] += square * counts[a] / counts[b]


@kernel
def begin_copies_step(counts, sums, couplings, longest, phase_step, work):
    """As `flow.begin_step`, with bounds that hold whatever the phases are."""
    omega, edge_a, edge_b, h = couplings
    label_fields(counts, sums, couplings, work, work.field)
    fastest = 0.0
    for label in range(counts.size):
        field = work.field[label]
        square = field.real * field.real + field.imag * field.imag + work.strength[label]
        fastest = max(fastest, math.sqrt(square))
        work.traffic[label] = 0.0
    for edge in range(edge_a.size):
        if counts[edge_a[edge]] > 0 and counts[edge_b[edge]] > 0:
            fastest = max(fastest, abs(omega[edge_a[edge]] - omega[edge_b[edge]]))
    length = longest
    if fastest * length > phase_step:
        length = phase_step / fastest
    for edge in range(edge_a.size):
        a, b = edge_a[edge], edge_b[edge]
        work.bound[edge] = 2.0 * abs(h[edge]) if counts[a] > 0 and counts[b] > 0 else 0.0
        flow = work.bound[edge] * math.sqrt(counts[a] * 1.0 * counts[b]) * length
        work.traffic[a] += flow
        work.traffic[b] += flow
    for label in range(counts.size):
        room = slack(counts[label], work.traffic[label])
        work.lowest[label] = counts[label] - room
        work.highest[label] = counts[label] + room
    for edge in range(edge_a.size):
        work.bound[edge] *= math.sqrt(work.highest[edge_a[edge]] * 1.0 * work.highest[edge_b[edge]])
    return length, fill_alias(work.bound, edge_a.size, work.threshold, work.other, work.stack)


@kernel
def _turning(angle, label, omega, field):
    return omega[label] + math.cos(angle) * field[label].real - math.sin(angle) * field[label].imag


@kernel
def _phase_after(copy, elapsed, omega, field, roster):
    angle = roster.phase[copy]
    return angle + elapsed * _turning(angle, roster.beable[copy], omega, field)


@kernel
def finish_copies_step(counts, sums, couplings, elapsed, work, roster):
    """Advance every phase by the mean of its turning rates at both ends; leave Z_a of the new phases in ``sums``."""
    omega = couplings.omega
    sums[:] = 0.0
    for copy in range(roster.beable.size):
        angle = _phase_after(copy, elapsed, omega, work.field, roster)
        sums[roster.beable[copy]] += complex(math.cos(angle), -math.sin(angle))
    label_fields(counts, sums, couplings, work, work.field_end)
    sums[:] = 0.0
    for copy in range(roster.beable.size):
        label = roster.beable[copy]
        begin = roster.phase[copy]
        rate = _turning(begin, label, omega, work.field)
        rate_end = _turning(begin + elapsed * rate, label, omega, work.field_end)
        angle = (begin + 0.5 * elapsed * (rate + rate_end)) % (2.0 * math.pi)
        roster.phase[copy] = angle
        sums[label] += complex(math.cos(angle), -math.sin(angle))
