"""The ensemble under objective quantum thermalisation, in closed form: no noise, no steps.

d rho/dt = -i [H, rho]/hbar + Gamma (chi Tr rho - rho), (6), and as chi commutes with H,

    rho(t) = e |phi><phi| + (1 - e) chi,    e = exp(-Gamma t),    phi_m = exp(-i E_m t/hbar) psi_m,

for a pure start. The sum of a rank-one matrix and a diagonal one with few distinct entries is a small matrix in
disguise: within the levels that share a value of chi only the component along phi matters, so that the entropies cost
nothing like D^3; of a window the matrix has two rows.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from copydyn.blas import one_thread
from copydyn.experiment.inputs import Matrix
from copydyn.theories.irreversible.equilibrium import Equilibrium

MOST_VALUES = 1024
"""Distinct values of chi beyond which entropies take minutes."""


class Ensemble(NamedTuple):
    """The ensemble at some times.

    Parameters
    ----------
    chi : Equilibrium
    rate : float
        Gamma, 1/time.
    times : float64 (time,)
        Counted from the preparation.
    """

    chi: Equilibrium
    rate: float
    times: np.ndarray

    @property
    def kept(self) -> np.ndarray:
        """E = exp(-Gamma t), float64 (time,)."""
        return np.asarray(np.exp(-self.rate * self.times))

    def density(self) -> np.ndarray:
        """Rho between the levels, complex128 (time, level, level)."""
        phi = self.chi.levels.phi(self.times)
        kept, size = self.kept[:, None], self.chi.levels.size
        rho = (kept * phi)[:, :, None] * phi.conj()[:, None, :]
        rho.reshape(-1, size * size)[:, :: size + 1] += (1.0 - kept) * self.chi.average
        return np.asarray(rho)

    @one_thread()
    def density_of_beables(self) -> np.ndarray:
        """Rho between the beables, complex128 (time, beable, beable)."""
        vectors, kept = self.chi.levels.vectors, self.kept[:, None]
        kets = self.chi.levels.phi(self.times) @ vectors.T
        ended = ((vectors * self.chi.average) @ vectors.conj().T).astype(complex)
        rho = np.multiply.outer(1.0 - kept[:, 0], ended.view(float)).view(complex)  # numpy has no real times complex
        rho += (kept * kets)[:, :, None] * kets.conj()[:, None, :]
        return np.asarray(rho)

    @one_thread()
    def probability(self) -> np.ndarray:
        """<a| rho |a>, float64 (time, beable)."""
        levels, e = self.chi.levels, self.kept[:, None]
        pure = np.abs(levels.phi(self.times) @ levels.vectors.T) ** 2
        ended = np.abs(levels.vectors) ** 2 @ self.chi.average
        weights = e * pure + (1.0 - e) * ended
        return np.asarray(weights / weights.sum(axis=1, keepdims=True))

    def occupation(self) -> np.ndarray:
        """<m| rho |m>, float64 (time, level)."""
        e = self.kept[:, None]
        return np.asarray(e * self.chi.levels.weights + (1.0 - e) * self.chi.average)

    @one_thread()
    def expectation(self, operator: Matrix) -> np.ndarray:
        """Tr(A rho), float64 (time,), for A between the beables."""
        levels = self.chi.levels
        kets = levels.phi(self.times) @ levels.vectors.T
        pure = np.einsum("ta,ta->t", kets.conj(), (operator @ kets.T).T).real
        ended = np.einsum("am,am->m", levels.vectors.conj(), operator @ levels.vectors).real @ self.chi.average
        return np.asarray(self.kept * pure + (1.0 - self.kept) * ended)

    def energy(self) -> np.ndarray:
        """E_chi + (<H> - E_chi) e, float64 (time,)."""
        return np.asarray(self.occupation() @ self.chi.levels.energies)

    def variance(self) -> np.ndarray:
        """E V + (1 - e) V_chi + e (1 - e) (<H> - E_chi)^2, float64 (time,)."""
        away = self.chi.levels.energies - self.energy()[:, None]
        return np.asarray(np.einsum("tm,tm->t", self.occupation(), away**2))

    @one_thread()
    def squared_distance(self) -> np.ndarray:
        """Tr (rho - chi)^2, float64 (time,): e^2 times the first, what the paper calls trace distance (E1)."""
        weights, average = self.chi.levels.weights, self.chi.average
        first = 1.0 - 2.0 * float(weights @ average) + float(average @ average)
        return np.asarray(self.kept**2 * first)

    @one_thread()
    def trace_distance(self) -> np.ndarray:
        """|rho - chi|_1 / 2, float64 (time,): e times the first."""
        values = rank_one_and_diagonal(self.chi, 1.0, -1.0)[0]
        return np.asarray(self.kept * 0.5 * float(np.abs(values).sum()))

    @one_thread()
    def entropy(self) -> np.ndarray:
        """S = -Tr rho ln rho, float64 (time,)."""
        return np.array([_entropy(rank_one_and_diagonal(self.chi, e, 1.0 - e)[0]) for e in self.kept])

    @one_thread()
    def entropy_rate(self) -> np.ndarray:
        """Gamma Tr[(rho - chi) ln rho], float64 (time,), 1/time; infinite while chi has levels that rho has not."""
        return np.array([self.rate * _slope(self.chi, e) for e in self.kept])

    @one_thread()
    def relative_entropy(self) -> np.ndarray:
        """S(rho || chi) = Tr rho (ln rho - ln chi), float64 (time,): never rises; infinite outside the window."""
        inside = self.chi.average > 0.0
        occupation = self.occupation()
        crossed = -occupation[:, inside] @ np.log(self.chi.average[inside])
        outside = occupation[:, ~inside].sum(axis=1)
        return np.asarray(np.where(outside > 1e-14, np.inf, crossed - self.entropy()))


def rank_one_and_diagonal(chi: Equilibrium, pure: float, mixed: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Diagonalise pure |psi><psi| + mixed chi.

    Returns
    -------
    values : float64 (level,)
        All eigenvalues: first those of the small matrix over the distinct values of chi.
    vectors : float64 (value, value)
        Of the small matrix.
    distinct : float64 (value,)
        The distinct values of chi.
    """
    average, weights = chi.average, chi.levels.weights
    distinct, number, multiplicity = _groups(average)
    along = np.sqrt(np.bincount(number, weights=weights, minlength=distinct.size))
    small = pure * np.outer(along, along) + np.diag(mixed * distinct)
    values, vectors = np.linalg.eigh(small)
    rest = np.repeat(mixed * distinct, multiplicity - 1)
    return np.concatenate([values, rest]), vectors, distinct


