"""One step of the phase flow, with rates that bound what may happen in it.

The ensemble is held as counts n (int64) and phase factors u = exp(-i phi) (complex), so that psi_a = sqrt(n_a/N) u_a.
Between copy events u turns at the rate

    d phi_a / dt = omega_a + Re[conj(u_a) A_a] / sqrt(n_a),    A_a = sum_b h_ab sqrt(n_b) u_b,    h = H / hbar

which is (33), and on the edge (a, b) copies move at the rate 2 |Im z|, z = conj(sqrt(n_a) u_a) h_ab sqrt(n_b) u_b =
R_ab sqrt(n_a n_b) exp(i theta_ab), which is (32). Angles are never formed: the sine of an exact pi is an exact zero.

A step freezes the turning rates of its beginning, which leaves an error of second order in its length; the correction
at its end (`finish_step`) uses the mean of the rates at both ends.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from copydyn.kernels.compiled import kernel
from copydyn.kernels.memory import zeros
from copydyn.kernels.variates import fill_alias


class Couplings(NamedTuple):
    """H/hbar as edges: ``omega`` float64 (beable,); ``a``, ``b`` uint32, ``h`` = H_ab/hbar complex128 (edge,)."""

    omega: np.ndarray
    a: np.ndarray
    b: np.ndarray
    h: np.ndarray


class Workspace(NamedTuple):
    """What one step knows: filled by `begin_step`, never read across steps.

    Per label: the field and the turning rate at both ends, the square that the field would have without
    interference, the expected traffic of copies, and the counts between which the step's bounds hold. Per edge:
    2R sin and 2R cos of theta, how fast theta turns, the bound on the rate, and the alias table of the bounds.
    """

    field: np.ndarray
    field_end: np.ndarray
    turning: np.ndarray
    turning_end: np.ndarray
    strength: np.ndarray
    traffic: np.ndarray
    lowest: np.ndarray
    highest: np.ndarray
    sine: np.ndarray
    cosine: np.ndarray
    detuning: np.ndarray
    bound: np.ndarray
    threshold: np.ndarray
    other: np.ndarray
    stack: np.ndarray


def workspace(labels: int, edges: int) -> Workspace:
    """Allocate the scratch of one run once."""
    return Workspace(
        *(zeros(labels, np.complex128) for _ in range(2)),
        *(zeros(labels) for _ in range(4)),
        *(zeros(labels, np.int64) for _ in range(2)),
        *(zeros(edges) for _ in range(5)),
        *(zeros(edges, np.uint32) for _ in range(2)),
    )


@kernel
def turning_rates(counts, unit, couplings, work, turning):
    """Write d phi_a/dt of (33) into ``turning``; ``work.field`` and ``work.strength`` are its ingredients."""
    omega, edge_a, edge_b, h = couplings
    field, strength = work.field, work.strength
    for label in range(counts.size):
        field[label] = 0.0
        strength[label] = 0.0
    for edge in range(edge_a.size):
        a, b = edge_a[edge], edge_b[edge]
        if counts[a] > 0 and counts[b] > 0:
            field[a] += h[edge] * (math.sqrt(counts[b]) * unit[b])
            field[b] += h[edge].conjugate() * (math.sqrt(counts[a]) * unit[a])
            square = h[edge].real * h[edge].real + h[edge].imag * h[edge].imag
            strength[a] += square * counts[b]
            strength[b] += square * counts[a]
    for label in range(counts.size):
        turning[label] = omega[label]
        if counts[label] > 0:
            along = unit[label].real * field[label].real + unit[label].imag * field[label].imag
            turning[label] += along / math.sqrt(counts[label])


@kernel
def begin_step(counts, unit, couplings, longest, phase_step, work):
    """Fill ``work`` for a step of at most ``longest``; return (length, total bound on the rate of copy events).

    No amplitude changes by more than about ``phase_step`` of itself within the step, however small its count: near
    a node this alone decides whether a label goes extinct. The bounds hold while every count stays within
    ``work.lowest`` and ``work.highest``; the caller ends the step where one leaves.
    """
    _, edge_a, edge_b, h = couplings
    turning_rates(counts, unit, couplings, work, work.turning)
    fastest = _fastest_rate(counts, couplings, work)
    length = longest
    if fastest * length > phase_step:
        length = phase_step / fastest
    for label in range(counts.size):
        work.traffic[label] = 0.0
    for edge in range(edge_a.size):
        a, b = edge_a[edge], edge_b[edge]
        work.bound[edge] = 0.0
        if counts[a] > 0 and counts[b] > 0:
            turn = 2.0 * (unit[a].conjugate() * h[edge] * unit[b])
            work.sine[edge] = turn.imag
            work.cosine[edge] = turn.real
            work.detuning[edge] = work.turning[a] - work.turning[b]
            # |sin(theta + x)| <= |sin theta| + |x|: much tighter than one, because the step is short
            largest = abs(turn.imag) + abs(work.detuning[edge]) * length * math.hypot(turn.real, turn.imag)
            largest = min(largest, math.hypot(turn.real, turn.imag))
            work.bound[edge] = largest
            flow = largest * math.sqrt(counts[a] * 1.0 * counts[b]) * length
            work.traffic[a] += flow
            work.traffic[b] += flow
    for label in range(counts.size):
        room = slack(counts[label], work.traffic[label])
        work.lowest[label] = counts[label] - room
        work.highest[label] = counts[label] + room
    for edge in range(edge_a.size):
        if work.bound[edge] > 0.0:
            work.bound[edge] *= math.sqrt(work.highest[edge_a[edge]] * 1.0 * work.highest[edge_b[edge]])
    total = fill_alias(work.bound, edge_a.size, work.threshold, work.other, work.stack)
    return length, total


@kernel
def _fastest_rate(counts, couplings, work):
    """Largest relative rate of change in the ensemble, 1/time: of an amplitude, or of a phase difference."""
    _, edge_a, edge_b, _ = couplings
    fastest = 0.0
    for label in range(counts.size):
        if counts[label] > 0:
            field = work.field[label]
            # the coherent field may vanish for a moment; the incoherent sum tells how fast it comes back
            square = field.real * field.real + field.imag * field.imag + work.strength[label]
            fastest = max(fastest, math.sqrt(square / counts[label]))
    for edge in range(edge_a.size):
        a, b = edge_a[edge], edge_b[edge]
        if counts[a] > 0 and counts[b] > 0:
            fastest = max(fastest, abs(work.turning[a] - work.turning[b]))
    return fastest


@kernel
def slack(count, traffic):
    """How far a count may move before its step ends: what is expected and four deviations, but never a quarter."""
    return min(int(traffic + 4.0 * math.sqrt(traffic)), count // 4)


@kernel
def sine_after(sine, cosine, angle):
    """2R sin(theta + angle) from 2R sin(theta) and 2R cos(theta); the series errs by 2e-9 at an angle of 0.2."""
    square = angle * angle
    sin_angle = angle * (1.0 - square * (1.0 / 6.0) * (1.0 - square * (1.0 / 20.0)))
    cos_angle = 1.0 - square * 0.5 * (1.0 - square * (1.0 / 12.0) * (1.0 - square * (1.0 / 30.0)))
    return sine * cos_angle + cosine * sin_angle


@kernel
def finish_step(counts, unit, couplings, elapsed, work):
    """Turn the phase factors by the mean of the turning rates at both ends of the step (second order)."""
    for label in range(counts.size):
        unit[label] = turned(unit[label], work.turning[label] * elapsed)
    turning_rates(counts, unit, couplings, work, work.turning_end)
    for label in range(counts.size):
        unit[label] = turned(unit[label], 0.5 * (work.turning_end[label] - work.turning[label]) * elapsed)


@kernel
def turned(unit, angle):
    """Turn by exp(-i angle), brought back to modulus one to rounding."""
    after = unit * complex(math.cos(angle), -math.sin(angle))
    square = after.real * after.real + after.imag * after.imag
    return after * (1.5 - 0.5 * square)
