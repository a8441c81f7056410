"""What a sweep varies: expressions such as ``theory.copies=1e3,1e4`` or ``linspace(0, 2, 21)``, which are parsed and
never evaluated."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from copydyn.refusal import BadValue, did_you_mean
from copydyn.scenario.source import fault_of_key
from copydyn.scenario.toml_text import brief, parsed_value, shown

MOST_VALUES = 1_000_000
"""Values of one axis beyond which a typing error is likelier than a wish; the file of a sweep lists them."""

LONGEST_EXPRESSION = 2**17
"""Characters."""

DIGITS = 12
"""Significant digits of a value that is computed: 0.3 is written 0.3, and found again when it is typed by hand."""

NOT_SWEPT = ("run.replicas", "run.seed")

_CALL = re.compile(r"([A-Za-z_]\w*)\s*\((.*)\)", re.DOTALL)
_OPEN, _CLOSE = "([{", ")]}"


@dataclass(frozen=True)
class Axis:
    """One dimension of a sweep: keys that change together.

    Parameters
    ----------
    keys : tuple of str
        "theory.copies"; several where axes are zipped.
    values : tuple of tuple
        One value for each key, at each place along the axis.
    origin : str
        Where it was asked for, for sentences.
    """

    keys: tuple[str, ...]
    values: tuple[tuple[Any, ...], ...]
    origin: str

    def __len__(self) -> int:
        return len(self.values)


def parse_axis(text: str) -> Axis | None:
    """Read ``key=values``, or several of them that change together, ``key=values; key=values``.

    Returns
    -------
    Axis or None
        None where every key has but one value, written without a comma: that is an override, and no axis.

    Raises
    ------
    BadValue
    """
    text = text.encode("utf-8", "replace").decode()  # a command line may hold any bytes
    place = brief(text)
    if len(text) > LONGEST_EXPRESSION:
        raise _too_long(place)
    columns: dict[str, list[Any]] = {}
    several = False
    for part in split(text, ";"):
        key, equals, expression = part.partition("=")
        key = ".".join(step.strip() for step in key.split("."))
        if not equals or not all(key.split(".")):
            raise BadValue(
                f"{place}: an axis must have the form table.key=values, such as theory.copies=1e3,1e4 or "
                "system.detuning=linspace(0,2,21)."
            )
        if fault := fault_of_key(key):
            raise BadValue(f"{place}: {fault}")
        if key in columns:
            raise BadValue(f"{place}: '{key}' must stand once in an axis, but stands twice; drop one.")
        values = parse_values(expression, place)
        several = several or values is not None or bool(columns)
        columns[key] = [parsed_value(expression.strip())] if values is None else values
    return zipped(columns, place) if several else None


def zipped(columns: Mapping[str, Sequence[Any]], place: str) -> Axis:
    """Make an axis of keys that change together.

    Raises
    ------
    BadValue
        If they have different numbers of values, or the same ones twice.
    """
    lengths = {key: len(values) for key, values in columns.items()}
    for key in columns:
        require_key(key, place)
    for key, length in lengths.items():
        if not length:
            raise BadValue(f"{place}: '{key}' must have at least one value, but has none.")
        if length > MOST_VALUES:
            raise BadValue(f"{place}: '{key}' must have at most {MOST_VALUES} values, but has {length}.")
    if len(set(lengths.values())) > 1:
        found = ", ".join(f"'{key}' has {length}" for key, length in lengths.items())
        raise BadValue(f"{place}: keys that change together must have equally many values, but {found}.")
    rows = tuple(zip(*(_all_sound(values, key, place) for key, values in columns.items())))
    double = _double(rows)
    if double is not None:
        raise BadValue(
            f"{place}: the values of '{', '.join(columns)}' must differ, but {brief(', '.join(map(shown, double)))} "
            "stands twice; drop one."
        )
    return Axis(tuple(columns), rows, place)


def parse_values(expression: str, place: str) -> list[Any] | None:
    """Read ``1,2,3``, ``linspace(a,b,n)``, ``geomspace(a,b,n)``, ``range([a,]b[,step])``, or ``round(...)`` of these.

    Returns
    -------
    list, or None for a single value

    Raises
    ------
    BadValue
    """
    expression = expression.strip()
    if len(expression) > LONGEST_EXPRESSION:
        raise _too_long(place)
    call = _CALL.fullmatch(expression)
    if call and _closes_at_the_end(expression):
        return _called(call[1], call[2], place)
    parts = split(expression, ",")
    if len(parts) < 2:
        return None
    if not parts[-1].strip():
        parts.pop()  # "1e3," is a list of one
    for part in parts:
        if not part.strip():
            raise BadValue(f"{place}: values must stand between commas, but one is missing; drop a comma.")
    return [parsed_value(part.strip()) for part in parts]


def _too_long(place: str) -> BadValue:
    return BadValue(
        f"{place}: an axis must have at most {LONGEST_EXPRESSION} characters as text; give a list in [sweep.grid]."
    )


def split(text: str, mark: str) -> list[str]:
    """Split ``text`` at every ``mark`` outside brackets and quotes."""
    parts, depth, quote, start = [], 0, "", 0
    for place, sign in enumerate(text):
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "\"'":
            quote = sign
        elif sign in _OPEN:
            depth += 1
        elif sign in _CLOSE:
            depth -= 1
        elif sign == mark and depth <= 0:
            parts.append(text[start:place])
            start = place + 1
    return [*parts, text[start:]]


def canonical(value: Any) -> Any:
    """Give ``value`` so that numbers which a scenario cannot tell apart are the same: 1e3 and 1000."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**63:
        return int(value)
    if isinstance(value, Mapping):
        return {key: canonical(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [canonical(entry) for entry in value]
    return value


def _all_sound(values: Sequence[Any], key: str, place: str) -> Sequence[Any]:
    if all(type(value) is int for value in values) and max(map(abs, values)) < 2**63:
        return values  # as long lists mostly are
    return [_sound(value, key, place) for value in values]


def _sound(value: Any, key: str, place: str) -> Any:
    """Give a value in its `canonical` form, and refuse what no key can take."""
    value = canonical(value)
    if isinstance(value, (list, dict)):
        for entry in value.values() if isinstance(value, dict) else value:
            _sound(entry, key, place)
    elif isinstance(value, float) and math.isnan(value):
        raise BadValue(f"{place}: '{key}' must be given values, but one is nan, which is none.")
    elif isinstance(value, int) and abs(value) >= 2**63:
        raise BadValue(f"{place}: '{key}' must be given whole numbers below 2^63, but one is {shown(value)}.")
    return value


def _double(rows: Sequence[tuple[Any, ...]]) -> tuple[Any, ...] | None:
    """Give the first row that stands twice."""
    plain = all(type(value) in (int, float, str) for row in rows for value in row)
    if plain and len(set(rows)) == len(rows):
        return None
    seen = set()
    for row in rows:
        said = repr(row)
        if said in seen:
            return row
        seen.add(said)
    return None


def require_key(key: str, place: str) -> None:
    """Refuse a key that no sweep can be over.

    Raises
    ------
    BadValue
    """
    if fault := fault_of_key(key):
        raise BadValue(f"{place}: {fault}")
    if key == "theory":
        raise BadValue(f"{place}: 'theory' must be swept key by key, such as theory.copies=1e3,1e4.")
    if key in NOT_SWEPT:
        way_out = "give --replicas" if key == "run.replicas" else "points have random numbers of their own anyway"
        raise BadValue(f"{place}: '{key}' must be the same for all points; {way_out}.")
    if key.split(".")[0] in ("sweep", "claim", "title", "description"):
        raise BadValue(
            f"{place}: '{key}' must be a key that changes what is computed, which it does not; leave it out."
        )


def _closes_at_the_end(expression: str) -> bool:
    """Tell a call from ``f(1) ... g(2)``."""
    depth = 0
    for place, sign in enumerate(expression):
        depth += (sign == "(") - (sign == ")")
        if depth == 0 and sign == ")":
            return place == len(expression) - 1
    return False


def _called(name: str, arguments: str, place: str) -> list[Any]:
    if name == "round":
        if arguments.strip().startswith("round"):
            raise BadValue(f"{place}: round must be given values or a function of axes, but is given round again.")
        values = parse_values(arguments, place) or [parsed_value(arguments.strip())]
        numbers = [_number(value, "round", place) for value in values]
        return list(dict.fromkeys(round(number) for number in numbers))
    if name not in _MAKERS:
        known = [*_MAKERS, "round"]
        hint = did_you_mean(name, known) or f"there are {', '.join(known)}."
        raise BadValue(f"{place}: '{brief(name, 40)}' is no function of axes; {hint} Text is put in quotes.")
    numbers = [_number(parsed_value(part.strip()), name, place) for part in split(arguments, ",")]
    return _MAKERS[name](numbers, place)


def _number(value: Any, name: str, place: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(_float(value)):
        raise BadValue(f"{place}: {name} must be given finite numbers, but is given {shown(value)}.")
    return value


def _float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _ends(numbers: Sequence[float], name: str, place: str) -> tuple[float, float, int]:
    if len(numbers) != 3:
        raise BadValue(
            f"{place}: {name} must be given start, stop and how many, such as {name}(1,2,5), but is given "
            f"{len(numbers)} numbers."
        )
    start, stop, many = numbers
    if many != int(many) or not 1 <= many <= MOST_VALUES:
        raise BadValue(f"{place}: {name} must be asked for 1 to {MOST_VALUES} values, but is for {many:g}.")
    return start, stop, int(many)


def _linspace(numbers: Sequence[float], place: str) -> list[Any]:
    start, stop, many = _ends(numbers, "linspace", place)
    with np.errstate(all="ignore"):
        return _written(np.linspace(start, stop, many), place)


def _geomspace(numbers: Sequence[float], place: str) -> list[Any]:
    start, stop, many = _ends(numbers, "geomspace", place)
    if start == 0.0 or stop == 0.0 or (start < 0.0) != (stop < 0.0):
        raise BadValue(
            f"{place}: geomspace must go from one number to another of the same sign and not zero, but goes from "
            f"{start:g} to {stop:g}; linspace can."
        )
    with np.errstate(all="ignore"):
        return _written(np.geomspace(start, stop, many), place)


def _range(numbers: Sequence[float], place: str) -> list[Any]:
    if not 1 <= len(numbers) <= 3:
        raise BadValue(f"{place}: range must be given stop, start and stop, or start, stop and step.")
    start, stop = (0, numbers[0]) if len(numbers) == 1 else numbers[:2]
    step = numbers[2] if len(numbers) == 3 else 1
    if step == 0:
        raise BadValue(f"{place}: the step of range must not be zero.")
    many = _float(stop - start) / _float(step)
    many = math.ceil(round(many, 9)) if math.isfinite(many) else MOST_VALUES + 1
    if not 1 <= many <= MOST_VALUES:
        raise BadValue(
            f"{place}: range must give 1 to {MOST_VALUES} values, but gives {max(many, 0)}; stop is left out."
        )
    if all(isinstance(number, int) for number in (start, stop, step)):
        return list(range(int(start), int(stop), int(step)))
    return _written(start + step * np.arange(many), place)


def _written(values: np.ndarray, place: str) -> list[Any]:
    """Give values with `DIGITS` digits."""
    if not np.all(np.isfinite(values)):
        raise BadValue(f"{place}: the values of an axis must be finite, but its ends are too far apart for numbers.")
    return [float(f"{value:.{DIGITS}g}") for value in values.tolist()]


_MAKERS: dict[str, Callable[[Sequence[float], str], list[Any]]] = {
    "linspace": _linspace,
    "geomspace": _geomspace,
    "range": _range,
}
