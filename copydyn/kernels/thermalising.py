"""Steps of objective quantum thermalisation, many trajectories at a time, in the basis of energies.

A trajectory is a row of amplitudes psi_m; W is the list of levels with chi_m > 0; a level belongs to a sector s, N_s is
the sum of |psi_n|^2 over a sector and s_s that of psi_n^2. Without charges there is one sector, and N = 1. Each row has
a generator of its own (`copydyn.kernels.variates`), so that nothing depends on which rows go together.

The random vector v_m = sqrt(chi_m N_s) Z_m stands for sum_n psi_n dW^mn, whose rows are independent: Z_m is complex
Gaussian with E|Z_m|^2 = 1, and E Z_m^2 = s_s/N_s where the noise is real, 0 where it is complex.
"""

from __future__ import annotations

import math

from copydyn.kernels.compiled import kernel
from copydyn.kernels.variates import closed, next_normal, next_uniform, opened

LEAST_SQUARE = 1e-14
"""Modulus of s below which its phase is rounding: the noise then has no direction."""

ROOM = 6
"""Numbers that a sector needs: N_s, the share of the wide quadrature, and what two normal numbers are mixed by."""


@kernel
def advance_by_channel(psi, random_state, steps, keep, turn, window, chi, root, sector, real, v, room):
    """Take ``steps`` steps of the exact channel: E psi psi^+ -> c^2 psi psi^+ + g^2 chi for any length of step.

    Parameters
    ----------
    psi : complex128 (replica, level)
        Changed in place.
    random_state : uint64 (replica, 4)
    keep : float
        c = exp(-Gamma dt/2).
    turn : complex128 (level,)
        exp(-i E dt/hbar).
    window : int64 (w,)
        The levels of W.
    chi : float64 (w,)
        Sums to one within each sector.
    root : float64 (w,)
        Square roots of chi.
    sector : int64 (level,)
    real : bool
        Whether the noise is real.
    v, room : complex128 (w,), float64 (sector, `ROOM`)
        Scratch.
    """
    for replica in range(psi.shape[0]):
        words = opened(random_state[replica])
        for _ in range(steps):
            words = channel_step(psi[replica], keep, turn, window, chi, root, sector, real, v, room, words)
        closed(words, random_state[replica])


@kernel
def channel_step(psi, keep, turn, window, chi, root, sector, real, v, room, words):
    """Take one step of the exact channel with one row ``psi`` (level,)."""
    sum_up(psi, sector, real, room)
    norm = 0.0
    for s in range(room.shape[0]):
        norm += room[s, 0]
    replaced = 1.0 - keep * keep
    if replaced > 0.0:
        norm, words = _add_noise(psi, keep, replaced, norm, window, chi, root, sector, v, room, words)
    scale = 1.0 / math.sqrt(norm)
    for m in range(psi.size):
        psi[m] = turn[m] * (scale * psi[m])
    return words


