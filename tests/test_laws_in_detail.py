"""The laws of finite N, number by number, by sums over the events of a fine grid of times.

The path here is complex, begins late, and its Hamiltonian changes on the way; hbar is not one, and of each label only a
part of the copies was drawn. Rates and kicks are written out from their definition, carried by matrix exponentials and
added up in real parts: nothing is shared with the laws but the question.
"""

import sys
from itertools import pairwise

import numpy as np
import pytest
import verdicts
from scipy import sparse
from scipy.integrate import quad
from scipy.linalg import expm

from copydyn import laws
from copydyn.experiment import Experiment
from copydyn.laws import quadrature, reach
from copydyn.laws.path import Flow, Path

HBAR, POINTS = 0.7, 400
"""Points of the grid in each of five spans."""


def matrix(size=3, seed=5):
    rng = np.random.default_rng(seed)
    h = rng.normal(size=(size, size)) + 1j * rng.normal(size=(size, size))
    return 0.4 * (h + h.conj().T)


FIRST, SECOND = matrix(), matrix(3, 4)
TRAIN = [(0.9, FIRST), (3.0, SECOND)]
TIMES = np.array([0.3, 0.6, 1.2, 1.5])
PSI = np.sqrt([0.5, 0.2, 0.3]) * np.exp([0.4j, 2.2j, -1.0j])
DRAWN = np.array([0.3, 0.15, 0.05])
"""Part of each |psi_a|^2 that was drawn."""


def real(vector):
    return np.concatenate([vector.real, vector.imag], axis=-1)


def on_path(psi=PSI, end=TIMES[-1], points=POINTS):
    """Times, the weights of the trapezium on them, the Hamiltonian that holds, psi(t), and U(end, t)."""
    edges = np.unique([0.3, 0.6, 0.9, 1.2, 1.5, end])
    edges = edges[edges <= end]
    ket, found = psi, []
    for start, stop in pairwise(edges):
        h = FIRST if stop <= 0.9 else SECOND
        times = np.linspace(start, stop, points + 1)
        step = times[1] - times[0]
        u, kets = expm(-1j * h * step / HBAR), [ket]
        for _ in range(points):
            kets.append(u @ kets[-1])
        ket = kets[-1]
        weights = np.full(points + 1, step)
        weights[[0, -1]] = step / 2
        found.append((times, weights, h, np.array(kets), u))
    back, carried = np.eye(len(psi), dtype=complex), []
    for *_, kets, u in reversed(found):
        ways = [back]
        for _ in range(len(kets) - 1):
            ways.append(ways[-1] @ u)
        back = ways[-1]
        carried.append(np.array(ways[::-1]))
    for (times, weights, h, kets, _), ways in zip(found, reversed(carried)):
        yield from zip(times, weights, [h] * len(times), kets, ways)


def events(h, ket):
    """Rates and kicks of the edges."""
    rho = np.abs(ket) ** 2
    for a in range(ket.size):
        for b in range(a + 1, ket.size):
            kick = np.zeros(ket.size, complex)
            kick[a], kick[b] = ket[a] / (2 * rho[a]), -ket[b] / (2 * rho[b])
            yield 2 * abs((ket[a].conj() * h[a, b] * ket[b]).imag) / HBAR, kick


def brute(end, drawn=DRAWN, psi=PSI):
    """N times the covariance of (Re dpsi, Im dpsi) at ``end``, float64 (2P, 2P)."""
    total = np.zeros((2 * psi.size, 2 * psi.size))
    first = True
    for _, weight, h, ket, way in on_path(psi, end):
        if first and drawn is not None:
            lift = way @ np.diag(psi / (2 * np.abs(psi) ** 2))
            lift = np.concatenate([lift.real, lift.imag])
            total += lift @ (np.diag(drawn) - np.outer(drawn, drawn) / drawn.sum()) @ lift.T
        first = False
        for rate, kick in events(h, ket):
            moved = real(way @ kick)
            total += weight * rate * np.outer(moved, moved)
    return total


