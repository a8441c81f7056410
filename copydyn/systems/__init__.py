"""Systems by name: plain functions that return a `copydyn.experiment.System`.

A new system is one function in a file of this package and one line in `SYSTEMS`.
"""

from __future__ import annotations

from collections.abc import Callable

from copydyn.experiment import System
from copydyn.systems.few_level import three_level, two_level
from copydyn.systems.from_file import from_file
from copydyn.systems.lattice import lattice, ring
from copydyn.systems.potentials import barrier, double_well, harmonic, linear, quartic
from copydyn.systems.random_matrix import gue
from copydyn.systems.square_lattice import double_slit, square_lattice

SYSTEMS: dict[str, Callable[..., System]] = {
    "two-level": two_level,
    "three-level": three_level,
    "gue": gue,
    "ring": ring,
    "lattice": lattice,
    "harmonic": harmonic,
    "double-well": double_well,
    "barrier": barrier,
    "linear": linear,
    "quartic": quartic,
    "square-lattice": square_lattice,
    "double-slit": double_slit,
    "file": from_file,
}

__all__ = [
    "SYSTEMS",
    "barrier",
    "double_slit",
    "double_well",
    "from_file",
    "gue",
    "harmonic",
    "lattice",
    "linear",
    "quartic",
    "ring",
    "square_lattice",
    "three_level",
    "two_level",
]
