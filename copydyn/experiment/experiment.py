"""The experiment: what every theory is asked to evolve, said once and checked once, in no theory's terms."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from copydyn.experiment.inputs import (
    MOST_LABELS,
    Matrix,
    as_hermitian,
    as_ket,
    as_real,
    as_times,
    as_vector,
    as_whole,
    require_one_space,
    shown,
    space_of,
)
from copydyn.refusal import BadType, BadValue


class Pulse(NamedTuple):
    """A Hamiltonian that holds for a while."""

    duration: float
    hamiltonian: Matrix


class Part(NamedTuple):
    """A part of a composite system, and the labels that it has of its own."""

    name: str
    labels: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class System:
    """A Hamiltonian in the basis of the beables, i hbar d psi/dt = H psi, and what the labels mean.

    Parameters
    ----------
    hamiltonian : (P, P) array, scipy sparse matrix, qutip.Qobj, or a sequence of (duration, H)
        In units of energy; a sequence is a train of pulses, each constant in time.
    labels : sequence of str (beable,), optional
        Names of the beable's values; "0", "1", ... by default, and "(a,b)" where there are parts.
    meaning : str
        What the beable is ("site", "spin along z").
    hbar : float
        Sets the unit of time: hbar / (unit of energy).
    time_unit : str
        For tables and axes.
    name : str
        For tables and titles.
    parts : sequence of (name, size) or (name, labels), optional
        What a composite system is made of, (("A", 2), ("B", 3)): the labels are then joint ones, (a_A, a_B), in the
        order of a Kronecker product, the last part running fastest.

    Raises
    ------
    BadType, BadValue
        Both are also the TypeError or ValueError of Python.
    """

    hamiltonian: Any
    labels: Sequence[str] = ()
    meaning: str = "label"
    hbar: float = 1.0
    time_unit: str = "hbar/energy"
    name: str = "system"
    parts: Sequence[Any] = ()
    pulses: tuple[Pulse, ...] = field(init=False, repr=False)
    space: list[Any] | None = field(init=False, repr=False)

    def __post_init__(self) -> None:
        pulses, space = _as_pulses(self.hamiltonian), _space_of_hamiltonian(self.hamiltonian)
        size = pulses[0].hamiltonian.shape[0]
        parts = _as_parts(self.parts, size)
        if not isinstance(self.labels, Iterable):
            raise BadType(f"labels must be a sequence of names, but is {shown(self.labels)}.")
        labels = tuple(str(label) for label in self.labels) or joint_labels(parts) or _numbered(size)
        if len(labels) != size:
            raise BadValue(f"labels must name each of the {size} values of the beable, but has {len(labels)} names.")
        if len(set(labels)) != size:
            raise BadValue("labels must differ from each other, but one name stands twice.")
        unit = as_real(self.hbar, "hbar", positive=True)
        for text in (*labels, *(part.name for part in parts), str(self.meaning), str(self.time_unit), str(self.name)):
            if "\0" in text:  # which ends a string in the files of results
                raise BadValue(f"labels and other names must do without the character NUL, but one is {shown(text)}.")
        for pulse in pulses:
            _require_finite_rates(pulse.hamiltonian, unit)
        object.__setattr__(self, "pulses", pulses)
        object.__setattr__(self, "space", space)
        object.__setattr__(self, "hamiltonian", pulses[0].hamiltonian if len(pulses) == 1 else pulses)
        object.__setattr__(self, "labels", labels)
        object.__setattr__(self, "parts", parts)
        object.__setattr__(self, "hbar", unit)

    def __repr__(self) -> str:
        """Say what it is in a line: a matrix and a million labels would fill the screen."""
        pulses = f", {len(self.pulses)} pulses" if len(self.pulses) > 1 else ""
        parts = f", parts {', '.join(part.name for part in self.parts)}" if self.parts else ""
        span = self.labels[0] if self.size == 1 else f"{self.labels[0]} to {self.labels[-1]}"
        labels = f"{self.size} labels ({self.meaning}), {span}"
        return f"<System {self.name}: {labels}{pulses}{parts}, hbar = {self.hbar:g}>"

    @property
    def size(self) -> int:
        """P, the number of beable labels."""
        return int(self.pulses[0].hamiltonian.shape[0])

    @property
    def duration(self) -> float:
        """How long the pulses last together; infinite for a constant Hamiltonian."""
        return math.fsum(pulse.duration for pulse in self.pulses)

    def segments(self, tlist: np.ndarray) -> Iterator[Segment]:
        """Cut the way from ``tlist[0]`` to ``tlist[-1]`` at every save time and every change of the Hamiltonian.

        Pulses are counted from time 0, so that an experiment which starts later starts inside the train.
        """
        edges = np.cumsum([pulse.duration for pulse in self.pulses])
        several = len(self.pulses) > 1  # else there is nothing to look for, which a million times takes seconds
        now = float(tlist[0])
        for index, target in enumerate(tlist[1:].tolist(), start=1):
            while now < target:
                which = min(int(np.searchsorted(edges, now, side="right")), len(self.pulses) - 1) if several else 0
                last = which == len(self.pulses) - 1  # it holds on, should rounding leave a sliver beyond its end
                end = target if last else min(target, float(edges[which]))
                yield Segment(which, now, end, index if end == target else None)
                now = end


class Segment(NamedTuple):
    """A stretch of constant Hamiltonian; ``save`` is the index of the save time that it ends at, if any."""

    pulse: int
    start: float
    end: float
    save: int | None


@dataclass(frozen=True, eq=False)
class Preparation:
    """The ket in which the experiment starts, psi(tlist[0]).

    Parameters
    ----------
    ket : (P,) array_like or qutip.Qobj
    normalise : bool
        Divide by the norm instead of refusing a ket that is not normalised.

    Raises
    ------
    BadType, BadValue
        If it is no array of numbers, or a bra; the rest is checked where it meets the system, in `Experiment`.
    """

    ket: Any
    normalise: bool = False

    def __post_init__(self) -> None:
        as_vector(self.ket)


@dataclass(frozen=True, eq=False)
class Schedule:
    """When to look, and at what.

    Parameters
    ----------
    tlist : array_like (time,)
        Strictly increasing save times, >= 0, in the system's unit of time, hbar / (unit of energy); the first of which
        is the time of preparation.
    e_ops : mapping of str to (P, P), or sequence of (P, P), optional
        Hermitian operators whose expectation values are wanted at the save times.
    """

    tlist: Any
    e_ops: Mapping[str, Any] | Sequence[Any] | None = None
    spaces: dict[str, list[Any] | None] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        operators = _named(self.e_ops)
        object.__setattr__(self, "tlist", as_times(self.tlist))
        object.__setattr__(self, "spaces", {f"e_ops[{name}]": space_of(one) for name, one in operators.items()})
        object.__setattr__(
            self, "e_ops", {name: as_hermitian(one, f"e_ops[{name}]") for name, one in operators.items()}
        )


@dataclass(frozen=True, eq=False)
class Experiment:
    """System, preparation and schedule: the same object goes to every theory.

    ``experiment.ket`` is the normalised initial ket, complex128 (beable,).
    """

    system: System
    preparation: Preparation
    schedule: Schedule
    ket: np.ndarray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        for value, kind in ((self.system, System), (self.preparation, Preparation), (self.schedule, Schedule)):
            if not isinstance(value, kind):
                raise BadType(f"Experiment takes a {kind.__name__} here, but got {type(value).__name__}.")
        size = self.system.size
        object.__setattr__(self, "ket", as_ket(self.preparation.ket, size, normalise=self.preparation.normalise))
        spaces = {"H": self.system.space, "psi0": space_of(self.preparation.ket), **self.schedule.spaces}
        require_one_space(spaces)
        for name, operator in self.e_ops.items():
            if operator.shape[0] != size:
                raise BadValue(f"e_ops[{name}] must act on {size} labels, but has shape {operator.shape}.")
        end = float(self.tlist[-1])
        if end > self.system.duration * (1.0 + 1e-12):
            raise BadValue(
                f"tlist must end within the pulses, which last {self.system.duration:g}, but ends at {end:g}; "
                "add a pulse or shorten tlist."
            )

    @property
    def tlist(self) -> np.ndarray:
        """Save times, float64 (time,)."""
        times: np.ndarray = self.schedule.tlist
        return times

    @property
    def e_ops(self) -> dict[str, Matrix]:
        """Operators by name."""
        return dict(self.schedule.e_ops or {})

    @classmethod
    def of(
        cls, hamiltonian: Any, psi0: Any, tlist: Any, *, hbar: float = 1.0, e_ops: Any = None, **about: Any
    ) -> Experiment:
        """Make an experiment from bare arrays, as `copydyn.copysolve` does."""
        return cls(System(hamiltonian, hbar=hbar, **about), Preparation(psi0), Schedule(tlist, e_ops))


def as_experiment(experiment: Any) -> Experiment:
    """Refuse what is no experiment."""
    if not isinstance(experiment, Experiment):
        raise BadType(f"experiment must be an Experiment, but is {shown(experiment)}; make one with Experiment.of.")
    return experiment


def joint_labels(parts: Sequence[Part]) -> tuple[str, ...]:
    """Name the joint values (a_A, a_B, ...) of the parts' labels, the last part running fastest; none without parts."""
    return tuple(f"({','.join(own)})" for own in product(*(part.labels for part in parts))) if parts else ()


