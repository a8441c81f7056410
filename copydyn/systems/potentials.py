"""A particle in a potential V(x), on sites of one dimension with walls at both ends.

All have H_aa = V(x_a) + hbar^2/(m d^2) and H_ab = -hbar^2/(2 m d^2) between neighbours, x_a = (a - (P-1)/2) d: to order
(k d)^2 the Hamiltonian p^2/2m + V of a particle in continuous space. In all of them ``sites`` is P, ``spacing`` d,
``mass`` m, and ``label_by`` = "site" names the labels 0, 1, ..., "position" names them by x_a.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from copydyn.experiment import System
from copydyn.experiment.inputs import LARGEST_SYSTEM, as_real, as_whole, shown
from copydyn.refusal import BadValue
from copydyn.systems.lattice import lattice, positions


def harmonic(
    sites: int = 32,
    spacing: float = 0.5,
    mass: float = 1.0,
    frequency: float = 1.0,
    label_by: str = "site",
    hbar: float = 1.0,
) -> System:
    """V(x) = m w^2 x^2 / 2.

    Parameters
    ----------
    frequency : float, rad per unit of time
        w. The n-th level lies at hbar w (n + 1/2) - m w^2 d^2 (2 n^2 + 2 n + 1)/32 up to the order d^4.
    """
    m, w = as_real(mass, "mass", positive=True), as_real(frequency, "frequency")
    return _on_sites("harmonic", lambda x: 0.5 * m * (w * x) ** 2, sites, spacing, mass, label_by, hbar)


def double_well(
    sites: int = 32,
    spacing: float = 0.25,
    mass: float = 1.0,
    barrier: float = 2.0,
    separation: float = 4.0,
    label_by: str = "site",
    hbar: float = 1.0,
) -> System:
    """V(x) = B (1 - (2x/s)^2)^2: minima of height 0 at x = -s/2 and s/2, and between them a maximum of height B at 0.

    Parameters
    ----------
    barrier : float
        B, energy; near a minimum the frequency is sqrt(32 B / m) / s.
    separation : float
        s > 0, length.
    """
    top, across = as_real(barrier, "barrier"), as_real(separation, "separation", positive=True)
    return _on_sites(
        "double-well", lambda x: top * (1.0 - (2.0 * x / across) ** 2) ** 2, sites, spacing, mass, label_by, hbar
    )


def barrier(
    sites: int = 64,
    spacing: float = 1.0,
    mass: float = 1.0,
    height: float = 0.5,
    width: float = 2.0,
    centre: float = 0.0,
    label_by: str = "site",
    hbar: float = 1.0,
) -> System:
    """V(x) = V_0 for |x - c| < w/2, else 0, averaged over the cell of each site, from x_a - d/2 to x_a + d/2.

    Where the edges lie between two sites M = w/d sites have the height V_0, and a wave exp(i k a) passes with the
    probability T = 1 / (1 + (cos k - cos q)^2 sin^2(M q) / (sin k sin q)^2), cos q = cos k + m d^2 V_0 / hbar^2.

    Parameters
    ----------
    height : float
        V_0, energy; negative for a well.
    width : float
        w >= 0, length.
    centre : float
        c, length; the middle of the lattice is 0.
    """
    top, across, middle = as_real(height, "height"), as_real(width, "width"), as_real(centre, "centre")
    if across < 0.0:
        raise BadValue(f"width must be >= 0, but is {across:g}; give the width of the barrier as a length.")

    def potential(x: np.ndarray) -> np.ndarray:
        right = np.minimum(x - middle + 0.5 * spacing, 0.5 * across)
        left = np.maximum(x - middle - 0.5 * spacing, -0.5 * across)
        return top * np.clip((right - left) / spacing, 0.0, 1.0)

    return _on_sites("barrier", potential, sites, spacing, mass, label_by, hbar)


def linear(
    sites: int = 64,
    spacing: float = 0.5,
    mass: float = 1.0,
    force: float = 0.2,
    label_by: str = "site",
    hbar: float = 1.0,
) -> System:
    """V(x) = -F x.

    Parameters
    ----------
    force : float
        F, energy over length: d<p>/dt = F. On a lattice k turns with F d/hbar, and after 2 pi hbar/(F d) the particle
        is back where it was (Bloch), unless it meets a wall.
    """
    pull = as_real(force, "force")
    return _on_sites("linear", lambda x: -pull * x, sites, spacing, mass, label_by, hbar)


def quartic(
    sites: int = 32,
    spacing: float = 0.25,
    mass: float = 1.0,
    strength: float = 1.0,
    label_by: str = "site",
    hbar: float = 1.0,
) -> System:
    """V(x) = g x^4.

    Parameters
    ----------
    strength : float
        g, energy over length^4. As d goes to 0 the ground level goes to 0.667986 (hbar^4 g / m^2)^(1/3).
    """
    g = as_real(strength, "strength")
    return _on_sites("quartic", lambda x: g * x**4, sites, spacing, mass, label_by, hbar)


def position_labels(x: np.ndarray) -> tuple[str, ...]:
    """Write positions in as few digits as tell them apart, at least six."""
    for digits in (6, 9, 12, 15):
        labels = tuple(f"{place:.{digits}g}" for place in x)
        if len(set(labels)) == x.size:
            return labels
    return tuple(repr(float(place)) for place in x)


def _on_sites(
    name: str,
    potential: Callable[[np.ndarray], np.ndarray],
    sites: int,
    spacing: float,
    mass: float,
    label_by: str,
    hbar: float,
) -> System:
    size = as_whole(sites, "sites", least=2, most=LARGEST_SYSTEM)
    if label_by not in ("site", "position"):
        raise BadValue(f"label_by must be one of site, position, but is {shown(label_by)}; choose one of them.")
    with np.errstate(over="ignore", invalid="ignore"):  # the lattice refuses what is not finite
        x = positions(size, as_real(spacing, "spacing", positive=True))
        heights = potential(x)
    system = lattice(size, spacing, mass, potential=heights, hbar=hbar)  # type: ignore[arg-type]
    labels = system.labels if label_by == "site" else position_labels(x)
    return replace(system, labels=labels, meaning=label_by, name=name)
