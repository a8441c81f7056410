"""Playing trajectories: in legs of equal steps between save times, on several threads, with checkpoints."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from copydyn.experiment import Experiment
from copydyn.experiment.inputs import as_whole
from copydyn.kernels.reducing import transform_all
from copydyn.refusal import BadValue
from copydyn.runs import room
from copydyn.runs.conduct import Checkpoint, Part, as_jobs, conduct
from copydyn.runs.streams import run_fingerprint, streams
from copydyn.theories.copies.cost import warn_if_long
from copydyn.theories.copies.recording import MOST_NUMBERS

MOST_PARTS = 64
"""Parts into which trajectories are shared out, however many threads there are."""

WORK = 3_000_000
"""Amplitudes times steps, or entries of a basis change, between two looks at the clock (some tenths of a second)."""

SECONDS_OF_A_NORMAL, SECONDS_OF_A_PRODUCT = 3e-8, 3e-9
"""Time that a step takes for each amplitude, whose noise is drawn, and for each unit of its cost."""

MOST_STEPS = 10**9
"""Steps from the first to the last save time beyond which a typing error is likelier than a wish."""


class Leg(NamedTuple):
    """A stretch of equal steps; ``save`` is the number of the save time at its end, or -1."""

    steps: int
    dt: float
    save: int


Advance = Callable[[np.ndarray, np.ndarray, Leg], None]
"""States (replica, ...) and generators (replica, 4), both changed in place, over a leg; owns its scratch."""


def legs_of(tlist: np.ndarray, longest: float, cost: int) -> list[Leg]:
    """Cut the way from one save time to the next into steps of at most ``longest``, and these into short legs.

    Parameters
    ----------
    cost : int
        Of a step of one trajectory, in the units of `WORK`.

    Raises
    ------
    BadValue
        If there would be too many steps.
    """
    spans = np.diff(tlist)
    total = float(np.sum(np.ceil(spans / longest))) if longest > 0.0 else math.inf
    if total > MOST_STEPS:
        raise BadValue(
            f"a trajectory must take at most {MOST_STEPS:.0e} steps, but would take {total:.3g}; make the step longer, "
            "the rates smaller or the times shorter."
        )
    most = max(1, WORK // max(1, cost))
    legs = []
    for save, span in enumerate(spans, start=1):
        steps = max(1, math.ceil(span / longest * (1.0 - 1e-12)))
        dt = float(f"{span / steps:.14g}")  # save times that are even to rounding share a propagator
        done = 0
        while done < steps:
            part = min(most, steps - done)
            done += part
            legs.append(Leg(part, dt, save if done == steps else -1))
    return legs


@dataclass(frozen=True, eq=False)
class Course:
    """What trajectories of an experiment are.

    Parameters
    ----------
    start : complex128 (level,) or (beable,)
        The first state, in the basis in which steps are taken.
    legs : list of Leg
    advance : callable
        Makes an `Advance`, with scratch of its own.
    rows : complex128 (level, beable), or None
        What carries a state to the beables; None where they are the basis of the steps.
    cost : int
        Of a step, as for `legs_of`.
    """

    start: np.ndarray
    legs: list[Leg]
    advance: Callable[[], Advance]
    rows: np.ndarray | None
    cost: int


class Trajectories:
    """Some trajectories, one part of a run; parameters as for `Course`, with arrays to fill."""

    def __init__(self, course: Course, random_state: np.ndarray, states: np.ndarray, span: float) -> None:
        self._course, self._states, self._span = course, states, span
        self._random_state = random_state
        self._psi: np.ndarray | None = None
        self._cursor = np.zeros(2, np.int64)
        self._lengths = np.concatenate([[0.0], np.cumsum([leg.steps * leg.dt for leg in course.legs])])

    @property
    def covered(self) -> float:
        """Time simulated so far, over all trajectories."""
        rows, (leg, row) = len(self._states), self._cursor.tolist()
        if leg == len(self._course.legs):
            return rows * self._span
        return float(rows * self._lengths[leg] + row * (self._lengths[leg + 1] - self._lengths[leg]))

    @property
    def events(self) -> int:
        """Steps so far."""
        rows, (leg, row) = len(self._states), self._cursor.tolist()
        steps = [one.steps for one in self._course.legs]
        return rows * sum(steps[:leg]) + row * (steps[leg] if leg < len(steps) else 0)

    @property
    def finished(self) -> bool:
        """Whether every trajectory has reached its last save time."""
        return self._psi is not None and int(self._cursor[0]) == len(self._course.legs)

    def go_on(self) -> None:
        """Take some trajectories along their next leg."""
        psi = self._begun()
        if self.finished:
            return
        number, first = self._cursor.tolist()
        leg = self._course.legs[number]
        rows = max(1, WORK // max(1, leg.steps * self._course.cost))
        last = min(len(psi), first + rows)
        own = psi[first:last]
        self._advance(own, self._random_state[first:last], leg)
        if leg.save >= 0:
            self._save(own, self._states[first:last, leg.save])
        self._cursor[:] = (number, last) if last < len(psi) else (number + 1, 0)

    def state(self) -> dict[str, np.ndarray]:
        """Everything that is needed to go on; empty before the start."""
        if self._psi is None:
            return {}
        now = {"psi": self._psi, "random_state": self._random_state, "cursor": self._cursor}
        return {**now, "states": self._states}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Go back to what `state` has given."""
        if state:
            self._begun()
            for name, array in self.state().items():
                array[...] = state[name]

    def _begun(self) -> np.ndarray:
        if self._psi is None:
            self._advance = self._course.advance()
            self._psi = np.tile(self._course.start, (len(self._states), 1))
            self._save(self._psi, self._states[:, 0])
        return self._psi

    def _save(self, psi: np.ndarray, out: np.ndarray) -> None:
        if self._course.rows is None:
            out[...] = psi
            return
        told = np.empty((len(psi), self._course.rows.shape[1]), dtype=np.complex128)
        transform_all(self._course.rows, psi, told)
        out[...] = told


