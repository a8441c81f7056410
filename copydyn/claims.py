"""What a scenario claims of its run, and whether that holds.

A new claim is one dataclass with a verb, `judge` for one theory or `settle` for several, and one line in `CLAIMS`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import xarray as xr

from copydyn.experiment import Experiment
from copydyn.inputs import as_real
from copydyn.parts import partial
from copydyn.refusal import BadValue
from copydyn.wording import plus_minus

DISTANCES = ("max_deviation", "total_variation", "infidelity")

FALSE_ALARM = 1e-4
"""Probability with which a share that is as predicted is called another one."""

SAFETY = 2.0
"""Standard errors that a bound allows for."""

ALL = "all"
"""What a claim about every theory says in the place of a name."""


class Finding(NamedTuple):
    """Whether a claim holds, with the number found and the rule."""

    holds: bool
    sentence: str


class Claim(ABC):
    """A rule about what theories gave and how far that is from the reference."""

    def fit(self, experiment: Experiment) -> None:  # noqa: B027  # most claims fit every experiment
        """Refuse an experiment that the claim cannot be about.

        Raises
        ------
        BadValue
        """

    @abstractmethod
    def among(self, theories: Sequence[str]) -> None:
        """Refuse a claim that does not say which of these ``theories`` it is about.

        Raises
        ------
        BadValue
        """

    @abstractmethod
    def settle(self, results: Mapping[str, xr.Dataset], comparisons: Mapping[str, xr.Dataset]) -> Finding:
        """Say whether the claim holds of the theories' results, by name."""


@dataclass(frozen=True, kw_only=True)
class ClaimOfOne(Claim):
    """A rule about one theory.

    Parameters
    ----------
    theory : str
        Its name, or "all" if each must keep the rule; needed only where a scenario has several.
    """

    theory: str = ""

    def among(self, theories: Sequence[str]) -> None:
        """Refuse a theory that is not there, and none where there are several."""
        if self.theory or len(theories) > 1:
            _choose(self.theory, "theory", (*theories, ALL))

    def settle(self, results: Mapping[str, xr.Dataset], comparisons: Mapping[str, xr.Dataset]) -> Finding:
        """Judge each theory that the claim is about: all must keep the rule."""
        names = list(results) if self.theory in ("", ALL) else [self.theory]
        findings = [self.judge(results[name], comparisons[name]) for name in names]
        if len(results) == 1:
            return findings[0]
        sentences = [f"'{name}': {finding.sentence}" for name, finding in zip(names, findings)]
        return Finding(all(finding.holds for finding in findings), "; ".join(sentences))

    @abstractmethod
    def judge(self, result: xr.Dataset, comparison: xr.Dataset) -> Finding:
        """Say whether the rule is kept."""


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
            return Finding(False, f"agreement cannot be judged: {comparison.attrs['sentence']}")
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
        _choose(self.by, "by", ("score", *DISTANCES))
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
                return Finding(False, f"deviation cannot be judged: {comparison.attrs['sentence']}")
            return Finding(score >= bound, f"{_off(score)}; {rule} above it")
        worst, error = _worst(comparison, self.by)
        return Finding(worst - SAFETY * error >= bound, f"{_words(self.by)} reaches {plus_minus(worst, error)}; {rule}")


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
        _choose(self.distance, "distance", DISTANCES)
        as_real(self.at_most, "at_most", positive=True)

    def judge(self, result: xr.Dataset, comparison: xr.Dataset) -> Finding:
        """Compare the worst moment with the bound."""
        _need(comparison, self.distance)
        mean, error = comparison[self.distance].values, np.nan_to_num(comparison[f"{self.distance}_error"].values)
        at = int(np.argmax(mean + SAFETY * error))
        when = f"{comparison['time'].values[at]:.4g}"
        found = f"{_words(self.distance)} is at most {plus_minus(float(mean[at]), float(error[at]))}, at time {when}"
        return Finding(
            bool(mean[at] + SAFETY * error[at] <= self.at_most), f"{found}; the claim allows {self.at_most:g}"
        )


