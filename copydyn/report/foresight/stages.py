"""The stages of an ensemble: how far it is expected to follow the path, where labels die out, how many events.

An ensemble follows the Schrödinger equation of the labels that have copies, P H P (63): one that starts without copies
in a label, or loses them on the way, goes on as if H had no such label.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from copydyn.experiment import Experiment
from copydyn.experiment.inputs import Matrix
from copydyn.laws import NodeCrossing, expected_events, kick_covariance
from copydyn.laws.crossings import crossings_on, dangers
from copydyn.laws.path import Path
from copydyn.report.foresight.probe import copies_in_all, first_part
from copydyn.theories import CopyDynamics

MOST_LABELS = 512
"""Beyond it the laws take longer than many a run."""

MOST_BEATS = 1e5
"""Radians of the fastest beat beyond which they take minutes."""

LIKELY = 0.5
"""Odds of extinction from which on the course goes on without the label."""

TRIAL = 0.5
"""Seconds of a law after which the rest can be told from them."""

MOST_STAGES = 8
"""Labels lost one after the other: what comes later is a guess upon guesses."""


MOST_CROSSINGS = 40
"""The noise at a crossing has to be gathered all the way from the start, for each of them."""

COUNTS = 1e-6
"""Odds of extinction below which a crossing does not count: a hundred of them are not worth a line."""


class Stage(NamedTuple):
    """A part of the course on which the same labels have copies.

    Parameters
    ----------
    start, end : float
        In units of the system's time.
    labels : int (label,)
        Those that have copies; two or more, else nothing moves.
    events : float
        Copy events expected in one ensemble.
    crossings : list of NodeCrossing
        In order of time, ``label`` being a number of the system.
    lost : int or None
        The label that is taken to die out at ``end``.
    searched : float
        Until when crossings were looked for: ``end``, unless there are more than `MOST_CROSSINGS`.
    """

    start: float
    end: float
    labels: np.ndarray
    events: float
    crossings: list[NodeCrossing]
    lost: int | None
    searched: float


def covariance_seconds(experiment: Experiment, ket: np.ndarray) -> float:
    """Say how long `laws.kick_covariance` will take, by trying it on the first windows of its quadrature."""
    system, span = experiment.system, experiment.tlist[-1] - experiment.tlist[0]
    path = Path.of(system.hamiltonian, ket, experiment.tlist, hbar=system.hbar)
    share = 1.0 / (experiment.tlist.size + sum(span / stretch.flow.widest for stretch in path.stretches[:1]))
    kick_covariance([[0, 1], [1, 0]], [0.6, 0.8], [0.0, 0.1])  # loads what is compiled
    before, gone = 0.0, 0.0
    while True:
        times = first_part(experiment, share).tlist
        start = time.perf_counter()
        kick_covariance(system.hamiltonian, ket, times, hbar=system.hbar)
        spent = time.perf_counter() - start
        if share >= 1.0:
            return spent
        if spent > TRIAL:  # the start may cost more than all the rest, where a symmetry makes currents vanish
            return spent + max(0.0, spent - before) * (1.0 - share) / (share - gone)
        before, gone, share = spent, share, 4.0 * share


def stages_of(experiment: Experiment, theory: CopyDynamics, ket: np.ndarray) -> list[Stage]:
    """Follow an ensemble that starts from ``ket`` through the labels it is likely to lose.

    A label that is more likely lost than kept at a crossing is taken to be lost there. With a floor none ever is.
    """
    return list(_stages(experiment, theory, ket))


def _stages(experiment: Experiment, theory: CopyDynamics, ket: np.ndarray) -> Iterator[Stage]:
    total = copies_in_all(experiment, theory)
    start, end = float(experiment.tlist[0]), float(experiment.tlist[-1])
    hbar = experiment.system.hbar
    labels = np.flatnonzero(ket)
    drawn = theory.drawn(experiment)
    for number in range(MOST_STAGES):
        if start >= end or labels.size < 2:
            return
        rest, hamiltonian = ket[labels] / np.linalg.norm(ket[labels]), _among(experiment, labels)
        found: list[NodeCrossing] = []
        searched = end
        if theory.floor == 0:
            path = Path.of(hamiltonian, rest, [start, end], hbar=hbar)
            lows = dangers(path, total, COUNTS, drawn[labels])
            searched = _few_crossings([low.time for _, low in lows], end)
            found = crossings_on(path, [pair for pair in lows if pair[1].time <= searched], total, drawn[labels])
        last = number == MOST_STAGES - 1
        fatal = next(
            (row for row in found if not last and row.time > start and (row.extinction or 0.0) >= LIKELY), None
        )
        stop = fatal.time if fatal else end
        events = expected_events(hamiltonian, rest, [start, stop], hbar=hbar, copies=total)[-1]
        crossings = [row._replace(label=int(labels[row.label])) for row in found if row.time <= stop]
        lost = int(labels[fatal.label]) if fatal else None
        yield Stage(start, stop, labels, float(events), crossings, lost, min(stop, searched))
        if fatal is None:
            return
        ket = np.zeros_like(ket)
        ket[labels] = _at(hamiltonian, rest, start, stop, hbar)
        labels, start, drawn = np.delete(labels, fatal.label), stop, np.zeros_like(drawn)


def _among(experiment: Experiment, labels: np.ndarray) -> Any:
    """Give the Hamiltonians without the rows and columns of the other labels."""
    pulses = [(pulse.duration, _block(pulse.hamiltonian, labels)) for pulse in experiment.system.pulses]
    return pulses if len(pulses) > 1 else pulses[0][1]


def _block(hamiltonian: Matrix, labels: np.ndarray) -> Matrix:
    return hamiltonian[labels][:, labels]


def _at(hamiltonian: Any, ket: np.ndarray, start: float, end: float, hbar: float) -> np.ndarray:
    """Carry ``ket`` from ``start`` to ``end``."""
    last = Path.of(hamiltonian, ket, [start, end], hbar=hbar).stretches[-1]
    return np.asarray(last.kets(np.array([end]))[0])


def _few_crossings(times: list[float], end: float) -> float:
    """Say until when there are no more than `MOST_CROSSINGS` crossings."""
    if len(times) <= MOST_CROSSINGS or times[MOST_CROSSINGS - 1] == times[MOST_CROSSINGS]:
        return end
    return 0.5 * (times[MOST_CROSSINGS - 1] + times[MOST_CROSSINGS])
