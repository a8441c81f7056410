"""The kernel of the family of rules: its twin, its law, its limits, and statements that are exact."""

import functools
import itertools
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import verdicts
from mean_steps import moved
from plain_family import equations, simulate_family
from scipy import stats
from scipy.integrate import solve_ivp

from copydyn import fit_exponent, infidelity_law
from copydyn.experiment import Experiment
from copydyn.kernels.family import (
    advance_family,
    begin_family_step,
    family_workspace,
    finish_family_step,
    traffic_between,
)
from copydyn.kernels.flow import sine_after, workspace
from copydyn.kernels.per_label import LOG_FULL, PAUSED, REACHED, STALLED, advance
from copydyn.kernels.roster import event_log, roster_of
from copydyn.theories.copies.ensemble import couplings_of, share_out
from copydyn.theories.copies.meanfield import mean_field
from copydyn.theories.copies.rules import RULES, Harmonic, Rule

TRIANGLE = np.array([[0.0, 0.5 + 0.2j, 0.4 - 0.3j], [0.5 - 0.2j, 0.4, 0.3 + 0.4j], [0.4 + 0.3j, 0.3 - 0.4j, -0.3]])
EVEN = np.array([0.6, 0.6 * np.exp(3.9j), np.sqrt(0.28) * np.exp(1.2j)])
HALF = np.array([[0.0, 0.5], [0.5, 0.0]])
TWO_WAYS = Rule(0.6, -0.7, 1.5, (Harmonic(1, 1.0, 1.0, 0.3, 0.2), Harmonic(2, 0.6, -0.3, 2.4, -0.7)))
FROZEN = Rule(q=0.0, phases="frozen")


def words(seed):
    return np.random.SeedSequence(seed).generate_state(4, np.uint64)


@functools.cache
def listed(entries):
    h = np.frombuffer(entries, complex)
    return couplings_of(h.reshape(2 * (int(np.sqrt(h.size)),)), 1.0)


def run(rule, h, counts, phases, span, seed, *, phase_step=0.05, floor=0, budget=2**60, named=False, log=0):
    """Evolve one ensemble; return its counts, phase factors, rows, log, and every status on the way."""
    couplings = listed(np.asarray(h, complex).tobytes())
    counts, unit = np.array(counts, np.int64), np.exp(-1j * np.asarray(phases, float))
    family, state, log = rule.family, words(seed), event_log(log)
    work = family_workspace(counts.size, couplings.a.size, family)
    roster = roster_of(counts, with_phases=False) if named else None
    now, seen, kept, done = 0.0, [], [], [0, 0, 0]
    while now < span:
        status, now, *numbers = advance_family(
            counts, unit, couplings, now, span, phase_step, floor, family, budget, state, work, roster, log
        )
        seen.append(status)
        done = [total + number for total, number in zip(done, numbers, strict=True)]
        kept.append([column[: log.used[0]].tolist() for column in log[:5]])
        if status == STALLED or (status == LOG_FULL and log.used[0] == 0):
            break
        log.used[0] = 0
    events = [list(itertools.chain.from_iterable(part[place] for part in kept)) for place in range(5)]
    return {"counts": counts, "unit": unit, "log": events, "seen": seen, "done": done, "roster": roster}


def ensembles(rule, counts, phases, span, runs, h=TRIANGLE, first=0, **settings):
    """Final counts of ``runs`` ensembles, int64 (run, beable)."""
    return np.array([run(rule, h, counts, phases, span, first + seed, **settings)["counts"] for seed in range(runs)])


# --- the kernel is its twin ---------------------------------------------------------------------------------------

CASES = {
    "quantum": (Rule(), {}),
    "two ways": (TWO_WAYS, {"named": True, "log": 5000}),
    "frozen": (FROZEN, {"named": True, "log": 5000}),
    "floor": (Rule(q=1.3, r=0.2), {"floor": 60}),
}


def paths(case):
    rule, settings = CASES[case]
    done = run(rule, TRIANGLE, [108, 108, 84], -np.angle(EVEN), 1.5, 11, **settings)
    angles = np.angle(done["unit"]).tolist()
    return {"counts": done["counts"].tolist(), "angles": angles, "log": done["log"], "done": done["done"]}


