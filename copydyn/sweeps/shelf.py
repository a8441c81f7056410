"""A file of runs that is open for reading."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

import h5py
import numpy as np

from copydyn.sweeps.rows import Described, Form, Frame, Kind, Row

ADDED = ("scenario", "sweep_seed", "swept", "Conventions")
"""Attributes of a file that are about the file and its sweep, and not about its runs."""


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

    def form(self) -> Form:
        """Say what its runs look like."""
        variables = self._variables()
        complexes = [name for name, one in variables.items() if one.dims[-1:] == ("part",)]
        return Form(Frame(self._coordinates()), variables, complexes, Kind.of(self.attrs))

    def _variables(self) -> dict[str, Described]:
        found = {}
        for name, entry in self._file.items():
            dims = _dims_of(entry)
            if dims[:1] == ("run",) and name != "run" and name not in self.columns:
                kind = np.dtype("U") if entry.dtype.kind == "O" else entry.dtype
                found[str(name)] = Described(dims[1:], entry.shape[1:], kind, _about(entry))
        return found

    def _coordinates(self) -> dict[str, tuple[tuple[str, ...], np.ndarray, dict[str, Any]]]:
        return {
            str(name): ((str(name),), _settled(entry[...]), _about(entry))
            for name, entry in self._file.items()
            if _dims_of(entry) == (name,) and not _nameless(entry)
        }

    @property
    def attrs(self) -> dict[str, Any]:
        """Attributes of the runs that all of them share."""
        return {str(key): _plain(value) for key, value in self._file.attrs.items() if key not in ADDED}

    def rows(self, own: Mapping[str, Sequence[Any]] | None = None) -> list[Row]:
        """Give back what was packed, so that packing it again gives what packing the originals does.

        Parameters
        ----------
        own : mapping of str to sequence
            The attributes that are not the same for all runs, which the record has (`Record.own`).
        """
        form, attrs = self.form(), self.attrs
        whole = {name: self.whole(name) for name in form.variables}
        rows = []
        for row in range(self._file["run"].shape[0]):
            its = {name: values[row] for name, values in (own or {}).items() if values[row] is not None}
            rows.append(Row({name: values[row] for name, values in whole.items()}, form, {**attrs, **its}))
        return rows


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
