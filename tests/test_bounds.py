"""Every bound of what may be handed in: what lies at it is taken, and what lies beside it is refused.

A bound is tried from both sides, and at the bound itself where that is a number: `<` for `<=`, another power of ten,
and a bound that is looked at on one side only are all seen.
"""

import copy
import math
import pickle

import numpy as np
import pytest
from scipy import sparse

import copydyn.experiment.inputs as given
import qm_reference.inputs as theirs
from copydyn import Experiment, Preparation, Schedule, System, copysolve
from copydyn.refusal import BadType, BadValue, Refusal, did_you_mean
from copydyn.theories import OQT, SUI, SUV, ColouredSUV, CopyDynamics, Schrodinger
from copydyn.theories import settings as of_copies
from copydyn.theories.copies.leaps import FEWEST, FINEST_LEAP, LARGEST_FEW, LONGEST_LEAP
from copydyn.theories.copies.rules import RULES, Rule
from copydyn.theories.irreversible import settings
from copydyn.theories.irreversible.equilibrium import Window
from copydyn.theories.irreversible.signalling import state_of
from copydyn.theories.irreversible.thermodynamics import as_density
from qm_reference import mesolve, sesolve

INF, NAN = math.inf, math.nan
PAIR = np.array([[0.3, 0.5 + 0.2j], [0.5 - 0.2j, -0.3]])
LARGE = 1e3 * PAIR
KET = np.array([0.6, 0.8j])


def off(matrix, by):
    """One element above the diagonal is off by so much."""
    bent = matrix.copy()
    bent[0, 1] += by
    return bent


