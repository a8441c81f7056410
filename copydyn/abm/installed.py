"""Which Mesa is installed, and what to do where it is none that copydyn works with."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, version

OLDEST, TOO_NEW = (3, 3), (4, 0)
"""Versions of Mesa that copydyn works with: from the one to before the other."""


def numbers_of(release: str) -> tuple[int, ...]:
    """Give the first two numbers of a version such as 3.5.1 or 4.0.0a0."""
    return tuple(int(number) for number in re.findall(r"\d+", release)[:2])


def way_out(found: str, missing: str = "") -> str:
    """Say why ``copydyn.abm`` cannot work with Mesa as it is, and what helps; an empty string where it can.

    Parameters
    ----------
    found : str
        Version of Mesa; empty where there is none.
    missing : str
        The module that Mesa failed to import.
    """
    wanted = f"mesa>={OLDEST[0]}.{OLDEST[1]},<{TOO_NEW[0]}"
    if not found:
        return f"copydyn.abm needs Mesa, which is not installed; pip install '{wanted}'."
    if not OLDEST <= numbers_of(found) < TOO_NEW:
        return f"copydyn.abm works with {wanted}, but Mesa {found} is installed; pip install '{wanted}'."
    if missing:
        return f"Mesa {found} needs {missing}, which is not installed; pip install {missing}."
    return ""


def _installed() -> str:
    try:
        return version("mesa")
    except PackageNotFoundError:
        return ""


FOUND = _installed()

if _obstacle := way_out(FOUND):
    raise ImportError(_obstacle)
