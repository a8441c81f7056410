"""A sweep in one file: all of it as netCDF, or its means over replicas as a table, Parquet or CSV."""

from __future__ import annotations

import io
import os
import platform
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from math import ceil
from pathlib import Path
from typing import Any, NamedTuple

import h5netcdf
import h5py
import numpy as np
import xarray as xr

from copydyn.refusal import BadValue
from copydyn.runs import durable
from copydyn.sweeps.opening import Layout
from copydyn.sweeps.packing import column, spelled
from copydyn.sweeps.summary import Digest, provenance
from copydyn.version import __version__
from copydyn.wording import size

SUFFIXES = (".nc", ".parquet", ".csv")

MOST_COLUMNS = 32
"""Labels whose probabilities are columns of a table; of more, a table of their own is asked for."""

PIECE = 32 * 2**20
"""Bytes that are held in memory while a file is written."""

CHUNK = 2**20
"""Bytes of a chunk of a netCDF file, within which it is compressed."""


def exported(folder: Path, file: Path, *, by_label: bool = False, means: bool = False, progress: bool = False) -> str:
    """Write a sweep into one file, piece by piece: memory does not grow with the sweep.

    Parameters
    ----------
    folder : Path
        Of the store.
    file : Path
        Its suffix says what is written. ``.nc``: every variable of every run, with the swept axes as dimensions, as
        `copydyn.open_sweep` shows them. ``.parquet``, ``.csv``: a row for each theory, point and save time, with the
        means over replicas and their errors. An existing file is replaced, at once and only by a whole one.
    by_label : bool
        A table of probabilities in place of the distances: a row for each theory, point, save time and label.
    means : bool
        As netCDF, the means over replicas alone, as `copydyn.sweeps.summary.summary` gives them.
    progress : bool
        Show a bar.

    Returns
    -------
    str
        What was written.

    Raises
    ------
    BadValue
        If the folder is no store, one of its files is damaged, the suffix is another one, or the file cannot be
        written.
    """
    folder, file = durable.place(folder), durable.place(file)
    suffix = file.suffix.lower()
    if suffix not in SUFFIXES:
        raise BadValue(f"{file}: an export must end in .nc, .parquet or .csv, but ends in '{file.suffix}'; rename it.")
    if by_label and suffix == ".nc":
        raise BadValue(f"{file}: a table by label must end in .parquet or .csv; a netCDF file has all labels anyway.")
    if means and suffix != ".nc":
        raise BadValue(f"{file}: a table holds means anyway; leave the option out, or end it in .nc.")
    writer = {".nc": _netcdf, ".parquet": _parquet, ".csv": _csv}[suffix]
    if suffix == ".parquet":
        _pyarrow()
    digest = Digest(folder, laws=means or suffix != ".nc")
    require_outside(folder, file)
    with written_whole(file) as handle:
        said = writer(handle, digest, Wish(by_label, means, progress))
    made = int((digest.layout.replicas > 0).sum())
    there = "" if made == digest.size else f", of which {made} hold results"
    return f"{file}: {said} of {digest.size} points{there}, {size(os.stat(file).st_size)}"


class Wish(NamedTuple):
    """What is wanted of an export."""

    by_label: bool
    means: bool
    progress: bool


@contextmanager
def written_whole(file: Path) -> Iterator[Any]:
    """Give a handle to write a file with, which is there whole once the block is left, or as it was before.

    Raises
    ------
    BadValue
        If it cannot be written.
    """
    _tidy(file)
    try:
        with durable.replacing(file, file.parent) as handle:
            yield handle
    except OSError as cause:
        folder_missing = isinstance(cause, FileNotFoundError) and not file.parent.is_dir()
        reason = f"there is no folder {file.parent}" if folder_missing else cause.strerror or str(cause)
        raise BadValue(
            f"{file}: it must be a file that can be written, but: {reason}; nothing of the store is changed by that, "
            "choose another place."
        ) from None


def require_outside(folder: Path, file: Path) -> None:
    """Refuse a file within a store, whose every file is accounted for.

    Raises
    ------
    BadValue
    """
    if folder.resolve() in file.resolve().parents:
        raise BadValue(
            f"{file}: it must lie outside the folder of the sweep, which holds runs alone; choose another place."
        )


def _tidy(file: Path) -> None:
    """Remove drafts that killed processes of this machine have left beside the file."""
    start = f"{file.name}.{platform.node()}."
    with suppress(OSError):
        for entry in os.listdir(file.parent):
            pid = entry.removeprefix(start)
            if entry.startswith(start) and pid.isdecimal() and not _alive(int(pid)):
                os.unlink(file.parent / entry)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return True