@dataclass(frozen=True)
class Extinct(ClaimOfOne):
    """A label has lost its last copy by the last save time, in a share of the replicas.

    Parameters
    ----------
    label : str
    at_least, at_most : float, optional
        Bounds of the share.
    probability : float, optional
        The share predicted: the number of replicas is then tested as binomial, two-sided, at `FALSE_ALARM`.
    """

    label: str
    at_least: float | None = None
    at_most: float | None = None
    probability: float | None = None

    def __post_init__(self) -> None:
        given = {name: getattr(self, name) for name in ("at_least", "at_most", "probability")}
        given = {name: value for name, value in given.items() if value is not None}
        if not given:
            raise BadValue("at_least, at_most or probability must be given, a share of the replicas between 0 and 1.")
        for name, share in given.items():
            if not 0.0 <= as_real(share, name) <= 1.0:
                raise BadValue(f"{name} must be a share between 0 and 1, but is {share:g}.")

    def fit(self, experiment: Experiment) -> None:
        """Refuse a label that the system does not have."""
        _require_label(self.label, experiment)

    def judge(self, result: xr.Dataset, comparison: xr.Dataset) -> Finding:
        """Count the replicas in which the label is empty."""
        if "counts" not in result:
            raise BadValue("claim 'extinct' is about counts, which this theory does not give; choose another claim.")
        last = result["counts"].isel(time=-1).sel(beable=self.label).values
        empty, replicas = int(np.sum(last == 0)), last.size
        share = empty / replicas
        rules = []
        holds = True
        if self.at_least is not None:
            holds &= share >= self.at_least
            rules.append(f"at least {self.at_least:g}")
        if self.at_most is not None:
            holds &= share <= self.at_most
            rules.append(f"at most {self.at_most:g}")
        if self.probability is not None:
            chance = two_sided_binomial(empty, replicas, self.probability)
            holds &= chance >= FALSE_ALARM
            rules.append(
                f"{self.probability:g} (so far off with probability {chance:.2g}, least allowed {FALSE_ALARM:g})"
            )
        found = f"label '{self.label}' is extinct in {empty} of {replicas} replicas, a share of {share:.3g}"
        return Finding(holds, f"{found}; the claim asks for {' and '.join(rules)}")


@dataclass(frozen=True)
class Still(ClaimOfOne):
    """No copy event happens at all."""

    def judge(self, result: xr.Dataset, comparison: xr.Dataset) -> Finding:
        """Count the events of all replicas."""
        if "events" not in result:
            raise BadValue("claim 'still' is about copy events, which this theory does not have; choose another claim.")
        events = int(result["events"].isel(time=-1).sum())
        return Finding(events == 0, f"{events} copy events happened; the claim allows none")


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
        _choose(self.by, "by", DISTANCES)
        as_real(self.by_factor, "by_factor", positive=True)

    def among(self, theories: Sequence[str]) -> None:
        """Refuse theories that are not there, and a comparison of one with itself."""
        _choose(self.theory, "theory", theories)
        _choose(self.than, "than", [name for name in theories if name != self.theory])

    def settle(self, results: Mapping[str, xr.Dataset], comparisons: Mapping[str, xr.Dataset]) -> Finding:
        """Compare the difference of the distances with its error."""
        ours, our_error = _worst(comparisons[self.theory], self.by)
        theirs, their_error = _worst(comparisons[self.than], self.by)
        ahead = theirs - self.by_factor * ours
        error = math.hypot(their_error, self.by_factor * our_error)
        times = "" if self.by_factor == 1.0 else f"{self.by_factor:g} times "
        return Finding(
            ahead > SAFETY * error,
            f"{_words(self.by)} reaches {plus_minus(ours, our_error)} in '{self.theory}' and "
            f"{plus_minus(theirs, their_error)} in '{self.than}'; the claim asks for {times}less in the former",
        )


