"""Leaps of many copies written plainly, to hold the kernels to them: exact exponentials, and no series.

One leap is half of exp(-i h t), the noise of the copy events of all edges, and the other half. The edges of a label
that bends, r = |(log x)''|^(1/2), by more than 1.5 ``leap_step`` in the leap draw their noise in cells in which it
bends by half a ``leap_step``, and the kicks of a cell are carried to the middle of the leap to second order.

The same cells serve two ends: `path` follows one ensemble with the random numbers of the kernels, and `covariance`
adds up, without any, what the noise of infinitely many copies comes to.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from copydyn.kernels.keyed import stream
from copydyn.kernels.leap import OF_NOISE, OF_SWIFT
from copydyn.kernels.variates import next_poisson


class Cell(NamedTuple):
    """A piece of a leap in which an edge draws its noise at once; ``owner`` is its swift end, or -1."""

    owner: int
    a: int
    b: int
    middle: float
    length: float


class Frame(NamedTuple):
    """H/hbar about the middle of its band, its frequencies and modes, that middle, and half the width of the band."""

    h: np.ndarray
    frequencies: np.ndarray
    modes: np.ndarray
    centre: float
    radius: float

    @staticmethod
    def of(hamiltonian):
        h = np.array(hamiltonian, dtype=complex)
        diagonal = np.diag(h).real
        reach = np.abs(h).sum(axis=1) - np.abs(diagonal)
        low, high = (diagonal - reach).min(), (diagonal + reach).max()
        h = h - 0.5 * (low + high) * np.eye(len(h))
        return Frame(h, *np.linalg.eigh(h), 0.5 * (low + high), 0.5 * (high - low))

    def after(self, x, time):
        return self.modes @ (np.exp(-1j * time * self.frequencies) * (self.modes.conj().T @ x))

    def leaps(self, span, leap_step):
        return max(1, int(np.ceil(self.radius * span / leap_step * (1.0 - 1e-12))))


def bend(frame, x):
    """|(log x)''|^(1/2) of every label."""
    slope = -1j * frame.h @ x
    return np.sqrt(np.abs(x * (-1j * frame.h @ slope) - slope**2)) / np.abs(x)


def cells(frame, x, length, leap_step, divided=True):
    """Cut a leap that begins with ``x``; those of swift labels, label by label, come first."""
    size = len(x)
    edges = [(a, b) for a in range(size) for b in range(a + 1, size) if frame.h[a, b] != 0.0]
    middle = _cubic(frame, x, 0.5 * length)
    swift = divided * (bend(frame, middle) * length > 1.5 * leap_step)
    out = []
    for a in np.flatnonzero(swift):
        for b in range(size):
            if b == a or frame.h[a, b] == 0.0 or (swift[b] and b < a):
                continue
            ends = [a, b] if swift[b] else [a]
            begin = 0.0
            while begin < length:
                step = _step(frame, x, ends, begin, length, 0.5 * leap_step)
                out.append(Cell(int(a), int(a), b, begin + 0.5 * step, step))
                begin += step if begin + step < length * (1 - 1e-9) else length
    return out + [Cell(-1, a, b, 0.5 * length, length) for a, b in edges if not (swift[a] or swift[b])]


def _cubic(frame, x, time):
    """What the kernels judge by: three terms of the series, with the slope and curvature that they have."""
    out, term = x.astype(complex), x.astype(complex)
    for order in (1, 2, 3):
        term = -1j * time / order * (frame.h @ term)
        out = out + term
    return out


def _step(frame, x, ends, begin, end, allowed):
    def bend_at(time):
        return bend(frame, frame.after(x, time))[ends].max()

    step = min(end - begin, allowed / bend_at(begin))
    while step * bend_at(begin + step) > 2.0 * allowed:
        step *= 0.5
    return step


def carried(frame, kick, delay):
    """exp(-i h delay) kick to second order."""
    once = -1j * delay * (frame.h @ kick)
    return kick + once - 0.5j * delay * (frame.h @ once)


def covariance(hamiltonian, psi, span, leap_step, divided=True):
    """N Cov(n_a/N, n_b/N) after ``span``, as N -> infinity, of leaps as they are cut."""
    frame = Frame.of(hamiltonian)
    leaps = frame.leaps(span, leap_step)
    length, end = span / leaps, frame.after(psi, span)
    out = np.zeros((len(psi), len(psi)))
    for number in range(leaps):
        x = frame.after(psi, number * length)
        for cell in cells(frame, x, length, leap_step, divided):
            here = frame.after(x, cell.middle)
            kick = np.zeros(len(psi), complex)
            kick[cell.a], kick[cell.b] = 0.5 / here[cell.a].conj(), -0.5 / here[cell.b].conj()
            kick = carried(frame, kick, 0.5 * length - cell.middle)
            change = 2.0 * (end.conj() * frame.after(kick, span - (number + 0.5) * length)).real
            out += abs(_flow(frame, here, cell)) * np.outer(change, change)
    return out


def _flow(frame, x, cell):
    """Copies that the first end of a cell's edge gains in it."""
    return 2.0 * cell.length * (x[cell.a].conj() * frame.h[cell.a, cell.b] * x[cell.b]).imag


def path(hamiltonian, x, copies, span, leap_step, random_state):
    """Amplitudes of one ensemble after ``span``, and the copy events, for fewer edges than share a random stream."""
    frame, events = Frame.of(hamiltonian), 0.0
    leaps = frame.leaps(span, leap_step)
    length = span / leaps
    for number in range(leaps):
        middle = frame.after(x, 0.5 * length)
        kicks, gained, streams = np.zeros(len(x), complex), np.zeros(len(x)), {}
        for cell in cells(frame, x, length, leap_step):
            name = (0, OF_NOISE) if cell.owner < 0 else (cell.owner, OF_SWIFT)
            words = streams.get(name) or stream(random_state, name[0], number, 0, name[1])
            here = frame.after(x, cell.middle)
            flow = _flow(frame, here, cell)
            # compiled, words come back as whole numbers of Python, small ones of another type than large ones
            drawn, streams[name] = next_poisson(tuple(map(np.uint64, words)), abs(flow))
            events += drawn
            beyond = np.copysign(drawn, flow) - flow
            if cell.owner < 0:  # what comes in the middle comes at once
                gained[cell.a] += beyond
                gained[cell.b] -= beyond
                continue
            kick = np.zeros(len(x), complex)
            for label, change in ((cell.a, beyond), (cell.b, -beyond)):
                kick[label] = here[label] * (np.sqrt(1.0 + change / abs(here[label]) ** 2) - 1.0)
            kicks += carried(frame, kick, 0.5 * length - cell.middle)
        x = middle * np.sqrt(1.0 + gained / np.abs(middle) ** 2) + kicks
        x = frame.after(x, 0.5 * length) * np.exp(-1j * frame.centre * length)
        x = x * np.sqrt(copies / np.sum(np.abs(x) ** 2))
    return x, events
