"""What a theory is: a frozen set of parameters with one verb."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import xarray as xr

from copydyn.experiment import Experiment
from copydyn.runs.conduct import Checkpoint


@runtime_checkable
class Theory(Protocol):
    """A frozen dataclass whose fields are the theory's parameters.

    ``require`` refuses what ``evolve`` would refuse, before anything is computed. ``evolve`` takes the experiment that
    every theory is given and returns a Dataset that passes `result.check`.
    """

    @property
    def name(self) -> str:
        """How tables and files call the theory."""
        ...

    def require(self, experiment: Experiment, replicas: int = 1) -> None:
        """Refuse an experiment that the theory cannot evolve so many times.

        Raises
        ------
        BadType, BadValue
        """
        ...

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
        """Evolve ``experiment``; one ``seed`` gives the same bytes every time, whatever ``jobs`` and ``keep`` are.

        The replicas are those numbered from ``first`` on: what many give, several runs of fewer give as well.
        """
        ...
