"""The picture of several theories side by side."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from copydyn.comparison import compare
from copydyn.observables import mean_coherence
from copydyn.plots.axes import (
    COLOURS,
    SCHRODINGER,
    STEEP,
    Band,
    Style,
    along_labels,
    axis,
    banded,
    coherence_axis,
    entropy_axis,
    few,
    from_zero,
    panels,
    scatter,
)
from copydyn.refusal import BadValue
from copydyn.result import check

MOST_WIDTHS = 4
"""Broader lines would hide the axes."""

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
        text.set_parse_math(False)
    figure.suptitle(title or str(reference.attrs.get("system", "")), parse_math=False)
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
        banded(ax, times, band.mean[:, number], band.spread[:, number], style)
    ax.plot(times, expected[:, number], color="black", linewidth=0.8, dashes=(4, 3))
    label = f"{reference['beable'].attrs['long_name']} {reference['beable'].values[number]}"
    ax.set(xlabel=axis(reference["time"]), xlim=(times[0], times[-1]))
    ax.set_ylabel(f"frequency of {label}", parse_math=False)
    from_zero(ax, *(Band(band.mean[:, [number]], band.spread[:, [number]]) for band in bands))


def _profiles_of_theories(ax: Axes, results: Mapping[str, xr.Dataset], reference: xr.Dataset) -> None:
    """Frequencies over the labels at the last save time."""
    labels, last = along_labels(ax, reference), float(reference["time"].values[-1])
    bands = [Band.of(result) for result in results.values()]
    for style, band in zip(_styles(len(bands)), bands):
        banded(ax, labels, band.mean[-1], band.spread[-1], style)
    expected = reference["probability"].values[-1]
    ax.plot(labels, expected, color="black", linewidth=0.8, dashes=(4, 3))
    ax.set_ylabel(f"frequency at t = {last:.4g}")
    from_zero(ax, *(Band(band.mean[-1:], band.spread[-1:]) for band in bands))


def _deviations(ax: Axes, comparisons: Mapping[str, xr.Dataset]) -> None:
    """Largest deviation of any label over time, for each theory."""
    largest = []
    for style, comparison in zip(_styles(len(comparisons)), comparisons.values()):
        times, mean = comparison["time"].values, comparison["max_deviation"].values
        error = np.nan_to_num(comparison["max_deviation_error"].values)
        banded(ax, times, mean, error, style)
        largest.append(mean.max())
    ax.set(xlabel=axis(comparison["time"]), ylabel=r"max deviation from $|\psi|^2$")
    if times.size > 1:
        ax.set_xlim(times[0], times[-1])
    if max(largest) > STEEP * min(largest) > 0.0:
        ax.set_yscale("log")
        ax.set_ylim(1e-2 * min(largest), 3.0 * max(largest))
    else:
        ax.set_ylim(bottom=0.0)


def _coherences(ax: Axes, results: Mapping[str, xr.Dataset]) -> None:
    """Coherence over time, a mean over all copies, for each theory whose phases are not aligned."""
    for style, result in zip(_styles(len(results)), results.values()):
        if "coherence" in result:
            banded(ax, result["time"].values, *scatter(mean_coherence(result)), style)
            coherence_axis(ax, result)


def _entropies(ax: Axes, results: Mapping[str, xr.Dataset]) -> None:
    """Entropy over time of each ensemble that has one; dashed, that of its equilibrium where it is said."""
    for style, result in zip(_styles(len(results)), results.values()):
        if "entropy" in result:
            ax.plot(result["time"].values, result["entropy"].values, color=style.colour, linewidth=style.width)
            if "window_entropy" in result.attrs:
                ax.axhline(float(result.attrs["window_entropy"]), color=style.colour, linewidth=0.8, dashes=(4, 3))
    entropy_axis(ax, next(iter(results.values())))


def _styles(number: int) -> list[Style]:
    """Give each theory a colour, and the earlier ones broader lines: where all agree, each is still seen."""
    return [
        Style(COLOURS[which % len(COLOURS)], 1.4 + 1.1 * min(number - 1 - which, MOST_WIDTHS))
        for which in range(number)
    ]
