"""Copy dynamics against a plain simulator, against its limit, and against its laws without free parameters."""

import itertools

import numpy as np
import pytest
import qutip
import verdicts
from plain import simulate
from scipy import stats
from scipy.linalg import expm

from copydyn import copysolve, fit_exponent
from copydyn.experiment import Experiment
from copydyn.theories import CopyDynamics

TRIANGLE = np.array([[0.0, 0.5 + 0.2j, 0.4 - 0.3j], [0.5 - 0.2j, 0.4, 0.3 + 0.4j], [0.4 + 0.3j, 0.3 - 0.4j, -0.3]])
EVEN = np.array([0.6, 0.6 * np.exp(3.9j), np.sqrt(0.28) * np.exp(1.2j)])  # stays above |psi_a|^2 = 0.16 for t <= 6
RESONANT = np.array([[0.0, 0.5], [0.5, 0.0]])


def schroedinger(h, psi, tlist):
    """Probabilities and kets by the matrix exponential."""
    kets = np.array([expm(-1j * h * (t - tlist[0])) @ psi for t in tlist])
    return np.abs(kets) ** 2, kets


def near_node(rho_min):
    """A ket at the equator whose resonant path passes |psi_0|^2 = rho_min after a quarter turn, t = pi/2."""
    x = 2 * np.sqrt(rho_min * (1 - rho_min))
    return np.array([1.0, x - 1j * np.sqrt(1 - x * x)]) / np.sqrt(2)


# --- the law of the process, far from its limit -------------------------------------------------------------------

COUNTS, PHASES, SPAN = np.array([30, 20, 10]), np.array([0.0, 1.5, 4.0]), 1.2


def ours(runs, **settings):
    """Final counts of our engines from the same start as the plain simulator."""
    psi = np.sqrt(COUNTS / COUNTS.sum()) * np.exp(-1j * PHASES)
    theory = CopyDynamics(int(COUNTS.sum()), **settings)
    result = theory.evolve(Experiment.of(TRIANGLE, psi, [0.0, SPAN]), seed=3, replicas=runs)
    assert result.counts.values[0, 0].tolist() == COUNTS.tolist()
    return result.counts.values[:, -1]


def assert_same_counts(found, expected):
    for label in range(3):
        verdicts.assert_same_law(found[:, label], expected[:, label], detects=0.09)


@pytest.fixture(scope="module")
def plainly():
    return simulate(TRIANGLE, COUNTS, PHASES, SPAN, 4000, seed=1)


@pytest.mark.parametrize("engine", ["exact", "agents"])
def test_sixty_copies_follow_the_law_of_the_plain_process(engine, plainly):
    """Extinctions, skewness and all: at N = 60 nothing is near its limit. Sees 0.09 of distribution."""
    found = ours(4000, engine=engine)
    assert_same_counts(found, plainly)
    for label in range(3):
        extinct = int((found[:, label] == 0).sum()), int((plainly[:, label] == 0).sum())
        assert stats.fisher_exact([extinct, [4000 - extinct[0], 4000 - extinct[1]]]).pvalue > 1e-5
    verdicts.assert_mean(found[:, 0] * found[:, 1] - (plainly[:, 0] * plainly[:, 1]).mean(), 0.0, detects=25.0)


def test_plain_process_has_converged_in_its_step(plainly):
    finer = simulate(TRIANGLE, COUNTS, PHASES, SPAN, 2000, seed=2, step=0.005)
    verdicts.assert_same_law(finer[:, 2], plainly[:, 2], detects=0.11)


@pytest.mark.parametrize("fault", [{"sign": -1.0}, {"factor": 1.0}, {"self_copies": True}], ids=lambda f: next(iter(f)))
def test_the_statistics_catch_each_fault(fault):
    """Controls that must fail: the wrong sign, a missing factor 2, partners drawn from the copier's own kind."""
    faulty = simulate(TRIANGLE, COUNTS, PHASES, SPAN, 4000, seed=1, **fault)
    found = ours(4000, engine="exact")
    with pytest.raises(AssertionError, match="distance"):
        assert_same_counts(found, faulty)


def test_printed_rule_is_the_process_with_the_wrong_sign():
    wrong = simulate(TRIANGLE, COUNTS, PHASES, SPAN, 4000, seed=1, sign=-1.0)
    found = ours(4000, engine="exact", rule="printed")
    assert_same_counts(found, wrong)


# --- the limit ----------------------------------------------------------------------------------------------------


def test_frequencies_converge_with_the_root_of_the_number_of_copies():
    """Statement 2, N = 1e3..1e6: the exponent is -0.50 ± 0.03 and the fit itself knows it better than that."""
    tlist = np.linspace(0, 6, 13)
    expected, _ = schroedinger(TRIANGLE, EVEN, tlist)
    dense = schroedinger(TRIANGLE, EVEN, np.linspace(0, 6, 301))[0]
    assert dense.min() > 0.1  # away from nodes
    sizes, means, errors = [1e3, 1e4, 1e5, 1e6], [], []
    for copies, replicas in zip(sizes, (400, 300, 150, 60), strict=True):
        result = copysolve(TRIANGLE, EVEN, tlist, copies=copies, replicas=replicas, seed=5)
        worst = np.abs(result.frequency.values - expected).max(axis=(1, 2))
        means.append(worst.mean())
        errors.append(worst.std(ddof=1) / np.sqrt(replicas))
    fit = fit_exponent(sizes, means, errors)
    assert fit.error < 0.008
    assert abs(fit.exponent + 0.5) < 0.03, fit


