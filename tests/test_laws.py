"""The laws of finite N against closed forms, brute force, and simulations that share nothing with copydyn."""

import math

import numpy as np
import pytest
import qutip
import verdicts
from numba import njit
from scipy import sparse
from scipy.integrate import solve_ivp
from scipy.linalg import expm

from copydyn import laws
from copydyn.experiment import Experiment
from copydyn.laws import quadrature
from copydyn.laws.quadrature import evenly, integrate
from copydyn.theories import CopyDynamics

RESONANT = np.array([[0.0, 0.5], [0.5, 0.0]])
DETUNED = np.array([[0.7, 0.3 + 0.4j], [0.3 - 0.4j, -0.2]])
TRIANGLE = np.array([[0.0, 0.5 + 0.2j, 0.4 - 0.3j], [0.5 - 0.2j, 0.4, 0.3 + 0.4j], [0.4 + 0.3j, 0.3 - 0.4j, -0.3]])


def random_system(size, seed):
    rng = np.random.default_rng(seed)
    h = rng.normal(size=(size, size)) + 1j * rng.normal(size=(size, size))
    return (h + h.conj().T) / 4, np.exp(1j * rng.uniform(0, 2 * np.pi, size)) / np.sqrt(size)


SYSTEMS = {
    "two levels": (DETUNED, np.array([0.8, 0.6 * np.exp(2j)])),
    "triangle": (TRIANGLE, np.array([0.6, 0.6 * np.exp(3.9j), np.sqrt(0.28) * np.exp(1.2j)])),
    "five levels": random_system(5, seed=4),
}
TLIST = np.array([0.0, 0.4, 1.1, 2.0])


@pytest.fixture(params=SYSTEMS)
def system(request):
    return SYSTEMS[request.param]


def path_of(h, psi, times):
    energies, modes = np.linalg.eigh(h)
    return (np.exp(-1j * np.outer(times, energies)) * (modes.conj().T @ psi)) @ modes.T


def law_in_angles(h, psi, times):
    """The integrand of statement 3 as it is printed, with R, delta and phi."""
    kets = path_of(h, psi, times)
    rho, phi = np.abs(kets) ** 2, -np.angle(kets)
    rate = np.zeros(times.size)
    for a in range(psi.size):
        for b in range(a + 1, psi.size):
            ratio = np.sqrt(rho[:, b] / rho[:, a])
            sine = np.sin(phi[:, a] - phi[:, b] + np.angle(h[a, b]))
            rate += 0.5 * np.abs(h[a, b]) * np.abs(sine) * (ratio + 1 / ratio)
    return rate


def real_covariance(h, psi, times):
    """N times the covariance of (Re dpsi, Im dpsi), by the equation of Lyapunov; float64 (time, 2P, 2P)."""
    size = psi.size
    flow = np.block([[h.imag, h.real], [-h.real, h.imag]])

    def slope(t, flat):
        noise = flat.reshape(2 * size, 2 * size)
        ket = path_of(h, psi, np.array([t]))[0]
        out = flow @ noise + noise @ flow.T
        for a in range(size):
            for b in range(a + 1, size):
                kick = np.zeros(size, dtype=complex)
                kick[a], kick[b] = ket[a] / (2 * abs(ket[a]) ** 2), -ket[b] / (2 * abs(ket[b]) ** 2)
                kick = np.concatenate([kick.real, kick.imag])
                out += 2 * abs((ket[a].conj() * h[a, b] * ket[b]).imag) * np.outer(kick, kick)
        return out.ravel()

    start = np.zeros(4 * size * size)
    solved = solve_ivp(slope, (times[0], times[-1]), start, t_eval=times, rtol=1e-8, atol=1e-10, max_step=0.05)
    return solved.y.T.reshape(-1, 2 * size, 2 * size)


# --- brute force ---


def test_infidelity_law_is_the_integral_as_printed(system):
    times = np.linspace(0.0, 2.0, 20_001)
    rate = law_in_angles(*system, times)
    total = np.concatenate([[0.0], np.cumsum(0.5 * (rate[1:] + rate[:-1]) * np.diff(times))])
    expected = np.interp(TLIST, times, total)
    np.testing.assert_allclose(laws.infidelity_law(*system, TLIST), expected, rtol=2e-6)


