"""Which kernel carries which copies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from copydyn.kernels import leap, per_copy, per_label, replicas
from copydyn.kernels.alignment import AligningLaw, advance_aligning, motion_of
from copydyn.kernels.family import Family, advance_family, family_workspace
from copydyn.kernels.few import STUCK
from copydyn.kernels.flow import Couplings, workspace
from copydyn.kernels.leap import Way
from copydyn.kernels.mean_flow import Stars
from copydyn.kernels.replicas import Plan, Progress, Saved, Train, couplings_at
from copydyn.kernels.roster import EventLog
from copydyn.refusal import BadValue
from copydyn.theories.copies.ensemble import Ensemble
from copydyn.theories.copies.leaps import LeapPlan, most_orders
from copydyn.theories.copies.team import Team

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


@dataclass(frozen=True)
class Leaping:
    """The kernel of engine "leap", with what it needs to know about the run.

    Parameters
    ----------
    stars : Stars
    plan : LeapPlan
    way : Way
    copies : int
        In each ensemble, spectators included.
    team : Team, optional
        Threads that do each leap together, where there is one replica.
    """

    stars: Stars
    plan: LeapPlan
    way: Way
    copies: int
    team: Team | None = None

    def scratch(self, train: Train) -> Any:
        """Allocate what a leap under any of the pulses needs."""
        labels, edges = train.omega.shape[1], int(np.diff(train.first).max())
        threads = 1 if self.team is None else self.team.size
        return leap.leap_scratch(labels, edges, most_orders(self.plan.leaps), threads)

    def advance_replicas(
        self,
        counts: np.ndarray,
        amplitudes: np.ndarray,
        random_state: np.ndarray,
        progress: Progress,
        saved: Saved,
        train: Train,
        plan: Plan,
        work: Any,
        log: EventLog,
    ) -> None:
        """Let the kernel run for a while, one replica after the other."""
        if self.team is not None:
            self._leap_together(self.team, counts, amplitudes, random_state, progress, saved, train, plan, work)
            return
        ways = (self.stars, plan, self.plan.leaps, self.way, self.copies, WORK_A_CALL)
        status, replica = leap.advance_leaps(counts, amplitudes, random_state, progress, saved, train, *ways, work)
        _require_progress(status, progress.clock[min(replica, len(counts) - 1)])

    def _leap_together(
        self,
        team: Team,
        counts: np.ndarray,
        amplitudes: np.ndarray,
        random_state: np.ndarray,
        progress: Progress,
        saved: Saved,
        train: Train,
        plan: Plan,
        work: Any,
    ) -> None:
        """Do one leap of the one replica, and what is to be done at the end of its stretch."""
        leaps, place = self.plan.leaps, int(progress.place[0])
        pulse = int(plan.pulse[place])
        _, a, b, h = couplings_at(train, pulse)
        length, number = leap.where(0, progress, plan, leaps)
        cut = (length, int(leaps.orders[place]), pulse)
        status, events, _ = team.leap(
            amplitudes[0], self.copies, *cut, (a, b, h), self.stars, self.way, random_state[0], number, place, work
        )
        if status == STUCK:
            _require_progress(per_label.STALLED, progress.clock[0])
        leap.come_further(number, length, events, 0, progress, plan, leaps)
        if number + 1 == leaps.leaps[place]:
            leap.arrive(counts, amplitudes, self.copies, 0, progress, saved, plan)


def _require_progress(status: int, now: float) -> None:
    if status == per_label.STALLED:
        raise BadValue(
            f"H must not turn phases faster than the clock can tell, but at time {now:g} a step of the phases has "
            "become too short for float64; scale H and tlist to units in which both are near one."
        )
