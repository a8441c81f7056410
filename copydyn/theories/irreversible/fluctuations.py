"""What tells thermalising systems from others: correlations in time, lasting fluctuations, times against size."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from copydyn.blas import one_thread
from copydyn.experiment import Experiment
from copydyn.experiment.inputs import Matrix, as_hermitian, as_real, as_reals, dense
from copydyn.refusal import BadValue
from copydyn.theories.irreversible.channel import Ensemble
from copydyn.theories.irreversible.equilibrium import Equilibrium, Window, equilibrium_of


@one_thread()
def two_time_correlation(chi: Equilibrium, rate: float, a: Matrix, b: Matrix, times: np.ndarray) -> np.ndarray:
    """<A(t) B(0)> = e Tr[A U B rho U^+] + (1 - e) Tr(A chi) Tr(B rho), e = exp(-Gamma t), complex128 (time,).

    Parameters
    ----------
    chi : Equilibrium
        Of the state psi0 in which B acts.
    rate : float
        Gamma.
    a, b : (beable, beable), Hermitian
    times : float64 (time,)
        Counted from the preparation.
    """
    levels = chi.levels
    told = [levels.vectors.conj().T @ (_observable(one) @ levels.vectors) for one in (a, b)]
    times = as_reals(times, "times")
    turns = np.exp(-1j * np.outer(times, levels.frequencies))
    struck = told[1] @ levels.amplitudes
    bra = turns * levels.amplitudes  # U psi, conjugated below
    pure = np.einsum("tm,mn,tn->t", bra.conj(), told[0], turns * struck, optimize=True)
    mean_a = np.diag(told[0]).real @ chi.average
    mean_b = np.vdot(levels.amplitudes, struck).real
    e = np.exp(-rate * times)
    return np.asarray(e * pure + (1.0 - e) * mean_a * mean_b)


@one_thread()
def long_time_variance(chi: Equilibrium, operator: Matrix, noise: str = "complex") -> float:
    """Variance, in time or over runs, of <O> of one system that has thermalised to a uniform chi.

    Var<O> = Var_chi(O_W) / (D_W + 1) with complex noise, 2 Var_chi(O_W) / (D_W + 2) with real noise, H = 0 and O
    real in the levels. O_W is O between the levels of the window, Var_chi(O_W) = Tr O_W^2/D_W - (Tr O_W/D_W)^2.

    Raises
    ------
    BadValue
        If chi is not uniform on its window, or there is no such noise.
    """
    window = chi.window
    if np.ptp(chi.average[window]) > 1e-12:
        raise BadValue("lasting fluctuations are known of a uniform chi, but this one is not; take rule 'window'.")
    if noise not in ("real", "complex"):
        raise BadValue(f"noise must be one of real, complex, but is {noise!r}.")
    vectors = chi.levels.vectors[:, window]
    inside = vectors.conj().T @ (_observable(operator) @ vectors)
    size = window.size
    spread = float(np.sum(np.abs(inside) ** 2) / size - (np.trace(inside).real / size) ** 2)
    return spread / (size + 1) if noise == "complex" else 2.0 * spread / (size + 2)


def thermalisation_time(strength: float, degrees: float, hbar: float = 1.0) -> float:
    """Hbar / (alpha N), for the energy alpha a degree of freedom; infinite without one."""
    energy = as_real(strength, "strength") * as_real(degrees, "degrees", positive=True)
    return hbar / energy if energy > 0.0 else np.inf


@one_thread()
def scan_of_sizes(
    experiment: Experiment, strength: float, degrees: Sequence[float], window: Window | None = None
) -> xr.Dataset:
    """Tell how far thermalisation is from Schroedinger's equation at the last save time, against size.

    Gamma = alpha N / hbar: for few degrees of freedom nothing can be seen, for many the system is in equilibrium.

    Parameters
    ----------
    strength : float
        alpha, energy.
    degrees : sequence of float
        N, each > 0.

    Returns
    -------
    Dataset over ``degrees``: gamma, thermalisation_time, from_schrodinger and from_equilibrium, both trace distances.
    """
    sizes = as_reals(list(degrees), "degrees")
    if sizes.ndim != 1 or not np.all(sizes > 0.0):
        raise BadValue("degrees must be numbers > 0, one or more.")
    chi, hbar = equilibrium_of(experiment, window or Window()), experiment.system.hbar
    span = float(experiment.tlist[-1] - experiment.tlist[0])
    apart = float(Ensemble(chi, 0.0, np.zeros(1)).trace_distance()[0])
    gamma = strength * sizes / hbar
    gone = -np.expm1(-gamma * span)
    unit = experiment.system.time_unit
    data = {
        "gamma": ("degrees", gamma, {"units": f"1/({unit})", "long_name": "rate of thermalisation"}),
        "thermalisation_time": (
            "degrees",
            np.array([thermalisation_time(strength, size, hbar) for size in sizes]),
            {"units": unit, "long_name": "time of thermalisation"},
        ),
        "from_schrodinger": (
            "degrees",
            gone * apart,
            {"units": "1", "long_name": "trace distance from the state without thermalisation"},
        ),
        "from_equilibrium": (
            "degrees",
            (1.0 - gone) * apart,
            {"units": "1", "long_name": "trace distance from the equilibrium"},
        ),
    }
    about = {"units": "1", "long_name": "degrees of freedom"}
    return xr.Dataset(data, {"degrees": ("degrees", sizes, about)}, attrs={"strength": strength, "time": span})


def _observable(operator: Matrix) -> np.ndarray:
    return dense(as_hermitian(operator, "operator"))
