"""What runs have given, in memory, and which of them can share a file."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from copydyn.comparison.compare import DISTANCES, OF_THE_MEAN
from copydyn.results.result import NONE, TRAJECTORIES

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
        for name, (_, values, about) in self.coordinates.items():
            digest.update(f"{name} {values.dtype} {_words(about)}".encode())
            digest.update(values.tobytes())
        self.digest = digest.digest()
        self._forms: dict[tuple[Any, ...], Form] = {}

    @classmethod
    def of(cls, result: xr.Dataset) -> Frame:
        """Take it from a result."""
        outer = {str(name): one for name, one in result.coords.variables.items() if isinstance(one, xr.IndexVariable)}
        return cls({name: (tuple(map(str, one.dims)), one.values, one.attrs) for name, one in outer.items()})

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
        layout = (Kind.of(result.attrs), *[(name, one.shape, one.dtype) for name, one in values.items()])
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
                dims = dims[-len(shape) :]
            else:
                dims, about = tuple(map(str, result.variables[name].dims)), result.variables[name].attrs
            if kind.kind == "c":
                dims, shape, kind = (*dims, "part"), (*shape, 2), one.real.dtype
                complexes.append(name)
            described[name] = Described(dims, shape, kind, about)
        return Form(self, described, complexes, Kind.of(result.attrs))


class Kind(NamedTuple):
    """What the replicas of a run are, as its attributes say.

    Parameters
    ----------
    certain : bool
        Nothing is drawn: there is one, however many are asked for.
    sampled : bool
        Its probability is the mean of what the state of each gives, which has an error.
    """

    certain: bool = False
    sampled: bool = False

    @classmethod
    def of(cls, attrs: Mapping[str, Any]) -> Kind:
        """Read it off attributes."""
        return cls(attrs.get("replica_spread") == NONE, attrs.get("probability_of") == TRAJECTORIES)


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
    kind : Kind

    Attributes
    ----------
    shape : Shape
    """

    def __init__(
        self,
        frame: Frame,
        variables: Mapping[str, Described],
        complexes: Sequence[str] = (),
        kind: Kind = Kind(),  # noqa: B008
    ) -> None:
        self.coordinates, self.variables, self.complexes = frame.coordinates, variables, complexes
        self.kind = kind
        digest, size = hashlib.sha256(frame.digest), 0
        digest.update(repr(tuple(kind)).encode())
        for name, one in sorted(variables.items()):
            digest.update(f"{name} {one.dims} {one.shape} {one.dtype.kind} {_words(one.about)}".encode())
            size += 0 if one.dtype.kind == "U" else one.dtype.itemsize * int(np.prod(one.shape))
        self.shape = Shape(digest.hexdigest()[:16], size)

    @cached_property
    def replicas(self) -> int:
        """How many a run has."""
        return max((dict(zip(one.dims, one.shape)).get("replica", 1) for one in self.variables.values()), default=1)

    def each(self, name: str) -> bool:
        """Tell whether every replica has a value of its own of a variable; of some, a run knows the mean alone."""
        of_the_mean = name in OF_THE_MEAN and "frequency" not in self.variables  # older files repeat it for each
        return "replica" in self.variables[name].dims and not of_the_mean


def _words(about: Mapping[str, Any]) -> str:
    return f"{about.get('units')} {about.get('long_name')}"


def chances(values: Mapping[str, np.ndarray]) -> np.ndarray | None:
    """Give the probabilities that each replica has by itself, (replica, time, beable), from the variables of a row."""
    if "frequency" in values:
        return values["frequency"]
    return np.sum(values["state"] ** 2, axis=-1) if "state" in values else None  # of its two parts


def parted(attrs: Sequence[Mapping[str, Any]]) -> tuple[dict[str, Any], dict[str, list[Any]]]:
    """Part the attributes of runs into those that all share, and those of which each has its own, or None.

    Plain numbers and text, in alphabetical order: the same words for the same runs, whether they were read back or not.
    """
    names = sorted({name for one in attrs for name in one})
    first = attrs[0]
    shared = [name for name in names if name in first and all(one.get(name) == first[name] for one in attrs)]
    own = [name for name in names if name not in shared]
    return (
        {name: _plain(first[name]) for name in shared},
        {name: [_plain(one.get(name)) for one in attrs] for name in own},
    )


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


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
