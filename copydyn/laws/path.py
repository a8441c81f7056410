"""Schrödinger's path psi(t), the neighbours' pull on each label, and the nodes that the path runs through."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from copydyn.blas import one_thread
from copydyn.experiment import Experiment, Segment
from copydyn.experiment.inputs import Matrix, dense
from copydyn.refusal import BadValue

MOST_LABELS = 2048
"""The path is followed in the eigenbasis of H, which is dense and costs P^3."""

BLOCK = 2**20
"""Numbers held at once: long times are worked through in blocks of this size."""

MOST_STEPS = 60
"""Steps towards a minimum; a simple one takes ten."""

EPS = float(np.finfo(float).eps)


class Edges(NamedTuple):
    """Pairs a < b with H_ab != 0: ``a``, ``b`` int (edge,) and ``coupling`` = H_ab/hbar complex128 (edge,)."""

    a: np.ndarray
    b: np.ndarray
    coupling: np.ndarray


class Node(NamedTuple):
    """psi_label(time) = 0; ``arrives`` is False where the path only leaves a label that was empty before."""

    label: int
    time: float
    arrives: bool


class Minimum(NamedTuple):
    """A local minimum of ``share`` = |psi_label|^2 within a stretch of constant Hamiltonian."""

    label: int
    time: float
    share: float


@dataclass(frozen=True, eq=False)
class Flow:
    """exp(-i H t / hbar) for one constant Hamiltonian.

    ``frequencies`` float64 (mode,) are counted from ``centre``, the middle of the spectrum, so that a constant energy
    in H costs no digits.
    ``couplings`` is H/hbar without its diagonal, ``edges`` the same as a list.
    """

    frequencies: np.ndarray
    centre: float
    modes: np.ndarray
    couplings: Matrix
    edges: Edges

    @classmethod
    def of(cls, hamiltonian: Matrix, hbar: float) -> Flow:
        """Diagonalise ``hamiltonian``."""
        diagonal = hamiltonian.diagonal().real
        centre = float(diagonal.mean())
        upper = sparse.triu(sparse.coo_array(hamiltonian), k=1)
        couplings = sparse.csr_array(upper + upper.conj().T) / hbar
        shifted = dense(hamiltonian) - centre * np.eye(diagonal.size)
        energies, modes = np.linalg.eigh(shifted if np.any(shifted.imag) else shifted.real)
        middle = 0.5 * float(energies[0] + energies[-1])
        a, b = upper.coords
        return cls(
            frequencies=(energies - middle) / hbar,
            centre=(centre + middle) / hbar,
            modes=modes,
            couplings=couplings if isinstance(hamiltonian, sparse.csr_array) else couplings.toarray(),
            edges=Edges(a, b, upper.data / hbar),
        )

    @property
    def spread(self) -> float:
        """Largest difference of two frequencies: nothing on the path changes faster."""
        return float(self.frequencies[-1] - self.frequencies[0])

    @property
    def widest(self) -> float:
        """Two radians of the fastest beat: on a panel of this width the quadrature sees every oscillation."""
        return 2.0 / self.spread if self.spread > 0.0 else math.inf

    def phases(self, delays: np.ndarray) -> np.ndarray:
        """exp(-i E t / hbar) of each mode, complex128 (time, mode)."""
        return np.exp(-1j * np.multiply.outer(delays, self.frequencies)) * np.exp(-1j * self.centre * delays)[..., None]

    def carry(self, ket: np.ndarray, delays: np.ndarray) -> np.ndarray:
        """exp(-i H t / hbar) ket after each of ``delays``, which may be negative; complex128 (time, beable)."""
        amplitudes = self.modes.conj().T @ ket
        return (self.phases(delays) * amplitudes) @ self.modes.T

    def pull(self, kets: np.ndarray) -> np.ndarray:
        """-(i/hbar) sum_{b != a} H_ab psi_b, the drift of psi_a in the frame that turns with omega_a.

        The term b = a only turns psi_a: it is left out, and a constant energy in H changes nothing.
        """
        return np.asarray(-1j * (self.couplings @ kets.T).T)


@dataclass(frozen=True, eq=False)
class Stretch:
    """The path while one Hamiltonian holds, cut into ``segments`` at the save times; ``ket`` is its first ket."""

    flow: Flow
    segments: tuple[Segment, ...]
    ket: np.ndarray

    @property
    def start(self) -> float:
        """When this Hamiltonian begins to hold."""
        return self.segments[0].start

    @property
    def end(self) -> float:
        """When it ceases to hold, or the path ends."""
        return self.segments[-1].end

    def kets(self, times: np.ndarray) -> np.ndarray:
        """The path psi at ``times``, complex128 (time, beable)."""
        return self.flow.carry(self.ket, times - self.start)

    def growth(self, times: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """(1/2) d|psi_a|^2/dt = Re[conj(psi_a) pull_a], the label a = ``labels[i]`` at the time ``times[i]``."""
        kets = self.kets(times)
        rows = np.arange(times.size)
        return (kets.conj() * self.flow.pull(kets)).real[rows, labels]

    @cached_property
    def largest(self) -> np.ndarray:
        """Largest |psi_a| of each label on the way, float64 (beable,)."""
        tops = [np.abs(self.kets(times)).max(axis=0) for times in self._grid()]
        return np.asarray(np.max(tops, axis=0))

    def minima(self, closer_than: float) -> Iterator[Minimum]:
        """Local minima of |psi_a|^2 inside this stretch that lie below ``closer_than``."""
        for times in self._grid():
            kets = self.kets(times)
            pull = self.flow.pull(kets)
            growth = (kets.conj() * pull).real
            step = np.diff(times)[:, None]
            # how low |psi_a| can fall between two points of the grid, at twice the speed that was seen there
            reach = 2.0 * step * np.maximum(np.abs(pull[1:]), np.abs(pull[:-1]))
            lowest = np.minimum(np.abs(kets[1:]), np.abs(kets[:-1])) - reach
            close = (growth[:-1] < 0.0) & (growth[1:] >= 0.0) & (lowest < math.sqrt(closer_than))
            cells, labels = np.nonzero(close)
            found = self._roots(
                labels, times[cells], times[cells + 1], growth[cells, labels], growth[cells + 1, labels]
            )
            shares = np.abs(self.kets(found)[np.arange(found.size), labels]) ** 2
            for label, time, share in zip(labels, found, shares):
                if share < closer_than:
                    yield Minimum(int(label), float(time), float(share))

    def _grid(self) -> Iterator[np.ndarray]:
        """Times from start to end, several to the fastest beat, in blocks that share their end points."""
        length = self.end - self.start
        count = max(16, math.ceil(6.0 * self.flow.spread * length))
        times = np.linspace(self.start, self.end, count + 1)
        size = max(16, BLOCK // self.ket.size)
        for first in range(0, count, size):
            yield times[first : first + size + 1]

    def _roots(
        self, labels: np.ndarray, low: np.ndarray, high: np.ndarray, at_low: np.ndarray, at_high: np.ndarray
    ) -> np.ndarray:
        """Where the growth of the labels passes zero, by false position with halved weights (the Illinois rule)."""
        root = 0.5 * (low + high)
        going = np.arange(labels.size)
        for _ in range(MOST_STEPS):
            if not going.size:
                break
            span = at_high[going] - at_low[going]
            guess = high[going] - at_high[going] * (high[going] - low[going]) / span
            moved = np.abs(guess - root[going])
            root[going] = guess
            here = self.growth(guess, labels[going])
            up, down = going[here >= 0.0], going[here < 0.0]
            high[up], at_high[up], at_low[up] = root[up], here[here >= 0.0], 0.5 * at_low[up]
            low[down], at_low[down], at_high[down] = root[down], here[here < 0.0], 0.5 * at_high[down]
            going = going[(moved > 2.0 * EPS * np.abs(guess)) & (at_high[going] > at_low[going])]
        return root


@dataclass(frozen=True, eq=False)
class Path:
    """Schrödinger's path from tlist[0] to tlist[-1], stretch by stretch of constant Hamiltonian."""

    stretches: tuple[Stretch, ...]
    ket: np.ndarray
    tlist: np.ndarray

    @classmethod
    def of(cls, hamiltonian: Any, psi0: Any, tlist: Any, *, hbar: float, most: int = MOST_LABELS) -> Path:
        """Check the arguments as an experiment does, and follow the path."""
        experiment = Experiment.of(hamiltonian, psi0, tlist, hbar=hbar)
        system, ket = experiment.system, experiment.ket
        if system.size > most:
            raise BadValue(
                f"this law is worked out for at most {most} labels, but H has {system.size}; use fewer labels."
            )
        flows: dict[int, Flow] = {}
        stretches = []
        for pulse, group in groupby(system.segments(experiment.tlist), key=lambda segment: segment.pulse):
            if pulse not in flows:
                flows[pulse] = Flow.of(system.pulses[pulse].hamiltonian, system.hbar)
            stretches.append(Stretch(flows[pulse], tuple(group), ket))
            ket = stretches[-1].kets(np.array([stretches[-1].end]))[0]
        return cls(tuple(stretches), experiment.ket, experiment.tlist)

    @property
    def saved(self) -> np.ndarray:
        """The path at ``tlist``, complex128 (time, beable)."""
        kets = [self.ket]
        for stretch in self.stretches:
            kets += list(stretch.kets(np.array([part.end for part in stretch.segments if part.save is not None])))
        return np.array(kets)

    @cached_property
    def rounding(self) -> float:
        """Amplitude below which double precision cannot tell psi_a from zero: a generous bound on its error."""
        turned = sum(0.5 * stretch.flow.spread * (stretch.end - stretch.start) for stretch in self.stretches)
        return 64.0 * EPS * (math.sqrt(self.ket.size) + turned)

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        """All nodes in order of time; a label that is empty throughout a stretch has none there."""
        found = [Node(low.label, low.time, True) for _, low in self.arrivals(self.rounding**2)]
        found += [node for stretch in self.stretches for node in self._departures(stretch)]
        return tuple(sorted(found, key=lambda node: (node.time, node.label)))

    @cached_property
    def first(self) -> Node | None:
        """The first node."""
        for stretch in self.stretches:
            for node in self._departures(stretch):
                return node
            lows = list(self._arrivals(stretch, self.rounding**2))
            if lows:
                low = min(lows, key=lambda low: low.time)
                return Node(low.label, low.time, True)
        return None

    @cached_property
    def finite(self) -> int:
        """How many save times lie before the first node takes effect."""
        node = self.first
        if node is None:
            return self.tlist.size
        if not node.arrives:
            return int(np.searchsorted(self.tlist, node.time, side="right"))
        reached = self.tlist >= node.time
        for stretch in self.stretches:  # a save time that rounding cannot tell from the node's own
            inside = (self.tlist > stretch.start) & (self.tlist <= stretch.end)
            if stretch.start < node.time <= stretch.end:
                reached[inside] |= np.abs(stretch.kets(self.tlist[inside])[:, node.label]) <= self.rounding
        return int(np.argmax(reached))

    def saves_before_node(self, stretch: Stretch) -> np.ndarray:
        """For each segment of a stretch the save time it leads to, as far as that lies before the first node."""
        saves = np.searchsorted(self.tlist, [segment.end for segment in stretch.segments])
        return saves[saves < self.finite]

    def arrivals(self, closer_than: float) -> Iterator[tuple[Stretch, Minimum]]:
        """Minima of each |psi_a|^2 below ``closer_than``, nodes where a stretch ends, and labels turned back there."""
        for number, stretch in enumerate(self.stretches):
            for low in self._arrivals(stretch, closer_than):
                yield stretch, low
            for later in self.stretches[number + 1 : number + 2]:
                for low in self._turned_back(stretch, later, closer_than):
                    yield stretch, low

    def _arrivals(self, stretch: Stretch, closer_than: float) -> Iterator[Minimum]:
        margin = 1e-9 * (stretch.end - stretch.start)  # a node at either end may have its minimum just inside
        first, last = np.abs(stretch.kets(np.array([stretch.start, stretch.end]))) <= self.rounding
        alive = stretch.largest > self.rounding
        for low in stretch.minima(closer_than):
            leaves = first[low.label] and low.time < stretch.start + margin
            if alive[low.label] and not leaves:
                yield low
                last[low.label] &= low.time < stretch.end - margin
        for label in np.flatnonzero(alive & last):
            yield Minimum(int(label), stretch.end, float(np.abs(stretch.kets(np.array([stretch.end]))[0, label]) ** 2))

    def _turned_back(self, stretch: Stretch, later: Stretch, closer_than: float) -> Iterator[Minimum]:
        """Minima with a kink: labels that fall until the Hamiltonian changes, and grow from then on."""
        labels, times = np.arange(self.ket.size), np.full(self.ket.size, stretch.end)
        share = np.abs(later.ket) ** 2
        kink = (stretch.growth(times, labels) < 0.0) & (later.growth(times, labels) >= 0.0)
        for label in np.flatnonzero(kink & (share > self.rounding**2) & (share < closer_than)):
            yield Minimum(int(label), stretch.end, float(share[label]))

    def _departures(self, stretch: Stretch) -> Iterator[Node]:
        """Labels that are empty where a stretch begins, and not for ever: no copy can be the first."""
        leaving = (np.abs(stretch.ket) <= self.rounding) & (stretch.largest > self.rounding)
        return (Node(int(label), stretch.start, False) for label in np.flatnonzero(leaving))


