"""Scenario files: what they may say, and that whatever is wrong with one is said at once, with its line."""

import math
import re
import string
import tomllib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from copydyn.comparison.claims import Extinct, Within
from copydyn.experiment import System
from copydyn.refusal import Refusal
from copydyn.scenario import source
from copydyn.scenario.scenario import Scenario, load, schedule
from copydyn.scenario.source import BadScenario, find, shipped
from copydyn.scenario.toml_text import emitted, key_lines, parsed_value, shown
from copydyn.systems import SYSTEMS
from copydyn.theories import CopyDynamics

SHIPPED = (
    "alignment-drift",
    "alignment-force",
    "barrier",
    "bell-pair",
    "double-slit",
    "double-well",
    "floor-against-admixture",
    "four-theories",
    "ghz-circuit",
    "gue",
    "huge-ensemble",
    "landau-zener",
    "momentum-basis",
    "node-at-any-size",
    "oqt-ising",
    "oqt-three-level",
    "packet",
    "packet-at-last",
    "printed-rule",
    "rabi",
    "rabi-node",
    "rabi-node-spectators",
    "ramsey",
    "ring-flux",
    "rule-family",
    "spin-chain",
    "spin-echo",
    "sui-signalling",
    "sui-steady",
    "suv-born",
    "suv-coloured",
    "three-level",
)

