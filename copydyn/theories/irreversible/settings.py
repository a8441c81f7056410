"""What the parameters of theories of irreversibility may be."""

from __future__ import annotations

import math
import warnings
from typing import Any

from copydyn.experiment.inputs import as_hermitian, as_real, dense, shown
from copydyn.refusal import BadType, BadValue
from copydyn.theories.irreversible.equilibrium import Window

NOISES = ("real", "complex")
"""Wiener processes as the paper prints them, or complex ones, whose law does not depend on the eigenvectors' phases."""

MOST_ENTRIES = 2**22
"""Entries of density matrices that a result keeps (64 MB)."""

COARSE = 0.1
"""Rate times step beyond which what is not linear in rho errs by per cents."""

LONGEST_STEP = 1.0
"""Rate times step beyond which a step is none."""


def as_rate(rate: Any, name: str) -> float:
    """Give a rate, 1/time, which may be zero."""
    real = as_real(rate, name)
    if real < 0.0:
        raise BadValue(f"{name} must be >= 0, but is {real:g}; zero switches it off.")
    return real


def as_step(step: Any) -> float:
    """Give the largest rate times step."""
    real = as_real(step, "step", positive=True)
    if real > LONGEST_STEP:
        raise BadValue(f"step must be at most {LONGEST_STEP:g}, but is {real:g}; it is the largest rate times step.")
    return real


def warn_of_coarse_steps(step: float, scheme: str, right: str) -> None:
    """Warn of steps that are too long for what is not linear in rho; ``right`` says what is right all the same."""
    if step > COARSE and scheme != "jumps":
        warnings.warn(
            f"step must be at most {COARSE:g} for what is not linear in rho, but is {step:g}; {right}.",
            RuntimeWarning,
            stacklevel=3,
        )


def as_window(window: Any) -> Window:
    """Give a window, also by the name of its rule."""
    if isinstance(window, str):
        return Window(rule=window)
    if not isinstance(window, Window):
        raise BadType(f"window must be a Window or the name of its rule, but is {shown(window)}.")
    return window


def as_part(part: Any) -> str:
    """Give the name of a part, which may be empty."""
    if not isinstance(part, str):
        raise BadType(f"part must be the name of a part, but is {shown(part)}.")
    return part


def as_projectors(projectors: Any) -> Any:
    """Give projectors as something that can be compared and named in full: a word, or tuples of labels or of rows."""
    if isinstance(projectors, str):
        return projectors
    if not isinstance(projectors, (list, tuple)):
        raise BadType(
            f"projectors must be 'beables', 'pointer', groups of labels or matrices, but are {shown(projectors)}."
        )
    return tuple(_as_projector(one) for one in projectors)


def _as_projector(one: Any) -> tuple[Any, ...]:
    if isinstance(one, (list, tuple)) and all(isinstance(label, str) for label in one):
        return tuple(one)
    return tuple(tuple(row) for row in dense(as_hermitian(one, "projectors")).tolist())


def longest_step(step: float, fastest: float, *rates: float) -> float:
    """Give the longest dt with rate dt <= step for each of the rates, and a turn of at most 2 step rad."""
    bounds = [step / rate for rate in rates if rate > 0.0]
    if fastest > 0.0:
        bounds.append(2.0 * step / fastest)
    return min(bounds, default=math.inf)
