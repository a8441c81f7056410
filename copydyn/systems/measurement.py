"""A measurement: a two-state system and the ferromagnetic pointer that reads it."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from copydyn.experiment import Part, System
from copydyn.experiment.inputs import as_real, as_whole
from copydyn.systems.spins import MOST_SITES, PAULI, on_sites


def measurement(
    pointer: int = 3,
    splitting: float = 0.0,
    ferromagnet: float = 1.0,
    reading: float = 0.5,
    transverse: float = 0.0,
    hbar: float = 1.0,
) -> System:
    """H = (e/2) sigma_z,S - J sum_i sigma_z,i sigma_z,i+1 - g sigma_z,S sum_i sigma_z,i - h sum_i sigma_x,i.

    The part "S" is what is measured; "P1", "P2", ... are the spins of the pointer, an open chain whose two lowest
    states for J > 0 are all up and all down: a broken symmetry, told by the sign of the order parameter,
    sum_i sigma_z,i (projectors "pointer" of `copydyn.theories.SUV`). An odd number of spins
    never has the order parameter zero.

    Parameters
    ----------
    pointer : int
        Spins of the pointer.
    splitting : float, energy
        e.
    ferromagnet, reading, transverse : float, energy
        J, g and h; without h the Hamiltonian commutes with the pointer's projectors.
    """
    spins = as_whole(pointer, "pointer", least=1, most=MOST_SITES - 1)
    e, j, g, h = (
        as_real(value, name)
        for value, name in (
            (splitting, "splitting"),
            (ferromagnet, "ferromagnet"),
            (reading, "reading"),
            (transverse, "transverse"),
        )
    )
    size = spins + 1
    total = sparse.csr_array(0.5 * e * on_sites(size, {0: PAULI["z"]}))
    for site in range(1, size):
        if site + 1 < size:
            total = total - j * on_sites(size, {site: PAULI["z"], site + 1: PAULI["z"]})
        total = total - g * on_sites(size, {0: PAULI["z"], site: PAULI["z"]}) - h * on_sites(size, {site: PAULI["x"]})
    names = ["S", *(f"P{number}" for number in np.arange(1, size))]
    parts = [Part(name, ("0", "1")) for name in names]
    return System(sparse.csr_array(total), meaning="joint level", hbar=hbar, name="measurement", parts=parts)