SOUND = """\
title = "sound"

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
"""


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Write a scenario into the working directory and give its name."""
    monkeypatch.chdir(tmp_path)

    def write(text: str | bytes, name: str = "mine.toml") -> str:
        content = text if isinstance(text, bytes) else text.encode()
        Path(name).write_bytes(content)
        return name

    return write


def faults_of(name: str, *overrides: str) -> tuple[str, ...]:
    with pytest.raises(BadScenario) as caught:
        load(name, overrides)
    return caught.value.faults


def the_theory(scenario: Scenario):
    (theory,) = scenario.theories.values()
    return theory


# ---- what is shipped


def test_the_shipped_scenarios_are_these():
    assert tuple(shipped()) == SHIPPED


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_scenario_loads_and_says_what_it_shows(name):
    text = find(name).read_text(encoding="utf-8")
    assert re.match(r"# .+\n# .+\n(?!#)", text), "two lines of comment open the file"
    scenario = load(name)
    assert scenario.name == name
    assert scenario.title != name
    assert scenario.claims
    assert scenario.run.seed is not None


def test_an_installed_package_carries_its_scenarios(tmp_path, monkeypatch):
    """In a wheel they lie within the package; a folder `scenarios` beside it would belong to somebody else."""
    for folder in ("copydyn/shipped_scenarios", "scenarios"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "copydyn/shipped_scenarios/ours.toml").write_text(SOUND)
    (tmp_path / "scenarios/theirs.toml").write_text("")
    monkeypatch.setattr(source, "__file__", str(tmp_path / "copydyn" / "scenario" / "source.py"))
    assert list(shipped()) == ["ours"]
    assert load("ours").title == "sound"


# ---- what a table may say


@pytest.mark.parametrize("value", ["[0.3, 0.4]", '"0.3+0.4j"', '" (0.3+0.4j) "'])
def test_a_complex_number_has_several_faces(value):
    h = load("rabi", [f"system.coupling={value}"]).experiment.system.hamiltonian
    assert h[0, 1] == 0.3 + 0.4j


def test_numbers_lists_and_strings_may_be_mixed_in_a_ket():
    ket = load("rabi", ["preparation.amplitudes=[0.6, [0, -0.8]]"]).experiment.ket
    np.testing.assert_allclose(ket, [0.6, -0.8j])


def test_a_whole_number_may_be_written_as_a_power_of_ten():
    assert the_theory(load("rabi", ["theory.copies=1e5", "run.replicas=3.0"])).copies == 100_000


@pytest.mark.parametrize("potential", ["0.5", "[0.5, 0.5, 0.5, 0.5]"])
def test_a_potential_is_a_number_or_a_list(potential):
    settings = ["system.sites=4", "preparation.centre=1", "preparation.width=1", f"system.potential={potential}"]
    h = load("packet", settings).experiment.system.hamiltonian
    np.testing.assert_allclose(h.diagonal(), 1.5)


def test_a_theory_takes_a_ket_as_a_parameter():
    theory = the_theory(load("rabi", ['theory.admixture=[0.1, [[0.6, 0], "0.8j"]]']))
    assert theory.admixture == (0.1, (0.6, 0.8j))


def test_a_circuit_and_a_composite_are_written_out(written):
    """Gates are strings, which are parsed; matrices are lists of rows of complex numbers."""
    gates = SOUND.replace('"two-level"\ndetuning = 0.6', '"circuit"\ngates = ["h 0", "rz pi/4 0"]\nqubits = 1')
    assert len(load(written(gates)).experiment.system.pulses) == 2
    assert "'hh 0', must be one of id" in faults_of(written(gates.replace("h 0", "hh 0")))[0]
    rows = 'names = ["A", "B"]\nhamiltonians = [[[0, "1j"], ["-1j", 0]], [[2]]]\ninteraction = [[1, 0], [0, -1]]'
    text = SOUND.replace('"two-level"\ndetuning = 0.6', f'"composite"\n{rows}')
    h = load(written(text)).experiment.system.hamiltonian.toarray()
    np.testing.assert_array_equal(h, [[3, 1j], [-1j, 1]])


def test_a_claim_about_a_part_needs_the_part(written):
    claim = '[claim]\nkind = "conserved"\npart = "B"\n'
    assert (
        "part must be one of a composite system's, but is 'B' of a system without parts"
        in faults_of(written(SOUND + claim))[0]
    )
    assert "part must be one of A, B, but is 'C'" in faults_of("bell-pair", "claim.part=C")[0]


def test_a_list_of_times_replaces_start_stop_and_points(written):
    name = written(SOUND.replace("stop = 1\npoints = 3", "times = [0, 0.5, 2]"))
    np.testing.assert_array_equal(load(name).experiment.tlist, [0.0, 0.5, 2.0])


def test_defaults_are_those_of_the_objects(written):
    scenario = load(written(SOUND))
    assert isinstance(scenario, Scenario)
    assert scenario.theories == {"CopyDynamics": CopyDynamics(1000)}
    assert scenario.claims == ()
    assert scenario.run.seed is None
    assert scenario.run.replicas == 20
    np.testing.assert_array_equal(scenario.experiment.tlist, [0.0, 0.5, 1.0])


def test_another_theory_is_a_kind(written):
    name = written(SOUND.replace("copies = 1e3", 'kind = "Schrodinger"\ntol = 1e-8'))
    assert the_theory(load(name)).tol == 1e-8


def test_a_new_system_needs_no_line_in_the_parser(written, monkeypatch):
    def chain(links: int, strengths: list[complex], closed: bool = False) -> System:
        return System(np.diag(strengths, 1) + np.diag(np.conj(strengths), -1), name=f"{links} {closed}")

    monkeypatch.setitem(SYSTEMS, "chain", chain)
    text = SOUND.replace('"two-level"\ndetuning = 0.6', '"chain"\nlinks = 1\nstrengths = ["0.5j"]\nclosed = true')
    system = load(written(text)).experiment.system
    assert system.name == "1 True"
    assert system.hamiltonian[0, 1] == 0.5j


def test_a_file_may_have_windows_lines_and_a_byte_order_mark(written):
    scenario = load(written(b"\xef\xbb\xbf" + SOUND.replace("\n", "\r\n").encode()))
    assert scenario.title == "sound"


# ---- faults, each with its line


@pytest.mark.parametrize(
    ("line", "replacement", "expected"),
    [
        (
            'kind = "two-level"',
            'kind = "two-levl"',
            r"4: \[system\] kind must be one of two-level, .*did you mean 'two-level'\?",
        ),
        ('kind = "two-level"', "kind = 3", r"4: \[system\] kind must be one of .*, but is 3; choose one of them\."),
        ('kind = "two-level"\n', "", r"3: \[system\] kind must be one of .*, but is missing"),
        (
            "detuning = 0.6",
            "detunin = 0.6",
            r"5: \[system\] 'detunin' is no key of two-level; did you mean 'detuning'\?",
        ),
        ("detuning = 0.6", "q = 0.6", r"5: \[system\] 'q' is no key of two-level; it has detuning, coupling, hbar\."),
        ("detuning = 0.6", 'detuning = "0.6"', r'5: \[system\] detuning must be a number, but is "0\.6"\.'),
        ("detuning = 0.6", "detuning = true", r"5: \[system\] detuning must be a number, but is true\."),
        ("detuning = 0.6", "detuning = nan", r"5: \[system\] detuning must be finite, but is nan\."),
        ("detuning = 0.6", "hbar = 0", r"5: \[system\] hbar must be > 0, but is 0\."),
        ("detuning = 0.6", 'coupling = "a"', r'5: \[system\] coupling must be a complex number \(.*\), but is "a"\.'),
        (
            "detuning = 0.6",
            "coupling = [1, 2, 3]",
            r"5: \[system\] coupling must be a complex .*, but is \[1, 2, 3\]\.",
        ),
        ('[0.8, "0.6j"]', "0.8", r"8: \[preparation\] amplitudes must be a list of complex numbers, but is 0\.8\."),
        (
            '[0.8, "0.6j"]',
            '[0.8, "x"]',
            r'8: .* amplitudes must be a list of complex numbers, but amplitudes\[1\] is "x"\.',
        ),
        (
            '[0.8, "0.6j"]',
            "[0.8, 0.6, 0]",
            r"8: \[preparation\] amplitudes must have one amplitude for each of the 2 .* has 3;",
        ),
        ('[0.8, "0.6j"]', "[0.8, 0.7]", r"8: \[preparation\] amplitudes must be normalised .* squared norm is 1\.13;"),
        (
            'amplitudes = [0.8, "0.6j"]',
            "",
            r"7: \[preparation\] amplitudes must be given, but is missing; add it as a list",
        ),
        ("points = 3", "points = 1", r"12: \[schedule\] points must be >= 2, but is 1; give 2 or more\."),
        ("points = 3", "points = 1e9", r"12: \[schedule\] points must be at most 1000000, but is 1000000000;"),
        ("points = 3", "points = 2.5", r"12: \[schedule\] points must be a whole number below 2\^63, but is 2\.5\."),
        ("points = 3", "", r"11: \[schedule\] stop and points must be given, or else times;"),
        ("points = 3", "times = [1]", r"12: \[schedule\] times must stand alone"),
        ("points = 3", 'points = 3\nkind = "even"', r"13: \[schedule\] 'kind' is no key of this table; it has times,"),
        (
            "stop = 1\npoints = 3",
            "times = [0, 2, 1]",
            r"11: \[schedule\] times must increase strictly, but decreases at",
        ),
        ("stop = 1\npoints = 3", "times = []", r"11: \[schedule\] times must hold at least one time, but is empty\."),
        ("stop = 1\npoints = 3", "times = [0,\n1,\n'2']", r"11: .*a list of numbers, but times\[2\] is \"2\"\."),
        ("stop = 1", "stop = -1", r"11: \[schedule\] stop must lie behind start, .* they are -1 and 0\."),
        ("stop = 1", "start = -1\nstop = 1", r"12: \[schedule\] stop must lie behind start, .* they are 1 and -1\."),
        ("copies = 1e3", "copies = 0", r"15: \[theory\] copies must be >= 1, but is 0; give 1 or more\."),
        (
            "copies = 1e3",
            "copies = 1e300",
            r"15: \[theory\] copies must be a whole number below 2\^63, but is 1e\+300\.",
        ),
        ("copies = 1e3", "copies = 0x7fffffffffffffff", r"15: \[theory\] copies must be at most 4611686018427387904"),
        ("copies = 1e3", f"copies = 0x{'f' * 9999}", r"15: \[theory\] copies must be a whole .* 0xfff.*\.\.\.\."),
        ("copies = 1e3", "copies = 1e13\nfloor = 3", r"15: \[theory\] copies must be at most 1e\+12 for engine 'auto'"),
        (
            "copies = 1e3",
            "copies = 9\nengine = 'fast'",
            r"16: \[theory\] engine must be one of auto, exact, leap, agents, meanfield, but is 'fast'",
        ),
        (
            "copies = 1e3",
            "copies = 9\nrule = ''",
            r"16: \[theory\] rule must be one of smolin, printed, or a table \[theory.rule\], but is ''\.",
        ),
        ("copies = 1e3", "copies = 9\nfloor = -1", r"16: \[theory\] floor must be >= 0, but is -1; give 0 or more\."),
        ("copies = 1e3", "", r"14: \[theory\] copies must be given, but is missing"),
        ("[theory]\ncopies = 1e3\n", "", r"mine\.toml: \[theory\] copies must be given, but is missing"),
        (
            '[system]\nkind = "two-level"\ndetuning = 0.6\n',
            "",
            r"mine\.toml: \[system\] is missing; add it with a kind of",
        ),
        ("[system]", "[[system]]", r"3: \[system\] must be a table, but is \[\{kind = .*; write \[system\]\."),
        (
            "copies = 1e3",
            "copies = 1e3\n[run]\nreplicas = 0",
            r"17: \[run\] replicas must be >= 1, but is 0; give 1 or more\.",
        ),
        (
            "copies = 1e3",
            "copies = 1e3\n[run]\nseed = -1",
            r"17: \[run\] seed must be >= 0, but is -1; give 0 or more\.",
        ),
        (
            "copies = 1e3",
            "copies = 1e3\n[runs]\nseed = 1",
            r"16: 'runs' is no table or key of a scenario; did you mean 'run'\?",
        ),
        ('title = "sound"', "title = 1", r"1: title must be a string, but is 1; put it in quotes\."),
        ('title = "sound"', "run = 1", r"1: \[run\] must be a table, but is 1; write \[run\]\."),
        ('title = "sound"', "[x]", r"1: 'x' is no table or key of a scenario; a scenario has title,"),
        ("copies = 1e3", "copies = 1e3\n[claim]", r"16: \[claim\] kind must be one of agrees, .*, but is missing"),
        (
            "copies = 1e3",
            "copies = 1e3\n[claim]\nkind='extinct'\nlabel='9'\nat_least=1",
            r"18: \[claim\] label must be one of 0, 1,",
        ),
        (
            "copies = 1e3",
            "copies = 1e3\n[claim]\nkind='extinct'\nlabel='0'",
            r"16: \[claim\] at_least, at_most or probability must",
        ),
        (
            "copies = 1e3",
            "copies = 1e3\n[claim]\nkind='extinct'\nlabel='0'\nat_most=2",
            r"19: \[claim\] at_most must be a share",
        ),
        (
            "copies = 1e3",
            "copies = 1e3\n[claim]\nkind='within'\ndistance='x'\nat_most=2",
            r"18: \[claim\] distance must be one of",
        ),
        (
            "copies = 1e3",
            "copies = 1e3\n[claim]\nkind='deviates'\nby='infidelity'",
            r"18: \[claim\] at_least must be given",
        ),
    ],
)
def test_a_fault_is_said_with_line_key_rule_and_value(written, line, replacement, expected):
    assert line in SOUND
    faults = [fault for fault in faults_of(written(SOUND.replace(line, replacement))) if re.search(expected, fault)]
    assert len(faults) == 1
    assert faults[0].startswith("mine.toml:")
    assert "\n" not in faults[0]


def test_all_faults_are_said_at_once(written):
    text = """\
