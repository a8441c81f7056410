"""Copy dynamics written plainly, to hold the kernels to it: nothing here is shared with them.

Angles instead of phase factors, a fourth-order step of the phases, and events by integrating the hazard up to an
exponential threshold instead of thinning. Slow, short, and with the faults that the tests must catch.
"""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True)
def _flow(phi, n, omega, r, delta):
    out = omega.copy()
    for a in range(n.size):
        for b in range(n.size):
            if a != b and n[a] > 0 and n[b] > 0:
                out[a] += np.sqrt(n[b] / n[a]) * r[a, b] * np.cos(phi[a] - phi[b] + delta[a, b])
    return out


@njit(cache=True)
def _rates(phi, n, r, delta, factor, sign, self_copies):
    """Rates of b -> a (32), as a matrix [b, a]."""
    out = np.zeros((n.size, n.size))
    for b in range(n.size):
        for a in range(n.size):
            if a != b and n[a] > 0 and n[b] > 0:
                rate = factor * r[a, b] * np.sqrt(n[a] * n[b]) * np.sin(sign * (phi[a] - phi[b] + delta[a, b]))
                if self_copies:  # the partner is drawn from the whole ensemble, the copier included
                    rate *= n[a] / n.sum()
                out[b, a] = max(rate, 0.0)
    return out


@njit(cache=True)
def _run(counts, phases, omega, r, delta, span, step, factor, sign, self_copies, seed):
    np.random.seed(seed)
    n, phi = counts.copy(), phases.copy()
    t, hazard, threshold = 0.0, 0.0, np.random.exponential(1.0)
    while t < span:
        present = n[n > 0]
        h = min(step * np.sqrt(present.min() / n.sum()) / max(r.max(), 1e-12), span - t)
        k1 = _flow(phi, n, omega, r, delta)
        k2 = _flow(phi + 0.5 * h * k1, n, omega, r, delta)
        k3 = _flow(phi + 0.5 * h * k2, n, omega, r, delta)
        k4 = _flow(phi + h * k3, n, omega, r, delta)
        middle = _rates(phi + 0.5 * h * k2, n, r, delta, factor, sign, self_copies)
        grown = middle.sum() * h
        if hazard + grown < threshold:
            phi += h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
            hazard += grown
            t += h
            continue
        part = (threshold - hazard) / grown * h
        phi += part * (k1 + (part / h) * (k2 - k1))  # the velocity half-way to the event, not to the end of the step
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


def simulate(h, counts, phases, span, runs, *, factor=2.0, sign=1.0, self_copies=False, step=0.02, seed=0):
    """Final counts of ``runs`` ensembles, int64 (run, beable), for hbar = 1."""
    h = np.asarray(h, dtype=complex)
    off = h - np.diag(np.diag(h))
    args = (np.diag(h).real.copy(), np.abs(off), np.angle(off), span, step, factor, sign, self_copies)
    counts, phases = np.asarray(counts, np.int64), np.asarray(phases, float)
    return np.array([_run(counts, phases, *args, seed * 1_000_003 + run) for run in range(runs)])
