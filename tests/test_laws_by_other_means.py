"""The laws against independent evaluations: brute quadrature, the Lyapunov equation, a birth and death process."""

import numpy as np
import pytest
from numba import njit
from scipy.integrate import solve_ivp, trapezoid
from verdicts import assert_share

from copydyn import laws
from copydyn.refusal import BadValue
from copydyn.systems import gue, ring, three_level, two_level

TLIST = np.array([0.0, 0.8, 2.0, 3.0])
SYSTEMS = {
    "two-level": (two_level(0.6, 0.4 + 0.2j).hamiltonian, np.array([0.8, 0.6 * np.exp(2j)])),
    "three-level": (three_level().hamiltonian, np.array([0.6, 0.6 * np.exp(3.9j), np.sqrt(0.28) * np.exp(1.2j)])),
    "gue": (gue(4, width=1.0, seed=3).hamiltonian, np.array([0.5, 0.5j, 0.5 * np.exp(1j), -0.5])),
}


def rates_and_kicks(h, psi):
    """r_e and k_e of every edge, straight from their definition."""
    rho = np.abs(psi) ** 2
    for a in range(psi.size):
        for b in range(a + 1, psi.size):
            rate = 2 * abs(np.imag(np.conj(psi[a]) * h[a, b] * psi[b]))
            kick = np.zeros(psi.size, complex)
            kick[a], kick[b] = psi[a] / (2 * rho[a]), -psi[b] / (2 * rho[b])
            yield rate, kick


def path(h, psi, times):
    values, vectors = np.linalg.eigh(h)
    return (np.exp(-1j * np.outer(times, values)) * (vectors.conj().T @ psi)) @ vectors.T


@pytest.fixture(params=SYSTEMS)
def system(request):
    return SYSTEMS[request.param]


def test_infidelity_law_by_brute_quadrature(system):
    h, psi = system
    times = np.linspace(0, 3, 30_001)
    loss = [sum(r * np.vdot(k, k).real for r, k in rates_and_kicks(h, ket)) for ket in path(h, psi, times)]
    for at, end in enumerate(TLIST):
        inside = times <= end + 1e-9
        expected = trapezoid(np.array(loss)[inside], times[inside])
        assert laws.infidelity_law(h, psi, TLIST)[at] == pytest.approx(expected, rel=1e-5, abs=1e-12)


@pytest.mark.parametrize("multinomial", [False, True])
def test_covariance_by_the_lyapunov_equation(system, multinomial):
    """The same noise as a real matrix of 2P parts, integrated step by step with the generator of the flow."""
    h, psi = system
    size = psi.size
    flow = np.block([[h.imag, h.real], [-h.real, h.imag]])  # of (Re, Im) under -i h

    def real(k):
        return np.concatenate([k.real, k.imag])

    def rhs(t, flat):
        c = flat.reshape(2 * size, 2 * size)
        source = sum(r * np.outer(real(k), real(k)) for r, k in rates_and_kicks(h, path(h, psi, [t])[0]))
        return (flow @ c + c @ flow.T + source).ravel()

    rho = np.abs(psi) ** 2
    start = np.zeros((2 * size, 2 * size))
    if multinomial:
        lift = np.concatenate([np.diag(psi.real / (2 * rho)), np.diag(psi.imag / (2 * rho))])
        start = lift @ (np.diag(rho) - np.outer(rho, rho)) @ lift.T
    solution = solve_ivp(rhs, (0, 3), start.ravel(), t_eval=TLIST, rtol=1e-8, atol=1e-10, max_step=0.02).y
    found = laws.linear_noise(h, psi, TLIST, multinomial=multinomial)
    noise = laws.kick_covariance(h, psi, TLIST, multinomial=multinomial)
    for at, ket in enumerate(path(h, psi, TLIST)):
        c = solution[:, at].reshape(2 * size, 2 * size)
        read = 2 * np.concatenate([np.diag(ket.real), np.diag(ket.imag)], axis=1)
        assert np.allclose(found[at], read @ c @ read.T, atol=2e-5)
        assert noise.infidelity[at] == pytest.approx(np.trace(c), abs=2e-5)
        assert noise.infidelity_spread[at] == pytest.approx(np.sqrt(2 * np.sum(c * c)), abs=5e-5)


def test_exact_properties(system):
    h, psi = system
    law, noise = laws.infidelity_law(h, psi, TLIST), laws.linear_noise(h, psi, TLIST)
    assert law[0] == 0.0
    assert np.all(np.diff(law) > 0)
    assert np.allclose(laws.kick_covariance(h, psi, TLIST).infidelity, law, rtol=1e-6, atol=1e-9)
    assert np.allclose(noise.sum(axis=-1), 0.0, atol=1e-9)  # N is conserved
    assert np.allclose(noise, noise.swapaxes(-1, -2))
    assert np.linalg.eigvalsh(noise).min() > -1e-9
    assert np.allclose(laws.infidelity_law(h, psi, TLIST, multinomial=True) - law, (psi.size - 1) / 4)
    assert np.allclose(laws.infidelity_law(3 * h, psi, TLIST / 2, hbar=1.5), law, rtol=1e-5)
    train = [(0.5, h), (1.7, h), (9.0, h)]
    assert np.allclose(laws.infidelity_law(train, psi, TLIST), law, rtol=1e-5)
    assert np.allclose(laws.linear_noise(train, psi, TLIST), noise, atol=1e-5)
    forth_and_back = [(2.0, h), (2.0, -h)]
    assert laws.infidelity_law(forth_and_back, psi, [0.0, 4.0])[-1] == pytest.approx(2 * law[2], rel=1e-5)