BOUNDS = [
    # what is asked, taken, refused
    (lambda x: CopyDynamics(100, phase_spread=x), (0.0, 1e6, INF), (-1e-300, 1.000001e6, -INF, NAN)),
    (lambda x: CopyDynamics(100, phase_step=x), (1e-7, 0.2), (0.99e-7, 0.2000001, 0.0, -0.1)),
    (lambda x: CopyDynamics(100, few=x), (FEWEST, LARGEST_FEW), (FEWEST - 1, LARGEST_FEW + 1)),
    (lambda x: CopyDynamics(100, leap_step=x), (FINEST_LEAP, LONGEST_LEAP), (0.99 * FINEST_LEAP, 0.0)),
    (lambda x: CopyDynamics(100, admixture=(x, KET)), (0.0, 0.999999), (-1e-12, 1.0)),
    (lambda x: CopyDynamics(x), (1, 2**62), (0, 2**62 + 1)),
    (lambda x: OQT(x), (0.0, 1e-300), (-1e-300, INF, NAN)),
    (lambda x: OQT(1.0, degrees=x), (1e-300,), (0.0, -1.0)),
    (lambda x: OQT(1.0, step=x), (1.0, 1e-12), (1.0000001, 0.0, -0.1)),
    (lambda x: OQT(1.0, Window(width=x)), (1e-300,), (0.0, -1.0)),
    (lambda x: SUV(x), (0.0,), (-1e-300,)),
    (lambda x: SUV(1.0, step=x), (1.0,), (1.0000001, 0.0)),
    (lambda x: SUV(1.0, degrees=x), (1e-300,), (0.0,)),
    (lambda x: SUI(x, 1.0), (0.0,), (-1e-300,)),
    (lambda x: SUI(1.0, x), (0.0,), (-1e-300,)),
    (lambda x: SUI(1.0, 1.0, step=x), (1.0,), (1.0000001, 0.0)),
    (lambda x: SUI(1.0, 1.0, degrees=x), (1e-300,), (0.0,)),
    (lambda x: ColouredSUV(x), (0.0,), (-1e-300,)),
    (lambda x: ColouredSUV(1.0, drift=x), (0.0,), (-1e-300,)),
    (lambda x: ColouredSUV(1.0, memory=x), (1e-300,), (0.0,)),
    (lambda x: ColouredSUV(1.0, step=x), (1e-300, 5.0), (0.0,)),
    (lambda x: given.as_whole(x, "n", least=3, most=7), (3, 7, 3.0, 7.0), (2, 8, 2.0, 8.0, 3.5)),
    (lambda x: given.as_whole(x, "n"), (0, 10**30), (-1,)),
    (lambda x: given.as_real(x, "x"), (-1e308, 0, np.float32(2)), (INF, -INF, NAN, 10**400, -(10**400))),
    (lambda x: given.as_real(x, "x", positive=True), (5e-324,), (0.0, -0.0, -5e-324)),
    (lambda x: given.as_times([x, 1.0]), (0.0, 0.999999), (-1e-300, 1.0, 1.5)),
    (
        lambda x: given.as_hermitian(off(PAIR, x * abs(PAIR).max())),
        (0.99e-10, -0.99e-10, 0.99e-10j),
        (1.01e-10, 1.01e-10j),
    ),
    (lambda x: given.as_hermitian(off(LARGE, x * abs(LARGE).max())), (0.99e-10,), (1.01e-10,)),
    (lambda x: given.as_hermitian(sparse.csr_array(off(PAIR, x * abs(PAIR).max()))), (0.99e-10,), (1.01e-10,)),
    (lambda x: given.as_unitary(np.diag([1.0, np.sqrt(1 + x)])), (0.99e-10, -0.99e-10), (1.01e-10, -1.01e-10)),
    (lambda x: given.as_unitary([[1.0, x], [0.0, 1.0]]), (0.99e-10,), (1.01e-10,)),
    (lambda x: given.as_ket([0.6 * np.sqrt(1 + x), 0.8 * np.sqrt(1 + x)], 2), (0.99e-8, -0.99e-8), (1.01e-8, -1.01e-8)),
    (lambda x: as_density(np.diag([0.5, 0.5 + x])), (0.99e-9, -0.99e-9), (1.01e-9, -1.01e-9)),
    (lambda x: as_density(np.diag([1.0 + x, -x])), (0.99e-9,), (1.01e-9,)),
]
REFERENCES = [
    (lambda x: theirs.as_hermitian(off(PAIR, x * abs(PAIR).max()), "H"), (0.99e-10, 0.99e-10j), (1.01e-10, 1.01e-10j)),
    (lambda x: theirs.as_hermitian(sparse.csr_array(off(LARGE, x * abs(LARGE).max())), "H"), (0.99e-10,), (1.01e-10,)),
    (
        lambda x: theirs.as_ket([0.6 * np.sqrt(1 + x), 0.8 * np.sqrt(1 + x)], 2),
        (0.99e-8, -0.99e-8),
        (1.01e-8, -1.01e-8),
    ),
    (lambda x: theirs.as_density(np.diag([0.5, 0.5 + x]), 2), (0.99e-8, -0.99e-8), (1.01e-8, -1.01e-8)),
    (lambda x: theirs.as_density(np.diag([1.0 + x, -x]), 2), (0.99e-8,), (1.01e-8,)),
    (lambda x: theirs.as_tolerance(x), (1e-13, 0.999999), (0.99e-13, 1.0, 0.0)),
    (lambda x: theirs.as_positive(x, "hbar"), (5e-324, 1e308), (0.0, -1.0, INF, NAN)),
    (lambda x: sesolve([(1.0, PAIR), (2.0, PAIR)], KET, [0.0, 3.0 * (1 + x)]), (0.0, 0.9e-12), (1.2e-12,)),
    (lambda x: sesolve(PAIR, KET, [x, 1.0]), (0.0, 0.999999), (-1e-300, 1.0, 1.5)),
    (lambda x: mesolve(PAIR, KET, [x, 1.0]), (0.0, 0.999999), (-1e-300, 1.0, 1.5)),
    (lambda x: sesolve(np.diag([1.0, -1.0]), KET, [0.5, 0.5 + x * 2.0**51 * 1e-12], tol=1e-12), (0.999,), (1.001,)),
    (
        lambda x: sesolve(np.diag([1.0, -1.0]), KET, [0.0, x * 0.9 * 2.0**51 * 1e-12], tol=1e-12, hbar=0.9),
        (0.99,),
        (1.01,),
    ),
    (lambda x: mesolve(np.diag([1.0, -1.0]), KET, [0.5, 0.5 + x * 2.0**50 * 1e-12], tol=1e-12), (0.999,), (1.001,)),
]


@pytest.mark.parametrize("number", range(len(BOUNDS)))
def test_bounds_of_what_is_handed_in(refuses, number):
    ask, taken, refused = BOUNDS[number]
    for value in taken:
        ask(value)
    for value in refused:
        refuses(lambda value=value: ask(value), ValueError, "must")


@pytest.mark.parametrize("number", range(len(REFERENCES)))
def test_bounds_of_what_the_reference_is_handed(number):
    ask, taken, refused = REFERENCES[number]
    for value in taken:
        ask(value)
    for value in refused:
        with pytest.raises(ValueError, match="must"):
            ask(value)


# ---- parameters of copies


def test_a_longer_leap_than_the_longest_is_shortened_and_said():
    with pytest.warns(RuntimeWarning, match=f"it is shortened to {LONGEST_LEAP:g}"):
        assert CopyDynamics(100, leap_step=2 * LONGEST_LEAP).leap_step == LONGEST_LEAP
    assert CopyDynamics(100, leap_step=0.3).leap_step == 0.3
    assert of_copies.as_leap_step(None) is None
    assert of_copies.as_phase_step(None) is None
    assert of_copies.as_few(None) is None


