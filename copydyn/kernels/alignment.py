"""Copies whose phases have momenta: the second-order law of section 3.2 of Smolin 2012, (42) to (46).

With b = a_I, h = H/hbar and Omega_I = omega_b + Re[exp(i phi_I) G_b] of `copydyn.kernels.per_copy`, the energy is

    E = sum_I pi_I^2 / 2 + sum_I pi_I Omega_I(phi) + V,    V = (f^2/2) sum over pairs I < J of a label of
                                                               sin^2(phi_I - phi_J)

and between copy events

    d phi_I / dt = pi_I + Omega_I
    d pi_I / dt  = -(f^2/2) Im[exp(2 i phi_I) W_b] + pi_I Im[exp(i phi_I) G_b] + Im[exp(i phi_I) P_b]
                   - gamma pi_I + noise

    Z_a = sum_J exp(-i phi_J),    W_a = sum_J exp(-2 i phi_J),    Y_a = sum_J pi_J exp(-i phi_J),    all J in a
    G_b = sum_a h_ba Z_a / sqrt(n_a n_b),    P_b = sum_a h_ba Y_a / sqrt(n_a n_b)

The two terms with G and P are -sum_K pi_K dOmega_K/dphi_I: from K = I, and from all K of the neighbouring labels, in
whose Z_b stands phi_I. Everything costs O(copies + edges).

A step is the Störmer-Verlet rule in its general form (Hairer, Lubich and Wanner, Geometric Numerical Integration,
VI.3), here with Omega and all forces evaluated at both ends only:

    half  = pi + (h/2) force(phi, half),    phi' = phi + h half + (h/2) (Omega(phi) + Omega(phi')),
    pi'   = half + (h/2) force(phi', half)

It is symplectic, symmetric in time and of second order. Both implicit lines are iterated to rounding; the first needs
no new sine. Friction and noise are exact Ornstein-Uhlenbeck half steps around it. Copy events are drawn as in
`per_copy`, along phases extrapolated from the beginning; then the step takes the labels of the copies before the events
at its beginning and those after them at its end, which keeps second order.

A copier that starts from rest at time s of a step starts, at the step's beginning, as one that the force brings to rest
there: with momentum -s force. Of the noise of the step it gets the share 1 - s/h that is left.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from copydyn.kernels.compiled import kernel
from copydyn.kernels.memory import zeros
from copydyn.kernels.per_copy import begin_copies_step, label_fields, sum_phases
from copydyn.kernels.per_label import LOG_FULL, PAUSED, REACHED, STALLED, cost_of_step, record, room_for
from copydyn.kernels.roster import member, move
from copydyn.kernels.variates import below, closed, draw_alias, exponential, next_normal, opened, uniform

MOST_ITERATIONS = 60
"""An iteration gains a factor of about two over ``phase_step``: rounding is reached long before, or never."""

ROUNDING = 4e-16
"""Relative change at which an iteration has ended: two units in the last place."""


COST_OF_COPY = 30
"""What a copy adds to a step, in units of a proposal: two implicit equations with a handful of iterations each."""

SPAN = 3.0
"""Standard deviations of the momenta to which a step is fitted. It asks the energy, which stays, not the momenta: a
step that follows the motion is no symplectic map, and its energy drifts."""


class AligningLaw(NamedTuple):
    """The force and what damps it.

    strength : f, 1/time; friction : gamma, 1/time; temperature : T, 1/time^2, the mean of pi^2 that friction and noise
    lead to; reset : whether a copier's momentum becomes zero, instead of that of the copied.
    """

    strength: float
    friction: float
    temperature: float
    reset: bool


class Motion(NamedTuple):
    """What one step knows of its copies: cosine and sine of phi, the half-way momentum and what phi' is made of,
    and the time into the step at which it came to rest, float64 (copy,); and of its labels: W, Y, P, and the change of
    P by the copy events, complex128 (beable,).
    """

    cosine: np.ndarray
    sine: np.ndarray
    half: np.ndarray
    base: np.ndarray
    rested: np.ndarray
    doubled: np.ndarray
    carried: np.ndarray
    pull: np.ndarray
    shift: np.ndarray


def motion_of(copies: int, labels: int) -> Motion:
    """Allocate the scratch of a run."""
    return Motion(*(zeros(copies) for _ in range(5)), *(zeros(labels, np.complex128) for _ in range(4)))


@kernel
def advance_aligning(
    counts,
    sums,
    momenta,
    couplings,
    start,
    end,
    phase_step,
    floor,
    mode,
    law,
    budget,
    random_state,
    work,
    motion,
    roster,
    log,
):
    """Evolve one ensemble of copies with momenta in place; parameters and result as in `per_copy.advance_copies`.

    ``momenta`` : float64 (copy,), 1/time. ``sums`` : complex128 (beable,) holds Z_a on return. ``law`` : `AligningLaw`.
    ``phase_step`` bounds, for one step h, the relative change of an amplitude, f sqrt(n_a) h, the angle by which small
    differences of phases swing, and h times `SPAN` times the root mean square of the momenta that the energy allows.
    """
    now = start
    events, proposals, steps = 0, 0, 0
    cost = cost_of_step(counts.size, couplings.a.size) + COST_OF_COPY * roster.beable.size
    while now < end:
        if proposals + cost * steps >= budget:
            sum_phases(sums, roster)
            return PAUSED, now, events, proposals, steps
        energy = begin_motion(counts, sums, momenta, couplings, law.strength, work, motion, roster)
        fastest = SPAN * math.sqrt(2.0 * max(energy, 0.0) / roster.beable.size)
        fastest = max(fastest, fastest_angle(counts, couplings, law.strength, work))
        length = equal_part(end - now, phase_step, fastest)
        length, total = begin_copies_step(counts, sums, couplings, length, phase_step, work)
        if length < end - now and end + length == end:  # judged where the clock is coarsest: 0 + 1e-300 > 0
            return STALLED, now, events, proposals, steps
        if not room_for(total * length, log):
            return LOG_FULL, now, events, proposals, steps
        elapsed, crossing, happened, tried = _copy_for(
            counts,
            momenta,
            couplings,
            now,
            length,
            total,
            floor,
            mode,
            law,
            random_state,
            work,
            motion,
            roster,
            log,
        )
        copier, copied, loses, gains = crossing
        if copier >= 0:
            now += elapsed
        else:
            now = end if length >= end - now else now + length
        flow(counts, sums, momenta, couplings, law, elapsed, random_state, work, motion, roster)
        if copier >= 0:  # up to its very end the step knew the old counts, and so must the flow of the phases
            record(now, copier, copied, loses, gains, log)
            _take_over(copier, copied, 0.0, momenta, law, motion, roster)
            move(copier, gains, counts, roster)
            happened += 1
        events += happened
        proposals += tried
        steps += 1
    sum_phases(sums, roster)
    return REACHED, now, events, proposals, steps


@kernel
def equal_part(span, phase_step, fastest):
    """Cut ``span`` into equal steps in which nothing turns by more than ``phase_step``.

    ``fastest`` is first rounded up to a power of two, so that the length stays the same while it hardly changes.
    """
    if fastest <= 0.0:
        return span
    _, exponent = math.frexp(fastest)
    longest = phase_step / math.ldexp(1.0, exponent)
    if span <= longest:
        return span
    return span / math.ceil(span / longest * (1.0 - 1e-9))


@kernel
def fastest_angle(counts, couplings, strength, work):
    """Bound the rate at which Omega and the force change anything, 1/time, by the counts alone.

    For each label f sqrt(n_a) and sqrt(2) sum_b R_ab sqrt(n_b/n_a), which no field `begin_copies_step` meets exceeds;
    for each edge its detuning.
    """
    reach = work.turning
    fastest = 0.0
    for label in range(counts.size):
        reach[label] = 0.0
        fastest = max(fastest, strength * math.sqrt(counts[label]))
    for edge in range(couplings.a.size):
        a, b = couplings.a[edge], couplings.b[edge]
        if counts[a] > 0 and counts[b] > 0:
            size = abs(couplings.h[edge])
            reach[a] += size * math.sqrt(counts[b] / counts[a])
            reach[b] += size * math.sqrt(counts[a] / counts[b])
            fastest = max(fastest, abs(couplings.omega[a] - couplings.omega[b]))
    for label in range(counts.size):
        fastest = max(fastest, math.sqrt(2.0) * reach[label])
    return fastest


@kernel
def begin_motion(counts, sums, momenta, couplings, strength, work, motion, roster):
    """Fill Z, W, Y, G and P of the phases as they are; return E in the frame that turns with the mean omega."""
    cosine, sine, beable, omega = motion.cosine, motion.sine, roster.beable, couplings.omega
    mean = 0.0
    for label in range(counts.size):
        mean += omega[label] * counts[label] / beable.size
    sums[:] = 0.0
    motion.doubled[:] = 0.0
    motion.carried[:] = 0.0
    energy = 0.0
    for copy in range(beable.size):
        label, momentum = beable[copy], momenta[copy]
        c, s = math.cos(roster.phase[copy]), math.sin(roster.phase[copy])
        cosine[copy], sine[copy] = c, s
        sums[label] += complex(c, -s)
        motion.doubled[label] += complex(c * c - s * s, -2.0 * c * s)
        motion.carried[label] += momentum * complex(c, -s)
        energy += momentum * (0.5 * momentum + omega[label] - mean)
    label_fields(counts, sums, couplings, work, work.field)
    label_fields(counts, motion.carried, couplings, work, motion.pull)
    for label in range(counts.size):
        y, w, g = motion.carried[label], motion.doubled[label], work.field[label]
        energy += y.real * g.real + y.imag * g.imag  # the sum of pi_I Re[exp(i phi_I) G]
        # sin^2 x = (1 - cos 2x) / 2, and every pair stands twice in |W|^2
        square = counts[label] * 1.0 * counts[label] - (w.real * w.real + w.imag * w.imag)
        energy += 0.125 * strength * strength * square
    return energy


@kernel
def _copy_for(
    counts, momenta, couplings, now, length, total, floor, mode, law, random_state, work, motion, roster, log
):
    """Let copies copy each other for ``length``, as in `per_copy.advance_copies`.

    Returns (elapsed, (copier, copied, loses, gains), events, proposals); the four are -1, or else the event that the
    bounds of the step do not cover: it has ended the step and is still to happen.
    """
    edges = couplings.a.size
    elapsed = 0.0
    events, proposals = 0, 0
    if law.reset:
        motion.rested[:] = 0.0
    while total > 0.0:
        elapsed += exponential(random_state) / total
        if elapsed >= length:
            break
        proposals += 1
        edge = draw_alias(random_state, edges, work.threshold, work.other) if edges > 1 else 0
        a, b = int(couplings.a[edge]), int(couplings.b[edge])
        first = int(member(a, below(random_state, counts[a]), roster))
        second = int(member(b, below(random_state, counts[b]), roster))
        angle = _phase_after(first, elapsed, momenta, couplings.omega, work.field, motion, roster)
        angle -= _phase_after(second, elapsed, momenta, couplings.omega, work.field, motion, roster)
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
            return elapsed, (copier, copied, loses, gains), events, proposals
        record(now + elapsed, copier, copied, loses, gains, log)
        _take_over(copier, copied, elapsed, momenta, law, motion, roster)
        move(copier, gains, counts, roster)
        events += 1
    return length, (-1, -1, -1, -1), events, proposals


@kernel
def _phase_after(copy, elapsed, momenta, omega, field, motion, roster):
    g = field[roster.beable[copy]]
    turning = omega[roster.beable[copy]] + motion.cosine[copy] * g.real - motion.sine[copy] * g.imag
    return roster.phase[copy] + elapsed * (momenta[copy] + turning)


@kernel
def _take_over(copier, copied, elapsed, momenta, law, motion, roster):
    """Give the copier phase and momentum of the copied, as they were at the beginning of the step.

    A momentum that is reset had carried the copied for ``elapsed``; without it the copier starts that much further on,
    and so that the force, that of a copy at rest, brings it to rest there.
    """
    roster.phase[copier] = roster.phase[copied]
    momenta[copier] = momenta[copied]
    motion.cosine[copier], motion.sine[copier] = motion.cosine[copied], motion.sine[copied]
    if law.reset:
        roster.phase[copier] += elapsed * momenta[copied]
        c, s = math.cos(roster.phase[copier]), math.sin(roster.phase[copier])
        label = roster.beable[copied]
        force = restoring(c, s, motion.doubled[label], law.strength) + _across(c, s, motion.pull[label])
        momenta[copier] = -elapsed * force
        motion.cosine[copier], motion.sine[copier], motion.rested[copier] = c, s, elapsed


@kernel
def flow(counts, sums, momenta, couplings, law, elapsed, random_state, work, motion, roster):
    """Advance phases and momenta by ``elapsed``, from G, W and P of the beginning (before the copy events) on."""
    _sum_carried(momenta, motion, roster)
    label_fields(counts, motion.carried, couplings, work, motion.shift)
    for label in range(counts.size):  # exactly zero where no event has happened
        motion.shift[label] = motion.pull[label] - motion.shift[label]
    relax(momenta, elapsed, law, random_state, motion)
    _open_momenta(counts, momenta, couplings, law.strength, elapsed, work, motion, roster)
    _turn_phases(counts, sums, couplings, elapsed, work, motion, roster)
    _close_momenta(counts, momenta, couplings, law.strength, elapsed, work, motion, roster)
    relax(momenta, elapsed, law, random_state, motion)


@kernel
def relax(momenta, elapsed, law, random_state, motion):
    """Advance d pi = -gamma pi dt + sqrt(2 gamma T) dW exactly for half of a step of ``elapsed``.

    pi e^(-gamma t) + sqrt(T (1 - e^(-2 gamma t))) xi; of a copy that came to rest within the step, less of the noise.
    """
    if law.friction <= 0.0:
        return
    half = 0.5 * elapsed
    decay = math.exp(-law.friction * half)
    spread = math.sqrt(-law.temperature * math.expm1(-2.0 * law.friction * half))
    words = opened(random_state)
    for copy in range(momenta.size):
        momenta[copy] *= decay
        if spread > 0.0:
            kick, words = next_normal(words)
            if law.reset and motion.rested[copy] > 0.0:
                kick *= math.sqrt(max(0.0, 1.0 - motion.rested[copy] / elapsed))
            momenta[copy] += spread * kick
    closed(words, random_state)


@kernel
def restoring(cosine, sine, doubled, strength):
    """-dV/dphi_I = -(f^2/2) Im[exp(2 i phi_I) W]."""
    product = (cosine * cosine - sine * sine) * doubled.imag + 2.0 * cosine * sine * doubled.real
    return -0.5 * strength * strength * product


@kernel
def _across(cosine, sine, field):
    """Im[exp(i phi_I) field]."""
    return cosine * field.imag + sine * field.real


@kernel
def _sum_carried(momenta, motion, roster):
    """Y_a = sum over the copies J of label a of pi_J exp(-i phi_J)."""
    motion.carried[:] = 0.0
    for copy in range(momenta.size):
        motion.carried[roster.beable[copy]] += momenta[copy] * complex(motion.cosine[copy], -motion.sine[copy])


@kernel
def _open_momenta(counts, momenta, couplings, strength, elapsed, work, motion, roster):
    """Solve half = pi + (h/2) force(phi, half): linear, and given P one division a copy, so that P is iterated."""
    cosine, sine, half, beable = motion.cosine, motion.sine, motion.half, roster.beable
    step = 0.5 * elapsed
    for copy in range(half.size):
        label = beable[copy]
        force = restoring(cosine[copy], sine[copy], motion.doubled[label], strength)
        motion.base[copy] = momenta[copy] + step * force
        half[copy] = momenta[copy]
    for _ in range(MOST_ITERATIONS):
        _sum_carried(half, motion, roster)
        label_fields(counts, motion.carried, couplings, work, motion.pull)
        change, largest = 0.0, 0.0
        for copy in range(half.size):
            label = beable[copy]
            c, s = cosine[copy], sine[copy]
            pull = _across(c, s, motion.pull[label] + motion.shift[label])
            value = (motion.base[copy] + step * pull) / (1.0 - step * _across(c, s, work.field[label]))
            change = max(change, abs(value - half[copy]))
            largest = max(largest, abs(value))
            half[copy] = value
        if change <= ROUNDING * largest:
            break


@kernel
def _turn_phases(counts, sums, couplings, elapsed, work, motion, roster):
    """Solve phi' = phi + h half + (h/2) (Omega(phi) + Omega(phi')); cosine, sine, Z and G are then those of phi'."""
    cosine, sine, base, beable, phase = motion.cosine, motion.sine, motion.base, roster.beable, roster.phase
    omega = couplings.omega
    step = 0.5 * elapsed
    for copy in range(base.size):
        label = beable[copy]
        turning = cosine[copy] * work.field[label].real - sine[copy] * work.field[label].imag
        base[copy] = phase[copy] + elapsed * (motion.half[copy] + omega[label]) + step * turning
        phase[copy] = base[copy] + step * turning
    for _ in range(MOST_ITERATIONS):
        sums[:] = 0.0
        for copy in range(base.size):
            cosine[copy], sine[copy] = math.cos(phase[copy]), math.sin(phase[copy])
            sums[beable[copy]] += complex(cosine[copy], -sine[copy])
        label_fields(counts, sums, couplings, work, work.field_end)
        change, largest = 0.0, 0.0
        for copy in range(base.size):
            field = work.field_end[beable[copy]]
            value = base[copy] + step * (cosine[copy] * field.real - sine[copy] * field.imag)
            change = max(change, abs(value - phase[copy]))
            largest = max(largest, abs(value))
            phase[copy] = value
        if change <= ROUNDING * largest:
            break
    for copy in range(base.size):
        phase[copy] %= 2.0 * math.pi


