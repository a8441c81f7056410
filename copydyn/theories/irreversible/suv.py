"""Spontaneous unitarity violation: an isolated system that collapses, by noise of its own."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from copydyn.blas import one_thread
from copydyn.experiment import Experiment, as_experiment
from copydyn.experiment.inputs import as_real, as_whole, choose
from copydyn.kernels.reducing import advance_by_reduction
from copydyn.refusal import BadValue
from copydyn.runs.conduct import Checkpoint
from copydyn.runs.streams import as_seed
from copydyn.theories.irreversible.jumping import course_of_jumps
from copydyn.theories.irreversible.levels import levels_of
from copydyn.theories.irreversible.readings import alone, followed, read_off, trace_with, with_runs
from copydyn.theories.irreversible.reduction import (
    Reduction,
    commutes,
    reduced_ensemble,
    reduction_of,
    require_few_turns,
)
from copydyn.theories.irreversible.settings import as_part, as_projectors, as_rate, as_step, longest_step
from copydyn.theories.irreversible.trajectories import Advance, Course, Leg, legs_of, play, require_room
from copydyn.theories.settings import parameters_of

SCHEMES = ("splitting", "jumps", "ensemble")


@dataclass(frozen=True)
class SUV:
    """Collapse of single systems by noise, the white, norm-preserving kind (Mukherjee 2025, eq. 7 without chi).

    d|psi> = -(i/hbar) H|psi> dt - (gamma/2) sum_k (P_k - <P_k>)^2 |psi> dt + sqrt(gamma) sum_k (P_k - <P_k>)|psi> dW^k,

    on average d rho/dt = -(i/hbar)[H, rho] + gamma (sum_k P_k rho P_k - rho). Where H commutes with the projectors the
    weights p_k are martingales, and outcomes follow Born's rule; where it does not, the energy grows (erratum E8).

    Parameters
    ----------
    rate : float, 1/time
        gamma for one degree of freedom, J/hbar.
    projectors : {"beables", "pointer"}, groups of labels, or matrices
        See `copydyn.irreversible.reduction.reduction_of`.
    part : str
        One projector for each label of this part of a composite system, in the place of ``projectors``.
    scheme : {"splitting", "jumps", "ensemble"}
        "splitting": half a step of collapse, exact in law, the Hamiltonian, half a step of collapse. One step from one
        save time to the next where H commutes with the projectors, and exact in law then. "jumps": projective
        measurements at the times of a Poisson process; right means without any step, other trajectories. "ensemble":
        no trajectories.
    step : float
        Largest gamma dt, and half the angle by which the fastest level turns in a step; of second order in the means.
    degrees : float
        N, the number of degrees of freedom that the rate is proportional to: gamma = rate N.

    Raises
    ------
    BadType, BadValue
    """

    rate: float
    projectors: str | list[list[str]] = "beables"
    part: str = ""
    scheme: str = "splitting"
    step: float = 0.05
    degrees: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "rate", as_rate(self.rate, "rate"))
        object.__setattr__(self, "degrees", as_real(self.degrees, "degrees", positive=True))
        object.__setattr__(self, "step", as_step(self.step))
        object.__setattr__(self, "projectors", as_projectors(self.projectors))
        choose(self.scheme, "scheme", SCHEMES)
        if as_part(self.part) and self.projectors != "beables":
            raise BadValue(f"part stands in the place of projectors, but both are given; drop '{self.part}' or them.")

    @property
    def name(self) -> str:
        """How tables and files call the theory."""
        return "SUV"

    @property
    def gamma(self) -> float:
        """Gamma = rate N, 1/time."""
        return self.rate * self.degrees

    @one_thread()
    def reduction(self, experiment: Experiment) -> Reduction:
        """Give the collapse basis."""
        return reduction_of(experiment.system, self.projectors, self.part)

    @one_thread()
    def require(self, experiment: Experiment, replicas: int = 1) -> None:
        """Refuse an experiment without such projectors, or with too many turns, steps or trajectories."""
        as_experiment(experiment)
        reduction, levels = self.reduction(experiment), levels_of(experiment, "auto")
        free = commutes((levels.vectors * levels.frequencies) @ levels.vectors.conj().T, reduction)
        span = float(experiment.tlist[-1] - experiment.tlist[0])
        if followed(experiment, self.scheme) and not free:
            require_few_turns((float(np.ptp(levels.frequencies)) + 2.0 * self.gamma) * span)
        if self.scheme != "ensemble":
            jump, fastest = 1.0 / self.gamma if self.gamma else math.inf, float(np.max(np.abs(levels.frequencies)))
            step = math.inf if free else longest_step(self.step, fastest, self.gamma)
            legs_of(experiment.tlist, jump if self.scheme == "jumps" else step, experiment.system.size**2)
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

        Returns
        -------
        Dataset with probability, and of up to 256 beables density_matrix, mean_energy, energy_variance, entropy and
        entropy_rate, without noise; unless the scheme is "ensemble", state (replica, time, beable) with energy and
        expect of each trajectory. Beyond 256 beables the probability is the mean of the trajectories.

        Raises
        ------
        BadType, BadValue
        Interrupted
        """
        as_experiment(experiment)
        replicas, seed = as_whole(replicas, "replicas", least=1), as_seed(seed)
        reduction, levels = self.reduction(experiment), levels_of(experiment, "auto")
        frequencies = (levels.vectors * levels.frequencies) @ levels.vectors.conj().T
        times = experiment.tlist - experiment.tlist[0]
        free = commutes(frequencies, reduction)
        attrs: dict[str, Any] = {"theory": self.name, **parameters_of(self)}
        attrs["outcome_weights"] = json.dumps(reduction.weights(experiment.ket).tolist())
        attrs["about"] = _about(reduction, free=free)
        variables: dict[str, Any] = {}
        if followed(experiment, self.scheme):
            start = np.outer(experiment.ket, experiment.ket.conj())
            rho = reduced_ensemble(frequencies, reduction, self.gamma, start, times)

            def flow(now: np.ndarray) -> np.ndarray:
                turned = -1j * (frequencies @ now - now @ frequencies)
                return np.asarray(turned + self.gamma * (reduction.reduced(now) - now))

            variables = read_off(experiment, rho, flow)
            if self.scheme == "ensemble":
                return alone(experiment, variables, trace_with(rho), attrs)
        if self.scheme == "jumps":
            course = course_of_jumps(experiment, levels, reduction, self.gamma)
        else:
            course = self._course(experiment, reduction, frequencies, free=free)
        states = play(course, experiment, self, seed, replicas, first, progress=progress, jobs=jobs, keep=keep)
        variables["outcome"] = reduction.outcomes(states)
        return with_runs(experiment, variables, states, seed, attrs)

    def _course(self, experiment: Experiment, reduction: Reduction, frequencies: np.ndarray, *, free: bool) -> Course:
        h = reduction.into(frequencies)
        energies, vectors = np.linalg.eigh(h)
        longest = math.inf if free else longest_step(self.step, float(np.max(np.abs(energies))), self.gamma)
        still = float(np.ptp(energies)) == 0.0
        cost = experiment.system.size * (1 if still else experiment.system.size)

        def begin() -> Advance:
            y, weight = np.zeros((2, reduction.blocks))
            moved = np.zeros(experiment.system.size, complex)
            made: dict[float, np.ndarray] = {}

            def advance(psi: np.ndarray, random_state: np.ndarray, leg: Leg) -> None:
                if leg.dt not in made:
                    made.clear()
                    made[leg.dt] = propagator_rows(energies, vectors, leg.dt)
                span = self.gamma * leg.dt
                advance_by_reduction(
                    psi, random_state, leg.steps, span, still, made[leg.dt], reduction.block, y, weight, moved
                )

            return advance

        start = np.ascontiguousarray(reduction.ket_into(experiment.ket), dtype=complex)
        rows = None if reduction.vectors is None else np.ascontiguousarray(reduction.vectors.T)
        return Course(start, legs_of(experiment.tlist, longest, cost), begin, rows, cost)


def propagator_rows(energies: np.ndarray, vectors: np.ndarray, dt: float) -> np.ndarray:
    """Columns of exp(-i H dt/hbar) as rows, complex128 (collapse, collapse)."""
    u = (vectors * np.exp(-1j * energies * dt)) @ vectors.conj().T
    return np.ascontiguousarray(u.T, dtype=complex)


def _about(reduction: Reduction, *, free: bool) -> str:
    ranks = np.bincount(reduction.block)
    rank = f"of rank {ranks[0]}" if np.all(ranks == ranks[0]) else f"of ranks {ranks.min()} to {ranks.max()}"
    kept = "outcomes keep their weights" if free else "weights and energy drift"
    return f"{ranks.size} projectors {rank}; H {'commutes' if free else 'does not commute'} with them: {kept}"
