"""Systems of two and three levels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from copydyn.experiment import System
from copydyn.experiment.inputs import as_real, shown
from copydyn.refusal import BadType, BadValue


def two_level(detuning: float = 0.0, coupling: complex = 0.5, hbar: float = 1.0) -> System:
    """H = (D/2) (|0><0| - |1><1|) + g |0><1| + g* |1><0|.

    Parameters
    ----------
    detuning : float
        D, energy; zero is resonance.
    coupling : complex
        g, energy. An ensemble flops at the angular frequency sqrt(D^2 + 4 |g|^2) / hbar.
    """
    d, g = as_real(detuning, "detuning"), as_complex(coupling, "coupling")
    h = np.array([[0.5 * d, g], [g.conjugate(), -0.5 * d]])
    return System(h, labels=("0", "1"), meaning="level", hbar=hbar, name="two-level")


def three_level(
    energies: tuple[float, float, float] = (0.0, 0.4, -0.3),
    couplings: tuple[complex, complex, complex] = (0.5 + 0.2j, 0.4 - 0.3j, 0.3 + 0.4j),
    hbar: float = 1.0,
) -> System:
    """H = sum_a E_a |a><a| + (g_01 |0><1| + g_02 |0><2| + g_12 |1><2| + h.c.).

    The phase of g_01 g_12 g_02* is the flux through the triangle, which no choice of phases of the labels removes.
    """
    h = np.diag([as_real(energy, "energies") for energy in _three(energies, "energies")]).astype(complex)
    for (a, b), value in zip(((0, 1), (0, 2), (1, 2)), _three(couplings, "couplings"), strict=True):
        g = as_complex(value, "couplings")
        h[a, b], h[b, a] = g, g.conjugate()
    return System(h, labels=("0", "1", "2"), meaning="level", hbar=hbar, name="three-level")


def as_complex(value: complex, name: str) -> complex:
    """Give ``value`` as a finite complex number."""
    try:
        number = complex(value)
    except (TypeError, ValueError, OverflowError):
        raise BadType(f"{name} must be a complex number, but is {shown(value)}.") from None
    if not np.isfinite(number):
        raise BadValue(f"{name} must be finite, but is {number}.")
    return number


def _three(values: Any, name: str) -> Any:
    if not isinstance(values, Sequence | np.ndarray) or isinstance(values, str) or len(values) != 3:
        raise BadValue(f"{name} must be three: E_0, E_1, E_2 and g_01, g_02, g_12; but {name} is {shown(values)}.")
    return values
