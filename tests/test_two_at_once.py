"""Preparations with two features at once, and the laws for them: draws, admixtures, spectators, empty labels."""

import math

import numpy as np
import pytest
import verdicts

from copydyn import laws
from copydyn.experiment import Experiment
from copydyn.pipeline import law_of
from copydyn.theories import CopyDynamics
from copydyn.theories.copies.courses import plan_of
from copydyn.theories.copies.ensemble import draw_counts, train_of
from copydyn.theories.copies.leaps import leap_plan, stars_of

H = np.array([[0.3, 0.5 + 0.2j, 0.35j], [0.5 - 0.2j, -0.4, 0.1 - 0.45j], [-0.35j, 0.1 + 0.45j, 0.7]])
KET = np.sqrt([0.5, 0.3, 0.2]) * np.exp(-1j * np.array([0.3, 1.9, 4.4]))


def states(seed, replicas):
    return np.random.SeedSequence(seed).generate_state(4 * replicas, np.uint64).reshape(replicas, 4)


@pytest.mark.parametrize("spectators", [0, 400])
def test_drawn_counts_beside_an_admixture_shift_the_infidelity_as_the_law_says(spectators):
    """N (E[infidelity] - offset) at t = 0 of 1e5 drawn ensembles: law and shift; the part linear in the counts, whose
    mean is zero, is taken off. A shift of the other sign, or none, are controls that must fail.
    """
    other = np.array([0.5, 0.5j, np.sqrt(0.5)])
    experiment = Experiment.of(H, KET, [0.0, 0.5])
    theory = CopyDynamics(4000, preparation="multinomial", admixture=(0.2, other), spectators=spectators)
    law, ket = law_of(experiment, theory), theory.encoded(experiment)
    total = 4000 + 3 * spectators
    mixed = np.sqrt(0.8) * KET + np.sqrt(0.2) * other
    mixed /= np.linalg.norm(mixed)
    drawn = draw_counts(mixed, 4000, states(5, 100_000))
    mean = 4000 * np.abs(mixed) ** 2 + spectators
    unit = mixed / np.abs(mixed)
    around = np.sqrt(mean / total) * unit
    kets = np.sqrt((drawn + spectators) / total) * unit
    overlap = np.vdot(KET, around)
    linear = (
        2.0 * ((drawn + spectators - mean) / (2 * total) / np.sqrt(mean / total) * (unit * KET.conj() / overlap)).real
    )
    linear = linear.sum(axis=1) * abs(overlap) ** 2
    found = total * (1.0 - np.abs(kets @ KET.conj()) ** 2 + linear - (1.0 - abs(overlap) ** 2))
    offset = float(law.attrs["offset"])
    assert offset == pytest.approx(1.0 - abs(np.vdot(KET, ket)) ** 2, abs=1e-12)
    assert offset > 0.02
    plain, shift = float(law["infidelity_law"][0]), float(law["offset_shift"][0])
    assert abs(shift) > 0.02
    verdicts.assert_mean(found, plain + shift, detects=0.02)
    for wrong in (plain, plain - shift):
        with pytest.raises(AssertionError, match="errors off"):
            verdicts.assert_mean(found, wrong, detects=0.02)


def test_what_is_drawn_is_the_part_of_the_copies_without_spectators():
    """Float by float: N/(N + P s) of the mixed ket's weights, zero where they are shared out."""
    experiment, other = Experiment.of(H, KET, [0.0, 0.5]), np.array([0.5, 0.5j, np.sqrt(0.5)])
    mixed = np.sqrt(0.8) * KET + np.sqrt(0.2) * other
    share = np.abs(mixed) ** 2 / np.sum(np.abs(mixed) ** 2)
    for settings, part in (
        ({"spectators": 50}, 400 / 550),
        ({"floor": 20, "spectators": 50}, 400 / 550),
        ({"floor": 20}, 400 / 460),
        ({}, 1.0),
    ):
        theory = CopyDynamics(400, preparation="multinomial", admixture=(0.2, other), **settings)
        np.testing.assert_allclose(theory.drawn(experiment), part * share, rtol=1e-12)
    assert not CopyDynamics(400, spectators=50).drawn(experiment).any()


@pytest.mark.parametrize("drawn", [1.0, 0.6, "uneven"])
def test_draws_beside_spectators_reach_s2_as_the_covariance_carries_them(drawn):
    """What they add to s^2 at a minimum is what they add to N Var across the drift there, by another way."""
    h, end = np.array([[0.4, 0.5 + 0.1j], [0.5 - 0.1j, -0.4]]), 3.0
    ket = np.array([np.sqrt(0.6), np.sqrt(0.4) * np.exp(2.4j)])
    part = np.array([0.9, 0.3]) if drawn == "uneven" else drawn
    (bare, *_), (noisy, *_) = (
        laws.node_crossings(h, ket, [0.0, end], closer_than=0.4, multinomial=given)
        for given in (False, part * np.abs(ket) ** 2)
    )
    assert (bare.time, bare.label) == (noisy.time, noisy.label)
    carried = [
        laws.kick_covariance(h, ket, [0.0, bare.time], multinomial=given).perpendicular(1, bare.label)
        for given in (False, part * np.abs(ket) ** 2)
    ]
    assert noisy.s2 - bare.s2 == pytest.approx(carried[1] - carried[0], rel=1e-6)
    assert noisy.s2 - bare.s2 > 0.01


