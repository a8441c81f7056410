"""Collapse by noise with a memory."""

from __future__ import annotations

import json
import math
import warnings
from dataclasses import dataclass

import numpy as np
import xarray as xr

from copydyn.blas import one_thread
from copydyn.experiment import Experiment, as_experiment
from copydyn.experiment.inputs import as_real, as_whole, choose, dense, shown
from copydyn.kernels.driven import NORMAL, advance_driven, begin_noise
from copydyn.refusal import BadType, BadValue
from copydyn.runs.conduct import Checkpoint
from copydyn.runs.streams import as_seed
from copydyn.theories.irreversible.coloured import KINDS, born_drift
from copydyn.theories.irreversible.readings import with_runs
from copydyn.theories.irreversible.settings import as_rate
from copydyn.theories.irreversible.trajectories import Advance, Course, Leg, legs_of, play, require_room
from copydyn.theories.settings import parameters_of

FINE = 1.0 / 20.0
"""Largest dt / tau for which the integral of the noise is good to 1e-3 of its variance."""


@dataclass(frozen=True)
class ColouredSUV:
    """Collapse in the beables by noise with a memory; equations and conditions in `copydyn.irreversible.coloured`.

    d psi_k/dt = (a_k - sum_j p_j a_j) psi_k, a_k = J p_k + D xi_k(t). The Hamiltonian may turn phases, not mix beables.

    Parameters
    ----------
    strength : float
        D: sqrt(1/time) for noise "ou", 1/time for the others.
    drift : float, optional, 1/time
        J; by default Born's: `copydyn.irreversible.coloured.born_drift`.
    noise : {"ou", "spherical", "frozen"}
        Ornstein and Uhlenbeck's, spherical Brownian motion (uniform on [-1, 1]), or a uniform number that stays.
    memory : float
        tau.
    one_noise : bool
        Two beables with one noise, of opposite signs, in the place of a noise each.
    step : float
        Largest dt / tau, and J dt.

    Raises
    ------
    BadType, BadValue
    """

    strength: float
    drift: float | None = None
    noise: str = "ou"
    memory: float = 0.1
    one_noise: bool = False
    step: float = 0.05

    def __post_init__(self) -> None:
        object.__setattr__(self, "strength", as_rate(self.strength, "strength"))
        object.__setattr__(self, "memory", as_real(self.memory, "memory", positive=True))
        object.__setattr__(self, "step", as_real(self.step, "step", positive=True))
        if self.drift is not None:
            object.__setattr__(self, "drift", as_rate(self.drift, "drift"))
        choose(self.noise, "noise", tuple(KINDS))
        if not isinstance(self.one_noise, bool):
            raise BadType(f"one_noise must be True or False, but is {shown(self.one_noise)}.")

    @property
    def name(self) -> str:
        """How tables and files call the theory."""
        return "ColouredSUV"

    @property
    def settled_drift(self) -> float:
        """J, Born's where none is given."""
        return born_drift(self.noise, self.strength, self.memory) if self.drift is None else self.drift

    def require(self, experiment: Experiment, replicas: int = 1) -> None:
        """Refuse an experiment whose H mixes beables, or with too many steps or trajectories."""
        as_experiment(experiment)
        self._diagonal(experiment)
        self._course(experiment)
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
        """Evolve ``replicas`` trajectories, each with noises of its own.

        Returns
        -------
        Dataset with state (replica, time, beable), probability (time, beable; their mean), energy, outcome (replica,
        time), expect.

        Raises
        ------
        BadType, BadValue
            If H mixes beables, or one noise is to drive other than two.
        Interrupted
        """
        as_experiment(experiment)
        replicas, seed = as_whole(replicas, "replicas", least=1), as_seed(seed)
        diagonal = self._diagonal(experiment)
        if self.step > FINE:
            warnings.warn(
                f"step must be at most {FINE:g} of the memory, but is {self.step:g}: the noise is then cut coarsely.",
                RuntimeWarning,
                stacklevel=2,
            )
        course = self._course(experiment)
        y = play(course, experiment, self, seed, replicas, first, progress=progress, jobs=jobs, keep=keep)
        size = experiment.system.size
        weights = np.abs(experiment.ket) ** 2
        p = _shares(y[..., :size], weights)
        times = experiment.tlist - experiment.tlist[0]
        phases = np.exp(1j * (np.angle(experiment.ket) - np.outer(times, diagonal)))
        states = np.sqrt(p) * phases
        attrs = {
            "theory": self.name,
            **parameters_of(self),
            "theory_drift": self.settled_drift,
            "outcome_weights": json.dumps(weights.tolist()),
        }
        return with_runs(experiment, {"outcome": np.argmax(p, axis=-1).astype(np.int32)}, states, seed, attrs)

    def _diagonal(self, experiment: Experiment) -> np.ndarray:
        """H_aa / hbar, float64 (beable,)."""
        system = experiment.system
        if len(system.pulses) > 1:
            raise BadValue(f"coloured collapse needs one Hamiltonian, but the system has {len(system.pulses)} pulses.")
        if self.one_noise and system.size != 2:
            raise BadValue(f"one_noise drives two beables, but the system has {system.size}; leave it out.")
        full = dense(system.pulses[0].hamiltonian)
        off = np.abs(full - np.diag(np.diag(full)))
        if off.max() > 0.0:
            a, b = divmod(int(off.argmax()), system.size)
            raise BadValue(
                f"H must not mix beables under coloured collapse, but couples {system.labels[a]} and "
                f"{system.labels[b]} by {off[a, b]:.4g}; take SUV, whose noise has no memory."
            )
        return np.asarray(np.diag(full).real / system.hbar)

    def _course(self, experiment: Experiment) -> Course:
        """Steps of (y, xi), side by side in one row."""
        size = experiment.system.size
        drift = (2.0 if self.one_noise else 1.0) * self.settled_drift  # J of two states is half that of N
        noises = 1 if self.one_noise else size
        kind = KINDS[self.noise]
        width = math.sqrt(0.5 / self.memory) if kind == NORMAL else 1.0 / math.sqrt(3.0)
        bounds = [self.step / drift] if drift > 0.0 else []
        bounds += [self.step / self.strength] if self.noise == "frozen" and self.strength > 0.0 else []
        bounds += [self.step * self.memory] if self.noise != "frozen" else []
        longest = min(bounds, default=math.inf)
        weight = np.abs(experiment.ket) ** 2

        def begin() -> Advance:
            p, middle = np.zeros((2, size))
            before = np.zeros(noises)

            def advance(psi: np.ndarray, random_state: np.ndarray, leg: Leg) -> None:
                y, xi = np.ascontiguousarray(psi[:, :size]), np.ascontiguousarray(psi[:, size:])
                if np.isnan(xi[0, 0]):
                    begin_noise(xi, random_state, kind, width)
                decay = 1.0 if self.noise == "frozen" else math.exp(-leg.dt / self.memory)
                numbers = (leg.steps, leg.dt, drift, self.strength, kind, width, decay, self.one_noise)
                advance_driven(y, xi, random_state, *numbers, weight, p, middle, before)
                psi[:, :size], psi[:, size:] = y, xi

            return advance

        start = np.concatenate([np.zeros(size), np.full(noises, np.nan)])  # NaN: the noise is yet to be drawn
        return Course(start, legs_of(experiment.tlist, longest, size), begin, None, size)


def _shares(y: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """p_k ~ p_k(0) exp(2 y_k), float64 (..., beable)."""
    logs = np.where(weights > 0.0, 2.0 * y, -np.inf)
    p = weights * np.exp(logs - logs.max(axis=-1, keepdims=True))
    return np.asarray(p / p.sum(axis=-1, keepdims=True))