@pytest.fixture(scope="module")
def noise():
    """The law, and the covariances of the grid at the last three save times."""
    return laws.kick_covariance(TRAIN, PSI, TIMES, hbar=HBAR, multinomial=DRAWN), [brute(end) for end in TIMES[1:]]


def test_covariance_and_relation(noise):
    law, grid = noise
    for at, c in enumerate(grid, start=1):
        xx, xy, yy = c[:3, :3], c[:3, 3:], c[3:, 3:]
        np.testing.assert_allclose(law.covariance[at], xx + yy + 1j * (xy.T - xy), atol=2e-6)
        np.testing.assert_allclose(law.relation[at], xx - yy + 1j * (xy.T + xy), atol=2e-6)


def test_what_is_read_off_the_noise(noise):
    law, grid = noise
    for at, c in enumerate(grid, start=1):
        ket = law.ket[at]
        read = 2 * np.hstack([np.diag(ket.real), np.diag(ket.imag)])
        np.testing.assert_allclose(law.frequencies[at], read @ c @ read.T, atol=4e-6)
        assert law.infidelity[at] == pytest.approx(np.trace(c), abs=2e-5)
        assert law.infidelity_spread[at] == pytest.approx(np.sqrt(2 * np.trace(c @ c)), abs=2e-5)
        h = FIRST if TIMES[at] <= 0.9 else SECOND
        pull = -1j * (h - np.diag(np.diag(h))) @ ket / HBAR
        np.testing.assert_allclose(law.pull[at], pull, atol=1e-9)
        for label in range(3):
            normal = np.zeros(3, complex)
            normal[label] = 1j * pull[label] / abs(pull[label])
            assert law.perpendicular(at, label) == pytest.approx(real(normal) @ c @ real(normal), abs=4e-6)
    *_, last = on_path()
    np.testing.assert_allclose(law.ket[-1], last[3], atol=1e-9)
    np.testing.assert_allclose(law.pull[0], -1j * (FIRST - np.diag(np.diag(FIRST))) @ PSI / HBAR, atol=1e-12)
    np.testing.assert_allclose(laws.linear_noise(TRAIN, PSI, TIMES, hbar=HBAR, multinomial=DRAWN), law.frequencies)
    found = laws.infidelity_law(TRAIN, PSI, TIMES, hbar=HBAR, multinomial=DRAWN)
    np.testing.assert_allclose(found[1:], [np.trace(c) for c in grid], atol=2e-5)
    share = np.abs(PSI) ** 2
    assert found[0] == pytest.approx(np.sum((DRAWN - DRAWN**2 / DRAWN.sum()) / (4 * share)))


def test_events_are_the_currents_without_their_signs():
    expected = [0.0]
    expected += [
        sum(weight * sum(rate for rate, _ in events(h, ket)) for _, weight, h, ket, _ in on_path(end=end))
        for end in TIMES[1:]
    ]
    np.testing.assert_allclose(laws.expected_events(TRAIN, PSI, TIMES, hbar=HBAR), expected, rtol=1e-5)
    np.testing.assert_allclose(
        laws.expected_events(TRAIN, PSI, TIMES, hbar=HBAR, copies=1700), 1700 * np.array(expected), rtol=1e-5
    )


# ---- crossings


def passing(share, time=1.4):
    """A start from which the path of ``TRAIN`` passes the node of label 0 at ``time``, in the second pulse."""
    at = np.array([0.0, 0.6 + 0.3j, 0.2 - 0.7j])
    pull = -1j * (SECOND - np.diag(np.diag(SECOND))) @ at / HBAR
    at[0] = 1j * np.sqrt(share) * pull[0] / abs(pull[0])
    at /= np.linalg.norm(at)
    return expm(1j * FIRST * 0.6 / HBAR) @ expm(1j * SECOND * (time - 0.9) / HBAR) @ at, at


