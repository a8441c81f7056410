"""How numbers are written in sentences and tables."""

from __future__ import annotations

import math
import re
from typing import SupportsFloat

NEGLIGIBLE = 1e-9
"""Error, relative to its value, that is rounding and no statistics."""


def plus_minus(value: float, error: float, digits: int = 4) -> str:
    """Write ``value`` and its standard error with two digits of the error: "6.08 ± 0.12", "(6.08 ± 0.12)e-05".

    Without an error the value has ``digits`` of its own.
    """
    if not math.isfinite(value):
        return f"{value:g}"
    if not (math.isfinite(error) and error > NEGLIGIBLE * abs(value)):
        return f"{value:.{digits}g}"
    largest = math.floor(math.log10(max(abs(value), error)))
    power = largest if largest < -3 or largest > 5 else 0
    places = max(0, 1 - math.floor(math.log10(error)) + power)
    pair = f"{value / 10.0**power:.{places}f} ± {error / 10.0**power:.{places}f}"
    return f"({pair})e{power:+03d}" if power else pair


def duration(seconds: float) -> str:
    """Write a length of time with two digits, in the unit that suits it: "0.0034 s", "12 s", "3.5 h"."""
    unit, name = next(
        (length, name)
        for length, name in ((365.25 * 86400.0, "years"), (86400.0, "days"), (3600.0, "h"), (60.0, "min"), (0.0, "s"))
        if seconds >= 2.0 * length
    )
    return f"{_two_digits(seconds / (unit or 1.0))} {name}"


def size(count: float) -> str:
    """Write a number of bytes with two digits: "0.85 kB", "30 MB"."""
    power = min(5, max(1, math.floor(math.log10(max(count, 1.0)) / 3.0)))
    return f"{_two_digits(count / 1000.0**power)} {'kMGTP'[power - 1]}B"


def said_of(value: object) -> str:
    """Write a swept value: numbers short, text as it is."""
    if isinstance(value, (bool, str)) or not isinstance(value, SupportsFloat):
        return str(value)
    whole = float(value).is_integer() and abs(float(value)) < 1e7
    return str(int(float(value))) if whole else f"{float(value):.6g}"


def plural(meaning: str) -> str:
    """Name several of what a label means: "sites", "energy levels", "momenta"."""
    return "momenta" if meaning == "momentum" else f"{meaning}s"


def alignment(law: str) -> str:
    """Name what an `Alignment`, written as Python, does: "alignment of strength 0.6, friction 4, momentum reset"."""
    said = [
        (name, value.strip("'"))
        for name, value in re.findall(r"(\w+)=([^,)]+)", law)
        if name == "strength" or value not in ("0.0", "'copied'")
    ]
    return "alignment of " + ", ".join(f"{name} {value.removesuffix('.0')}" for name, value in said)


def _two_digits(value: float) -> str:
    if not 0.0 < value < 1e6:
        return f"{value:.2g}"
    return f"{round(value, 1 - math.floor(math.log10(value))):.{max(0, 1 - math.floor(math.log10(value)))}f}"
