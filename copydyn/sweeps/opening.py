"""A store as one xarray.Dataset: the swept axes are its dimensions, and values are read when they are looked at."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from xarray.backends import BackendArray, BackendEntrypoint
from xarray.core import indexing

from copydyn.comparison.compare import DISTANCES
from copydyn.results.result import NAMES
from copydyn.runs.durable import place
from copydyn.sweeps.atlas import FAILED, Atlas, opened
from copydyn.sweeps.joining import joined
from copydyn.sweeps.packing import column
from copydyn.sweeps.recipe import Recipe, Strand

DIMENSIONS = {"time", "beable", "replica", "theory", "e_op", "tag", "event", "part", "beable_", "run"}

VARIABLES = {
    *(*NAMES, *DISTANCES, "energy_drift", "replicas", "seconds"),
    *("predicted_infidelity", "target_error", "attributes", "worst_deviation", "worst_total_variation"),
}

RESERVED = DIMENSIONS | VARIABLES
"""What no axis may be called by, in a dataset that has these as well."""

SHARED = ("replica_spread", "parts", "copydyn", "numpy", "python")
"""Attributes of results that hold for a whole sweep, where they are the same, and records do not say which are."""

OF_RUNS = ("replicas", "seed")
"""Attributes of one run, of which a point may have several."""

FEW = 128
"""Values of a run up to which a file's are all read at once: at most 1 MB, in the time of a few runs one by one."""


