"""Copy dynamics (Smolin 2012, section 3): N copies that copy each other's beables, and phases that flow."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from typing import Any, TypeAlias

import numpy as np
import xarray as xr

from copydyn import result
from copydyn.ensemble import (
    PREPARATIONS,
    Ensemble,
    add_spectators,
    admix,
    couplings_of,
    draw_counts,
    scatter_phases,
    share_out,
)
from copydyn.experiment import Experiment
from copydyn.inputs import as_copies, as_ket, as_real, as_whole, shown
from copydyn.kernels import per_copy, per_label
from copydyn.kernels.flow import Couplings, Workspace, workspace
from copydyn.kernels.roster import EventLog, event_log, roster_of
from copydyn.recording import Record, Snapshot, collect
from copydyn.refusal import BadType, BadValue
from copydyn.streams import as_seed, stream

ENGINES = ("auto", "exact", "agents")
RULES = {"smolin": per_label.MODE_SMOLIN, "printed": per_label.MODE_PRINTED}

MOST_AGENTS = 2**31 - 1
"""A row is named by an int32."""

AFFORDABLE = 10**12
"""Copies beyond which ``engine="auto"`` will not start to simulate event by event (days on one core)."""

PROPOSALS_A_CALL = 2_000_000
"""How often a kernel comes up for air: a few times a second, for the progress bar and for Ctrl-C."""

LOG_A_CALL = 1_000_000


Advance: TypeAlias = Callable[[Ensemble, Couplings, float, float, Workspace, EventLog], tuple[float, int]]


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
    engine : {"auto", "exact", "agents"}
        "exact": the process per label, counts and phases, event by event. "agents": the process per copy, each with
        a row of its own; needed for tagged copies, the event log and unaligned phases. "auto": exact, unless one of
        these is asked for.
    rule : {"smolin", "printed"}
        "printed" takes the sign of (39) as it stands in the paper, for showing that it fails.
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
    phase_step : float, optional
        Largest relative change of an amplitude within a step of the phase flow, 0 < phase_step <= 0.2. The phases err
        by its square; the default, min(0.05, N^(-1/4)), keeps that below the noise of finite N.
    record_events : bool
        Keep every copy event (time, copier, copied, from, to).
    follow : sequence of int
        Rows of the tagged copies, whose beable and phase are wanted at every save time.

    Raises
    ------
    BadType, BadValue
    """

    copies: int
    engine: str = "auto"
    rule: str = "smolin"
    preparation: str = "largest_remainder"
    spectators: int = 0
    floor: int = 0
    admixture: tuple[float, Any] | None = None
    phase_spread: float = 0.0
    phase_step: float | None = None
    record_events: bool = False
    follow: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        checked = {
            "copies": as_copies(self.copies),
            "spectators": as_whole(self.spectators, "spectators"),
            "floor": as_whole(self.floor, "floor"),
            "follow": _as_rows(self.follow, self.copies),
            "admixture": _as_admixture(self.admixture),
            "phase_spread": _as_spread(self.phase_spread),
            "phase_step": _as_phase_step(self.phase_step),
        }
        if not isinstance(self.record_events, (bool, np.bool_)):
            raise BadType(f"record_events must be True or False, but is {shown(self.record_events)}.")
        _choose(self.engine, "engine", ENGINES)
        _choose(self.rule, "rule", tuple(RULES))
        _choose(self.preparation, "preparation", PREPARATIONS)
        if self.engine == "exact" and self._needs_rows:
            raise BadValue(
                "engine 'exact' knows counts, not copies: record_events, follow and phase_spread need 'agents'."
            )
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    @property
    def name(self) -> str:
        """How tables and files call the theory."""
        return "CopyDynamics"

    @property
    def _needs_rows(self) -> bool:
        return bool(self.record_events or len(self.follow) or self.phase_spread)

    def resolved(self, labels: int) -> CopyDynamics:
        """Give the same theory with the engine chosen and every default filled in, for ``labels`` labels.

        Raises
        ------
        BadValue
            If there are more copies than the engine can hold, or than ``auto`` thinks affordable.
        """
        total = self.copies + labels * max(self.spectators, self.floor)
        engine = self.engine if self.engine != "auto" else ("agents" if self._needs_rows else "exact")
        if total > 2**62:
            raise BadValue(f"copies and spectators must be at most 2^62 together, but are {total}; take fewer.")
        if engine == "agents" and total > MOST_AGENTS:
            raise BadValue(
                f"engine 'agents' holds at most {MOST_AGENTS} copies, spectators included, but {total} are asked for; "
                "take engine 'exact'."
            )
        if self.engine == "auto" and total > AFFORDABLE:
            raise BadValue(
                f"copies must be at most {AFFORDABLE:.0e} for engine 'auto', which simulates every event, but are "
                f"{total:.3g} with spectators; take fewer, or insist with engine 'exact'."
            )
        phase_step = self.phase_step if self.phase_step is not None else min(0.05, float(total) ** -0.25)
        return replace(self, engine=engine, phase_step=phase_step)

    def prepare(self, experiment: Experiment, seed: int, replica: int = 0) -> Ensemble:
        """Make the ensemble of one replica at ``tlist[0]``."""
        settled = self.resolved(experiment.system.size)
        random_state = stream(experiment, settled.what_is_simulated(), seed, replica)
        ket = experiment.ket
        if self.admixture is not None:
            share, other = self.admixture
            ket = admix(ket, share, as_ket(other, ket.size, name="the ket of admixture"))
        if self.preparation == "multinomial":
            counts = draw_counts(ket, self.copies, random_state)
        else:
            counts = share_out(ket, self.copies)
        lengths = np.abs(ket)
        factor = np.where(lengths > 0.0, ket / np.where(lengths > 0.0, lengths, 1.0), 1.0)
        drift = -1j * (_first_hamiltonian(experiment) @ ket)
        factor = add_spectators(counts, factor, max(self.spectators, self.floor), drift)
        ensemble = Ensemble(counts, factor.astype(np.complex128), random_state)
        if settled.engine == "agents":
            ensemble.roster = roster_of(counts, with_phases=self.phase_spread > 0.0)
            if self.phase_spread > 0.0:
                scatter_phases(ensemble, self.phase_spread)
        return ensemble

    def iterate(
        self, experiment: Experiment, seed: int, replica: int = 0, *, bar: Any = None, advance: Advance | None = None
    ) -> Iterator[Snapshot]:
        """Evolve one replica and stop at every save time: the iterator under `evolve`.

        Parameters
        ----------
        bar : optional
            Anything with ``update(span of time)``, such as a tqdm bar.
        advance : callable, optional
            What to run instead of `advance`, the compiled kernels: the agents of `copydyn.abm` step in here.
        """
        settled = self.resolved(experiment.system.size)
        advance = advance or settled.advance
        ensemble = self.prepare(experiment, seed, replica)
        couplings = [couplings_of(pulse.hamiltonian, experiment.system.hbar) for pulse in experiment.system.pulses]
        work = workspace(experiment.system.size, max(pulse.a.size for pulse in couplings))
        log = event_log(LOG_A_CALL if self.record_events else 0)
        events = 0
        yield Snapshot(0, ensemble, events, log)
        log.used[0] = 0
        for segment in experiment.system.segments(experiment.tlist):
            now = segment.start
            while now < segment.end:
                before = now
                now, happened = advance(ensemble, couplings[segment.pulse], now, segment.end, work, log)
                events += happened
                if bar is not None:
                    bar.update(now - before)
                if now == before:  # the log has no room for the next step
                    log = _doubled(log)
            if segment.save is not None:
                yield Snapshot(segment.save, ensemble, events, log)
                log.used[0] = 0

    def advance(
        self, ensemble: Ensemble, couplings: Couplings, start: float, end: float, work: Workspace, log: EventLog
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
            RULES[self.rule],
            PROPOSALS_A_CALL,
            ensemble.random_state,
            work,
            ensemble.roster,
            log,
        )
        if status == per_label.STALLED:
            raise BadValue(
                f"H must not turn phases faster than the clock can tell, but at time {now:g} a step of the phases has "
                "become too short for float64; scale H and tlist to units in which both are near one."
            )
        return float(now), int(events)

    def evolve(
        self, experiment: Experiment, seed: int | None = None, replicas: int = 1, *, progress: bool = False
    ) -> xr.Dataset:
        """Evolve ``replicas`` ensembles of ``experiment``.

        Returns
        -------
        Dataset with counts (replica, time, beable), frequency, probability (time, beable; mean over replicas), phase,
        energy and events (replica, time), and what was asked for: expect, coherence, tagged copies, the event log.
        The spread over replicas is physics: each replica is one whole ensemble of N copies.

        Raises
        ------
        BadType, BadValue
        """
        if not isinstance(experiment, Experiment):
            raise BadType(f"experiment must be an Experiment, but is {shown(experiment)}; make one with Experiment.of.")
        replicas = as_whole(replicas, "replicas", least=1)
        seed = as_seed(seed)
        settled = self.resolved(experiment.system.size)
        if any(
            row >= settled.copies + experiment.system.size * max(self.spectators, self.floor) for row in self.follow
        ):
            raise BadValue(f"follow must name rows of copies that exist, but names {max(self.follow)}.")
        records: list[Record] = []
        with _bar(progress, replicas * float(experiment.tlist[-1] - experiment.tlist[0])) as bar:
            for replica in range(replicas):
                records.append(Record(experiment, replica, self.follow, self.record_events))
                for snapshot in settled.iterate(experiment, seed, replica, bar=bar):
                    records[-1].take(snapshot)
        variables = collect(records, experiment)
        return result.new(experiment, variables, settled.attrs(experiment, seed, replicas))

    def what_is_simulated(self) -> CopyDynamics:
        """Give the theory without what is merely watched: it decides the random stream."""
        return replace(self, record_events=False, follow=())

    def attrs(self, experiment: Experiment, seed: int, replicas: int) -> dict[str, Any]:
        """Describe the run for the result's attributes."""
        settings = {f"theory_{f.name}": _plain(getattr(self, f.name)) for f in fields(self)}
        total = self.copies + experiment.system.size * max(self.spectators, self.floor)
        return {
            "theory": self.name,
            **settings,
            "copies": total,
            "seed": seed,
            "replicas": replicas,
            "replica_spread": result.FINITE_N,
            "aligned": int(self.phase_spread == 0.0),
        }


