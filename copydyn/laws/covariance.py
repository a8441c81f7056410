"""The noise of the whole ket: where the kicks of the copy events have been carried by the Schrödinger equation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import factorial

from copydyn.blas import one_thread
from copydyn.laws.infidelity import drawn_part, losses_on
from copydyn.laws.kicks import levers, sources
from copydyn.laws.path import Path, Stretch
from copydyn.laws.quadrature import Panels

MOST_LABELS = 512
"""The noise of larger systems would take hours."""

TERMS = 12
"""Of the series of exp(ix), |x| <= 1: what is left out is below 1e-8."""


@dataclass(frozen=True, eq=False)
class KickCovariance:
    """N E[dpsi_a conj(dpsi_b)] and N E[dpsi_a dpsi_b], dpsi the deviation of the ensemble's ket as N -> infinity.

    The deviation is a Gaussian vector of 2P real parts, of which these two matrices are the complex form. Every kick is
    perpendicular to psi, in norm and in phase, and so is what the Schrödinger equation makes of it: Tr(covariance) is
    the infidelity and nothing has to be projected away. NaN from the first node of the path on.

    Parameters
    ----------
    ket : complex128 (..., beable)
        psi on Schrödinger's path.
    pull : complex128 (..., beable)
        Drift of each psi_a by its neighbours, `Flow.pull`.
    covariance, relation : complex128 (..., beable, beable)
        N E[dpsi dpsi^+] and N E[dpsi dpsi^T].
    """

    ket: np.ndarray
    pull: np.ndarray
    covariance: np.ndarray
    relation: np.ndarray

    @property
    def infidelity(self) -> np.ndarray:
        """N E[1 - |<psi_ens|psi>|^2], float64 (...): `infidelity_law` by another way; inf from the first node on."""
        trace = np.trace(self.covariance, axis1=-2, axis2=-1).real
        return np.where(np.isnan(trace), np.inf, trace)

    @property
    def infidelity_spread(self) -> np.ndarray:
        """N times the standard deviation of one ensemble's infidelity, float64 (...).

        The infidelity dpsi^+ dpsi is a quadratic form of a Gaussian vector, whose variance is 2 Tr(C^2) with C the
        covariance of its 2P real parts, and that is |covariance|^2 + |relation|^2 in Frobenius' norm.
        """
        squares = np.abs(self.covariance) ** 2 + np.abs(self.relation) ** 2
        return np.asarray(np.sqrt(squares.sum(axis=(-2, -1))))

    @property
    def frequencies(self) -> np.ndarray:
        """N Cov(n_a/N, n_b/N), float64 (..., beable, beable), of drho_a = 2 Re[conj(psi_a) dpsi_a]."""
        bra = self.ket.conj()
        along = bra[..., :, None] * self.ket[..., None, :] * self.covariance
        across = bra[..., :, None] * bra[..., None, :] * self.relation
        return np.asarray(2.0 * (along + across).real)

    def perpendicular(self, time_index: int, label: int) -> float:
        """N Var of the part of psi_label that is perpendicular to its drift.

        The drift is that by the neighbours, -(i/hbar) sum_{b != a} H_ab psi_b: H_aa only turns psi_a. On a node this is
        s^2 of `node_crossings`, but for the node's own share.
        """
        pull = self.pull[time_index, label]
        direction = pull / abs(pull)
        relation = direction.conjugate() ** 2 * self.relation[time_index, label, label]
        return float(0.5 * (self.covariance[time_index, label, label] - relation).real)


@one_thread()
def kick_covariance(
    H: Any, psi0: Any, tlist: Any, *, hbar: float = 1.0, multinomial: bool | np.ndarray = False
) -> KickCovariance:
    """d/dt E[dpsi dpsi^+] = -(i/hbar) [H, E[dpsi dpsi^+]] + sum_e r_e k_e k_e^+, all times N.

    On the edge e = (a, b) copy events come at the rate r_e = 2 R_ab sqrt(rho_a rho_b) |sin theta_e|, (32) of Smolin
    2012, and each kicks psi by +-k_e, k_a = psi_a / 2 rho_a and k_b = -psi_b / 2 rho_b. Derivation in docs/theory.md.

    Parameters
    ----------
    H, psi0, tlist, hbar
        As for `infidelity_law`.
    multinomial : bool or float64 (beable,)
        Start with the covariance diag(rho) - rho rho^T of frequencies that were drawn from rho = |psi0|^2. Where only
        some of the copies were drawn, as beside spectators, their part of each |psi0_a|^2.

    Returns
    -------
    KickCovariance
        With the leading axis (time,); NaN where `infidelity_law` is inf.

    Raises
    ------
    BadType, BadValue
        If the arguments make no experiment, or H has more than `covariance.MOST_LABELS` labels.
    """
    path = Path.of(H, psi0, tlist, hbar=hbar, most=MOST_LABELS)
    frames = list(_frames(path, multinomial))
    columns = zip(*((frame.ket, frame.pull, frame.covariance, frame.relation) for frame in frames))
    return KickCovariance(*(np.array(column) for column in columns))


@one_thread()
def linear_noise(
    H: Any, psi0: Any, tlist: Any, *, hbar: float = 1.0, multinomial: bool | np.ndarray = False
) -> np.ndarray:
    """N Cov(n_a/N, n_b/N) -> 4 N E[Re(conj(psi_a) dpsi_a) Re(conj(psi_b) dpsi_b)], see `kick_covariance`.

    Parameters
    ----------
    H, psi0, tlist, hbar, multinomial
        As for `kick_covariance`.

    Returns
    -------
    float64 (time, beable, beable)
        NaN from the first node of the path on: `first_node` names the label and the time.

    Raises
    ------
    BadType, BadValue
        If the arguments make no experiment, or H has more than `covariance.MOST_LABELS` labels.
    """
    path = Path.of(H, psi0, tlist, hbar=hbar, most=MOST_LABELS)
    return np.array([frame.frequencies for frame in _frames(path, multinomial)])


def _frames(path: Path, multinomial: bool | np.ndarray) -> Iterator[KickCovariance]:
    """The noise at one save time after the other."""
    noise = _drawn(path, drawn_part(path, multinomial))
    pull = path.stretches[0].flow.pull(path.ket[None])[0] if path.stretches else np.zeros_like(path.ket)
    yield KickCovariance(path.ket, pull, *noise)
    for stretch in path.stretches:
        modes, flow = stretch.flow.modes, stretch.flow
        covariance, relation = modes.conj().T @ noise[0] @ modes, modes.conj().T @ noise[1] @ modes.conj()
        quadrature = losses_on(path, stretch)
        safe = path.saves_before_node(stretch).size
        for index, segment in enumerate(stretch.segments):
            if index < safe:
                panels = quadrature.panels.take(quadrature.panels.owner == index)
                gained = _gathered(stretch, panels, path.rounding)
                covariance, relation = covariance + gained[0], relation + gained[1]
            else:
                covariance, relation = np.full_like(covariance, np.nan), np.full_like(relation, np.nan)
            turned = modes * flow.phases(np.array([segment.end - stretch.start]))
            noise = (turned @ covariance @ turned.conj().T, turned @ relation @ turned.T)
            if segment.save is not None:
                ket = stretch.kets(np.array([segment.end]))
                yield KickCovariance(ket[0], flow.pull(ket)[0], *noise)


def _drawn(path: Path, drawn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Covariance and relation of dpsi_a = psi_a drho_a / 2 rho_a, where Cov(drho) = diag(w) - w w^T / sum(w)."""
    lever = levers(path.ket[None], path.rounding)[0]
    mean = lever * drawn / np.sqrt(drawn.sum() or 1.0)
    covariance = np.diag(np.abs(lever) ** 2 * drawn) - np.outer(mean, mean.conj())
    return covariance, np.diag(lever**2 * drawn) - np.outer(mean, mean)