@one_thread()
def first_node(H: Any, psi0: Any, tlist: Any, *, hbar: float = 1.0) -> Node | None:
    """Say where the path first meets a node, psi_label(time) = 0, from which on the laws of the noise diverge.

    Parameters
    ----------
    H, psi0, tlist, hbar
        As for `infidelity_law`.

    Returns
    -------
    Node or None
        ``label``, ``time``, and ``arrives``, which is False where the label was empty before.

    Raises
    ------
    BadType, BadValue
        As for `infidelity_law`.
    """
    return Path.of(H, psi0, tlist, hbar=hbar).first


def beats(experiment: Experiment) -> float:
    """Bound the radians that the fastest beat of the path turns by the last save time, with Gershgorin's circles."""
    system, times = experiment.system, experiment.tlist
    edges = np.cumsum([0.0, *(pulse.duration for pulse in system.pulses)])
    spans = np.diff(np.clip(edges, times[0], times[-1]))
    return float(sum(span * _width(pulse.hamiltonian) / system.hbar for span, pulse in zip(spans, system.pulses)))


def _width(hamiltonian: Matrix) -> float:
    """No two energies differ by more."""
    centres = hamiltonian.diagonal().real
    radii = np.asarray(abs(hamiltonian).sum(axis=1)).ravel() - np.abs(centres)
    return float(np.max(centres + radii) - np.min(centres - radii))
