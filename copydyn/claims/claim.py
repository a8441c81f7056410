"""What a claim is, and the words and bounds that all of them share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import xarray as xr

from copydyn.experiment import Experiment
from copydyn.inputs import choose

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
            choose(self.theory, "theory", (*theories, ALL))

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
