"""The command line: every shipped scenario from its name to its verdict, exit codes, and what is left on disk."""

import json
import os
import re
import subprocess
import sys
import threading
import tomllib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr
from tables import require_what_the_files_say

from copydyn import pipeline
from copydyn.__main__ import main
from copydyn.laws import finite_copies
from copydyn.report.layout import WIDEST
from copydyn.results import result
from copydyn.scenario.scenario import load
from copydyn.scenario.source import shipped
from copydyn.theories import CopyDynamics
from copydyn.wording import plus_minus

REPLICAS = {"rabi-node": 10, "printed-rule": 5, "packet": 3, "double-slit": 4, "suv-coloured": 3000}
FEW = 8

QUANTUM = """
[system]
kind = "gue"
[preparation]
kind = "random"
[schedule]
stop = 1
points = 3
[theory]
kind = "Schrodinger"
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Work in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def python(*arguments: str, **options) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=120, **options)


def _sorted_words(text: str) -> list[str]:
    return sorted(text.split())


# ---- scenarios


@pytest.mark.parametrize("name", shipped())
def test_a_shipped_scenario_keeps_its_claim(here, capsys, name):
    replicas = REPLICAS.get(name, FEW)
    assert main(["scenario", name, "--replicas", str(replicas)]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert re.search(r"^  claim         holds: .*\d", printed.out, re.MULTILINE)
    assert re.search(rf"^  run           {replicas} replicas, seed 1, ", printed.out, re.MULTILINE)
    assert max(map(len, printed.out.splitlines())) <= WIDEST
    assert printed.out.endswith(f"kept in       results/{name}-001\n")
    folder = Path("results", f"{name}-001")
    names = list(load(name).theories)
    parts = [f"-{theory}" for theory in names] if len(names) > 1 else [""]
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        [
            *(f"comparison{part}.nc" for part in parts),
            *("figure.png", "reference.nc", "scenario.toml", "table.txt", "versions.json"),
            *(f"result{part}.nc" for part in parts),
        ]
    )
    table = (folder / "table.txt").read_text()
    assert _sorted_words(printed.out[: printed.out.index("  kept in")]) == _sorted_words(table), "all of it, and once"
    if "  foreseen " in table and "SUV" not in table:
        assert printed.out.startswith("  foreseen "), "what is foreseen is said before the run"
    require_what_the_files_say(folder, names)
    assert (folder / "figure.png").read_bytes().startswith(b"\x89PNG")
    for part in parts:
        kept = result.read(folder / f"result{part}.nc")
        drawn = kept.attrs["replica_spread"] != result.NONE  # some theories draw no numbers
        assert kept.attrs.get("seed", None if drawn else 1) == 1
        assert kept.sizes["replica"] == (1 if kept.attrs["replica_spread"] == result.NONE else replicas)
        compared = xr.load_dataset(folder / f"comparison{part}.nc", engine="h5netcdf", decode_times=False)
        assert "total_variation" in compared
    assert result.read(folder / "reference.nc").attrs["theory"] == "Schrodinger"
    assert {"copydyn", "numpy", "numba", "python"} <= set(json.loads((folder / "versions.json").read_text()))


def test_resonance_stops_at_its_zero_at_every_size(here):
    for copies in ("1e3", "1e4", "1e6"):
        assert main(["scenario", "rabi-node", f"theory.copies={copies}", "--no-plot", "--replicas", "5"]) == 0


def test_on_resonance_no_spectators_help(here, capsys):
    """The floor keeps the label, but it rests there: see the scenario's description."""
    assert main(["scenario", "rabi-node-spectators", "system.detuning=0", "--no-plot", "--replicas", "3"]) == 1
    assert "DOES NOT HOLD: max deviation is at most 0.99" in capsys.readouterr().out


def test_a_claim_that_does_not_hold_is_exit_code_1(here, capsys):
    assert main(["scenario", "rabi", "claim.max_score=1e-9", "--replicas", "2", "--no-plot"]) == 1
    assert "  claim         DOES NOT HOLD: the infidelity" in capsys.readouterr().out
    assert not Path("results/rabi-001/figure.png").exists()


