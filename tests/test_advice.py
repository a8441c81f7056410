"""Refusals speak the language of who asked: keys and commands to a scenario, calls to Python."""

import copy
import re

import numpy as np
import pytest

from copydyn import Experiment, copysolve
from copydyn.__main__ import main
from copydyn.refusal import BadValue, Refusal
from copydyn.scenario.source import BadScenario
from copydyn.theories import CopyDynamics, Schrodinger
from copydyn.theories.copies.rules import Rule

PYTHON = re.compile(r"\w\(\w+=|=True|=False|Preparation|Experiment|\.full\(|\.dag\(")


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        (
            "preparation.amplitudes=[1,1]",
            "amplitudes must be normalised .* with preparation.normalise=true",
        ),
        ("preparation.amplitudes=[0.6,0.8j]", r"put complex numbers in quotes: \"0.8j\""),
        ("theory.copies=1e3,1e4", "a sweep: python -m copydyn sweep NAME 'theory.copies=1e3,1e4'"),
        ("theory.copies=[1e3,1e4]", "a sweep: python -m copydyn sweep NAME 'theory.copies=1000,10000'"),
        ("theory.copies=geomspace(1e3,1e5,3)", "sweep NAME 'theory.copies=geomspace"),
        ("theory.engine=agent", r"but is 'agent' \(did you mean 'agents'\?\)"),
        ("theory.preparation=multinomal", r"did you mean 'multinomial'\?"),
        ("theory.rule=smolins", r"or a table \[theory.rule\], but is 'smolins' \(did you mean 'smolin'\?\)"),
        ("theory.rule={harmonics=[]}", r"quantum mechanics has \[{order = 1}\]"),
        ("schedule.stop=1e7", "end the schedule earlier, or take smaller energies"),
    ],
)
def test_the_command_line_is_advised_in_its_own_language(override, sentence, tmp_path, capsys):
    assert main(["scenario", "rabi", override, "--no-plot", "--quiet", "--out", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert re.search(sentence, said), said
    assert not PYTHON.search(said), said


def test_a_complex_number_without_quotes_in_a_file(tmp_path, capsys):
    path = tmp_path / "mine.toml"
    path.write_text("[preparation]\namplitudes = [0.6, 0.8j]\n")
    assert main(["scenario", str(path)]) == 2
    assert re.search(r'mine.toml:2: .*; put complex numbers in quotes: "0.8j"\.', capsys.readouterr().err)


@pytest.mark.parametrize("line", ['amplitudes = [0.6, "0.8j"', "x = 'a 3j b", "amplitudes = [0.6, 0.8i]"])
def test_other_faults_of_toml_are_not_blamed_on_quotes(line, tmp_path, capsys):
    path = tmp_path / "mine.toml"
    path.write_text(f"[preparation]\n{line}\n")
    assert main(["scenario", str(path)]) == 2
    assert "put complex numbers" not in capsys.readouterr().err.replace("a 3j b", "")


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: copysolve(np.eye(2), [1, 1], [0, 1], copies=10), r"Preparation\(psi0, normalise=True\)"),
        (lambda: CopyDynamics(10, engine="agent"), r"did you mean 'agents'\?"),
        (lambda: CopyDynamics(10, rule="smolins"), "or a Rule, but is 'smolins'"),
        (lambda: Rule(harmonics=()), r"Harmonic\(order=1\)"),
        (lambda: Schrodinger().evolve(Experiment.of(1e6 * np.eye(2), [1, 0], [0, 10])), "loosen tol, shorten tlist"),
    ],
)
def test_python_is_advised_in_its_own_language(call, sentence, refuses):
    refuses(call, ValueError, sentence)


def test_a_refusal_says_the_same_to_both_where_it_says_nothing_else():
    assert Refusal("No.").in_scenario == "No."
    assert BadValue("No.", in_scenario="Nein.").in_scenario == "Nein."


def test_a_refusal_can_be_copied():
    """Between processes it is: a scenario's was made of the letters of its sentence."""
    for refusal in (BadValue("No.", in_scenario="Nein."), BadScenario(["One fault.", "Another."])):
        again = copy.deepcopy(refusal)
        assert type(again) is type(refusal)
        assert str(again) == str(refusal)
        assert again.__dict__ == refusal.__dict__
