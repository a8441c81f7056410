"""What runs have given, in memory, and which of them can share a file."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from copydyn.comparison import DISTANCES

MOST_BYTES = 128 * 2**20
"""Of the runs of one file, before compression."""


class Row(NamedTuple):
    """What one run has given.

    Parameters
    ----------
    values : dict
        By the name of a variable; of complex ones, real and imaginary parts along a last dimension.
    form : Form
    attrs : dict
        Of the result; what differs between runs is left out.
    """

    values: Mapping[str, np.ndarray]
    form: Form
    attrs: Mapping[str, Any]


class Shape(NamedTuple):
    """Of a row.

    Parameters
    ----------
    form : str
        Digest of labels, times, names, dimensions and types, which all runs of a file share.
    size : int
        Bytes of its numbers; text is in as many as the longest one of its file needs.
    """

    form: str
    size: int


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
        self._forms: dict[tuple[Any, ...], Form] = {}

    @classmethod
    def of(cls, result: xr.Dataset) -> Frame:
        """Take it from a result."""
        outer = result.coords.variables
        return cls({str(name): (tuple(map(str, one.dims)), one.values, one.attrs) for name, one in outer.items()})

    def row(self, result: xr.Dataset, arrays: Mapping[str, np.ndarray], distances: Mapping[str, np.ndarray]) -> Row:
        """Take a result apart that has these coordinates.

        Parameters
        ----------
        arrays
            Its values (`copydyn.result.arrays`).
        distances
            From a reference (`copydyn.comparison.distances`).
        """
        values = {**arrays, **distances}
        layout = tuple([(name, one.shape, one.dtype) for name, one in values.items()])
        form = self._forms.get(layout)
        if form is None:
            form = self._forms[layout] = self._new_form(result, values)
        if len(form.variables) < len(values):
            values = {name: values[name] for name in form.variables}
        for name in form.complexes:
            values[name] = _in_parts(values[name])
        return Row(values, form, result.attrs)

    def _new_form(self, result: xr.Dataset, values: Mapping[str, np.ndarray]) -> Form:
        described: dict[str, Described] = {}
        complexes = []
        for name, one in values.items():
            if name in self.coordinates:
                continue
            shape, kind = one.shape, one.dtype
            dims: tuple[str, ...]
            if name in DISTANCES:
                dims, about = DISTANCES[name]
            else:
                dims, about = tuple(map(str, result.variables[name].dims)), result.variables[name].attrs
            if kind.kind == "c":
                dims, shape, kind = (*dims, "part"), (*shape, 2), one.real.dtype
                complexes.append(name)
            described[name] = Described(dims, shape, kind, about)
        return Form(self, described, complexes)


class Described(NamedTuple):
    """What is known of a variable before a run gives its values.

    Parameters
    ----------
    dims, shape
        Without `run`.
    dtype : dtype
    about : dict
        Attributes.
    """

    dims: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: np.dtype
    about: dict[str, Any]


class Form:
    """What runs look like that can share a file.

    Parameters
    ----------
    frame : Frame
    variables : mapping of str to Described
    complexes : sequence of str
        Variables whose last dimension is real and imaginary part, and that a result has as complex numbers.

    Attributes
    ----------
    shape : Shape
    """

    def __init__(self, frame: Frame, variables: Mapping[str, Described], complexes: Sequence[str] = ()) -> None:
        self.coordinates, self.variables, self.complexes = frame.coordinates, variables, complexes
        digest, size = hashlib.sha256(frame.digest), 0
        for name, one in sorted(variables.items()):
            digest.update(f"{name} {one.dims} {one.shape} {one.dtype.kind}".encode())
            size += 0 if one.dtype.kind == "U" else one.dtype.itemsize * int(np.prod(one.shape))
        self.shape = Shape(digest.hexdigest()[:16], size)

    @cached_property
    def replicas(self) -> int:
        """How many a run has."""
        return max((dict(zip(one.dims, one.shape)).get("replica", 1) for one in self.variables.values()), default=1)


def _in_parts(values: np.ndarray) -> np.ndarray:
    """Give complex numbers as real and imaginary part along a last dimension."""
    return np.ascontiguousarray(values).view(values.real.dtype).reshape(*values.shape, 2)


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
