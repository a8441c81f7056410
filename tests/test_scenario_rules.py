"""Scenarios that name a rule of the family: sub-tables become objects, and faults are said with their line."""

import tomllib
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import numpy as np
import pytest

import copydyn
from copydyn.comparison.claims import CLAIMS
from copydyn.experiment.bases import BASES
from copydyn.experiment.preparations import PREPARATIONS
from copydyn.pipeline import law_of
from copydyn.scenario.parsing import _checked, wanted
from copydyn.scenario.scenario import load
from copydyn.scenario.source import BadScenario
from copydyn.systems import SYSTEMS
from copydyn.theories import THEORIES
from copydyn.theories.copies.alignment import Alignment
from copydyn.theories.copies.rules import Harmonic, Rule
from copydyn.theories.irreversible.equilibrium import Window

TOP = """\
[system]
kind = "two-level"
detuning = 0.6
[preparation]
amplitudes = [0.8, "0.6j"]
[schedule]
stop = 1
points = 3
[theory]
copies = 1e3
"""  # ten lines


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Write a scenario whose theory ends in these lines, the first of which is line 11."""
    monkeypatch.chdir(tmp_path)

    def write(lines: str, top: str = TOP) -> str:
        (tmp_path / "mine.toml").write_text(top + lines)
        return "mine.toml"

    return write


def rule_of(name, *overrides):
    (theory,) = load(name, overrides).theories.values()
    return theory.rule


def faults_of(name, *overrides):
    with pytest.raises(BadScenario) as caught:
        load(name, overrides)
    return list(caught.value.faults)


TWO = Rule(q=0.6, harmonics=(Harmonic(), Harmonic(2, 0.1)))


@pytest.mark.parametrize(
    "lines",
    [
        "[theory.rule]\nq = 0.6\nharmonics = [{order = 1}, {order = 2, copying = 0.1}]",
        "rule = {q = 0.6, harmonics = [{order = 2, copying = 0.1}, {order = 1}]}",
        "rule.q = 0.6\nrule.harmonics = [{}, {order = 2, copying = 0.1}]",
        "[theory.rule]\nq = 0.6\n[[theory.rule.harmonics]]\n[[theory.rule.harmonics]]\norder = 2.0\ncopying = 0.1",
    ],
)
def test_a_rule_has_several_faces(lines, written):
    assert rule_of(written(lines)) == TWO


def test_rules_may_be_named_and_overridden(written):
    assert rule_of(written("")) == "smolin"
    assert rule_of(written('rule = "printed"')) == "printed"
    assert rule_of(written("[theory.rule]")) == "smolin"  # the default of the family
    assert rule_of(written("[theory.rule]\nr = -1"), "theory.rule.q=0.25") == Rule(q=0.25, r=-1.0)
    assert rule_of(written(""), 'theory.rule={phases="frozen", q=0}') == Rule(q=0.0, phases="frozen")


def test_each_of_several_theories_has_its_rule(written):
    top = TOP.replace("[theory]\ncopies = 1e3\n", "")
    text = (
        '[[theory]]\nname = "a"\ncopies = 9\nrule = {q = 0.6}\n[[theory]]\nname = "b"\ncopies = 9\n[theory.rule]\nr = 0'
    )
    theories = load(written(text, top)).theories
    assert [theory.rule for theory in theories.values()] == [Rule(q=0.6), Rule(r=0.0)]
    wrong = text.replace("r = 0", "rr = 0")
    assert faults_of(written(wrong, top)) == [
        "mine.toml:17: [theory.rule] 'rr' is no key of this table; did you mean 'r'?"
    ]


def test_a_scenario_as_it_was_run_gives_the_same_rule(written):
    scenario = load(
        written(
            "[theory.rule]\nq = 0.6\n[[theory.rule.harmonics]]\n[[theory.rule.harmonics]]\norder = 2\ncopying = 0.1"
        )
    )
    assert tomllib.loads(scenario.as_run(3))["theory"] == scenario.tables["theory"]
    assert rule_of(written(scenario.as_run(3), "")) == TWO


def test_other_objects_are_read_in_the_same_way(written):
    (theory,) = load(written("[theory.alignment]\nfriction = 0.5")).theories.values()
    assert theory.alignment == Alignment(friction=0.5)


RULE = "a string or a table of q, r, ratio, harmonics, phases"
HARMONICS = "a list of tables of order, copying, turning, copy_offset, turn_offset"


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        ("rule = 3", f"11: [theory] rule must be {RULE}, but is 3."),
        ("rule = []", f"11: [theory] rule must be {RULE}, but is []."),
        (
            'rule = "smollin"',
            "11: [theory] rule must be one of smolin, printed, or a table [theory.rule], but is 'smollin' "
            "(did you mean 'smolin'?).",
        ),
        ('\n[theory.rule]\nq = "half"', '13: [theory.rule] q must be a number, but is "half".'),
        ("[theory.rule]\nq = nan", "12: [theory.rule] q must be finite, but is nan."),
        ("[theory.rule]\nqq = 1", "12: [theory.rule] 'qq' is no key of this table; did you mean 'q'?"),
        (
            "[theory.rule]\nzzz = 1",
            "12: [theory.rule] 'zzz' is no key of this table; it has q, r, ratio, harmonics, phases.",
        ),
        ('[theory.rule]\nkind = "weinberg"', "12: [theory.rule] 'kind' is no key of this table; "),
        ("[theory.rule]\nharmonics = 2", f"12: [theory.rule] harmonics must be {HARMONICS}, but is 2."),
        (
            "[theory.rule]\nharmonics = [{}, 2]",
            f"12: [theory.rule] harmonics must be {HARMONICS}, but harmonics[1] is 2.",
        ),
        (
            "[theory.rule]\nharmonics = [{order = 1}, {ordr = 2}]",
            "12: [theory.rule.harmonics[1]] 'ordr' is no key of this table; did you mean 'order'?",
        ),
        (
            "[[theory.rule.harmonics]]\norder = 1\n[[theory.rule.harmonics]]\norder = 0",
            "14: [theory.rule.harmonics[1]] order must be >= 1, but is 0; give 1 or more.",
        ),
        (
            "[theory.rule]\nharmonics = [{order = 2.5}]",
            "12: [theory.rule.harmonics[0]] order must be a whole number below 2^63, but is 2.5.",
        ),
        (
            "[theory.rule]\nharmonics = [{}, {}]",
            "12: [theory.rule] harmonics must differ in their order, but order 1 stands twice; make one of the two.",
        ),
        (
            "phase_spread = 0.1\nrule = {q = 0.6}",
            "12: [theory] rule must be 'smolin' or 'printed' with phase_spread or alignment, but is Rule(q=0.6); ",
        ),
        ("copies_ = 1", "11: [theory] 'copies_' is no key of CopyDynamics; did you mean 'copies'?"),
    ],
)
def test_one_fault_is_one_sentence_with_its_line(lines, fault, written):
    (sentence,) = faults_of(written(lines))
    assert sentence.startswith(f"mine.toml:{fault}")
    assert sentence.endswith((".", "?"))


def test_all_faults_are_said_at_once(written):
    text = '[theory.rule]\nq = "a"\nr = true\nharmonics = [{order = "b"}, {coping = 1}, {copying = -1}]\n[run]\nsed = 1'
    found = faults_of(written(text), "theory.copies=0")
    assert [fault.split("] ")[0] for fault in found] == [
        "mine.toml:14: [theory.rule.harmonics[0]",
        "mine.toml:14: [theory.rule.harmonics[1]",
        "mine.toml:14: [theory.rule.harmonics[2]",
        "mine.toml:12: [theory.rule",
        "mine.toml:13: [theory.rule",
        "mine.toml:16: [run",
    ]


def test_a_table_says_in_words_what_it_wants():
    assert wanted(Rule) == "a table of q, r, ratio, harmonics, phases"
    assert wanted(list[Rule]).startswith("a list of tables of q")


MAKERS = {
    **SYSTEMS,
    **PREPARATIONS,
    **BASES,
    **CLAIMS,
    **THEORIES,
    "window": Window,
    "rule": Rule,
    "alignment": Alignment,
}


@pytest.mark.parametrize("kind", MAKERS)
def test_every_annotation_says_what_it_takes(kind):
    """A parameter that takes anything would be read as whatever its value looks like: a matrix as complex numbers."""
    hints = get_type_hints(MAKERS[kind], include_extras=True)
    assert not [name for name, hint in hints.items() if _takes_anything(hint)]


def _takes_anything(hint) -> bool:
    return hint is Any or (get_origin(hint) is not Annotated and any(_takes_anything(part) for part in get_args(hint)))


def test_an_annotation_that_says_nothing_is_a_programming_error():
    assert _takes_anything(list[Any])
    with pytest.raises(TypeError, match="must say what it takes"):
        _checked(list[Any])


OQT_TOP = TOP.replace("copies = 1e3", 'kind = "OQT"\nrate = 0.5\nscheme = "ensemble"')


def test_a_list_of_rows_is_a_matrix_and_no_list_of_pairs(written):
    """[[0.5, 0], [0, 0.5]] was read as (0.5, 0.5j)."""
    found = {}
    for coupling, weights in (
        ("0.5", "[0.7, 0.3]"),
        ("0.5", "[[0.5, 0.1], [0.1, 0.5]]"),
        ('"0.5j"', '[[0.5, "0.1j"], [[0, -0.1], 0.5]]'),
    ):
        changes = ["system.detuning=0", f"system.coupling={coupling}"]  # with which the matrices commute
        scenario = load(written(f'window = {{rule = "given", weights = {weights}}}', OQT_TOP), changes)
        found[weights] = next(iter(scenario.theories.values())).window.weights
    assert list(found.values()) == [(0.7, 0.3), ((0.5, 0.1), (0.1, 0.5)), ((0.5, 0.1j), (-0.1j, 0.5))]


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ("charge = [[1, 0], [5, 0]]", r"mine.toml:13: \[theory.window\] charge must be Hermitian .*charge\[0, 1\]"),
        ("charge = [[1, 0, 0], [0, 1, 0]]", "charge must be a square matrix"),
        ('charge = ["up"]', r"charge must be a list of numbers, or a matrix \(a list of rows\), but is"),
        ("charge = [1, [0, 1]]", "charge must be a list of numbers, or a matrix"),
        ("charge = 1.0", "charge must be a list of numbers, or a matrix"),
    ],
)
def test_what_is_neither_numbers_nor_a_hermitian_matrix_is_refused(value, fault, written):
    with pytest.raises(BadScenario, match=fault):
        load(written(f'window = {{{value}, sectors = "own"}}', OQT_TOP))


@pytest.mark.parametrize(("lines", "known"), [("", True), ("rule = {q = 0.6}", False), ('engine = "meanfield"', False)])
def test_only_smolins_ensembles_have_a_law_of_finite_n(lines, known, written):
    scenario = load(written(lines))
    (theory,) = scenario.theories.values()
    assert (law_of(scenario.experiment, theory) is not None) == known


def test_engines_of_one_rule_agree(written):
    """The theory hands its rule to every engine: exact and agents at 10^6 copies lie near the mean field."""
    name = written("[theory.rule]\nq = 0.6\nharmonics = [{}, {order = 2, copying = 0.2, copy_offset = 0.5}]")
    found = {}
    for engine in ("exact", "agents", "meanfield"):
        scenario = load(name, [f'theory.engine="{engine}"', "theory.copies=1e6", "theory.spectators=1000"])
        (theory,) = scenario.theories.values()
        found[engine] = theory.evolve(scenario.experiment, 1, 1)
    for engine in ("exact", "agents"):
        away = np.abs(found[engine].probability.values - found["meanfield"].probability.values)
        assert 0 < away.max() < 8e-3  # eight deviations
    assert "counts" not in found["meanfield"]
    assert found["meanfield"].frequency.dims == found["exact"].frequency.dims
    start = (1e6 * np.array([0.64, 0.36]) + 1000) / 1_002_000
    assert np.allclose(found["meanfield"].probability.values[0], start, rtol=1e-12)


def test_rules_are_part_of_the_public_face():
    rule = copydyn.Rule(q=0.6, harmonics=[copydyn.Harmonic()])
    h, ket, tlist = np.array([[0.3, 0.5], [0.5, -0.3]]), [0.8, 0.6j], np.linspace(0, 1, 3)
    found = copydyn.copysolve(h, ket, tlist, copies=1e5, seed=1, rule=rule)
    assert found.attrs["theory_rule"] == "Rule(q=0.6)"
    limit = copydyn.copysolve(h, ket, tlist, copies=1e5, engine="meanfield", rule=rule)
    assert np.abs(found.probability.values - limit.probability.values).max() < 8 / np.sqrt(1e5)
    same = copydyn.copysolve(h, ket, tlist, copies=1e5, seed=1, rule=copydyn.Rule())
    assert same.counts.equals(copydyn.copysolve(h, ket, tlist, copies=1e5, seed=1).counts)
