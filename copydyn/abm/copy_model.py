"""The ensemble as a Mesa model."""

from __future__ import annotations

import cmath
from typing import Any, NamedTuple

from copydyn.abm.adapter import RNG, DataCollector, ModelOfResidents, as_seed_and_rng
from copydyn.abm.copy import Copy
from copydyn.experiment import Experiment
from copydyn.experiment.inputs import as_whole
from copydyn.kernels.flow import Couplings, Workspace, begin_step, finish_step
from copydyn.kernels.per_copy import begin_copies_step, finish_copies_step
from copydyn.kernels.per_label import record
from copydyn.kernels.roster import EventLog, member
from copydyn.kernels.variates import below, draw_alias, exponential
from copydyn.refusal import BadValue
from copydyn.theories.copies.copying import MODES, CopyDynamics
from copydyn.theories.copies.ensemble import Ensemble

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


class CopyModel(ModelOfResidents):
    """N agents that copy each other: `copydyn.copysolve` with engine "agents", one save time a ``step()``.

    N never changes, so that copies are neither made nor removed by hand; agents of your own come and go as in any
    model. `pickle` and `copy.deepcopy` give a model of its own, agents included, that goes on with the same bytes.

    Parameters
    ----------
    H, psi0, tlist, hbar
        As for `copydyn.copysolve`.
    copies : int, or float with an integer value
    seed : int, optional
        The same seed gives the same events as ``engine="agents"``. It also seeds ``model.random`` and ``model.rng``,
        which are yours: the ensemble draws from a generator of its own.
    rng : int, sequence of int, SeedSequence, Generator or BitGenerator, optional
        Another name of ``seed``, which takes the same. A SeedSequence (of a sequence) gives the ensemble the first 63
        bits of its state, and a generator the next 63 bits that it draws, so that the seed is ``ensemble_seed``.
    replica : int
        Which of the replicas of that seed.
    register : bool
        Make every copy an agent in ``model.agents``. Without it ``model.copy(row)`` still shows any one of them, and
        ``model.agents`` holds agents of your own alone. Those are numbered from N + 1 on either way.
    compiled : bool
        Let the kernels run; otherwise every event goes through `Copy.step`, slowly and readably, with the same outcome
        (Smolin's rule and the printed one).
    **theory
        Further parameters of `copydyn.theories.CopyDynamics` (rule, spectators, floor, phase_spread, ...).

    Attributes
    ----------
    ensemble_seed : int
        What the ensemble is seeded with.
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
        copies: float,
        seed: RNG | None = None,
        rng: RNG | None = None,
        hbar: float = 1.0,
        replica: int = 0,
        register: bool = True,
        compiled: bool = True,
        **theory: Any,
    ) -> None:
        self.ensemble_seed, users = as_seed_and_rng(seed, rng)
        super().__init__(users, register)
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
        self._course = self.theory.course(self.experiment, self.ensemble_seed, number, advance=advance)
        self._look()
        total = self.ensemble.copies
        self._registered: list[Copy] = [self._settle(Copy, row + 1) for row in range(total)] if register else []
        self._shown: dict[int, Copy] = {}  # of those that are not registered
        self.agent_id_counter = total + 1
        labels = self.experiment.system.labels
        reporters: dict[str, Any] = {"clock": "clock", "events": "events"}
        reporters |= {f"frequency_{name}": [self.frequency_of, [a]] for a, name in enumerate(labels)}
        self.datacollector = DataCollector(model_reporters=reporters)
        self.datacollector.collect(self)

    def step(self) -> None:
        """Let the ensemble evolve to its next save time, and collect."""
        self.require_steps(1)
        self._look()
        self.datacollector.collect(self)

    def require_steps(self, count: int) -> None:
        """Refuse ``count`` more steps if there are not so many save times left."""
        left = self.experiment.tlist.size - 1 - self._time_index
        if count > left:
            raise BadValue(
                f"the model has reached its last save time, {self.clock:g}; give a longer tlist."
                if left == 0
                else f"the model has {left} save times left, but {count} steps are asked for; give a longer tlist."
            )

    def copy(self, row: int) -> Copy:
        """Give the copy of a row, always the same, registered or not."""
        return self._copy(as_whole(row, "row", most=self.ensemble.copies - 1))

    def _copy(self, row: int) -> Copy:
        if self.register:
            return self._registered[row]
        if row not in self._shown:
            self._shown[row] = self._settle(Copy, row + 1)
        return self._shown[row]

    @property
    def frequencies(self) -> Any:
        """n_a / N, float64 (beable,)."""
        return self.ensemble.frequencies

    def counts_of(self, label: int) -> int:
        """n_a: how many copies carry ``label``."""
        return int(self.ensemble.counts[label])

    def frequency_of(self, label: int) -> float:
        """n_a / N."""
        return float(self.frequencies[label])

    def draw_member(self, label: int) -> Copy:
        """Draw one of the copies that carry ``label``."""
        rank = below(self.ensemble.random_state, self.ensemble.counts[label])
        return self._copy(int(member(label, rank, self.ensemble.rows)))

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
        while (snapshot := self._course.go_on()) is None:
            pass
        self.ensemble: Ensemble = snapshot.ensemble
        self.events = snapshot.events
        self._time_index = snapshot.time_index
        self.clock = float(self.experiment.tlist[snapshot.time_index])
        self.running = snapshot.time_index + 1 < self.experiment.tlist.size

    def _advance_by_agents(
        self, ensemble: Ensemble, couplings: Couplings, start: float, end: float, work: Workspace, log: EventLog
    ) -> tuple[float, int]:
        """One step of the phase flow in which every meeting is played by `Copy.step`; the twin of the kernels."""
        self.couplings, self.work, self._log, self._step_start, self._happened = couplings, work, log, start, 0
        state = (ensemble.counts, ensemble.factor, couplings)
        way = (end - start, self.theory.phase_step)
        if ensemble.aligned:
            length, total = begin_step(*state, *way, self.rule_sign, work)
        else:
            length, total = begin_copies_step(*state, *way, work)
        elapsed = 0.0
        while total > 0.0 and not self._crossing:
            elapsed += exponential(ensemble.random_state) / total
            if elapsed >= length:
                break
            self.meeting = self._propose(elapsed)
            self.draw_member(self.meeting.label).step()
        self.meeting = None
        passed = elapsed if self._crossing else length
        if ensemble.aligned:
            finish_step(*state, passed, self.rule_sign, work)
        else:
            finish_copies_step(*state, passed, work, ensemble.rows)
        if not self._crossing:
            return (end if length >= end - start else start + length), self._happened
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
