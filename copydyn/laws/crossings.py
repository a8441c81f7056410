"""Where Schrödinger's path comes close to the node of a label, and the chance that the label dies out there."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from copydyn.blas import one_thread
from copydyn.experiment.inputs import as_copies, as_real
from copydyn.laws.extinction import extinction_probability
from copydyn.laws.infidelity import drawn_part, loss_along
from copydyn.laws.kicks import levers, tilts
from copydyn.laws.path import Flow, Minimum, Path, Stretch
from copydyn.laws.quadrature import Rate, evenly, integrate

RTOL, ATOL = 1e-4, 1e-6
"""Errors allowed in s^2, which is to be compared with one."""

MATTERS = 1e-4
"""Odds of extinction below which a crossing is not of interest."""

STILL = 1e-6
"""Share of the neighbours' pulls that must be left over as drift: with less the label stands still at its node, whose
time is known to the fourth root of rounding only, and the law has no meaning."""


NEAREST = 1e-6
"""Amplitude within a passage below which the noise is its own share, to as much: where both are large, their difference
would be nothing but rounding."""


class NodeCrossing(NamedTuple):
    """One approach of one label to its node.

    Parameters
    ----------
    label : int
    time : float
        Of the minimum of |psi_label|^2, in units of hbar / energy.
    rho_min : float
        The minimum.
    s2 : float
        N Var of the part of psi_label perpendicular to its drift, carried to ``time``, without the node's own share;
        inf behind an earlier node whose noise reaches this one, NaN if the label stands still at its node.
    churn : float
        K of `extinction_probability`, 1 if all neighbours pull in one direction.
    m, extinction : float or None
        N rho_min and the chance to die out at this crossing, for the number of copies that was asked for.
    turn : float, rad
        By how much the fastest beat turns within the passage, sqrt(rho_min) / |drift|. The law takes the passage for a
        straight line, which it is while this is small.
    """

    label: int
    time: float
    rho_min: float
    s2: float
    churn: float
    m: float | None = None
    extinction: float | None = None
    turn: float = 0.0


@one_thread()
def node_crossings(
    H: Any,
    psi0: Any,
    tlist: Any,
    *,
    hbar: float = 1.0,
    copies: Any = None,
    closer_than: float | None = None,
    odds_above: float = MATTERS,
    multinomial: bool | np.ndarray = False,
) -> list[NodeCrossing]:
    """P(extinct) = (1 + 2 s^2/K)^(-1/2) exp[-m / (K + 2 s^2)], m = N rho_min, for each minimum of each |psi_a|^2.

    The law is that of N -> infinity with m fixed, for the first crossing that the ensemble comes to. Later ones take
    for granted that the earlier ones were survived, and treat their noise as small: with an earlier m of order one that
    is a guess. Derivation in docs/theory.md.

    Parameters
    ----------
    H, psi0, tlist, hbar
        As for `infidelity_law`; only the first and the last of ``tlist`` matter.
    copies : int, optional
        N; without it ``m`` and ``extinction`` are None.
    closer_than : float, optional
        Largest rho_min of interest; by default 0.02/P. With copies all minima are looked at, and those left out whose
        ``extinction`` is below ``odds_above``, unless ``closer_than`` is given: then these are all that are below it.
    odds_above : float
        Smallest odds of interest.
    multinomial : bool or float64 (beable,)
        The counts were drawn from |psi0|^2, whose noise counts towards s^2; or that part of each |psi0_a|^2 which was.

    Returns
    -------
    list of NodeCrossing
        In order of time. A label that only leaves an empty start is not among them; one that is turned back by a change
        of the Hamiltonian is, with odds that are good to a tenth.

    Raises
    ------
    BadType, BadValue
        If the arguments make no experiment, or H has more than `path.MOST_LABELS` labels.
    """
    path = Path.of(H, psi0, tlist, hbar=hbar)
    number = None if copies is None else as_copies(copies)
    if number is not None and closer_than is None:
        least = as_real(odds_above, "odds_above", positive=True)
        rows = crossings_on(path, dangers(path, number, least, multinomial), number, multinomial)
        return [row for row in rows if not (row.extinction or 0.0) < least]
    near = as_real(0.02 / path.ket.size if closer_than is None else closer_than, "closer_than", positive=True)
    return crossings_on(path, path.arrivals(near), number, multinomial)


def dangers(
    path: Path, copies: int, odds_above: float, multinomial: bool | np.ndarray = False
) -> list[tuple[Stretch, Minimum]]:
    """Give the minima at which the odds may exceed ``odds_above``, in order of time, before s^2 is worked out.

    s^2 is at most the trace of the covariance, N times the mean infidelity at the end, and with w = K + 2 s^2 the odds
    (K/w)^(1/2) exp(-m/w) are largest at w = 2m: those of the largest w that is possible, up to there, are a bound.
    """
    noise = float(loss_along(path, multinomial)[-1])
    found = []
    for stretch, low in path.arrivals(1.0):
        node = _Passage.at(stretch.flow, stretch.kets(np.array([low.time]))[0], low)
        m = copies * low.share
        if node.still(path.rounding):  # nobody knows
            worst = float(np.exp(-m / (1.0 + 2.0 * noise)))
        else:
            width = max(node.churn, min(node.churn + 2.0 * noise, 2.0 * m))
            worst = float(np.sqrt(node.churn / width) * np.exp(-m / width))
        if worst >= odds_above:
            found.append((stretch, low))
    return sorted(found, key=lambda pair: (pair[1].time, pair[1].label))


def crossings_on(
    path: Path, lows: Iterable[tuple[Stretch, Minimum]], copies: int | None, multinomial: bool | np.ndarray = False
) -> list[NodeCrossing]:
    """Work out the law at the minima ``lows`` of a path, in order of time."""
    rows = [_crossing(path, stretch, low, multinomial) for stretch, low in lows]
    rows.sort(key=lambda row: (row.time, row.label))
    return rows if copies is None else [_with_copies(row, copies) for row in rows]


def _with_copies(row: NodeCrossing, copies: int) -> NodeCrossing:
    m = copies * row.rho_min
    lawful = np.isfinite(row.s2)
    chance = float(extinction_probability(m, row.s2, churn=row.churn)) if lawful else float("nan")
    return row._replace(m=m, extinction=chance)


def _crossing(path: Path, stretch: Stretch, low: Minimum, multinomial: bool | np.ndarray) -> NodeCrossing:
    ket = stretch.kets(np.array([low.time]))[0]
    node = _Passage.at(stretch.flow, ket, low)
    if node.still(path.rounding):
        return NodeCrossing(*low, s2=float("nan"), churn=float("nan"), turn=float("inf"))
    turn = stretch.flow.spread * abs(node.place) / node.speed
    return NodeCrossing(*low, s2=_perpendicular_noise(path, node, multinomial), churn=node.churn, turn=turn)


class _Passage(NamedTuple):
    """psi_a = place + pull x (t - time) close to a node: the straight line on which the law of extinction is exact."""

    label: int
    time: float
    place: complex
    pulls: np.ndarray
    pull: complex

    @classmethod
    def at(cls, flow: Flow, ket: np.ndarray, low: Minimum) -> _Passage:
        row = flow.couplings[[low.label]]
        pulls = -1j * np.asarray(row.multiply(ket).toarray() if hasattr(row, "multiply") else row * ket)[0]
        return cls(low.label, low.time, complex(ket[low.label]), pulls, complex(pulls.sum()))

    @property
    def speed(self) -> float:
        return abs(self.pull)

    def still(self, rounding: float) -> bool:
        """Whether the neighbours' pulls cancel: the label stands still."""
        return self.speed <= max(rounding, STILL * float(np.abs(self.pulls).sum()))

    @property
    def churn(self) -> float:
        """K = sum_b |v_b| (cos beta_b + beta_b sin beta_b) / |v|, beta_b in [-pi/2, pi/2]."""
        along = self.pulls * np.conj(self.pull) / self.speed**2
        beta = np.arctan2(np.abs(along.imag), np.abs(along.real))  # even in beta and of period pi
        return max(1.0, float(np.sum(np.abs(along) * (np.cos(beta) + beta * np.sin(beta)))))  # not 1 - 1e-16

    def line(self, times: np.ndarray) -> np.ndarray:
        """psi_a as if the pulls were constant, complex128 (time,)."""
        return np.asarray(self.place + self.pull * (times - self.time))

    def own_share(self, times: np.ndarray, rounding: float) -> np.ndarray:
        """Rate of the perpendicular noise that the passage itself makes: y^2 sum_b |Re[conj(z) v_b]| / 2 |z|^4.

        The law of extinction knows it already. Its integral up to the node is K/4 however close the path passes, but
        zero for a path through the node, where the kicks are along the drift.
        """
        z = self.line(times)
        ends = np.abs(np.multiply.outer(z.conj(), self.pulls).real).sum(axis=-1)
        share = np.abs(z) ** 2
        rate = np.zeros(times.size)
        beside = (self.place * np.conj(self.pull)).imag / self.speed  # all of it, but where H changes before the turn
        return np.divide(beside**2 * ends, 2.0 * share**2, out=rate, where=share > rounding**2)


