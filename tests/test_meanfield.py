"""The limit of infinitely many copies: against Schrödinger, against a plain integration, and its exact statements."""

import numpy as np
import pytest
from plain_family import equations
from scipy.integrate import solve_ivp
from scipy.linalg import expm

from copydyn.experiment import Experiment
from copydyn.theories.copies import meanfield
from copydyn.theories.copies.meanfield import mean_field
from copydyn.theories.copies.rules import RULES, Harmonic, Rule

TRIANGLE = np.array([[0.0, 0.5 + 0.2j, 0.4 - 0.3j], [0.5 - 0.2j, 0.4, 0.3 + 0.4j], [0.4 + 0.3j, 0.3 - 0.4j, -0.3]])
EVEN = np.array([0.6, 0.6 * np.exp(3.9j), np.sqrt(0.28) * np.exp(1.2j)])  # stays above |psi_a|^2 = 0.16 for t <= 6
RESONANT = np.array([[0.0, 0.5], [0.5, 0.0]])
WEINBERG = Rule(harmonics=(Harmonic(1, 1, 1, 0.2, 0.2), Harmonic(2, 0.4, 0.2, -0.5, -0.5)))
"""ratio copying_m = 2 m turning_m and equal offsets: the flow of a Hamiltonian function, but of no Hermitian matrix."""

RULES_AWAY_FROM_NODES = {
    "q": Rule(q=0.6),
    "q = 0": Rule(q=0.0),
    "r": Rule(r=-1.0),
    "ratio": Rule(ratio=1.5),
    "second harmonic": WEINBERG,
    "all": Rule(0.4, -0.6, 2.5, (Harmonic(1, 1.0, 1.0, 0.3, 0.2), Harmonic(3, 0.3, -0.2, 0.4, -0.7))),
}


def follow(h, ket, tlist, rule=None, **settings):
    ket = np.asarray(ket, complex)
    return mean_field(Experiment.of(h, ket, tlist), np.abs(ket) ** 2, -np.angle(ket), rule, **settings)


def kets_of(found):
    return np.sqrt(found.frequency) * np.exp(-1j * np.nan_to_num(found.phase))


# --- Smolin's rule is quantum mechanics ---------------------------------------------------------------------------


def test_smolins_mean_field_is_schroedingers_equation():
    tlist = np.linspace(0, 6, 25)
    kets = np.array([expm(-1j * TRIANGLE * t) @ EVEN for t in tlist])
    assert np.abs(kets_of(follow(TRIANGLE, EVEN, tlist)) - kets).max() < 1e-10


def test_large_random_systems_and_hbar():
    rng = np.random.default_rng(3)
    for size, hbar in ((2, 1.0), (5, 0.5), (12, 3.0)):
        x = rng.normal(size=(size, size)) + 1j * rng.normal(size=(size, size))
        h = x + x.conj().T
        ket = np.exp(2j * np.pi * rng.random(size)) / np.sqrt(size)
        tlist = np.linspace(0.5, 0.5 + 0.4 * hbar / np.sqrt(size), 7)
        kets = np.array([expm(-1j * h * (t - 0.5) / hbar) @ ket for t in tlist])
        assert np.abs(kets).min() > 0.03  # away from nodes
        found = mean_field(Experiment.of(h, ket, tlist, hbar=hbar), np.abs(ket) ** 2, -np.angle(ket))
        assert np.abs(kets_of(found) - kets).max() < 1e-9


def test_pulses_begin_afresh():
    train = [(1.0, TRIANGLE), (0.7, np.diag([0.5, 0.0, -0.5])), (2.0, -TRIANGLE)]
    tlist = np.array([0.3, 0.9, 1.2, 2.5, 3.7])
    ket, kets = EVEN, [EVEN]
    for path in ([(0, 0.6)], [(0, 0.1), (1, 0.2)], [(1, 0.5), (2, 0.8)], [(2, 1.2)]):  # (pulse, for how long)
        for pulse, span in path:
            ket = expm(-1j * train[pulse][1] * span) @ ket
        kets.append(ket)
    assert np.abs(kets_of(follow(train, EVEN, tlist)) - kets).max() < 1e-10