def test_rules_have_names_where_they_are_known():
    for name, rule in RULES.items():
        assert of_copies.as_rule(rule) == name
        assert of_copies.rule_of(name) is rule
    other = Rule(q=0.4)
    assert of_copies.as_rule(other) is other
    assert of_copies.rule_of(other) is other


def test_rows_and_admixtures_are_told_in_numbers(refuses):
    assert of_copies.as_rows([3, 1.0]) == (3, 1)
    assert of_copies.as_admixture(None) is None
    assert of_copies.as_admixture([0.25, KET[:, None]]) == (0.25, (0.6 + 0j, 0.8j))
    refuses(lambda: of_copies.as_rows(b"ab"), TypeError, "follow must be a sequence")
    refuses(lambda: of_copies.as_admixture((0.1, KET, 1)), TypeError, "admixture must be a pair")


def test_parameters_are_told_as_a_file_can_hold_them():
    told = of_copies.parameters_of(OQT(1, Window(charge=(1.0, 2.0), sectors="own"), part=""))
    assert told["theory_rate"] == 1.0
    assert told["theory_window"] == "window"
    assert told["theory_charge"] == "(1.0, 2.0)"
    assert "theory_part" not in told
    assert [of_copies.plain(value) for value in (True, np.True_, 2, 0.5, "a", (1,), None)] == [
        1,
        1,
        2,
        0.5,
        "a",
        "(1,)",
        "None",
    ]
    assert type(of_copies.plain(True)) is int


# ---- parameters of irreversibility


@pytest.mark.parametrize(
    ("step", "scheme", "warned"), [(0.1, "channel", False), (0.1001, "channel", True), (1.0, "jumps", False)]
)
def test_coarse_steps_are_warned_of_beyond_a_tenth(recwarn, step, scheme, warned):
    settings.warn_of_coarse_steps(step, scheme, "right")
    assert [str(one.message).endswith("right.") for one in recwarn] == [True] * warned


def test_the_longest_step_obeys_every_rate_and_turn():
    assert settings.longest_step(0.1, 0.0) == INF
    assert settings.longest_step(0.1, 0.0, 0.0, 2.0) == 0.05
    assert settings.longest_step(0.1, 5.0, 2.0, 1.0) == 0.04
    assert settings.longest_step(0.1, 1.0, 4.0, 2.0) == 0.025


def test_windows_have_names():
    assert settings.as_window("canonical") == Window("canonical")
    assert settings.as_window(window := Window(width=2.0)) is window
    assert OQT(1.0, "tilted").window == Window("tilted")


def test_projectors_can_be_compared_and_named():
    assert settings.as_projectors([["0", "1"], ["2"]]) == (("0", "1"), ("2",))
    assert settings.as_projectors([np.diag([1.0, 0.0])]) == (((1, 0), (0, 0)),)
    assert SUV(1.0, [["0"], ["1"]]) == SUV(1.0, (("0",), ("1",)))


# ---- the reference as a theory


def test_the_tolerance_of_the_reference_is_handed_on(refuses):
    """The bound on its precision is that of its tolerance, and nothing but it."""
    experiment = Experiment.of(np.diag([1.0, -1.0]), KET, [0.0, 3e3])
    for tol, taken in ((1e-10, True), (1.4e-12, True), (1.3e-12, False)):
        if taken:
            found = Schrodinger(tol).evolve(experiment)
            assert found.attrs["theory_tol"] == tol
        else:
            refuses(lambda tol=tol: Schrodinger(tol).evolve(experiment), ValueError, "tol must be at least twice")
    assert Schrodinger().tol == 1e-10


def test_a_precision_that_cannot_be_kept_is_told_to_scenarios_in_their_words():
    experiment = Experiment.of(np.diag([1.0, -1.0]), KET, [0.0, 1e9])
    with pytest.raises(BadValue, match="loosen tol") as caught:
        Schrodinger().evolve(experiment)
    assert caught.value.in_scenario.endswith("; end the schedule earlier, or take smaller energies.")


# ---- what inputs become


def test_rounding_is_taken_out_of_what_is_handed_in():
    """A Hermitian part of rounding, a norm of one, and arrays that nobody can change."""
    bent = off(PAIR, 0.5e-10)
    for kind in (np.array, sparse.csr_array):
        found = given.as_hermitian(kind(bent))
        full = given.dense(found)
        np.testing.assert_array_equal(full, full.conj().T)
        np.testing.assert_allclose(full, 0.5 * (bent + bent.conj().T), atol=1e-17)
    ket = given.as_ket(3.0 * KET, 2, normalise=True)
    np.testing.assert_allclose(ket, KET, atol=1e-16)
    for array in (given.as_hermitian(PAIR), ket, given.as_unitary(np.eye(2)), given.as_times([0.0, 1.0])):
        assert not array.flags.writeable
    found = theirs.as_hermitian(bent, "H")
    np.testing.assert_array_equal(found, found.conj().T)
    np.testing.assert_allclose(given.as_ket([1e-200, 1e-200j], 2, normalise=True), [0.5**0.5, 1j * 0.5**0.5])


