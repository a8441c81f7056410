"""What a leap draws, counts and keeps, against plain leaps with the same random numbers, and what is rounded."""

import numpy as np
import pytest
from plain_leaps import path

from copydyn.experiment import Experiment
from copydyn.kernels.few import DEAD, FEW, MANY, SWIFT
from copydyn.kernels.leap import MOST_EVENTS, come_further, count_copies, keep_copies
from copydyn.kernels.replicas import Plan, Progress
from copydyn.runs.streams import streams
from copydyn.theories import CopyDynamics
from copydyn.theories.copies.leaps import LEAP_STEP, Leaps

H = np.array([[0.3, 0.5 + 0.2j, 0.35j], [0.5 - 0.2j, -0.4, 0.1 - 0.45j], [-0.35j, 0.1 + 0.45j, 0.7]])
KET = np.sqrt([0.4, 0.35, 0.25]) * np.exp(-1j * np.array([0.3, 1.9, 4.4]))


@pytest.mark.parametrize("hbar", [1.0, 0.6])
def test_leaps_of_many_copies_are_the_plain_ones(hbar):
    """Counts, phases and events of three replicas of 1e9 copies after a dozen leaps: labels far from their minima."""
    copies, span = 10**9, 1.1 * hbar
    experiment = Experiment.of(H, KET, [0.0, span], hbar=hbar)
    theory = CopyDynamics(copies, "leap")
    result = theory.evolve(experiment, seed=2, replicas=3)
    start = np.sqrt(theory.prepare(experiment, 2).counts.astype(float)) * KET / np.abs(KET)
    for replica, state in enumerate(streams(experiment, theory.resolved(experiment), 2, 3)):
        x, events = path(H / hbar, start, copies, span, LEAP_STEP, state)
        seen = result.isel(replica=replica, time=-1)
        assert int(seen.events) == pytest.approx(events, abs=20)  # each leap counts whole events
        np.testing.assert_allclose(seen.counts.values, np.abs(x) ** 2, rtol=0, atol=2.0)
        np.testing.assert_allclose(np.exp(-1j * seen.phase.values), x / np.abs(x), rtol=0, atol=1e-9)
        assert np.abs(np.abs(x) ** 2 - copies * np.abs(experiment.ket) ** 2).max() > 1e7


def test_counts_are_rounded_with_what_others_are_cut_by_and_the_rest_goes_to_the_largest():
    """Few copies are rounded by themselves; many hand on what they are cut by; N is kept."""
    counts = np.zeros(6, np.int64)
    shares = np.array([3.6, 0.0, 5000.4, 90000.4, 7000.4, 12.4])
    count_copies(np.sqrt(shares).astype(complex), 102017, counts)
    # 3.6 -> 4 owes 0.4; 5000.4 - 0.4; 90000.4 + 0.0; 7000.4 + 0.4 -> 7001 owes 0.2; 12.4 -> 12
    assert counts.tolist() == [4, 0, 5000, 90000, 7001, 12]
    count_copies(np.sqrt(shares).astype(complex), 102020, counts)
    assert counts.tolist() == [4, 0, 5000, 90003, 7001, 12]


def test_events_are_added_up_and_stop_at_what_a_whole_number_holds():
    progress = Progress(np.zeros(1), np.zeros(1, np.int64), np.zeros(1, np.int64))
    plan, leaps = Plan(np.array([0]), np.array([2.0]), np.array([1])), Leaps(np.zeros(1), np.array([4]), np.array([5]))
    for number, (events, clock, total) in enumerate([(3.0, 0.5, 3), (4.0, 1.0, 7), (9e18, 1.5, 9 * 10**18 + 7)]):
        come_further(number, 0.5, events, 0, progress, plan, leaps)
        assert (float(progress.clock[0]), int(progress.events[0])) == (clock, total)
    come_further(3, 0.5, 9e18, 0, progress, plan, leaps)
    assert (float(progress.clock[0]), int(progress.events[0])) == (2.0, MOST_EVENTS)


def test_the_sum_of_copies_is_kept_on_labels_with_many():
    """Few copies stay as they are; the others share one factor, by which the sum of all squares is N."""
    x = np.array([30.0, 5.0j, 0.0, 20.0 - 10.0j])
    before, kind = x.copy(), np.array([MANY, FEW, DEAD, SWIFT], np.uint8)
    keep_copies(x, 1465, kind)
    np.testing.assert_allclose(x, before * [np.sqrt(1440 / 1400), 1, 1, np.sqrt(1440 / 1400)], rtol=1e-14)
    assert np.sum(np.abs(x) ** 2) == pytest.approx(1465, rel=1e-14)
