"""Results of many runs in one file: bytes that depend on nothing else, whoever packs them, and what others read."""

import io
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import xarray as xr

from copydyn.sweeps.rows import PACKED, Frame, Row, Shelf, grouped, packed

ABOUT = {"units": "1", "long_name": "something"}
COLUMNS = {"theory.copies": [10, 20, 30], "replica_first": [0, 0, 0]}
ATTRS = {"theory": "Any", "hbar": 1.5, "replicas": 2}


def frame(times=3):
    time = (("time",), np.linspace(0, 1, times), {"units": "s", "long_name": "time"})
    return Frame({"time": time, "beable": (("beable",), np.array(["up", "dö"]), ABOUT)})


def rows(times=3, seed=0):
    rng, own = np.random.default_rng(seed), frame(times)
    return [
        Row(
            {
                "probability": (("time", "beable"), rng.random((times, 2)), ABOUT),
                "state": (("replica", "time", "beable", "part"), rng.random((2, times, 2, 2)), ABOUT),
                "events": (("replica", "time"), rng.integers(0, 9, (2, times)), ABOUT),
                "status": (("replica",), np.array(["ok", "well…"]), ABOUT),
            },
            own,
            {**ATTRS, "seed": number},
        )
        for number in range(3)
    ]


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
            for name, (dims, _, about) in given[0].variables.items():
                assert read[name].dims == ("run", *dims)
                assert {key: read[name].attrs[key] for key in ABOUT} == about
                np.testing.assert_array_equal(read[name].values, [row.variables[name][1] for row in given])
        again = Shelf(content).rows()
        assert [row.shape for row in again] == [row.shape for row in given]
        assert packed(again, COLUMNS, {"scenario": "x"}) == content


def test_threads_pack_at_the_same_time_and_give_the_same_bytes():
    wanted = [packed(rows(seed=seed), COLUMNS, {}) for seed in range(40)]
    assert len(set(wanted)) == 40
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda seed: packed(rows(seed=seed), COLUMNS, {}), range(40)))
    assert found == wanted


def test_runs_of_one_form_share_a_file():
    few, many = rows(3), rows(4)
    assert few[0].shape.form == few[1].shape.form != many[0].shape.form
    shapes = [few[0].shape, None, few[1].shape, many[0].shape, few[2].shape]
    assert grouped(shapes) == [[0, 1, 2], [3], [4]]
    other = few[0]._replace(variables={name: few[0].variables[name] for name in ("state", "status")})
    assert other.shape.form != few[0].shape.form
    turned = few[0]._replace(variables=dict(reversed(few[0].variables.items())))
    assert turned.shape == few[0].shape, "in whatever order the variables come"
