"""The lives of single copies, read off the event log or off the tagged copies of a result."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from copydyn.experiment.inputs import as_whole, shown
from copydyn.refusal import BadType, BadValue
from copydyn.results import result as results

ABOUT = {
    "path_of": ("label number", "label of the copy from this time on"),
    "waiting_times": ("time", "how long the copy stayed in its label"),
    "running_frequency": ("1", "share of the time so far that the copy has spent in the label"),
    "autocorrelation": ("1", "autocorrelation of being in the label"),
}
"""Unit and name of what each function gives; "time" is the unit of time of the result."""

UNEVEN = 1e-6
"""Relative difference of save intervals that is taken for rounding."""

_EVENT = ("replica", "time", "copier", "copied", "from", "to")


def events_table(result: xr.Dataset) -> pd.DataFrame:
    """List the copy events, a row each: replica, time, copier, copied, from, to; replica by replica in order of time.

    Copies are named by their row, labels by their number. ``events_table(result).to_csv(path, index=False)`` writes it.

    Raises
    ------
    BadType, BadValue
        If ``result`` is no result, or keeps no event log.
    """
    _need_log(result)
    return pd.DataFrame({name: result[f"event_{name}"].values for name in _EVENT})


def path_of(result: xr.Dataset, copy: int, replica: int = 0) -> xr.DataArray:
    """Follow one copy through the event log: its label from each time on, until the next.

    Parameters
    ----------
    result : Dataset
        Of a theory with ``record_events=True``.
    copy : int
        Its row, 0 to N - 1; rows are handed out label by label.
    replica : int

    Returns
    -------
    DataArray (time,)
        Label numbers, first at the time of preparation, then at each event in which the copy took over another label;
        the last holds until ``attrs["until"]``, the last save time.

    Raises
    ------
    BadType, BadValue
        If there is no event log, no such copy or no such replica.
    """
    _need_log(result)
    replica = as_whole(replica, "replica", most=result.sizes["replica"] - 1)
    stays = _stays(result, _as_copies(result, copy))
    mine = stays.replica == replica
    about = {**_about(result, "path_of"), "copy": int(copy), "replica": replica, "until": float(result["time"][-1])}
    time = ("time", stays.start[mine], dict(result["time"].attrs))
    return xr.DataArray(stays.beable[mine], {"time": time}, ("time",), "path_of", about)


def waiting_times(result: xr.Dataset, copies: Any = None, label: Any = None) -> xr.DataArray:
    """Time how long copies stay in a label before they take over another one.

    The record ends before the last stay of each copy does: its ``ended`` is False and its length a lower bound only. An
    estimate that leaves these out comes out too short; without bias is, for a rate that is constant, the time of all
    stays over the number of those that ended, infinite where no copy ever moves. The first stay of a copy is counted
    from the time of preparation.

    Parameters
    ----------
    result : Dataset
        Of a theory with ``record_events=True``.
    copies : int or sequence of int, optional
        Rows of the copies; all by default.
    label : str or int, optional
        Name or number of the label waited in; any by default.

    Returns
    -------
    DataArray (stay,)
        In units of the result's time, with the coordinates replica, copy, beable (label number), start, and ended.

    Raises
    ------
    BadType, BadValue
        If there is no event log, no such copy or no such label.
    """
    _need_log(result)
    stays = _stays(result, _as_copies(result, copies))
    if label is not None:
        stays = stays.take(stays.beable == _as_label(result, label))
    units = result["time"].attrs["units"]
    coordinates = {
        "replica": ("stay", stays.replica, {"units": "1", "long_name": "replica"}),
        "copy": ("stay", stays.copy, {"units": "copy", "long_name": "row of the copy"}),
        "beable": ("stay", stays.beable, {"units": "label number", "long_name": "label in which the copy waited"}),
        "start": ("stay", stays.start, {"units": units, "long_name": "time at which it came there"}),
        "ended": ("stay", stays.ended, {"units": "1", "long_name": "whether it left before the record ends"}),
    }
    about = _about(result, "waiting_times")
    return xr.DataArray(stays.end - stays.start, coordinates, ("stay",), "waiting_times", about)


def running_frequency(result: xr.Dataset, copies: Any = None) -> xr.DataArray:
    """f_a(t) = (1/(t - t_0)) int_(t_0)^t [copy in label a at t'] dt', the limit at t_0: what one copy sees of |psi|^2.

    Exact where the result keeps the event log. Otherwise by the trapezoidal rule from the tagged copies' labels at the
    save times, which misses what a copy did between two of them.

    Parameters
    ----------
    result : Dataset
        Of a theory with ``record_events=True`` or ``follow``.
    copies : int or sequence of int, optional
        Rows of the copies; by default those in ``follow``, or all where none was followed.

    Returns
    -------
    DataArray (replica, copy, time, beable)

    Raises
    ------
    BadType, BadValue
        If there is neither a log nor a tagged copy, or a copy is neither logged nor tagged.
    """
    results.check(result)
    tagged = _tagged(result)
    if "event_time" in result:
        rows = tagged if copies is None and tagged.size else _as_copies(result, copies)
        spent = _spent_by_log(result, rows)
    elif tagged.size:
        rows = tagged if copies is None else _as_copies(result, copies)
        _need_tags(rows, tagged)
        spent = _spent_by_tags(result, np.array([int(np.flatnonzero(tagged == row)[0]) for row in rows]))
    else:
        raise BadValue(
            "a running frequency must be read off an event log or tagged copies, but the result has neither; "
            "evolve with record_events=True or follow=[0]."
        )
    passed = (result["time"].values - result["time"].values[0])[1:, None]
    spent[:, :, 1:] /= passed
    coordinates = {
        "copy": ("copy", rows, {"units": "copy", "long_name": "row of the copy"}),
        "time": result["time"],
        "beable": result["beable"],
    }
    about = _about(result, "running_frequency")
    return xr.DataArray(spent, coordinates, ("replica", "copy", "time", "beable"), "running_frequency", about)


def autocorrelation(result: xr.Dataset, copies: Any = None) -> xr.Dataset:
    """C_a(lag) = <x_a(t) x_a(t + lag)> / <x_a(t)^2>, x_a(t) = [copy in label a at t] - n_a(t)/N.

    The mean is over all save times t for which t + lag is one too, the copies and the replicas. It falls from one
    to zero where copies forget; taking off n_a(t)/N leaves what the copy does apart from all others.

    Parameters
    ----------
    result : Dataset
        Of a theory with ``follow``, at equal intervals of time.
    copies : int or sequence of int, optional
        Rows of tagged copies; all of ``follow`` by default.

    Returns
    -------
    Dataset with ``autocorrelation (lag, beable)`` and ``autocorrelation_error``, its standard error by the scatter over
    the replicas, or over the copies where there is one replica; NaN where there is only one copy, or where the label's
    copies never differ from the rest.

    Raises
    ------
    BadType, BadValue
        If there are no tagged copies, a copy is not tagged, or the save times are not equally far apart.
    """
    results.check(result)
    tagged = _tagged(result)
    if not tagged.size:
        raise BadValue(
            "an autocorrelation must be read off tagged copies, but the result has none; evolve with follow=[0]."
        )
    rows = tagged if copies is None else _as_copies(result, copies)
    _need_tags(rows, tagged)
    steps = np.diff(result["time"].values)
    if not steps.size or np.ptp(steps) > UNEVEN * steps.max():
        raise BadValue("an autocorrelation needs save times at equal intervals, at least two; choose such a tlist.")
    places = [int(np.flatnonzero(tagged == row)[0]) for row in rows]
    there = _indicator(result, np.array(places)) - result["frequency"].values[:, None]
    products = _lagged(there)  # replica, copy, lag, beable
    units = products.mean(axis=1) if products.shape[0] > 1 else products[0]
    values, errors = _ratio(units)
    lag = ("lag", steps.mean() * np.arange(steps.size + 1), {**result["time"].attrs, "long_name": "lag"})
    about = _about(result, "autocorrelation")
    data = {
        "autocorrelation": (("lag", "beable"), values, about),
        "autocorrelation_error": (
            ("lag", "beable"),
            errors,
            {"units": "1", "long_name": "standard error of autocorrelation"},
        ),
    }
    return xr.Dataset(data, {"lag": lag, "beable": result["beable"]})


class _Stays(NamedTuple):
    """Stays of copies in labels, (stay,), by replica, copy and time; ``ended`` is False where the record ends first."""

    replica: np.ndarray
    copy: np.ndarray
    beable: np.ndarray
    start: np.ndarray
    end: np.ndarray
    ended: np.ndarray

    def take(self, which: np.ndarray) -> _Stays:
        return _Stays(*(column[which] for column in self))


def _stays(result: xr.Dataset, copies: np.ndarray) -> _Stays:
    """Cut the life of each of ``copies`` at its events: one stay at the start, and one more behind each event."""
    time = result["time"].values
    replicas = result.sizes["replica"]
    wanted = np.isin(result["event_copier"].values, copies)
    replica, copier, gained, when = (
        result[f"event_{name}"].values[wanted] for name in ("replica", "copier", "to", "time")
    )
    first = _first_labels(result, copies)
    columns = (
        np.concatenate([np.repeat(np.arange(replicas), copies.size), replica]),
        np.concatenate([np.tile(copies, replicas), copier]),
        np.concatenate([first.ravel(), gained]),
        np.concatenate([np.full(first.size, time[0]), when]),
        np.concatenate([np.zeros(first.size, dtype=bool), np.ones(replica.size, dtype=bool)]),
    )
    # stable in time: two events of one copy at one instant stay in the order of the log
    order = np.lexsort((columns[4], columns[3], columns[1], columns[0]))
    replica, copy, beable, start, _ = (column[order] for column in columns)
    ended = (np.diff(replica, append=-1) == 0) & (np.diff(copy, append=-1) == 0)
    end = np.where(ended, np.append(start[1:], time[-1]), time[-1])
    return _Stays(replica, copy, beable, start, end, ended)


def _first_labels(result: xr.Dataset, copies: np.ndarray) -> np.ndarray:
    """Labels of rows at the start, int64 (replica, copy): rows are handed out label by label."""
    edges = np.cumsum(result["counts"].values[:, 0], axis=-1)
    return np.array([np.searchsorted(edge, copies, side="right") for edge in edges])


def _spent_by_log(result: xr.Dataset, rows: np.ndarray) -> np.ndarray:
    """Time spent in each label up to each save time, float64 (replica, copy, time, beable), and at t_0 the indicator.

    sum over the stays of (t - start)^+ - (t - end)^+, each of which starts to count at one save time.
    """
    stays = _stays(result, rows)
    times, labels, replicas = result["time"].values, result.sizes["beable"], result.sizes["replica"]
    order = np.argsort(rows)
    place = order[np.searchsorted(rows[order], stays.copy)]
    shape = (replicas, rows.size, times.size + 1, labels)
    open_, since = np.zeros(shape), np.zeros(shape)
    for moment, sign in ((stays.start, 1.0), (stays.end, -1.0)):
        at = np.searchsorted(times, moment)
        index = (stays.replica, place, at, stays.beable)
        np.add.at(open_, index, sign)
        np.add.at(since, index, sign * (moment - times[0]))
    open_, since = open_.cumsum(axis=2)[:, :, :-1], since.cumsum(axis=2)[:, :, :-1]
    spent = np.maximum(open_ * (times - times[0])[:, None] - since, 0.0)
    spent[:, :, 0] = 0.0
    first = _first_labels(result, rows)
    np.put_along_axis(spent[:, :, 0], first[..., None], 1.0, axis=-1)
    return np.asarray(spent)


def _spent_by_tags(result: xr.Dataset, places: np.ndarray) -> np.ndarray:
    """The same by the trapezoidal rule between the save times."""
    there = _indicator(result, places)
    steps = np.diff(result["time"].values)[:, None]
    pieces = 0.5 * (there[:, :, 1:] + there[:, :, :-1]) * steps
    return np.concatenate([there[:, :, :1], np.cumsum(pieces, axis=2)], axis=2)


def _indicator(result: xr.Dataset, places: np.ndarray) -> np.ndarray:
    """One where a tagged copy is in the label, float64 (replica, copy, time, beable)."""
    labels = np.moveaxis(result["tagged_beable"].values[:, :, places], 2, 1)
    return (labels[..., None] == np.arange(result.sizes["beable"])).astype(float)


def _lagged(series: np.ndarray) -> np.ndarray:
    """Mean over t of x(t) x(t + lag), float64 (replica, copy, lag, beable), by Fourier transform without wrapping."""
    count = series.shape[2]
    spectrum = np.fft.rfft(series, 2 * count, axis=2)
    sums = np.fft.irfft(np.abs(spectrum) ** 2, 2 * count, axis=2)[:, :, :count]
    return np.asarray(sums / (count - np.arange(count))[:, None])


def _ratio(products: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ratio of the means over the first axis, (unit, lag, beable), to that at lag zero, with its standard error."""
    mean = products.mean(axis=0)
    moving = mean[0] > 0.0
    variance = np.where(moving, mean[0], np.nan)
    ratio = mean / variance
    if products.shape[0] < 2:
        return ratio, np.full(ratio.shape, np.nan)
    rest = products - ratio * products[:, :1]
    return ratio, np.asarray(rest.std(axis=0, ddof=1) / np.sqrt(products.shape[0]) / variance)


def _tagged(result: xr.Dataset) -> np.ndarray:
    """Rows of the tagged copies, int64 (tag,), in the order of ``follow``."""
    if "tagged_beable" not in result:
        return np.zeros(0, dtype=np.int64)
    return np.array([int(row) for row in re.findall(r"\d+", str(result.attrs["theory_follow"]))], dtype=np.int64)


def _need_log(result: xr.Dataset) -> None:
    results.check(result)
    if "event_time" not in result:
        raise BadValue("the result must keep an event log, but has none; evolve with record_events=True.")


def _need_tags(rows: np.ndarray, tagged: np.ndarray) -> None:
    strangers = rows[~np.isin(rows, tagged)]
    if strangers.size:
        raise BadValue(f"copies must be tagged ones, but {strangers[0]} is not; evolve with follow=[{strangers[0]}].")


def _as_copies(result: xr.Dataset, copies: Any) -> np.ndarray:
    """Give rows of copies that exist, int64 (copy,), each once."""
    total = int(result["counts"].values[0, 0].sum())
    if copies is None:
        return np.arange(total)
    if isinstance(copies, (str, bytes)):
        raise BadType(f"copies must be rows of copies, but is {shown(copies)}.")
    listed = copies if isinstance(copies, Iterable) else [copies]
    rows = np.array([as_whole(row, "a copy", most=total - 1) for row in listed], dtype=np.int64)
    if not rows.size:
        raise BadValue("copies must name at least one copy, but is empty; leave it out to take all.")
    if np.unique(rows).size < rows.size:
        raise BadValue("copies must differ from each other, but one stands twice.")
    return rows


def _as_label(result: xr.Dataset, label: Any) -> int:
    names = result["beable"].values.tolist()
    if isinstance(label, str):
        if label not in names:
            raise BadValue(f"label must be a name or number of the result's beable, but is {shown(label)}.")
        return int(names.index(label))
    return as_whole(label, "label", most=len(names) - 1)


def _about(result: xr.Dataset, name: str) -> dict[str, Any]:
    units, long_name = ABOUT[name]
    return {"units": result["time"].attrs["units"] if units == "time" else units, "long_name": long_name}
