"""The theories that can evolve an experiment, by name.

A new theory is one file here and one line in `THEORIES`.
"""

from __future__ import annotations

from copydyn.theories.coloured_suv import ColouredSUV
from copydyn.theories.copying import CopyDynamics
from copydyn.theories.oqt import OQT
from copydyn.theories.schrodinger import Schrodinger
from copydyn.theories.sui import SUI
from copydyn.theories.suv import SUV

THEORIES = {
    "CopyDynamics": CopyDynamics,
    "Schrodinger": Schrodinger,
    "OQT": OQT,
    "SUV": SUV,
    "ColouredSUV": ColouredSUV,
    "SUI": SUI,
}

__all__ = ["OQT", "SUI", "SUV", "THEORIES", "ColouredSUV", "CopyDynamics", "Schrodinger"]
