"""A store as one xarray.Dataset: the swept axes are its dimensions, and values are read when they are looked at."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from xarray.backends import BackendArray, BackendEntrypoint
from xarray.core import indexing

from copydyn.result import NAMES
from copydyn.sweeps.atlas import Atlas, opened
from copydyn.sweeps.packing import column
from copydyn.sweeps.recipe import Recipe, Strand

DIMENSIONS = {"time", "beable", "replica", "theory", "e_op", "tag", "event", "part", "beable_", "run"}

VARIABLES = {*NAMES, "extinct", "infidelity", "max_deviation", "total_variation", "energy_drift", "replicas", "seconds"}

RESERVED = DIMENSIONS | VARIABLES
"""What no axis may be called by, in a dataset that has these as well."""

SHARED = ("replica_spread", "parts", "copydyn", "numpy", "python")
"""Attributes of results that hold for a whole sweep, where they are the same."""

FEW = 128
"""Values of a run up to which a file's are all read at once: at most 1 MB, in the time of a few runs one by one."""


def open_sweep(folder: Path | str) -> xr.Dataset:
    """Open what a sweep has computed so far; the same as ``xarray.open_dataset(folder, engine="copydyn")``.

    Returns
    -------
    Dataset
        Variables of the results with the swept axes as leading dimensions, called after the last word of the key
        ("copies" for theory.copies); a dimension `theory` where there are several; `replica` where the theory has some.
        Missing runs, and replicas that a point has not, are NaN, or "" in ``status``; there stands why a run failed.
        Values are read when they are looked at, and every file is held against its SHA-256 before.

    Raises
    ------
    BadValue
        If it is no store. Later, where a file that is needed is damaged.
    """
    return Layout(Atlas(opened(Path(folder)))).dataset()


class CopydynBackend(BackendEntrypoint):
    """What makes ``xarray.open_dataset(folder, engine="copydyn")`` work."""

    description = "Open a sweep of copydyn"
    url = ""

    def open_dataset(self, filename_or_obj: Any, *, drop_variables: str | Iterable[str] | None = None) -> xr.Dataset:
        """Open a store."""
        dataset = open_sweep(Path(filename_or_obj))
        return dataset if drop_variables is None else dataset.drop_vars(drop_variables)

    def guess_can_open(self, filename_or_obj: Any) -> bool:
        """Tell whether it looks like a store."""
        try:
            return (Path(filename_or_obj) / "store.json").is_file()
        except (TypeError, ValueError, OSError):
            return False


def dimension_names(recipe: Recipe) -> list[str]:
    """Name the dimension of each axis: the last word of its key where that is clear, the whole key otherwise."""
    keys = [axis.keys[0] for axis in recipe.axes]
    short = [key.rsplit(".", 1)[-1] for key in keys]
    return [word if short.count(word) == 1 and word not in RESERVED else key for word, key in zip(short, keys)]


