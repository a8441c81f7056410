"""Whatever is typed ends in sentences with a place, or in a sweep; `benchmarks/fuzz.py` tries a hundred thousand."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from copydyn.__main__ import main
from copydyn.experiment import System
from copydyn.refusal import BadValue
from copydyn.scenario.scenario import load
from copydyn.scenario.source import BadScenario
from copydyn.scenario.toml_text import MOST_DEEP, parsed_value, shown, too_deep
from copydyn.sweeps import api
from copydyn.sweeps.asked import asked
from tests import wild
from tests.inline import Inline
from tests.wild import FILE, ONE, TWO, examined, verdict

MANY = settings(max_examples=400, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module", autouse=True)
def workplace(tmp_path_factory):
    """Work in a folder with what the paths in the inputs name."""
    folder, before = tmp_path_factory.mktemp("wild"), Path.cwd()
    wild.furnish(folder)
    os.chdir(folder)
    quick, wild.MOST_SECONDS = wild.MOST_SECONDS, 8.0  # of a machine on which many tests run at a time
    yield folder
    wild.MOST_SECONDS = quick
    os.chdir(before)


def written(content: str | bytes) -> str:
    Path(FILE).write_bytes(content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content)
    return FILE


@MANY
@given(wild.scenarios())
@example(ONE + "x = {" + "a." * 2000 + "a=1}")
@example(ONE + "a." * 4000 + "a = 1")
@example("[" + "a." * 4000 + "a]")
@example(f'{ONE}\n["{"a" * 100_000}"]')
@example(f'{ONE}"{"a" * 100_000}" = 1')
@example(f'{ONE}"a\\n\\u202eb" = 1')
@example(f'{ONE}[claim]\nkind = "\\u202e\\U00018d09"')
@example(f"{ONE}x = 0x{'f' * 20_000}")
@example('[system]\nkind = "file"\npath = "pipe"\n[preparation]\nkind = "random"\n[schedule]\ntimes = [0]')
@example('[system]\nkind = "file"\npath = "link.npy"\n[preparation]\nkind = "random"\n[schedule]\ntimes = [0]')
@example(ONE.replace("points = 3", "points = 300000"))
def test_scenario_files_from_the_registries(content):
    verdict(lambda: load(written(content)))


@MANY
@given(wild.mutants((*wild.SHIPPED, ONE.encode(), TWO.encode())))
def test_mutated_scenario_files(content):
    verdict(lambda: load(written(content)))


@MANY
@pytest.mark.filterwarnings("ignore:Generating overly large repr")
@given(wild.RAW)
def test_raw_bytes(content):
    verdict(lambda: load(written(content)))
    verdict(lambda: examined(asked(FILE, seed=1)))


@MANY
@given(wild.sweep_tables())
@example(ONE + "[sweep]\nbatch = 0")
@example(ONE + "[sweep]\nreplicas = 1e18")
@example(ONE + "[sweep]\nreplicas = {" + "a." * 2000 + "a=1}")
@example(ONE + "[sweep]\ntarget_error = 1\nmax_replicas = 1")
@example(ONE + "[sweep.grid]\n" + "a." * 4000 + "a = [1]")
@example(ONE + '[sweep.grid]\n"a\\u0000.b" = 1')
@example(ONE + "[sweep.grid]\ntheory.copies = [1, 1]")
@example(ONE + "[sweep.grid]\ntheory = [{copies = 1}, {copies = 2}]")
@example(ONE + f"[sweep.grid]\ntheory.copies = '{'1,' * 500_000}'")
def test_tables_of_sweeps(content):
    verdict(lambda: examined(asked(written(content), seed=1)))


@MANY
@given(st.lists(wild.axes(), min_size=1, max_size=2))
@example([f"theory.copies=0x{'f' * 20_000},1"])
@example(["theory.copies=range(1,9999999)"])
@example(["theory.copies=" + "1," * 500_000])
@example(["a" * 1_000_000 + "=1,2"])
@example(["a" + ".b" * 20_000 + "=1,2"])
@example(["a" + ".b" * 20_000 + "=1"])
@example(["theory={copies=1},{copies=2}"])
@example(["theory.name=a,b"])
@example(["theory.copies={" + "a." * 2000 + "a=1},1"])
@example(["schedule.points=3,300000"])
@example(["theory.copies=" + "[" * 100_000 + ",1"])
@example(["theory.copies=" + "round(linspace(" * 3000])
def test_axes_on_the_command_line(texts):
    written(ONE if len(texts) % 2 else TWO)
    verdict(lambda: examined(asked(FILE, texts, seed=1)), *texts)


@settings(MANY, max_examples=40)
@given(wild.sweep_tables(), st.lists(wild.axes().map(lambda text: text.replace("\0", "")), max_size=1))
def test_the_command_ends_in_two_and_sentences(content, texts):
    written(content)
    texts = [text for text in texts if not text.startswith("-")]
    try:
        asked(FILE, texts, seed=1)
    except BadValue as refusal:
        expected = str(refusal)
    else:
        return
    from contextlib import redirect_stderr
    from io import StringIO

    with redirect_stderr(StringIO()) as errors:
        assert main(["sweep", FILE, *texts, "--out", "never"]) == 2
    assert errors.getvalue() == "".join(f"copydyn: {line}\n" for line in expected.split("\n"))
    assert not Path("never").exists()


# ---- the judge can find fault


@pytest.mark.parametrize(
    ("action", "fault"),
    [
        (lambda: 1 / 0, ZeroDivisionError),
        (lambda: np.array([1.0]) / 0.0, RuntimeWarning),
        (lambda: Path(wild.TRAP).touch(), wild.Executed),
        (lambda: sum(range(10**8)), wild.Slow),
    ],
)
def test_the_judge_sees_what_is_wrong(action, fault):
    with pytest.raises(fault), wild.watched("it", 0.3):
        action()


@pytest.mark.parametrize(
    "sentence",
    [
        "copies must be >= 1, but is 0.",
        "mine.toml:3: [theory] copies is wrong",
        "mine.toml:3: it is wrong, is it not.",
        "x.\n",
    ],
)
def test_the_judge_knows_a_sentence(sentence):
    def refuse():
        raise BadValue(sentence)

    with pytest.raises(wild.Mumbled):
        verdict(refuse)


def test_a_good_share_of_what_is_drawn_is_sound():
    found = {"accepted": 0, "refused": 0}

    @settings(MANY, max_examples=150)
    @given(st.lists(wild.axes(), min_size=1, max_size=1), wild.sweep_tables())
    def count(texts, content):
        written(ONE)
        found[verdict(lambda: asked(FILE, texts, seed=1), *texts)] += 1
        found[verdict(lambda: asked(written(content), seed=1))] += 1

    count()
    assert found["accepted"] > 40
    assert found["refused"] > 40


# ---- what it has found, one by one


def test_depth_is_told_without_falling():
    value = 1
    for _ in range(MOST_DEEP):
        assert not too_deep(value)
        value = [value]
    assert too_deep({"a": value})
    text = "{" + "a." * 5000 + "a = 1}"
    assert parsed_value(text) == text


def test_what_is_shown_of_a_value_prints():
    assert shown("a\u202eb\U00018d09") == '"a\\u202eb\\U00018d09"'


def test_a_pipe_is_not_waited_for(refuses):
    refuses(
        lambda: load("rabi", ["system={kind='file',path='pipe'}"]),
        ValueError,
        "path must name a file that can be read, but 'pipe' cannot: it is no regular file",
    )


def test_segments_of_a_constant_hamiltonian_are_those_of_one_that_is_cut():
    h = np.array([[0.0, 1.0], [1.0, 0.0]])
    times = np.array([0.5, 1.0, 2.5, 4.0])
    one = list(System(h).segments(times))
    assert one == [(0, 0.5, 1.0, 1), (0, 1.0, 2.5, 2), (0, 2.5, 4.0, 3)]
    two = list(System([(2.0, h), (9.0, h)]).segments(times))
    assert two == [(0, 0.5, 1.0, 1), (0, 1.0, 2.0, None), (1, 2.0, 2.5, 2), (1, 2.5, 4.0, 3)]


@pytest.mark.parametrize("name", ["../../x.toml", "sub/../y.toml", "..toml", "...toml", "a\nb.toml"])
def test_a_scenario_cannot_leave_the_folder_of_results(name, tmp_path, monkeypatch):
    home = tmp_path / "one" / "two"
    home.mkdir(parents=True)
    (home / "sub").mkdir()
    monkeypatch.chdir(home)
    monkeypatch.setattr(api, "Crew", lambda size: Inline())
    Path(name).write_text(ONE + '[sweep]\nscenario = "../../../away"\n')
    before = {path for path in tmp_path.rglob("*") if "two" not in path.parts}
    assert main(["sweep", name, "--quiet", "--jobs", "1"]) == 0
    assert {path for path in tmp_path.rglob("*") if "two" not in path.parts} == before
    (store,) = (home / "results").iterdir()
    assert store.name.endswith("-sweep")
    assert (store / "store.json").exists()
    assert {entry.name for entry in home.iterdir()} <= {"results", "sub", Path(name).name}


@pytest.mark.parametrize("kind", ["file", "broken link", "link to a file", "below a file", "NUL"])
def test_an_output_that_is_no_folder_is_refused(kind, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    written(ONE)
    Path("taken").write_text("mine")
    Path("link").symlink_to("taken" if kind == "link to a file" else "nowhere/at/all")
    out = {"file": "taken", "below a file": "taken/x", "NUL": "a\0b"}.get(kind, "link")
    assert main(["sweep", FILE, "--out", out, "--quiet"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("copydyn: ")
    assert error.endswith(".\n")
    assert error.count("\n") == 1
    assert Path("taken").read_text() == "mine"


def test_all_faults_have_places_of_their_own():
    with pytest.raises(BadScenario) as caught:
        asked(written(ONE + "[sweep]\nbatch = 0\n[sweep.grid]\ntheory.copies = 'linspac(1)'\n"), ["x.y=1,2;x.z=1"])
    places = [fault.split(" ")[0] for fault in caught.value.faults]
    assert places == ["x.y=1,2;x.z=1:", "mine.toml:14:", "mine.toml:16:"]
