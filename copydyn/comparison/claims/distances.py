"""Claims about how far a theory is from the reference."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from copydyn.comparison.claims.claim import SAFETY, Claim, ClaimOfOne, Finding, judged
from copydyn.experiment.inputs import as_real, choose
from copydyn.refusal import BadValue
from copydyn.wording import plus_minus

DISTANCES = ("max_deviation", "total_variation", "infidelity")


@dataclass(frozen=True)
class Agrees(ClaimOfOne):
    """The infidelity is what finite N must give.

    Parameters
    ----------
    max_score : float
        Standard errors by which the infidelity, averaged over time, may be off the law.
    """

    max_score: float = 4.0

    def __post_init__(self) -> None:
        as_real(self.max_score, "max_score", positive=True)

    def judge(self, result: xr.Dataset, comparison: xr.Dataset) -> Finding:
        """Compare the score with its bound; without a law there is no agreement."""
        score = _score(comparison)
        if math.isnan(score):
            return Finding(None, f"agreement cannot be judged: {comparison.attrs['sentence']}")
        return Finding(abs(score) <= self.max_score, f"{_off(score)}; the claim allows {self.max_score:g}")


@dataclass(frozen=True)
class Deviates(ClaimOfOne):
    """The result is further from the reference than finite N explains, or than a bound.

    Parameters
    ----------
    by : {"score", "max_deviation", "total_variation", "infidelity"}
        The largest value on the way counts; for the score, the infidelity averaged over time.
    at_least : float, optional
        Its least value, two standard errors allowed for. Four standard errors for the score; needed for the others.
    """

    by: str = "score"
    at_least: float | None = None

    def __post_init__(self) -> None:
        choose(self.by, "by", ("score", *DISTANCES))
        if self.by != "score" and self.at_least is None:
            raise BadValue(f"at_least must be given where by is '{self.by}'; only a score has a natural bound.")
        if self.at_least is not None:
            as_real(self.at_least, "at_least", positive=True)

    def judge(self, result: xr.Dataset, comparison: xr.Dataset) -> Finding:
        """Compare the distance with its bound."""
        bound = 4.0 if self.at_least is None else self.at_least
        rule = f"the claim asks for at least {bound:g}"
        if self.by == "score":
            score = _score(comparison)
            if math.isnan(score):
                return Finding(None, f"deviation cannot be judged: {comparison.attrs['sentence']}")
            return Finding(score >= bound, f"{_off(score)}; {rule} above it")
        worst, error = _worst(comparison, self.by)
        holds = judged(worst - SAFETY * error >= bound, worst)
        return Finding(holds, f"{_words(self.by)} reaches {plus_minus(worst, error)}; {rule}")


@dataclass(frozen=True)
class Within(ClaimOfOne):
    """A distance stays below a bound at all times.

    Parameters
    ----------
    distance : {"max_deviation", "total_variation", "infidelity"}
        Mean over replicas, plus two standard errors.
    at_most : float
    """

    distance: str
    at_most: float

    def __post_init__(self) -> None:
        choose(self.distance, "distance", DISTANCES)
        as_real(self.at_most, "at_most", positive=True)

    def judge(self, result: xr.Dataset, comparison: xr.Dataset) -> Finding:
        """Compare the worst moment with the bound."""
        _need(comparison, self.distance)
        mean, error = comparison[self.distance].values, np.nan_to_num(comparison[f"{self.distance}_error"].values)
        at = int(np.argmax(mean + SAFETY * error))
        when = f"{comparison['time'].values[at]:.4g}"
        found = f"{_words(self.distance)} is at most {plus_minus(float(mean[at]), float(error[at]))}, at time {when}"
        holds = judged(mean[at] + SAFETY * error[at] <= self.at_most, mean[at])
        return Finding(holds, f"{found}; the claim allows {self.at_most:g}")


@dataclass(frozen=True)
class Closer(Claim):
    """One theory is closer to the reference than another, beyond two combined standard errors.

    Parameters
    ----------
    theory, than : str
        Names of the one and of the other.
    by : {"max_deviation", "total_variation", "infidelity"}
        The largest value on the way counts.
    by_factor : float
        How many times the other's distance must be that of the first.
    """

    theory: str
    than: str
    by: str
    by_factor: float = 1.0

    def __post_init__(self) -> None:
        choose(self.by, "by", DISTANCES)
        as_real(self.by_factor, "by_factor", positive=True)

    def among(self, theories: Sequence[str]) -> None:
        """Refuse theories that are not there, and a comparison of one with itself."""
        choose(self.theory, "theory", theories)
        choose(self.than, "than", [name for name in theories if name != self.theory])

    def settle(self, results: Mapping[str, xr.Dataset], comparisons: Mapping[str, xr.Dataset]) -> Finding:
        """Compare the difference of the distances with its error."""
        ours, our_error = _worst(comparisons[self.theory], self.by)
        theirs, their_error = _worst(comparisons[self.than], self.by)
        ahead = theirs - self.by_factor * ours
        error = math.hypot(their_error, self.by_factor * our_error)
        times = "" if self.by_factor == 1.0 else f"{self.by_factor:g} times "
        return Finding(
            judged(ahead > SAFETY * error, ours, theirs),
            f"{_words(self.by)} reaches {plus_minus(ours, our_error)} in '{self.theory}' and "
            f"{plus_minus(theirs, their_error)} in '{self.than}'; the claim asks for {times}less in the former",
        )


def _score(comparison: xr.Dataset) -> float:
    return float(comparison["score"]) if "score" in comparison else math.nan


def _off(score: float) -> str:
    side = "above" if score >= 0.0 else "below"
    return f"the infidelity, averaged over time, is {abs(score):.1f} standard errors {side} the law of finite N"


def _worst(comparison: xr.Dataset, distance: str) -> tuple[float, float]:
    """Largest value on the way with its error, zero where there is one replica."""
    _need(comparison, distance)
    name = {"max_deviation": "worst_deviation", "total_variation": "worst_total_variation"}.get(distance)
    if name is not None:
        return float(comparison[name]), float(np.nan_to_num(comparison[f"{name}_error"]))
    at = int(np.argmax(comparison[distance].values))
    return float(comparison[distance][at]), float(np.nan_to_num(comparison[f"{distance}_error"][at]))


def _need(comparison: xr.Dataset, distance: str) -> None:
    if distance not in comparison:
        raise BadValue(
            f"the comparison has no {_words(distance)} here; claim another distance of {', '.join(DISTANCES)}."
        )


def _words(name: str) -> str:
    return "max deviation" if name == "max_deviation" else name.replace("_", " ")
