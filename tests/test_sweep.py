"""Sweeps: every point once, the same bytes whoever makes them, faults recorded, and a stop that loses nothing."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import copydyn
from copydyn import open_sweep
from copydyn.__main__ import main
from copydyn.scenario.scenario import load
from copydyn.sweeps import builder as building
from copydyn.sweeps import crew, drive, work
from copydyn.sweeps import recipe as recipe_module
from copydyn.sweeps.api import axes_of
from copydyn.sweeps.checks import verified
from copydyn.sweeps.crew import Crew
from copydyn.sweeps.recipe import Block
from copydyn.sweeps.rows import Form, Frame, Row
from copydyn.sweeps.store import Store
from copydyn.theories import THEORIES, CopyDynamics, Schrodinger
from tests.inline import FIXED, SMALL, Inline, files, recipe_of, run
from tests.verdicts import assert_share

PACKAGE = Path(copydyn.__file__).parents[1]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Work in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def python(code, folder, *arguments):
    """Run a script of its own, where processes are forked."""
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE), "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "ignore", "-c", code, str(folder), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=120)


# ---- what comes out


def test_a_theory_that_takes_reading_the_scenario_is_made_once_for_its_points(tmp_path, monkeypatch):
    read, found = building.read_theory, []
    monkeypatch.setattr(building, "read_theory", lambda *given: found.append(given) or read(*given))
    nested = ("schedule.points=3", "schedule.stop=0.1", "theory.copies=20")
    couplings, strengths = "system.coupling=1,1.1,1.2", "theory.alignment.strength=0.6,0.7"
    run(tmp_path / "one", couplings, scenario="alignment-force", fixed=nested)
    assert open_sweep(tmp_path / "one").status.values.ravel().tolist() == ["ok"] * 6
    assert len(found) == 2, "one for each theory"
    run(tmp_path / "many", couplings, strengths, scenario="alignment-force", fixed=nested)
    assert len(found) == 2 + 12, "where the last axis changes it, each point has one of its own"


def test_a_run_that_cannot_be_measured_has_failed_and_the_rest_goes_on(tmp_path, monkeypatch):
    """Runs are measured some time after they are made, and the fault is still that of its own run."""
    measured, row = [], building.Builder.row

    def fails(self, made):
        measured.append(made)
        if len(measured) == 2:
            raise copydyn.refusal.BadValue("the second one must fail.")
        return row(self, made)

    monkeypatch.setattr(building.Builder, "row", fails)
    run(tmp_path, "theory.copies=40,60,80", batch=3)
    assert open_sweep(tmp_path).status.values.tolist() == ["ok", "the second one must fail.", "ok"]


def test_each_point_is_what_evolve_gives(tmp_path):
    run(tmp_path, batch=4)
    found = open_sweep(tmp_path)
    assert dict(found.sizes) == {"copies": 2, "detuning": 3, "replica": 3, "time": 3, "beable": 2}
    for copies in (40, 60):
        for detuning in (0.5, 1, 1.5):
            one = load("rabi", [*FIXED, f"system.detuning={detuning}"])
            alone = CopyDynamics(copies).evolve(one.experiment, seed=7, replicas=3)
            compared = copydyn.compare(alone, Schrodinger().evolve(one.experiment))
            point = found.sel(copies=copies, detuning=detuning)
            for name in ("counts", "phase", "frequency", "energy", "events"):
                np.testing.assert_array_equal(point[name], alone[name])
            np.testing.assert_allclose(point["probability"], alone["probability"], rtol=1e-15)
            for name in ("infidelity", "max_deviation", "total_variation", "extinct"):
                np.testing.assert_allclose(point[name].mean("replica"), compared[name], rtol=1e-12, atol=1e-15)
            assert point["status"] == "ok"
            assert point["replicas"] == 3


def test_values_are_read_when_they_are_looked_at(tmp_path):
    run(tmp_path)
    found = open_sweep(tmp_path)
    whole = found.load()
    for key in (
        {"copies": 1},
        {"detuning": [2, 0], "time": slice(1, 3)},
        {"copies": slice(None, None, -1), "beable": 1, "replica": [0, 2]},
        {"copies": 0, "detuning": 1, "replica": 2, "time": 0, "beable": 0},
    ):
        xr.testing.assert_equal(open_sweep(tmp_path).isel(key).load(), whole.isel(key))
    with xr.open_dataset(tmp_path, engine="copydyn") as opened:
        xr.testing.assert_identical(opened.load(), whole)
    store = Store(tmp_path)
    lazy = open_sweep(tmp_path)
    for name in store.names():
        store.path_of(name, ".nc").unlink()
    assert lazy.sizes["copies"] == 2
    with pytest.raises(copydyn.refusal.BadValue, match="its file is missing"):
        lazy.counts.load()


def test_a_sweep_of_one_point_has_no_axes(tmp_path):
    run(tmp_path, "theory.copies=50")
    found = open_sweep(tmp_path)
    assert found.counts.dims == ("replica", "time", "beable")
    assert int(found.counts.isel(time=0).sum()) == 150


def test_zipped_axes_are_one_dimension(tmp_path):
    run(tmp_path, "theory.copies=40,60; theory.spectators=1,2")
    found = open_sweep(tmp_path)
    assert found.counts.sizes["copies"] == 2
    assert found["theory.spectators"].values.tolist() == [1, 2]
    np.testing.assert_array_equal(found.counts.isel(replica=0, time=0).sum("beable"), [42, 64])


def test_labels_and_times_that_differ_are_joined(tmp_path):
    run(tmp_path, "system.levels=3,4", "theory.copies=50", scenario="gue", batch=2)
    found = open_sweep(tmp_path)
    assert found.sizes["beable"] == 4
    assert np.isnan(found.counts.sel(levels=3).isel(beable=3)).all()
    assert (found.counts.sel(levels=4).sum("beable") == 50).all()
    assert verified(tmp_path).sound
    run(tmp_path / "times", "schedule.stop=1,2")
    assert open_sweep(tmp_path / "times")["time"].values.tolist() == [0.0, 0.5, 1.0, 2.0]


def test_text_and_lists_are_values(tmp_path):
    run(tmp_path, "theory.engine=exact,agents", "system.coupling=[0.3,0.4],[0.5,0.0]")
    found = open_sweep(tmp_path)
    assert found["engine"].values.tolist() == ["exact", "agents"]
    assert found["coupling"].values.tolist() == ["[0.3, 0.4]", "[0.5, 0]"]


SEVERAL = """
[system]
kind = "two-level"
detuning = 0.6
[preparation]
amplitudes = [0.8, "0.6j"]
[schedule]
stop = 2
points = 3
[[theory]]
name = "few"
copies = 20
[[theory]]
name = "many"
copies = 200
[[theory]]
kind = "Schrodinger"
[run]
seed = 4
replicas = 2
[sweep.grid]
theory.few.copies = [10, 20, 30]
system.detuning = "linspace(0.5, 1, 2)"
"""


def test_several_theories_are_a_dimension_and_none_works_twice(here):
    Path("several.toml").write_text(SEVERAL)
    recipe = recipe_of(*SMALL[:0], "schedule.points=3", scenario="several.toml", seed=4, replicas=2)
    assert [recipe.shape_of(theory) for theory in range(3)] == [(3, 2), (1, 2), (1, 2)]
    team = Inline()
    drive.drive(recipe, Store.create(here / "out"), team)
    assert sum(task.block.stop - task.block.start for task in team.tasks) == 6 + 2 + 2
    found = open_sweep(here / "out")
    assert found["theory"].values.tolist() == ["few", "many", "Schrodinger"]
    assert found.probability.dims == ("theory", "copies", "detuning", "time", "beable")
    many = found.counts.sel(theory="many")
    assert (many.isel(copies=0) == many.isel(copies=2)).all()
    assert (many.sum("beable") == 200).all()
    assert np.isnan(found.counts.sel(theory="Schrodinger")).all()
    assert found.probability.sel(theory="Schrodinger").notnull().all()
    assert found["replicas"].isel(copies=0, detuning=0).values.tolist() == [2, 2, 1]


# ---- where it runs


def test_the_same_bytes_from_workers_started_anew(tmp_path):
    """Under a test runner there are threads, so that the workers are not forked."""
    run(tmp_path / "here", batch=2)
    team = Crew(2)
    drive.drive(recipe_of(batch=2), Store.create(tmp_path / "there"), team)
    assert files(tmp_path / "here") == files(tmp_path / "there")


FORKED = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from tests.inline import recipe_of
from copydyn.sweeps import builder as building
from copydyn.sweeps import crew, drive, work
from copydyn.sweeps.store import Store
assert crew._may_fork()
work.FLUSH = float(sys.argv[4])
drive.drive(recipe_of(batch=int(sys.argv[5])), Store.create(Path(sys.argv[1])), crew.Crew(int(sys.argv[3])))
"""


