"""Particles in potentials against closed forms and solvers of their own."""

import numpy as np
import pytest
from scipy.linalg import expm
from scipy.special import jv
from test_systems import INF, NAN, ket_of, matrix, spectrum

from copydyn.experiment import preparations
from copydyn.systems import barrier, double_well, harmonic, lattice, linear, quartic
from copydyn.systems.lattice import positions
from copydyn.systems.potentials import position_labels


def extrapolated(levels, spacing):
    """Energies for d -> 0: ``levels(d)`` has an error of d^2, and levels(d/2) a quarter of it."""
    return (4 * levels(spacing / 2) - levels(spacing)) / 3


def sinc_levels(potential, reach, points):
    """Levels of p^2/2 + V by sinc functions on a grid (Colbert and Miller 1992), whose error falls exponentially."""
    x, d = np.linspace(-reach, reach, points, retstep=True)
    apart = np.subtract.outer(np.arange(points), np.arange(points))
    with np.errstate(divide="ignore"):
        kinetic = np.where(apart == 0, np.pi**2 / 3, 2.0 * (-1.0) ** apart / apart.astype(float) ** 2) / (2 * d**2)
    return np.linalg.eigvalsh(kinetic + np.diag(potential(x)))


def mean(values, ket):
    return float(values @ np.abs(ket) ** 2)


# ---- harmonic


def test_the_levels_of_a_harmonic_lattice_lie_at_n_plus_a_half_less_what_the_lattice_takes():
    """<n| p^4 |n> = 3 (m hbar w/2)^2 (2n^2 + 2n + 1), and a lattice has p^2/2m - d^2 p^4/(24 m hbar^2) + O(d^4)."""
    mass, frequency, hbar, n = 1.7, 0.8, 0.6, np.arange(5)
    left = []
    for spacing, sites in ((0.2, 51), (0.1, 101)):
        levels = spectrum(harmonic(sites, spacing, mass, frequency, hbar=hbar))[:5]
        taken = mass * frequency**2 * spacing**2 * (2 * n**2 + 2 * n + 1) / 32
        left.append(np.abs(levels - (hbar * frequency * (n + 0.5) - taken)))
        assert np.all(left[-1] < 0.03 * taken)
    assert np.all(left[0] / left[1] > 15)  # what is left is of the fourth order


def test_a_coherent_packet_swings_keeps_its_width_and_comes_back():
    """<x> = x_0 cos wt and the width of the ground state (Ehrenfest, Schrödinger 1926), to the lattice's error."""
    spacing, mass, frequency, hbar, start = 0.1, 1.5, 0.7, 0.8, 1.2
    system = harmonic(121, spacing, mass, frequency, hbar=hbar)
    x, width = positions(121, spacing), np.sqrt(hbar / (2 * mass * frequency))
    ket = ket_of(preparations.packet(system, centre=60 + start / spacing, width=width / spacing), system)
    for time in (0.9, 2.0, 5.0):
        there = expm(-1j * time / hbar * matrix(system)) @ ket
        assert mean(x, there) == pytest.approx(start * np.cos(frequency * time), abs=5e-3 * start)
        spread = mean(x**2, there) - mean(x, there) ** 2
        assert spread == pytest.approx(width**2, rel=0.01)
    back = expm(-1j * 2 * np.pi / frequency / hbar * matrix(system)) @ ket
    assert abs(np.vdot(back, ket)) ** 2 > 0.999


# ---- double well


def test_the_splitting_of_a_double_well_is_that_of_another_solver():
    height, apart = 3.0, 3.2
    levels = extrapolated(
        lambda d: spectrum(double_well(round(8 / d) + 1, d, barrier=height, separation=apart))[:4], 0.08
    )
    exact = sinc_levels(lambda x: height * (1 - (2 * x / apart) ** 2) ** 2, 4.0, 81)[:4]
    assert np.abs(levels - exact).max() < 2e-4
    assert levels[1] - levels[0] == pytest.approx(exact[1] - exact[0], abs=2e-5)
    assert exact[1] - exact[0] < 0.1 * (exact[2] - exact[1])  # there is something to split


def test_the_wells_are_where_they_should_be():
    h = matrix(double_well(65, 0.125, mass=2.0, barrier=1.5, separation=4.0))
    heights = np.diag(h) - 1 / (2.0 * 0.125**2)
    x = positions(65, 0.125)
    assert np.array_equal(x[np.isclose(heights, 0.0, atol=1e-12)], [-2.0, 2.0])
    assert heights[32] == pytest.approx(1.5)
    curvature = np.diff(heights, 2)[np.flatnonzero(x == 2.0)[0] - 1] / 0.125**2
    assert curvature / 2.0 == pytest.approx(32 * 1.5 / (2.0 * 4.0**2), rel=0.01)  # the square of the frequency


