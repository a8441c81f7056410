"""Counts from a ket, and a ket from counts and phases."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import sparse, stats
from verdicts import FALSE_ALARM, assert_counts

from copydyn.experiment import Experiment
from copydyn.kernels.flow import look, workspace
from copydyn.kernels.per_label import MODE_SMOLIN
from copydyn.kernels.roster import roster_of
from copydyn.systems import gue
from copydyn.theories import CopyDynamics
from copydyn.theories.copies.ensemble import (
    Ensemble,
    add_spectators,
    admix,
    couplings_of,
    direction,
    draw_counts,
    scatter_phases,
    share_out,
)


def random_state(seed):
    return np.random.SeedSequence(seed).generate_state(4, np.uint64)


def random_states(seed, replicas):
    return np.random.SeedSequence(seed).generate_state(4 * replicas, np.uint64).reshape(replicas, 4)


def random_ket(size, seed):
    words = np.random.default_rng(seed)
    ket = words.normal(size=size) + 1j * words.normal(size=size)
    return ket / np.linalg.norm(ket)


# amplitudes from 1e-9 to 1, or exactly zero, with signs that must not matter
amplitudes = st.one_of(st.just(0.0), st.floats(1e-9, 1.0), st.floats(-1.0, -1e-9))
kets = st.lists(amplitudes, min_size=1, max_size=12).filter(any).map(lambda row: np.array(row) / np.linalg.norm(row))
copies = st.one_of(st.integers(1, 50), st.integers(1, 2**62), st.just(2**62))


@settings(max_examples=400, deadline=None)
@given(kets, copies)
@example(np.array([1.0]), 2**62)
@example(np.array([1.0, 0.0, 0.0]), 2**62)
@example(np.full(7, 7**-0.5), 2**62)
def test_shares_sum_to_n_and_miss_their_quota_by_less_than_one(ket, number):
    """The quota by exact fractions of the given floats; the slack is that of weights cut at 2^-80."""
    counts = share_out(ket, number)
    weights = [Fraction(float(p)) for p in np.abs(ket) ** 2]
    quotas = [number * weight / sum(weights) for weight in weights]
    assert counts.dtype == np.int64
    assert sum(int(n) for n in counts) == number
    assert all(abs(int(n) - quota) < 1 + Fraction(1, 1000) for n, quota in zip(counts, quotas, strict=True))
    assert all(n == 0 for n, quota in zip(counts, quotas, strict=True) if quota == 0)


@settings(max_examples=200, deadline=None)
@given(st.permutations([0.9, 0.4, 0.13, 0.05, 0.31]), st.integers(1, 2**62))
def test_shares_do_not_depend_on_the_order_of_the_labels(row, number):
    ket = np.array(row) / np.sqrt(0.81 + 0.16 + 0.0169 + 0.0025 + 0.0961)
    order = np.argsort(row)
    weights = np.abs(ket) ** 2
    assert len(set(weights)) == 5  # no ties
    assert np.array_equal(share_out(ket, number)[order], share_out(ket[order], number))


@pytest.mark.parametrize(
    ("size", "number", "counts"), [(2, 1, [1, 0]), (3, 1, [1, 0, 0]), (3, 5, [2, 2, 1]), (4, 2, [1, 1, 0, 0])]
)
def test_ties_go_to_the_lower_label(size, number, counts):
    assert share_out(np.full(size, size**-0.5), number).tolist() == counts


def test_the_largest_remainder_gets_the_odd_copy():
    assert share_out(np.sqrt([0.44, 0.37, 0.19]), 10).tolist() == [4, 4, 2]
    assert share_out(np.sqrt([0.5, 0.25, 0.25]), 4).tolist() == [2, 1, 1]


def test_drawn_counts_are_multinomial():
    """Mean and covariance over 4000 draws: 4 + 10 numbers at `FALSE_ALARM` each, 1.4e-4 together.

    The control: independent counts, the nearest wrong law, would miss an off-diagonal element by ten errors.
    """
    weights, number, runs = np.array([0.5, 0.3, 0.15, 0.05]), 1000, 4000
    drawn = draw_counts(np.sqrt(weights), number, random_states(21, runs))
    assert np.all(drawn.sum(axis=1) == number)
    covariance = number * (np.diag(weights) - np.outer(weights, weights))
    most = stats.norm.isf(FALSE_ALARM / 2)
    error = np.sqrt(np.diag(covariance) / runs)
    assert np.all(np.abs(drawn.mean(axis=0) - number * weights) < most * error)
    centred = drawn - number * weights
    products = centred[:, :, None] * centred[:, None, :]
    error = products.std(axis=0) / np.sqrt(runs)
    assert np.all(np.abs(products.mean(axis=0) - covariance) < most * error)
    assert abs(covariance[0, 1]) > 10 * error[0, 1]


def test_few_drawn_counts_follow_the_exact_law():
    """Two copies over three labels: all six outcomes, chi squared at `FALSE_ALARM`."""
    weights = np.array([0.2, 0.5, 0.3])
    drawn = [tuple(row) for row in draw_counts(np.sqrt(weights), 2, random_states(22, 20_000)).tolist()]
    outcomes = [(2, 0, 0), (0, 2, 0), (0, 0, 2), (1, 1, 0), (1, 0, 1), (0, 1, 1)]
    expected = [stats.multinomial.pmf(outcome, 2, weights) * len(drawn) for outcome in outcomes]
    assert_counts([drawn.count(outcome) for outcome in outcomes], expected)


@pytest.mark.parametrize("row", [[0, 1, 0, 1, 0], [1, 0, 0, 0, 0], [0, 0, 0, 0, 1], [0, 1, 3, 7, 0]])
def test_a_draw_never_fills_an_empty_label(row):
    ket = np.array(row) / np.linalg.norm(row)
    counts = draw_counts(ket, 10**6, random_states(7, 200))
    assert np.all(counts[:, ket == 0] == 0)
    assert np.all(counts.sum(axis=1) == 10**6)


def test_large_draws_keep_their_sum():
    (counts,) = draw_counts(random_ket(6, 0), 2**62, random_states(1, 1))
    assert int(counts.sum()) == 2**62
    assert np.all(counts >= 0)


def couplings_again(couplings, hbar):
    h = np.diag(couplings.omega).astype(complex)
    h[couplings.a, couplings.b] = couplings.h
    h[couplings.b, couplings.a] = couplings.h.conj()
    return h * hbar


@pytest.mark.parametrize("hbar", [1.0, 0.3])
def test_couplings_hold_the_whole_hamiltonian(hbar):
    h = np.array(gue(6, seed=1).hamiltonian)
    h[0, 3] = h[3, 0] = h[1, 2] = h[2, 1] = 0.0
    dense, stored = couplings_of(h, hbar), couplings_of(sparse.csr_array(h), hbar)
    assert np.allclose(couplings_again(dense, hbar), h, atol=1e-15)
    for one, other in zip(dense, stored, strict=True):
        assert np.array_equal(one, other)
    assert dense.a.size == 13
    assert np.all(dense.a < dense.b)
    assert np.array_equal(np.lexsort((dense.b, dense.a)), np.arange(13)), "edges stand in the order of the rows"
    diagonal = couplings_of(np.diag([1.0, 2.0]).astype(complex), hbar)
    assert diagonal.a.size == 0
    assert np.allclose(diagonal.omega, np.array([1.0, 2.0]) / hbar)


def test_the_ensemble_encodes_its_ket():
    """(34): psi = sqrt(n/N) exp(-i phi), mind the minus; phases in [0, 2 pi), NaN where nobody carries one."""
    phases = np.array([0.0, 1.0, 5.0, 2.0])
    ensemble = Ensemble(np.array([4, 9, 3, 0]), np.exp(-1j * phases), random_state(0))
    assert ensemble.copies == 16
    assert np.array_equal(ensemble.frequencies, [0.25, 0.5625, 0.1875, 0.0])
    assert np.allclose(ensemble.ket, [0.5, 0.75 * np.exp(-1j), np.sqrt(0.1875) * np.exp(-5j), 0.0])
    assert np.allclose(ensemble.phases[:3], phases[:3])
    assert np.isnan(ensemble.phases[3])
    assert np.array_equal(ensemble.coherence[:3], [1, 1, 1])
    assert np.isnan(ensemble.coherence[3])


def test_phases_stay_below_two_pi():
    tiny = np.exp(-1j * np.array([0.0, -1e-17, 1e-17, -1e-16, 2 * np.pi]))
    phases = Ensemble(np.ones(5, np.int64), tiny, random_state(0)).phases
    assert np.all((phases >= 0.0) & (phases < 2 * np.pi))


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6))
def test_a_large_ensemble_encodes_the_ket_that_was_asked_for(seed):
    ket = random_ket(5, seed)
    experiment = Experiment.of(gue(5).hamiltonian, ket, [0.0])
    ensemble = CopyDynamics(10**12, "exact").prepare(experiment, seed=0)
    assert np.abs(ensemble.ket - ket).max() < 1e-6


def test_scattered_phases_have_their_spread():
    """20 000 rows around 1.0 rad: mean and spread within 5 standard errors, a false alarm of 1e-6."""
    ensemble = Ensemble(np.array([20_000]), np.exp([-1.0j]), random_state(5))
    ensemble.roster = roster_of(ensemble.counts, with_phases=True)
    scatter_phases(ensemble, 0.2)
    assert not ensemble.aligned
    assert ensemble.copy_phases.mean() == pytest.approx(1.0, abs=5 * 0.2 / np.sqrt(20_000))
    assert ensemble.copy_phases.std() == pytest.approx(0.2, rel=5 / np.sqrt(40_000))
    assert stats.kstest(ensemble.copy_phases, stats.norm(1.0, 0.2).cdf).pvalue > FALSE_ALARM
    gathered = np.exp(-1j * ensemble.copy_phases).sum()
    assert np.allclose(ensemble.factor, gathered)
    assert np.allclose(ensemble.coherence, abs(gathered) / 20_000)
    assert np.allclose(ensemble.phases, -np.angle(gathered))
    scatter_phases(ensemble, np.inf)
    assert stats.kstest(ensemble.copy_phases, stats.uniform(0, 2 * np.pi).cdf).pvalue > FALSE_ALARM
    assert ensemble.coherence[0] < 5 / np.sqrt(20_000)


def test_admixture_is_normalised():
    ket, other = np.array([1.0, 0.0]), np.array([0.6, 0.8j])
    mixed = admix(ket, 0.25, other)
    assert np.isclose(np.linalg.norm(mixed), 1.0)
    assert np.allclose(mixed, (np.sqrt(0.75) * ket + 0.5 * other) / np.linalg.norm(np.sqrt(0.75) * ket + 0.5 * other))
    assert np.array_equal(admix(ket, 0.0, other), ket)


def test_spectators_fill_every_label_and_keep_old_phases():
    counts, factor = np.array([5, 0, 3, 0]), np.exp([0.1j, 0.2j, 0.3j, 0.4j])
    drift = np.array([1.0, -2.0j, 1.0, 0.0])
    phases = add_spectators(counts, factor, 2, drift)
    assert counts.tolist() == [7, 2, 5, 2]
    assert np.allclose(phases, [factor[0], -1j, factor[2], 1.0])
    unchanged = np.array([5, 0])
    assert np.array_equal(add_spectators(unchanged, factor[:2], 0, drift[:2]), factor[:2])
    assert unchanged.tolist() == [5, 0]


@pytest.mark.parametrize("seed", range(10))
def test_an_empty_label_gets_the_phase_in_which_it_grows(seed):
    """n_a' = 2 Im(conj(psi_a) (H psi)_a)N/hbar is largest, over all phases of psi_a, at that of -i H psi."""
    h = np.array(gue(4, seed=seed).hamiltonian)
    ket = random_ket(4, seed)
    ket[2] = 0.0
    ket /= np.linalg.norm(ket)
    experiment = Experiment.of(h, ket, [0.0, 1.0])
    ensemble = CopyDynamics(10**6, "exact", spectators=10).prepare(experiment, seed=0)
    growth = 2.0 * np.imag(np.conj(ensemble.ket) * (h @ ensemble.ket))[2]
    best = 2.0 * abs(ensemble.ket[2]) * abs(h[2] @ ensemble.ket - h[2, 2] * ensemble.ket[2])
    assert growth == pytest.approx(best, rel=1e-4)