@kernel
def _add_noise(psi, keep, replaced, norm, window, chi, root, sector, v, room, words):
    """Put c psi + g v in the place of psi, v drawn from the Gaussian law times |c psi + g v|^2, without rejection.

    With probability g^2 one component, j, is drawn from its Gaussian times |v_j|^2; then v and -v are told apart.
    Returns the squared norm, that of psi being ``norm`` before.
    """
    chosen, first = -1, True
    share, words = next_uniform(words)
    if share < replaced:
        total = 0.0
        for k in range(window.size):
            total += chi[k] * room[sector[window[k]], 0]
        share, words = next_uniform(words)
        share *= total
        below = 0.0
        for k in range(window.size):
            weight = chi[k] * room[sector[window[k]], 0]
            if weight > 0.0 and below <= share:  # the last one, should rounding leave the sum short
                chosen = k
            below += weight
        share, words = next_uniform(words)
        first = share < room[sector[window[chosen]], 1]
    for k in range(window.size):
        x, words = next_normal(words)
        y, words = next_normal(words)
        v[k] = complex(x, y)
    if chosen >= 0:
        a, words = next_normal(words)
        b, words = next_normal(words)
        x, y = v[chosen].real, v[chosen].imag
        if first:
            v[chosen] = complex(math.copysign(math.sqrt(x * x + a * a + b * b), x), y)
        else:
            v[chosen] = complex(x, math.copysign(math.sqrt(y * y + a * a + b * b), y))
    square, along, many = 0.0, 0.0, room.shape[0] > 1
    xx, xy, yx, yy = room[0, 2], room[0, 3], room[0, 4], room[0, 5]
    for k in range(window.size):
        m = window[k]
        if many:
            s = sector[m]
            xx, xy, yx, yy = room[s, 2], room[s, 3], room[s, 4], room[s, 5]
        x, y = v[k].real, v[k].imag
        re = root[k] * (xx * x - xy * y)
        im = root[k] * (yx * x + yy * y)
        square += re * re + im * im
        along += psi[m].real * re + psi[m].imag * im
        v[k] = complex(re, im)
    weight = keep * keep * norm + replaced * square
    part = math.sqrt(replaced)
    share, words = next_uniform(words)
    if share < 0.5 - keep * part * along / weight:
        part = -part
    for m in range(psi.size):
        psi[m] *= keep
    for k in range(window.size):
        psi[window[k]] += part * v[k]
    return weight + 2.0 * keep * part * along, words


@kernel
def sum_up(psi, sector, real, room):
    """Fill ``room`` with N_s, (1 + |s|)/2, and what makes of normal numbers x, y the noise sqrt(N_s) Z.

    Z = exp(i f) (sqrt((1 + |s|)/2) x + i sqrt((1 - |s|)/2) y), where s_s/N_s = |s| exp(2 i f); s = 0 for complex noise.
    """
    if room.shape[0] == 1:
        norm, plus, cross = 0.0, 0.0, 0.0
        for m in range(psi.size):
            x, y = psi[m].real, psi[m].imag
            norm += x * x + y * y
            plus += x * x - y * y
            cross += x * y
        _mix(norm, plus, 2.0 * cross, real, room[0])
        return
    for s in range(room.shape[0]):
        for place in range(3):
            room[s, place] = 0.0
    for m in range(psi.size):
        x, y, s = psi[m].real, psi[m].imag, sector[m]
        room[s, 0] += x * x + y * y
        room[s, 1] += x * x - y * y
        room[s, 2] += 2.0 * x * y
    for s in range(room.shape[0]):
        _mix(room[s, 0], room[s, 1], room[s, 2], real, room[s])


@kernel
def _mix(norm, plus, cross, real, room):
    """Fill the row of a sector from N_s and the real and imaginary part of s_s."""
    modulus, cosine, sine = 0.0, 1.0, 0.0
    if real and norm > 0.0:
        size = math.sqrt(plus * plus + cross * cross)
        modulus = min(1.0, size / norm)
        if modulus < LEAST_SQUARE:
            modulus = 0.0
        elif plus >= 0.0:  # halves of an angle by square roots, each from the sum that loses no digits
            cosine = math.sqrt(0.5 * (1.0 + plus / size))
            sine = 0.5 * cross / (size * cosine)
        else:
            sine = math.copysign(math.sqrt(0.5 * (1.0 - plus / size)), cross)
            cosine = 0.5 * cross / (size * sine)
    share = 0.5 * (1.0 + modulus)
    wide, narrow = math.sqrt(norm * share), math.sqrt(norm * (1.0 - share))
    room[0], room[1] = norm, share
    room[2], room[3] = cosine * wide, sine * narrow
    room[4], room[5] = sine * wide, cosine * narrow


@kernel
def advance_by_jumps(psi, random_state, steps, keep, turn, window, chi, root, sector, real, v, room):
    """Replace psi, with probability 1 - c^2, by the level m with probability chi_m N_s; turn it by its energy.

    The means are those of the other schemes, the trajectories are not. Parameters as for `advance_by_channel`.
    """
    replaced = 1.0 - keep * keep
    for replica in range(psi.shape[0]):
        words = opened(random_state[replica])
        for _ in range(steps):
            words = jump_step(psi[replica], replaced, turn, window, chi, sector, room, words)
        closed(words, random_state[replica])


