"""What all pictures share: colours, bands, and axes with their names."""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7A3E9D", "#6B6B6B")
"""Okabe and Ito's, which differ for every kind of colour vision, and two darker ones."""

MOST_LINES = len(COLOURS)
"""Labels beyond which profiles over the labels say more than lines over time."""

SCHRODINGER = "Schrödinger"

MOST_NAMES = 32
"""Labels whose names fit side by side below an axis, upright."""

LONGEST_NAME = 12
"""Characters of a name that fit there."""

STEEP = 30.0
"""Ratio beyond which a linear axis would hide the lower line."""

_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?")
"""A label that is a number, which 010 is not: it is a string of bits."""


class Band(NamedTuple):
    """A mean and how far it spreads, float64 (time, beable)."""

    mean: np.ndarray
    spread: np.ndarray

    @classmethod
    def of(cls, result: xr.Dataset) -> Band:
        """Take the replicas together; one alone does not spread."""
        mean = result["probability"].values
        if "frequency" not in result or result.sizes["replica"] < 2:
            return cls(mean, np.zeros_like(mean))
        return cls(mean, result["frequency"].values.std(axis=0, ddof=1))


class Style(NamedTuple):
    """Of a line."""

    colour: str
    width: float


def panels(number: int, height: float = 4.2) -> tuple[Figure, list[Axes]]:
    """Make a figure of panels side by side, each without the lines at its top and right."""
    width = 5.4 if number < 3 else 4.4
    figure = Figure(figsize=(width * number, height), dpi=144, layout="constrained")
    FigureCanvasAgg(figure)
    axes = list(figure.subplots(1, number, squeeze=False)[0])
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
    return figure, axes


def banded(
    ax: Axes, x: np.ndarray, mean: np.ndarray, spread: np.ndarray, style: Style, label: str | None = None
) -> None:
    """Draw a mean and, paler, one standard deviation around it."""
    ax.fill_between(x, mean - spread, mean + spread, color=style.colour, alpha=0.25, linewidth=0)
    ax.plot(x, mean, color=style.colour, linewidth=style.width, label=label)


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
        ax.set_xticks(places, labels, rotation=90, fontsize="small", parse_math=False)
    else:
        meaning = f"{meaning}, by number"
    ax.set_xlabel(meaning, parse_math=False)
    ax.set_xlim(places[0] - 0.5, places[-1] + 0.5)
    return places


def from_zero(ax: Axes, *bands: Band) -> None:
    """Leave a little room at both ends, so that a line at zero or one is seen whole."""
    top = max(float((band.mean + band.spread).max()) for band in bands)
    ax.set_ylim(-0.015 * top, 1.04 * top)


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


def legend(ax: Axes) -> None:
    """Put the legend above the axes, where it cannot hide a line."""
    entries = dict(sorted(zip(*reversed(ax.get_legend_handles_labels())), key=lambda entry: entry[0] == SCHRODINGER))
    legend = ax.legend(
        entries.values(),
        entries.keys(),
        loc="lower left",
        bbox_to_anchor=(0.0, 1.0),
        ncols=min(len(entries), 5),
        frameon=False,
        fontsize="small",
        borderpad=0.2,
    )
    for text in legend.get_texts():
        text.set_parse_math(False)


def axis(coordinate: xr.DataArray) -> str:
    """Name an axis, with its unit."""
    return f"{coordinate.attrs['long_name']} ({coordinate.attrs['units'].replace('hbar', 'ħ')})"


def frequency(result: xr.Dataset) -> str:
    """Name what is drawn over time or labels."""
    return "frequency n/N" if "frequency" in result else "probability"
