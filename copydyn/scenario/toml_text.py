"""What tomllib leaves out: the line on which a key stands, and the way from tables back to text."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

Key: TypeAlias = tuple[str | int, ...]
"""Where a value stands: ("theory", "copies"), or ("pulse", 0, "duration") in an array of tables."""

LONGEST_SHOWN = 60

MOST_DEEP = 64
"""Tables and lists within each other beyond which a file is no scenario, and whatever walks through it would fall."""

_UNIT = re.compile(r"\d\.?j\b")
_NUMBER = re.compile(r"[\w.+-]+$")

_TOKEN = re.compile(
    r"""
      (?P<string> \"{3}(?:[^\\]|\\.)*?\"{3,5} | '{3}.*?'{3,5} | "(?:[^"\\\n]|\\.)*" | '[^'\n]*' )
    | (?P<comment> \#[^\n]* )
    | (?P<newline> \n )
    | (?P<open> [\[{] )
    | (?P<close> [\]}] )
    | (?P<other> [^"'#\n\[\]{}]+ | . )
    """,
    re.VERBOSE | re.DOTALL,
)
_KEY = re.compile(r"""(?:"(?:[^"\\]|\\.)*"|'[^']*'|[^="'])*""")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")


def key_lines(text: str) -> dict[Key, int]:
    """Find the line of every table and key of ``text``, which tomllib has accepted.

    Keys within an inline table or a list have no entry: they stand on the line of the key that holds them.
    """
    lines: dict[Key, int] = {}
    elements: dict[Key, int] = {}  # how many [[headers]] an array of tables has had so far
    table: Key = ()
    for line, statement in _statements(text):
        if statement.startswith("[["):
            array = _resolved((), _parts(statement[2:-2]), elements)
            elements[array] = elements.get(array, 0) + 1
            table = (*array, elements[array] - 1)
            _note(lines, table, line)
        elif statement.startswith("["):
            table = _resolved((), _parts(statement[1:-1]), elements, through=True)
            _note(lines, table, line)
        else:
            key = _KEY.match(statement)
            _note(lines, (*table, *_parts(key.group() if key else statement)), line)
    return lines


def line_of(error: Exception, text: str) -> tuple[int, str]:
    """Split what tomllib says of broken ``text`` into a line and a reason."""
    message = str(error)
    found = re.search(r" \(at (?:line (\d+), column \d+|end of document)\)$", message)
    if found is None:
        return 1, message
    line = int(found[1]) if found[1] else max(1, len(text.splitlines()))
    return line, message[: found.start()]


def parsed_value(text: str) -> Any:
    """Read ``text`` as a TOML value, or as a bare string where it is none; nothing is ever evaluated."""
    try:
        tables = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):  # besides its own error, tomllib lets those of int() and datetime() pass
        return text
    return text if len(tables) > 1 or "\n" in text or too_deep(tables) else tables["value"]


def without_quotes(lines: Sequence[str]) -> str:
    """Say what is wrong with a complex number outside quotes, which TOML does not know; nothing where there is none."""
    for line in lines:
        bare = re.sub(r"\"[^\"]*(\"|$)|'[^']*('|$)", "", line)
        found = _UNIT.search(bare)
        if found:
            number = _NUMBER.search(bare[max(0, found.end() - LONGEST_SHOWN) : found.end()])
            return f'put complex numbers in quotes: "{number[0] if number else found[0]}".'
    return ""


def too_deep(value: Any) -> bool:
    """Tell whether tables and lists are nested deeper than `MOST_DEEP`, which dotted keys can do without end."""
    level: list[Any] = [[value]]
    for _ in range(MOST_DEEP + 1):
        level = [
            entry
            for outer in level
            for entry in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(entry, (dict, list))
        ]
        if not level:
            return False
    return True


def one_line(text: str) -> str:
    """Escape what would break a line or not print at all: each fault is one line."""
    return text if text.isprintable() else "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)


def brief(text: str, most: int = 200) -> str:
    """Give the beginning of ``text`` for a sentence, on one line."""
    return one_line(text if len(text) <= most else f"{text[:most]}...")


def emitted(tables: Mapping[str, Any]) -> str:
    """Write ``tables`` as TOML that tomllib reads back to equal tables.

    Tables, and lists of nothing but tables, get headers of their own; what lies deeper is inline.
    """
    plain = [f"{_key(name)} = {value_text(value)}" for name, value in tables.items() if not _has_header(value)]
    blocks = ["\n".join(plain)] if plain else []
    for name, value in tables.items():
        if isinstance(value, Mapping):
            blocks.append(_block(f"[{_key(name)}]", value))
        elif _has_header(value):
            blocks += [_block(f"[[{_key(name)}]]", table) for table in value]
    return "\n\n".join(blocks) + "\n"


def _has_header(value: Any) -> bool:
    several = isinstance(value, (list, tuple)) and bool(value) and all(isinstance(entry, Mapping) for entry in value)
    return several or isinstance(value, Mapping)


def _block(header: str, table: Mapping[str, Any]) -> str:
    return "\n".join([header, *(f"{_key(key)} = {value_text(value)}" for key, value in table.items())])


def value_text(value: Any) -> str:
    """Write one value as TOML."""
    if type(value) is float or (type(value) is int and value.bit_length() <= 64):
        return repr(value)  # first, as lists of numbers may be long
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(value_text, value)) + "]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key(key)} = {value_text(entry)}" for key, entry in value.items()) + "}"
    if isinstance(value, int) and value.bit_length() > 64:
        return hex(value)  # Python refuses to write thousands of decimal digits
    return repr(value) if isinstance(value, (int, float)) else str(value)


def shown(value: Any) -> str:
    """Write one value for a sentence: as TOML, on one line, and not too long."""
    text = one_line(" ".join(value_text(value).split()))
    return text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 3] + "..."


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Yield each header and each key with its value, without comments, and the line on which it starts."""
    line, start, depth, pieces = 1, 1, 0, list[str]()
    for token in _TOKEN.finditer(text):
        kind, piece = token.lastgroup, token.group()
        depth += (kind == "open") - (kind == "close")
        if kind == "newline" and depth == 0:
            statement = "".join(pieces).strip()
            if statement:
                yield start, statement
            pieces.clear()
        elif kind != "comment":
            if not pieces:
                start = line
            pieces.append(piece)
        line += piece.count("\n")
    statement = "".join(pieces).strip()
    if statement:
        yield start, statement


def _parts(dotted: str) -> list[str]:
    """Split a dotted key as tomllib does, quotes and escapes included."""
    parts: list[str] = []
    table: Any = tomllib.loads(f"{dotted.strip()} = 0")
    while isinstance(table, dict):
        parts.append(next(iter(table)))
        table = table[parts[-1]]
    return parts


def _resolved(start: Key, parts: list[str], elements: dict[Key, int], *, through: bool = False) -> Key:
    """Give the key of ``parts``, which runs through the last element of every array of tables on its way."""
    key = start
    for place, part in enumerate(parts):
        key = (*key, part)
        if key in elements and (through or place < len(parts) - 1):
            key = (*key, elements[key] - 1)
    return key


def _note(lines: dict[Key, int], key: Key, line: int) -> None:
    for length in range(1, len(key) + 1):
        lines.setdefault(key[:length], line)


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else json.dumps(name, ensure_ascii=True)


def _string(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    escaped = _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", escaped)
    return f'"""\n{escaped}"""' if "\n" in escaped else f'"{escaped}"'
