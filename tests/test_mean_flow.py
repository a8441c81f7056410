"""The series of the mean flow against the matrix exponential: rows and bands, dead labels, pieces, hbar."""

from itertools import pairwise

import numpy as np
import pytest
from scipy import sparse
from scipy.linalg import expm

from copydyn.experiment import Experiment, System
from copydyn.kernels import keyed
from copydyn.kernels.mean_flow import (
    BUFFER,
    course_at,
    expand,
    expand_on,
    slope_at,
    terms_needed,
    turned_by,
    value_at,
)
from copydyn.theories import CopyDynamics
from copydyn.theories.copies.ensemble import train_of
from copydyn.theories.copies.leaps import most_events, stars_of

ORDERS, LENGTH, HBAR = 26, 0.3, 0.6


def complex_chain(size):
    """Complex couplings of nearest and third neighbours."""
    rng = np.random.default_rng(size)
    h = np.diag(rng.normal(size=size)).astype(complex)
    for apart in (1, 3):
        h += np.diag(rng.normal(size=size - apart) + 1j * rng.normal(size=size - apart), apart)
    return h + np.triu(h, 1).conj().T


def real_chain(size, *, periodic=False):
    """Real couplings on few diagonals, none like another."""
    rng = np.random.default_rng(size + 1)
    h = np.diag(rng.normal(size=size)) + np.diag(rng.normal(size=size - 1), 1) + np.diag(rng.normal(size=size - 2), 2)
    if periodic:
        h[0, -1] = 0.7
    return h + np.triu(h, 1).T


MATRICES = {
    "complex, by rows": complex_chain(9),
    "real, by rows": real_chain(9),
    "real, by bands": real_chain(70),
    "a real ring, by bands": real_chain(600, periodic=True),
}


def series(h, x, *, dead=(), pieces=1, keep=True, second=False):
    """terms, and the sum: the series in the second of two pulses, if so, made piece after piece."""
    other = sparse.csr_array(np.diag(np.arange(1.0, len(h) + 1)) + 0.0 * h)
    train = train_of(System([(1.0, other), (1.0, sparse.csr_array(h))] if second else sparse.csr_array(h), hbar=HBAR))
    stars, pulse = stars_of(train), int(second)
    assert (np.diff(stars.band_first)[pulse] > 0) == (len(h) >= 64)
    kind = np.ones(len(h), np.uint8)
    kind[list(dead)] = 0
    terms, total = np.full((ORDERS + 1, len(h)), np.nan, complex), np.zeros(len(h), complex)
    reach, buffer = int(stars.reach[pulse]), np.zeros(BUFFER)
    edges = np.linspace(0, len(h), pieces + 1).astype(int)
    for first, last in pairwise(edges):
        expand(x, first, last, reach, ORDERS, LENGTH, kind, pulse, stars, terms, total, buffer)
        expand_on(first, last, reach, ORDERS, LENGTH, kind, pulse, stars, keep, terms, total, buffer)
    return terms, total, stars.centre[pulse]


def ket_of(size):
    rng = np.random.default_rng(3)
    return rng.normal(size=size) + 1j * rng.normal(size=size)


@pytest.mark.parametrize("second", [False, True], ids=["first pulse", "second pulse"])
@pytest.mark.parametrize("name", MATRICES)
def test_the_series_is_the_exponential_of_the_matrix_over_hbar(name, second):
    """To 1e-9, with the energy of the middle of the band turned in afterwards, whether terms are kept or not."""
    h = MATRICES[name]
    x = ket_of(len(h))
    truth = expm(-1j * LENGTH * h / HBAR) @ x
    for keep in (True, False):
        _, total, centre = series(h, x, keep=keep, second=second)
        turned_by(total, centre * LENGTH)
        assert np.abs(total - truth).max() < 1e-9 * np.linalg.norm(x)


