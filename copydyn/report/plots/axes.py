"""What all pictures share: colours, bands, and axes with their names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.mathtext import MathTextParser
from matplotlib.patches import Patch
from matplotlib.ticker import ScalarFormatter

from copydyn.results.result import with_replicas

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7A3E9D", "#6B6B6B")
"""Okabe and Ito's, which differ for every kind of colour vision, and two darker ones."""

MOST_LINES = len(COLOURS)
"""Labels beyond which profiles over the labels say more than lines over time."""

SCHRODINGER = "Schrödinger"

DEVIATION, ERROR = "± s.d.", "± s.e."
"""What bands are: the standard deviation over replicas, and the standard error of their mean."""

MOST_NAMES = 32
"""Labels whose names fit side by side below an axis, upright."""

LONGEST_NAME = 12
"""Characters of a name that fit there."""

STEEP = 30.0
"""Ratio beyond which a linear axis would hide the lower line."""

WIDTH, CHARACTERS, HANDLE = 5.0, 12.0, 6
"""Of a panel, in inches; how many characters of a legend fit into an inch, and as how many a handle counts."""

ROUNDING = 1e-12
"""Deviations of probabilities that are rounding and no result."""

_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?")
"""A label that is a number, which 010 is not: it is a string of bits."""

_FORMULA = re.compile(r"(?<!\\)\$(?P<formula>(?:\\.|[^$\\])*)(?<!\\)\$(?!\d)")
"""A formula as Pandoc has it, neither $5 nor 5 $: what stands between two dollars has no space at its ends."""


class Picture(Figure):
    """A figure whose fonts are embedded as TrueType in PDF and PostScript: journals refuse the outlines of Type 3."""

    def savefig(self, *args: Any, **kwargs: Any) -> None:
        """Save the figure, as `matplotlib.figure.Figure.savefig` does."""
        with rc_context({"pdf.fonttype": 42, "ps.fonttype": 42}):
            super().savefig(*args, **kwargs)


class Ticks(ScalarFormatter):
    """Numbers that are whole by themselves, 2e-7: a power or an offset at the end of the axis would hide the legend."""

    def __init__(self) -> None:
        super().__init__(useOffset=False)

    def __call__(self, x: float, pos: int | None = None) -> str:
        """Write the number of a tick."""
        power = super().get_offset().removeprefix("1") if x else ""
        return f"{super().__call__(x, pos)}{power}"

    def get_offset(self) -> str:
        """Write nothing at the end of the axis."""
        return ""


class Band(NamedTuple):
    """A mean and its standard deviation over replicas, float64 (time, beable)."""

    mean: np.ndarray
    spread: np.ndarray

    @classmethod
    def of(cls, result: xr.Dataset) -> Band:
        """Take the replicas that are there together; one alone does not spread."""
        if "frequency" not in result:
            return cls(result["probability"].values, np.zeros(result["probability"].shape))
        frequency = result["frequency"].values
        spread = frequency.std(axis=0, ddof=1) if len(frequency) > 1 else np.zeros(frequency.shape[1:])
        return cls(frequency.mean(axis=0), spread)


class Style(NamedTuple):
    """Of a line."""

    colour: str
    width: float


def panels(number: int, height: float = 4.2) -> tuple[Figure, list[Axes]]:
    """Make a figure of panels side by side, each without the lines at its top and right."""
    figure = Picture(figsize=(WIDTH * number, height), dpi=144, layout=ConstrainedLayoutEngine(w_pad=0.07))
    FigureCanvasAgg(figure)
    axes = list(figure.subplots(1, number, squeeze=False)[0])
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
        for line in (ax.xaxis, ax.yaxis):
            line.set_major_formatter(Ticks())
    return figure, axes


