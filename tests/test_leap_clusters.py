"""Clusters of few labels within leaps: event by event as the plain ones, and without bias where clusters touch."""

import numpy as np
import plain_clusters
import pytest
import verdicts
from scipy import linalg, stats

from copydyn import Experiment
from copydyn.ensemble import train_of
from copydyn.kernels.few import DEAD, FEW, MANY, SWIFT
from copydyn.kernels.leap import Way, leap, leap_scratch
from copydyn.leaps import leap_plan, most_orders, stars_of
from copydyn.runs.courses import plan_of
from copydyn.systems import lattice, ring
from copydyn.theories import CopyDynamics

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


PACKET = np.exp(-(((np.arange(24) - 11.5) / 6.0) ** 2) + 0.8j * np.arange(24))
CASES = {
    # H, amplitudes, copies up to which they are counted, leaps before labels bend
    "ring, all counted": (ring(20, flux=0.7).hamiltonian.toarray(), counted_in(waves(20), 700), 64, 4),
    "ring, counted and flowing": (ring(20, flux=0.7).hamiltonian.toarray(), counted_in(waves(20), 1100), 64, 4),
    "web, counted and flowing": (web(), counted_in(waves(20), 1000), 64, 3),
    "ring, one copy or two": (ring(20, flux=0.7).hamiltonian.toarray(), counted_in(waves(20), 30), 64, 6),
    "packet, many in the middle": (lattice(24).hamiltonian.toarray(), counted_in(PACKET, 6000), 64, 6),
    "packet, none beyond": (lattice(24).hamiltonian.toarray(), counted_in(PACKET, 1500), 16, 6),
}


@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")  # of random bits, where nothing is compiled
@pytest.mark.parametrize("case", CASES)
def test_clusters_are_the_plain_ones(case):
    """With the same random numbers: as many events, amplitudes but for rounding, leap by leap."""
    h, x, limit, leaps = CASES[case]
    x, copies = x.astype(complex), round(float(np.sum(np.abs(x) ** 2)))
    experiment = Experiment.of(h, x / np.linalg.norm(x), [0.0, 2.0])
    train, stars = train_of(experiment.system), stars_of(train_of(experiment.system))
    cut = leap_plan(experiment, plan_of(experiment), stars, 0.4, copies).leaps
    length, orders = 2.0 / cut.leaps[0], most_orders(cut)
    work, way = leap_scratch(len(x), train.h.size, orders), Way(limit, 0.1, 0.4)
    name = np.random.SeedSequence(5).generate_state(4, np.uint64)
    seen, happened = set(), 0.0
    for number in range(leaps):
        before = x.copy()
        _, events, _ = leap(
            x, copies, length, orders, 0, (train.a, train.b, train.h), stars, way, name, number, 0, work
        )
        kind = work.kind
        few = np.flatnonzero((kind == FEW) | ((kind == DEAD) & (before != 0.0))).tolist()
        plain, expected = plain_clusters.leap(h, before, copies, length, few, limit, 0.1, name, number)
        assert events == expected
        assert np.abs(x - plain).max() < 1e-9 * np.sqrt(copies)
        assert not np.any(kind == SWIFT)
        seen |= {MANY} if np.any(kind == MANY) else set()
        happened += events
    assert happened > 8
    assert (MANY in seen) == case.startswith("packet")
