"""Engine "leap" at nodes: the laws of statement 6 at any number of copies, and what is left after an extinction."""

import numpy as np
import pytest
import verdicts
from scipy import stats
from test_copying import RESONANT, near_node, schroedinger
from test_laws_of_copies import detuned_path

from copydyn import copysolve
from copydyn.experiment import Experiment
from copydyn.laws import node_crossings
from copydyn.theories import CopyDynamics

HUGE = (10**5, 10**9, 10**14)
REPLICAS = 2000


def extinct(h, psi, span, copies, label=0, **settings):
    theory = CopyDynamics(copies, "leap", **settings)
    result = theory.evolve(Experiment.of(h, psi, [0.0, span]), seed=6, replicas=REPLICAS)
    return int((result.counts.values[:, -1, label] == 0).sum())


@pytest.mark.parametrize("copies", HUGE)
@pytest.mark.parametrize("m", [0.0, 0.3, 1.0, 3.0])
def test_resonant_crossing(copies, m):
    lost = extinct(RESONANT, near_node(m / copies), 2.6, copies)
    verdicts.assert_share(lost, REPLICAS, np.exp(-m), detects=0.09)


@pytest.mark.parametrize("few", [16, 1000])
def test_from_how_many_copies_on_they_are_counted_changes_nothing(few):
    copies = 10**9
    lost = extinct(RESONANT, near_node(1.0 / copies), 2.6, copies, few=few)
    verdicts.assert_share(lost, REPLICAS, np.exp(-1.0), detects=0.09)


def test_the_control_of_the_crossing_fails():
    """A crossing at m = 1.5 is not one at m = 1."""
    copies = 10**9
    lost = extinct(RESONANT, near_node(1.5 / copies), 2.6, copies)
    with pytest.raises(AssertionError, match="of 2000 against"):
        verdicts.assert_share(lost, REPLICAS, np.exp(-1.0), detects=0.09)


@pytest.mark.parametrize("copies", HUGE)
@pytest.mark.parametrize("m", [0.0, 1.0])
def test_detuned_crossing(copies, m):
    """The noise that is made on the way shifts the impact parameter; s^2 from the law, not from the counts."""
    h, psi = detuned_path(m / copies)
    (law,) = node_crossings(h, psi, [0.0, 2.0], copies=copies, closer_than=1e-3)
    assert law.s2 > 0.05
    lost = extinct(h, psi, 2.0, copies, label=law.label)
    verdicts.assert_share(lost, REPLICAS, law.extinction, detects=0.09)


@pytest.mark.parametrize("copies", HUGE)
def test_three_labels_of_which_two_pull_against_each_other(copies):
    rng = np.random.default_rng(5)
    x = rng.normal(size=(3, 3)) + 1j * rng.normal(size=(3, 3))
    h, before = 0.5 * (x + x.conj().T), 0.7
    psi = schroedinger(-h, np.array([0.0, 0.6, 0.8j]), np.array([0.0, before]))[1][-1]
    law = min(node_crossings(h, psi, [0.0, 1.2], copies=10**5), key=lambda row: abs(row.time - before))
    assert (law.label, law.churn > 2.0) == (0, True)
    verdicts.assert_share(extinct(h, psi, 1.2, copies), REPLICAS, law.extinction, detects=0.09)


@pytest.mark.parametrize("copies", [10**9, 10**14])
def test_number_at_the_turning_point_is_poisson(copies):
    """Until the turn copies only leave, after it they only breed: the fewest on the way are those at the turn."""
    m, replicas = 3.0, 600
    middle, window = np.pi / 2, 40.0 / np.sqrt(copies)
    times = np.concatenate([[0.0], middle + np.linspace(-window, window, 400)])
    theory = CopyDynamics(copies, "leap")
    result = theory.evolve(Experiment.of(RESONANT, near_node(m / copies), times), seed=2, replicas=replicas)
    fewest = result.counts.values[:, :, 0].min(axis=1)
    values = np.arange(9)
    expected = np.append(stats.poisson.pmf(values, m), stats.poisson.sf(8, m)) * replicas
    verdicts.assert_counts(np.bincount(np.minimum(fewest, 9), minlength=10), expected)


