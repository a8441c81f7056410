"""Pictures of a result, drawn with matplotlib's objects: pyplot is slow to import and keeps global state."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

from copydyn.comparison import compare
from copydyn.observables import mean_coherence
from copydyn.refusal import BadValue
from copydyn.result import check
from copydyn.systems.square_lattice import sides_of

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7A3E9D", "#6B6B6B")
"""Okabe and Ito's, which differ for every kind of colour vision, and two darker ones."""

MOST_LINES = len(COLOURS)
"""Labels beyond which profiles over the labels say more than lines over time."""

SCHRODINGER = "Schrödinger"

MOST_WIDTHS = 4
"""Broader lines would hide the axes."""

LEGEND_WIDTH = 130
"""Characters that fit side by side below both panels."""

MOST_NAMES = 32
"""Labels whose names fit side by side below an axis, upright."""

LONGEST_NAME = 12
"""Characters of a name that fit there."""

STEEP = 30.0
"""Ratio to the law beyond which a linear axis would hide the law."""

_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?")
"""A label that is a number, which 010 is not: it is a string of bits."""


def plot(
    result: xr.Dataset,
    reference: xr.Dataset | None = None,
    comparison: xr.Dataset | None = None,
    path: Path | str | None = None,
    title: str = "",
) -> Figure:
    """Draw the frequencies and, beside them, how far they are from the reference and what finite N gives.

    Few labels are lines over time, many are profiles at three times, those of a square lattice are maps at the last
    save time: ``plot(result.isel(time=[k]))`` draws another. Of phases that are not aligned the coherence is drawn too.

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
    mapped = _sides(result)
    shown = [result] if reference is None or mapped is None else [result, reference]
    panels = len(shown) + (comparison is not None) + ("coherence" in result)
    figure, axes = _panels(panels)
    if mapped is not None:
        _maps(axes[: len(shown)], shown, mapped)
    else:
        draw = _lines if _few(result) else _profiles
        draw(axes[0], result, reference)
    if comparison is not None:
        _deviation(axes[len(shown)], result, comparison)
    if "coherence" in result:
        _coherence(axes[-1], result)
    for ax in axes:
        if ax.get_legend_handles_labels()[0]:
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
    figure, (left, right, *rest) = _panels(2 + unaligned, height=4.4)
    draw = _label_of_theories if _few(reference) else _profiles_of_theories
    draw(left, results, reference)
    _deviations(right, comparisons)
    for ax in rest:
        _coherences(ax, results)
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


def _panels(number: int, height: float = 4.2) -> tuple[Figure, list[Axes]]:
    """Make a figure of panels side by side, each without the lines at its top and right."""
    width = 5.4 if number < 3 else 4.4
    figure = Figure(figsize=(width * number, height), dpi=144, layout="constrained")
    FigureCanvasAgg(figure)
    axes = list(figure.subplots(1, number, squeeze=False)[0])
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
    return figure, axes


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
    meaning = result["beable"].attrs["long_name"]
    ax.set(xlabel=_axis(result["time"]), xlim=(times[0], times[-1]))
    ax.set_ylabel(f"{_frequency(result)} by {meaning}", parse_math=False)
    _from_zero(ax, band)


def _profiles(ax: Axes, result: xr.Dataset, reference: xr.Dataset | None) -> None:
    """Frequencies over the labels, at the first, the middle and the last save time."""
    times, band = result["time"].values, _Band.of(result)
    labels = _along_labels(ax, result)
    marker = "o" if labels.size <= 40 else ""
    for colour, at in zip(COLOURS, sorted({0, (times.size - 1) // 2, times.size - 1})):
        mean, spread = band.mean[at], band.spread[at]
        ax.fill_between(labels, mean - spread, mean + spread, color=colour, alpha=0.25, linewidth=0)
        ax.plot(labels, mean, color=colour, linewidth=1.4, label=f"t = {times[at]:.4g}", marker=marker, markersize=3.0)
        if reference is not None:
            name = SCHRODINGER if at == 0 else None
            expected = reference["probability"].values[at]
            ax.plot(labels, expected, color="black", linewidth=0.8, dashes=(4, 3), label=name)
    ax.set_ylabel(_frequency(result))
    _from_zero(ax, band)


def _maps(axes: list[Axes], datasets: list[xr.Dataset], sides: tuple[int, int]) -> None:
    """Frequencies on a square lattice at the last save time, beside the reference's, in the same colours.

    The colours follow the square root, the modulus of the amplitude: fringes are seen beside bright spots.
    """
    last = [dataset["probability"].values[-1].reshape(sides).T for dataset in datasets]
    shades = PowerNorm(0.5, vmin=0.0, vmax=max(float(density.max()) for density in last))
    for ax, dataset, density in zip(axes, datasets, last):
        image = ax.imshow(density, origin="lower", cmap="viridis", norm=shades, interpolation="nearest")
        name = "n/N" if "frequency" in dataset else r"$|\psi|^2$"
        ax.set_title(f"{name} at t = {float(dataset['time'][-1]):.4g}", loc="left", fontsize="small")
        ax.set(xlabel="x (column)", ylabel="y (row)")
    axes[-1].figure.colorbar(image, ax=axes, shrink=0.7)


def _coherence(ax: Axes, result: xr.Dataset) -> None:
    """Coherence over time, of each of a few labels, or of all copies."""
    times = result["time"].values
    if _few(result):
        for number, label in enumerate(result["beable"].values):
            _banded(ax, times, *_scatter(result["coherence"][..., number]), _Style(COLOURS[number], 1.6), str(label))
    else:
        _banded(ax, times, *_scatter(mean_coherence(result)), _Style(COLOURS[0], 1.6), "all copies")
    _coherence_axis(ax, result)


def _coherences(ax: Axes, results: Mapping[str, xr.Dataset]) -> None:
    """Coherence over time, a mean over all copies, for each theory whose phases are not aligned."""
    for style, result in zip(_styles(len(results)), results.values()):
        if "coherence" in result:
            _banded(ax, result["time"].values, *_scatter(mean_coherence(result)), style)
            _coherence_axis(ax, result)


def _coherence_axis(ax: Axes, result: xr.Dataset) -> None:
    times = result["time"].values
    ax.set(xlabel=_axis(result["time"]), ylabel="coherence |Z|/n", ylim=(-0.015, 1.04))
    if times.size > 1:
        ax.set_xlim(times[0], times[-1])


def _scatter(values: xr.DataArray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation over the replicas (time,); of empty labels, which have no coherence, NaN."""
    spread = values.std("replica", ddof=1) if values.sizes["replica"] > 1 else 0.0 * values.mean("replica")
    return values.mean("replica").values, spread.values


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
    labels, last = _along_labels(ax, reference), float(reference["time"].values[-1])
    bands = [_Band.of(result) for result in results.values()]
    for style, band in zip(_styles(len(bands)), bands):
        _banded(ax, labels, band.mean[-1], band.spread[-1], style)
    expected = reference["probability"].values[-1]
    ax.plot(labels, expected, color="black", linewidth=0.8, dashes=(4, 3))
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


def _banded(
    ax: Axes, x: np.ndarray, mean: np.ndarray, spread: np.ndarray, style: _Style, label: str | None = None
) -> None:
    ax.fill_between(x, mean - spread, mean + spread, color=style.colour, alpha=0.25, linewidth=0)
    ax.plot(x, mean, color=style.colour, linewidth=style.width, label=label)


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
    alone = "one replica" if "counts" in result else "without noise"  # of infinitely many copies, or without any
    shown = f"mean of {replicas} replicas ± error" if replicas > 1 else alone
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


def _sides(result: xr.Dataset) -> tuple[int, int] | None:
    """Columns and rows of a square lattice with many sites, or None; a composite has joint labels that look alike."""
    return None if _few(result) or "parts" in result.attrs else sides_of(result["beable"].values.tolist())


def _along_labels(ax: Axes, result: xr.Dataset) -> np.ndarray:
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
        text.set_parse_math(False)


def _axis(coordinate: xr.DataArray) -> str:
    return f"{coordinate.attrs['long_name']} ({coordinate.attrs['units'].replace('hbar', 'ħ')})"


def _frequency(result: xr.Dataset) -> str:
    return "frequency n/N" if "frequency" in result else "probability"
