"""Pictures of a result, drawn with matplotlib's objects: pyplot is slow to import and keeps global state."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from copydyn import result as results
from copydyn.comparison import compare

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7A3E9D", "#6B6B6B")
"""Okabe and Ito's, which differ for every kind of colour vision, and two darker ones."""

MOST_LINES = len(COLOURS)
"""Labels beyond which profiles over the labels say more than lines over time."""

SCHRODINGER = "Schrödinger"

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
            results.check(dataset)
    if comparison is None and reference is not None:
        comparison = compare(result, reference)
    panels = 1 if comparison is None else 2
    figure = Figure(figsize=(5.4 * panels, 4.2), dpi=144, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, panels, squeeze=False)[0]
    draw = _lines if result.sizes["beable"] <= MOST_LINES and result.sizes["time"] > 1 else _profiles
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
    ax.set(xlabel=str(result["beable"].attrs["long_name"]), ylabel=_frequency(result), xlim=(-0.5, labels[-1] + 0.5))
    _from_zero(ax, band)


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


def _from_zero(ax: Axes, band: _Band) -> None:
    """Leave a little room at both ends, so that a line at zero or one is seen whole."""
    top = float((band.mean + band.spread).max())
    ax.set_ylim(-0.015 * top, 1.04 * top)


def _legend(ax: Axes) -> None:
    """Put the legend above the axes, where it cannot hide a line."""
    entries = dict(sorted(zip(*reversed(ax.get_legend_handles_labels())), key=lambda entry: entry[0] == SCHRODINGER))
    ax.legend(
        entries.values(),
        entries.keys(),
        loc="lower left",
        bbox_to_anchor=(0.0, 1.0),
        ncols=min(len(entries), 5),
        frameon=False,
        fontsize="small",
        borderpad=0.2,
    )


def _axis(coordinate: xr.DataArray) -> str:
    return f"{coordinate.attrs['long_name']} ({coordinate.attrs['units'].replace('hbar', 'ħ')})"


def _frequency(result: xr.Dataset) -> str:
    return "frequency n/N" if "frequency" in result else "probability"
