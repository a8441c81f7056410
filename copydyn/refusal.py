"""Refusals: a request that cannot be met, said in one sentence.

A refusal names the place, the rule, the value and the way out. In Python it is also the ``ValueError`` or ``TypeError``
that a caller expects; on the command line it becomes that sentence on stderr and exit code 2. Any other exception is
a fault of copydyn itself and keeps its traceback.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from difflib import get_close_matches
from typing import Any


class Refusal(Exception):
    """A request that cannot be met; its text is written for the person who made it.

    Parameters
    ----------
    sentence : str
    in_scenario : str
        The same for who wrote a scenario or a command line, where the way out is another one there.
    """

    def __init__(self, sentence: str = "", *, in_scenario: str = "") -> None:
        super().__init__(sentence)
        self.in_scenario = in_scenario or sentence

    def __reduce__(self) -> tuple[Callable[..., Refusal], tuple[type[Refusal], str, dict[str, Any]]]:
        """Let it be copied and sent between processes, whatever the class asks for when one is made."""
        return _again, (type(self), str(self), self.__dict__)


def _again(kind: type[Refusal], sentence: str, attributes: dict[str, Any]) -> Refusal:
    refusal = kind.__new__(kind, sentence)
    refusal.__dict__.update(attributes)
    return refusal


class BadValue(Refusal, ValueError):
    """An argument of the right kind whose value breaks a rule."""


class BadType(Refusal, TypeError):
    """An argument of the wrong kind."""


def did_you_mean(word: str, options: Iterable[str]) -> str:
    """Give "did you mean 'copies'?" for 'copys', or nothing where no option comes near."""
    by_lower = {option.lower(): option for option in options}
    near = get_close_matches(word.lower(), list(by_lower), n=1)
    return f"did you mean '{by_lower[near[0]]}'?" if near else ""