@pytest.mark.parametrize(("jobs", "flush", "batch"), [(1, 5.0, 3), (8, 0.0, 3)])
def test_the_same_bytes_from_forked_workers(tmp_path, jobs, flush, batch):
    run(tmp_path / "here", batch=batch)
    finished = python(FORKED, tmp_path / "forked", PACKAGE, jobs, flush, batch)
    assert finished.returncode == 0, finished.stderr
    assert files(tmp_path / "forked") == files(tmp_path / "here")


def test_shards_make_the_whole(tmp_path):
    for part in (3, 1, 2):
        run(tmp_path / "shards", how={"shard": (part, 3)})
        assert verified(tmp_path / "shards").sound == (part == 2)
    run(tmp_path / "whole")
    assert files(tmp_path / "shards") == files(tmp_path / "whole")


def test_two_sweeps_at_work_on_one_store_meet_in_the_middle(tmp_path, monkeypatch):
    monkeypatch.setattr(drive._Life, "_others", lambda _: True)
    team = run(tmp_path / "one")
    assert [task.block.number for task in team.tasks] == [5, 4, 3, 2, 1, 0]
    monkeypatch.undo()
    run(tmp_path / "two")
    assert files(tmp_path / "one") == files(tmp_path / "two")


# ---- faults


@dataclass(frozen=True)
class Moody:
    """A theory that fails in the ways that theories fail."""

    mood: str = "good"

    @property
    def name(self) -> str:
        return "Moody"

    def require(self, experiment, replicas=1):
        """Take any."""

    def evolve(self, experiment, seed=None, replicas=1, *, first=0, progress=False, jobs=1, keep=None):
        if self.mood == "refuses":
            raise copydyn.refusal.BadValue("mood must be good, but is not; cheer up.")
        if self.mood == "breaks":
            raise ZeroDivisionError("oh")
        if self.mood == "full":
            raise MemoryError("Unable to allocate 9 PiB")
        if self.mood == "dies":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.mood == "sleeps":
            return CopyDynamics(10**6).evolve(
                load("rabi", ["schedule.stop=1e5", "schedule.points=3"]).experiment, seed, replicas, keep=keep
            )
        return CopyDynamics(20).evolve(experiment, seed, replicas, first=first)


