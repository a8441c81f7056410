"""Random variates from our own generator, so that no upgrade of a library can change a result.

The generator is xoshiro256++ (Blackman and Vigna, ACM Trans. Math. Softw. 47, 2021): 256 bits of state in a uint64
array (4,), one 64-bit word a call, period 2^256 - 1. Each replica owns one, seeded by `copydyn.streams`.
"""

from __future__ import annotations

import math

import numpy as np
from numba import uint32, uint64

from copydyn.kernels.compiled import kernel, likely

_TO_UNIT = 2.0**-53

# Ziggurat for exp(-x) with 256 layers of equal area (Marsaglia and Tsang, J. Stat. Softw. 5, 2000): the base layer
# starts at _TAIL, and _AREA is the area of each layer.
_TAIL = 7.69711747013104972
_AREA = 0.0039496598225815571993


def _ziggurat() -> tuple[np.ndarray, np.ndarray]:
    edge = np.zeros(257)
    edge[0], edge[1] = _AREA * math.exp(_TAIL), _TAIL
    for layer in range(1, 255):
        edge[layer + 1] = -math.log(math.exp(-edge[layer]) + _AREA / edge[layer])
    return edge, np.exp(-edge)


_EDGE, _HEIGHT = _ziggurat()

# The same for exp(-x^2/2), on both sides of zero.
_BELL_TAIL = 3.6541528853610088
_BELL_AREA = 0.00492867323397465524494


def _bell() -> tuple[np.ndarray, np.ndarray]:
    edge = np.zeros(257)
    edge[0], edge[1] = _BELL_AREA * math.exp(0.5 * _BELL_TAIL**2), _BELL_TAIL
    for layer in range(1, 255):
        height = math.exp(-0.5 * edge[layer] ** 2) + _BELL_AREA / edge[layer]
        edge[layer + 1] = math.sqrt(-2.0 * math.log(height))
    return edge, np.exp(-0.5 * edge**2)


_BELL_EDGE, _BELL_HEIGHT = _bell()

_SMALL = 30.0
"""Mean of a Poisson law below which it is summed up."""

_LARGE = 1e8
"""Mean from which on what is left of the expansion moves less than 1e-4 copies."""


@kernel
def next_word(words):
    """Draw 64 random bits: one step of xoshiro256++."""
    s0, s1, s2, s3 = words
    total = s0 + s3
    word = ((total << uint64(23)) | (total >> uint64(41))) + s0
    shifted = s1 << uint64(17)
    s2 ^= s0
    s3 ^= s1
    s1 ^= s2
    s0 ^= s3
    s2 ^= shifted
    return word, (s0, s1, s2, (s3 << uint64(45)) | (s3 >> uint64(19)))


@kernel
def opened(state):
    """Take the four words out of ``state``: in a loop they stay in registers, where an array must be written back."""
    return state[0], state[1], state[2], state[3]


@kernel
def closed(words, state):
    """Put the four words back."""
    state[0], state[1], state[2], state[3] = words


@kernel
def next_uniform(words):
    """Draw from [0, 1) in steps of 2^-53; return the draw and the words after it."""
    word, words = next_word(words)
    return (word >> uint64(11)) * _TO_UNIT, words


@kernel
def next_exponential(words):
    """Draw from exp(-x), x >= 0, by the ziggurat; the tail starts afresh because the law has no memory."""
    offset = 0.0
    while True:
        word, words = next_word(words)
        layer = word & uint64(255)
        x = (word >> uint64(11)) * _TO_UNIT * _EDGE[layer]
        if likely(x < _EDGE[layer + uint64(1)]):
            return offset + x, words
        if layer == 0:
            offset += _TAIL
        else:
            share, words = next_uniform(words)
            low, high = _HEIGHT[layer], _HEIGHT[layer + uint64(1)]
            if low + share * (high - low) < math.exp(-x):
                return offset + x, words


