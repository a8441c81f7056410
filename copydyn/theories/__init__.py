"""The theories that can evolve an experiment, by name.

A new theory is one file here and one line in `THEORIES`.
"""

from __future__ import annotations

from copydyn.theories.copying import CopyDynamics
from copydyn.theories.schrodinger import Schrodinger

THEORIES = {"CopyDynamics": CopyDynamics, "Schrodinger": Schrodinger}

__all__ = ["THEORIES", "CopyDynamics", "Schrodinger"]