def test_printed_rule_does_not_converge():
    tlist = np.linspace(0, 6, 61)
    expected, _ = schroedinger(TRIANGLE, EVEN, tlist)
    worst = []
    for copies in (1e3, 1e4, 1e5):
        printed = copysolve(TRIANGLE, EVEN, tlist, copies=copies, replicas=5, seed=1, rule="printed")
        worst.append(np.abs(printed.probability.values - expected).max())
    assert min(worst) > 0.3


def test_pulses_are_followed_one_after_the_other():
    train = [(1.0, TRIANGLE), (0.7, np.diag([0.5, 0.0, -0.5])), (2.0, -TRIANGLE)]
    tlist = np.array([0.3, 0.9, 1.2, 2.5, 3.7])
    result = copysolve(train, EVEN, tlist, copies=1e7, seed=2)
    kets = [EVEN]
    for path in ([(0, 0.6)], [(0, 0.1), (1, 0.2)], [(1, 0.5), (2, 0.8)], [(2, 1.2)]):  # (pulse, for how long)
        ket = kets[-1]
        for pulse, span in path:
            ket = expm(-1j * train[pulse][1] * span) @ ket
        kets.append(ket)
    assert np.abs(result.probability.values - np.abs(kets) ** 2).max() < 10 / np.sqrt(1e7)


def test_qutip_objects_and_expectation_values():
    h, psi = qutip.Qobj(TRIANGLE), qutip.Qobj(EVEN)
    number = qutip.Qobj(np.diag([0.0, 1.0, 2.0]))
    tlist = np.linspace(0, 3, 7)
    result = copysolve(h, psi, tlist, copies=1e6, seed=1, e_ops=[number, h], replicas=4)
    expected = qutip.sesolve(h, psi, tlist, e_ops=[number, h], options={"atol": 1e-10, "rtol": 1e-10}).expect
    assert np.abs(result.expect.mean("replica").values - np.transpose(expected)).max() < 10 / np.sqrt(1e6)
    assert np.allclose(result.energy.values, result.expect.values[..., 1], atol=1e-12)


# --- exact statements ---------------------------------------------------------------------------------------------


def test_copies_are_conserved_and_support_never_grows():
    rng = np.random.default_rng(4)
    for seed in range(20):
        x = rng.normal(size=(5, 5)) + 1j * rng.normal(size=(5, 5))
        psi = rng.normal(size=5) + 1j * rng.normal(size=5)
        psi[rng.integers(5)] = 0.0
        psi /= np.linalg.norm(psi)
        for engine in ("exact", "agents"):
            n = copysolve(
                x + x.conj().T, psi, np.linspace(0, 5, 40), copies=200, seed=seed, engine=engine
            ).counts.values[0]
            assert np.all(n.sum(axis=1) == 200)
            assert n.min() >= 0
            empty = n == 0
            assert np.all(empty[1:] | ~empty[:-1])  # once empty, always empty
            assert empty[0].any()


def test_a_ket_on_one_label_never_moves_but_spectators_let_it():
    still = copysolve(RESONANT, [1.0, 0.0], [0.0, 1.0, 5.0], copies=1e4, seed=1)
    assert still.events.values.max() == 0
    moving = copysolve(RESONANT, [1.0, 0.0], [0.0, np.pi / 2], copies=1e6, seed=1, spectators=1000)
    assert moving.counts.values[0, 0].tolist() == [1_001_000, 1000]
    assert abs(moving.probability.values[-1, 1] - 0.5) < 0.05


@pytest.mark.parametrize("sites", [4, 8])
def test_a_commensurate_real_stationary_state_emits_no_event(sites):
    ring = -np.roll(np.eye(sites), 1, axis=0) - np.roll(np.eye(sites), -1, axis=0)
    for psi in (np.ones(sites), (-1.0) ** np.arange(sites)):
        result = copysolve(ring, psi / np.sqrt(sites), np.linspace(0, 50, 6), copies=sites * 10**9, seed=1)
        assert result.events.values.max() == 0


def test_an_incommensurate_stationary_state_emits_few_events():
    h = np.array([[0.0, -0.5], [-0.5, 0.3]])
    ground = np.linalg.eigh(h)[1][:, 0]
    for copies in (1e4, 1e6):
        result = copysolve(h, ground, [0.0, 10.0], copies=copies, seed=1, replicas=20)
        assert result.events.values[:, -1].mean() < 50


