"""Preparations with two features at once, and the laws for them: draws, admixtures, spectators, empty labels."""

import numpy as np
import pytest
import verdicts

from copydyn import laws
from copydyn.ensemble import draw_counts
from copydyn.experiment import Experiment
from copydyn.pipeline import law_of
from copydyn.theories import CopyDynamics

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
    for settings, part in (({"spectators": 50}, 400 / 550), ({"floor": 20}, 400 / 460), ({}, 1.0)):
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
