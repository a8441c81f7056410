"""Objective quantum thermalisation: an isolated system that forgets its state, by noise of its own."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr

from copydyn.blas import one_thread
from copydyn.experiment import Experiment, as_experiment
from copydyn.experiment.inputs import Matrix, as_real, as_whole, choose
from copydyn.kernels import thermalising as kernels
from copydyn.refusal import BadValue
from copydyn.runs.conduct import Checkpoint
from copydyn.runs.streams import as_seed
from copydyn.theories.irreversible.channel import MOST_VALUES, Ensemble, values_of
from copydyn.theories.irreversible.equilibrium import (
    Equilibrium,
    Report,
    Window,
    equilibrium_of,
    report,
    warn_of_ambiguity,
    warn_of_edges,
)
from copydyn.theories.irreversible.levels import PHASE_RULES, Levels
from copydyn.theories.irreversible.local import SCHEMES as SCHEMES_OF_PARTS
from copydyn.theories.irreversible.local import Local, local_equilibrium
from copydyn.theories.irreversible.readings import alone, trace_with, with_runs
from copydyn.theories.irreversible.settings import (
    MOST_ENTRIES,
    NOISES,
    as_part,
    as_rate,
    as_step,
    as_window,
    warn_of_coarse_steps,
)
from copydyn.theories.irreversible.trajectories import Advance, Course, Leg, legs_of, play, require_room
from copydyn.theories.settings import parameters_of, plain

SCHEMES = ("channel", "euler", "full-noise", "jumps", "ensemble")

TURNED = 10.0
"""How many times Gamma dt the fastest level may turn against the middle of the band, where the noise is real."""


@dataclass(frozen=True)
class OQT:
    """Thermalisation of single systems by noise (Mukherjee 2025, eq. 5).

    d|psi> = -(i/hbar) H|psi> dt + sum_mn { sqrt(A_m) [L - <L>]|psi> dW^mn
             + A_m [<L^+> L - L^+ L/2 - <L><L^+>/2]|psi> dt },    L = |m><n|,  A_m = Gamma chi_m,

    m in the window, n over all levels; on average d rho/dt = -(i/hbar)[H, rho] + Gamma (chi Tr rho - rho), eq. 6.

    Parameters
    ----------
    rate : float, 1/time
        Gamma for one degree of freedom, alpha/hbar.
    window : Window
        How the equilibrium chi is made of the state; the paper's window by default.
    noise : {"real", "complex"}
        Wiener processes as printed, or complex ones, whose law does not depend on the phases of the eigenvectors.
    phase_rule : {"auto", "real", "largest"}
        How these phases are fixed (`copydyn.irreversible.levels.PHASE_RULES`), which matters for real noise.
    scheme : {"channel", "euler", "full-noise", "jumps", "ensemble"}
        "channel": steps whose mean is exact however long they are, 2 D_W normals each. "euler": Euler and Maruyama's of
        the reduced equation. "full-noise": the same with all D D_W Wiener processes of eq. 5. "jumps": the state is
        replaced by a level of chi at the times of a Poisson process; right means, other trajectories. "ensemble": no
        trajectories, all in closed form.
    step : float
        Largest Gamma dt; with real noise, also the tenth part of the largest angle that a level turns in a step.
    degrees : float
        N, the number of degrees of freedom that the rate is proportional to: Gamma = rate N.
    part : str
        Thermalise this part of a composite system alone; it must not interact with the rest. Schemes "channel" (2 D D_W
        normals a step at most), "jumps" and "ensemble".

    Raises
    ------
    BadType, BadValue
    """

    rate: float
    window: Window = field(default_factory=Window)
    noise: str = "real"
    phase_rule: str = "auto"
    scheme: str = "channel"
    step: float = 0.05
    degrees: float = 1.0
    part: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "rate", as_rate(self.rate, "rate"))
        object.__setattr__(self, "degrees", as_real(self.degrees, "degrees", positive=True))
        object.__setattr__(self, "step", as_step(self.step))
        object.__setattr__(self, "window", as_window(self.window))
        choose(self.noise, "noise", NOISES)
        choose(self.phase_rule, "phase_rule", PHASE_RULES)
        choose(self.scheme, "scheme", SCHEMES)
        if as_part(self.part) and self.scheme not in SCHEMES_OF_PARTS:
            raise BadValue(
                f"scheme must be one of {', '.join(SCHEMES_OF_PARTS)} where a part is thermalised, but is "
                f"'{self.scheme}'."
            )

    @property
    def name(self) -> str:
        """How tables and files call the theory."""
        return "OQT"

    @property
    def gamma(self) -> float:
        """Gamma = rate N, 1/time."""
        return self.rate * self.degrees

    @one_thread()
    def report(self, experiment: Experiment) -> Report:
        """Say what is known before the run: energy, window, what is conserved and whether the entropy overshoots."""
        return report(self._local(experiment).chi if self.part else self._equilibrium(experiment))

    @one_thread()
    def announce(self, experiment: Experiment) -> str:
        """Give `report` as a sentence."""
        return self._about(self._local(experiment).chi if self.part else self._equilibrium(experiment))

    @one_thread()
    def require(self, experiment: Experiment, replicas: int = 1) -> None:
        """Refuse an experiment without an equilibrium of this kind, or with too many steps or trajectories."""
        as_experiment(experiment)
        local = self._local(experiment) if self.part else None
        chi = local.chi if local else self._equilibrium(experiment)
        if self.scheme != "ensemble":
            _ = self._course_of_part(experiment, local) if local else self._course(experiment, chi)
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
        """Evolve the ensemble in closed form, and ``replicas`` trajectories of it.

        Returns
        -------
        Dataset with probability, density_matrix (where it has at most 2^22 entries), mean_energy, energy_variance,
        entropy, entropy_rate, relative_entropy, trace_distance and squared_distance (to chi), all without noise; and,
        unless the scheme is "ensemble", state (replica, time, beable), with energy and expect of each trajectory. Where
        a part is thermalised, probability, density_matrix and mean_energy of the whole, and trajectories of it.

        Raises
        ------
        BadType, BadValue
        Interrupted
        """
        as_experiment(experiment)
        replicas, seed = as_whole(replicas, "replicas", least=1), as_seed(seed)
        times = experiment.tlist - experiment.tlist[0]
        local = self._local(experiment) if self.part else None
        chi = local.chi if local else self._equilibrium(experiment)
        warn_of_edges(chi.levels, self.window)
        attrs = {"theory": self.name, **parameters_of(self), "about": self._about(chi)}
        attrs |= {f"window_{name}": plain(value) for name, value in report(chi)._asdict().items()}
        attrs |= {"phase_rule": chi.levels.phase_rule}
        if local:
            rho = local.density(self.gamma, times)
            mean = trace_with(rho)
            variables = _of_part(experiment, rho, mean)
        else:
            ensemble = Ensemble(chi, self.gamma, times)
            mean = ensemble.expectation
            variables = self._of_ensemble(experiment, ensemble)
        if self.scheme == "ensemble":
            return alone(experiment, variables, mean, attrs)
        real = self.noise == "real" and self.scheme != "jumps"
        warn_of_ambiguity(chi, real=real, chosen=self.phase_rule != "auto")
        warn_of_coarse_steps(self.step, self.scheme, "the means of scheme 'channel' are right for any step")
        course = self._course_of_part(experiment, local) if local else self._course(experiment, chi)
        states = play(course, experiment, self, seed, replicas, first, progress=progress, jobs=jobs, keep=keep)
        return with_runs(experiment, variables, states, seed, attrs)

    def _equilibrium(self, experiment: Experiment) -> Equilibrium:
        return equilibrium_of(experiment, self.window, self.phase_rule)

    def _local(self, experiment: Experiment) -> Local:
        return local_equilibrium(experiment, self.part, self.window, self.phase_rule)

    def _about(self, chi: Equilibrium) -> str:
        return f"part '{self.part}': {report(chi).sentence}" if self.part else report(chi).sentence

    def _longest(self, levels: Levels) -> float:
        """Give the longest step; levels turn against the middle of the band, and real noise with them."""
        if self.scheme == "jumps" or self.gamma == 0.0:
            return math.inf
        longest, fastest = self.step / self.gamma, float(np.max(np.abs(levels.frequencies)))
        return min(longest, TURNED * self.step / fastest) if self.noise == "real" and fastest > 0.0 else longest

    def _course_of_part(self, experiment: Experiment, local: Local) -> Course:
        real, jumps = self.noise == "real", self.scheme == "jumps"
        longest = self._longest(local.chi.levels)  # the rest turns the noise's vectors, which have no direction there
        return local.course(experiment.tlist, self.gamma, longest, real=real, jumps=jumps)

    def _course(self, experiment: Experiment, chi: Equilibrium) -> Course:
        levels, window = chi.levels, chi.window
        frequencies = levels.frequencies
        longest = self._longest(levels)
        cost = levels.size * (window.size if self.scheme == "full-noise" else 1)
        legs = legs_of(experiment.tlist, longest, cost)
        chosen, sectors = chi.chi[window], chi.shares.size
        root = np.sqrt(chosen)
        schemes: dict[str, Any] = {
            "channel": kernels.advance_by_channel,
            "jumps": kernels.advance_by_jumps,
            "euler": kernels.advance_by_euler,
            "full-noise": kernels.advance_by_full_noise,
        }
        kernel, real = schemes[self.scheme], self.noise == "real"

        def begin() -> Advance:
            v, room = np.zeros(window.size, complex), np.zeros((sectors, kernels.ROOM))

            def advance(psi: np.ndarray, random_state: np.ndarray, leg: Leg) -> None:
                span = self.gamma * leg.dt
                amount = math.exp(-0.5 * span) if self.scheme in ("channel", "jumps") else span
                turn = np.exp(-1j * frequencies * leg.dt)
                kernel(psi, random_state, leg.steps, amount, turn, window, chosen, root, chi.sector, real, v, room)

            return advance

        rows = np.ascontiguousarray(levels.vectors.T, dtype=complex)
        return Course(np.ascontiguousarray(levels.amplitudes, dtype=complex), legs, begin, rows, cost)

    def _of_ensemble(self, experiment: Experiment, ensemble: Ensemble) -> dict[str, Any]:
        variables = {
            "probability": ensemble.probability(),
            "mean_energy": ensemble.energy(),
            "energy_variance": ensemble.variance(),
            "squared_distance": ensemble.squared_distance(),
        }
        if values_of(ensemble.chi) <= MOST_VALUES:
            variables |= {
                "entropy": ensemble.entropy(),
                "entropy_rate": ensemble.entropy_rate(),
                "relative_entropy": ensemble.relative_entropy(),
                "trace_distance": ensemble.trace_distance(),
            }
        if experiment.tlist.size * experiment.system.size**2 <= MOST_ENTRIES:
            variables["density_matrix"] = ensemble.density_of_beables()
        return variables


def _of_part(experiment: Experiment, rho: np.ndarray, mean: Callable[[Matrix], np.ndarray]) -> dict[str, Any]:
    weights = np.einsum("taa->ta", rho).real
    return {
        "probability": weights / weights.sum(axis=1, keepdims=True),
        "density_matrix": rho,
        "mean_energy": mean(experiment.system.pulses[0].hamiltonian),
    }