def open_sweep(folder: Path | str) -> xr.Dataset:
    """Open what a sweep has computed so far; the same as ``xarray.open_dataset(folder, engine="copydyn")``.

    Returns
    -------
    Dataset
        Variables of the results with the swept axes as leading dimensions, called after the last word of the key
        ("copies" for theory.copies); a dimension `theory` where there are several; `replica` where the theory has some.
        Missing runs, and replicas that a point has not, are NaN; whole numbers are floats beside them, exact to 2^53,
        and whole where none is missing of those that are chosen. The coordinate ``status`` is "ok", "target missed",
        "unfinished", "" where nothing is there, or why a run has failed. One point, chosen by ``.sel`` or ``.isel``, is
        a result: `copydyn.compare` takes it, with the attributes in ``attributes`` that not all points share.
        Values are read when they are looked at, and every file is held against its SHA-256 before; the dataset can be
        copied, pickled and sent to other processes, as long as these see the folder.

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

    def open_dataset(
        self,
        filename_or_obj: Any,
        *,
        mask_and_scale: Any = True,
        decode_times: Any = True,
        concat_characters: Any = True,
        decode_coords: Any = True,
        drop_variables: str | Iterable[str] | None = None,
        use_cftime: Any = None,
        decode_timedelta: Any = None,
    ) -> xr.Dataset:
        """Open a store. Nothing in it is encoded, so that words about decoding change nothing; times are numbers."""
        dataset = open_sweep(Path(filename_or_obj))
        return dataset if drop_variables is None else dataset.drop_vars(drop_variables, errors="ignore")

    def guess_can_open(self, filename_or_obj: Any) -> bool:
        """Tell whether it looks like a store."""
        try:
            return (place(filename_or_obj) / "store.json").is_file()
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
        self._status: np.ndarray | None = None

    def dataset(self) -> xr.Dataset:
        """Put it together, without reading any values."""
        recipe, several = self.recipe, len(self.recipe.theories) > 1
        names = dimension_names(recipe)
        lead = (*(("theory",) if several else ()), *names)
        outer = (*((len(recipe.theories),) if several else ()), *recipe.shape)
        data: dict[str, Any] = {}
        for name, variable in self._variables().items():
            lazy = StoredArray(self.atlas, name, variable, outer, self.inner, self.replicas)
            data[name] = xr.Variable((*lead, *variable.dims), Lazy(lazy), variable.about)
        data["replicas"] = (lead, self.replicas.reshape(outer), {"units": "1", "long_name": "replicas that there are"})
        data |= {name: (lead, values.reshape(outer), about) for name, (values, about) in self.aims().items()}
        attrs = self.shared()
        words: dict[str, Any] = {
            name: (lead, values.reshape(outer), about) for name, (values, about) in self.status().items()
        }
        own = StoredWords(self.atlas, attrs, outer)
        about = {"units": "1", "long_name": "attributes of each result that not all share, as JSON"}
        words["attributes"] = xr.Variable(lead, Lazy(own), about)
        whole = {"scenario": recipe.scenario(), "seed": recipe.seed, "store": str(self.atlas.store.folder)}
        inner = {name: (name, values, about) for name, (values, about) in self.inner.items()}
        return xr.Dataset(data, {**inner, **self.points(), **words}, {**attrs, **whole})

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
        """Give the attributes that all runs have, and have the same; of older stores, those that no axis can change."""
        atlas = self.atlas
        used = [atlas.index.attributes[record] for record in np.unique(atlas.record[atlas.row >= 0])]
        different = list({id(attrs): attrs for attrs in used}.values())
        known = [attrs for attrs in different if attrs is not None]
        if different and len(known) == len(different):
            first, *others = known
            same = {name: first[name] for name in first if all(_same(first[name], one.get(name)) for one in others)}
            return {name: value for name, value in same.items() if name not in OF_RUNS}
        attrs = list(atlas.attrs.values())
        names = (*SHARED, *(("theory",) if len(self.recipe.theories) == 1 else ()))
        return {
            name: attrs[0][name]
            for name in names
            if attrs and name in attrs[0] and all(other.get(name) == attrs[0][name] for other in attrs)
        }

    def aims(self) -> dict[str, tuple[np.ndarray, dict[str, str]]]:
        """Give the error that each point has come to, where there is a target, (theory, point)."""
        target = self.recipe.target
        if target is None:
            return {}
        said = f"largest standard error of {target.of}, whose target is {target.error:g}"
        return {"target_error": (self.atlas.error, {"units": "1", "long_name": said})}

    def status(self) -> dict[str, tuple[np.ndarray, dict[str, str]]]:
        """Say of each point whether it is there, or why it has failed, (theory, point) of text."""
        if self._status is None:
            self._status = self._words()
        about = {"units": "1", "long_name": "ok, unfinished, target missed, nothing yet, or why a run has failed"}
        return {"status": (self._status, about)}

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

    def _words(self) -> np.ndarray:
        atlas, words = self.atlas, self.atlas.words.copy()
        sentences: dict[str, str] = {}
        for number in np.unique(atlas.record[(atlas.record >= 0) & (atlas.row < 0)]):
            record = atlas.store.record(atlas.index.names[number])
            sentences |= {entry.key: entry.fault for entry in record.entries if entry.fault}
        for theory, point in np.argwhere(words == FAILED):
            words[theory, point] = self._fault(int(theory), int(point), sentences)
        return words.astype(np.str_)

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
        joined: dict[str, Variable] = {}
        for form in self.atlas.forms.values():
            for name, (dims, shape, kind, about) in form.variables.items():
                if name == "status" or "event" in dims:
                    continue  # said by the dataset's own status; logs of events have no shape in common
                if name in form.complexes:
                    dims, kind = dims[:-1], np.dtype(complex)
                sizes = dict(zip(dims, shape))
                if name in joined:
                    before = joined[name]
                    sizes = {dim: max(sizes.get(dim, 1), size) for dim, size in zip(before.dims, before.shape)} | {
                        dim: size for dim, size in sizes.items() if dim not in before.dims
                    }
                    # what each replica has for one theory, and only the mean for another, is of replicas
                    dims = max(dims, before.dims, key=len)
                    kind = np.result_type(kind, before.kind)
                sizes |= {dim: self.inner[dim][0].size for dim in dims if dim in self.inner}
                if "replica" in dims:
                    sizes["replica"] = int(self.replicas.max(initial=1))
                joined[name] = Variable(dims, tuple(sizes[dim] for dim in dims), kind, about)
        return joined


def _same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and one == other


class Variable(NamedTuple):
    """Of the dataset, without the axes."""

    dims: tuple[str, ...]
    shape: tuple[int, ...]
    kind: np.dtype
    about: dict[str, Any]


class Lazy(indexing.LazilyIndexedArray):
    """Values that are read when they are looked at, of the type of those that were chosen of them."""

    __slots__ = ()

    @property
    def dtype(self) -> np.dtype:
        """Whole numbers where none of those chosen is missing."""
        return np.dtype(self.array.dtype_of(self.key.tuple))


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
    replicas : int64 (theory, point)
    """

    def __init__(
        self,
        atlas: Atlas,
        name: str,
        variable: Variable,
        outer: tuple[int, ...],
        inner: dict[str, tuple[np.ndarray, dict[str, Any]]],
        replicas: np.ndarray,
    ) -> None:
        self._atlas, self._name, self._variable, self._outer, self._inner = atlas, name, variable, outer, inner
        self._replicas = replicas
        self.shape = (*outer, *variable.shape)

    @property
    def dtype(self) -> np.dtype:
        """Of all of it together."""
        return self.dtype_of((slice(None),) * len(self.shape))

    def dtype_of(self, key: tuple[Any, ...]) -> np.dtype:
        """Whole numbers are floats where some of them are missing: only floats can be NaN."""
        kind = self._variable.kind
        if kind.kind not in "iu":
            return kind
        lists = [np.atleast_1d(step) for step in _places(key, self.shape)]
        chosen, inner = lists[: len(self._outer)], dict(zip(self._variable.dims, lists[len(self._outer) :]))
        theory, point = np.divmod(_numbers(chosen, self._outer).ravel(), self._atlas.recipe.points)
        first = self._atlas.record[theory, point, np.argmax(self._atlas.row[theory, point] >= 0, axis=-1)]
        there = self._replicas[theory, point]
        whole = np.all(there > inner.get("replica", np.zeros(1, int)).max(initial=0)) and all(
            self._is_in(form, inner) for form in {self._atlas.index.forms[record] for record in np.unique(first)}
        )
        return kind if whole else np.dtype(float)

    def _is_in(self, name: str, inner: dict[str, np.ndarray]) -> bool:
        """Tell whether runs of a form have the variable at all of these times and labels."""
        form = self._atlas.forms[name]
        if self._name not in form.variables or len(form.variables[self._name].dims) < len(self._variable.dims):
            return False
        sizes = dict(zip(form.variables[self._name].dims, form.variables[self._name].shape))
        for dim, places in inner.items():
            if dim in self._inner:
                if not np.isin(self._inner[dim][0][places], form.coordinates[dim][1]).all():
                    return False
            elif dim != "replica" and places.max(initial=0) >= sizes[dim]:
                return False
        return True

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.OUTER, self._read)

    def _read(self, key: tuple[Any, ...]) -> np.ndarray:
        steps = _places(key, self.shape)
        dropped = tuple(number for number, step in enumerate(steps) if step.ndim == 0)
        lists = [np.atleast_1d(step) for step in steps]
        outer, inner = lists[: len(self._outer)], lists[len(self._outer) :]
        dtype = self.dtype_of(key)
        out = np.full([step.size for step in lists], _nothing(dtype), dtype=dtype)
        columns: dict[int, np.ndarray] = {}
        numbers = _numbers(outer, self._outer)
        for places in np.ndindex(*[step.size for step in outer]):
            theory, point = divmod(int(numbers[places]), self._atlas.recipe.points)
            values = self._point(theory, point, columns, dtype)
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

    def _point(self, theory: int, point: int, columns: dict[int, np.ndarray], dtype: np.dtype) -> np.ndarray | None:
        """Values at one point, with the dataset's times, labels and replicas."""
        atlas, variable = self._atlas, self._variable

        def read(name: str, record: int, row: int) -> np.ndarray:
            if name == self._name:
                return self._values(record, row, columns)
            return atlas.shelf(record).values(name, row)

        values = joined(atlas, self._name, theory, point, read)
        if values is None:
            return None
        form = atlas.form(atlas.runs(theory, point)[0][0])
        if values.ndim < len(variable.dims):  # the mean of all replicas, where other theories have one of each
            values = values[None]
        found, where = np.full(variable.shape, _nothing(dtype), dtype=dtype), []
        for dim, size in zip(variable.dims, values.shape):
            if dim in self._inner and not np.array_equal(self._inner[dim][0], form.coordinates[dim][1]):
                where.append(among(form.coordinates[dim][1], self._inner[dim][0]))
            else:
                where.append(np.arange(size))
        found[np.ix_(*where)] = values
        return found