def test_a_scenario_without_a_claim_is_exit_code_0(here, capsys):
    Path("mine.toml").write_text(
        "[system]\nkind='two-level'\n[preparation]\namplitudes=[0,1]\n[schedule]\ntimes=[0.5]\n[theory]\ncopies=9\n"
    )
    assert main(["scenario", "mine.toml"]) == 0
    assert "claim" not in capsys.readouterr().out
    assert Path("results/mine-001/figure.png").exists()


def test_another_theory_is_judged_as_well(here, capsys):
    Path("mine.toml").write_text(QUANTUM + "[claim]\nkind='within'\ndistance='infidelity'\nat_most=1e-9")
    assert main(["scenario", "mine.toml"]) == 0
    assert "  theory        Schrodinger\n" in capsys.readouterr().out


def test_a_claim_about_what_the_theory_lacks_is_bad_input(here, capsys):
    Path("mine.toml").write_text(QUANTUM + "[claim]\nkind='still'\n")
    assert main(["scenario", "mine.toml"]) == 2
    assert capsys.readouterr().err.startswith("copydyn: claim 'still' is about copy events")


def test_a_stationary_state_is_still(here):
    arguments = [
        "system.detuning=0",
        'preparation.kind="eigenstate"',
        "claim.kind=still",
        "--replicas",
        "2",
        "--no-plot",
    ]
    Path("mine.toml").write_text(
        "[system]\nkind='two-level'\n[preparation]\nkind='eigenstate'\n[schedule]\nstop=9\npoints=3\n[theory]\ncopies=1e4\n"
        "[claim]\nkind='still'\n"
    )
    assert main(["scenario", "mine.toml", *arguments]) == 0


@pytest.mark.parametrize(
    "changes",
    [("theory.phase_spread=0.3", "theory.copies=500"), ("theory.preparation=multinomial",), ("theory.engine=agents",)],
)
def test_each_way_to_run_copies_gets_a_verdict(here, capsys, changes):
    assert main(["scenario", "rabi", "theory.copies=2000", "schedule.stop=2", *changes, "--replicas", "3"]) in (0, 1, 3)
    printed = capsys.readouterr().out
    assert re.search("^  verdict       (agrees|deviates|unjudged): ", printed, re.MULTILINE)


# ---- several theories

RIVALS = """
title = "rivals"
[system]
kind = "two-level"
detuning = 0.6
[preparation]
amplitudes = [0.8, "0.6j"]
[schedule]
stop = 3
points = 7
[[theory]]
name = "Few copies"
copies = 100
[[theory]]
copies = 1e4
[[theory]]
kind = "Schrodinger"
[run]
replicas = 10
seed = 2
[[claim]]
kind = "closer"
theory = "CopyDynamics"
than = "Few copies"
by = "max_deviation"
by_factor = 2
[[claim]]
kind = "within"
theory = "all"
distance = "infidelity"
at_most = 0.5
"""


def test_several_theories_share_a_table_a_figure_and_a_folder(here, capsys):
    Path("mine.toml").write_text(RIVALS)
    assert main(["scenario", "mine.toml"]) == 0
    printed = capsys.readouterr().out
    assert re.search(r"^  at the end {20,}Few copies +CopyDynamics +Schrodinger$", printed, re.MULTILINE)
    assert re.search(r"^  N x infidelity +\d\S+ ± \S+ +\d\S+ ± \S+$", printed, re.MULTILINE)
    assert re.search(r"^  theory        'Few copies' CopyDynamics, 100 copies, ", printed, re.MULTILINE)
    assert re.search(r"^  theory        Schrodinger$", printed, re.MULTILINE)
    assert re.search(r"^  run           10 replicas, seed 2, 7 save times", printed, re.MULTILINE)
    assert len(re.findall("^  verdict       '(?:Few copies|CopyDynamics|Schrodinger)' ", printed, re.MULTILINE)) == 3
    assert len(re.findall("^  claim         holds: ", printed, re.MULTILINE)) == 2
    assert max(map(len, printed.splitlines())) <= WIDEST
    assert sorted(path.name for path in Path("results/mine-001").iterdir()) == [
        "comparison-copydynamics.nc",
        "comparison-few-copies.nc",
        "comparison-schrodinger.nc",
        "figure.png",
        "reference.nc",
        "result-copydynamics.nc",
        "result-few-copies.nc",
        "result-schrodinger.nc",
        "scenario.toml",
        "table.txt",
        "versions.json",
    ]


