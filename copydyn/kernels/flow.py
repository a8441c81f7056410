"""One step of the phase flow, with rates that bound what may happen in it.

The ensemble is held as counts n (int64) and phase factors u = exp(-i phi) (complex), so that psi_a = sqrt(n_a/N) u_a.
With x_a = sqrt(n_a) u_a, h = H/hbar and z = conj(x_a) h_ab x_b = R_ab sqrt(n_a n_b) exp(i theta_ab) on the edge (a, b),
u turns between copy events at the rate (33), and copies move at the rate (32):

    d phi_a / dt = omega_a + Re q_a,    q_a = sum_b z / n_a;    2 |Im z|

Angles are never formed: the sine of an exact pi is an exact zero.

**Order.** However many copies there are, an error of the phases stays, and so the mean of the counts errs by it too. So
phases follow the curvature of the *mean flow*, in which counts do what they do in the mean: x_a' = L_a x_a with
L_a = Im q_a - i (omega_a + Re q_a), and by differentiating

    q_a' = sum_b (z/n_a) (L_b - L_a),    q_a'' = sum_b (z/n_a) ((L_b - L_a)^2 + L_b' - L_a')

(the printed rule has the other sign before Im). Within a step of length h a phase is taken to be phi + s phi' +
s^2 (phi'' + h phi'''/4)/2, whose error has the mean zero over the step to leading order. At its end it is advanced by
h (phi'_0 + phi'_1)/2 + h^2 (phi''_0 - phi''_1)/12, with the rates of the counts that there really are (`finish_step`):
the trapezium, which has the right mean given the noise at the end, and its correction by Euler and Maclaurin. The mean
flow errs by the fourth order of the step, and deviations of the counts from it, which are of order N^(-1/2), by the
second. Where a floor holds copies back counts do not follow the mean flow, and all is of second order.
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

    Per label: x; L and L' as last evaluated; phi', phi'' and phi''' at the beginning, and (phi'' + h phi'''/4)/2; the
    square of its fastest relative change, the expected traffic of copies, and the counts between which the bounds hold.
    Per edge: z as last evaluated, 2R sin and 2R cos of theta, how fast theta turns and bends, the bound on the rate,
    and the alias table of the bounds. ``field`` and ``field_end`` are for copies with phases of their own (`per_copy`).
    """

    field: np.ndarray
    field_end: np.ndarray
    amplitude: np.ndarray
    drift: np.ndarray
    swing: np.ndarray
    pair: np.ndarray
    turning: np.ndarray
    bend: np.ndarray
    curve: np.ndarray
    lean: np.ndarray
    strength: np.ndarray
    traffic: np.ndarray
    lowest: np.ndarray
    highest: np.ndarray
    sine: np.ndarray
    cosine: np.ndarray
    detuning: np.ndarray
    bending: np.ndarray
    bound: np.ndarray
    threshold: np.ndarray
    other: np.ndarray
    stack: np.ndarray


def workspace(labels: int, edges: int) -> Workspace:
    """Allocate the scratch of one run once."""
    return Workspace(
        *(zeros(size, np.complex128) for size in (*5 * (labels,), edges)),
        *(zeros(labels) for _ in range(6)),
        *(zeros(labels, np.int64) for _ in range(2)),
        *(zeros(edges) for _ in range(6)),
        *(zeros(edges, np.uint32) for _ in range(2)),
    )


@kernel
def look(counts, unit, couplings, mode, work):
    """Fill ``work`` with z, L and the squares of the fastest relative changes; ``mode`` as in `per_label`."""
    omega, edge_a, edge_b, h = couplings
    amplitude, drift, strength, pair = work.amplitude, work.drift, work.strength, work.pair
    for label in range(counts.size):
        amplitude[label] = math.sqrt(counts[label]) * unit[label]
        drift[label] = 0.0
        strength[label] = 0.0
    for edge in range(edge_a.size):
        a, b = edge_a[edge], edge_b[edge]
        z = amplitude[a].conjugate() * h[edge] * amplitude[b]
        pair[edge] = z
        drift[a] += z
        drift[b] += z.conjugate()
        square = z.real * z.real + z.imag * z.imag
        strength[a] += square
        strength[b] += square
    for label in range(counts.size):
        share = 1.0 / counts[label] if counts[label] > 0 else 0.0
        pull = share * drift[label]
        # the coherent sum may vanish for a moment; the incoherent one tells how fast it comes back
        strength[label] = pull.real * pull.real + pull.imag * pull.imag + share * share * strength[label]
        drift[label] = complex(mode * pull.imag, -(omega[label] + pull.real))


@kernel
def look_ahead(counts, couplings, mode, work):
    """Fill in L' after `look`."""
    _, edge_a, edge_b, _ = couplings
    drift, swing = work.drift, work.swing
    for label in range(counts.size):
        swing[label] = 0.0
    for edge in range(edge_a.size):
        a, b = edge_a[edge], edge_b[edge]
        z, apart = work.pair[edge], drift[b] - drift[a]
        swing[a] += z * apart
        swing[b] -= z.conjugate() * apart
    for label in range(counts.size):
        share = 1.0 / counts[label] if counts[label] > 0 else 0.0
        pull = share * swing[label]
        swing[label] = complex(mode * pull.imag, -pull.real)


@kernel
def look_farther(counts, couplings, work):
    """Fill in phi''' after `look_ahead`."""
    _, edge_a, edge_b, _ = couplings
    drift, swing, curve = work.drift, work.swing, work.curve
    for label in range(counts.size):
        curve[label] = 0.0
    for edge in range(edge_a.size):
        a, b = edge_a[edge], edge_b[edge]
        z, apart = work.pair[edge], drift[b] - drift[a]
        square, parting = apart * apart, swing[b] - swing[a]
        curve[a] += z.real * (square.real + parting.real) - z.imag * (square.imag + parting.imag)
        curve[b] += z.real * (square.real - parting.real) + z.imag * (square.imag - parting.imag)
    for label in range(counts.size):
        curve[label] *= 1.0 / counts[label] if counts[label] > 0 else 0.0


