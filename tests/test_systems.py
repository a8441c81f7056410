"""Systems and preparations against formulas of their own."""

import numpy as np
import pytest
from scipy import sparse
from scipy.linalg import expm
from scipy.special import jv

from copydyn import Experiment, Schedule
from copydyn.experiment import preparations
from copydyn.experiment.preparations import PREPARATIONS
from copydyn.systems import SYSTEMS, composite, gue, ising, lattice, ring, three_level, two_level
from copydyn.systems.lattice import positions

NAN, INF = float("nan"), float("inf")


def matrix(system) -> np.ndarray:
    h = system.hamiltonian
    return h.toarray() if sparse.issparse(h) else h


def spectrum(system) -> np.ndarray:
    return np.linalg.eigvalsh(matrix(system))


def ket_of(preparation, system) -> np.ndarray:
    return Experiment(system, preparation, Schedule([0.0])).ket


def test_two_levels_split_by_the_rabi_energy():
    d, g = 0.7, 0.3 - 0.4j
    assert np.allclose(spectrum(two_level(d, g)), np.array([-0.5, 0.5]) * np.sqrt(d**2 + 4 * abs(g) ** 2))
    assert np.allclose(matrix(two_level(d, g)), [[0.35, g], [np.conj(g), -0.35]], atol=0)


def test_three_levels_solve_their_secular_equation():
    e, (g01, g02, g12) = (0.1, 0.4, -0.3), (0.5 + 0.2j, 0.4 - 0.3j, 0.3 + 0.4j)
    cubic = (
        (e[0] - (x := spectrum(three_level(e, (g01, g02, g12))))) * (e[1] - x) * (e[2] - x)
        + 2 * (g01 * g12 * np.conj(g02)).real
        - abs(g01) ** 2 * (e[2] - x)
        - abs(g02) ** 2 * (e[1] - x)
        - abs(g12) ** 2 * (e[0] - x)
    )
    assert np.allclose(cubic, 0, atol=1e-14)
    assert np.allclose(np.diag(matrix(three_level(e))), e)


@pytest.mark.parametrize(("size", "hopping", "flux"), [(3, 1.0, 0.4), (8, -0.7, 1.3), (15, 0.5, 0.0), (16, 1.0, np.pi)])
def test_plane_waves_are_the_eigenstates_of_a_ring(size, hopping, flux):
    h = matrix(ring(size, hopping, flux))
    k = 2 * np.pi * np.arange(size) / size
    waves = np.exp(1j * np.outer(np.arange(size), k))
    assert np.allclose(h @ waves, waves * (-2 * hopping * np.cos(k + flux / size)), atol=1e-13)


def test_the_flux_is_what_one_way_around_collects():
    h, around = matrix(ring(5, 1.0, 0.8)), 1.0
    for a in range(5):
        around *= -h[a, (a + 1) % 5]
    assert np.isclose(around, np.exp(0.8j))


def test_a_chain_has_standing_waves_and_a_closed_lattice_running_ones():
    size, spacing, mass, hbar = 9, 0.5, 3.0, 0.7
    hop = hbar**2 / (2 * mass * spacing**2)
    j = np.arange(1, size + 1)
    chain = lattice(size, spacing, mass, hbar=hbar)
    assert np.allclose(spectrum(chain), 2 * hop * (1 - np.cos(np.pi * j / (size + 1))))
    k = 2 * np.pi * np.arange(size) / size
    closed = lattice(size, spacing, mass, potential=0.3, periodic=True, hbar=hbar)
    assert np.allclose(spectrum(closed), np.sort(0.3 + 2 * hop * (1 - np.cos(k))))


def test_a_particle_spreads_over_the_sites_as_bessel_functions():
    """|psi_a(t)|^2 = J_a(2 hop t)^2 on the infinite chain; the walls are further than it gets."""
    h = matrix(lattice(61, 1.0, mass=0.5))
    spread = np.abs(expm(-4.0j * h)[:, 30]) ** 2
    assert np.allclose(spread, jv(np.arange(-30, 31), 8.0) ** 2, atol=1e-13)


