"""The infidelity that the copy events alone cause."""

from __future__ import annotations

from typing import Any

import numpy as np

from copydyn.blas import one_thread
from copydyn.laws.kicks import levers, losses
from copydyn.laws.path import Path, Stretch
from copydyn.laws.quadrature import Quadrature, evenly, integrate


@one_thread()
def infidelity_law(
    H: Any, psi0: Any, tlist: Any, *, hbar: float = 1.0, multinomial: bool | np.ndarray = False
) -> np.ndarray:
    """N E[1 - |<psi_ens|psi>|^2] -> (1/2) int_0^t sum_e R_e |sin theta_e| (sqrt(rho_b/rho_a) + sqrt(rho_a/rho_b)) dt'.

    Each copy event on the edge e = (a, b) kicks the ensemble's ket by what one copy weighs, and the Schrödinger
    equation carries the kicks on without growth: the limit N -> infinity of the rules (32), (33) of Smolin 2012, with
    theta_e = phi_a - phi_b + delta_ab on Schrödinger's path. Derivation in docs/theory.md.

    Parameters
    ----------
    H : (P, P) array, scipy sparse matrix, qutip.Qobj, or a sequence of (duration, H)
        In units of energy.
    psi0 : (P,) ket or Qobj
        What the counts really encode at ``tlist[0]``: sqrt(n_a/N) exp(-i phi_a).
    tlist : (time,)
        Increasing save times, in units of hbar / energy.
    hbar : float
        In units of energy x time.
    multinomial : bool or float64 (beable,)
        The counts were drawn, not rounded, from |psi0|^2: adds (P - 1)/4 for P occupied labels. Where only some of the
        copies were drawn, as beside spectators, their part of each |psi0_a|^2.

    Returns
    -------
    float64 (time,)
        N times the mean infidelity, to a relative 1e-6 for each save interval. From the first node on, where the
        integral diverges as a logarithm, it is inf: `first_node` names the label and the time. A label that is empty
        at the start and not for ever is at its node from the start; one that stays empty contributes nothing.
        "Empty" is what double precision cannot tell from zero.

    Raises
    ------
    BadType, BadValue
        If the arguments make no experiment, or H has more than `path.MOST_LABELS` labels.
    """
    return loss_along(Path.of(H, psi0, tlist, hbar=hbar), multinomial)


def loss_along(path: Path, multinomial: bool | np.ndarray = False) -> np.ndarray:
    """Give `infidelity_law` at the save times of ``path``, float64 (time,)."""
    gains = np.zeros(path.tlist.size)
    gains[0] = prepared(path, multinomial)
    for stretch in path.stretches:
        saves = path.saves_before_node(stretch)
        np.add.at(gains, saves, losses_on(path, stretch).integrals)
    law = np.cumsum(gains)
    law[path.finite :] = np.inf
    return law


def prepared(path: Path, multinomial: bool | np.ndarray) -> float:
    """N times the mean infidelity of counts drawn from the multinomial law: (P - 1)/4 for P occupied labels."""
    drawn = drawn_part(path, multinomial)
    lever = np.abs(levers(path.ket[None], path.rounding)[0])
    return float(lever**2 @ drawn - np.sum((lever * drawn) ** 2) / (drawn.sum() or 1.0))


def drawn_part(path: Path, multinomial: bool | np.ndarray) -> np.ndarray:
    """w, the part of |psi|^2 that was drawn; the counts start with N Cov = diag(w) - w w^T / sum(w)."""
    if isinstance(multinomial, np.ndarray):
        return multinomial
    return np.abs(path.ket) ** 2 if multinomial else np.zeros(path.ket.size)


def losses_on(path: Path, stretch: Stretch) -> Quadrature:
    """Integrate the rate of loss over those segments of a stretch that count for a save time before the first node."""
    segments = stretch.segments[: path.saves_before_node(stretch).size]
    cuts = np.array([stretch.start, *(segment.end for segment in segments)])

    def rate(times: np.ndarray) -> np.ndarray:
        return np.asarray(losses(stretch.kets(times), stretch.flow.edges, path.rounding))

    return integrate(rate, evenly(cuts, stretch.flow.widest), per_time=path.ket.size)
