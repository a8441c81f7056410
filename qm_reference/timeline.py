"""From save times and pulses to stretches of constant generator, and from there through time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple, Protocol

import numpy as np

from qm_reference.inputs import Pulse
from qm_reference.operators import Matrix


class Stretch(NamedTuple):
    """A stretch of constant Hamiltonian, with the save times within it counted from its start."""

    hamiltonian: Matrix
    length: float
    spans: np.ndarray

    @property
    def to_end(self) -> np.ndarray:
        """The save times within it, of which there may be none, and its end: what has to be evolved over."""
        return reaching(self.spans, self.length)


def reaching(spans: np.ndarray, length: float) -> np.ndarray:
    """Give ``spans`` with ``length``, from where the way goes on, as the last of them."""
    return spans if spans.size and spans[-1] == length else np.append(spans, length)


class Evolution(Protocol):
    """The map psi(0), (tau_1, ..., tau_m) -> psi(tau_1), ..., psi(tau_m) of one constant generator."""

    @property
    def longest(self) -> float:
        """The largest tau to be asked of it at once."""

    def __call__(self, state: np.ndarray, spans: np.ndarray, out: np.ndarray) -> None:
        """Fill ``out`` (m, *state.shape) with what ``state`` becomes after the increasing ``spans`` (m,)."""


def stretches(pulses: tuple[Pulse, ...], times: np.ndarray) -> Iterator[Stretch]:
    """Cut the way from ``times[0]`` to ``times[-1]`` where the Hamiltonian changes; pulses are counted from time 0."""
    edges = np.cumsum([pulse.duration for pulse in pulses])
    edges[-1] = math.inf  # the last pulse holds on, should rounding leave a sliver beyond its end
    start, first = times[0], 1
    for pulse, edge in zip(pulses, edges):
        end = min(edge, times[-1])
        if end > start:
            last = int(np.searchsorted(times, end, side="right"))
            yield Stretch(pulse.hamiltonian, float(end - start), times[first:last] - start)
            start, first = end, last


def follow(state: np.ndarray, times: int, route: Iterable[tuple[Stretch, Evolution]]) -> np.ndarray:
    """Give the states at all save times, complex128 (time, *state.shape); the first is ``state`` itself."""
    states = np.empty((times, *state.shape), dtype=np.complex128)
    states[0] = state
    row = 1
    for stretch, evolution in route:
        for spans, saved in _pieces(stretch, evolution.longest):
            kept = states[row : row + saved]
            # Straight into the result where every span is saved: fresh memory would cost more than the mathematics.
            later = kept if spans.size == saved else np.empty((spans.size, *state.shape), dtype=np.complex128)
            evolution(state, spans, later)
            if later is not kept:
                kept[...] = later[:saved]
            state, row = later[-1], row + saved
    return states


def _pieces(stretch: Stretch, longest: float) -> Iterator[tuple[np.ndarray, int]]:
    """Cut a stretch evenly into pieces of at most ``longest``: the spans to evolve over, and how many are saved.

    The last span is the piece's own length, from where the next piece goes on, whether or not it is a save time.
    """
    count = max(1, math.ceil(stretch.length / longest))
    edges = np.linspace(0.0, stretch.length, count + 1)
    firsts = np.searchsorted(stretch.spans, edges, side="right")
    for piece in range(count):
        inner = stretch.spans[firsts[piece] : firsts[piece + 1]] - edges[piece]
        length = edges[piece + 1] - edges[piece]
        yield reaching(inner, length), inner.size
