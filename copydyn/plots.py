"""Pictures of a result, drawn with matplotlib's objects: pyplot is slow to import and keeps global state."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from copydyn.comparison import compare
from copydyn.refusal import BadValue
from copydyn.result import check

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7A3E9D", "#6B6B6B")
"""Okabe and Ito's, which differ for every kind of colour vision, and two darker ones."""

MOST_LINES = len(COLOURS)
"""Labels beyond which profiles over the labels say more than lines over time."""

SCHRODINGER = "Schrödinger"

MOST_WIDTHS = 4
"""Broader lines would hide the axes."""

LEGEND_WIDTH = 130
"""Characters that fit side by side below both panels."""

STEEP = 30.0
"""Ratio to the law beyond which a linear axis would hide the law."""


def plot(
    result: xr.Dataset,
    reference: xr.Dataset | None = None,
    comparison: xr.Dataset | None = None,
    path: Path | str | None = None,
    title: str = "",
) -> Figure:
    """Draw the frequencies and, beside them, how far they are from the reference and what finite N gives.

    Parameters
    ----------
    result : Dataset
        Of a theory's ``evolve`` or of `copydyn.copysolve`.
    reference : Dataset, optional
        Of `copydyn.theories.Schrodinger`, for the same experiment.
    comparison : Dataset, optional
        Of `copydyn.compare`; made here from ``reference`` where it is not given.
    path : optional
        Where to save the figure; the suffix says as what.
    title : str
        The system's name by default.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    BadType, BadValue
        If ``result`` or ``reference`` is no result, or they belong to different experiments.
    """
    for dataset in (result, reference):
        if dataset is not None:
            check(dataset)
    if comparison is None and reference is not None:
        comparison = compare(result, reference)
    panels = 1 if comparison is None else 2
    figure = Figure(figsize=(5.4 * panels, 4.2), dpi=144, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, panels, squeeze=False)[0]
    draw = _lines if _few(result) else _profiles
    draw(axes[0], result, reference)
    if comparison is not None:
        _deviation(axes[1], result, comparison)
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
        _legend(ax)
    figure.suptitle(title or str(result.attrs.get("system", "")), parse_math=False)
    if path is not None:
        figure.savefig(path)
    return figure


