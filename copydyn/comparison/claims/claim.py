"""What a claim is, and the words and bounds that all of them share."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import xarray as xr

from copydyn.experiment import Experiment
from copydyn.experiment.inputs import choose

SAFETY = 2.0
"""Standard errors that a bound allows for."""

ALL = "all"
"""What a claim about every theory says in the place of a name."""


class Finding(NamedTuple):
    """Whether a claim holds, with the number found and the rule; None where nothing can be said about it."""

    holds: bool | None
    sentence: str

    @property
    def verdict(self) -> str:
        """The finding in words."""
        return {True: "holds", False: "DOES NOT HOLD", None: "CANNOT BE JUDGED"}[self.holds]


def judged(holds: bool, *numbers: float) -> bool | None:
    """Give ``holds``, or None where one of the numbers that it rests on is not a number."""
    return None if any(math.isnan(number) for number in numbers) else bool(holds)


def all_hold(verdicts: Iterable[bool | None]) -> bool | None:
    """Say whether all hold: one that does not decides; else one that cannot be judged leaves it open."""
    several = list(verdicts)
    return False if False in several else None if None in several else True


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
            choose(self.theory, "theory", (*theories, ALL))

    def settle(self, results: Mapping[str, xr.Dataset], comparisons: Mapping[str, xr.Dataset]) -> Finding:
        """Judge each theory that the claim is about: all must keep the rule."""
        names = list(results) if self.theory in ("", ALL) else [self.theory]
        findings = [self.judge(results[name], comparisons[name]) for name in names]
        if len(results) == 1:
            return findings[0]
        sentences = [f"'{name}': {finding.sentence}" for name, finding in zip(names, findings)]
        return Finding(all_hold(finding.holds for finding in findings), "; ".join(sentences))

    @abstractmethod
    def judge(self, result: xr.Dataset, comparison: xr.Dataset) -> Finding:
        """Say whether the rule is kept."""
