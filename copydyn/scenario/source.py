"""Scenario files as they were written: found by name or path, read as TOML, changed by overrides, each value with its
place for the sentences about it. Nothing here knows what a table means."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import NoneType
from typing import Any, NamedTuple, TypeGuard

from copydyn.refusal import BadValue, Refusal, did_you_mean
from copydyn.runs.durable import place
from copydyn.scenario.toml_text import (
    MOST_DEEP,
    Key,
    brief,
    key_lines,
    line_of,
    one_line,
    parsed_value,
    too_deep,
    without_quotes,
)

LARGEST_FILE = 2**20
"""Bytes beyond which a file is taken for something other than a scenario."""

LONGEST_KEY = 200
"""Characters."""

ARRAYS = ("theory", "claim")
"""Tables of which there may be several."""


class BadScenario(BadValue):
    """Every fault of a scenario, one sentence each."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = tuple(faults)


class Override(NamedTuple):
    """A value that replaces the file's; ``place`` is how it was asked for."""

    place: str
    key: str
    value: Any


@dataclass
class Source:
    """The tables of a scenario and where each of their values stands.

    Parameters
    ----------
    name : str
        What the scenario is called: the name of its file without the suffix.
    origin : str
        The file, for sentences.
    tables : dict
    places : dict of key to str
        "scenarios/rabi.toml:12", or the override that gave the value.
    faults : list of str
        What was wrong with the overrides.
    """

    name: str
    origin: str
    tables: dict[str, Any]
    places: dict[Key, str]
    faults: list[str] = field(default_factory=list)

    def place_of(self, *key: str | int) -> str:
        """Say where ``key`` stands, or what holds it."""
        for length in range(len(key), 0, -1):
            if key[:length] in self.places:
                return self.places[key[:length]]
        return self.origin

    def override(self, override: Override) -> None:
        """Put the value of ``override`` in the place of the file's.

        Where ``[[theory]]`` stands several times, "theory.copies" is a key of every one, "theory.floor of 50.copies"
        of the one with that ``name``, and "theory.0.copies" of the first; so also where there is but one [theory].
        """
        table, *path = override.key.split(".")
        if fault := fault_of_key(override.key):
            self._note(f"{override.place}: {fault}")
            return
        entries = self.tables.get(table)
        alone = table in ARRAYS and isinstance(entries, (dict, NoneType))
        several = [entries or {}] if alone else entries
        if not path or not _is_array(several):
            self._put(self.tables, (), (table, *path), override)
            return
        try:
            chosen, rest = _chosen(table, several, path, override.place)
        except Refusal as refusal:
            self._note(str(refusal))
            return
        for number in chosen:
            if alone:
                self._put(self.tables, (), (table, *rest), override)
            else:
                self._put(several[number], (table, number), rest, override)

    def _put(self, outer: dict[str, Any], above: Key, keys: Sequence[str], override: Override) -> None:
        """Put the value at ``keys`` of the table ``outer``, which itself stands at ``above``."""
        *path, last = keys
        table: Any = outer
        for part in path:
            table = table.setdefault(part, {})
            if not isinstance(table, dict):
                self._note(f"{override.place}: '{part}' must be a table to have a key '{last}', but is a value.")
                return
        table[last] = override.value
        whole: Key = (*above, *keys)
        self.places = {key: place for key, place in self.places.items() if key[: len(whole)] != whole}
        for length in range(1, len(whole)):
            self.places.setdefault(whole[:length], override.place)
        self.places[whole] = override.place

    def _note(self, fault: str) -> None:
        if fault not in self.faults:  # an override of all tables of an array fails in each for one reason
            self.faults.append(fault)


def _is_array(value: Any) -> TypeGuard[list[dict[str, Any]]]:
    """Say whether ``value`` is an array of tables."""
    return isinstance(value, list) and bool(value) and all(isinstance(entry, dict) for entry in value)


def _chosen(
    table: str, entries: list[dict[str, Any]], path: list[str], place: str
) -> tuple[Sequence[int], Sequence[str]]:
    """Give the numbers of the ``entries`` that ``path`` means, and what is left of it: a name may hold dots."""
    everyone = range(len(entries))
    if path[0].isdecimal():
        number = int(path[0]) if len(path[0]) < 9 else len(entries)
        if number >= len(entries) or len(path) < 2:
            most = f" to {table}.{len(entries) - 1}.KEY=value" if len(entries) > 1 else ""
            raise BadValue(
                f"{place}: one [[{table}]] of {len(entries)} must be changed as {table}.0.KEY=value{most}, but the key "
                f"is '{'.'.join((table, *path))}'."
            )
        return [number], path[1:]
    for length in range(len(path) - 1, 0, -1):
        name = ".".join(path[:length])
        named = [number for number in everyone if entries[number].get("name") == name]
        if named and any(isinstance(entry.get(path[0]), dict) for entry in entries):
            raise BadValue(
                f"{place}: '{name}' must mean one thing, but is the name of a [[{table}]] and a key of one; "
                f"write {table}.{named[0]}.KEY=value for the former."
            )
        if named:
            return named, path[length:]
    return everyone, path


