"""Labels joined by a list of edges."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import sparse

from copydyn.experiment import System
from copydyn.experiment.inputs import LARGEST_SYSTEM, as_reals, as_whole
from copydyn.refusal import BadValue


def network(
    sites: int = 4,
    edges: Sequence[Sequence[int]] = ((0, 1), (0, 2), (0, 3)),
    couplings: Sequence[float] | float = -1.0,
    phases: Sequence[float] | float = 0.0,
    energies: Sequence[float] | float = 0.0,
    hbar: float = 1.0,
) -> System:
    """H_ab = g_e exp(i f_e) on each edge e = (a, b), H_ba its conjugate, and H_aa = E_a.

    Parameters
    ----------
    sites : int
        P.
    edges : int (edge, 2)
        Pairs of different labels from 0 to P - 1, each pair once, in whichever order.
    couplings : float (edge,) or float, energy
        g_e.
    phases : float (edge,) or float, rad
        f_e, collected on the way from b to a.
    energies : float (beable,) or float, energy
        E_a.

    Raises
    ------
    BadType, BadValue
        If an edge joins a label with itself or one that does not exist, or stands twice.
    """
    size = as_whole(sites, "sites", least=1, most=LARGEST_SYSTEM)
    pairs = _as_edges(edges, size)
    strength, turn = (
        _one_for_each(values, len(pairs), name) for values, name in ((couplings, "couplings"), (phases, "phases"))
    )
    levels = as_reals(energies, "energies")
    if levels.shape not in ((), (size,)):
        raise BadValue(f"energies must be one, or one for each of the {size} sites, but have shape {levels.shape}.")
    value = strength * np.exp(1j * turn)
    upper = sparse.coo_array((value, (pairs[:, 0], pairs[:, 1])), shape=(size, size))
    h = upper + upper.conj().T + sparse.diags_array(np.broadcast_to(levels, (size,)).astype(complex))
    return System(sparse.csr_array(h), meaning="site", hbar=hbar, name="network")


def _as_edges(edges: Sequence[Sequence[int]], size: int) -> np.ndarray:
    """Give the pairs as int64 (edge, 2)."""
    values = as_reals(edges, "edges")
    if values.ndim != 2 or values.shape[1] != 2 or np.any(values != np.floor(values)):
        raise BadValue(f"edges must be pairs of whole numbers, but have shape {values.shape} or other numbers.")
    pairs = values.astype(np.int64)
    for number, (a, b) in enumerate(pairs.tolist()):
        if not (0 <= a < size and 0 <= b < size):
            raise BadValue(f"edges must join sites from 0 to {size - 1}, but edges[{number}] is ({a}, {b}).")
        if a == b:
            raise BadValue(
                f"edges must join different sites, but edges[{number}] is ({a}, {b}); give energies for what a site "
                "has of its own."
            )
    _, first, times = np.unique(np.sort(pairs, axis=1), axis=0, return_index=True, return_counts=True)
    if np.any(times > 1):
        number = int(first[np.argmax(times > 1)])
        a, b = pairs[number].tolist()
        raise BadValue(
            f"edges must differ, but ({a}, {b}) stands twice, first as edges[{number}]; add their couplings."
        )
    return pairs


def _one_for_each(values: Sequence[float] | float, edges: int, name: str) -> np.ndarray:
    numbers = as_reals(values, name)
    if numbers.shape not in ((), (edges,)):
        raise BadValue(f"{name} must be one, or one for each of the {edges} edges, but have shape {numbers.shape}.")
    return np.broadcast_to(numbers, (edges,))