def test_path_close_to_a_node_is_followed():
    """|psi_0|^2 comes down to 1e-6; what is lost is the tolerance over the amplitude."""
    x = 2 * np.sqrt(1e-6)
    ket = np.array([1.0, x - 1j * np.sqrt(1 - x * x)]) / np.sqrt(2)
    tlist = np.linspace(0, 4, 33)
    kets = np.array([expm(-1j * RESONANT * t) @ ket for t in tlist])
    assert np.abs(kets_of(follow(RESONANT, ket, tlist)) - kets).max() < 1e-8


def test_empty_labels_stay_empty_and_the_rest_obeys_the_projected_hamiltonian():
    ket = np.array([0.6, 0.0, 0.8j])
    projected = TRIANGLE.copy()
    projected[1, :] = projected[:, 1] = 0.0
    tlist = np.linspace(0, 1, 5)
    found = follow(TRIANGLE, ket, tlist)
    assert np.all(found.frequency[:, 1] == 0.0)
    assert np.all(np.isnan(found.phase[:, 1]))
    kets = np.array([expm(-1j * projected * t) @ ket for t in tlist])
    assert np.abs(kets_of(found) - kets).max() < 1e-10
    alone = follow(TRIANGLE, [0, 1, 0], tlist)
    assert alone.frequency[:, 1].tolist() == [1.0] * 5
    assert np.allclose(alone.phase[:, 1], 0.4 * tlist, atol=1e-12)


# --- the family ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", RULES_AWAY_FROM_NODES.values(), ids=RULES_AWAY_FROM_NODES)
def test_mean_field_is_a_plain_integration(rule):
    tlist = np.linspace(0, 3, 7)
    found = follow(TRIANGLE, EVEN, tlist, rule)
    start = np.concatenate([np.abs(EVEN) ** 2, -np.angle(EVEN)])
    plain = solve_ivp(equations(TRIANGLE, rule), (0, 3), start, t_eval=tlist, method="LSODA", rtol=1e-11, atol=1e-12)
    assert plain.y[:3].min() > 0.01
    assert np.abs(found.frequency - plain.y[:3].T).max() < 2e-8
    assert np.abs(np.exp(1j * found.phase) - np.exp(1j * plain.y[3:].T)).max() < 1e-6
    quantum = follow(TRIANGLE, EVEN, tlist).frequency
    assert np.abs(found.frequency - quantum).max() > 0.01  # the control: each of these is another theory


def test_printed_rule_runs_copies_backwards():
    early = follow(TRIANGLE, EVEN, [0.0, 1e-3], RULES["printed"]).frequency
    right = follow(TRIANGLE, EVEN, [0.0, 1e-3]).frequency
    assert np.allclose(early[1] - early[0], -(right[1] - right[0]), rtol=1e-2)


def test_frozen_phases_convert_at_constant_rates():
    """At q = 0, with phases frozen at theta = pi/2, each copy of label 1 converts at the rate 2R on its own."""
    h = np.array([[3.0, 0.5], [0.5, -1.0]])
    tlist = np.linspace(0, 30, 7)
    found = follow(h, [0.6, 0.8j], tlist, Rule(q=0.0, phases="frozen"))
    phases = -np.angle([0.6, 0.8j])
    assert phases[0] - phases[1] == np.pi / 2
    assert np.allclose(found.frequency[:, 1], 0.64 * np.exp(-tlist), rtol=1e-9, atol=0)
    assert np.all(found.phase == np.mod(phases, 2 * np.pi))


