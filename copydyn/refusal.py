"""Refusals: a request that cannot be met, said in one sentence.

A refusal names the place, the rule, the value and the way out. In Python it is also the ``ValueError`` or ``TypeError``
that a caller expects; on the command line it becomes that sentence on stderr and exit code 2. Any other exception is
a fault of copydyn itself and keeps its traceback.
"""

from __future__ import annotations


class Refusal(Exception):
    """A request that cannot be met; its text is written for the person who made it."""


class BadValue(Refusal, ValueError):
    """An argument of the right kind whose value breaks a rule."""


class BadType(Refusal, TypeError):
    """An argument of the wrong kind."""