@pytest.mark.parametrize("momentum", [0.0, 0.3])
def test_a_packet_obeys_newton(momentum):
    """<x>(t) = x_0 + (hbar k/m) t + F t^2/(2 m) under V = -F x: a negative mass would go the other way."""
    size, spacing, mass, hbar, force, time = 161, 0.25, 1.5, 0.8, 0.6, 2.5
    x = positions(size, spacing)
    system = lattice(size, spacing, mass, potential=-force * x, hbar=hbar)
    start = ket_of(preparations.packet(system, centre=70, width=8, momentum=momentum * spacing), system)
    end = expm(-1j * time * matrix(system) / hbar) @ start
    moved = x @ (np.abs(end) ** 2 - np.abs(start) ** 2)
    newton = hbar * momentum / mass * time + force * time**2 / (2 * mass)
    assert moved == pytest.approx(newton, rel=0.03)  # a lattice bends p^2/2m by (k d)^2/24 < 0.02


def test_positions_are_centred():
    assert np.allclose(positions(4, 0.5), [-0.75, -0.25, 0.25, 0.75])


def test_a_gue_matrix_comes_from_its_seed():
    assert np.array_equal(matrix(gue(6, seed=3)), matrix(gue(6, seed=3)))
    assert not np.array_equal(matrix(gue(6, seed=3)), matrix(gue(6, seed=4)))
    assert np.allclose(matrix(gue(6, width=2.5, seed=3)), 2.5 * matrix(gue(6, seed=3)))


def test_gue_matrices_follow_their_law():
    """E|H_ab|^2 = (width/2)^2/P on and off the diagonal; a semicircle with its edge at the width.

    The mean of |H_ab|^2 over P^2 real Gaussians has the relative standard deviation sqrt(2)/P = 0.0047: 5 of them are
    a false alarm of 6e-7 over the seeds. The edge has a bias of P^(-2/3) = 0.02 and fluctuates by as much.
    """
    size, width = 300, 1.7
    h = matrix(gue(size, width, seed=11))
    off = h[np.triu_indices(size, 1)]
    variance = (width / 2) ** 2 / size
    assert np.mean(np.abs(h) ** 2) == pytest.approx(variance, rel=5 * np.sqrt(2) / size)
    assert np.mean(off.real**2) == pytest.approx(variance / 2, rel=5 * np.sqrt(2 / off.size))
    assert np.mean(off.imag**2) == pytest.approx(variance / 2, rel=5 * np.sqrt(2 / off.size))
    assert np.mean(np.diag(h).real ** 2) == pytest.approx(variance, rel=5 * np.sqrt(2 / size))
    energies = np.linalg.eigvalsh(h) / width
    assert 0.93 < energies[-1] < 1.05
    assert -1.05 < energies[0] < -0.93
    assert np.mean(np.abs(energies) < 0.5) == pytest.approx(1 / 3 + np.sqrt(3) / (2 * np.pi), abs=0.02)


BAD_SYSTEMS = [
    (lambda: two_level(NAN), ValueError, "detuning must be finite"),
    (lambda: two_level("0"), TypeError, "detuning must be a real number"),
    (lambda: two_level(0.0, complex(0, INF)), ValueError, "coupling must be finite"),
    (lambda: two_level(0.0, None), TypeError, "coupling must be a complex number"),
    (lambda: two_level(0.0, 10**400), TypeError, "coupling must be a complex number"),
    (lambda: two_level(hbar=0), ValueError, "hbar must be > 0"),
    (lambda: three_level((0.0, 1.0)), ValueError, r"energies must be three: .* energies is \(0.0, 1.0\)"),
    (lambda: three_level(5), ValueError, "energies must be three"),
    (lambda: three_level(np.eye(30)), ValueError, "energies must be three"),
    (lambda: three_level("012"), ValueError, "energies must be three"),
    (lambda: three_level((0.0, 1.0, NAN)), ValueError, "energies must be finite"),
    (lambda: three_level(couplings=(1, 2, 3, 4)), ValueError, "couplings must be three"),
    (lambda: three_level(couplings=(1, 2, "g")), TypeError, "couplings must be a complex number"),
    (lambda: gue(0), ValueError, "levels must be >= 1, but is 0"),
    (lambda: gue(2.5), ValueError, "levels must be a whole number"),
    (lambda: gue(1e300), ValueError, "levels must be at most"),
    (lambda: gue(4, width=0), ValueError, "width must be > 0"),
    (lambda: gue(4, seed=-1), ValueError, "seed must be >= 0"),
    (lambda: ring(2), ValueError, "sites must be >= 3, but is 2"),
    (lambda: ring(1e300), ValueError, "sites must be at most"),
    (lambda: ring(4, hopping=INF), ValueError, "hopping must be finite"),
    (lambda: ring(4, flux="pi"), TypeError, "flux must be a real number"),
    (lambda: lattice(1), ValueError, "sites must be >= 2, but is 1"),
    (lambda: lattice(2, periodic=True), ValueError, "sites must be >= 3, but is 2"),
    (lambda: lattice(4, spacing=0), ValueError, "spacing must be > 0"),
    (lambda: lattice(4, mass=-1), ValueError, "mass must be > 0, but is -1"),
    (lambda: lattice(4, hbar=0), ValueError, "hbar must be > 0"),
    (lambda: lattice(4, potential=[0.0, 1.0]), ValueError, r"one energy for each of the 4 sites, but has shape \(2,\)"),
    (lambda: lattice(2, potential=[0.0, NAN]), ValueError, r"potential must be finite, but potential\[1\] is nan"),
    (lambda: lattice(2, potential=NAN), ValueError, "potential must be finite, but potential is nan"),
    (lambda: lattice(2, potential=[0.0, 1j]), ValueError, "potential must be real"),
    (lambda: lattice(2, potential="deep"), TypeError, "potential must be an array of numbers"),
    (lambda: lattice(2, potential=[[0.0], [1.0, 2.0]]), TypeError, "potential must be an array of numbers"),
]


