"""Where thermalisation and collapse come to rest together.

0 = -i [H, rho]/hbar + gamma (Delta(rho) - rho) + Gamma (chi - rho), so that

    rho = R[Gamma chi + gamma Delta(rho)],    R[X]_mn = X_mn / (Gamma + gamma + i (E_m - E_n)/hbar).

For rank-one projectors only the populations p_k = <k| rho |k> are unknown: (1 - gamma M) p = <k| R[Gamma chi] |k> with
M_kl = <k| R[|l><l|] |k>, D equations in the place of D^2. For higher ranks the fixed point is iterated; a step
contracts by gamma / (gamma + Gamma).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from copydyn.blas import one_thread
from copydyn.refusal import BadValue
from copydyn.theories.irreversible.equilibrium import Equilibrium
from copydyn.theories.irreversible.reduction import Reduction

MOST_ITERATIONS = 20_000

MOST_UNKNOWNS = 1500
"""Elements within the blocks beyond which the commutant is not looked for."""


class Steady(NamedTuple):
    """A steady state and what it costs to keep.

    Parameters
    ----------
    rho : complex128 (beable, beable)
    residual : float
        Largest element of what the right-hand side leaves of d rho/dt, relative to Gamma + gamma.
    iterations : int
        Zero where a system of D equations was solved.
    """

    rho: np.ndarray
    residual: float
    iterations: int


@one_thread()
def steady_state(
    chi: Equilibrium, reduction: Reduction, thermalising: float, reducing: float, method: str = "auto"
) -> Steady:
    """Find the steady state of eq. 8.

    Parameters
    ----------
    thermalising, reducing : float
        Gamma, gamma; 1/time.
    method : {"auto", "solve", "fixed-point"}
        "solve" is for rank-one projectors, and what "auto" takes there.

    Raises
    ------
    BadValue
        If it is not unique: with Gamma = 0 where something but the identity commutes with H and all projectors; if the
        fixed point does not converge.
    """
    levels = chi.levels
    size = levels.size
    if thermalising == 0.0:
        number = conserved(chi, reduction) if reducing > 0.0 else size
        if number > 1:
            raise BadValue(
                f"a steady state must be unique, but without thermalisation {number} independent matrices commute with "
                "H and the projectors, and what they measure never changes; give a rate of thermalisation > 0."
            )
        rho = np.eye(size, dtype=complex) / size
        return Steady(rho, residual(rho, chi, reduction, thermalising, reducing), 0)
    u = reduction.seen_from(levels.vectors)
    gaps = levels.frequencies[:, None] - levels.frequencies
    resolvent = 1.0 / (thermalising + reducing + 1j * gaps)
    source = np.diag(thermalising * chi.average).astype(complex)
    if method not in ("auto", "solve", "fixed-point"):
        raise BadValue(f"method must be one of auto, solve, fixed-point, but is {method!r}.")
    if method == "solve" and not reduction.rank_one:
        raise BadValue("method 'solve' needs projectors of rank one, but some are not; take 'fixed-point'.")
    iterations = 0
    if reduction.rank_one and method != "fixed-point":
        first = np.einsum("mk,mn,nk->k", u.conj(), resolvent * source, u, optimize=True).real
        populations = np.linalg.solve(np.eye(size) - reducing * transfer(u, resolvent), first)
        rho = resolvent * (source + reducing * (u * populations) @ u.conj().T)
    else:
        rho = resolvent * source
        for iterations in range(1, MOST_ITERATIONS + 1):  # noqa: B007  # the number is told
            told = (u.conj().T @ rho @ u) * reduction.same
            further = resolvent * (source + reducing * (u @ told @ u.conj().T))
            change = float(np.abs(further - rho).max())
            rho = further
            if change <= 1e-16:
                break
        else:
            raise BadValue(
                f"the steady state must be found in {MOST_ITERATIONS} iterations, but a step contracts by "
                f"{reducing / (reducing + thermalising):.6g} only; raise the rate of thermalisation."
            )
    beables = levels.vectors @ rho @ levels.vectors.conj().T
    beables = 0.5 * (beables + beables.conj().T)
    return Steady(beables, residual(beables, chi, reduction, thermalising, reducing), iterations)


def transfer(u: np.ndarray, resolvent: np.ndarray) -> np.ndarray:
    """M_kl = <k| R[|l><l|] |k>, float64 (collapse, collapse): >= 0, rows sum to 1/(Gamma + gamma)."""
    rows = []
    for own in u.T:  # <m|k>
        along = own.conj()[:, None] * u  # <k|m><m|l>
        rows.append(np.einsum("ml,ml->l", along, resolvent @ along.conj()).real)
    return np.array(rows)


@one_thread()
def flow(rho: np.ndarray, chi: Equilibrium, reduction: Reduction, thermalising: float, reducing: float) -> np.ndarray:
    """D rho/dt of eq. 8, complex128 (beable, beable)."""
    vectors = chi.levels.vectors
    h = (vectors * chi.levels.frequencies) @ vectors.conj().T
    goal = (vectors * chi.average) @ vectors.conj().T
    turned = -1j * (h @ rho - rho @ h)
    thermal = thermalising * (goal * np.trace(rho) - rho)
    return np.asarray(turned + reducing * (reduction.reduced(rho) - rho) + thermal)


@one_thread()
def residual(rho: np.ndarray, chi: Equilibrium, reduction: Reduction, thermalising: float, reducing: float) -> float:
    """Largest element of d rho/dt over Gamma + gamma."""
    rates = thermalising + reducing
    return float(np.abs(flow(rho, chi, reduction, thermalising, reducing)).max() / (rates if rates > 0.0 else 1.0))


@one_thread()
def zeno_limit(chi: Equilibrium, reduction: Reduction, thermalising: float) -> np.ndarray:
    """Limit of the steady state for gamma -> infinity, complex128 (beable, beable).

    Delta(chi) for projectors of rank one; for higher ranks the solution of
    -i [Delta(H), rho]/hbar + Gamma (Delta(chi) - rho) = 0.
    """
    vectors = chi.levels.vectors
    h = reduction.reduced(((vectors * chi.levels.frequencies) @ vectors.conj().T).astype(complex))
    goal = reduction.reduced(((vectors * chi.average) @ vectors.conj().T).astype(complex))
    energies, modes = np.linalg.eigh(h)
    told = modes.conj().T @ goal @ modes
    told = thermalising * told / (thermalising + 1j * (energies[:, None] - energies))
    return np.asarray(modes @ told @ modes.conj().T)


@one_thread()
def energy_balance(
    rho: np.ndarray, chi: Equilibrium, reduction: Reduction, thermalising: float, reducing: float
) -> tuple[float, float]:
    """What collapse gives, gamma Tr rho (Delta(H) - H), and what thermalisation takes, Gamma (Tr rho H - E_chi).

    Both in energy per time; equal in the steady state.
    """
    levels = chi.levels
    h = (levels.vectors * levels.energies) @ levels.vectors.conj().T
    given = reducing * float(np.einsum("ab,ba->", rho, reduction.reduced(h.astype(complex)) - h).real)
    taken = thermalising * (float(np.einsum("ab,ba->", rho, h).real) - float(chi.average @ levels.energies))
    return given, taken


@one_thread()
def conserved(chi: Equilibrium, reduction: Reduction) -> int:
    """Count the independent matrices that commute with H and with every projector.

    Raises
    ------
    BadValue
        If the projectors' blocks are too large to look.
    """
    vectors = chi.levels.vectors
    h = reduction.into(((vectors * chi.levels.frequencies) @ vectors.conj().T).astype(complex))
    if reduction.rank_one:  # a diagonal matrix, which must be the same wherever H leads
        linked = np.abs(h) > 1e-12 * max(float(np.abs(h).max()), 1e-300)
        return _components(linked)
    rows, columns = np.nonzero(reduction.same)
    if rows.size > MOST_UNKNOWNS:
        raise BadValue(
            f"what commutes with H and the projectors is looked for among {MOST_UNKNOWNS} elements at most, but the "
            f"blocks have {rows.size}; give a rate of thermalisation > 0."
        )
    size = len(h)
    equations = np.zeros((size, size, rows.size), dtype=complex)
    for number, (a, b) in enumerate(zip(rows, columns)):  # [H, |a><b|]
        equations[:, b, number] += h[:, a]
        equations[a, :, number] -= h[b, :]
    values = np.linalg.svd(equations.reshape(size * size, -1), compute_uv=False)
    return int(np.sum(values <= 1e-10 * max(float(values[0]), 1e-300)))


def _components(linked: np.ndarray) -> int:
    """Count the connected components of a graph."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    return int(connected_components(csr_array(linked), directed=False)[0])
