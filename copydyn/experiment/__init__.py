"""What is asked: a system, how it is prepared, and when it is looked at.

The same `Experiment` goes to every theory. What one is made of stands beside it: initial kets (`preparations`), driven
Hamiltonians (`drives`), bases of beables (`bases`), another basis for the same experiment (`rotation`), and the checks
of arguments that everything above shares (`inputs`).
"""

from __future__ import annotations

from copydyn.experiment.experiment import (
    Experiment,
    Part,
    Preparation,
    Pulse,
    Schedule,
    Segment,
    System,
    as_experiment,
    joint_labels,
)

__all__ = [
    "Experiment",
    "Part",
    "Preparation",
    "Pulse",
    "Schedule",
    "Segment",
    "System",
    "as_experiment",
    "joint_labels",
]
