"""How far the laws of finite N reach: what of the infidelity they foresee rests on what they do not know.

The mean infidelity changes by copy events alone, and where every label has many copies the law of it is exact up to
relative errors of order 1/N. What it does not know is added up, as a part of N times the infidelity:

- kicks times the relative variance of the number of copies, at most one: sqrt(n) is straight for small noise only;
- all that is beyond first order in the noise, a share of the order of the infidelity itself;
- labels that rest on a floor, each of which is off by as many copies as it would have had to lose below it;
- labels that die out, with what they would have now, times the odds of `extinction_by_counts`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import ndtr

from copydyn.laws.extinction import extinction_by_counts
from copydyn.laws.infidelity import drawn_part, losses_on
from copydyn.laws.kicks import levers, sources
from copydyn.laws.path import Path

MOST_DOUBT = 0.1
"""Share of an infidelity that may rest on what the law does not know."""


class Doubts(NamedTuple):
    """Parts of N times the infidelity, float64 (time, label), but ``beyond`` (time,)."""

    kicks: np.ndarray
    shift: np.ndarray
    floor: np.ndarray
    lost: np.ndarray
    beyond: np.ndarray

    @property
    def total(self) -> np.ndarray:
        """All of it, float64 (time,)."""
        by_label = self.kicks + self.shift + self.floor + self.lost
        return np.asarray(by_label.sum(axis=1) + self.beyond)

    def largest(self, at: int) -> tuple[str, int]:
        """Name the part that is largest at one save time, and the label that most of it comes from."""
        parts = {"few": self.kicks[at] + self.shift[at], "floor": self.floor[at], "lost": self.lost[at]}
        name = max(parts, key=lambda part: float(parts[part].sum()))
        if self.beyond[at] >= parts[name].sum():
            return "beyond", -1
        return name, int(np.argmax(parts[name]))


def doubts(
    path: Path,
    copies: int,
    losses: np.ndarray,
    variance: np.ndarray,
    *,
    floor: int = 0,
    multinomial: bool | np.ndarray = False,
    aside: Path | None = None,
    offset: float = 0.0,
) -> Doubts:
    """Add up what the laws do not know, at the save times of ``path``.

    Parameters
    ----------
    path : Path
        Of the counts really prepared.
    copies, floor : int
        N, and the copies below which no label may fall.
    losses : float64 (time,)
        N times the mean infidelity, by law.
    variance : float64 (time, label)
        N times the variance of the frequencies, by law.
    multinomial
        As for `infidelity_law`.
    aside, offset : Path, float
        The path of the part of the ket beside the one that was asked for, normalised, and its square.
    """
    shape = path.tlist.size, path.ket.size
    shares = np.abs(path.saved) ** 2
    factor = np.ones(shape)
    np.divide(variance, shares, out=factor, where=np.isfinite(variance) & (shares > path.rounding**2))
    factor = np.maximum(factor, 1.0)
    kicks, shift, lost, resting = (np.zeros(shape) for _ in range(4))
    occupied = shares[0] > path.rounding**2
    drawn = drawn_part(path, multinomial)
    kicks[0] = drawn * np.abs(levers(path.ket[None], path.rounding)[0]) ** 2 * _relative(copies * shares[0], factor[0])
    for number, stretch in enumerate(path.stretches):
        saves = path.saves_before_node(stretch)
        for panels in losses_on(path, stretch).panels.portions(max(path.ket.size, stretch.flow.edges.a.size)):
            times, at = panels.times, np.repeat(saves[panels.owner], panels.times.size // max(1, panels.owner.size))
            kets = stretch.kets(times)
            counts = copies * np.abs(kets) ** 2
            spread = np.maximum(factor[at], factor[np.maximum(at - 1, 0)])
            kicked = sources(kets, stretch.flow.edges, path.rounding)[0][0].real * panels.weights[:, None]
            kicked *= _relative(counts, spread)
            np.add.at(kicks, at, kicked)
            if aside is not None and offset > 0.0:
                along = (aside.stretches[number].kets(times).conj() * levers(kets, path.rounding)).real
                np.add.at(shift, at, 2.0 * np.sqrt(offset) * along * kicked)
            if floor:
                falling = (kets.conj() * stretch.flow.pull(kets)).real < 0.0
                np.maximum.at(resting, at, np.where(falling, _short_of(floor, counts, spread * counts), 0.0))
            else:
                odds = np.where(occupied, extinction_by_counts(counts, spread * counts), 0.0)
                np.maximum.at(lost, at, odds)
    lost = np.maximum.accumulate(np.maximum.accumulate(lost) * copies * shares)
    beyond = np.where(np.isfinite(losses), losses, 0.0) ** 2 / copies
    resting = np.maximum.accumulate(resting)
    return Doubts(np.cumsum(kicks, axis=0), np.abs(np.cumsum(shift, axis=0)), resting, lost, beyond)


def _short_of(floor: int, mean: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """E[max(floor - n, 0)] of a normal n, at most the floor itself."""
    deviation = np.sqrt(np.maximum(variance, 1e-300))
    z = (floor - mean) / deviation
    short = (floor - mean) * ndtr(z) + deviation * np.exp(-0.5 * z**2) / np.sqrt(2.0 * np.pi)
    return np.asarray(np.minimum(short, floor))


def most_variance(shares: np.ndarray, losses: np.ndarray) -> np.ndarray:
    """N Var rho_a <= 4 rho_a N E|dpsi_a|^2 <= 4 rho_a times the loss, float64 (time, label): where it is not known."""
    finite = np.isfinite(losses)[:, None]
    return np.where(finite, 4.0 * shares * np.where(finite, losses[:, None], 0.0), np.nan)


def _relative(counts: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Variance of n over its mean squared, at most one, from the mean and from variance over mean."""
    return np.asarray(spread / np.maximum(counts, spread))
