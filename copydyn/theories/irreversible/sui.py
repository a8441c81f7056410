"""Spontaneous universal irreversibility: thermalisation and collapse together."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr

from copydyn.blas import one_thread
from copydyn.experiment import Experiment, as_experiment
from copydyn.experiment.inputs import as_real, as_whole, choose
from copydyn.kernels import thermalising
from copydyn.kernels.reducing import advance_by_both
from copydyn.refusal import BadValue
from copydyn.runs.conduct import Checkpoint
from copydyn.runs.streams import as_seed
from copydyn.theories.irreversible.equilibrium import (
    Equilibrium,
    Window,
    equilibrium_of,
    report,
    warn_of_ambiguity,
    warn_of_edges,
)
from copydyn.theories.irreversible.jumping import course_of_jumps
from copydyn.theories.irreversible.levels import PHASE_RULES
from copydyn.theories.irreversible.readings import alone, followed, read_off, trace_with, with_runs
from copydyn.theories.irreversible.reduction import (
    Reduction,
    commutes,
    reduced_ensemble,
    reduction_of,
    require_few_turns,
)
from copydyn.theories.irreversible.settings import (
    NOISES,
    as_part,
    as_projectors,
    as_rate,
    as_step,
    as_window,
    longest_step,
    warn_of_coarse_steps,
)
from copydyn.theories.irreversible.steady import Steady, flow, steady_state
from copydyn.theories.irreversible.trajectories import Advance, Course, Leg, legs_of, play, require_room
from copydyn.theories.settings import parameters_of

SCHEMES = ("splitting", "jumps", "ensemble")


@dataclass(frozen=True)
class SUI:
    """Thermalisation and collapse of single systems by noise (Mukherjee 2025, eqs. 7 and 8).

    hbar d rho/dt = -i [H, rho] + hbar gamma (sum_k P_k rho P_k - rho) + hbar Gamma (chi Tr rho - rho), with the
    trajectories of `OQT` and `SUV` together. The steady state is unique for Gamma > 0 and forgets the first state but
    for what chi remembers of it.

    Parameters
    ----------
    thermalising, reducing : float, 1/time
        Gamma and gamma for one degree of freedom.
    window, noise, phase_rule
        As for `OQT`.
    projectors, part
        As for `SUV`.
    scheme : {"splitting", "jumps", "ensemble"}
        "splitting": half a step of collapse, exact in law; thermalisation by the exact channel, with H; half a step of
        collapse. Of second order in the means. "jumps": levels drawn from chi and projective measurements at the times
        of Poisson processes; right means without any step, other trajectories. "ensemble": no trajectories.
    step : float
        Largest Gamma dt, gamma dt, and half the angle by which the fastest level turns in a step.
    degrees : float
        N, the number of degrees of freedom that both rates are proportional to.

    Raises
    ------
    BadType, BadValue
    """

    thermalising: float
    reducing: float
    window: Window = field(default_factory=Window)
    projectors: str | list[list[str]] = "beables"
    part: str = ""
    noise: str = "real"
    phase_rule: str = "auto"
    scheme: str = "splitting"
    step: float = 0.05
    degrees: float = 1.0

    def __post_init__(self) -> None:
        for rate in ("thermalising", "reducing"):
            object.__setattr__(self, rate, as_rate(getattr(self, rate), rate))
        object.__setattr__(self, "degrees", as_real(self.degrees, "degrees", positive=True))
        object.__setattr__(self, "step", as_step(self.step))
        object.__setattr__(self, "projectors", as_projectors(self.projectors))
        object.__setattr__(self, "window", as_window(self.window))
        as_part(self.part)
        if self.window.sectors not in ("none", "global"):
            raise BadValue(
                "window of SUI must have no sectors of its own, as collapse mixes them, but has "
                f"'{self.window.sectors}'; take 'none' or 'global'."
            )
        choose(self.noise, "noise", NOISES)
        choose(self.phase_rule, "phase_rule", PHASE_RULES)
        choose(self.scheme, "scheme", SCHEMES)

    @property
    def name(self) -> str:
        """How tables and files call the theory."""
        return "SUI"

    @property
    def rates(self) -> tuple[float, float]:
        """Gamma and gamma, 1/time."""
        return self.thermalising * self.degrees, self.reducing * self.degrees

    @one_thread()
    def steady(self, experiment: Experiment, method: str = "auto") -> Steady:
        """Give the steady state, with its residual.

        Raises
        ------
        BadValue
            If it is not unique.
        """
        return steady_state(self._equilibrium(experiment), self.reduction(experiment), *self.rates, method)

    def reduction(self, experiment: Experiment) -> Reduction:
        """Give the collapse basis."""
        return reduction_of(experiment.system, self.projectors, self.part)

    @one_thread()
    def announce(self, experiment: Experiment) -> str:
        """Say what is known before the run."""
        return report(self._equilibrium(experiment)).sentence

    @one_thread()
    def require(self, experiment: Experiment, replicas: int = 1) -> None:
        """Refuse an experiment without such an equilibrium or projectors, or with too many turns or trajectories."""
        as_experiment(experiment)
        chi, reduction = self._equilibrium(experiment), self.reduction(experiment)
        frequencies, span = chi.levels.frequencies, float(experiment.tlist[-1] - experiment.tlist[0])
        h = (chi.levels.vectors * frequencies) @ chi.levels.vectors.conj().T
        if followed(experiment, self.scheme) and not commutes(h, reduction):
            require_few_turns((float(np.ptp(frequencies)) + 2.0 * self.rates[1]) * span)
        if self.scheme != "ensemble":
            self._course(experiment, chi, reduction)
            require_room(experiment, replicas, experiment.system.size)

    @one_thread()
    def evolve(
        self,
        experiment: Experiment,
        seed: int | None = None,
        replicas: int = 1,
        *,
        progress: bool = False,
        jobs: int = 1,
        keep: Checkpoint | None = None,
        first: int = 0,
    ) -> xr.Dataset:
        """Evolve the ensemble where it is small enough to be followed, and ``replicas`` trajectories of it.

        rho(t) = rho_inf + exp(-Gamma t) Phi_t(rho0 - rho_inf), Phi_t being Hamiltonian and collapse without
        thermalisation: what differs from the steady state has no trace, and chi does not see it.

        Returns
        -------
        Dataset as of `SUV.evolve`, with relative_entropy, trace_distance and squared_distance to the steady state.

        Raises
        ------
        BadType, BadValue
        Interrupted
        """
        as_experiment(experiment)
        replicas, seed = as_whole(replicas, "replicas", least=1), as_seed(seed)
        chi, reduction = self._equilibrium(experiment), self.reduction(experiment)
        warn_of_edges(chi.levels, self.window)
        attrs: dict[str, Any] = {"theory": self.name, **parameters_of(self), "about": report(chi).sentence}
        attrs["phase_rule"] = chi.levels.phase_rule
        attrs["outcome_weights"] = json.dumps(reduction.weights(experiment.ket).tolist())
        variables: dict[str, Any] = {}
        if followed(experiment, self.scheme):
            rho, steady = self._ensemble(experiment, chi, reduction)
            goal = None if steady is None else steady.rho
            variables = read_off(experiment, rho, lambda now: flow(now, chi, reduction, *self.rates), goal)
            if steady is not None:
                attrs["steady_residual"] = steady.residual
            if self.scheme == "ensemble":
                return alone(experiment, variables, trace_with(rho), attrs)
        real = self.noise == "real" and self.scheme != "jumps"
        warn_of_ambiguity(chi, real=real, chosen=self.phase_rule != "auto")
        warn_of_coarse_steps(self.step, self.scheme, "means err in second order")
        course = self._course(experiment, chi, reduction)
        states = play(course, experiment, self, seed, replicas, first, progress=progress, jobs=jobs, keep=keep)
        variables["outcome"] = reduction.outcomes(states)
        return with_runs(experiment, variables, states, seed, attrs)

    def _equilibrium(self, experiment: Experiment) -> Equilibrium:
        return equilibrium_of(experiment, self.window, self.phase_rule)

    def _ensemble(
        self, experiment: Experiment, chi: Equilibrium, reduction: Reduction
    ) -> tuple[np.ndarray, Steady | None]:
        thermal, reducing = self.rates
        vectors, times = chi.levels.vectors, experiment.tlist - experiment.tlist[0]
        frequencies = (vectors * chi.levels.frequencies) @ vectors.conj().T
        start = np.outer(experiment.ket, experiment.ket.conj())
        if thermal == 0.0:
            return reduced_ensemble(frequencies, reduction, reducing, start, times), None
        steady = steady_state(chi, reduction, thermal, reducing)
        away = reduced_ensemble(frequencies, reduction, reducing, start - steady.rho, times)
        return steady.rho + np.exp(-thermal * times)[:, None, None] * away, steady

    def _course(self, experiment: Experiment, chi: Equilibrium, reduction: Reduction) -> Course:
        levels, window, size = chi.levels, chi.window, experiment.system.size
        thermal, reducing = self.rates
        if self.scheme == "jumps":
            return course_of_jumps(experiment, levels, reduction, reducing, chi, thermal)
        fastest = float(np.max(np.abs(levels.frequencies)))
        longest = longest_step(self.step, fastest, thermal, reducing)
        cost = 2 * size * size
        u = reduction.seen_from(levels.vectors)
        there = np.ascontiguousarray(u.T, dtype=complex)
        back = np.ascontiguousarray(u.conj(), dtype=complex)
        chosen, real = chi.chi[window], self.noise == "real"
        root = np.sqrt(chosen)

        def begin() -> Advance:
            y, weight = np.zeros((2, reduction.blocks))
            moved, v = np.zeros(size, complex), np.zeros(window.size, complex)
            room = np.zeros((1, thermalising.ROOM))

            def advance(psi: np.ndarray, random_state: np.ndarray, leg: Leg) -> None:
                keep, turn = math.exp(-0.5 * thermal * leg.dt), np.exp(-1j * levels.frequencies * leg.dt)
                collapse = (reducing * leg.dt, there, back, reduction.block, y, weight, moved)
                channel = (keep, turn, window, chosen, root, chi.sector, real, v, room)
                advance_by_both(psi, random_state, leg.steps, *collapse, *channel)

            return advance

        start = np.ascontiguousarray(reduction.ket_into(experiment.ket), dtype=complex)
        rows = None if reduction.vectors is None else np.ascontiguousarray(reduction.vectors.T)
        return Course(start, legs_of(experiment.tlist, longest, cost), begin, rows, cost)
