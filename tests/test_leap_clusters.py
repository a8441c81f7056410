"""Clusters of few labels within leaps: event by event as the plain ones, and without bias where clusters touch."""

import numpy as np
import plain_clusters
import pytest
import verdicts
from scipy import linalg, stats

from copydyn import Experiment
from copydyn.kernels.few import DEAD, FEW, MANY, SWIFT
from copydyn.kernels.leap import Leaps, Way, advance_leaps, leap, leap_scratch
from copydyn.kernels.per_label import PAUSED, REACHED
from copydyn.kernels.replicas import Progress, Saved
from copydyn.systems import lattice, ring
from copydyn.theories import CopyDynamics
from copydyn.theories.copies.courses import plan_of
from copydyn.theories.copies.ensemble import train_of
from copydyn.theories.copies.leaps import leap_plan, most_orders, stars_of

# --- event by event -----------------------------------------------------------------------------------------------


def waves(size):
    place = 2.0 * np.pi * np.arange(size) / size
    return 1.0 + 0.3 * np.exp(3j * place) + 0.2j * np.exp(-5j * place)


def counted_in(ket, copies):
    """Amplitudes of whole copies with the phases of the ket."""
    n = np.round(copies * np.abs(ket) ** 2 / np.sum(np.abs(ket) ** 2))
    return np.sqrt(n) * np.exp(1j * np.angle(ket))


def web():
    """Twenty labels with energies, complex couplings, and other labels between those that are coupled."""
    rng = np.random.default_rng(4)
    h = np.diag(rng.normal(size=20)).astype(complex)
    for distance in (1, 7):
        for a in range(20):
            b = (a + distance) % 20
            h[a, b] = rng.normal() + 1j * rng.normal()
            h[b, a] = h[a, b].conjugate()
    return h


FLAT = 1.0 + 0.03 * np.exp(0.3j * np.pi * np.arange(20))
ISLANDS = np.array([4000, 40, 3000, 30, 5000, 50, 4000, 20])
PACKET = np.exp(-(((np.arange(24) - 11.5) / 6.0) ** 2) + 0.8j * np.arange(24))
CASES = {
    # H, amplitudes, copies up to which they are counted, leaps before labels bend, step of the phases if not 0.1
    "ring, all counted": (ring(20, flux=0.7).hamiltonian.toarray(), counted_in(waves(20), 700), 64, 4),
    "ring, counted and flowing": (ring(20, flux=0.7).hamiltonian.toarray(), counted_in(waves(20), 1100), 64, 4),
    "web, counted and flowing": (web(), counted_in(waves(20), 1000), 64, 3),
    "ring, one copy or two": (ring(20, flux=0.7).hamiltonian.toarray(), counted_in(waves(20), 30), 64, 6),
    "ring, some copies": (ring(20, flux=0.7).hamiltonian.toarray(), counted_in(waves(20), 130), 64, 6),
    "ring, about the limit": (ring(20, flux=0.7).hamiltonian.toarray(), counted_in(waves(20), 8400), 400, 2),
    "ring, flowing down to the limit": (ring(20, flux=0.7).hamiltonian.toarray(), counted_in(FLAT, 9800), 460, 4),
    "ring, settling beside a seam": (ring(24, flux=2.0).hamiltonian.toarray(), counted_in(waves(24), 1600), 64, 4),
    "web, fast phases": (
        0.1 * web() + 12.0 * np.diag(np.cos(np.arange(20))),
        counted_in(waves(20), 5000),
        900,
        3,
        0.01,
    ),
    "packet, few beside many": (0.3 * web()[:8, :8], np.sqrt(ISLANDS) * np.exp(1j * np.arange(8)), 64, 1),
    "packet, many in the middle": (lattice(24).hamiltonian.toarray(), counted_in(PACKET, 6000), 64, 6),
    "packet, none beyond": (lattice(24).hamiltonian.toarray(), counted_in(PACKET, 1500), 16, 6),
}