class StoredWords(BackendArray):
    """Attributes of the results of each point that not all of them share, as JSON, read when they are looked at.

    Parameters
    ----------
    atlas : Atlas
    shared : dict
        Attributes that they share.
    outer : tuple of int
        As for `StoredArray`.
    """

    def __init__(self, atlas: Atlas, shared: dict[str, Any], outer: tuple[int, ...]) -> None:
        self._atlas, self._shared, self.shape = atlas, shared, outer
        self.dtype = np.dtype(object)

    def dtype_of(self, _: tuple[Any, ...]) -> np.dtype:
        """Text of any length."""
        return self.dtype

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.OUTER, self._read)

    def _read(self, key: tuple[Any, ...]) -> np.ndarray:
        steps = _places(key, self.shape)
        numbers = _numbers([np.atleast_1d(step) for step in steps], self.shape)
        out, met = np.full(numbers.shape, "{}", dtype=object), _Met(self._atlas)
        for at in np.ndindex(*numbers.shape):
            runs = self._atlas.runs(*divmod(int(numbers[at]), self._atlas.recipe.points))
            if runs:
                own = {name: value for name, value in met.attributes(*runs[0]).items() if name not in OF_RUNS}
                left = {name: value for name, value in sorted(own.items()) if name not in self._shared}
                out[at] = json.dumps(left, ensure_ascii=False)
        return out.reshape([step.size for step in steps if step.ndim])


