"""Exports: what is in the store, in one file, whole or not at all, and the same bytes each time."""

import csv
import errno
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from small_sweeps import KINDS, of, summary_of, sweep

import copydyn
from copydyn.__main__ import main
from copydyn.runs import durable
from copydyn.sweeps import export
from copydyn.sweeps.export import exported
from copydyn.sweeps.summary import Digest


def read(path, **how):
    """Read a table back."""
    if path.suffix == ".parquet":
        return pd.read_parquet(path)
    exact = {} if pd.__version__ >= "3" else {"float_precision": "round_trip"}  # which is the only way from 3 on
    return pd.read_csv(path, **exact, **how)


def in_parts(dataset):
    """Give complex variables as a file has them, real and imaginary part along a last dimension."""
    whole = {name: one for name, one in dataset.data_vars.items() if np.iscomplexobj(one)}
    halves = {
        name: ((*one.dims, "part"), np.stack([one.values.real, one.values.imag], axis=-1), one.attrs)
        for name, one in whole.items()
    }
    return dataset.assign(halves)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("piece", [export.PIECE, 1])
def test_a_netcdf_file_is_the_dataset_that_a_store_opens_as(tmp_path, monkeypatch, kind, piece):
    monkeypatch.setattr(export, "PIECE", piece)
    said = exported(of(kind), tmp_path / "all.nc")
    opened = in_parts(copydyn.open_sweep(of(kind)).load())
    spelled = {name: name.replace("/", "_") for name in opened.coords}
    with xr.open_dataset(tmp_path / "all.nc") as found:
        xr.testing.assert_equal(found.load(), opened.rename(spelled))
        assert set(found.coords) == set(spelled.values())
        for name, variable in opened.data_vars.items():
            assert found[name].attrs["units"] == variable.attrs["units"]
            assert found[name].dtype.kind == variable.dtype.kind
        assert found.attrs["seed"] == 5
        assert found.attrs["made_by_copydyn"] == copydyn.__version__
        assert found.attrs["scenario"] == opened.attrs["scenario"]
        assert "[sweep]" in found.attrs["sweep"]
    assert str(tmp_path / "all.nc") in said


def test_means_alone_are_the_summary(tmp_path):
    exported(of("rivals"), tmp_path / "means.nc", means=True)
    with xr.open_dataset(tmp_path / "means.nc") as found:
        xr.testing.assert_equal(found.load(), summary_of("rivals"))


@pytest.mark.parametrize(
    ("kind", "suffix", "piece"),
    [
        *((kind, suffix, export.PIECE) for kind in KINDS for suffix in (".csv", ".parquet")),
        *((kind, suffix, 1) for kind in ("rivals", "failing", "sizes") for suffix in (".csv", ".parquet")),
    ],
)
def test_a_table_has_a_row_for_each_theory_point_and_save_time(tmp_path, monkeypatch, suffix, kind, piece):
    monkeypatch.setattr(export, "PIECE", piece)
    path = tmp_path / f"table{suffix}"
    exported(of(kind), path)
    table, expected = read(path), summary_of(kind)
    theories, axes = expected.coords.get("theory"), [name for name in expected["status"].dims if name != "theory"]
    keys = {name: expected[name].attrs["long_name"] for name in axes}
    assert table["replicas"].dtype.kind == "i"
    rows = 0
    for place in np.ndindex(*expected["status"].shape):
        point = expected.isel(dict(zip(expected["status"].dims, place)))
        chosen = table
        if theories is not None:
            chosen = chosen[chosen["theory"] == str(point["theory"].values)]
        for name, key in keys.items():
            chosen = chosen[chosen[key] == point[name].values.item()]
        made = int(point["replicas"]) > 0
        assert len(chosen) == (point.sizes["time"] if made else 1)
        rows += len(chosen)
        assert set(chosen["replicas"]) == {int(point["replicas"])}
        status = chosen["status"].iloc[0]
        assert (status == str(point["status"].values)) or (pd.isna(status) and not str(point["status"].values))
        if not made:
            assert chosen["time"].isna().all()
            assert chosen["max_deviation"].isna().all()
            continue
        np.testing.assert_array_equal(chosen["time"], expected["time"])
        for name in expected.data_vars:
            if name in table and expected[name].dims[-1:] == ("time",):
                np.testing.assert_allclose(chosen[name].astype(float), point[name], rtol=1e-15, err_msg=name)
        for name in ("worst_deviation", "worst_total_variation_error", "seconds"):
            np.testing.assert_allclose(chosen[name].astype(float), float(point[name]), rtol=1e-15)
        for label in expected["beable"].values:
            for name in ("probability", "probability_error"):
                column = name.replace("probability", f"probability[{label}]")
                np.testing.assert_allclose(chosen[column].astype(float), point[name].sel(beable=label), rtol=1e-15)
    assert rows == len(table)