def test_an_empty_label_with_spectators_takes_off():
    """The same by the kernel: from 10 copies to N sin^2, where the opposite phase would shrink at first."""
    experiment = Experiment.of([[0, 0.5j], [-0.5j, 0]], [1.0, 0.0], [0.0, 0.05, 0.2])
    for engine in ("exact", "agents"):
        counts = CopyDynamics(10**5, engine, spectators=10).evolve(experiment, seed=3)["counts"].values[0, :, 1]
        assert counts[0] == 10
        assert counts[1] > 20
        assert counts[2] == pytest.approx(10**5 * np.sin(0.1 + 0.01) ** 2, rel=0.15)


def test_floors_are_filled_at_the_start_and_never_broken():
    experiment = Experiment.of([[0, 0.5], [0.5, 0]], [0.8, -0.6j], np.linspace(0, 12, 40))
    for engine in ("exact", "agents"):
        counts = CopyDynamics(200, engine, floor=7).evolve(experiment, seed=1, replicas=4)["counts"].values
        assert np.all(counts[:, 0] == [128 + 7, 72 + 7])
        assert np.all(counts.sum(axis=-1) == 214)
        assert counts.min() == 7
    both = CopyDynamics(200, spectators=9, floor=7).prepare(experiment, seed=1).counts
    assert both.tolist() == [128 + 9, 72 + 9]


