"""Collapse, and thermalisation beside it, as jumps: means without an error of any step, trajectories of another kind.

Projective measurements at the times of a Poisson process of rate gamma have the mean gamma (Delta(rho) - rho), and
levels drawn from chi at the rate Gamma have Gamma (chi Tr rho - rho), so that both together, with the Hamiltonian
between them, have exactly the mean of eq. 8:

    rho(t) = e^(-Gamma t) Phi_t(rho0) + Gamma int_0^t e^(-Gamma s) Phi_s(chi) ds,

Phi_t being Hamiltonian and collapse. A trajectory is not one of the paper's: it is projected now and then, and
Schroedinger's between.
"""

from __future__ import annotations

import math

import numpy as np

from copydyn.experiment import Experiment
from copydyn.kernels.jumping import advance_by_events
from copydyn.theories.irreversible.equilibrium import Equilibrium
from copydyn.theories.irreversible.levels import Levels
from copydyn.theories.irreversible.reduction import Reduction
from copydyn.theories.irreversible.trajectories import Advance, Course, Leg, legs_of


def course_of_jumps(
    experiment: Experiment,
    levels: Levels,
    reduction: Reduction,
    reducing: float,
    chi: Equilibrium | None = None,
    thermalising: float = 0.0,
) -> Course:
    """Say how trajectories of jumps go, in the basis of the levels.

    Parameters
    ----------
    reducing, thermalising : float
        gamma, Gamma; 1/time.
    chi : Equilibrium, optional
        Without sectors; needed where there is thermalisation.
    """
    size = levels.size
    rate = reducing + thermalising
    legs = legs_of(experiment.tlist, 1.0 / rate if rate > 0.0 else math.inf, 2 * size * size)  # one jump a step
    average = np.zeros(size) if chi is None else chi.average
    window = np.flatnonzero(average > 0.0)
    u = reduction.seen_from(levels.vectors)
    there, back = np.ascontiguousarray(u.conj()), np.ascontiguousarray(u.T)
    told = (reducing, levels.frequencies, window, average[window], there, back, reduction.block)

    def begin() -> Advance:
        weight, moved = np.zeros(reduction.blocks), np.zeros(size, complex)

        def advance(psi: np.ndarray, random_state: np.ndarray, leg: Leg) -> None:
            advance_by_events(psi, random_state, leg.steps * leg.dt, thermalising, *told, weight, moved)

        return advance

    rows = np.ascontiguousarray(levels.vectors.T, dtype=complex)
    return Course(np.ascontiguousarray(levels.amplitudes, dtype=complex), legs, begin, rows, 2 * size * size)
