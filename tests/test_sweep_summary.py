"""A sweep in numbers: means and errors are those of each point by itself, and NaN where there is nothing."""

import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import small_sweeps
import xarray as xr
from small_sweeps import KINDS, SHORT, of, summary_of

import copydyn
from copydyn import open_sweep
from copydyn.pipeline import law_of
from copydyn.refusal import BadValue
from copydyn.scenario.scenario import load
from copydyn.sweeps import builder, foreseen
from copydyn.sweeps import summary as summaries
from copydyn.sweeps.checks import verified
from copydyn.sweeps.opening import dimension_names
from copydyn.sweeps.status import status_of
from copydyn.sweeps.summary import Digest, provenance, summary
from copydyn.theories import Schrodinger


def by_itself(overrides, scenario="rabi", theory=0, replicas=4):
    """What `copydyn.compare` says of one point."""
    found = load(scenario, overrides)
    made = list(found.theories.values())[theory]
    result = made.evolve(found.experiment, 5, replicas)
    reference = Schrodinger().evolve(found.experiment)
    return SimpleNamespace(
        comparison=copydyn.compare(result, reference, law_of(found.experiment, made)),
        probability=result["probability"],
        frequency=result.get("frequency"),
        energy=result.get("energy"),
    )


def agrees(point, alone, law=1e-9):
    """Hold a point of a summary to the comparison of the same runs."""
    comparison = alone.comparison
    shared = set(comparison.data_vars) & set(point.data_vars)
    assert {"max_deviation", "total_variation_error", "worst_deviation_error", "worst_total_variation"} <= shared
    for name in shared - {"predicted_infidelity"}:
        np.testing.assert_allclose(point[name], comparison[name], rtol=1e-9, atol=1e-15, err_msg=name)
    if "predicted_infidelity" in comparison:
        np.testing.assert_allclose(
            point["predicted_infidelity"], comparison["predicted_infidelity"], rtol=law, atol=1e-9
        )
    np.testing.assert_allclose(point["probability"], alone.probability, atol=1e-14)
    if alone.frequency is not None and alone.frequency.sizes["replica"] > 1:
        many = alone.frequency.sizes["replica"]
        error = alone.frequency.std("replica", ddof=1) / np.sqrt(many)
        np.testing.assert_allclose(point["probability_error"], error, rtol=1e-9, atol=1e-14)
    else:
        assert np.isnan(point["probability_error"]).all()
    return shared


@pytest.mark.parametrize("copies", [40, 60, 600])
@pytest.mark.parametrize("detuning", [0.5, 1.0])
def test_each_point_is_what_compare_says_of_it(copies, detuning):
    point = summary_of("grid").sel(copies=copies, detuning=detuning)
    alone = by_itself([*SHORT, f"theory.copies={copies}", f"system.detuning={detuning}"])
    shared = agrees(point, alone, law=5 / copies)  # the shared law knows nothing of the rounding of counts
    assert {"infidelity", "infidelity_error", "extinct", "energy_drift_error", "predicted_infidelity"} <= shared
    np.testing.assert_allclose(point["energy"], alone.energy.mean("replica"), rtol=1e-12)
    assert (str(point["status"].values), int(point["replicas"])) == ("ok", 4)


@pytest.mark.parametrize("copies", [10, 12])
def test_replicas_that_are_shared_out_among_runs_are_taken_together(copies):
    point = summary_of("parts").sel(copies=copies)
    agrees(point, by_itself([*SHORT, f"theory.copies={copies}"], replicas=1030), law=1.0)
    assert int(point["replicas"]) == 1030


def test_theories_have_a_dimension_and_what_they_are_about():
    found = summary_of("rivals")
    path = str(small_sweeps.shelf() / "rivals.toml")
    assert (
        found["status"].dims
        == ("theory", *dimension_names(Digest(of("rivals")).recipe))
        == ("theory", "copies", "coupling")
    )
    for number, name in enumerate(["a/b", "limit", "Schrodinger"]):
        point = found.sel(theory=name).isel(copies=1, coupling=1)
        alone = by_itself(["theory.a/b.copies=300", "system.coupling=1"], path, number)
        agrees(point, alone, law=0.05)
    assert found["replicas"].values[:, 0, 0].tolist() == [4, 1, 1]
    same = found.sel(theory="limit")  # which no copies of another theory change
    xr.testing.assert_equal(same.isel(copies=0, drop=True), same.isel(copies=1, drop=True))
    assert np.isnan(found["extinct"].sel(theory="Schrodinger")).all(), "it has no copies"
    assert np.isnan(found["predicted_infidelity"].sel(theory=["limit", "Schrodinger"])).all()


def test_a_point_that_has_failed_is_nan_and_says_why():
    found = summary_of("failing")
    failed = found.sel(engine="meanfield", floor=2)
    assert "floor must be 0" in str(failed["status"].values)
    assert int(failed["replicas"]) == 0
    for name, variable in failed.data_vars.items():
        if variable.dtype.kind == "f" and name != "seconds":
            assert np.isnan(variable).all(), name
    others = found["status"].values.ravel().tolist()
    assert others.count("ok") == 3
    agrees(found.sel(engine="exact", floor=2), by_itself([*SHORT, "theory.floor=2", "theory.copies=60"]), law=1e-6)
    limit = found.sel(engine="meanfield", floor=0)
    assert int(limit["replicas"]) == 1, "it is the same each time"
    assert np.isnan(limit["infidelity_error"]).all()


