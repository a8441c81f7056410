"""Steps of thermalisation of one part, many trajectories at a time; the noise is then a vector on the rest.

A trajectory is a row psi_mb, flat, m being levels of the part and b those of the rest, which runs faster. For each
level m of the window the noise is Z_m = sum_n psi_n dW^mn, n over the levels of the sector of m: one Gaussian number
g_n for each, which multiplies the vector psi_n of the rest. Rows, generators, windows and sectors are otherwise those
of `copydyn.kernels.thermalising`.
"""

from __future__ import annotations

import math

from copydyn.kernels.compiled import kernel
from copydyn.kernels.variates import closed, next_normal, next_uniform, opened


@kernel
def advance_part_by_channel(psi, random_state, steps, keep, turn, window, chi, root, sector, real, v, g, norms):
    """Take ``steps`` steps of the exact channel, for any length of step.

    E psi psi^+ -> c^2 psi psi^+ + g^2 sum_s chi^(s) x Tr_A(Pi_s psi psi^+).

    Parameters
    ----------
    psi : complex128 (replica, level x rest level)
        Changed in place.
    turn : complex128 (level x rest level,)
        exp(-i E dt/hbar), of both.
    sector : int64 (level,)
        Of the part.
    v, g, norms : complex128 (w x rest level,), float64 (2, level), float64 (sector,)
        Scratch.

    The others are those of `copydyn.kernels.thermalising.advance_by_channel`.
    """
    for replica in range(psi.shape[0]):
        words = opened(random_state[replica])
        for _ in range(steps):
            words = _channel_step(psi[replica], keep, turn, window, chi, root, sector, real, v, g, norms, words)
        closed(words, random_state[replica])


@kernel
def _channel_step(psi, keep, turn, window, chi, root, sector, real, v, g, norms, words):
    """Take one step with one row, as `copydyn.kernels.thermalising.channel_step` does.

    With probability g^2 the noise is drawn from its Gaussian law times |v|^2: a level j is chosen, then one real number
    of which |Z_j|^2 is the sum of squares, along whose direction g has chi_3's law.
    """
    rest = psi.size // sector.size
    norm = weigh(psi, sector, norms)
    replaced = 1.0 - keep * keep
    if replaced > 0.0:
        chosen, place, imaginary = -1, 0, False
        share, words = next_uniform(words)
        if share < replaced:
            chosen, words = choose_level(window, chi, sector, norms, words)
            place, imaginary, words = _choose_direction(psi, sector, sector[window[chosen]], real, words)
        square, along = 0.0, 0.0
        for k in range(window.size):
            m = window[k]
            words = _draw(g, sector, sector[m], real, words)
            if k == chosen:
                words = _stretch(psi, g, sector, sector[m], place, imaginary, real, words)
            for b in range(rest):
                total = complex(0.0, 0.0)
                for n in range(sector.size):
                    if sector[n] == sector[m]:
                        total += psi[n * rest + b] * complex(g[0, n], g[1, n])
                total *= root[k]
                v[k * rest + b] = total
                square += total.real * total.real + total.imag * total.imag
                old = psi[m * rest + b]
                along += old.real * total.real + old.imag * total.imag
        weight = keep * keep * norm + replaced * square
        part = math.sqrt(replaced)
        share, words = next_uniform(words)
        if share < 0.5 - keep * part * along / weight:
            part = -part
        for a in range(psi.size):
            psi[a] *= keep
        for k in range(window.size):
            for b in range(rest):
                psi[window[k] * rest + b] += part * v[k * rest + b]
        norm = weight + 2.0 * keep * part * along
    scale = 1.0 / math.sqrt(norm)
    for a in range(psi.size):
        psi[a] = turn[a] * (scale * psi[a])
    return words


@kernel
def advance_part_by_jumps(psi, random_state, steps, keep, turn, window, chi, root, sector, real, v, g, norms):
    """Let the part, with probability 1 - c^2, jump from n to m: |m> x psi_n, with probability chi_m |psi_n|^2.

    n is of the sector of m; the means are those of the channel. Parameters as for `advance_part_by_channel`.
    """
    replaced, rest = 1.0 - keep * keep, psi.shape[1] // sector.size
    for replica in range(psi.shape[0]):
        words, row = opened(random_state[replica]), psi[replica]
        for _ in range(steps):
            share, words = next_uniform(words)
            if share < replaced:
                weigh(row, sector, norms)
                chosen, words = choose_level(window, chi, sector, norms, words)
                m = window[chosen]
                share, words = next_uniform(words)
                share *= norms[sector[m]]
                below, source = 0.0, m
                for n in range(sector.size):
                    if sector[n] == sector[m]:
                        square = _square(row, n * rest, (n + 1) * rest)
                        if square > 0.0 and below <= share:  # the last one, should rounding leave the sum short
                            source = n
                        below += square
                scale = 1.0 / math.sqrt(_square(row, source * rest, (source + 1) * rest))
                for b in range(rest):
                    v[b] = scale * row[source * rest + b]
                for a in range(row.size):
                    row[a] = 0.0
                for b in range(rest):
                    row[m * rest + b] = v[b]
            for a in range(row.size):
                row[a] *= turn[a]
        closed(words, random_state[replica])


