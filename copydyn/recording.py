"""What an ensemble leaves behind: its numbers at the save times, and on request tagged copies and events."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from copydyn.ensemble import Ensemble
from copydyn.experiment import Experiment
from copydyn.kernels.roster import EventLog
from copydyn.observables import energies, expectations


class Snapshot(NamedTuple):
    """The ensemble at a save time; it goes on changing, so take what you need before the next one."""

    time_index: int
    ensemble: Ensemble
    events: int
    log: EventLog


class Record:
    """What one replica leaves behind: arrays over the save times."""

    def __init__(self, experiment: Experiment, replica: int, follow: tuple[int, ...], keep_events: bool) -> None:
        shape = (experiment.tlist.size, experiment.system.size)
        self.replica, self.follow, self.keep_events = replica, np.array(follow, dtype=np.int64), keep_events
        self.counts = np.zeros(shape, np.int64)
        self.phase = np.zeros(shape)
        self.coherence = np.zeros(shape)
        self.kets = np.zeros(shape, np.complex128)
        self.aligned = True
        self.events = np.zeros(shape[0], np.int64)
        self.tagged_beable = np.zeros((shape[0], len(follow)), np.int32)
        self.tagged_phase = np.zeros((shape[0], len(follow)))
        self.log: list[tuple[np.ndarray, ...]] = []

    def take(self, snapshot: Snapshot) -> None:
        """Copy what is wanted out of the ensemble, which goes on changing."""
        at, ensemble = snapshot.time_index, snapshot.ensemble
        self.counts[at] = ensemble.counts
        self.phase[at] = ensemble.phases
        self.coherence[at] = ensemble.coherence
        self.kets[at] = ensemble.ket
        self.events[at] = snapshot.events
        self.aligned = ensemble.aligned
        if self.follow.size:
            self.tagged_beable[at] = ensemble.rows.beable[self.follow]
            self.tagged_phase[at] = ensemble.copy_phases[self.follow]
        if self.keep_events:
            self.log.append(tuple(column[: snapshot.log.used[0]].copy() for column in snapshot.log[:5]))


def collect(records: list[Record], experiment: Experiment) -> dict[str, Any]:
    """Stack the replicas into the variables of a result (`copydyn.result`)."""
    counts = np.stack([record.counts for record in records])
    frequency = counts / counts.sum(axis=-1, keepdims=True)
    variables: dict[str, Any] = {
        "probability": frequency.mean(axis=0),
        "frequency": frequency,
        "counts": counts,
        "phase": np.stack([record.phase for record in records]),
        "events": np.stack([record.events for record in records]),
        "status": np.array(["ok"] * len(records)),
    }
    if not records[0].aligned:
        variables["coherence"] = np.stack([record.coherence for record in records])
    else:
        kets = np.stack([record.kets for record in records])
        variables["energy"] = energies(kets, experiment)
        if experiment.e_ops:
            variables["expect"] = expectations(experiment.e_ops, kets)
    if records[0].follow.size:
        variables["tagged_beable"] = np.stack([record.tagged_beable for record in records])
        variables["tagged_phase"] = np.stack([record.tagged_phase for record in records])
    if records[0].keep_events:
        lengths = [sum(part[0].size for part in record.log) for record in records]
        variables["event_replica"] = np.repeat(np.array([record.replica for record in records]), lengths)
        for place, name in enumerate(("time", "copier", "copied", "from", "to")):
            variables[f"event_{name}"] = np.concatenate([part[place] for record in records for part in record.log])
    return variables
