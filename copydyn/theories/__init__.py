"""The theories that can evolve an experiment, by name.

A new theory is one file here and one line in `THEORIES`.
"""

from __future__ import annotations

from copydyn.theories.copies.copying import CopyDynamics
from copydyn.theories.irreversible.coloured_suv import ColouredSUV
from copydyn.theories.irreversible.oqt import OQT
from copydyn.theories.irreversible.sui import SUI
from copydyn.theories.irreversible.suv import SUV
from copydyn.theories.schrodinger import Schrodinger

THEORIES = {
    "CopyDynamics": CopyDynamics,
    "Schrodinger": Schrodinger,
    "OQT": OQT,
    "SUV": SUV,
    "ColouredSUV": ColouredSUV,
    "SUI": SUI,
}

__all__ = ["OQT", "SUI", "SUV", "THEORIES", "ColouredSUV", "CopyDynamics", "Schrodinger"]
