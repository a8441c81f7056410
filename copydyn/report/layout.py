"""How text is fitted to the screen: entries, tables, and lines that are broken where they are too long."""

from __future__ import annotations

import re
import shutil
import textwrap
from collections.abc import Sequence
from itertools import zip_longest

WIDEST, NARROWEST = 100, 40
"""Columns beyond which lines are hard to read, and below which they are left to the terminal to break."""

MARGIN = "  "
_FIRST = 14
_APART = "  "

_HEAD = re.compile(r"\s*(\S+( \S+)*)?\s{2,}(?=\S)")
"""A word and the gap behind it, or a margin: what hangs of a broken line goes below the text that follows."""

_COMMAND = "python -m copydyn "

_HELD = str.maketrans("\0", " ")


def columns() -> int:
    """Tell how wide the screen is: COLUMNS where it says so, or the terminal, or 100; within 40 and 100."""
    return min(WIDEST, max(NARROWEST, shutil.get_terminal_size((WIDEST, 24)).columns))


def paragraphs(text: str, width: int = WIDEST, margin: str = MARGIN) -> list[str]:
    """Break each paragraph of ``text`` into lines."""
    return [line for part in text.split("\n\n") for line in _wrapped(part, width, margin, margin)]


def entry(name: str, text: str, width: int = WIDEST) -> list[str]:
    """Write a word and what is to be said about it, with a margin."""
    return _wrapped(text, width, f"{MARGIN}{name:<{_FIRST}}", " " * (len(MARGIN) + _FIRST))


def grid(rows: Sequence[Sequence[str]], width: int = WIDEST) -> list[str]:
    """Write rows of cells below each other, the first of them above a rule; what does not fit is broken in its cell."""
    widths = _fitting(rows, width - len(MARGIN) - len(_APART) * (len(rows[0]) - 1))
    head, *body = (_lines_of(row, widths) for row in rows)
    lines = [line for row in body for line in row]
    return [*head, MARGIN + "-" * (max(map(len, (*head, *lines))) - len(MARGIN)), *lines]


def natural_width(rows: Sequence[Sequence[str]]) -> int:
    """Tell how wide `grid` is where nothing is broken."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    return len(MARGIN) + sum(widths) + len(_APART) * (len(widths) - 1)


def fitted(text: str, width: int, hanging: str = MARGIN) -> str:
    """Break each line that is too long; a command is broken so that it can still be copied into a shell.

    What is left of a line hangs below its text where a word or a margin stands before that, and goes in by ``hanging``
    otherwise. A word that is too long by itself, such as a path, is left whole.
    """
    return "\n".join(part for line in text.split("\n") for part in _broken(line, width, hanging))


def _broken(line: str, width: int, hanging: str) -> list[str]:
    if len(line) <= width:
        return [line]
    margin = line[: len(line) - len(line.lstrip())]
    if line.lstrip().startswith(_COMMAND):
        parts = _wrapped(line, width - 2, "", margin + MARGIN)
        return [*(f"{part} \\" for part in parts[:-1]), parts[-1]]
    head = _HEAD.match(line)
    if head and head.end() <= width // 2:
        return _wrapped(line, width, "", " " * head.end())
    return _wrapped(line, width, "", margin + (MARGIN if margin else hanging))


def _wrapped(text: str, width: int, first: str, rest: str) -> list[str]:
    return textwrap.wrap(
        text, width, initial_indent=first, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False
    )


def _fitting(rows: Sequence[Sequence[str]], room: int) -> list[int]:
    """Give each column its width, the widest ones less than they ask for where there is too little room."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    parts = ([len(part) for cell in column for part in _held(cell).split()] for column in zip(*rows))
    least = [max(lengths, default=0) for lengths in parts]  # a column may be empty
    while sum(widths) > room and widths != least:
        broken = [number for number in range(len(widths)) if widths[number] > least[number]]
        widths[max(broken, key=widths.__getitem__)] -= 1
    return widths


def _lines_of(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    cells = zip_longest(*(_broken_cell(cell, room) for cell, room in zip(row, widths)), fillvalue="")
    return [(MARGIN + _APART.join(f"{part:<{room}}" for part, room in zip(parts, widths))).rstrip() for parts in cells]


def _broken_cell(cell: str, room: int) -> list[str]:
    indent = " " * (len(cell) - len(cell.lstrip()))
    lines = _wrapped(_held(cell.lstrip()), max(room, 1), indent, indent + MARGIN)
    return [line.translate(_HELD) for line in lines] or [""]


def _held(cell: str) -> str:
    """Keep a value and its error together."""
    return cell.replace(" ± ", "\0±\0")
