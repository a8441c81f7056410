"""What the parameters of copy dynamics may be."""

from __future__ import annotations

import warnings
from dataclasses import fields
from typing import Any

import numpy as np

from copydyn.experiment.inputs import as_real, as_vector, as_whole, shown
from copydyn.refusal import BadType, BadValue, did_you_mean
from copydyn.theories.copies.leaps import FEWEST, FINEST_LEAP, LARGEST_FEW, LONGEST_LEAP
from copydyn.theories.copies.rules import RULES, Rule

FINEST_STEP = 1e-7
"""Phase step below which a unit of time takes seconds, and the default is finer than any noise already."""

WIDEST_SPREAD = 1e6
"""Radians beyond which the digits of a phase are lost."""


def as_rule(rule: Any) -> str | Rule:
    """Give a rule by its name where it has one."""
    if isinstance(rule, Rule):
        return next((name for name, known in RULES.items() if rule == known), rule)
    if not isinstance(rule, str) or rule not in RULES:
        hint = did_you_mean(rule, RULES) if isinstance(rule, str) else ""
        known, found = ", ".join(RULES), f"but is {shown(rule)}{f' ({hint})' if hint else ''}"
        raise BadValue(
            f"rule must be one of {known}, or a Rule, {found}.",
            in_scenario=f"rule must be one of {known}, or a table [theory.rule], {found}.",
        )
    return rule


def rule_of(rule: str | Rule) -> Rule:
    """Give the rule behind a name."""
    return rule if isinstance(rule, Rule) else RULES[rule]


def as_rows(follow: Any) -> tuple[int, ...]:
    """Give the rows of tagged copies."""
    if isinstance(follow, (str, bytes)) or not np.iterable(follow):
        raise BadType(f"follow must be a sequence of row numbers, but is {shown(follow)}.")
    return tuple(as_whole(row, "follow") for row in follow)


def as_admixture(admixture: Any) -> tuple[float, tuple[complex, ...]] | None:
    """Give eps and the ket of an admixture, if there is one."""
    if admixture is None:
        return None
    if not isinstance(admixture, (tuple, list)) or len(admixture) != 2:
        raise BadType("admixture must be a pair (eps, ket).")
    share = as_real(admixture[0], "eps of admixture")
    if not 0.0 <= share < 1.0:
        raise BadValue(f"eps of admixture must be in [0, 1), but is {share:g}.")
    return share, tuple(as_vector(admixture[1], "the ket of admixture").ravel().tolist())


def as_spread(spread: Any) -> float:
    """Give the spread of the phases in rad; infinite for uniform ones."""
    if isinstance(spread, float) and spread == np.inf:
        return spread
    real = as_real(spread, "phase_spread")
    if real < 0.0:
        raise BadValue(f"phase_spread must be >= 0, but is {real:g}.")
    if real > WIDEST_SPREAD:
        raise BadValue(
            f"phase_spread must be at most {WIDEST_SPREAD:g}, but is {real:g}; inf stands for uniform phases."
        )
    return real


def as_phase_step(phase_step: Any) -> float | None:
    """Give the largest relative change of an amplitude within a step, if one is said."""
    if phase_step is None:
        return None
    real = as_real(phase_step, "phase_step", positive=True)
    if real < FINEST_STEP:
        raise BadValue(f"phase_step must be at least {FINEST_STEP:g}, but is {real:g}; leave it out for a sound one.")
    if real > 0.2:
        raise BadValue(f"phase_step must be at most 0.2, but is {real:g}; within a step phases follow short series.")
    return real


def as_leap_step(leap_step: Any) -> float | None:
    """Give the largest angle of a leap in rad, if one is said; a longer one is shortened, with a warning."""
    if leap_step is None:
        return None
    real = as_real(leap_step, "leap_step", positive=True)
    if real < FINEST_LEAP:
        raise BadValue(f"leap_step must be at least {FINEST_LEAP:g}, but is {real:g}; engine 'exact' has no leaps.")
    if real > LONGEST_LEAP:
        warnings.warn(
            f"leap_step must be at most {LONGEST_LEAP:g} rad, but is {real:g}: in a longer one more copies might leave "
            f"a label than it has; it is shortened to {LONGEST_LEAP:g}.",
            RuntimeWarning,
            stacklevel=4,
        )
        return LONGEST_LEAP
    return real


def as_few(few: Any) -> int | None:
    """Give the number of copies up to which leaps count them one by one, if it is said."""
    return None if few is None else as_whole(few, "few", least=FEWEST, most=LARGEST_FEW)


def parameters_of(theory: Any) -> dict[str, Any]:
    """Give every parameter of a theory as an attribute of its results, ``theory_NAME``: no list of them to forget one.

    What is itself made of parameters and has no short name is told in parts, and empty names are left out.
    """
    told: dict[str, Any] = {}
    for one in fields(theory):
        value = getattr(theory, one.name)
        told |= value.as_parameters() if hasattr(value, "as_parameters") else {one.name: value}
    return {f"theory_{name}": plain(value) for name, value in told.items() if value != ""}


def plain(value: Any) -> Any:
    """What an attribute of a netCDF file can hold."""
    if isinstance(value, (bool, np.bool_)):
        return int(value)
    return value if isinstance(value, (int, float, str)) else repr(value)
