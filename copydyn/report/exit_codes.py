"""What the command line's exit codes mean."""

from __future__ import annotations

DONE = 0
"""What was asked for is done; every claim holds, or there is none."""

DOES_NOT_HOLD = 1
"""A claim does not hold; nothing else has this code."""

BAD_INPUT = 2
"""A request that cannot be met, with a sentence that says why."""

NOT_JUDGED = 3
"""No claim is known not to hold, but one cannot be judged."""

INCOMPLETE = 4
"""Runs of a sweep have failed or missed their target, or files of one are damaged or missing."""

FAULT = 70
"""A fault of copydyn itself, with its traceback; EX_SOFTWARE of sysexits.h."""

NOT_TOLD = 74
"""Done, but standard output has not taken what was to be printed; EX_IOERR of sysexits.h."""

INTERRUPTED = 130
"""Ctrl-C."""