def test_keys_that_change_together_are_columns_both(tmp_path):
    exported(of("zipped"), tmp_path / "zipped.csv")
    table = read(tmp_path / "zipped.csv")
    assert set(zip(table["theory.copies"], table["theory.floor"])) == {(40, 1), (60, 3)}


@pytest.mark.parametrize("kind", ["rivals", "sizes", "failing", "unfinished"])
def test_probabilities_by_label_are_a_table_of_their_own(tmp_path, kind):
    exported(of(kind), tmp_path / "labels.csv", by_label=True)
    exported(of(kind), tmp_path / "labels.parquet", by_label=True)
    table, expected = read(tmp_path / "labels.csv", dtype={"label": str}), summary_of(kind)
    there = ~np.isnan(expected["probability"].values)
    missing = int((expected["replicas"] == 0).sum())
    assert len(table) == there.sum() + missing
    np.testing.assert_allclose(
        np.sort(table["probability"].dropna().astype(float)), np.sort(expected["probability"].values[there])
    )
    assert table["label"].isna().sum() == missing
    arrow = pd.read_parquet(tmp_path / "labels.parquet")
    assert list(arrow.columns) == list(table.columns)
    assert len(arrow) == len(table)


def test_many_labels_are_no_columns(tmp_path, monkeypatch):
    monkeypatch.setattr(export, "MOST_COLUMNS", 5)
    said = exported(of("sizes"), tmp_path / "few.csv")
    assert "--by-label" in said
    assert not [name for name in read(tmp_path / "few.csv") if "probability" in name]


def test_a_csv_file_is_one_that_others_read(tmp_path):
    exported(of("failing"), tmp_path / "table.csv")
    with open(tmp_path / "table.csv", newline="", encoding="utf-8") as file:
        lines = list(csv.reader(file))
    assert len({len(line) for line in lines}) == 1
    assert lines[0][:4] == ["theory", "theory.engine", "theory.floor", "replicas"]


def test_the_same_store_gives_the_same_bytes(tmp_path):
    (tmp_path / "other").mkdir()
    names = ("x.nc", "x.csv", "x.parquet")
    program = (
        "import sys; from copydyn.__main__ import main; [main(['export', *sys.argv[1:2], f]) for f in sys.argv[2:]]"
    )
    files = [str(tmp_path / "other" / name) for name in names]
    subprocess.run([sys.executable, "-c", program, str(of("rivals")), *files], check=True, timeout=120)
    for name in names:
        exported(of("rivals"), tmp_path / name)
        assert (tmp_path / name).read_bytes() == (tmp_path / "other" / name).read_bytes(), name


@pytest.mark.parametrize("suffix", [".nc", ".csv", ".parquet"])
def test_a_full_disk_leaves_what_was_there(tmp_path, monkeypatch, refuses, suffix):
    path = tmp_path / f"x{suffix}"
    path.write_text("before")
    replacing = durable.replacing

    def full(handle):
        def write(content):
            raise OSError(errno.ENOSPC, "No space left on device")

        return write

    class Full:
        def __init__(self, handle):
            self._handle, self.write = handle, full(handle)

        def __getattr__(self, name):
            return getattr(self._handle, name)

    from contextlib import contextmanager

    @contextmanager
    def shim(*where):
        with replacing(*where) as handle:
            yield Full(handle)

    monkeypatch.setattr(durable, "replacing", shim)
    refuses(lambda: exported(of("grid"), path), ValueError, "No space left on device")
    assert path.read_text() == "before"
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize("call", ["fsync", "replace", "open"])
def test_a_disk_at_fault_is_one_sentence(tmp_path, monkeypatch, refuses, call):
    def fails(*_, **__):
        raise OSError(errno.EIO, "Input/output error")

    exported(of("grid"), tmp_path / "x.csv")
    before = (tmp_path / "x.csv").read_bytes()
    digest = Digest(of("grid"))
    monkeypatch.setattr(export, "Digest", lambda *_, **__: digest)
    monkeypatch.setattr(durable.os, call, fails)
    refuses(lambda: exported(of("grid"), tmp_path / "x.csv"), ValueError, "Input/output error|Errno 5")
    monkeypatch.undo()
    assert (tmp_path / "x.csv").read_bytes() == before
    assert os.listdir(tmp_path) == ["x.csv"]


