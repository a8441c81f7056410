"""What an adversary has found: input of any kind ends in a result or in one sentence, and no result is lost."""

import re
from pathlib import Path

import numpy as np
import pytest

from copydyn import systems
from copydyn.__main__ import main
from copydyn.experiment import System
from copydyn.systems import circuit, gue, lattice, random_circuit, ring
from copydyn.theories import CopyDynamics

SOUND = {
    "system": "kind = 'two-level'\ndetuning = 0.6",
    "preparation": "amplitudes = [0.8, '0.6j']",
    "schedule": "stop = 1\npoints = 3",
    "theory": "copies = 100",
    "run": "replicas = 2\nseed = 1",
}
X = np.array([[0.0, 1.0], [1.0, 0.0]])


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
    """Write a scenario with tables in the place of the sound ones, run it, and give exit code, output and errors."""
    monkeypatch.chdir(tmp_path)

    def call(*options: str, verb: str = "scenario", name: str = "mine.toml", **tables: str) -> tuple[int, str, str]:
        written = (text if text.startswith("[[") else f"[{table}]\n{text}" for table, text in (SOUND | tables).items())
        Path(name).write_text("\n".join(written))
        code = main([verb, name, *options, *(["--no-plot"] if verb == "scenario" else [])])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return call


def refused(outcome: tuple[int, str, str], names: str) -> None:
    code, _, error = outcome
    assert code == 2
    assert re.fullmatch(r"copydyn: [^\n]*\.\n", error), error
    assert re.search(names, error), error


# ---- sizes


@pytest.mark.parametrize(
    ("call", "names"),
    [
        (lambda: ring(1e9), "sites must be at most 1048576"),
        (lambda: lattice(1e9), "sites must be at most 1048576"),
        (lambda: systems.harmonic(1e9), "sites must be at most 1048576"),
        (lambda: gue(1e5), "levels must be at most 8192"),
        (lambda: random_circuit(16, 10_000), "gates times labels must be at most 16777216"),
        (lambda: circuit(["h 0"] * 1000, 16), "1000 gates on 16 qubits make 65536000; take fewer"),
    ],
)
def test_a_system_that_nobody_can_hold_is_refused_before_it_is_made(refuses, call, names):
    refuses(call, ValueError, names)


@pytest.mark.parametrize("replicas", ["1e12", "1e18", "9223372036854775807"])
def test_too_many_replicas_are_refused(command, replicas):
    refused(command("--replicas", replicas), r"replicas times save times times labels must be at most 1e\+12")


# ---- units


def test_energies_and_times_must_stay_finite(refuses):
    refuses(lambda: System(X, hbar=5e-324), ValueError, "H/hbar must be finite, but the largest entry of H is 1 and")
    refuses(lambda: System([(1e308, X), (1e308, X)]), ValueError, "durations of the pulses must have a finite sum")


def test_a_reference_that_cannot_be_had_is_refused_before_the_run_and_not_after_it(command, monkeypatch):
    monkeypatch.setattr(CopyDynamics, "evolve", lambda *_, **__: pytest.fail("it ran"))
    refused(command(system="kind = 'two-level'\ndetuning = 1e12"), "tol must be at least")


@pytest.mark.parametrize("precision", ["1e-13", "1e-160", "1e-200", "5e-324"])
def test_a_precision_beyond_all_numbers_of_copies_is_refused(command, precision):
    refused(command("--precision", precision, verb="explain"), "precision must be a deviation of a frequency, 1e-12 or")


# ---- names


@pytest.mark.parametrize("text", ["labels=['a', \"b\\u0000\"]", 'names=["\\u0000", "B"]', 'meaning="\\u0000"'])
def test_names_that_no_file_can_hold_are_refused_before_the_run(command, text):
    np.save("h.npy", X)
    kind = "kind = 'composite'" if "names" in text else "kind = 'file'\npath = 'h.npy'"
    start = "kind = 'random'"
    refused(
        command(system=f"{kind}\n{text}", preparation=start), r"must do without the character NUL, but one is '.*x00'"
    )


@pytest.mark.parametrize("stem", ["x" * 240, "日" * 80])
def test_a_scenario_may_have_a_name_as_long_as_a_file_may(command, stem):
    code, printed, error = command(name=f"{stem}.toml")
    assert (code, error) == (0, "")
    assert printed.endswith(f"kept in       results/{stem}-001\n")
    theories = "".join(f"[[theory]]\nname = '{'日' * 39}{digit}'\ncopies = 9\n" for digit in "12")
    code, _, error = command("--checkpoint-every", "1e-9", name=f"{stem}.toml", theory=theories)
    assert (code, error) == (0, "")
    assert not list(Path("results").glob("*.checkpoint"))


def test_a_path_with_a_nul_in_it_is_no_folder(command):
    refused(command("--out", "a\0b"), "results must be kept in a folder that can be written")