def banded(
    ax: Axes,
    x: np.ndarray,
    mean: np.ndarray,
    spread: np.ndarray,
    style: Style,
    label: str | None = None,
    *,
    most: float = np.inf,
    marker: str = "",
) -> None:
    """Draw a mean and, paler, its spread around it, cut where the quantity itself ends: at 0 and at ``most``.

    The edges of the band lie above the lines, so that those of others do not hide it.
    """
    ax.plot(x, mean, color=style.colour, linewidth=style.width, label=label, marker=marker, markersize=3.0)
    if np.any(spread > 0.0):
        low, high = np.maximum(mean - spread, 0.0), np.minimum(mean + spread, most)
        face, edge = to_rgba(style.colour, 0.22), to_rgba(style.colour, 0.6)
        ax.fill_between(x, low, high, facecolor=face, edgecolor=edge, linewidth=0.5, zorder=2.5)


def dashed(ax: Axes, x: np.ndarray, expected: np.ndarray, label: str | None = None) -> None:
    """Draw what is expected, above all else."""
    ax.plot(x, expected, color="black", linewidth=0.8, dashes=(4, 3), label=label, zorder=3.0)


def explain_band(ax: Axes, text: str, *others: tuple[Any, str]) -> None:
    """Say above the axes what a band is, if there is one, beside other entries (handle, text) of a legend."""
    handles, names = ax.get_legend_handles_labels()
    entries = [*zip(handles, names), *others]
    if ax.collections:
        entries.append((Patch(facecolor="0.5", alpha=0.4), text))
    entries.sort(key=lambda entry: entry[1] == SCHRODINGER)
    if entries:
        legend(ax, entries)


def headed(figure: Figure, title: str, **style: Any) -> None:
    """Give a figure its title."""
    figure.suptitle(title, parse_math=is_formula(title), **style)


def prepared(result: xr.Dataset) -> xr.Dataset:
    """Give a result of which one replica was chosen, or the mean taken, as one that can be drawn.

    What was lost on the way is put back: the dimension of the replicas, units and names. Of a mean only what a mean
    says is left: no spread over replicas, no ket, and for many labels no coherence, which weighs them.

    Raises
    ------
    BadType
        If it is not a Dataset.
    """
    whole = with_replicas(result)
    of_mean = is_mean(result)
    if of_mean:
        kept = ("frequency", "coherence") if few(result) else ("frequency",)
        of_replicas = [name for name, variable in whole.data_vars.items() if "replica" in variable.dims]
        whole = whole.drop_vars([name for name in of_replicas if name not in kept])
    return whole.assign_attrs(replicas=whole.sizes.get("replica", 1), averaged=int(of_mean))


def is_mean(result: xr.Dataset) -> bool:
    """Say whether a result has been averaged over its replicas: what is left of the frequencies is the probability."""
    if "frequency" not in result or "replica" in result["frequency"].dims or result.attrs.get("replicas", 2) == 1:
        return False
    return bool(np.allclose(result["frequency"], result["probability"], rtol=0.0, atol=ROUNDING))