@kernel
def jump_step(psi, replaced, turn, window, chi, sector, room, words):
    """Take one step of jumps with one row ``psi`` (level,)."""
    share, words = next_uniform(words)
    if share < replaced:
        sum_up(psi, sector, False, room)
        total = 0.0
        for k in range(window.size):
            total += chi[k] * room[sector[window[k]], 0]
        share, words = next_uniform(words)
        share *= total
        below, chosen = 0.0, 0
        for k in range(window.size):
            weight = chi[k] * room[sector[window[k]], 0]
            if weight > 0.0 and below <= share:
                chosen = k
            below += weight
        for m in range(psi.size):
            psi[m] = 0.0
        psi[window[chosen]] = 1.0
    for m in range(psi.size):
        psi[m] *= turn[m]
    return words


@kernel
def advance_by_euler(psi, random_state, steps, span, turn, window, chi, root, sector, real, v, room):
    """Take ``steps`` Euler-Maruyama steps of the reduced equation, the energies exactly, the norm restored.

    d psi_m = [A_m N_s - (Gamma + a)/2] psi_m dt + zeta_m - (psi^+ zeta) psi_m with a = sum_m A_m N_s |psi_m|^2.

    Parameters
    ----------
    span : float
        Gamma dt; the others as for `advance_by_channel`.
    """
    for replica in range(psi.shape[0]):
        words = opened(random_state[replica])
        for _ in range(steps):
            sum_up(psi[replica], sector, real, room)
            for k in range(window.size):
                s = sector[window[k]]
                x, words = next_normal(words)
                y, words = next_normal(words)
                v[k] = complex(room[s, 2] * x - room[s, 3] * y, room[s, 4] * x + room[s, 5] * y)
            euler_step(psi[replica], span, turn, window, chi, root, sector, v, room)
        closed(words, random_state[replica])


@kernel
def advance_by_full_noise(psi, random_state, steps, span, turn, window, chi, root, sector, real, v, room):
    """Take the same steps with the noise as printed: a Wiener process for every pair of levels, D D_W normals a step.

    Parameters as for `advance_by_euler`.
    """
    half = math.sqrt(0.5)
    for replica in range(psi.shape[0]):
        words = opened(random_state[replica])
        for _ in range(steps):
            sum_up(psi[replica], sector, real, room)
            for k in range(window.size):
                s = sector[window[k]]
                total = complex(0.0, 0.0)
                for n in range(psi.shape[1]):
                    if sector[n] == s:
                        x, words = next_normal(words)
                        if real:
                            total += psi[replica, n] * x
                        else:
                            y, words = next_normal(words)
                            total += psi[replica, n] * complex(half * x, half * y)
                v[k] = total
            euler_step(psi[replica], span, turn, window, chi, root, sector, v, room)
        closed(words, random_state[replica])


@kernel
def euler_step(psi, span, turn, window, chi, root, sector, v, room):
    """Take one Euler step with the noises Z_m in ``v``, E|Z_m|^2 = N_s; ``room`` has N_s in its first column."""
    mean, overlap, width = 0.0, complex(0.0, 0.0), math.sqrt(span)
    for k in range(window.size):
        m = window[k]
        mean += chi[k] * room[sector[m], 0] * (psi[m].real * psi[m].real + psi[m].imag * psi[m].imag)
        v[k] *= width * root[k]
        overlap += psi[m].conjugate() * v[k]
    factor = 1.0 - 0.5 * span * (1.0 + mean) - overlap
    for k in range(window.size):  # what is added to the common factor, while psi_m is still the old one
        m = window[k]
        v[k] += chi[k] * room[sector[m], 0] * span * psi[m]
    for m in range(psi.size):
        psi[m] *= factor
    for k in range(window.size):
        psi[window[k]] += v[k]
    norm = 0.0
    for m in range(psi.size):
        norm += psi[m].real * psi[m].real + psi[m].imag * psi[m].imag
    scale = 1.0 / math.sqrt(norm)
    for m in range(psi.size):
        psi[m] = turn[m] * (scale * psi[m])
