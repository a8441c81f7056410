"""Which kernel carries which copies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from copydyn.ensemble import Ensemble
from copydyn.kernels import per_copy, per_label, replicas
from copydyn.kernels.alignment import AligningLaw, advance_aligning, motion_of
from copydyn.kernels.family import Family, advance_family, family_workspace
from copydyn.kernels.flow import Couplings, workspace
from copydyn.kernels.replicas import Plan, Progress, Saved, Train
from copydyn.kernels.roster import EventLog
from copydyn.refusal import BadValue

WORK_A_CALL = 5_000_000
"""How often a kernel comes up for air, in units of ten nanoseconds: for the progress bar, checkpoints and Ctrl-C."""

LOG_A_CALL = 1_000_000


@dataclass(frozen=True)
class Kernels:
    """The kernels of one theory; their verbs are what `copydyn.runs.courses` calls.

    Parameters
    ----------
    phase_step, floor, mode
        See `copydyn.kernels.per_label.advance`.
    family : Family, optional
        A rule other than Smolin's and the printed one.
    law : AligningLaw, optional
        Gives the copies momenta.
    """

    phase_step: float
    floor: int
    mode: float
    family: Family | None = None
    law: AligningLaw | None = None

    def scratch(self, train: Train, copies: int) -> Any:
        """Allocate what a step of any of the pulses needs."""
        labels, edges = train.omega.shape[1], int(np.diff(train.first).max())
        if self.family is not None:
            return workspace(labels, edges), family_workspace(labels, edges, self.family)
        if self.law is not None:
            return workspace(labels, edges), motion_of(copies, labels)
        return workspace(labels, edges)

    def advance(
        self, ensemble: Ensemble, couplings: Couplings, start: float, end: float, work: Any, log: EventLog
    ) -> tuple[float, int]:
        """Let the kernel run from ``start`` towards ``end`` for a while; return the time reached and the events."""
        state = (ensemble.counts, ensemble.factor)
        way = (couplings, start, end, self.phase_step, self.floor)
        rows = (ensemble.roster, log)
        chance = (WORK_A_CALL, ensemble.random_state)
        if self.law is not None:
            outcome = advance_aligning(*state, ensemble.momenta, *way, self.mode, self.law, *chance, *work, *rows)
        elif self.family is not None:
            outcome = advance_family(*state, *way, self.family, *chance, work[1], *rows)
        else:
            kernel = per_label.advance if ensemble.aligned else per_copy.advance_copies
            outcome = kernel(*state, *way, self.mode, *chance, work, *rows)
        status, now, events, _, _ = outcome
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
            self.family,
            WORK_A_CALL,
            *(work if self.family is not None else (work, None)),
            log,
        )
        _require_progress(status, progress.clock[min(replica, len(counts) - 1)])


def _require_progress(status: int, now: float) -> None:
    if status == per_label.STALLED:
        raise BadValue(
            f"H must not turn phases faster than the clock can tell, but at time {now:g} a step of the phases has "
            "become too short for float64; scale H and tlist to units in which both are near one."
        )