def _first_hamiltonian(experiment: Experiment) -> Any:
    for segment in experiment.system.segments(experiment.tlist):
        return experiment.system.pulses[segment.pulse].hamiltonian
    return experiment.system.pulses[0].hamiltonian


def _bar(progress: bool, span: float) -> Any:
    from tqdm import tqdm

    style = "{l_bar}{bar}| t = {n:.4g} of {total:.4g} [{elapsed}<{remaining}]"
    return tqdm(total=span, disable=not progress, desc="copies", bar_format=style, leave=False)


def _doubled(log: EventLog) -> EventLog:
    """Give a log of twice the capacity with the same entries."""
    larger = event_log(2 * log.time.size)
    for old, new in zip(log, larger, strict=True):
        new[: old.size] = old
    return larger


def _choose(value: Any, name: str, options: tuple[str, ...]) -> None:
    if not isinstance(value, str) or value not in options:
        raise BadValue(f"{name} must be one of {', '.join(options)}, but is {shown(value)}.")


def _as_rows(follow: Any, copies: Any) -> tuple[int, ...]:
    if isinstance(follow, (str, bytes)) or not np.iterable(follow):
        raise BadType(f"follow must be a sequence of row numbers, but is {shown(follow)}.")
    return tuple(as_whole(row, "follow") for row in follow)


