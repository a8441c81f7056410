"""What is printed fits the screen, whichever command prints it, and what the table of a run says is in its files."""

import contextlib
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr
from small_sweeps import sweep
from tables import Truth, mean, numbers_in, require_what_the_files_say, says, truths_of

from copydyn import pipeline
from copydyn.__main__ import main
from copydyn.report import table as report
from copydyn.report.layout import NARROWEST, WIDEST, columns, entry, fitted, grid
from copydyn.results import result
from copydyn.scenario.scenario import load
from copydyn.sweeps.commands import COMMANDS

SHORT = ("theory.copies.copies=1000", "schedule.stop=5.5", "schedule.points=12", "run.replicas=3", "run.seed=2")
"""One spin chain under four theories, three of which end nearer to the reference than they have been."""

WIDTHS = (60, 80, 100)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def rivals(tmp_path_factory):
    """Give the outcome of four theories, three replicas each."""
    return pipeline.run(load("four-theories", SHORT), tmp_path_factory.mktemp("rivals"), picture=False, say=str)


def written(outcome, width=WIDEST, **more):
    return report.table("a title", outcome.results, outcome.comparisons, outcome.findings, width=width, **more)


# ---- numbers


def test_the_table_of_four_theories_says_what_their_files_say(rivals):
    names = list(rivals.results)
    assert require_what_the_files_say(rivals.folder, names) > 30
    for name in ("oqt", "suv", "copies"):
        comparison = rivals.comparisons[name]
        assert comparison["worst_deviation"] > 1.05 * comparison["max_deviation"][-1], (
            "the worst moment is not the last"
        )


def test_a_number_that_is_not_in_the_files_is_seen():
    """The control of `require_what_the_files_say`: another value, error or distance is refused."""
    assert says("0.0805", 0.08045, np.nan)
    assert not says("0.2835", 0.0805, np.nan), "the distance of the row below"
    assert says("(6.08 ± 0.12)e-05", 6.0812e-5, 1.2e-6)
    assert not says("(6.08 ± 0.12)e-05", 6.0912e-5, 1.2e-6)
    assert not says("6.08 ± 0.12", 6.0812, 0.12 * np.sqrt(3 / 2)), "an error with another number of degrees of freedom"
    assert not says("6.08", 6.0812, 0.12), "an error that is left out"
    assert says("3 of 16", 3.0, 0.0)
    assert says("diverges", np.inf, np.nan)


def test_every_number_has_a_key_a_theory_and_what_is_expected(rivals):
    found = report.numbers(rivals.results, rivals.comparisons)
    assert len({(number.key, number.theory) for number in found}) == len(found)
    assert {number.key for number in found} <= set(report.QUANTITIES)
    of = {(number.key, number.theory): number for number in found}
    reference = result.read(rivals.folder / "reference.nc")
    truths = truths_of(rivals.folder, "-copies", reference)
    for key, other in (("max_deviation",) * 2, ("worst_deviation", "worst_max_deviation"), ("infidelity",) * 2):
        np.testing.assert_allclose(of[key, "copies"][2:], truths[other], rtol=1e-9)
    noise = rivals.comparisons["copies"]["predicted_deviation"][-1]
    expected = float(noise.sum()) * np.sqrt(2 / np.pi) / 2  # half of E|x| of each label
    assert of["total_variation", "copies"].expected == pytest.approx(expected)


def test_the_error_of_a_coherence_is_that_of_its_mean(here):
    changes = ["theory.copies=60", "schedule.stop=0.4", "schedule.points=3", "run.replicas=5"]
    outcome = pipeline.run(load("alignment-force", changes), here, picture=False, say=str)
    (number,) = (
        number
        for number in report.numbers(outcome.results, outcome.comparisons)
        if (number.key, number.theory) == ("coherence", "frictionless")
    )
    one = outcome.results["frictionless"]
    each = (one["frequency"] * one["coherence"]).sum("beable")[:, -1].values
    assert (number.value, number.error) == pytest.approx(mean(each))
    assert number.error == pytest.approx(each.std(ddof=1) / np.sqrt(5))
    assert isinstance(truths_of(outcome.folder, "-friction", outcome.reference)["coherence"], Truth)


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    """Give the outcome of a run with spectators, another hbar, a late start, and more theories than one."""
    changes = [
        *("theory.copies=200", "theory.spectators=30", "system.hbar=0.5", "run.seed=7", "run.replicas=3"),
        *("schedule.start=1", "schedule.stop=5", "schedule.points=9"),
    ]
    return pipeline.run(load("rabi", changes), tmp_path_factory.mktemp("odd"), picture=False, say=str)