@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")  # of random bits, where nothing is compiled
@pytest.mark.parametrize("case", CASES)
def test_clusters_are_the_plain_ones(case):
    """With the same random numbers: as many events, amplitudes but for rounding, leap by leap."""
    h, x, limit, leaps, *finer = CASES[case]
    step = finer[0] if finer else 0.1
    x, copies = x.astype(complex), round(float(np.sum(np.abs(x) ** 2)))
    experiment = Experiment.of(h, x / np.linalg.norm(x), [0.0, 2.0])
    train, stars = train_of(experiment.system), stars_of(train_of(experiment.system))
    cut = leap_plan(experiment, plan_of(experiment), stars, 0.4, copies).leaps
    length, orders = 2.0 / cut.leaps[0], most_orders(cut)
    work, way = leap_scratch(len(x), train.h.size, orders), Way(limit, step, 0.4)
    name = np.random.SeedSequence(5).generate_state(4, np.uint64)
    seen, happened = set(), 0.0
    for number in range(leaps):
        before = x.copy()
        _, events, _ = leap(
            x, copies, length, orders, 0, (train.a, train.b, train.h), stars, way, name, number, 0, work
        )
        kind = work.kind
        assert not np.any(kind == SWIFT), "those the plain leap leaves out"
        few = np.flatnonzero((kind == FEW) | ((kind == DEAD) & (before != 0.0))).tolist()
        plain, expected = plain_clusters.leap(h, before, copies, length, few, limit, step, name, number)
        assert events == expected
        assert np.abs(x - plain).max() < 1e-9 * np.sqrt(copies)
        seen |= {MANY} if np.any(kind == MANY) else set()
        happened += events
    assert happened > 8
    assert (MANY in seen) == case.startswith("packet")


# --- what neighbours get ------------------------------------------------------------------------------------------

SMALL = np.array([[0.2, 0.5 + 0.3j, 0.0], [0.5 - 0.3j, -0.1, 0.4j], [0.0, -0.4j, 0.3]])


def response(copies, limit, disturb):
    """A few label in the middle of a chain of three, disturbed at the beginning: what its neighbours get and should."""
    x = np.sqrt(np.array(copies)) * np.exp(1j * np.array([0.3, 1.9, -0.8]))
    there = plain_clusters.Half(plain_clusters.Frame.of(SMALL), x, 0.05, limit, 0.1)
    name = np.random.SeedSequence(1).generate_state(4, np.uint64)
    there.settle(1, x[1], plain_clusters.stream(name, 2, 0, 0, 1))
    disturb(there)
    kick = there.deviation[1]
    there.carry([1], [(0, 1), (1, 2)], [0, 2], plain_clusters.stream(name, 1, 0, 0, 1))
    expected = there.frame.after(kick * np.eye(3)[1], 0.05) / there.mean(0.05)
    return there, x, expected[[0, 2]]


@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
@pytest.mark.parametrize("gain", [1.5e6, -1.5e6])
def test_a_flowing_label_pushes_its_neighbours(gain):
    """By what the mean flow makes of its deviation: modulus and phase, to a few per cent in so short a time."""

    def disturb(there):
        there.gain[1] = gain
        there.deviation[1] = plain_clusters.kicked(there.x[1], gain) - there.x[1]

    there, _, expected = response([1e10, 1e8, 3e10], 64, disturb)
    found = there.push[[0, 2]] / there.mean(0.05)[[0, 2]]
    assert np.all(np.abs(found / expected - 1.0) < 0.05)
    assert np.all(there.twist == 0.0)


@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
@pytest.mark.parametrize("angle", [0.3, -0.3])
def test_a_counted_label_twists_its_neighbours(angle):
    """Its phase is off: what that does to its neighbours' phases is handed over, what to their numbers is counted."""

    def disturb(there):
        there.unit[1] *= np.exp(1j * angle)
        there.deviation[1] = there.x[1] * (np.exp(1j * angle) - 1.0)

    there, x, expected = response([1e6, 1e4, 2e6], 10**5, disturb)
    assert np.all(there.push == 0.0)
    assert np.all(np.abs(there.twist[[0, 2]] / expected.imag - 1.0) < 0.1)
    noise = np.sqrt(2.0 * 0.05 * np.abs(SMALL[1, [0, 2]] * x[1] * x[[0, 2]]))  # of so many events at most
    missing = there.gain[[0, 2]] - 2.0 * np.abs(x[[0, 2]]) ** 2 * expected.real
    assert np.all(np.abs(missing) < 4.5 * noise + 0.1 * np.abs(there.gain[[0, 2]]))


# --- in the mean --------------------------------------------------------------------------------------------------

SIZE = 64


def round_trip(sign=1.0):
    """The ring of the benchmark, and where its wave is at t = 1; ``sign`` is of the hop from the last label."""
    h = ring(SIZE, flux=2.0).hamiltonian.toarray()
    ket = waves(SIZE) / np.linalg.norm(waves(SIZE))
    experiment = Experiment.of(h, ket, [0.0, 1.0])
    other = h.astype(complex)
    other[0, -1] *= sign
    other[-1, 0] *= sign
    return experiment, np.abs(linalg.expm(-1j * other) @ ket) ** 2


