"""Claims about the copies themselves: which labels die out, whether anything moves, whether phases agree."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from scipy import special

from copydyn.comparison.claims.claim import SAFETY, ClaimOfOne, Finding
from copydyn.experiment import Experiment
from copydyn.experiment.inputs import as_real
from copydyn.refusal import BadValue
from copydyn.results.parts import partial
from copydyn.wording import plus_minus

FALSE_ALARM = 1e-4
"""Probability with which a share that is as predicted is called another one."""


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
            return Finding(None, f"coherence cannot be judged: label '{self.label}' is empty in every replica")
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

    Without a copy event it cannot be judged.

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
        moved = f"{found}; the claim allows no change"
        if change == 0 and events == 0:
            return Finding(None, f"{moved}, and cannot be judged where nothing happens")
        return Finding(change == 0, moved)


def two_sided_binomial(found: int, trials: int, probability: float) -> float:
    """Probability that a binomial number lies as far out as ``found``: twice the smaller tail, at most one."""
    if probability in (0.0, 1.0):
        return float(found == trials * probability)
    up_to = special.bdtr(found, trials, probability)
    from_there = special.bdtrc(found - 1, trials, probability) if found else 1.0
    return min(1.0, 2.0 * float(min(up_to, from_there)))


def _require_label(label: str, experiment: Experiment) -> None:
    labels = experiment.system.labels
    if label not in labels:
        raise BadValue(f"label must be one of {_few(labels)}, but is '{label}'.")


def _few(labels: Sequence[str]) -> str:
    return ", ".join(labels) if len(labels) <= 8 else f"{labels[0]}, {labels[1]}, ..., {labels[-1]}"
