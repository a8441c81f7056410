"""The picture of one theory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
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
    frequency,
    from_zero,
    legend,
    panels,
    scatter,
)
from copydyn.result import check
from copydyn.systems.square_lattice import sides_of


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
    more = [draw for name, draw in (("coherence", _coherence), ("entropy", _entropy)) if name in result]
    figure, axes = panels(len(shown) + (comparison is not None) + len(more))
    if mapped is not None:
        _maps(axes[: len(shown)], shown, mapped)
    else:
        draw = _lines if few(result) else _profiles
        draw(axes[0], result, reference)
    if comparison is not None:
        _deviation(axes[len(shown)], result, comparison)
    for draw_more, ax in zip(more, axes[len(axes) - len(more) :]):
        draw_more(ax, result)
    for ax in axes:
        if ax.get_legend_handles_labels()[0]:
            legend(ax)
    figure.suptitle(title or str(result.attrs.get("system", "")), parse_math=False)
    if path is not None:
        figure.savefig(path)
    return figure


def _lines(ax: Axes, result: xr.Dataset, reference: xr.Dataset | None) -> None:
    """Frequencies of all labels over time."""
    times, band = result["time"].values, Band.of(result)
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
    ax.set(xlabel=axis(result["time"]), xlim=(times[0], times[-1]))
    ax.set_ylabel(f"{frequency(result)} by {meaning}", parse_math=False)
    from_zero(ax, band)


def _profiles(ax: Axes, result: xr.Dataset, reference: xr.Dataset | None) -> None:
    """Frequencies over the labels, at the first, the middle and the last save time."""
    times, band = result["time"].values, Band.of(result)
    labels = along_labels(ax, result)
    marker = "o" if labels.size <= 40 else ""
    for colour, at in zip(COLOURS, sorted({0, (times.size - 1) // 2, times.size - 1})):
        mean, spread = band.mean[at], band.spread[at]
        ax.fill_between(labels, mean - spread, mean + spread, color=colour, alpha=0.25, linewidth=0)
        ax.plot(labels, mean, color=colour, linewidth=1.4, label=f"t = {times[at]:.4g}", marker=marker, markersize=3.0)
        if reference is not None:
            name = SCHRODINGER if at == 0 else None
            expected = reference["probability"].values[at]
            ax.plot(labels, expected, color="black", linewidth=0.8, dashes=(4, 3), label=name)
    ax.set_ylabel(frequency(result))
    from_zero(ax, band)


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
    if few(result):
        for number, label in enumerate(result["beable"].values):
            banded(ax, times, *scatter(result["coherence"][..., number]), Style(COLOURS[number], 1.6), str(label))
    else:
        banded(ax, times, *scatter(mean_coherence(result)), Style(COLOURS[0], 1.6), "all copies")
    coherence_axis(ax, result)


def _entropy(ax: Axes, result: xr.Dataset) -> None:
    """Entropy of the ensemble over time, and that of its equilibrium where it is said."""
    ax.plot(result["time"].values, result["entropy"].values, color=COLOURS[0], linewidth=1.6, label="ensemble")
    if "window_entropy" in result.attrs:
        ax.axhline(float(result.attrs["window_entropy"]), color="black", linewidth=0.8, dashes=(4, 3), label="of chi")
    entropy_axis(ax, result)


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
    ax.set(xlabel=axis(comparison["time"]), ylabel=label)
    if times.size > 1:
        ax.set_xlim(times[0], times[-1])
    if lawful and mean.max() > STEEP * scale * law.max() > 0.0:
        ax.set_yscale("log")
        ax.set_ylim(1e-3 * scale * law.max(), 3.0 * mean.max())  # below lies the rounding of the start
    else:
        ax.set_ylim(bottom=0.0)


def _sides(result: xr.Dataset) -> tuple[int, int] | None:
    """Columns and rows of a square lattice with many sites, or None; a composite has joint labels that look alike."""
    return None if few(result) or "parts" in result.attrs else sides_of(result["beable"].values.tolist())
