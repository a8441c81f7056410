"""Thermalisation of one part of a composite system that does not interact with the rest (M6).

rho(t) = e U rho0 U^+ + (1 - e) chi_A x U_B rho_B U_B^+,    e = exp(-Gamma t),    H = H_A + H_B.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from copydyn.experiment import Experiment, Preparation, Schedule, System
from copydyn.irreversible.equilibrium import Window, equilibrium
from copydyn.irreversible.levels import Levels, levels_of
from copydyn.irreversible.settings import MOST_ENTRIES
from copydyn.irreversible.thermodynamics import reduced_ket
from copydyn.refusal import BadValue

INTERACTING = 1e-10
"""Interaction, relative to H, that is more than rounding."""


@dataclass(frozen=True, eq=False)
class LocalEnsemble:
    """The ensemble of the whole while one part thermalises.

    Parameters
    ----------
    kets : complex128 (time, beable)
        exp(-i H t/hbar) psi0.
    chi : complex128 (own, own)
        Of the part, between its own labels.
    rest : complex128 (time, others, others)
        State of all other parts, as it evolves by itself.
    kept : float64 (time,)
    sizes, number
        Of the parts, and which of them it is.
    """

    kets: np.ndarray
    chi: np.ndarray
    rest: np.ndarray
    kept: np.ndarray
    sizes: tuple[int, ...]
    number: int

    def density(self) -> np.ndarray:
        """Rho, complex128 (time, beable, beable)."""
        e = self.kept[:, None, None]
        pure = self.kets[:, :, None] * self.kets[:, None, :].conj()
        times, own, others = len(self.kets), self.sizes[self.number], self.rest.shape[1]
        before, after = (int(np.prod(part)) for part in (self.sizes[: self.number], self.sizes[self.number + 1 :]))
        product = np.einsum("ab,tij->taibj", self.chi, self.rest)  # own label first, then the others
        shape = (times, own, before, after, own, before, after)
        joint = product.reshape(shape).transpose(0, 2, 1, 3, 5, 4, 6).reshape(times, own * others, own * others)
        return np.asarray(e * pure + (1.0 - e) * joint)


def local_ensemble(experiment: Experiment, part: str, window: Window, rate: float) -> LocalEnsemble:
    """Thermalise ``part`` at the rate Gamma; chi is made of its reduced state's populations.

    Raises
    ------
    BadValue
        If there is no such part, if it interacts with the rest, or if the matrices would be too large.
    """
    system = experiment.system
    names = [own.name for own in system.parts]
    if part not in names:
        options = f"one of {', '.join(names)}" if names else "one of a composite system's"
        raise BadValue(f"part must be {options}, but is '{part}'.")
    if experiment.tlist.size * system.size**2 > MOST_ENTRIES:
        raise BadValue(
            f"save times times labels squared must be at most {MOST_ENTRIES} where a part is thermalised, but are "
            f"{experiment.tlist.size * system.size**2}; take fewer save times."
        )
    levels = levels_of(experiment)
    sizes, number = tuple(len(own.labels) for own in system.parts), names.index(part)
    own, others = sizes[number], system.size // sizes[number]
    h = (levels.vectors * levels.energies) @ levels.vectors.conj().T
    tensor = _own_first(h, sizes, number)
    own_h = np.einsum("aibi->ab", tensor) / others
    rest_h = np.einsum("aiaj->ij", tensor) / own
    middle = np.trace(own_h) / own
    separate = np.einsum("ab,ij->aibj", own_h - middle * np.eye(own), np.eye(others))
    separate = separate + np.einsum("ab,ij->aibj", np.eye(own), rest_h)
    if np.abs(tensor - separate).max() > INTERACTING * max(1e-300, float(np.abs(tensor).max())):
        raise BadValue(
            f"part '{part}' must not interact with the rest, but does, by up to {np.abs(tensor - separate).max():.3g}; "
            "leave part out and thermalise the whole."
        )
    times = experiment.tlist - experiment.tlist[0]
    kets = levels.phi(times) @ levels.vectors.T
    reduced = reduced_ket(experiment.ket[None], sizes, [number])[0]
    chi = equilibrium(_levels_of_part(own_h, reduced, system.hbar), window)
    vectors = chi.levels.vectors
    rest = reduced_ket(kets, sizes, [other for other in range(len(sizes)) if other != number])
    average = (vectors * chi.average) @ vectors.conj().T
    return LocalEnsemble(kets, average, rest, np.exp(-rate * times), sizes, number)


def _own_first(h: np.ndarray, sizes: tuple[int, ...], number: int) -> np.ndarray:
    """Reshape H to (own, others, own, others)."""
    before, own, after = int(np.prod(sizes[:number])), sizes[number], int(np.prod(sizes[number + 1 :]))
    tensor = h.reshape(before, own, after, before, own, after).transpose(1, 0, 2, 4, 3, 5)
    return np.asarray(tensor.reshape(own, before * after, own, before * after))


def _levels_of_part(hamiltonian: np.ndarray, rho: np.ndarray, hbar: float) -> Levels:
    """Levels of the part, with amplitudes that have the populations of its mixed state: chi asks for no more."""
    size = len(hamiltonian)
    whole = System(hamiltonian, hbar=hbar)
    levels = levels_of(Experiment(whole, Preparation(np.eye(size)[0]), Schedule([0.0])))
    weights = np.einsum("am,ab,bm->m", levels.vectors.conj(), rho, levels.vectors).real
    amplitudes = np.sqrt(np.clip(weights, 0.0, None)).astype(complex)
    return Levels(levels.energies, levels.vectors, amplitudes, hbar, levels.phase_rule)
