"""A run is never lost, and never ends with the wrong exit code, whatever happens to its report."""

import os
import re
import shutil
import subprocess
import sys
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from copydyn import Experiment, Preparation, Schedule, System, copysolve, pipeline
from copydyn.__main__ import main
from copydyn.comparison.claims import Agrees, Closer, Coherent, Conserved, Deviates, Finding, Reads, Within, all_hold
from copydyn.refusal import BadValue
from copydyn.report import plots
from copydyn.report.exit_codes import DOES_NOT_HOLD, DONE, FAULT, INTERRUPTED, NOT_JUDGED, NOT_TOLD
from copydyn.results import result
from copydyn.runs.conduct import Interrupted
from copydyn.runs.streams import fingerprint, run_fingerprint, said
from copydyn.scenario.scenario import load
from copydyn.theories import OQT, SUI, SUV, ColouredSUV, CopyDynamics, Schrodinger
from copydyn.theories.copies import cost

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}
X = np.array([[0.0, 1.0], [1.0, 0.0]])
QUICK = ["scenario", "rabi", "theory.copies=1e3", "--replicas", "2"]
NO_PICTURE = [*QUICK, "--no-plot"]

TWO = """
[system]
kind = "two-level"
detuning = 0.6
[preparation]
amplitudes = [0.8, "0.6j"]
[schedule]
stop = 1
points = 3
[[theory]]
name = "first"
copies = 100
[[theory]]
name = "second"
kind = "SUV"
rate = 0.3
[run]
replicas = 2
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Work in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """Give a sweep of two points."""
    folder = tmp_path_factory.mktemp("swept") / "sweep"
    axes = ["theory.copies=40,60", "schedule.points=3", "--replicas", "2", "--seed", "1", "--jobs", "1", "--quiet"]
    assert main(["sweep", "rabi", *axes, "--out", str(folder)]) == 0
    return folder


def kept() -> set[str]:
    """Names of what the one run has left."""
    (folder,) = Path("results").glob("*-001")
    return {path.name for path in folder.iterdir()}


def shell(line: str, **options) -> subprocess.CompletedProcess:
    command = ["bash", "-o", "pipefail", "-c", line.replace("copydyn", f"{sys.executable} -m copydyn", 1)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, env=ENVIRONMENT, **options)


# ---- a figure


def no_latex(*_: Any, **__: Any) -> None:
    raise RuntimeError("latex was not able to process the following string:\nb'lp'")


def no_matplotlib(*_: Any, **__: Any) -> None:
    raise ModuleNotFoundError("No module named 'matplotlib'")


@pytest.mark.parametrize("fault", [no_latex, no_matplotlib])
@pytest.mark.parametrize(("bound", "code"), [("4", DONE), ("1e-9", DOES_NOT_HOLD)])
def test_a_figure_that_fails_costs_nothing_else(here, capsys, monkeypatch, fault, bound, code):
    monkeypatch.setattr(plots, "plot", fault)
    assert main([*QUICK, f"claim.max_score={bound}"]) == code
    assert kept() == {"comparison.nc", "reference.nc", "result.nc", "scenario.toml", "table.txt", "versions.json"}
    printed = capsys.readouterr()
    assert printed.out.endswith("kept in       results/rabi-001\n")
    assert re.fullmatch(
        r"copydyn: figure.png could not be drawn, all else is kept: (latex was|No module)[^\n]*\.\n", printed.err
    )


def test_a_backend_that_does_not_exist_costs_nothing_else(here):
    line = f"copydyn {' '.join(QUICK)}"
    done = shell(f"MPLBACKEND=nonsense {line}", cwd=here)
    assert done.returncode == DONE, done.stderr
    assert "figure.png could not be drawn, all else is kept: " in done.stderr
    assert "result.nc" in kept()


def test_a_figure_for_which_no_room_is_left_costs_nothing_else(here, capsys, monkeypatch):
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pipeline.store, "add", full)
    assert main(QUICK) == DONE
    assert "No space left on device" in capsys.readouterr().err
    assert "result.nc" in kept()


def test_warnings_that_are_errors_cost_nothing(here, monkeypatch):
    monkeypatch.setattr(plots, "plot", no_latex)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(RuntimeWarning, match="could not be drawn"):
            pipeline.run(load("rabi", ["theory.copies=100", "run.replicas=2"]), here / "results", say=lambda _: None)
    assert "result.nc" in kept()


def test_ctrl_c_while_drawing_says_what_is_kept(here, unthreaded, capsys, monkeypatch):
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(plots, "plot", interrupted)
    assert main(QUICK) == INTERRUPTED
    assert "everything but the figure is kept in results/rabi-001" in capsys.readouterr().err


def test_a_page_about_a_sweep_does_without_figures(here, capsys, monkeypatch, swept):
    monkeypatch.setattr(plots, "plot_sweep", no_latex)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert main(["report", str(swept), "--out", "page.html"]) == DONE
    assert "copydyn: figures could not be drawn, all else is on the page: latex was not" in capsys.readouterr().err
    assert "<p>Figures could not be drawn: latex was not able" in Path("page.html").read_text(encoding="utf-8")


# ---- standard output and standard error


def commands(folder: Path) -> dict[str, list[str]]:
    return {
        "scenario": NO_PICTURE,
        "explain": ["explain", "rabi", "theory.copies=1e3"],
        "list": ["list"],
        "status": ["status", str(folder)],
        "verify": ["verify", str(folder)],
        "export": ["export", str(folder), "one.csv"],
        "report": ["report", str(folder), "--out", "page.html"],
        "sweep": ["sweep", str(folder), "--jobs", "1"],
        "repair": ["repair", str(folder), "--jobs", "1"],
    }


@pytest.mark.parametrize("verb", commands(Path()))
def test_a_full_disk_behind_standard_output_is_said_and_loses_nothing(here, capsys, monkeypatch, swept, verb):
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert main(commands(swept)[verb]) == NOT_TOLD
    assert capsys.readouterr().err.endswith(
        "copydyn: standard output has not taken what was to be printed: No space left on device.\n"
    )
    if verb == "scenario":
        assert "result.nc" in kept()
    assert Path("one.csv").exists() == (verb == "export")
    assert Path("page.html").exists() == (verb == "report")


def test_a_claim_that_does_not_hold_is_told_by_its_exit_code_even_then(here, monkeypatch):
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert main([*NO_PICTURE, "claim.max_score=1e-9"]) == DOES_NOT_HOLD
    assert "DOES NOT HOLD" in Path("results/rabi-001/table.txt").read_text()


@pytest.mark.parametrize(
    ("line", "code", "said_on"),
    [
        ("copydyn list > /dev/full", NOT_TOLD, "stderr"),
        ("copydyn list >&-", NOT_TOLD, "stderr"),
        ("copydyn list 2>&-", DONE, "stdout"),
        ("copydyn --help > /dev/full", NOT_TOLD, "stderr"),
        ("copydyn --version >&-", NOT_TOLD, "stderr"),
        ("copydyn list | head -1", DONE, "stdout"),
        ("copydyn nonsense 2>/dev/full", 2, ""),
        ("copydyn scenario nonsense 2>&-", 2, ""),
    ],
)
def test_streams_that_are_full_closed_or_left(here, line, code, said_on):
    done = shell(line, cwd=here)
    assert done.returncode == code, (done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    assert bool(done.stdout) == (said_on == "stdout")
    assert bool(done.stderr) == (said_on == "stderr")


def test_a_run_with_every_stream_closed_is_kept(here):
    assert shell(f"copydyn {' '.join(NO_PICTURE)} <&- >&- 2>&-", cwd=here).returncode == NOT_TOLD
    assert "  claim         holds" in Path("results/rabi-001/table.txt").read_text(encoding="utf-8")
    assert result.read("results/rabi-001/result.nc").sizes["replica"] == 2


def test_a_terminal_without_greek_letters_gets_question_marks(here):
    line = f"copydyn {' '.join(NO_PICTURE)} 'title=Ψ over ħ'"
    done = shell(f"PYTHONIOENCODING=ascii {line}", cwd=here)
    assert done.returncode == DONE, done.stderr
    assert done.stdout.startswith("? over ?")
    assert "Ψ over ħ" in Path("results/rabi-001/table.txt").read_text(encoding="utf-8")


# ---- several theories


def test_all_theories_are_asked_before_any_runs(here, capsys, monkeypatch):
    monkeypatch.setattr(CopyDynamics, "evolve", lambda *_, **__: pytest.fail("it ran"))
    Path("mine.toml").write_text(TWO)
    assert main(["scenario", "mine.toml", "theory.second.projectors=[['0']]"]) == 2
    error = capsys.readouterr().err
    assert re.fullmatch(r"copydyn: theory.second.*projectors must be complete, but no group names label '1'.*\n", error)


def test_replicas_that_a_theory_cannot_hold_are_refused_before_any_runs(here, capsys, monkeypatch):
    monkeypatch.setattr(CopyDynamics, "evolve", lambda *_, **__: pytest.fail("it ran"))
    monkeypatch.setattr(SUV, "require", lambda *_: (_ for _ in ()).throw(BadValue("too many.")))
    scenario = "\n".join(TWO.splitlines())
    Path("mine.toml").write_text(scenario)
    with pytest.raises(BadValue, match="too many"):
        pipeline.run(_loaded_without_asking(monkeypatch), here / "results")


def _loaded_without_asking(monkeypatch):
    ask = SUV.require
    monkeypatch.setattr(SUV, "require", lambda *_: None)
    scenario = load("mine.toml")
    monkeypatch.setattr(SUV, "require", ask)
    return scenario


def refusal() -> Exception:
    return BadValue("the path meets a node.")


@pytest.mark.parametrize(
    ("fault", "code", "sentence"),
    [
        (refusal, 2, "copydyn: the path meets a node.\n"),
        (lambda: MemoryError("Unable to allocate 9 TiB"), 2, "must fit into memory, but: Unable to allocate 9 TiB"),
        (lambda: ZeroDivisionError("a bug"), FAULT, "Traceback"),
        (KeyboardInterrupt, INTERRUPTED, "interrupted. The result of 'first' is kept in results/mine-001."),
        (lambda: Interrupted("interrupted at 3 %."), INTERRUPTED, "at 3 %. The result of 'first' is kept in results/m"),
    ],
)
def test_what_was_computed_before_a_theory_failed_is_kept(here, unthreaded, capsys, monkeypatch, fault, code, sentence):
    def fails(*_: Any, **__: Any) -> None:
        raise fault()

    Path("mine.toml").write_text(TWO)
    monkeypatch.setattr(SUV, "evolve", fails)
    assert main(["scenario", "mine.toml"]) == code
    printed = capsys.readouterr()
    assert sentence in printed.err
    assert kept() == {"comparison-first.nc", "reference.nc", "result-first.nc", "scenario.toml", "versions.json"}
    again = result.read("results/mine-001/result-first.nc")
    seed = int(re.search(r"^  seed +(\d+), drawn; --seed \1 gives the same run again$", printed.out, re.M)[1])
    assert again.attrs["seed"] == seed


def test_a_law_or_a_report_that_fails_costs_no_result(here, monkeypatch, capsys):
    Path("mine.toml").write_text(TWO)
    monkeypatch.setattr(pipeline.report, "table", lambda *_, **__: 1 / 0)
    assert main(["scenario", "mine.toml"]) == FAULT
    assert {"result-first.nc", "result-second.nc", "comparison-second.nc"} <= kept()
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_a_seed_that_was_given_is_not_told_again(here, capsys):
    assert main([*NO_PICTURE, "--seed", "7"]) == DONE
    assert "drawn" not in capsys.readouterr().out


def test_a_claim_that_fails_leaves_the_others_their_verdicts(here, capsys):
    claims = "[[claim]]\nkind = 'still'\ntheory = 'second'\n[[claim]]\nkind = 'within'\ntheory = 'first'\n"
    Path("mine.toml").write_text(f"{TWO}{claims}distance = 'max_deviation'\nat_most = 1\n")
    assert main(["scenario", "mine.toml", "--no-plot"]) == 2
    assert re.search(r"^  claim         holds: 'first': max deviation", capsys.readouterr().out, re.MULTILINE)


# ---- what cannot be judged


def comparison(**numbers: float) -> xr.Dataset:
    series = {name: ("time", [0.0, value]) for name, value in numbers.items()}
    data = {**series, **{f"{name}_error": ("time", [0.0, 0.0]) for name in numbers}}
    worst = {"max_deviation": "worst_deviation", "total_variation": "worst_total_variation"}
    data |= {worst[name]: ((), value) for name, value in numbers.items() if name in worst}
    data |= {f"{worst[name]}_error": ((), 0.0) for name in numbers if name in worst}
    return xr.Dataset(data, {"time": [0.0, 1.0]}, {"sentence": "there is no law"})


EMPTY = xr.Dataset(
    {
        "coherence": (("replica", "time", "beable"), np.full((2, 4, 1), np.nan)),
        "entropy": ("time", [0.0, 0.1, np.nan, 0.2], {"long_name": "entropy"}),
    },
    {"beable": ["a"], "time": [0.0, 1.0, 2.0, 3.0]},
)


@pytest.mark.parametrize(
    "judge",
    [
        lambda: Agrees().judge(None, comparison()),
        lambda: Deviates().judge(None, comparison()),
        lambda: Deviates("max_deviation", 0.1).judge(None, comparison(max_deviation=np.nan)),
        lambda: Within("infidelity", 0.1).judge(None, comparison(infidelity=np.nan)),
        lambda: Coherent("a", at_least=0.5).judge(EMPTY, None),
        lambda: Reads("entropy", "largest", at_least=0.1).judge(EMPTY, None),
        lambda: Closer("a", "b", "max_deviation").settle(
            {}, {"a": comparison(max_deviation=0.1), "b": comparison(max_deviation=np.nan)}
        ),
    ],
)
def test_a_claim_about_numbers_that_are_none_cannot_be_judged(judge):
    finding = judge()
    assert finding.holds is None
    assert finding.verdict == "CANNOT BE JUDGED"


def test_nothing_is_conserved_where_nothing_happens():
    parts = Experiment(
        System(np.diag([0.0, 1.0, 2.0, 3.0]), parts=(("A", 2), ("B", 2))), Preparation([0.5] * 4), Schedule([0.0, 1.0])
    )
    still = CopyDynamics(100).evolve(parts, seed=1)
    assert Conserved("A").judge(still, None).holds is None
    moving = still.assign(events=still["events"] + 3)
    assert Conserved("A").judge(moving, None).holds is True
    moved = moving.copy(deep=True)
    moved["counts"][:, 1] += xr.DataArray([5, 0, -5, 0], dims="beable")
    assert Conserved("A").judge(moved, None).holds is False


@pytest.mark.parametrize(
    ("verdicts", "together"),
    [([], True), ([True], True), ([True, None], None), ([None, False], False), ([False, True], False)],
)
def test_one_claim_that_does_not_hold_decides(verdicts, together):
    assert all_hold(verdicts) is together
    findings = [Finding(verdict, "") for verdict in verdicts]
    assert pipeline.Outcome({}, xr.Dataset(), {}, findings, Path()).holds is together


def test_a_claim_that_cannot_be_judged_has_an_exit_code_of_its_own(here, capsys):
    arguments = ["theory.phase_spread=0.3", "theory.copies=50", "schedule.stop=1", "schedule.points=3"]
    assert main([*NO_PICTURE, *arguments]) == NOT_JUDGED
    assert "  claim         CANNOT BE JUDGED: agreement cannot be judged: there is no law" in capsys.readouterr().out


def test_the_help_names_every_exit_code(capsys):
    with pytest.raises(SystemExit):
        main(["scenario", "--help"])
    printed = " ".join(capsys.readouterr().out.split())
    assert "0 the claims hold (or there are none), 1 one does not, 2 bad input, 3 one cannot be judged" in printed
    assert all(f"{code} " in printed for code in (FAULT, NOT_TOLD, INTERRUPTED))


# ---- python -OO, and kernels that cannot be kept


def test_every_module_is_imported_without_docstrings_and_assertions():
    program = (
        "import importlib, pkgutil\n"
        "for name in ('copydyn', 'qm_reference'):\n"
        "    package = importlib.import_module(name)\n"
        "    for found in pkgutil.walk_packages(package.__path__, name + '.'):\n"
        "        if not found.name.endswith('__main__'): importlib.import_module(found.name)\n"
    )
    done = subprocess.run(
        [sys.executable, "-OO", "-c", program], capture_output=True, text=True, env=ENVIRONMENT, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_main_job_works_without_docstrings_and_assertions(here):
    program = f"import sys; from copydyn.__main__ import main; sys.exit(main({NO_PICTURE!r}))"
    interpreted = ENVIRONMENT | {"NUMBA_DISABLE_JIT": "1"}  # to compile kernels once more would take half a minute
    done = subprocess.run([sys.executable, "-OO", "-c", program], capture_output=True, text=True, env=interpreted)
    assert done.returncode == DONE, done.stderr
    assert "claim         holds" in done.stdout


KERNEL = """
import os, sys
from numba.core import caching
from numba.core.caching import CacheImpl
mode = sys.argv[1]
if mode == "nowhere":
    CacheImpl._locator_classes = []