def plot_theories(
    results: Mapping[str, xr.Dataset],
    reference: xr.Dataset,
    comparisons: Mapping[str, xr.Dataset] | None = None,
    path: Path | str | None = None,
    title: str = "",
) -> Figure:
    """Draw the frequencies of several theories and, beside them, how far each is from the reference.

    Parameters
    ----------
    results : mapping of str to Dataset
        By the name of the theory, all for one experiment. With few labels, the frequency over time of that label which
        any theory misses most; with many, all frequencies at the last save time.
    reference : Dataset
        Of `copydyn.theories.Schrodinger`, for the same experiment.
    comparisons : mapping of str to Dataset, optional
        Of `copydyn.compare`, by the same names; made here where they are not given.
    path, title
        See `plot`.

    Raises
    ------
    BadType, BadValue
        If there is nothing to draw, if something is no result, or if they belong to different experiments.
    """
    if not results:
        raise BadValue("results must hold at least one result, but are empty.")
    for dataset in (*results.values(), reference):
        check(dataset)
    if comparisons is None:
        comparisons = {name: compare(result, reference) for name, result in results.items()}
    figure = Figure(figsize=(10.8, 4.4), dpi=144, layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    draw = _label_of_theories if _few(reference) else _profiles_of_theories
    draw(left, results, reference)
    _deviations(right, comparisons)
    for ax in (left, right):
        ax.spines[["top", "right"]].set_visible(False)
    names = [*results, SCHRODINGER]
    fitting = max(1, LEGEND_WIDTH // (max(map(len, names)) + 6))
    columns = min(fitting, len(names))
    lines = left.get_lines()
    legend = figure.legend(lines, names, loc="outside lower center", ncols=columns, frameon=False, fontsize="small")
    for text in legend.get_texts():
        text.set_parse_math(False)
    figure.suptitle(title or str(reference.attrs.get("system", "")), parse_math=False)
    if path is not None:
        figure.savefig(path)
    return figure


class _Band(NamedTuple):
    """A mean and how far it spreads, float64 (time, beable)."""

    mean: np.ndarray
    spread: np.ndarray

    @classmethod
    def of(cls, result: xr.Dataset) -> _Band:
        mean = result["probability"].values
        if "frequency" not in result or result.sizes["replica"] < 2:
            return cls(mean, np.zeros_like(mean))
        return cls(mean, result["frequency"].values.std(axis=0, ddof=1))


def _lines(ax: Axes, result: xr.Dataset, reference: xr.Dataset | None) -> None:
    """Frequencies of all labels over time."""
    times, band = result["time"].values, _Band.of(result)
    for number, label in enumerate(result["beable"].values):
        mean, spread, colour = band.mean[:, number], band.spread[:, number], COLOURS[number]
        ax.fill_between(times, mean - spread, mean + spread, color=colour, alpha=0.25, linewidth=0)
        ax.plot(times, mean, color=colour, linewidth=1.6, label=str(label))
    if reference is not None:
        expected = reference["probability"].values
        for number in range(expected.shape[1]):
            name = SCHRODINGER if number == 0 else None
            ax.plot(times, expected[:, number], color="black", linewidth=0.8, dashes=(4, 3), label=name)
    ax.set(xlabel=_axis(result["time"]), ylabel=_frequency(result), xlim=(times[0], times[-1]))
    _from_zero(ax, band)


def _profiles(ax: Axes, result: xr.Dataset, reference: xr.Dataset | None) -> None:
    """Frequencies over the labels, at the first, the middle and the last save time."""
    times, band = result["time"].values, _Band.of(result)
    labels = np.arange(result.sizes["beable"])
    marker = "o" if labels.size <= 40 else ""
    for colour, at in zip(COLOURS, sorted({0, (times.size - 1) // 2, times.size - 1})):
        mean, spread = band.mean[at], band.spread[at]
        ax.fill_between(labels, mean - spread, mean + spread, color=colour, alpha=0.25, linewidth=0)
        ax.plot(labels, mean, color=colour, linewidth=1.4, label=f"t = {times[at]:.4g}", marker=marker, markersize=3.0)
        if reference is not None:
            name = SCHRODINGER if at == 0 else None
            expected = reference["probability"].values[at]
            ax.plot(labels, expected, color="black", linewidth=0.8, dashes=(4, 3), label=name)
    ax.set_xlabel(str(result["beable"].attrs["long_name"]), parse_math=False)
    ax.set(ylabel=_frequency(result), xlim=(-0.5, labels[-1] + 0.5))
    _from_zero(ax, band)


def _label_of_theories(ax: Axes, results: Mapping[str, xr.Dataset], reference: xr.Dataset) -> None:
    """Frequency over time of the label which any theory misses most."""
    times, expected = reference["time"].values, reference["probability"].values
    bands = [_Band.of(result) for result in results.values()]
    missed = max((np.abs(band.mean - expected).max(axis=0) for band in bands), key=np.max)
    number = int(np.argmax(missed))
    for style, band in zip(_styles(len(bands)), bands):
        _banded(ax, times, band.mean[:, number], band.spread[:, number], style)
    ax.plot(times, expected[:, number], color="black", linewidth=0.8, dashes=(4, 3))
    label = f"{reference['beable'].attrs['long_name']} {reference['beable'].values[number]}"
    ax.set(xlabel=_axis(reference["time"]), xlim=(times[0], times[-1]))
    ax.set_ylabel(f"frequency of {label}", parse_math=False)
    _from_zero(ax, *(_Band(band.mean[:, [number]], band.spread[:, [number]]) for band in bands))


def _profiles_of_theories(ax: Axes, results: Mapping[str, xr.Dataset], reference: xr.Dataset) -> None:
    """Frequencies over the labels at the last save time."""
    labels, last = np.arange(reference.sizes["beable"]), float(reference["time"].values[-1])
    bands = [_Band.of(result) for result in results.values()]
    for style, band in zip(_styles(len(bands)), bands):
        _banded(ax, labels, band.mean[-1], band.spread[-1], style)
    expected = reference["probability"].values[-1]
    ax.plot(labels, expected, color="black", linewidth=0.8, dashes=(4, 3))
    ax.set_xlabel(str(reference["beable"].attrs["long_name"]), parse_math=False)
    ax.set(xlim=(-0.5, labels[-1] + 0.5))
    ax.set_ylabel(f"frequency at t = {last:.4g}")
    _from_zero(ax, *(_Band(band.mean[-1:], band.spread[-1:]) for band in bands))


def _deviations(ax: Axes, comparisons: Mapping[str, xr.Dataset]) -> None:
    """Largest deviation of any label over time, for each theory."""
    largest = []
    for style, comparison in zip(_styles(len(comparisons)), comparisons.values()):
        times, mean = comparison["time"].values, comparison["max_deviation"].values
        error = np.nan_to_num(comparison["max_deviation_error"].values)
        _banded(ax, times, mean, error, style)
        largest.append(mean.max())
    ax.set(xlabel=_axis(comparison["time"]), ylabel=r"max deviation from $|\psi|^2$")
    if times.size > 1:
        ax.set_xlim(times[0], times[-1])
    if max(largest) > STEEP * min(largest) > 0.0:
        ax.set_yscale("log")
        ax.set_ylim(1e-2 * min(largest), 3.0 * max(largest))
    else:
        ax.set_ylim(bottom=0.0)


class _Style(NamedTuple):
    colour: str
    width: float


def _styles(number: int) -> list[_Style]:
    """Give each theory a colour, and the earlier ones broader lines: where all agree, each is still seen."""
    return [
        _Style(COLOURS[which % len(COLOURS)], 1.4 + 1.1 * min(number - 1 - which, MOST_WIDTHS))
        for which in range(number)
    ]


def _banded(ax: Axes, x: np.ndarray, mean: np.ndarray, spread: np.ndarray, style: _Style) -> None:
    ax.fill_between(x, mean - spread, mean + spread, color=style.colour, alpha=0.25, linewidth=0)
    ax.plot(x, mean, color=style.colour, linewidth=style.width)


def _deviation(ax: Axes, result: xr.Dataset, comparison: xr.Dataset) -> None:
    """N times the infidelity against its law, or where there is none the total variation."""
    times = comparison["time"].values
    law = comparison["predicted_infidelity"].values if "predicted_infidelity" in comparison else np.array([np.inf])
    lawful = "infidelity" in comparison and bool(np.all(np.isfinite(law)))
    name, label, scale = "total_variation", r"total variation from $|\psi|^2$", 1.0
    if lawful:
        name, label, scale = "infidelity", "N × infidelity", float(result.attrs["copies"])
        ax.plot(times, scale * law, color="black", linewidth=1.2, dashes=(4, 3), label="law of finite N")
    mean, error = (scale * comparison[variable].values for variable in (name, f"{name}_error"))
    error = np.nan_to_num(error)
    replicas = int(result.attrs.get("replicas", 1))
    shown = f"mean of {replicas} replicas ± error" if replicas > 1 else "one replica"
    ax.fill_between(times, mean - error, mean + error, color=COLOURS[0], alpha=0.3, linewidth=0)
    ax.plot(times, mean, color=COLOURS[0], linewidth=1.6, label=shown)
    ax.set(xlabel=_axis(comparison["time"]), ylabel=label)
    if times.size > 1:
        ax.set_xlim(times[0], times[-1])
    if lawful and mean.max() > STEEP * scale * law.max() > 0.0:
        ax.set_yscale("log")
        ax.set_ylim(1e-3 * scale * law.max(), 3.0 * mean.max())  # below lies the rounding of the start
    else:
        ax.set_ylim(bottom=0.0)


def _few(result: xr.Dataset) -> bool:
    """Say whether lines over time show the frequencies well."""
    return result.sizes["beable"] <= MOST_LINES and result.sizes["time"] > 1


def _from_zero(ax: Axes, *bands: _Band) -> None:
    """Leave a little room at both ends, so that a line at zero or one is seen whole."""
    top = max(float((band.mean + band.spread).max()) for band in bands)
    ax.set_ylim(-0.015 * top, 1.04 * top)


def _legend(ax: Axes) -> None:
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
        text.set_parse_math(False)  # a label may hold any signs


def _axis(coordinate: xr.DataArray) -> str:
    return f"{coordinate.attrs['long_name']} ({coordinate.attrs['units'].replace('hbar', 'ħ')})"


def _frequency(result: xr.Dataset) -> str:
    return "frequency n/N" if "frequency" in result else "probability"