def test_the_table_of_a_run_with_spectators_says_what_its_files_say(odd):
    """N is of all copies: with those of the theory alone, N x infidelity would be off by more than its last digit."""
    assert require_what_the_files_say(odd.folder, ["CopyDynamics"]) >= 8
    (number,) = (one for one in report.numbers(odd.results, odd.comparisons) if one.key == "infidelity")
    last = odd.comparisons["CopyDynamics"].isel(time=-1)
    np.testing.assert_allclose(
        number[2:],
        [
            260 * float(last[f"{what}infidelity{error}"])
            for what, error in (("", ""), ("", "_error"), ("predicted_", ""))
        ],
    )


def test_the_head_of_a_table_says_what_ran(odd):
    lines = written(odd).splitlines()
    assert "  system        two-level, 2 levels, hbar = 0.5" in lines
    assert "  run           3 replicas, seed 7, 9 save times, time 1 to 5 in hbar/energy" in lines
    ran = "theory CopyDynamics, 200 copies (260 with spectators), engine exact, rule smolin, spectators 30 "
    assert ran in " ".join(written(odd).split())
    assert sum(line.startswith("  claim         ") for line in lines) == len(odd.findings) == 1
    said = odd.findings[0]
    assert f"claim {said.verdict}: {said.sentence}" in " ".join(written(odd).split())
    verdict = odd.comparisons["CopyDynamics"].attrs
    assert f"verdict {verdict['verdict']}: {verdict['sentence']}" in " ".join(written(odd).split())


def test_each_of_several_theories_has_its_own_verdict_and_law(rivals):
    outcome = rivals._replace(
        comparisons={
            name: one.assign_attrs(
                verdict=f"word {number}", sentence=f"sentence {number}", beyond_reach=f"why {number}"
            )
            for number, (name, one) in enumerate(rivals.comparisons.items())
        }
    )
    lines = written(outcome).splitlines()
    assert "  run           3 replicas, seed 2, 12 save times, time 0 to 5.5 in hbar/energy" in lines
    for number, name in enumerate(rivals.results):
        assert f"  verdict       '{name}' word {number}: sentence {number}" in lines
        assert f"  law           '{name}' of finite N is left out why {number}" in lines


def numbered(**attrs):
    """Give a result and a comparison of two replicas by the attributes of the former."""
    result_of = xr.Dataset(
        {"events": (("replica", "time"), [[0, 3], [0, 8]])},
        {"time": ("time", [0.0, 2.0], {"units": "s"}), "beable": ("beable", ["a", "b", "c"], {"long_name": "level"})},
        {"system": "by hand", "hbar": 1.0, "theory": "CopyDynamics", "replicas": 2, "seed": 1, **attrs},
    )
    names = ("max_deviation", "worst_deviation", "total_variation", "worst_total_variation")
    data = {
        f"{name}{error}": (() if "worst" in name else "time", value if "worst" in name else [0.0, value])
        for number, name in enumerate(names)
        for error, value in (("", 0.1 * (number + 1)), ("_error", 0.01))
    }
    return {"x": result_of}, {"x": xr.Dataset(data, {"time": [0.0, 2.0]}, {"verdict": "agrees", "sentence": "well"})}


@pytest.mark.parametrize(
    ("copies", "said"),
    [
        (9_999_999, "9999999 copies"),
        (10**7, "10000000 copies"),
        (12_345_678, "12345678 copies"),
        (10**16, "1e+16 copies"),
        (10**18 + 1, "1000000000000000001 copies"),
    ],
)
def test_a_number_of_copies_loses_no_digit(copies, said):
    text = report.table("", *numbered(copies=copies, theory_copies=copies))
    assert f"  theory        'x' CopyDynamics, {said}\n" in text


def test_leaps_are_told_with_their_share_of_the_noise():
    """An error of 1e-5 is a tenth of the noise 1/sqrt(N) of 1e8 copies."""
    attrs = {"copies": 10**8, "theory_copies": 10**8, "leaps": 400, "leap_error": 1e-5, "bias_limited": 0}
    text = report.table("", *numbered(**attrs))
    assert "  leaps         400, whose mean is off by less than 1e-05, 0.1 of the noise\n" in text
    assert "of the noise: bias-limited\n" in report.table("", *numbered(**attrs | {"bias_limited": 1}))