@pytest.mark.parametrize("copies", [10**9, 10**14])
def test_copies_breed_after_the_turn(copies):
    """Poisson(m) survivors have independent exponential offspring: n sin^2 chi is their sum."""
    m, replicas, times = 2.0, 3000, np.array([0.0, np.pi / 2 + 0.02])  # soon after: the drift has not turned yet
    theory = CopyDynamics(copies, "leap")
    result = theory.evolve(Experiment.of(RESONANT, near_node(m / copies), times), seed=9, replicas=replicas)
    n, phi = result.counts.values[:, -1, 0], np.nan_to_num(result.phase.values[:, -1, 0])
    after = schroedinger(RESONANT, near_node(0.0), times)[1][-1, 0]
    impact = n * np.sin(-phi - np.angle(after)) ** 2
    rng = np.random.default_rng(1)
    expected = rng.gamma(np.maximum(survivors := rng.poisson(m, 20_000), 1e-9)) * (survivors > 0)
    alive, theirs = impact[n > 0], expected[expected > 0]
    verdicts.assert_share(alive.size, replicas, 1 - np.exp(-m), detects=0.06)
    verdicts.assert_same_law(alive, theirs, detects=0.1)


def test_repeated_resonant_crossings():
    m, copies = 3.0, 10**11
    tlist = np.array([0.0, *(np.pi * np.arange(1, 5) + 0.3)])
    result = copysolve(RESONANT, near_node(m / copies), tlist, copies=copies, replicas=REPLICAS, seed=1)
    gone = (result.counts.values == 0).any(axis=-1).mean(axis=0)[1:]
    expected = np.exp(-m / np.arange(1, 5))
    assert np.all(np.abs(gone - expected) < 4.8 * np.sqrt(expected * (1 - expected) / REPLICAS)), (gone, expected)


@pytest.mark.parametrize("copies", [10**7, 10**16])
def test_after_an_extinction_the_rest_obeys_the_projected_hamiltonian(copies):
    """Statement 5 without a free parameter: from the moment at which the label is lost, in the middle of a leap."""
    chain = np.array([[0.0, 0.5, 0.0], [0.5, 0.0, 0.4j], [0.0, -0.4j, 0.2]])
    node, tlist = 0.53, np.linspace(0, 4, 41)
    psi = schroedinger(-chain, np.array([0.8, 0.6, 0.0]), np.array([0.0, node]))[1][-1]
    whole = schroedinger(chain, psi, tlist)[0]
    result = copysolve(chain, psi, tlist, copies=copies, seed=1, replicas=40, engine="leap")
    lost = result.counts.values[:, -1, 2] == 0
    assert lost.any(), "the path meets its node"
    kept = result.isel(replica=int(np.flatnonzero(lost)[0]))
    first = int(np.flatnonzero(kept.counts.values[:, 2] == 0)[0])
    assert abs(tlist[first] - node) < 0.3
    ket = np.sqrt(kept.frequency.values[first]) * np.exp(-1j * np.nan_to_num(kept.phase.values[first]))
    projected = chain.copy()
    projected[2, :] = projected[:, 2] = 0.0
    rest = schroedinger(projected, ket, tlist[first:])[0]
    assert np.abs(kept.frequency.values[first:] - rest).max() < 10 / np.sqrt(copies)
    assert np.abs(kept.frequency.values[first:] - whole[first:]).max() > 0.05  # the control


def test_a_cut_leap_loses_nothing_against_a_fine_one():
    """The frequencies after an extinction do not depend on where in a leap it happened: leaps of 0.4 and of 0.02."""
    copies, h = 10**16, np.array([[0.0, 0.5, 0.0], [0.5, 0.3, 0.4], [0.0, 0.4, 0.2]])
    node = np.array([0.0, 0.8, 0.6j])
    psi = schroedinger(-h, node, np.array([0.0, 0.53]))[1][-1]
    ends = [
        copysolve_at(h, psi, copies, leap_step).frequency.values[:, -1]
        for leap_step in (0.4, 0.02)
    ]  # fmt: skip
    assert np.abs(ends[0].mean(axis=0) - ends[1].mean(axis=0)).max() < 10 / np.sqrt(copies)


def copysolve_at(h, psi, copies, leap_step):
    """Ensembles that lost label 0 at the node, which the path meets exactly."""
    theory = CopyDynamics(copies, "leap", leap_step=leap_step)
    result = theory.evolve(Experiment.of(h, psi, [0.0, 0.53, 2.0]), seed=3, replicas=60)
    return result.isel(replica=np.flatnonzero(result.counts.values[:, -1, 0] == 0))