def test_phases_turn_the_way_of_33():
    """(33): d phi_a/dt = omega_a + sum_b sqrt(n_b/n_a) R_ab cos(phi_a - phi_b + delta_ab), term by term."""
    h = np.array(gue(4, seed=2).hamiltonian)
    counts, phases = np.array([40, 10, 25, 1]), np.array([0.3, 2.0, 4.0, 5.5])
    couplings = couplings_of(h, 1.0)
    work = workspace(4, couplings.a.size)
    look(counts, np.exp(-1j * phases), couplings, MODE_SMOLIN, work)
    expected = [
        h[a, a].real
        + sum(
            np.sqrt(counts[b] / counts[a]) * abs(h[a, b]) * np.cos(phases[a] - phases[b] + np.angle(h[a, b]))
            for b in range(4)
            if b != a
        )
        for a in range(4)
    ]
    assert np.allclose(-work.drift.imag, expected)


def test_the_direction_of_an_amplitude_does_not_depend_on_its_length():
    turn = np.exp(1j * np.linspace(-3.0, 3.0, 13))
    for length in (1e300, 1.0, 1e-200, 2.0**-1000, 1e-300, 2.0**-1040):
        np.testing.assert_allclose(direction(length * turn), turn, rtol=1e-8)
    np.testing.assert_array_equal(
        direction(np.array([5e-324, 5e-324j, -1e-310, 0.0, -0.0])), [1.0, 1.0j, -1.0, 1.0, 1.0]
    )
    whole = 0.3 * turn
    np.testing.assert_array_equal(direction(np.append(whole, 1e-310))[:-1], direction(whole))
