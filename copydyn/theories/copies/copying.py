"""Copy dynamics (Smolin 2012, section 3): N copies that copy each other's beables, and phases that flow."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import xarray as xr

from copydyn.blas import one_thread
from copydyn.experiment import Experiment, as_experiment
from copydyn.experiment.inputs import Ket, Whole, as_copies, as_ket, as_whole, choose, shown
from copydyn.kernels.leap import Way
from copydyn.kernels.mean_flow import MOST_TERMS
from copydyn.kernels.memory import own
from copydyn.kernels.per_label import MODE_PRINTED, MODE_SMOLIN
from copydyn.kernels.roster import roster_of
from copydyn.refusal import BadType, BadValue
from copydyn.results import result
from copydyn.results.observables import energies, expectations
from copydyn.runs import room
from copydyn.runs.conduct import Checkpoint, Part, as_jobs, conduct
from copydyn.runs.streams import as_seed, run_fingerprint, streams
from copydyn.theories.copies import engines
from copydyn.theories.copies.alignment import Alignment
from copydyn.theories.copies.cost import LOOKED_UP, UNALIGNED, UNIT, WITH_MOMENTA, Count, count, warn_if_long
from copydyn.theories.copies.courses import Advance, AdvanceAll, Replica, Replicas, plan_of
from copydyn.theories.copies.engines import Kernels, Leaping
from copydyn.theories.copies.ensemble import (
    PREPARATIONS,
    Ensemble,
    add_spectators,
    admix,
    direction,
    draw_counts,
    draw_momenta,
    kets_of,
    phases_of,
    scatter_phases,
    share_out,
    train_of,
)
from copydyn.theories.copies.leaps import BIAS, FEW, LEAP_STEP, STEP_OF_FEW, leap_plan, most_orders, stars_of
from copydyn.theories.copies.meanfield import mean_field
from copydyn.theories.copies.recording import MOST_NUMBERS, Records, Snapshot, require_numbers
from copydyn.theories.copies.rules import Rule
from copydyn.theories.copies.team import team_of
from copydyn.theories.settings import (
    as_admixture,
    as_few,
    as_leap_step,
    as_phase_step,
    as_rows,
    as_rule,
    as_spread,
    parameters_of,
    rule_of,
)

ENGINES = ("auto", "exact", "leap", "agents", "meanfield")
MODES: dict[Any, float] = {"smolin": MODE_SMOLIN, "printed": MODE_PRINTED}

MOST_AGENTS = 2**31 - 1
"""A row is named by an int32."""

AFFORDABLE = 1e8
"""Events and work of the steps of one ensemble up to which ``engine="auto"`` takes them one by one (some seconds)."""

UNAFFORDABLE = 10**12
"""Copies beyond which it does not even where it cannot leap (days on one core)."""

LONGEST_STEP, LONGEST_STEP_UNALIGNED = 0.1, 0.05
"""Default of ``phase_step`` where N^(-1/4) would be longer."""

MOST_PARTS = 64
"""Parts into which replicas are shared out, however many threads there are: a checkpoint fits any number of them."""


@dataclass(frozen=True)
class CopyDynamics:
    """N copies of the system copy each other.

    Copy I with label b takes over the state of copy J with label a at the rate

        2 R_ab sin+(phi_J - phi_I + delta_ab) / sqrt(n_a n_b)

    and between these events d phi_I/dt = omega_b + sum_J R_ba cos(phi_I - phi_J + delta_ba) / sqrt(n_a n_b), with
    H_ab = hbar R_ab exp(i delta_ab), H_aa = hbar omega_a: (39) with the sign of (32), and (40).

    Parameters
    ----------
    copies : int
        N, 1 to 2^62; a float with an integer value is taken (1e5).
    engine : {"auto", "exact", "leap", "agents", "meanfield"}
        "exact": the process per label, counts and phases, event by event. "leap": the same in law for any number of
        copies, many events at a time where many copies are, at a cost that does not depend on N. "agents": the process
        per copy, each with a row of its own; needed for tagged copies, the event log and unaligned phases.
        "meanfield": the limit of infinitely many copies, with the shares that N of them would have. "auto": agents
        where rows are needed, exact where events and steps of the phases are affordable (`AFFORDABLE`), the cheaper of
        exact and leap beyond; why is said in the result's attributes.
    rule : {"smolin", "printed"} or Rule
        "printed" takes the sign of (39) as it stands in the paper, for showing that it fails; a `Rule` is any member of
        the family (18), (19), (27), (28).
    preparation : {"largest_remainder", "multinomial"}
        Counts nearest to N |psi|^2, or N independent draws.
    spectators : int
        Extra copies put into every label at the start.
    floor : int
        Copies that every label keeps: so many are added at the start (unless as many spectators already are), and
        no label falls below.
    admixture : (eps, ket), optional
        Start from sqrt(1 - eps) psi + sqrt(eps) ket, normalised.
    phase_spread : float, rad
        Standard deviation of the copies' phases around their label's at the start; infinite for uniform phases.
    alignment : Alignment, optional
        The second-order law of the phases (section 3.2), which gives each copy a momentum.
    phase_step : float, optional
        Largest relative change of an amplitude within a step of the phase flow, 0 < phase_step <= 0.2. The mean
        flow of the phases errs by its fourth power, so that the default, min(0.1, N^(-1/4)), keeps the means of n/N
        right at order 1/N. Phases of copies that are not aligned err by its square: min(0.05, N^(-1/4)).
    leap_step : float, rad, optional
        Largest angle by which a phase turns, against the middle of the band of H, within a leap; 0.4 by default, and at
        most 0.5. What the noise does within a leap errs by its square, while the mean does not depend on it.
    few : int, optional
        Copies up to which those of a label are counted one by one within a leap, 64 by default.
    record_events : bool
        Keep every copy event (time, copier, copied, from, to).
    follow : sequence of int
        Rows of the tagged copies, whose beable and phase are wanted at every save time.

    Raises
    ------
    BadType, BadValue
    """

    copies: Whole
    engine: str = "auto"
    rule: str | Rule = "smolin"
    preparation: str = "largest_remainder"
    spectators: Whole = 0
    floor: Whole = 0
    admixture: tuple[float, Ket] | None = None
    phase_spread: float = 0.0
    alignment: Alignment | None = None
    phase_step: float | None = None
    record_events: bool = False
    follow: Sequence[int] = ()
    leap_step: float | None = None
    few: Whole | None = None

    def __repr__(self) -> str:
        """Say what is simulated."""
        return f"CopyDynamics({', '.join(f'{name}={value!r}' for name, value in self.distinctive().items())})"

    def distinctive(self) -> dict[str, Any]:
        """Give the fields that decide the random streams; those of leaps only where there are any."""
        told = {f.name: getattr(self, f.name) for f in fields(self)}
        of_leaps = {name: told.pop(name) for name in ("leap_step", "few")}
        return told | {name: value for name, value in of_leaps.items() if value is not None}

    def __post_init__(self) -> None:
        checked = {
            "copies": as_copies(self.copies),
            "rule": as_rule(self.rule),
            "spectators": as_whole(self.spectators, "spectators"),
            "floor": as_whole(self.floor, "floor"),
            "follow": as_rows(self.follow),
            "admixture": as_admixture(self.admixture),
            "phase_spread": as_spread(self.phase_spread),
            "phase_step": as_phase_step(self.phase_step),
            "leap_step": as_leap_step(self.leap_step),
            "few": as_few(self.few),
        }
        if not isinstance(self.record_events, (bool, np.bool_)):
            raise BadType(f"record_events must be True or False, but is {shown(self.record_events)}.")
        if self.alignment is not None and not isinstance(self.alignment, Alignment):
            raise BadType(f"alignment must be an Alignment, but is {shown(self.alignment)}.")
        choose(self.engine, "engine", ENGINES)
        choose(self.preparation, "preparation", PREPARATIONS)
        for name, value in checked.items():
            object.__setattr__(self, name, value)
        self._require_that_it_fits_together()

    def _require_that_it_fits_together(self) -> None:
        for name in ("spectators", "floor"):
            if getattr(self, name) > self.copies:
                raise BadValue(
                    f"{name} must be at most the {self.copies} copies, but is {getattr(self, name)}; more spectators a "
                    "label than copies would be another experiment."
                )
        rows = "record_events, follow, phase_spread and alignment"
        if self.engine in ("exact", "leap", "meanfield") and self._needs_rows:
            raise BadValue(f"engine '{self.engine}' knows counts, not copies: {rows} need 'agents'.")
        if self.engine == "meanfield" and (self.floor or self.preparation != "largest_remainder"):
            raise BadValue(
                "engine 'meanfield' has no copies to count: floor must be 0 and preparation 'largest_remainder'; take "
                "spectators."
            )
        if self.engine == "leap" and (obstacle := self._obstacle_to_leaps):
            raise BadValue(f"engine 'leap' {obstacle}; take engine 'exact'.")
        for name in ("leap_step", "few"):
            if self.engine not in ("auto", "leap") and getattr(self, name) is not None:
                raise BadValue(f"{name} is about engine 'leap', but the engine is '{self.engine}'; leave it out.")
        if isinstance(self.rule, Rule) and not self.aligned:
            raise BadValue(
                f"rule must be 'smolin' or 'printed' with phase_spread or alignment, but is {shown(self.rule)}; the "
                "family is about labels whose copies share a phase."
            )

    @property
    def name(self) -> str:
        """How tables and files call the theory."""
        return "CopyDynamics"

    @property
    def _needs_rows(self) -> bool:
        return bool(self.record_events or len(self.follow)) or not self.aligned

    @property
    def aligned(self) -> bool:
        """Whether all copies of a label share one phase."""
        return self.phase_spread == 0.0 and self.alignment is None

    @property
    def _obstacle_to_leaps(self) -> str:
        """Why these copies cannot leap; an empty string where they can."""
        if self.rule != "smolin":
            return f"needs rule 'smolin', whose mean flow is linear, but the rule is {shown(self.rule)}"
        if self.floor:
            return f"knows no floor, but floor is {self.floor}"
        return ""

    def require(self, experiment: Experiment, replicas: int = 1) -> None:
        """Refuse an experiment that no engine can hold, or so many replicas of it."""
        settled = self.resolved(as_experiment(experiment))
        require_numbers(experiment, as_whole(replicas, "replicas", least=1))
        if settled.engine != "meanfield":
            settled._require_room(experiment, replicas)
        if settled.engine == "leap":
            settled._leaping(experiment)

    def resolved(self, experiment: Experiment) -> CopyDynamics:
        """Give the same theory with the engine chosen and every default filled in for ``experiment``.

        Raises
        ------
        BadValue
            If there are more copies than the engine can hold, or than ``auto`` thinks affordable.
        """
        total = self._total(experiment)
        engine, _ = self.choice(experiment)
        if total > 2**62:
            raise BadValue(f"copies and spectators must be at most 2^62 together, but are {total}; take fewer.")
        if engine == "agents" and total > MOST_AGENTS:
            raise BadValue(
                f"engine 'agents' holds at most {MOST_AGENTS} copies, spectators included, but {total} are asked for; "
                "take engine 'exact'."
            )
        if self.engine == "auto" and engine == "exact" and total > UNAFFORDABLE:
            raise BadValue(
                f"copies must be at most {UNAFFORDABLE:.0e} for engine 'auto', which has to simulate every event here, "
                f"but are {total:.3g} with spectators; take fewer, or insist with engine 'exact'."
            )
        if any(row >= total for row in self.follow):
            raise BadValue(f"follow must name rows of copies that exist, but names {max(self.follow)}.")
        if engine == "leap":
            step = self.phase_step if self.phase_step is not None else STEP_OF_FEW
            leap_step = self.leap_step if self.leap_step is not None else LEAP_STEP
            few = self.few if self.few is not None else FEW
            return replace(self, engine=engine, phase_step=step, leap_step=leap_step, few=few)
        return replace(self, engine=engine, phase_step=self._finest(total), leap_step=None, few=None)

    def choice(self, experiment: Experiment) -> tuple[str, str]:
        """Name the engine that ``experiment`` is evolved with, and say why."""
        if self.engine != "auto":
            return self.engine, "as asked for"
        if self._needs_rows:
            return "agents", "tagged copies, an event log or phases that are not aligned need rows of copies"
        if isinstance(self.rule, Rule) or self.rule != "smolin":
            return "exact", f"rule {shown(self.rule)} has no leaps"
        work = self.count(experiment)
        said = f"{work.events:.2g} events"
        if work.steps * work.step > max(work.events, 0.01 * AFFORDABLE):
            said += f" and about {work.steps:.2g} steps of the phases"
        if work.one_by_one <= AFFORDABLE:
            return "exact", f"at most {said} an ensemble, which are affordable"
        if self._obstacle_to_leaps:
            return "exact", f"engine 'leap' {self._obstacle_to_leaps}"
        if work.by_leaps >= work.one_by_one and self._total(experiment) <= UNAFFORDABLE:
            return "exact", f"at most {said} an ensemble, which cost less than about {work.leaps:.2g} leaps"
        return "leap", f"up to {said} an ensemble, which cost more than about {work.leaps:.2g} leaps"

    def count(self, experiment: Experiment) -> Count:
        """Count what one ensemble takes, event by event and by leaps."""
        total = self._total(experiment)
        return count(experiment, total, self._finest(total), self.leap_step or LEAP_STEP)

    def _finest(self, total: int) -> float:
        """Give the largest relative change of an amplitude within a step, by default finer than the noise."""
        longest = LONGEST_STEP if self.aligned else LONGEST_STEP_UNALIGNED
        return self.phase_step if self.phase_step is not None else min(longest, float(total) ** -0.25)

    def _seconds(self, experiment: Experiment) -> tuple[float, str]:
        """Say about how long one ensemble takes, and what it is that takes so long; engine and defaults are settled."""
        work = self.count(experiment)
        if self.engine == "leap":
            return UNIT * work.by_leaps, f"about {work.leaps:.2g} leaps an ensemble"
        rows = self._total(experiment) if not self.aligned else 0
        step = work.step + rows * (UNALIGNED if self.alignment is None else WITH_MOMENTA)
        events = work.events * (LOOKED_UP if self.engine == "agents" else 1.0)
        many = f"up to {work.events:.2g} events"
        turned = f"about {work.steps:.2g} steps of the phases"
        what = f"{many} and {turned}" if events > work.steps * step else f"{turned} and {many}"
        return UNIT * (events + work.steps * step), f"{what} an ensemble"

    @one_thread()
    def prepare(self, experiment: Experiment, seed: int, replica: int = 0) -> Ensemble:
        """Make the ensemble of one replica at ``tlist[0]``."""
        settled = self.resolved(experiment)
        counts, factor, random_state = settled._start(experiment, seed, 1, replica)
        return settled._ensemble(counts[0], factor[0], random_state[0])

    def iterate(self, experiment: Experiment, seed: int, replica: int = 0) -> Iterator[Snapshot]:
        """Evolve one replica and stop at every save time."""
        settled = self.resolved(experiment)
        if settled.engine == "leap":
            yield from settled._snapshots(experiment, seed, replica)
            return
        course = settled.course(experiment, seed, replica)
        while not course.finished:
            snapshot = course.go_on()
            if snapshot is not None:
                yield snapshot

    def course(self, experiment: Experiment, seed: int, replica: int = 0, *, advance: Advance | None = None) -> Replica:
        """Give one replica, of any engine but "leap", that goes on step by step and can be pickled in between.

        Parameters
        ----------
        advance : callable, optional
            What to run instead of the compiled kernels: the agents of `copydyn.abm` step in here.
        """
        settled, train = self.resolved(experiment), train_of(experiment.system)
        return Replica(
            partial(self.prepare, experiment, seed, replica),
            advance or settled._kernels.advance,
            partial(settled._kernels.scratch, train, settled._total(experiment)),
            experiment,
            train,
            plan_of(experiment),
            settled._records(experiment, 1),
        )

    @one_thread()
    def evolve(
        self,
        experiment: Experiment,
        seed: int | None = None,
        replicas: int = 1,
        *,
        first: int = 0,
        progress: bool = False,
        jobs: int = 1,
        keep: Checkpoint | None = None,
    ) -> xr.Dataset:
        """Evolve ``replicas`` ensembles of ``experiment``.

        Parameters
        ----------
        seed : int, optional
            One seed, the same bytes: for any ``jobs``, and after a kill and a resume.
        first : int
            Number of the first replica; replica r of ``first = f`` is replica f + r of a run from 0.
        progress : bool
            Show a bar.
        jobs : int
            Threads; kernels release the interpreter's lock.
        keep : Checkpoint, optional
            Where to keep the state of a long run, and to go on from if it is there.

        Returns
        -------
        Dataset with counts (replica, time, beable), frequency, probability (time, beable; mean over replicas), phase,
        energy and events (replica, time), and what was asked for: expect, coherence, tagged copies, the event log.
        The spread over replicas is physics: each replica is one whole ensemble of N copies.

        Raises
        ------
        BadType, BadValue
        Interrupted
            A KeyboardInterrupt that says what is kept.
        """
        as_experiment(experiment)
        replicas = as_whole(replicas, "replicas", least=1)
        first = as_whole(first, "first", most=MOST_NUMBERS)
        seed, jobs = as_seed(seed), as_jobs(jobs)
        settled = self.resolved(experiment)
        if settled.engine == "meanfield":
            return settled._mean_field(experiment, seed)
        settled._require_room(experiment, replicas)
        records = settled._records(experiment, replicas)
        span = replicas * float(experiment.tlist[-1] - experiment.tlist[0])
        run = run_fingerprint(experiment, settled, seed, replicas, first)
        parts = settled._parts(experiment, seed, records, jobs, first)
        seconds, what = settled._seconds(experiment)
        warn_if_long(seconds * replicas / min(jobs, replicas), f"{what}, {replicas} of them")
        conduct(parts, run, span, jobs=jobs, progress=progress, keep=keep)
        attrs = settled.attrs(experiment, seed, replicas) | {"engine_reason": self.choice(experiment)[1]}
        return result.new(experiment, records.variables(experiment), attrs)

    def _total(self, experiment: Experiment) -> int:
        """N', the number of copies with all spectators."""
        return self.copies + experiment.system.size * max(self.spectators, self.floor)

    def _start(
        self, experiment: Experiment, seed: int, replicas: int, first: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Counts (replica, beable), factors (replica, beable) and generators (replica, 4) at the start."""
        random_state = streams(experiment, self.what_is_simulated(), seed, replicas, first)
        ket = self._mixed(experiment)
        if self.preparation == "multinomial":
            counts = draw_counts(ket, self.copies, random_state)
        else:
            counts = np.tile(share_out(ket, self.copies), (replicas, 1))
        factor = np.tile(direction(ket), (replicas, 1))
        extra = max(self.spectators, self.floor)
        factor = add_spectators(counts, factor, extra, _drift(experiment, ket))
        if self.engine == "leap":  # whose state is the amplitudes
            factor = factor * np.sqrt(counts)
        return counts, factor, random_state

    def _ensemble(self, counts: np.ndarray, factor: np.ndarray, random_state: np.ndarray) -> Ensemble:
        """Give rows to the copies where the engine needs them, and to the rows what differs from copy to copy."""
        ensemble = Ensemble(own(counts), own(factor), own(random_state))
        if self.engine == "agents":
            ensemble.roster = roster_of(ensemble.counts, with_phases=not self.aligned)
            if not self.aligned:
                scatter_phases(ensemble, self.phase_spread)
            if self.alignment is not None:
                draw_momenta(ensemble, self.alignment.spread)
        return ensemble

    def encoded(self, experiment: Experiment) -> np.ndarray:
        """Give the ket that the counts encode at the start, complex128 (beable,), spectators and admixture included.

        Of counts that are drawn it is what they are drawn around.
        """
        ket = self._mixed(experiment)
        counts = share_out(ket, self.copies)
        extra = max(self.spectators, self.floor)
        return kets_of(counts, add_spectators(counts, direction(ket), extra, _drift(experiment, ket)))

    def drawn(self, experiment: Experiment) -> np.ndarray:
        """Give the part of the copies that are drawn with each label, float64 (beable,); zero if shared out.

        Spectators and the floor's copies are not drawn: with them, the sum falls short of one.
        """
        share = self.copies / self._total(experiment) if self.preparation == "multinomial" else 0.0
        return np.asarray(share * np.abs(self._mixed(experiment)) ** 2)

    def _mixed(self, experiment: Experiment) -> np.ndarray:
        """Give the ket that the copies are shared out by, the admixture included."""
        if self.admixture is None:
            return experiment.ket
        share, other = self.admixture
        return admix(experiment.ket, share, as_ket(other, experiment.ket.size, name="the ket of admixture"))

    @property
    def _kernels(self) -> Kernels:
        assert self.phase_step is not None
        family = self.rule.family if isinstance(self.rule, Rule) else None
        law = None if self.alignment is None else self.alignment.law
        return Kernels(self.phase_step, self.floor, MODES.get(self.rule, MODE_SMOLIN), family, law)

    def _leaping(self, experiment: Experiment, jobs: int = 1) -> Leaping:
        """Say how the kernel of engine "leap" is to go; many labels are shared out to ``jobs`` threads."""
        assert self.phase_step is not None
        assert self.leap_step is not None
        assert self.few is not None
        stars, total = stars_of(train_of(experiment.system)), self._total(experiment)
        plan = leap_plan(experiment, plan_of(experiment), stars, self.leap_step, total)
        reach, orders = int(stars.reach.max(initial=0)), most_orders(plan.leaps)
        team = team_of(jobs, experiment.system.size, reach, orders)
        return Leaping(stars, plan, Way(self.few, self.phase_step, self.leap_step), total, team)

    def _require_room(self, experiment: Experiment, replicas: int) -> None:
        """Refuse a run that memory would not hold, before anything is computed."""
        labels, numbers = experiment.system.size, replicas * experiment.tlist.size * experiment.system.size
        require_numbers(experiment, replicas)
        wanted = room.of_results(numbers)
        if self.engine == "leap":
            edges = max(_edges(pulse.hamiltonian) for pulse in experiment.system.pulses)
            wanted += room.of_leaps(labels, edges, MOST_TERMS // 4)
        room.require(wanted)

    def _snapshots(self, experiment: Experiment, seed: int, replica: int) -> Iterator[Snapshot]:
        """Leap with one replica and stop at every save time."""
        leaping, train, records = self._leaping(experiment), train_of(experiment.system), self._records(experiment, 1)
        begin = partial(self._start, experiment, seed, 1, replica)
        scratch = partial(leaping.scratch, train)
        course = Replicas(begin, leaping.advance_replicas, scratch, experiment, train, plan_of(experiment), records)
        random_state, saved, seen = begin()[2][0], records.saved, 0
        while not course.finished:
            course.go_on()
            while seen < course.reached:
                counts, factor = saved.counts[0, seen], saved.factor[0, seen]
                yield Snapshot(seen, Ensemble(counts, factor, random_state), int(saved.events[0, seen]))
                seen += 1

    def _mean_field(self, experiment: Experiment, seed: int) -> xr.Dataset:
        """Evolve the shares that these copies would have if the same ensemble had infinitely many."""
        ket = self._mixed(experiment)
        weights = self.copies * np.abs(ket) ** 2
        factor = add_spectators(weights, direction(ket), self.spectators, _drift(experiment, ket))
        found = mean_field(experiment, weights, phases_of(weights, factor), rule_of(self.rule))
        kets = np.sqrt(found.frequency) * np.exp(-1j * np.nan_to_num(found.phase))
        variables: dict[str, Any] = {
            "probability": found.frequency,
            "frequency": found.frequency[None],
            "phase": found.phase[None],
            "energy": energies(kets[None], experiment),
            "status": np.array(["ok"]),
        }
        if experiment.e_ops:
            variables["expect"] = expectations(experiment.e_ops, kets[None])
        attrs = {**self.attrs(experiment, seed, 1), "replica_spread": result.NONE}
        del attrs["copies"]  # infinitely many
        return result.new(experiment, variables, attrs)

    def _records(self, experiment: Experiment, replicas: int) -> Records:
        return Records.empty(experiment, replicas, follow=self.follow, events=self.record_events, aligned=self.aligned)

    def _parts(self, experiment: Experiment, seed: int, records: Records, jobs: int, number: int) -> list[Part]:
        """Share out the replicas: counted copies many at a time, copies with rows one ensemble at a time.

        The first of them has the ``number``.
        """
        train, plan = train_of(experiment.system), plan_of(experiment)
        kernels = self._kernels
        scratch = partial(kernels.scratch, train, self._total(experiment))
        replicas = len(records.saved.events)
        parts: list[Part] = []
        if self.engine in ("exact", "leap"):
            advance: AdvanceAll = kernels.advance_replicas
            if self.engine == "leap":
                leaping = self._leaping(experiment, jobs if replicas == 1 else 1)
                advance, scratch = leaping.advance_replicas, partial(leaping.scratch, train)
            edges = np.linspace(0, replicas, min(replicas, MOST_PARTS) + 1).astype(int).tolist()
            for first, last in pairwise(edges):
                begin = partial(self._start, experiment, seed, last - first, number + first)
                mine = records.of(first, last)
                parts.append(Replicas(begin, advance, scratch, experiment, train, plan, mine))
        else:
            room = engines.LOG_A_CALL if self.record_events else 0
            for replica, start in enumerate(zip(*self._start(experiment, seed, replicas, number))):
                begin_one = partial(self._ensemble, *start)
                mine = records.of(replica, replica + 1)
                parts.append(Replica(begin_one, kernels.advance, scratch, experiment, train, plan, mine, room))
        return parts

    def what_is_simulated(self) -> CopyDynamics:
        """Give the theory without what is merely watched: it decides the random stream."""
        return replace(self, record_events=False, follow=())

    def attrs(self, experiment: Experiment, seed: int, replicas: int) -> dict[str, Any]:
        """Describe the run for the result's attributes."""
        settings = parameters_of(self)
        if self.engine == "leap":
            settings |= self._about_leaps(experiment)
        else:
            del settings["theory_leap_step"], settings["theory_few"]
        return {
            "theory": self.name,
            **settings,
            "copies": self._total(experiment),
            "seed": seed,
            "replicas": replicas,
            "replica_spread": result.FINITE_N,
            "aligned": int(self.aligned),
        }

    def _about_leaps(self, experiment: Experiment) -> dict[str, Any]:
        """Say how many leaps there are, how far their mean flow may be off, and whether that is lost in the noise."""
        plan = self._leaping(experiment).plan
        limited = plan.error > BIAS / math.sqrt(self._total(experiment))
        return {"leaps": plan.number, "leap_error": plan.error, "bias_limited": int(limited)}


def _edges(hamiltonian: Any) -> int:
    """Count the couplings of a matrix, dense or sparse."""
    entries = np.count_nonzero(hamiltonian) if isinstance(hamiltonian, np.ndarray) else hamiltonian.nnz
    return int(entries) // 2


def _drift(experiment: Experiment, ket: np.ndarray) -> np.ndarray:
    """-i H psi at the start, complex128 (beable,)."""
    pulses = experiment.system.pulses
    first = next(iter(experiment.system.segments(experiment.tlist)), None)
    return np.asarray(-1j * (pulses[first.pulse if first else 0].hamiltonian @ ket))