@pytest.mark.parametrize("drawn", [None, DRAWN], ids=["rounded", "drawn beside spectators"])
def test_a_crossing_by_the_whole_noise(drawn):
    """s^2 is N Var of what is perpendicular to the drift, less the passage's own share; K by its sum."""
    psi, _ = passing(4e-3)
    rows = laws.node_crossings(
        TRAIN, psi, [0.3, 1.5], hbar=HBAR, copies=200, closer_than=0.01, multinomial=False if drawn is None else drawn
    )
    (row,) = (row for row in rows if row.label == 0)
    assert row.time == pytest.approx(1.4, abs=0.02)
    (_, *_, ket, _) = list(on_path(psi, row.time))[-1]
    pulls = -1j * SECOND[0, 1:] * ket[1:] / HBAR
    pull = pulls.sum()
    assert row.rho_min == pytest.approx(abs(ket[0]) ** 2, rel=1e-8)
    assert (ket[0].conj() * pull).real == pytest.approx(0.0, abs=1e-7), "the lowest point"
    beta = np.arctan2(np.abs((pulls / pull).imag), np.abs((pulls / pull).real))
    assert row.churn == pytest.approx(np.sum(np.abs(pulls / pull) * (np.cos(beta) + beta * np.sin(beta))))
    energies = np.linalg.eigvalsh(SECOND)
    assert row.turn == pytest.approx(np.ptp(energies) / HBAR * abs(ket[0]) / abs(pull), rel=1e-6)
    normal = np.zeros(3, complex)
    normal[0] = 1j * pull / abs(pull)
    c = brute(row.time, drawn, psi)

    def own(time):
        z = ket[0] + pull * (time - row.time)
        beside = (ket[0] * pull.conjugate()).imag / abs(pull)
        return beside**2 * np.sum(np.abs((z.conjugate() * pulls).real)) / (2 * abs(z) ** 4)

    share = quad(own, 0.3, row.time, epsabs=1e-10, limit=500, points=[row.time - 0.05])[0]
    assert row.s2 == pytest.approx(real(normal) @ c @ real(normal) - share, abs=3e-4)
    noise = laws.kick_covariance(TRAIN, psi, [0.3, row.time], hbar=HBAR, multinomial=False if drawn is None else drawn)
    assert row.s2 == pytest.approx(noise.perpendicular(1, 0) - share, abs=2e-4)
    assert row.m == pytest.approx(200 * row.rho_min)
    chance = (1 + 2 * row.s2 / row.churn) ** -0.5 * np.exp(-row.m / (row.churn + 2 * row.s2))
    assert row.extinction == pytest.approx(chance, rel=1e-12)
    assert drawn is None or row.s2 > 0.02


def test_crossings_are_those_below_their_bound_in_order_of_time():
    psi, _ = passing(4e-3)
    span = [0.3, 3.9]
    rows = laws.node_crossings(TRAIN, psi, span, hbar=HBAR, closer_than=0.3)
    assert [row.time for row in rows] == sorted(row.time for row in rows)
    assert len({row.label for row in rows}) > 1
    one = max(rows, key=lambda row: row.rho_min)
    below = laws.node_crossings(TRAIN, psi, span, hbar=HBAR, closer_than=one.rho_min * (1 - 1e-9))
    above = laws.node_crossings(TRAIN, psi, span, hbar=HBAR, closer_than=one.rho_min * (1 + 1e-9))
    assert (len(below), len(above)) == (len(rows) - 1, len(rows))
    default = laws.node_crossings(TRAIN, psi, span, hbar=HBAR)
    assert [row.label for row in default] == [row.label for row in rows if row.rho_min < 0.02 / 3]
    odds = laws.node_crossings(TRAIN, psi, span, hbar=HBAR, copies=100, closer_than=1.0)
    least = sorted(row.extinction for row in odds)[-2]
    kept = laws.node_crossings(TRAIN, psi, span, hbar=HBAR, copies=100, odds_above=least * (1 - 1e-12))
    assert len(kept) == 2