def _perpendicular_noise(path: Path, node: _Passage, multinomial: bool | np.ndarray) -> float:
    """s^2 = int sum_e r_e Im[<w|k_e>]^2 dt' less the own share, w the direction at the node carried back to t'.

    Where the path goes through the node the kicks on the label grow as 1/|t' - t|, but their part perpendicular to the
    drift vanishes as |t' - t|, so that the integral converges; the covariance itself would diverge.
    """
    witness = np.zeros(path.ket.size, dtype=complex)
    witness[node.label] = node.pull / node.speed
    total, since = 0.0, node.time
    for stretch in reversed([stretch for stretch in path.stretches if stretch.start < node.time]):
        if _reached_by_node(path, stretch, witness, since, node):
            return float("inf")
        cuts = np.array([stretch.start, since])
        panels = evenly(cuts, stretch.flow.widest)
        rate = _seen_by(path, stretch, witness, since, node)
        noise = integrate(rate, panels, per_time=2 * path.ket.size, rtol=RTOL, atol=ATOL)
        total += float(noise.integrals[0])
        witness = stretch.flow.carry(witness, cuts[:1] - since)[0]
        since = stretch.start
    drawn = drawn_part(path, multinomial)
    tilt = (witness.conj() * levers(path.ket[None], path.rounding)[0]).imag
    total += float(drawn @ tilt**2 - (drawn @ tilt) ** 2 / (drawn.sum() or 1.0))
    return max(total, 0.0)


