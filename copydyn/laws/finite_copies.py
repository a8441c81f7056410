"""The laws of one experiment in one Dataset: what `copydyn.compare` judges by."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from copydyn.blas import one_thread
from copydyn.experiment import Experiment
from copydyn.experiment.inputs import as_ket
from copydyn.laws.covariance import MOST_LABELS, KickCovariance, kick_covariance
from copydyn.laws.infidelity import infidelity_law, losses_on
from copydyn.laws.kicks import levers, sources
from copydyn.laws.path import Path
from copydyn.laws.reach import MOST_DOUBT, Doubts, doubts, most_variance

NOTHING = 1e-9
"""N times an infidelity that is rounding: about one copy event in a thousand million copies."""


@one_thread()
def finite_copies(
    experiment: Experiment,
    ket: np.ndarray,
    *,
    multinomial: bool | np.ndarray = False,
    copies: int | None = None,
    floor: int = 0,
) -> xr.Dataset:
    """Predict infidelity and noise, times N, of ensembles that start from ``ket``.

    Parameters
    ----------
    experiment : Experiment
    ket : complex128 (beable,)
        What the counts really encode at the start, `copydyn.ensemble.Ensemble.ket`; rounding, spectators and admixture
        make it differ from ``experiment.ket``.
    multinomial : bool or float64 (beable,)
        The counts are drawn from |ket|^2 afresh for each replica; or that part of each |ket_a|^2 which is, beside
        spectators.
    copies : int, optional
        N, spectators included. With it the law says how far it reaches.
    floor : int
        Copies below which no label may fall.

    Returns
    -------
    Dataset with ``infidelity_law (time)``, inf from the first node on; ``infidelity_spread (time)``, N times the
    standard deviation of one ensemble's infidelity; ``frequency_noise (time, beable)``, N times the variance of n_a/N;
    these two are NaN from the first node on, and left out above `covariance.MOST_LABELS` labels. The attribute
    ``offset`` is the infidelity of ``ket`` itself, which unitary flow keeps. Where it is not zero the noise changes the
    infidelity in first order: ``offset_spread (time)`` is sqrt(N) times the standard deviation of that, and
    ``offset_shift (time)``, to be added to ``infidelity_law``, what noise and offset together do to the mean.

    With ``copies`` also ``infidelity_doubt (time)``, what of N times the infidelity rests on what the law does not know
    (`copydyn.laws.reach`), and ``in_reach (time)``, where that is at most `reach.MOST_DOUBT` of it. The attribute
    ``beyond_reach`` says why the law ends where it does first; it is empty where it holds throughout.
    """
    system = experiment.system
    start = as_ket(ket, system.size, name="ket")
    rest = start - np.vdot(experiment.ket, start) * experiment.ket
    offset = float(np.vdot(rest, rest).real)
    law = infidelity_law(system.hamiltonian, start, experiment.tlist, hbar=system.hbar, multinomial=multinomial)
    about = {"units": "1", "long_name": "N times the mean infidelity that finite N must give"}
    data: dict[str, Any] = {"infidelity_law": ("time", law, about)}
    if system.size <= MOST_LABELS:
        noise = kick_covariance(system.hamiltonian, start, experiment.tlist, hbar=system.hbar, multinomial=multinomial)
        about = {"units": "1", "long_name": "N times the standard deviation of one ensemble's infidelity"}
        data["infidelity_spread"] = ("time", noise.infidelity_spread, about)
        variances = np.diagonal(noise.frequencies, axis1=-2, axis2=-1)
        about = {"units": "1", "long_name": "N times the variance of the frequencies that finite N must give"}
        data["frequency_noise"] = (("time", "beable"), np.maximum(variances, 0.0), about)
        about = {"units": "1", "long_name": "sqrt(N) times the standard deviation that the offset gives an infidelity"}
        spread, shift = _beside(experiment, start, rest, noise)
        data["offset_spread"] = ("time", spread, about)
        about = {"units": "1", "long_name": "N times what noise and offset together add to the mean infidelity"}
        data["offset_shift"] = ("time", shift, about)
    told = xr.Dataset(data, {"time": experiment.tlist, "beable": list(system.labels)}, {"offset": offset})
    return told if copies is None else with_reach(experiment, start, told, copies, floor=floor, multinomial=multinomial)


def with_reach(
    experiment: Experiment,
    ket: np.ndarray,
    law: xr.Dataset,
    copies: int,
    *,
    floor: int = 0,
    multinomial: bool | np.ndarray = False,
) -> xr.Dataset:
    """Add to the law of ensembles that start from ``ket`` how far it reaches for N ``copies``, and why not further."""
    system, start = experiment.system, ket
    rest = start - np.vdot(experiment.ket, start) * experiment.ket
    offset = float(np.vdot(rest, rest).real)
    losses = law["infidelity_law"].values
    path = Path.of(system.hamiltonian, start, experiment.tlist, hbar=system.hbar)
    aside = None
    if offset > 0.0:
        aside = Path.of(system.hamiltonian, rest / np.linalg.norm(rest), experiment.tlist, hbar=system.hbar)
    if "frequency_noise" in law:
        variance = law["frequency_noise"].values
    else:
        variance = most_variance(np.abs(path.saved) ** 2, losses)
    found = doubts(path, copies, losses, variance, floor=floor, multinomial=multinomial, aside=aside, offset=offset)
    finite = np.isfinite(losses)
    shift = law["offset_shift"].values if "offset_shift" in law else 0.0
    whole = np.where(finite, losses + np.nan_to_num(shift), 0.0) + copies * offset
    doubt = found.total
    within = finite & (doubt <= MOST_DOUBT * np.maximum(whole, 0.0) + NOTHING)
    said = "" if within.all() else _why_not(experiment, path, found, int(np.argmin(within)), bool(finite.all()))
    about = {"units": "1", "long_name": "part of N times the infidelity that rests on what the law does not know"}
    return law.assign(
        infidelity_doubt=("time", np.where(finite, doubt, np.inf), about),
        in_reach=("time", within, {"units": "1", "long_name": "whether the law holds"}),
    ).assign_attrs(beyond_reach=said)


def _why_not(experiment: Experiment, path: Path, found: Doubts, first: int, nodeless: bool) -> str:
    """Say from when on the law does not hold, and what it is mostly for."""
    when = f"from time {experiment.tlist[first]:.4g} on"
    if not nodeless and path.finite == first:
        return f"{when}: the path meets a node"
    part, label = found.largest(first)
    name = experiment.system.labels[label]
    return {
        "few": f"{when}: too much of the noise is made where labels have few copies, most of it by label '{name}'",
        "floor": f"{when}: labels rest on the floor, which the law does not know, label '{name}' among them",
        "lost": f"{when}: labels may have died out, label '{name}' most likely",
        "beyond": f"{when}: the noise is not small",
    }[part]


def _beside(
    experiment: Experiment, start: np.ndarray, rest: np.ndarray, noise: KickCovariance
) -> tuple[np.ndarray, np.ndarray]:
    """sqrt(N Var[2 Re <d|dpsi>]), and N E[2 Re <d|dpsi>] - N E|<psi|dpsi>|^2, d = ``rest`` carried by Schrödinger.

    The infidelity of psi' + dpsi is |d|^2 + 2 Re <d|dpsi> + |dpsi|^2 - |<psi|dpsi>|^2, and with the covariance C and
    the relation R of sqrt(N) dpsi the variance is 2 d^+ C d + 2 Re d^+ R d*.
    """
    length = float(np.linalg.norm(rest))
    if length == 0.0:
        return np.zeros(experiment.tlist.size), np.zeros(experiment.tlist.size)
    system = experiment.system
    path, aside, wanted = (
        Path.of(system.hamiltonian, ket, experiment.tlist, hbar=system.hbar)
        for ket in (start, rest / length, experiment.ket)
    )
    bra = length * aside.saved.conj()
    along = np.einsum("ta,tab,tb->t", bra, noise.covariance, bra.conj())
    across = np.einsum("ta,tab,tb->t", bra, noise.relation, bra)
    shift = length * _mean_along(path, aside, noise)
    shift -= np.einsum("ta,tab,tb->t", wanted.saved.conj(), noise.covariance, wanted.saved).real
    return np.asarray(np.sqrt(np.maximum(2.0 * (along + across).real, 0.0))), shift


def _mean_along(path: Path, aside: Path, noise: KickCovariance) -> np.ndarray:
    """N 2 Re <d|E dpsi>, float64 (time,): what sqrt(n) being no straight line makes of events that cancel in the mean.

    sqrt(n_a +- 1) lies 1/(8 n_a^2) of itself below the line, so that each event on an edge of a moves the mean of psi_a
    by -psi_a / 8 n_a^2; the rest of the drift is linear in psi, and <d|dpsi> is carried unchanged.
    """
    gains = np.zeros(path.tlist.size)
    lever = levers(path.ket[None], path.rounding)[0]
    gains[0] = -2.0 * (aside.ket.conj() * lever).real @ np.diagonal(noise.covariance[0]).real
    for stretch, beside in zip(path.stretches, aside.stretches):
        saves = path.saves_before_node(stretch)
        for panels in losses_on(path, stretch).panels.portions(max(path.ket.size, stretch.flow.edges.a.size)):
            kets = stretch.kets(panels.times)
            kicked = sources(kets, stretch.flow.edges, path.rounding)[0][0].real
            rate = -2.0 * ((beside.kets(panels.times).conj() * levers(kets, path.rounding)).real * kicked).sum(axis=1)
            sums = (rate * panels.weights).reshape(panels.owner.size, -1).sum(axis=1)
            np.add.at(gains, saves[panels.owner], sums)
    return np.cumsum(gains)
