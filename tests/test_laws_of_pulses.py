"""The laws of finite N where the Hamiltonian changes on the way, found again in simulated ensembles.

No parameter is adjusted anywhere. The paths stay away from nodes; some save times lie on changes of H.
"""

import numpy as np
import pytest
import verdicts

from copydyn import compare, laws
from copydyn.experiment import Experiment, Preparation, Schedule, System
from copydyn.experiment.preparations import eigenstate
from copydyn.systems import landau_zener, spin_echo, three_level
from copydyn.theories import CopyDynamics, Schrodinger

COPIES, ENSEMBLES = 20_000, 1000


def echo():
    """Quarter, wait, half, wait, quarter: in the waits nothing is lost, and the noise only turns."""
    ket = [0.9, np.sqrt(0.19) * np.exp(0.3j)]
    times = [0.0, 0.5, 1.7, 2.5, 3.0, 5.0]
    return Experiment(spin_echo(0.5, 1.5, detuning=0.8, phase=1.0), Preparation(ket), Schedule(times))


def triangle():
    """Three levels, four pulses: a flux, another one, no coupling at all, and the first one with its sign turned."""
    h = three_level().hamiltonian
    other = three_level((0.5, -0.2, 0.1), (0.3j, 0.5, 0.2 - 0.4j)).hamiltonian
    train = System([(1.0, h), (0.8, other), (0.6, np.diag([0.3, 1.1, -0.4])), (1.2, -h)], name="triangle")
    ket = np.array([0.6, 0.6 * np.exp(3.9j), np.sqrt(0.28) * np.exp(1.2j)])
    return Experiment(train, Preparation(ket), Schedule([0.0, 1.0, 1.5, 2.4, 3.6]))


def sweep():
    """Landau and Zener's passage in pulses, from the lowest state of the beginning."""
    system = landau_zener(0.5, 1.0, 6.0, tolerance=0.05)
    return Experiment(system, eigenstate(system), Schedule([0.0, 2.0, 3.5, 4.5, 6.0]))


CASES = {"echo": echo, "triangle": triangle, "sweep": sweep}


@pytest.fixture(scope="module", params=CASES)
def sample(request):
    """1000 ensembles of 20 000 copies, and the laws for the counts that were really prepared."""
    what, theory = CASES[request.param](), CopyDynamics(COPIES)
    found = theory.evolve(what, seed=1, replicas=ENSEMBLES)
    return what, found, Schrodinger().evolve(what), theory.prepare(what, 1).ket


def pulses_of(what):
    return list(what.system.pulses)


def test_the_paths_stay_away_from_nodes(sample):
    what = sample[0]
    times = np.linspace(0.0, what.tlist[-1], 400)
    path = Schrodinger().evolve(Experiment(what.system, what.preparation, Schedule(times))).probability.values
    assert path.min() > 0.02


def test_infidelity_law_of_pulses(sample):
    """Statement 3: within 3.5 standard errors at every save time, which know the law to 5 per cent.

    A correct program fails at one of the 13 times by one seed in 160; the seed is fixed. The control doubles the law.
    """
    what, found, reference, ket = sample
    compared = compare(found, reference)
    scaled, error = compared.infidelity.values[1:] * COPIES, compared.infidelity_error.values[1:] * COPIES
    law = laws.finite_copies(what, ket)
    expected = law.infidelity_law.values[1:] + COPIES * law.attrs["offset"]
    assert np.all(error < 0.05 * expected)
    assert np.all(np.abs(scaled - expected) < 3.5 * error), (scaled, error, expected)
    assert not np.any(np.abs(scaled - 2 * expected) < 3.5 * error)


def test_the_law_of_one_pulse_is_not_that_of_the_train(sample):
    """The control that must fail: had the first Hamiltonian gone on, another infidelity would be due at the end."""
    what, found, reference, _ = sample
    compared = compare(found, reference)
    wrong = laws.infidelity_law(what.system.pulses[0].hamiltonian, what.ket, what.tlist)[-1]
    assert abs(compared.infidelity.values[-1] * COPIES - wrong) > 5 * compared.infidelity_error.values[-1] * COPIES


def test_covariance_law_of_pulses(sample):
    """Statement 4: every entry of the covariance of the frequencies, at every time; 4.5 of Wishart's errors."""
    what, found, *_ = sample
    ensembles = found.frequency.values * np.sqrt(COPIES)
    expected = laws.linear_noise(pulses_of(what), what.ket, what.tlist)
    scores, doubled = [], []
    for at in range(1, what.tlist.size):
        covariance = np.cov(ensembles[:, at].T)
        spread = np.diag(expected[at])
        error = np.sqrt((np.outer(spread, spread) + expected[at] ** 2) / (ENSEMBLES - 1))
        scores.append(((covariance - expected[at]) / error)[np.triu_indices(what.system.size)])
        doubled.append(((covariance - 2 * expected[at]) / (2 * error))[np.triu_indices(what.system.size)])
    scores = np.concatenate(scores)
    assert np.abs(scores).max() < 4.5, scores
    assert np.abs(np.concatenate(doubled)).max() > 4.5


def test_nothing_is_lost_while_nothing_is_coupled():
    """In the waits of an echo the law stands still; in its turns it grows."""
    what = echo()
    law = laws.infidelity_law(pulses_of(what), what.ket, [0.0, 0.5, 1.0, 2.0, 3.0, 4.5, 5.0])
    assert law[2] == pytest.approx(law[1], rel=1e-12)
    assert law[3] == pytest.approx(law[1], rel=1e-12)
    assert law[5] == pytest.approx(law[4], rel=1e-12)
    assert np.all(np.diff(law[[0, 1, 4, 6]]) > 0.05)


@pytest.mark.parametrize("detuning", [0.5255, 0.519])
def test_a_node_within_a_pulse(detuning):
    """Statement 6 with noise made in earlier pulses: the half turn of this echo passes a node, or close by.

    1500 ensembles know the share to 0.013. On the node itself the control leaves the noise out: all would be lost.
    """
    what = Experiment(
        spin_echo(0.2, 4.0, detuning), Preparation([0.9, 0.44], normalise=True), Schedule([0.0, 4.3, 4.6])
    )
    copies, ensembles = 4000, 1500
    (crossing,) = laws.node_crossings(pulses_of(what), what.ket, what.tlist, copies=copies, closer_than=0.01)
    assert 4.2 < crossing.time < 4.6
    counts = CopyDynamics(copies).evolve(what, seed=1, replicas=ensembles).counts.values
    lost = int((counts[:, -1, crossing.label] == 0).sum())
    verdicts.assert_share(lost, ensembles, crossing.extinction, detects=0.09)
    if detuning == 0.5255:
        assert crossing.m < 0.01
        assert lost < 0.95 * ensembles