def _numbered(size: int) -> tuple[str, ...]:
    return tuple(str(a) for a in range(size))


def _as_parts(parts: Any, size: int) -> tuple[Part, ...]:
    if isinstance(parts, (str, bytes)) or not isinstance(parts, Iterable):
        raise BadType(f"parts must be a sequence of (name, size), but is {shown(parts)}.")
    checked = tuple(_as_part(part) for part in parts)
    if not checked:
        return ()
    if len({part.name for part in checked}) != len(checked):
        raise BadValue("parts must differ in their names, but one name stands twice.")
    sizes = [len(part.labels) for part in checked]
    if math.prod(sizes) != size:
        raise BadValue(
            f"parts must have {size} joint labels like the Hamiltonian, but their sizes "
            f"{' x '.join(map(str, sizes))} make {math.prod(sizes)}."
        )
    return checked


def _as_part(part: Any) -> Part:
    if not isinstance(part, (tuple, list)) or len(part) != 2 or not isinstance(part[0], str):
        raise BadType(f"each of the parts must be a pair (name, size), but one is {shown(part)}.")
    name, own = part
    if isinstance(own, (str, bytes)) or not isinstance(own, Iterable):
        return Part(name, _numbered(as_whole(own, f"the size of part '{name}'", least=1, most=MOST_LABELS)))
    labels = tuple(str(label) for label in own)
    if not labels or len(set(labels)) != len(labels):
        raise BadValue(f"the labels of part '{name}' must differ and be at least one, but are {shown(labels)}.")
    return Part(name, labels)