@kernel
def weigh(psi, sector, norms):
    """Fill ``norms`` with N_s, the weights of the sectors, and return their sum."""
    rest, total = psi.size // sector.size, 0.0
    for s in range(norms.size):
        norms[s] = 0.0
    for m in range(sector.size):
        square = _square(psi, m * rest, (m + 1) * rest)
        norms[sector[m]] += square
        total += square
    return total


@kernel
def choose_level(window, chi, sector, norms, words):
    """Draw a place in the window with probability chi_m N_s."""
    total = 0.0
    for k in range(window.size):
        total += chi[k] * norms[sector[window[k]]]
    share, words = next_uniform(words)
    share *= total
    below, chosen = 0.0, 0
    for k in range(window.size):
        weight = chi[k] * norms[sector[window[k]]]
        if weight > 0.0 and below <= share:
            chosen = k
        below += weight
    return chosen, words


@kernel
def _choose_direction(psi, sector, own, real, words):
    """Draw a level b of the rest, and the real or the imaginary part, with what it has of E|Z|^2."""
    rest = psi.size // sector.size
    total = 0.0
    for m in range(sector.size):
        if sector[m] == own:
            total += _square(psi, m * rest, (m + 1) * rest)
    share, words = next_uniform(words)
    share *= total
    below, place, imaginary = 0.0, 0, False
    for b in range(rest):
        re, im = 0.0, 0.0
        for n in range(sector.size):
            if sector[n] == own:
                re += psi[n * rest + b].real * psi[n * rest + b].real
                im += psi[n * rest + b].imag * psi[n * rest + b].imag
        if not real:  # either part of a complex number has half of its weight
            re = im = 0.5 * (re + im)
        if re > 0.0 and below <= share:
            place, imaginary = b, False
        below += re
        if im > 0.0 and below <= share:
            place, imaginary = b, True
        below += im
    return place, imaginary, words


@kernel
def _draw(g, sector, own, real, words):
    """Fill the levels of a sector with Gaussian numbers of E|g|^2 = 1."""
    half = math.sqrt(0.5)
    for n in range(sector.size):
        if sector[n] == own:
            x, words = next_normal(words)
            if real:
                g[0, n], g[1, n] = x, 0.0
            else:
                y, words = next_normal(words)
                g[0, n], g[1, n] = half * x, half * y
    return words


@kernel
def _stretch(psi, g, sector, own, place, imaginary, real, words):
    """Give g chi_3's law along the direction that makes one part of sum_n g_n psi_nb."""
    rest = psi.size // sector.size
    unit = 1.0 if real else math.sqrt(0.5)  # standard deviation of a part of g
    length, x = 0.0, 0.0
    for n in range(sector.size):
        if sector[n] == own:
            re, im = _direction(psi[n * rest + place], imaginary, real)
            length += re * re + im * im
            x += re * g[0, n] + im * g[1, n]
    length = math.sqrt(length)
    x /= unit * length
    a, words = next_normal(words)
    b, words = next_normal(words)
    change = unit * (math.copysign(math.sqrt(x * x + a * a + b * b), x) - x) / length
    for n in range(sector.size):
        if sector[n] == own:
            re, im = _direction(psi[n * rest + place], imaginary, real)
            g[0, n] += change * re
            g[1, n] += change * im
    return words


@kernel
def _direction(amplitude, imaginary, real):
    """What Re g and Im g are multiplied by in one part of g psi."""
    if imaginary:
        return amplitude.imag, 0.0 if real else amplitude.real
    return amplitude.real, 0.0 if real else -amplitude.imag


@kernel
def _square(psi, begin, end):
    """Sum of |psi_a|^2."""
    total = 0.0
    for a in range(begin, end):
        total += psi[a].real * psi[a].real + psi[a].imag * psi[a].imag
    return total