titel = "x"
[system]
kind = "three-level"  # a comment
couplings = [
    0.1,
    [0.2, 0.3],
    "abc",
]
energies = [0, 1]
[preparation]
kind = "kett"
[schedule]
stop = "x"
[theory]
copies = 0
rule = 7
[run]
replicas = 0
[claim]
kind = "extinct"
lable = "0"
"""
    faults = faults_of(written(text), "theory.copys=1", "run.seed=-5", "nothing")
    lines = [fault.split(": ")[0] for fault in faults]
    assert lines == [
        "nothing",
        "mine.toml:1",
        "mine.toml:9",
        "mine.toml:4",
        "mine.toml:11",
        "mine.toml:13",
        "mine.toml:16",
        "theory.copys=1",
        "mine.toml:18",
        "mine.toml:19",
        "mine.toml:21",
    ]
    assert "did you mean 'title'?" in faults[1]
    assert 'couplings must be a list of 3 complex numbers, but couplings[2] is "abc"' in faults[3]
    assert "did you mean 'ket'?" in faults[4]


# ---- overrides


def test_overrides_replace_add_and_are_never_evaluated(written):
    name = written(SOUND)
    scenario = load(name, ["theory.copies=2e4", "theory.rule=printed", "run.seed=7", "title = a = b "])
    assert the_theory(scenario) == CopyDynamics(20_000, rule="printed")
    assert scenario.run.seed == 7
    assert scenario.title == "a = b"
    assert load(name, ["title=__import__('os').getcwd()"]).title == "__import__('os').getcwd()"


def test_a_nested_value_may_be_overridden():
    h = load("three-level", ["system.couplings=[0.5,[0.4,0.1],0.2]"]).experiment.system.hamiltonian
    assert (h[0, 1], h[0, 2], h[1, 2]) == (0.5, 0.4 + 0.1j, 0.2)


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("theory.copys=1e5", "theory.copys=1e5: [theory] 'copys' is no key of CopyDynamics; did you mean 'copies'?"),
        ("theory.copies=0", "theory.copies=0: [theory] copies must be >= 1, but is 0; give 1 or more."),
        ("theory.copies=", 'theory.copies=: [theory] copies must be a whole number below 2^63, but is "".'),
        ("theroy.copies=1", "theroy.copies=1: 'theroy' is no table or key of a scenario; did you mean 'theory'?"),
        ("theory.copies.x=1", "theory.copies.x=1: 'copies' must be a table to have a key 'x', but is a value."),
        ("theory", "theory: an override must have the form table.key=value, such as theory.copies=1e5."),
        ("=1", "=1: an override must have the form table.key=value, such as theory.copies=1e5."),
        (
            "theory..copies=1",
            "theory..copies=1: an override must have the form table.key=value, such as theory.copies=1e5.",
        ),
        (
            "theory.rule=1\nfloor=2",
            "theory.rule=1\\nfloor=2: [theory] rule must be one of smolin, printed, or a table [theory.rule], but is "
            "'1\\nfloor=2'.",
        ),
        ("theory={copies=0}", "theory={copies=0}: [theory] copies must be >= 1, but is 0; give 1 or more."),
        ("theory=3", "theory=3: [theory] must be a table, but is 3; write [theory]."),
    ],
)
def test_a_bad_override_is_named(override, expected):
    assert faults_of("rabi", override) == (expected,)


# ---- several theories, several claims

RIVALS = SOUND.replace(
    "[theory]\ncopies = 1e3\n",
    """\
