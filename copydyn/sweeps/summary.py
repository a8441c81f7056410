"""A sweep in numbers: for each point the means over its replicas, with their standard errors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from copydyn.comparison.compare import OF_THE_MEAN
from copydyn.refusal import BadValue
from copydyn.sweeps.atlas import Atlas, opened
from copydyn.sweeps.foreseen import Foreseen
from copydyn.sweeps.joining import joined
from copydyn.sweeps.moments import Moments
from copydyn.sweeps.opening import Layout, among, dimension_names
from copydyn.sweeps.recipe import Strand
from copydyn.sweeps.records import Record
from copydyn.sweeps.rows import Form, chances

SERIES = ("max_deviation", "total_variation", "infidelity", "extinct", "energy")
"""Variables (replica, time) of a run whose means over replicas are wanted."""

WORST = {"worst_deviation": "max_deviation", "worst_total_variation": "total_variation"}

DRIFT = ("energy", "mean energy less its first value")


def summary(folder: Path | str, *, laws: bool = True, progress: bool = False) -> xr.Dataset:
    """Take the means over the replicas of every point of a sweep.

    Every file of the store is read once, and held against its SHA-256; beside the means themselves memory is that of
    one file.

    Parameters
    ----------
    folder : path
        Of the store.
    laws : bool
        Say what finite N must give as well, where that is known and cheap.
    progress : bool
        Show a bar.

    Returns
    -------
    Dataset
        With the dimensions `theory`, where there are several, and the swept axes; NaN where runs are missing or have
        failed. Over `time`: ``max_deviation``, ``total_variation``, ``infidelity``, ``extinct``, ``energy``,
        ``energy_drift``, each with ``..._error``, the standard error of its mean (NaN for one replica), where the
        theories give them; ``probability (time, beable)`` with ``probability_error``; ``predicted_infidelity``, what
        finite N must give. Of each point: ``worst_deviation`` and ``worst_total_variation``, means over replicas of the
        largest value on the way, with errors; ``replicas``; ``seconds``, the wall time of its runs; with a target,
        ``target_error``, the error that was come to; the coordinate ``status``, "ok", "target missed", "unfinished"
        while replicas are missing, "" while all are, and the sentence of a run that has failed. Of trajectories without
        frequencies there is one ensemble, so that distances have no error. Attributes ``law``, what the prediction is
        or why there is none; scenario, seed, versions.

    Raises
    ------
    BadValue
        If it is no store, or one of its files is damaged.
    """
    return Digest(Path(folder), laws=laws).dataset(progress=progress)


class Digest:
    """Means over replicas of any points of a sweep.

    Parameters
    ----------
    folder : Path
    laws : bool

    Raises
    ------
    BadValue
        If it is no store, or a record is damaged.
    """

    def __init__(self, folder: Path, *, laws: bool = True) -> None:
        found = opened(folder)
        if found.runs.damaged:
            name, why = next(iter(found.runs.damaged.items()))
            more = len(found.runs.damaged) - 1
            raise BadValue(
                f"{found.store.path_of(name, '.json')}: a file must be what its record says, but {why}"
                f"{f', and so with {more} more' if more else ''}; `python -m copydyn repair {folder}` makes its runs "
                "again."
            )
        self.atlas = Atlas(found)
        self.layout = Layout(self.atlas)
        self.recipe = found.recipe
        self._foreseen = Foreseen(found.recipe) if laws else None
        self._record: Record | None = None
        self._places: dict[tuple[str, bool], _Inner] = {}

    @property
    def size(self) -> int:
        """How many points there are, all theories together."""
        return len(self.recipe.theories) * self.recipe.points

    @property
    def names(self) -> list[str]:
        """Dimensions of the points."""
        return [*(["theory"] if len(self.recipe.theories) > 1 else []), *dimension_names(self.recipe)]

    @property
    def shape(self) -> tuple[int, ...]:
        """How many there are along each of them."""
        return (*((len(self.recipe.theories),) if len(self.recipe.theories) > 1 else ()), *self.recipe.shape)

    @property
    def variables(self) -> list[str]:
        """Which numbers there are of the points of this sweep, whichever are asked for; those by label left out."""
        there = {name for form in self.atlas.forms.values() for name in form.variables}
        names = [name for name in SERIES if name in there]
        names += [name for name in ("energy_drift",) if "energy" in there]
        names += [name for name, of in WORST.items() if of in there]
        both = [either for name in names for either in (name, f"{name}_error")]
        foreseen = self._foreseen is not None and self._foreseen.known and "infidelity" in there
        return [*both, *(["predicted_infidelity"] if foreseen else [])]

    def dataset(
        self, chosen: Mapping[str, Sequence[int]] | None = None, *, ends: bool = False, progress: bool = False
    ) -> xr.Dataset:
        """Give points of a grid; all by default.

        Parameters
        ----------
        chosen : mapping of str to sequence of int, optional
            Places along some dimensions.
        ends : bool
            Only the last save time of each run.
        """
        places = [np.asarray((chosen or {}).get(name, np.arange(n))) for name, n in zip(self.names, self.shape)]
        grid = np.ix_(*places)
        numbers = np.ravel_multi_index(grid, self.shape) if places else np.array(0)
        flat = self.points(numbers.ravel(), ends=ends, progress=progress)
        data = {}
        for name, variable in flat.variables.items():
            if variable.dims[:1] == ("point",):
                dims = (*self.names, *variable.dims[1:])
                data[name] = (dims, variable.values.reshape((*numbers.shape, *variable.shape[1:])), variable.attrs)
        status = {"status": data.pop("status")}
        outer = xr.Dataset(coords=self.layout.points()).isel(dict(zip(self.names, places)))
        for coordinate in outer.coords.values():
            coordinate.attrs.setdefault("long_name", str(coordinate.name))
            coordinate.attrs.setdefault("units", "1" if coordinate.dtype.kind == "U" else "as in the scenario")
        inner = {name: (name, flat[name].values, flat[name].attrs) for name in flat.coords if name in flat.dims}
        return xr.Dataset(data, {**outer.coords, **inner, **status}, self.attrs)

    @property
    def attrs(self) -> dict[str, Any]:
        """Where it all comes from."""
        law = self._foreseen.said if self._foreseen else "none: not asked for"
        about = {"scenario": self.recipe.scenario(), "seed": self.recipe.seed, "law": law}
        about["title"] = str(self.recipe.tables.get("title", "")).strip() or self.recipe.name
        return {**self.layout.shared(), **about}

    def points(self, numbers: np.ndarray, *, ends: bool = False, progress: bool = False) -> xr.Dataset:
        """Give points by their numbers: theory first, then in the order of the axes, the last one fastest.

        Returns
        -------
        Dataset
            Of the variables of `summary`, with a first dimension `point`.
        """
        theory, point = np.divmod(numbers, self.recipe.points)
        inner: dict[str, Any] = {name: about for name, about in self.layout.inner.items() if name in ("time", "beable")}
        if ends:
            inner.pop("time", None)
        tallies = _Tallies(numbers.size, 1 if ends else _length(inner, "time"), _length(inner, "beable"))
        seconds, failed = np.zeros(numbers.size), np.zeros(numbers.size, bool)
        for group in self._groups(self.atlas.record[theory, point], self.atlas.row[theory, point], progress):
            self._open(group.record)
            assert self._record is not None
            sound = [entry for entry in self._record.entries if not entry.fault]
            made = group.rows >= 0
            if made.any():
                runs = [sound[row] for row in group.rows[made]]
                places = group.places[made]
                seconds[places] += [run.seconds for run in runs]
                self._take(group.record, group.part, places, group.rows[made], tallies, ends)
            for place in group.places[~made].tolist():
                failed[place] = True
                seconds[place] += self._seconds_of_failing(int(theory[place]), int(point[place]), group.part)
        self._join_again(tallies, theory, point, ends)
        data = tallies.variables(failed, self.atlas.forms.values())
        units = {"units": "1", "long_name": "replicas that there are"}
        data["replicas"] = ("point", tallies.replicas, units)
        data["seconds"] = ("point", seconds, {"units": "s", "long_name": "wall time of the runs of the point"})
        data |= {name: ("point", values[theory, point], about) for name, (values, about) in self.layout.aims().items()}
        if self._foreseen is not None:
            self._foresee(data, theory, point, ends)
        coords: dict[str, Any] = {name: (name, values, about) for name, (values, about) in inner.items()}
        for name, (values, about) in self.layout.status().items():
            coords[name] = ("point", values[theory, point], about)
        return xr.Dataset(data, coords)

    def _groups(self, record: np.ndarray, row: np.ndarray, progress: bool) -> Iterator[_Group]:
        """Give the runs file by file, and of one file those first that are the first of their point."""
        place, part = np.nonzero(record >= 0)
        number = record[place, part]
        order = np.lexsort((place, part, number))
        cuts = np.flatnonzero(np.diff(number[order]) | np.diff(part[order])) + 1
        groups: Any = [group for group in np.split(order, cuts) if group.size]
        if progress:
            from tqdm import tqdm

            groups = tqdm(groups, desc="files", leave=False)
        for group in groups:
            rows = row[place[group], part[group]]
            yield _Group(int(number[group[0]]), int(part[group[0]]), place[group], rows)

    def _open(self, number: int) -> None:
        name = self.atlas.index.names[number]
        if self._record is None or self._record.name != name:
            self._record = self.atlas.store.record(name)

    def _seconds_of_failing(self, theory: int, point: int, part: int) -> float:
        """Give after how many seconds a run has failed."""
        recipe = self.recipe
        first = part * recipe.replicas_a_run
        most = recipe.target.most if recipe.target else recipe.replicas
        key = recipe.key(Strand(theory, point, first, 0), first, min(recipe.replicas_a_run, most - first))
        assert self._record is not None
        entry = next((entry for entry in self._record.entries if entry.key == key), None)
        return 0.0 if entry is None else entry.seconds

    def _join_again(self, tallies: _Tallies, theory: np.ndarray, point: np.ndarray, ends: bool) -> None:
        """Measure the mean over all replicas where several runs have measured their own: distances are not means."""
        for place in np.flatnonzero((self.atlas.row[theory, point] >= 0).sum(axis=-1) > 1).tolist():
            at = int(theory[place]), int(point[place])
            record, _ = self.atlas.runs(*at)[0]
            form = self.atlas.form(record)
            inner = self._inner(self.atlas.index.forms[record], form, ends)
            for name, worst in zip(OF_THE_MEAN, WORST):
                if name in form.variables and not form.each(name) and "frequency_deviation" in form.variables:
                    values = joined(self.atlas, name, *at)
                    assert values is not None
                    tallies.put(name, place, values[inner.source], (inner.time,))
                    tallies.put(worst, place, values.max(), ())

    def _take(
        self, number: int, part: int, places: np.ndarray, rows: np.ndarray, tallies: _Tallies, ends: bool
    ) -> None:
        """Take in runs of one file."""
        form, shelf = self.atlas.form(number), self.atlas.shelf(number)
        if part and self.atlas.certain(number):
            return  # the same once more, which makes no mean any surer
        inner = self._inner(self.atlas.index.forms[number], form, ends)
        start, stop = int(rows.min()), int(rows.max()) + 1

        def read(name: str) -> np.ndarray:
            return np.asarray(shelf.between(name, start, stop)[rows - start], dtype=float)

        for name in SERIES:
            if name not in form.variables:
                continue
            values = read(name)
            if not form.each(name):
                values = values[:, 0] if values.ndim == 3 else values  # older files repeat it for each replica
            tallies.add(name, places, values[..., inner.source], (inner.time,), form.replicas)
            if name == "energy":
                drift = (values - values[..., :1])[..., inner.source]
                tallies.add("energy_drift", places, drift, (inner.time,), form.replicas)
            for worst, of in WORST.items():
                if of == name:
                    tallies.add(worst, places, values.max(axis=-1), (), form.replicas)
        sampled = "frequency" in form.variables or (form.kind.sampled and "state" in form.variables)
        source = ("frequency" if "frequency" in form.variables else "state") if sampled else "probability"
        values = read(source)
        chance = chances({source: values}) if sampled else values
        assert chance is not None
        chance = chance[..., inner.source, :]
        tallies.add("probability", places, chance, (inner.time, inner.beable), form.replicas)

    def _inner(self, name: str, form: Form, ends: bool) -> _Inner:
        """Say where the times and labels of a form stand among those of the sweep."""
        if (name, ends) not in self._places:
            times, labels = (form.coordinates[dim][1] for dim in ("time", "beable"))
            time = np.zeros(1, int) if ends else among(times, self.layout.inner["time"][0])
            source = np.array([times.size - 1]) if ends else np.arange(times.size)
            self._places[name, ends] = _Inner(source, time, among(labels, self.layout.inner["beable"][0]))
        return self._places[name, ends]

    def _foresee(self, data: dict[str, Any], theory: np.ndarray, point: np.ndarray, ends: bool) -> None:
        assert self._foreseen is not None
        if not self._foreseen.known or "infidelity" not in data:
            return
        found = data["infidelity"][1]
        predicted = np.full(found.shape, np.nan)
        for place in np.flatnonzero(~np.isnan(found).all(axis=1)).tolist():
            law = self._foreseen.infidelity(int(theory[place]), int(point[place]))
            if law is not None:
                times, values = law
                where = [0] if ends else among(times, self.layout.inner["time"][0])
                predicted[place, where] = values[-1:] if ends else values
        if not np.isnan(predicted).all():
            about = {"units": "1", "long_name": "mean infidelity that so many copies must give"}
            data["predicted_infidelity"] = (("point", "time"), predicted, about)


class _Group(NamedTuple):
    """Runs of one file that are the same part of their points: where the points stand, and the runs in the file."""

    record: int
    part: int
    places: np.ndarray
    rows: np.ndarray


class _Inner(NamedTuple):
    """Which save times of a run are wanted, and where they and its labels stand among those of the sweep."""

    source: np.ndarray
    time: np.ndarray
    beable: np.ndarray


class _Tallies:
    """Means and spreads over replicas, of whatever variables come.

    Parameters
    ----------
    points, times, labels : int
    """

    def __init__(self, points: int, times: int, labels: int) -> None:
        self._points, self._times, self._labels = points, times, labels
        self._moments: dict[str, Moments] = {}

    def add(
        self, name: str, places: np.ndarray, values: np.ndarray, inner: tuple[np.ndarray, ...], replicas: int
    ) -> None:
        """Take in values (run, replica, ...) of runs at ``places``, or means (run, ...) over so many replicas."""
        if name not in self._moments:
            self._moments[name] = Moments((self._points, *(self._times, self._labels)[: len(inner)]))
        if values.ndim == 1 + len(inner):
            self._moments[name].add_means(places, values, replicas, inner)
        else:
            self._moments[name].add(places, values, inner)

    def put(self, name: str, place: int, values: np.ndarray, inner: tuple[np.ndarray, ...]) -> None:
        """Put means that are known otherwise in the place of those that were taken in."""
        self._moments[name].mean[np.ix_(np.array([place]), *inner)] = values

    @property
    def replicas(self) -> np.ndarray:
        """How many have been taken in, int64 (point,)."""
        moments = self._moments.get("max_deviation")
        return np.zeros(self._points, np.int64) if moments is None else moments.number

    def variables(self, failed: np.ndarray, forms: Any) -> dict[str, Any]:
        """Give means and errors as variables of a Dataset; NaN where runs have failed."""
        data: dict[str, Any] = {}
        for name in (*SERIES, "energy_drift", "probability", *WORST):
            if name not in self._moments:
                continue
            moments = self._moments[name]
            moments.mean[failed] = moments.squares[failed] = np.nan
            dims = ("point", "time", "beable")[: moments.mean.ndim]
            about = _about(name, forms)
            of = {"units": about["units"], "long_name": f"standard error of {name}"}
            data[name] = (dims, moments.mean, about)
            data[f"{name}_error"] = (dims, moments.error(), of)
        return data


def _about(name: str, forms: Any) -> dict[str, str]:
    if name in WORST:
        return {"units": "1", "long_name": f"mean over replicas of the largest {WORST[name]} on the way"}
    if name == "energy_drift":
        return dict(zip(("units", "long_name"), DRIFT))
    return next(dict(form.variables[name].about) for form in forms if name in form.variables)


def _length(inner: Mapping[str, tuple[np.ndarray, Any]], name: str) -> int:
    return inner[name][0].size if name in inner else 0


def provenance(folder: Path) -> tuple[dict[str, list[str]], float]:
    """Name the versions of what has made the runs of a store, and give the seconds that they took together."""
    seconds, found = 0.0, dict[str, set[str]]()
    for record in opened(folder).store.records({}):
        seconds += sum(entry.seconds for entry in record.entries)
        for name, version in record.about.get("versions", {}).items():
            found.setdefault(name, set()).add(str(version))
    return {name: sorted(own) for name, own in sorted(found.items())}, seconds