def test_a_row_has_the_number_of_its_own_name():
    results, comparisons = numbered()
    assert numbers_in(report.table("", results, comparisons), ["x"]) == [
        ("x", "max_deviation", False, "0.100 ± 0.010"),
        ("x", "worst_max_deviation", False, "0.200 ± 0.010"),
        ("x", "total_variation", False, "0.300 ± 0.010"),
        ("x", "worst_total_variation", False, "0.400 ± 0.010"),
        ("x", "events", False, "5.5"),
    ]
    comparisons["x"]["extinct"], comparisons["x"]["extinct_error"] = ("time", [0.0, 0.5]), ("time", [0.0, np.nan])
    assert "\n  extinct labels   0.5 of 3\n" in re.sub(" {3,}", "   ", report.table("", results, comparisons))


def test_what_is_rounding_depends_on_the_power_of_the_energies():
    """An energy of 1000: its variance is rounding below 1e-6, the energy itself below 1e-9, an entropy below 1e-12."""
    for size, said in ((5e-8, ["5e-08", "< 1e-06", "5e-08"]), (5e-11, ["< 1e-09", "< 1e-06", "5e-11"])):
        results, comparisons = numbered()
        names = ("mean_energy", "energy_variance", "entropy")
        results["x"] = results["x"].assign({name: ("time", [0.0, size]) for name in names})
        results["x"]["energy"] = (("replica", "time"), [[1000.0, 1.0], [-10.0, 5.0]])
        found = {key: text for _, key, _, text in numbers_in(report.table("", results, comparisons), ["x"])}
        assert [found[name] for name in names] == said


def test_a_figure_is_of_its_own_run(odd, rivals, monkeypatch):
    seen = []

    def drawn(*what, title):
        seen.append((*what, title))
        return SimpleNamespace(savefig=lambda *_, **__: None)

    monkeypatch.setattr("copydyn.report.plots.plot", drawn)
    monkeypatch.setattr("copydyn.report.plots.plot_theories", drawn)
    for outcome in (odd, rivals):
        pipeline._picture(outcome.results, outcome.reference, outcome.comparisons, "a title")
    one, several = seen
    assert one[0] is odd.results["CopyDynamics"]
    assert (one[1], one[2]) == (odd.reference, odd.comparisons["CopyDynamics"])
    assert several == (rivals.results, rivals.reference, rivals.comparisons, "a title")


def test_each_theory_of_each_run_has_a_checkpoint_of_its_own():
    def files(*changes, seed=2):
        return set(pipeline._checkpoints(load("four-theories", [*SHORT, *changes]), seed, Path("out")).values())

    base = files()
    assert len(base) == 4
    assert files() == base
    for other in (
        files(seed=3),
        files("run.replicas=4"),
        files("theory.copies.copies=1001"),
        files("schedule.points=13"),
    ):
        assert not other & base


@pytest.mark.parametrize("width", WIDTHS)
def test_a_narrow_table_has_the_same_numbers(rivals, width):
    names = list(rivals.results)
    narrow, wide = written(rivals, width), written(rivals)
    assert max(map(len, narrow.splitlines())) <= width
    assert sorted(numbers_in(narrow, names)) == sorted(numbers_in(wide, names))


def test_the_narrowest_table_has_all_of_them(rivals):
    narrow = written(rivals, NARROWEST)
    assert max(map(len, narrow.splitlines())) <= NARROWEST
    assert all(said in narrow for *_, said in numbers_in(written(rivals), list(rivals.results)))


# ---- wording


def test_theories_without_copies_are_not_told_of_finite_n(here):
    changes = ["run.replicas=3", "schedule.points=3"]
    outcome = pipeline.run(load("oqt-three-level", changes), here, picture=False, say=str)
    for width in (60, 100):
        text = written(outcome, width)
        figures = text[text.index("at the end") : text.index("verdict")]
        assert "finite N" not in figures
        assert "n/N" not in text
        assert re.search(r"^  at the end +found$", text, re.MULTILINE)


def test_what_rounding_leaves_is_no_result(here):
    changes = ["run.replicas=3", "schedule.stop=1", "schedule.points=3"]
    outcome = pipeline.run(load("suv-born", changes), here, picture=False, say=str)
    assert 0.0 < float(outcome.comparisons["SUV"]["max_deviation"].max()) < 1e-14
    assert re.search(r"^    its largest value on the way +< 1e-12$", written(outcome), re.MULTILINE)


def test_nothing_is_foreseen_twice(here, capsys):
    changes = ["schedule.stop=1", "schedule.points=3", "--replicas", "2", "--no-plot"]
    main(["scenario", "four-theories", "theory.copies.copies=100", *changes])
    said = capsys.readouterr().out
    kept = Path("results/four-theories-001/table.txt").read_text()
    for text in (said, kept):
        assert len(re.findall(r"^  foreseen +'oqt' ", text, re.MULTILINE)) == 1
        assert len(re.findall(r"^  foreseen +'suv' ", text, re.MULTILINE)) == 1


