"""What the replicas of a run leave behind: their numbers at the save times, and on request tagged copies and events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from copydyn.experiment import Experiment
from copydyn.kernels.replicas import Saved
from copydyn.kernels.roster import EventLog
from copydyn.refusal import BadValue
from copydyn.results.observables import energies, expectations
from copydyn.theories.copies.ensemble import Ensemble, coherence_of, kets_of, phases_of

MOST_NUMBERS = 10**12
"""Counts that a result may hold: beyond it, 16 TB, a typing error is likelier than a wish."""

EVENT_COLUMNS = ("time", "copier", "copied", "from", "to")


class Snapshot(NamedTuple):
    """The ensemble at a save time; it goes on changing, so take what you need before the next one."""

    time_index: int
    ensemble: Ensemble
    events: int


def require_numbers(experiment: Experiment, replicas: int) -> None:
    """Refuse a result with more than `MOST_NUMBERS` counts.

    Raises
    ------
    BadValue
    """
    numbers = replicas * experiment.tlist.size * experiment.system.size
    if numbers > MOST_NUMBERS:
        raise BadValue(
            f"replicas times save times times labels must be at most {MOST_NUMBERS:.0e}, as each has a count, but "
            f"are {numbers:.3g}; take fewer replicas or save times."
        )


@dataclass(eq=False)
class Records:
    """Arrays over replicas and save times.

    Parameters
    ----------
    saved : Saved
        counts, factor (replica, time, beable) and events (replica, time).
    follow : int64 (tag,)
        Rows of the tagged copies.
    tagged_beable, tagged_phase : (replica, time, tag)
    logs : list
        For each replica the five columns of its event log, in parts; None where none is kept.
    aligned : bool
        Whether ``factor`` is exp(-i phi_a), and not Z_a.
    """

    saved: Saved
    follow: np.ndarray
    tagged_beable: np.ndarray
    tagged_phase: np.ndarray
    aligned: bool
    logs: list[list[tuple[np.ndarray, ...]]] | None = field(default=None)

    @classmethod
    def empty(
        cls, experiment: Experiment, replicas: int, *, follow: Sequence[int], events: bool, aligned: bool
    ) -> Records:
        """Make room for ``replicas`` replicas."""
        times = experiment.tlist.size
        shape, tags = (replicas, times, experiment.system.size), (replicas, times, len(follow))
        require_numbers(experiment, replicas)
        saved = Saved(np.zeros(shape, np.int64), np.zeros(shape, np.complex128), np.zeros(shape[:2], np.int64))
        logs: list[list[tuple[np.ndarray, ...]]] | None = [[] for _ in range(replicas)] if events else None
        rows = np.array(follow, dtype=np.int64)
        return cls(saved, rows, np.zeros(tags, np.int32), np.zeros(tags), aligned, logs)

    def of(self, first: int, last: int) -> Records:
        """Show the rows of some replicas; what is written there is written here."""
        rows = slice(first, last)
        logs = None if self.logs is None else self.logs[rows]
        saved = Saved(*(column[rows] for column in self.saved))
        return Records(saved, self.follow, self.tagged_beable[rows], self.tagged_phase[rows], self.aligned, logs)

    def take(self, snapshot: Snapshot) -> None:
        """Copy what is wanted out of the one replica that these records are about."""
        at, ensemble = snapshot.time_index, snapshot.ensemble
        self.saved.counts[0, at] = ensemble.counts
        self.saved.factor[0, at] = ensemble.factor
        self.saved.events[0, at] = snapshot.events
        if self.follow.size:
            self.tagged_beable[0, at] = ensemble.rows.beable[self.follow]
            self.tagged_phase[0, at] = ensemble.copy_phases[self.follow]

    def arrays(self) -> dict[str, np.ndarray]:
        """Name every array, the logs excepted."""
        tags = {"tagged_beable": self.tagged_beable, "tagged_phase": self.tagged_phase}
        return {**{f"saved_{name}": column for name, column in self.saved._asdict().items()}, **tags}

    def log_of(self, replica: int) -> dict[str, np.ndarray]:
        """Columns of one replica's event log, as far as it goes; none where no log is kept."""
        if self.logs is None:
            return {}
        parts = self.logs[replica]
        self.logs[replica][:] = [_joined(parts)]
        return dict(zip(EVENT_COLUMNS, self.logs[replica][0]))

    def take_log(self, replica: int, log: EventLog) -> None:
        """Append what stands in ``log``, which will be used again."""
        used = int(log.used[0])
        if self.logs is not None and used:
            self.logs[replica].append(tuple(column[:used].copy() for column in log[:5]))

    def set_log(self, replica: int, columns: Sequence[np.ndarray]) -> None:
        """Put ``columns`` in the place of one replica's log."""
        if self.logs is not None:
            self.logs[replica][:] = [tuple(columns)]

    def variables(self, experiment: Experiment) -> dict[str, Any]:
        """Give the variables of a result (`copydyn.result`)."""
        counts, factor, events = self.saved
        frequency = counts / counts.sum(axis=-1, keepdims=True)
        variables: dict[str, Any] = {
            "probability": frequency.mean(axis=0),
            "frequency": frequency,
            "counts": counts,
            "phase": phases_of(counts, factor),
            "events": events,
            "status": np.array(["ok"] * len(counts)),
        }
        if not self.aligned:
            variables["coherence"] = coherence_of(counts, factor)
        else:
            kets = kets_of(counts, factor)
            variables["energy"] = energies(kets, experiment)
            if experiment.e_ops:
                variables["expect"] = expectations(experiment.e_ops, kets)
        if self.follow.size:
            variables["tagged_beable"] = self.tagged_beable
            variables["tagged_phase"] = self.tagged_phase
        if self.logs is not None:
            logs = [self.log_of(replica) for replica in range(len(self.logs))]
            variables["event_replica"] = np.repeat(np.arange(len(logs)), [log["time"].size for log in logs])
            for name in EVENT_COLUMNS:
                variables[f"event_{name}"] = np.concatenate([log[name] for log in logs])
        return variables


def _joined(parts: list[tuple[np.ndarray, ...]]) -> tuple[np.ndarray, ...]:
    if not parts:
        return (np.zeros(0), *(np.zeros(0, np.int32) for _ in EVENT_COLUMNS[1:]))
    return tuple(np.concatenate(columns) for columns in zip(*parts))
