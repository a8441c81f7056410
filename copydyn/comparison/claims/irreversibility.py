"""Claims about theories of irreversibility: numbers of an ensemble, statistics of outcomes, signals."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from copydyn.comparison.claims.claim import Claim, ClaimOfOne, Finding, judged
from copydyn.comparison.claims.copies import FALSE_ALARM, two_sided_binomial
from copydyn.experiment import Experiment
from copydyn.experiment.inputs import as_real, choose
from copydyn.refusal import BadValue
from copydyn.theories.irreversible.signalling import witness

WHEN = ("first", "last", "largest", "smallest")


@dataclass(frozen=True)
class Reads(ClaimOfOne):
    """A number over time, such as the entropy of the ensemble, has a value at a moment.

    Parameters
    ----------
    variable : str
        Of the result, over time alone: entropy, mean_energy, energy_variance, trace_distance, ...
    when : {"first", "last", "largest", "smallest"}
        Which of its values.
    equals, tolerance : float, optional
        The value, and by how much it may be off.
    at_least, at_most : float, optional
        Bounds.
    """

    variable: str
    when: str = "last"
    equals: float | None = None
    tolerance: float = 1e-6
    at_least: float | None = None
    at_most: float | None = None

    def __post_init__(self) -> None:
        choose(self.when, "when", WHEN)
        given = {name: getattr(self, name) for name in ("equals", "at_least", "at_most")}
        if all(value is None for value in given.values()):
            raise BadValue("equals, at_least or at_most must be given; a number alone claims nothing.")
        for name, value in given.items():
            if value is not None:
                as_real(value, name)
        as_real(self.tolerance, "tolerance", positive=True)

    def judge(self, result: xr.Dataset, comparison: xr.Dataset) -> Finding:
        """Read the number off and compare it."""
        if self.variable not in result or result[self.variable].dims != ("time",):
            known = [str(name) for name, one in result.data_vars.items() if one.dims == ("time",)]
            raise BadValue(
                f"variable must be a number over time, but is '{self.variable}'; this result has "
                f"{', '.join(known) or 'none'}."
            )
        series = result[self.variable].values
        at = {"first": 0, "last": -1, "largest": int(series.argmax()), "smallest": int(series.argmin())}[self.when]
        value = float(series[at])
        holds, rules = True, []
        if self.equals is not None:
            holds &= abs(value - self.equals) <= self.tolerance
            rules.append(f"{self.equals:.10g} to {self.tolerance:g}")
        if self.at_least is not None:
            holds &= value >= self.at_least
            rules.append(f"at least {self.at_least:g}")
        if self.at_most is not None:
            holds &= value <= self.at_most
            rules.append(f"at most {self.at_most:g}")
        name = str(result[self.variable].attrs["long_name"])
        place = f"at time {result['time'].values[at]:.4g}"
        extreme = f"the {self.when} " if self.when in ("largest", "smallest") else ""
        return Finding(
            judged(holds, value), f"{extreme}{name} is {value:.10g} {place}; the claim asks for {' and '.join(rules)}"
        )


@dataclass(frozen=True)
class Born(ClaimOfOne):
    """The outcomes of the runs follow Born's rule, or break it: exact tests of their numbers against |P_k psi|^2.

    The number of each outcome is binomial; the least of their probabilities, times how many outcomes there are, is a
    bound that holds for rare outcomes as well, where chi squared does not.

    Parameters
    ----------
    breaks : bool
        Claim that they do not follow it.
    """

    breaks: bool = False

    def judge(self, result: xr.Dataset, comparison: xr.Dataset) -> Finding:
        """Count the outcomes at the last save time."""
        if "outcome" not in result:
            raise BadValue("claim 'born' is about outcomes of collapse, which this theory has none of; take SUV.")
        weights = np.array(json.loads(result.attrs["outcome_weights"]))
        outcome = result["outcome"].isel(time=-1).values
        found = np.bincount(outcome, minlength=weights.size)
        possible = weights > 1e-12
        born = np.where(possible, weights, 0.0) / weights[possible].sum()
        chances = [two_sided_binomial(int(n), outcome.size, float(p)) for n, p in zip(found, born)]
        tests = int(possible.sum()) if possible.sum() > 2 else 1  # of two outcomes, either says it all
        chance = min(1.0, min(chances) * tests)
        follows = chance >= FALSE_ALARM
        shares = ", ".join(f"{share:.4g}" for share in found[possible][:6] / outcome.size)
        wished = ", ".join(f"{weight:.4g}" for weight in weights[possible][:6])
        asked = "to break it" if self.breaks else "to follow it"
        return Finding(
            follows != self.breaks,
            f"outcomes of {outcome.size} runs have the shares {shares} where Born's rule gives {wished} (so far off "
            f"with probability {chance:.2g}, least allowed {FALSE_ALARM:g}); the claim asks them {asked}",
        )


@dataclass(frozen=True)
class Signals(Claim):
    """The state of one part differs, or does not, between two theories: whether a signal reaches it.

    Parameters
    ----------
    theory, against : str
        Names of the one with a generator on, and of the one without.
    part : str
        Bob's.
    at_least, at_most : float, optional
        Bounds of the largest trace distance on the way.
    """

    theory: str
    against: str
    part: str
    at_least: float | None = None
    at_most: float | None = None

    def __post_init__(self) -> None:
        given = {"at_least": self.at_least, "at_most": self.at_most}
        if all(bound is None for bound in given.values()):
            raise BadValue("at_least or at_most must be given, a trace distance between 0 and 1.")
        for name, bound in given.items():
            if bound is not None and not 0.0 <= as_real(bound, name) <= 1.0:
                raise BadValue(f"{name} must be a trace distance between 0 and 1, but is {bound:g}.")

    def fit(self, experiment: Experiment) -> None:
        """Refuse a part that the system does not have."""
        choose(self.part, "part", [part.name for part in experiment.system.parts])

    def among(self, theories: Sequence[str]) -> None:
        """Refuse theories that are not there, and a comparison of one with itself."""
        choose(self.theory, "theory", theories)
        choose(self.against, "against", [name for name in theories if name != self.theory])

    def settle(self, results: Mapping[str, xr.Dataset], comparisons: Mapping[str, xr.Dataset]) -> Finding:
        """Compare the largest distance with its bounds."""
        series = witness(results[self.theory], results[self.against], self.part)
        worst = float(series.max())
        rules, holds = [], True
        if self.at_least is not None:
            holds &= worst >= self.at_least
            rules.append(f"at least {self.at_least:g}")
        if self.at_most is not None:
            holds &= worst <= self.at_most
            rules.append(f"at most {self.at_most:g}")
        return Finding(
            judged(holds, worst),
            f"the state of part '{self.part}' under '{self.theory}' is up to {worst:.3g} away from that under "
            f"'{self.against}' in trace distance; the claim asks for {' and '.join(rules)}",
        )
