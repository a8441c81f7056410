"""Labels that bend by much of themselves within a leap, as on the way past a node: their noise in shorter pieces.

What copy events do to an amplitude peaks within |x/x'| of its minimum, and one draw in the middle of a leap sees little
of a peak that is narrower. The bend r = |(log x)''|^(1/2) tells: it is zero where x turns or grows steadily, and near a
node the inverse distance from it. Where r times the length of the leap is more than `OF_A_LEAP` of ``leap_step``, the
edges of the label are cut, each for itself, into *cells* in which it is at most `OF_A_CELL` of ``leap_step``. Cells
shrink in proportion to leaps, which makes the noise of second order near minima as well.

In each cell the noise is drawn in its middle s, on the mean flow of the whole leap, which the series knows. The kicks k
that it gives to both ends are carried to the middle of the leap by the mean flow, to second order in d = middle - s:

    exp(-i h d) k = k - i h (k d - i h k d^2/2),        summed over all kicks as Y_0 - i h (Y_1 - i h Y_2).
"""

from __future__ import annotations

import math

from copydyn.kernels.compiled import kernel
from copydyn.kernels.few import DEAD, FEW, SWIFT, kicked
from copydyn.kernels.keyed import stream
from copydyn.kernels.mean_flow import course_at, next_terms, value_at
from copydyn.kernels.variates import next_poisson

OF_A_LEAP, OF_A_CELL = 1.5, 0.5
"""Largest bend of an amplitude in a leap that is not cut and in a cell, in units of ``leap_step``.

Cells of a whole unit are 3 % off at a minimum; cutting leaps from one unit on gains a quarter of a per cent, and costs
small systems a tenth of their time.
"""

WHOLE_LEAP = 2.0
"""Its length, where the half that the series are made for is one."""

NOISY = 0.2
"""Largest relative spread of a number of copies by the events of a leap that is fit to be drawn beforehand."""

MOMENTS = 3
"""Y_0, Y_1 and Y_2."""


@kernel
def bends(terms, a, leap_step):
    """Tell whether a label bends by too much in a leap, by the first terms in its middle."""
    first, second, third = terms[1, a], terms[2, a], terms[3, a]
    value = terms[0, a] + first + second + third
    slope = first + 2.0 * second + 3.0 * third
    curl = value * (2.0 * second + 6.0 * third) - slope * slope
    size = value.real * value.real + value.imag * value.imag
    most = OF_A_LEAP * leap_step / WHOLE_LEAP
    allowed = most * most * size
    return curl.real * curl.real + curl.imag * curl.imag > allowed * allowed


@kernel
def sort_swift(orders, half, floor, pulse, stars, leap_step, kind, terms, few):
    """Tell among the labels marked `SWIFT` those that are too close to their node, or too noisy, to be more than `FEW`.

    So are swift neighbours of few labels, whose kicks a cluster would hand over too late.

    Parameters
    ----------
    orders : int
        Of the series ``terms``, which are made for a ``half`` of the leap.
    floor : float
        Root of the number of copies from which on they need not be counted.

    Returns
    -------
    (few, swift)
        How many labels there are of each.
    """
    found, listed = 0, 0
    for a in range(kind.size):
        if kind[a] == SWIFT:
            found += 1
            if _too_close(a, orders, half, floor, pulse, stars, leap_step, terms):
                kind[a] = FEW
                few.roll[listed] = a
                listed += 1
    done = 0
    while done < listed:
        a = few.roll[done]
        done += 1
        for place in range(stars.first[pulse, a], stars.first[pulse, a + 1]):
            b = stars.other[place]
            if kind[b] == SWIFT:
                kind[b] = FEW
                few.roll[listed] = b
                listed += 1
    return listed, found - listed


