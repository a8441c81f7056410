"""What an adversary has found: input of any kind ends in a result or in one sentence, and no result is lost."""

import re
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

from copydyn import laws, systems
from copydyn.__main__ import main
from copydyn.abm import CopyModel
from copydyn.experiment import Experiment, System, array_files
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
        quick = ["--no-plot"] if verb == "scenario" and "plot" not in options else []
        code = main([verb, name, *(option for option in options if option != "plot"), *quick])
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
    system, theory = "kind = 'two-level'\ndetuning = 1e12", "copies = 100\nengine = 'exact'"
    refused(command(system=system, theory=theory), "tol must be at least")


@pytest.mark.parametrize("precision", ["1e-13", "1e-160", "1e-200", "5e-324"])
def test_a_precision_beyond_all_numbers_of_copies_is_refused(command, precision):
    refused(command("--precision", precision, verb="explain"), "precision must be below 1 and at least 1e-12")


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
    assert " ".join(printed.split()).endswith(f"kept in results/{stem}-001")  # a long path has a line of its own
    theories = "".join(f"[[theory]]\nname = '{'日' * 39}{digit}'\ncopies = 9\n" for digit in "12")
    code, _, error = command("--checkpoint-every", "1e-9", name=f"{stem}.toml", theory=theories)
    assert (code, error) == (0, "")
    assert not list(Path("results").glob("*.checkpoint"))


def test_a_path_with_a_nul_in_it_is_no_folder(command):
    refused(command("--out", "a\0b"), "results must be kept in a folder that can be written")


# ---- strengths


@pytest.mark.parametrize(
    ("theory", "names"),
    [
        ("rule = { q = 1e308 }", "q must be at most 1000 in size, but is 1e"),
        ("rule = { r = -1001 }", "r must be at most 1000 in size, but is -1001"),
        ("rule = { ratio = 1e31 }", "ratio must be at most 1e.30 in size"),
        ("rule = { harmonics = [{ turning = -1e308 }] }", "turning must be at most 1e.30 in size"),
        ("alignment = { spread = 1e308 }", "spread of alignment must be at most 1e.30"),
        ("phase_step = 1e-16", "phase_step must be at least 1e-07"),
        ("phase_spread = 1e308", "phase_spread must be at most 1e.06, but is 1e.308; inf stands for uniform phases"),
        ("engine = 'meanfield'\nrule = { q = 20 }", "the path must stay away from nodes"),
        (f"rule = {{ harmonics = [{'{ order = 2 }, ' * 5000}] }}", "order 2 stands twice"),
    ],
)
def test_a_strength_out_of_all_bounds_is_refused_in_one_sentence(command, theory, names):
    refused(command(theory=f"copies = 100\n{theory}"), names)


def test_explain_leaves_out_laws_that_would_take_for_ever(command):
    code, printed, error = command(verb="explain", schedule="stop = 1e9\npoints = 3")
    assert (code, error) == (0, "")
    assert "they cost too much for beats of up to" in printed


def test_a_run_goes_without_a_law_that_would_take_for_ever(command):
    code, printed, error = command(system="kind = 'two-level'\ndetuning = 1e9", schedule="stop = 0.0002\npoints = 3")
    assert (code, error) == (0, "")
    assert "unjudged" in printed


def test_beats_are_bounded_pulse_by_pulse():
    train = [(1.0, 3.0 * X), (2.0, np.diag([0.0, 1.0])), (5.0, X)]
    experiment = Experiment.of(train, [0.6, 0.8], [0.5, 4.0], hbar=2.0)
    assert laws.beats(experiment) == pytest.approx((0.5 * 6.0 + 2.0 * 1.0 + 1.0 * 2.0) / 2.0)
    assert laws.beats(Experiment.of(X, [0.6, 0.8], [1.0, 4.0])) == pytest.approx(6.0)


# ---- figures and files


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("points", [1, 3])
def test_signs_of_mathematics_in_names_cost_no_result(command, several, points):
    np.save("h.npy", X)
    bad = r"'$\frac{$'"
    system = f"kind = 'file'\npath = 'h.npy'\nlabels = [{bad}, 'b']\nmeaning = {bad}"
    theory = "[[theory]]\nname='a'\ncopies=9\n[[theory]]\nname='b$$'\ncopies=9\n" if several else "copies = 9"
    times = f"times = {[0.1 * number for number in range(points)]}"
    code, _, error = command("plot", system=system, theory=theory, schedule=times)
    assert (code, error) == (0, "")
    assert Path("results/mine-001/figure.png").exists()


def test_a_file_that_opens_and_cannot_be_read_is_refused(command, monkeypatch):
    class Broken(BytesIO):
        def read(self, *_):
            raise OSError(5, "Input/output error")

    monkeypatch.setattr(array_files, "Path", lambda _: type("Opened", (), {"open": lambda *_: Broken()})())
    refused(
        command(system="kind = 'file'\npath = 'h.npy'"), "must name a file that can be read, but 'h.npy' cannot: inp"
    )


# ---- claims and agents


@pytest.mark.parametrize("claim", ["kind = 'still'", "kind = 'extinct'\nlabel = '0'\nat_most = 1"])
def test_a_claim_that_no_result_can_meet_loses_none(command, claim):
    outcome = command(theory="copies = 9\nengine = 'meanfield'", claim=claim)
    refused(outcome, "which this theory does not")
    assert outcome[1].endswith("kept in       results/mine-001\n")
    assert Path("results/mine-001/result.nc").exists()


@pytest.mark.parametrize(
    ("parameters", "kind", "names"),
    [
        ({"replica": -1}, ValueError, "replica must be >= 0"),
        ({"replica": 1.5}, ValueError, "replica must be a whole number"),
        ({"replica": 2**64}, ValueError, "replica must be at most"),
        ({"replica": "x"}, TypeError, "replica must be a whole number"),
        ({"follow": [9]}, ValueError, "follow must name rows of copies that exist, but names 9"),
    ],
)
def test_a_model_refuses_what_it_cannot_show(refuses, parameters, kind, names):
    refuses(lambda: CopyModel(X, [0.6, 0.8], [0.0, 1.0], copies=9, **parameters), kind, names)


def test_rows_that_do_not_exist_are_refused_before_the_first_of_several_theories_runs(command):
    theories = "[[theory]]\nname='a'\ncopies=9\n[[theory]]\nname='b'\ncopies=9\nfollow=[9]\n"
    refused(command(theory=theories), r"mine\.toml:\d+: \[theory\] follow must name rows of copies that exist")