# ---- netCDF


def _netcdf(handle: Any, digest: Digest, wish: Wish) -> str:
    if wish.means:
        whole = digest.dataset(progress=wish.progress)
        _write_grid(handle, whole, digest, wish)
        return "means over replicas"
    _write_grid(handle, Layout(digest.atlas).dataset(), digest, wish)
    return f"{digest.layout.replicas.max(initial=0)} replicas"


def _write_grid(handle: Any, dataset: xr.Dataset, digest: Digest, wish: Wish) -> None:
    """Write a dataset with leading dimensions of the points, a block of points at a time."""
    versions, _ = provenance(digest.atlas.store.folder)
    attrs = {key: value for key, value in dataset.attrs.items() if key != "store"}
    attrs |= {f"made_by_{name}": ", ".join(found) for name, found in versions.items()}
    attrs |= {"sweep": digest.recipe.written(), "Conventions": "CF-1.8", "exported_by": f"copydyn {__version__}"}
    dataset = dataset.rename({name: spelled(str(name)) for name in {*dataset.coords, *dataset.dims}})
    along = sorted(str(name) for name in dataset.coords if name not in dataset.dims)
    attrs |= {"coordinates": " ".join(along)} if along else {}
    names = list(map(spelled, digest.names))
    raw = _Raw(handle)
    with h5netcdf.File(raw, "w", track_order=True) as file:
        for key, value in sorted(attrs.items()):
            file.attrs[key] = value
        file.dimensions = {str(name): length for name, length in dataset.sizes.items()}
        if any(variable.dtype.kind == "c" for variable in dataset.data_vars.values()):
            file.dimensions["part"] = 2
        for name, coordinate in sorted(dataset.coords.items()):
            _put(file, str(name), coordinate.variable)[...] = _stored(coordinate.values)
        block = _block(dataset, digest.shape)
        inside = {}
        for name, variable in sorted(dataset.variables.items()):
            if name not in dataset.coords:
                told = _in_parts(variable)
                inside[str(name)] = _put(file, str(name), told, _chunks(told, block))
        for where in _bar(_blocks(digest.shape, block), wish.progress):
            if raw.fault is not None:
                break
            piece = dataset.isel(dict(zip(names, where)))
            for name, target in inside.items():
                target[where] = _stored(piece[name].values)
    raw.check()


def _in_parts(variable: xr.Variable) -> xr.Variable:
    """Describe a complex variable as what is written of it: real and imaginary part along a last dimension."""
    if variable.dtype.kind != "c":
        return variable
    nothing = np.broadcast_to(0.0, (*variable.shape, 2))
    return xr.Variable((*variable.dims, "part"), nothing, variable.attrs)


def _put(file: h5netcdf.File, name: str, variable: xr.Variable, chunks: tuple[int, ...] | None = None) -> Any:
    text = variable.dtype.kind in "USO"
    packing: dict[str, Any] = {}
    if chunks and variable.ndim and not text:
        packing = {"chunks": chunks, "compression": "gzip", "compression_opts": 4, "shuffle": True}
    if variable.dtype.kind == "f":
        packing["fillvalue"] = np.nan
    kind = h5py.string_dtype() if text else variable.dtype
    made = file.create_variable(name, tuple(map(str, variable.dims)), dtype=kind, **packing)
    for key, value in sorted(variable.attrs.items()):
        made.attrs[key] = value
    return made


def _stored(values: np.ndarray) -> np.ndarray:
    if values.dtype.kind == "c":
        return np.ascontiguousarray(values).view(float).reshape(*values.shape, 2)
    return values.astype(object) if values.dtype.kind == "U" else values


