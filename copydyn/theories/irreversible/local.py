"""Thermalisation of one part of a composite system that does not interact with the rest (M6).

L_mn = |m><n| x 1, H = H_A + H_B; in each sector s of the part's levels (one, without a charge) there is a chi^(s), and

    rho(t) = e U rho0 U^+ + (1 - e) sum_s chi^(s) x U_B Tr_A(Pi_s rho0) U_B^+,    e = exp(-Gamma t).

Of a trajectory the noise Z_m = sum_n psi_n dW^mn is a vector on the rest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from copydyn.blas import one_thread
from copydyn.experiment import Experiment
from copydyn.experiment.inputs import dense
from copydyn.kernels import local as kernels
from copydyn.refusal import BadValue
from copydyn.theories.irreversible.equilibrium import Equilibrium, Window, equilibrium
from copydyn.theories.irreversible.levels import levels_of_matrix
from copydyn.theories.irreversible.settings import MOST_ENTRIES
from copydyn.theories.irreversible.trajectories import Advance, Course, Leg, legs_of

INTERACTING = 1e-10
"""Interaction, relative to H, that is more than rounding."""

SCHEMES = ("channel", "jumps", "ensemble")


@dataclass(frozen=True, eq=False)
class Local:
    """A part and the rest, each in its own levels.

    Parameters
    ----------
    chi : Equilibrium
        Of the part. The amplitudes of its levels are those of the whole, <m b|psi0>, complex128 (level, rest level).
    frequencies : float64 (rest level,)
        Of the rest.
    vectors : (other, rest level)
        Of the rest.
    sizes, number
        Of the parts, and which of them it is.
    """

    chi: Equilibrium
    frequencies: np.ndarray
    vectors: np.ndarray
    sizes: tuple[int, ...]
    number: int

    @property
    def turning(self) -> np.ndarray:
        """(E_m + E_b)/hbar, float64 (level, rest level)."""
        return np.asarray(self.chi.levels.frequencies[:, None] + self.frequencies)

    @property
    def rows(self) -> np.ndarray:
        """<a|m b>, complex128 (level x rest level, beable): what carries a state to the beables."""
        both = np.einsum("am,ib->mbai", self.chi.levels.vectors, self.vectors)
        before, own, after = _around(self.sizes, self.number)
        size = before * own * after
        told = both.reshape(size, own, before, after).transpose(0, 2, 1, 3).reshape(size, size)
        return np.ascontiguousarray(told, dtype=complex)

    @one_thread()
    def density(self, rate: float, times: np.ndarray) -> np.ndarray:
        """Rho between the beables, complex128 (time, beable, beable), for times from the preparation on."""
        levels, e = self.chi.levels, np.exp(-rate * times)[:, None, None]
        before, own, after = _around(self.sizes, self.number)
        size = before * own * after
        phi = np.exp(-1j * times[:, None, None] * self.turning) * levels.amplitudes
        kets = phi.reshape(times.size, size) @ self.rows
        rho = e * kets[:, :, None] * kets[:, None, :].conj()
        for s in np.flatnonzero(self.chi.shares > 0.0):
            inside = self.chi.sector == s
            vectors = levels.vectors[:, inside]
            ended = (vectors * self.chi.chi[inside]) @ vectors.conj().T
            seen = phi[:, inside] @ self.vectors.T
            rest = np.einsum("tmi,tmj->tij", seen, seen.conj())
            product = np.einsum("ab,tij->taibj", ended, rest)
            product = product.reshape(times.size, own, before, after, own, before, after)
            rho += (1.0 - e) * product.transpose(0, 2, 1, 3, 5, 4, 6).reshape(times.size, size, size)
        return np.asarray(rho)

    def course(self, tlist: np.ndarray, rate: float, longest: float, *, real: bool, jumps: bool) -> Course:
        """Say how trajectories go.

        Parameters
        ----------
        rate : float
            Gamma, 1/time.
        longest : float
            Step.
        real : bool
            Whether the noise is.
        jumps : bool
            Replace the part's state by a level at the times of a Poisson process, in the place of the noise.
        """
        chi, window = self.chi, self.chi.window
        own, rest = self.turning.shape
        cost = own * rest if jumps else window.size * own * rest
        legs = legs_of(tlist, longest, cost)
        chosen = chi.chi[window]
        root, turning = np.sqrt(chosen), self.turning.ravel()
        kernel = kernels.advance_part_by_jumps if jumps else kernels.advance_part_by_channel

        def begin() -> Advance:
            v, g, norms = np.zeros(own * rest, complex), np.zeros((2, own)), np.zeros(chi.shares.size)

            def advance(psi: np.ndarray, random_state: np.ndarray, leg: Leg) -> None:
                keep, turn = math.exp(-0.5 * rate * leg.dt), np.exp(-1j * turning * leg.dt)
                kernel(psi, random_state, leg.steps, keep, turn, window, chosen, root, chi.sector, real, v, g, norms)

            return advance

        start = np.ascontiguousarray(chi.levels.amplitudes.ravel(), dtype=complex)
        return Course(start, legs, begin, self.rows, cost)


@one_thread()
def local_equilibrium(experiment: Experiment, part: str, window: Window, phase_rule: str = "auto") -> Local:
    """Make chi of the reduced state of ``part``.

    A constant in H belongs to neither: the part's levels are counted with the mean of the rest's.

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
    if len(system.pulses) > 1:
        raise BadValue(f"thermalisation needs one Hamiltonian, but the system has {len(system.pulses)} pulses.")
    if experiment.tlist.size * system.size**2 > MOST_ENTRIES:
        raise BadValue(
            f"save times times labels squared must be at most {MOST_ENTRIES} where a part is thermalised, but are "
            f"{experiment.tlist.size * system.size**2}; take fewer save times."
        )
    sizes, number = tuple(len(own.labels) for own in system.parts), names.index(part)
    before, own, after = _around(sizes, number)
    others = before * after
    tensor = dense(system.pulses[0].hamiltonian).reshape(before, own, after, before, own, after)
    tensor = tensor.transpose(1, 0, 2, 4, 3, 5).reshape(own, others, own, others)
    own_h = np.einsum("aibi->ab", tensor) / others
    rest_h = np.einsum("aiaj->ij", tensor) / own
    rest_h = rest_h - np.trace(own_h) / own * np.eye(others)
    separate = np.einsum("ab,ij->aibj", own_h, np.eye(others)) + np.einsum("ab,ij->aibj", np.eye(own), rest_h)
    apart = float(np.abs(tensor - separate).max())
    if apart > INTERACTING * max(1e-300, float(np.abs(tensor).max())):
        raise BadValue(
            f"part '{part}' must not interact with the rest, but does, by up to {apart:.3g}; leave part out and "
            "thermalise the whole."
        )
    psi = experiment.ket.reshape(before, own, after).transpose(1, 0, 2).reshape(own, others)
    rest = levels_of_matrix(rest_h, np.eye(others), system.hbar)
    levels = levels_of_matrix(own_h, psi @ rest.vectors.conj(), system.hbar, phase_rule)
    return Local(equilibrium(levels, window), rest.frequencies, rest.vectors, sizes, number)


def _around(sizes: tuple[int, ...], number: int) -> tuple[int, int, int]:
    """Sizes of what is before a part, of itself, and of what is after it."""
    return math.prod(sizes[:number]), sizes[number], math.prod(sizes[number + 1 :])
