"""The beable basis: the same experiment told in another basis, where other labels are copied.

Quantum mechanics does not care; copy dynamics does, as its events, its noise and its nodes belong to the basis of the
beables. A new basis is one function of a system and one line in `BASES`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import sparse

from copydyn.blas import one_thread
from copydyn.experiment import Experiment, Preparation, Schedule, System
from copydyn.experiment.array_files import blamed_on, read_array
from copydyn.experiment.inputs import Matrix, as_unitary, dense
from copydyn.experiment.square_sites import coordinates
from copydyn.refusal import BadValue

ROUNDING = 1e-13
"""Entries of a transformed matrix or ket smaller than this, relative to the largest, are rounding and become zero: a
coupling of 1e-17 would make every pair of labels an edge, and an amplitude of 1e-17 has a random phase."""

MOST_DENSE = 2**13
"""Labels beyond which the matrix of a change of basis is a burden (1 GB)."""


@dataclass(frozen=True, eq=False)
class Basis:
    """psi_k = sum_a U_ka psi_a: row k of U is <k| in the basis of the beables so far.

    Parameters
    ----------
    unitary : (P, P) array, scipy sparse matrix, or qutip.Qobj, or None for the identity
    labels : sequence of str (beable,)
        Names of the rows; "0", "1", ... by default.
    meaning : str
        What the new labels are.

    Raises
    ------
    BadType, BadValue
        If U is not unitary to 1e-10.
    """

    unitary: Any
    labels: Sequence[str] = ()
    meaning: str = "label"

    def __post_init__(self) -> None:
        if self.unitary is not None:
            object.__setattr__(self, "unitary", as_unitary(self.unitary))


@one_thread()
def in_basis(experiment: Experiment, basis: Any) -> Experiment:
    """Tell ``experiment`` in another basis: H -> U H U^+ for every pulse, psi -> U psi, A -> U A U^+ for every e_op.

    Counts, labels, and parameters of a theory that name labels or give kets, such as an admixture, then belong to the
    new basis. Expectation values do not change.

    Parameters
    ----------
    experiment : Experiment
    basis : Basis, name in `BASES`, or (P, P) unitary

    Raises
    ------
    BadType, BadValue
        If there is no such basis, if U is not unitary, or if it has not the size of the experiment.
    """
    system = experiment.system
    chosen = _basis(basis, system)
    if chosen.unitary is None:
        return experiment
    u = chosen.unitary
    if u.shape[0] != system.size:
        raise BadValue(f"U must have one row for each of the {system.size} beable labels, but has {u.shape[0]}.")
    pulses = [(pulse.duration, transformed(pulse.hamiltonian, u)) for pulse in system.pulses]
    constant = math.isinf(pulses[0][0])
    told = replace(
        system, hamiltonian=pulses[0][1] if constant else pulses, labels=chosen.labels, meaning=chosen.meaning
    )
    e_ops = {name: transformed(operator, u) for name, operator in experiment.e_ops.items()}
    ket = Preparation(_without_rounding(u @ experiment.ket), normalise=True)
    return Experiment(told, ket, Schedule(experiment.tlist, e_ops))


def position(system: System) -> Basis:
    """U = 1: the basis in which the system is given."""
    return Basis(None, system.labels, system.meaning)


def momentum(system: System) -> Basis:
    """U_ka = exp(-2 pi i k a / P) / sqrt(P), -P/2 <= k < P/2: label k is the wave exp(2 pi i k a / P).

    On a square lattice, known by its labels "(x,y)", the label is "(k_x,k_y)" for the wave
    exp(2 pi i (k_x x/columns + k_y y/rows)).
    """
    _require_dense(system)
    sides = _sides(system)
    waves = [_momenta(side) for side in sides]
    u = _fourier(sides[0])
    labels = [str(k) for k in waves[0]]
    if len(sides) == 2:
        u = np.kron(u, _fourier(sides[1]))
        labels = [f"({k},{q})" for k in waves[0] for q in waves[1]]
    return Basis(u, labels, "momentum")


@one_thread()
def energy(system: System) -> Basis:
    """Rows of U are the eigenvectors of the first Hamiltonian, lowest energy first.

    While that Hamiltonian holds no copy event happens: beables that are energies keep their counts. The largest entry
    of each row is real and positive; within a degenerate level the choice of vectors is the eigensolver's.
    """
    _require_dense(system)
    h = system.pulses[0].hamiltonian
    vectors = np.linalg.eigh(dense(h))[1]
    largest = vectors[np.argmax(np.abs(vectors).round(8), axis=0), np.arange(system.size)]
    return Basis((vectors * (np.abs(largest) / largest)).conj().T, (), "energy level")


def unitary(
    system: System,
    matrix: Sequence[Sequence[complex]] | None = None,
    path: str = "",
    key: str = "",
    labels: Sequence[str] = (),
    meaning: str = "label",
) -> Basis:
    """U as it is given, or read from a file.

    Parameters
    ----------
    matrix : (P, P)
        Row k is <k| in the basis in which the system is given.
    path : str
        A .npy or .npz file instead; a relative path is taken from the working directory.
    key : str
        Which array of a .npz file; not needed where there is but one.
    labels : sequence of str (beable,)
        "0", "1", ... by default.
    meaning : str
        What the labels are.
    """
    if (matrix is None) == (not path):
        raise BadValue("matrix or path must be given, and not both; give the unitary once.")
    if matrix is not None:
        return Basis(as_unitary(matrix, "matrix"), labels, meaning)
    given = read_array(path, key)
    with blamed_on(path):
        return Basis(given, labels, meaning)


BASES: dict[str, Callable[..., Basis]] = {
    "position": position,
    "momentum": momentum,
    "energy": energy,
    "unitary": unitary,
}


def transformed(matrix: Matrix, u: np.ndarray) -> Matrix:
    """U A U^+ without the rounding; as CSR where most of it is zero."""
    dense = np.asarray(_without_rounding(u @ (matrix @ u.conj().T)))
    dense = 0.5 * (dense + dense.conj().T)
    filled = np.count_nonzero(dense) / dense.size
    return sparse.csr_array(dense) if sparse.issparse(matrix) and filled < 0.25 else dense


def _without_rounding(values: np.ndarray) -> np.ndarray:
    """Set real and imaginary parts that are nothing but rounding to zero."""
    small = ROUNDING * np.max(np.abs(values), initial=0.0)
    real, imag = (np.where(np.abs(part) < small, 0.0, part) for part in (values.real, values.imag))
    return np.asarray(real + 1j * imag)


def _basis(basis: Any, system: System) -> Basis:
    if isinstance(basis, Basis):
        return basis
    if not isinstance(basis, str):
        return Basis(basis)
    if basis not in BASES:
        raise BadValue(f"basis must be one of {', '.join(BASES)}, or a unitary matrix, but is {basis!r}.")
    return BASES[basis](system)


def _sides(system: System) -> tuple[int, ...]:
    """Give the lengths of the lattice: columns and rows of a square one, P of all others."""
    try:
        columns, rows = coordinates(system)[-1] + 1
    except BadValue:
        return (system.size,)
    return int(columns), int(rows)


def _momenta(size: int) -> np.ndarray:
    return np.arange(size) - size // 2


def _fourier(size: int) -> np.ndarray:
    turns = np.outer(_momenta(size), np.arange(size)) % size  # exact whole numbers: no digits are lost to large angles
    return np.asarray(np.exp(-2j * np.pi / size * turns) / np.sqrt(size))


def _require_dense(system: System) -> None:
    if system.size > MOST_DENSE:
        raise BadValue(
            f"the basis must have at most {MOST_DENSE} labels, as its matrix has P^2 entries, but the system has "
            f"{system.size}; take fewer sites."
        )
