"""Square lattices and the double slit against products of chains, Newton, and QuTiP."""

import numpy as np
import pytest
import qutip
from scipy import sparse
from scipy.sparse.linalg import expm_multiply
from test_systems import INF, NAN, ket_of, matrix, spectrum

from copydyn import Experiment, Preparation, Schedule
from copydyn.experiment import preparations
from copydyn.experiment.square_sites import coordinates
from copydyn.systems import double_slit, lattice, ring, square_lattice
from copydyn.theories import Schrodinger


def test_sites_are_named_by_column_and_row():
    system = square_lattice(3, 4)
    assert system.labels[:5] == ("(0,0)", "(0,1)", "(0,2)", "(0,3)", "(1,0)")
    assert np.array_equal(coordinates(system), np.argwhere(np.ones((3, 4))))
    assert sparse.issparse(system.hamiltonian)
    assert system.hamiltonian.nnz == 12 + 2 * (2 * 4 + 3 * 3)


def test_energies_along_the_sides_add():
    system = square_lattice(5, 3, 0.7, 1.3, hbar=0.6)
    sides = [spectrum(lattice(size, 0.7, 1.3, hbar=0.6)) for size in (5, 3)]
    assert np.allclose(spectrum(system), np.sort(np.add.outer(*sides).ravel()))


def test_a_potential_is_given_by_columns_of_rows():
    heights = np.arange(6.0).reshape(3, 2) ** 2
    given = np.diag(matrix(square_lattice(3, 2, 0.7, 1.3, heights.tolist(), hbar=0.6)))
    assert np.allclose(given - np.diag(matrix(square_lattice(3, 2, 0.7, 1.3, hbar=0.6))), heights.ravel())


def test_a_round_trap_has_the_levels_of_two_oscillators():
    """E = hbar w (n_x + n_y + 1) less m w^2 d^2 (2n^2 + 2n + 1)/32 for each direction."""
    mass, frequency, hbar, d = 1.7, 0.8, 0.6, 0.25
    levels = spectrum(square_lattice(29, 29, d, mass, frequency=frequency, hbar=hbar))[:6]
    n = np.arange(3)
    one = hbar * frequency * (n + 0.5) - mass * frequency**2 * d**2 * (2 * n**2 + 2 * n + 1) / 32
    assert np.allclose(levels, np.sort(np.add.outer(one, one).ravel())[:6], atol=2e-3)


def test_a_packet_obeys_newton_in_two_directions():
    """<r> = r_0 + (hbar k/m) t + F t^2/2m."""
    d, mass, hbar, time, force, k = 0.25, 1.5, 0.8, 1.2, np.array([0.9, -0.5]), np.array([-0.6, 0.3])
    system = square_lattice(61, 53, d, mass, force=tuple(force), hbar=hbar)
    start = ket_of(preparations.packet_2d(system, (32.0, 26.0), 5.0, tuple(k * d)), system)
    end = expm_multiply(-1j * time / hbar * system.hamiltonian, start)
    moved = (np.abs(end) ** 2 - np.abs(start) ** 2) @ (coordinates(system) * d)
    assert moved == pytest.approx(hbar * k / mass * time + force * time**2 / (2 * mass), rel=0.03)


def test_packets_have_their_centre_width_and_momentum():
    system = square_lattice(40, 30)
    ket = ket_of(preparations.packet_2d(system, (20.3, 14.0), 2.5, (0.7, -0.4)), system)
    psi, weights = ket.reshape(40, 30), np.abs(ket) ** 2
    assert weights @ coordinates(system) == pytest.approx([20.3, 14.0])
    assert weights @ (coordinates(system) - [20.3, 14.0]) ** 2 == pytest.approx([6.25, 6.25], rel=1e-6)
    assert np.angle(np.vdot(psi[:-1], psi[1:])) == pytest.approx(0.7)
    assert np.angle(np.vdot(psi[:, :-1], psi[:, 1:])) == pytest.approx(-0.4)


# ---- the double slit


def picture(system, columns, rows) -> list[str]:
    """The wall as it is seen from above: one string a row, '#' for a site that is high."""
    free = matrix(square_lattice(columns, rows)).diagonal()
    high = (matrix(system).diagonal() - free).reshape(columns, rows) > 1.0
    return ["".join("#" if high[x, y] else "." for x in range(columns)) for y in range(rows)]


def test_a_wall_has_two_openings():
    system = double_slit(6, 9, wall=2, thickness=2, opening=2, separation=1)
    closed, opened = "..##..", "......"
    assert picture(system, 6, 9) == [closed] * 2 + [opened] * 2 + [closed] + [opened] * 2 + [closed] * 2


def by_qutip(columns, rows, heights, hop):
    """H = 1 x T + T x 1 + V from QuTiP's own ladders."""

    def kinetic(size):
        down = qutip.qdiags([np.ones(size - 1)], [1])
        return 2 * hop * qutip.qeye(size) - hop * (down + down.dag())

    wall = qutip.Qobj(np.diag(np.ravel(heights)), dims=[[columns, rows]] * 2)
    return qutip.tensor(kinetic(columns), qutip.qeye(rows)) + qutip.tensor(qutip.qeye(columns), kinetic(rows)) + wall


