"""Standard output and standard error as they may be: full, closed, or read by somebody who has left.

Neither may end a run, nor change what its exit code says of it. What standard output does not take is noted.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from typing import Any, TextIO

from copydyn.report.exit_codes import DONE, NOT_TOLD


class Terminal:
    """Prints, and goes on where that fails.

    Parameters
    ----------
    fit : callable
        Lays out what is said for the screen.
    """

    def __init__(self, fit: Callable[[str], str] = str) -> None:
        self._fit = fit
        self._lost = ""
        self._closed = sys.stdout is None
        _fill_gaps()
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="replace")  # a terminal without ± gets a question mark, not a traceback

    def say(self, text: str) -> None:
        """Print ``text``; a reader who has left early, as `head` does, has lost nothing that he wanted."""
        if self._closed:
            self._lost = self._lost or "it is closed"
            return
        try:
            print(self._fit(text), flush=True)
        except BrokenPipeError:
            _lead_nowhere(sys.stdout)
        except (OSError, ValueError) as cause:  # of a stream that has been closed from within, the latter
            self._lose(cause)

    def complain(self, text: str) -> None:
        """Print ``text`` on standard error; where that cannot take it, nobody listens."""
        try:
            print(text, file=sys.stderr, flush=True)
        except (OSError, ValueError):
            _lead_nowhere(sys.stderr)

    def settled(self, code: int) -> int:
        """Give the exit code: ``code``, unless it would be 0 and what was to be printed is lost."""
        if not self._closed:
            try:
                sys.stdout.flush()
            except BrokenPipeError:
                _lead_nowhere(sys.stdout)
            except (OSError, ValueError) as cause:
                self._lose(cause)
        if self._lost:
            self.complain(f"copydyn: standard output has not taken what was to be printed: {self._lost}.")
        try:
            sys.stderr.flush()
        except (OSError, ValueError):
            _lead_nowhere(sys.stderr)
        return NOT_TOLD if self._lost and code == DONE else code

    def _lose(self, cause: OSError | ValueError) -> None:
        self._lost = self._lost or (getattr(cause, "strerror", None) or str(cause)).rstrip(".")
        _lead_nowhere(sys.stdout)


def _fill_gaps() -> None:
    """Lead closed streams nowhere: the next file that is opened would get their numbers, and what is printed."""
    while (handle := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(handle, True)
    os.close(handle)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115  # for as long as the process


def _lead_nowhere(stream: TextIO | Any) -> None:
    """Let what a stream still holds, and all that follows, go to the null device: Python writes it out at the end."""
    try:
        where = stream.fileno()
        handle = os.open(os.devnull, os.O_WRONLY)
    except (OSError, ValueError, AttributeError):  # no stream of the operating system
        return
    os.dup2(handle, where)
    os.close(handle)
