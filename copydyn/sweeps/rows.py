"""Results of many runs in one netCDF file, and back: arrays with a first dimension `run`."""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import h5py
import numpy as np
import xarray as xr
from h5py import h5a, h5d, h5ds, h5p, h5s, h5t

MOST_BYTES = 128 * 2**20
"""Of the runs of one file, before compression."""

PACKED = 4096
"""Values from which a variable is compressed: below, that costs more time than it saves room."""


ADDED = ("scenario", "sweep_seed")
"""Attributes of a file that are about the sweep, and not about its runs."""


_NUMBER = itertools.count()
_OLD = ("v108", "v108")  # what netCDF-4 reads

_TEXT = h5py.string_dtype()
_TEXT_KIND = h5t.py_create(_TEXT, logical=True)
_ONE = h5s.create(h5s.SCALAR)
_PLAIN = h5p.create(h5p.DATASET_CREATE)
_PLAIN.set_obj_track_times(False)
_PLAIN.set_attr_creation_order(h5p.CRT_ORDER_TRACKED | h5p.CRT_ORDER_INDEXED)


class Row(NamedTuple):
    """What one run has given.

    Parameters
    ----------
    variables : dict
        Name to (dimensions without `run`, values, attributes); complex ones have a last dimension `part`.
    frame : Frame
        What all runs of a file share.
    attrs : dict
        Of the result; what differs between runs is left out.
    """

    variables: dict[str, tuple[tuple[str, ...], np.ndarray, dict[str, Any]]]
    frame: Frame
    attrs: dict[str, Any]

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(values.nbytes for _, values, _ in self.variables.values())

    @property
    def shape(self) -> Shape:
        """What decides with which other runs it can share a file."""
        described = [
            (name, dims, values.shape, values.dtype.kind) for name, (dims, values, _) in self.variables.items()
        ]
        return Shape(self.frame.form(tuple(described)), self.size)


class Frame:
    """Times, labels and other coordinates of a run.

    Parameters
    ----------
    coordinates : dict
        Name to dimensions, values and attributes.
    """

    def __init__(self, coordinates: Mapping[str, tuple[tuple[str, ...], np.ndarray, dict[str, Any]]]) -> None:
        self.coordinates = dict(sorted(coordinates.items()))
        digest = hashlib.sha256()
        for name, (_, values, _) in self.coordinates.items():
            digest.update(f"{name} {values.dtype}".encode())
            digest.update(values.tobytes())
        self.digest = digest.digest()
        self._forms: dict[tuple[Any, ...], str] = {}

    def form(self, described: tuple[Any, ...]) -> str:
        """Give the digest of the frame and of names, dimensions, shapes and kinds of the variables in it."""
        if described not in self._forms:
            digest = hashlib.sha256(self.digest)
            for name, dims, shape, kind in sorted(described):
                digest.update(f"{name} {dims} {shape} {kind}".encode())
            self._forms[described] = digest.hexdigest()[:16]
        return self._forms[described]

    @classmethod
    def of(cls, result: xr.Dataset) -> Frame:
        """Take it from a result."""
        outer = result.coords.variables
        return cls({str(name): (tuple(map(str, one.dims)), one.values, one.attrs) for name, one in outer.items()})


class Shape(NamedTuple):
    """Of a row.

    Parameters
    ----------
    form : str
        Digest of labels, times, names, dimensions and types, which all runs of a file share.
    size : int
        Bytes.
    """

    form: str
    size: int


def row_of(
    result: xr.Dataset,
    arrays: Mapping[str, np.ndarray],
    besides: Mapping[str, tuple[tuple[str, ...], np.ndarray, dict[str, Any]]],
    frame: Frame,
) -> Row:
    """Take a result apart.

    Parameters
    ----------
    arrays
        Its values (`copydyn.result.arrays`).
    besides
        Variables that were made of it.
    frame : Frame
        Has its coordinates.
    """
    variables = {}
    for name, values in arrays.items():
        if name in frame.coordinates:
            continue
        variable = result.variables[name]
        dims: tuple[Any, ...] = variable.dims
        if values.dtype.kind == "c":
            dims, values = (*dims, "part"), np.stack([values.real, values.imag], axis=-1)
        variables[name] = (dims, values, variable.attrs)
    return Row({**variables, **besides}, frame, result.attrs)


def grouped(shapes: Sequence[Shape | None]) -> list[list[int]]:
    """Share out runs, in their order, to files: of one form and at most `MOST_BYTES`; None fits everywhere."""
    groups: list[list[int]] = []
    form, size = None, 0
    for number, shape in enumerate(shapes):
        full = shape is not None and form is not None and (shape.form != form or size + shape.size > MOST_BYTES)
        if full or not groups:
            groups.append([])
            form, size = None, 0
        if shape is not None:
            form, size = shape.form, size + shape.size
        groups[-1].append(number)
    return groups


