"""What a scenario claims of its run, and whether that holds.

A new claim is one dataclass with a verb, `judge` for one theory or `settle` for several, and one line in `CLAIMS`.
"""

from __future__ import annotations

from copydyn.claims.claim import ALL, Claim, Finding
from copydyn.claims.copies import FALSE_ALARM, Coherent, Conserved, Extinct, Still, two_sided_binomial
from copydyn.claims.distances import Agrees, Closer, Deviates, Within

CLAIMS: dict[str, type[Claim]] = {
    "agrees": Agrees,
    "deviates": Deviates,
    "within": Within,
    "extinct": Extinct,
    "still": Still,
    "closer": Closer,
    "coherent": Coherent,
    "conserved": Conserved,
}

__all__ = [
    "ALL",
    "CLAIMS",
    "FALSE_ALARM",
    "Agrees",
    "Claim",
    "Closer",
    "Coherent",
    "Conserved",
    "Deviates",
    "Extinct",
    "Finding",
    "Still",
    "Within",
    "two_sided_binomial",
]
