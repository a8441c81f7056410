"""The picture of a sweep: lines over one axis, or a map over two."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from copydyn.refusal import BadType, BadValue
from copydyn.report.plots.axes import COLOURS, ERROR, STEEP, Style, axis, banded, headed, is_formula, legend, panels
from copydyn.report.plots.names import TIME, name_of
from copydyn.wording import said_of

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")

MOST_TICKS = 6
"""Values of a linear axis that all get a tick."""

MOST_CELLS = 400
"""Cells of a map beyond which it is drawn as an image, within a figure of lines."""

SMALLEST_SPAN = 8.0
"""Ratio of the ends of an axis from which it may be logarithmic."""

LONGEST_NAMES = 48
"""Characters of all names of an axis of text that fit below it upright."""

APART = 0.06
"""How far the lines of an axis of text are apart, in steps of it."""

SOUND = ("ok", "target missed", "unfinished", "")
"""What the status of a point says where no run has failed."""

ROUNDING = 1e-6
"""Share of the largest value below which no scale shows differences."""

_BAR = Line2D([], [], color="0.4", marker="|", markersize=10, linestyle="")
"""An error bar in a legend."""

FAILED, MISSING = "0.78", "0.93"


def plot_sweep(
    summary: xr.Dataset,
    x: str,
    y: str | None = None,
    of: str = "infidelity",
    *,
    time: int | str = -1,
    lines: str | None = None,
    at: Mapping[str, Any] | None = None,
    path: Path | str | None = None,
    title: str = "",
) -> Figure:
    """Draw what a sweep has found over one of its axes, as lines with error bars, or over two, as a map.

    Axes are logarithmic where their values are, those of text are in the order of the sweep. Error bars and bands are
    standard errors of means over replicas; a point without one has none. The law of finite N is dashed where
    ``summary`` knows it; points that have failed are crosses on the axis of lines, and hatched in maps,
    beside which stands the relative error.

    Parameters
    ----------
    summary : Dataset
        Of `copydyn.sweeps.summary.summary`.
    x, y : str
        Names of axes, such as "copies" or "theory.copies"; or for ``x`` "time". With ``y`` a map.
    of : str
        A variable of ``summary``: infidelity, max_deviation, total_variation, extinct, energy, probability,
        worst_deviation, seconds and so on.
    time : int or "mean"
        Which save time of each point, the last one by default, or the mean over all of them; its error is the mean of
        theirs, as if they rose and fell together, which is never too small.
    lines : str, optional
        An axis of which every value gets a line, if there are at most eight, theories counted; some otherwise.
    at : mapping, optional
        Values of the other axes, and of "theory" and "beable"; their first ones by default. All theories are drawn as
        lines if none is chosen.
    path : optional
        Where to save the figure; the suffix says as what.
    title : str
        The scenario's by default; what is fixed is said below it.

    Raises
    ------
    BadType, BadValue
        If ``summary`` is none, or has no such axis, value or variable.
    """
    view = _View(summary, of, time, dict(at or {}))
    x, y, lines = (name and view.name_of(name) for name in (x, y, lines))  # type: ignore[assignment]
    if len({x, y, lines} - {None}) < 1 + (y is not None) + (lines is not None):
        raise BadValue(f"x, y and lines must be different axes, but x is '{x}', y is '{y}' and lines is '{lines}'.")
    if y is not None:
        if lines is not None or "time" in (x, y):
            raise BadValue(
                "a map must be over two swept axes alone, without lines and time; leave y or the others out."
            )
        figure = _map(view, x, y)
    else:
        figure = _lines(view, x, lines)
    heading = title or str(summary.attrs.get("title", ""))
    headed(figure, "\n".join(filter(None, (heading, ", ".join(view.notes)))), fontsize="medium")
    if path is not None:
        figure.savefig(path)
    return figure


def as_svg(figure: Figure) -> bytes:
    """Draw a figure as SVG: the same bytes each time, without a date and with letters as outlines."""
    buffer = io.BytesIO()
    with rc_context({"svg.hashsalt": "copydyn", "svg.fonttype": "path"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()


class Found(NamedTuple):
    """Values with errors, and what finite N gives, or NaN; which points have failed, and which are not there."""

    values: np.ndarray
    errors: np.ndarray
    law: np.ndarray
    failed: np.ndarray
    missing: np.ndarray


class _View:
    """One variable of a summary, all axes but a few fixed.

    Attributes
    ----------
    notes : list of str
        What is fixed, in words.
    """

    def __init__(self, summary: xr.Dataset, of: str, time: int | str, at: dict[str, Any]) -> None:
        if not isinstance(summary, xr.Dataset):
            raise BadType(f"summary must be an xarray.Dataset, but is {type(summary).__name__}.")
        if "status" not in summary or "replicas" not in summary or "replica" in summary.dims:
            raise BadValue("summary must be what copydyn.sweeps.summary.summary gives, but the Dataset is another one.")
        known = [str(name) for name, variable in summary.data_vars.items() if variable.dtype.kind in "if"]
        if of not in known:
            raise BadValue(f"of must be one of {', '.join(known)}, but is '{of}'.")
        if time != "mean" and (isinstance(time, bool) or not isinstance(time, int)):
            raise BadValue(f"time must be the number of a save time or 'mean', but is {time!r}.")
        self.summary, self.of, self.time = summary, of, time
        self.axes = [str(name) for name in summary["replicas"].dims]
        self.fixed = {self.name_of(name, also=("beable",)): value for name, value in at.items()}
        self.notes: list[str] = []

    def name_of(self, name: str, also: Sequence[str] = ("time",)) -> str:
        """Find an axis by its name or its key."""
        for axis_name in (*self.axes, *also):
            if name == axis_name or (axis_name in self.axes and name == self.summary[axis_name].attrs.get("long_name")):
                return axis_name
        raise BadValue(f"a sweep must have the axis '{name}', but has {', '.join((*self.axes, *also))}.")

    def free(self, *kept: str | None) -> xr.Dataset:
        """Fix all axes that are not ``kept``, and note their values."""
        chosen = self.summary
        for name in [*self.axes, *(["beable"] if "beable" in chosen[self.of].dims else [])]:
            if name in kept:
                continue
            values = self.summary[name].values
            place = self._place(name, values) if name in self.fixed else 0
            chosen = chosen.isel({name: place})
            if values.size > 1:
                self.notes.append(f"{name} = {said_of(values[place])}")
        return chosen

    def found(self, chosen: xr.Dataset, dims: Sequence[str]) -> Found:
        """Give values over ``dims``, with ``time`` among them or not."""
        over_time = "time" in chosen[self.of].dims
        rows = [str(name) for name in chosen["replicas"].dims]
        predicted = "predicted_infidelity" if self.of == "infidelity" else ""
        arrays = []
        for name in (self.of, f"{self.of}_error", predicted):
            inner = (*rows, *(["time"] if over_time else []))
            array = chosen[name].transpose(*inner).values if name in chosen else np.nan
            arrays.append(np.broadcast_to(np.asarray(array, dtype=float), [chosen.sizes[dim] for dim in inner]))
        if over_time and "time" not in dims:
            arrays = self._at_time(arrays)
        order = [rows.index(name) for name in dims if name != "time"]
        if "time" in dims:
            order.append(len(rows))
        status = chosen["status"].broadcast_like(chosen["replicas"]).values.transpose(order[: len(rows)])
        values, errors, law = (array.transpose(order) for array in arrays)
        return Found(values, errors, law, ~np.isin(status, SOUND), status == "")

    def _at_time(self, arrays: list[np.ndarray]) -> list[np.ndarray]:
        """Give values at one save time of each point's own, or means over all."""
        there = ~np.isnan(arrays[0])
        if self.time == "mean":
            self.notes.append("mean over time")
            number = there.sum(axis=-1)
            with np.errstate(invalid="ignore"):
                return [np.where(there, array, 0.0).sum(axis=-1) / np.where(number, number, np.nan) for array in arrays]
        assert isinstance(self.time, int)
        count = np.cumsum(there, axis=-1) if self.time >= 0 else np.cumsum(there[..., ::-1], axis=-1)[..., ::-1]
        hit = there & (count == (self.time + 1 if self.time >= 0 else -self.time))
        place = hit.argmax(axis=-1)
        times = self.summary["time"].values if "time" in self.summary.coords else None
        met = np.unique(place[hit.any(axis=-1)])
        if times is not None and met.size == 1:
            self.notes.append(f"t = {said_of(times[met[0]])}")
        else:
            self.notes.append("at the last save time" if self.time == -1 else f"at save time {self.time}")
        return [
            np.where(hit.any(axis=-1), np.take_along_axis(array, place[..., None], axis=-1)[..., 0], np.nan)
            for array in arrays
        ]

    def _place(self, name: str, values: np.ndarray) -> int:
        wanted = self.fixed[name]
        for place, value in enumerate(values.tolist()):
            if value == wanted or (not isinstance(value, str) and _close(value, wanted)):
                return place
        there = ", ".join(said_of(value) for value in values[:8]) + (", ..." if values.size > 8 else "")
        raise BadValue(f"'{name}' must be one of its values, {there}, but is {said_of(wanted)}.")

    def scale(self, name: str) -> _Scale:
        """Give where the values of an axis are drawn."""
        summary = self.summary
        unit = summary["time"].attrs.get("units", TIME).replace("hbar", "ħ") if "time" in summary.coords else TIME
        return _Scale(summary[name], unit)

    def label(self) -> str:
        """Name the variable, with its unit."""
        return _label(self.summary[self.of], self.of.replace("_", " "))