@kernel
def next_normal(words):
    """Draw from the normal law of mean 0 and variance 1, by the ziggurat; the tail by Marsaglia's method."""
    while True:
        word, words = next_word(words)
        layer = word & uint64(255)
        x = ((word >> uint64(11)) * _TO_UNIT * 2.0 - 1.0) * _BELL_EDGE[layer]
        if likely(abs(x) < _BELL_EDGE[layer + uint64(1)]):
            return x, words
        if layer == 0:
            far, words = _next_far(words)
            return math.copysign(far, x), words
        share, words = next_uniform(words)
        low, high = _BELL_HEIGHT[layer], _BELL_HEIGHT[layer + uint64(1)]
        if low + share * (high - low) < math.exp(-0.5 * x * x):
            return x, words


@kernel
def _next_far(words):
    """Draw from the normal law beyond `_BELL_TAIL`."""
    while True:
        x, words = next_exponential(words)
        y, words = next_exponential(words)
        x /= _BELL_TAIL
        if 2.0 * y > x * x:
            return _BELL_TAIL + x, words


@kernel
def next_poisson(words, mean):
    """Draw from the Poisson law of ``mean`` >= 0, as a whole float, which has no largest value.

    Below a mean of `_SMALL` by summing the law up; above by its quantile as an expansion about that of the normal law,
    whose floor errs in the distribution function by less than 5e-6 (Giles, ACM Trans. Math. Softw. 42, 2016).
    """
    if not likely(mean >= _SMALL):
        return _summed_up(words, mean)
    w, words = next_normal(words)
    root, square = math.sqrt(mean), w * w
    shift = (1.0 / 3.0) + square * (1.0 / 6.0)
    if not likely(mean >= _LARGE):
        shift -= w * (1.0 / 36.0 + square * (1.0 / 72.0)) / root
        shift += (-8.0 / 405.0 + square * (7.0 / 810.0 + square * (1.0 / 270.0))) / mean
    return max(0.0, math.floor(mean + (root * w + shift))), words


@kernel
def _summed_up(words, mean):
    share, words = next_uniform(words)
    chance = math.exp(-mean)
    below, k = chance, 0.0
    while below <= share and k < 10.0 * _SMALL:
        k += 1.0
        chance *= mean / k
        below += chance
    return k, words


@kernel
def next_below(words, bound):
    """Draw an integer from 0..bound-1, bound < 2^53, with bias below bound/2^53."""
    share, words = next_uniform(words)
    return int(share * bound), words


@kernel
def next_cell(words, size, threshold, other):
    """Draw a cell of the alias table with probability proportional to its weight, O(1)."""
    share, words = next_uniform(words)
    place = share * size
    cell = uint32(place)
    return cell if place - cell < threshold[cell] else other[cell], words


@kernel
def uniform(state):
    """Draw from [0, 1) in steps of 2^-53."""
    share, words = next_uniform(opened(state))
    closed(words, state)
    return share


@kernel
def fill_uniform(state, out):
    """Fill ``out`` with draws from [0, 1)."""
    for place in range(out.size):
        out[place] = uniform(state)


@kernel
def exponential(state):
    """Draw from exp(-x), x >= 0."""
    x, words = next_exponential(opened(state))
    closed(words, state)
    return x


@kernel
def fill_normal(state, out):
    """Fill ``out`` with draws from the normal law of mean 0 and variance 1."""
    words = opened(state)
    for place in range(out.size):
        out[place], words = next_normal(words)
    closed(words, state)


@kernel
def below(state, bound):
    """Draw an integer from 0..bound-1, bound < 2^53, with bias below bound/2^53."""
    return int(uniform(state) * bound)


@kernel
def fill_alias(weight, size, threshold, other, stack):
    """Make Walker's alias table of ``weight[:size]`` (Vose's construction, O(size)); return the sum of the weights.

    ``stack`` is scratch of the same length: small cells fill it from the left, large ones from the right.
    """
    total = 0.0
    for cell in range(size):
        total += weight[cell]
    if total <= 0.0:
        return 0.0
    scale = size / total
    small, large = 0, size
    for cell in range(size):
        threshold[cell] = weight[cell] * scale
        other[cell] = cell
        if threshold[cell] < 1.0:
            stack[small] = cell
            small += 1
        else:
            large -= 1
            stack[large] = cell
    while small > 0 and large < size:
        small -= 1
        poor, rich = stack[small], stack[large]
        other[poor] = rich
        threshold[rich] -= 1.0 - threshold[poor]
        if threshold[rich] < 1.0:
            large += 1
            stack[small] = rich
            small += 1
    # what is left over differs from one by rounding alone, but a weight of zero must never be drawn
    for place in range(small):
        threshold[stack[place]] = 1.0 if weight[stack[place]] > 0.0 else 0.0
    for place in range(large, size):
        threshold[stack[place]] = 1.0
    return total