# ---- barrier


def transmission(k, sites, height, hop):
    """T of a plane wave on the infinite chain: hop psi_(a+1) = (2 hop + V_a - E) psi_a - hop psi_(a-1), by sites."""
    inside = (2 * hop + height - 2 * hop * (1 - np.cos(k))) / hop
    step = np.linalg.matrix_power(np.array([[inside, -1.0], [1.0, 0.0]]), sites)
    # behind the barrier exp(i k a) alone; carried back to its front, (psi_1, psi_0), and split into in and out
    one, zero = np.linalg.solve(step, [np.exp(1j * k * (sites + 1)), np.exp(1j * k * sites)])
    incoming = (one - zero * np.exp(-1j * k)) / (2j * np.sin(k))
    return 1 / abs(incoming) ** 2


@pytest.mark.parametrize("height", [0.3, 1.1, -0.8])
def test_the_closed_form_of_transmission_is_that_of_transfer_matrices(height):
    hop, sites = 0.5 * 0.7**2 / (1.3 * 0.9**2), 3
    for k in (0.4, 1.2, 2.5):
        q = np.arccos(np.cos(k) + 1.3 * 0.9**2 * height / 0.7**2 + 0j)
        closed = 1 / (1 + (np.cos(k) - np.cos(q)) ** 2 * np.sin(sites * q) ** 2 / (np.sin(k) * np.sin(q)) ** 2)
        assert transmission(k, sites, height, hop) == pytest.approx(closed.real, rel=1e-9)


def test_a_packet_passes_a_barrier_with_the_transmission_of_its_waves():
    """Behind the barrier ends sum_k |psi_k|^2 T(k): exact once the packet has left it, whatever its width."""
    sites, height, mass, hbar = 640, 0.25, 1.2, 0.9
    system = barrier(sites, 1.0, mass, height, width=3.0, centre=-0.5, hbar=hbar)  # an edge between two sites
    ket = ket_of(preparations.packet(system, centre=160, width=12, momentum=0.7), system)
    energies, modes = np.linalg.eigh(matrix(system))
    ended = modes @ (np.exp(-1j * 570 / hbar * energies) * (modes.T @ ket))
    assert mean(np.abs(np.arange(sites) - 319) < 20, ended) < 1e-6
    k = 2 * np.pi * np.fft.fftfreq(sites)
    weights = np.abs(np.fft.fft(ket)) ** 2 / sites
    ahead = (k > 0) & (weights > 1e-14)
    hop = hbar**2 / (2 * mass)
    expected = sum(w * transmission(kk, 3, height, hop) for w, kk in zip(weights[ahead], k[ahead], strict=True))
    assert mean(np.arange(sites) > 320, ended) == pytest.approx(expected, abs=1e-6)
    assert 0.1 < expected < 0.2  # the mean energy is below the barrier: they tunnel


def test_a_barrier_is_averaged_over_cells():
    heights = np.diag(matrix(barrier(6, 0.5, height=2.0, width=1.25, centre=0.125))) - 4.0
    assert np.allclose(heights, [0, 0.0, 2.0, 2.0, 1.0, 0])
    assert np.allclose(np.diag(matrix(barrier(6, 0.5, width=0.0))), 4.0)
    for width, centre in ((0.9, 0.07), (2.2, -0.3)):
        area = 0.5 * np.sum(np.diag(matrix(barrier(40, 0.5, height=3.0, width=width, centre=centre))) - 4.0)
        assert area == pytest.approx(3.0 * width)


# ---- linear


@pytest.mark.parametrize("force", [0.4, -0.4])
def test_a_linear_potential_obeys_newton_with_the_sign_of_the_force(force):
    """<x> = x_0 + F t^2/(2m): a negative mass, as (56), (57) are printed, would go the other way."""
    mass, hbar, time = 1.3, 0.9, 2.5
    system = linear(161, 0.25, mass, force, hbar=hbar)
    x = positions(161, 0.25)
    ket = ket_of(preparations.packet(system, centre=80, width=8), system)
    moved = mean(x, expm(-1j * time / hbar * matrix(system)) @ ket)
    assert moved == pytest.approx(force * time**2 / (2 * mass), rel=0.03)