def packed(rows: Sequence[Row], columns: Mapping[str, Sequence[Any]], attrs: Mapping[str, Any]) -> bytes:
    """Write runs of one form as a netCDF-4 file, the same bytes for the same runs.

    Written with h5py by the rules of netCDF-4 (dimension scales): through xarray it takes ten times as long.

    Parameters
    ----------
    columns : mapping of str to sequence
        Coordinates along `run`, such as the swept values.
    """
    first = rows[0]
    columns = {spelled(name): values for name, values in columns.items()}
    name = f"in memory {next(_NUMBER)}"  # HDF5 tells open files by their names, and threads pack at the same time
    with h5py.File(name, "w", driver="core", backing_store=False, libver=_OLD, track_order=True) as file:
        shared = {key: value for key, value in first.attrs.items() if all(row.attrs.get(key) == value for row in rows)}
        _note(file, "Conventions", "CF-1.8")
        for key, value in sorted({**shared, **attrs, "swept": json.dumps(list(columns))}.items()):
            _note(file, key, value)
        sizes = {"run": len(rows)}
        for dims, values, _ in (*first.frame.coordinates.values(), *first.variables.values()):
            sizes |= dict(zip(dims, values.shape))
        scales = {dim: _scale(file, dim, size, first.frame.coordinates.get(dim)) for dim, size in sizes.items()}
        for number, scale in enumerate(scales.values()):
            _note(scale, "_Netcdf4Dimid", np.int32(number))
        for name, along in columns.items():
            _variable(file, scales, name, ("run",), column(along), {})
        for name, (dims, _, about) in sorted(first.variables.items()):
            stacked = np.array([row.variables[name][1] for row in rows])
            variable = _variable(file, scales, name, ("run", *dims), stacked, about)
            _note(variable, "coordinates", " ".join(columns))
        file.flush()
        return bytes(file.id.get_file_image())


def spelled(name: str) -> str:
    """Spell a key, which may hold the name of a theory, as netCDF and CF take it: a slash would be a group."""
    return re.sub(r"[\s/]", "_", name)


def _scale(file: h5py.File, dim: str, size: int, coordinate: Any) -> h5d.DatasetID:
    """Make a dimension: with its values where it is a coordinate, by its length alone otherwise."""
    if coordinate is None:
        scale = _created(file, dim, np.empty(size, dtype=">f4"), empty=True)
        h5ds.set_scale(scale, f"This is a netCDF dimension but not a netCDF variable. {size:9d}".encode())
        return scale
    _, values, about = coordinate
    scale = _created(file, dim, values)
    h5ds.set_scale(scale, dim.encode())
    for key, value in about.items():
        _note(scale, key, value)
    return scale


def _variable(
    file: h5py.File,
    scales: Mapping[str, h5d.DatasetID],
    name: str,
    dims: tuple[str, ...],
    values: np.ndarray,
    about: Mapping[str, Any],
) -> h5d.DatasetID:
    variable = _packed(file, name, values) if _worth_packing(values) else _created(file, name, values)
    for number, dim in enumerate(dims):
        h5ds.attach_scale(variable, scales[dim], number)
    for key, value in about.items():
        _note(variable, key, value)
    return variable


def _packed(file: h5py.File, name: str, values: np.ndarray) -> h5d.DatasetID:
    made = file.create_dataset(
        name, data=values, track_order=True, compression="gzip", compression_opts=4, shuffle=True
    )
    return made.id


def _created(file: h5py.File, name: str, values: np.ndarray, *, empty: bool = False) -> h5d.DatasetID:
    """Make a variable that is not packed, by the calls that h5py's `create_dataset` comes down to, in half its time."""
    values = np.ascontiguousarray(_stored(values))
    made = h5d.create(file.id, name.encode(), _kind_of(values.dtype), h5s.create_simple(values.shape), _PLAIN)
    if not empty:
        made.write(h5s.ALL, h5s.ALL, values)
    return made


def _note(entry: h5py.File | h5d.DatasetID, name: str, value: Any) -> None:
    """Write an attribute that is not there yet: h5py's own way is ten times as long, as it may have to replace one."""
    array = np.array(value, dtype=_TEXT if isinstance(value, str) else None)
    place = entry.id if isinstance(entry, h5py.File) else entry
    h5a.create(place, name.encode(), _kind_of(array.dtype), _ONE).write(array)


