"""Steps of collapse that is driven by noise with a memory, many trajectories at a time.

d psi_k/dt = (a_k - sum_j p_j a_j) psi_k keeps the norm, and psi_k(t) ~ psi_k(0) exp(y_k), p_k ~ p_k(0) exp(2 y_k) with
dy_k/dt = a_k = J p_k + D xi_k(t). For two states with one noise the pair (xi, -xi) is that noise; see
`copydyn.irreversible.coloured`.
"""

from __future__ import annotations

import math

from copydyn.kernels.compiled import kernel
from copydyn.kernels.variates import closed, next_normal, next_uniform, opened

NORMAL = 0
"""Ornstein and Uhlenbeck's noise: d xi = -xi dt/tau + dB/tau."""

SPHERICAL = 1
"""Spherical Brownian motion: uniform on [-1, 1]."""

FROZEN = 2
"""A uniform number that stays."""


@kernel
def begin_noise(xi, random_state, kind, width):
    """Draw xi (replica, noise) from its stationary law: normal with standard deviation ``width``, or uniform."""
    for replica in range(xi.shape[0]):
        words = opened(random_state[replica])
        for k in range(xi.shape[1]):
            if kind == NORMAL:
                x, words = next_normal(words)
                xi[replica, k] = width * x
            else:
                share, words = next_uniform(words)
                xi[replica, k] = 2.0 * share - 1.0
        closed(words, random_state[replica])


@kernel
def advance_driven(y, xi, random_state, steps, dt, drift, noise, kind, width, decay, paired, weight, p, middle, before):
    """Take ``steps`` steps of y (replica, state): the noise exactly, its integral by the trapezium, J p at the middle.

    Parameters
    ----------
    y : float64 (replica, state)
        Starts at zero; changed in place, as xi is.
    xi : float64 (replica, noise)
    drift, noise : float
        J and D.
    width : float
        Standard deviation of xi, for `NORMAL`.
    decay : float
        exp(-dt/tau).
    paired : bool
        Whether one noise drives two states with opposite signs.
    weight : float64 (state,)
        p_k(0).
    p, middle, before : float64 (state,), (state,), (noise,)
        Scratch.
    """
    spread = width * math.sqrt(1.0 - decay * decay)
    turned = math.sqrt(1.0 - decay * decay)
    states, noises = y.shape[1], xi.shape[1]
    for replica in range(y.shape[0]):
        words = opened(random_state[replica])
        for _ in range(steps):
            for k in range(noises):
                now = xi[replica, k]
                before[k] = now
                if kind == NORMAL:
                    x, words = next_normal(words)
                    xi[replica, k] = decay * now + spread * x
                elif kind == SPHERICAL:
                    share, words = next_uniform(words)
                    flat = math.sqrt(max(0.0, 1.0 - now * now))
                    xi[replica, k] = decay * now + flat * turned * math.cos(2.0 * math.pi * share)
            shares(y[replica], weight, p)
            for k in range(states):
                force = before[0] if k == 0 else -before[0]
                if not paired:
                    force = before[k]
                middle[k] = y[replica, k] + 0.5 * dt * (drift * p[k] + noise * force)
            shares(middle, weight, p)
            for k in range(states):
                force = 0.5 * (before[0] + xi[replica, 0])
                if paired and k == 1:
                    force = -force
                if not paired:
                    force = 0.5 * (before[k] + xi[replica, k])
                y[replica, k] += dt * (drift * p[k] + noise * force)
            top = y[replica, 0]
            for k in range(1, states):
                top = max(top, y[replica, k])
            for k in range(states):  # only differences matter, and the largest exponent may then be zero
                y[replica, k] -= top
        closed(words, random_state[replica])


@kernel
def shares(y, weight, p):
    """p_k = p_k(0) exp(2 y_k) / sum."""
    top = -math.inf
    for k in range(y.size):
        if weight[k] > 0.0:
            top = max(top, y[k])
    total = 0.0
    for k in range(y.size):
        p[k] = weight[k] * math.exp(2.0 * (y[k] - top)) if weight[k] > 0.0 else 0.0
        total += p[k]
    for k in range(y.size):
        p[k] /= total