def test_a_theory_gives_the_same_bytes_beside_others_as_alone_and_again(here):
    Path("mine.toml").write_text(RIVALS)
    main(["scenario", "mine.toml", "theory.Few copies.copies=300", "--quiet", "--no-plot"])
    main(["scenario", "results/mine-001/scenario.toml", "--quiet", "--no-plot"])
    alone = re.sub(r"\[\[claim\]\].*", "", RIVALS, flags=re.DOTALL).replace("[[theory]]\nname", "[theory]\nname")
    Path("alone.toml").write_text(re.sub(r"\[\[theory\]\]\n(copies|kind) = .*\n", "", alone))
    main(["scenario", "alone.toml", "theory.copies=300", "--quiet", "--no-plot"])
    first = result.read("results/mine-001/result-few-copies.nc")
    xr.testing.assert_identical(first, result.read("results/scenario-001/result-few-copies.nc"))
    xr.testing.assert_identical(first, result.read("results/alone-001/result.nc"))


def test_many_theories_have_a_block_each(here, capsys):
    tables = [f"[[theory]]\nname = 'number {number} {'x' * 20}'\ncopies = {number}000\n" for number in range(1, 5)]
    text = RIVALS[: RIVALS.index("[[theory]]")] + "".join(tables) + "[run]\nreplicas = 2\nseed = 1\n"
    Path("mine.toml").write_text(text)
    assert main(["scenario", "mine.toml", "--no-plot"]) == 0
    printed = capsys.readouterr().out
    assert len(re.findall("^  at the end +found +finite N gives$", printed, re.MULTILINE)) == 4
    assert max(map(len, printed.splitlines())) <= WIDEST


@pytest.mark.parametrize("change", ["claim.0.by_factor=1e3", "claim.1.at_most=1e-9"])
def test_every_claim_must_hold(here, capsys, change):
    Path("mine.toml").write_text(RIVALS)
    assert main(["scenario", "mine.toml", change, "--no-plot"]) == 1
    assert capsys.readouterr().out.count("DOES NOT HOLD") == 1


def test_python_finds_results_by_name(here):
    Path("mine.toml").write_text(RIVALS)
    outcome = pipeline.run(load("mine.toml"), here, picture=False, say=lambda text: None)
    assert list(outcome.results) == list(outcome.comparisons) == ["Few copies", "CopyDynamics", "Schrodinger"]
    assert outcome.results["Few copies"].attrs["copies"] == 100
    assert outcome.holds
    assert len(outcome.findings) == 2


# ---- one seed, the same bytes


def test_the_scenario_as_run_gives_the_same_run(here, capsys):
    changes = [
        "theory.copies=1e3",
        "system.coupling=[0.3, 0.4]",
        "run.replicas=3",
        "theory.rule=smolin",
        'title=odd \\ "title"',
    ]
    text = re.sub("seed = 1\n", "", shipped()["rabi"].read_text())
    Path("mine.toml").write_text(text)
    main(["scenario", "mine.toml", *changes, "--out", "first", "--no-plot"])
    main(["scenario", "first/mine-001/scenario.toml", "--out", "second", "--no-plot"])
    first, second = (result.read(path) for path in sorted(here.glob("*/*/result.nc")))
    assert first.attrs["seed"] == second.attrs["seed"]
    assert first["counts"].values.tobytes() == second["counts"].values.tobytes()
    xr.testing.assert_identical(first, second)
    tables = tomllib.loads(Path("first/mine-001/scenario.toml").read_text())
    assert tables["title"] == 'odd \\ "title"'
    assert tables["system"]["coupling"] == [0.3, 0.4]
    assert tables["run"] == {"replicas": 3, "seed": first.attrs["seed"]}


def test_replicas_and_seed_are_short_for_overrides(here):
    shared = ["scenario", "rabi", "theory.copies=1e3", "--no-plot", "--quiet"]
    main([*shared, "--seed", "7", "--replicas", "2", "schedule.stop=3"])
    main([*shared, "schedule.stop=3", "run.seed=7", "run.replicas=2"])
    one, two = (result.read(path) for path in sorted(here.glob("results/*/result.nc")))
    xr.testing.assert_identical(one, two)


