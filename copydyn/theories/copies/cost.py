"""What a run of copy dynamics takes, counted before it begins: copy events, steps of the phases, leaps.

Work is counted in proposals of one event, `UNIT` seconds each. A constant energy costs nothing: only differences turn
phases against each other.
"""

from __future__ import annotations

import math
import warnings
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from copydyn.experiment import Experiment, System
from copydyn.theories.copies.ensemble import train_of
from copydyn.theories.copies.leaps import most_events

UNIT = 1.5e-8
"""Seconds of a proposal."""

LONG = 30.0
"""Seconds of computing from which on a run is announced."""

MIXING = 3.0
"""Fastest relative change of an amplitude, in units of its label's root sum of squared couplings: 1 where all labels
have as many copies, more where neighbours have more of them; 0.5 to 15 in the cases that this is taken from."""

UNALIGNED, WITH_MOMENTA = 5.0, 13.0
"""Work of a copy in each step, where phases differ, and where copies have momenta as well."""

LOOKED_UP = 4.0
"""Work of an event of copies with rows, which waits for memory."""


class Count(NamedTuple):
    """Of one ensemble: ``events`` at most, ``steps`` of the phases and ``leaps`` about; of each the work it takes."""

    events: float
    steps: float
    leaps: float
    step: float
    leap: float

    @property
    def one_by_one(self) -> float:
        """Work of every event, and of every step."""
        return self.events + self.steps * self.step

    @property
    def by_leaps(self) -> float:
        """Work of all leaps."""
        return self.leaps * self.leap


@lru_cache(maxsize=2)  # a run asks several times; more would keep large matrices in memory
def count(experiment: Experiment, copies: int, phase_step: float, leap_step: float) -> Count:
    """Count what ``copies`` copies of an experiment take."""
    system, times = experiment.system, experiment.tlist
    paces = _paces(system)
    edges = np.cumsum([0.0, *(pulse.duration for pulse in system.pulses)])
    spans = np.diff(np.clip(edges, times[0], times[-1]))
    couplings = max(pace.couplings for pace in paces)
    return Count(
        events=most_events(experiment, copies),
        steps=math.fsum(span * pace.fastest for span, pace in zip(spans.tolist(), paces)) / phase_step,
        leaps=math.fsum(span * pace.radius for span, pace in zip(spans.tolist(), paces)) / leap_step + times.size - 1,
        step=14.0 + system.size + couplings,
        leap=50.0 + 20.0 * system.size + 7.5 * couplings,
    )


def warn_if_long(seconds: float, what: str) -> None:
    """Announce a run that takes more than `LONG` seconds of computing."""
    if seconds > LONG:
        shown = f"{seconds:.0f} s" if seconds < 120.0 else f"{seconds / 60.0:.3g} min"
        shown = shown if seconds < 7200.0 else f"{seconds / 3600.0:.3g} h"
        warnings.warn(f"this run may take {shown} of computing: {what}.", RuntimeWarning, stacklevel=3)


class _Pace(NamedTuple):
    """Of one pulse: the fastest turn of amplitudes or phase differences, half the band of H (1/time), couplings."""

    fastest: float
    radius: float
    couplings: int


@lru_cache(maxsize=2)  # many runs are of one system
def _paces(system: System) -> tuple[_Pace, ...]:
    train, labels = train_of(system), system.size
    paces = []
    for pulse, omega in enumerate(train.omega):
        own = slice(train.first[pulse], train.first[pulse + 1])
        a, b, strength = train.a[own], train.b[own], np.abs(train.h[own])
        with np.errstate(over="ignore", invalid="ignore"):  # what float64 cannot hold, the kernels refuse
            beats = float(np.max(np.abs(omega[a] - omega[b]), initial=0.0))
            squares = np.bincount(a, strength**2, labels) + np.bincount(b, strength**2, labels)
            reach = np.bincount(a, strength, labels) + np.bincount(b, strength, labels)
            band = float(np.max(omega + reach) - np.min(omega - reach))
            paces.append(_Pace(beats + MIXING * math.sqrt(float(squares.max())), 0.5 * band, a.size))
    return tuple(paces)
