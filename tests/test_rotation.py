"""Unitaries as pulses, and counts read in another basis than that of the beables."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import expm
from scipy.stats import unitary_group

from copydyn.rotation import generator

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
