"""Quantum mechanics as the referee: arrays in, arrays out, and no knowledge of the theories that it judges."""

from qm_reference.lindblad import mesolve
from qm_reference.schroedinger import sesolve

__all__ = ["mesolve", "sesolve"]
