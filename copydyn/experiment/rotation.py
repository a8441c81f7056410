"""Rotations: a unitary as a pulse, and counts that are read in another basis than that of the beables."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from scipy.linalg import schur

from copydyn.blas import one_thread
from copydyn.experiment import Experiment, Schedule
from copydyn.experiment.inputs import as_real, as_unitary
from copydyn.refusal import BadValue

MINUS_ONE = 1e-9
"""Eigenvalues nearer to -1 than this get the angle +pi: rounding must not tear a degenerate pair apart."""

ROUNDING = 1e-12
"""Share of the time before the rotation that is no pulse but what adding up durations leaves."""


@one_thread()
def generator(unitary: Any, duration: float, hbar: float = 1.0) -> np.ndarray:
    """Give the Hermitian H with exp(-i H duration / hbar) = U: H = (i hbar / duration) log U on the principal branch.

    Parameters
    ----------
    unitary : (P, P) array, scipy sparse matrix, or qutip.Qobj
        U.
    duration : float
        How long the pulse is to last, > 0.
    hbar : float

    Returns
    -------
    complex128 (P, P), energy
        Its eigenvalues lie in [-pi, pi) hbar / duration.

    Raises
    ------
    BadType, BadValue
        If U is not unitary, or the duration not positive.
    """
    u = as_unitary(unitary, "U")
    scale = as_real(hbar, "hbar", positive=True) / as_real(duration, "duration", positive=True)
    # a normal matrix has a diagonal Schur form, and its vectors are orthonormal even where they are degenerate
    upper, vectors = schur(u, output="complex")
    angles = np.angle(np.diagonal(upper))
    angles = np.where(angles < -np.pi + MINUS_ONE, np.pi, angles)
    h = (vectors * (-scale * angles)) @ vectors.conj().T
    return np.asarray(0.5 * (h + h.conj().T))


@one_thread()
def rotated(experiment: Experiment, unitary: Any, duration: float) -> Experiment:
    """Append a pulse that turns the ket by U, so that the counts after it are frequencies in the basis of U's rows.

    n_k/N at the last save time follows |sum_a U_ka psi_a|^2: an observable A = sum_k a_k |k><k| with |k> = U^+ e_k,
    which is not diagonal in the beables, has the mean sum_k a_k n_k/N. The pulse is part of the experiment: it has copy
    events and noise of its own, and an ensemble can be stopped where its path meets a node. It ends at one more save
    time, ``tlist[-1] + duration``, at which e_ops are read off the turned ket; the pulses that the system had after
    ``tlist[-1]`` are dropped.

    Parameters
    ----------
    experiment : Experiment
    unitary : (P, P) array, scipy sparse matrix, or qutip.Qobj
        U, for instance ``copydyn.bases.momentum(system).unitary``. The labels keep their names: label a stands for
        row a.
    duration : float
        How long the pulse lasts, > 0.

    Raises
    ------
    BadType, BadValue
        If U is not unitary or not of the experiment's size, or if the duration is not positive, or lost in rounding.
    """
    system, end = experiment.system, float(experiment.tlist[-1])
    h = generator(unitary, duration, system.hbar)
    if h.shape[0] != system.size:
        raise BadValue(f"U must have one row for each of the {system.size} beable labels, but has {h.shape[0]}.")
    if end + duration == end:
        raise BadValue(f"duration must be longer than the clock can tell at time {end:g}, but is {duration:g}.")
    pulses, now = [], 0.0
    for pulse in system.pulses:
        if end - now <= ROUNDING * end:
            break
        pulses.append((min(pulse.duration, end - now), pulse.hamiltonian))
        now += pulse.duration
    tlist = np.append(experiment.tlist, end + duration)
    return Experiment(
        replace(system, hamiltonian=[*pulses, (duration, h)]),
        experiment.preparation,
        Schedule(tlist, experiment.schedule.e_ops),
    )
