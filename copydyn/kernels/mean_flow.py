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


class Stars(NamedTuple):
    """Of every pulse, and in it of every label, the labels that it is coupled to.

    ``first`` int64 (pulse, beable + 1): the neighbours of label a stand at ``first[pulse, a]`` and after.
    ``other`` uint32, ``edge`` uint32 (its number within the pulse), ``re`` and ``im`` float64 of H_ab/hbar (place,).
    ``diagonal`` float64 (pulse, beable) is omega_a - ``centre``; ``centre`` and ``radius`` float64 (pulse,) are of
    the band that holds all frequencies of H/hbar; ``real`` bool (pulse,): no coupling has an imaginary part.

    Where couplings are real and lie on few diagonals, as on a lattice, these are listed once more: ``shift`` int64
    (band,) is b - a on each, ``bands`` float64 (band, 2 beable) has every H_ab/hbar twice, for both parts of x_b, and
    ``band_first`` int64 (pulse + 1,) says which are those of a pulse. The first of them is that of b = a.
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
def next_term(order, length, kind, pulse, stars, first, last, terms, total):
    """Fill v_order of the labels from ``first`` on, up to ``last``, and add it to ``total``."""
    before, after = terms[order - 1], terms[order]
    step = length / order
    if stars.band_first[pulse + 1] > stars.band_first[pulse]:
        _next_of_bands(before, after, step, kind, pulse, stars, first, last, total)
        return
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
        term = complex(step * im, -step * re)
        after[a] = term
        total[a] += term


@kernel
def _next_of_bands(before, after, step, kind, pulse, stars, first, last, total):
    """The same, diagonal by diagonal, in plain runs of floats that the compiler makes vectors of."""
    x, y = before.view(np.float64), after.view(np.float64)
    size = x.size
    for start in range(first, last, CHUNK):
        end = min(start + CHUNK, last)
        if not _any_alive(kind, start, end):
            after[start:end] = 0.0
            continue
        y[2 * start : 2 * end] = 0.0
        for band in range(stars.band_first[pulse], stars.band_first[pulse + 1]):
            shift = 2 * stars.shift[band]
            low, high = max(2 * start, -shift), min(2 * end, size - shift)
            _add_product(stars.bands[band, low:high], x[low + shift : high + shift], y[low:high])
        for a in range(start, end):
            term = complex(step * y[2 * a + 1], -step * y[2 * a]) if kind[a] != 0 else 0.0j
            after[a] = term
            total[a] += term


@kernel
def _add_product(coupling, x, y):
    """Add coupling * x to y."""
    for i in range(y.size):
        y[i] += coupling[i] * x[i]


@kernel
def _any_alive(kind, first, last):
    """Tell whether any label from ``first`` on, up to ``last``, has copies."""
    alive = False
    for a in range(first, last):
        alive |= kind[a] != 0
    return alive


@kernel
def first_term(x, first, last, terms, total):
    """Begin the series of the labels from ``first`` on, up to ``last``, with the amplitudes x."""
    for a in range(first, last):
        terms[0, a] = x[a]
        total[a] = x[a]


@kernel
def expand(x, orders, length, kind, pulse, stars, terms, total):
    """Fill all terms, and ``total`` with the amplitudes at the end."""
    labels = x.size
    first_term(x, 0, labels, terms, total)
    for order in range(1, orders + 1):
        next_term(order, length, kind, pulse, stars, 0, labels, terms, total)


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
def turned_by(amplitudes, angle):
    """Turn all amplitudes by exp(-i angle), in place."""
    if angle != 0.0:
        factor = complex(math.cos(angle), -math.sin(angle))
        for a in range(amplitudes.size):
            amplitudes[a] *= factor
