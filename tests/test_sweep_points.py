"""What a sweep says of its points: results as of one run, means that weigh replicas, errors where there are any."""

import copy
import json
import os
from functools import cache
from itertools import pairwise
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import copydyn
from copydyn import compare, open_sweep
from copydyn.__main__ import main
from copydyn.laws import finite_copies
from copydyn.results import result
from copydyn.scenario.scenario import load
from copydyn.sweeps import asked as asking
from copydyn.sweeps import work
from copydyn.sweeps.checks import verified
from copydyn.sweeps.export import exported
from copydyn.sweeps.moments import Moments
from copydyn.sweeps.page import page
from copydyn.sweeps.recipe import pieces, share
from copydyn.sweeps.status import status_of
from copydyn.sweeps.store import Store
from copydyn.sweeps.summary import summary
from copydyn.theories import ColouredSUV, CopyDynamics, Schrodinger
from tests.inline import Inline, files, recipe_of, run

COLOURED = """
[system]
kind = "two-level"
detuning = 0.6
coupling = 0
[preparation]
amplitudes = [0.8, "0.6j"]
[schedule]
stop = 2
points = 3
[theory]
kind = "ColouredSUV"
strength = 0.7
memory = 0.5
[run]
seed = 4
"""

RIVALS = """
[system]
kind = "two-level"
detuning = 0.6
hbar = 2
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
[[theory]]
copies = 50
spectators = 1
[[theory]]
kind = "Schrodinger"
[run]
seed = 4
"""


@pytest.fixture(scope="module")
def of(tmp_path_factory):
    """Sweeps that several tests look at, by the kind; nobody may write into them."""
    place = tmp_path_factory.mktemp("points")
    for name, text in (("coloured", COLOURED), ("rivals", RIVALS)):
        (place / f"{name}.toml").write_text(text)

    @cache
    def made(kind):
        folder = place / kind
        if kind == "coloured":  # 1024 replicas and 76
            run(folder, "theory.strength=0.5,0.7", scenario=str(place / "coloured.toml"), fixed=(), replicas=1100)
        elif kind == "rivals":
            run(folder, "theory.0.rate=0.1,0.2", scenario=str(place / "rivals.toml"), fixed=(), replicas=4)
        elif kind == "spectators":
            run(folder, "theory.copies=40,60", "theory.spectators=0,3", fixed=("schedule.stop=2", "schedule.points=3"))
        elif kind == "missed":
            how = {"replicas": 20, "target_error": 1e-9, "max_replicas": 60}
            run(folder, "theory.copies=20,30,40", **how)
        else:
            assert kind == "sizes"
            run(folder, "system.levels=3,4", "theory.copies=50", scenario="gue")
        return folder

    made.place = place
    return made


def plain(dataset):
    """Leave out coordinates that say which point it was."""
    return dataset.drop_vars([name for name in dataset.coords if name not in dataset.dims])


# ---- means of means


def by_itself(of, strength=0.7):
    one = load(str(of.place / "coloured.toml"))
    found = ColouredSUV(strength, memory=0.5).evolve(one.experiment, 7, 1100)
    return found, compare(found, Schrodinger().evolve(one.experiment))


@pytest.mark.parametrize("strength", [0.5, 0.7])
def test_parts_of_a_point_weigh_as_much_as_they_have_replicas(of, strength):
    """Also in the distance of the mean, which is no mean of distances: at one of them the parts err to both sides."""
    alone, compared = by_itself(of, strength)
    opened, means = (found.sel(strength=strength) for found in (open_sweep(of("coloured")), summary(of("coloured"))))
    assert int(opened["replicas"]) == int(means["replicas"]) == 1100
    for found in (opened, means):
        np.testing.assert_allclose(found["probability"], alone["probability"], atol=1e-14)
        for name in ("max_deviation", "total_variation"):
            np.testing.assert_allclose(found[name], compared[name], atol=1e-14)
    for name in ("worst_deviation", "worst_total_variation"):
        np.testing.assert_allclose(means[name], compared[name], atol=1e-14)
    for name in ("infidelity", "infidelity_error"):
        np.testing.assert_allclose(means[name], compared[name], rtol=1e-9, atol=1e-15)
    weights = np.abs(alone["state"]) ** 2
    error = weights.std("replica", ddof=1) / np.sqrt(1100)
    np.testing.assert_allclose(means["probability_error"], error, rtol=1e-9, atol=1e-14)
    naive = np.mean([weights[:1024].mean("replica"), weights[1024:].mean("replica")], axis=0)
    assert np.abs(naive - alone["probability"]).max() > 1e-3, "runs that weigh the same would give another mean"