def _kind_of(dtype: np.dtype) -> h5t.TypeID:
    """Give the type in HDF5; that of text, which is needed most, is made once."""
    return _TEXT_KIND if dtype == _TEXT else h5t.py_create(dtype, logical=True)


def _worth_packing(values: np.ndarray) -> bool:
    return values.dtype.kind in "if" and values.size >= PACKED


def _stored(values: np.ndarray) -> np.ndarray:
    """Give text as HDF5 takes it."""
    return values.astype(_TEXT) if values.dtype.kind == "U" else values


class Shelf:
    """A file of runs that is open for reading, from its bytes: HDF5 never touches the disk.

    Parameters
    ----------
    content : bytes
        As `packed` has made them.
    """

    def __init__(self, content: bytes) -> None:
        self._file = h5py.File(io.BytesIO(content), "r")
        self.size = len(content)
        self.columns: list[str] = json.loads(self._file.attrs["swept"])

    def values(self, name: str, row: int) -> np.ndarray:
        """Values of a variable in one run."""
        return _settled(self._file[name][row])

    def whole(self, name: str) -> np.ndarray:
        """Values of a variable in all runs."""
        return _settled(self._file[name][...])

    def between(self, name: str, start: int, stop: int) -> np.ndarray:
        """Values of a variable in the runs from ``start`` to before ``stop``."""
        return _settled(self._file[name][start:stop])

    def variables(self) -> dict[str, tuple[tuple[str, ...], tuple[int, ...], np.dtype, dict[str, Any]]]:
        """Dimensions, shape, type and attributes of what differs from run to run, `run` left out."""
        found = {}
        for name, entry in self._file.items():
            dims = _dims_of(entry)
            if dims[:1] == ("run",) and name != "run" and name not in self.columns:
                kind = np.dtype("U") if entry.dtype.kind == "O" else entry.dtype
                found[str(name)] = (dims[1:], entry.shape[1:], kind, _about(entry))
        return found

    def coordinates(self) -> dict[str, tuple[tuple[str, ...], np.ndarray, dict[str, Any]]]:
        """What all runs share: times and labels."""
        return {
            str(name): ((str(name),), _settled(entry[...]), _about(entry))
            for name, entry in self._file.items()
            if _dims_of(entry) == (name,) and not _nameless(entry)
        }

    @property
    def attrs(self) -> dict[str, Any]:
        """Attributes of the runs that all of them share."""
        left = (*ADDED, "swept", "Conventions")
        return {str(key): _plain(value) for key, value in self._file.attrs.items() if key not in left}

    def rows(self) -> list[Row]:
        """Give back what was packed, so that packing it again gives what packing the originals does."""
        described, frame, attrs = self.variables(), Frame(self.coordinates()), self.attrs
        whole = {name: self.whole(name) for name in described}
        return [
            Row(
                {name: (dims, whole[name][row], about) for name, (dims, _, _, about) in described.items()},
                frame,
                attrs,
            )
            for row in range(self._file["run"].shape[0])
        ]


def _about(entry: h5py.Dataset) -> dict[str, Any]:
    return {key: _plain(entry.attrs[key]) for key in ("units", "long_name") if key in entry.attrs}


def _settled(values: Any) -> np.ndarray:
    """Give text as numpy's own, and all else as it is."""
    array = np.asarray(values)
    if array.dtype.kind not in "OS":
        return array
    flat = [entry.decode() if isinstance(entry, bytes) else str(entry) for entry in array.ravel()]
    return np.array(flat, dtype=np.str_).reshape(array.shape)


def _plain(value: Any) -> Any:
    """Give an attribute as a plain number or text."""
    if isinstance(value, bytes):
        return value.decode()
    return value.item() if isinstance(value, (np.generic, np.ndarray)) and np.size(value) == 1 else value


def _dims_of(entry: h5py.Dataset) -> tuple[str, ...]:
    """Names of the dimensions of a netCDF variable."""
    if entry.is_scale:
        return (str(entry.name).removeprefix("/"),)
    return tuple(str(scales[0].name).removeprefix("/") for scales in entry.dims)


def _nameless(entry: h5py.Dataset) -> bool:
    """Tell a dimension without values."""
    name = entry.attrs["NAME"]
    return (name.decode() if isinstance(name, bytes) else str(name)).startswith("This is a netCDF dimension")


def column(values: Sequence[Any]) -> np.ndarray:
    """Make an array of values of a scenario: numbers where all are, text otherwise."""
    if all(isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63 for value in values):
        return np.array(values, dtype=np.int64)
    if all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values):
        return np.array(values, dtype=float)
    return np.array(
        [value if isinstance(value, str) else json.dumps(value, default=str) for value in values], dtype=np.str_
    )