def test_a_packet_passes_two_slits_as_qutip_says():
    columns, rows, mass, hbar = 9, 7, 1.2, 0.9
    system = double_slit(columns, rows, 1.0, mass, wall=4, opening=1, separation=1, height=4.0, hbar=hbar)
    heights = np.zeros((columns, rows))
    heights[4] = [4.0, 4.0, 0.0, 4.0, 0.0, 4.0, 4.0]
    start = preparations.packet_2d(system, (1.5, 3.0), 1.5, (1.2, 0.0))
    times = np.linspace(0, 5, 6)
    ours = Schrodinger().evolve(Experiment(system, start, Schedule(times)))["probability"].values
    h = by_qutip(columns, rows, heights, hbar**2 / (2 * mass)) / hbar
    psi = qutip.Qobj(ket_of(start, system)[:, None], dims=[[columns, rows], [1, 1]])
    theirs = qutip.sesolve(h, psi, times, options={"atol": 1e-12, "rtol": 1e-10, "nsteps": 100_000}).states
    assert np.abs(ours - [np.abs(state.full()[:, 0]) ** 2 for state in theirs]).max() < 1e-8
    behind = ours[-1].reshape(columns, rows)[5:]
    assert behind.sum() > 0.1
    assert np.allclose(behind, behind[:, ::-1])  # what is symmetric stays so


def test_two_slits_interfere():
    """Behind both slits there is more on the axis than behind the two taken one by one, and less beside it."""
    columns, rows, axis = 50, 61, 30
    system = double_slit(columns, rows, wall=10, thickness=2, opening=4, separation=5, height=10.0)
    ket = ket_of(preparations.packet_2d(system, (6.0, axis), 3.0, (1.2, 0.0)), system)

    def far(h):
        return (np.abs(expm_multiply(-34j * h, ket).reshape(columns, rows)) ** 2)[30:45].sum(axis=0)

    shut = np.zeros((columns, rows))
    shut[10:12, axis + 1 :] = 10.0
    one = far(sparse.csr_array(system.hamiltonian + sparse.diags_array(shut.ravel())))
    ratio = far(system.hamiltonian) / (one + one[::-1])
    assert ratio[axis] > 1.3
    assert ratio[axis + 9] < 0.3
    assert ratio[axis + 18] > 1.2


BAD = [
    (lambda: square_lattice(1, 5), ValueError, "columns must be >= 2, but is 1"),
    (lambda: square_lattice(5, 1), ValueError, "rows must be >= 2, but is 1"),
    (lambda: square_lattice(1e6, 1e6), ValueError, "columns times rows must be at most 1048576, but is 10000000000"),
    (lambda: square_lattice(spacing=0), ValueError, "spacing must be > 0"),
    (lambda: square_lattice(spacing=1e-200), ValueError, "must be a finite number > 0, but is inf"),
    (lambda: square_lattice(mass=-1), ValueError, "mass must be > 0"),
    (lambda: square_lattice(hbar=0), ValueError, "hbar must be > 0"),
    (lambda: square_lattice(3, 2, potential=[1.0, 2.0]), ValueError, r"3 columns of 2 rows, but has shape \(2,\)"),
    (
        lambda: square_lattice(3, 2, potential=np.ones((2, 3))),
        ValueError,
        r"3 columns of 2 rows, but has shape \(2, 3\)",
    ),
    (lambda: square_lattice(2, 2, potential=NAN), ValueError, "potential must be finite"),
    (lambda: square_lattice(frequency=INF), ValueError, "frequency must be finite"),
    (lambda: square_lattice(frequency=1e200), ValueError, "must be finite"),
    (lambda: square_lattice(force=1.0), TypeError, "force must be two numbers, along x and along y, but is 1.0"),
    (lambda: square_lattice(force=(1.0, NAN)), ValueError, "force must be finite"),
    (lambda: double_slit(wall=0), ValueError, "wall must be >= 1, but is 0"),
    (lambda: double_slit(10, wall=9), ValueError, "must leave a column behind the wall, but end at column 10 of 10; "),
    (lambda: double_slit(thickness=0), ValueError, "thickness must be >= 1"),
    (lambda: double_slit(opening=0), ValueError, "opening must be >= 1"),
    (lambda: double_slit(separation=0), ValueError, "separation must be >= 1"),
    (lambda: double_slit(rows=14), ValueError, r"rows - 2 opening - separation must be even and >= 2, .* but is 7; "),
    (lambda: double_slit(rows=7), ValueError, r"rows - 2 opening - separation must be even and >= 2, .* but is 0; "),
    (lambda: double_slit(height=NAN), ValueError, "height must be finite"),
    (
        lambda: preparations.packet_2d(ring(6), (1, 1), 1),
        ValueError,
        r"square lattice with labels '\(x,y\)', but system 'r",
    ),
    (lambda: preparations.packet_2d(square_lattice(), (1, 1), 0), ValueError, "width must be > 0"),
    (lambda: preparations.packet_2d(square_lattice(), 3, 1), TypeError, "centre must be two numbers"),
    (lambda: preparations.packet_2d(square_lattice(), (1, NAN), 1), ValueError, "centre must be finite"),
    (lambda: preparations.packet_2d(square_lattice(), (1, 1), 1, "up"), TypeError, "momentum must be two numbers"),
]


@pytest.mark.parametrize(("call", "kind", "names"), BAD)
def test_bad_parameters_are_refused(refuses, call, kind, names):
    refuses(call, kind, names)


def test_a_lattice_told_in_another_order_is_none(refuses):
    shuffled = Experiment.of(np.eye(4), [1, 0, 0, 0], [0], labels=["(0,0)", "(1,0)", "(0,1)", "(1,1)"]).system
    refuses(lambda: coordinates(shuffled), ValueError, "must be a square lattice")
    assert np.array_equal(Experiment(shuffled, Preparation([1, 0, 0, 0]), Schedule([0])).ket, [1, 0, 0, 0])
