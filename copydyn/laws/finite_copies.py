"""The laws of one experiment in one Dataset: what `copydyn.compare` judges by."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from copydyn.experiment import Experiment
from copydyn.inputs import as_ket
from copydyn.laws.covariance import MOST_LABELS, kick_covariance
from copydyn.laws.infidelity import infidelity_law


def finite_copies(experiment: Experiment, ket: np.ndarray, *, multinomial: bool = False) -> xr.Dataset:
    """Predict infidelity and noise, times N, of ensembles that start from ``ket``.

    Parameters
    ----------
    experiment : Experiment
    ket : complex128 (beable,)
        What the counts really encode at the start, `copydyn.ensemble.Ensemble.ket`; rounding, spectators and admixture
        make it differ from ``experiment.ket``.
    multinomial : bool
        The counts are drawn from |ket|^2 afresh for each replica.

    Returns
    -------
    Dataset with ``infidelity_law (time)``, inf from the first node on; ``infidelity_spread (time)``, N times the
    standard deviation of one ensemble's infidelity; ``frequency_noise (time, beable)``, N times the variance of n_a/N;
    these two are NaN from the first node on, and left out above `covariance.MOST_LABELS` labels. The attribute
    ``offset`` is the infidelity of ``ket`` itself, which unitary flow keeps.
    """
    system = experiment.system
    start = as_ket(ket, system.size, name="ket")
    law = infidelity_law(system.hamiltonian, start, experiment.tlist, hbar=system.hbar, multinomial=multinomial)
    about = {"units": "1", "long_name": "N times the mean infidelity that finite N must give"}
    data: dict[str, Any] = {"infidelity_law": ("time", law, about)}
    if system.size <= MOST_LABELS:
        noise = kick_covariance(system.hamiltonian, start, experiment.tlist, hbar=system.hbar, multinomial=multinomial)
        about = {"units": "1", "long_name": "N times the standard deviation of one ensemble's infidelity"}
        data["infidelity_spread"] = ("time", noise.infidelity_spread, about)
        variances = np.diagonal(noise.frequencies, axis1=-2, axis2=-1)
        about = {"units": "1", "long_name": "N times the variance of the frequencies that finite N must give"}
        data["frequency_noise"] = (("time", "beable"), variances, about)
    rest = start - np.vdot(experiment.ket, start) * experiment.ket
    offset = float(np.vdot(rest, rest).real)
    return xr.Dataset(data, {"time": experiment.tlist, "beable": list(system.labels)}, {"offset": offset})