def _groups(average: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Tell the distinct values, which of them each level has, and how many have it."""
    grain = 1e-13 * float(average.max())
    order = np.argsort(average, kind="stable")
    ordered = average[order]
    number = np.empty(average.size, dtype=np.int64)
    number[order] = np.concatenate([[0], np.cumsum(np.diff(ordered) > grain)])
    multiplicity = np.bincount(number)
    return np.bincount(number, weights=average) / multiplicity, number, multiplicity


def values_of(chi: Equilibrium) -> int:
    """Count the distinct values of chi."""
    return int(_groups(chi.average)[0].size)


def _entropy(values: np.ndarray) -> float:
    own = values[values > 0.0]
    return float(-own @ np.log(own))


def _slope(chi: Equilibrium, e: float) -> float:
    """Tr[(rho - chi) ln rho]."""
    values, vectors, distinct = rank_one_and_diagonal(chi, e, 1.0 - e)
    small, rest = values[: distinct.size], values[distinct.size :]
    overlap = distinct @ vectors**2  # <i| chi |i>
    empty = small <= 1e-15
    if np.any(overlap[empty] > 1e-12) or (e == 1.0 and rest.size and np.any(distinct[_groups(chi.average)[2] > 1] > 0)):
        return np.inf
    logs = np.log(np.where(empty, 1.0, small))
    total = float((small - overlap) @ logs)
    if rest.size and e < 1.0:
        ended = rest / (1.0 - e)
        own = ended > 0.0
        total += float((rest[own] - ended[own]) @ np.log(rest[own]))
    return total