def _as_pulses(hamiltonian: Any) -> tuple[Pulse, ...]:
    if not _is_train(hamiltonian):
        return (Pulse(math.inf, as_hermitian(hamiltonian)),)
    pulses = []
    for number, (duration, matrix) in enumerate(hamiltonian):
        name = f"the Hamiltonian of pulse {number}"
        length = as_real(duration, f"the duration of pulse {number}", positive=True)
        pulses.append(Pulse(length, as_hermitian(matrix, name)))
        shape = pulses[0].hamiltonian.shape
        if pulses[-1].hamiltonian.shape != shape:
            raise BadValue(f"{name} must have shape {shape} like the first, but has {pulses[-1].hamiltonian.shape}.")
    if not math.isfinite(sum(pulse.duration for pulse in pulses)):
        raise BadValue(
            "the durations of the pulses must have a finite sum, but have none; choose another unit of time."
        )
    return tuple(pulses)


def _require_finite_rates(hamiltonian: Matrix, hbar: float) -> None:
    values = hamiltonian if isinstance(hamiltonian, np.ndarray) else hamiltonian.data
    largest = float(np.max(np.abs(values), initial=0.0))
    if not math.isfinite(2.0 * largest / hbar):
        raise BadValue(
            f"H/hbar must be finite, but the largest entry of H is {largest:g} and hbar is {hbar:g}; "
            "choose units in which both are nearer to one."
        )


def _is_train(hamiltonian: Any) -> bool:
    """Tell [(duration, H), ...] from a matrix written as nested lists, whose rows hold numbers throughout."""
    if not isinstance(hamiltonian, (list, tuple)) or not hamiltonian:
        return False
    return all(isinstance(row, (list, tuple)) and len(row) == 2 and _is_matrix(row[1]) for row in hamiltonian)


def _is_matrix(value: Any) -> bool:
    return isinstance(value, (list, tuple)) or len(getattr(value, "shape", ())) == 2


def _space_of_hamiltonian(hamiltonian: Any) -> list[Any] | None:
    """Give the tensor space that a qutip.Qobj acts on, or the pulses of a train do, which must have one."""
    if not _is_train(hamiltonian):
        return space_of(hamiltonian)
    spaces = {f"the Hamiltonian of pulse {number}": space_of(h) for number, (_, h) in enumerate(hamiltonian)}
    require_one_space(spaces)
    return next((space for space in spaces.values() if space is not None), None)


def _named(e_ops: Any) -> dict[str, Any]:
    """Give operators by name, as they came; a list is numbered."""
    if e_ops is None:
        return {}
    if not isinstance(e_ops, Mapping):
        return {str(number): one for number, one in enumerate(e_ops if isinstance(e_ops, (list, tuple)) else [e_ops])}
    named = {str(name): operator for name, operator in e_ops.items()}
    if len(named) < len(e_ops):
        said = [str(name) for name in e_ops]
        twice = next(name for name in said if said.count(name) > 1)
        raise BadValue(
            f"e_ops must differ in their names, but '{twice}' names two of them, once as a string; rename one."
        )
    return named