@pytest.mark.parametrize("name", MATRICES)
def test_dead_labels_stay_so_and_the_others_obey_the_projected_matrix(name):
    h = MATRICES[name].astype(complex)
    dead, x = [2, 5, len(h) - 1], ket_of(len(h))
    x[dead] = 0.0
    h[dead, :] = h[:, dead] = 0.0
    terms, total, centre = series(MATRICES[name], x, dead=dead)
    turned_by(total, centre * LENGTH)
    assert np.all(terms[:, dead] == 0.0)
    assert np.abs(total - expm(-1j * LENGTH * h / HBAR) @ x).max() < 1e-9 * np.linalg.norm(x)


@pytest.mark.parametrize("name", ["complex, by rows", "a real ring, by bands"])
def test_pieces_give_the_bytes_of_the_whole(name):
    x = ket_of(len(MATRICES[name]))
    whole, parts = series(MATRICES[name], x), series(MATRICES[name], x, pieces=3)
    np.testing.assert_array_equal(parts[1], whole[1])


def test_values_slopes_and_curvatures_within_a_stretch_are_those_of_the_exponential():
    h, x = MATRICES["complex, by rows"], ket_of(9)
    terms, _, centre = series(h, x)
    generator = -1j * LENGTH * (h / HBAR - centre * np.eye(9))
    for share in (0.0, 0.3, 1.0):
        there = expm(share * generator) @ x
        slope, curvature = generator @ there, generator @ generator @ there
        for label in range(9):
            assert value_at(terms, ORDERS, label, share) == pytest.approx(there[label], abs=1e-8)
            assert slope_at(terms, ORDERS, label, share) == pytest.approx(slope[label], abs=1e-7)
            found = course_at(terms, ORDERS, label, share)
            assert found == pytest.approx((there[label], slope[label], curvature[label]), abs=1e-6)


def test_terms_suffice_and_one_fewer_would_not():
    """What is left out of exp(-i angle) is below the error asked for; a term less, and it is not below a hundredth."""
    for angle in (0.05, 0.2, 0.4, 1.0, 3.0):
        for error in (1e-3, 1e-6, 1e-12):
            terms = terms_needed(angle, error)

            def left(count, angle=angle):
                rest, term = 0.0, 1.0
                for order in range(1, 60):
                    term *= angle / order
                    rest += term * (order > count)
                return rest

            assert left(terms) <= error
            assert left(terms - 1) > error or terms == 1


def test_streams_are_named_by_philox_in_the_order_of_their_words():
    """The words of the key and of the counter, high and low, and the last bit, through its authors' function."""
    state = np.array([0x0123456789ABCDEF, 5, 6, 7], np.uint64)
    key = (0x01234567, 0x89ABCDEF)
    halves = [[int(word) for word in keyed.philox(11, 12, 13, 2 * 14 + odd, *key)] for odd in (0, 1)]
    expected = [a << 32 | b for half in halves for a, b in (half[:2], half[2:])]
    expected[-1] |= 1
    assert [int(word) for word in keyed.stream(state, 11, 12, 13, 14)] == expected


@pytest.mark.parametrize("engine", ["exact", "leap", "meanfield"])
def test_only_the_ratio_of_h_and_hbar_counts(engine):
    """What costs, bounds and starts are made of, and the mean field: doubling both H and hbar changes no digit."""
    h, ket = complex_chain(4), np.array([0.6, 0.5j, 0.0, np.sqrt(0.39)])
    one = Experiment.of([(1.0, h), (2.0, h.conj())], ket, [0.2, 2.5])
    two = Experiment.of([(1.0, 2 * h), (2.0, 2 * h.conj())], ket, [0.2, 2.5], hbar=2.0)
    theory = CopyDynamics(1000, engine, spectators=20)
    assert theory.count(one) == theory.count(two)
    assert most_events(one, 1000) == most_events(two, 1000)
    np.testing.assert_array_equal(theory.encoded(one), theory.encoded(two))
    if engine == "meanfield":
        first, second = (theory.evolve(each) for each in (one, two))
        np.testing.assert_allclose(first.probability, second.probability, atol=1e-12)
        np.testing.assert_allclose(2 * first.energy, second.energy, atol=1e-12)