def test_only_close_crossings_are_told_where_nothing_is_said():
    """By default those below 0.02/P."""
    for share, told in ((0.9 * 0.02 / 3, True), (1.1 * 0.02 / 3, False)):
        psi, _ = passing(share)
        rows = laws.node_crossings(TRAIN, psi, [0.3, 1.5], hbar=HBAR)
        assert [row.label for row in rows if abs(row.time - 1.4) < 0.05] == [0] * told


def test_minima_are_where_a_fine_grid_finds_them():
    """All of them over a long time, in their order, which is not that of the labels."""
    times = np.linspace(0.3, 20.3, 200_001)
    energies, modes = np.linalg.eigh(SECOND)
    kets = (np.exp(-1j * np.outer(times - 0.3, energies) / HBAR) * (modes.conj().T @ PSI)) @ modes.T
    shares = np.abs(kets) ** 2
    low = (shares[1:-1] < shares[:-2]) & (shares[1:-1] <= shares[2:])
    found = [(row.time, row.label) for row in laws.node_crossings(SECOND, PSI, [0.3, 20.3], hbar=HBAR, closer_than=1.0)]
    expected = sorted((times[at + 1], int(label)) for at, label in zip(*np.nonzero(low)))
    assert [label for _, label in found] == [label for _, label in expected]
    assert len(found) > 15
    np.testing.assert_allclose([time for time, _ in found], [time for time, _ in expected], atol=2e-4)


# ---- beside what was asked for


OTHER = PSI + 0.12 * np.array([0.5j, -0.8, 0.3 + 0.4j])
OTHER /= np.linalg.norm(OTHER)


def test_an_offset_and_the_noise_together():
    """`offset_spread` by a quadratic form of real parts, `offset_shift` by the bend of the root at every event."""
    experiment = Experiment.of(TRAIN, PSI, TIMES, hbar=HBAR)
    law = laws.finite_copies(experiment, OTHER, multinomial=DRAWN)
    rest = OTHER - np.vdot(PSI, OTHER) * PSI
    assert law.attrs["offset"] == pytest.approx(np.vdot(rest, rest).real)
    share = np.abs(OTHER) ** 2
    bent = -(DRAWN - DRAWN**2 / DRAWN.sum()) * OTHER / (8 * share**2)
    first = 2 * np.vdot(rest, bent).real
    for at, end in enumerate(TIMES):
        points = list(on_path(OTHER, end)) if at else []
        u = points[0][4] if at else np.eye(3)  # U(end, start)
        c, mean = brute(end, DRAWN, OTHER) if at else start_noise(), first
        for _, weight, h, ket, way in points:
            beside = way.conj().T @ (u @ rest)  # the rest, carried to that moment
            rho = np.abs(ket) ** 2
            for rate, kick in events(h, ket):
                mean += weight * rate * 2 * np.vdot(beside, np.where(kick != 0, -ket / (8 * rho**2), 0)).real
        d = u @ rest
        form = 2 * real(d)
        assert law.offset_spread[at] == pytest.approx(np.sqrt(form @ c @ form), rel=1e-4)
        wanted = u @ PSI
        parts = real(wanted), real(1j * wanted)
        along = sum(part @ c @ part for part in parts)
        assert law.offset_shift[at] == pytest.approx(mean - along, rel=1e-3, abs=1e-4)
    whole = laws.infidelity_law(TRAIN, OTHER, TIMES, hbar=HBAR, multinomial=DRAWN)
    np.testing.assert_allclose(law.infidelity_law, whole)
    noise = laws.kick_covariance(TRAIN, OTHER, TIMES, hbar=HBAR, multinomial=DRAWN)
    np.testing.assert_allclose(law.infidelity_spread, noise.infidelity_spread)
    np.testing.assert_allclose(law.frequency_noise, np.einsum("taa->ta", noise.frequencies))