# ---- width


def printed(capsys, *arguments):
    """Run a command, whatever comes of it, and give its lines."""
    with contextlib.suppress(SystemExit):
        main(list(arguments))
    told = capsys.readouterr()
    assert told.err == ""
    return told.out.splitlines()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("command", ["", "scenario", "explain", "list", *COMMANDS])
def test_help_fits_the_screen(capsys, monkeypatch, command, width):
    monkeypatch.setenv("COLUMNS", str(width))
    lines = printed(capsys, *([command] if command else []), "--help")
    assert any(line.startswith("usage: ") for line in lines)
    assert max(map(len, lines)) <= width


@pytest.mark.parametrize("width", WIDTHS)
def test_whatever_a_command_prints_fits_the_screen(here, capsys, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    sweep("swept", ['theory.engine="exact","meanfield"', "theory.floor=0,2", "theory.copies=60"])
    changes = ["schedule.stop=1", "schedule.points=3", "--replicas", "2", "--no-plot"]
    for arguments in (
        ["list"],
        ["scenario", "four-theories", "theory.copies.copies=100", *changes],
        ["scenario", "packet", "theory.copies=100", *changes],
        ["explain", "three-level", "theory.copies=1000"],
        ["explain", "four-theories", *changes[:2]],
        ["sweep", "swept", "--jobs", "1"],
        ["status", "swept"],
        ["verify", "swept"],
        ["export", "swept", "swept.csv"],
        ["report", "swept"],
        ["repair", "swept", "--jobs", "1"],
    ):
        lines = printed(capsys, *arguments)
        assert lines, arguments
        assert max(map(len, lines)) <= width, (arguments, max(lines, key=len))


def test_a_bare_call_prints_the_help(capsys):
    assert main([]) == 0
    told = capsys.readouterr()
    assert told.err == ""
    assert told.out.startswith("usage: copydyn")
    assert "explain" in told.out


@pytest.mark.parametrize(
    ("said", "width"), [("20", NARROWEST), ("60", 60), ("500", WIDEST), ("x", WIDEST), ("0", WIDEST)]
)
def test_the_screen_is_as_wide_as_it_says_within_reason(monkeypatch, said, width):
    monkeypatch.setenv("COLUMNS", said)
    monkeypatch.setattr("sys.__stdout__", None)  # no terminal to ask
    assert columns() == width


def test_the_help_tells_what_happens_on_other_screens(capsys):
    text = " ".join(" ".join(printed(capsys, "--help")).split())
    assert f"from {NARROWEST} to {WIDEST}; on a narrower one it is as for {NARROWEST}" in text


def test_files_do_not_depend_on_the_screen(here, monkeypatch):
    for width in ("40", "100"):
        monkeypatch.setenv("COLUMNS", width)
        main(["scenario", "rabi", "theory.copies=100", "schedule.stop=1", "schedule.points=3", "--no-plot", "--quiet"])
    one, other = (Path(f"results/rabi-00{number}/table.txt").read_bytes() for number in (1, 2))
    assert one == other


def test_lines_are_broken_where_they_belong():
    assert fitted("  runs          one two three four five six seven eight", 40).split("\n") == [
        "  runs          one two three four five",
        "                six seven eight",
    ]
    command = "  python -m copydyn scenario rabi theory.copies=1e6 --seed 7"
    broken = fitted(command, 40)
    assert max(map(len, broken.split("\n"))) <= 40
    assert broken.replace("\\\n", "").split() == command.split(), "what a shell makes of it"
    assert fitted("a/very/long/path/that/nobody/can/copy/in/two/pieces.nc", 40).count("\n") == 0
    assert fitted("short\n\n  as it is", 40) == "short\n\n  as it is"
    assert entry("claim", "holds", 40) == ["  claim         holds"]


def test_cells_are_broken_and_a_value_stays_with_its_error():
    rows = [["at the end", "found"], ["a name of several words", "0.1234 ± 0.0012"], ["  another", "1"]]
    assert grid(rows, 100)[1] == "  " + "-" * 40
    lines = grid(rows, 30)
    assert max(map(len, lines)) <= 30
    assert lines == [
        "  at the end   found",
        "  ----------------------------",
        "  a name of    0.1234 ± 0.0012",
        "    several",
        "    words",
        "    another    1",
    ]