def asked(monkeypatch, *arguments):
    """Give the scenario that the command would run, and how."""
    seen = []

    def run(scenario, out, **how):
        seen.append((scenario, out, how))
        return SimpleNamespace(holds=True)

    monkeypatch.setattr(pipeline, "run", run)
    assert main(["scenario", "rabi", *arguments]) == 0
    return seen[0]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--seed", "7", "--replicas", "3", "run.seed=5", "run.replicas=2"],
        ["run.seed=5", "run.replicas=2", "--seed", "7", "--replicas", "3"],
        ["run.seed=5", "--seed=7", "run={replicas=2}", "--replicas=3"],
    ],
)
def test_options_count_more_than_overrides_wherever_they_stand(monkeypatch, arguments):
    run = asked(monkeypatch, *arguments)[0].run
    assert (run.seed, run.replicas) == (7, 3)


def test_what_a_run_does_where_nothing_is_said(monkeypatch):
    """Folder, threads, checkpoints and figure, and each as it is asked for."""
    scenario, out, how = asked(monkeypatch)
    assert (scenario.run.seed, out) == (1, Path("results"))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert (how["jobs"], how["every"], how["picture"]) == (cores, 60.0, True)
    _, out, how = asked(
        monkeypatch, "--out", "kept", "--jobs", "3", "--checkpoint-every", "0.5", "--no-plot", "theory.copies=9"
    )
    assert (out, how["jobs"], how["every"], how["picture"]) == (Path("kept"), 3, 0.5, False)


def test_without_a_seed_every_run_is_another(here):
    Path("mine.toml").write_text(shipped()["rabi"].read_text().replace("seed = 1\n", ""))
    for _ in range(2):
        main(["scenario", "mine.toml", "theory.copies=1e3", "run.replicas=1", "--no-plot", "--quiet"])
    seeds = {result.read(path).attrs["seed"] for path in here.glob("results/*/result.nc")}
    assert len(seeds) == 2


# ---- bad input