def start_noise():
    lift = np.diag(OTHER / (2 * np.abs(OTHER) ** 2))
    lift = np.concatenate([lift.real, lift.imag])
    return lift @ (np.diag(DRAWN) - np.outer(DRAWN, DRAWN) / DRAWN.sum()) @ lift.T


def test_drawn_ensembles_beside_what_was_asked_for():
    """Infidelities at t = 0 of 1e5 ensembles of 200 copies drawn from another ket than the one they are held to.

    Their mean, times N, is known to 0.011 and must be N offset + law + shift, to 1/N; a deviation of 0.14 would be seen
    with a chance of 0.99. The control leaves out the shift, which is -0.50. The spread holds to 3 per cent.
    """
    psi, other = np.sqrt([0.5, 0.4, 0.1]).astype(complex), np.sqrt([0.25, 0.45, 0.3]) * np.exp([0.0, 1.5j, -1.0j])
    law, copies = laws.finite_copies(Experiment.of(np.eye(3), psi, [0.0]), other, multinomial=True), 200
    counts = np.random.default_rng(5).multinomial(copies, np.abs(other) ** 2, size=100_000)
    kets = np.sqrt(counts / copies) * np.exp(1j * np.angle(other))
    lost = copies * (1 - np.abs(kets @ psi.conj()) ** 2) - copies * law.attrs["offset"]
    expected = float(law.infidelity_law[0] + law.offset_shift[0])
    verdicts.assert_mean(lost, expected + 2.0 / copies, detects=0.14)
    with pytest.raises(AssertionError, match="errors off"):
        verdicts.assert_mean(lost, float(law.infidelity_law[0]), detects=0.14)
    spread = np.hypot(float(law.infidelity_spread[0]), np.sqrt(copies) * float(law.offset_spread[0]))
    assert lost.std() == pytest.approx(spread, rel=0.03)


# ---- how far laws reach


@pytest.mark.parametrize("sign", [1, -1])
def test_only_a_label_that_falls_rests_on_the_floor(sign):
    times, h = np.linspace(0.0, 0.5, 6), np.array([[0.0, 0.1], [0.1, 0.0]])
    path = Path.of(h, np.array([0.1, 1j * sign * np.sqrt(0.99)]), times, hbar=1.0)
    shares = np.abs(path.saved[:, 0]) ** 2
    steps = np.diff(shares)
    assert np.all(steps > 0) or np.all(steps < 0)
    found = reach.doubts(path, 300, np.zeros(6), np.abs(path.saved) ** 2, floor=4).floor
    assert found[:, 1].max() < 1e-9, "it has nearly all copies"
    assert np.all(found[1:, 0] > 0.1) if steps[0] < 0 else found.max() < 1e-9