def parse_override(text: str) -> Override:
    """Read ``table.key=value``; the value is one of TOML, or else a bare string.

    Raises
    ------
    BadValue
        If there is no key or no equals sign.
    """
    text = text.encode("utf-8", "replace").decode()  # a command line may hold any bytes
    key, equals, value = text.partition("=")
    if not equals or not all(part.strip() for part in key.split(".")):
        raise BadValue(f"{brief(text)}: an override must have the form table.key=value, such as theory.copies=1e5.")
    key = ".".join(part.strip() for part in key.split("."))
    return Override(brief(text), key, parsed_value(value.strip()))


def fault_of_key(key: str) -> str:
    """Say why no table has, or ever can have, this key; nothing where one might."""
    if not all(key.split(".")):
        return f"a key must have the form table.key, but is '{brief(key, 40)}'."
    if len(key) > LONGEST_KEY or not key.isprintable() or key.count(".") >= MOST_DEEP:
        return (
            f"a key must have at most {LONGEST_KEY} printable characters and {MOST_DEEP} steps, but '{brief(key, 40)}' "
            "has others or more; write table.key."
        )
    return ""


def read(name_or_path: str, overrides: Sequence[str | Override] = (), *, most: int = LARGEST_FILE) -> Source:
    """Read a shipped scenario by name, or any by path (with a separator or a suffix), and apply ``overrides``.

    Parameters
    ----------
    most : int
        Bytes of the file.

    Raises
    ------
    BadValue
        If the file is missing, empty, too large, no text, no TOML, or no regular file.
    """
    source = _parsed(find(name_or_path), most)
    for override in overrides:
        try:
            source.override(parse_override(override) if isinstance(override, str) else override)
        except Refusal as refusal:
            source.faults.append(str(refusal))
    return source


def find(name_or_path: str) -> Path:
    """Give the file of a scenario."""
    if any(mark in name_or_path for mark in "/\\."):
        return place(name_or_path)
    known = shipped()
    if name_or_path not in known:
        hint = (
            did_you_mean(name_or_path, known) or "`python -m copydyn list` shows them all; your own file ends in .toml."
        )
        raise BadValue(f"no shipped scenario is called {name_or_path!r}; {hint}")
    return known[name_or_path]


def shipped() -> dict[str, Path]:
    """Give the scenarios that come with copydyn: of the installed package, or of the checkout around it."""
    package = Path(__file__).parents[1]
    folder = package / "shipped_scenarios"
    if not folder.is_dir():
        folder = package.parent / "scenarios"
    return {path.stem: path for path in sorted(folder.glob("*.toml"), key=lambda path: path.stem)}


def _parsed(path: Path, most: int) -> Source:
    text, origin = _text(path, most), _shortest(path)
    try:
        tables = tomllib.loads(text)
        deep = too_deep(tables)
    except RecursionError:
        deep = True
    except ValueError as cause:  # besides its own error, tomllib lets those of int() and datetime() pass
        line, reason = line_of(cause, text)
        way = without_quotes((text.splitlines() or [""])[line - 1 : line]) or "correct the line."
        raise BadValue(
            f"{origin}:{line}: a scenario must be valid TOML, but here is none: {brief(reason)}; {way}"
        ) from None
    if deep:
        raise BadValue(f"{origin}: a scenario must not nest its values this deep; a list of lists is deep enough.")
    places = {key: f"{origin}:{line}" for key, line in key_lines(text.replace("\r\n", "\n")).items()}
    name = path.stem.encode("utf-8", "replace").decode()  # a file's name may hold any bytes
    return Source(name, origin, tables, places)


def _text(path: Path, most: int) -> str:
    origin = _shortest(path)
    try:
        fault = _unfit(path, most)
        content = b"" if fault else path.read_bytes()
    except (OSError, ValueError) as cause:  # a NUL in a path is a ValueError
        fault = f"cannot be read ({getattr(cause, 'strerror', None) or cause}); make it readable, or name another file"
    if fault:
        raise BadValue(f"{origin}: {fault}.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as cause:
        raise BadValue(
            f"{origin}: a scenario must be text in UTF-8, but byte {cause.start} is 0x{content[cause.start]:02x}; "
            "save it as UTF-8, or name another file."
        ) from None
    if not text.strip():
        raise BadValue(
            f"{origin}: a scenario must have tables [system], [preparation], [schedule] and [theory], but is empty."
        )
    return text


def _unfit(path: Path, most: int) -> str:
    """Say why ``path`` cannot be a scenario's file, before it is opened: a pipe would be waited for."""
    if path.is_dir():
        return "a scenario must be a file, but this is a folder; name the .toml file in it"
    if path.suffix != ".toml":
        found = f"ends in '{path.suffix}'" if path.suffix else "has no suffix"
        return f"a scenario must be a file that ends in .toml, but this {found}; name another file"
    if not path.exists():
        return "there is no such file; `python -m copydyn list` shows the scenarios that are shipped"
    if not path.is_file():
        return "a scenario must be a regular file, but this is none; name another file"
    size = path.stat().st_size
    if size > most:
        return f"a scenario must be at most {most >> 20} MiB, but has {size} bytes; name another file"
    return ""


def _shortest(path: Path) -> str:
    """Give the path as seen from here where that is shorter."""
    try:
        return one_line(str(path.relative_to(Path.cwd())))
    except (OSError, ValueError):
        return one_line(str(path))
