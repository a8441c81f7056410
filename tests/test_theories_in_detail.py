"""What theories of irreversibility are made of, piece by piece: equilibria, levels, steps, bounds, outcomes."""

import json
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr
from scipy.optimize import brentq

from copydyn import Experiment, Schedule, System
from copydyn.comparison.claims import Born
from copydyn.comparison.claims.copies import FALSE_ALARM, two_sided_binomial
from copydyn.results import result
from copydyn.systems import composite
from copydyn.theories import OQT, SUI, SUV
from copydyn.theories.irreversible import readings, trajectories
from copydyn.theories.irreversible.equilibrium import Window, equilibrium_of, report, warn_of_ambiguity, warn_of_edges
from copydyn.theories.irreversible.levels import levels_of
from copydyn.theories.irreversible.local import local_equilibrium
from copydyn.theories.irreversible.reduction import commutes, of_matrices, reduction_of, require_few_turns
from copydyn.theories.irreversible.trajectories import legs_of

ENERGIES = np.array([-1.3, -0.4, 0.1, 0.5, 1.2, 2.0])
WEIGHTS = np.array([0.05, 0.25, 0.2, 0.3, 0.12, 0.08])
CHARGE = np.array([2.0, 0.0, 2.0, 5.0, 0.0, 5.0])


def matrix(size, seed=5):
    rng = np.random.default_rng(seed)
    h = rng.normal(size=(size, size)) + 1j * rng.normal(size=(size, size))
    return 0.4 * (h + h.conj().T)


BASIS = np.linalg.eigh(matrix(6))[1]


def asked(energies=ENERGIES, times=(0.0, 0.4)):
    """Levels with these energies and `WEIGHTS` in a complex basis, and phases."""
    h = (BASIS * energies) @ BASIS.conj().T
    return Experiment.of(0.5 * (h + h.conj().T), BASIS @ (np.sqrt(WEIGHTS) * np.exp(1j * np.arange(6))), times)


def mean_of(weights, values):
    return weights @ values / weights.sum()


def inside(weights, energies, width):
    mean = mean_of(weights, energies)
    return np.abs(energies - mean) <= width * np.sqrt(mean_of(weights, (energies - mean) ** 2))


def boltzmann(energies, mean):
    def weights(slope):
        own = np.exp(-slope * (energies - energies.mean()))
        return own / own.sum()

    return weights(brentq(lambda slope: weights(slope) @ energies - mean, -50, 50, xtol=1e-14))


# ---- equilibria


@pytest.mark.parametrize("width", [0.7, 1.0, 2.1])
def test_chi_of_each_rule(width):
    mean = mean_of(WEIGHTS, ENERGIES)
    own = inside(WEIGHTS, ENERGIES, width)
    assert own.sum() == {0.7: 2, 1.0: 3, 2.1: 5}[width], "another window for each width"
    tilted = np.zeros(6)
    tilted[own] = boltzmann(ENERGIES[own], mean)
    for window, expected in (
        (Window(width=width), own / own.sum()),
        (Window("tilted", width), tilted),
        (Window("canonical", width), boltzmann(ENERGIES, mean)),
        (Window("given", weights=tuple(WEIGHTS[::-1])), WEIGHTS[::-1]),
    ):
        chi = equilibrium_of(asked(), window)
        np.testing.assert_allclose(chi.average, expected, atol=1e-10, err_msg=window.rule)
        np.testing.assert_array_equal(chi.window, np.flatnonzero(expected))


def test_chi_of_each_kind_of_sectors():
    """The charge is a matrix in a complex basis; each of its values has its own weights, means and windows."""
    charge = (BASIS * CHARGE) @ BASIS.conj().T
    charge = tuple(map(tuple, (0.5 * (charge + charge.conj().T)).tolist()))
    spread = CHARGE - mean_of(WEIGHTS, CHARGE)
    spread = np.abs(spread) <= 1.15 * np.sqrt(mean_of(WEIGHTS, spread**2))  # and another at a width of one
    both = inside(WEIGHTS, ENERGIES, 1.15) & spread
    assert 1 < both.sum() < inside(WEIGHTS, ENERGIES, 1.15).sum()
    found = equilibrium_of(asked(), Window(width=1.15, charge=charge, sectors="global"))
    np.testing.assert_allclose(found.average, both / both.sum(), atol=1e-12)
    for kind, width in (("own", 1.1), ("cut", 1.9)):
        expected, whole = np.zeros(6), inside(WEIGHTS, ENERGIES, width)
        for value in set(CHARGE):
            own = value == CHARGE
            chosen = own & whole if kind == "cut" else own.copy()
            if kind == "own":
                chosen[own] = inside(WEIGHTS[own], ENERGIES[own], width)
            expected += WEIGHTS[own].sum() * chosen / chosen.sum()
        found = equilibrium_of(asked(), Window(width=width, charge=charge, sectors=kind))
        np.testing.assert_allclose(found.average, expected, atol=1e-10, err_msg=kind)
        np.testing.assert_allclose(found.shares, [WEIGHTS[value == CHARGE].sum() for value in (0.0, 2.0, 5.0)])
        assert found.sector.tolist() == [1, 0, 1, 2, 0, 2]


