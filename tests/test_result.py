"""The Dataset that every theory returns: its schema, its file, and that one seed gives the same bytes."""

import h5py
import numpy as np
import pytest
import xarray as xr
from verdicts import assert_mean

from copydyn import Experiment, Preparation, Schedule, System
from copydyn.results import result
from copydyn.systems import gue, two_level
from copydyn.theories import OQT, CopyDynamics, Schrodinger
from copydyn.theories.copies import engines

H = np.array([[0.3, 0.5 + 0.2j, 0.1], [0.5 - 0.2j, -0.3, 0.4j], [0.1, -0.4j, 0.0]])
KET = np.array([0.6, 0.64j, 0.48])
TIMES = np.array([0.0, 0.5, 1.0, 2.0])
EXPERIMENT = Experiment(
    System(H, labels=("up", "↓", "x y"), meaning="spin", time_unit="seconds", name="test"),
    Preparation(KET),
    Schedule(TIMES, {"flip": np.eye(3)[[1, 0, 2]]}),
)

ENSEMBLE = {
    "probability": (("time", "beable"), np.float64, "1"),
    "frequency": (("replica", "time", "beable"), np.float64, "1"),
    "counts": (("replica", "time", "beable"), np.int64, "copies"),
    "phase": (("replica", "time", "beable"), np.float64, "rad"),
    "events": (("replica", "time"), np.int64, "events"),
    "status": (("replica",), np.str_, "1"),
}
KETS = {
    "energy": (("replica", "time"), np.float64, "energy"),
    "expect": (("replica", "time", "e_op"), np.float64, None),
}
UNALIGNED = {"coherence": (("replica", "time", "beable"), np.float64, "1")}
LOG = {
    "event_replica": (("event",), np.integer, "1"),
    "event_time": (("event",), np.float64, "seconds"),
    "event_copier": (("event",), np.int32, "copy"),
    "event_copied": (("event",), np.int32, "copy"),
    "event_from": (("event",), np.int32, "label number"),
    "event_to": (("event",), np.int32, "label number"),
}
TAGS = {
    "tagged_beable": (("replica", "time", "tag"), np.int32, "label number"),
    "tagged_phase": (("replica", "time", "tag"), np.float64, "rad"),
}
STATE = {
    "probability": ENSEMBLE["probability"],
    "state": (("replica", "time", "beable"), np.complex128, "1"),
    "status": ENSEMBLE["status"],
}

THEORIES = {
    "exact": (CopyDynamics(300, "exact"), ENSEMBLE | KETS),
    "agents": (CopyDynamics(300, "agents"), ENSEMBLE | KETS),
    "unaligned": (CopyDynamics(300, phase_spread=0.3), ENSEMBLE | UNALIGNED),
    "log and tags": (CopyDynamics(300, record_events=True, follow=(0, 299)), ENSEMBLE | KETS | LOG | TAGS),
    "everything": (
        CopyDynamics(300, phase_spread=0.3, record_events=True, follow=(7,)),
        ENSEMBLE | UNALIGNED | LOG | TAGS,
    ),
    "schrodinger": (Schrodinger(), STATE | KETS),
}


def evolved(theory, replicas=2, seed=5, experiment=EXPERIMENT):
    return theory.evolve(experiment, seed=seed, replicas=replicas)


@pytest.fixture(params=THEORIES)
def named(request):
    return request.param


def test_every_result_keeps_to_the_schema(named):
    theory, schema = THEORIES[named]
    found = evolved(theory)
    result.check(found)
    assert {*found.data_vars, "status"} == set(schema)
    for name, (dims, kind, units) in schema.items():
        assert found[name].dims == dims
        assert np.issubdtype(found[name].dtype, kind), name
        assert found[name].attrs["long_name"]
        assert units is None or found[name].attrs["units"] == units
    assert found["beable"].values.tolist() == ["up", "↓", "x y"]
    assert found["beable"].attrs["long_name"] == "spin"
    assert np.array_equal(found["time"].values, TIMES)
    assert found["time"].attrs == {"units": "seconds", "long_name": "time"}
    assert found["status"].values.tolist() == ["ok"] * found.attrs["replicas"]
    assert set(found.coords) <= {"time", "beable", "e_op", "status"}
    if "expect" in found:
        assert found["e_op"].values.tolist() == ["flip"]