def energy(found, rule):
    """h(rho, phi) with d phi/dt = dh/d rho for r = -1/2: (55) with all harmonics."""
    total = found.frequency @ np.diag(TRIANGLE).real
    for a, b in ((0, 1), (0, 2), (1, 2)):
        theta = found.phase[:, a] - found.phase[:, b] + np.angle(TRIANGLE[a, b])
        series = sum(m.turning * np.cos(m.order * theta + m.turn_offset) for m in rule.harmonics)
        total += 2 * np.sqrt(found.frequency[:, a] * found.frequency[:, b]) * np.abs(TRIANGLE[a, b]) * series
    return total


def test_energy_is_conserved_where_copying_is_the_derivative_of_turning():
    tlist = np.linspace(0, 6, 25)
    for rule, conserved in ((Rule(), True), (WEINBERG, True), (Rule(ratio=1.5), False), (Rule(q=0.6), False)):
        along = energy(follow(TRIANGLE, EVEN, tlist, rule), rule)
        assert (np.ptp(along) < 1e-9) == conserved, rule
        assert conserved or np.ptp(along) > 0.01


@pytest.mark.parametrize("ratio", [1.0, 1.5, 3.0])
def test_two_resonant_levels_conserve_something_at_every_ratio(ratio):
    """(rho_0 rho_1)^(R/R') cos theta: its derivative along the path vanishes; <H>, its square root at 2, does not."""
    ket = np.sqrt([0.7, 0.3]) * np.exp([0.0, -1.0j])
    found = follow(RESONANT, ket, np.linspace(0, 20, 41), Rule(ratio=ratio))
    weight, cosine = found.frequency.prod(axis=1), np.cos(found.phase[:, 0] - found.phase[:, 1])
    assert np.ptp(weight ** (1 / ratio) * cosine) < 1e-11
    assert np.ptp(np.sqrt(weight) * cosine) > 0.04


def reversed_rule(rule):
    """Reverse the offsets with the deltas, which are phases of the same kind; H is reversed elsewhere."""
    turned = [Harmonic(m.order, m.copying, m.turning, -m.copy_offset, -m.turn_offset) for m in rule.harmonics]
    return Rule(rule.q, rule.r, rule.ratio, tuple(turned))


def echo(rule, span=2.0):
    """How far a path is from its start after a reversal half-way."""
    out = follow(TRIANGLE, EVEN, [0.0, span], rule)
    ket = np.sqrt(out.frequency[-1]) * np.exp(1j * out.phase[-1])
    back = follow(TRIANGLE.conj(), ket, [0.0, span], reversed_rule(rule))
    return np.abs(back.frequency[-1] - np.abs(EVEN) ** 2).max()


def test_time_reversal_asks_for_q_one_half_and_for_nothing_else():
    """Section 2.4 of the paper: of the hypotheses, time reversal fixes q, and r, R'/R and the harmonics are free."""
    for rule in (Rule(), Rule(r=-1.0), Rule(ratio=1.5), WEINBERG, Rule(0.5, -0.7, 1.8, WEINBERG.harmonics)):
        assert echo(rule) < 1e-9, rule
    for rule in (Rule(q=0.6), Rule(q=0.45), Rule(q=0.0)):
        assert echo(rule) > 0.01, rule


# --- what cannot be followed --------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", [Rule(), Rule(q=0.7), Rule(q=2.0), Rule(r=0.5)], ids=str)
def test_a_node_is_refused_with_its_time(rule, refuses):
    sentence = refuses(
        lambda: follow(RESONANT, [0.8, 0.6j], np.linspace(0, 10, 11), rule), ValueError, "meets one of label"
    )
    assert "'1' near time" in sentence
    if rule == Rule():
        assert f"near time {2 * np.arctan(0.75):.5g}" in sentence  # sin(alpha - t/2) = 0


def test_a_path_that_takes_for_ever_is_given_up(monkeypatch, refuses):
    monkeypatch.setattr(meanfield, "MOST_EVALUATIONS", 500)
    refuses(lambda: follow(TRIANGLE, EVEN, [0.0, 1e6]), ValueError, "in 500 evaluations .* come to time [0-9]")
