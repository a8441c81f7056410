"""Results of many runs in one netCDF file: arrays with a first dimension `run`."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import h5py
import numpy as np
from h5py import h5a, h5d, h5ds, h5p, h5s, h5t

from copydyn.sweeps.rows import Form, Row, parted

PACKED = 4096
"""Values from which a variable is compressed: below, that costs more time than it saves room."""

MOST_MOULDS = 8
"""Files that are remembered for others of their kind; none is larger than its few uncompressed numbers."""

_OLD = ("v108", "v108")  # what netCDF-4 reads

_TEXT = h5py.string_dtype()
_TEXT_KIND = h5t.py_create(_TEXT, logical=True)
_ONE = h5s.create(h5s.SCALAR)
_PLAIN = h5p.create(h5p.DATASET_CREATE)
_PLAIN.set_obj_track_times(False)
_PLAIN.set_attr_creation_order(h5p.CRT_ORDER_TRACKED | h5p.CRT_ORDER_INDEXED)


def packed(rows: Sequence[Row], columns: Mapping[str, Sequence[Any]], attrs: Mapping[str, Any]) -> bytes:
    """Write runs of one form as a netCDF-4 file, the same bytes for the same runs.

    Written with h5py by the rules of netCDF-4 (dimension scales): through xarray it takes ten times as long. Files that
    differ in nothing but numbers have these at the same places, and a second one takes far less time.

    Parameters
    ----------
    columns : mapping of str to sequence
        Coordinates along `run`, such as the swept values.
    """
    first = rows[0]
    shared, _ = parted([row.attrs for row in rows])
    along = {spelled(name): column(values) for name, values in columns.items()}
    notes = {**shared, **attrs, "swept": json.dumps(list(along))}
    stacked = {name: np.array([row.values[name] for row in rows]) for name in sorted(first.form.variables)}
    content = _Content(first.form, along, stacked, notes)
    if any(map(_worth_packing, content.arrays.values())):  # where the others stand depends on how well that works
        return _written(content)[0]
    key = content.key()
    mould = _moulds.get(key)
    if mould is None:
        if len(_moulds) >= MOST_MOULDS:
            _moulds.clear()
        mould = _moulds[key] = _Mould(*_written(content))
    return mould.cast(content.arrays)


class _Content(NamedTuple):
    """What a file will say.

    Parameters
    ----------
    form : Form
    columns, variables : dict of str to array
        With first dimension `run`.
    notes : dict
        Attributes of the file.
    """

    form: Form
    columns: dict[str, np.ndarray]
    variables: dict[str, np.ndarray]
    notes: dict[str, Any]

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """Everything that has a dimension `run`."""
        return {**self.columns, **self.variables}

    def key(self) -> str:
        """Say everything but the numbers."""
        arrays = [
            (name, one.dtype.str, one.shape, one.tolist() if _is_text(one) else "") for name, one in self.arrays.items()
        ]
        described = [(one.dims, one.about) for one in self.form.variables.values()]
        about = [(dims, about) for dims, _, about in self.form.coordinates.values()]
        return repr((self.form.shape.form, arrays, described, about, sorted(self.notes.items())))


class _Mould:
    """A file into which other numbers can be put.

    Parameters
    ----------
    content : bytes
    places : dict of str to int
        Where the numbers of a variable begin.
    """

    def __init__(self, content: bytes, places: Mapping[str, int]) -> None:
        self._content, self._places = content, places

    def cast(self, arrays: Mapping[str, np.ndarray]) -> bytes:
        """Give the file with other numbers."""
        content = bytearray(self._content)
        for name, place in self._places.items():
            values = arrays[name].tobytes()
            content[place : place + len(values)] = values
        return bytes(content)


_moulds: dict[str, _Mould] = {}


def _written(content: _Content) -> tuple[bytes, dict[str, int]]:
    """Write a file, and say where numbers begin that are stored as they are in memory."""
    runs = len(next(iter(content.columns.values())))
    whole = io.BytesIO()  # no `get_file_image`: before HDF5 2.0 its checksum is wrong, and it cannot be opened again
    with h5py.File(whole, "w", libver=_OLD, track_order=True) as file:
        _note(file, "Conventions", "CF-1.8")
        for key, value in sorted(content.notes.items()):
            _note(file, key, value)
        sizes = {"run": runs}
        for dims, values, _ in content.form.coordinates.values():
            sizes |= dict(zip(dims, values.shape))
        for _, about in sorted(content.form.variables.items()):
            sizes |= dict(zip(about.dims, about.shape))
        scales = {dim: _scale(file, dim, size, content.form.coordinates.get(dim)) for dim, size in sizes.items()}
        for number, scale in enumerate(scales.values()):
            _note(scale, "_Netcdf4Dimid", np.int32(number))
        made = {name: _variable(file, scales, name, ("run",), one, {}) for name, one in content.columns.items()}
        for name, one in content.variables.items():
            about = content.form.variables[name]
            made[name] = _variable(file, scales, name, ("run", *about.dims), one, about.about)
            _note(made[name], "coordinates", " ".join(content.columns))
        places = {name: made[name].get_offset() for name, one in content.arrays.items() if not _is_text(one)}
    return whole.getvalue(), {name: place for name, place in places.items() if place is not None}


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


def _is_text(values: np.ndarray) -> bool:
    return values.dtype.kind == "U"


def _stored(values: np.ndarray) -> np.ndarray:
    """Give text as HDF5 takes it."""
    return values.astype(_TEXT) if _is_text(values) else values


def column(values: Sequence[Any]) -> np.ndarray:
    """Make an array of values of a scenario: numbers where all are, text otherwise."""
    if all(isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63 for value in values):
        return np.array(values, dtype=np.int64)
    if all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values):
        return np.array(values, dtype=float)
    return np.array(
        [value if isinstance(value, str) else json.dumps(value, default=str) for value in values], dtype=np.str_
    )