def test_attributes_say_what_was_done():
    attrs = evolved(CopyDynamics(1e3, spectators=2, rule="printed", admixture=(0.1, [1, 0, 0])), replicas=3).attrs
    expected = {
        "theory": "CopyDynamics",
        "theory_copies": 1000,
        "copies": 1006,
        "theory_engine": "exact",
        "theory_rule": "printed",
        "theory_spectators": 2,
        "seed": 5,
        "replicas": 3,
        "replica_spread": result.FINITE_N,
        "aligned": 1,
        "system": "test",
        "hbar": 1.0,
        "numpy": np.__version__,
    }
    assert {name: attrs[name] for name in expected} == expected
    assert attrs["theory_admixture"].startswith("(0.1, ")
    assert {"copydyn", "python"} <= attrs.keys()
    assert evolved(CopyDynamics(10, phase_spread=0.1)).attrs["aligned"] == 0
    assert evolved(Schrodinger(), replicas=4).attrs["replica_spread"] == result.NONE


def test_results_of_one_experiment_share_nothing_that_can_be_written():
    experiment = Experiment.of([[0.0, 0.5], [0.5, 0.3]], [0.6, 0.8], [0.0, 1.0])
    one, other = (Schrodinger().evolve(experiment) for _ in range(2))
    one.time.attrs["units"] = one.attrs["theory"] = "mine"
    one["time"] = one.time * 2.0
    one.beable.attrs.clear()
    one["beable"] = ["a", "b"]
    third = Schrodinger().evolve(experiment)
    xr.testing.assert_identical(third, other)
    assert third.time.attrs["units"] == "hbar/energy"


def test_numbers_of_a_result_agree_with_each_other():
    found = evolved(CopyDynamics(300, record_events=True, follow=(0, 299)))
    assert np.all(found["counts"].sum("beable") == 300)
    assert np.array_equal(found["frequency"], found["counts"] / 300)
    assert np.allclose(found["probability"], found["frequency"].mean("replica"), atol=1e-15)
    kets = np.sqrt(found["frequency"].values) * np.exp(-1j * found["phase"].values)
    assert np.allclose(found["energy"], np.einsum("rta,ab,rtb->rt", kets.conj(), H, kets).real, atol=1e-13)
    assert np.allclose(found["expect"][..., 0], 2 * (kets[..., 0].conj() * kets[..., 1]).real + abs(kets[..., 2]) ** 2)
    assert np.all((found["phase"] >= 0) & (found["phase"] < 2 * np.pi))


def test_the_event_log_retells_the_counts():
    """Replaying the events from the first counts gives every later one; every row follows its own events."""
    found = evolved(CopyDynamics(300, record_events=True, follow=tuple(range(300))))
    for replica in range(2):
        mine = found["event_replica"].values == replica
        times, froms, tos = (found[f"event_{name}"].values[mine] for name in ("time", "from", "to"))
        copiers, copied = (found[f"event_{name}"].values[mine] for name in ("copier", "copied"))
        assert np.all(np.diff(times) >= 0)
        assert np.all(froms != tos)
        rows = found["tagged_beable"].values[replica, 0].copy()
        event = 0
        for at, time in enumerate(TIMES):
            while event < times.size and times[event] <= time:
                assert rows[copiers[event]] == froms[event]
                assert rows[copied[event]] == tos[event]
                rows[copiers[event]] = tos[event]
                event += 1
            assert np.array_equal(rows, found["tagged_beable"].values[replica, at])
            assert np.array_equal(np.bincount(rows, minlength=3), found["counts"].values[replica, at])
            assert found["events"].values[replica, at] == event
        assert event == times.size > 100


