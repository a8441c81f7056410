"""What a result says: of an ensemble that is known as density matrices, of trajectories, of both."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import xarray as xr

from copydyn.experiment import Experiment
from copydyn.experiment.inputs import Matrix, dense
from copydyn.refusal import BadValue
from copydyn.results import result
from copydyn.results.observables import energies, expectations
from copydyn.theories.irreversible import thermodynamics as thermal
from copydyn.theories.irreversible.settings import MOST_ENTRIES

MOST_BEABLES = 256
"""Beables beyond which the ensemble is not followed as a matrix."""


def followed(experiment: Experiment, scheme: str) -> bool:
    """Say whether the density matrices of an experiment are small enough to be followed and kept.

    Raises
    ------
    BadValue
        If they are not, and the ``scheme`` gives nothing else.
    """
    size, times = experiment.system.size, experiment.tlist.size
    small = size <= MOST_BEABLES and times * size**2 <= MOST_ENTRIES
    if scheme == "ensemble" and not small:
        raise BadValue(
            f"an ensemble can be followed with up to {MOST_BEABLES} beables and 2^22 entries, but {size} beables at "
            f"{times} save times are asked for; take scheme 'splitting'."
        )
    return small


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


def trace_with(rho: np.ndarray) -> Callable[[Matrix], np.ndarray]:
    """Give A -> Tr(A rho), float64 (time,), for rho (time, beable, beable)."""
    return lambda operator: np.einsum("tab,ba->t", rho, dense(operator)).real


def alone(
    experiment: Experiment, variables: Mapping[str, Any], mean: Callable[[Matrix], np.ndarray], attrs: Mapping[str, Any]
) -> xr.Dataset:
    """Make the result of an ensemble without trajectories: what each of them would tell is told once, of the mean.

    Parameters
    ----------
    variables : dict
        With mean_energy.
    mean : callable
        A -> Tr(A rho), float64 (time,).
    """
    told = {**variables, "energy": variables["mean_energy"][None], "status": np.array(["ok"])}
    if experiment.e_ops:
        told["expect"] = np.stack([mean(operator) for operator in experiment.e_ops.values()], axis=-1)[None]
    return result.new(experiment, told, {**attrs, "replicas": 1, "replica_spread": result.NONE})


def with_runs(
    experiment: Experiment,
    variables: Mapping[str, Any],
    states: np.ndarray,
    seed: int,
    attrs: Mapping[str, Any],
) -> xr.Dataset:
    """Make the result of trajectories, beside what is known of their ensemble.

    Parameters
    ----------
    variables : dict
        Without probability, that of the trajectories is taken.
    states : complex128 (replica, time, beable)
    """
    told = {**variables, "state": states, "energy": energies(states, experiment)}
    told["status"] = np.full(len(states), "ok")
    if "probability" not in told:
        attrs = {**attrs, "probability_of": result.TRAJECTORIES}
        weights = (np.abs(states) ** 2).mean(axis=0)
        told["probability"] = weights / weights.sum(axis=1, keepdims=True)
    if experiment.e_ops:
        told["expect"] = expectations(experiment.e_ops, states)
    about = {"seed": seed, "replicas": len(states), "replica_spread": result.MONTE_CARLO}
    return result.new(experiment, told, {**attrs, **about})