def test_noise_obeys_the_equation_of_lyapunov(system):
    h, psi = system
    found, real = laws.kick_covariance(h, psi, TLIST), real_covariance(h, psi, TLIST)
    kets = path_of(h, psi, TLIST)
    for at in range(1, TLIST.size):
        ket = kets[at]
        jacobian = 2 * np.hstack([np.diag(ket.real), np.diag(ket.imag)])
        np.testing.assert_allclose(found.frequencies[at], jacobian @ real[at] @ jacobian.T, rtol=1e-5, atol=1e-6)
        # the infidelity is the squared part of dpsi that neither changes the norm nor the phase
        along = np.array([[*ket.real, *ket.imag], [*-ket.imag, *ket.real]])
        across = np.eye(2 * psi.size) - along.T @ along
        seen = across @ real[at] @ across
        assert found.infidelity[at] == pytest.approx(np.trace(seen), rel=1e-5)
        assert found.infidelity_spread[at] == pytest.approx(np.sqrt(2 * np.trace(seen @ seen)), rel=1e-5)
        pull = -1j * (h - np.diag(np.diag(h))) @ ket
        for label in range(psi.size):
            normal = np.zeros(psi.size, dtype=complex)
            normal[label] = 1j * pull[label] / abs(pull[label])
            normal = np.concatenate([normal.real, normal.imag])
            assert found.perpendicular(at, label) == pytest.approx(normal @ real[at] @ normal, rel=1e-5, abs=1e-7)


def test_two_ways_to_the_infidelity_agree(system):
    tlist = np.linspace(0.0, 9.0, 40)
    law = laws.infidelity_law(*system, tlist)
    np.testing.assert_allclose(laws.kick_covariance(*system, tlist).infidelity, law, rtol=1e-6)
    np.testing.assert_allclose(laws.infidelity_law(*system, tlist[[0, 20, 39]]), law[[0, 20, 39]], rtol=1e-6)


def test_the_rule_on_a_panel_is_real_and_exact_for_polynomials():
    """No number is real by luck: the roots of a general polynomial are complex numbers from numpy 2.5 on."""
    points, weights = quadrature._POINTS, quadrature._WEIGHTS
    assert (points.dtype, weights.dtype) == (np.float64, np.float64)
    degrees = np.arange(2 * quadrature.ORDER - 2)
    moments = [weights @ points**degree for degree in degrees]
    np.testing.assert_allclose(moments, np.where(degrees % 2, 0.0, 2.0 / (degrees + 1)), atol=1e-15)
    assert abs(weights @ points**degrees.size - 2.0 / (degrees.size + 1)) > 1e-4, "eight points do no better"


def test_quadrature_sees_kinks_and_peaks():
    width = 1e-5

    def rate(times):
        return np.array([np.abs(np.sin(40 * times)) + width / ((times - 0.3) ** 2 + width**2), 0 * times])

    found = integrate(rate, evenly(np.array([0.0, 0.5, 1.0]), 0.05), per_time=1)
    turns = np.array([np.abs(np.sin(40 * np.linspace(0, 0.5, 4_000_001) + shift)).mean() / 2 for shift in (0, 20)])
    peak = np.diff(np.arctan((np.array([0.0, 0.5, 1.0]) - 0.3) / width))
    np.testing.assert_allclose(found.integrals, turns + peak, rtol=1e-6)
    assert np.all(np.diff(found.panels.starts) > 0)


# --- closed forms ---