def test_aligned_tags_carry_the_phase_of_their_label():
    found = evolved(CopyDynamics(300, follow=(0, 150, 299)))
    of_label = np.take_along_axis(found["phase"].values, found["tagged_beable"].values.astype(int), axis=-1)
    assert np.allclose(found["tagged_phase"], of_label, atol=1e-14)


def test_energy_of_a_train_is_that_of_the_pulse_that_follows():
    h1, h2 = (np.asarray(two_level(d, 0.5).hamiltonian) for d in (0.0, 1.0))
    found = Schrodinger().evolve(Experiment.of([(1.0, h1), (1.0, h2)], [1, 0], [0.0, 0.5, 1.0, 1.5, 2.0]))
    kets = found["state"].values[0]
    expected = [np.vdot(ket, h @ ket).real for ket, h in zip(kets, (h1, h1, h2, h2, h2), strict=True)]
    assert np.allclose(found["energy"].values[0], expected)
    assert not np.isclose(expected[1], expected[2])


def test_a_result_becomes_a_table(named):
    found = evolved(THEORIES[named][0])
    table = found["probability"].to_dataframe()
    assert table.index.names == ["time", "beable"]
    assert len(table) == 12
    tidy = found.drop_dims("event", errors="ignore").to_dataframe().reset_index()
    assert {"time", "beable", "probability", "replica"} <= set(tidy.columns)


# --- the file ---


def test_what_is_written_is_read_again(named, tmp_path):
    found = evolved(THEORIES[named][0])
    result.write(found, tmp_path / "result.nc")
    again = result.read(tmp_path / "result.nc")
    xr.testing.assert_identical(again, found)
    assert {name: again[name].dtype.kind for name in again} == {name: found[name].dtype.kind for name in found}
    assert again.attrs == found.attrs
    with h5py.File(tmp_path / "result.nc") as stored:  # readable by others: plain numbers, no compound types
        assert all(item.dtype.kind in "ifSO" for item in stored.values())


def test_empty_labels_and_the_largest_seed_survive_the_file(tmp_path):
    experiment = Experiment.of(np.diag([1.0, 2.0]), [1, 0], [0.0, 1.0])
    found = evolved(CopyDynamics(2**62, "exact"), seed=2**63 - 1, experiment=experiment)
    result.write(found, tmp_path / "r.nc")
    again = result.read(tmp_path / "r.nc")
    xr.testing.assert_identical(again, found)
    assert again.attrs["seed"] == 2**63 - 1
    assert again["counts"].values[0, 0, 0] == 2**62
    assert np.all(np.isnan(again["phase"].values[..., 1]))


@pytest.mark.parametrize("unit", ["seconds", "days", "days since 2000-01-01", "hbar/energy"])
def test_times_come_back_as_numbers_in_any_unit(unit, tmp_path):
    found = evolved(Schrodinger(), experiment=Experiment.of(H, KET, TIMES, time_unit=unit))
    result.write(found, tmp_path / "r.nc")
    assert np.array_equal(result.read(tmp_path / "r.nc")["time"].values, TIMES)


