"""A particle on sites in one dimension."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import sparse

from copydyn.experiment import System
from copydyn.experiment.inputs import LARGEST_SYSTEM, as_real, as_reals, as_whole
from copydyn.refusal import BadValue


def ring(sites: int = 16, hopping: float = 1.0, flux: float = 0.0, hbar: float = 1.0) -> System:
    """H = -J sum_a (exp(i Phi / P) |a><a+1| + h.c.), site P being site 0 again.

    Parameters
    ----------
    sites : int
        P >= 3.
    hopping : float
        J, energy.
    flux : float, rad
        Phi, the phase collected on one way around. Plane waves exp(i k a), k = 2 pi l / P, have the energies
        -2 J cos(k + Phi / P).
    """
    size = as_whole(sites, "sites", least=3, most=LARGEST_SYSTEM)
    hop = -as_real(hopping, "hopping") * np.exp(1j * as_real(flux, "flux") / size)
    here = np.arange(size)
    forward = sparse.coo_array((np.full(size, hop), (here, (here + 1) % size)), shape=(size, size))
    return System(forward + forward.conj().T, meaning="site", hbar=hbar, name="ring")


def lattice(
    sites: int = 64,
    spacing: float = 1.0,
    mass: float = 1.0,
    potential: Sequence[float] | float = 0.0,
    periodic: bool = False,
    hbar: float = 1.0,
) -> System:
    """H = p^2/2m + V on x_a = (a - (P-1)/2) d: H_aa = V_a + hbar^2/(m d^2), H_ab = -hbar^2/(2 m d^2) for neighbours.

    The off-diagonal element is negative (delta = pi): the sign printed in (56), (57) of Smolin 2012 is that of a
    negative mass.

    Parameters
    ----------
    sites : int
        P >= 2 (>= 3 where periodic).
    spacing : float
        d, length.
    mass : float
        m > 0.
    potential : float (beable,) or float
        V at the sites, energy.
    periodic : bool
        Join the last site to the first.
    """
    size = as_whole(sites, "sites", least=3 if periodic else 2, most=LARGEST_SYSTEM)
    step = as_real(spacing, "spacing", positive=True)
    hop = hopping_energy(step, mass, hbar)
    heights = as_reals(potential, "potential")
    if heights.ndim == 0:
        heights = np.full(size, float(heights))
    if heights.shape != (size,):
        raise BadValue(f"potential must give one energy for each of the {size} sites, but has shape {heights.shape}.")
    beside = (1, size - 1) if periodic else (1,)
    offsets = [*beside, 0, *(-offset for offset in beside)]
    diagonals = [heights + 2.0 * hop if offset == 0 else np.full(size - abs(offset), -hop) for offset in offsets]
    h = sparse.diags_array(diagonals, offsets=offsets)
    return System(sparse.csr_array(h), meaning="site", hbar=hbar, name="lattice")


def positions(sites: int, spacing: float = 1.0) -> np.ndarray:
    """x_a = (a - (P-1)/2) d, float64 (beable,)."""
    return (np.arange(sites) - 0.5 * (sites - 1)) * spacing


def hopping_energy(spacing: float, mass: float, hbar: float) -> float:
    """hbar^2/(2 m d^2), the coupling of neighbours."""
    step, m = as_real(spacing, "spacing", positive=True), as_real(mass, "mass", positive=True)
    with np.errstate(all="ignore"):
        hop = np.float64(as_real(hbar, "hbar", positive=True) / step) ** 2 / (2.0 * m)
    if not np.isfinite(4.0 * hop) or hop == 0.0:
        raise BadValue(
            f"hbar^2/(2 m d^2) must be a finite number > 0, but is {hop} for spacing {step:g} and mass {m:g}; "
            "choose units in which they are nearer to one."
        )
    return float(hop)