def test_every_fault_is_a_line_and_the_exit_code_is_2(here, capsys):
    arguments = ["theory.copys=1", "preparation.amplitudes=3", "--seed", "x", "--replicas", "0", "--out", "kept"]
    assert main(["scenario", "rabi", *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.splitlines() == [
        "copydyn: preparation.amplitudes=3: [preparation] amplitudes must be a list of complex numbers, but is 3.",
        "copydyn: theory.copys=1: [theory] 'copys' is no key of CopyDynamics; did you mean 'copies'?",
        'copydyn: --seed x: [run] seed must be a whole number below 2^63, but is "x".',
    ]
    assert list(here.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["scenari"],
        ["scenario"],
        ["scenario", "rabi", "--copies", "3"],
        ["list", "rabi"],
        ["scenario", "rabi", "--out"],
    ],
)
def test_the_parser_has_exit_code_2_as_well(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: copydyn" in capsys.readouterr().err


def test_an_output_folder_that_cannot_be_written_is_found_before_the_run(here, capsys, monkeypatch):
    Path("file").write_text("")
    monkeypatch.setattr(CopyDynamics, "evolve", lambda *_, **__: pytest.fail("the run has started"))
    assert main(["scenario", "rabi", "--out", "file"]) == 2
    assert capsys.readouterr().err == (
        "copydyn: file: results must be kept in a folder that can be written, but: a file stands in its way; "
        "choose one with --out.\n"
    )


@pytest.mark.filterwarnings("ignore:.*the checkpoint could not be written")  # of a run that compiles for over 2 s
def test_a_disk_that_fills_up_does_not_lose_the_table(here, capsys, monkeypatch):
    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert main(["scenario", "rabi", "theory.copies=1e3", "--replicas", "2"]) == 2
    printed = capsys.readouterr()
    assert "  verdict       " in printed.out
    assert printed.err.startswith(
        "copydyn: results: results must be kept in a folder that can be written, but: No space"
    )
    assert list(Path("results").iterdir()) == []


def test_a_run_that_does_not_fit_into_memory_is_refused(here, capsys, monkeypatch):
    def too_much(*_, **__):
        raise MemoryError("Unable to allocate 9.9 PiB")

    monkeypatch.setattr(CopyDynamics, "evolve", too_much)
    assert main(["scenario", "rabi"]) == 2
    assert capsys.readouterr().err.startswith("copydyn: the run must fit into memory, but: Unable to allocate 9.9 PiB;")


def test_an_interrupted_run_says_so(here, unthreaded, capsys, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(CopyDynamics, "evolve", interrupted)
    over = threading.Event()
    threading.Thread(target=over.wait, daemon=True).start()  # as a bar has one
    try:
        assert main(["scenario", "rabi"]) == 130
    finally:
        over.set()
    assert capsys.readouterr().err == "copydyn: interrupted; no result was kept.\n"


def test_a_fault_of_copydyn_keeps_its_traceback(here, capsys, monkeypatch):
    def broken(*_, **__):
        raise ValueError("a bug")

    monkeypatch.setattr(CopyDynamics, "evolve", broken)
    assert main(["scenario", "rabi"]) == 70
    error = capsys.readouterr().err
    assert error.startswith("Traceback (most recent call last):\n")
    assert error.endswith("ValueError: a bug\ncopydyn: this is a fault of copydyn itself; please report it.\n")


# ---- the edges of the process


def test_list_names_titles_and_claims(capsys):
    assert main(["list"]) == 0
    printed = capsys.readouterr().out
    assert all(re.search(rf"^{name} +\w", printed, re.MULTILINE) for name in shipped())
    assert 'claims: extinct with label = "0", at_least = 1' in printed
    claims = [tomllib.loads(path.read_text(encoding="utf-8")).get("claim", []) for path in shipped().values()]
    assert printed.count("  claims: ") == sum(1 if isinstance(one, dict) else len(one) for one in claims)
    assert printed.count("  claims nothing") == claims.count([])


def test_quiet_prints_nothing(here, capsys):
    assert main(["scenario", "rabi", "theory.copies=1e3", "--replicas", "2", "--quiet", "--no-plot"]) == 0
    assert capsys.readouterr() == ("", "")


def test_help_imports_nothing_heavy():
    code = (
        "import sys\nfrom copydyn.__main__ import main\n"
        "try: main(['scenario', '--help'])\nexcept SystemExit as end: assert end.code == 0\n"
        "assert not {'numpy', 'pydantic', 'xarray', 'matplotlib', 'numba'} & set(sys.modules)"
    )
    finished = python("-c", code)
    assert finished.returncode == 0, finished.stderr
    assert "table.key=value" in finished.stdout


def test_a_run_imports_no_global_plotting_no_agents_and_no_oracle_of_others(here):
    code = (
        "import sys\nfrom copydyn.__main__ import main\n"
        "assert main(['scenario', 'rabi', 'theory.copies=1e3', '--replicas', '2', '--quiet']) == 0\n"
        "assert not {'matplotlib.pyplot', 'mesa', 'qutip'} & set(sys.modules)"
    )
    finished = python("-c", code, cwd=here, env={**os.environ, "PYTHONPATH": str(Path(pipeline.__file__).parents[1])})
    assert finished.returncode == 0, finished.stderr


def test_a_reader_who_leaves_early_changes_nothing(here):
    command = [sys.executable, "-m", "copydyn", "scenario", "rabi", "theory.copies=1e3", "--replicas", "2", "--no-plot"]
    environment = {**os.environ, "PYTHONPATH": str(Path(pipeline.__file__).parents[1])}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=here, env=environment)
    process.stdout.close()
    said = process.stderr.read()
    process.stderr.close()
    assert process.wait(timeout=120) == 0
    assert said == b""
    assert (here / "results" / "rabi-001" / "result.nc").exists()


# ---- the pipeline and the table


def test_the_law_of_multinomial_counts_starts_from_the_mean():
    scenario = load("rabi", ["theory.preparation=multinomial", "schedule.points=3"])
    law = pipeline.law_of(scenario.experiment, scenario.theories["CopyDynamics"])
    expected = finite_copies(scenario.experiment, scenario.experiment.ket, multinomial=True)
    np.testing.assert_allclose(law["infidelity_law"], expected["infidelity_law"], rtol=1e-4)


@pytest.mark.parametrize(
    ("changes", "copies", "floor"),
    [
        ([], 1000, 0),
        (["theory.spectators=30"], 1060, 0),
        (["theory.floor=20"], 1040, 20),
        (["theory.spectators=30", "theory.preparation=multinomial"], 1060, 0),
    ],
)
def test_the_law_is_asked_for_all_copies_their_floor_and_how_they_start(monkeypatch, changes, copies, floor):
    scenario = load("rabi", ["theory.copies=1000", "schedule.points=3", *changes])
    theory = scenario.theories["CopyDynamics"]
    seen = []
    monkeypatch.setattr(pipeline.laws, "finite_copies", lambda *asked, **more: seen.append((asked, more)))
    pipeline.law_of(scenario.experiment, theory)
    (((experiment, ket), more),) = seen
    assert experiment is scenario.experiment
    np.testing.assert_array_equal(ket, theory.encoded(experiment))
    assert (more["copies"], more["floor"]) == (copies, floor)
    drawn = 1000 / copies * np.abs(experiment.ket) ** 2 if "multinomial" in "".join(changes) else np.zeros(2)
    np.testing.assert_allclose(more["multinomial"], drawn)


def test_a_law_is_known_up_to_a_number_of_labels(monkeypatch):
    scenario = load("rabi", ["schedule.points=3"])
    for most, known in ((2, True), (1, False)):
        monkeypatch.setattr(pipeline, "MOST_LABELS", most)
        assert (pipeline.law_of(scenario.experiment, scenario.theories["CopyDynamics"]) is not None) is known


@pytest.mark.parametrize("change", ["theory.phase_spread=0.1", "theory.kind=Schrodinger", "system.levels=513"])
def test_there_is_no_law_without_aligned_copies_or_with_too_many_labels(change):
    changes = ["theory.phase_spread=0.1"] if "spread" in change else []
    changes += ["system.levels=513"] if "levels" in change else []
    scenario = load("gue", changes)
    theory = type("Other", (), {})() if "kind" in change else scenario.theories["CopyDynamics"]
    assert pipeline.law_of(scenario.experiment, theory) is None


@pytest.mark.parametrize(
    ("value", "error", "expected"),
    [
        (6.0812, 0.1234, "6.08 ± 0.12"),
        (-0.5, 0.02, "-0.500 ± 0.020"),
        (6.0812e-5, 1.2e-6, "(6.08 ± 0.12)e-05"),
        (0.0, 1.2e-6, "(0.0 ± 1.2)e-06"),
        (123456789.0, 2.0e6, "(1.235 ± 0.020)e+08"),
        (82325.2, 139.0, "82325 ± 139"),
        (0.00608, 0.00012, "0.00608 ± 0.00012"),
        (0.001, 0.0001, "0.00100 ± 0.00010"),
        (6.08e-4, 1.2e-5, "(6.08 ± 0.12)e-04"),
        (543210.0, 1234.0, "543210 ± 1234"),
        (1e6, 1e4, "(1.000 ± 0.010)e+06"),
        (0.5, 7.0, "0.5 ± 7.0"),
        (0.25, 1e-9, "0.2500000000 ± 0.0000000010"),
        (0.123456, np.nan, "0.1235"),
        (0.25, np.nan, "0.25"),
        (0.25, 0.0, "0.25"),
        (0.9597, 5e-17, "0.9597"),
        (np.inf, 1.0, "inf"),
        (np.nan, np.nan, "nan"),
    ],
)
def test_a_value_carries_two_digits_of_its_error(value, error, expected):
    assert plus_minus(value, error) == expected


def test_a_table_names_the_alignment_and_shows_the_coherence(here, capsys):
    assert main(["scenario", "alignment-force", "--replicas", "2", "schedule.stop=0.4", "--no-plot", "--quiet"]) == 1
    table = Path("results/alignment-force-001/table.txt").read_text()
    assert "phase spread 0.3, alignment of strength 0.6, friction 4, spread 2.5" in " ".join(table.split())
    assert re.search(r"^  mean coherence +[01]\S* .*[01]\.\d+ ± \S+$", table, re.MULTILINE)
    assert "no law to judge by: phases are not aligned" in " ".join(table.split())


def test_a_table_tells_the_work_of_pulses_from_a_drift(here, capsys):
    assert main(["scenario", "ramsey", "theory.copies=1000", "--replicas", "4", "--no-plot"]) in (0, 1)
    printed = capsys.readouterr().out
    assert re.search(r"^  energy gained +-1\.4\S+ ± \S+ +-1\.449, the work of the pulses$", printed, re.MULTILINE)


@pytest.mark.parametrize("command", [["explain"], ["scenario", "--no-plot", "--replicas", "2"]], ids=" ".join)
def test_several_momenta_are_no_momentums(here, capsys, command):
    assert main([command[0], "momentum-basis", *command[1:]]) in (0, 1)
    assert "lattice, 16 momenta\n" in capsys.readouterr().out