@kernel
def _close_momenta(counts, momenta, couplings, strength, elapsed, work, motion, roster):
    """Let pi' = half + (h/2) force(phi', half)."""
    cosine, sine, half, beable = motion.cosine, motion.sine, motion.half, roster.beable
    step = 0.5 * elapsed
    motion.doubled[:] = 0.0
    for copy in range(half.size):
        c, s = cosine[copy], sine[copy]
        motion.doubled[beable[copy]] += complex(c * c - s * s, -2.0 * c * s)
    _sum_carried(half, motion, roster)
    label_fields(counts, motion.carried, couplings, work, motion.pull)
    for copy in range(half.size):
        label = beable[copy]
        c, s = cosine[copy], sine[copy]
        force = restoring(c, s, motion.doubled[label], strength) + _across(c, s, motion.pull[label])
        momenta[copy] = half[copy] * (1.0 + step * _across(c, s, work.field_end[label])) + step * force


@kernel
def rates(counts, sums, momenta, couplings, strength, work, motion, roster, turning, force):
    """Write d phi_I/dt into ``turning`` and d pi_I/dt, less friction, into ``force``; return E as `begin_motion`."""
    energy = begin_motion(counts, sums, momenta, couplings, strength, work, motion, roster)
    for copy in range(momenta.size):
        label = roster.beable[copy]
        c, s, field = motion.cosine[copy], motion.sine[copy], work.field[label]
        turning[copy] = momenta[copy] + couplings.omega[label] + c * field.real - s * field.imag
        force[copy] = restoring(c, s, motion.doubled[label], strength) + _across(c, s, motion.pull[label])
        force[copy] += momenta[copy] * _across(c, s, field)
    return energy