class _Met:
    """Attributes of runs, the last record of which is at hand."""

    def __init__(self, atlas: Atlas) -> None:
        self._atlas, self._number = atlas, -1
        self._shared: dict[str, Any] = {}
        self._own: dict[str, list[Any]] = {}

    def attributes(self, number: int, row: int) -> dict[str, Any]:
        """Give those of one run; of older stores, those that the runs of its file share."""
        if number != self._number:
            self._number, record = number, self._atlas.kept(number)
            self._shared = self._atlas.shelf(number).attrs if record.attributes is None else record.attributes
            self._own = record.own
        own = {name: values[row] for name, values in self._own.items() if values[row] is not None}
        return {**self._shared, **own}


def _places(key: tuple[Any, ...], shape: tuple[int, ...]) -> list[np.ndarray]:
    """Give the places along each dimension that a key names, without a dimension where it names one of them alone."""
    return [np.asarray(np.arange(size)[step]) for step, size in zip(key, shape)]


def _numbers(outer: Sequence[np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    """Number the points at these places, theories first."""
    return np.asarray(np.ravel_multi_index(np.ix_(*outer), shape) if outer else np.array(0))


def _nothing(kind: np.dtype) -> Any:
    return complex(np.nan, np.nan) if kind.kind == "c" else np.nan if kind.kind == "f" else 0


def among(values: np.ndarray, all_values: np.ndarray) -> np.ndarray:
    """Give the places of ``values`` among ``all_values``."""
    places = {value: number for number, value in enumerate(all_values.tolist())}
    return np.array([places[value] for value in values.tolist()])