@pytest.fixture
def moody(monkeypatch, here):
    monkeypatch.setitem(THEORIES, "Moody", Moody)
    text = SEVERAL[: SEVERAL.index("[[theory]]")] + '[theory]\nkind = "Moody"\n'
    Path("moody.toml").write_text(text)
    return here


def test_a_failed_point_is_recorded_and_does_not_stop_the_rest(moody):
    axes = ("theory.mood=good,refuses,breaks,full",)
    team = run(moody / "out", *axes, scenario="moody.toml", fixed=("schedule.points=3",), how={"timeout": 60.0})
    assert len(team.tasks) == 4
    found = open_sweep(moody / "out")
    assert found.status.values.tolist() == [
        "ok",
        "mood must be good, but is not; cheer up.",
        "copydyn itself is at fault: ZeroDivisionError: oh.",
        "the run must fit into memory, but: Unable to allocate 9 PiB; take fewer labels, replicas or times.",
    ]
    assert found["replicas"].values.tolist() == [3, 0, 0, 0]
    assert np.isnan(found.counts.sel(mood="breaks")).all()
    assert verified(moody / "out").sound  # a failure is an answer
    store = Store(moody / "out")
    details = [entry.detail for name in store.names() for entry in store.record(name).entries]
    assert sum("Traceback" in detail and "ZeroDivisionError" in detail for detail in details) == 1