def _lines(view: _View, x: str, lines: str | None) -> Figure:
    over_time = x == "time"
    if over_time and "time" not in view.summary[view.of].dims:
        raise BadValue(f"'{view.of}' must change with time to be drawn over it, but is one number a point.")
    theories = "theory" if "theory" in view.axes and "theory" not in view.fixed and x != "theory" else None
    theories = None if lines == "theory" else theories
    kept = [name for name in (theories, lines) if name is not None]
    chosen = view.free(x, *kept)
    found = view.found(chosen, [*kept, x])
    figure, (ax,) = panels(1)
    figure.set_size_inches(6.6, 4.4)
    scale = None if over_time else view.scale(x)
    places = view.summary["time"].values if scale is None else scale.places
    order = np.argsort(places, kind="stable")
    if scale is None:
        ax.set_xlabel(axis(view.summary["time"]))
    else:
        scale.put(ax.xaxis)
    series = list(_series(view, chosen, theories, lines))
    named = scale is not None and scale.names is not None
    beside = APART * (np.arange(len(series)) - 0.5 * (len(series) - 1)) if named else np.zeros(len(series))
    if named:  # between words there is nothing
        ax.set_xlim(-0.5, places.size - 0.5)
    seen: dict[str, Any] = {}
    for number, (place, name, style) in enumerate(series):
        values, errors, law = (array[place][order] for array in found[:3])
        noisy = not np.isnan(errors).all()
        if over_time:
            banded(ax, places[order], values, np.nan_to_num(errors), Style(style[0], 1.5), name)
            (seen[name],) = ax.plot([], [], color=style[0], linewidth=1.5)
        else:
            drawn = ax.errorbar(
                places[order] + beside[number],
                values,
                yerr=errors if noisy else None,
                color=style[0],
                marker=style[1],
                markersize=4.5,
                linewidth=0.0 if named else 1.3,
                elinewidth=1.0,
                capsize=2.5,
            )
            seen[name] = drawn
        if noisy:
            seen[ERROR] = Patch(facecolor="0.5", alpha=0.4) if over_time else _BAR
        if np.isfinite(law).any():
            law = np.where(np.isfinite(law), law, np.nan)
            look: dict[str, Any] = {"marker": "_", "markersize": 12, "linestyle": ""} if named else {"dashes": (4, 3)}
            ax.plot(places[order] + beside[number], law, color=style[0], linewidth=1.1, **look)
            seen["law of finite N"] = Line2D([], [], color="black", linewidth=1.1, dashes=(4, 3))
    if not over_time and (failed := found.failed.reshape(-1, places.size).any(axis=0)).any():
        (seen["failed"],) = ax.plot(
            places[failed],
            np.full(failed.sum(), 0.02),
            transform=ax.get_xaxis_transform(),
            color="0.4",
            marker="x",
            linestyle="",
        )
    _heights(ax, found)
    ax.set_ylabel(view.label(), parse_math=False)
    for last in (ERROR, "law of finite N"):
        if last in seen:
            seen[last] = seen.pop(last)
    seen.pop("", None)
    if seen:
        legend(ax, [(handle, name) for name, handle in seen.items()])
    return figure


