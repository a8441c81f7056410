"""What can be read off a ket at a save time, and the registry of what can be read off a result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from scipy import sparse

from copydyn.experiment import Experiment
from copydyn.experiment.inputs import Matrix
from copydyn.refusal import BadValue
from copydyn.results import histories


class Observable(NamedTuple):
    """A function of a result, with the unit and the name of what it gives; "time" is the result's own unit of time."""

    function: Callable[..., Any]
    units: str
    long_name: str


def mean_coherence(result: xr.Dataset) -> xr.DataArray:
    """sum_a (n_a/N) |Z_a|/n_a = sum_a |Z_a|/N with Z_a = sum_I exp(-i phi_I): one where every label is aligned.

    Parameters
    ----------
    result : Dataset
        Of copies whose phases are not aligned, which has ``coherence (replica, time, beable)``, |Z_a|/n_a.

    Returns
    -------
    DataArray (replica, time)

    Raises
    ------
    BadValue
        If the result has no coherence.
    """
    if "coherence" not in result:
        raise BadValue(
            "a mean coherence is of copies with phases of their own, which this result has not; evolve with "
            "phase_spread or alignment."
        )
    total = (result["frequency"] * result["coherence"]).sum("beable")  # an empty label's NaN counts as the zero it is
    return total.rename("mean_coherence").assign_attrs(units="1", long_name="coherence, mean over all copies")


OBSERVABLES = {
    "path_of": Observable(histories.path_of, *histories.ABOUT["path_of"]),
    "waiting_times": Observable(histories.waiting_times, *histories.ABOUT["waiting_times"]),
    "running_frequency": Observable(histories.running_frequency, *histories.ABOUT["running_frequency"]),
    "autocorrelation": Observable(histories.autocorrelation, *histories.ABOUT["autocorrelation"]),
}


def expectation(operator: Matrix, kets: np.ndarray) -> np.ndarray:
    """<psi| A |psi>, float64 (...), for Hermitian A (P, P) and kets complex128 (..., P)."""
    flat = kets.reshape(-1, kets.shape[-1])
    image = (sparse.csr_array(operator) @ flat.T).T  # dense or sparse as given, the sum has one order and so one value
    return np.einsum("ka,ka->k", flat.conj(), image).real.reshape(kets.shape[:-1])


def expectations(operators: Mapping[str, Matrix], kets: np.ndarray) -> np.ndarray:
    """`expectation` of several operators, float64 (..., e_op)."""
    columns = [expectation(operator, kets) for operator in operators.values()]
    return np.stack(columns, axis=-1) if columns else np.empty((*kets.shape[:-1], 0))


def energies(kets: np.ndarray, experiment: Experiment) -> np.ndarray:
    """<H>, float64 (replica, time), with the Hamiltonian that holds from each save time on: h(rho, phi) of (55)."""
    system = experiment.system
    if len(system.pulses) == 1:
        return expectation(system.pulses[0].hamiltonian, kets)
    edges = np.cumsum([pulse.duration for pulse in system.pulses])
    which = np.minimum(np.searchsorted(edges, experiment.tlist, side="right"), len(system.pulses) - 1)
    columns = [expectation(system.pulses[k].hamiltonian, kets[:, at]) for at, k in enumerate(which)]
    return np.stack(columns, axis=1)