def test_the_page_and_the_exports_say_the_same(of, tmp_path):
    means = summary(of("coloured"))
    exported(of("coloured"), tmp_path / "means.nc", means=True)
    with xr.open_dataset(tmp_path / "means.nc") as found:
        xr.testing.assert_equal(found.load(), means)
    exported(of("coloured"), tmp_path / "all.nc")
    with xr.open_dataset(tmp_path / "all.nc") as found:
        np.testing.assert_array_equal(found["total_variation"], open_sweep(of("coloured"))["total_variation"])
        np.testing.assert_array_equal(found["state"].isel(part=1), open_sweep(of("coloured"))["state"].imag)
    value = f"{float(means['total_variation'].sel(strength=0.7)[-1]):.4g}"
    rows = [row for row in page(of("coloured")).split("<tr>") if ">0.7<" in row]
    assert any(f">{value}<" in row for row in rows), "the distance of a mean stands there without an error"


def test_what_no_replica_has_by_itself_has_no_error(of):
    opened, means = open_sweep(of("coloured")), summary(of("coloured"))
    for name in ("max_deviation", "total_variation"):
        assert opened[name].dims == ("strength", "time")
        assert np.isnan(means[f"{name}_error"]).all()
    assert np.isnan(means["worst_deviation_error"]).all()
    assert opened["infidelity"].dims == ("strength", "replica", "time")
    assert (means["infidelity_error"].isel(time=-1) > 0).all()


@pytest.mark.parametrize("seed", range(5))
def test_moments_of_parts_are_those_of_the_whole(seed):
    rng = np.random.default_rng(seed)
    values = 1e3 + rng.normal(size=(2, 57, 3))
    moments, means, cuts = Moments((4, 5)), Moments((4,), complex), [0, 1, 20, 57]
    for start, stop in pairwise(cuts):
        moments.add(np.array([3, 1]), values[:, start:stop], (np.array([0, 4, 2]),))
        means.add_means([2], np.array([1j * values[0, start:stop, 0].mean()]), stop - start)
    np.testing.assert_allclose(moments.mean[[3, 1]][:, [0, 4, 2]], values.mean(axis=1), rtol=1e-14)
    expected = values.std(axis=1, ddof=1) / np.sqrt(57)
    np.testing.assert_allclose(moments.error()[[3, 1]][:, [0, 4, 2]], expected, rtol=1e-9)
    assert np.isnan(moments.error()[[0, 2]]).all()
    np.testing.assert_allclose(means.mean[2], 1j * values[0, :, 0].mean())
    assert np.isnan(means.error()).all()


# ---- targets


@pytest.mark.parametrize("target", ["total_variation", "max_deviation"])
def test_a_target_that_no_replica_has_is_refused_before_anything_runs(of, tmp_path, monkeypatch, capsys, target):
    monkeypatch.chdir(tmp_path)
    command = ["sweep", str(of.place / "coloured.toml"), "--target-error=1e-6", f"--target={target}", "--out=out"]
    assert main(command) == 2
    said = capsys.readouterr().err
    assert f"--target {target}: target must be something that each replica has a value of" in said
    assert "take probability or infidelity" in said
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("theory", "axes", "says"),
    [("theory.phase_spread=0.1", "theory.copies=30", "infidelity of 'CopyDynamics'"), ("theory.copies=30", "", "")],
)
def test_a_ket_that_no_ensemble_has_is_no_target_either(refuses, theory, axes, says):
    asked = (theory, *filter(None, [axes]))

    def make():
        recipe_of(*asked, target_error=0.1, target="infidelity")

    if says:
        refuses(make, ValueError, says)
    else:
        make()


def test_a_theory_that_nobody_knew_of_is_refused_by_its_runs(of, tmp_path, monkeypatch):
    monkeypatch.setattr(asking, "_has", lambda *_: True)
    how = {"scenario": str(of.place / "coloured.toml"), "fixed": (), "replicas": 32, "target_error": 1e-6}
    run(tmp_path, "theory.strength=0.5", target="total_variation", **how)
    found = open_sweep(tmp_path)
    assert "total_variation of ColouredSUV is that of the mean over all replicas" in str(found["status"].values)