@kernel
def begin_step(counts, unit, couplings, longest, phase_step, mode, work):
    """Fill ``work`` for a step of at most ``longest``; return (length, total bound on the rate of copy events).

    No amplitude changes by more than about ``phase_step`` of itself within the step, however small its count: near
    a node this alone decides whether a label goes extinct. The bounds hold while every count stays within
    ``work.lowest`` and ``work.highest``; the caller ends the step where one leaves.
    """
    _, edge_a, edge_b, h = couplings
    look(counts, unit, couplings, mode, work)
    look_ahead(counts, couplings, mode, work)
    look_farther(counts, couplings, work)
    for label in range(counts.size):
        work.turning[label] = -work.drift[label].imag
        work.bend[label] = -work.swing[label].imag
    fastest = _fastest_rate(counts, couplings, work)
    length = longest
    if fastest * length > phase_step:
        length = phase_step / fastest
    for label in range(counts.size):
        work.lean[label] = 0.5 * (work.bend[label] + 0.25 * length * work.curve[label])
        work.traffic[label] = 0.0
    for edge in range(edge_a.size):
        a, b = edge_a[edge], edge_b[edge]
        work.bound[edge] = 0.0
        if counts[a] > 0 and counts[b] > 0:
            root = math.sqrt(counts[a] * 1.0 * counts[b])
            size = 2.0 * math.sqrt(h[edge].real * h[edge].real + h[edge].imag * h[edge].imag)
            work.sine[edge] = 2.0 * work.pair[edge].imag / root
            work.cosine[edge] = 2.0 * work.pair[edge].real / root
            work.detuning[edge] = work.turning[a] - work.turning[b]
            work.bending[edge] = work.lean[a] - work.lean[b]
            work.bound[edge] = farthest_sine(
                work.sine[edge], work.cosine[edge], work.detuning[edge], work.bending[edge], length, size
            )
            work.traffic[a] += work.bound[edge] * root * length
            work.traffic[b] += work.bound[edge] * root * length
    for label in range(counts.size):
        growth, faster = work.drift[label].real, work.swing[label].real
        net = counts[label] * length * (2.0 * growth + length * (faster + 2.0 * growth * growth))
        work.lowest[label], work.highest[label] = limits(counts[label], net, work.traffic[label])
    for edge in range(edge_a.size):
        if work.bound[edge] > 0.0:
            work.bound[edge] *= math.sqrt(work.highest[edge_a[edge]] * 1.0 * work.highest[edge_b[edge]])
    total = fill_alias(work.bound, edge_a.size, work.threshold, work.other, work.stack)
    return length, total


@kernel
def limits(count, net, traffic):
    """Counts that a step allows: what the mean flow changes by ``net``, and four deviations, but never a quarter."""
    spread = 4.0 * math.sqrt(traffic)
    down, up = int(max(-net, 0.0) + spread), int(max(net, 0.0) + spread)
    return count - min(down, count // 4), count + min(up, count // 4)


@kernel
def farthest_sine(sine, cosine, detuning, bending, length, size):
    """Bound |2R sin| within a step: the larger one of both ends where theta and its sine go one way all the time."""
    turn = length * (abs(detuning) + length * abs(bending))
    if abs(cosine) > turn * size and abs(detuning) > 2.0 * length * abs(bending):
        return max(abs(sine), abs(sine_after(sine, cosine, length * (detuning + length * bending))))
    return min(abs(sine) + turn * size, size)


@kernel
def _fastest_rate(counts, couplings, work):
    """Largest relative rate of change in the ensemble, 1/time: of an amplitude, or of a phase difference."""
    _, edge_a, edge_b, _ = couplings
    square, fastest = 0.0, 0.0
    for label in range(counts.size):
        square = max(square, work.strength[label])
    for edge in range(edge_a.size):
        a, b = edge_a[edge], edge_b[edge]
        if counts[a] > 0 and counts[b] > 0:
            fastest = max(fastest, abs(work.turning[a] - work.turning[b]))
    return max(fastest, math.sqrt(square))


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
def finish_step(counts, unit, couplings, elapsed, mode, work):
    """Turn the phase factors to the end of the step, from what `begin_step` and the counts of the end say."""
    turning, bend, curve = work.turning, work.bend, work.curve
    for label in range(counts.size):
        ahead = turning[label] + elapsed * (0.5 * bend[label] + elapsed * curve[label] * (1.0 / 6.0))
        unit[label] = turned(unit[label], ahead * elapsed)
    look(counts, unit, couplings, mode, work)
    look_ahead(counts, couplings, mode, work)
    for label in range(counts.size):
        ahead = turning[label] + elapsed * (0.5 * bend[label] + elapsed * curve[label] * (1.0 / 6.0))
        corner = (bend[label] + work.swing[label].imag) * (1.0 / 12.0)  # the end's own phi'' has the sign of -L'
        whole = 0.5 * (turning[label] - work.drift[label].imag) + elapsed * corner
        unit[label] = turned(unit[label], (whole - ahead) * elapsed)


@kernel
def turned(unit, angle):
    """Turn by exp(-i angle), brought back to modulus one to rounding."""
    after = unit * complex(math.cos(angle), -math.sin(angle))
    square = after.real * after.real + after.imag * after.imag
    return after * (1.5 - 0.5 * square)
