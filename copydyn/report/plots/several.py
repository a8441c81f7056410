"""The picture of several theories side by side."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from copydyn.comparison.compare import compare
from copydyn.refusal import BadValue
from copydyn.report.plots.axes import (
    COLOURS,
    DEVIATION,
    ERROR,
    ROUNDING,
    SCHRODINGER,
    STEEP,
    Band,
    Style,
    along_labels,
    axis,
    banded,
    coherence_axis,
    dashed,
    entropy_axis,
    explain_band,
    few,
    from_zero,
    headed,
    is_formula,
    nothing,
    panels,
    prepared,
    scatter,
    seen,
)
from copydyn.results.observables import mean_coherence
from copydyn.results.result import check
from copydyn.wording import said_of

MOST_WIDTHS = 3
"""Broader lines would hide the bands."""

LEGEND_WIDTH = 130
"""Characters that fit side by side below both panels."""


def plot_theories(
    results: Mapping[str, xr.Dataset],
    reference: xr.Dataset,
    comparisons: Mapping[str, xr.Dataset] | None = None,
    path: Path | str | None = None,
    title: str = "",
) -> Figure:
    """Draw the frequencies of several theories and, beside them, how far each is from the reference.

    Bands are as in `plot`, and each panel says what its own are.

    Parameters
    ----------
    results : mapping of str to Dataset
        By the name of the theory, all for one experiment. With few labels, the frequency over time of that label which
        any theory misses most; with many, all frequencies at the last save time. Where the phases of one are not
        aligned, its coherence is drawn too, as a mean over all copies.
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
    results, reference = {name: prepared(result) for name, result in results.items()}, prepared(reference)
    for dataset in (*results.values(), reference):
        check(dataset)
    if comparisons is None:
        comparisons = {name: compare(result, reference) for name, result in results.items()}
    unaligned = any("coherence" in result for result in results.values())
    disordered = any("entropy" in result for result in results.values())
    figure, (left, right, *rest) = panels(2 + unaligned + disordered, height=4.4)
    draw = _label_of_theories if few(reference) else _profiles_of_theories
    draw(left, results, reference)
    _deviations(right, comparisons)
    if unaligned:
        _coherences(rest[0], results)
    if disordered:
        _entropies(rest[-1], results)
    names = [*results, SCHRODINGER]
    fitting = max(1, LEGEND_WIDTH // (max(map(len, names)) + 6))
    columns = min(fitting, len(names))
    lines = left.get_lines()
    legend = figure.legend(lines, names, loc="outside lower center", ncols=columns, frameon=False, fontsize="small")
    for text in legend.get_texts():
        text.set_parse_math(is_formula(text.get_text()))
    headed(figure, title or str(reference.attrs.get("system", "")))
    if path is not None:
        figure.savefig(path)
    return figure


def _label_of_theories(ax: Axes, results: Mapping[str, xr.Dataset], reference: xr.Dataset) -> None:
    """Frequency over time of the label which any theory misses most."""
    times, expected = reference["time"].values, reference["probability"].values
    bands = [Band.of(result) for result in results.values()]
    missed = max((np.abs(band.mean - expected).max(axis=0) for band in bands), key=np.max)
    number = int(np.argmax(missed))
    for style, band in zip(_styles(len(bands)), bands):
        banded(ax, times, band.mean[:, number], band.spread[:, number], style, most=1.0)
    dashed(ax, times, expected[:, number])
    label = f"{reference['beable'].attrs['long_name']} {reference['beable'].values[number]}"
    ax.set(xlabel=axis(reference["time"]), xlim=(times[0], times[-1]))
    named = f"{_quantity(results)} of {label}"
    ax.set_ylabel(named, parse_math=is_formula(named))
    from_zero(ax, *(Band(band.mean[:, [number]], band.spread[:, [number]]) for band in bands), expected[:, number])
    explain_band(ax, DEVIATION)


def _profiles_of_theories(ax: Axes, results: Mapping[str, xr.Dataset], reference: xr.Dataset) -> None:
    """Frequencies over the labels at the last save time."""
    labels, last = along_labels(ax, reference), reference["time"].values[-1]
    bands = [Band.of(result) for result in results.values()]
    for style, band in zip(_styles(len(bands)), bands):
        banded(ax, labels, band.mean[-1], band.spread[-1], style, most=1.0)
    expected = reference["probability"].values[-1]
    dashed(ax, labels, expected)
    ax.set_ylabel(f"{_quantity(results)} at t = {said_of(last)}")
    from_zero(ax, *(Band(band.mean[-1:], band.spread[-1:]) for band in bands), expected)
    explain_band(ax, DEVIATION)


def _quantity(results: Mapping[str, xr.Dataset]) -> str:
    return "frequency" if any("frequency" in result for result in results.values()) else "probability"


def _deviations(ax: Axes, comparisons: Mapping[str, xr.Dataset]) -> None:
    """Largest deviation of any label over time, for each theory."""
    largest = [float(comparison["max_deviation"].max()) for comparison in comparisons.values()]
    results = [value for value in largest if value >= ROUNDING]
    log = bool(results) and max(results) > STEEP * min(results)
    others = []
    for style, (name, comparison), most in zip(_styles(len(comparisons)), comparisons.items(), largest):
        times, mean = comparison["time"].values, comparison["max_deviation"].values
        error = np.nan_to_num(comparison["max_deviation_error"].values)
        banded(ax, times, seen(mean, log=log), error, style)
        if most < ROUNDING:
            others.append((Line2D([], [], color=style.colour, linewidth=style.width), nothing(name)))
    ax.set(xlabel=axis(comparison["time"]), ylabel=r"max deviation from $|\psi|^2$")
    if times.size > 1:
        ax.set_xlim(times[0], times[-1])
    if log:
        ax.set_yscale("log")
        ax.set_ylim(1e-2 * min(results), 3.0 * max(results))
    elif results:
        ax.set_ylim(bottom=0.0)
    else:
        ax.set_ylim(-0.015, 1.04)
    explain_band(ax, ERROR, *others)


def _coherences(ax: Axes, results: Mapping[str, xr.Dataset]) -> None:
    """Coherence over time, a mean over all copies, for each theory whose phases are not aligned."""
    for style, result in zip(_styles(len(results)), results.values()):
        if "coherence" in result:
            banded(ax, result["time"].values, *scatter(mean_coherence(result)), style, most=1.0)
            coherence_axis(ax, result)
    explain_band(ax, DEVIATION)


def _entropies(ax: Axes, results: Mapping[str, xr.Dataset]) -> None:
    """Entropy over time of each ensemble that has one; dashed, that of its equilibrium where it is said."""
    for style, result in zip(_styles(len(results)), results.values()):
        if "entropy" in result:
            ax.plot(result["time"].values, result["entropy"].values, color=style.colour, linewidth=style.width)
            if "window_entropy" in result.attrs:
                ax.axhline(float(result.attrs["window_entropy"]), color=style.colour, linewidth=0.8, dashes=(4, 3))
    entropy_axis(ax, next(iter(results.values())))
    levels = any("window_entropy" in result.attrs for result in results.values())
    level = Line2D([], [], color="0.3", linewidth=0.8, dashes=(4, 3))
    explain_band(ax, "", *([(level, "equilibrium of each")] if levels else []))


def _styles(number: int) -> list[Style]:
    """Give each theory a colour, and the earlier ones broader lines: where all agree, each is still seen."""
    return [
        Style(COLOURS[which % len(COLOURS)], 1.2 + 0.5 * min(number - 1 - which, MOST_WIDTHS))
        for which in range(number)
    ]