@pytest.mark.parametrize(("copies", "replicas"), [(1000, 4000), (100_000, 1000)])
@pytest.mark.parametrize("m", [0.0, 0.3, 1.0, 3.0])
def test_resonant_node_crossing(copies, replicas, m):
    """Statement 6: a label that passes its node at m = N rho_min goes extinct with the chance exp(-m)."""
    psi = near_node(m / copies)
    result = copysolve(RESONANT, psi, [0.0, 2.6], copies=copies, replicas=replicas, seed=1)
    extinct = int((result.counts.values[:, -1, 0] == 0).sum())
    verdicts.assert_share(extinct, replicas, np.exp(-m), detects=0.06 if replicas > 1000 else 0.13)


def test_number_at_the_turning_point_is_poisson():
    """Statement 6: with the angle as the clock, copies leave independently; at the turn Poisson(N rho_min) are left.

    Each path turns at its own time, so the number is read off the event log: until the turn copies only leave.
    """
    m, copies, replicas = 3.0, 2000, 3000
    theory = CopyDynamics(copies, record_events=True)
    result = theory.evolve(Experiment.of(RESONANT, near_node(m / copies), [0.0, 2.6]), seed=1, replicas=replicas)
    steps = np.where(result.event_to.values == 0, 1, -1)
    ends = np.searchsorted(result.event_replica.values, np.arange(replicas + 1))
    left = [steps[a:b].cumsum().min() for a, b in itertools.pairwise(ends)]
    n = result.counts.values[:, 0, 0] + np.array(left)
    verdicts.assert_mean(n, m, detects=0.25)
    values = np.arange(12)
    expected = np.append(stats.poisson.pmf(values, m), stats.poisson.sf(11, m)) * replicas
    verdicts.assert_counts(np.bincount(np.minimum(n, 12), minlength=13), expected)


def test_repeated_resonant_crossings():
    """Statement 6: extinct by the r-th crossing with the chance exp(-m/r); each label crosses once a turn."""
    m, copies, replicas = 3.0, 20_000, 2000
    tlist = np.array([0.0, *(np.pi * np.arange(1, 5) + 0.3)])  # half-way between the crossings
    result = copysolve(RESONANT, near_node(m / copies), tlist, copies=copies, replicas=replicas, seed=1)
    gone = (result.counts.values == 0).any(axis=-1).mean(axis=0)[1:]
    expected = np.exp(-m / np.arange(1, 5))
    assert np.all(np.abs(gone - expected) < 4.8 * np.sqrt(expected * (1 - expected) / replicas)), (gone, expected)


def test_after_an_extinction_the_rest_obeys_the_projected_hamiltonian():
    """Statement 5: P H P on the surviving labels, no free parameter."""
    chain = np.array([[0.0, 0.5, 0.0], [0.5, 0.0, 0.4j], [0.0, -0.4j, 0.2]])
    psi = np.array([0.8, 0.6, 0.0], complex)
    drift = -1j * chain @ psi
    psi[2] = -1e-3 * drift[2] / abs(drift[2])  # a few copies, heading straight for their node
    psi /= np.linalg.norm(psi)
    tlist = np.linspace(0, 4, 41)
    result = copysolve(chain, psi, tlist, copies=10**7, seed=1)
    n = result.counts.values[0]
    assert n[0].min() > 0
    assert n[1, 2] == 0
    psi_after = np.sqrt(n[1] / n[1].sum()) * np.exp(-1j * np.nan_to_num(result.phase.values[0, 1]))
    projected = chain.copy()
    projected[2, :] = projected[:, 2] = 0.0
    whole = schroedinger(chain, psi_after, tlist[1:])[0]
    rest = schroedinger(projected, psi_after, tlist[1:])[0]
    found = result.frequency.values[0, 1:]
    assert np.abs(found - rest).max() < 10 / np.sqrt(1e7)
    assert np.abs(found - whole).max() > 0.1  # the control: quantum mechanics of all labels is something else


def test_multinomial_preparation_scatters_as_it_should():
    result = CopyDynamics(1000, preparation="multinomial").evolve(
        Experiment.of(TRIANGLE, EVEN, [0.0]), seed=1, replicas=4000
    )
    n = result.counts.values[:, 0]
    p = np.abs(EVEN) ** 2
    for label in range(3):
        verdicts.assert_mean(n[:, label], 1000 * p[label], detects=2.0)
        standard = (n[:, label] - 1000 * p[label]) ** 2 / (1000 * p[label] * (1 - p[label]))
        verdicts.assert_mean(standard, 1.0, detects=0.17)


def test_floor_holds_and_admixture_starts_elsewhere():
    result = copysolve(RESONANT, near_node(0.0), np.linspace(0, 10, 101), copies=10_000, floor=50, replicas=10, seed=1)
    assert result.counts.values.min() == 50
    assert result.counts.values[0, 0].sum() == 10_100
    other = np.array([0.6, 0.8])
    mixed = copysolve(RESONANT, [1.0, 0.0], [0.0], copies=10**6, admixture=(0.01, other), seed=1)
    ket = np.sqrt(0.99) * np.array([1.0, 0.0]) + 0.1 * other
    assert np.allclose(mixed.frequency.values[0, 0], ket**2 / (ket @ ket), atol=1e-6)