def _seen_by(path: Path, stretch: Stretch, witness: np.ndarray, since: float, node: _Passage) -> Rate:
    """Rate of s^2 less the own share, and its rounding error; ``witness`` is the direction at the time ``since``."""

    def rate(times: np.ndarray) -> np.ndarray:
        directions = stretch.flow.carry(witness, times - since)
        out = np.asarray(tilts(stretch.kets(times), directions, stretch.flow.edges, path.rounding))
        out[0] -= node.own_share(times, path.rounding)
        out[:, np.abs(node.line(times)) < NEAREST] = 0.0
        return out

    return rate


def _reached_by_node(path: Path, stretch: Stretch, witness: np.ndarray, since: float, node: _Passage) -> bool:
    """Whether the diverging noise of an earlier node in this stretch has a part in the witnessed direction.

    The kicks at that node are along its drift; on resonance this is along the drift at the later one, too.
    """
    before = min(since, node.time - 1e3 * path.rounding / node.speed)
    for earlier in path.nodes:
        if stretch.start <= earlier.time < before:
            at = np.array([earlier.time])
            pull = stretch.flow.pull(stretch.kets(at))[0, earlier.label]
            direction = stretch.flow.carry(witness, at - since)[0, earlier.label]
            if abs(pull) <= path.rounding or abs((np.conj(direction) * pull).imag) > 1e-6 * abs(pull):
                return True
    return False
