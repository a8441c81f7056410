"""What the benchmarks share: rivals that take turns, medians, and tables with straight columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median
from time import thread_time
from typing import Any


def timed(work: Callable[..., Any], *arguments: Any) -> tuple[float, Any]:
    """Seconds of processor time that this thread spent on ``work(*arguments)``, and what it returned.

    On a busy machine waiting for a core is not counted; the rivals here run on one thread and wait for nothing else.
    """
    start = thread_time()
    outcome = work(*arguments)
    return thread_time() - start, outcome


def race(rivals: Sequence[Callable[[], tuple[float, Any]]], rounds: int) -> list[tuple[float, Any]]:
    """Let the rivals run in turns, so that a busy machine slows all of them alike.

    Each returns its seconds and an outcome. The first round only warms up; of the others each rival gets the median
    of its seconds, beside the last of its outcomes.
    """
    seconds: list[list[float]] = [[] for _ in rivals]
    outcomes: list[Any] = [None] * len(rivals)
    for turn in range(rounds + 1):
        for place, rival in enumerate(rivals):
            taken, outcomes[place] = rival()
            if turn > 0:
                seconds[place].append(taken)
    return list(zip(map(median, seconds), outcomes))


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Line up the columns: the first to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(headings, *rows)]
    lines = []
    for row in (headings, *rows):
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:]))]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