def test_sparse_matrices_lose_their_zeros_and_keep_their_order():
    rows = sparse.coo_array(([0.0, 0.5j, 2.0, -0.5j], ([0, 1, 1, 0], [0, 0, 1, 1])), shape=(2, 2))
    found = given.as_hermitian(rows)
    assert (found.nnz, found.indices.tolist(), found.indptr.tolist()) == (3, [1, 0, 1], [0, 1, 3])
    np.testing.assert_array_equal(found.toarray(), [[0, -0.5j], [0.5j, 2.0]])


def test_choices_are_refused_with_what_comes_near(refuses):
    given.choose("jumps", "scheme", ("jumps", "channel"))
    refuses(lambda: given.choose("jump", "scheme", ("jumps", "channel")), ValueError, r"\(did you mean 'jumps'\?\)")
    refuses(lambda: given.choose("", "scheme", ("jumps",)), ValueError, "but is missing")
    refuses(lambda: given.choose(3, "scheme", ("jumps",)), ValueError, "but is 3")
    assert did_you_mean("Copys", ["copies", "engine"]) == "did you mean 'copies'?"
    assert did_you_mean("xyz", ["copies", "engine"]) == ""


def test_refusals_keep_what_they_say_to_scenarios():
    for kind in (BadValue, BadType, Refusal):
        refusal = kind("one.", in_scenario="another.")
        for again in (pickle.loads(pickle.dumps(refusal)), copy.copy(refusal)):
            assert type(again) is kind
            assert (str(again), again.in_scenario) == ("one.", "another.")
        assert kind("one.").in_scenario == "one."
    assert issubclass(BadValue, ValueError)
    assert issubclass(BadType, TypeError)


def test_a_ket_that_is_not_normalised_is_told_what_to_do_in_either_place():
    with pytest.raises(BadValue, match=r"Preparation\(psi0, normalise=True\)") as caught:
        Experiment.of(PAIR, [1.0, 1.0], [0.0])
    assert caught.value.in_scenario.endswith("preparation.normalise=true.")
    ket = Experiment(System(PAIR), Preparation([1.0, 1.0j], normalise=True), Schedule([0.0])).ket
    np.testing.assert_allclose(ket, np.array([1.0, 1.0j]) / np.sqrt(2))


def test_a_state_of_several_runs_is_no_witness(refuses):
    joint = np.kron(PAIR, np.eye(2)) + np.kron(np.eye(2), PAIR)
    experiment = Experiment.of(joint, np.kron(KET, KET), [0.0, 0.1], parts=(("A", 2), ("B", 2)))
    off = Schrodinger().evolve(experiment)
    several = off.isel(replica=[0, 0])
    refuses(lambda: state_of(several, "A"), ValueError, "a witness needs density matrices")
    assert state_of(off, "A").shape == (2, 2, 2)


# ---- the short way to copies


def test_copysolve_hands_everything_on(monkeypatch, tmp_path):
    """What is asked of it, each unlike its default, reaches the theory, the experiment and the run by its own name."""
    kept = {}

    def evolve(theory, experiment, seed, replicas, **options):
        kept.update(theory=theory, experiment=experiment, seed=seed, replicas=replicas, **options)

    monkeypatch.setattr(CopyDynamics, "evolve", evolve)
    asked = {"engine": "exact", "rule": "printed", "spectators": 3, "floor": 2, "admixture": (0.1, KET)}
    options = {"replicas": 5, "seed": 9, "progress": True, "jobs": 2, "checkpoint": tmp_path / "run"}
    copysolve(PAIR, KET, [0.5, 1.0], copies=1e3, hbar=0.7, e_ops={"a": LARGE}, **asked, **options)
    assert kept["theory"] == CopyDynamics(1000, **asked)
    experiment = kept["experiment"]
    np.testing.assert_array_equal(experiment.system.hamiltonian, PAIR)
    np.testing.assert_allclose(experiment.ket, KET)
    np.testing.assert_array_equal(experiment.tlist, [0.5, 1.0])
    np.testing.assert_array_equal(experiment.e_ops["a"], LARGE)
    assert experiment.system.hbar == 0.7
    assert (kept["seed"], kept["replicas"], kept["progress"], kept["jobs"]) == (9, 5, True, 2)
    assert kept["keep"].path == tmp_path / "run"
    copysolve(PAIR, KET, [0.5, 1.0], copies=10)
    assert kept["theory"] == CopyDynamics(10)
    assert (kept["seed"], kept["replicas"], kept["progress"], kept["jobs"], kept["keep"]) == (None, 1, False, 1, None)
