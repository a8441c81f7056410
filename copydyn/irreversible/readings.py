"""What a result says of an ensemble that is known as density matrices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from copydyn.experiment import Experiment
from copydyn.inputs import Matrix
from copydyn.irreversible import thermodynamics as thermal
from copydyn.irreversible.settings import MOST_ENTRIES

MOST_BEABLES = 256
"""Beables beyond which the ensemble is not followed as a matrix."""


def followed(experiment: Experiment) -> bool:
    """Say whether the density matrices of an experiment are small enough to be followed and kept."""
    size, times = experiment.system.size, experiment.tlist.size
    return size <= MOST_BEABLES and times * size**2 <= MOST_ENTRIES


def read_off(
    experiment: Experiment,
    rho: np.ndarray,
    flow: Callable[[np.ndarray], np.ndarray],
    goal: np.ndarray | None = None,
) -> dict[str, Any]:
    """Read probabilities, moments of the energy and entropies off density matrices.

    Parameters
    ----------
    rho : complex128 (time, beable, beable)
    flow : callable
        d rho/dt.
    goal : complex128 (beable, beable), optional
        The steady state, to which distances are measured.
    """
    weights = np.clip(np.einsum("taa->ta", rho).real, 0.0, None)
    energy, variance = thermal.energy_moments(rho, dense(experiment.system.pulses[0].hamiltonian))
    variables: dict[str, Any] = {
        "probability": weights / weights.sum(axis=1, keepdims=True),
        "density_matrix": rho,
        "mean_energy": energy,
        "energy_variance": variance,
        "entropy": thermal.von_neumann_entropy(rho),
        "entropy_rate": np.array([thermal.entropy_rate(one, flow(one)) for one in rho]),
    }
    if goal is not None:
        variables |= {
            "relative_entropy": np.array([thermal.relative_entropy(one, goal) for one in rho]),
            "trace_distance": thermal.trace_distance(rho, goal),
            "squared_distance": thermal.squared_distance(rho, goal),
        }
    return variables


def means(experiment: Experiment, rho: np.ndarray) -> np.ndarray:
    """Tr(A rho) of every e_op, float64 (1, time, e_op)."""
    columns = [np.einsum("tab,ba->t", rho, dense(operator)).real for operator in experiment.e_ops.values()]
    return np.stack(columns, axis=-1)[None]


def dense(operator: Matrix) -> np.ndarray:
    """Give a matrix as an array."""
    return operator if isinstance(operator, np.ndarray) else operator.toarray()
