"""What a run will cost, found by running a short piece of it."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from copydyn.experiment import Experiment, Schedule
from copydyn.laws import beats
from copydyn.theories import CopyDynamics
from copydyn.theories.theory import Theory

BUDGET = 0.3
"""Seconds that the longest piece may take."""

FIRST_EVENTS = 10_000
"""Events of the first piece."""

FIRST_BEATS = 1000.0
"""Radians of the fastest beat in the first piece, where no events are foreseen."""

FIRST_STEPS = 20_000
"""Steps of the phases in the first piece."""

MOST_ROWS = 2_000_000
"""Rows of copies that a piece is given: more take seconds to be made."""

BYTES_A_COPY = 24
"""Of copies that have a row: see `copydyn.kernels.roster`."""

WORKING_COPIES = 4
"""How often what is kept stands in memory at the end of a run: as it was recorded, and stacked, converted, written."""


class Cost(NamedTuple):
    """What a run takes.

    Parameters
    ----------
    seconds : float
        Of computing, all replicas one after the other, without what comes after.
    events : float
        Copy events of one replica.
    speed : float
        Copy events per second; zero where there are none.
    kept, memory : float, bytes
        The result, and the most that is in use at one time.
    rows : int or None
        Copies that have been tried in place of all, where all would have been too many.
    """

    seconds: float
    events: float
    speed: float
    kept: float
    memory: float
    rows: int | None = None


class _Piece(NamedTuple):
    """A part of the run: its share of the time span, its replicas, what it gave, and how long it took."""

    share: float
    replicas: int
    result: xr.Dataset
    seconds: float

    @property
    def events(self) -> float:
        """Copy events of all its replicas."""
        return float(self.result["events"].isel(time=-1).sum()) if "events" in self.result else 0.0


def copies_in_all(experiment: Experiment, theory: CopyDynamics) -> int:
    """N with the spectators."""
    return theory.copies + experiment.system.size * max(theory.spectators, theory.floor)


def probe(experiment: Experiment, theory: Theory, replicas: int, seed: int, *, events: float | None = None) -> Cost:
    """Run pieces of growing length, up to `BUDGET` seconds, and extrapolate the last one.

    Parameters
    ----------
    events : float, optional
        Copy events expected in one replica. Work is then taken to be proportional to the events, otherwise to time.
    """
    if isinstance(theory, CopyDynamics):  # a short piece by itself may be given another engine than the whole
        theory = theory.resolved(experiment)
    tried, scale = _fewer_rows(experiment, theory)
    piece = _longest(experiment, tried, replicas, seed, events)
    if events is None or piece.share == 1.0:
        events = scale * piece.events / (piece.replicas * piece.share)
    done = piece.events
    work = replicas * events / done if done else replicas / (piece.replicas * piece.share)
    kept = _bytes(piece.result, {"replica": replicas, "time": experiment.tlist.size, "event": replicas * events})
    hamiltonians = sum(_held(pulse.hamiltonian) for pulse in experiment.system.pulses)
    return Cost(
        seconds=piece.seconds * work,
        events=events,
        speed=done / piece.seconds,
        kept=kept,
        memory=WORKING_COPIES * kept + hamiltonians + BYTES_A_COPY * _rows(experiment, theory),
        rows=_rows(experiment, tried) if scale != 1.0 else None,
    )


def _longest(experiment: Experiment, theory: Theory, replicas: int, seed: int, events: float | None) -> _Piece:
    """Run longer and longer pieces, then more replicas, until one takes a third of the budget or is all."""
    if events is None:
        share = min(1e-3, FIRST_BEATS / (1.0 + beats(experiment)))
    else:
        share = min(1.0, FIRST_EVENTS / max(events, 1.0))
    if isinstance(theory, CopyDynamics):
        share = min(share, FIRST_STEPS / max(1.0, theory.count(experiment).steps))
    piece = _run(experiment, theory, share, 1, seed)  # compiles, or loads what is compiled: not to be counted
    piece = _run(experiment, theory, share, 1, seed)
    while piece.seconds < BUDGET / 3 and (piece.share < 1.0 or piece.replicas < replicas):
        longer = max(2.0, min(10.0, 0.5 * BUDGET / piece.seconds))
        if piece.share < 1.0:
            piece = _run(experiment, theory, min(1.0, piece.share * longer), 1, seed)
        else:
            piece = _run(experiment, theory, 1.0, min(replicas, int(piece.replicas * longer)), seed)
    return piece


def _run(experiment: Experiment, theory: Theory, share: float, replicas: int, seed: int) -> _Piece:
    piece = first_part(experiment, share)
    start = time.perf_counter()
    result = theory.evolve(piece, seed, replicas)
    return _Piece(share, replicas, result, max(time.perf_counter() - start, 1e-6))


def first_part(experiment: Experiment, share: float) -> Experiment:
    """Give the experiment that ends after a ``share`` of the time, with the same save times until then."""
    times = experiment.tlist
    if share >= 1.0 or times.size < 2:
        return experiment
    end = max(times[0] + share * (times[-1] - times[0]), np.nextafter(times[0], np.inf))
    kept = np.append(times[times < end], end)
    return Experiment(experiment.system, experiment.preparation, Schedule(kept, experiment.e_ops))


def _fewer_rows(experiment: Experiment, theory: Theory) -> tuple[Theory, float]:
    """Give the theory with at most `MOST_ROWS` copies if each has a row, and how many times more it has."""
    rows = _rows(experiment, theory)
    if rows <= MOST_ROWS or not isinstance(theory, CopyDynamics):
        return theory, 1.0
    scale = rows / MOST_ROWS
    return replace(
        theory,
        copies=int(theory.copies / scale),
        spectators=int(theory.spectators / scale),
        floor=int(theory.floor / scale),
        engine="agents",
        follow=(),
    ), scale


def _rows(experiment: Experiment, theory: Theory) -> int:
    """How many copies have a row of their own."""
    if not isinstance(theory, CopyDynamics) or theory.resolved(experiment).engine != "agents":
        return 0
    return copies_in_all(experiment, theory)


def _bytes(result: xr.Dataset, sizes: dict[str, float]) -> float:
    """Bytes of a result like ``result`` with dimensions of other ``sizes``."""
    total = 0.0
    for variable in result.variables.values():
        lengths = [sizes.get(str(name), float(length)) for name, length in variable.sizes.items()]
        total += variable.dtype.itemsize * float(np.prod(lengths))
    return total


def _held(hamiltonian: Any) -> float:
    """Bytes of a dense or sparse matrix."""
    return float(hamiltonian.nbytes if hasattr(hamiltonian, "nbytes") else hamiltonian.data.nbytes * 1.5)
