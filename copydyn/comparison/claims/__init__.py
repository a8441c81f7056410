"""What a scenario claims of its run, and whether that holds.

A new claim is one dataclass with a verb, `judge` for one theory or `settle` for several, and one line in `CLAIMS`.
"""

from __future__ import annotations

from copydyn.comparison.claims.claim import ALL, Claim, Finding, all_hold
from copydyn.comparison.claims.copies import FALSE_ALARM, Coherent, Conserved, Extinct, Still, two_sided_binomial
from copydyn.comparison.claims.distances import Agrees, Closer, Deviates, Within
from copydyn.comparison.claims.irreversibility import Born, Reads, Signals

CLAIMS: dict[str, type[Claim]] = {
    "agrees": Agrees,
    "deviates": Deviates,
    "within": Within,
    "extinct": Extinct,
    "still": Still,
    "closer": Closer,
    "coherent": Coherent,
    "conserved": Conserved,
    "reads": Reads,
    "born": Born,
    "signals": Signals,
}

__all__ = [
    "ALL",
    "CLAIMS",
    "FALSE_ALARM",
    "Agrees",
    "Born",
    "Claim",
    "Closer",
    "Coherent",
    "Conserved",
    "Deviates",
    "Extinct",
    "Finding",
    "Reads",
    "Signals",
    "Still",
    "Within",
    "all_hold",
    "two_sided_binomial",
]
