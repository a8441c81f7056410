"""The laws of finite N, found again in simulated ensembles: no parameter is adjusted anywhere."""

import numpy as np
import pytest
import verdicts

from copydyn import compare, laws
from copydyn.experiment import Experiment, Schedule
from copydyn.experiment.preparations import plane_wave, random
from copydyn.systems import gue, ring, three_level, two_level
from copydyn.theories import CopyDynamics, Schrodinger

TLIST = np.linspace(0.0, 4.0, 5)


def experiment(name):
    if name == "two-level":
        return Experiment.of(two_level(0.6, 0.4 + 0.2j).hamiltonian, [0.8, 0.6 * np.exp(2j)], TLIST)
    if name == "three-level":
        psi = np.array([0.6, 0.6 * np.exp(3.9j), np.sqrt(0.28) * np.exp(1.2j)])
        return Experiment.of(three_level().hamiltonian, psi, TLIST)
    if name == "ring":
        system = ring(6, flux=1.1)
        return Experiment(system, plane_wave(system, 1, ripple=0.2), Schedule(TLIST))
    system = gue(4, width=0.7, seed=3)
    return Experiment(system, random(system, seed=8), Schedule(TLIST))


SYSTEMS = ("two-level", "three-level", "ring", "gue")


@pytest.fixture(scope="module", params=SYSTEMS)
def sample(request):
    """1000 ensembles of 20 000 copies, and the laws for the counts that were really prepared."""
    what, theory = experiment(request.param), CopyDynamics(20_000)
    law = laws.finite_copies(what, theory.prepare(what, 1).ket)
    return what, theory.evolve(what, seed=1, replicas=1000), law


def infidelities(what, result):
    return compare(result, Schrodinger().evolve(what))


def test_infidelity_law(sample):
    """Statement 3, within 3 standard errors at each of four times; they are known to 5 per cent."""
    what, result, law = sample
    found = infidelities(what, result)
    scaled = found.infidelity.values[1:] * result.attrs["copies"]
    error = found.infidelity_error.values[1:] * result.attrs["copies"]
    expected = law.infidelity_law.values[1:]
    assert np.all(error < 0.05 * expected)
    assert np.all(np.abs(scaled - expected) < 3 * error), (scaled, error, expected)
    assert not np.any(np.abs(scaled - 2 * expected) < 3 * error)  # the control: a factor 2


def test_verdict_and_its_control(sample):
    what, result, law = sample
    reference = Schrodinger().evolve(what)
    assert compare(result, reference, law).attrs["verdict"] == "agrees"
    doubled = law.assign(infidelity_law=2 * law.infidelity_law)
    assert compare(result, reference, doubled).attrs["verdict"] == "deviates"


def test_covariance_law(sample):
    """Statement 4: every entry of the covariance of the frequencies, at every time."""
    what, result, _ = sample
    system = what.system
    ensembles = result.frequency.values * np.sqrt(result.attrs["copies"])
    expected = laws.linear_noise(system.hamiltonian, what.ket, TLIST)
    scores = []
    for at in range(1, TLIST.size):
        found = np.cov(ensembles[:, at].T)
        spread = np.diag(expected[at])
        error = np.sqrt((np.outer(spread, spread) + expected[at] ** 2) / (len(ensembles) - 1))  # Wishart
        scores.append(((found - expected[at]) / error)[np.triu_indices(system.size)])
    scores = np.concatenate(scores)
    assert np.abs(scores).max() < 4.5, scores
    assert np.abs((found - 2 * expected[-1]) / (2 * error)).max() > 4.5  # the control: a factor 2


def test_one_ensemble_scatters_as_foreseen(sample):
    """The spread of one ensemble's infidelity, on which the verdict rests, to 15 per cent."""
    what, result, law = sample
    expected = law.infidelity_spread.values[-1] / result.attrs["copies"]
    error = float(infidelities(what, result).infidelity_error[-1]) * np.sqrt(1000)
    assert abs(error / expected - 1) < 0.15


def test_multinomial_preparation_adds_its_share():
    what = experiment("three-level")
    theory = CopyDynamics(20_000, preparation="multinomial")
    result = theory.evolve(what, seed=1, replicas=1000)
    found = infidelities(what, result)
    h = what.system.hamiltonian
    law = laws.infidelity_law(h, what.ket, TLIST, multinomial=True)
    scaled, error = found.infidelity.values * 20_000, found.infidelity_error.values * 20_000
    assert law[0] == pytest.approx(0.5)
    assert np.all(np.abs(scaled - law) < 3.5 * error), (scaled, error, law)


def test_echo_is_lost_twice():
    """Statement 9: there and back, an ensemble loses twice what it lost on the way out."""
    h = three_level().hamiltonian
    ket = experiment("three-level").ket
    what = Experiment.of([(4.0, h), (4.0, -h)], ket, [0.0, 4.0, 8.0])
    found = infidelities(what, CopyDynamics(20_000).evolve(what, seed=1, replicas=1000))
    once = laws.infidelity_law(h, ket, [0.0, 4.0])[-1]
    scaled, error = found.infidelity.values * 20_000, found.infidelity_error.values * 20_000
    assert abs(scaled[1] - once) < 3.5 * error[1]
    assert abs(scaled[2] - 2 * once) < 3.5 * error[2]
    assert error[2] < 0.06 * once


@pytest.mark.parametrize(("copies", "replicas"), [(1000, 4000), (100_000, 1000)])
@pytest.mark.parametrize("m", [0.0, 0.3, 1.0, 3.0])
def test_detuned_node_crossing(copies, replicas, m):
    """Statement 6 with the noise made on the way: P = (1 + 2 s^2)^(-1/2) exp(-m/(1 + 2 s^2))."""
    h, psi = detuned_path(m / copies)
    tlist = [0.0, 3.0]
    (crossing,) = laws.node_crossings(h, psi, tlist, copies=copies, closer_than=0.01)
    assert crossing.m == pytest.approx(m, abs=0.02)
    result = CopyDynamics(copies).evolve(Experiment.of(h, psi, tlist), seed=1, replicas=replicas)
    extinct = int((result.counts.values[:, -1] == 0).any(axis=1).sum())
    verdicts.assert_share(extinct, replicas, crossing.extinction, detects=0.06 if replicas > 1000 else 0.13)
    if m == 0.0:  # the noise on the way matters: resonance would lose every ensemble
        assert crossing.extinction < 0.95


def detuned_path(rho_min):
    """A detuned two-level H and a ket whose path passes |psi_1|^2 = rho_min at t = 1.5."""
    h = np.array([[0.4, 0.5], [0.5, -0.4]])
    values, vectors = np.linalg.eigh(h)
    at_node = np.array([np.sqrt(1 - rho_min), 0.0], complex)
    drift = -1j * h[1, 0]
    at_node[1] = 1j * drift / abs(drift) * np.sqrt(rho_min)  # perpendicular to the drift: the closest approach
    return h, vectors @ (np.exp(1j * values * 1.5) * (vectors.T @ at_node))
