"""The family of rules written plainly, to hold the kernel and the mean field to it: nothing here is shared with them.

As tests/plain.py: angles, matrices over pairs of labels, a fourth-order step, and events by integrating the hazard up
to an exponential threshold. The offset of a pair is antisymmetric in its labels.
"""

from __future__ import annotations

import numpy as np
from numba import njit


@njit
def _velocity(phi, n, omega, r, delta, power, order, turning, offset):
    out = omega.copy()
    for a in range(n.size):
        for b in range(n.size):
            if a != b and n[a] > 0 and n[b] > 0:
                theta = phi[a] - phi[b] + delta[a, b]
                sign = 1.0 if a < b else -1.0
                for m in range(order.size):
                    cosine = np.cos(order[m] * theta + sign * offset[m])
                    out[a] += (n[a] / n[b]) ** power * r[a, b] * turning[m] * cosine
    return out


@njit
def _rates(phi, n, r, delta, power, order, copying, offset):
    """Rates of b -> a, as a matrix [b, a]: the copies in b times (18)."""
    out = np.zeros((n.size, n.size))
    for b in range(n.size):
        for a in range(n.size):
            if a != b and n[a] > 0 and n[b] > 0:
                theta = phi[a] - phi[b] + delta[a, b]
                sign = 1.0 if a < b else -1.0
                for m in range(order.size):
                    sine = np.sin(order[m] * theta + sign * offset[m])
                    out[b, a] += n[b] * (n[a] / n[b]) ** power * r[a, b] * copying[m] * max(sine, 0.0)
    return out


@njit
def _run(counts, phases, omega, r, delta, powers, order, copying, turning, offsets, span, step, seed):
    np.random.seed(seed)
    q, p = powers
    n, phi = counts.astype(np.float64), phases.copy()
    t, hazard, threshold = 0.0, 0.0, np.random.exponential(1.0)
    while t < span:
        fastest = 1e-12
        for a in range(n.size):
            for b in range(n.size):
                if a != b and n[a] > 0 and n[b] > 0:
                    fastest = max(fastest, 2 * r[a, b] * (n[a] / n[b]) ** p)
                    fastest = max(fastest, 2 * r[a, b] * (n[a] / n[b]) ** q * n[b] / n[a])
        h = min(step / fastest, span - t)
        k1 = _velocity(phi, n, omega, r, delta, p, order, turning, offsets[1])
        k2 = _velocity(phi + 0.5 * h * k1, n, omega, r, delta, p, order, turning, offsets[1])
        k3 = _velocity(phi + 0.5 * h * k2, n, omega, r, delta, p, order, turning, offsets[1])
        k4 = _velocity(phi + h * k3, n, omega, r, delta, p, order, turning, offsets[1])
        middle = _rates(phi + 0.5 * h * k2, n, r, delta, q, order, copying, offsets[0])
        grown = middle.sum() * h
        if hazard + grown < threshold:
            phi += h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
            hazard += grown
            t += h
            continue
        part = (threshold - hazard) / grown * h
        phi += part * (k1 + (part / h) * (k2 - k1))
        t += part
        mark = np.random.random() * middle.sum()
        for b in range(n.size):
            for a in range(n.size):
                if mark >= 0.0:
                    mark -= middle[b, a]
                    if mark < 0.0:
                        n[b] -= 1
                        n[a] += 1
        hazard, threshold = 0.0, np.random.exponential(1.0)
    return n


def _matrices(h):
    h = np.asarray(h, dtype=complex)
    off = h - np.diag(np.diag(h))
    return np.diag(h).real.copy(), np.abs(off), np.angle(off)


def _series(rule):
    columns = [[getattr(m, name) for m in rule.harmonics] for name in ("order", "copying", "turning")]
    order, copying, turning = np.array(columns, dtype=float)
    offsets = np.array([[getattr(m, f"{kind}_offset") for m in rule.harmonics] for kind in ("copy", "turn")])
    return order, rule.ratio * copying, turning, offsets


def simulate_family(h, counts, phases, span, runs, rule, *, step=0.02, seed=0):
    """Final counts of ``runs`` ensembles, int64 (run, beable), for hbar = 1."""
    counts, phases = np.asarray(counts, np.int64), np.asarray(phases, float)
    args = (*_matrices(h), (rule.q, rule.r), *_series(rule), span, step)
    return np.array([_run(counts, phases, *args, seed * 1_000_003 + run) for run in range(runs)]).astype(np.int64)


def equations(h, rule):
    """d(rho, phi)/dt as a function of (t, y), for N -> infinity and hbar = 1."""
    omega, r, delta = _matrices(h)
    order, copying, turning, offsets = _series(rule)

    def rates(_, y):
        rho, phi = np.split(y, 2)
        flow = _rates(phi, rho, r, delta, rule.q, order, copying, offsets[0])
        velocity = _velocity(phi, rho, omega, r, delta, rule.r, order, turning, offsets[1])
        return np.concatenate([flow.sum(axis=0) - flow.sum(axis=1), velocity])

    return rates