@pytest.mark.parametrize("leap_step", [0.5, 0.4, 0.2])
def test_clusters_that_touch_have_no_bias_of_their_own(leap_step):
    """Ten thousand copies a label, all counted: the mean is Schroedinger's, to half a per cent at every label.

    With stale numbers of copies over the seams it was 0.9 % off at 0.4, less in proportion to the leap.
    """
    replicas, copies, detects = 60, SIZE * 10**4, 0.005
    experiment, rho = round_trip()
    theory = CopyDynamics(copies, "leap", few=10**6, leap_step=leap_step)
    share = theory.evolve(experiment, seed=3, replicas=replicas).frequency.values[:, -1] / rho
    off = share.mean(axis=0) - 1.0
    error = share.std(axis=0, ddof=1).mean() / np.sqrt(replicas)
    bound = stats.norm.isf(verdicts.FALSE_ALARM / (2 * SIZE)) * error
    verdicts.assert_power(bound, error, detects)
    assert np.abs(off).max() < bound
    assert np.mean((off / error) ** 2) < stats.chi2.isf(verdicts.FALSE_ALARM, SIZE) / SIZE
    _, turned = round_trip(sign=-1.0)  # the control
    assert np.abs(share.mean(axis=0) * rho / turned - 1.0).max() > 10.0 * bound


def test_clusters_that_touch_have_the_means_of_engine_exact():
    """Ten to 79 copies a label at the longest leap: with stale numbers the mean of z^2 would be about three."""
    replicas = 2500
    experiment, _ = round_trip()
    found, expected = (
        theory.evolve(experiment, seed=7, replicas=replicas).counts.values[:, -1]
        for theory in (CopyDynamics(2560, "leap", leap_step=0.5), CopyDynamics(2560, "exact"))
    )
    error = np.sqrt((found.var(axis=0, ddof=1) + expected.var(axis=0, ddof=1)) / replicas)
    z = (found.mean(axis=0) - expected.mean(axis=0)) / error
    bound = stats.chi2.isf(verdicts.FALSE_ALARM, SIZE)
    stale = 2.1  # sum of squares of the bias a label, in errors
    assert stats.ncx2.sf(bound, SIZE, SIZE * stale) > verdicts.POWER
    assert np.sum(z**2) < bound
    assert np.abs(z).max() < stats.norm.isf(verdicts.FALSE_ALARM / (2 * SIZE))
    z[0] += 0.3 * np.sqrt(replicas / 2.0)  # the control: one label off by 0.3 spreads
    assert np.abs(z).max() > stats.norm.isf(verdicts.FALSE_ALARM / (2 * SIZE))


# --- in pieces ----------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
@pytest.mark.parametrize("copies", [300, 10**15])
def test_leaps_paused_after_every_leap_are_those_of_one_go(copies):
    """A hundred leaps over two units of time, which does not begin at zero."""
    whole, calls = in_pieces(copies, 2**62)
    assert calls == 1
    pieces, calls = in_pieces(copies, 1)
    assert calls == 200
    for one, other in zip(whole, pieces):
        assert np.array_equal(one, other)


def in_pieces(copies, budget):
    """State, counts, events and clock of two replicas, and into how many calls they were cut."""
    experiment = Experiment.of(SMALL, [0.6, 0.64, 0.48j], [1.0, 3.0])
    train, plan = train_of(experiment.system), plan_of(experiment)
    cut = Leaps(np.ones(1), np.array([100]), np.array([20]))
    x = np.tile(counted_in(experiment.ket, copies), (2, 1)).astype(complex)
    names = np.random.SeedSequence(3).generate_state(8, np.uint64).reshape(2, 4)
    progress = Progress(np.ones(2), *np.zeros((2, 2), np.int64))
    saved = Saved(np.zeros((2, 2, 3), np.int64), np.zeros((2, 2, 3), complex), np.zeros((2, 2), np.int64))
    counts, work = np.zeros((2, 3), np.int64), leap_scratch(3, train.h.size, 20)
    how = (saved, train, stars_of(train), plan, cut, Way(64, 0.1, 0.4), copies, budget, work)
    calls, status = 0, PAUSED
    while status == PAUSED and calls < 1000:
        before = progress.events.copy()
        status, _ = advance_leaps(counts, x, names, progress, *how)
        assert np.all(progress.events >= before)
        calls += 1
    assert status == REACHED
    return (x, counts, progress.events, progress.clock, saved.counts, saved.factor, saved.events), calls
