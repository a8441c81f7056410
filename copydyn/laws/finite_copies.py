"""The laws of one experiment in one Dataset: what `copydyn.compare` judges by."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from copydyn.experiment import Experiment
from copydyn.inputs import as_ket
from copydyn.laws.covariance import MOST_LABELS, KickCovariance, kick_covariance
from copydyn.laws.infidelity import infidelity_law
from copydyn.laws.path import Path


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
    ``offset`` is the infidelity of ``ket`` itself, which unitary flow keeps. Where it is not zero the noise changes the
    infidelity in first order: ``offset_spread (time)`` is sqrt(N) times the standard deviation of that.
    """
    system = experiment.system
    start = as_ket(ket, system.size, name="ket")
    rest = start - np.vdot(experiment.ket, start) * experiment.ket
    offset = float(np.vdot(rest, rest).real)
    law = infidelity_law(system.hamiltonian, start, experiment.tlist, hbar=system.hbar, multinomial=multinomial)
    about = {"units": "1", "long_name": "N times the mean infidelity that finite N must give"}
    data: dict[str, Any] = {"infidelity_law": ("time", law, about)}
    if system.size <= MOST_LABELS:
        noise = kick_covariance(system.hamiltonian, start, experiment.tlist, hbar=system.hbar, multinomial=multinomial)
        about = {"units": "1", "long_name": "N times the standard deviation of one ensemble's infidelity"}
        data["infidelity_spread"] = ("time", noise.infidelity_spread, about)
        variances = np.diagonal(noise.frequencies, axis1=-2, axis2=-1)
        about = {"units": "1", "long_name": "N times the variance of the frequencies that finite N must give"}
        data["frequency_noise"] = (("time", "beable"), np.maximum(variances, 0.0), about)
        about = {"units": "1", "long_name": "sqrt(N) times the standard deviation that the offset gives an infidelity"}
        data["offset_spread"] = ("time", _offset_spread(experiment, rest, noise), about)
    return xr.Dataset(data, {"time": experiment.tlist, "beable": list(system.labels)}, {"offset": offset})


def _offset_spread(experiment: Experiment, rest: np.ndarray, noise: KickCovariance) -> np.ndarray:
    """sqrt(N Var[2 Re <d|dpsi>]), d = ``rest`` the part of the start's ket beside psi, carried by Schrödinger.

    The infidelity of psi' + dpsi is <d|d> + 2 Re <d|dpsi> + O(1/N), and with the covariance C and the relation R of
    sqrt(N) dpsi the variance is 2 d^+ C d + 2 Re d^+ R d*.
    """
    length = float(np.linalg.norm(rest))
    if length == 0.0:
        return np.zeros(experiment.tlist.size)
    system = experiment.system
    path = Path.of(system.hamiltonian, rest / length, experiment.tlist, hbar=system.hbar)
    bra = length * path.saved.conj()
    along = np.einsum("ta,tab,tb->t", bra, noise.covariance, bra.conj())
    across = np.einsum("ta,tab,tb->t", bra, noise.relation, bra)
    return np.asarray(np.sqrt(np.maximum(2.0 * (along + across).real, 0.0)))