def scatter(values: xr.DataArray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation over the replicas (time,); of empty labels, which have no coherence, NaN."""
    mean, there = values.mean("replica"), values.count("replica")
    if values.sizes["replica"] == 1:
        return mean.values, 0.0 * mean.values
    # by hand: xarray's own, before 2026.9, warns where less than two replicas are left
    squares = ((values - mean) ** 2).sum("replica") / (there - 1).where(there > 1)
    return mean.values, np.sqrt(squares.values)


def few(result: xr.Dataset) -> bool:
    """Say whether lines over time show the frequencies well."""
    return result.sizes["beable"] <= MOST_LINES and result.sizes["time"] > 1


def along_labels(ax: Axes, result: xr.Dataset) -> np.ndarray:
    """Make an axis of the labels and give their places: numbers at their own values, all others in a row."""
    labels, meaning = result["beable"].values, str(result["beable"].attrs["long_name"])
    places = np.arange(labels.size, dtype=float)
    values = labels.astype(float) if all(_NUMBER.fullmatch(label) for label in labels) else -places
    if np.all(np.diff(values) > 0.0):
        places = values
    elif labels.size <= MOST_NAMES and max(map(len, labels)) <= LONGEST_NAME:
        ax.set_xticks(places, labels, rotation=90, fontsize="small")
        for text in ax.get_xticklabels():
            text.set_parse_math(is_formula(text.get_text()))
    else:
        meaning = f"{meaning}, by number"
    ax.set_xlabel(meaning, parse_math=is_formula(meaning))
    ax.set_xlim(places[0] - 0.5, places[-1] + 0.5)
    return places


def from_zero(ax: Axes, *shown: Band | np.ndarray) -> None:
    """Leave a little room at both ends, so that a line at zero or one is seen whole."""
    tops = [min(float((one.mean + one.spread).max()), 1.0) if isinstance(one, Band) else one.max() for one in shown]
    ax.set_ylim(-0.015 * max(tops), 1.04 * max(tops))


def seen(values: np.ndarray, *, log: bool) -> np.ndarray:
    """Give deviations as they are drawn: rounding is nothing, and on a logarithmic axis nothing has no place."""
    return np.where(np.abs(values) < ROUNDING, np.nan if log else 0.0, values)


def nothing(name: str) -> str:
    """Name a line of nothing but rounding."""
    return f"{name}: below {ROUNDING:.0e}"


def coherence_axis(ax: Axes, result: xr.Dataset) -> None:
    """Make an axis from no coherence to all of it."""
    times = result["time"].values
    ax.set(xlabel=axis(result["time"]), ylabel="coherence |Z|/n", ylim=(-0.015, 1.04))
    if times.size > 1:
        ax.set_xlim(times[0], times[-1])


def entropy_axis(ax: Axes, result: xr.Dataset) -> None:
    """Make an axis of the entropy of an ensemble."""
    times = result["time"].values
    ax.set(xlabel=axis(result["time"]), ylabel="entropy S", ylim=(0.0, None))
    if times.size > 1:
        ax.set_xlim(times[0], times[-1])


def legend(ax: Axes, entries: Sequence[tuple[Any, str]]) -> None:
    """Put the legend above the axes, where it cannot hide a line."""
    handles, names = [handle for handle, _ in entries], [name for _, name in entries]
    drawn = ax.legend(
        handles,
        names,
        loc="lower left",
        bbox_to_anchor=(0.0, 1.0),
        ncols=columns_of(names, CHARACTERS * WIDTH),
        frameon=False,
        fontsize="small",
        borderpad=0.2,
        columnspacing=1.4,
    )
    for text in drawn.get_texts():
        text.set_parse_math(is_formula(text.get_text()))


def columns_of(names: Sequence[str], room: float) -> int:
    """Say in how many columns the entries of a legend fit side by side into ``room`` characters."""
    widths = [max(map(len, name.split("\n"))) + HANDLE for name in names]
    for number in range(len(names), 1, -1):
        if sum(max(column) for column in np.array_split(widths, number)) <= room:
            return number
    return 1


@lru_cache(maxsize=4096)
def is_formula(text: str) -> bool:
    """Say whether matplotlib can set the formulas in ``text``, and it has some; otherwise it is drawn as it stands."""
    formulas = [found["formula"] for found in _FORMULA.finditer(text)]
    rest = _FORMULA.sub("", text).replace(r"\$", "")
    if not formulas or "$" in rest or any(not formula or formula != formula.strip() for formula in formulas):
        return False
    try:
        MathTextParser("path").parse(text)
    except (ValueError, RecursionError):
        return False
    return True


def axis(coordinate: xr.DataArray) -> str:
    """Name an axis, with its unit."""
    return f"{coordinate.attrs['long_name']} ({coordinate.attrs['units'].replace('hbar', 'ħ')})"


def frequency(result: xr.Dataset) -> str:
    """Name what is drawn over time or labels."""
    return "frequency n/N" if "frequency" in result else "probability"