def test_behind_an_empty_start_s2_is_infinite():
    """A label that begins empty is at its node from the start, whose noise diverges and reaches all later crossings.

    With a little in the label it is finite, and grows as the logarithm of that; on resonance, where all noise is along
    the drift, it stays finite.
    """
    chain = np.array([[0.1, 0.5, 0.0], [0.5, 0.3, 0.4j], [0.0, -0.4j, -0.5]])
    ket = np.array([0.6, 0.8j, 0.0])
    rows = laws.node_crossings(chain, ket, [0.0, 9.0], closer_than=0.1)
    assert 2 in {row.label for row in rows}
    assert all(row.s2 == np.inf for row in rows)
    assert all(
        np.isnan(row.extinction) for row in laws.node_crossings(chain, ket, [0.0, 9.0], copies=1000, closer_than=0.1)
    )
    near = []
    for little in (1e-2, 1e-4, 1e-6):
        some = np.array([*(np.sqrt(1 - little**2) * ket[:2]), little])
        found = [row.s2 for row in laws.node_crossings(chain, some, [0.0, 9.0], closer_than=0.1)]
        near.append(found[-1])
    assert np.isfinite(near).all()
    assert 0.0 < near[0] < near[1] < near[2] < 20.0
    resonant = np.array([[0.0, 0.5], [0.5, 0.0]])
    again = laws.node_crossings(resonant, [1.0, 0.0], [0.0, 7.0])
    assert [row.label for row in again] == [0, 1]
    assert all(row.s2 < 1e-6 for row in again)


TRAIN = [(1.0, H), (1.0, np.array([[0.0, 0.3j, 0.2], [-0.3j, 0.4, 0.6], [0.2, 0.6, -0.1]]))]
OTHER = np.array([0.5, np.sqrt(0.75) * 1j, 0.0])


@pytest.mark.parametrize("preparation", ["largest_remainder", "multinomial"])
def test_preparations_add_up(preparation):
    """An admixture, spectators in an empty label, and a start in the second pulse: counts, phases and encoded kets."""
    ket = np.array([0.8, 0.6 * np.exp(1.1j), 0.0])
    experiment = Experiment.of(TRAIN, ket, [1.25, 1.5], hbar=0.5)
    mixed = np.sqrt(0.9) * ket + np.sqrt(0.1) * OTHER
    mixed /= np.linalg.norm(mixed)
    drift = -1j * TRAIN[1][1] @ mixed
    unit = np.array([*(mixed[:2] / np.abs(mixed[:2])), drift[2] / abs(drift[2])])
    theory = CopyDynamics(50_000, "exact", preparation=preparation, admixture=(0.1, OTHER), spectators=300)
    ensemble = theory.prepare(experiment, seed=3)
    np.testing.assert_allclose(ensemble.factor, unit, atol=1e-12)
    weights = 50_000 * np.abs(mixed) ** 2
    slack = 1.0 if preparation == "largest_remainder" else 5 * np.sqrt(weights.max())
    assert np.abs(ensemble.counts - 300 - weights).max() <= slack
    assert ensemble.counts.sum() == 50_900
    assert ensemble.counts[2] == 300
    np.testing.assert_allclose(theory.encoded(experiment), np.sqrt((weights + 300) / 50_900) * unit, atol=1e-5)
    if preparation == "largest_remainder":
        limit = CopyDynamics(50_000, "meanfield", admixture=(0.1, OTHER), spectators=300).evolve(experiment)
        np.testing.assert_allclose(limit.frequency.values[0, 0], (weights + 300) / 50_900, atol=1e-12)
        np.testing.assert_allclose(np.exp(-1j * limit.phase.values[0, 0]), unit, atol=1e-12)


def test_defaults_are_those_that_are_written():
    """phase_step is min(0.1, N^(-1/4)), min(0.05, N^(-1/4)) where phases differ, and N counts spectators."""
    experiment = Experiment.of(H, KET, [0.0, 1.0])
    for settings, step in (
        ({"copies": 100}, 0.1),
        ({"copies": 160_000 - 3 * 1000, "spectators": 1000}, 0.05),
        ({"copies": 100, "phase_spread": 0.1}, 0.05),
        ({"copies": 10**8, "phase_spread": 0.1}, 0.01),
        ({"copies": 100, "phase_step": 0.17}, 0.17),
        ({"copies": 100, "engine": "leap"}, 0.1),
    ):
        settled = CopyDynamics(**settings).resolved(experiment)
        assert settled.phase_step == pytest.approx(step, rel=1e-12)
    assert (settled.leap_step, settled.few) == (0.4, 64)


def test_the_error_of_leaps_is_what_their_series_leave_out_and_rounding():
    """Summed by hand: two halves a leap, the tail of the exponential beyond its terms, and 2^-52 for each expansion."""
    experiment = Experiment.of(TRAIN, KET, [0.0, 0.7, 1.8], hbar=0.5)
    train, plan = train_of(experiment.system), plan_of(experiment)
    stars = stars_of(train)
    for copies in (10**4, 10**12):
        cut, expected = leap_plan(experiment, plan, stars, 0.4, copies), 0.0
        for pulse, span, leaps, orders in zip(
            (0, 0, 1), (0.7, 0.3, 0.8), cut.leaps.leaps, cut.leaps.orders, strict=True
        ):
            h = TRAIN[pulse][1] / 0.5
            reach = np.abs(h).sum(axis=1) - np.abs(np.diag(h))
            radius = 0.5 * ((np.diag(h).real + reach).max() - (np.diag(h).real - reach).min())
            assert leaps == np.ceil(radius * span / 0.4)
            angle = 0.5 * radius * span / leaps
            tail = sum(angle**k / math.factorial(k) for k in range(int(orders) + 1, 60))
            expected += 2 * leaps * (tail + 2.0**-52)
        assert expected <= cut.error <= 1.1 * expected
        assert cut.error < 0.02 / np.sqrt(copies)
