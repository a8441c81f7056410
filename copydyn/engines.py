"""Which kernel carries which copies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from copydyn.ensemble import Ensemble
from copydyn.kernels import per_copy, per_label, replicas
from copydyn.kernels.flow import Couplings, workspace
from copydyn.kernels.replicas import Plan, Progress, Saved, Train
from copydyn.kernels.roster import EventLog
from copydyn.refusal import BadValue

WORK_A_CALL = 5_000_000
"""How often a kernel comes up for air, in units of ten nanoseconds: for the progress bar, checkpoints and Ctrl-C."""

LOG_A_CALL = 1_000_000


@dataclass(frozen=True)
class Kernels:
    """The kernels of one theory; their verbs are what `copydyn.courses` calls.

    Parameters
    ----------
    phase_step, floor, mode
        See `copydyn.kernels.per_label.advance`.
    """

    phase_step: float
    floor: int
    mode: float

    def scratch(self, train: Train) -> Any:
        """Allocate what a step of any of the pulses needs."""
        return workspace(train.omega.shape[1], int(np.diff(train.first).max()))

    def advance(
        self, ensemble: Ensemble, couplings: Couplings, start: float, end: float, work: Any, log: EventLog
    ) -> tuple[float, int]:
        """Let the kernel run from ``start`` towards ``end`` for a while; return the time reached and the events."""
        kernel = per_label.advance if ensemble.aligned else per_copy.advance_copies
        status, now, events, _, _ = kernel(
            ensemble.counts,
            ensemble.factor,
            couplings,
            start,
            end,
            self.phase_step,
            self.floor,
            self.mode,
            WORK_A_CALL,
            ensemble.random_state,
            work,
            ensemble.roster,
            log,
        )
        _require_progress(status, now)
        return float(now), int(events)

    def advance_replicas(
        self,
        counts: np.ndarray,
        factor: np.ndarray,
        random_state: np.ndarray,
        progress: Progress,
        saved: Saved,
        train: Train,
        plan: Plan,
        work: Any,
        log: EventLog,
    ) -> None:
        """Let the kernel run for a while with counted copies, one replica after the other."""
        status, replica = replicas.advance_replicas(
            counts,
            factor,
            random_state,
            progress,
            saved,
            train,
            plan,
            self.phase_step,
            self.floor,
            self.mode,
            WORK_A_CALL,
            work,
            log,
        )
        _require_progress(status, progress.clock[min(replica, len(counts) - 1)])


def _require_progress(status: int, now: float) -> None:
    if status == per_label.STALLED:
        raise BadValue(
            f"H must not turn phases faster than the clock can tell, but at time {now:g} a step of the phases has "
            "become too short for float64; scale H and tlist to units in which both are near one."
        )