def _as_admixture(admixture: Any) -> tuple[float, tuple[complex, ...]] | None:
    if admixture is None:
        return None
    if not isinstance(admixture, (tuple, list)) or len(admixture) != 2:
        raise BadType("admixture must be a pair (eps, ket).")
    share = as_real(admixture[0], "eps of admixture")
    if not 0.0 <= share < 1.0:
        raise BadValue(f"eps of admixture must be in [0, 1), but is {share:g}.")
    ket = admixture[1].full() if hasattr(admixture[1], "full") else admixture[1]
    try:
        return share, tuple(complex(amplitude) for amplitude in np.ravel(ket))
    except (TypeError, ValueError):
        raise BadType(f"the ket of admixture must be a vector of numbers, but is {shown(ket)}.") from None


def _as_spread(spread: Any) -> float:
    if isinstance(spread, float) and spread == np.inf:
        return spread
    real = as_real(spread, "phase_spread")
    if real < 0.0:
        raise BadValue(f"phase_spread must be >= 0, but is {real:g}.")
    return real


def _as_phase_step(phase_step: Any) -> float | None:
    if phase_step is None:
        return None
    real = as_real(phase_step, "phase_step", positive=True)
    if real > 0.2:
        raise BadValue(f"phase_step must be at most 0.2, but is {real:g}; the step is of second order in it.")
    return real


def _plain(value: Any) -> Any:
    """What an attribute of a netCDF file can hold."""
    if isinstance(value, bool):
        return int(value)
    return value if isinstance(value, (int, float, str)) else repr(value)