if mode == "full":
    def full(*_): raise OSError(28, "No space left on device")
    caching.IndexDataCacheFile.save = full
from kernels_copy import outer
print(outer.twice_more(3.0), outer.once_more(3.0))
"""


@pytest.mark.parametrize(
    ("mode", "reason"),
    [("nowhere", "it finds no folder for them that can be written"), ("full", "No space left on device")],
)
def test_kernels_that_cannot_be_kept_are_compiled_and_said_once(tmp_path, mode, reason):
    done = _kernels(tmp_path, mode)
    assert done.stdout == "6.0 4.0\n", done.stderr
    assert done.stderr.count("RuntimeWarning") == 1
    assert f"numba cannot keep compiled kernels, as {reason}: every run compiles them anew" in done.stderr
    assert "set NUMBA_CACHE_DIR to a folder that can be written" in done.stderr


def test_a_damaged_cache_is_made_anew(tmp_path):
    assert _kernels(tmp_path, "sound").stderr == ""
    for index in tmp_path.rglob("*.nbi"):
        index.write_bytes(index.read_bytes()[:40])
    done = _kernels(tmp_path, "sound")
    assert done.stdout == "6.0 4.0\n", done.stderr
    assert done.stderr.count("RuntimeWarning") == 1
    assert _kernels(tmp_path, "sound").stderr == ""


def _kernels(folder: Path, mode: str) -> subprocess.CompletedProcess:
    package = folder / "kernels_copy"
    package.mkdir(exist_ok=True)
    (package / "__init__.py").touch()
    if not (package / "compiled.py").exists():
        shutil.copy(ROOT / "copydyn" / "kernels" / "compiled.py", package)
        text = "from kernels_copy.compiled import kernel\n"
        text += "@kernel\ndef twice_more(x):\n    return 2.0 * x\n@kernel\ndef once_more(x):\n    return 1.0 + x\n"
        (package / "outer.py").write_text(text)
    environment = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
    command = [sys.executable, "-c", KERNEL, mode]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


# ---- what a run costs


def detuned(gap: float, span: float = 10.0) -> Experiment:
    return Experiment.of(X + np.diag([gap, 0.0]), [0.6, 0.8j], [0.0, span])


def test_beats_count_as_well_as_events():
    quiet, loud = CopyDynamics(1000).count(detuned(0.0)), CopyDynamics(1000).count(detuned(1e6))
    assert quiet.events == loud.events == pytest.approx(1e4)
    assert loud.steps == pytest.approx(1e6 * 10.0 / 0.1, rel=1e-3)
    assert loud.leaps == pytest.approx(0.5e6 * 10.0 / 0.4, rel=1e-2)
    chosen = ("exact", "at most 1e+04 events an ensemble, which are affordable")
    assert CopyDynamics(1000).choice(detuned(0.0)) == chosen
    engine, reason = CopyDynamics(1000).choice(detuned(1e6))
    assert engine == "leap"
    assert reason == (
        "up to 1e+04 events and about 1e+08 steps of the phases an ensemble, which cost more than about 1.3e+07 leaps"
    )


def test_a_constant_energy_costs_nothing():
    for matrix in (X, np.array([[0.3, 1.0 - 0.5j, 0.0], [1.0 + 0.5j, 0.0, 0.2], [0.0, 0.2, -1.0]])):
        size = len(matrix)
        ket, times = np.full(size, size**-0.5), [0.0, 3.0, 9.0]
        plain = CopyDynamics(1e4).count(Experiment.of(matrix, ket, times))
        lifted = CopyDynamics(1e4).count(Experiment.of(matrix + 1e6 * np.eye(size), ket, times))
        np.testing.assert_allclose(lifted, plain, rtol=1e-9)


def test_the_number_of_steps_is_what_the_kernel_takes():
    """Within a factor of ten, from one beat to many: `cost.MIXING` says why no better."""
    from copydyn.kernels import per_label
    from copydyn.kernels.flow import workspace
    from copydyn.kernels.replicas import couplings_at
    from copydyn.kernels.roster import event_log
    from copydyn.theories.copies.ensemble import train_of

    for gap in (0.0, 30.0, 3e3):
        experiment = detuned(gap)
        theory = CopyDynamics(1000, engine="exact")
        couplings, ensemble = couplings_at(train_of(experiment.system), 0), theory.prepare(experiment, 1)
        way = (ensemble.counts, ensemble.factor, couplings, 0.0, 10.0, theory.resolved(experiment).phase_step, 0)
        steps = per_label.advance(*way, 1.0, 10**9, ensemble.random_state, workspace(2, 1), None, event_log(0))[4]
        foreseen = theory.count(experiment).steps
        assert foreseen / 10.0 < steps < foreseen * 10.0, (gap, steps, foreseen)
        if gap > 1e3:
            assert steps == pytest.approx(foreseen, rel=0.01)


def test_pulses_count_for_as_long_as_they_last():
    train = [(1.0, X), (2.0, X + np.diag([1e3, 0.0])), (9.0, X)]
    work = CopyDynamics(100).count(Experiment.of(train, [0.6, 0.8], [0.5, 1.5]))
    assert work.steps == pytest.approx((0.5 * 3.0 + 0.5 * (1e3 + 3.0)) / 0.1)


@pytest.mark.parametrize(
    ("theory", "experiment", "names"),
    [
        (
            CopyDynamics(1000, engine="exact"),
            detuned(1e6, 100.0),
            "about 1e.09 steps of the phases and up to 1e.05",
        ),
        (
            CopyDynamics(10**11, floor=3),
            detuned(0.0),
            "up to 1e.12 events and about .* steps of the",
        ),
        (CopyDynamics(10**6, phase_spread=0.1), detuned(1e3), "steps of the phases and up to 1e.07 events"),
        (CopyDynamics(1000, engine="leap"), detuned(1e8), "about 1.3e.09 leaps an ensemble, 3 of them"),
        (OQT(1e6, window="canonical"), detuned(0.0, 400.0), "8000000000 steps a trajectory, 3 of them"),
        (SUV(1e3), detuned(0.0, 4e4), "steps a trajectory, 3 of them"),
    ],
)
def test_a_long_run_is_announced(monkeypatch, theory, experiment, names):
    class Begun(Exception):
        pass

    def begun(*_: Any, **__: Any) -> None:
        raise Begun

    monkeypatch.setattr("copydyn.theories.irreversible.trajectories.MOST_STEPS", 10**11)
    monkeypatch.setattr("copydyn.theories.irreversible.reduction.MOST_ANGLE", 0.0)
    monkeypatch.setattr("copydyn.theories.irreversible.suv.followed", lambda *_: False)
    monkeypatch.setattr("copydyn.theories.copies.copying.conduct", begun)
    monkeypatch.setattr("copydyn.theories.irreversible.trajectories.conduct", begun)
    monkeypatch.setattr("copydyn.theories.irreversible.trajectories.WORK", 10**12)
    with (
        pytest.warns(RuntimeWarning, match=rf"this run may take [\d.e+]+ (s|min|h) of computing: .*{names}"),
        pytest.raises(Begun),
    ):
        theory.evolve(experiment, seed=1, replicas=3)


def test_a_short_run_is_not_announced():
    copysolve(X, [0.6, 0.8], [0.0, 1.0], copies=1000, seed=1)
    assert cost.LONG >= 10.0


def test_explain_tries_a_short_piece_of_many_beats_and_names_them(here, capsys):
    changes = ["theory.copies=100", "system.detuning=1e3", "theory.engine=exact", "schedule.points=3"]
    assert main(["explain", "rabi", *changes]) == DONE
    assert re.search(
        r"^  steps +about 2e\+05 of the phases a replica, which take longer", capsys.readouterr().out, re.M
    )


# ---- fingerprints


@dataclass(frozen=True)
class Mine:
    """A theory with fields of every kind."""

    numbers: Any = 1.0
    nested: Any = field(default_factory=dict)


def arrays(changed: float = 0.0) -> np.ndarray:
    array = np.linspace(0.0, 1.0, 2000)
    array[1000] += changed
    return array


KINDS = {
    "array": arrays,
    "in a tuple": lambda changed=0.0: (1, (arrays(changed),)),
    "in a list": lambda changed=0.0: [arrays(changed)],
    "in a mapping": lambda changed=0.0: {"a": arrays(changed)},
    "in a dataclass": lambda changed=0.0: Mine(arrays(changed)),
    "in a system": lambda changed=0.0: System(np.diag(arrays(changed))),
    "many digits": lambda changed=0.0: np.array([0.1 + 1e-6 * changed]),
    "matrix": lambda changed=0.0: arrays(changed).reshape(40, 50) * 1j,
    "objects": lambda changed=0.0: np.array([arrays(changed), None], dtype=object),
    "labelled": lambda changed=0.0: xr.DataArray(arrays(changed)),
    "sparse": lambda changed=0.0: __import__("scipy.sparse").sparse.csr_array(np.diag(arrays(changed))),
    "kind of number": lambda changed=0.0: np.zeros(3, dtype=np.int64 if changed else np.float64),
    "shape": lambda changed=0.0: np.zeros((2, 3) if changed else (3, 2)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_theories_that_differ_anywhere_have_other_fingerprints(kind):
    experiment = detuned(0.0)
    for place in ("numbers", "nested"):
        one, same, other = (Mine(**{place: KINDS[kind](changed)}) for changed in (0.0, 0.0, 1e-7))
        assert fingerprint(experiment, one) == fingerprint(experiment, same)
        assert fingerprint(experiment, one) != fingerprint(experiment, other)
        assert run_fingerprint(experiment, one, 1, 1) != run_fingerprint(experiment, other, 1, 1)


def test_a_fingerprint_does_not_ask_how_numbers_are_printed():
    before = said(Mine(arrays()))
    with np.printoptions(precision=2, threshold=5):
        assert said(Mine(arrays())) == before


FIELDS = [
    (CopyDynamics(100), {"copies": 101, "engine": "exact", "rule": "printed", "preparation": "multinomial"}),
    (CopyDynamics(100), {"spectators": 1, "floor": 1, "admixture": (0.1, [1, 0]), "phase_spread": 0.1}),
    (CopyDynamics(100, "leap"), {"phase_step": 0.01, "leap_step": 0.1, "few": 32}),
    (CopyDynamics(100, "agents"), {"record_events": True, "follow": (1,)}),
    (OQT(0.1), {"rate": 0.2, "noise": "complex", "phase_rule": "real", "scheme": "euler", "step": 0.01, "degrees": 2}),
    (OQT(0.1), {"window": "canonical", "part": "A"}),
    (SUV(0.1), {"rate": 0.2, "projectors": "pointer", "part": "A", "scheme": "jumps", "step": 0.01, "degrees": 2}),
    (SUI(0.1, 0.1), {"thermalising": 0.2, "reducing": 0.2, "window": "canonical", "projectors": [["a"], ["b"]]}),
    (SUI(0.1, 0.1), {"part": "A", "noise": "complex", "phase_rule": "real", "scheme": "jumps", "degrees": 2}),
    (ColouredSUV(0.1), {"strength": 0.2, "drift": 0.2, "noise": "frozen", "memory": 0.2, "one_noise": True}),
    (Schrodinger(), {"tol": 1e-9}),
]


@pytest.mark.parametrize(
    ("theory", "name", "value"),
    [(theory, name, value) for theory, changes in FIELDS for name, value in changes.items()],
)
def test_every_field_of_a_theory_is_in_its_fingerprint(theory, name, value):
    from dataclasses import replace

    assert said(replace(theory, **{name: value})) != said(theory)


def test_what_has_no_name_is_refused(refuses):
    refuses(lambda: fingerprint(detuned(0.0), Mine(lambda: 0)), TypeError, "must be made of numbers, words, arrays")