def _series(
    view: _View, chosen: xr.Dataset, theories: str | None, lines: str | None
) -> Iterator[tuple[tuple[int, ...], str, tuple[str, str]]]:
    """Give for every line its place, its name, its colour and its marker."""
    names = chosen[theories].values.tolist() if theories else [""]
    values = chosen[lines].values if lines else np.zeros(1)
    most = max(1, len(COLOURS) // len(names))
    some = np.unique(np.linspace(0, values.size - 1, min(most, values.size)).round().astype(int))
    if some.size < values.size:
        view.notes.append(f"{some.size} of {values.size} values of {lines}")
    for row, theory in enumerate(names):
        for number, place in enumerate(some.tolist()):
            said = [theory] if theory else []
            said += (
                [f"{lines} = {said_of(values[place])}" if lines != "theory" else str(values[place])] if lines else []
            )
            colour = COLOURS[(number if lines else row) % len(COLOURS)]
            where = tuple(spot for spot, wanted in ((row, theories), (place, lines)) if wanted)
            yield where, ", ".join(said), (colour, MARKERS[(row if lines else 0) % len(MARKERS)])


def _map(view: _View, x: str, y: str) -> Figure:
    found = view.found(view.free(x, y), [y, x])
    across, up = view.scale(x), view.scale(y)
    order = np.ix_(up.order, across.order)
    values, errors, _, failed, missing = (array[order] for array in found)
    share = np.abs(errors) / np.where(values == 0.0, np.nan, np.abs(values))
    noisy = not np.isnan(share).all()
    figure, axes = panels(1 + noisy)
    figure.set_size_inches(6.2 + 5.0 * noisy, 4.4)
    shades = [(values, view.label(), "viridis"), (share, "relative standard error", "magma")]
    for ax, (shade, label, colours) in zip(axes, shades):
        norm = _norm(shade)
        mesh = ax.pcolormesh(across.edges, up.edges, shade, cmap=colours, norm=norm, rasterized=shade.size > MOST_CELLS)
        bar = figure.colorbar(mesh, ax=ax, pad=0.03)
        bar.set_label(label, parse_math=False)
        across.put(ax.xaxis)
        up.put(ax.yaxis)
        _cells(ax, across, up, failed, {"facecolor": FAILED, "hatch": "////", "edgecolor": "0.45"})
        _cells(ax, across, up, missing, {"facecolor": MISSING, "edgecolor": MISSING})
        ax.set_xlim(across.edges[0], across.edges[-1])
        ax.set_ylim(up.edges[0], up.edges[-1])
    marks = {"failed": Patch(facecolor=FAILED, hatch="////", edgecolor="0.45")} if failed.any() else {}
    if missing.any():
        marks["not there"] = Patch(facecolor=MISSING, edgecolor="0.8")
    if marks:
        legend(axes[0], [(handle, name) for name, handle in marks.items()])
    return figure


def _cells(ax: Axes, across: _Scale, up: _Scale, which: np.ndarray, look: dict[str, Any]) -> None:
    boxes = [
        Rectangle(
            (across.edges[column], up.edges[row]),
            across.edges[column + 1] - across.edges[column],
            up.edges[row + 1] - up.edges[row],
        )
        for row, column in np.argwhere(which)
    ]
    if boxes:
        ax.add_collection(PatchCollection(boxes, linewidth=0.0, **look))


class _Scale:
    """Where the values of an axis are drawn: at themselves, logarithmically, or in a row where they are text."""

    def __init__(self, coordinate: xr.DataArray, time: str) -> None:
        values = coordinate.values
        self.label = name_of(str(coordinate.attrs.get("long_name", coordinate.name)), time)
        self.names = [str(value) for value in values] if values.dtype.kind not in "if" else None
        self.places = np.arange(values.size, dtype=float) if self.names else values.astype(float)
        self.order = np.argsort(self.places, kind="stable")
        self.log = not self.names and _geometric(self.places[self.order])
        self.edges = _edges(self.places[self.order], log=self.log)

    def put(self, line: Any) -> None:
        """Give an axis of a panel its scale, ticks and name."""
        if self.log:
            line._set_axes_scale("log")
        if self.names:
            long = len(self.names) * (max(map(len, self.names)) + 2) > LONGEST_NAMES and line.axis_name == "x"
            line.set_ticks(self.places, self.names)
            for text in line.get_ticklabels():
                formula = is_formula(text.get_text())
                text.set(parse_math=formula, **({"rotation": 30, "ha": "right"} if long else {}))
        elif not self.log and self.places.size <= MOST_TICKS:
            line.set_ticks(self.places, [said_of(value) for value in self.places])
        line.set_label_text(self.label, parse_math=is_formula(self.label))


def _geometric(values: np.ndarray) -> bool:
    """Tell whether steps in the logarithm are more alike than the steps themselves."""
    if values.size < 2 or values[0] <= 0.0 or values[-1] < SMALLEST_SPAN * values[0]:
        return False
    steps, ratios = np.diff(values), np.diff(np.log(values))
    return bool(ratios.std() / ratios.mean() < steps.std() / steps.mean() or values.size == 2)


def _edges(values: np.ndarray, *, log: bool) -> np.ndarray:
    """Put an edge halfway between neighbours, and as far beyond the ends."""
    at = np.log(values) if log else values
    if at.size == 1:
        half = 0.5 if log or at[0] == 0.0 else 0.5 * abs(at[0])
        edges = np.array([at[0] - half, at[0] + half])
    else:
        inner = 0.5 * (at[1:] + at[:-1])
        edges = np.concatenate([[2.0 * at[0] - inner[0]], inner, [2.0 * at[-1] - inner[-1]]])
    return np.exp(edges) if log else edges


def _norm(values: np.ndarray) -> Normalize:
    finite = values[np.isfinite(values)]
    if finite.size and finite.min() > 0.0 and finite.max() > STEEP * finite.min():
        return LogNorm(max(finite.min(), ROUNDING * finite.max()), finite.max())
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    low = 0.0 if 0.0 <= low < 0.5 * high else low
    return Normalize(low, high if high > low else low + 1.0)


def _heights(ax: Axes, found: Found) -> None:
    """Make the axis logarithmic where a linear one would hide the lower values."""
    values, law = found.values[np.isfinite(found.values)], found.law[np.isfinite(found.law)]
    if not values.size:
        return
    positive = values[values > 0.0]
    if values.min() >= 0.0 and positive.size > 0.5 * values.size and positive.max() > STEEP * np.median(positive) / 3.0:
        ax.set_yscale("log")
        low = max(positive.min(), ROUNDING * positive.max())
        low = min(low, law[law > low / STEEP].min(initial=low))
        ax.set_ylim(0.5 * low, 2.5 * positive.max())
    elif values.min() >= 0.0:
        spread = np.where(np.isfinite(found.errors), found.errors, 0.0)[np.isfinite(found.values)]
        top = max(float((values + spread).max()), float(law.max(initial=0.0)) if law.size else 0.0)
        ax.set_ylim(-0.015 * top, 1.06 * top if top > 0.0 else 1.0)


def _label(array: xr.DataArray, name: str) -> str:
    unit = str(array.attrs.get("units", "1")).replace("hbar", "ħ")
    return name if unit == "1" else f"{name} ({unit})"


def _close(value: float, wanted: Any) -> bool:
    return isinstance(wanted, (int, float)) and bool(np.isclose(value, wanted, rtol=1e-9, atol=0.0))