@dataclass(frozen=True)
class Coherent(ClaimOfOne):
    """The phases of a label's copies agree, or do not: |Z|/n over the last half of the save times.

    It oscillates, so it is averaged over these times, and over the replicas in which the label has copies then.

    Parameters
    ----------
    label : str
    at_least, at_most : float, optional
        Bounds between 0 and 1; two standard errors are allowed for.
    """

    label: str
    at_least: float | None = None
    at_most: float | None = None

    def __post_init__(self) -> None:
        given = {"at_least": self.at_least, "at_most": self.at_most}
        if all(bound is None for bound in given.values()):
            raise BadValue("at_least or at_most must be given, a coherence between 0 and 1.")
        for name, bound in given.items():
            if bound is not None and not 0.0 <= as_real(bound, name) <= 1.0:
                raise BadValue(f"{name} must be a coherence between 0 and 1, but is {bound:g}.")

    def fit(self, experiment: Experiment) -> None:
        """Refuse a label that the system does not have."""
        _require_label(self.label, experiment)

    def judge(self, result: xr.Dataset, comparison: xr.Dataset) -> Finding:
        """Compare the mean coherence with its bounds."""
        if "coherence" not in result:
            raise BadValue(
                "claim 'coherent' is about phases that may differ, but here each label has one; give the theory a "
                "phase_spread or an alignment."
            )
        series = result["coherence"].sel(beable=self.label).transpose("replica", "time").values
        late = series[:, series.shape[1] // 2 :]
        late = late[~np.isnan(late).all(axis=1)]
        if not late.size:
            return Finding(False, f"coherence cannot be judged: label '{self.label}' is empty in every replica")
        each = np.nanmean(late, axis=1)
        mean = float(each.mean())
        error = float(each.std(ddof=1) / math.sqrt(each.size)) if each.size > 1 else 0.0
        holds, rules = True, []
        if self.at_least is not None:
            holds &= mean - SAFETY * error >= self.at_least
            rules.append(f"at least {self.at_least:g}")
        if self.at_most is not None:
            holds &= mean + SAFETY * error <= self.at_most
            rules.append(f"at most {self.at_most:g}")
        found = f"the late coherence of label '{self.label}' is {plus_minus(mean, error)}"
        return Finding(holds, f"{found}; the claim asks for {' and '.join(rules)}")


@dataclass(frozen=True)
class Conserved(ClaimOfOne):
    """The counts of a part's labels, summed over the other parts', stand still in every replica: no signal reaches it.

    Parameters
    ----------
    part : str
    """

    part: str

    def fit(self, experiment: Experiment) -> None:
        """Refuse a part that the system does not have."""
        names = [part.name for part in experiment.system.parts]
        if not names:
            raise BadValue(f"part must be one of a composite system's, but is '{self.part}' of a system without parts.")
        if self.part not in names:
            raise BadValue(f"part must be one of {_few(names)}, but is '{self.part}'.")

    def judge(self, result: xr.Dataset, comparison: xr.Dataset) -> Finding:
        """Look for the largest change since the start, and see to it that the rest has moved."""
        if "counts" not in result:
            raise BadValue("claim 'conserved' is about counts, which this theory does not give; choose another claim.")
        counts = partial(result, self.part)["counts"].values
        change = int(np.abs(counts - counts[:, :1]).max())
        events = int(result["events"].isel(time=-1).sum()) if "events" in result else 0
        found = f"the counts of part '{self.part}' change by at most {change} copies while {events} copy events happen"
        return Finding(change == 0 and events > 0, f"{found}; the claim allows no change, and asks for events")


CLAIMS: dict[str, type[Claim]] = {
    "agrees": Agrees,
    "deviates": Deviates,
    "within": Within,
    "extinct": Extinct,
    "still": Still,
    "closer": Closer,
    "coherent": Coherent,
    "conserved": Conserved,
}


def two_sided_binomial(found: int, trials: int, probability: float) -> float:
    """Probability that a binomial number lies as far out as ``found``: twice the smaller tail, at most one."""
    if probability in (0.0, 1.0):
        return float(found == trials * probability)
    numbers = np.arange(trials + 1)
    ways = [math.lgamma(trials + 1) - math.lgamma(k + 1) - math.lgamma(trials - k + 1) for k in numbers]
    weights = np.exp(ways + numbers * math.log(probability) + (trials - numbers) * math.log1p(-probability))
    return min(1.0, 2.0 * float(min(weights[: found + 1].sum(), weights[found:].sum())))


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


def _choose(value: str, name: str, options: Sequence[str]) -> None:
    if value not in options:
        found = f"is '{value}'" if value else "is missing"
        raise BadValue(f"{name} must be one of {', '.join(options)}, but {found}.")


def _words(name: str) -> str:
    return "max deviation" if name == "max_deviation" else name.replace("_", " ")


def _require_label(label: str, experiment: Experiment) -> None:
    labels = experiment.system.labels
    if label not in labels:
        raise BadValue(f"label must be one of {_few(labels)}, but is '{label}'.")


def _few(labels: Sequence[str]) -> str:
    return ", ".join(labels) if len(labels) <= 8 else f"{labels[0]}, {labels[1]}, ..., {labels[-1]}"
