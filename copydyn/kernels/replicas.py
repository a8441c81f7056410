"""Many replicas in one call: from pulse to pulse and from save time to save time without coming up to Python."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from copydyn.kernels.compiled import kernel
from copydyn.kernels.family import advance_family
from copydyn.kernels.flow import Couplings
from copydyn.kernels.per_label import PAUSED, REACHED, advance, cost_of_step
from copydyn.kernels.variates import multinomial


class Train(NamedTuple):
    """The couplings of all pulses in a row: ``omega`` (pulse, beable); those of pulse k are [first[k], first[k+1])."""

    omega: np.ndarray
    first: np.ndarray
    a: np.ndarray
    b: np.ndarray
    h: np.ndarray


class Plan(NamedTuple):
    """Stretches of constant couplings: int64 ``pulse``, float64 ``end``, and int64 ``save``, the save time or -1."""

    pulse: np.ndarray
    end: np.ndarray
    save: np.ndarray


class Progress(NamedTuple):
    """How far each replica has come: ``clock`` float64, ``place`` in the plan and ``events`` int64, all (replica,)."""

    clock: np.ndarray
    place: np.ndarray
    events: np.ndarray


class Saved(NamedTuple):
    """What is kept at the save times: counts, factor (replica, time, beable), events (replica, time)."""

    counts: np.ndarray
    factor: np.ndarray
    events: np.ndarray


def couplings_at(train: Train, pulse: int) -> Couplings:
    """Give the couplings of one pulse."""
    low, high = train.first[pulse], train.first[pulse + 1]
    return Couplings(train.omega[pulse], train.a[low:high], train.b[low:high], train.h[low:high])


_couplings_at = kernel(couplings_at)


@kernel
def advance_replicas(
    counts,
    factor,
    random_state,
    progress,
    saved,
    train,
    plan,
    phase_step,
    floor,
    mode,
    family,
    budget,
    work,
    family_work,
    log,
):
    """Evolve replicas of aligned, anonymous copies along ``plan``, one after the other; see `per_label.advance`.

    Parameters
    ----------
    counts, factor, random_state : (replica, beable), (replica, beable), (replica, 4)
    mode, family
        Smolin's rule or the printed one; or, where ``family`` and its scratch are not None, any other one.
    progress, saved
        Filled on the way; all that is needed to go on stands in these five.
    budget : int
        Pause about then; a call that goes on from there gives the same bytes as one that never paused.

    Returns
    -------
    (status, replica)
        `REACHED` the end of all, `PAUSED`, or `STALLED` in that replica.
    """
    cost = cost_of_step(train.omega.shape[1], train.a.size)
    for replica in range(counts.shape[0]):
        while progress.place[replica] < plan.pulse.size:
            if budget <= 0:
                return PAUSED, replica
            place = progress.place[replica]
            couplings = _couplings_at(train, plan.pulse[place])
            now, end = progress.clock[replica], plan.end[place]
            n, u, words = counts[replica], factor[replica], random_state[replica]
            if family is None:
                status, now, events, proposals, steps = advance(
                    n, u, couplings, now, end, phase_step, floor, mode, budget, words, work, None, log
                )
            else:
                status, now, events, proposals, steps = advance_family(
                    n, u, couplings, now, end, phase_step, floor, family, budget, words, family_work, None, log
                )
            budget -= proposals + cost * steps
            progress.clock[replica] = now
            progress.events[replica] += events
            if status != REACHED:
                return status, replica
            moment = plan.save[place]
            if moment >= 0:
                for label in range(counts.shape[1]):
                    saved.counts[replica, moment, label] = counts[replica, label]
                    saved.factor[replica, moment, label] = factor[replica, label]
                saved.events[replica, moment] = progress.events[replica]
            progress.place[replica] = place + 1
    return REACHED, counts.shape[0]


@kernel
def draw_replicas(weights, tails, copies, random_state, counts):
    """Fill ``counts`` (replica, beable) with independent multinomial draws of ``copies`` copies."""
    for replica in range(counts.shape[0]):
        multinomial(random_state[replica], copies, weights, tails, counts[replica])
