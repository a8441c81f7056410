"""Infinitely many copies: the ordinary differential equations of a rule, rho_a = n_a/N and phi_a as N -> infinity."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.integrate import DOP853

from copydyn.experiment import Experiment
from copydyn.kernels.flow import Couplings
from copydyn.refusal import BadValue
from copydyn.theories.copies.ensemble import couplings_of
from copydyn.theories.copies.rules import Rule

NODE = 1e6
"""Relative rate of change, in units of what equal weights would give, from which on a path is said to meet a node:
errors of the path grow by this factor there. In quantum mechanics it is an amplitude of 1e-6."""

MOST_EVALUATIONS = 2_000_000
"""Evaluations of one pulse's equations after which a path is given up (a minute or two for a few labels)."""


class MeanField(NamedTuple):
    """rho_a and phi_a at the save times, float64 (time, beable); an empty label has the phase NaN."""

    frequency: np.ndarray
    phase: np.ndarray


def mean_field(
    experiment: Experiment, weights: np.ndarray, phases: np.ndarray, rule: Rule | None = None, tol: float = 1e-12
) -> MeanField:
    """Solve d rho_a/dt = sum_b (rho_b T(b -> a) - rho_a T(a -> b)) together with the law of the phases of ``rule``.

    Parameters
    ----------
    experiment : Experiment
        Of which the system and the save times are taken; the start is given apart.
    weights : float64 (beable,)
        rho_a at ``tlist[0]``, >= 0; divided by its sum. What is empty stays empty.
    phases : float64 (beable,), rad
    rule : Rule
        Smolin's by default, whose mean field is the Schrödinger equation.
    tol : float
        Error of log rho and phi that one step may make (Dormand and Prince, order 8).

    Raises
    ------
    BadValue
        If the path meets a node, where the equations are singular, or cannot be followed in reasonable time.
    """
    labels = experiment.system.size
    present = np.flatnonzero(np.asarray(weights) > 0.0)
    state = np.concatenate([np.log(np.asarray(weights)[present]), np.asarray(phases)[present]])
    frequency = np.zeros((experiment.tlist.size, labels))
    phase = np.full((experiment.tlist.size, labels), np.nan)
    frequency[0, present], phase[0, present] = _read(state)
    laws = [
        _Law(couplings_of(pulse.hamiltonian, experiment.system.hbar), present, rule or Rule())
        for pulse in experiment.system.pulses
    ]
    names = [experiment.system.labels[int(label)] for label in present]
    for segment in experiment.system.segments(experiment.tlist):
        law = laws[segment.pulse]
        state = _follow(law, segment.start, segment.end, state, max(tol, 1e-13), names)
        if segment.save is not None:
            frequency[segment.save, present], phase[segment.save, present] = _read(state)
    return MeanField(frequency, phase)


class _Law:
    """The equations of one pulse, for the labels that are present, in y = (log rho, phi)."""

    def __init__(self, couplings: Couplings, present: np.ndarray, rule: Rule) -> None:
        place = np.full(couplings.omega.size, -1)
        place[present] = np.arange(present.size)
        inside = (place[couplings.a] >= 0) & (place[couplings.b] >= 0)
        self.a, self.b = place[couplings.a[inside]], place[couplings.b[inside]]
        self.strength, self.delta = np.abs(couplings.h[inside]), np.angle(couplings.h[inside])
        self.omega = couplings.omega[present]
        self.size, self.rule, self.evaluations = present.size, rule, 0
        self.step: float | None = None
        self.scale = self._scale()

    def __call__(self, _: float, state: np.ndarray) -> np.ndarray:
        """d(log rho, phi)/dt."""
        self.evaluations += 1
        rule, a, b = self.rule, self.a, self.b
        lead = state[a] - state[b]  # log(rho_a / rho_b)
        theta = state[self.size + a] - state[self.size + b] + self.delta
        onward, back, pull = np.zeros((3, a.size))
        for harmonic in rule.harmonics:
            sine = rule.ratio * harmonic.copying * np.sin(harmonic.order * theta + harmonic.copy_offset)
            onward += np.maximum(sine, 0.0)
            back += np.maximum(-sine, 0.0)
            pull += harmonic.turning * np.cos(harmonic.order * theta + harmonic.turn_offset)
        onward, back, pull = self.strength * onward, self.strength * back, self.strength * pull
        with np.errstate(over="ignore", invalid="ignore"):
            q, r = rule.q, rule.r
            gain_a = np.exp((q - 1.0) * lead) * onward - np.exp(-q * lead) * back
            gain_b = np.exp((1.0 - q) * lead) * back - np.exp(q * lead) * onward
            growth = self._at_labels(gain_a, gain_b)
            if rule.phases == "frozen":
                return np.concatenate([growth, np.zeros(self.size)])
            turning = self.omega + self._at_labels(np.exp(r * lead) * pull, np.exp(-r * lead) * pull)
        return np.concatenate([growth, turning])

    def _at_labels(self, at_a: np.ndarray, at_b: np.ndarray) -> np.ndarray:
        return np.bincount(self.a, at_a, self.size) + np.bincount(self.b, at_b, self.size)

    def _scale(self) -> float:
        """Sum of all strengths at the busiest label: the rate of change that equal weights would allow."""
        each = sum(self.rule.ratio * h.copying + abs(h.turning) for h in self.rule.harmonics)
        return float(np.max(self._at_labels(self.strength, self.strength), initial=0.0) * each)

    def singular_label(self, rates: np.ndarray) -> int | None:
        """Which label changes faster than a path away from nodes would, if any."""
        rates = np.abs(rates - np.concatenate([np.zeros(self.size), self.omega]))
        rates = np.maximum(rates[: self.size], rates[self.size :])
        beyond = np.flatnonzero(~(rates <= NODE * self.scale))
        return int(beyond[np.argmax(rates[beyond])]) if beyond.size and self.scale > 0.0 else None


def _follow(law: _Law, start: float, end: float, state: np.ndarray, tol: float, names: list[str]) -> np.ndarray:
    """Integrate from ``start`` to ``end``."""
    first = None if law.step is None else min(law.step, end - start)
    with np.errstate(all="ignore"):  # see below
        solver = DOP853(law, start, state, end, rtol=tol, atol=tol, first_step=first)
    while solver.status == "running":
        with np.errstate(all="ignore"):  # beside a node anything may overflow, and is found out below
            solver.step()
        singular = law.singular_label(solver.f)
        if singular is None and solver.status == "failed":
            singular = int(np.argmin(solver.y[: law.size]))
        if singular is not None:
            raise BadValue(
                f"the path must stay away from nodes, where its equations are singular, but meets one of label "
                f"'{names[singular]}' near time {solver.t:.6g}; start elsewhere, or take spectators or an admixture."
            )
        if law.evaluations > MOST_EVALUATIONS:
            raise BadValue(
                f"the mean field must be solved in {MOST_EVALUATIONS} evaluations of its equations, but by then it has "
                f"come to time {solver.t:.6g}; shorten tlist, or keep the path further from nodes."
            )
    law.step = solver.h_abs
    return np.asarray(solver.y)


def _read(state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """rho, whose sum is kept at one since all laws are of degree one in it, and phi in [0, 2 pi)."""
    size = state.size // 2
    rho = np.exp(state[:size] - state[:size].max())
    phi = np.mod(state[size:], 2.0 * np.pi)
    return rho / rho.sum(), np.where(phi >= 2.0 * np.pi, 0.0, phi)
