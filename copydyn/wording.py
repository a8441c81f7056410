"""How numbers are written in sentences and tables."""

from __future__ import annotations

import math

NEGLIGIBLE = 1e-9
"""Error, relative to its value, that is rounding and no statistics."""


def plus_minus(value: float, error: float) -> str:
    """Write ``value`` and its standard error with two digits of the error: "6.08 ± 0.12", "(6.08 ± 0.12)e-05"."""
    if not math.isfinite(value):
        return f"{value:g}"
    if not (math.isfinite(error) and error > NEGLIGIBLE * abs(value)):
        return f"{value:.4g}"
    largest = math.floor(math.log10(max(abs(value), error)))
    power = largest if largest < -3 or largest > 5 else 0
    digits = max(0, 1 - math.floor(math.log10(error)) + power)
    pair = f"{value / 10.0**power:.{digits}f} ± {error / 10.0**power:.{digits}f}"
    return f"({pair})e{power:+03d}" if power else pair
