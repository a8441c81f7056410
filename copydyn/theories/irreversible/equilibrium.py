"""The equilibrium chi that a state thermalises to, by rule; what it does to energy, variance and entropy.

chi is diagonal in the levels, chi_m >= 0. It depends on the state that thermalises through the mean and the variance of
its energy, so that the ensemble's equation is linear at fixed chi only (erratum E6 of docs/theory.md).
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import brentq

from copydyn.blas import one_thread
from copydyn.experiment import Experiment
from copydyn.experiment.inputs import DiagonalOrMatrix, as_hermitian, as_real, as_reals, choose, dense, shown
from copydyn.refusal import BadValue
from copydyn.theories.irreversible.levels import Levels, levels_of

RULES = ("window", "canonical", "tilted", "given")
SECTORS = ("none", "global", "own", "cut", "shells")

NOTHING = 1e-14
"""Weight of a state that is rounding."""

SUM_TOLERANCE = 1e-9
"""How far the sum of given weights may be off one."""


@dataclass(frozen=True)
class Window:
    """How chi is made of the state.

    Parameters
    ----------
    rule : {"window", "canonical", "tilted", "given"}
        "window": uniform on W, the levels with |E_m - <H>| <= width sqrt(V), the paper's rule. "canonical":
        chi_m ~ exp(-beta E_m) on all levels, with the energy of the state. "tilted": chi_m ~ exp(-lambda E_m) on W,
        with the energy of the state. "given": the weights below.
    width : float
        f, the half-width of W in standard deviations of the energy; the paper's is 1, sqrt(3) keeps the variance where
        levels are dense and even.
    weights : (level,) floats, or (beable, beable) matrix
        chi of rule "given": by level from the lowest, or as a matrix that commutes with H.
    charge : (beable,) floats, or (beable, beable) matrix
        An observable S with [H, S] = 0; a list is diagonal in the beables.
    sectors : {"none", "global", "own", "cut", "shells"}
        What is done with S. "global": W keeps the levels with |s_m - <S>| <= width sqrt(Var S) as well. "own": each
        eigenvalue of S has a chi of its own, made with the mean and the variance of the state within that sector; the
        whole law of S is then conserved, and each run ends in one sector. "cut": likewise, but with the window of the
        whole state cut by sectors. "shells": the sectors are the degenerate levels of H, so that the energy is
        conserved for every state; no charge is needed.

    Raises
    ------
    BadType, BadValue
    """

    rule: str = "window"
    width: float = 1.0
    weights: DiagonalOrMatrix = ()
    charge: DiagonalOrMatrix = ()
    sectors: str = "none"

    def __post_init__(self) -> None:
        choose(self.rule, "rule", RULES)
        choose(self.sectors, "sectors", SECTORS)
        object.__setattr__(self, "width", as_real(self.width, "width", positive=True))
        for name in ("weights", "charge"):
            object.__setattr__(self, name, _frozen(getattr(self, name), name))
        if (self.rule == "given") != bool(self.weights):
            raise BadValue("weights must be given where the rule is 'given', and only there.")
        if (self.sectors in ("global", "own", "cut")) != bool(self.charge):
            raise BadValue(
                f"charge must be given where sectors are 'global', 'own' or 'cut', and only there, but sectors are "
                f"'{self.sectors}'."
            )
        if self.rule == "given" and self.sectors not in ("none",):
            raise BadValue("weights that are given have no sectors; take sectors 'none' or another rule.")
        if self.sectors == "cut" and self.rule == "canonical":
            raise BadValue("sectors 'cut' cut a window, which rule 'canonical' has not; take sectors 'own'.")

    def as_parameters(self) -> dict[str, Any]:
        """Give the rule as "window" and the rest under their own names, weights and charge where there are any."""
        given = {name: value for name in ("weights", "charge") if (value := getattr(self, name))}
        return {"window": self.rule, "width": self.width, "sectors": self.sectors, **given}


class Equilibrium(NamedTuple):
    """chi with the levels that it is diagonal in.

    Parameters
    ----------
    levels : Levels
    chi : float64 (level,)
        Sums to one within each sector that the state has a part in.
    sector : int64 (level,)
    shares : float64 (sector,)
        w_s, the weight of the state in each sector.
    """

    levels: Levels
    chi: np.ndarray
    sector: np.ndarray
    shares: np.ndarray

    @property
    def average(self) -> np.ndarray:
        """sum_s w_s chi^(s), what an ensemble ends in, float64 (level,)."""
        return np.asarray(self.shares[self.sector] * self.chi)

    @property
    def window(self) -> np.ndarray:
        """W, the levels with chi_m > 0, int64 (w,)."""
        return np.flatnonzero(self.average > 0.0)


class Report(NamedTuple):
    """What is known of a thermalisation before it begins; energies in units of energy."""

    energy: float
    variance: float
    lowest: float
    highest: float
    levels: int
    outside: float
    energy_shift: float
    variance_ratio: float
    entropy: float
    overshoots: bool

    @property
    def sentence(self) -> str:
        """Say it."""
        kept = "V stays 0" if math.isnan(self.variance_ratio) else f"V becomes {self.variance_ratio:.4g} of it"
        entropy = "the entropy overshoots and falls again" if self.overshoots else "the entropy never falls"
        many = f"{self.levels} levels from {self.lowest:.6g} to {self.highest:.6g}"
        levels = many if self.levels > 1 else f"one level, {self.lowest:.6g}"
        return (
            f"<H> = {self.energy:.6g}, V = {self.variance:.6g}; chi has {levels}, outside of which the state has "
            f"{self.outside:.4g} of its weight; the energy shifts by {self.energy_shift:.6g}, {kept}; "
            f"S(chi) = {self.entropy:.6g}, and {entropy}"
        )


@one_thread()
def equilibrium_of(experiment: Experiment, window: Window, phase_rule: str = "auto") -> Equilibrium:
    """Make chi of the state in which ``experiment`` starts.

    Raises
    ------
    BadType, BadValue
        If the rule has no chi for this state: an empty window, an energy at the edge of the spectrum or of the window,
        weights that are negative, do not sum to one or do not commute with H, a charge that is not conserved.
    """
    return equilibrium(levels_of(experiment, phase_rule), window)


def equilibrium(levels: Levels, window: Window) -> Equilibrium:
    """Make chi of the state with these amplitudes."""
    if window.rule == "given":
        return _given(levels, window)
    if window.sectors == "none":
        chi = _chi(levels.energies, levels.weights, window, levels.rounding)
        return _whole(levels, chi)
    if window.sectors == "shells":
        return _resolved(levels, levels.shells(), window)
    levels, charges = levels.within_shells(_matrix(window.charge, levels.size, "charge"), "charge")
    values = _distinct(charges)
    if window.sectors == "global":
        mean = float(levels.weights @ values)
        spread = math.sqrt(float(levels.weights @ (values - mean) ** 2))
        grain = 1e-9 * (np.ptp(values) + float(np.max(np.abs(values))))
        allowed = np.abs(values - mean) <= window.width * spread + grain
        return _whole(levels, _chi(levels.energies, levels.weights, window, levels.rounding, allowed))
    return _resolved(levels, np.unique(values, return_inverse=True)[1].astype(np.int64), window)


@one_thread()
def report(chi: Equilibrium) -> Report:
    """Say what thermalisation to ``chi`` will do to the state."""
    levels, average = chi.levels, chi.average
    inside = average > 0.0
    mean = float(average @ levels.energies)
    variance = float(average @ (levels.energies - mean) ** 2)
    outside = float(levels.weights[~inside].sum())
    entropy = float(-average[inside] @ np.log(average[inside]))
    crossed = math.inf if outside > NOTHING else float(-levels.weights[inside] @ np.log(average[inside]))
    own = levels.energies[inside]
    small = levels.variance <= levels.rounding**2
    return Report(
        energy=levels.mean,
        variance=levels.variance,
        lowest=float(own[0]),
        highest=float(own[-1]),
        levels=int(inside.sum()),
        outside=outside,
        energy_shift=mean - levels.mean,
        variance_ratio=math.nan if small else variance / levels.variance,
        entropy=entropy,
        overshoots=crossed > entropy * (1.0 + 1e-12) + 1e-12,
    )


def warn_of_ambiguity(chi: Equilibrium, *, real: bool, chosen: bool) -> None:
    """Warn where the result depends on what physics does not fix: phases, vectors of a degenerate level, an edge.

    Parameters
    ----------
    real : bool
        Whether the noise is real, whose law is not the same in all phases of the eigenvectors.
    chosen : bool
        Whether a rule for these phases was asked for.
    """
    levels, average = chi.levels, chi.average
    # of a level that a charge splits the vectors are known
    kinds, members = np.unique(np.stack([levels.shells(), chi.sector]), axis=1, return_inverse=True)
    groups = [members.ravel() == kind for kind in range(kinds.shape[1])]
    shared = [own for own in groups if own.sum() > 1]
    uneven = any(np.ptp(average[own]) > 1e-12 for own in shared)
    turned = any(average[own].any() for own in shared) and real and levels.phase_rule == "largest"
    if real and levels.phase_rule == "largest" and not chosen:
        warnings.warn(
            "real noise depends on the phases of the eigenvectors, which a complex H does not fix; the largest entry "
            "of each is taken as real and positive: say so with phase_rule = 'largest', or take noise 'complex'.",
            RuntimeWarning,
            stacklevel=3,
        )
    if uneven or turned:
        warnings.warn(
            f"{sum(int(own.sum()) for own in shared)} levels are degenerate to 1e-8 of the spread, so that their "
            "vectors are the eigensolver's choice, on which trajectories depend; lift the degeneracy or name a charge.",
            RuntimeWarning,
            stacklevel=3,
        )


def warn_of_edges(levels: Levels, window: Window) -> None:
    """Warn where a level lies on the edge of the window, to within rounding."""
    if window.rule not in ("window", "tilted") or levels.variance <= levels.rounding**2:
        return
    edge = window.width * math.sqrt(levels.variance)
    near = np.abs(np.abs(levels.energies - levels.mean) - edge) <= levels.rounding
    if np.any(near):
        energy = levels.energies[int(np.flatnonzero(near)[0])]
        warnings.warn(
            f"the level of energy {energy:.6g} lies on the edge of the window to within rounding and is counted in; "
            "change the width a little to decide.",
            RuntimeWarning,
            stacklevel=3,
        )


def canonical(energies: np.ndarray, mean: float, rounding: float = 0.0) -> np.ndarray:
    """exp(-beta E_m)/Z with sum_m chi_m E_m = mean, float64 (level,); beta may be negative.

    Raises
    ------
    BadValue
        If ``mean`` is not within the spectrum, its ends excluded.
    """
    low, high = float(energies.min()), float(energies.max())
    if not low + rounding < mean < high - rounding:
        raise BadValue(
            f"a canonical chi must have an energy between {low:.6g} and {high:.6g}, but the state has {mean:.6g}: only "
            "beta = +-inf reaches an end; take rule 'window', which leaves such a level as it is."
        )
    x = (energies - mean) / (high - low)

    def excess(slope: float) -> float:
        return float(_boltzmann(x, slope) @ x)

    reach = 1.0
    while excess(-reach) < 0.0 or excess(reach) > 0.0:
        reach *= 2.0
    return _boltzmann(x, float(brentq(excess, -reach, reach, xtol=1e-14, rtol=8.9e-16)))


def _boltzmann(x: np.ndarray, slope: float) -> np.ndarray:
    exponent = -slope * x
    weights = np.exp(exponent - exponent.max())
    return np.asarray(weights / weights.sum())


def _chi(
    energies: np.ndarray,
    weights: np.ndarray,
    window: Window,
    rounding: float,
    allowed: np.ndarray | None = None,
) -> np.ndarray:
    """Apply the rule to the levels ``energies`` with the normalised ``weights`` of a state."""
    mean = float(weights @ energies)
    if window.rule == "canonical":
        own = np.ones(energies.size, dtype=bool) if allowed is None else allowed
        chi = np.zeros(energies.size)
        chi[own] = canonical(energies[own], mean, rounding)
        return chi
    variance = float(weights @ (energies - mean) ** 2)
    inside = np.abs(energies - mean) <= window.width * math.sqrt(variance) + rounding
    if allowed is not None:
        inside &= allowed
    if not inside.any():
        charged = "" if allowed is None else " and the charge"
        raise BadValue(
            f"the window of {window.width:g} standard deviations around the energy {mean:.6g}{charged} must hold a "
            "level, but is empty; widen it, or take another rule."
        )
    chi = np.zeros(energies.size)
    own = energies[inside]
    if window.rule == "window" or np.all(np.abs(own - mean) <= rounding):
        chi[inside] = 1.0 / own.size
        return chi
    if not own.min() + rounding < mean < own.max() - rounding:
        raise BadValue(
            f"a tilted window must have levels on both sides of the energy {mean:.6g}, but its levels run from "
            f"{own.min():.6g} to {own.max():.6g}; widen it."
        )
    chi[inside] = canonical(own, mean)
    return chi


def _whole(levels: Levels, chi: np.ndarray) -> Equilibrium:
    return Equilibrium(levels, chi, np.zeros(levels.size, np.int64), np.ones(1))


def _resolved(levels: Levels, sector: np.ndarray, window: Window) -> Equilibrium:
    """Make a chi for each sector that the state has a part in."""
    shares = np.bincount(sector, weights=levels.weights)
    chi = np.zeros(levels.size)
    whole = _chi(levels.energies, levels.weights, window, levels.rounding) if window.sectors == "cut" else None
    for number, share in enumerate(shares):
        (own,) = np.nonzero(sector == number)
        if share <= NOTHING:
            shares[number] = 0.0
            continue
        if whole is None:
            chi[own] = _chi(levels.energies[own], levels.weights[own] / share, window, levels.rounding)
            continue
        if not whole[own].any():
            raise BadValue(
                f"the window cut by sectors must hold a level of each sector in which the state is, but has none of "
                f"sector {number}, whose weight is {share:.4g}; widen the window, or take sectors 'own'."
            )
        chi[own] = whole[own] / whole[own].sum()
    return Equilibrium(levels, chi, sector, shares / shares.sum())


def _given(levels: Levels, window: Window) -> Equilibrium:
    weights = np.asarray(window.weights)
    if weights.ndim == 2:
        levels, chi = levels.within_shells(_matrix(window.weights, levels.size, "weights"), "chi")
        chi = np.where(np.abs(chi) < 1e-12, 0.0, chi)
    else:
        chi = as_reals(weights, "weights")
    if chi.shape != (levels.size,):
        raise BadValue(f"weights must be one for each of the {levels.size} levels, but have shape {chi.shape}.")
    if np.any(chi < 0.0):
        raise BadValue(f"weights must not be negative, but the least is {chi.min():.4g}.")
    if abs(chi.sum() - 1.0) > SUM_TOLERANCE:
        raise BadValue(f"weights must sum to one, but sum to {chi.sum():.10g}; divide them by their sum.")
    return _whole(levels, chi / chi.sum())


def _distinct(values: np.ndarray) -> np.ndarray:
    """Give values that differ by rounding one value."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    grain = 1e-8 * max(float(np.ptp(values)), float(np.max(np.abs(values))), np.finfo(float).tiny)
    group = np.concatenate([[0], np.cumsum(np.diff(ordered) > grain)])
    means = np.bincount(group, weights=ordered) / np.bincount(group)
    distinct = np.empty(values.size)
    distinct[order] = means[group]
    return distinct


