"""Entropies, distances and moments of density matrices, and the states of parts."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from copydyn.blas import one_thread
from copydyn.experiment.inputs import as_hermitian, as_whole, dense
from copydyn.refusal import BadValue

NEGATIVE = 1e-9
"""Eigenvalue below zero, or trace away from one, that is more than rounding."""

EMPTY = 1e-13
"""Eigenvalue that counts as none."""


def as_density(rho: object, name: str = "rho0") -> np.ndarray:
    """Give ``rho`` as a density matrix, complex128 (level, level).

    Raises
    ------
    BadType, BadValue
        If it is not Hermitian, not positive to 1e-9, or its trace is not one.
    """
    matrix = dense(as_hermitian(rho, name))
    trace, least = float(np.trace(matrix).real), float(np.linalg.eigvalsh(matrix)[0])
    if abs(trace - 1.0) > NEGATIVE:
        raise BadValue(f"{name} must have trace one, but its trace is {trace:.10g}; divide it by that.")
    if least < -NEGATIVE:
        raise BadValue(f"{name} must have no negative eigenvalue, but has {least:.4g}; check how it was made.")
    return matrix


@one_thread()
def von_neumann_entropy(rho: np.ndarray) -> np.ndarray:
    """-Tr rho ln rho, float64 (...), for rho (..., level, level)."""
    values = np.clip(np.linalg.eigvalsh(rho), 0.0, None)
    logs = np.log(np.where(values > 0.0, values, 1.0))
    return np.asarray(-(values * logs).sum(axis=-1))


@one_thread()
def entropy_rate(rho: np.ndarray, flow: np.ndarray) -> float:
    """-Tr(flow ln rho), flow = d rho/dt; infinite where weight flows into what rho has nothing of."""
    values, vectors = np.linalg.eigh(rho)
    into = np.einsum("ai,ab,bi->i", vectors.conj(), flow, vectors).real
    empty = values <= EMPTY
    if np.any(into[empty] > 1e-10):
        return math.inf
    return float(-into[~empty] @ np.log(values[~empty]))


@one_thread()
def relative_entropy(rho: np.ndarray, sigma: np.ndarray) -> float:
    """S(rho || sigma) = Tr rho (ln rho - ln sigma); infinite where rho has weight that sigma has not."""
    values, vectors = np.linalg.eigh(sigma)
    weights = np.einsum("ai,ab,bi->i", vectors.conj(), rho, vectors).real
    empty = values <= EMPTY
    if np.any(weights[empty] > 1e-10):
        return math.inf
    return float(-weights[~empty] @ np.log(values[~empty]) - von_neumann_entropy(rho))


@one_thread()
def trace_distance(rho: np.ndarray, sigma: np.ndarray) -> np.ndarray:
    """|rho - sigma|_1 / 2, float64 (...)."""
    return np.asarray(0.5 * np.abs(np.linalg.eigvalsh(rho - sigma)).sum(axis=-1))


@one_thread()
def squared_distance(rho: np.ndarray, sigma: np.ndarray) -> np.ndarray:
    """Tr (rho - sigma)^2, float64 (...): the square of Hilbert and Schmidt's distance."""
    return np.asarray((np.abs(rho - sigma) ** 2).sum(axis=(-2, -1)))


@one_thread()
def reduced(rho: np.ndarray, sizes: Sequence[int], kept: int | Sequence[int]) -> np.ndarray:
    """Trace out all parts but those ``kept``, complex128 (..., d, d).

    Parameters
    ----------
    rho : (..., P, P)
        The last part runs fastest.
    sizes : sequence of int
        Of the parts; their product is P.
    kept : int or sequence of int
        Numbers of the parts to keep, ascending.
    """
    count = len(sizes)
    if math.prod(sizes) != rho.shape[-1]:
        raise BadValue(f"sizes must multiply to {rho.shape[-1]}, the size of rho, but multiply to {math.prod(sizes)}.")
    keep = [kept] if isinstance(kept, int) else list(kept)
    keep = [as_whole(part, "kept", most=count - 1) for part in keep]
    lead = rho.shape[:-2]
    tensor = rho.reshape(*lead, *sizes, *sizes)
    rows, columns = list(range(count)), [part if part not in keep else count + part for part in range(count)]
    out = list(keep) + [count + part for part in keep]
    size = math.prod(sizes[part] for part in keep)
    return np.asarray(np.einsum(tensor, [..., *rows, *columns], [..., *out])).reshape(*lead, size, size)


def reduced_ket(kets: np.ndarray, sizes: Sequence[int], kept: Sequence[int]) -> np.ndarray:
    """Trace out of |psi><psi| all parts but those ``kept``, without the matrix of the whole; kets (..., P)."""
    lead, count = kets.shape[:-1], len(sizes)
    others = [part for part in range(count) if part not in kept]
    tensor = kets.reshape(*lead, *sizes)
    offset = len(lead)
    order = [*range(offset), *(offset + part for part in kept), *(offset + part for part in others)]
    size = math.prod(sizes[part] for part in kept)
    matrix = tensor.transpose(order).reshape(*lead, size, -1)
    return np.asarray(matrix @ matrix.conj().swapaxes(-1, -2))


@one_thread()
def energy_moments(rho: np.ndarray, hamiltonian: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """<H> and <(H - <H>)^2>, float64 (...) each."""
    energies, vectors = np.linalg.eigh(hamiltonian)
    weights = np.einsum("am,...ab,bm->...m", vectors.conj(), rho, vectors, optimize=True).real
    mean = weights @ energies
    return mean, np.einsum("...m,...m->...", weights, (energies - mean[..., None]) ** 2)
