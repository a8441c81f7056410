"""Memory: what a run will take, and whether it is there, before anything is allocated."""

from __future__ import annotations

import math

import numpy as np

from copydyn.kernels.few import few_scratch
from copydyn.kernels.leap import leap_scratch
from copydyn.refusal import BadValue

BYTES_OF_AN_EDGE = 2 * 24.0 + 32.0
"""Of the list of edges, and of both their ends (`Train`, `Stars`)."""

BYTES_OF_A_COUNT = 64.0
"""Of each count of a result: as recorded (count and phase factor), and as frequency, phase and ket on the way out."""


def of_leaps(labels: int, edges: int, orders: int) -> float:
    """Bytes that leaps of one ensemble work with."""

    def taken(size: int, couplings: int) -> int:
        work = leap_scratch(size, couplings, orders)
        return sum(array.nbytes for array in (*work[:-1], *few_scratch(size, couplings)))

    nothing = taken(1, 1)
    a_label, an_edge = (taken(1001, 1) - nothing) / 1000.0, (taken(1, 1001) - nothing) / 1000.0
    return labels * a_label + edges * (an_edge + BYTES_OF_AN_EDGE)


def of_results(counts: int) -> float:
    """Bytes of the counts of a result, replicas times save times times labels, and of what is made of them."""
    return BYTES_OF_A_COUNT * counts


def available() -> float:
    """Bytes of memory that are free, infinite where the system does not tell."""
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            for line in lines:
                if line.startswith("MemAvailable:"):
                    return 1024.0 * float(line.split()[1])
    except (OSError, ValueError):
        pass
    return math.inf


def require(wanted: float) -> None:
    """Refuse a run that would not fit.

    Raises
    ------
    BadValue
    """
    free = available()
    if wanted > free:
        raise BadValue(
            f"the run must fit into the {_shown(free)} that are free, but would take about {_shown(wanted)}; take "
            "fewer labels, replicas or save times."
        )


def _shown(size: float) -> str:
    unit = int(np.clip(math.log10(max(size, 1.0)) // 3, 1, 5))
    return f"{size / 1000.0**unit:.3g} {['', 'kB', 'MB', 'GB', 'TB', 'PB'][unit]}"