def _matrix(entries: Any, size: int, name: str) -> np.ndarray:
    """Give what `_frozen` has kept as a Hermitian matrix."""
    array = np.asarray(entries)
    square = np.diag(as_reals(array, name)) if array.ndim == 1 else dense(as_hermitian(array, name))
    if square.shape[0] != size:
        raise BadValue(f"{name} must have one entry for each of the {size} beables, but has {square.shape[0]}.")
    return square if np.any(square.imag) else square.real


def _frozen(entries: Any, name: str) -> tuple[Any, ...]:
    """Give numbers as tuples, which can be compared, and named in full."""
    if hasattr(entries, "toarray"):
        entries = entries.toarray()
    if hasattr(entries, "full"):
        entries = entries.full()
    try:
        array = np.asanyarray(entries)  # a mask is refused below
    except ValueError:
        array = np.empty(0, dtype=object)
    if array.size == 0 and array.dtype.kind in "iufc" and array.ndim == 1:
        return ()
    if array.dtype.kind not in "iufc" or array.ndim not in (1, 2):
        raise BadValue(f"{name} must be a list of numbers or a matrix, but is {shown(entries)}.")
    array = dense(as_hermitian(array, name)) if array.ndim == 2 else as_reals(array, name)
    listed = (array if np.any(array.imag) else array.real).tolist()
    return tuple(tuple(row) for row in listed) if array.ndim == 2 else tuple(listed)
