"""How likely an ensemble is to lose a label on the whole way: by law where one holds, and by trying where none does."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from copydyn.experiment import Experiment, Schedule
from copydyn.laws import NodeCrossing, beats
from copydyn.laws.extinction import extinction_by_counts
from copydyn.report.foresight.stages import COUNTS, Stage
from copydyn.theories import CopyDynamics

LARGE = 0.05
"""Mean infidelity beyond which the noise is not small any more."""

STRAIGHT = 0.5
"""Radians that the path may turn within a passage that is taken for a straight line."""

SHARE = 0.02
"""What adds less than this share to the odds of the whole run cannot spoil them."""

EARLIER = 0.1
"""Odds of having lost a label before, from which on those that are left are not like all."""

WORK = 1e7
"""Copy events that may be tried, a second or two."""

MOST_TRIED, FEWEST_TRIED = 1000, 100
"""Ensembles: more cost time, fewer tell nothing."""

EVENTS_A_BEAT = 100.0
"""What a radian of the fastest beat costs, in events, for each label: the phases are turned in small steps."""


class Trial(NamedTuple):
    """How many of so many ``ensembles`` lost a label, ``lost``, and which, ``labels`` int (label,)."""

    ensembles: int
    lost: int
    labels: np.ndarray

    @property
    def odds(self) -> float:
        """Share of those that lost one."""
        return self.lost / self.ensembles

    @property
    def error(self) -> float:
        """Standard deviation of ``odds``, never zero: as if one more had been lost and one more had not."""
        share = (self.lost + 1) / (self.ensembles + 2)
        return math.sqrt(share * (1.0 - share) / self.ensembles)


class Shortage(NamedTuple):
    """Where the spread of a label's count alone makes it likeliest to be zero: ``copies`` at the mean, and the odds."""

    label: int
    time: float
    copies: float
    odds: float


class Prospect(NamedTuple):
    """Odds that an ensemble loses a label on the whole way.

    Parameters
    ----------
    law : float
        1 - prod(1 - p) of all crossings.
    shortages : list of Shortage
        Labels that the crossings do not account for, the likeliest first.
    doubts : list of str
        Why the law is not to be relied on; none where it is.
    trial : Trial or None
        What was tried where there are doubts, unless that would have taken too long.
    """

    law: float
    shortages: list[Shortage]
    doubts: list[str]
    trial: Trial | None = None

    @property
    def most(self) -> float:
        """The larger of what the law and the shortages say."""
        return max([self.law, *(shortage.odds for shortage in self.shortages)])


def prospect(
    experiment: Experiment,
    theory: CopyDynamics,
    stages: Sequence[Stage],
    copies: int,
    losses: np.ndarray,
    counts: np.ndarray,
    seed: int,
    *,
    spread_known: bool = True,
) -> Prospect:
    """Say how likely it is that an ensemble loses a label by the last save time.

    Parameters
    ----------
    copies : int
        N with the spectators.
    losses : float64 (time,)
        N times the mean infidelity, inf from the first node on.
    counts : float64 (2, time, label)
        Mean and variance of n_a at the save times, NaN from the first node on.
    seed : int
        For what is tried.
    spread_known : bool
        Whether the variance is the true one, and not the most that it can be.
    """
    rows = [row for stage in stages for row in stage.crossings]
    law = 1.0 - math.prod(1.0 - _odds(row) for row in rows)
    short = _shortages(experiment, rows, counts, law)
    doubts = list(_doubts(experiment, rows, law, losses / copies))
    if stages and stages[-1].searched < stages[-1].end and law < 1.0 - SHARE:
        doubts.append(f"crossings behind time {stages[-1].searched:.4g} were not looked at")
    if short:
        name, when = experiment.system.labels[short[0].label], f"{short[0].time:.4g}"
        if spread_known:
            doubts.append(f"label '{name}' has few copies at time {when} without passing its node there")
        else:
            doubts.append(
                f"label '{name}' may have few copies at time {when}, where its standard deviation is not known"
            )
    found = Prospect(law, short if spread_known else [], doubts)
    if doubts and max([law, *(shortage.odds for shortage in short)]) >= COUNTS:
        found = found._replace(trial=attempt(experiment, theory, seed, sum(stage.events for stage in stages)))
    return found


def attempt(experiment: Experiment, theory: CopyDynamics, seed: int, events: float) -> Trial | None:
    """Simulate ensembles up to the end, event by event, as many as `WORK` allows; None where that are too few.

    The number depends on what is simulated, and not on how fast the machine is.
    """
    work = 1.0 + events + EVENTS_A_BEAT * experiment.system.size * beats(experiment)
    number = min(MOST_TRIED, int(WORK / work))
    if number < FEWEST_TRIED:
        return None
    plain = replace(theory, engine="exact", follow=(), record_events=False, phase_step=None, leap_step=None, few=None)
    ends = Experiment(experiment.system, experiment.preparation, Schedule(experiment.tlist[[0, -1]]))
    counts = plain.evolve(ends, seed, number)["counts"].values
    gone = (counts[:, -1] == 0) & (counts[:, 0] > 0)
    return Trial(number, int(gone.any(axis=1).sum()), gone.sum(axis=0))


def _shortages(experiment: Experiment, rows: Sequence[NodeCrossing], counts: np.ndarray, law: float) -> list[Shortage]:
    """Labels whose counts alone make extinction likelier, by far, than all their crossings together."""
    mean, variance = (np.nan_to_num(values) for values in counts)
    known = np.isfinite(counts).all(axis=0) & (mean > 0.0)
    odds = np.where(known, extinction_by_counts(mean, variance), 0.0)
    found = []
    for label in range(mean.shape[1]):
        at = int(np.argmax(odds[:, label]))
        crossed = 1.0 - math.prod(1.0 - _odds(row) for row in rows if row.label == label)
        if odds[at, label] > max(3.0 * crossed, SHARE * law, COUNTS):
            when = float(experiment.tlist[at])
            found.append(Shortage(label, when, float(mean[at, label]), float(odds[at, label])))
    return sorted(found, key=lambda shortage: -shortage.odds)


def _doubts(experiment: Experiment, rows: Sequence[NodeCrossing], law: float, losses: np.ndarray) -> Iterator[str]:
    """Say which assumptions of the law are not fulfilled where it matters, each once."""
    names = experiment.system.labels
    surviving, turning, conditional = 1.0, False, False
    for row in rows:
        odds = _odds(row)
        if math.isnan(row.extinction or 0.0) and surviving > SHARE:
            yield f"nobody knows the chance of label '{names[row.label]}' at time {row.time:.4g}"
        elif surviving * odds >= SHARE * law:
            if row.turn > STRAIGHT and not turning:
                turning = True
                yield f"label '{names[row.label]}' passes so slowly at time {row.time:.4g} that its way is not straight"
            if 1.0 - surviving > EARLIER and not conditional:
                conditional = True
                yield f"by time {row.time:.4g} those that are left are a selection"
            loss = losses[min(int(np.searchsorted(experiment.tlist, row.time)), losses.size - 1)]
            if LARGE < loss < math.inf:
                yield f"the noise is not small, with a mean infidelity of {loss:.2g}"
                losses = np.zeros_like(losses)  # said once
        surviving *= 1.0 - odds


def _odds(row: NodeCrossing) -> float:
    return 0.0 if row.extinction is None or math.isnan(row.extinction) else row.extinction