@pytest.fixture(scope="module")
def stored(tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("stored") / "whole.nc"
    result.write(evolved(CopyDynamics(300)), path)
    return path.read_bytes()


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(lambda whole: b"", id="empty"),
        pytest.param(lambda whole: whole[: len(whole) // 2], id="half"),
        pytest.param(lambda whole: whole[:-1], id="one byte short"),
        pytest.param(lambda whole: whole[:8], id="signature alone"),
        pytest.param(lambda whole: b"time,beable\n0,1\n", id="text"),
        pytest.param(lambda whole: bytes(range(256)) * 40, id="binary"),
        pytest.param(lambda whole: b"PK\x03\x04" + whole, id="archive"),
        pytest.param(lambda whole: b"CDF\x01" + bytes(28), id="netCDF 3"),
        pytest.param(lambda whole: whole[:100] + bytes(2000) + whole[2100:], id="holes"),
    ],
)
def test_damaged_files_are_refused(refuses, tmp_path, stored, broken):
    path = tmp_path / "broken.nc"
    path.write_bytes(broken(stored))
    refuses(lambda: result.read(path), ValueError, r"broken.nc: is not a netCDF file that can be read")


def test_missing_and_foreign_files_are_refused(refuses, tmp_path):
    refuses(lambda: result.read(tmp_path / "none.nc"), ValueError, "none.nc: there is no such file")
    refuses(lambda: result.read(tmp_path), ValueError, "there is no such file")
    xr.Dataset({"height": ("x", [1.0, 2.0])}).to_netcdf(tmp_path / "foreign.nc", engine="h5netcdf")
    refuses(lambda: result.read(tmp_path / "foreign.nc"), ValueError, "must have the coordinate 'time'")


# --- check ---


def without(name):
    return lambda found: found.drop_vars(name)


def unlabelled(found):
    del found["phase"].attrs["units"]
    return found


def shifted(name, value, at=(0, 0)):
    def change(found):
        found[name].values[at] += value
        return found

    return change


BROKEN = {
    "no time": (without("time"), "must have the coordinate 'time', but the Dataset has beable"),
    "no beable": (without("beable"), "must have the coordinate 'beable'"),
    "no probability": (without("probability"), "must have 'probability' with dimensions"),
    "turned": (lambda found: found.assign(probability=found["probability"].T), r"dimensions \(time, beable\)"),
    "no units": (unlabelled, "every variable of a result must have 'units' and 'long_name', but 'phase' has not"),
    "NaN": (shifted("probability", np.nan), "must be numbers >= 0"),
    "negative": (shifted("probability", -2.0), "must be numbers >= 0"),
    "sum": (shifted("probability", 1e-6), "must sum to one, but miss it by 1e-06"),
    "lost copy": (shifted("counts", -1, (1, 2, 0)), "counts of an ensemble must keep their sum"),
    "lost copies": (shifted("counts", -1, np.s_[:, 2, 0]), "counts of an ensemble must keep their sum"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_what_is_no_result_is_refused(refuses, fault, tmp_path):
    change, names = BROKEN[fault]
    broken = change(evolved(CopyDynamics(300)))
    refuses(lambda: result.check(broken), ValueError, names)
    refuses(lambda: result.write(broken, tmp_path / "never.nc"), ValueError, names)
    assert not list(tmp_path.iterdir())


def test_replicas_may_have_different_numbers_of_copies():
    found = evolved(CopyDynamics(300))
    found["counts"].values[1, :, 0] += 5
    result.check(found)


def test_times_and_rates_have_the_unit_of_the_system():
    found = OQT(0.5, scheme="ensemble").evolve(EXPERIMENT)
    units = {name: variable.attrs.get("units") for name, variable in found.variables.items()}
    assert units["time"] == "seconds"
    assert units["entropy_rate"] == "1/(seconds)"
    assert units["entropy"] == "1"
    assert units["energy_variance"] == "energy^2"


def test_only_datasets_are_results(refuses):
    for other in ({}, None, np.eye(2), evolved(Schrodinger())["probability"]):
        refuses(lambda other=other: result.check(other), TypeError, "a result must be an xarray.Dataset")


# --- one seed, the same bytes ---

ENGINES = {
    "exact": CopyDynamics(500, "exact"),
    "agents": CopyDynamics(500, "agents"),
    "unaligned": CopyDynamics(500, phase_spread=0.3),
    "multinomial": CopyDynamics(500, preparation="multinomial"),
}


@pytest.fixture(params=ENGINES)
def engine(request):
    return ENGINES[request.param]


def same(one, other):
    for name in ("counts", "phase", "events"):
        assert one[name].values.tobytes() == other[name].values.tobytes(), name


def test_one_seed_gives_the_same_bytes(engine):
    same(evolved(engine), evolved(engine))


def test_a_replica_does_not_know_how_many_there_are(engine):
    same(evolved(engine, replicas=3), evolved(engine, replicas=5).isel(replica=slice(3)))


def test_seeds_and_replicas_differ(engine):
    one, other = evolved(engine, seed=1), evolved(engine, seed=2)
    runs = [found["counts"].values[replica, 1:] for found in (one, other) for replica in range(2)]
    assert all(not np.array_equal(runs[i], runs[j]) for i in range(4) for j in range(i))


def test_streams_belong_to_what_is_simulated():
    """Another N, rule, Hamiltonian or ket has another stream; names and observables have not."""
    from copydyn.runs.streams import streams

    def words(theory=ENGINES["exact"], h=H, ket=KET, times=TIMES, **about):
        return streams(Experiment.of(h, ket, times, **about), theory, 0, 1).tolist()

    base = words()
    assert words(labels=("a", "b", "c"), name="other", e_ops=H) == base
    for other in (
        words(CopyDynamics(501, "exact")),
        words(CopyDynamics(500, "exact", rule="printed")),
        words(h=2 * H),
        words(h=[(5.0, H)]),
        words(ket=KET[::-1]),
        words(times=TIMES[:-1]),
        words(hbar=2.0),
    ):
        assert other != base
    signed = H.copy()
    signed[1, 2], signed[2, 1] = complex(-0.0, 0.4), complex(-0.0, -0.4)
    assert words(h=signed) == base, "a negative zero is a zero"


def test_watching_changes_nothing():
    plain = evolved(CopyDynamics(500, "agents"))
    for watched in ({"record_events": True}, {"follow": (3,)}, {"record_events": True, "follow": (0, 1, 2)}):
        same(evolved(CopyDynamics(500, "agents", **watched)), plain)
    spread = evolved(CopyDynamics(500, phase_spread=0.3))
    same(evolved(CopyDynamics(500, phase_spread=0.3, record_events=True, follow=(3,))), spread)
    without_operators = Experiment(EXPERIMENT.system, EXPERIMENT.preparation, Schedule(TIMES))
    same(evolved(CopyDynamics(500, "agents"), experiment=without_operators), plain)


def test_pauses_change_nothing(engine, monkeypatch):
    whole = evolved(engine)
    for budget in (1, 17, 1000):
        monkeypatch.setattr(engines, "WORK_A_CALL", budget)
        same(evolved(engine), whole)


def test_a_full_log_changes_nothing(monkeypatch):
    for theory in (CopyDynamics(500, record_events=True), CopyDynamics(500, phase_spread=0.3, record_events=True)):
        monkeypatch.undo()
        whole = evolved(theory)
        monkeypatch.setattr(engines, "LOG_A_CALL", 1)
        again = evolved(theory)
        same(again, whole)
        xr.testing.assert_identical(again, whole)


def test_a_seed_is_drawn_and_written_down_where_none_is_given():
    first, second = (evolved(CopyDynamics(500, "exact"), seed=None) for _ in range(2))
    assert first.attrs["seed"] != second.attrs["seed"]
    same(evolved(CopyDynamics(500, "exact"), seed=first.attrs["seed"]), first)


def test_replicas_are_independent():
    """The correlation of the final counts of neighbouring replicas over 800 pairs; one in 1e5 seeds fails."""
    experiment = Experiment.of(gue(3, seed=2).hamiltonian, KET, [0.0, 1.0])
    final = evolved(CopyDynamics(100, "exact"), replicas=1600, experiment=experiment)["counts"].values[:, 1, 0]
    centred = (final - final.mean()) / final.std()
    assert_mean(centred[::2] * centred[1::2], 0.0, detects=0.25)
