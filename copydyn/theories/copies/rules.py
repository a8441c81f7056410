"""The family of rules of which quantum mechanics is one point: (18), (19), (27), (28) of Smolin (2012)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from copydyn.experiment.inputs import as_real, as_whole, shown
from copydyn.kernels.family import Family
from copydyn.refusal import BadType, BadValue

PHASES = ("flow", "frozen")

HIGHEST_POWER = 1000.0
"""Of n_a/n_b, either way: beyond it even 2^q overflows."""

STRONGEST = 1e30
"""Strengths and offsets beyond which products overflow."""

HIGHEST_ORDER = 64
"""Steps shorten with the order of the harmonics; beyond this one a typing error is likelier than a wish."""


def _require_at_most(most: float, name: str, value: float) -> None:
    if abs(value) > most:
        raise BadValue(f"{name} must be at most {most:g} in size, but is {value:g}; give a smaller one.")


def _shortly(thing: Any) -> str:
    """Name what differs from quantum mechanics, as it stands in tables."""
    return f"{type(thing).__name__}({', '.join(f'{name}={value!r}' for name, value in thing.distinctive().items())})"


def _unusual(thing: Any) -> dict[str, Any]:
    """Give the fields that differ from quantum mechanics: they decide the random stream."""
    said = ((field.name, getattr(thing, field.name), field.default) for field in fields(thing))
    return {name: value for name, value, usual in said if value != usual}


@dataclass(frozen=True, repr=False)
class Harmonic:
    """One term of the two Fourier series (27), (28).

    Parameters
    ----------
    order : int
        m >= 1, of sin+(m theta + copy_offset) and cos(m theta + turn_offset).
    copying : float
        Strength of the copying, >= 0: R'^m_ab = ratio * copying * R_ab.
    turning : float
        Strength in the phase law, of either sign: R^m_ab = turning * R_ab.
    copy_offset, turn_offset : float, rad
        Added for a < b and subtracted for a > b, as delta_ab is: odd under the exchange of the labels.

    Raises
    ------
    BadType, BadValue
    """

    order: int = 1
    copying: float = 1.0
    turning: float = 1.0
    copy_offset: float = 0.0
    turn_offset: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "order", as_whole(self.order, "order", least=1, most=HIGHEST_ORDER))
        for name in ("copying", "turning", "copy_offset", "turn_offset"):
            object.__setattr__(self, name, as_real(getattr(self, name), name))
            _require_at_most(STRONGEST, name, getattr(self, name))
        if self.copying < 0.0:
            raise BadValue(f"copying must be >= 0, but is {self.copying:g}; a copy_offset of pi turns the sine around.")
        if self.copying == 0.0 and self.turning == 0.0:
            raise BadValue(
                f"a harmonic must have a strength, but copying and turning of order {self.order} are both 0; drop it."
            )

    def __repr__(self) -> str:
        return _shortly(self)

    def distinctive(self) -> dict[str, Any]:
        """Give the fields that differ from quantum mechanics."""
        return _unusual(self)


@dataclass(frozen=True, repr=False)
class Rule:
    """How copies copy each other, and how phases turn: for H_ab = hbar R_ab exp(i delta_ab)

        T(b -> a)    = (n_a/n_b)^q sum_m ratio R_ab copying_m sin+(m theta ± copy_offset_m)      per copy in b
        d phi_a / dt = omega_a + sum_b (n_a/n_b)^r sum_m R_ab turning_m cos(m theta ± turn_offset_m)

    with theta = phi_a - phi_b + delta_ab, and the upper sign for a < b. The default is Smolin's rule, whose limit is
    quantum mechanics. Labels without copies take part neither in the copying, whatever q is, nor in the phase law.

    Parameters
    ----------
    q, r : float
        Powers of n_a/n_b, (18) and (19). Reversal in time needs q = 1/2.
    ratio : float
        R'/R > 0; 2 in quantum mechanics.
    harmonics : sequence of Harmonic
        At least one, each order once; kept in rising order.
    phases : {"flow", "frozen"}
        "frozen": phases stand still, omega_a included, and only the copying is left.

    Raises
    ------
    BadType, BadValue
    """

    q: float = 0.5
    r: float = -0.5
    ratio: float = 2.0
    harmonics: Sequence[Harmonic] = (Harmonic(),)
    phases: str = "flow"

    def __post_init__(self) -> None:
        for name in ("q", "r"):
            object.__setattr__(self, name, as_real(getattr(self, name), name))
            _require_at_most(HIGHEST_POWER, name, getattr(self, name))
        object.__setattr__(self, "ratio", as_real(self.ratio, "ratio", positive=True))
        _require_at_most(STRONGEST, "ratio", self.ratio)
        object.__setattr__(self, "harmonics", _as_harmonics(self.harmonics))
        if not isinstance(self.phases, str) or self.phases not in PHASES:
            raise BadValue(f"phases must be one of {', '.join(PHASES)}, but is {shown(self.phases)}.")

    def __repr__(self) -> str:
        return _shortly(self)

    def distinctive(self) -> dict[str, Any]:
        """Give the fields that differ from quantum mechanics."""
        return _unusual(self)

    @property
    def family(self) -> Family:
        """The rule as `copydyn.kernels.family` reads it."""
        columns = {
            name: np.array([getattr(harmonic, name) for harmonic in self.harmonics], dtype=float)
            for name in ("copying", "turning", "copy_offset", "turn_offset")
        }
        return Family(
            q=self.q,
            r=self.r,
            order=np.array([harmonic.order for harmonic in self.harmonics], dtype=np.int64),
            copying=self.ratio * columns["copying"],
            turning=columns["turning"],
            copy_factor=_factors(columns["copy_offset"]),
            turn_factor=_factors(columns["turn_offset"]),
            flow=self.phases == "flow",
        )


def _as_harmonics(harmonics: Any) -> tuple[Harmonic, ...]:
    if isinstance(harmonics, (str, bytes)) or not isinstance(harmonics, Iterable):
        raise BadType(f"harmonics must be a sequence of Harmonic, but is {shown(harmonics)}.")
    series = tuple(harmonics)
    for harmonic in series:
        if not isinstance(harmonic, Harmonic):
            raise BadType(f"harmonics must be a sequence of Harmonic, but one of them is {shown(harmonic)}.")
    if not series:
        fault = "harmonics must hold at least one, but are empty; quantum mechanics has"
        raise BadValue(f"{fault} Harmonic(order=1).", in_scenario=f"{fault} [{{order = 1}}].")
    orders = [harmonic.order for harmonic in series]
    twice = next((order for order in orders if orders.count(order) > 1), None)
    if twice is not None:
        raise BadValue(f"harmonics must differ in their order, but order {twice} stands twice; make one of the two.")
    return tuple(sorted(series, key=lambda harmonic: harmonic.order))


def _factors(offsets: np.ndarray) -> np.ndarray:
    """exp(i offset), exact at the multiples of pi/2: an exact pi must not become a rate."""
    factors = np.exp(1j * offsets)
    factors.real[np.abs(factors.real) < 1e-15] = 0.0
    factors.imag[np.abs(factors.imag) < 1e-15] = 0.0
    return factors


RULES = {"smolin": Rule(), "printed": Rule(harmonics=(Harmonic(copy_offset=math.pi),))}
"""Rules with a name; "printed" takes the sign of (39) as it stands in the paper."""
