"""The ensemble as a Mesa model."""

from __future__ import annotations

import cmath
from typing import Any, NamedTuple

from copydyn.abm.adapter import DataCollector, OptionalRegistry
from copydyn.abm.copy import Copy
from copydyn.ensemble import Ensemble
from copydyn.experiment import Experiment
from copydyn.inputs import as_whole
from copydyn.kernels.flow import Couplings, Workspace, begin_step, finish_step
from copydyn.kernels.per_copy import begin_copies_step, finish_copies_step
from copydyn.kernels.per_label import record
from copydyn.kernels.roster import EventLog, member
from copydyn.kernels.variates import below, draw_alias, exponential
from copydyn.refusal import BadValue
from copydyn.streams import as_seed
from copydyn.theories.copying import MODES, CopyDynamics

MOST_REPLICAS = 2**31
"""Beyond this number of a replica a typing error is likelier than a wish."""


class Meeting(NamedTuple):
    """What the clock proposes: a copy of ``label`` meets one of ``other_label``, ``elapsed`` into the step."""

    label: int
    other_label: int
    elapsed: float
    strength: float
    delta: float
    bound: float


class CopyModel(OptionalRegistry):
    """N agents that copy each other: `copydyn.copysolve` with engine "agents", one save time a ``step()``.

    Parameters
    ----------
    H, psi0, tlist, hbar
        As for `copydyn.copysolve`.
    copies : int
    seed : int, optional
        The same seed gives the same events as ``engine="agents"``.
    replica : int
        Which of the replicas of that seed.
    register : bool
        Make every copy an agent in ``model.agents``. Without it ``model.copy(row)`` still shows any one of them.
    compiled : bool
        Let the kernels run; otherwise every event goes through `Copy.step`, slowly and readably, with the same outcome
        (Smolin's rule and the printed one).
    **theory
        Further parameters of `copydyn.theories.CopyDynamics` (rule, spectators, floor, phase_spread, ...).

    Attributes
    ----------
    clock : float
        Time of the ensemble; Mesa's ``time`` and ``steps`` count steps.
    frequencies : float64 (beable,)
    events : int
        Copy events so far.
    datacollector : mesa.DataCollector
        Clock, events and frequencies, collected at the start and after each step.
    running : bool
        False once the last save time is reached.

    Raises
    ------
    BadType, BadValue
    """

    def __init__(
        self,
        H: Any,
        psi0: Any,
        tlist: Any,
        *,
        copies: int,
        seed: int | None = None,
        hbar: float = 1.0,
        replica: int = 0,
        register: bool = True,
        compiled: bool = True,
        **theory: Any,
    ) -> None:
        self.ensemble_seed = as_seed(seed)
        super().__init__(self.ensemble_seed, register)
        number = as_whole(replica, "replica", most=MOST_REPLICAS)
        self.experiment = Experiment.of(H, psi0, tlist, hbar=hbar)
        self.theory = CopyDynamics(copies, engine="agents", **theory).resolved(self.experiment)
        if not compiled and (self.theory.rule not in MODES or self.theory.alignment is not None):
            raise BadValue(
                "compiled must be True for a Rule of the family and for an alignment: `Copy.step` plays Smolin's rule."
            )
        self.rule_sign = MODES.get(self.theory.rule, 1.0)
        self.meeting: Meeting | None = None
        self._crossing: list[tuple[Copy, Copy]] = []  # the event that ends a step, until it happens
        advance = None if compiled else self._advance_by_agents
        self._path = self.theory.iterate(self.experiment, self.ensemble_seed, number, advance=advance)
        self._look()
        if register:
            for row in range(self.ensemble.copies):
                Copy(self, row)
        labels = self.experiment.system.labels
        reporters: dict[str, Any] = {"clock": "clock", "events": "events"}
        reporters |= {f"frequency_{name}": _frequency(a) for a, name in enumerate(labels)}
        self.datacollector = DataCollector(model_reporters=reporters)
        self.datacollector.collect(self)

    def step(self) -> None:
        """Let the ensemble evolve to its next save time, and collect."""
        if not self.running:
            raise BadValue(f"the model has reached its last save time, {self.clock:g}; give a longer tlist.")
        self._look()
        self.datacollector.collect(self)

    def copy(self, row: int) -> Copy:
        """Show one copy, registered or not."""
        if not 0 <= row < self.ensemble.copies:
            raise BadValue(f"row must be in 0..{self.ensemble.copies - 1}, but is {row}.")
        keep, self.register = self.register, False
        try:
            return Copy(self, row)
        finally:
            self.register = keep

    @property
    def frequencies(self) -> Any:
        """n_a / N, float64 (beable,)."""
        return self.ensemble.frequencies

    def counts_of(self, label: int) -> int:
        """n_a: how many copies carry ``label``."""
        return int(self.ensemble.counts[label])

    def draw_member(self, label: int) -> Copy:
        """Draw one of the copies that carry ``label``."""
        rank = below(self.ensemble.random_state, self.ensemble.counts[label])
        return self.copy(int(member(label, rank, self.ensemble.rows)))

    def happen(self, copier: Copy, copied: Copy) -> None:
        """Let a copy event happen now, or at the end of the step if it ends the step."""
        counts, work = self.ensemble.counts, self.work
        loses, gains = copier.beable, copied.beable
        if counts[loses] <= work.lowest[loses] or counts[gains] >= work.highest[gains]:
            self._crossing.append((copier, copied))
        else:
            assert self.meeting is not None
            self._take_over(copier, copied, self._step_start + self.meeting.elapsed)

    def _take_over(self, copier: Copy, copied: Copy, at: float) -> None:
        record(at, copier.row, copied.row, copier.beable, copied.beable, self._log)
        copier.take_over(copied)
        self._happened += 1

    def _look(self) -> None:
        """Go on to the next save time and keep what is seen there."""
        snapshot = next(self._path)
        self.ensemble: Ensemble = snapshot.ensemble
        self.events = snapshot.events
        self.clock = float(self.experiment.tlist[snapshot.time_index])
        self.running = snapshot.time_index + 1 < self.experiment.tlist.size

    def _advance_by_agents(
        self, ensemble: Ensemble, couplings: Couplings, start: float, end: float, work: Workspace, log: EventLog
    ) -> tuple[float, int]:
        """One step of the phase flow in which every meeting is played by `Copy.step`; the twin of the kernels."""
        self.couplings, self.work, self._log, self._step_start, self._happened = couplings, work, log, start, 0
        begin, finish = (begin_step, _finish_aligned) if ensemble.aligned else (begin_copies_step, finish_copies_step)
        counts, factor = ensemble.counts, ensemble.factor
        length, total = begin(counts, factor, couplings, end - start, self.theory.phase_step, work)
        elapsed = 0.0
        while total > 0.0 and not self._crossing:
            elapsed += exponential(ensemble.random_state) / total
            if elapsed >= length:
                break
            self.meeting = self._propose(elapsed)
            self.draw_member(self.meeting.label).step()
        self.meeting = None
        if not self._crossing:
            finish(counts, factor, couplings, length, work, ensemble.rows)
            return (end if length >= end - start else start + length), self._happened
        finish(counts, factor, couplings, elapsed, work, ensemble.rows)
        self._take_over(*self._crossing.pop(), at=start + elapsed)
        return start + elapsed, self._happened

    def _propose(self, elapsed: float) -> Meeting:
        edges = self.couplings.a.size
        chosen = draw_alias(self.ensemble.random_state, edges, self.work.threshold, self.work.other) if edges > 1 else 0
        h = complex(self.couplings.h[chosen])
        return Meeting(
            label=int(self.couplings.a[chosen]),
            other_label=int(self.couplings.b[chosen]),
            elapsed=elapsed,
            strength=abs(h),
            delta=cmath.phase(h),
            bound=float(self.work.bound[chosen]),
        )


def _finish_aligned(
    counts: Any, factor: Any, couplings: Couplings, elapsed: float, work: Workspace, roster: Any
) -> None:
    finish_step(counts, factor, couplings, elapsed, work)


def _frequency(label: int) -> Any:
    return lambda model: float(model.frequencies[label])