def test_chi_of_shells_is_even_within_each():
    energies = np.array([-1.0, -1.0, 0.3, 0.3, 0.3, 1.2])
    found = equilibrium_of(asked(energies), Window(sectors="shells"))
    expected = np.concatenate([np.full(2, WEIGHTS[:2].sum() / 2), np.full(3, WEIGHTS[2:5].sum() / 3), WEIGHTS[5:]])
    np.testing.assert_allclose(found.average, expected, atol=1e-12)


@pytest.mark.parametrize("window", [Window(), Window("tilted"), Window("canonical"), Window(width=0.7)])
def test_a_report_says_what_chi_does(window):
    chi = equilibrium_of(asked(), window)
    told, average, own = report(chi), chi.average, chi.average > 0
    mean, ended = mean_of(WEIGHTS, ENERGIES), average @ ENERGIES
    before, after = WEIGHTS @ (ENERGIES - mean) ** 2, average @ (ENERGIES - ended) ** 2
    expected = [mean, before, ENERGIES[own].min(), ENERGIES[own].max(), own.sum(), WEIGHTS[~own].sum(), ended - mean]
    entropy = -average[own] @ np.log(average[own])
    np.testing.assert_allclose(told[:9], [*expected, after / before, entropy], atol=1e-9)
    crossed = -WEIGHTS @ np.log(np.where(own, average, 1e-300))
    assert told.overshoots == (crossed > entropy * (1 + 1e-9))
    for part in (f"<H> = {mean:.6g}, V = {before:.6g}", f"has {own.sum()} levels from {ENERGIES[own].min():.6g} to"):
        assert part in told.sentence
    assert (
        f"shifts by {ended - mean:.6g}, V becomes {after / before:.4g} of it" in told.sentence
        or abs(ended - mean) < 1e-9
    )
    assert f"{WEIGHTS[~own].sum():.4g} of its weight" in told.sentence
    assert ("the entropy overshoots" in told.sentence) == told.overshoots


def test_given_weights_sum_to_one_to_the_stated_tolerance(refuses):
    for off, taken in ((0.9e-9, True), (-0.9e-9, True), (1.2e-9, False), (-1.2e-9, False)):
        weights = WEIGHTS[::-1].copy()
        weights[0] += off
        window = Window("given", weights=tuple(weights))
        if taken:
            assert equilibrium_of(asked(), window).average.sum() == pytest.approx(1.0, abs=1e-15)
        else:
            refuses(lambda window=window: equilibrium_of(asked(), window), ValueError, "weights must sum to one")


def test_levels_on_an_edge_are_warned_of():
    """Both levels of an equal superposition lie on the edge of width one, and none on that of another width."""
    levels = levels_of(Experiment.of(np.diag([0.0, 1.0, 2.0]), np.sqrt([0.5, 0.0, 0.5]), [0.0]))
    windows = (Window(), True), (Window("tilted"), True), (Window("canonical"), False), (Window(width=1.001), False)
    for window, warned in windows:
        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("always")
            warn_of_edges(levels, window)
        assert bool(heard) is warned
        assert not warned or "the level of energy 0 lies on the edge" in str(heard[0].message)


# ---- levels


def test_levels_have_the_phases_of_the_rule():
    complex_one, real_one = asked(), Experiment.of(matrix(6).real, np.eye(6)[0], [0.0])
    for experiment, rule, settled in ((complex_one, "auto", "largest"), (real_one, "largest", "largest")):
        levels = levels_of(experiment, rule)
        largest = levels.vectors[np.abs(levels.vectors).argmax(axis=0), range(6)]
        np.testing.assert_allclose(largest, np.abs(largest), atol=1e-15)
        assert levels.phase_rule == settled
        h = np.asarray(experiment.system.hamiltonian)
        np.testing.assert_allclose((levels.vectors * levels.energies) @ levels.vectors.conj().T, h, atol=1e-13)
        np.testing.assert_allclose(levels.vectors @ levels.amplitudes, experiment.ket, atol=1e-13)
    assert levels_of(real_one, "auto").phase_rule == "real"


