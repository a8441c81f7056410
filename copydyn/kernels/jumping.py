"""Thermalisation and collapse as jumps at the times of Poisson processes, many trajectories at a time.

A trajectory is a row of amplitudes psi_m in the basis of energies; between jumps nothing happens but exp(-i E t/hbar).
Rows and generators are those of `copydyn.kernels.thermalising`, blocks those of `copydyn.kernels.reducing`.
"""

from __future__ import annotations

import math

from copydyn.kernels.compiled import kernel
from copydyn.kernels.reducing import draw_block, transform
from copydyn.kernels.variates import closed, next_exponential, next_uniform, opened


@kernel
def advance_by_events(
    psi, random_state, span, thermalising, reducing, frequencies, window, chi, there, back, block, weight, moved
):
    """Evolve for the time ``span``, with two kinds of jumps between which only phases turn.

    At the rate Gamma psi becomes the level m, with probability chi_m; at the rate gamma it is measured: it becomes
    P_k psi, normalised, with probability |P_k psi|^2.

    Parameters
    ----------
    psi : complex128 (replica, level)
        Changed in place.
    random_state : uint64 (replica, 4)
    span : float
    thermalising, reducing : float
        Gamma, gamma.
    frequencies : float64 (level,)
        E/hbar.
    window : int64 (w,)
        The levels with chi_m > 0.
    chi : float64 (w,)
        Sums to one.
    there, back : complex128 (level, collapse), (collapse, level)
        Row m is what the level m is in the collapse basis, row c the other way round.
    block : int64 (collapse,)
        Number of the projector.
    weight, moved : float64 (block,), complex128 (collapse,)
        Scratch.
    """
    rate = thermalising + reducing
    for replica in range(psi.shape[0]):
        words, row = opened(random_state[replica]), psi[replica]
        left = span
        while rate > 0.0:
            wait, words = next_exponential(words)
            wait /= rate
            if wait >= left:
                break
            left -= wait
            turn(row, frequencies, wait)
            share, words = next_uniform(words)
            if share * rate < thermalising:
                words = become_level(row, window, chi, words)
            else:
                transform(there, row, moved)
                words = measure(moved, block, weight, words)
                transform(back, moved, row)
        turn(row, frequencies, left)
        closed(words, random_state[replica])


@kernel
def turn(psi, frequencies, time):
    """psi_m -> exp(-i E_m t/hbar) psi_m."""
    for m in range(psi.size):
        angle = frequencies[m] * time
        psi[m] *= complex(math.cos(angle), -math.sin(angle))


@kernel
def become_level(psi, window, chi, words):
    """Put a level of chi in the place of psi."""
    total = 0.0
    for k in range(window.size):
        total += chi[k]
    share, words = next_uniform(words)
    share *= total
    below, chosen = 0.0, 0
    for k in range(window.size):
        if chi[k] > 0.0 and below <= share:  # the last one, should rounding leave the sum short
            chosen = k
        below += chi[k]
    for m in range(psi.size):
        psi[m] = 0.0
    psi[window[chosen]] = 1.0
    return words


@kernel
def measure(psi, block, weight, words):
    """Project psi (collapse,) on the block k, drawn with probability |P_k psi|^2, and normalise it."""
    chosen, words = draw_block(psi, block, weight, words)
    scale = 1.0 / math.sqrt(weight[chosen])
    for a in range(psi.size):
        psi[a] = psi[a] * scale if block[a] == chosen else complex(0.0, 0.0)
    return words