def test_doubts_by_their_sums():
    """Each part of the doubt from its definition, of a path that is held to another one and passes few copies."""
    psi, _ = passing(2e-2, 1.05)
    rest = np.array([0.3j, -0.4, 0.5])
    rest = rest - np.vdot(psi, rest) * psi
    rest /= np.linalg.norm(rest)
    path, aside = Path.of(TRAIN, psi, TIMES, hbar=HBAR), Path.of(TRAIN, rest, TIMES, hbar=HBAR)
    copies, floor, offset = 300, 5, 0.02
    losses = laws.infidelity_law(TRAIN, psi, TIMES, hbar=HBAR, multinomial=DRAWN)
    noise = laws.linear_noise(TRAIN, psi, TIMES, hbar=HBAR, multinomial=DRAWN)
    variance = np.einsum("taa->ta", noise)
    options = {"multinomial": DRAWN, "aside": aside, "offset": offset}
    found = reach.doubts(path, copies, losses, variance, **options)
    resting = reach.doubts(path, copies, losses, variance, floor=floor, **options)
    shares = np.abs(path.saved) ** 2
    factor = np.maximum(variance / shares, 1.0)
    points = list(on_path(psi))
    u = points[0][4]
    counts = copies * shares[0]
    kicks = np.zeros((4, 3))
    shift, lost, short = (np.zeros((4, 3)) for _ in range(3))
    kicks[0] = DRAWN / (4 * shares[0]) * factor[0] / np.maximum(counts, factor[0])
    for time, weight, h, ket, way in points:
        at = int(np.searchsorted(TIMES, time - 1e-12 if weight else time))
        at = max(at, 1)
        spread, rho = np.maximum(factor[at], factor[at - 1]), np.abs(ket) ** 2
        n = copies * rho
        relative = spread / np.maximum(n, spread)
        beside = way.conj().T @ (u @ rest)
        pulls = -1j * (h - np.diag(np.diag(h))) @ ket / HBAR
        for rate, kick in events(h, ket):
            own = weight * rate * np.abs(kick) ** 2 * relative
            kicks[at] += own
            shift[at] += 2 * np.sqrt(offset) * (beside.conj() * ket / (2 * rho)).real * own
        lost[at] = np.maximum(lost[at], np.exp(-2 * n / (1 + spread)))
        z = (floor - n) / np.sqrt(spread * n)
        density, below = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi), [quad_normal(one) for one in z]
        falling = (ket.conj() * pulls).real < 0
        wish = np.minimum((floor - n) * below + np.sqrt(spread * n) * density, floor)
        short[at] = np.maximum(short[at], np.where(falling, wish, 0.0))
    np.testing.assert_allclose(found.kicks, np.cumsum(kicks, axis=0), rtol=2e-2, atol=1e-4)
    np.testing.assert_allclose(found.shift, np.abs(np.cumsum(shift, axis=0)), rtol=3e-2, atol=2e-4)
    chance = np.maximum.accumulate(np.maximum.accumulate(lost) * copies * shares)
    np.testing.assert_allclose(found.lost, chance, rtol=3e-2, atol=1e-4)
    np.testing.assert_allclose(resting.floor, np.maximum.accumulate(short), rtol=3e-2, atol=1e-3)
    np.testing.assert_allclose(found.beyond, losses**2 / copies)
    assert not found.floor.any()
    assert not resting.lost.any()
    assert resting.floor.max() > 0.1
    assert found.lost.max() > 0.1
    parts = found.kicks + found.shift + found.lost
    np.testing.assert_allclose(found.total, parts.sum(axis=1) + found.beyond)


def quad_normal(z):
    return quad(lambda x: np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi), -12, z)[0]


def test_the_largest_doubt_is_named():
    few, floor, lost = np.array([[0.2, 0.1]]), np.array([[0.0, 0.25]]), np.array([[0.15, 0.05]])
    none = np.zeros((1, 2))
    assert reach.Doubts(few, none, floor, lost, np.array([0.1])).largest(0) == ("few", 0)
    assert reach.Doubts(none, few, floor, lost, np.array([0.1])).largest(0) == ("few", 0)
    assert reach.Doubts(none, none, floor, lost, np.array([0.1])).largest(0) == ("floor", 1)
    assert reach.Doubts(none, none, none, lost, np.array([0.1])).largest(0) == ("lost", 0)
    assert reach.Doubts(few, none, floor, lost, np.array([0.4])).largest(0) == ("beyond", -1)


def test_a_law_is_in_reach_where_a_tenth_of_it_is_in_doubt():
    psi, _ = passing(2e-2)
    experiment = Experiment.of(TRAIN, psi, np.linspace(0.3, 1.6, 27), hbar=HBAR)
    law = laws.finite_copies(experiment, psi, copies=400)
    doubt, whole = law.infidelity_doubt.values, law.infidelity_law.values
    np.testing.assert_array_equal(law.in_reach, doubt <= 0.1 * whole + 1e-9)
    assert 2 < law.in_reach.sum() < 27
    other = laws.finite_copies(experiment, (psi + 0.1 * OTHER) / np.linalg.norm(psi + 0.1 * OTHER), copies=400)
    whole = other.infidelity_law + other.offset_shift + 400 * other.attrs["offset"]
    np.testing.assert_array_equal(other.in_reach, other.infidelity_doubt <= 0.1 * whole + 1e-9)
    first = experiment.tlist[int(np.argmin(law.in_reach.values))]
    assert law.attrs["beyond_reach"].startswith(f"from time {first:.4g} on: too much of the noise")