@pytest.mark.parametrize("kind", [OQT, SUI])
def test_the_rule_for_phases_is_handed_on(kind):
    rates = (0.5,) if kind is OQT else (0.5, 0.4)
    real = composite({"A": matrix(2, 1).real, "B": matrix(2, 2).real})
    experiment = Experiment.of(real.hamiltonian, np.eye(4)[0], [0.0, 0.1], parts=real.parts)
    for rule in ("real", "largest"):
        assert kind(*rates, phase_rule=rule, scheme="ensemble").evolve(experiment).attrs["phase_rule"] == rule
    found = OQT(0.5, phase_rule="largest", part="B", scheme="ensemble").evolve(experiment)
    assert found.attrs["phase_rule"] == "largest"


def test_vectors_within_a_degenerate_level_are_those_of_the_charge():
    """H is complex and has shells of three and two; the state is what it was."""
    energies = np.array([-1.0, -1.0, -1.0, 0.3, 0.3, 1.2])
    turn = np.eye(6, dtype=complex)
    turn[:3, :3], turn[3:5, 3:5] = np.linalg.eigh(matrix(3, 1))[1], np.linalg.eigh(matrix(2, 2))[1]
    vectors = BASIS @ turn
    values = np.array([0.3, 1.1, 2.2, -0.7, 0.9, 4.0])
    charge = (vectors * values) @ vectors.conj().T
    experiment = asked(energies)
    levels, found = levels_of(experiment).within_shells(0.5 * (charge + charge.conj().T), "charge")
    np.testing.assert_allclose(found, values, atol=1e-12)
    np.testing.assert_allclose(np.abs(levels.vectors.conj().T @ vectors), np.eye(6), atol=1e-8)
    np.testing.assert_allclose(levels.vectors @ levels.amplitudes, experiment.ket, atol=1e-13)


@pytest.mark.parametrize(("gap", "shells"), [(0.9e-8, 1), (1.2e-8, 2)])
def test_levels_closer_than_a_hundred_millionth_of_the_spread_are_one(gap, shells):
    energies = np.array([0.0, gap * 3.0, 3.0])
    found = levels_of(Experiment.of(np.diag(energies), np.sqrt([0.3, 0.3, 0.4]), [0.0])).shells()
    assert found.max() == shells


def test_degenerate_levels_are_warned_of_unless_a_charge_tells_them_apart():
    experiment = Experiment.of(np.diag([0.0, 0.0, 1.0]), np.sqrt([0.5, 0.3, 0.2]), [0.0, 0.1])
    own = Window(charge=(0.0, 1.0, 0.0), sectors="own", width=2.0)
    for window, heard in ((Window("given", weights=(0.5, 0.2, 0.3)), True), (own, False)):
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            warn_of_ambiguity(equilibrium_of(experiment, window), real=True, chosen=True)
        assert bool(said) is heard


# ---- what is taken for rounding


@pytest.mark.parametrize(("off", "taken"), [(0.9e-10, True), (1.2e-10, False)])
def test_a_part_that_interacts_by_rounding_is_alone(refuses, off, taken):
    alone = composite({"A": np.diag([0.0, 2.0]), "B": np.diag([0.0, 1.0])})
    h = alone.hamiltonian.toarray()
    h[0, 3] = h[3, 0] = off * 3.0
    experiment = Experiment.of(h, np.eye(4)[0], [0.0, 1.0], parts=alone.parts)
    if taken:
        assert local_equilibrium(experiment, "A", Window()).chi.levels.size == 2
    else:
        refuses(lambda: local_equilibrium(experiment, "A", Window()), ValueError, "must not interact with the rest")


@pytest.mark.parametrize(("off", "taken"), [(0.9e-12, True), (1.2e-12, False)])
def test_elements_between_blocks_may_be_rounding(off, taken):
    h = np.array([[2.0, 1.0, 0.0], [1.0, 0.5, 2 * off], [0.0, 2 * off, 1.0]])
    blocks = of_matrices([np.diag([1.0, 1, 0]), np.diag([0, 0, 1.0])], 3)
    assert commutes(h, blocks) is taken