@kernel
def draw_alias(state, size, threshold, other):
    """Draw a cell with probability proportional to its weight, O(1)."""
    cell, words = next_cell(opened(state), size, threshold, other)
    closed(words, state)
    return cell


@kernel
def binomial(state, trials, chance):
    """Draw the number of successes in ``trials`` trials (int64) of probability ``chance`` in [0, 1].

    Below a mean of ten by inversion along the waiting times between successes; above by transformed rejection
    (Hoermann, J. Stat. Comput. Simul. 46, 1993, algorithm BTRS), whose cost does not depend on ``trials``.
    """
    if chance > 0.5:
        return trials - binomial(state, trials, 1.0 - chance)
    if trials <= 0 or chance <= 0.0:
        return 0
    if trials * chance < 10.0:
        return _binomial_by_waiting(state, trials, chance)
    return _binomial_by_rejection(state, trials, chance)


@kernel
def multinomial(state, trials, weights, tails, out):
    """Fill ``out`` with the numbers of ``trials`` independent draws from ``weights``, cell by cell.

    ``tails`` holds the sum of the weights from each cell on: summed from the far end, small ones keep their digits.
    """
    last = 0
    for cell in range(weights.size):
        if weights[cell] > 0.0:
            last = cell
    left = trials
    out[:] = 0
    for cell in range(last):  # rounding of the last share must not fill an empty cell
        out[cell] = binomial(state, left, min(1.0, weights[cell] / tails[cell]))
        left -= out[cell]
    out[last] = left


@kernel
def _binomial_by_waiting(state, trials, chance):
    rate = -math.log1p(-chance)
    successes = 0
    passed = 0.0
    while True:
        passed += math.floor(exponential(state) / rate) + 1.0
        if passed > trials:
            return successes
        successes += 1


@kernel
def _binomial_by_rejection(state, trials, chance):
    spread = math.sqrt(trials * chance * (1.0 - chance))
    b = 1.15 + 2.53 * spread
    a = -0.0873 + 0.0248 * b + 0.01 * chance
    centre = trials * chance + 0.5
    v_ratio = 0.92 - 4.2 / b
    odds = chance / (1.0 - chance)
    alpha = (2.83 + 5.1 / b) * spread
    mode = math.floor((trials + 1.0) * chance)
    while True:
        u = uniform(state) - 0.5
        v = uniform(state)
        us = 0.5 - abs(u)
        if us <= 0.0:
            continue
        k = math.floor((2.0 * a / us + b) * u + centre)
        if k < 0.0 or k > trials:
            continue
        if us >= 0.07 and v <= v_ratio:
            return int(k)
        v = math.log(v * alpha / (a / (us * us) + b))
        bound = (
            (mode + 0.5) * math.log((mode + 1.0) / (odds * (trials - mode + 1.0)))
            + (trials + 1.0) * math.log((trials - mode + 1.0) / (trials - k + 1.0))
            + (k + 0.5) * math.log(odds * (trials - k + 1.0) / (k + 1.0))
            + _stirling_tail(mode)
            + _stirling_tail(trials - mode)
            - _stirling_tail(k)
            - _stirling_tail(trials - k)
        )
        if v <= bound:
            return int(k)


@kernel
def _stirling_tail(k):
    """log(k!) minus Stirling's main terms in k + 1."""
    if k < 10.0:
        return math.lgamma(k + 1.0) - (0.5 * math.log(2.0 * math.pi) + (k + 0.5) * math.log(k + 1.0) - (k + 1.0))
    square = (k + 1.0) * (k + 1.0)
    return (1.0 / 12.0 - (1.0 / 360.0 - 1.0 / 1260.0 / square) / square) / (k + 1.0)
