"""The parts that a run of copy dynamics consists of, each of which can pause, be kept, and go on with the same bytes.

`Replicas` are counted copies, many ensembles in one kernel; a `Replica` is one ensemble whose copies have rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np

from copydyn.experiment import Experiment
from copydyn.kernels.flow import Couplings
from copydyn.kernels.replicas import Plan, Progress, Saved, Train, couplings_at
from copydyn.kernels.roster import EventLog, event_log
from copydyn.theories.copies.ensemble import Ensemble
from copydyn.theories.copies.recording import Records, Snapshot

State: TypeAlias = Mapping[str, np.ndarray]

Advance: TypeAlias = Callable[[Ensemble, Couplings, float, float, Any, EventLog], tuple[float, int]]
"""Ensemble, couplings, start, end, scratch, log -> time reached, copy events; changes the ensemble in place."""

AdvanceAll: TypeAlias = Callable[
    [np.ndarray, np.ndarray, np.ndarray, Progress, Saved, Train, Plan, Any, EventLog], None
]
"""Counts, factors, generators, progress, what is kept, couplings, plan, scratch, empty log; all changed in place."""


def plan_of(experiment: Experiment) -> Plan:
    """Cut the experiment into stretches that end at a save time or where the Hamiltonian changes."""
    segments = list(experiment.system.segments(experiment.tlist))
    return Plan(
        pulse=np.array([segment.pulse for segment in segments], dtype=np.int64),
        end=np.array([segment.end for segment in segments], dtype=np.float64),
        save=np.array([-1 if segment.save is None else segment.save for segment in segments], dtype=np.int64),
    )


class Replicas:
    """Ensembles of counted copies.

    Parameters
    ----------
    begin : callable
        Gives counts (replica, beable), factors (replica, beable) and generators (replica, 4) at the start.
    advance : AdvanceAll
    scratch : callable
        Allocates what the kernel needs besides.
    experiment : Experiment
    train, plan
        Of the experiment, by `copydyn.ensemble.train_of` and `plan_of`.
    records : Records
        Where the results go.
    """

    def __init__(
        self,
        begin: Callable[[], tuple[np.ndarray, np.ndarray, np.ndarray]],
        advance: AdvanceAll,
        scratch: Callable[[], Any],
        experiment: Experiment,
        train: Train,
        plan: Plan,
        records: Records,
    ) -> None:
        replicas = len(records.saved.events)
        self._begin, self._advance, self._scratch, self._records = begin, advance, scratch, records
        self._start, self._train, self._plan = float(experiment.tlist[0]), train, plan
        self._progress = Progress(np.full(replicas, self._start), *np.zeros((2, replicas), np.int64))
        self._ensembles: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None

    @property
    def covered(self) -> float:
        """Time simulated so far, over all replicas."""
        return float((self._progress.clock - self._start).sum())

    @property
    def events(self) -> int:
        """Copy events so far."""
        return int(self._progress.events.sum())

    @property
    def finished(self) -> bool:
        """Whether every replica has reached its last save time."""
        return self._ensembles is not None and bool(self._progress.place[-1] == self._plan.pulse.size)

    @property
    def reached(self) -> int:
        """Save times that all replicas have reached."""
        if self._ensembles is None:
            return 0
        return 1 + int(np.sum(self._plan.save[: self._progress.place.min()] >= 0))

    def go_on(self) -> None:
        """Let the kernel run for a while."""
        counts, factor, random_state = self._begun()
        self._advance(
            counts,
            factor,
            random_state,
            self._progress,
            self._records.saved,
            self._train,
            self._plan,
            self._work,
            self._log,
        )

    def state(self) -> dict[str, np.ndarray]:
        """Everything that is needed to go on, and what is recorded; empty before the start."""
        if self._ensembles is None:
            return {}
        now = dict(zip(("now_counts", "now_factor", "random_state"), self._ensembles))
        return {**self._records.arrays(), **self._progress._asdict(), **now}

    def restore(self, state: State) -> None:
        """Go back to what `state` has given."""
        if state:
            self._begun()
            _overwrite(self.state(), state)

    def _begun(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        if self._ensembles is None:
            self._work, self._log = self._scratch(), event_log(0)
            self._ensembles = counts, factor, _ = self._begin()
            self._records.saved.counts[:, 0], self._records.saved.factor[:, 0] = counts, factor
        return self._ensembles


class Replica:
    """One ensemble whose copies have rows; parameters as for `Replicas`.

    Parameters
    ----------
    begin : callable
        Gives the ensemble at the start.
    advance : Advance
    records : Records
        Of this replica alone.
    log_room : int
        How many events are logged before they are moved to the records; 0 to log none.
    """

    def __init__(
        self,
        begin: Callable[[], Ensemble],
        advance: Advance,
        scratch: Callable[[], Any],
        experiment: Experiment,
        train: Train,
        plan: Plan,
        records: Records,
        log_room: int = 0,
    ) -> None:
        self._begin, self._advance, self._scratch = begin, advance, scratch
        self._records, self._log_room, self._log = records, log_room, event_log(0)
        self._start, self._train, self._plan = float(experiment.tlist[0]), train, plan
        self._clock, self._place, self._events = np.array([self._start]), *np.zeros((2, 1), np.int64)
        self._ensemble: Ensemble | None = None
        self._work: Any = None
        self._started = False

    @property
    def covered(self) -> float:
        """Time simulated so far."""
        return float(self._clock[0]) - self._start

    @property
    def events(self) -> int:
        """Copy events so far."""
        return int(self._events[0])

    @property
    def finished(self) -> bool:
        """Whether the last save time is reached."""
        return self._started and bool(self._place[0] == self._plan.pulse.size)

    def go_on(self) -> Snapshot | None:
        """Let the kernel run for a while; show the ensemble where a save time is reached."""
        if self._ensemble is None:
            self._begun()
            return self._seen(0)
        place, now = int(self._place[0]), float(self._clock[0])
        couplings, end = couplings_at(self._train, self._plan.pulse[place]), float(self._plan.end[place])
        reached, events = self._advance(self._ensemble, couplings, now, end, self._work, self._log)
        self._clock[0] = reached
        self._events[0] += events
        if reached == now:  # the log has no room for the next step
            self._log = self._emptied() if self._log.used[0] else event_log(2 * self._log.time.size)
        if reached < end:
            return None
        self._place[0] += 1
        moment = int(self._plan.save[place])
        return self._seen(moment) if moment >= 0 else None

    def state(self) -> dict[str, np.ndarray]:
        """Everything that is needed to go on, and what is recorded; empty before the start."""
        if not self._started:
            return {}
        self._emptied()
        own = {"clock": self._clock, "place": self._place, "events": self._events}
        log = {f"log_{name}": column for name, column in self._records.log_of(0).items()}
        ensemble = self._ensemble.arrays() if self._ensemble is not None else {}
        return {**self._records.arrays(), **own, **log, **ensemble}

    def restore(self, state: State) -> None:
        """Go back to what `state` has given."""
        if not state:
            return
        self._started = True
        if "now_counts" in state:  # else the replica was finished
            self._begun()
        self._records.set_log(0, [state[name] for name in state if name.startswith("log_")])
        _overwrite(self.state(), state)

    def _begun(self) -> None:
        self._ensemble, self._work, self._log = self._begin(), self._scratch(), event_log(self._log_room)
        self._started = True

    def _seen(self, moment: int) -> Snapshot:
        assert self._ensemble is not None
        snapshot = Snapshot(moment, self._ensemble, self.events)
        self._records.take(snapshot)
        self._emptied()
        if self.finished:  # what it holds may fill the memory that the next one needs
            self._ensemble, self._work, self._log = None, None, event_log(0)
        return snapshot

    def _emptied(self) -> EventLog:
        """Move the events of the log to the records."""
        self._records.take_log(0, self._log)
        self._log.used[0] = 0
        return self._log


def _overwrite(arrays: State, values: State) -> None:
    for name, array in arrays.items():
        array[...] = values[name]