def _gathered(stretch: Stretch, panels: Panels, rounding: float) -> tuple[np.ndarray, np.ndarray]:
    """Covariance and relation of the kicks on ``panels``, carried back to the stretch's start, in its eigenbasis.

    Between two modes the way back is a factor exp(i x t), x = E_k - E_l or E_k + E_l, that turns by a radian at most
    within a window of width `Flow.widest`. Its power series makes P^3 operations a matter of windows, not of points.
    """
    flow, modes = stretch.flow, stretch.flow.modes
    energies = flow.frequencies
    beats = 1j * np.array([np.subtract.outer(energies, energies), np.add.outer(energies, energies)])
    total = np.zeros_like(beats)
    for window in panels.windows():
        middle = 0.5 * float(window.starts[0] + window.ends[-1])
        moments = _moments(stretch, window, middle, rounding)
        covariances = np.tensordot(modes.conj(), np.tensordot(moments[0], modes, 1), (0, 1))
        relations = np.tensordot(modes.conj(), np.tensordot(moments[1], modes.conj(), 1), (0, 1))
        series = np.zeros_like(total)
        for power in reversed(range(TERMS)):
            series *= beats
            series += covariances[:, power], relations[:, power]
        total += np.exp(beats * (middle - stretch.start)) * series
    return total[0], total[1]


def _moments(stretch: Stretch, panels: Panels, middle: float, rounding: float) -> np.ndarray:
    """Integrals of (t - middle)^j / j! sum_e r_e k_e k_e^+, and with k_e k_e^T; complex128 (2, j, beable, beable).

    The mean energy is taken out of the kets: it would turn the relation, but not the covariance, by more than a radian.
    """
    flow, edges, size = stretch.flow, stretch.flow.edges, stretch.ket.size
    diagonals = np.zeros((2, TERMS, size), dtype=complex)
    besides = np.zeros((2, TERMS, edges.a.size), dtype=complex)
    for part in panels.portions(max(size, edges.a.size)):
        times = part.times
        still = np.exp(1j * flow.centre * (times - stretch.start))[:, None]
        diagonal, beside = sources(stretch.kets(times) * still, edges, rounding)
        powers = np.vander(times - middle, TERMS, increasing=True) / factorial(np.arange(TERMS))
        powers = (powers * part.weights[:, None]).T
        diagonals += powers @ diagonal
        besides += powers @ beside
    matrices = np.zeros((2, TERMS, size, size), dtype=complex)
    matrices[:, :, edges.a, edges.b] = besides
    matrices[:, :, edges.b, edges.a] = [besides[0].conj(), besides[1]]
    matrices[:, :, range(size), range(size)] = diagonals
    return matrices