def test_failed_runs_are_made_again_on_demand(moody, monkeypatch):
    axes, how = ("theory.mood=good,breaks,refuses",), {"scenario": "moody.toml", "fixed": ("schedule.points=3",)}
    run(moody / "out", *axes, **how, batch=3)
    assert run(moody / "out", *axes, **how, batch=3).tasks == []
    monkeypatch.setitem(THEORIES, "Moody", type("Moody", (Moody,), {"evolve": healed}))
    run(moody / "out", *axes, **how, batch=3, how={"retry": True})
    assert open_sweep(moody / "out").status.values.tolist() == ["ok"] * 3
    assert verified(moody / "out").sound, verified(moody / "out").text()
    assert len(list(Store(moody / "out").names())) == 1


def healed(self, experiment, seed=None, replicas=1, *, first=0, progress=False, jobs=1, keep=None):
    return CopyDynamics(20).evolve(experiment, seed, replicas, first=first)


def test_a_run_that_takes_too_long_has_failed(moody):
    begun = time.monotonic()
    how = {"scenario": "moody.toml", "fixed": ("schedule.points=3",), "how": {"timeout": 0.5}}
    run(moody / "out", "theory.mood=sleeps,good", **how)
    assert time.monotonic() - begun < 30.0
    assert open_sweep(moody / "out").status.values.tolist() == [
        "the run took longer than the timeout of 0.5 s; give it more with --timeout.",
        "ok",
    ]