@kernel
def _too_close(a, orders, half, floor, pulse, stars, leap_step, terms):
    """Tell whether the label comes down to ``floor``, or the noise of the leap is too much for where it comes to."""
    pull = 0.0
    for place in range(stars.first[pulse, a], stars.first[pulse, a + 1]):
        pull += math.hypot(stars.re[place], stars.im[place]) * _modulus(terms[0, stars.other[place]])
    begin, lowest, spread, bend = 0.0, _modulus(terms[0, a]), 0.0, _bend(a, a, 0.0, orders, terms)
    while lowest > floor and begin < WHOLE_LEAP:
        length, bend = _cell(a, a, begin, bend, orders, leap_step, terms)
        modulus = _modulus(value_at(terms, orders, a, begin + 0.5 * length))
        lowest = min(lowest, modulus)
        spread += pull * half * length / modulus  # of the amplitude: twice a bound of the variance
        begin += length
    return lowest <= floor or 2.0 * spread > NOISY * NOISY * lowest * lowest


@kernel
def _cell(a, b, begin, bend, orders, leap_step, terms):
    """Length of the cell that begins at ``begin``, where amplitudes ``bend``, and how they bend where it ends."""
    allowed, rest = OF_A_CELL * leap_step, WHOLE_LEAP - begin
    length = min(rest, allowed / bend)
    after = _bend(a, b, begin + length, orders, terms)
    while length > 1e-12 and length * after > 2.0 * allowed:  # there is more to come than could be seen from here
        length *= 0.5
        after = _bend(a, b, begin + length, orders, terms)
    return rest if rest - length < 1e-9 else length, after


@kernel
def _bend(a, b, share, orders, terms):
    """|(log x)''|^(1/2), per half of the leap, of that amplitude of the two that bends more."""
    bend = _bend_of(a, share, orders, terms)
    return bend if a == b else max(bend, _bend_of(b, share, orders, terms))


@kernel
def _bend_of(a, share, orders, terms):
    value, slope, curvature = course_at(terms, orders, a, share)
    curl = value * curvature - slope * slope
    return math.sqrt(math.hypot(curl.real, curl.imag)) / _modulus(value)


@kernel
def _modulus(z):
    return math.sqrt(z.real * z.real + z.imag * z.imag)


@kernel
def draw_swift(orders, half, pulse, stars, leap_step, random_state, number, place, name, kind, terms, moments):
    """Draw the noise of the edges of all swift labels and add up its ``moments``; return the number of events."""
    events = 0.0
    for a in range(kind.size):
        for power in range(MOMENTS):
            moments[power, a] = 0.0
    for a in range(kind.size):
        if kind[a] != SWIFT:
            continue
        words = stream(random_state, a, number, place, name)
        for at in range(stars.first[pulse, a], stars.first[pulse, a + 1]):
            b = stars.other[at]
            both = kind[b] == SWIFT
            if kind[b] == DEAD or kind[b] == FEW or (both and b < a):
                continue
            coupling, bending = 2.0 * half * complex(stars.re[at], stars.im[at]), b if both else a
            begin, bend = 0.0, _bend(a, bending, 0.0, orders, terms)
            while begin < WHOLE_LEAP:
                length, bend = _cell(a, bending, begin, bend, orders, leap_step, terms)
                middle = begin + 0.5 * length
                x_a, x_b = value_at(terms, orders, a, middle), value_at(terms, orders, b, middle)
                flow = length * (x_a.conjugate() * coupling * x_b).imag
                drawn, words = next_poisson(words, abs(flow))
                events += drawn
                gained = math.copysign(drawn, flow) - flow
                _add_kick(a, kicked(x_a, gained) - x_a, 1.0 - middle, moments)
                _add_kick(b, kicked(x_b, -gained) - x_b, 1.0 - middle, moments)
                begin += length
    return events


@kernel
def _add_kick(a, kick, delay, moments):
    moments[0, a] += kick
    moments[1, a] += kick * delay
    moments[2, a] += kick * (0.5 * delay * delay)


@kernel
def kick_swift(x, half, kind, pulse, stars, moments, scratch, buffer):
    """Add to the amplitudes in the middle of the leap what the kicks of all cells have become there."""
    for power in range(MOMENTS - 1, 0, -1):
        next_terms(moments[power], scratch, half, kind, pulse, stars, 0, x.size, buffer)
        for a in range(x.size):
            moments[power - 1, a] += scratch[a]
    for a in range(x.size):
        if kind[a] != DEAD and kind[a] != FEW:  # few copies are whole
            x[a] += moments[0, a]