def test_drafts_of_processes_that_are_no_more_are_removed(tmp_path):
    done = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    left = tmp_path / f"x.csv.{platform.node()}.{int(done.stdout)}"
    mine = tmp_path / f"x.csv.{platform.node()}.{os.getppid()}"
    other = tmp_path / f"x.csv.elsewhere.{int(done.stdout)}"
    for path in (left, mine, other):
        path.touch()
    exported(of("grid"), tmp_path / "x.csv")
    assert [path.exists() for path in (left, mine, other)] == [False, True, True]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("x.xlsx", r"must end in .nc, .parquet or .csv"),
        ("nowhere/x.csv", "there is no folder"),
        ("folder.csv", "Is a directory|directory"),
        ("x" * 300 + ".csv", "too long"),
    ],
)
def test_what_cannot_be_written_is_refused(tmp_path, capsys, name, sentence, refuses):
    (tmp_path / "folder.csv").mkdir()
    refuses(lambda: exported(of("grid"), tmp_path / name), ValueError, sentence)
    assert main(["export", str(of("grid")), str(tmp_path / name)]) == 2
    assert len(capsys.readouterr().err.strip().split("\n")) == 1
    assert os.listdir(tmp_path) == ["folder.csv"]


def test_options_that_do_not_go_together_are_refused(tmp_path, refuses):
    refuses(lambda: exported(of("grid"), tmp_path / "x.nc", by_label=True), ValueError, "must end in .parquet or .csv")
    refuses(lambda: exported(of("grid"), tmp_path / "x.csv", means=True), ValueError, "end it in .nc")


def test_nothing_is_written_into_the_store(refuses):
    refuses(lambda: exported(of("grid"), of("grid") / "x.csv"), ValueError, "outside the folder of the sweep")


def test_without_pyarrow_one_sentence_says_what_to_install(tmp_path, monkeypatch, refuses):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    sentence = refuses(lambda: exported(of("grid"), tmp_path / "x.parquet"), ValueError, "pyarrow")
    assert "pip install 'copydyn[parquet]'" in sentence
    exported(of("grid"), tmp_path / "x.csv")


@pytest.mark.parametrize("suffix", [".nc", ".csv", ".parquet"])
def test_a_damaged_store_is_refused_and_nothing_written(tmp_path, refuses, suffix):
    folder = Path(shutil.copytree(of("grid"), tmp_path / "copied"))
    path = sorted(folder.glob("runs/*/*.nc"))[-1]
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)
    refuses(lambda: exported(folder, tmp_path / f"x{suffix}"), ValueError, "damaged.*repair")
    assert os.listdir(tmp_path) == ["copied"]


def test_nothing_of_a_sweep_can_be_exported_too(tmp_path):
    folder = sweep(tmp_path / "s", ["theory.copies=40"], shard=(2, 2))
    for name in ("x.nc", "x.csv", "x.parquet", "y.csv"):
        said = exported(folder, tmp_path / name, by_label=name == "y.csv")
        assert "of which 0 hold results" in said
    assert len(read(tmp_path / "x.csv")) == 1


def test_the_command_says_what_was_written(tmp_path, capsys):
    assert main(["export", str(of("unfinished")), str(tmp_path / "x.csv")]) == 0
    assert "of 4 points, of which 2 hold results" in " ".join(capsys.readouterr().out.split())
