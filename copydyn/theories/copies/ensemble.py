"""The ensemble of copies: counts and phases, and for named copies one row each."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import sparse

from copydyn.experiment import System
from copydyn.experiment.inputs import Matrix
from copydyn.kernels.flow import Couplings
from copydyn.kernels.per_copy import sum_phases
from copydyn.kernels.replicas import Train, draw_replicas
from copydyn.kernels.roster import Roster
from copydyn.kernels.variates import fill_normal, fill_uniform
from copydyn.refusal import BadValue

PREPARATIONS = ("largest_remainder", "multinomial")


@dataclass
class Ensemble:
    """N copies, each carrying a beable and a phase.

    Parameters
    ----------
    counts : int64 (beable,)
        n_a, how many copies carry label a.
    factor : complex128 (beable,)
        Where the phases are aligned, exp(-i phi_a); otherwise Z_a = sum over the copies of label a of exp(-i phi_I).
    random_state : uint64 (4,)
        The generator that this ensemble owns.
    roster : Roster, optional
        The rows of the copies; None where they have no identity.
    aligned : bool
        Whether all copies of a label share one phase.
    momenta : float64 (copy,), 1/time, optional
        pi_I of the second-order law of the phases.
    """

    counts: np.ndarray
    factor: np.ndarray
    random_state: np.ndarray
    roster: Roster | None = None
    aligned: bool = True
    momenta: np.ndarray | None = None

    @property
    def copies(self) -> int:
        """N, which never changes."""
        return int(self.counts.sum())

    @property
    def rows(self) -> Roster:
        """The rows of copies that have an identity."""
        if self.roster is None:
            raise BadValue("these copies must have an identity, but are only counted; take engine 'agents'.")
        return self.roster

    def arrays(self) -> dict[str, np.ndarray]:
        """Name every array that the ensemble consists of; they are its own, not copies."""
        rows = {} if self.roster is None else {f"roster_{name}": row for name, row in self.roster._asdict().items()}
        momenta = {} if self.momenta is None else {"momenta": self.momenta}
        own = {"now_counts": self.counts, "now_factor": self.factor, "random_state": self.random_state}
        return {**own, **rows, **momenta}

    @property
    def frequencies(self) -> np.ndarray:
        """n_a / N, float64 (beable,)."""
        return self.counts / self.copies

    @property
    def ket(self) -> np.ndarray:
        """psi_a = sqrt(n_a/N) exp(-i phi_a) (34), complex128 (beable,); unaligned, phi_a is that of the sum."""
        return kets_of(self.counts, self.factor)

    @property
    def phases(self) -> np.ndarray:
        """phi_a in [0, 2 pi), float64 (beable,), NaN where a label is empty."""
        return phases_of(self.counts, self.factor)

    @property
    def coherence(self) -> np.ndarray:
        """|Z_a| / n_a, float64 (beable,): 1 where the phases of a label agree, NaN where it is empty."""
        aligned = np.where(self.counts > 0, 1.0, np.nan)
        return aligned if self.aligned else coherence_of(self.counts, self.factor)

    @property
    def copy_phases(self) -> np.ndarray:
        """Phase of each row, float64 (copy,), rad."""
        if self.aligned:
            return np.mod(-np.angle(self.factor), 2.0 * np.pi)[self.rows.beable]
        return self.rows.phase


def kets_of(counts: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """psi_a = sqrt(n_a/N) exp(-i phi_a) (34) of counts and factors (..., beable)."""
    return np.asarray(np.sqrt(counts / counts.sum(axis=-1, keepdims=True)) * direction(factor))


def phases_of(counts: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """phi_a in [0, 2 pi) of counts and factors (..., beable); NaN where a label is empty."""
    angles = np.mod(-np.angle(factor), 2.0 * np.pi)
    angles[angles >= 2.0 * np.pi] = 0.0  # a tiny negative angle is rounded up to 2 pi
    return np.where(counts > 0, angles, np.nan)


def coherence_of(counts: np.ndarray, sums: np.ndarray) -> np.ndarray:
    """|Z_a| / n_a of counts and Z_a = sum of exp(-i phi_I) (..., beable); NaN where a label is empty."""
    length = np.abs(sums) / np.maximum(counts, 1)
    return np.where(counts > 0, np.minimum(length, 1.0), np.nan)


def couplings_of(hamiltonian: Matrix, hbar: float) -> Couplings:
    """List H/hbar as diagonal and edges a < b, in the order of the rows."""
    upper = sparse.coo_array(sparse.triu(sparse.csr_array(hamiltonian), k=1))
    order = np.lexsort((upper.coords[1], upper.coords[0]))
    keep = order[upper.data[order] != 0.0]
    return Couplings(
        omega=np.ascontiguousarray(hamiltonian.diagonal().real / hbar),
        a=upper.coords[0][keep].astype(np.uint32),
        b=upper.coords[1][keep].astype(np.uint32),
        h=np.ascontiguousarray(upper.data[keep] / hbar),
    )


@lru_cache(maxsize=4)  # runs of one system ask for it again and again; a system is known by itself, and nobody writes
def train_of(system: System) -> Train:
    """List the couplings of every pulse, one after the other."""
    pulses = [couplings_of(pulse.hamiltonian, system.hbar) for pulse in system.pulses]
    return Train(
        omega=np.array([pulse.omega for pulse in pulses]),
        first=np.cumsum([0, *(pulse.a.size for pulse in pulses)]),
        a=np.concatenate([pulse.a for pulse in pulses]),
        b=np.concatenate([pulse.b for pulse in pulses]),
        h=np.concatenate([pulse.h for pulse in pulses]),
    )


def admix(ket: np.ndarray, share: float, other: np.ndarray) -> np.ndarray:
    """sqrt(1 - share) psi + sqrt(share) psi_0, normalised again (section 3.4, remedy 3)."""
    mixed = np.sqrt(1.0 - share) * ket + np.sqrt(share) * other
    norm = float(np.linalg.norm(mixed))
    if norm < 1e-7:
        raise BadValue("admixture must leave something of psi0, but eps and ket cancel it; change the ket's phase.")
    return np.asarray(mixed / norm)


def share_out(ket: np.ndarray, copies: int) -> np.ndarray:
    """Counts nearest to N |psi_a|^2 that sum to N, int64 (beable,), by the largest remainder.

    Whole-number arithmetic: exact for the given weights at any N up to 2^62. Equal remainders go to the lower label.
    """
    weights = [int(p * 2.0**80) for p in np.abs(ket) ** 2]
    total = sum(weights)
    quotas = [divmod(weight * copies, total) for weight in weights]
    missing = copies - sum(whole for whole, _ in quotas)
    favoured = sorted(range(len(quotas)), key=lambda a: (-quotas[a][1], a))[:missing]
    counts = np.array([whole for whole, _ in quotas], dtype=np.int64)
    counts[favoured] += 1
    return counts


def draw_counts(ket: np.ndarray, copies: int, random_state: np.ndarray) -> np.ndarray:
    """Counts of N independent draws from |psi_a|^2 (multinomial) for each of the generators (replica, 4).

    Returns
    -------
    int64 (replica, beable)
    """
    weights = np.abs(ket) ** 2
    counts = np.zeros((len(random_state), ket.size), dtype=np.int64)
    draw_replicas(weights, np.cumsum(weights[::-1])[::-1].copy(), copies, random_state, counts)
    return counts


def add_spectators(counts: np.ndarray, factor: np.ndarray, extra: int, drift: np.ndarray) -> np.ndarray:
    """Put ``extra`` copies into every label of ``counts`` (..., beable), in place; return the phase factors.

    An empty label gets the phase of ``drift`` = -i H psi there, the direction in which it would grow, and phase zero
    where nothing drives it.
    """
    empty = counts == 0
    counts += extra
    return np.where(empty, direction(drift), factor) if extra > 0 else factor


def scatter_phases(ensemble: Ensemble, spread: float) -> None:
    """Give each row its label's phase plus normal noise of ``spread`` rad (uniform where infinite), in place."""
    rows = ensemble.rows
    rows.phase[:] = ensemble.copy_phases
    if np.isinf(spread):
        fill_uniform(ensemble.random_state, rows.phase)
        rows.phase[:] *= 2.0 * np.pi
    elif spread > 0.0:
        rows.phase[:] += spread * _normals(ensemble.random_state, rows.phase.size)
        np.mod(rows.phase, 2.0 * np.pi, out=rows.phase)
    ensemble.aligned = False
    sum_phases(ensemble.factor, rows)


def draw_momenta(ensemble: Ensemble, spread: float) -> None:
    """Give each row a momentum: normal with standard deviation ``spread``, 1/time."""
    copies = ensemble.rows.beable.size
    ensemble.momenta = spread * _normals(ensemble.random_state, copies) if spread > 0.0 else np.zeros(copies)


def _normals(random_state: np.ndarray, size: int) -> np.ndarray:
    out = np.empty(size)
    fill_normal(random_state, out)
    return out


TINY = 1e-290
"""Length of an amplitude that is scaled up before anything is divided by it."""


def direction(amplitudes: np.ndarray) -> np.ndarray:
    """Give a / |a|, and one where a = 0, complex128 (...)."""
    lengths = np.abs(amplitudes)
    if np.any(lengths < TINY):  # 1/|a| of the far tail of a packet would be infinite; a power of two changes no digit
        amplitudes = amplitudes * np.where(lengths < TINY, 2.0**600, 1.0)
        lengths = np.abs(amplitudes)
    present = lengths > 0.0
    return np.where(present, amplitudes / np.where(present, lengths, 1.0), 1.0 + 0.0j)