def test_a_node_is_named_as_the_end_of_a_law():
    psi, _ = passing(0.0)
    law = laws.finite_copies(Experiment.of(TRAIN, psi, [0.3, 1.0, 1.4, 1.5], hbar=HBAR), psi, copies=10**9)
    assert law.attrs["beyond_reach"] == "from time 1.4 on: the path meets a node"
    assert law.in_reach.values.tolist() == [True, True, False, False]


def test_large_systems_have_a_bound_in_the_place_of_the_variance(monkeypatch):
    """4 rho times the loss is more than the variance, and what no law gives is left out."""
    monkeypatch.setattr(sys.modules["copydyn.laws.finite_copies"], "MOST_LABELS", 2)
    experiment = Experiment.of(TRAIN, PSI, TIMES, hbar=HBAR)
    law = laws.finite_copies(experiment, PSI, copies=10**6)
    assert set(law.data_vars) == {"infidelity_law", "infidelity_doubt", "in_reach"}
    shares = np.abs(Path.of(TRAIN, PSI, TIMES, hbar=HBAR).saved) ** 2
    most = reach.most_variance(shares, law.infidelity_law.values)
    np.testing.assert_allclose(most, 4 * shares * law.infidelity_law.values[:, None])
    noise = laws.linear_noise(TRAIN, PSI, TIMES, hbar=HBAR)
    assert np.all(np.einsum("taa->ta", noise) <= most + 1e-12)
    assert np.isnan(reach.most_variance(shares, np.full(4, np.inf))).all()


# ---- paths


def test_beats_are_bound_by_gershgorins_circles():
    experiment = Experiment.of(
        [(0.5, np.diag([0.3, -0.4])), (2.0, [[1.0, 0.3j], [-0.3j, 0.1]])], [1, 0], [0.2, 1.1], hbar=HBAR
    )
    expected = (0.3 * 0.7 + 0.6 * (0.9 + 0.6)) / HBAR
    assert laws.beats(experiment) == pytest.approx(expected, rel=1e-12)
    lone = Experiment.of([[1.0, 0.3j], [-0.3j, 0.1]], [1, 0], [0.2, 1.1], hbar=HBAR)
    assert laws.beats(lone) == pytest.approx(0.9 * 1.5 / HBAR, rel=1e-12)


def test_a_path_is_followed_from_pulse_to_pulse():
    saved = Path.of(TRAIN, PSI, TIMES, hbar=HBAR).saved
    for ket, end in zip(saved, TIMES):
        first, second = min(end, 0.9) - 0.3, max(end - 0.9, 0.0)
        np.testing.assert_allclose(
            ket, expm(-1j * SECOND * second / HBAR) @ expm(-1j * FIRST * first / HBAR) @ PSI, atol=1e-12
        )


def test_sparse_and_dense_flows_pull_alike():
    dense, thin = Flow.of(FIRST, HBAR), Flow.of(sparse.csr_array(FIRST), HBAR)
    kets = np.array([PSI, OTHER])
    expected = -1j * kets @ (FIRST - np.diag(np.diag(FIRST))).T / HBAR
    for flow in (dense, thin):
        np.testing.assert_allclose(flow.pull(kets), expected, atol=1e-13)
        assert flow.spread == pytest.approx(np.ptp(np.linalg.eigvalsh(FIRST)) / HBAR)
        assert flow.widest == pytest.approx(2 / flow.spread)
        np.testing.assert_allclose(flow.carry(PSI, np.array([-0.4]))[0], expm(0.4j * FIRST / HBAR) @ PSI, atol=1e-13)
    assert sparse.issparse(thin.couplings)


