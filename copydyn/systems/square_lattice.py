"""A particle on a square lattice, and the double slit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import sparse

from copydyn.experiment import System
from copydyn.experiment.inputs import LARGEST_SYSTEM, as_real, as_reals, as_whole
from copydyn.experiment.square_sites import as_pair
from copydyn.refusal import BadValue
from copydyn.systems.lattice import lattice, positions


def square_lattice(
    columns: int = 16,
    rows: int = 16,
    spacing: float = 1.0,
    mass: float = 1.0,
    potential: Sequence[Sequence[float]] | float = 0.0,
    frequency: float = 0.0,
    force: tuple[float, float] = (0.0, 0.0),
    hbar: float = 1.0,
) -> System:
    """H = (p_x^2 + p_y^2)/2m + V: H_aa = V_a + 2 hbar^2/(m d^2), H_ab = -hbar^2/(2 m d^2) for nearest neighbours.

    V = potential + m w^2 r^2/2 - F r, with r measured from the middle. The site (x, y) has the index a = x rows + y, so
    that ``ket.reshape(columns, rows)`` is psi[x, y]; its label is "(x,y)".

    Parameters
    ----------
    columns, rows : int
        Numbers of sites along x and y, each >= 2; there are walls all around.
    spacing : float
        d, length.
    mass : float
        m > 0.
    potential : float (columns, rows) or float
        Energy at the sites.
    frequency : float, rad per unit of time
        w of a round harmonic trap.
    force : (float, float)
        F = (F_x, F_y), energy over length.
    """
    width, height = as_sides(columns, rows)
    heights = as_reals(potential, "potential")
    if heights.shape not in ((), (width, height)):
        raise BadValue(
            f"potential must be one energy, or give one for each of {width} columns of {height} rows, "
            f"but has shape {heights.shape}."
        )
    x, y = (positions(size, as_real(spacing, "spacing", positive=True)) for size in (width, height))
    trap, w = 0.5 * as_real(mass, "mass", positive=True), as_real(frequency, "frequency")
    with np.errstate(over="ignore", invalid="ignore"):  # the lattices refuse what is not finite
        pull_x, pull_y = as_pair(force, "force")
        along_x = lattice(width, spacing, mass, (trap * (w * x) ** 2 - pull_x * x).tolist(), hbar=hbar).hamiltonian
        along_y = lattice(height, spacing, mass, (trap * (w * y) ** 2 - pull_y * y).tolist(), hbar=hbar).hamiltonian
    h = sparse.kronsum(along_y, along_x) + sparse.diags_array(np.broadcast_to(heights, (width, height)).ravel())
    labels = [f"({a},{b})" for a in range(width) for b in range(height)]
    return System(sparse.csr_array(h), labels=labels, meaning="site", hbar=hbar, name="square-lattice")


def double_slit(
    columns: int = 24,
    rows: int = 15,
    spacing: float = 1.0,
    mass: float = 1.0,
    wall: int = 10,
    thickness: int = 1,
    opening: int = 2,
    separation: int = 3,
    height: float = 5.0,
    hbar: float = 1.0,
) -> System:
    """A square lattice whose columns from ``wall`` on are ``height`` high, but for two openings.

    Along the wall lie: wall, opening, ``separation`` sites of wall, opening, wall; the same above and below.

    Parameters
    ----------
    columns, rows, spacing, mass
        As in `square_lattice`.
    wall : int
        First column of the wall, 1 or more.
    thickness : int
        Columns that the wall takes; at least one column is left behind it.
    opening, separation : int
        Sites of each opening and between the two, each >= 1; rows - 2 opening - separation must be even and >= 2.
    height : float
        Energy of the sites of the wall; one that is above 4 hbar^2/(m d^2), the width of the band of free energies,
        leaves no wave running inside.
    """
    width, across = as_sides(columns, rows)
    thick = as_whole(thickness, "thickness", least=1)
    first = as_whole(wall, "wall", least=1)
    if first + thick >= width:
        raise BadValue(
            f"wall and thickness must leave a column behind the wall, but end at column {first + thick} of {width}; "
            "add columns."
        )
    gap, post = as_whole(opening, "opening", least=1), as_whole(separation, "separation", least=1)
    rest = across - 2 * gap - post
    if rest < 2 or rest % 2:
        raise BadValue(
            f"rows - 2 opening - separation must be even and >= 2, the wall outside the openings, but is {rest}; "
            "change rows."
        )
    closed = np.full(across, as_real(height, "height"))
    edge = rest // 2
    closed[edge : edge + gap] = closed[edge + gap + post : edge + 2 * gap + post] = 0.0
    heights = np.zeros((width, across))
    heights[first : first + thick] = closed
    free = square_lattice(width, across, spacing, mass, heights, hbar=hbar)  # type: ignore[arg-type]
    return System(free.hamiltonian, labels=free.labels, meaning="site", hbar=free.hbar, name="double-slit")


def as_sides(columns: int, rows: int) -> tuple[int, int]:
    """Check the numbers of columns and rows, and that every site can be numbered."""
    width = as_whole(columns, "columns", least=2, most=LARGEST_SYSTEM)
    height = as_whole(rows, "rows", least=2, most=LARGEST_SYSTEM)
    if width * height > LARGEST_SYSTEM:
        raise BadValue(f"columns times rows must be at most {LARGEST_SYSTEM}, but is {width * height}; take fewer.")
    return width, height
