"""Unitaries as pulses, and counts read in another basis than that of the beables."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import expm
from scipy.stats import chi2, unitary_group
from verdicts import assert_mean

from copydyn import Experiment, linear_noise
from copydyn.experiment.bases import BASES
from copydyn.experiment.rotation import generator, rotated
from copydyn.systems import gue, two_level
from copydyn.theories import CopyDynamics, Schrodinger

SWAP = np.eye(4)[[0, 2, 1, 3]]


def hadamards(number):
    h = np.array([[1.0]])
    for _ in range(number):
        h = np.kron(h, np.array([[1, 1], [1, -1]]) / np.sqrt(2))
    return h


def turned(u, duration=0.7, hbar=0.3):
    """exp(-i H tau/hbar) of the generator, by another road than its eigenvectors."""
    h = generator(u, duration, hbar)
    assert np.array_equal(h, h.conj().T)
    assert np.abs(np.linalg.eigvalsh(h)).max() <= np.pi * hbar / duration * (1 + 1e-12)
    return expm(-1j * duration / hbar * h)


@given(size=st.integers(1, 9), seed=st.integers(0, 10**6))
def test_the_generator_generates(size, seed):
    u = unitary_group.rvs(size, random_state=seed) if size > 1 else np.array([[np.exp(1j * seed)]])
    assert np.abs(turned(u) - u).max() < 1e-13


DEGENERATE = [np.eye(3), -np.eye(3), SWAP, hadamards(4), np.diag([1, -1, 1j, -1]), np.fft.fft(np.eye(16)) / 4]


@pytest.mark.parametrize("u", DEGENERATE)
def test_degenerate_unitaries_are_generated_as_well(u):
    assert np.abs(turned(u) - u).max() < 1e-13


def test_an_involution_turns_on_its_own_subspace_alone():
    """U^2 = 1 has the angles 0 and pi: rounding that sent half of a degenerate pair to -pi would couple at random."""
    for u in (SWAP, hadamards(3)):
        assert np.allclose(generator(u, 2.0, hbar=3.0), -1.5 * np.pi * (np.eye(len(u)) - u) / 2, atol=1e-13)


def test_what_is_no_rotation_is_refused(refuses):
    refuses(
        lambda: generator(np.diag([1, 2]), 1.0), ValueError, "unitary to 1e-10, but the squared norm of row 1 is 4; "
    )
    refuses(lambda: generator([[1, 0], [0.6, 0.8]], 1.0), ValueError, "but rows 0 and 1 overlap by 0.6; ")
    refuses(lambda: generator(np.ones((2, 3)), 1.0), ValueError, r"must be a square matrix, but has shape \(2, 3\)")
    refuses(lambda: generator([[np.nan]], 1.0), ValueError, "must be finite, but its entry")
    refuses(lambda: generator([[1e300]], 1.0), ValueError, "must be unitary")
    refuses(lambda: generator("swap", 1.0), TypeError, "must be an array of numbers")
    refuses(lambda: generator(SWAP, 0.0), ValueError, "duration must be > 0, but is 0")
    refuses(lambda: generator(SWAP, -1.0), ValueError, "duration must be > 0, but is -1")
    refuses(lambda: generator(SWAP, 1.0, hbar=0.0), ValueError, "hbar must be > 0")


# ---- reading in another basis


def experiment_of(e_ops=None, hbar=0.6):
    ket = np.exp(1j * np.array([0.0, 2.0, 1.0, 5.0])) / 2
    return Experiment.of(gue(4, seed=3).hamiltonian, ket, [0.0, 0.5, 1.0], hbar=hbar, e_ops=e_ops)


U4 = expm(0.4j * gue(4, width=2.0, seed=9).hamiltonian)


def test_after_the_pulse_the_ket_is_turned():
    plain, turned = experiment_of(), rotated(experiment_of(), U4, 0.3)
    assert np.allclose(turned.tlist, [0.0, 0.5, 1.0, 1.3])
    before, after = (Schrodinger().evolve(experiment)["state"].values[0] for experiment in (plain, turned))
    assert np.allclose(after[:3], before, atol=1e-9)
    assert np.allclose(after[3], U4 @ before[2], atol=1e-9)


@pytest.mark.parametrize(("tlist", "durations"), [([0, 2.0], [0.5, 1.5, 0.3]), ([0, 0.4], [0.4, 0.3]), ([0], [0.3])])
def test_the_train_is_cut_where_the_pulse_begins(tlist, durations):
    pulses = [(0.5, two_level(0.3).hamiltonian), (4.0, two_level(0.0, 0.2j).hamiltonian)]
    plain = Experiment.of(pulses, [0.8, 0.6j], tlist, hbar=0.5)
    turned = rotated(plain, hadamards(1), 0.3)
    assert [pulse.duration for pulse in turned.system.pulses] == pytest.approx(durations)
    before, after = (Schrodinger().evolve(experiment)["state"].values[0, -1] for experiment in (plain, turned))
    assert np.allclose(after, hadamards(1) @ before, atol=1e-9)


def test_a_train_that_ends_in_rounding_is_cut_clean():
    """0.1 + 0.1 + 0.1 is more than 0.3, and 0.1 eight times is less than 0.8."""
    for number, end in ((3, 0.3), (8, 0.8)):
        plain = Experiment.of([(0.1, two_level(0.3).hamiltonian)] * 12, [0.8, 0.6j], [0.0, end])
        durations = [pulse.duration for pulse in rotated(plain, hadamards(1), 0.5).system.pulses]
        assert durations == pytest.approx([0.1] * number + [0.5], rel=1e-12)


def test_frequencies_after_the_pulse_are_expectations_before_it():
    """A = sum_k a_k |k><k|, |k> the rows of U: sum_k a_k n_k/N at the end is <A> of the ensemble's own ket before the
    pulse, up to what the copy events of the pulse add, which is Gaussian with the variance of `linear_noise` for the
    pulse alone. The mean of 400 differences is zero to a false alarm of 1e-5, and detects 0.4 standard deviations of
    one; the sum of their squares follows chi squared to 1e-5, which sees 60 % of variance. Controls: frequencies
    read without turning, and the noise of twice the pulse.
    """
    copies, replicas, values = 20_000, 400, np.array([1.0, -0.5, 2.0, 0.3])
    observable = U4.conj().T @ np.diag(values) @ U4
    turned = rotated(experiment_of({"A": observable}), U4, 0.3)
    result = CopyDynamics(copies).evolve(turned, seed=20122, replicas=replicas)
    asked = result["expect"].values[:, 2, 0]
    read = result["frequency"].values[:, 3] @ values
    start = Schrodinger().evolve(turned)["state"].values[0, 2]
    noise = linear_noise(generator(U4, 0.3, 0.6), start, [0.0, 0.3], hbar=0.6)[-1]
    spread = np.sqrt(values @ noise @ values / copies)
    assert_mean(read - asked, 0.0, detects=0.4 * spread)
    low, high = chi2.ppf([5e-6, 1 - 5e-6], replicas)
    squares = np.sum((read - asked) ** 2) / spread**2
    assert low < squares < high
    assert np.sum(chi2.cdf([low / 1.6, high / 1.6], replicas) * [-1, 1]) < 0.01  # the power for a variance of 1.6
    unread = result["frequency"].values[:, 2] @ values
    assert np.abs(np.mean(unread - asked)) > 20 * spread
    assert not low < 0.5 * squares < high


def test_momenta_are_read_by_a_rotation():
    """The frequencies of N copies after the pulse are |<k|psi>|^2 to 6 standard deviations of `linear_noise`."""
    system, copies = gue(4, seed=3), 100_000
    plain = experiment_of()
    u = BASES["momentum"](system).unitary
    turned = rotated(plain, u, 0.2)
    found = CopyDynamics(copies).evolve(turned, seed=5)["frequency"].values[0, -1]
    ket = Schrodinger().evolve(plain)["state"].values[0, -1]
    pulses = [(pulse.duration, pulse.hamiltonian) for pulse in turned.system.pulses]
    noise = linear_noise(pulses, plain.ket, turned.tlist, hbar=0.6)[-1]
    assert np.all(np.abs(found - np.abs(u @ ket) ** 2) < 6 * np.sqrt(np.diag(noise) / copies))


def test_rotations_that_do_not_fit_are_refused(refuses):
    refuses(lambda: rotated(experiment_of(), np.eye(3), 1.0), ValueError, "one row for each of the 4 beable labels")
    refuses(lambda: rotated(experiment_of(), 2 * np.eye(4), 1.0), ValueError, "U must be unitary")
    refuses(lambda: rotated(experiment_of(), np.eye(4), 0.0), ValueError, "duration must be > 0, but is 0")
    refuses(lambda: rotated(experiment_of(), np.eye(4), 1e-30), ValueError, "longer than the clock can tell at time 1")
