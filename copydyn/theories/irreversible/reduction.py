"""What a state collapses to: projectors, their basis, and the ensemble that collapses.

d rho/dt = -i [H, rho]/hbar + gamma (Delta(rho) - rho),    Delta(rho) = sum_k P_k rho P_k,    sum_k P_k = 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from copydyn.blas import one_thread
from copydyn.experiment import System
from copydyn.experiment.inputs import as_hermitian, dense, shown
from copydyn.refusal import BadType, BadValue

TOLERANCE = 1e-9
"""How far projectors may be off being such."""

COMMUTING = 1e-12
"""Element of H between two blocks, relative to the largest of H, that is rounding."""

ANGLE = 4.0
"""|L| t of one Taylor series, whose terms then sum to at most e^4."""

MOST_ANGLE = 1e7
"""|L| t beyond which the ensemble takes too long."""

RULES = ("beables", "pointer")


class Reduction(NamedTuple):
    """The collapse basis.

    Parameters
    ----------
    vectors : complex128 (beable, collapse), or None
        <a|c>; None where the collapse basis is that of the beables.
    block : int64 (collapse,)
        Which projector a vector belongs to.
    """

    vectors: np.ndarray | None
    block: np.ndarray

    @property
    def blocks(self) -> int:
        """Number of projectors."""
        return int(self.block.max()) + 1

    @property
    def rank_one(self) -> bool:
        """Whether every projector is on one vector."""
        return self.blocks == self.block.size

    @property
    def same(self) -> np.ndarray:
        """Whether two vectors belong to one projector, bool (collapse, collapse)."""
        return np.asarray(self.block[:, None] == self.block)

    def into(self, matrix: np.ndarray) -> np.ndarray:
        """Tell a matrix (..., beable, beable) in the collapse basis."""
        return matrix if self.vectors is None else self.vectors.conj().T @ matrix @ self.vectors

    def back(self, matrix: np.ndarray) -> np.ndarray:
        """Tell a matrix (..., collapse, collapse) between the beables."""
        return matrix if self.vectors is None else self.vectors @ matrix @ self.vectors.conj().T

    def seen_from(self, vectors: np.ndarray) -> np.ndarray:
        """<m|c>, complex128 (vector, collapse), for vectors <a|m> (beable, vector)."""
        return vectors.conj().T.astype(complex) if self.vectors is None else vectors.conj().T @ self.vectors

    def ket_into(self, kets: np.ndarray) -> np.ndarray:
        """Tell kets (..., beable) in the collapse basis."""
        return kets if self.vectors is None else kets @ self.vectors.conj()

    def reduced(self, rho: np.ndarray) -> np.ndarray:
        """Delta(rho), for rho (..., beable, beable)."""
        return self.back(self.into(rho) * self.same)

    def weights(self, kets: np.ndarray) -> np.ndarray:
        """p_k = |P_k psi|^2, float64 (..., block)."""
        squares = np.abs(self.ket_into(kets)) ** 2
        members = (np.arange(self.blocks)[:, None] == self.block).astype(float)
        return np.asarray(squares @ members.T)

    def outcomes(self, kets: np.ndarray) -> np.ndarray:
        """Give the number of the projector with most weight, int32 (...)."""
        return np.argmax(self.weights(kets), axis=-1).astype(np.int32)


@one_thread()
def reduction_of(system: System, projectors: Any = "beables", part: str = "") -> Reduction:
    """Make the collapse basis of a system.

    Parameters
    ----------
    projectors : {"beables", "pointer"}, groups of labels, or matrices
        "beables": one projector for each label. "pointer": the sign of the order parameter, the sum of sigma_z over all
        parts but the first, each a spin whose first label counts as +1; a sum of zero is an outcome of its own. Groups
        of labels, [["00", "01"], ["10", "11"]]: one projector for each group, all labels being in one. Matrices
        (beable, beable): Hermitian, idempotent, orthogonal to each other, complete.
    part : str
        One projector for each label of this part, in the place of ``projectors``: 1 x |a><a| x 1.

    Raises
    ------
    BadType, BadValue
    """
    if part:
        return Reduction(None, _of_part(system, part))
    if isinstance(projectors, str):
        if projectors == "beables":
            return Reduction(None, np.arange(system.size))
        if projectors == "pointer":
            return Reduction(None, _numbered(np.sign(order_parameter(system))))
        raise BadValue(
            f"projectors must be one of {', '.join(RULES)}, groups of labels or matrices, but are {shown(projectors)}."
        )
    if not isinstance(projectors, (list, tuple)) or not projectors:
        raise BadType(f"projectors must be groups of labels or matrices, but are {shown(projectors)}.")
    if all(_is_group(group) for group in projectors):
        return Reduction(None, _of_labels(system, projectors))
    return of_matrices(projectors, system.size)


def order_parameter(system: System) -> np.ndarray:
    """Sum of sigma_z over all parts but the first, float64 (beable,): +1 for a part's first label, -1 for its second.

    Raises
    ------
    BadValue
        If there are fewer than two parts, or one but the first has not two labels.
    """
    pointer = system.parts[1:]
    if not pointer or any(len(part.labels) != 2 for part in pointer):
        raise BadValue(
            "a pointer must be of spins, parts of two labels after the first part, which this system has not; take "
            "system 'measurement', or name groups of labels."
        )
    total = np.zeros((1,))
    for part in system.parts:
        own = np.array([1.0, -1.0]) if part is not system.parts[0] else np.zeros(len(part.labels))
        total = (total[:, None] + own).ravel()
    return np.asarray(total)


@one_thread()
def of_matrices(projectors: Sequence[Any], size: int) -> Reduction:
    """Make the collapse basis of matrices, which must be projectors that sum to one."""
    matrices: list[np.ndarray] = []
    for k, one in enumerate(projectors):
        matrix = dense(as_hermitian(one, f"projectors[{k}]"))
        if matrix.shape[0] != size:
            raise BadValue(f"projectors[{k}] must act on the {size} beables, but has shape {matrix.shape}.")
        off = float(np.abs(matrix @ matrix - matrix).max())
        if off > TOLERANCE:
            raise BadValue(f"projectors[{k}] must be idempotent, P P = P, but misses it by {off:.3g}.")
        for other, before in enumerate(matrices):
            overlap = float(np.abs(before @ matrix).max())
            if overlap > TOLERANCE:
                raise BadValue(
                    f"projectors must be orthogonal to each other, but {other} and {k} overlap by {overlap:.3g}."
                )
        matrices.append(matrix)
    missing = float(np.abs(sum(matrices) - np.eye(size)).max())
    if missing > TOLERANCE:
        raise BadValue(
            f"projectors must be complete, summing to one, but miss it by {missing:.3g}; add the projector on the rest."
        )
    ranks = [round(float(np.trace(one).real)) for one in matrices]
    if min(ranks) == 0:
        raise BadValue(f"projectors[{ranks.index(0)}] must project on something, but is zero; leave it out.")
    numbers = np.concatenate([np.full(rank, k) for k, rank in enumerate(ranks)])
    if all(np.abs(one - np.diag(np.diag(one))).max() <= TOLERANCE for one in matrices):
        block = np.argmax([np.diag(one).real for one in matrices], axis=0)
        return Reduction(None, block.astype(np.int64))
    vectors = np.linalg.eigh(sum(k * one for k, one in enumerate(matrices)))[1]  # eigenvalues k, ascending
    return Reduction(vectors.astype(complex), numbers.astype(np.int64))


def commutes(hamiltonian: np.ndarray, reduction: Reduction) -> bool:
    """Tell whether H commutes with every projector."""
    told = reduction.into(hamiltonian)
    across = np.abs(told) * ~reduction.same
    return bool(across.max(initial=0.0) <= COMMUTING * max(float(np.abs(told).max(initial=0.0)), 1e-300))


def require_few_turns(turns: float) -> None:
    """Refuse an ensemble that H and collapse turn too often to be followed where they do not commute.

    Raises
    ------
    BadValue
    """
    if turns > MOST_ANGLE:
        raise BadValue(
            f"the ensemble must be followed over at most {MOST_ANGLE:.0e} turns, but the spread of H and the rate make "
            f"{turns:.3g}; shorten the times."
        )


@one_thread()
def reduced_ensemble(
    frequencies: np.ndarray, reduction: Reduction, rate: float, rho: np.ndarray, times: np.ndarray
) -> np.ndarray:
    """Propagate a Hermitian matrix by H and collapse.

    Parameters
    ----------
    frequencies : complex128 (beable, beable)
        H / hbar.
    rate : float
        gamma.
    rho : complex128 (beable, beable)
        At time zero; not necessarily of trace one.
    times : float64 (time,)
        Increasing, >= 0.

    Returns
    -------
    complex128 (time, beable, beable), to 1e-12 of the trace norm: in closed form where H commutes with the projectors,
    else by Taylor series of exp(L t).

    Raises
    ------
    BadValue
        If the times are too long to follow.
    """
    h, same, start = reduction.into(frequencies), reduction.same, reduction.into(rho)
    energies, vectors = np.linalg.eigh(h)
    energies = energies - 0.5 * (energies[0] + energies[-1])
    if commutes(frequencies, reduction):
        told = np.empty((times.size, *rho.shape), dtype=complex)
        for number, time in enumerate(times):
            u = (vectors * np.exp(-1j * energies * time)) @ vectors.conj().T
            told[number] = u @ (start * np.where(same, 1.0, math.exp(-rate * time))) @ u.conj().T
        return np.asarray(reduction.back(told))
    norm = float(np.ptp(energies)) + 2.0 * rate
    require_few_turns(norm * float(times[-1]))
    h = h - 0.5 * (energies[-1] + energies[0]) * np.eye(len(h))
    loss = np.where(same, 0.0, rate)
    told = np.empty((times.size, *rho.shape), dtype=complex)
    now, before = start.astype(complex), 0.0
    for number, time in enumerate(times):
        span = float(time) - before
        pieces = max(1, math.ceil(norm * span / ANGLE))
        for _ in range(pieces if span > 0.0 else 0):
            now = _series(h, loss, now, span / pieces)
        told[number], before = now, float(time)
    return np.asarray(reduction.back(told))


def _series(h: np.ndarray, loss: np.ndarray, rho: np.ndarray, span: float) -> np.ndarray:
    """exp(L span) rho by its Taylor series, for |L| span <= `ANGLE`."""
    total, term = rho.copy(), rho
    scale = float(np.abs(rho).max(initial=0.0))
    for order in range(1, 60):
        half = -1j * (h @ term)
        term = (span / order) * (half + half.conj().T - loss * term)
        total += term
        if float(np.abs(term).max(initial=0.0)) <= 1e-17 * scale and order > ANGLE:
            break
    return np.asarray(0.5 * (total + total.conj().T))


def _is_group(group: Any) -> bool:
    return isinstance(group, (list, tuple)) and bool(group) and all(isinstance(label, str) for label in group)


def _of_labels(system: System, groups: Sequence[Sequence[str]]) -> np.ndarray:
    place = {label: number for number, label in enumerate(system.labels)}
    block = np.full(system.size, -1, dtype=np.int64)
    for k, group in enumerate(groups):
        for label in group:
            if label not in place:
                raise BadValue(f"projectors must name labels of the system, but name '{label}'.")
            if block[place[label]] >= 0:
                raise BadValue(f"projectors must be orthogonal to each other, but label '{label}' is named twice.")
            block[place[label]] = k
    if np.any(block < 0):
        missing = system.labels[int(np.flatnonzero(block < 0)[0])]
        raise BadValue(f"projectors must be complete, but no group names label '{missing}'; add one for the rest.")
    return block


def _of_part(system: System, part: str) -> np.ndarray:
    names = [own.name for own in system.parts]
    if part not in names:
        options = f"one of {', '.join(names)}" if names else "one of a composite system's"
        raise BadValue(f"part must be {options}, but is '{part}'.")
    sizes = [len(own.labels) for own in system.parts]
    return np.asarray(np.unravel_index(np.arange(system.size), sizes)[names.index(part)], dtype=np.int64)


def _numbered(values: np.ndarray) -> np.ndarray:
    """Number groups of equal values in the order in which they come up."""
    order: dict[float, int] = {}
    return np.array([order.setdefault(float(value), len(order)) for value in values], dtype=np.int64)