def test_a_real_stationary_state_has_no_noise():
    h = ring(6).hamiltonian
    uniform = np.full(6, 1 / np.sqrt(6))
    assert np.allclose(laws.infidelity_law(h, uniform, TLIST), 0.0, atol=1e-12)
    assert np.allclose(laws.linear_noise(h, uniform, TLIST), 0.0, atol=1e-12)


def test_the_law_diverges_at_a_node_and_says_where():
    h, psi = two_level(0.0, 0.5).hamiltonian, np.array([0.8, -0.6j])
    tlist = np.linspace(0, 4, 81)
    node = laws.first_node(h, psi, tlist)
    # psi_0 = 0.8 cos(t/2) - 0.6 sin(t/2)
    assert node is not None
    assert node.label == 0
    assert node.time == pytest.approx(2 * np.arctan(0.8 / 0.6), abs=1e-6)
    law = laws.infidelity_law(h, psi, tlist)
    assert np.all(np.isfinite(law) == (tlist < node.time))
    assert np.isnan(laws.linear_noise(h, psi, tlist)[-1]).all()


def test_an_empty_label_is_at_its_node_from_the_start_unless_it_stays_empty():
    law = laws.infidelity_law(three_level().hamiltonian, [0.6, 0.8, 0.0], TLIST)
    assert law[0] == 0.0
    assert np.isinf(law[1:]).all()
    h = np.array([[0.0, 0.5, 0.0], [0.5, 0.3, 0.0], [0.0, 0.0, 1.0]])
    alone = laws.infidelity_law(h[:2, :2], [0.6, 0.8j], TLIST)
    assert np.allclose(laws.infidelity_law(h, [0.6, 0.8j, 0.0], TLIST), alone)


def test_too_many_labels_are_refused():
    with pytest.raises(BadValue, match="512"):
        laws.linear_noise(ring(600).hamiltonian, np.full(600, 600**-0.5), TLIST)


@njit
def passes(n, y, pulls, seed):
    """One passage of a label by its node, event by event: is anything left at the end?"""
    np.random.seed(seed)
    z = complex(-np.sqrt(n - y * y), y)  # sqrt(n) times the direction of psi_a; the drift is along the real axis
    drift = pulls.sum()
    direction = z / abs(z)
    while n > 0 and not (direction.real > 0.0 and n > 400):
        step = 0.02 * np.sqrt(n) / np.abs(pulls).sum()
        gain, loss = 0.0, 0.0
        for v in pulls:
            flow = 2.0 * np.sqrt(n) * (direction.conjugate() * v).real
            gain += max(flow, 0.0)
            loss += max(-flow, 0.0)
        wait = np.random.exponential(1.0 / (gain + loss))
        ahead = min(wait, step)
        turn = (direction.conjugate() * drift).imag / np.sqrt(n) * ahead
        if wait <= step:
            n += 1 if np.random.random() * (gain + loss) < gain else -1
        direction *= complex(np.cos(turn), np.sin(turn))
    return n > 0


@pytest.mark.parametrize(
    "pulls",
    [[1.0], [0.5 + 0.8j, 0.5 - 0.8j], [1.6, -0.6], [0.7 + 0.5j, 0.9 - 0.1j, -0.6 - 0.4j]],
    ids=["one way", "across", "against", "three"],
)
@pytest.mark.parametrize("m", [0.5, 2.0])
def test_extinction_where_neighbours_pull_against_each_other(pulls, m):
    """exp(-m/K) for one label and its neighbours, simulated; the printed statement is the case K = 1."""
    pulls = np.array(pulls, complex)
    assert pulls.sum() == pytest.approx(1.0)
    beta = np.arctan2(np.abs(pulls.imag), np.abs(pulls.real))
    churn = np.sum(np.abs(pulls) * (np.cos(beta) + beta * np.sin(beta)))
    runs = 3000
    lost = sum(not passes(150, np.sqrt(m), pulls, seed) for seed in range(runs))
    assert_share(lost, runs, float(laws.extinction_probability(m, churn=churn)), detects=0.07)


def test_formulas_of_extinction():
    assert laws.extinction_probability(1.0) == pytest.approx(np.exp(-1))
    assert laws.extinction_probability(3.0, crossing=4) == pytest.approx(np.exp(-0.75))
    assert laws.extinction_probability(2.0, 0.3) == pytest.approx(1.6**-0.5 * np.exp(-2 / 1.6))
    turning = laws.binomial_turning(100, np.pi - np.arcsin(0.1))
    assert turning.extinction == pytest.approx(0.99**100)
    assert turning.mean == pytest.approx(1.0)