@pytest.mark.parametrize(("off", "taken"), [(0.8e-9, True), (1.3e-9, False)])
def test_projectors_may_be_off_by_rounding(refuses, off, taken):
    """Each rule by itself: P P = P, overlap, and completeness."""
    p, q = np.diag([1.0, 0.0]), np.diag([0.0, 1.0])
    tilted = np.array([[1.0, off], [off, 0.0]])
    for projectors in ([(1 + off) * p, q], [tilted, q]):
        if taken:
            assert of_matrices(projectors, 2).blocks == 2
        else:
            refuses(lambda given=projectors: of_matrices(given, 2), ValueError, "must be idempotent|overlap|complete")


def test_an_ensemble_may_turn_as_often_as_is_said(refuses):
    require_few_turns(1e7)
    refuses(lambda: require_few_turns(1.000001e7), ValueError, r"at most 1e\+07 turns")
    h, psi = np.array([[0.0, 1.0], [1.0, 0.0]]), [1.0, 0.0]
    for theory in (SUV(0.5), SUI(0.0, 0.5)):  # 2 of H, 1 of collapse
        theory.require(Experiment.of(h, psi, [0.5, 0.5 + 0.99e7 / 3]), 1)
        late = Experiment.of(h, psi, [0.5, 0.5 + 1.01e7 / 3])
        refuses(lambda theory=theory, late=late: theory.require(late, 1), ValueError, "at most 1e[+]07 turns")


# ---- steps


def test_ways_are_cut_into_even_steps_and_short_legs(monkeypatch, refuses):
    monkeypatch.setattr(trajectories, "WORK", 100)
    legs = legs_of(np.array([1.0, 2.0, 2.75]), 0.1, 20)
    assert [leg.steps for leg in legs] == [5, 5, 5, 3]
    assert [leg.save for leg in legs] == [-1, 1, -1, 2]
    np.testing.assert_allclose([leg.dt for leg in legs], [0.1, 0.1, 0.75 / 8, 0.75 / 8])
    assert [leg.steps for leg in legs_of(np.array([0.0, 1.0]), np.inf, 1)] == [1]
    monkeypatch.setattr(trajectories, "MOST_STEPS", 10)
    assert len(legs_of(np.array([0.0, 1.0]), 0.1, 10)) == 1
    refuses(lambda: legs_of(np.array([0.0, 1.0]), 0.099, 10), ValueError, "at most 1e[+]01 steps, but would take 11")
    refuses(lambda: legs_of(np.array([0.0, 1.0]), 0.0, 10), ValueError, "steps")


def test_results_have_room_up_to_the_bound(monkeypatch, refuses):
    monkeypatch.setattr(trajectories, "MOST_NUMBERS", 24)
    trajectories.require_room(asked(), 2, 6)
    refuses(lambda: trajectories.require_room(asked(), 3, 6), ValueError, "replicas times save times times labels")
    for theory in (OQT(0.5, phase_rule="largest"), SUV(0.5), SUI(0.5, 0.5, phase_rule="largest")):
        theory.require(asked(), 2)
        refuses(lambda theory=theory: theory.require(asked(), 3), ValueError, "replicas times save times times labels")


def test_matrices_are_followed_up_to_their_bound(refuses):
    def of(size, times):
        return SimpleNamespace(system=SimpleNamespace(size=size), tlist=np.zeros(times))

    assert readings.followed(of(256, 64), "splitting")
    assert not readings.followed(of(257, 1), "splitting")
    assert not readings.followed(of(256, 65), "splitting")
    assert readings.followed(of(256, 64), "ensemble")
    refuses(lambda: readings.followed(of(256, 65), "ensemble"), ValueError, "up to 256 beables and 2.22 entries")


@pytest.mark.parametrize("kind", [SUV, SUI])
def test_without_matrices_the_probability_is_the_mean_of_the_runs(monkeypatch, kind):
    monkeypatch.setattr(readings, "MOST_BEABLES", 5)
    theory = SUV(0.9) if kind is SUV else SUI(0.4, 0.9, phase_rule="largest")
    found = theory.evolve(asked(), seed=3, replicas=7)
    expected = (np.abs(found.state.values) ** 2).mean(axis=0)
    np.testing.assert_allclose(found.probability, expected, rtol=1e-12)
    np.testing.assert_allclose(found.probability.sum("beable"), 1.0, rtol=1e-12)
    assert found.attrs["probability_of"] == result.TRAJECTORIES
    assert "density_matrix" not in found


