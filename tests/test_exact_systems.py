"""Every theory and engine against the systems of `exact`, whose answers are known."""

import numpy as np
import pytest
from exact import EXACT, NEAR_A_NODE, Exact
from scipy.linalg import expm

from copydyn.theories import CopyDynamics, Schrodinger

COPIES = 100_000
ERRORS = 6.0
"""Standard deviations that bound a frequency. Normal tails: 2e-9 for each of the 380 numbers below, so that together a
correct program is called wrong by one seed in a million."""

away = [case for case in EXACT if case.away_from_nodes]


@pytest.fixture(params=EXACT, ids=lambda case: case.name)
def case(request) -> Exact:
    return request.param


def noise(case: Exact) -> float:
    """Bound on sqrt(N) times the standard deviation of any frequency on the way.

    By statement 3, L = (1/2) integral sum over edges of |J_e| (1/rho_a + 1/rho_b) dt, with the current
    J_ab = Im(conj(psi_a) H_ab psi_b)/hbar, is N E||delta psi||^2, and delta psi stays orthogonal to psi. So
    delta rho_a = 2 Re(conj(psi_a) delta psi_a) has a variance of at most 4 rho_a (1 - rho_a) L/N <= L/N.
    """
    law = 0.0
    fine = np.linspace(case.tlist[0], case.tlist[-1], 501)
    for segment in case.system.segments(fine):
        h = case.system.pulses[segment.pulse].hamiltonian
        psi = case.path(0.5 * (segment.start + segment.end))
        current = np.abs(np.imag(psi.conj()[:, None] * (h if isinstance(h, np.ndarray) else h.toarray()) * psi))
        law += 0.5 * np.sum(current / case.system.hbar / np.abs(psi[:, None]) ** 2) * (segment.end - segment.start)
    return float(np.sqrt(law))


def deviation(case: Exact, theory: CopyDynamics) -> float:
    """Largest |n_a/N - |psi_a|^2| over labels and save times."""
    result = theory.evolve(case.experiment, seed=20120)
    return float(np.abs(result["frequency"].values[0] - case.probabilities()).max())


def test_the_list_tells_the_truth_about_nodes_and_norms(case):
    weights = case.probabilities(np.linspace(case.tlist[0], case.tlist[-1], 301))
    assert np.abs(weights.sum(axis=1) - 1).max() < 1e-12
    assert weights.min() >= case.least
    assert (weights.min() > NEAR_A_NODE) == case.away_from_nodes
    assert np.allclose(case.path(float(case.tlist[0])), case.ket, atol=1e-14)


def test_the_list_agrees_with_the_matrix_exponential(case):
    ket = case.ket
    for segment in case.system.segments(case.tlist):
        h = case.system.pulses[segment.pulse].hamiltonian
        h = h if isinstance(h, np.ndarray) else h.toarray()
        ket = expm(-1j * (segment.end - segment.start) / case.system.hbar * h) @ ket
        assert np.abs(ket - case.path(segment.end)).max() < 1e-13


def test_the_list_asks_enough():
    assert len(away) >= 5
    assert any(case.system.hbar != 1.0 for case in away)
    assert any(len(case.system.pulses) > 1 for case in away)
    assert not all(case.away_from_nodes for case in EXACT)


def test_schrodinger_gives_the_exact_ket(case):
    result = Schrodinger().evolve(case.experiment)
    assert np.abs(result["state"].values[0] - case.kets()).max() < 2e-10
    assert np.abs(result["probability"].values - case.probabilities()).max() < 4e-10


@pytest.mark.parametrize("engine", ["exact", "agents"])
@pytest.mark.parametrize("case", away, ids=lambda case: case.name)
def test_copies_follow_within_the_noise_of_finite_n(case, engine):
    rounding = 2.0 * case.ket.size / COPIES  # of the first counts, carried along
    assert deviation(case, CopyDynamics(COPIES, engine)) <= ERRORS * noise(case) / np.sqrt(COPIES) + rounding


@pytest.mark.parametrize("case", away, ids=lambda case: case.name)
def test_the_printed_rule_does_not_follow(case):
    """The control that must fail the bound above, and by a margin that no seed can bridge."""
    assert deviation(case, CopyDynamics(COPIES, rule="printed")) > 3 * ERRORS * noise(case) / np.sqrt(COPIES)


@pytest.mark.parametrize("engine", ["exact", "agents"])
def test_invariants_hold_near_nodes_as_well(case, engine):
    counts = CopyDynamics(1000, engine).evolve(case.experiment, seed=7, replicas=3)["counts"].values
    assert np.all(counts.sum(axis=-1) == 1000)
    assert np.all(counts >= 0)
    extinct = counts == 0
    assert np.all(extinct[:, 1:] >= extinct[:, :-1]), "the support of an ensemble never grows"