def test_a_particle_in_a_linear_potential_breathes_as_bloch_said():
    """|psi_a(t)|^2 = J_a((4 hop/F d) sin(F d t/2 hbar))^2 from one site of the infinite chain, periodic in time."""
    sites, spacing, mass, force, hbar = 61, 0.8, 1.1, 0.7, 0.9
    h = matrix(linear(sites, spacing, mass, force, hbar=hbar))
    hop, period = hbar**2 / (2 * mass * spacing**2), 2 * np.pi * hbar / (force * spacing)
    for time in (0.3 * period, 0.5 * period, period):
        reach = 4 * hop / (force * spacing) * np.sin(0.5 * force * spacing * time / hbar)
        found = np.abs(expm(-1j * time / hbar * h)[:, 30]) ** 2
        assert np.allclose(found, jv(np.arange(-30, 31), reach) ** 2, atol=1e-12)


# ---- quartic


def test_the_ground_level_of_a_quartic_well_is_the_known_one():
    """0.667986259155777 for p^2/2 + x^4 (Banerjee et al. 1978, halved), scaled by (hbar^4 g/m^2)^(1/3)."""
    mass, strength, hbar = 2.0, 3.0, 0.7
    unit = (hbar**2 / (mass * strength)) ** (1 / 6)  # of length
    level = extrapolated(lambda d: spectrum(quartic(round(8 / d) + 1, d * unit, mass, strength, hbar=hbar))[0], 0.05)
    assert level / (hbar**4 * strength / mass**2) ** (1 / 3) == pytest.approx(0.667986259155777, abs=3e-6)


# ---- all of them


WELLS = (harmonic, double_well, barrier, linear, quartic)


@pytest.mark.parametrize("build", WELLS)
def test_labels_are_sites_or_positions(build):
    by_site, by_place = build(), build(label_by="position")
    assert (by_site.meaning, by_place.meaning) == ("site", "position")
    assert by_site.labels[:2] == ("0", "1")
    spacing = float(by_place.labels[1]) - float(by_place.labels[0])
    assert np.allclose([float(label) for label in by_place.labels], positions(by_place.size, spacing))
    assert np.array_equal(matrix(by_site), matrix(by_place))


def test_position_labels_take_as_many_digits_as_they_need():
    assert position_labels(np.array([-0.5, 0.5])) == ("-0.5", "0.5")
    assert position_labels(np.array([1.0, 1.0 + 1e-8])) == ("1", "1.00000001")
    assert len(set(position_labels(1e5 + np.arange(4) * np.spacing(1e5)))) == 4


@pytest.mark.parametrize("build", WELLS)
def test_without_a_potential_each_is_a_free_particle(build):
    flat = {harmonic: "frequency", double_well: "barrier", barrier: "height", linear: "force", quartic: "strength"}
    system = build(9, 0.7, 1.3, **{flat[build]: 0.0}, hbar=0.6)
    assert np.allclose(matrix(system), matrix(lattice(9, 0.7, 1.3, hbar=0.6)), rtol=1e-14)
    assert system.hbar == 0.6


BAD = [
    *[(lambda build=build: build(sites=1), ValueError, "sites must be >= 2, but is 1") for build in WELLS],
    *[(lambda build=build: build(spacing=0.0), ValueError, "spacing must be > 0") for build in WELLS],
    *[(lambda build=build: build(mass=-1.0), ValueError, "mass must be > 0") for build in WELLS],
    *[(lambda build=build: build(hbar=INF), ValueError, "hbar must be finite") for build in WELLS],
    *[(lambda build=build: build(label_by="x"), ValueError, "label_by must be one of site, pos") for build in WELLS],
    *[
        (lambda build=build: build(spacing=1e308), ValueError, "must be finite, but|must be a finite number > 0")
        for build in WELLS
    ],
    *[
        (lambda build=build: build(spacing=1e-200), ValueError, "must be a finite number > 0, but is inf")
        for build in WELLS
    ],
    (lambda: harmonic(frequency=NAN), ValueError, "frequency must be finite"),
    (lambda: double_well(barrier=NAN), ValueError, "barrier must be finite"),
    (lambda: double_well(separation=0), ValueError, "separation must be > 0"),
    (lambda: barrier(height="tall"), TypeError, "height must be a real number"),
    (lambda: barrier(width=-1), ValueError, "width must be >= 0, but is -1; "),
    (lambda: barrier(centre=NAN), ValueError, "centre must be finite"),
    (lambda: linear(force=INF), ValueError, "force must be finite"),
    (lambda: quartic(strength=NAN), ValueError, "strength must be finite"),
]


@pytest.mark.parametrize(("call", "kind", "names"), BAD)
def test_bad_parameters_are_refused(refuses, call, kind, names):
    refuses(call, kind, names)