def test_resonance_is_the_logarithm_of_a_tangent():
    """For psi = (cos a, -i sin a), a = a_0 + g t, every kick turns a: N Var(a) = ln(tan a / tan a_0) / 2."""
    tlist = np.linspace(0.0, 1.6, 9)
    angle = 0.3 + 0.5 * tlist
    psi = np.array([np.cos(0.3), -1j * np.sin(0.3)])
    law = 0.5 * np.log(np.tan(angle) / np.tan(0.3))
    np.testing.assert_allclose(laws.infidelity_law(RESONANT, psi, tlist), law, rtol=1e-6, atol=1e-12)
    noise = laws.kick_covariance(RESONANT, psi, tlist)
    np.testing.assert_allclose(noise.frequencies[:, 0, 0], np.sin(2 * angle) ** 2 * law, rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(noise.infidelity_spread, np.sqrt(2) * law, rtol=1e-6, atol=1e-12)  # one chi squared


def test_a_running_wave_loses_at_a_constant_rate():
    """exp(i k x) on a ring of P sites and hopping J loses P J |sin k| t."""
    size, k = 8, 2 * np.pi / 8
    h = -0.7 * (np.roll(np.eye(size), 1, axis=1) + np.roll(np.eye(size), -1, axis=1))
    psi = np.exp(1j * k * np.arange(size)) / np.sqrt(size)
    expected = size * 0.7 * np.sin(k) * TLIST
    np.testing.assert_allclose(laws.infidelity_law(h, psi, TLIST), expected, rtol=1e-6)
    np.testing.assert_allclose(laws.kick_covariance(h, psi, TLIST).infidelity, expected, rtol=1e-6)


def test_a_real_stationary_state_keeps_still():
    h = np.diag([0.3, 0.1, -0.2, 0.4]) - np.diag([1.0, 0.8, 0.6], 1) - np.diag([1.0, 0.8, 0.6], -1)
    ground = np.linalg.eigh(h)[1][:, 0]
    np.testing.assert_allclose(laws.infidelity_law(h, ground, TLIST), 0.0, atol=1e-13)
    np.testing.assert_allclose(laws.linear_noise(h, ground, TLIST), 0.0, atol=1e-13)


def test_one_label_has_no_noise():
    assert laws.infidelity_law([[2.0]], [1j], TLIST).tolist() == [0.0] * 4
    assert laws.linear_noise([[2.0]], [1j], TLIST).ravel().tolist() == [0.0] * 4
    assert laws.infidelity_law(RESONANT, [1.0, 0.0], [0.0]).tolist() == [0.0]


# --- symmetries ---


@pytest.mark.parametrize("multinomial", [False, True])
def test_frequencies_covary_as_counts_do(system, multinomial):
    """Symmetric, not negative, and copies are neither made nor lost."""
    found = laws.linear_noise(*system, TLIST, multinomial=multinomial)
    np.testing.assert_allclose(found.sum(axis=2), 0.0, atol=1e-9)
    np.testing.assert_allclose(found, np.swapaxes(found, 1, 2), atol=1e-9)
    assert np.linalg.eigvalsh(found).min() > -1e-9
    share = np.abs(system[1]) ** 2
    np.testing.assert_allclose(found[0], multinomial * (np.diag(share) - np.outer(share, share)), atol=1e-14)


def test_kicks_are_perpendicular_to_the_ket(system):
    noise = laws.kick_covariance(*system, TLIST, multinomial=True)
    np.testing.assert_allclose(np.einsum("tab,tb->ta", noise.covariance, noise.ket), 0.0, atol=1e-9)
    np.testing.assert_allclose(np.einsum("tab,tb->ta", noise.relation, noise.ket.conj()), 0.0, atol=1e-9)


def test_drawn_counts_add_a_quarter_for_each_further_label(system):
    h, psi = system
    share = 0.25 * (psi.size - 1)
    once = laws.infidelity_law(h, psi, TLIST)
    np.testing.assert_allclose(laws.infidelity_law(h, psi, TLIST, multinomial=True), once + share, rtol=1e-12)
    noise = laws.kick_covariance(h, psi, TLIST, multinomial=True)
    np.testing.assert_allclose(noise.infidelity, once + share, rtol=1e-6)


def test_the_same_hamiltonian_in_other_words(system):
    h, psi = system
    law, noise = laws.infidelity_law(h, psi, TLIST), laws.linear_noise(h, psi, TLIST)
    again = {
        "pulses": ([(0.5, h), (0.6, h), (3.0, h)], psi, TLIST, {}),
        "sparse": (sparse.csr_array(h), psi, TLIST, {}),
        "qutip": (qutip.Qobj(h), qutip.Qobj(psi), TLIST, {}),
        "hbar": (3.0 * h, psi, TLIST, {"hbar": 3.0}),
        "time": (3.0 * h, psi, TLIST / 3.0, {}),
        "energy": (h + 1e4 * np.eye(psi.size), psi, TLIST, {}),
        "phase": (h, 1j * psi, TLIST, {}),
        "late": (h, psi, TLIST + 5.0, {}),
    }
    for name, (other, ket, tlist, options) in again.items():
        np.testing.assert_allclose(laws.infidelity_law(other, ket, tlist, **options), law, rtol=1e-6, err_msg=name)
        found = laws.linear_noise(other, ket, tlist, **options)
        np.testing.assert_allclose(found, noise, rtol=1e-6, atol=1e-6, err_msg=name)


def test_phases_of_the_labels_change_nothing(system):
    h, psi = system
    turn = np.exp(1j * np.arange(psi.size) ** 2)
    turned = turn[:, None] * h * turn.conj()
    np.testing.assert_allclose(
        laws.linear_noise(turned, turn * psi, TLIST), laws.linear_noise(h, psi, TLIST), rtol=1e-6, atol=1e-9
    )


def test_an_echo_loses_twice(system):
    h, psi = system
    there, back = laws.infidelity_law([(1.3, h), (1.3, -h)], psi, [0.0, 1.3, 2.6])[1:]
    assert back == pytest.approx(2 * there, rel=1e-6)


# --- nodes ---


def through_node(h, at_node, span):
    """The ket from which exp(-i h t) leads to ``at_node`` after ``span``."""
    return expm(1j * h * span) @ (np.asarray(at_node, dtype=complex) / np.linalg.norm(at_node))


@pytest.mark.parametrize("h", [RESONANT, DETUNED])
def test_the_law_diverges_at_the_node_and_not_before(h):
    psi = through_node(h, [0.0, 1.0], 0.8)
    tlist = [0.0, 0.4, 0.799999, 0.8, 0.9, 4.0]
    law = laws.infidelity_law(h, psi, tlist)
    assert np.isfinite(law).tolist() == [True, True, True, False, False, False]
    node = laws.first_node(h, psi, tlist)
    assert (node.label, node.arrives) == (0, True)
    assert node.time == pytest.approx(0.8, abs=1e-12)
    noise = laws.kick_covariance(h, psi, tlist)
    np.testing.assert_allclose(noise.infidelity, law, rtol=1e-6)
    assert np.isnan(noise.frequencies).all(axis=(1, 2)).tolist() == np.isinf(law).tolist()


def test_the_law_grows_as_a_logarithm_towards_the_node():
    psi = through_node(RESONANT, [0.0, 1.0], 0.8)
    near, nearer = laws.infidelity_law(RESONANT, psi, [0.0, 0.8 - 1e-4, 0.8 - 1e-7])[1:]
    assert nearer - near == pytest.approx(0.5 * math.log(1e3), rel=1e-5)


def test_the_neighbourhood_of_a_node_is_no_node():
    psi = np.array([np.cos(0.3), np.exp(1e-6j) * 1j * np.sin(0.3)])
    assert laws.first_node(RESONANT, psi, [0.0, 3.0]) is None
    assert np.isfinite(laws.infidelity_law(RESONANT, psi, [0.0, 3.0])).all()


def test_a_node_ends_a_pulse():
    psi = through_node(RESONANT, [0.0, 1.0], 0.8)
    law = laws.infidelity_law([(0.8, RESONANT), (2.0, 0 * RESONANT)], psi, [0.0, 0.5, 1.0, 2.0])
    assert np.isfinite(law).tolist() == [True, True, False, False]
    assert laws.first_node([(0.8, RESONANT), (2.0, 0 * RESONANT)], psi, [0.0, 2.0]).time == pytest.approx(0.8)


def test_an_empty_label_is_a_node_only_where_it_is_coupled():
    """Alone it contributes nothing, from the pulse on that couples it everything."""
    h = np.zeros((4, 4), dtype=complex)
    h[:3, :3] = TRIANGLE
    psi = np.append(SYSTEMS["triangle"][1], 0.0)
    expected = laws.infidelity_law(*SYSTEMS["triangle"], TLIST)
    np.testing.assert_allclose(laws.infidelity_law(h, psi, TLIST), expected, rtol=1e-6)
    drawn = laws.infidelity_law(h, psi, TLIST, multinomial=True)
    np.testing.assert_allclose(drawn, expected + 0.5, rtol=1e-6)
    np.testing.assert_allclose(laws.kick_covariance(h, psi, TLIST, multinomial=True).infidelity, drawn, rtol=1e-6)
    coupled = h.copy()
    coupled[2, 3] = coupled[3, 2] = 0.2
    assert laws.infidelity_law(coupled, psi, TLIST).tolist() == [0.0, np.inf, np.inf, np.inf]
    late = laws.infidelity_law([(1.1, h), (2.0, coupled)], psi, TLIST)
    np.testing.assert_allclose(late, [*expected[:3], np.inf], rtol=1e-6)
    assert laws.first_node([(1.1, h), (2.0, coupled)], psi, TLIST) == (3, 1.1, False)
    assert laws.node_crossings(coupled, psi, [0.0, 0.1]) == []


# --- extinction ---


def test_resonant_crossings():
    psi = np.array([np.cos(0.3), 1j * np.sin(0.3)])
    rows = laws.node_crossings(RESONANT, psi, [0.0, 8.0], copies=1000)
    assert [row.label for row in rows] == [1, 0, 1]
    np.testing.assert_allclose([row.time for row in rows], 0.6 + np.pi * np.arange(3), atol=1e-12)
    for row in rows:
        assert row.m < 1e-20
        assert row.s2 == pytest.approx(0.0, abs=1e-6)
        assert row.churn == pytest.approx(1.0)
        assert row.extinction == pytest.approx(1.0, abs=1e-5)
    assert laws.node_crossings(RESONANT, psi, [0.0, 8.0])[0].extinction is None


@pytest.mark.parametrize("copies", [30, 100, 300, 1000])
@pytest.mark.parametrize("h", [DETUNED, TRIANGLE], ids=["two", "three"])
def test_no_crossing_above_the_threshold_is_missing(h, copies):
    """Of all minima, however far from the node, those whose odds exceed it: none is left out before they are known."""
    psi = np.array([0.6, 0.8j, 0.3][: len(h)])
    psi /= np.linalg.norm(psi)
    everything = laws.node_crossings(h, psi, [0.0, 12.0], copies=copies, closer_than=1.0)
    for least in (1e-4, 1e-2):
        found = laws.node_crossings(h, psi, [0.0, 12.0], copies=copies, odds_above=least)
        assert found == [row for row in everything if row.extinction >= least]
    assert len(everything) > 4


def test_a_label_that_is_turned_back_by_a_pulse_has_its_minimum_there():
    """Counts are Poisson on the way to the node, e^-m with m = N rho where it ends; then the label only grows.

    To a tenth: it is so when the angle is the clock, and the pulse ends by the other one.
    """
    psi = np.array([0.3, -1j * np.sqrt(0.91)])
    train = [(0.4, RESONANT), (3.0, -RESONANT)]
    copies = 100
    (row,) = (row for row in laws.node_crossings(train, psi, [0.0, 1.0], copies=copies) if row.label == 0)
    assert row.time == 0.4
    assert row.rho_min == pytest.approx(np.sin(np.arcsin(0.3) - 0.2) ** 2)
    assert row.extinction == pytest.approx(np.exp(-copies * row.rho_min), rel=1e-3)
    counts = CopyDynamics(copies).evolve(Experiment.of(train, psi, [0.0, 1.0]), seed=4, replicas=20_000)["counts"]
    found = float((counts.values[:, -1, 0] == 0).mean())  # with an error of 0.0034
    assert found == pytest.approx(row.extinction, rel=0.1)


@pytest.mark.parametrize("span", [0.5, 3.0, 20.0])
def test_births_and_deaths_leave_none_with_the_odds_of_their_mean_and_variance(span):
    """Both at the rate one a copy: M stays, V = M (1 + 2 t), and P(0) of Poisson many founders is exp[-M/(1 + t)]."""
    mean = np.array([0.5, 4.0, 30.0])
    found = laws.extinction_by_counts(mean, mean * (1 + 2 * span))
    np.testing.assert_allclose(found, np.exp(-mean / (1 + span)))
    np.testing.assert_allclose(laws.extinction_by_counts(mean, mean), np.exp(-mean))  # Poisson
    assert laws.extinction_by_counts(0.0, 0.0) == 1.0


def test_noise_at_the_crossing_is_the_covariance_less_the_own_share():
    """With one neighbour the own share is (1/4) / (1 + y^2/x^2) from a distance x: 1/4 from far away."""
    h = np.array([[0.6, 0.5], [0.5, -0.4]])
    pull = -0.5j
    psi = through_node(h, [0.05j * pull / abs(pull), 1.0], 1.4)
    (row,) = laws.node_crossings(h, psi, [0.0, 2.0], closer_than=0.01)
    noise = laws.kick_covariance(h, psi, [0.0, row.time])
    own = 0.25 / (1 + row.rho_min / (0.25 * (1 - row.rho_min) * row.time**2))
    assert (row.label, row.churn) == (0, 1.0)
    assert row.s2 == pytest.approx(noise.perpendicular(1, 0) - own, abs=1e-4)


@pytest.mark.parametrize("h", [DETUNED, TRIANGLE], ids=["two", "three"])
def test_noise_at_a_node_is_the_limit_of_the_noise_before_it(h):
    """The covariance diverges there; its part perpendicular to the drift does not."""
    psi = through_node(h, [0.0, 0.6, -0.8j][: len(h)], 1.0)
    (row,) = (row for row in laws.node_crossings(h, psi, [0.0, 1.1]) if row.label == 0)
    noise = laws.kick_covariance(h, psi, [0.0, 1.0 - 1e-3, 1.0 - 1e-5])
    assert row.s2 > 0.01
    assert noise.perpendicular(1, 0) == pytest.approx(row.s2, rel=1e-2)
    assert noise.perpendicular(2, 0) == pytest.approx(row.s2, rel=1e-3)


@pytest.mark.parametrize(("h", "rest"), [(DETUNED, [1.0]), (TRIANGLE, [0.6, -0.8j])], ids=["two", "three"])
def test_a_path_through_the_node_and_one_close_by_have_one_noise(h, rest):
    """The own share that is taken away jumps from 0 to 1/4, and so does the rest, without rounding."""
    found = []
    for share in (0.0, 1e-26, 1e-24, 1e-21, 1e-20, 1e-19, 1e-17, 1e-14, 1e-12, 1e-8):
        psi = through_node(h, [np.sqrt(share) * (0.3 + 0.4j), *rest], 1.0)
        (row,) = (row for row in laws.node_crossings(h, psi, [0.0, 1.5]) if row.label == 0)
        found.append(row.s2)
    np.testing.assert_allclose(found, found[0], rtol=1e-2)


@pytest.mark.parametrize("detuning", [0.3, 1.0, 3.0])
def test_one_turn_of_a_detuned_pair_makes_noise_of_one_half(detuning):
    """From node to node: what the other label's approach makes, 1/4 on its way in and 1/4 on its way out."""
    h = np.array([[0.5 * detuning, 0.5], [0.5, -0.5 * detuning]])
    psi = through_node(h, [0.0, 1.0], 1.0)
    rows = laws.node_crossings(h, psi, [0.0, 1.1 + 4 * np.pi / np.hypot(detuning, 1.0)])
    np.testing.assert_allclose(np.diff([row.s2 for row in rows if row.label == 0]), 0.5, atol=1e-4)


def test_behind_a_node_there_may_be_no_law():
    """The kicks at the node, which diverge, have become perpendicular to the drift at the next one."""
    first, *later = laws.node_crossings(
        TRIANGLE, through_node(TRIANGLE, [0.0, 0.6, -0.8j], 1.0), [0.0, 9.0], copies=100, closer_than=0.05
    )
    assert later
    assert 0.0 < first.s2 < np.inf
    assert all(row.s2 == np.inf and math.isnan(row.extinction) for row in later)


def test_noise_of_the_preparation_counts():
    """Drawn counts turn the drift of a resonant path only if the labels' phases are no multiples of pi/2 apart."""
    psi = through_node(DETUNED, [0.0, 1.0], 1.0)
    rounded, drawn = (laws.node_crossings(DETUNED, psi, [0.0, 1.1], multinomial=drawn)[0].s2 for drawn in (0, 1))
    back = -1j * DETUNED[0, 1] / abs(DETUNED[0, 1])  # the unit drift at the node, where psi_1 = 1
    witness = expm(1j * DETUNED) @ np.array([back, 0.0])
    share = np.abs(psi) ** 2
    tilt = (witness.conj() * psi).imag / (2 * share)
    assert drawn - rounded == pytest.approx(share @ tilt**2 - (share @ tilt) ** 2, rel=1e-6)
    assert drawn - rounded > 0.01


def test_a_label_that_stands_still_at_its_node_has_no_law():
    h = np.array([[0.0, 0.5, 0.5], [0.5, 0.3, 0.0], [0.5, 0.0, -0.3]])
    psi = through_node(h, [0.0, 1.0, -1.0], 0.7)
    (row,) = laws.node_crossings(h, psi, [0.0, 1.0], copies=100, closer_than=1e-4)
    assert row.time == pytest.approx(0.7, abs=1e-3)
    assert math.isnan(row.s2)
    assert math.isnan(row.extinction)


def test_extinction_probability():
    assert laws.extinction_probability(0.0) == 1.0
    assert laws.extinction_probability(2.0) == pytest.approx(math.exp(-2.0))
    assert laws.extinction_probability(3.0, crossing=4) == pytest.approx(math.exp(-0.75))
    np.testing.assert_allclose(laws.extinction_probability([0.0, 1.0], 1.5), [0.5, 0.5 * math.exp(-0.25)])
    y = np.sqrt(0.8) + np.sqrt(0.3) * np.linspace(-9, 9, 20_001)  # the average of exp(-y^2/K)
    weight = np.exp(-((y - np.sqrt(0.8)) ** 2) / 0.6)
    assert laws.extinction_probability(0.8, 0.3, churn=1.7) == pytest.approx(
        np.average(np.exp(-(y**2) / 1.7), weights=weight), rel=1e-9
    )


def test_binomial_turning():
    found = laws.binomial_turning([0, 1, 100, 100], [3.0, np.pi / 2, np.pi - 0.1, np.pi])
    np.testing.assert_allclose(found.extinction, [1.0, 0.0, np.cos(0.1) ** 200, 1.0], atol=1e-15)
    np.testing.assert_allclose(found.mean, [0.0, 1.0, 100 * np.sin(0.1) ** 2, 0.0], atol=1e-13)


# ruff: noqa: NPY002  (numba knows only the legacy generator)


@njit(cache=True)
def pass_node(copies, chi, pulls, angles, runs, seed):
    """Runs that die out at a node whose neighbours pull constantly: exact events by thinning, chi by its formula."""
    np.random.seed(seed)
    dead, most = 0, pulls.sum()
    for _ in range(runs):
        n, angle = copies, chi
        while n > 0 and not (angle < 1.5 and n > 10 * copies):
            angle = 2 * np.arctan(np.tan(0.5 * angle) * np.exp(-np.random.exponential(0.5 / (n * most))))
            mark = most * np.random.random()
            for b in range(pulls.size):
                flow = pulls[b] * np.cos(angle - angles[b])
                if 0.0 <= mark < abs(flow):
                    n += 1 if flow > 0.0 else -1
                mark -= abs(flow)
        dead += n == 0
    return dead


@pytest.mark.parametrize("pulls", [[1.0], [1.0, -0.5], [np.exp(0.6j), 0.8 * np.exp(-0.7j)], [1.0, 0.6j, -0.4 - 0.3j]])
def test_neighbours_that_pull_against_each_other_make_extinction_likelier(pulls):
    """exp(-m/K) on the straight line through the node, K from `node_crossings` for the same pulls."""
    neighbours = len(pulls)
    h = np.zeros((neighbours + 1, neighbours + 1), dtype=complex)
    h[0, 1:] = 1j * np.array(pulls) * np.sqrt(neighbours)
    h[1:, 0] = h[0, 1:].conj()
    psi = through_node(h, [0.0, *np.ones(neighbours)], 0.01)
    churn = laws.node_crossings(h, psi, [0.0, 0.02])[0].churn
    along = np.array(pulls, dtype=complex) / np.sum(pulls)
    copies, m, runs = 200, 1.5, 4000
    chi = np.pi - np.arcsin(np.sqrt(m / copies))
    dead = pass_node(copies, chi, np.abs(along), np.angle(along), runs, 3)
    verdicts.assert_share(dead, runs, float(laws.extinction_probability(m, churn=churn)), detects=0.06)
    if neighbours > 1:  # the control: without the churn
        with pytest.raises(AssertionError, match="chance"):
            verdicts.assert_share(dead, runs, math.exp(-m), detects=0.06)


# --- a simulation that shares nothing with copydyn ---


@njit(cache=True)
def run(h, counts, phases, span, longest):
    """One ensemble by (32) and (33): events of Gillespie, phases by Euler's steps between them.

    ``longest`` bounds a step in units of the fastest turn of a phase.
    """
    n, phi, t = counts.copy(), phases.copy(), 0.0
    rates, speed = np.zeros(h.shape), np.zeros(n.size)
    while True:
        total, fastest = 0.0, 1e-300
        for a in range(n.size):
            speed[a] = h[a, a].real
            for b in range(n.size):
                rates[b, a] = 0.0
                if a != b and n[a] > 0 and n[b] > 0:
                    turn = h[a, b] * np.exp(1j * (phi[a] - phi[b])) * np.sqrt(n[b] / n[a])
                    speed[a] += turn.real
                    rates[b, a] = max(2.0 * n[a] * turn.imag, 0.0)
                    total += rates[b, a]
                    fastest = max(fastest, abs(turn))
        step = min(longest / fastest, span - t)
        wait = np.random.exponential(1.0) / total if total > 0.0 else np.inf
        phi += min(wait, step) * speed
        t += min(wait, step)
        if wait < step:
            mark = np.random.random() * total
            for b in range(n.size):
                for a in range(n.size):
                    if 0.0 <= mark < rates[b, a]:
                        n[b] -= 1
                        n[a] += 1
                    mark -= rates[b, a]
        elif t >= span:
            return n, phi


@njit(cache=True)
def simulate(h, counts, phases, span, runs, seed, longest=0.01):
    np.random.seed(seed)
    ends = np.empty((runs, counts.size), dtype=np.complex128)
    for index in range(runs):
        n, phi = run(h, counts, phases, span, longest)
        ends[index] = np.sqrt(n / n.sum()) * np.exp(-1j * phi)
    return ends


def prepare(psi, copies):
    """Counts, phases, and the ket that they encode."""
    counts = np.rint(copies * np.abs(psi) ** 2).astype(np.int64)
    counts[-1] += copies - counts.sum()
    return counts, -np.angle(psi), np.sqrt(counts / copies) * np.exp(1j * np.angle(psi))


def test_simulated_noise():
    """Mean and spread of the infidelity and every variance; a factor of two would not pass.

    The variances: 400 Gaussian samples, each of the three within 4.5 of its standard errors, sqrt(2/399).
    """
    h, psi = SYSTEMS["triangle"]
    copies, span = 10_000, 1.0
    counts, phases, ket = prepare(psi, copies)
    ends = simulate(h, counts, phases, span, 400, 1)
    target = path_of(h, ket, np.array([span]))[0]
    noise = laws.kick_covariance(h, ket, [0.0, span])
    infidelity = copies * (1 - np.abs(ends @ target.conj()) ** 2)
    law = laws.infidelity_law(h, ket, [0.0, span])[1]
    verdicts.assert_mean(infidelity, law, detects=0.5 * law)
    for wrong in (0.5 * law, 2.0 * law):
        with pytest.raises(AssertionError, match="errors off"):
            verdicts.assert_mean(infidelity, wrong, detects=0.5 * law)
    assert infidelity.std() == pytest.approx(noise.infidelity_spread[1], rel=0.3)
    scores = copies * (np.abs(ends) ** 2).var(axis=0, ddof=1) / np.diagonal(noise.frequencies[1]) - 1
    assert np.all(np.abs(scores) < 4.5 * np.sqrt(2 / 399)), scores


@pytest.mark.parametrize("share", [0.0, 4e-4])
def test_simulated_crossing(share):
    """A label between two neighbours that pull across each other: churn, noise on the way, and m of 0 or 1.2."""
    h = np.array([[0.8, 0.5, 0.4j], [0.5, -0.9, 0.3], [-0.4j, 0.3, 0.5]])
    pull = -1j * (h[0, 1] * 0.6 + h[0, 2] * 0.8)
    counts, phases, ket = prepare(through_node(h, [1j * np.sqrt(share) * pull / abs(pull), 0.6, 0.8], 1.5), 3000)
    (row,) = laws.node_crossings(h, ket, [0.0, 1.8], copies=3000, closer_than=0.005)
    assert row.churn > 1.5
    ends = simulate(h, counts, phases, 1.8, 1500, 2)
    dead = int(np.sum(ends[:, row.label] == 0.0))
    verdicts.assert_share(dead, 1500, row.extinction, detects=0.1)
    if share:  # the control: without the churn
        with pytest.raises(AssertionError, match="chance"):
            verdicts.assert_share(dead, 1500, float(laws.extinction_probability(row.m, row.s2)), detects=0.1)


# --- refusals ---


def test_refusals(refuses):
    large = sparse.eye_array(513, format="csr")
    ket = np.ones(513) / np.sqrt(513)
    refuses(lambda: laws.linear_noise(large, ket, [0.0, 1.0]), ValueError, "at most 512 labels")
    larger = sparse.eye_array(2049, format="csr")
    refuses(lambda: laws.infidelity_law(larger, np.eye(2049)[0], [0.0]), ValueError, "at most 2048 labels")
    refuses(lambda: laws.infidelity_law(RESONANT, [1.0, 1.0], [0.0]), ValueError, "normalised")
    refuses(lambda: laws.node_crossings(RESONANT, [1, 0], [0, 1], copies=0), ValueError, "copies")
    refuses(lambda: laws.node_crossings(RESONANT, [1, 0], [0, 1], closer_than=0.0), ValueError, "closer_than")
    refuses(lambda: laws.extinction_probability(-1.0), ValueError, "m must be >= 0")
    refuses(lambda: laws.extinction_probability(1.0, -1.0), ValueError, "s2 must be >= 0")
    refuses(lambda: laws.extinction_probability(1.0, churn=0.5), ValueError, "churn must be >= 1")
    refuses(lambda: laws.extinction_probability(1.0, crossing=0), ValueError, "crossing")
    refuses(lambda: laws.extinction_probability(1.0, 0.1, crossing=2), ValueError, "resonance")
    refuses(lambda: laws.extinction_probability("many"), TypeError, "m must be")
    refuses(lambda: laws.binomial_turning(-1, 3.0), ValueError, "n must be >= 0")
    refuses(lambda: laws.binomial_turning(1, np.nan), ValueError, "chi must be finite")