DYING = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from copydyn.theories import THEORIES
from tests.test_sweep import Moody
THEORIES["Moody"] = Moody
from tests.inline import recipe_of
from copydyn.sweeps import crew, drive
from copydyn.sweeps.store import Store
recipe = recipe_of("theory.mood=good,dies,refuses", scenario="moody.toml", fixed=("schedule.points=3",), batch=3)
import threading
while threading.active_count() > 1: pass
tally = drive.drive(recipe, Store.create(Path(sys.argv[1])), crew.Crew(2))
print(tally.failed, tally.done)
"""


def test_a_worker_that_dies_is_replaced_and_the_run_that_kills_it_is_named(moody):
    finished = python(DYING, moody / "out", PACKAGE)
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.split() == ["2", "3"]
    statuses = open_sweep(moody / "out").status.values.tolist()
    assert statuses[0] == "ok"
    assert statuses[1].startswith("the process that computed it died twice")
    assert statuses[2].startswith("mood must be good")
    assert verified(moody / "out").sound, verified(moody / "out").text()


def test_a_fault_of_the_machinery_keeps_its_traceback(tmp_path, monkeypatch):
    def broken(_):
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(work, "packed", broken)
    with pytest.raises(TypeError):
        run(tmp_path)
    answer = crew.Answer(None, None, bug="Traceback: a bug")
    team = Inline()
    team.ask = lambda task: team.answered.append(answer)
    with pytest.raises(RuntimeError, match="a bug"):
        run(tmp_path, team=team)


# ---- targets


def test_a_target_stops_where_the_error_is_small_enough(tmp_path):
    axes = ("theory.copies=20,2000",)
    run(tmp_path, *axes, replicas=16, target_error=0.02, max_replicas=400)
    found = open_sweep(tmp_path)
    replicas = found["replicas"].values
    errors = found.frequency.std("replica", ddof=1).max(("time", "beable")).values / np.sqrt(replicas)
    assert replicas[1] == 32  # the fewest that an error can be known of, in runs of 16
    assert 32 < replicas[0] <= 400
    assert np.all(errors <= 0.02)
    first = found.frequency.isel(copies=0, replica=slice(0, int(replicas[0]) - 16))
    assert first.std("replica", ddof=1).max() / np.sqrt(replicas[0] - 16) > 0.02  # one run less was not enough
    assert run(tmp_path, *axes, replicas=16, target_error=0.02, max_replicas=400).tasks == []
    more = run(tmp_path, *axes, replicas=16, target_error=0.01, max_replicas=2000)
    assert len(more.tasks) == 1
    again = open_sweep(tmp_path)
    np.testing.assert_array_equal(again.counts[:, : replicas.min()], found.counts[:, : replicas.min()])
    assert again["replicas"].values[0] > replicas[0]


def test_a_target_gives_up_at_the_largest_number_of_replicas(tmp_path):
    run(tmp_path, "theory.copies=20", replicas=16, target_error=1e-6, max_replicas=40)
    assert open_sweep(tmp_path)["replicas"] == 40


def test_a_target_meets_its_error_as_often_as_it_says(monkeypatch):
    """The mean of a point that stopped by its target, plus and minus 1.96 of its errors, covers the truth in 95 of 100.

    Stopping where the error looks small by chance makes such intervals too short; `FEWEST` replicas keep that small.
    The control, a target that may stop after 8, covers too little.
    """
    recipe = recipe_of("theory.copies=20", fixed=("schedule.stop=1", "schedule.points=2"), replicas=8)
    builder = building.Builder(recipe)
    points, most = 1000, 160
    many = builder.theory(0, {}).evolve(builder.experiment({}), seed=1, replicas=200_000 + points * most)
    frequency = many.frequency.values[:, 1, 0]
    truth = frequency[:200_000].mean()
    rows = frequency[200_000:].reshape(points, most)

    def covered():
        found = 0
        for values in rows:
            aim, target = work.Aim("probability"), work.Target(0.016, most)
            for stop in range(8, most + 1, 8):
                aim.add(Row({"frequency": values[stop - 8 : stop]}, Form(Frame({}), {}), {}))
                if target.over(aim.error(), stop):
                    break
            assert stop < most
            found += abs(values[:stop].mean() - truth) < 1.96 * aim.error()
        return found

    assert_share(covered(), points, 0.95, detects=0.90)
    monkeypatch.setattr(recipe_module, "FEWEST", 8)
    control = covered()
    with pytest.raises(AssertionError, match=r"against 0\.95"):
        assert_share(control, points, 0.95, detects=0.90)


# ---- stopping and going on


LONG = [
    "theory.copies=1000000,1200000",
    'theory.engine="exact"',  # auto would leap, and be done before a checkpoint is due
    "schedule.stop=100",
    "schedule.points=3",
    "--replicas=1",
    "--jobs=2",
    "--seed=5",
]

INTERRUPTED = """
import signal
import sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # jobs in the background are deaf
from copydyn.__main__ import main
from copydyn.sweeps import work
work.CHECKPOINT = 0.1
sys.exit(main(["sweep", "rabi", *sys.argv[2:], "--out", sys.argv[1]]))
"""


def test_ctrl_c_before_or_after_the_work_says_what_is_kept_too(tmp_path, unthreaded, monkeypatch, capsys):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(copydyn.sweeps.api, "drive", interrupted)
    assert main(["sweep", "rabi", "theory.copies=30,40", "--jobs=1", "--out", str(tmp_path / "out")]) == 130
    said = capsys.readouterr().err
    assert said.startswith(f"copydyn: interrupted; what is kept so far is in {tmp_path / 'out'}, and the same command")


def test_ctrl_c_stops_within_seconds_and_the_same_command_goes_on(tmp_path, capsys):
    """Sent to the whole process group, as a terminal does, once a long run has left a checkpoint."""
    # one thread, or the workers would be started anew, and know nothing of CHECKPOINT
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE), "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "ignore", "-c", INTERRUPTED, str(tmp_path / "out"), *LONG]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True)
    deadline = time.monotonic() + 100.0
    while time.monotonic() < deadline and not list((tmp_path / "out").glob("drafts/*.checkpoint")):
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    begun = time.monotonic()
    _, said = process.communicate(timeout=60)
    assert time.monotonic() - begun < 6.0
    assert process.returncode == 130
    assert "Traceback" not in said
    assert "interrupted with 0 of 2 points done, all of which are kept in" in said
    assert "the same command goes on from there." in said
    assert main(["status", str(tmp_path / "out")]) == 0
    told = capsys.readouterr().out
    assert "0 of 2 are there, 0 failed, 2 missing" in told
    assert ", interrupted, " in told
    assert list((tmp_path / "out").glob("drafts/*.checkpoint"))
    fixed = LONG[1:4]
    run(tmp_path / "out", LONG[0], fixed=fixed, replicas=1, seed=5)
    assert os.listdir(tmp_path / "out" / "drafts") == []
    run(tmp_path / "peace", LONG[0], fixed=fixed, replicas=1, seed=5)
    assert files(tmp_path / "out") == files(tmp_path / "peace")
    assert verified(tmp_path / "out").sound


# ---- the faces


def test_the_command_line_and_python_ask_for_the_same(here, capsys):
    fixed = [*FIXED, *SMALL]
    assert main(["sweep", "rabi", *fixed, "--replicas=2", "--seed=3", "--jobs=1", "--out=one", "--quiet"]) == 0
    assert capsys.readouterr().out == ""
    axes = {
        "theory.copies": np.array([40, 60]),
        "system.detuning": "linspace(0.5, 1.5, 3)",
        "schedule.stop": 2,
        "schedule.points": 3,
    }
    found = copydyn.sweep("rabi", axes, out="two", replicas=2, seed=3, jobs=1)
    assert files("one") == files("two")
    xr.testing.assert_identical(found.load().drop_attrs(), open_sweep("one").load().drop_attrs())
    assert main(["sweep", "two"]) == 0
    assert "6 of them were there already; nothing was left to do" in capsys.readouterr().out
    assert main(["verify", "two"]) == 0
    assert main(["status", "two"]) == 0
    assert "6 of 6 are there, 0 failed, 0 missing" in capsys.readouterr().out
    next(Path("two").rglob("*.nc")).write_bytes(b"")
    assert main(["verify", "two"]) == 4
    assert main(["repair", "two", "--jobs=1"]) == 0
    assert main(["verify", "two"]) == 0
    assert files("one") == files("two")


def test_a_seed_that_nobody_said_is_kept_for_the_next_time(here):
    text = SEVERAL[: SEVERAL.index("[[theory]]")] + "[theory]\ncopies = 30\n"
    Path("mine.toml").write_text(text)
    one = copydyn.sweep("mine.toml", {"system.detuning": [1, 2]}, out="out", replicas=2, jobs=1)
    two = copydyn.sweep("mine.toml", {"system.detuning": [1, 2, 3]}, out="out", replicas=2, jobs=1)
    assert one.attrs["seed"] == two.attrs["seed"]
    xr.testing.assert_equal(two.counts.sel(detuning=[1, 2]).load(), one.counts.load())


@pytest.mark.parametrize(
    ("axes", "says"),
    [
        ({"theory.copies": []}, "must have at least one value"),
        ({("theory.copies", "theory.floor"): [1, 2]}, "must be a tuple of 2"),
        ({3: [1, 2]}, "called by a key"),
        ([1], "must be a mapping"),
        ({"theory.copies": [1, 1.0]}, "1 stands twice"),
    ],
)
def test_axes_that_are_none_are_refused(axes, says, refuses):
    refuses(lambda: axes_of(axes), TypeError if "mapping" in says or "called" in says else ValueError, says)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--shard=4/3"], "a shard must be I/N"),
        (["--shard=x"], "a shard must be I/N"),
        (["--timeout=-1"], "--timeout -1: [sweep] timeout must be > 0, but is -1"),
        (["--replicas=0"], "--replicas 0: [sweep] replicas must be >= 1"),
        (["--max-replicas=5"], "max_replicas is about a target_error"),
        (["--target-error=0.1", "--target=x"], "target must be one of probability"),
        (["--target-error=0.1", "--max-replicas=2", "--replicas=3"], "max_replicas must be at least the 3 replicas"),
        (["run.replicas=2,3"], "'run.replicas' must be the same for all points"),
        (["theory.copies=10,20", "theory.copies=30,40"], "'theory.copies' must be swept by one axis"),
        (["system.detunin=1,2"], "did you mean 'detuning'?"),
        (["theory.copies=10,-5"], "theory.copies=10,-5: theory.copies=-5: [theory] copies must be >= 1"),
    ],
)
def test_bad_input_is_refused_before_anything_runs(here, capsys, arguments, says):
    assert main(["sweep", "rabi", *arguments, "--jobs=1"]) == 2
    said = capsys.readouterr().err
    assert says in said
    assert "Traceback" not in said
    assert not Path("results").exists()


def test_a_sweep_into_a_file_is_refused(here, capsys):
    Path("out").write_text("")
    assert main(["sweep", "rabi", *SMALL, "--out=out", "--jobs=1"]) == 2
    assert "a file stands in" in capsys.readouterr().err


def test_status_tells_the_dead_from_the_living(tmp_path, capsys):
    run(tmp_path)
    sign = {"state": "running", "host": "elsewhere", "pid": 1, "done": 1, "total": 6, "failed": 0}
    sign["time"] = time.time() - 3600
    (tmp_path / "live" / "elsewhere-1.json").write_text(json.dumps(sign))
    main(["status", str(tmp_path)])
    assert "ended         process 1 on elsewhere, without a word, 60 min ago: 1 of 6 made" in capsys.readouterr().out
    sign |= {"time": time.time(), "rate": 2.0}
    (tmp_path / "live" / "elsewhere-1.json").write_text(json.dumps(sign))
    main(["status", str(tmp_path)])
    assert "at work       process 1 on elsewhere: 1 of 6 made, 0 failed, 2 a second" in capsys.readouterr().out


def test_a_file_that_is_read_decides_as_well(here, refuses):
    """Another content makes other runs; a store can be opened where the file is no more."""
    for name, coupling in (("one", 0.5), ("two", 0.7)):
        np.save(f"{name}.npy", np.array([[0.3, coupling], [coupling, -0.3]]))
    text = (
        '[system]\nkind = "file"\npath = "one.npy"\n' + SEVERAL[SEVERAL.index("[preparation]") : SEVERAL.index("[[the")]
    )
    Path("mine.toml").write_text(text + "[theory]\ncopies = 30\n")
    how = {"scenario": "mine.toml", "fixed": ("schedule.points=3",)}
    assert len(run("out", "theory.copies=30,40", **how).tasks) == 2
    assert len(run("out", "theory.copies=30,40", **how).tasks) == 0
    assert len(run("both", "system.path=one.npy,two.npy", **how).tasks) == 2
    np.save("one.npy", np.array([[0.3, 0.1], [0.1, -0.3]]))
    assert len(run("out", "theory.copies=30,40", **how).tasks) == 2
    Path("one.npy").unlink()
    assert open_sweep("both").status.values.tolist() == ["ok", "ok"]
    building._own.builder.cache_clear()
    task = work.Task("both", "001.toml", Block(0, 0, 0, 1), ())
    refuses(lambda: work.work(task), ValueError, r'"one.npy" is another one here, or cannot be read')


IRREVERSIBLE = """
[system]
kind = "two-level"
detuning = 0.6
[preparation]
amplitudes = [0.8, "0.6j"]
[schedule]
stop = 2
points = 3
[[theory]]
kind = "OQT"
rate = 0.3
[[theory]]
kind = "SUV"
rate = 0.3
[run]
seed = 4
"""


def test_thermalisation_and_collapse_are_swept_as_copies_are(here):
    """What they give besides, such as density matrices, has dimensions of its own, and trajectories have errors."""
    Path("rivals.toml").write_text(IRREVERSIBLE)
    run("out", "theory.rate=0.1,0.2", scenario="rivals.toml", fixed=(), seed=4, replicas=4)
    found = open_sweep("out")
    assert (found.status == "ok").all()
    assert found.density_matrix.sizes["beable_"] == 2
    for name, kind in (("OQT", THEORIES["OQT"]), ("SUV", THEORIES["SUV"])):
        alone = kind(0.2).evolve(load("rivals.toml").experiment, seed=4, replicas=4)
        point = found.sel(theory=name, rate=0.2)
        np.testing.assert_array_equal(point.state, alone.state)
        np.testing.assert_array_equal(point.probability, alone.probability)
    run("target", "theory.rate=0.2", scenario="rivals.toml", fixed=(), replicas=16, target_error=0.01, max_replicas=64)
    assert open_sweep("target")["replicas"].sel(theory="SUV") > 16