# ---- quadrature


def test_intervals_are_divided_evenly_and_no_wider_than_asked():
    panels = quadrature.evenly(np.array([0.0, 1.0, 1.3]), 0.26)
    np.testing.assert_allclose(panels.starts, [0.0, 0.25, 0.5, 0.75, 1.0, 1.15])
    np.testing.assert_allclose(panels.ends, [0.25, 0.5, 0.75, 1.0, 1.15, 1.3])
    assert panels.owner.tolist() == [0, 0, 0, 0, 1, 1]
    assert panels.window.tolist() == list(range(6))
    halves = panels.halves()
    np.testing.assert_allclose(halves.starts[:4], [0.0, 0.125, 0.25, 0.375])
    assert halves.owner.tolist() == np.repeat(panels.owner, 2).tolist()
    assert [window.starts.size for window in halves.windows()] == [2] * 6
    assert sum(part.starts.size for part in halves.portions(quadrature.BLOCK)) == 12


def test_integrals_are_as_good_as_asked_and_no_better_than_rounding():
    def kinked(times):
        return np.array([np.abs(times - 0.3) ** 0.5, 0 * times])

    exact = 2 / 3 * (0.3**1.5 + 0.7**1.5)
    start = quadrature.evenly(np.array([0.0, 1.0]), 0.1)
    coarse = quadrature.integrate(kinked, start, per_time=1, rtol=1e-3)
    fine = quadrature.integrate(kinked, start, per_time=1, rtol=1e-9)
    assert abs(coarse.integrals[0] / exact - 1) < 1e-3
    assert abs(fine.integrals[0] / exact - 1) < 1e-9
    assert coarse.panels.starts.size < fine.panels.starts.size
    blurred = quadrature.integrate(lambda t: np.array([kinked(t)[0], 1e-3 + 0 * t]), start, per_time=1, rtol=1e-9)
    assert blurred.panels.starts.size < fine.panels.starts.size / 2, "what lies below the rounding is not chased"
    allowed = quadrature.integrate(kinked, start, per_time=1, rtol=1e-9, atol=1e-4)
    assert allowed.panels.starts.size < fine.panels.starts.size
    assert abs(allowed.integrals[0] - exact) < 1e-4


# ---- odds


@pytest.mark.parametrize(("mean", "variance"), [(0.0, 0.0), (3.0, 7.0), (20.0, 20.0)])
def test_odds_by_counts(mean, variance):
    expected = np.exp(-2 * mean**2 / (mean + variance)) if mean else 1.0
    assert laws.extinction_by_counts(mean, variance) == pytest.approx(expected)


def test_odds_at_their_bounds(refuses):
    assert laws.extinction_probability(0.0, 0.0, 1, 1.0) == 1.0
    assert laws.extinction_probability(2.0, crossing=2) == pytest.approx(np.exp(-1.0))
    assert laws.binomial_turning(0.0, 1.0).extinction == 1.0
    refuses(lambda: laws.extinction_probability(1.0, churn=1.0 - 1e-9), ValueError, "churn must be >= 1")
    refuses(lambda: laws.extinction_probability(1.0, churn=1.5, crossing=2), ValueError, "resonance")
    refuses(lambda: laws.extinction_by_counts(-1.0, 1.0), ValueError, "mean must be >= 0")
    refuses(lambda: laws.extinction_by_counts(1.0, -1.0), ValueError, "variance must be >= 0")
    refuses(
        lambda: laws.node_crossings(FIRST, PSI, [0, 1], copies=9, odds_above=0.0), ValueError, "odds_above must be > 0"
    )
    refuses(lambda: laws.expected_events(FIRST, PSI, [0, 1], copies=0), ValueError, "copies must be >= 1")