def test_energies_and_operators_of_each_run_are_its_own():
    operator = matrix(6, 8)
    experiment = Experiment(asked().system, asked().preparation, Schedule([0.0, 0.4], {"a": operator}))
    h = np.asarray(experiment.system.hamiltonian)
    for theory in (OQT(0.9, phase_rule="largest"), SUV(0.9), SUI(0.4, 0.9, scheme="jumps", phase_rule="largest")):
        found = theory.evolve(experiment, seed=3, replicas=4)
        kets = found.state.values
        for one, values in ((h, found.energy.values), (operator, found.expect.values[..., 0])):
            np.testing.assert_allclose(values, np.einsum("rta,ab,rtb->rt", kets.conj(), one, kets).real, atol=1e-12)
        assert found.attrs["seed"] == 3
        assert found.attrs["replicas"] == 4


def test_what_a_theory_of_collapse_says_of_itself():
    still, moving = Experiment.of(np.diag([0.1, 0.4, 0.9]), [0.6, 0.8, 0.0], [0.0, 1.0]), asked()
    about = SUV(0.5, scheme="ensemble").evolve(still).attrs["about"]
    assert about == "3 projectors of rank 1; H commutes with them: outcomes keep their weights"
    groups = [["0", "1", "2"], ["3"], ["4", "5"]]
    about = SUV(0.5, groups, scheme="ensemble").evolve(moving).attrs["about"]
    assert about == "3 projectors of ranks 1 to 3; H does not commute with them: weights and energy drift"
    weights = json.loads(SUV(0.5, groups, scheme="ensemble").evolve(moving).attrs["outcome_weights"])
    share = np.abs(moving.ket) ** 2
    np.testing.assert_allclose(weights, [share[:3].sum(), share[3], share[4:].sum()])


def test_a_pointer_of_three_outcomes_is_numbered_as_they_come():
    system = System(matrix(12), parts=(("A", 3), ("B", 2), ("C", 2)))
    assert reduction_of(system, "pointer").block.tolist() == [0, 1, 1, 2] * 3


# ---- Born's statistics


def outcomes(counts, weights, first=None):
    """A result of runs that end with these numbers of outcomes."""
    last = np.repeat(np.arange(len(counts)), counts)
    early = np.zeros_like(last) if first is None else first
    data = {"outcome": (("replica", "time"), np.stack([early, last], axis=1).astype(np.int32))}
    return xr.Dataset(data, {"time": [0.0, 1.0]}, {"outcome_weights": json.dumps(list(weights))})


def just_off(runs, weight, least, most):
    """A number of outcomes whose chance lies between the two bounds."""
    return next(n for n in range(int(runs * weight), runs) if least < two_sided_binomial(n, runs, weight) < most)


@pytest.mark.parametrize("impossible", [0, 30])
def test_of_ten_outcomes_the_least_likely_is_ten_times_likelier(impossible):
    """One count of ten is off with a chance between a tenth of the bound and the bound, and that is no finding.

    Alone among two outcomes it would be one, and so it is at a chance below a tenth of the bound; outcomes that cannot
    come are no tests.
    """
    runs, weights = 20_000, np.full(10, 0.1)
    for least, most, follows in (
        (0.15 * FALSE_ALARM, 0.9 * FALSE_ALARM, True),
        (0.03 * FALSE_ALARM, 0.09 * FALSE_ALARM, False),
    ):
        high = just_off(runs, 0.1, least, most)
        rest = np.full(9, (runs - high) // 9)
        rest[0] += runs - high - rest.sum()
        found = outcomes([high, *rest, *[0] * impossible], [*weights, *[0.0] * impossible])
        assert Born().judge(found, found).holds is follows
        assert Born(breaks=True).judge(found, found).holds is not follows
        pair = outcomes([high, runs - high], [0.1, 0.9])
        assert not Born().judge(pair, pair).holds


def test_two_outcomes_are_one_test():
    runs = 20_000
    high = just_off(runs, 0.3, 1.02 * FALSE_ALARM, 1.9 * FALSE_ALARM)
    found = outcomes([high, runs - high], [0.3, 0.7])
    assert Born().judge(found, found).holds
    high = just_off(runs, 0.3, 0.5 * FALSE_ALARM, 0.98 * FALSE_ALARM)
    found = outcomes([high, runs - high], [0.3, 0.7])
    assert not Born().judge(found, found).holds


def test_outcomes_are_those_of_the_last_save_time():
    right = outcomes([300, 700], [0.3, 0.7], first=np.ones(1000, int))
    assert Born().judge(right, right).holds
    wrong = outcomes([1000, 0], [0.3, 0.7], first=np.repeat([0, 1], [300, 700]))
    assert not Born().judge(wrong, wrong).holds
    assert "the shares 0.3, 0.7 where Born's rule gives 0.3, 0.7" in Born().judge(right, right).sentence