def test_what_is_not_there_is_nan():
    found = summary_of("unfinished")
    assert found["status"].values.tolist() == ["ok", "", "ok", ""]
    assert found["replicas"].values.tolist() == [4, 0, 4, 0]
    for name in ("infidelity", "probability", "worst_deviation", "predicted_infidelity"):
        missing = np.isnan(found[name].values.reshape(4, -1)).all(axis=1)
        assert missing.tolist() == [False, True, False, True], name


def test_a_point_of_which_replicas_are_missing_is_unfinished(tmp_path):
    folder = small_sweeps.sweep(tmp_path / "s", ["theory.copies=10,12"], replicas=1030, shard=(1, 2), batch=1)
    found = summary(folder)
    assert found["status"].values.tolist() == ["unfinished", "unfinished"]
    assert found["replicas"].values.tolist() == [1024, 1024]


def test_what_draws_no_numbers_is_no_surer_for_being_made_twice(tmp_path):
    axes = ['theory.engine="meanfield","exact"', "theory.copies=10"]
    found = summary(small_sweeps.sweep(tmp_path / "s", axes, replicas=1030))
    assert found["replicas"].values.tolist() == [1, 1030]
    assert np.isnan(found["max_deviation_error"].sel(engine="meanfield")).all()


def test_a_point_of_which_a_part_has_failed_has_no_mean(tmp_path, monkeypatch):
    run = builder.Builder.run

    def fails(self, plan):
        if plan.first and plan.values["theory.copies"] == 10:
            raise BadValue("the second part must fail.")
        return run(self, plan)

    monkeypatch.setattr(builder.Builder, "run", fails)
    found = summary(small_sweeps.sweep(tmp_path / "s", ["theory.copies=10,12"], replicas=1030))
    assert found["status"].values.tolist() == ["the second part must fail.", "ok"]
    assert np.isnan(found["max_deviation"]).all("time").values.tolist() == [True, False], "failures may choose"
    assert np.isnan(found["worst_deviation_error"]).values.tolist() == [True, False]


def test_a_target_is_reached_or_given_up():
    found = summary_of("target")
    assert found["status"].values.tolist() == ["ok", "ok"]
    assert float(found["probability_error"].max()) <= 0.02
    for copies, replicas in zip((50, 500), found["replicas"].values.tolist()):
        agrees(found.sel(copies=copies), by_itself([*SHORT, f"theory.copies={copies}"], replicas=replicas), law=0.1)


def test_labels_of_systems_of_different_size_stand_side_by_side():
    found = summary_of("sizes")
    assert found["beable"].values.tolist() == [str(k) for k in range(6)]
    small = found["probability"].isel(sites=0)
    np.testing.assert_allclose(small[:, :4].sum("beable"), 1.0)
    assert np.isnan(small[:, 4:]).all()
    np.testing.assert_allclose(found["probability"].isel(sites=1).sum("beable"), 1.0)


