"""Tables into objects. What a table may say is read off the signature of what it makes, so that a new system, theory or
claim needs no line here."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, TypeAlias, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ConfigDict, PlainValidator, ValidationError, create_model

from copydyn.experiment.inputs import DiagonalOrMatrix, Ket
from copydyn.refusal import Refusal, did_you_mean
from copydyn.scenario.source import BadScenario, Source
from copydyn.scenario.toml_text import Key, brief, shown, without_quotes

Table: TypeAlias = str | Key
"""Which table: "system" for [system], ("theory", 0) for the first [[theory]], ("theory", "rule") for [theory.rule]."""

LARGEST_WHOLE = 2**63
"""TOML's integers end here."""

_LISTS = (tuple, list, Sequence)


class Reader:
    """Makes the objects that the tables of ``source`` describe, and collects every fault on the way."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.faults = list(source.faults)
        self._kinds: dict[Table, str] = {}

    def finish(self) -> None:
        """Raise all faults together, if there are any.

        Raises
        ------
        BadScenario
        """
        if self.faults:
            raise BadScenario(list(dict.fromkeys(self.faults)))  # an override of several tables fails in each

    def know(self, tables: Sequence[str], words: Sequence[str]) -> None:
        """Refuse every table and top-level key but these; ``words`` are strings."""
        for name, value in self.source.tables.items():
            place = self.source.place_of(name)
            if name not in (*tables, *words):
                hint = did_you_mean(name, [*tables, *words]) or f"a scenario has {', '.join((*words, *tables))}."
                self.faults.append(f"{place}: '{brief(name)}' is no table or key of a scenario; {hint}")
            elif name in words and not isinstance(value, str):
                self.faults.append(f"{place}: {name} must be a string, but is {shown(value)}; put it in quotes.")

    def each(self, table: str) -> list[Table]:
        """Give the place of every [[table]], or of the one [table], given or not."""
        values = self.source.tables.get(table)
        if not isinstance(values, list):
            return [table]
        if not values:
            self._no_table(table)
        return [(table, number) for number in range(len(values))]

    def kind_of(self, table: Table) -> str:
        """Give the kind that `choose` has found, or nothing."""
        return self._kinds.get(table, "")

    def said(self, table: Table, key: str) -> Any:
        """Give the value of ``key`` as it stands in ``table``, or None."""
        values = self._values(table)
        return values.get(key) if isinstance(values, dict) else None

    def choose(self, table: Table, registry: Mapping[str, Callable[..., Any]], default: str | None = None) -> Any:
        """Give the maker that ``kind`` names, or None with a fault noted."""
        values = self._values(table)
        if values is None and default is None:
            self.faults.append(
                f"{self.source.origin}: [{table}] is missing; add it with a kind of {', '.join(registry)}."
            )
            return None
        if values is not None and not isinstance(values, dict):
            return self._no_table(table)
        kind = default if values is None else values.get("kind", default)
        if isinstance(kind, str) and kind in registry:
            self._kinds[table] = kind
            return registry[kind]
        found = "is missing" if kind is None else f"is {shown(kind)}"
        hint = did_you_mean(kind, registry) if isinstance(kind, str) else ""
        self._note(
            table, "kind", f"kind must be one of {', '.join(registry)}, but {found}; {hint or 'choose one of them.'}"
        )
        return None

    def make(self, table: Table, maker: Callable[..., Any] | None, *given: Any, besides: Sequence[str] = ()) -> Any:
        """Make the object of ``table``; None with the faults noted, or where ``maker`` or a given thing is missing.

        The keys ``besides`` its parameters are somebody else's.
        """
        values = self._values(table)
        if maker is None:
            return None
        if values is None:
            values = {}
        if not isinstance(values, dict):
            return self._no_table(table)
        values = {key: value for key, value in values.items() if key not in besides}
        parameters = self._parameters(table, values, maker, len(given))
        if parameters is None or any(thing is None for thing in given):
            return None
        return self.attempt(table, maker, *given, **parameters)

    def attempt(self, table: Table, action: Callable[..., Any], *given: Any, **parameters: Any) -> Any:
        """Give what ``action`` returns, or None with its refusal noted as a fault of ``table``."""
        if any(thing is None for thing in given):
            return None
        try:
            return action(*given, **parameters)
        except Refusal as refusal:
            values = self._values(table) or {}
            blamed = (word for word in re.findall(r"\w+", str(refusal)) if word in values)
            self._note(table, next(blamed, ""), refusal.in_scenario)
            return None

    def _parameters(
        self, table: Table, values: dict[str, Any], maker: Callable[..., Any], given: int
    ) -> dict[str, Any] | None:
        """Check ``values`` against the signature of ``maker``, less its first ``given`` parameters."""
        allowed = _annotations(maker, given)
        said = {key: value for key, value in values.items() if key != "kind" or table not in self._kinds}
        made = {key: self._records((*_address(table), key), said[key], allowed[key]) for key in said if key in allowed}
        broken = {key for key, value in made.items() if value is None}
        said |= {key: value for key, value in made.items() if key not in broken}
        try:
            model = _model(maker, given).model_validate(said)
        except ValidationError as error:
            for key, locations in _by_key(error):
                if key not in broken:  # else its faults are noted already
                    self._note(table, key, self._explain(table, key, locations, said, allowed))
            return None
        return None if broken else {key: getattr(model, key) for key in model.model_fields_set}

    def _records(self, key: Key, value: Any, annotation: Any) -> Any:
        """Make of each table in ``value`` the dataclass that ``annotation`` asks for; None with the faults noted."""
        options = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
        if isinstance(value, dict):
            maker = next((option for option in options if _is_record(option)), None)
            return value if maker is None else self._record(key, value, maker)
        row = next((option for option in options if get_origin(option) in _LISTS), None)
        if isinstance(value, list) and row is not None:
            entries = [self._records((*key, place), entry, get_args(row)[0]) for place, entry in enumerate(value)]
            return None if any(entry is None for entry in entries) else entries
        return value

    def _record(self, key: Key, values: dict[str, Any], maker: Callable[..., Any]) -> Any:
        parameters = self._parameters(key, values, maker, 0)
        try:
            return None if parameters is None else maker(**parameters)
        except Refusal as refusal:
            blamed = (word for word in re.findall(r"\w+", str(refusal)) if word in values)
            self._note(key, next(blamed, ""), refusal.in_scenario)
            return None

    def _explain(
        self, table: Table, key: str, locations: list[tuple[Any, ...]], said: dict[str, Any], allowed: dict[str, Any]
    ) -> str:
        if key not in allowed:
            return self._unknown(table, key, said[key], list(allowed))
        wish = wanted(allowed[key])
        if key not in said:
            return f"{key} must be given, but is missing; add it as {wish}."
        where, value = _innermost(key, said[key], locations)
        path = [step for step in (*_address(table), key) if isinstance(step, str)]
        hint = _hint(said[key], ".".join(path), pairs=complex in (allowed[key], *get_args(allowed[key])))
        return f"{key} must be {wish}, but {where}is {shown(value)}{hint}."

    def _unknown(self, table: Table, key: str, value: Any, allowed: list[str]) -> str:
        kind, known = self._kinds.get(table, "this table"), ", ".join(allowed)
        if isinstance(table, str) or any(isinstance(step, str) for step in table[1:]):
            return f"'{brief(key)}' is no key of {kind}; {did_you_mean(key, allowed) or f'it has {known}.'}"
        name = table[0]
        if not isinstance(value, dict):
            alone = f"{name}.NAME.{brief(key)} changes one [[{name}]] alone."
            hint = did_you_mean(key, allowed) or f"it has {known}; {alone}"
            return f"'{brief(key)}' is no key of {kind}; {hint}"
        names = [str(self.said(place, "name") or number) for number, place in enumerate(self.each(str(name)))]
        hint = did_you_mean(key, [*names, *allowed]) or f"the names are {', '.join(names)}."
        return f"'{brief(key)}' is no name of a [[{name}]] and no key of {kind}; {hint}"

    def _values(self, table: Table) -> Any:
        """Give what stands at ``table``, or None."""
        name, *number = _address(table)
        values = self.source.tables.get(str(name))
        return values[int(number[0])] if number and isinstance(values, list) else values

    def _no_table(self, table: Table) -> None:
        name = _address(table)[0]
        self._note(table, "", f"must be a table, but is {shown(self._values(table))}; write [{name}].")

    def _note(self, table: Table, key: str, sentence: str) -> None:
        name, *rest = address = _address(table)
        if rest and isinstance(rest[0], int):  # which [[theory]] it is, the place tells
            del rest[0]
        path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in rest)
        self.faults.append(f"{self.source.place_of(*address, key)}: [{name}{path}] {sentence}")


def _address(table: Table) -> Key:
    return (table,) if isinstance(table, str) else table


def wanted(annotation: Any, *, many: bool = False) -> str:
    """Say in words what a value of ``annotation`` looks like in TOML."""
    if _is_record(annotation):
        return f"{'tables' if many else 'a table'} of {', '.join(_annotations(annotation, 0))}"
    one, plural = _WORDS.get(annotation, ("", ""))
    if one:
        return plural if many else one
    parts = [part for part in get_args(annotation) if part not in (NoneType, Ellipsis)]
    if get_origin(annotation) in (Union, UnionType):
        return " or ".join(wanted(part, many=many) for part in parts)
    if len(set(parts)) > 1:
        return "a list of " + " and ".join(wanted(part) for part in parts)
    number = f"{len(parts)} " if len(parts) > 1 else ""
    return ("lists" if many else "a list") + f" of {number}{wanted(parts[0], many=True)}"


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError
    try:
        return float(value)
    except OverflowError:
        raise ValueError from None


def _whole(value: Any) -> int:
    whole = int(value) if isinstance(value, float) and value.is_integer() else value
    if isinstance(whole, bool) or not isinstance(whole, int) or abs(whole) >= LARGEST_WHOLE:
        raise ValueError
    return whole


def _complex(value: Any) -> complex:
    if isinstance(value, str):
        return complex(value)  # reads a literal; it evaluates nothing
    if isinstance(value, list) and len(value) == 2:
        return complex(_number(value[0]), _number(value[1]))
    return complex(_number(value))


def _ket(value: Any) -> list[complex]:
    if not isinstance(value, list):
        raise ValueError
    return [_complex(entry) for entry in value]


def _diagonal_or_matrix(value: Any) -> list[Any]:
    """Read real numbers, or rows of complex ones: [[0.5, 0], [0, 0.5]] is a matrix, no list of pairs."""
    if not isinstance(value, list):
        raise ValueError
    if value and all(isinstance(row, list) for row in value):
        return [_ket(row) for row in value]
    return [_number(entry) for entry in value]


def _exactly(kind: type) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        if not isinstance(value, kind):
            raise ValueError
        return value

    return check


_WORDS: dict[Any, tuple[str, str]] = {
    float: ("a number", "numbers"),
    int: ("a whole number below 2^63", "whole numbers"),
    complex: ('a complex number (0.3, [0.3, 0.4] or "0.3+0.4j")', "complex numbers"),
    bool: ("true or false", "true or false"),
    str: ("a string", "strings"),
    Ket: ("a ket (a list of complex numbers)", "kets"),
    DiagonalOrMatrix: ("a list of numbers, or a matrix (a list of rows)", "lists of numbers or matrices"),
}

_READ_BY: dict[Any, Callable[[Any], Any]] = {
    float: _number,
    int: _whole,
    complex: _complex,
    bool: _exactly(bool),
    str: _exactly(str),
    Ket: _ket,
    DiagonalOrMatrix: _diagonal_or_matrix,
}


def quickly(maker: Callable[..., Any], values: Mapping[str, Any]) -> Any:
    """Make what `Reader.make` would of the same values, without words for what is wrong with them.

    Raises
    ------
    ValueError, Refusal
        If anything is.
    """
    model = _model(maker, 0).model_validate(values)
    return maker(**{key: getattr(model, key) for key in model.model_fields_set})


def _is_record(annotation: Any) -> bool:
    """Tell whether values of ``annotation`` are made of tables."""
    return is_dataclass(annotation)


@cache  # reading them off the source text is half of what checking a scenario costs
def _annotations(maker: Callable[..., Any], given: int) -> dict[str, Any]:
    names = list(inspect.signature(maker).parameters)[given:]
    hints = get_type_hints(maker, include_extras=True)
    return {name: hints[name] for name in names}


@cache  # a list of a thousand tables asks a thousand times
def _model(maker: Callable[..., Any], given: int) -> type[BaseModel]:
    """Derive the pydantic model of a table from the signature of what it makes."""
    parameters = inspect.signature(maker).parameters
    fields: dict[str, Any] = {}
    for name, annotation in _annotations(maker, given).items():
        required = parameters[name].default is inspect.Parameter.empty
        fields[name] = (_checked(annotation), ... if required else None)
    return create_model("Parameters", __config__=ConfigDict(extra="forbid", protected_namespaces=()), **fields)


def _checked(annotation: Any) -> Any:
    """Put our readers in the place of the plain types: TOML knows numbers, so "3" is none, nor is true."""
    if _is_record(annotation):
        return Annotated[annotation, PlainValidator(_exactly(annotation))]
    if annotation in _READ_BY:
        return Annotated[annotation, PlainValidator(_READ_BY[annotation])]
    if annotation is Any:
        raise TypeError("a parameter that a scenario can set must say what it takes; Any says nothing")
    parts = tuple(part if part in (NoneType, Ellipsis) else _checked(part) for part in get_args(annotation))
    origin = get_origin(annotation)
    if origin in (Union, UnionType):
        return Union[parts]  # noqa: UP007  # the parts are known only now
    return origin[parts] if origin is not None else annotation


def _by_key(error: ValidationError) -> Iterator[tuple[str, list[tuple[Any, ...]]]]:
    """Group the locations of the errors by the key that they lie in."""
    groups: dict[str, list[tuple[Any, ...]]] = {}
    for fault in error.errors(include_url=False, include_context=False, include_input=False):
        groups.setdefault(str(fault["loc"][0]), []).append(fault["loc"])
    yield from groups.items()


def _hint(value: Any, key: str, *, pairs: bool) -> str:
    """Say what was meant: complex numbers that want quotes, or several values, which are a sweep.

    Where a list may be a number, a wrong one is no sweep.
    """
    if isinstance(value, str) and (bare := without_quotes([value])):
        return f"; {bare.rstrip('.')}"
    several = value if isinstance(value, str) and re.fullmatch(r"\w+\(.*\)|[^\[\]]*,[^\[\]]*", value) else ""
    if not pairs and isinstance(value, list) and len(value) > 1 and all(isinstance(one, (int, float)) for one in value):
        several = ",".join(f"{one:g}" for one in value)
    return f"; several values are a sweep: python -m copydyn sweep NAME '{key}={brief(several)}'" if several else ""


def _innermost(key: str, value: Any, locations: list[tuple[Any, ...]]) -> tuple[str, Any]:
    """Follow the deepest location into ``value``: ("couplings[1]", "abc")."""
    paths = [[step for step in location if isinstance(step, int)] for location in locations]
    name = key
    for step in max(paths, key=len):
        if not isinstance(value, list) or step >= len(value):
            break
        name, value = f"{name}[{step}]", value[step]
    return f"{name} " if name != key else "", value
