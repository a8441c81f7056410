"""The ensemble of copies: counts and phases, and for named copies one row each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from copydyn.inputs import Matrix
from copydyn.kernels.flow import Couplings
from copydyn.kernels.per_copy import sum_phases
from copydyn.kernels.roster import Roster
from copydyn.kernels.variates import binomial, fill_uniform
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
    """

    counts: np.ndarray
    factor: np.ndarray
    random_state: np.ndarray
    roster: Roster | None = None
    aligned: bool = True

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

    @property
    def frequencies(self) -> np.ndarray:
        """n_a / N, float64 (beable,)."""
        return self.counts / self.copies

    @property
    def ket(self) -> np.ndarray:
        """psi_a = sqrt(n_a/N) exp(-i phi_a) (34), complex128 (beable,); unaligned, phi_a is that of the sum."""
        return np.sqrt(self.frequencies) * _direction(self.factor)

    @property
    def phases(self) -> np.ndarray:
        """phi_a in [0, 2 pi), float64 (beable,), NaN where a label is empty."""
        angles = np.mod(-np.angle(self.factor), 2.0 * np.pi)
        angles[angles >= 2.0 * np.pi] = 0.0  # a tiny negative angle is rounded up to 2 pi
        return np.where(self.counts > 0, angles, np.nan)

    @property
    def coherence(self) -> np.ndarray:
        """|Z_a| / n_a, float64 (beable,): 1 where the phases of a label agree, NaN where it is empty."""
        present = self.counts > 0
        length = np.abs(self.factor) / np.maximum(self.counts, 1)
        return np.where(present, 1.0 if self.aligned else np.minimum(length, 1.0), np.nan)

    @property
    def copy_phases(self) -> np.ndarray:
        """Phase of each row, float64 (copy,), rad."""
        if self.aligned:
            return np.mod(-np.angle(self.factor), 2.0 * np.pi)[self.rows.beable]
        return self.rows.phase


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
    """Counts of N independent draws from |psi_a|^2 (multinomial), int64 (beable,), label by label."""
    weights = np.abs(ket) ** 2
    rest = np.cumsum(weights[::-1])[::-1]
    counts = np.zeros(ket.size, dtype=np.int64)
    left = copies
    for label in range(ket.size - 1):
        if rest[label] > 0.0:
            counts[label] = binomial(random_state, left, min(1.0, weights[label] / rest[label]))
            left -= int(counts[label])
    last = int(np.flatnonzero(weights)[-1])  # rounding of the last share must not fill an empty label
    counts[last] += left
    return counts


def add_spectators(counts: np.ndarray, factor: np.ndarray, extra: int, drift: np.ndarray) -> np.ndarray:
    """Put ``extra`` copies into every label, in place; return the phase factors.

    An empty label gets the phase of ``drift`` = -i H psi there, the direction in which it would grow, and phase zero
    where nothing drives it.
    """
    empty = counts == 0
    counts += extra
    return np.where(empty, _direction(drift), factor) if extra > 0 else factor


def scatter_phases(ensemble: Ensemble, spread: float) -> None:
    """Give each row its label's phase plus normal noise of ``spread`` rad (uniform where infinite), in place."""
    rows = ensemble.rows
    rows.phase[:] = ensemble.copy_phases
    if np.isinf(spread):
        rows.phase[:] = 2.0 * np.pi * _uniforms(ensemble.random_state, rows.phase.size)
    else:  # Box and Muller: two uniforms a normal, of which one is enough here
        radius = np.sqrt(-2.0 * np.log1p(-_uniforms(ensemble.random_state, rows.phase.size)))
        rows.phase[:] += spread * radius * np.cos(2.0 * np.pi * _uniforms(ensemble.random_state, rows.phase.size))
        np.mod(rows.phase, 2.0 * np.pi, out=rows.phase)
    ensemble.aligned = False
    sum_phases(ensemble.factor, rows)


def _uniforms(random_state: np.ndarray, size: int) -> np.ndarray:
    out = np.empty(size)
    fill_uniform(random_state, out)
    return out


def _direction(amplitudes: np.ndarray) -> np.ndarray:
    """Give a / |a|, and one where a = 0."""
    lengths = np.abs(amplitudes)
    present = lengths > 0.0
    return np.where(present, amplitudes / np.where(present, lengths, 1.0), 1.0 + 0.0j)