class Layout:
    """What the dataset of a sweep looks like.

    Parameters
    ----------
    atlas : Atlas

    Attributes
    ----------
    inner : dict
        Times, labels and so on: name to values and attributes, of all runs together.
    replicas : int64 (theory, point)
    """

    def __init__(self, atlas: Atlas) -> None:
        self.atlas, self.recipe = atlas, atlas.recipe
        self.inner = self._coordinates()
        self.replicas = self._replicas()

    def dataset(self) -> xr.Dataset:
        """Put it together, without reading any values."""
        recipe, several = self.recipe, len(self.recipe.theories) > 1
        names = dimension_names(recipe)
        lead = (*(("theory",) if several else ()), *names)
        outer = (*((len(recipe.theories),) if several else ()), *recipe.shape)
        data: dict[str, Any] = {}
        for name, variable in self._variables().items():
            lazy = StoredArray(self.atlas, name, variable, outer, self.inner)
            data[name] = xr.Variable((*lead, *variable.dims), indexing.LazilyIndexedArray(lazy), variable.about)
        data["replicas"] = (lead, self.replicas.reshape(outer), {"units": "1", "long_name": "replicas that there are"})
        data["status"] = (lead, self._status().reshape(outer), {"units": "1", "long_name": "ok, or what went wrong"})
        attrs = {"scenario": recipe.scenario(), "seed": recipe.seed, "store": str(self.atlas.store.folder)}
        inner = {name: (name, values, about) for name, (values, about) in self.inner.items()}
        return xr.Dataset(data, {**inner, **self.points()}, {**self.shared(), **attrs})

    def points(self) -> dict[str, Any]:
        """Give the coordinates along theories and axes."""
        coordinates: dict[str, Any] = {}
        if len(self.recipe.theories) > 1:
            coordinates["theory"] = ("theory", np.array(self.recipe.theories))
        for name, axis in zip(dimension_names(self.recipe), self.recipe.axes):
            for number, key in enumerate(axis.keys):
                values = column([row[number] for row in axis.values])
                coordinates[name if number == 0 else key] = (name, values, {"long_name": key})
        return coordinates

    def shared(self) -> dict[str, Any]:
        """Give the attributes that no axis can change and all runs have."""
        attrs = list(self.atlas.attrs.values())
        names = (*SHARED, *(("theory",) if len(self.recipe.theories) == 1 else ()))
        return {
            name: attrs[0][name]
            for name in names
            if attrs and name in attrs[0] and all(other.get(name) == attrs[0][name] for other in attrs)
        }

    def _coordinates(self) -> dict[str, tuple[np.ndarray, dict[str, Any]]]:
        """Join what different runs have as times and labels: numbers sorted, text in the order it is met."""
        joined: dict[str, tuple[np.ndarray, dict[str, Any]]] = {}
        for form in self.atlas.forms.values():
            for name, (_, values, about) in form.coordinates.items():
                if name not in joined:
                    joined[name] = (values, about)
                elif not np.array_equal(joined[name][0], values):
                    both = np.concatenate([joined[name][0], values])
                    _, first = np.unique(both, return_index=True)
                    joined[name] = (both[np.sort(first)] if both.dtype.kind == "U" else np.unique(both), about)
        return joined

    def _replicas(self) -> np.ndarray:
        """Count the replicas of each point, int64 (theory, point)."""
        each = np.array(
            [self.atlas.form(n).replicas if f in self.atlas.forms else 0 for n, f in enumerate(self.atlas.index.forms)]
            or [0]
        )
        return np.asarray(np.where(self.atlas.row >= 0, each[self.atlas.record], 0).sum(axis=-1))

    def _status(self) -> np.ndarray:
        """Say of each point whether it is there: (theory, point) of text."""
        atlas = self.atlas
        made = np.any(atlas.row >= 0, axis=-1)
        failed = np.any((atlas.record >= 0) & (atlas.row < 0), axis=-1)
        sentences: dict[str, str] = {}
        for number in np.unique(atlas.record[(atlas.record >= 0) & (atlas.row < 0)]):
            record = atlas.store.record(atlas.index.names[number])
            sentences |= {entry.key: entry.fault for entry in record.entries if entry.fault}
        status = np.where(made & ~failed, "ok", "").astype(object)
        for theory, point in np.argwhere(failed):
            status[theory, point] = self._fault(int(theory), int(point), sentences)
        return status.astype(np.str_)

    def _fault(self, theory: int, point: int, sentences: dict[str, str]) -> str:
        recipe = self.recipe
        for part in np.flatnonzero((self.atlas.record[theory, point] >= 0) & (self.atlas.row[theory, point] < 0)):
            first = int(part) * recipe.replicas_a_run
            most = recipe.target.most if recipe.target else recipe.replicas
            key = recipe.key(Strand(theory, point, first, 0), first, min(recipe.replicas_a_run, most - first))
            return sentences.get(key, "failed")
        return "failed"

    def _variables(self) -> dict[str, Variable]:
        """Join the variables of all forms: those that all theories of a kind have, and those that some have."""
        forms = self.atlas.forms.values()
        complete = (
            bool(np.all(self.atlas.row >= 0)) and len(set(self.replicas.ravel().tolist())) == 1 and len(forms) == 1
        )
        joined: dict[str, Variable] = {}
        for form in forms:
            for name, (dims, shape, kind, about) in form.variables.items():
                if name == "status" or "event" in dims:
                    continue  # said by the dataset's own status; logs of events have no shape in common
                sizes = {
                    dim: max(shape[k], joined[name].shape[k] if name in joined else 0) for k, dim in enumerate(dims)
                }
                sizes |= {dim: self.inner[dim][0].size for dim in dims if dim in self.inner}
                if "replica" in dims:
                    sizes["replica"] = int(self.replicas.max(initial=1))
                kept = kind if complete or kind.kind == "f" else np.dtype(float)
                joined[name] = Variable(dims, tuple(sizes[dim] for dim in dims), kept, about)
        return joined