@pytest.mark.parametrize(("call", "kind", "names"), BAD_SYSTEMS)
def test_bad_parameters_of_systems_are_refused(refuses, call, kind, names):
    refuses(call, kind, names)


RING = ring(12)


def test_a_ket_is_taken_as_it_is(refuses):
    assert np.allclose(ket_of(preparations.ket(two_level(), [0.6, 0.8j]), two_level()), [0.6, 0.8j])
    assert np.allclose(ket_of(preparations.ket(two_level(), [3, 4j], normalise=True), two_level()), [0.6, 0.8j])
    refuses(
        lambda: ket_of(preparations.ket(two_level(), [3, 4]), two_level()), ValueError, "amplitudes must be normalised"
    )
    refuses(lambda: ket_of(preparations.ket(two_level(), "up"), two_level()), TypeError, "amplitudes must be an array")


@pytest.mark.parametrize("evenness", [0.0, 1.0, 3.0])
def test_random_kets_are_even_and_seeded(evenness):
    first, again, other = (ket_of(preparations.random(RING, s, evenness), RING) for s in (5, 5, 6))
    assert np.array_equal(first, again)
    assert not np.allclose(first, other)
    weights = np.abs(first) ** 2
    assert weights.max() <= (1 + 2 * evenness) * weights.min() * (1 + 1e-12)
    assert np.abs(np.exp(1j * np.angle(first)).mean()) < 0.9  # the phases are random as well


def test_random_kets_have_the_spread_they_state():
    """Of two thousand labels the largest weight is 1 + 2 evenness times the least, to a per cent, and all between."""
    system = lattice(2000)
    weights = np.abs(ket_of(preparations.random(system, 3, 1.5), system)) ** 2
    weights /= weights.min()
    assert weights.max() == pytest.approx(4.0, rel=0.01)
    assert weights.mean() == pytest.approx(2.5, rel=0.04)


def test_plane_waves_move_with_their_momentum():
    """A shift by one site multiplies psi by exp(i k), k = 2 pi momentum/P; a ripple modulates the density alone."""
    for momentum in (3, -2, 0):
        psi = ket_of(preparations.plane_wave(RING, momentum), RING)
        assert np.allclose(np.roll(psi, -1), psi * np.exp(2j * np.pi * momentum / 12))
    rippled = ket_of(preparations.plane_wave(RING, 3, ripple=0.4, crests=2), RING)
    expected = (1 + 0.4 * np.cos(2 * np.pi * 2 * np.arange(12) / 12)) ** 2
    assert np.allclose(np.abs(rippled) ** 2, expected / expected.sum())
    assert np.allclose(np.angle(rippled * psi.conj()), np.angle(np.exp(2j * np.pi * 3 * np.arange(12) / 12)))


