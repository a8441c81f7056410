"""Results of many runs in one file: bytes that depend on nothing else, whoever packs them, and what others read."""

import io
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import xarray as xr

from copydyn.sweeps import packing
from copydyn.sweeps.packing import PACKED, packed
from copydyn.sweeps.rows import Described, Form, Frame, Row, grouped
from copydyn.sweeps.shelf import Shelf

ABOUT = {"units": "1", "long_name": "something"}
COLUMNS = {"theory.copies": [10, 20, 30], "replica_first": [0, 0, 0]}
ATTRS = {"theory": "Any", "hbar": 1.5, "replicas": 2}


def frame(times=3):
    time = (("time",), np.linspace(0, 1, times), {"units": "s", "long_name": "time"})
    return Frame({"time": time, "beable": (("beable",), np.array(["up", "dö"]), ABOUT)})


DIMS = {
    "probability": ("time", "beable"),
    "state": ("replica", "time", "beable", "part"),
    "events": ("replica", "time"),
    "status": ("replica",),
}


def form(values, times=3):
    described = {name: Described(DIMS[name], one.shape, one.dtype, ABOUT) for name, one in values.items()}
    return Form(frame(times), described)


def rows(times=3, seed=0, status="well…"):
    rng = np.random.default_rng(seed)
    found = []
    for number in range(3):
        values = {
            "probability": rng.random((times, 2)),
            "state": rng.random((2, times, 2, 2)),
            "events": rng.integers(0, 9, (2, times)),
            "status": np.array(["ok", status]),
        }
        found.append(Row(values, form(values, times), {**ATTRS, "seed": number}))
    return found


def test_what_is_packed_is_read_by_xarray_and_given_back():
    for times in (3, PACKED):  # those of the longer ones are compressed
        given = rows(times)
        content = packed(given, COLUMNS, {"scenario": "x"})
        with xr.open_dataset(io.BytesIO(content), engine="h5netcdf") as read:
            assert read.sizes == {"run": 3, "time": times, "beable": 2, "replica": 2, "part": 2}
            assert set(read.coords) == {"time", "beable", *COLUMNS}
            assert read["theory.copies"].values.tolist() == COLUMNS["theory.copies"]
            assert {key: read.attrs[key] for key in ATTRS} == ATTRS
            assert "seed" not in read.attrs, "what differs between runs is left out"
            assert read.beable.values.tolist() == ["up", "dö"]
            for name, dims in DIMS.items():
                assert read[name].dims == ("run", *dims)
                assert {key: read[name].attrs[key] for key in ABOUT} == ABOUT
                np.testing.assert_array_equal(read[name].values, [row.values[name] for row in given])
        again = Shelf(content).rows()
        assert [row.form.shape for row in again] == [row.form.shape for row in given]
        assert packed(again, COLUMNS, {"scenario": "x"}) == content


def test_threads_pack_at_the_same_time_and_give_the_same_bytes():
    wanted = [packed(rows(seed=seed), COLUMNS, {}) for seed in range(40)]
    assert len(set(wanted)) == 40
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda seed: packed(rows(seed=seed), COLUMNS, {}), range(40)))
    assert found == wanted


def test_runs_of_one_form_share_a_file():
    few, many = [row.form.shape for row in rows(3)], [row.form.shape for row in rows(4)]
    assert few[0].form == few[1].form != many[0].form
    assert grouped([few[0], None, few[1], many[0], few[2]]) == [[0, 1, 2], [3], [4]]
    values = rows(3)[0].values
    assert form({name: values[name] for name in ("state", "status")}).shape.form != few[0].form
    assert form(dict(reversed(values.items()))).shape == few[0], "in whatever order the variables come"
    assert rows(3, status="a much longer story")[0].form.shape == few[0], "text may be longer or shorter"


def test_a_file_is_the_same_whether_or_not_one_of_its_kind_was_packed_before(monkeypatch):
    """Numbers are put into the places of an earlier file's; all else that may differ makes a file of its own."""
    others = [
        (rows(seed=1), COLUMNS, {}),
        (rows(seed=1), {"theory.copies": [10.5, -1.0, float("inf")], "replica_first": [1, 2, 3]}, {}),
        (rows(seed=1), {"theory.rule": ["a", "b", "ç"], "replica_first": [0, 0, 0]}, {}),
        (rows(seed=1), {"theory.rule": ["a", "d", "ç"], "replica_first": [0, 0, 0]}, {}),
        (rows(seed=1, status="lost"), COLUMNS, {}),
        (rows(seed=1)[:2], {name: values[:2] for name, values in COLUMNS.items()}, {}),
        (rows(seed=1), COLUMNS, {"scenario": "y"}),
        (rows(4, seed=1), COLUMNS, {}),
        ([row._replace(attrs={**ATTRS, "hbar": 2.5}) for row in rows(seed=1)], COLUMNS, {}),
    ]
    wanted = []
    for other in others:
        packing._moulds.clear()
        wanted.append(packed(*other))
    assert len(set(wanted)) == len(others)
    written, write = [], packing._written
    monkeypatch.setattr(packing, "MOST_MOULDS", len(others))
    monkeypatch.setattr(packing, "_written", lambda content: written.append(content) or write(content))
    packing._moulds.clear()
    packed(rows(), COLUMNS, {})
    assert [packed(*other) for other in (*others, *others)] == wanted * 2
    assert len(written) == len(others), "one of another's numbers at first, and none the second time"