def test_targets_of_trajectories_that_have_errors_are_met(of, tmp_path):
    how = {"scenario": str(of.place / "coloured.toml"), "fixed": (), "replicas": 16, "max_replicas": 400}
    run(tmp_path, "theory.strength=0.7", target="infidelity", target_error=0.03, **how)
    found = open_sweep(tmp_path)
    assert str(found["status"].values) == "ok"
    assert float(summary(tmp_path)["infidelity_error"].max()) == pytest.approx(float(found["target_error"]))
    assert 30 < int(found["replicas"]) < 400


def test_points_that_miss_their_target_are_named_everywhere(of, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    command = ["sweep", "rabi", "theory.copies=20,30,40", "schedule.stop=2", "schedule.points=3", "--replicas=20"]
    command += ["--target-error=1e-9", "--max-replicas=60", "--seed=7", "--jobs=1", "--out=out"]
    for again in (False, True):
        assert main(command) == 4
        said = capsys.readouterr().out
        assert "target missed 3: theory.copies=20 has an error of 0.0" in said
        assert "with 60 replicas" in said
        assert ("were there already" in said) == again
    assert files("out") == files(of("missed"))


def test_what_is_written_of_a_sweep_names_them_too(of, tmp_path):
    folder = of("missed")
    for found in (open_sweep(folder), summary(folder)):
        assert found["status"].values.tolist() == ["target missed"] * 3
        assert (found["target_error"] > 1e-9).all()
        assert "standard error of probability, whose target is 1e-09" in found["target_error"].attrs["long_name"]
        assert found["replicas"].values.tolist() == [60] * 3
    assert np.isfinite(summary(folder)["probability"]).all(), "the means are there all the same"
    text = status_of(folder)
    assert "20 replicas at a time until the largest standard error of probability is below 1e-09, 60 at most" in text
    assert text.count("target missed theory.copies=") == 3
    report = page(folder)
    assert "What has missed the target" in report
    assert "<b>3</b> have missed the target" in report
    exported(folder, tmp_path / "table.csv")
    assert "target missed" in (tmp_path / "table.csv").read_text()
    exported(folder, tmp_path / "all.nc")
    with xr.open_dataset(tmp_path / "all.nc") as opened:
        assert opened["status"].values.tolist() == ["target missed"] * 3
    assert verified(folder).sound


def test_a_point_on_its_way_to_a_target_is_unfinished(tmp_path, monkeypatch):
    """Wherever it was stopped: for status, verify and whoever opens it."""
    over = work.Target.over
    monkeypatch.setattr(work.Target, "over", lambda *_: True)
    run(tmp_path, "theory.copies=20,30", replicas=20, target_error=0.02, max_replicas=200)
    monkeypatch.setattr(work.Target, "over", over)
    for found in (open_sweep(tmp_path), summary(tmp_path)):
        assert found["status"].values.tolist() == ["unfinished"] * 2
    assert "0 of 2 are there, 0 failed, 2 missing, 2 of them begun" in status_of(tmp_path)
    assert [trouble.kind for trouble in verified(tmp_path).troubles] == ["missing"] * 2
    run(tmp_path, "theory.copies=20,30", replicas=20, target_error=0.02, max_replicas=200)
    assert open_sweep(tmp_path)["status"].values.tolist() == ["ok"] * 2
    assert verified(tmp_path).sound


# ---- a point is a result


@pytest.mark.parametrize(
    ("name", "theory"),
    [("OQT", "OQT"), ("SUV", "SUV"), ("CopyDynamics", "CopyDynamics"), ("Schrodinger", "Schrodinger")],
)
def test_a_point_is_the_result_that_its_theory_gives(of, name, theory):
    one = load(str(of.place / "rivals.toml"), ["theory.0.rate=0.2"])
    alone = one.theories[name].evolve(one.experiment, 7, 4)
    reference = Schrodinger().evolve(one.experiment)
    point = open_sweep(of("rivals")).sel(theory=name).isel(rate=1)
    result.check(point)
    xr.testing.assert_allclose(plain(compare(point, reference)), compare(alone, reference), rtol=1e-12, atol=1e-15)
    assert compare(point, reference).attrs == compare(alone, reference).attrs
    whole = result.settled(point)
    assert {key: value for key, value in whole.attrs.items() if key not in ("scenario", "seed")} == {
        key: value for key, value in alone.attrs.items() if key != "seed"
    }
    for key, variable in alone.variables.items():
        np.testing.assert_array_equal(whole[key], variable, err_msg=str(key))
        assert whole[key].dims == variable.dims
        assert whole[key].dtype.kind == variable.dtype.kind
    assert np.iscomplexobj(whole["state"]) == ("state" in alone) if "state" in alone else "state" not in whole
    result.check(result.settled(whole))


def test_attributes_that_hold_for_all_points_are_those_of_the_dataset(of):
    found = open_sweep(of("spectators"))
    assert found.attrs["hbar"] == 1.0
    assert found.attrs["system"] == "two-level"
    assert found.attrs["theory"] == "CopyDynamics"
    assert not {"copies", "theory_copies", "theory_spectators"} & set(found.attrs)
    same = open_sweep(of("rivals"))
    assert same.attrs["hbar"] == 2.0
    assert "theory" not in same.attrs


@pytest.mark.parametrize("copies", [40, 60])
@pytest.mark.parametrize("spectators", [0, 3])
def test_a_law_judges_a_point_by_its_own_number_of_copies(of, copies, spectators):
    point = open_sweep(of("spectators")).sel(copies=copies, spectators=spectators)
    attrs = result.settled(point).attrs
    one = load("rabi", ["schedule.stop=2", "schedule.points=3"])
    alone = CopyDynamics(copies, spectators=spectators).evolve(one.experiment, 7, 3)
    assert attrs["copies"] == alone.attrs["copies"]
    assert attrs["theory_copies"] == copies
    assert attrs["replicas"] == 3
    theory = CopyDynamics(copies, spectators=spectators)
    law = finite_copies(one.experiment, theory.encoded(one.experiment))  # which is not told that so few are beyond it
    reference = Schrodinger().evolve(one.experiment)
    scores = [float(compare(one, reference, law)["score"]) for one in (point, alone)]
    assert np.isfinite(scores[0])
    assert scores[0] == scores[1]


def test_a_point_of_a_smaller_system_is_a_result_of_its_own_labels(of):
    found = open_sweep(of("sizes"))
    point = result.settled(found.sel(levels=3))
    assert point.sizes["beable"] == 3
    result.check(found.sel(levels=3))
    reference = Schrodinger().evolve(
        load("gue", ["system.levels=3", "schedule.stop=2", "schedule.points=3"]).experiment
    )
    assert np.isfinite(compare(found.sel(levels=3), reference)["infidelity"]).all()


def test_what_is_no_point_is_refused_in_a_sentence(of, refuses, tmp_path):
    found = open_sweep(of("spectators"))
    refuses(lambda: result.check(found), ValueError, r"choose one point of the sweep with \.sel or \.isel")
    refuses(lambda: compare(found, found), ValueError, "choose one point")
    run(tmp_path, "theory.copies=40,50", batch=1, how={"shard": (1, 2)})
    refuses(lambda: result.check(open_sweep(tmp_path).isel(copies=1)), ValueError, "it is not made yet")


def test_blocks_in_pieces_keep_the_attributes_of_their_runs(of, tmp_path, monkeypatch):
    monkeypatch.setattr(work, "FLUSH", 0.0)
    axes = ("theory.copies=40,60", "theory.spectators=0,3")
    run(tmp_path, *axes, batch=4, fixed=("schedule.stop=2", "schedule.points=3"))
    again = open_sweep(tmp_path)["attributes"]
    assert again.values.tolist() == open_sweep(of("spectators"))["attributes"].values.tolist()
    assert json.loads(str(again.values[1, 1]))["copies"] == 66


# ---- whole numbers


def test_counts_are_whole_where_none_is_missing(of, tmp_path):
    """2^53 + 1 copies is a number that no float holds."""
    many = 2**53 + 1
    run(tmp_path, f"theory.copies=30,{many}", 'theory.engine="leap"', batch=1, replicas=2)
    whole = open_sweep(tmp_path)["counts"]
    assert whole.dtype == np.int64
    assert (whole.sel(copies=many).sum("beable") == many).all()
    run(tmp_path, f"theory.copies=30,{many},40", 'theory.engine="leap"', batch=1, replicas=2, how={"shard": (1, 1000)})
    some = open_sweep(tmp_path)["counts"]
    assert some.dtype == float, "one is missing"
    point = some.sel(copies=many)
    assert point.dtype == np.int64, "before it is read"
    assert point.load().dtype == np.int64
    assert (point.sum("beable") == many).all()
    assert some.sel(copies=[30, many]).dtype == np.int64
    assert some.isel(copies=2).dtype == float
    assert np.isnan(some.load().isel(copies=2)).all()


def test_counts_of_labels_that_are_there_are_whole(of):
    counts = open_sweep(of("sizes"))["counts"]
    assert counts.dtype == float
    assert counts.sel(levels=4).dtype == np.int64
    assert counts.sel(levels=3).dtype == float
    assert counts.isel(beable=[2, 0]).load().dtype == counts.isel(beable=slice(3)).dtype == np.int64
    both = open_sweep(of("rivals"))["counts"]
    assert both.dtype == float
    assert both.sel(theory="CopyDynamics").load().dtype == np.int64


# ---- datasets travel


def sent(dataset):
    """Give what another process gets of it."""
    return ForkingPickler.loads(ForkingPickler.dumps(dataset))


def test_an_opened_sweep_can_be_copied_and_pickled(of, tmp_path, monkeypatch):
    monkeypatch.chdir(of("rivals").parent)
    lazy = open_sweep("rivals")
    expected = open_sweep("rivals").load()
    lazy.counts.isel(rate=0).load()  # a file is open
    monkeypatch.chdir(tmp_path)
    for way in (sent, copy.deepcopy, lambda dataset: dataset):
        xr.testing.assert_identical(way(lazy).load(), expected)
    point = sent(open_sweep(of("rivals")).isel(rate=1))
    xr.testing.assert_identical(point.load(), expected.isel(rate=1))


def test_processes_of_dask_read_an_opened_sweep(of):
    pytest.importorskip("dask")
    lazy = open_sweep(of("rivals"))
    found = lazy.chunk(rate=1)[["counts", "state"]].mean().compute(scheduler="processes", num_workers=1)
    xr.testing.assert_allclose(found, lazy[["counts", "state"]].load().mean())


@pytest.mark.parametrize("chunks", [{"rate": 1}, {"theory": 1, "time": 1}, {"replica": 3}])
def test_in_chunks_it_is_the_same(of, chunks):
    pytest.importorskip("dask")
    lazy = open_sweep(of("rivals"))
    xr.testing.assert_identical(lazy.chunk(chunks).load(), open_sweep(of("rivals")).load())


@pytest.mark.parametrize(
    "how",
    [
        *({name: False} for name in ("mask_and_scale", "decode_times", "decode_timedelta", "concat_characters")),
        *({"decode_coords": False}, {"use_cftime": True}, {"decode_cf": False}, {"drop_variables": "phase"}),
    ],
    ids=lambda how: next(iter(how)),
)
def test_words_about_decoding_are_taken(of, how):
    with xr.open_dataset(of("spectators"), engine="copydyn", **how) as opened:
        expected = open_sweep(of("spectators")).drop_vars(how.get("drop_variables", []))
        xr.testing.assert_identical(opened.load(), expected.load())


@pytest.mark.parametrize("kind", ["rivals", "spectators", "sizes"])
def test_datasets_are_averaged_subtracted_and_scaled_as_a_whole(of, kind):
    opened = open_sweep(of(kind))
    for whole in (opened, summary(of(kind)), result.settled(open_sweep(of("spectators")).isel(copies=0, spectators=0))):
        assert "status" in whole.coords
        with np.errstate(invalid="ignore"):  # the entropy of what is pure at first grows infinitely fast
            assert whole.std().sizes == {}
        xr.testing.assert_equal((whole * 2)["probability"], whole["probability"] * 2)
        if "replica" in whole.dims:
            centred = whole - whole.mean("replica")
            np.testing.assert_allclose(centred["energy"].mean("replica").fillna(0.0), 0.0, atol=1e-12)


def test_a_home_folder_is_found_by_its_sign(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HOME", str(tmp_path))
    found = copydyn.sweep("rabi", {"theory.copies": [20, 30], "schedule.points": 3, "schedule.stop": 1}, out="~/out")
    assert (tmp_path / "out" / "store.json").is_file()
    assert found.attrs["store"] == str(tmp_path / "out")
    xr.testing.assert_identical(open_sweep("~/out").load(), open_sweep(tmp_path / "out").load())
    xr.open_dataset("~/out", engine="copydyn").close()
    summary("~/out")
    exported(Path("~/out"), Path("~/all.csv"))
    for command in (["status", "~/out"], ["verify", "~/out"], ["export", "~/out", "~/all.nc"], ["sweep", "~/out"]):
        assert main(command) == 0
    assert main(["scenario", "rabi", "schedule.points=3", "theory.copies=100", "run.replicas=2", "--out=~/runs"]) in (
        0,
        3,
    )
    assert {"out", "all.csv", "all.nc", "runs"} <= set(os.listdir(tmp_path))
    assert "~" not in capsys.readouterr().err


# ---- what a sweep is asked of


def test_a_scenario_that_was_loaded_is_swept_too(tmp_path):
    one = load("rabi", ["schedule.stop=2", "schedule.points=3"])
    copydyn.sweep(one, {"theory.copies": [20, 30]}, replicas=2, seed=7, out=tmp_path / "one", jobs=1)
    copydyn.sweep(
        "rabi",
        {"theory.copies": [20, 30], "schedule.stop": 2, "schedule.points": 3},
        replicas=2,
        seed=7,
        out=tmp_path / "two",
        jobs=1,
    )
    assert files(tmp_path / "one") == files(tmp_path / "two")
    assert one.tables["schedule"]["points"] == 3, "and is what it was"


def test_a_path_is_taken_as_one(of, tmp_path):
    found = copydyn.sweep(
        of.place / "coloured.toml", {"theory.strength": [0.5]}, replicas=2, out=tmp_path / "out", jobs=1
    )
    assert found.sizes["strength"] == 1


@pytest.mark.parametrize("what", [load("rabi").experiment, CopyDynamics(10), None, 3])
def test_what_has_no_keys_is_refused(tmp_path, refuses, what):
    said = refuses(
        lambda: copydyn.sweep(what, {"theory.copies": [1]}, out=tmp_path), TypeError, "a Scenario, whose keys"
    )
    assert type(what).__name__ in said


# ---- shared out among many


@pytest.mark.parametrize("parts", [1, 2, 5, 12, 40])
def test_any_number_of_shards_have_work_and_make_the_same_store(tmp_path, parts):
    axes = ("theory.copies=20,30,40,50", "system.detuning=0.5,1,1.5")
    run(tmp_path / "whole", *axes, batch=5)
    order = np.random.default_rng(parts).permutation(parts) + 1
    for part in order.tolist():
        team = run(tmp_path / "shards", *axes, batch=5, how={"shard": (part, parts)})
        made = [task for task in team.tasks if task.found == ()]
        assert len(made) >= (part <= 12), "as many have work as there are points"
        assert verified(tmp_path / "shards").sound == (part == order[order <= 12][-1]) or part > 12
    assert files(tmp_path / "shards") == files(tmp_path / "whole")
    assert os.listdir(tmp_path / "shards" / "drafts") == []


class Wide(Inline):
    """As if there were many workers."""

    def __init__(self, size):
        super().__init__()
        self.size = self.most = size


@pytest.mark.parametrize("size", [2, 3, 12, 100])
def test_any_number_of_workers_have_work_and_make_the_same_store(tmp_path, size):
    axes = ("theory.copies=20,30,40,50", "system.detuning=0.5,1,1.5")
    run(tmp_path / "whole", *axes, batch=6)
    team = run(tmp_path / "wide", *axes, batch=6, team=Wide(size))
    assert sum(task.found == () for task in team.tasks) >= min(size, 12)
    assert files(tmp_path / "wide") == files(tmp_path / "whole")
    assert run(tmp_path / "wide", *axes, batch=6, team=Wide(size)).tasks == []


@pytest.mark.parametrize("points", [1, 2, 63, 100, 4096, 65_536, 100_000])
@pytest.mark.parametrize("parts", [1, 2, 7, 64, 100, 1000, 99_999])
def test_units_feed_as_many_as_there_are_points(points, parts):
    recipe = recipe_of(f"theory.copies=range(10,{10 + points})")
    length = share(recipe.strands, parts, recipe.block_size)
    sizes = [piece for block in recipe.blocks() for piece in pieces((0, block.stop - block.start), length)]
    assert len(sizes) >= min(points, parts)
    assert sum(stop - start for start, stop in sizes) == points
    if parts < 3:
        assert len(sizes) == len(list(recipe.blocks())) or points < 64, "few are not given crumbs"


def test_a_block_whose_shards_end_together_is_merged_once_or_twice_alike(tmp_path, monkeypatch):
    """Both have seen all pieces, and one has merged them before the other begins."""
    axes = ("theory.copies=20,30,40,50",)
    run(tmp_path / "whole", *axes, batch=4)
    for part in (1, 2):
        run(tmp_path / "out", *axes, batch=4, how={"shard": (part, 2)}, team=_Unmerged())
    store = Store(tmp_path / "out")
    names = list(store.names())
    assert len(names) > 1
    block = next(recipe_of(*axes, batch=4).blocks())
    task = work.Task(str(tmp_path / "out"), store.last_sweep().name, block, tuple(names))
    made = []
    plan = work._Desk._run
    monkeypatch.setattr(work._Desk, "_run", lambda desk, run: made.append(run) or plan(desk, run))
    for _ in range(2):
        work.work(task)
        assert files(tmp_path / "out") == files(tmp_path / "whole")
    assert made == [], "nothing was computed again"


class _Unmerged(Inline):
    """Leaves blocks in pieces."""

    def ask(self, task):
        if task.span is not None:
            super().ask(task)
        else:
            self.answered.append(work_of_nothing(task))


def work_of_nothing(task):
    from copydyn.sweeps.crew import Answer

    return Answer(task, work.Outcome(0, 0))


# ---- checkpoints of the dead


def test_checkpoints_that_nobody_will_go_on_from_are_tidied(tmp_path):
    axes = ("theory.copies=20,30",)
    run(tmp_path, *axes, how={"shard": (1, 2)})
    recipe = recipe_of(*axes)
    drafts = Store(tmp_path).drafts
    there, asked = (recipe.key(recipe.strand(0, number), 0, 3) for number in range(2))
    earlier = recipe_of("theory.copies=70")
    run(tmp_path, "theory.copies=70", how={"shard": (2, 2)})  # asked for, and not begun
    left = earlier.key(earlier.strand(0, 0), 0, 3)
    dead = "0" * 32
    for name in (there, asked, left, dead):
        (drafts / f"{name}.checkpoint").write_bytes(b"state")
    (drafts / "notes.checkpoint").write_bytes(b"mine")
    run(tmp_path, *axes, how={"shard": (1, 2)})
    assert sorted(os.listdir(drafts)) == sorted(["notes.checkpoint", f"{asked}.checkpoint", f"{left}.checkpoint"])


def test_checkpoints_of_other_code_are_tidied(tmp_path, monkeypatch):
    axes = ("theory.copies=20,30",)
    run(tmp_path, *axes, how={"shard": (1, 2)})
    recipe = recipe_of(*axes)
    path = Store(tmp_path).drafts / f"{recipe.key(recipe.strand(0, 1), 0, 3)}.checkpoint"
    path.write_bytes(b"state")
    run(tmp_path, *axes, how={"shard": (1, 2)})
    assert path.exists()
    for module in ("recipe", "builder", "work"):
        monkeypatch.setattr(f"copydyn.sweeps.{module}.made_by", lambda: {"code": "another"})
    run(tmp_path, *axes, how={"shard": (1, 2)})
    assert not path.exists()


def test_checkpoints_are_left_alone_while_others_are_at_work(tmp_path, monkeypatch):
    run(tmp_path, "theory.copies=20", how={"shard": (2, 2)})
    path = Store(tmp_path).drafts / f"{'0' * 32}.checkpoint"
    path.write_bytes(b"state")
    monkeypatch.setattr("copydyn.sweeps.drive._Life._others", lambda _: True)
    run(tmp_path, "theory.copies=20")
    assert path.exists()
