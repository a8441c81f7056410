"""The reference: the Schrödinger equation, i hbar d psi/dt = H psi."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from copydyn.blas import one_thread
from copydyn.experiment import Experiment, as_experiment
from copydyn.refusal import BadValue
from copydyn.results import result
from copydyn.results.observables import energies, expectations
from copydyn.runs.conduct import Checkpoint
from copydyn.theories.settings import parameters_of


@dataclass(frozen=True)
class Schrodinger:
    """Quantum mechanics without copies.

    Parameters
    ----------
    tol : float
        Largest error of the ket in the 2-norm.
    """

    tol: float = 1e-10

    @property
    def name(self) -> str:
        """How tables and files call the theory."""
        return "Schrodinger"

    def require(self, experiment: Experiment, replicas: int = 1) -> None:
        """Refuse what is no experiment; a precision that float64 cannot keep is found by solving."""
        as_experiment(experiment)

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
        """Solve for the ket at the save times; nothing but ``experiment`` has a say in it.

        Returns
        -------
        Dataset with state (replica, time, beable), probability (time, beable), energy and expect.
        """
        from qm_reference import sesolve

        system = experiment.system
        pulses: Any = system.hamiltonian if len(system.pulses) == 1 else list(system.pulses)
        try:
            kets = sesolve(pulses, experiment.ket, experiment.tlist, hbar=system.hbar, tol=self.tol)[None]
        except ValueError as cause:  # the experiment is sound: what is left is a precision that float64 cannot keep
            fault = str(cause).partition(";")[0]
            ways = "end the schedule earlier, or take smaller energies"
            raise BadValue(str(cause), in_scenario=f"{fault}; {ways}.") from None
        weights = np.abs(kets[0]) ** 2
        variables: dict[str, Any] = {
            "probability": weights / weights.sum(axis=1, keepdims=True),
            "state": kets,
            "energy": energies(kets, experiment),
            "status": np.array(["ok"]),
        }
        if experiment.e_ops:
            variables["expect"] = expectations(experiment.e_ops, kets)
        attrs = {"theory": self.name, **parameters_of(self), "replicas": 1, "replica_spread": result.NONE}
        return result.new(experiment, variables, attrs)
