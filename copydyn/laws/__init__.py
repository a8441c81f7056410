"""What theory predicts about an ensemble of N copies without simulating one.

Four laws, each without a free parameter; their derivations are in docs/theory.md:

- the infidelity that the copy events alone cause (`infidelity_law`),
- the covariance of the frequencies (`linear_noise`), and of the whole ket behind both (`kick_covariance`),
- extinction where Schrödinger's path comes close to a node (`node_crossings`),
- how many copy events there are (`expected_events`).
"""

from __future__ import annotations

from copydyn.laws.covariance import KickCovariance, kick_covariance, linear_noise
from copydyn.laws.crossings import NodeCrossing, node_crossings
from copydyn.laws.events import expected_events
from copydyn.laws.extinction import Turning, binomial_turning, extinction_by_counts, extinction_probability
from copydyn.laws.finite_copies import finite_copies
from copydyn.laws.infidelity import infidelity_law
from copydyn.laws.path import Node, beats, first_node

__all__ = [
    "KickCovariance",
    "Node",
    "NodeCrossing",
    "Turning",
    "beats",
    "binomial_turning",
    "expected_events",
    "extinction_by_counts",
    "extinction_probability",
    "finite_copies",
    "first_node",
    "infidelity_law",
    "kick_covariance",
    "linear_noise",
    "node_crossings",
]
