"""No-signalling: does what is done to Alice's part change the state of Bob's?

The witness is |rho_B(on) - rho_B(off)|_1 / 2 at the same time, with Alice's generator on and off; Bob may evolve by
himself. Linear generators on Alice's part alone give zero. Generators on both parts do not, although they are of GKSL
form (erratum E9), nor do linear ones whose equilibrium is made of each member's own state (E6).
"""

from __future__ import annotations

import json

import numpy as np
import xarray as xr

from copydyn.blas import one_thread
from copydyn.experiment.inputs import as_ket
from copydyn.refusal import BadValue
from copydyn.results import result as results
from copydyn.theories.irreversible.equilibrium import Window, equilibrium
from copydyn.theories.irreversible.levels import Levels
from copydyn.theories.irreversible.thermodynamics import reduced, reduced_ket, trace_distance


@one_thread()
def witness(on: xr.Dataset, off: xr.Dataset, part: str) -> np.ndarray:
    """|rho_B(on) - rho_B(off)|_1 / 2, float64 (time,).

    Parameters
    ----------
    on, off : Dataset
        Results for one experiment whose system has parts, each with density_matrix, or with one replica's state.
    part : str
        Bob's.

    Raises
    ------
    BadType, BadValue
        If there is no such part, or a result has no state of the whole.
    """
    for dataset in (on, off):
        results.check(dataset)
    if on.sizes["time"] != off.sizes["time"] or np.any(on["time"].values != off["time"].values):
        raise BadValue("both results of a witness must have the same save times; evolve the same experiment.")
    return trace_distance(state_of(on, part), state_of(off, part))


@one_thread()
def state_of(result: xr.Dataset, part: str) -> np.ndarray:
    """Give the reduced density matrix of a part, complex128 (time, own, own).

    Raises
    ------
    BadValue
        If there is no such part, or the result has no state of the whole.
    """
    parts: dict[str, list[str]] = dict(json.loads(result.attrs.get("parts", "[]")))
    if part not in parts:
        known = f"one of {', '.join(parts)}" if parts else "one of a composite system's"
        raise BadValue(f"part must be {known}, but is '{part}'.")
    sizes, number = [len(labels) for labels in parts.values()], list(parts).index(part)
    if "density_matrix" in result:
        return reduced(result["density_matrix"].values, sizes, number)
    if "state" in result and result.sizes["replica"] == 1:
        return reduced_ket(result["state"].values[0], sizes, [number])
    raise BadValue("a witness needs density matrices, or the one ket of a theory without noise; this result has none.")


@one_thread()
def signal_of_own_equilibria(
    energies: np.ndarray, psi: np.ndarray, first: np.ndarray, second: np.ndarray, window: Window | None = None
) -> float:
    """Distance between Alice's states after thermalisation when Bob has measured in one basis or the other (E6).

    Each member of Alice's ensemble thermalises, fully, to the chi of its own state: the map of the ensemble is then not
    linear, and Bob's choice of basis is seen by her.

    Parameters
    ----------
    energies : float64 (own,)
        Alice's levels.
    psi : complex128 (own, other)
        Of both, <a b|psi>.
    first, second : complex128 (other, other)
        Bob's bases, <outcome|b> by row.
    window : Window, optional
        The paper's by default.
    """
    order = np.argsort(energies, kind="stable")
    levels, joint = np.asarray(energies, float)[order], np.asarray(psi, complex)[order]
    ended = [_after(levels, joint, np.asarray(basis, complex), window or Window()) for basis in (first, second)]
    return float(trace_distance(*ended))


def _after(energies: np.ndarray, psi: np.ndarray, basis: np.ndarray, window: Window) -> np.ndarray:
    total = np.zeros(energies.size)
    for row in basis:
        outcome = psi @ row  # <outcome|psi>, Alice's
        weight = float(np.sum(np.abs(outcome) ** 2))
        if weight > 1e-14:
            own = as_ket(outcome, energies.size, normalise=True)
            levels = Levels(energies, np.eye(energies.size), own, 1.0, "real")
            total += weight * equilibrium(levels, window).average
    return np.diag(total).astype(complex)
