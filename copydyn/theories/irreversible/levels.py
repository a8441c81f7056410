"""The levels of an experiment: energies, eigenvectors and amplitudes, in which thermalisation is told."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from copydyn.blas import one_thread
from copydyn.experiment import Experiment
from copydyn.experiment.inputs import dense, shown
from copydyn.refusal import BadValue

MOST_LEVELS = 4096
"""Levels beyond which diagonalising takes many minutes and gigabytes."""

SAME = 1e-8
"""Gap, relative to the spread of the spectrum, below which levels count as one."""

PHASE_RULES = ("auto", "real", "largest")
"""How the phases of the eigenvectors are fixed, on which the law of real noise depends. "real": real eigenvectors,
which a real H has. "largest": the largest entry of each is real and positive. "auto": the former where it can be."""


@dataclass(frozen=True, eq=False)
class Levels:
    """Eigenstates of H.

    Parameters
    ----------
    energies : float64 (level,), energy
        Ascending.
    vectors : float64 or complex128 (beable, level)
        <a|m>.
    amplitudes : complex128 (level,), or (level, other)
        <m|psi0>; of one part of a system, <m b|psi0>, b being states of the rest.
    hbar : float
    phase_rule : str
        "real" or "largest".
    """

    energies: np.ndarray
    vectors: np.ndarray
    amplitudes: np.ndarray
    hbar: float
    phase_rule: str

    @property
    def size(self) -> int:
        """D, the number of levels."""
        return int(self.energies.size)

    @property
    def weights(self) -> np.ndarray:
        """p_m = |psi_m|^2, float64 (level,); of one part, summed over the states of the rest."""
        weights = (np.abs(self.amplitudes) ** 2).reshape(self.size, -1).sum(axis=1)
        return np.asarray(weights / weights.sum())

    @property
    def frequencies(self) -> np.ndarray:
        """E_m / hbar less the middle of the band, float64 (level,): a common phase is nobody's business."""
        return np.asarray((self.energies - 0.5 * (self.energies[0] + self.energies[-1])) / self.hbar)

    @property
    def mean(self) -> float:
        """<H> of psi0, energy."""
        return float(self.weights @ self.energies)

    @property
    def variance(self) -> float:
        """<(H - <H>)^2> of psi0, energy^2; never <H^2> - <H>^2, which loses its digits."""
        return float(self.weights @ (self.energies - self.mean) ** 2)

    @property
    def rounding(self) -> float:
        """Energy within which a level may lie on an edge: 1e-9 of the spread, and some rounding errors."""
        spread = float(self.energies[-1] - self.energies[0])
        return 1e-9 * spread + 8.0 * np.finfo(float).eps * float(np.max(np.abs(self.energies)))

    def shells(self) -> np.ndarray:
        """Number the groups of levels that are one energy to within `SAME` of the spread, int64 (level,)."""
        spread = float(self.energies[-1] - self.energies[0])
        grain = SAME * spread + 8.0 * np.finfo(float).eps * float(np.max(np.abs(self.energies)))
        return np.concatenate([[0], np.cumsum(np.diff(self.energies) > grain)]).astype(np.int64)

    def phi(self, times: np.ndarray) -> np.ndarray:
        """exp(-i E_m t/hbar) psi_m, complex128 (time, level), for times counted from the preparation."""
        return np.asarray(np.exp(-1j * np.outer(times, self.frequencies)) * self.amplitudes)

    @one_thread()
    def within_shells(self, operator: np.ndarray, what: str) -> tuple[Levels, np.ndarray]:
        """Turn the vectors within degenerate levels so that ``operator`` is diagonal, and give its diagonal.

        Parameters
        ----------
        operator : (beable, beable) Hermitian
            Must commute with H.
        what : str
            What the sentence of refusal calls it.

        Raises
        ------
        BadValue
            If it does not commute with H to 1e-8 of its largest entry.
        """
        told = self.vectors.conj().T @ operator @ self.vectors
        shells = self.shells()
        apart = np.abs(told) * (shells[:, None] != shells[None, :])
        scale = float(np.max(np.abs(told), initial=0.0))
        if float(apart.max(initial=0.0)) > SAME * scale:
            m, n = np.unravel_index(int(apart.argmax()), apart.shape)
            raise BadValue(
                f"{what} must commute with H, but its element between the levels {m} and {n}, of energies "
                f"{self.energies[m]:.6g} and {self.energies[n]:.6g}, is {apart[m, n]:.3g}; give a conserved one."
            )
        turn = np.eye(self.size, dtype=told.dtype)
        for shell in np.unique(shells[1:][np.diff(shells) == 0]):
            (own,) = np.nonzero(shells == shell)
            turn[np.ix_(own, own)] = np.linalg.eigh(told[np.ix_(own, own)])[1]
        values = np.einsum("ml,mn,nl->l", turn.conj(), told, turn).real
        vectors = self.vectors @ turn
        return replace(self, vectors=vectors, amplitudes=turn.conj().T @ self.amplitudes), values


@lru_cache(maxsize=1)  # a report before the run asks for the same as the run
def levels_of(experiment: Experiment, phase_rule: str = "auto") -> Levels:
    """Diagonalise the Hamiltonian of ``experiment``.

    Raises
    ------
    BadValue
        If there are several Hamiltonians or too many levels, or if real eigenvectors are asked for of a complex H.
    """
    system = experiment.system
    if len(system.pulses) > 1:
        raise BadValue(
            f"thermalisation and collapse need one Hamiltonian, but the system has {len(system.pulses)} pulses: "
            "levels and windows would change with every one of them; take a system without pulses."
        )
    if system.size > MOST_LEVELS:
        raise BadValue(
            f"H is diagonalised whole and must have at most {MOST_LEVELS} levels, but has {system.size}; take a "
            "smaller system."
        )
    return levels_of_matrix(dense(system.pulses[0].hamiltonian), experiment.ket, system.hbar, phase_rule)


@one_thread()
def levels_of_matrix(full: np.ndarray, psi: np.ndarray, hbar: float, phase_rule: str = "auto") -> Levels:
    """Diagonalise a Hermitian matrix, and tell ``psi`` (beable, ...) in its levels.

    Raises
    ------
    BadValue
        If there is no such rule, or real eigenvectors are asked for of a complex H.
    """
    if phase_rule not in PHASE_RULES:
        raise BadValue(f"phase_rule must be one of {', '.join(PHASE_RULES)}, but is {shown(phase_rule)}.")
    is_real = not np.any(full.imag)
    if phase_rule == "real" and not is_real:
        raise BadValue("phase_rule must not be 'real' where H is complex and has no real eigenvectors; take 'largest'.")
    energies, vectors = np.linalg.eigh(full.real if is_real else full)
    rule = "real" if is_real and phase_rule != "largest" else "largest"
    if rule == "largest":
        tops = vectors[np.argmax(np.abs(vectors), axis=0), np.arange(vectors.shape[1])]
        vectors = vectors * (np.abs(tops) / tops)
    return Levels(energies, vectors, vectors.conj().T @ psi, hbar, rule)