@pytest.fixture(scope="module")
def interpreted():
    """The same runs by the interpreter, in a process in which nothing is compiled."""
    script = "import json, sys, test_family as t; json.dump({c: t.paths(c) for c in t.CASES}, sys.stdout)"
    here = os.path.dirname(__file__)
    path = os.pathsep.join([here, os.path.dirname(here), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": path, "PYTHONWARNINGS": "ignore"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("case", CASES)
def test_compiled_kernel_is_the_interpreted_one_event_by_event(case, interpreted):
    compiled, twin = paths(case), interpreted[case]
    assert compiled["done"] == twin["done"]
    assert compiled["done"][0] > 50
    assert compiled["counts"] == twin["counts"]
    assert compiled["log"][1:] == twin["log"][1:]
    assert np.allclose(compiled["log"][0], twin["log"][0], rtol=0, atol=1e-12)
    assert np.allclose(np.exp(1j * np.array(compiled["angles"])), np.exp(1j * np.array(twin["angles"])), atol=1e-9)


def test_calls_that_pause_or_find_the_log_full_give_the_same_bytes():
    whole = run(TWO_WAYS, TRIANGLE, [108, 108, 84], -np.angle(EVEN), 1.5, 11, named=True, log=5000)
    for settings, status in (({"budget": 7, "log": 5000}, PAUSED), ({"log": 150}, LOG_FULL)):
        parts = run(TWO_WAYS, TRIANGLE, [108, 108, 84], -np.angle(EVEN), 1.5, 11, named=True, **settings)
        assert whole["seen"] == [REACHED]
        assert parts["seen"].count(status) > 5
        assert parts["unit"].tobytes() == whole["unit"].tobytes()
        assert parts["roster"].beable.tobytes() == whole["roster"].beable.tobytes()
        assert parts["log"] == whole["log"]
        assert parts["done"] == whole["done"]


def test_a_step_too_short_for_the_clock_is_told():
    absurd = run(Rule(q=400.0), TRIANGLE, [10**6, 10, 10**6], [0.0, 1.5, 4.0], 1.0, 1)
    assert absurd["seen"] == [STALLED]
    assert run(Rule(r=-60.0), TRIANGLE, [10**6, 10, 10**6], [0.0, 1.5, 4.0], 1.0, 1)["seen"] == [STALLED]


# --- bounds and steps ---------------------------------------------------------------------------------------------


def random_rule(rng):
    orders = rng.choice(np.arange(1, 6), size=rng.integers(1, 4), replace=False)
    series = [Harmonic(int(m), rng.random() * rng.integers(2), rng.normal(), *rng.normal(size=2)) for m in orders]
    return Rule(rng.uniform(-1, 2), rng.uniform(-1.5, 1), rng.uniform(0.1, 4), series, rng.choice(["flow", "frozen"]))


def test_bounds_hold_throughout_the_step():
    """No rate that a step can meet, at any time and counts within its limits, exceeds the proposals made for it."""
    rng = np.random.default_rng(0)
    for _ in range(200):
        size, rule = int(rng.integers(2, 5)), random_rule(rng)
        x = rng.normal(size=(size, size)) + 1j * rng.normal(size=(size, size))
        couplings, family = couplings_of(x + x.conj().T, 1.0), rule.family
        counts = rng.integers(0, 10 ** rng.integers(1, 6), size).astype(np.int64)
        unit = np.exp(1j * rng.uniform(0, 2 * np.pi, size))
        work = family_workspace(size, couplings.a.size, family)
        length, total = begin_family_step(counts, unit, couplings, 1e-2, 0.2, family, work)
        assert np.isclose(total, work.bound.sum())
        for channel in range(work.bound.size):
            edge, m = divmod(channel, family.order.size)
            a, b = couplings.a[edge], couplings.b[edge]
            if counts[a] == 0 or counts[b] == 0 or family.copying[m] == 0.0:
                assert work.bound[channel] == 0.0
                continue
            strength = abs(couplings.h[edge]) * family.copying[m]
            start = np.angle(np.conj(unit[a]) * couplings.h[edge] * unit[b]) * family.order[m]
            for elapsed in np.linspace(0, length, 7):
                turn = elapsed * (work.detuning[channel] + elapsed * work.bending[channel])
                sine = sine_after(work.sine[channel], work.cosine[channel], turn)
                turned = start + np.angle(family.copy_factor[m]) + turn
                assert abs(sine - strength * np.sin(turned)) < 1e-6 * strength
                gains, loses = (a, b) if sine > 0 else (b, a)
                for gaining in (work.lowest[gains], counts[gains], work.highest[gains]):
                    for losing in (work.lowest[loses], counts[loses], work.highest[loses]):
                        traffic = float(gaining) ** rule.q * float(losing) ** (1 - rule.q)
                        assert np.isclose(traffic, traffic_between(gaining, losing, rule.q), rtol=1e-12)
                        assert abs(sine) * traffic <= work.bound[channel] * (1 + 1e-12)
                        assert traffic >= work.least[channel] * (1 - 1e-12)


@pytest.mark.parametrize("rule", [Rule(), TWO_WAYS, Rule(r=-1.2), Rule(r=0.7, harmonics=(Harmonic(3),))], ids=str)
def test_phase_flow_is_of_second_order_where_a_floor_holds_the_counts(rule):
    """The phases against an integration of the plain equations."""
    counts, phases = np.array([50, 300, 40]), np.array([0.3, 1.0, 2.0])
    velocity = equations(TRIANGLE, rule)
    exact = solve_ivp(
        lambda t, phi: velocity(t, np.concatenate([counts, phi]))[3:], (0, 1.5), phases, rtol=1e-11, atol=1e-11
    ).y[:, -1]
    steps, errors = 0.2 / 2.0 ** np.arange(5), []
    for step in steps:
        done = run(rule, TRIANGLE, counts, phases, 1.5, 5, phase_step=step, floor=1000)
        assert done["done"][0] == 0
        errors.append(np.max(np.abs(done["unit"] - np.exp(-1j * exact))))
    slopes = np.diff(np.log(errors)) / np.diff(np.log(steps))
    assert np.all(np.abs(slopes - 2.0) < 0.15), slopes
    assert errors[-1] < 2e-4


def carried_by_kernel(rule, h, share, phases, span, phase_step):
    """Shares of infinitely many copies: phases by the kernel's steps, and shares along the phases in between."""
    couplings, family = couplings_of(np.asarray(h, complex), 1.0), rule.family
    rates, many = equations(h, rule), 2**52
    work = family_workspace(len(share), couplings.a.size, family)
    share, unit, now = np.array(share, float), np.exp(-1j * np.array(phases)), 0.0

    def flow(share, phase):
        return rates(0.0, np.concatenate([share, phase]))[: share.size]

    while now < span - 1e-12:
        counts = np.round(many * share).astype(np.int64)
        length, _ = begin_family_step(counts, unit, couplings, span - now, phase_step, family, work)
        phase, label = -np.angle(unit), work.label.copy()
        lean = 0.5 * (label.bend + 0.25 * length * label.curve)
        share = moved(share, lambda t, at=phase, v=label.turning, b=lean: at + t * (v + t * b), length, flow)
        finish_family_step(np.round(many * share).astype(np.int64), unit, couplings, length, family, work)
        now += length
    return share


SMOOTH = Rule(0.5, -0.8, 1.3, (Harmonic(1, 1.0, 0.8, 0.2, 0.3), Harmonic(2, 0.3, 0.5, 0.1, -0.4)))
"""Without a kink: q = 1/2."""


@pytest.mark.parametrize(("rule", "order"), [(Rule(), 4.0), (SMOOTH, 4.0), (TWO_WAYS, 3.0)], ids=str)
def test_steps_carry_the_mean_flow_in_fourth_order(rule, order):
    """Where q is not 1/2, a flow that turns round has a kink, and the order is between three and four."""
    share, phases, span = np.array([0.3, 0.45, 0.25]), np.array([0.3, 1.0, 2.0]), 1.0
    exact = solve_ivp(equations(TRIANGLE, rule), (0, span), np.concatenate([share, phases]), rtol=1e-12, atol=1e-13)
    steps = np.array([0.2, 0.1, 0.05, 0.025])
    found = [carried_by_kernel(rule, TRIANGLE, share, phases, span, step) - exact.y[:3, -1] for step in steps]
    errors = np.max(np.abs(found), axis=1)
    slopes = np.diff(np.log(errors)) / np.diff(np.log(steps))
    assert (np.log(errors[-1] / errors[0]) / np.log(steps[-1] / steps[0])) > order - 0.2, (errors, slopes)
    assert errors[1] < 2e-6


# --- the law of the process, far from its limit -------------------------------------------------------------------

COUNTS, PHASES, SPAN, RUNS = np.array([30, 20, 10]), np.array([0.0, 1.5, 4.0]), 1.2, 2000
FAR = {
    "quantum": Rule(),
    "q, two ways": TWO_WAYS,
    "r": Rule(q=0.3, r=-1.0),
    "r > 0": Rule(q=1.2, r=0.4, ratio=0.8),
    "printed": RULES["printed"],
}
NEIGHBOURS = {
    "q": (Rule(), Rule(q=0.75)),
    "r": (Rule(), Rule(r=0.2)),
    "ratio": (Rule(), Rule(ratio=1.6)),
    "offset of the other sign": (
        Rule(harmonics=(Harmonic(copy_offset=0.3, turn_offset=0.3),)),
        Rule(harmonics=(Harmonic(copy_offset=-0.3, turn_offset=-0.3),)),
    ),
    "second harmonic": (TWO_WAYS, Rule(0.6, -0.7, 1.5, TWO_WAYS.harmonics[:1])),
}


def assert_same_counts(found, expected):
    for label in range(3):
        verdicts.assert_same_law(found[:, label], expected[:, label], detects=0.12)


@pytest.mark.parametrize("rule", FAR.values(), ids=FAR)
def test_sixty_copies_follow_the_law_of_the_plain_process(rule):
    """Extinctions, skewness and all: at N = 60 nothing is near its limit. Sees 0.12 of distribution."""
    found = ensembles(rule, COUNTS, PHASES, SPAN, RUNS)
    plain = simulate_family(TRIANGLE, COUNTS, PHASES, SPAN, RUNS, rule, seed=1)
    assert_same_counts(found, plain)
    for label in range(3):
        extinct = int((found[:, label] == 0).sum()), int((plain[:, label] == 0).sum())
        assert stats.fisher_exact([extinct, [RUNS - extinct[0], RUNS - extinct[1]]]).pvalue > 1e-5


@pytest.mark.parametrize(("rule", "other"), NEIGHBOURS.values(), ids=NEIGHBOURS)
def test_the_statistics_tell_neighbouring_rules_apart(rule, other):
    """Controls that must fail: another power, another ratio, an offset of the other sign, a harmonic left out."""
    found = ensembles(rule, COUNTS, PHASES, SPAN, RUNS)
    plain = simulate_family(TRIANGLE, COUNTS, PHASES, SPAN, RUNS, other, seed=1)
    with pytest.raises(AssertionError, match="distance"):
        assert_same_counts(found, plain)


@pytest.mark.parametrize(("rule", "mode"), [(Rule(), 1.0), (RULES["printed"], -1.0)], ids=["smolin", "printed"])
def test_the_point_of_quantum_mechanics_is_the_kernel_of_quantum_mechanics(rule, mode):
    """In law, and without an error of order one: the printed rule is the copy offset pi."""
    couplings, theirs = couplings_of(TRIANGLE, 1.0), []
    for seed in range(RUNS):
        counts, unit = COUNTS.copy(), np.exp(-1j * PHASES)
        work = workspace(3, couplings.a.size)
        advance(counts, unit, couplings, 0.0, SPAN, 0.05, 0, mode, 2**60, words(seed + 10**6), work, None, event_log(0))
        theirs.append(counts)
    assert_same_counts(ensembles(rule, COUNTS, PHASES, SPAN, RUNS), np.array(theirs))


def test_the_point_of_quantum_mechanics_obeys_the_infidelity_law():
    """N E[1 - |<psi_N|psi>|^2] without a free parameter; a missing quarter would be seen."""
    copies, span = 20_000, 3.0
    counts = share_out(EVEN, copies)
    start = np.sqrt(counts / copies) * EVEN / np.abs(EVEN)
    law = infidelity_law(TRIANGLE, start, [0.0, span])[-1]
    path = mean_field(Experiment.of(TRIANGLE, start, [0.0, span]), counts / copies, -np.angle(EVEN))
    ket, samples = np.sqrt(path.frequency[-1]) * np.exp(-1j * path.phase[-1]), []
    for seed in range(800):
        done = run(Rule(), TRIANGLE, counts, -np.angle(EVEN), span, seed)
        ours = np.sqrt(done["counts"] / copies) * done["unit"]
        samples.append(copies * np.sum(np.abs(ours - np.vdot(ket, ours) * ket) ** 2))
    verdicts.assert_mean(samples, law, detects=0.25 * law)


@pytest.mark.parametrize("m", [0.3, 1.0])
def test_the_point_of_quantum_mechanics_dies_at_nodes_as_it_should(m):
    """Extinct at a resonant crossing with the chance exp(-m), m = N rho_min: all depends on the steps near the node."""
    copies = 1000
    x = 2 * np.sqrt(m / copies * (1 - m / copies))
    found = ensembles(Rule(), [500, 500], [0.0, np.arccos(x)], 2.6, 4000, HALF)  # psi_1/psi_0 = x - i sqrt(1 - x^2)
    verdicts.assert_share(int((found[:, 0] == 0).sum()), 4000, np.exp(-m), detects=0.06)


# --- exact statements ---------------------------------------------------------------------------------------------

QUARTER = [np.pi / 2, 0.0]  # theta = pi/2: copies of label 1 convert at the rate 2R = 1, unless q tells otherwise


def test_frozen_conversion_with_q_zero_is_a_decay():
    """Each copy of label 1 converts at the rate 1 whatever the others do: n_1 is Binomial(n_1(0), exp(-t))."""
    found = ensembles(FROZEN, [10, 20], QUARTER, 0.7, RUNS, HALF)[:, 1]
    verdicts.assert_counts(np.bincount(found, minlength=21), RUNS * stats.binom.pmf(np.arange(21), 20, np.exp(-0.7)))


def test_frozen_conversion_with_q_one_is_a_birth_process():
    """Each copy of label 0 is copied at the rate 1: n_0 is negative binomial, as Yule has it, while label 1 lasts."""
    found = ensembles(Rule(q=1.0, phases="frozen"), [5, 10_000], QUARTER, 0.7, RUNS, HALF)[:, 0]
    law = stats.nbinom(5, np.exp(-0.7))
    expected = np.append(law.pmf(np.arange(30)), law.sf(29)) * RUNS
    observed = np.bincount(np.minimum(found - 5, 30), minlength=31)
    verdicts.assert_counts(observed, expected)
    with pytest.raises(AssertionError, match="p ="):  # the control: q = 0 is another process
        verdicts.assert_counts(np.bincount(np.minimum(found - 5, 30), minlength=31), np.roll(expected, 1))


def test_harmonics_move_copies_in_both_directions_at_once():
    """With q = 0 a copy switches at 0.6 one way and at 0.2 the other: n_0 is binomial with the share 3/4 in the end."""
    series = (Harmonic(1, 0.6, 0.0), Harmonic(2, 0.2, 0.0, copy_offset=-np.pi / 2))
    rule = Rule(q=0.0, harmonics=series, phases="frozen")  # sin(pi/2) = 1 and sin(pi - pi/2) = 1 make one direction ...
    one_way = ensembles(rule, [30, 30], QUARTER, 3.0, 200, HALF)
    assert np.all(np.diff(one_way, axis=1) < 0)
    series = (Harmonic(1, 0.6, 0.0), Harmonic(2, 0.2, 0.0, copy_offset=np.pi / 2))  # ... and sin(3 pi/2) = -1 the other
    found = ensembles(Rule(q=0.0, harmonics=series, phases="frozen"), [30, 30], QUARTER, 20.0, RUNS, HALF)[:, 0]
    verdicts.assert_counts(np.bincount(found, minlength=61), RUNS * stats.binom.pmf(np.arange(61), 60, 0.75))


def test_frozen_phases_do_not_move_and_an_exact_pi_gives_no_rate():
    h = np.array([[3.0, 0.5], [0.5, -1.0]])
    done = run(FROZEN, h, [1000, 1000], [0.4, 0.0], 2.0, 1)
    assert done["unit"].tolist() == np.exp(-1j * np.array([0.4, 0.0])).tolist()
    assert done["done"][0] > 100
    couplings = couplings_of(-HALF, 1.0)
    for rule in (FROZEN, Rule(), RULES["printed"], Rule(harmonics=(Harmonic(2), Harmonic(5, copy_offset=-np.pi)))):
        work = family_workspace(2, 1, rule.family)
        for unit in ([1.0, 1.0], [1.0, -1.0]):
            start = np.array(unit, complex)
            counts = np.array([10**15, 10**15])
            assert begin_family_step(counts, start, couplings, 0.0, 0.05, rule.family, work)[1] == 0.0


def test_copies_are_conserved_and_support_never_grows():
    rng = np.random.default_rng(4)
    for seed in range(60):
        rule = random_rule(rng)
        x = rng.normal(size=(4, 4)) + 1j * rng.normal(size=(4, 4))
        counts = rng.integers(1, 100, 4)
        counts[rng.integers(4)] = 0
        floor = int(rng.integers(0, 3)) * 3
        done = run(rule, x + x.conj().T, counts, rng.uniform(0, 6, 4), 0.5, seed, named=True, log=10**5, floor=floor)
        after = done["counts"]
        assert after.sum() == counts.sum()
        assert np.all(after >= np.minimum(counts, floor))
        assert np.all(after[counts == 0] == 0)
        assert np.allclose(np.abs(done["unit"]), 1.0, atol=1e-12)
        assert np.bincount(done["roster"].beable, minlength=4).tolist() == after.tolist()
        lost, gained = (np.bincount(np.array(done["log"][k], int), minlength=4) for k in (3, 4))
        assert (counts - lost + gained).tolist() == after.tolist()


# --- the limit ----------------------------------------------------------------------------------------------------

NEAR = {
    "q": Rule(q=0.6),
    "q = 0": Rule(q=0.0, r=-0.8),
    "ratio, offsets": Rule(ratio=1.5, harmonics=(Harmonic(copy_offset=0.3, turn_offset=-0.2),)),
    "two harmonics": Rule(0.45, -0.6, 1.8, (Harmonic(), Harmonic(2, 0.3, -0.2, 0.8, 0.5))),
    "frozen": Rule(q=0.2, harmonics=(Harmonic(), Harmonic(2, 0.5)), phases="frozen"),
}


@pytest.mark.parametrize("name", NEAR)
def test_ensembles_converge_to_the_mean_field_with_the_root_of_the_number_of_copies(name):
    """The exponent is -1/2 within 4.5 errors (false alarm 1e-5), and the fit knows it to 0.03."""
    rule, span = NEAR[name], 2.0
    sizes, means, errors = [1e3, 1e4, 1e5, 1e6], [], []
    for copies, replicas in zip(sizes, (200, 100, 50, 20), strict=True):
        counts = share_out(EVEN, int(copies))
        experiment = Experiment.of(TRIANGLE, EVEN, [0.0, span])
        limit = mean_field(experiment, counts / copies, -np.angle(EVEN), rule)
        assert limit.frequency.min() > 0.05
        step = min(0.05, copies**-0.25)
        found = ensembles(rule, counts, -np.angle(EVEN), span, replicas, phase_step=step) / copies
        worst = np.abs(found - limit.frequency[-1]).max(axis=1)
        means.append(worst.mean())
        errors.append(worst.std(ddof=1) / np.sqrt(replicas))
    fit = fit_exponent(sizes, means, errors)
    assert fit.error < 0.03
    assert abs(fit.exponent + 0.5) < 4.5 * fit.error, fit
    other = Rule(rule.q + 0.1, rule.r, rule.ratio, rule.harmonics, rule.phases)
    away = mean_field(experiment, counts / copies, -np.angle(EVEN), other).frequency[-1]
    assert np.abs(found - away).max(axis=1).min() > 5 * means[-1]  # the control: the limit of another q is far off