class Variable(NamedTuple):
    """Of the dataset, without the axes."""

    dims: tuple[str, ...]
    shape: tuple[int, ...]
    kind: np.dtype
    about: dict[str, Any]


class StoredArray(BackendArray):
    """A variable over all points, which reads those that it is asked for.

    Parameters
    ----------
    atlas : Atlas
    name : str
    variable : Variable
    outer : tuple of int
        How many theories, where there are several, and values of each axis.
    inner : dict
        Times and labels of the dataset.
    """

    def __init__(
        self,
        atlas: Atlas,
        name: str,
        variable: Variable,
        outer: tuple[int, ...],
        inner: dict[str, tuple[np.ndarray, dict[str, Any]]],
    ) -> None:
        self._atlas, self._name, self._variable, self._outer, self._inner = atlas, name, variable, outer, inner
        self.shape = (*outer, *variable.shape)
        self.dtype = variable.kind

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.OUTER, self._read)

    def _read(self, key: tuple[Any, ...]) -> np.ndarray:
        wanted = [np.arange(size)[step] for step, size in zip(key, self.shape)]
        dropped = tuple(number for number, step in enumerate(wanted) if step.ndim == 0)
        lists = [np.atleast_1d(step) for step in wanted]
        outer, inner = lists[: len(self._outer)], lists[len(self._outer) :]
        out = np.full([step.size for step in lists], np.nan if self.dtype.kind == "f" else 0, dtype=self.dtype)
        columns: dict[int, np.ndarray] = {}
        for places in np.ndindex(*[step.size for step in outer]):
            at = [int(step[place]) for step, place in zip(outer, places)]
            number = int(np.ravel_multi_index(at, self._outer)) if at else 0
            theory, point = divmod(number, self._atlas.recipe.points)
            values = self._point(theory, point, columns)
            if values is not None:
                out[places] = values[np.ix_(*inner)] if inner else values
        return np.asarray(out.squeeze(axis=dropped) if dropped else out)

    def _values(self, record: int, row: int, columns: dict[int, np.ndarray]) -> np.ndarray:
        """Values of one run; where they are few, those of its neighbours are read and kept as well."""
        if prod(self._atlas.form(record).variables[self._name][1]) > FEW:
            return self._atlas.shelf(record).values(self._name, row)
        if record not in columns:
            columns.clear()
            columns[record] = self._atlas.shelf(record).whole(self._name)
        return np.asarray(columns[record][row])

    def _point(self, theory: int, point: int, columns: dict[int, np.ndarray]) -> np.ndarray | None:
        """Values at one point, with the dataset's times, labels and replicas."""
        atlas, variable = self._atlas, self._variable
        found: np.ndarray | None = None
        weights, first = 0, 0
        for record, row in zip(atlas.record[theory, point], atlas.row[theory, point]):
            if row < 0:
                continue
            form = atlas.form(record)
            if self._name not in form.variables:
                continue
            values = self._values(int(record), int(row), columns)
            if found is None:
                found = np.full(variable.shape, np.nan if self.dtype.kind == "f" else 0, dtype=self.dtype)
            where = []
            for dim, size in zip(variable.dims, values.shape):
                if dim == "replica":
                    where.append(np.arange(first, first + size))
                elif dim in self._inner and not np.array_equal(self._inner[dim][0], form.coordinates[dim][1]):
                    where.append(among(form.coordinates[dim][1], self._inner[dim][0]))
                else:
                    where.append(np.arange(size))
            if "replica" in variable.dims:
                found[np.ix_(*where)] = values
                first += form.replicas
            else:  # a mean over the replicas of its run
                before = np.nan_to_num(found[np.ix_(*where)]) if weights else 0.0
                found[np.ix_(*where)] = (weights * before + form.replicas * values) / (weights + form.replicas)
                weights += form.replicas
        return found


def among(values: np.ndarray, all_values: np.ndarray) -> np.ndarray:
    """Give the places of ``values`` among ``all_values``."""
    places = {value: number for number, value in enumerate(all_values.tolist())}
    return np.array([places[value] for value in values.tolist()])
