"""Chains of spins 1/2: the beable is the row of all their values along z."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
from scipy import sparse

from copydyn.experiment import System
from copydyn.experiment.inputs import as_real, as_reals, as_whole
from copydyn.refusal import BadValue

MOST_SITES = 16
"""65 536 labels; a chain of one site more doubles the labels and more than doubles the edges."""

PAULI = {
    "x": sparse.csr_array(np.array([[0.0, 1.0], [1.0, 0.0]], dtype=complex)),
    "y": sparse.csr_array(np.array([[0.0, -1.0j], [1.0j, 0.0]])),
    "z": sparse.csr_array(np.array([[1.0, 0.0], [0.0, -1.0]], dtype=complex)),
}


def heisenberg(
    sites: int = 4,
    couplings: tuple[float, float, float] = (1.0, 1.0, 1.0),
    field: float = 0.0,
    transverse: float = 0.0,
    periodic: bool = False,
    hbar: float = 1.0,
) -> System:
    """H = sum_i (Jx Sx_i Sx_i+1 + Jy Sy_i Sy_i+1 + Jz Sz_i Sz_i+1) - h sum_i Sz_i - g sum_i Sx_i.

    S = sigma/2, so that couplings and fields are energies. J > 0 is the antiferromagnet. The labels are "uu", "ud", ...

    Parameters
    ----------
    sites : int
        2 (periodic: 3) to `MOST_SITES`.
    couplings : (float, float, float)
        Jx, Jy, Jz.
    field, transverse : float
        h, g.
    periodic : bool
        Join the last spin to the first.
    """
    size = _sites(sites, periodic)
    strengths = as_reals(couplings, "couplings")
    if strengths.shape != (3,):
        raise BadValue(f"couplings must be three, Jx, Jy and Jz, but have shape {strengths.shape}.")
    h, g = as_real(field, "field"), as_real(transverse, "transverse")
    total = sparse.csr_array((2**size, 2**size), dtype=complex)
    for axis, strength in zip("xyz", strengths):
        for here, there in _bonds(size, periodic):
            total += 0.25 * strength * on_sites(size, {here: PAULI[axis], there: PAULI[axis]})
    for site in range(size):
        total -= 0.5 * h * on_sites(size, {site: PAULI["z"]})
        total -= 0.5 * g * on_sites(size, {site: PAULI["x"]})
    return _chain(total, size, "ud", hbar, "heisenberg")


def ising(
    sites: int = 4,
    coupling: float = 1.0,
    transverse: float = 1.0,
    longitudinal: float = 0.0,
    periodic: bool = False,
    hbar: float = 1.0,
) -> System:
    """H = -J sum_i sigma_z,i sigma_z,i+1 - g sum_i sigma_x,i - h sum_i sigma_z,i.

    J > 0 is the ferromagnet. The labels are "00", "01", ..., with sigma_z = +1 for 0.

    Parameters
    ----------
    sites : int
        2 (periodic: 3) to `MOST_SITES`.
    coupling, transverse, longitudinal : float
        J, g, h; energies.
    periodic : bool
        Join the last spin to the first.
    """
    size = _sites(sites, periodic)
    j, g, h = (
        as_real(value, name)
        for value, name in ((coupling, "coupling"), (transverse, "transverse"), (longitudinal, "longitudinal"))
    )
    total = sparse.csr_array((2**size, 2**size), dtype=complex)
    for here, there in _bonds(size, periodic):
        total -= j * on_sites(size, {here: PAULI["z"], there: PAULI["z"]})
    for site in range(size):
        total -= g * on_sites(size, {site: PAULI["x"]}) + h * on_sites(size, {site: PAULI["z"]})
    return _chain(total, size, "01", hbar, "ising")


def on_sites(sites: int, operators: dict[int, sparse.csr_array]) -> sparse.csr_array:
    """Kronecker product of ``operators`` at their sites and of 1 at the others; site 0 is the slowest."""
    total, idle = sparse.csr_array(np.ones((1, 1), dtype=complex)), 0
    for site in range(sites + 1):
        if site in operators or site == sites:
            total = sparse.kron(total, sparse.eye_array(2**idle), format="csr")
            idle = 0
        else:
            idle += 1
        if site in operators:
            total = sparse.kron(total, operators[site], format="csr")
    return sparse.csr_array(total)


def _chain(hamiltonian: sparse.csr_array, sites: int, letters: str, hbar: float, name: str) -> System:
    labels = ["".join(spins) for spins in product(letters, repeat=sites)]
    parts = [(str(site), tuple(letters)) for site in range(sites)]
    return System(hamiltonian, labels=labels, meaning="spin string", hbar=hbar, name=name, parts=parts)


def _sites(sites: int, periodic: bool) -> int:
    return as_whole(sites, "sites", least=3 if periodic else 2, most=MOST_SITES)


def _bonds(sites: int, periodic: bool) -> Iterator[tuple[int, int]]:
    yield from ((site, site + 1) for site in range(sites - 1))
    if periodic:
        yield sites - 1, 0
