"""How many copy events there are on Schrödinger's path."""

from __future__ import annotations

from typing import Any

import numpy as np

from copydyn.blas import one_thread
from copydyn.experiment.inputs import as_copies
from copydyn.laws.kicks import event_rates
from copydyn.laws.path import Path, Stretch
from copydyn.laws.quadrature import evenly, integrate


@one_thread()
def expected_events(H: Any, psi0: Any, tlist: Any, *, hbar: float = 1.0, copies: Any = 1) -> np.ndarray:
    """N int_0^t sum_e 2 R_e sqrt(rho_a rho_b) |sin theta_e| dt': the mean number of copy events, (32) of Smolin 2012.

    On each edge this is the current of |psi|^2 without its sign, so that no fewer events could bring the copies where
    they go. The limit N -> infinity; finite N adds a number of events that does not grow with N, except where the path
    leaves an edge at rest, on which the noise of the others makes events: about sqrt(N) of them.

    Parameters
    ----------
    H, psi0, tlist, hbar
        As for `infidelity_law`.
    copies : int
        N.

    Returns
    -------
    float64 (time,)
        Events since ``tlist[0]``, to a relative 1e-6 for each save interval. Nodes do not matter to the integral, but
        to the ensemble: it leaves the path where it loses a label.

    Raises
    ------
    BadType, BadValue
        If the arguments make no experiment, copies is no whole number >= 1, or H has more than `path.MOST_LABELS`
        labels.
    """
    path, number = Path.of(H, psi0, tlist, hbar=hbar), as_copies(copies)
    gains = np.zeros(path.tlist.size)
    for stretch in path.stretches:
        ends = np.array([segment.end for segment in stretch.segments])
        np.add.at(gains, np.searchsorted(path.tlist, ends), _events_on(path, stretch, ends))
    return np.asarray(number * np.cumsum(gains))


def _events_on(path: Path, stretch: Stretch, ends: np.ndarray) -> np.ndarray:
    """Integrate the rate of events over each segment of a stretch."""

    def rate(times: np.ndarray) -> np.ndarray:
        return np.asarray(event_rates(stretch.kets(times), stretch.flow.edges, path.rounding))

    panels = evenly(np.array([stretch.start, *ends]), stretch.flow.widest)
    return integrate(rate, panels, per_time=path.ket.size).integrals
