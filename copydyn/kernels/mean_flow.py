"""What infinitely many copies would do: the flow of the amplitudes x_a = sqrt(n_a) exp(-i phi_a).

Under (32) and (33) without noise they obey dx_a/dt = -i (omega_a x_a + sum_b h_ab x_b), h = H/hbar, which is linear, so
that a power series in the time gives the amplitudes at any moment of a short stretch, to rounding where it is wanted:

    x_a(s) = sum_k v_k,a (s/length)^k,    v_0 = x(0),  v_k = -(i length / k) h v_(k-1)

A label that is dead stays so: its terms are zero, which makes the flow that of P h P.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from copydyn.kernels.compiled import kernel

MOST_TERMS = 40

CHUNK = 512
"""Labels that are done at a time, whose amplitudes stay at hand."""

JUDGED = 3
"""Terms by which it is judged how far labels move; there are always so many."""

BUFFER = 2 * CHUNK
"""Floats that a thread needs of its own."""


class Stars(NamedTuple):
    """Of every pulse, and in it of every label, the labels that it is coupled to.

    ``first`` int64 (pulse, beable + 1): the neighbours of label a stand at ``first[pulse, a]`` and after.
    ``other`` uint32, ``edge`` uint32 (its number within the pulse), ``re`` and ``im`` float64 of H_ab/hbar (place,).
    ``diagonal`` float64 (pulse, beable) is omega_a - ``centre``; ``centre`` and ``radius`` float64 (pulse,) are of
    the band that holds all frequencies of H/hbar; ``real`` bool (pulse,): no coupling has an imaginary part.

    Where couplings are real and lie on few diagonals, as on a lattice, these are listed once more: ``shift`` int64
    (band,) is b - a on each, ``bands`` float64 (band, 2 beable) has every H_ab/hbar twice, for both parts of x_b, and
    ``band_first`` int64 (pulse + 1,) says which are those of a pulse. The first of them is that of b = a.
    ``reach`` int64 (pulse,) is the largest |a - b| of coupled labels.
    """

    first: np.ndarray
    other: np.ndarray
    edge: np.ndarray
    re: np.ndarray
    im: np.ndarray
    diagonal: np.ndarray
    centre: np.ndarray
    radius: np.ndarray
    real: np.ndarray
    shift: np.ndarray
    bands: np.ndarray
    band_first: np.ndarray
    reach: np.ndarray


@kernel
def terms_needed(angle, error):
    """How many terms beyond v_0 leave out at most ``error`` of exp(-i angle), relative to the norm."""
    term = angle
    for terms in range(1, MOST_TERMS):
        term *= angle / (terms + 1.0)
        if terms + 2.0 > angle and term <= error * (1.0 - angle / (terms + 2.0)):
            return terms
    return MOST_TERMS


@kernel
def expand(x, first, last, reach, orders, length, kind, pulse, stars, terms, total, buffer):
    """Begin the series of the labels from ``first`` on, up to ``last``: `JUDGED` terms, from which motion is judged.

    Parameters
    ----------
    x : complex128 (beable,)
        Amplitudes at the beginning.
    reach : int
        Largest |a - b| of coupled labels: so many labels more on both sides are filled an order, so that other labels
        can be filled by another thread at the same time. Where both write, they write the same, and at once.
    kind : uint8 (beable,)
        Zero for dead labels.
    terms : complex128 (order, beable)
    total : complex128 (beable,)
        Becomes the sum of the series, the amplitudes at the end.
    buffer : float64 (BUFFER,)
        Of this thread alone.
    """
    low, high = max(0, first - reach * orders), min(x.size, last + reach * orders)
    for a in range(low, high):
        terms[0, a] = x[a]
    for a in range(first, last):
        total[a] = x[a]
    _orders(1, JUDGED, first, last, reach, orders, length, kind, pulse, stars, True, terms, total, buffer)


@kernel
def expand_on(first, last, reach, orders, length, kind, pulse, stars, keep, terms, total, buffer):
    """Go on with the series to its end; ``keep`` all terms, or make do with the memory of two."""
    _orders(JUDGED + 1, orders, first, last, reach, orders, length, kind, pulse, stars, keep, terms, total, buffer)


@kernel
def _orders(begin, end, first, last, reach, orders, length, kind, pulse, stars, keep, terms, total, buffer):
    for order in range(begin, end + 1):
        beyond = reach * (orders - order)
        low, high = max(0, first - beyond), min(total.size, last + beyond)
        before, after = terms[_row(order - 1, keep)], terms[_row(order, keep)]
        next_terms(before, after, length / order, kind, pulse, stars, low, high, buffer)
        _add(after[first:last], total[first:last])


@kernel
def _row(order, keep):
    """Where a term is put: those beyond `JUDGED` take turns if they are not kept."""
    return order if keep or order <= JUDGED else JUDGED + 1 + (order - JUDGED - 1) % 2


@kernel
def next_terms(before, after, step, kind, pulse, stars, first, last, buffer):
    """-i step h v of the labels from ``first`` on, up to ``last``: of v ``before`` into ``after``."""
    if stars.band_first[pulse + 1] > stars.band_first[pulse]:
        _next_by_bands(before, after, step, kind, pulse, stars, first, last, buffer)
    else:
        _next_by_rows(before, after, step, kind, pulse, stars, first, last)


@kernel
def _next_by_rows(before, after, step, kind, pulse, stars, first, last):
    """The same label by label."""
    diagonal, begin = stars.diagonal[pulse], stars.first[pulse]
    real = stars.real[pulse]
    for a in range(first, last):
        if kind[a] == 0:
            after[a] = 0.0
            continue
        re, im = diagonal[a] * before[a].real, diagonal[a] * before[a].imag
        if real:
            for place in range(begin[a], begin[a + 1]):
                value = before[stars.other[place]]
                re += stars.re[place] * value.real
                im += stars.re[place] * value.imag
        else:
            for place in range(begin[a], begin[a + 1]):
                value = before[stars.other[place]]
                re += stars.re[place] * value.real - stars.im[place] * value.imag
                im += stars.re[place] * value.imag + stars.im[place] * value.real
        after[a] = complex(step * im, -step * re)


@kernel
def _next_by_bands(before, after, step, kind, pulse, stars, first, last, buffer):
    """The same diagonal by diagonal, in plain runs of floats that the compiler makes vectors of."""
    x, y = before.view(np.float64), after.view(np.float64)
    size = x.size
    for start in range(first, last, CHUNK):
        end = min(start + CHUNK, last)
        alive = _alive(kind[start:end])
        if alive == 0:
            y[2 * start : 2 * end] = 0.0
            continue
        buffer[: 2 * (end - start)] = 0.0
        for band in range(stars.band_first[pulse], stars.band_first[pulse + 1]):
            shift = 2 * stars.shift[band]
            low, high = max(2 * start, -shift), min(2 * end, size - shift)
            if high <= low:  # a label of another chunk: what ends before this one begins would be counted from its end
                continue
            here = buffer[low - 2 * start : high - 2 * start]
            _add_product(stars.bands[band, low:high], x[low + shift : high + shift], here)
        if alive < end - start:
            for a in range(start, end):
                if kind[a] == 0:
                    buffer[2 * (a - start)] = 0.0
                    buffer[2 * (a - start) + 1] = 0.0
        _turn(buffer[: 2 * (end - start)], y[2 * start : 2 * end], step)


@kernel
def _alive(kind):
    """Count the labels that have copies."""
    alive = 0
    for a in range(kind.size):
        alive += kind[a] != 0
    return alive


@kernel
def _add_product(coupling, x, y):
    """Add coupling * x to y."""
    for i in range(y.size):
        y[i] += coupling[i] * x[i]


@kernel
def _turn(x, y, step):
    """Write -i step times the complex numbers in ``x``, real and imaginary parts in turn, into ``y``."""
    for a in range(y.size // 2):
        y[2 * a], y[2 * a + 1] = step * x[2 * a + 1], -step * x[2 * a]


@kernel
def _add(term, total):
    """Add an order of the series."""
    for a in range(total.size):
        total[a] += term[a]


@kernel
def value_at(terms, orders, label, share):
    """x_label at the ``share`` s/length of the stretch."""
    value = terms[orders, label]
    for order in range(orders - 1, -1, -1):
        value = value * share + terms[order, label]
    return value


@kernel
def slope_at(terms, orders, label, share):
    """D x_label / d(s/length) there."""
    value = orders * terms[orders, label]
    for order in range(orders - 1, 0, -1):
        value = value * share + order * terms[order, label]
    return value


@kernel
def course_at(terms, orders, label, share):
    """x_label, and its first and second derivative by s/length, there."""
    value, slope, curvature = terms[orders, label], 0.0j, 0.0j
    for order in range(orders - 1, -1, -1):
        curvature = curvature * share + slope
        slope = slope * share + value
        value = value * share + terms[order, label]
    return value, slope, 2.0 * curvature


@kernel
def turned_by(amplitudes, angle):
    """Turn all amplitudes by exp(-i angle), in place."""
    if angle != 0.0:
        factor = complex(math.cos(angle), -math.sin(angle))
        for a in range(amplitudes.size):
            amplitudes[a] *= factor