def test_packets_have_their_centre_width_and_momentum():
    system = lattice(200)
    psi = ket_of(preparations.packet(system, centre=80.3, width=6.0, momentum=0.7), system)
    sites, weights = np.arange(200), np.abs(psi) ** 2
    assert sites @ weights == pytest.approx(80.3)
    assert (sites - 80.3) ** 2 @ weights == pytest.approx(36.0)
    assert np.angle(np.vdot(psi[:-1], psi[1:])) == pytest.approx(0.7)
    assert ket_of(preparations.packet(system, 80, 1e-200), system)[80] == 1.0


def test_eigenstates_are_counted_from_below():
    for system in (two_level(0.3, 0.2j), lattice(6)):
        for level, energy in enumerate(spectrum(system)):
            psi = ket_of(preparations.eigenstate(system, level), system)
            assert np.allclose(matrix(system) @ psi, energy * psi)


def test_products_have_a_ket_for_each_part():
    pair = composite({"A": np.eye(2), "B": np.eye(3)})
    kets = [[1, 2j], [2, 1, -2]]
    expected = np.kron(kets[0], kets[1]) / (np.linalg.norm(kets[0]) * np.linalg.norm(kets[1]))
    assert np.allclose(ket_of(preparations.product(pair, kets), pair), expected)
    assert np.allclose(ket_of(preparations.product(pair), pair), np.ones(6) / np.sqrt(6))
    three = ising(3)
    one = np.array([0.6, 0.8j])
    assert np.allclose(ket_of(preparations.product(three, [one]), three), np.kron(np.kron(one, one), one))
    assert np.allclose(ket_of(preparations.product(two_level(), [[3, 4]]), two_level()), [0.6, 0.8])


BAD_PREPARATIONS = [
    (lambda: preparations.product(ising(3), [[1, 1], [1, 0]]), ValueError, "each of the 3 parts, .* but are 2"),
    (lambda: preparations.product(ising(3), [[1, 1, 1]]), ValueError, r"kets\[0\] must have one amplitude for each of"),
    (lambda: preparations.product(ising(3), [[0, 0]]), ValueError, r"kets\[0\] must not be the zero vector"),
    (lambda: preparations.product(ising(3), ["ud"]), TypeError, r"kets\[0\] must be an array of numbers"),
    (lambda: preparations.random(RING, seed=-1), ValueError, "seed must be >= 0"),
    (lambda: preparations.random(RING, evenness=-1), ValueError, "evenness must be >= 0, but is -1"),
    (lambda: preparations.random(RING, evenness=NAN), ValueError, "evenness must be finite"),
    (lambda: preparations.plane_wave(RING, 0.5), ValueError, "momentum must be a whole number"),
    (lambda: preparations.plane_wave(RING, crests=-1), ValueError, "crests must be >= 0"),
    (lambda: preparations.plane_wave(RING, ripple="big"), TypeError, "ripple must be a real number"),
    (lambda: preparations.packet(RING, 3, 0), ValueError, "width must be > 0"),
    (lambda: preparations.packet(RING, NAN, 1), ValueError, "centre must be finite"),
    (lambda: ket_of(preparations.packet(RING, 1e9, 1), RING), ValueError, "psi0 must not be the zero vector"),
    (lambda: preparations.eigenstate(RING, 12), ValueError, "level must be below 12, .* but is 12"),
    (lambda: preparations.eigenstate(ring(4097)), ValueError, "one of at most 4096 levels, .* but has 4097"),
    (lambda: preparations.eigenstate(RING, -1), ValueError, "level must be >= 0"),
]


@pytest.mark.parametrize(("call", "kind", "names"), BAD_PREPARATIONS)
def test_bad_parameters_of_preparations_are_refused(refuses, call, kind, names):
    refuses(call, kind, names)


def test_registries_build_with_their_defaults():
    for build in (SYSTEMS[name] for name in SYSTEMS.keys() - {"file"}):
        system = build()
        assert system.size == len(system.labels)
        for name in PREPARATIONS.keys() - {"ket", "packet", "packet-2d", "file"}:
            assert np.isclose(np.linalg.norm(ket_of(PREPARATIONS[name](system), system)), 1)


def test_every_system_takes_hbar():
    for build in (SYSTEMS[name] for name in SYSTEMS.keys() - {"file"}):
        assert build(hbar=0.25).hbar == 0.25