def _block(dataset: xr.Dataset, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Say how many points of each axis are written at a time: the last axis first, up to `PIECE`."""
    each = sum(
        int(np.prod(variable.shape[len(shape) :])) * (variable.dtype.itemsize if variable.dtype.kind != "U" else 8)
        for variable in dataset.data_vars.values()
    )
    left, block = max(1, PIECE // max(1, each)), [1] * len(shape)
    for number in reversed(range(len(shape))):
        block[number] = min(shape[number], left)
        left //= block[number]
        if left < 2:
            break
    return tuple(block)


def _chunks(variable: xr.Variable, block: tuple[int, ...]) -> tuple[int, ...]:
    """Give chunks that never cross a block: as many points as come to `CHUNK`."""
    inner = variable.shape[len(block) :]
    left = max(1, CHUNK // max(1, int(np.prod(inner)) * 8))
    chunk = [1] * len(block)
    for number in reversed(range(len(block))):
        # a block is a whole number of chunks
        chunk[number] = (
            block[number]
            if block[number] <= left
            else next(many for many in range(left, 0, -1) if block[number] % many == 0)
        )
        left //= chunk[number]
        if left < 2:
            break
    return (*chunk, *(max(1, length) for length in inner))


def _blocks(shape: tuple[int, ...], block: tuple[int, ...]) -> list[tuple[slice, ...]]:
    counts = [ceil(length / size) for length, size in zip(shape, block)]
    return [
        tuple(slice(n * size, min(length, (n + 1) * size)) for n, size, length in zip(place, block, shape))
        for place in np.ndindex(*counts)
    ]


class Sink(io.RawIOBase):
    """A file into which all is written that it is given, however little the system takes at a time."""

    def __init__(self, handle: io.FileIO) -> None:
        self._handle = handle

    def writable(self) -> bool:
        """Say yes."""
        return True

    def write(self, content: Any) -> int:
        """Write all of it."""
        rest = memoryview(content).cast("B")
        whole = rest.nbytes
        while rest:
            rest = rest[self._handle.write(rest) :]
        return whole

    def tell(self) -> int:
        """Say where it is."""
        return self._handle.tell()


class _Raw(Sink):
    """The same for libraries in C, of which some cannot bear a disk that fails: its fault is kept, to be raised later.

    Attributes
    ----------
    fault : OSError or None
        The first one; nothing is written from then on.
    """

    def __init__(self, handle: io.FileIO) -> None:
        super().__init__(handle)
        self.fault: OSError | None = None

    def check(self) -> None:
        """Raise the fault, if there was one."""
        if self.fault is not None:
            # a new one: with its traceback, the old one would keep all that is open until Python ends
            raise OSError(self.fault.errno, self.fault.strerror or str(self.fault))

    def readable(self) -> bool:
        """Say yes."""
        return True

    def seekable(self) -> bool:
        """Say yes."""
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a place."""
        return self._handle.seek(offset, whence)

    def truncate(self, length: int | None = None) -> int:
        """Cut it off, or draw it out."""
        return self._attempt(lambda: self._handle.truncate(length), length or 0)

    def readinto(self, buffer: Any) -> int:
        """Read back; where nothing was written, zeros."""
        view = memoryview(buffer).cast("B")
        found = self._attempt(lambda: self._handle.readinto(view), 0)
        view[found:] = bytes(view.nbytes - found)
        return view.nbytes

    def write(self, content: Any) -> int:
        """Write all of it, while there is no fault."""
        return self._attempt(lambda: super(_Raw, self).write(content), memoryview(content).nbytes)

    def _attempt(self, call: Callable[[], int], otherwise: int) -> int:
        try:
            return call() if self.fault is None else otherwise
        except OSError as cause:
            self.fault = cause.with_traceback(None)
            return otherwise


# ---- tables


def _csv(handle: Any, digest: Digest, wish: Wish) -> str:
    sink, rows = Sink(handle), 0
    for table in _tables(digest, wish):
        sink.write(table.to_csv(header=rows == 0, index=False, lineterminator="\n").encode())
        rows += len(table)
    return _said(rows, digest, wish)


def _parquet(handle: Any, digest: Digest, wish: Wish) -> str:
    arrow, parquet = _pyarrow()
    raw, rows, writer = _Raw(handle), 0, None
    try:
        for table in _tables(digest, wish):
            schema = None if writer is None else writer.schema
            made = arrow.Table.from_pandas(table, preserve_index=False, schema=schema)
            if writer is None:
                about = {"scenario": digest.recipe.scenario(), "sweep": digest.recipe.written(), "copydyn": __version__}
                made = made.replace_schema_metadata({**(made.schema.metadata or {}), **about})
                writer = parquet.ParquetWriter(raw, made.schema, compression="zstd")
            writer.write_table(made)
            rows += len(table)
            raw.check()
    finally:
        if writer is not None:
            writer.close()
    raw.check()
    return _said(rows, digest, wish)


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise BadValue(
            "Parquet is written by pyarrow, which is not installed; `pip install 'copydyn[parquet]'` adds it, and .csv "
            "needs nothing."
        ) from None
    return pyarrow, pyarrow.parquet


def _said(rows: int, digest: Digest, wish: Wish) -> str:
    labels = digest.layout.inner["beable"][0].size if "beable" in digest.layout.inner else 0
    hint = ""
    if not wish.by_label and labels > MOST_COLUMNS:
        hint = f" (without the probabilities of {labels} labels, which --by-label gives a table of their own)"
    return f"{rows} rows{hint}"


def _tables(digest: Digest, wish: Wish) -> Iterator[Any]:
    """Give the rows of some points after another, as pandas' tables with the same columns."""
    times = digest.layout.inner.get("time", (np.zeros(1), {}))[0].size
    labels = digest.layout.inner.get("beable", (np.zeros(1), {}))[0].size
    wide = labels if wish.by_label or labels <= MOST_COLUMNS else 0
    step = max(1, PIECE // (8 * times * (24 + 6 * labels + 4 * wide)))
    columns: list[str] | None = None
    for start in _bar(list(range(0, digest.size, step)), wish.progress):
        numbers = np.arange(start, min(start + step, digest.size))
        table = _table(digest, digest.points(numbers), numbers, wish)
        yield table
        columns = columns or list(table.columns)
        assert list(table.columns) == columns


def _table(digest: Digest, points: xr.Dataset, numbers: np.ndarray, wish: Wish) -> Any:
    """Make the rows of some points: those of the save times that each has, and one of none where it has no results."""
    import pandas as pd

    recipe = digest.recipe
    theory, point = np.divmod(numbers, recipe.points)
    times, labels = (points[name].values if name in points.coords else np.zeros(0) for name in ("time", "beable"))
    there = ~np.isnan(_of(points, "max_deviation", (numbers.size, times.size)))
    point_of, time_of = np.nonzero(np.column_stack([there, ~there.any(axis=1)]))
    rows = _Rows(point_of, time_of)
    columns: dict[str, Any] = {"theory": np.array(recipe.theories, dtype=object)[theory[rows.point]]}
    grid = np.unravel_index(point, recipe.shape) if recipe.axes else ()
    for axis, spot in zip(recipe.axes, grid):
        for number, key in enumerate(axis.keys):
            columns[key] = _plain(column([row[number] for row in axis.values]))[spot][rows.point]
    columns["replicas"] = points["replicas"].values[rows.point]
    columns["status"] = _plain(points["status"].values)[rows.point]
    columns["time"] = rows.along(np.broadcast_to(times, (numbers.size, times.size)))
    shape = (numbers.size, times.size, labels.size)
    chances = {name: _of(points, name, shape) for name in ("probability", "probability_error")}
    if wish.by_label:
        return _by_label(columns, rows, labels, chances)
    for name in digest.variables:
        columns[name] = rows.along(_of(points, name, shape[:2]))
    for number, label in enumerate(labels if labels.size <= MOST_COLUMNS else ()):
        for name, values in chances.items():
            columns[f"{name.replace('probability', f'probability[{label}]')}"] = rows.along(values[..., number])
    columns["seconds"] = points["seconds"].values[rows.point]
    return pd.DataFrame(columns)


class _Rows(NamedTuple):
    """Which point and which save time each row of a table is about; the number behind the last where it has none."""

    point: np.ndarray
    time: np.ndarray

    def along(self, values: np.ndarray) -> np.ndarray:
        """Take the values (point, time) of the rows."""
        padded = np.concatenate([values, np.full((values.shape[0], 1), np.nan)], axis=1)
        return np.asarray(padded[self.point, self.time])


def _by_label(columns: Mapping[str, Any], rows: _Rows, labels: np.ndarray, chances: Mapping[str, np.ndarray]) -> Any:
    """Make a row of each label that a point has."""
    import pandas as pd

    if not labels.size:
        labels = np.array([""])
        chances = {name: np.full((*values.shape[:2], 1), np.nan) for name, values in chances.items()}
    each = {
        name: np.stack([rows.along(values[..., number]) for number in range(labels.size)], axis=-1)
        for name, values in chances.items()
    }
    there = ~np.isnan(each["probability"])
    there[~there.any(axis=1), 0] = True  # a point without results has a row without a label
    row, label = np.nonzero(there)
    table = {name: values[row] for name, values in columns.items()}
    table["label"] = np.where(np.isnan(each["probability"][row, label]), "", _plain(labels)[label])
    return pd.DataFrame({**table, **{name: values[row, label] for name, values in each.items()}})


def _of(points: xr.Dataset, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Give a variable, the same at all times where it is one number a point, and NaN where no point has it."""
    if name not in points:
        return np.full(shape, np.nan)
    values = points[name].values
    return np.broadcast_to(values[:, None], shape) if values.ndim < len(shape) else values


def _plain(values: np.ndarray) -> np.ndarray:
    return values.astype(object) if values.dtype.kind == "U" else values


def _bar(steps: list[Any], progress: bool) -> Any:
    if not progress:
        return steps
    from tqdm import tqdm

    return tqdm(steps, desc="pieces", leave=False)