def test_one_replica_has_no_error_and_no_axes_no_dimensions():
    found = summary_of("alone")
    assert found["infidelity"].dims == ("time",)
    assert found["worst_deviation"].dims == ()
    assert np.isnan(found["max_deviation_error"]).all()
    agrees(found, by_itself(SHORT, replicas=1), law=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_every_number_has_a_unit_and_a_name(kind):
    found = summary_of(kind)
    for name, variable in found.variables.items():
        assert variable.attrs.get("units"), name
        assert variable.attrs.get("long_name"), name
    assert found.attrs["seed"] == 5
    assert {"scenario", "law", "title"} <= set(found.attrs)


@pytest.mark.parametrize("kind", ["grid", "rivals", "sizes", "parts"])
def test_points_by_themselves_are_those_of_the_whole(kind):
    digest = Digest(of(kind))
    whole, numbers = digest.points(np.arange(digest.size)), np.arange(0, digest.size, 2)
    xr.testing.assert_equal(digest.points(numbers), whole.isel(point=numbers))
    ends = digest.dataset(ends=True)
    np.testing.assert_array_equal(ends["infidelity"].values.ravel(), whole["infidelity"].values[:, -1])
    assert set(digest.variables) >= {str(name) for name in whole.data_vars} - {
        *("replicas", "seconds", "status", "probability", "probability_error")
    }


def test_the_seconds_are_those_of_the_records():
    _, seconds = provenance(of("grid"))
    assert float(summary(of("grid"))["seconds"].sum()) == pytest.approx(seconds)
    versions, _ = provenance(of("grid"))
    assert versions["copydyn"] == [copydyn.__version__]


def test_laws_are_left_out_where_they_are_many(monkeypatch):
    monkeypatch.setattr(foreseen, "MOST_LAWS", 1)
    found = summary(of("grid"))
    assert "predicted_infidelity" not in found
    assert "2 different experiments are more than the 1" in found.attrs["law"]
    assert "predicted_infidelity" not in summary(of("zipped"), laws=False)


def test_one_law_does_for_all_numbers_of_copies(monkeypatch):
    made = []
    monkeypatch.setattr(foreseen, "law_of", lambda *asked: made.append(asked) or law_of(*asked))
    summary(of("grid"))
    assert len(made) == 2, "one for each detuning"


def test_where_rounding_empties_a_label_the_law_says_nothing():
    found = summary_of("sizes")
    assert "predicted_infidelity" in found
    rounded = foreseen._started(load("rabi").experiment, copydyn.theories.CopyDynamics(1), None)
    assert rounded is None


def test_files_are_read_once_each(monkeypatch):
    read = []
    content = summaries.Atlas.shelf
    monkeypatch.setattr(summaries.Atlas, "shelf", lambda atlas, record: read.append(record) or content(atlas, record))
    digest = Digest(of("grid"))
    read.clear()
    digest.dataset()
    assert read == sorted(set(read)), "in the order of the files"
    assert len(read) == 3


@pytest.mark.parametrize("what", ["file", "record"])
def test_a_damaged_store_is_refused(tmp_path, refuses, what):
    folder = shutil.copytree(of("grid"), tmp_path / "copied")
    path = sorted(folder.glob("runs/*/*.nc" if what == "file" else "runs/*/*.json"))[1]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    refuses(lambda: summary(folder), ValueError, "damaged.*repair")


def test_what_is_no_store_is_refused(tmp_path, refuses):
    refuses(lambda: summary(tmp_path), ValueError, "must be a folder with a file store.json")


def test_a_store_of_another_version_is_read_all_the_same(tmp_path, monkeypatch):
    from copydyn.sweeps import recipe

    folder = shutil.copytree(of("grid"), tmp_path / "copied")
    monkeypatch.setattr(recipe, "made_by", lambda: {"code": "of a later version"})
    assert set(summary(folder)["status"].values.ravel()) == {"ok"}
    assert set(copydyn.open_sweep(folder)["status"].values.ravel()) == {"ok"}


@pytest.mark.parametrize("scenario", ["rabi", "rivals"])
def test_a_theory_that_draws_nothing_has_one_replica_however_many_are_asked_for(tmp_path, scenario):
    """More than 1024 replicas are shared out among several runs, which are then all the same."""
    if scenario == "rabi":
        folder = small_sweeps.sweep(tmp_path / "s", ['theory.engine="meanfield"', "theory.copies=10,12"], replicas=1030)
        assert open_sweep(folder).replicas.values.tolist() == [1, 1]
        assert summary(folder).replicas.values.tolist() == [1, 1]
        return
    (tmp_path / "rivals.toml").write_text(small_sweeps.RIVALS)
    axes = ["theory.a/b.copies=10,12"]
    folder = small_sweeps.sweep(tmp_path / "s", axes, scenario=str(tmp_path / "rivals.toml"), short=(), replicas=1030)
    found = open_sweep(folder)
    assert found.replicas.transpose("theory", ...).values.tolist() == [[1030, 1030], [1, 1], [1, 1]]
    assert np.isfinite(found.probability.values).all()
    assert not np.isfinite(found.max_deviation.sel(theory="limit").isel(replica=1)).any()
    assert verified(folder).sound
    assert "0 missing" in status_of(folder)


def test_points_with_several_labels_are_what_compare_says_of_them():
    """With four labels or more the largest deviation is not half the sum of all."""
    for sites in (4, 6):
        changes = [*SHORT, f"system.sites={sites}", "theory.copies=100"]
        alone = by_itself(changes, "ring-flux")
        point = summary_of("sizes").sel(sites=sites).isel(beable=slice(sites))
        agrees(point, alone, law=0.3)
        worst = [alone.comparison[f"worst_{name}"] for name in ("deviation", "total_variation")]
        assert float(worst[1]) > 1.05 * float(worst[0])


@pytest.mark.parametrize("kind", ["grid", "sizes", "target"])
def test_the_ends_of_a_summary_are_its_last_save_times(kind):
    digest = Digest(of(kind))
    ends, whole = digest.dataset(ends=True), digest.dataset()
    assert ("predicted_infidelity" in ends) is (kind != "sizes")
    for name, variable in ends.data_vars.items():
        last = whole[name].isel(time=-1) if "time" in whole[name].dims else whole[name]
        np.testing.assert_array_equal(variable.values.squeeze(), last.values.squeeze(), err_msg=str(name))


@pytest.mark.parametrize("kind", ["grid", "parts", "failing"])
def test_the_seconds_of_all_points_are_those_of_all_runs(kind):
    """Of points in two parts as well, and of runs that have failed."""
    _, seconds = provenance(of(kind))
    assert float(summary_of(kind)["seconds"].sum()) == pytest.approx(seconds)
    assert (summary_of(kind)["seconds"] > 0.0).all()