def require_room(experiment: Experiment, replicas: int, width: int) -> None:
    """Refuse more trajectories of ``width`` amplitudes than memory holds.

    Raises
    ------
    BadValue
    """
    numbers = as_whole(replicas, "replicas", least=1) * experiment.tlist.size * width
    if numbers > MOST_NUMBERS:
        raise BadValue(
            f"replicas times save times times labels must be at most {MOST_NUMBERS:.0e}, but are {numbers:.3g}; take "
            "fewer replicas or save times."
        )
    room.require(room.of_results(numbers))


def play(
    course: Course,
    experiment: Experiment,
    theory: Any,
    seed: int,
    replicas: int,
    first: int,
    *,
    progress: bool,
    jobs: int,
    keep: Checkpoint | None,
) -> np.ndarray:
    """Play the trajectories number ``first`` to ``first + replicas - 1``.

    Returns
    -------
    complex128 (replica, time, beable)

    Raises
    ------
    BadValue
        If they would not fit into memory.
    """
    first, jobs = as_whole(first, "first"), as_jobs(jobs)
    width = course.start.size if course.rows is None else course.rows.shape[1]
    shape = (replicas, experiment.tlist.size, width)
    require_room(experiment, replicas, width)
    steps = sum(leg.steps for leg in course.legs)
    each = steps * (SECONDS_OF_A_NORMAL * course.start.size + SECONDS_OF_A_PRODUCT * course.cost)
    warn_if_long(each * replicas / min(jobs, replicas), f"{steps} steps a trajectory, {replicas} of them")
    states = np.empty(shape, dtype=course.start.dtype)
    random_state = streams(experiment, theory, seed, replicas, first)
    span = float(experiment.tlist[-1] - experiment.tlist[0])
    edges = np.linspace(0, replicas, min(replicas, MOST_PARTS) + 1).astype(int).tolist()
    parts: list[Part] = [
        Trajectories(course, random_state[begin:end], states[begin:end], span) for begin, end in pairwise(edges)
    ]
    run = run_fingerprint(experiment, theory, seed, replicas)
    if first:
        run = hashlib.sha256(run + repr(first).encode()).digest()
    conduct(parts, run, replicas * span, jobs=jobs, progress=progress, keep=keep)
    return states
