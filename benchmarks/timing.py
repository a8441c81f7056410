"""What the benchmarks share: rivals that take turns, medians, and tables with straight columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median
from time import process_time
from typing import Any, NamedTuple


def timed(work: Callable[..., Any], *arguments: Any, **settings: Any) -> tuple[float, Any]:
    """Seconds of processor time that ``work(*arguments, **settings)`` took, and what it returned.

    On a busy machine waiting for a core is not counted. All threads are: the engines play their parts in threads of
    their own, and a clock of the calling thread would see none of their work.
    """
    start = process_time()
    outcome = work(*arguments, **settings)
    return process_time() - start, outcome


class Laps(NamedTuple):
    """Median of the seconds that a rival took, and what its runs returned, in order."""

    seconds: float
    outcomes: list[Any]


def race(rivals: Sequence[Callable[[], tuple[float, Any]]], rounds: int) -> list[Laps]:
    """Let the rivals run in turns, so that a busy machine slows all of them alike.

    Each call returns its seconds and an outcome. The first round only warms up: its seconds and outcomes are dropped.
    """
    runs: list[list[tuple[float, Any]]] = [[] for _ in rivals]
    for _ in range(rounds + 1):
        for rival, past in zip(rivals, runs):
            past.append(rival())
    return [Laps(median(seconds for seconds, _ in past[1:]), [outcome for _, outcome in past[1:]]) for past in runs]


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Line up the columns: the first to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(headings, *rows)]
    lines = []
    for row in (headings, *rows):
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:]))]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
