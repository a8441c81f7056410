"""The sites "(x,y)" of a square lattice, read off the labels of a system."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from copydyn.experiment.experiment import System
from copydyn.experiment.inputs import as_real, shown
from copydyn.refusal import BadType, BadValue


def coordinates(system: System) -> np.ndarray:
    """Give the column and the row of every label "(x,y)", int64 (beable, 2).

    Raises
    ------
    BadValue
        If the labels are not those of a square lattice, in its order.
    """
    sides = sides_of(system.labels)
    if sides is not None:
        return np.indices(sides).reshape(2, -1).T
    raise BadValue(
        f"the system must be a square lattice with labels '(x,y)', but system '{system.name}' has labels such as "
        f"'{system.labels[0]}'; choose a system such as square-lattice."
    )


def sides_of(labels: Sequence[str]) -> tuple[int, int] | None:
    """Give the columns and rows of the `square_lattice` whose labels these are, in its order; None for others."""
    found = [re.fullmatch(r"\((\d+),(\d+)\)", label) for label in labels]
    if not found or not all(found):
        return None
    places = np.array([[int(match[1]), int(match[2])] for match in found if match], dtype=np.int64)
    columns, rows = (int(most) + 1 for most in places.max(axis=0))
    ordered = columns * rows == len(places) and np.array_equal(places, np.indices((columns, rows)).reshape(2, -1).T)
    return (columns, rows) if ordered else None


def as_pair(values: tuple[float, float], name: str) -> tuple[float, float]:
    """Give two finite numbers, along x and along y."""
    if not isinstance(values, Sequence | np.ndarray) or isinstance(values, str) or len(values) != 2:
        raise BadType(f"{name} must be two numbers, along x and along y, but is {shown(values)}.")
    return as_real(values[0], name), as_real(values[1], name)
