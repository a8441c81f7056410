"""The process per copy: identities, the event log, unaligned phases and their kinetic limit."""

import numpy as np
import pytest
import verdicts
from scipy.integrate import solve_ivp
from scipy.special import ndtri

from copydyn.experiment import Experiment
from copydyn.kernels.roster import member, move, roster_of
from copydyn.theories import CopyDynamics

H = np.array([[0.3, 0.5 + 0.2j, 0.1], [0.5 - 0.2j, -0.3, 0.3j], [0.1, -0.3j, 0.2]])
PSI = np.array([0.8, 0.36j, 0.48])
TLIST = np.linspace(0, 3, 7)


def run(copies, replicas=1, seed=1, tlist=TLIST, h=H, psi=PSI, **settings):
    return CopyDynamics(copies, **settings).evolve(Experiment.of(h, psi, tlist), seed=seed, replicas=replicas)


def assert_consistent(roster, counts):
    """Rows, lists, positions and counts tell the same story."""
    assert np.bincount(roster.beable, minlength=counts.size).tolist() == counts.tolist()
    for label, count in enumerate(counts):
        rows = [member(label, rank, roster) for rank in range(count)]
        assert len(set(rows)) == count
        assert np.all(roster.beable[rows] == label)
        assert roster.position[rows].tolist() == list(range(count))
    in_use = {
        int(page) for label, n in enumerate(counts) for page in roster.directory[label, : -(-n // 2 ** roster.bits[0])]
    }
    unused = {int(page) for page in roster.free[: roster.level[0]]}
    assert not in_use & unused
    assert len(in_use) + len(unused) == roster.free.size


def test_lists_stay_consistent_through_any_moves():
    rng = np.random.default_rng(0)
    for copies, labels in [(1, 1), (50, 3), (3000, 7), (5000, 2)]:
        counts = rng.multinomial(copies, np.full(labels, 1 / labels)).astype(np.int64)
        roster = roster_of(counts, with_phases=False)
        assert_consistent(roster, counts)
        for _ in range(4000):
            # a drift to one label, so that lists empty and pages are handed on
            move(rng.integers(copies), min(rng.integers(labels), rng.integers(labels)), counts, roster)
        assert_consistent(roster, counts)
        for row in range(copies):
            move(row, 0, counts, roster)
        assert_consistent(roster, counts)
        assert counts[0] == copies


def test_a_copy_costs_at_most_24_bytes():
    counts = np.full(10, 10**5)
    roster = roster_of(counts, with_phases=True)
    assert roster.beable.dtype == np.int32
    assert roster.phase.dtype == np.float64
    assert sum(column.nbytes for column in roster) <= 24 * counts.sum()


@pytest.mark.parametrize("spread", [0.0, 0.7])
def test_event_log_tells_the_whole_story(spread):
    """Replaying the log from the first counts gives every later count, and every event moves one copy."""
    result = run(500, replicas=2, record_events=True, follow=range(500), phase_spread=spread)
    for replica in range(2):
        log = result.sel(event=result.event_replica == replica)
        rows = result.tagged_beable.values[replica, 0].copy()
        entry, times = 0, log.event_time.values
        assert np.all(np.diff(times) >= 0)
        for index, now in enumerate(TLIST):
            while entry < times.size and times[entry] <= now:
                copier, copied = int(log.event_copier[entry]), int(log.event_copied[entry])
                assert rows[copier] == log.event_from[entry] != log.event_to[entry] == rows[copied]
                rows[copier] = rows[copied]
                entry += 1
            assert rows.tolist() == result.tagged_beable.values[replica, index].tolist()
            assert np.bincount(rows, minlength=3).tolist() == result.counts.values[replica, index].tolist()
        assert entry == times.size == result.events.values[replica, -1]


def test_small_log_changes_nothing(monkeypatch):
    whole = run(2000, record_events=True)
    monkeypatch.setattr("copydyn.theories.copies.engines.LOG_A_CALL", 64)
    pieces = run(2000, record_events=True)
    assert whole.identical(pieces)


def test_agents_and_exact_agree_in_law():
    """Counts at N = 500 after three units of time; sees 0.1 of distribution, i.e. a shift of a quarter deviation."""
    exact = run(500, replicas=3000, engine="exact").counts.values
    agents = run(500, replicas=3000, engine="agents", seed=2).counts.values
    for at in (1, 3, 6):
        for label in range(3):
            verdicts.assert_same_law(exact[:, at, label], agents[:, at, label], detects=0.1)


def test_a_vanishing_spread_of_phases_is_alignment():
    """The kernel for unaligned phases, with phases that differ by 1e-9 only, obeys the law of aligned ones."""
    aligned = run(300, replicas=1500, engine="exact").counts.values
    nearly = run(300, replicas=1500, phase_spread=1e-9, seed=2)
    assert np.nanmin(nearly.coherence.values) > 1 - 1e-6
    for at in (1, 6):
        for label in range(3):
            verdicts.assert_same_law(aligned[:, at, label], nearly.counts.values[:, at, label], detects=0.14)


def kinetic_limit(h, psi, spread, tlist, classes=3000):
    """Frequencies and order parameters for N -> infinity: classes of copies with a weight and a phase each.

    w' = 2 w Im sum_b R_ab exp(i(phi + delta_ab)) conj(Z_b) / sqrt(n_a n_b), phi' = omega + Re (the same sum) without
    the 2, Z_b = sum of w exp(i phi) over label b; normal phases by their quantiles.
    """
    size = psi.size
    label = np.repeat(np.arange(size), classes)
    quantiles = spread * ndtri((np.arange(classes) + 0.5) / classes)
    weight = np.repeat(np.abs(psi) ** 2 / classes, classes)
    phase = np.repeat(-np.angle(psi), classes) + np.tile(quantiles, size)
    off = h - np.diag(np.diag(h))

    def sums(w, phi):
        n = np.bincount(label, w, size)
        z = np.bincount(label, w * np.cos(phi), size) + 1j * np.bincount(label, w * np.sin(phi), size)
        return n, z

    def flow(_, y):
        w, phi = np.split(y, 2)
        n, z = sums(w, phi)
        field = (off / np.sqrt(np.outer(n, n))) @ z.conj()
        push = np.exp(1j * phi) * field[label]
        return np.concatenate([2 * w * push.imag, np.diag(h).real[label] + push.real])

    y = solve_ivp(flow, (0, tlist[-1]), np.concatenate([weight, phase]), t_eval=tlist, rtol=1e-8, atol=1e-10).y
    both = [sums(*np.split(column, 2)) for column in y.T]
    return np.array([n for n, _ in both]), np.array([np.abs(z) / n for n, z in both])


@pytest.mark.parametrize(
    ("h", "psi", "spread", "span"),
    [
        (np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([0.8, 0.6j]), 0.3, 3.0),
        (H, np.array([0.7, 0.5 * np.exp(1j), np.sqrt(0.26)]), 0.5, 4.0),
    ],
    ids=["two-level", "three-level"],
)
def test_unaligned_copies_reach_their_kinetic_limit(h, psi, spread, span):
    """Section 7's only oracle: frequencies and order parameters to 0.01 at N = 51200, on the mean of eight ensembles.

    One ensemble alone scatters by 0.01 to 0.03: the phases feel finite N where a label is thin.
    """
    tlist = np.linspace(0, span, 13)
    frequency, coherence = kinetic_limit(h, psi, spread, tlist)
    found = run(51_200, replicas=8, tlist=tlist, h=h, psi=psi, phase_spread=spread)
    assert np.abs(found.probability.values - frequency).max() < 0.01
    assert np.abs(found.coherence.values.mean(axis=0) - coherence).max() < 0.01
    assert coherence.min() < 0.95  # the spread mattered ...
    aligned = run(51_200, tlist=tlist, h=h, psi=psi)
    assert np.abs(aligned.probability.values - frequency).max() > 0.02  # ... and so did the difference to alignment


def test_order_of_the_step_per_copy():
    """The mean frequencies at a coarse step err by its square: halving it leaves a quarter."""
    tlist = np.array([0.0, 1.5])
    h, psi = np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([0.8, 0.6j])
    exact = kinetic_limit(h, psi, 0.3, tlist, classes=4000)[1][-1]
    errors = []
    for step in (0.2, 0.1, 0.05):
        found = run(400_000, tlist=tlist, h=h, psi=psi, phase_spread=0.3, phase_step=step)
        errors.append(np.abs(found.coherence.values[0, -1] - exact).max())
    assert errors[0] < 0.02
    assert errors[-1] < 0.003


def test_random_phases_spread_over_the_circle():
    result = run(20_000, tlist=[0.0], phase_spread=np.inf)
    assert np.nanmax(result.coherence.values) < 5 / np.sqrt(20_000 * 0.12)


def test_tagged_copies_carry_the_phase_of_their_label():
    result = run(400, follow=[0, 17, 399])
    for at in range(TLIST.size):
        labels = result.tagged_beable.values[0, at]
        assert np.allclose(result.tagged_phase.values[0, at], result.phase.values[0, at][labels])


def test_one_copy_is_a_bell_vink_process():
    """Statement 8: where a copy goes from its label is the Markov chain with the rates of Bell and Vink.

    Probabilities of (label at 0, label at t) by the chain's forward equation along Schrödinger's path, against the rows
    of 200 000 copies. Allowed are five deviations of the rows' own noise, and 3/sqrt(N) for that of the ensemble.
    """
    h = np.array([[0.0, 0.5 + 0.2j, 0.4 - 0.3j], [0.5 - 0.2j, 0.4, 0.3 + 0.4j], [0.4 + 0.3j, 0.3 - 0.4j, -0.3]])
    psi = np.array([0.6, 0.6 * np.exp(3.9j), np.sqrt(0.28) * np.exp(1.2j)])
    tlist = [0.0, 1.0, 2.5]
    values, vectors = np.linalg.eigh(h)

    def forward(t, flat):
        now = vectors @ (np.exp(-1j * values * t) * (vectors.conj().T @ psi))
        current = 2 * np.imag(np.conj(now)[:, None] * h * now[None, :])  # from b to a: [a, b]
        rates = np.maximum(current, 0.0) / np.abs(now)[None, :] ** 2
        generator = rates - np.diag(rates.sum(axis=0))
        return (generator @ flat.reshape(3, 3)).ravel()

    expected = solve_ivp(forward, (0, 2.5), np.eye(3).ravel(), t_eval=tlist, rtol=1e-8, atol=1e-10).y
    found = run(200_000, tlist=tlist, h=h, psi=psi, follow=range(200_000)).tagged_beable.values[0]
    for at in (1, 2):
        chain = expected[:, at].reshape(3, 3)
        for start in range(3):
            rows = found[at, found[0] == start]
            share = np.bincount(rows, minlength=3) / rows.size
            error = np.sqrt(chain[:, start] * (1 - chain[:, start]) / rows.size)
            bound = 5 * error + 3 / np.sqrt(200_000)
            assert np.all(np.abs(share - chain[:, start]) < bound), (share, chain[:, start])
        assert at > 1 or np.ptp(chain, axis=1).max() > 0.2  # a copy remembers where it was: no mixing to |psi|^2
