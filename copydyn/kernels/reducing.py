"""Steps of spontaneous unitarity violation, alone and with thermalisation, many trajectories at a time.

A trajectory is a row of amplitudes psi_a in the collapse basis, whose vectors belong to blocks, one for each projector
P_k; p_k is the weight of a block. Rows and generators are those of `copydyn.kernels.thermalising`.
"""

from __future__ import annotations

import math

from copydyn.kernels.compiled import kernel
from copydyn.kernels.thermalising import channel_step
from copydyn.kernels.variates import closed, next_normal, next_uniform, opened


@kernel
def advance_by_reduction(psi, random_state, steps, span, free, columns, block, y, weight, moved):
    """Take ``steps`` steps, each half of the collapse, the Hamiltonian, half of the collapse.

    Parameters
    ----------
    psi : complex128 (replica, beable)
        Changed in place.
    random_state : uint64 (replica, 4)
    span : float
        gamma dt.
    free : bool
        Whether the Hamiltonian does nothing: a step is then exact in law, however long.
    columns : complex128 (beable, beable)
        Row b is column b of exp(-i H dt/hbar); not looked at where ``free``.
    block : int64 (beable,)
        Number of the projector.
    y, weight, moved : float64 (block,), float64 (block,), complex128 (beable,)
        Scratch.
    """
    for replica in range(psi.shape[0]):
        words, row = opened(random_state[replica]), psi[replica]
        for step in range(steps):
            if free:
                words = reduction_step(row, span, block, y, weight, words)
                continue
            # two halves that meet are one whole step, exactly
            words = reduction_step(row, 0.5 * span if step == 0 else span, block, y, weight, words)
            transform(columns, row, moved)
            for a in range(row.size):
                row[a] = moved[a]
        if not free:
            words = reduction_step(row, 0.5 * span, block, y, weight, words)
        closed(words, random_state[replica])


@kernel
def advance_by_both(
    psi,
    random_state,
    steps,
    span,
    there,
    back,
    block,
    y,
    weight,
    moved,
    keep,
    turn,
    window,
    chi,
    root,
    sector,
    real,
    v,
    room,
):
    """Take ``steps`` steps, each half of the collapse, thermalisation with the Hamiltonian, half of the collapse.

    Parameters
    ----------
    there, back : complex128 (beable, level), (level, beable)
        Row a is what |a> of the collapse basis is in the basis of energies, row m the other way round.

    The others are those of `advance_by_reduction` and of `copydyn.kernels.thermalising.advance_by_channel`.
    """
    for replica in range(psi.shape[0]):
        words, row = opened(random_state[replica]), psi[replica]
        for step in range(steps):
            words = reduction_step(row, 0.5 * span if step == 0 else span, block, y, weight, words)
            transform(there, row, moved)
            words = channel_step(moved, keep, turn, window, chi, root, sector, real, v, room, words)
            transform(back, moved, row)
        words = reduction_step(row, 0.5 * span, block, y, weight, words)
        closed(words, random_state[replica])


@kernel
def reduction_step(psi, span, block, y, weight, words):
    """Collapse one row ``psi`` (beable,) during gamma t = ``span``, exactly in law.

    k* is drawn with probability p_k; then psi -> sum_k exp(y_k) P_k psi, normalised, with
    y_k = sqrt(gamma t) N(0, 1) + 2 gamma t delta_(k k*).
    """
    if span <= 0.0:
        return words
    chosen, words = draw_block(psi, block, weight, words)
    width, top = math.sqrt(span), -math.inf
    for k in range(weight.size):
        x, words = next_normal(words)
        y[k] = width * x
        if k == chosen:
            y[k] += 2.0 * span
        if weight[k] > 0.0:
            top = max(top, y[k])
    norm = 0.0
    for k in range(weight.size):
        y[k] = math.exp(y[k] - top) if weight[k] > 0.0 else 0.0
        norm += weight[k] * y[k] * y[k]
    scale = 1.0 / math.sqrt(norm)
    for a in range(psi.size):
        psi[a] *= scale * y[block[a]]
    return words


@kernel
def draw_block(psi, block, weight, words):
    """Fill ``weight`` with |P_k psi|^2, and draw k with that probability."""
    for k in range(weight.size):
        weight[k] = 0.0
    total = 0.0
    for a in range(psi.size):
        square = psi[a].real * psi[a].real + psi[a].imag * psi[a].imag
        weight[block[a]] += square
        total += square
    share, words = next_uniform(words)
    share *= total
    below, chosen = 0.0, 0
    for k in range(weight.size):
        if weight[k] > 0.0 and below <= share:  # the last one, should rounding leave the sum short
            chosen = k
        below += weight[k]
    return chosen, words


@kernel
def transform(rows, given, out):
    """out_b = sum_a given_a rows_ab, in one order whoever calls: a library's product may sum in another."""
    for b in range(out.size):
        out[b] = 0.0
    for a in range(given.size):
        factor = given[a]
        if factor != 0.0:
            for b in range(out.size):
                out[b] += factor * rows[a, b]


@kernel
def transform_all(rows, given, out):
    """`transform` of each row of ``given``."""
    for replica in range(given.shape[0]):
        transform(rows, given[replica], out[replica])