[[theory]]
name = "bare"
copies = 1e3

[[theory]]
name = "floor of 0.5 %"
copies = 2e3
floor = 10

[[claim]]
kind = "within"
theory = "all"
distance = "max_deviation"
at_most = 0.2

[[claim]]
kind = "extinct"
theory = "bare"
label = "1"
at_most = 0
""",
)


def test_several_theories_have_names_and_several_claims_stand_in_order(written):
    scenario = load(written(RIVALS))
    assert list(scenario.theories) == ["bare", "floor of 0.5 %"]
    assert list(scenario.theories.values()) == [CopyDynamics(1000), CopyDynamics(2000, floor=10)]
    assert scenario.claims == (
        Within("max_deviation", 0.2, theory="all"),
        Extinct("1", at_most=0, theory="bare"),
    )


@pytest.mark.parametrize(
    ("kinds", "names"),
    [
        (["", ""], ["CopyDynamics 1", "CopyDynamics 2"]),
        (["", 'kind = "Schrodinger"'], ["CopyDynamics", "Schrodinger"]),
        (["", 'kind = "Schrodinger"', "", 'name = "x"'], ["CopyDynamics 1", "Schrodinger", "CopyDynamics 2", "x"]),
        (['name = "x"'], ["x"]),
    ],
)
def test_a_theory_without_a_name_is_called_by_its_kind(written, kinds, names):
    tables = ["[[theory]]\n" + (kind if "kind" in kind else f"copies = 9\n{kind}") for kind in kinds]
    scenario = load(written(SOUND.replace("[theory]\ncopies = 1e3", "\n".join(tables))))
    assert list(scenario.theories) == names


def test_one_theory_may_have_a_name_too(written):
    scenario = load(written(SOUND + 'name = "mine"\n'))
    assert scenario.theories == {"mine": CopyDynamics(1000)}


@pytest.mark.parametrize(
    ("override", "copies"),
    [
        ("theory.copies=90", [90, 90]),
        ("theory.bare.copies=90", [90, 2000]),
        ("theory.floor of 0.5 %.copies=90", [1000, 90]),
        ("theory.1.copies=90", [1000, 90]),
    ],
)
def test_an_override_is_about_all_theories_or_about_one(written, override, copies):
    scenario = load(written(RIVALS), [override])
    assert [theory.copies for theory in scenario.theories.values()] == copies
    again = load(written(scenario.as_run(3), "again.toml"))
    assert again.theories == scenario.theories
    assert again.claims == scenario.claims


@pytest.mark.parametrize("names", [("a", "a.b", "a.b.c"), ("a.b.c", "a.b", "a"), ("a.b", "a", "b")])
@pytest.mark.parametrize("number", range(3))
def test_of_names_that_begin_alike_the_one_that_is_written_out_is_meant(written, names, number):
    tables = "".join(f'[[theory]]\nname = "{name}"\ncopies = 1e3\n' for name in names)
    name = written(SOUND.replace("[theory]\ncopies = 1e3\n", tables))
    scenario = load(name, [f"theory.{names[number]}.copies=9", f"theory.{names[number]}.rule.q=0.6"])
    assert [theory.copies for theory in scenario.theories.values()] == [9 if k == number else 1000 for k in range(3)]
    assert [theory.rule == "smolin" for theory in scenario.theories.values()] == [k != number for k in range(3)]


@pytest.mark.parametrize(
    ("overrides", "copies"),
    [
        (["theory.copies=90", "theory.copies=80"], [80, 80]),
        (["theory.copies=90", "theory.bare.copies=80"], [80, 90]),
        (["theory.bare.copies=80", "theory.copies=90"], [90, 90]),
        (["theory.bare.copies=80", "theory.0.copies=70"], [70, 2000]),
        (["theory.0.copies=70", "theory.bare.copies=80"], [80, 2000]),
    ],
)
def test_of_overrides_of_one_key_the_last_counts(written, overrides, copies):
    scenario = load(written(RIVALS), overrides)
    assert [theory.copies for theory in scenario.theories.values()] == copies


def test_a_table_that_is_overridden_loses_its_other_keys(written):
    assert the_theory(load(written(SOUND), ["theory.floor=3", "theory={copies=9}"])) == CopyDynamics(9)
    assert the_theory(load(written(SOUND), ["theory={copies=9}", "theory.floor=3"])) == CopyDynamics(9, floor=3)


def test_a_name_that_is_also_a_key_is_told_by_what_follows(written):
    name = written(RIVALS.replace('"bare"', '"floor"'))
    name = written(Path(name).read_text().replace('theory = "bare"', 'theory = "floor"'))
    scenario = load(name, ["theory.floor.copies=9", "theory.floor=3"])
    assert list(scenario.theories.values()) == [CopyDynamics(9, floor=3), CopyDynamics(2000, floor=3)]


@pytest.mark.parametrize(
    ("line", "replacement", "expected"),
    [
        ("copies = 2e3", "copies = 0", r"20: \[theory\] copies must be >= 1, but is 0; give 1 or more\."),
        ("copies = 2e3", "", r"18: \[theory\] copies must be given, but is missing"),
        ("copies = 2e3", "copies = 2e13", r"20: \[theory\] copies must be at most 1e\+12"),
        ('"bare"\ncopies', '"Floor of 0.5"\ncopies', r"19: \[theory\] name must tell .* 'floor of 0\.5 %' is taken;"),
        ('name = "bare"', "name = 3", r"15: \[theory\] name must be a string of 1 to 40 .*, but is 3;"),
        ('name = "bare"', 'name = ""', r"15: \[theory\] name must be a string of 1 to 40 .*, but is '';"),
        ('name = "bare"', 'name = " bare"', r"15: \[theory\] name must be a string of 1 to 40 .*, but is ' bare';"),
        ('name = "bare"', 'name = "a\\nb"', r"15: \[theory\] name must be a string of 1 to 40 printable .*;"),
        ('name = "bare"', f'name = "{"x" * 41}"', r"15: \[theory\] name must be a string of 1 to 40 printable .*;"),
        ('name = "bare"', 'name = "all"', r"15: \[theory\] name must begin with a letter .* but is 'all';"),
        ('name = "bare"', 'name = "12"', r"15: \[theory\] name must begin with a letter .* but is '12';"),
        ('name = "bare"', 'name = "_"', r"15: \[theory\] name must begin with a letter .* but is '_';"),
        ('theory = "all"\n', "", r"23: \[claim\] theory must be one of bare, floor of 0\.5 %, all, but is missing\."),
        ('theory = "all"', 'theory = "beer"', r"25: \[claim\] theory must be one of bare, .* but is 'beer'\."),
        ('label = "1"', 'label = "2"', r"32: \[claim\] label must be one of 0, 1, but is '2'"),
        ('kind = "extinct"', 'kind = "extint"', r"30: \[claim\] kind must be one of agrees, .* did you mean 'extinct'"),
    ],
)
def test_a_fault_of_one_of_several_is_said_with_its_line(written, line, replacement, expected):
    assert line in RIVALS
    faults = faults_of(written(RIVALS.replace(line, replacement)))
    assert [bool(re.search(f"^mine.toml:{expected}", fault)) for fault in faults].count(True) == 1, faults
    assert not any("\n" in fault for fault in faults)


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("theory.2.copies=1", "one [[theory]] of 2 must be changed as theory.0.KEY=value to theory.1.KEY=value, but"),
        ("theory.0=1", "one [[theory]] of 2 must be changed as theory.0.KEY=value to theory.1.KEY=value, but the key"),
        ("theory.bar.copies=1", "[theory] 'bar' is no name of a [[theory]] and no key of CopyDynamics; did you mean"),
        ("theory.qqq.copies=1", "[theory] 'qqq' is no name of a [[theory]] and no key of CopyDynamics; the names are"),
        ("theory.copys=1", "[theory] 'copys' is no key of CopyDynamics; did you mean 'copies'?"),
        ("theory.zz=1", "[theory] 'zz' is no key of CopyDynamics; it has copies, "),
        ("theory.copies.x=1", "'copies' must be a table to have a key 'x', but is a value."),
        ("theory.copies=0", "[theory] copies must be >= 1, but is 0; give 1 or more."),
        ("theory=[]", "[theory] must be a table, but is []; write [theory]."),
        ("theory=[1]", "[theory] must be a table, but is 1; write [theory]."),
        ("claim=3", "[claim] must be a table, but is 3; write [claim]."),
    ],
)
def test_a_bad_override_of_several_is_named_once(written, override, expected):
    faults = [fault for fault in faults_of(written(RIVALS), override) if fault.startswith(f"{override}: {expected}")]
    assert len(faults) == 1


@pytest.mark.parametrize("header", ["[theory]", "[theory]\nname = 'mine'", "[[theory]]", "[[theory]]\nname = 'mine'"])
def test_one_theory_alone_is_also_the_first(written, header):
    name = written(SOUND.replace("[theory]\n", f"{header}\n"))
    for key in ("theory.0", "theory", *(["theory.mine"] if "mine" in header else [])):
        scenario = load(name, [f"{key}.copies=77", f"{key}.rule.q=0.6"])
        assert the_theory(scenario).copies == 77
        assert the_theory(scenario).rule.q == 0.6
    assert load(name, ["theory.0.copies=5"]).as_run(1) == load(name, ["theory.copies=5"]).as_run(1)


def test_one_claim_alone_is_also_the_first_and_there_is_no_second(written):
    assert load("rabi", ["claim.0.max_score=3"]).claims == load("rabi", ["claim.max_score=3"]).claims
    for key in ("theory.1.copies", "theory.0"):
        said = f"{key}=1: one [[theory]] of 1 must be changed as theory.0.KEY=value, but the key is '{key}'."
        assert faults_of("rabi", f"{key}=1") == (said,)
    assert faults_of("rabi", "theory.0.copies=0")[0].startswith("theory.0.copies=0: [theory] copies must be >= 1")


def test_a_theory_that_the_file_leaves_out_is_the_first_as_well(written):
    name = written(SOUND.replace("[theory]\ncopies = 1e3\n", ""))
    assert the_theory(load(name, ["theory.0.copies=5"])).copies == 5


def test_an_override_of_all_that_one_does_not_know_says_how_to_change_one(written):
    name = written(RIVALS.replace("copies = 2e3\nfloor = 10", 'kind = "Schrodinger"'))
    assert faults_of(name, "theory.copies=9") == (
        "theory.copies=9: [theory] 'copies' is no key of Schrodinger; it has tol; theory.NAME.copies changes one "
        "[[theory]] alone.",
    )
    assert load(name, ["theory.bare.copies=9"]).theories["bare"] == CopyDynamics(9)


def test_a_name_that_is_a_table_of_another_theory_is_ambiguous(written):
    text = RIVALS.replace("copies = 2e3", "copies = 2e3\nbare = { x = 1 }")
    faults = faults_of(written(text), "theory.bare.copies=1")
    assert faults[0].startswith("theory.bare.copies=1: 'bare' must mean one thing, but is the name of a [[theory]] and")


# ---- files that are no scenario


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "mine.toml: a scenario must have tables .* but is empty"),
        (b" \n\n", "mine.toml: a scenario must have tables .* but is empty"),
        (b"\x89HDF\r\n\x1a\n", "mine.toml: a scenario must be text in UTF-8, but byte 0 is 0x89"),
        (b"title = 'a\x00'", "mine.toml:1: a scenario must be valid TOML"),
        (SOUND[:-4].encode(), "mine.toml:15: a scenario must be valid TOML"),
        (b"[system]\nkind = 'a'\nkind = 'b'", "mine.toml:3: a scenario must be valid TOML.*Cannot overwrite"),
        (b"a = [\n1,\n", "mine.toml:2: a scenario must be valid TOML"),
        (b"a = 1" + b"0" * 5000, "mine.toml:1: a scenario must be valid TOML"),
        (b"a = 2000-13-01", "mine.toml:1: a scenario must be valid TOML"),
        (b"a = " + b"[" * 100_000, "mine.toml: a scenario must not nest its values this deep"),
        (b"#" * (2**20 + 1), "mine.toml: a scenario must be at most 1 MiB, but has 1048577 bytes"),
    ],
)
def test_a_file_that_is_no_scenario_gets_one_sentence(written, refuses, content, expected):
    name = written(content)
    refuses(lambda: load(name), ValueError, expected)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("rabbi", "no shipped scenario is called 'rabbi'; did you mean 'rabi'?"),
        ("quicksort", "no shipped scenario is called 'quicksort'; `python -m copydyn list` shows them all"),
        ("", "no shipped scenario is called ''"),
        ("missing.toml", "missing.toml: there is no such file"),
        ("a/missing.toml", "a/missing.toml: there is no such file"),
        ("folder.toml", "folder.toml: a scenario must be a file, but this is a folder"),
        ("./", "a scenario must be a file, but this is a folder"),
        ("result.nc", "result.nc: a scenario must be a file that ends in .toml, but this ends in '.nc'"),
        ("data.npz", "data.npz: a scenario must be a file that ends in .toml, but this ends in '.npz'"),
        ("./rabi", "rabi: a scenario must be a file that ends in .toml, but this has no suffix"),
        ("a\0.toml", r"a\\x00.toml: (cannot be read|there is no such file)"),
        (f"{'a' * 5000}.toml", "cannot be read|there is no such file"),
    ],
)
def test_a_name_without_a_scenario_gets_one_sentence(tmp_path, monkeypatch, name, expected):
    monkeypatch.chdir(tmp_path)
    Path("folder.toml").mkdir()
    Path("result.nc").write_bytes(b"\x89HDF")
    with pytest.raises(Refusal, match=expected.replace("?", r"\?")) as caught:
        load(name)
    assert "\n" not in str(caught.value)


def test_a_file_that_must_not_be_read_gets_one_sentence(written, monkeypatch, refuses):
    name = written(SOUND)
    monkeypatch.setattr(Path, "read_bytes", _denied)
    refuses(lambda: load(name), ValueError, r"mine.toml: cannot be read \(Permission denied\)")


def _denied(path):
    raise PermissionError(13, "Permission denied")


# ---- TOML with lines, and back


def test_every_key_knows_its_line():
    text = '''\
# a = 1
title = """
[not a table]
x = 2 """ # """
[system] # ]
"quoted key" . inner = [  # [
  "]", 1,
]
[[pulse]]
duration = { a = 1, b = "}" }
[[pulse]]
duration = 2
[pulse.sub]
x = '#'
[last]
end = 1'''
    tomllib.loads(text)
    assert key_lines(text) == {
        ("title",): 2,
        ("system",): 5,
        ("system", "quoted key"): 6,
        ("system", "quoted key", "inner"): 6,
        ("pulse",): 9,
        ("pulse", 0): 9,
        ("pulse", 0, "duration"): 10,
        ("pulse", 1): 11,
        ("pulse", 1, "duration"): 12,
        ("pulse", 1, "sub"): 13,
        ("pulse", 1, "sub", "x"): 14,
        ("last",): 15,
        ("last", "end"): 16,
    }


KEYS = st.text(st.sampled_from(string.ascii_letters + " .\"'\\#=[]\n\u2028é"), min_size=1, max_size=6)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False)
VALUES = st.recursive(
    st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=2),
    max_leaves=5,
)
ROWS = st.dictionaries(KEYS, VALUES, max_size=3)
TABLES = st.dictionaries(KEYS, ROWS | st.lists(ROWS, max_size=3) | VALUES, max_size=4)


@given(TABLES)
def test_tables_survive_being_written(tables):
    text = emitted(tables)
    assert tomllib.loads(text) == tables
    lines, places = text.split("\n"), key_lines(text)
    assert {(name,) for name in tables} <= set(places)
    for key, line in places.items():
        word = emitted({key[-1] if isinstance(key[-1], str) else key[0]: 0}).removesuffix(" = 0\n")
        is_table = len(key) == 1 and isinstance(tables[key[0]], dict)
        is_array = f"[[{word}]]" in lines and (len(key) == 1 or isinstance(key[-1], int))
        start = f"[[{word}]]" if is_array else f"[{word}]" if is_table else f"{word} = "
        assert lines[line - 1].startswith(start)


@given(VALUES)
def test_what_is_shown_of_a_value_is_one_short_line(value):
    assert len(shown(value).splitlines()) <= 1
    assert len(shown(value)) <= 60


@given(TEXT)
@example("1\nb = 2")
@example("[" * 100_000)
@example("1" * 5000)
def test_whatever_an_override_says_is_a_value(text):
    value = parsed_value(text)
    assert isinstance(value, (str, int, float, list, dict)) or value.isoformat()


@pytest.mark.parametrize("name", SHIPPED)
def test_a_scenario_as_run_is_the_same_scenario(name, written):
    scenario = load(name)
    again = load(written(scenario.as_run(5)))
    assert again.run.seed == 5
    assert again.run.replicas == scenario.run.replicas
    assert again.theories == scenario.theories
    assert again.claims == scenario.claims
    np.testing.assert_array_equal(again.experiment.ket, scenario.experiment.ket)
    np.testing.assert_array_equal(again.experiment.tlist, scenario.experiment.tlist)
    assert {**again.tables, "run": 0} == {**scenario.tables, "run": 0}


# ---- nothing that a file can hold makes a traceback


def refused_or_loaded(name: str, *overrides: str) -> None:
    try:
        scenario = load(name, overrides)
    except Refusal:
        return
    assert math.isfinite(float(scenario.experiment.tlist[-1]))


QUIET = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)


@QUIET
@given(st.binary(max_size=200))
def test_random_bytes_are_refused_without_a_traceback(written, content):
    refused_or_loaded(written(content))


@QUIET
@given(st.data())
def test_mutated_scenarios_are_refused_without_a_traceback(written, data):
    text = bytearray(data.draw(st.sampled_from(SOURCES)))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(text)))
        gap = data.draw(st.integers(0, 12))
        text[place : place + gap] = data.draw(st.sampled_from(SPLINTERS))
    refused_or_loaded(written(bytes(text)))


SOURCES = (RIVALS.encode(), *(find(name).read_bytes() for name in SHIPPED))
SPLINTERS = (
    *(b"", b"=", b"[", b"]", b'"', b"'", b"\n", b".", b"-", b"#", b"\\", b"\xff", b"\x00"),
    *(b"1e3", b"nan", b"-inf", b"true", b"[]", b"[[1]]", b'"1j"', b"{}", b"2000-01-01", b"0x" + b"f" * 99, b"1e999"),
)

PATHS = st.sampled_from(
    [f"{table}.{key}" for table, keys in {
        "system": ("kind", "detuning", "coupling", "hbar"),
        "preparation": ("kind", "amplitudes", "normalise", "seed", "centre"),
        "schedule": ("times", "start", "stop"),
        "theory": ("kind", "copies", "engine", "floor", "admixture", "phase_spread", "phase_step", "follow"),
        "run": ("seed", "replicas"),
        "claim": ("kind", "max_score"),
    }.items() for key in keys]
)  # fmt: skip
RIVAL_PATHS = st.builds(
    ".".join,
    st.tuples(
        st.sampled_from(["theory", "claim"]),
        st.sampled_from(["0", "1", "2", "bare", "floor of 0.5 %", "copies"]),
        st.sampled_from(["kind", "name", "copies", "theory", "label", "x"]),
    )
    | st.tuples(st.sampled_from(["theory", "claim"]), st.sampled_from(["kind", "name", "theory", "0"])),
)
SMALL = (
    st.integers(-3, 9) | st.floats(-9, 9) | st.sampled_from([math.nan, math.inf, 1e300, 2**63, True, "", "1j", "ket"])
)
TREES = st.recursive(SMALL, lambda inner: st.lists(inner, max_size=3), max_leaves=4)


@QUIET
@given(st.lists(st.tuples(PATHS, TREES), min_size=1, max_size=3))
def test_odd_values_are_refused_without_a_traceback(pairs):
    text = [f"{path}={tomllib_text(value)}" for path, value in pairs]
    refused_or_loaded("rabi", *text)


@QUIET
@given(st.lists(st.tuples(RIVAL_PATHS, TREES), min_size=1, max_size=3))
def test_odd_values_of_several_theories_are_refused_without_a_traceback(written, pairs):
    refused_or_loaded(written(RIVALS), *(f"{path}={tomllib_text(value)}" for path, value in pairs))


def tomllib_text(value) -> str:
    return emitted({"x": value}).removeprefix("x = ").strip()


@pytest.mark.parametrize(("start", "stop"), [(1.0, 1.0), (2.0, 1.0), (-1.0, 1.0)])
def test_a_schedule_ends_behind_its_start_which_is_not_negative(refuses, start, stop):
    refuses(lambda: schedule(start=start, stop=stop, points=3), ValueError, "stop must lie behind start")
    np.testing.assert_array_equal(schedule(start=1.0, stop=2.0, points=3).tlist, [1.0, 1.5, 2.0])
