"""The picture of one theory."""

from __future__ import annotations

import textwrap
from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from copydyn.comparison.compare import compare
from copydyn.experiment.square_sites import sides_of
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
    frequency,
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

NOTE = 50
"""Characters of a line that says why there is no law."""


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
    Bands are standard deviations over replicas (n - 1 in the denominator), around distances standard errors of their
    means; the legends say so. Names in mathtext, such as ``$|g\\rangle$``, are set as formulas where they are some.

    Parameters
    ----------
    result : Dataset
        Of a theory's ``evolve`` or of `copydyn.copysolve`; also one replica of it, ``result.isel(replica=0)``, or the
        mean over them, ``result.mean("replica")``.
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
    result, reference = prepared(result), None if reference is None else prepared(reference)
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
    headed(figure, title or str(result.attrs.get("system", "")))
    if path is not None:
        figure.savefig(path)
    return figure


def _lines(ax: Axes, result: xr.Dataset, reference: xr.Dataset | None) -> None:
    """Frequencies of all labels over time."""
    times, band, shown = result["time"].values, Band.of(result), []
    for number, label in enumerate(result["beable"].values):
        style = Style(COLOURS[number], 1.4)
        banded(ax, times, band.mean[:, number], band.spread[:, number], style, str(label), most=1.0)
    if reference is not None:
        shown.append(reference["probability"].values)
        for number in range(shown[0].shape[1]):
            dashed(ax, times, shown[0][:, number], SCHRODINGER if number == 0 else None)
    ax.set(xlabel=axis(result["time"]), xlim=(times[0], times[-1]))
    named = f"{frequency(result)} by {result['beable'].attrs['long_name']}"
    ax.set_ylabel(named, parse_math=is_formula(named))
    from_zero(ax, band, *shown)
    explain_band(ax, DEVIATION)


def _profiles(ax: Axes, result: xr.Dataset, reference: xr.Dataset | None) -> None:
    """Frequencies over the labels, at the first, the middle and the last save time."""
    times, band, shown = result["time"].values, Band.of(result), []
    labels = along_labels(ax, result)
    marker = "o" if labels.size <= 40 else ""
    for colour, at in zip(COLOURS, sorted({0, (times.size - 1) // 2, times.size - 1})):
        name, style = f"t = {said_of(times[at])}", Style(colour, 1.4)
        banded(ax, labels, band.mean[at], band.spread[at], style, name, most=1.0, marker=marker)
        if reference is not None:
            shown.append(reference["probability"].values[at])
            dashed(ax, labels, shown[-1], SCHRODINGER if at == 0 else None)
    ax.set_ylabel(frequency(result))
    from_zero(ax, band, *shown)
    explain_band(ax, DEVIATION)


def _maps(axes: list[Axes], datasets: list[xr.Dataset], sides: tuple[int, int]) -> None:
    """Frequencies on a square lattice at the last save time, beside the reference's, in the same colours.

    The colours follow the square root, the modulus of the amplitude: fringes are seen beside bright spots.
    """
    last = [Band.of(dataset).mean[-1].reshape(sides).T for dataset in datasets]
    names = ["n/N" if "frequency" in dataset else r"$|\psi|^2$" for dataset in datasets]
    shades = PowerNorm(0.5, vmin=0.0, vmax=max(float(density.max()) for density in last))
    for ax, dataset, density, name in zip(axes, datasets, last, names):
        image = ax.imshow(density, origin="lower", cmap="viridis", norm=shades, interpolation="nearest")
        ax.set_title(f"{name} at t = {said_of(dataset['time'].values[-1])}", loc="left", fontsize="small")
        ax.set(xlabel="x (column)", ylabel="y (row)")
        for line in (ax.xaxis, ax.yaxis):
            line.set_major_locator(MaxNLocator(integer=True))
    bar = axes[-1].figure.colorbar(image, ax=axes, shrink=0.7)
    bar.set_label(f"{', '.join(dict.fromkeys(names))} of a site (square-root scale)")


def _coherence(ax: Axes, result: xr.Dataset) -> None:
    """Coherence over time, of each of a few labels, or of all copies."""
    times = result["time"].values
    if few(result):
        for number, label in enumerate(result["beable"].values):
            mean, spread = scatter(result["coherence"][..., number])
            banded(ax, times, mean, spread, Style(COLOURS[number], 1.4), str(label), most=1.0)
    else:
        banded(ax, times, *scatter(mean_coherence(result)), Style(COLOURS[0], 1.4), "all copies", most=1.0)
    coherence_axis(ax, result)
    explain_band(ax, DEVIATION)


def _entropy(ax: Axes, result: xr.Dataset) -> None:
    """Entropy of the ensemble over time, and that of its equilibrium where it is said."""
    ax.plot(result["time"].values, result["entropy"].values, color=COLOURS[0], linewidth=1.4, label="ensemble")
    if "window_entropy" in result.attrs:
        level = float(result.attrs["window_entropy"])
        ax.axhline(level, color="black", linewidth=0.8, dashes=(4, 3), label="its equilibrium")
    entropy_axis(ax, result)
    explain_band(ax, "")


def _deviation(ax: Axes, result: xr.Dataset, comparison: xr.Dataset) -> None:
    """N times the infidelity against its law, as far as it reaches, or where there is none the total variation."""
    times = comparison["time"].values
    law = comparison["predicted_infidelity"].values if "predicted_infidelity" in comparison else np.array([np.inf])
    lawful = "infidelity" in comparison and not np.any(np.isinf(law)) and np.nanmax(law, initial=0.0) > 0.0
    name, label, scale = "total_variation", r"total variation from $|\psi|^2$", 1.0
    if lawful:
        name, label, scale = "infidelity", "N × infidelity", float(result.attrs["copies"])
        ax.plot(times, scale * law, color="black", linewidth=1.2, dashes=(4, 3), label="law of finite N", zorder=3.0)
    highest = float(np.nanmax(law)) if lawful else 0.0
    mean, error = (scale * comparison[variable].values for variable in (name, f"{name}_error"))
    log = lawful and bool(mean.max() > STEEP * scale * highest > 0.0)
    drawn = mean if lawful else seen(mean, log=log)
    rounding = not lawful and float(mean.max()) < ROUNDING
    named = nothing(_whose(result, error)) if rounding else _whose(result, error)
    banded(ax, times, drawn, np.nan_to_num(error), Style(COLOURS[0], 1.4), named)
    ax.set(xlabel=axis(comparison["time"]), ylabel=label)
    if times.size > 1:
        ax.set_xlim(times[0], times[-1])
    if log:
        ax.set_yscale("log")
        ax.set_ylim(1e-3 * scale * highest, 3.0 * mean.max())  # below lies the rounding of the start
    elif rounding:
        ax.set_ylim(-0.015, 1.04)
    else:
        ax.set_ylim(bottom=0.0)
    why = str(comparison.attrs.get("beyond_reach", ""))
    note = "\n".join(textwrap.wrap(f"no law of finite N {why}", NOTE))
    explain_band(ax, ERROR, *([(Line2D([], [], linestyle=""), note)] if why else []))


def _whose(result: xr.Dataset, error: np.ndarray) -> str:
    """Say what the line of a distance is about."""
    replicas = int(result.attrs.get("replicas", 1))
    if result.attrs.get("averaged"):
        return "of the mean over replicas"
    if replicas > 1:
        return "ensemble" if np.all(np.isnan(error)) else f"mean of {replicas} replicas"
    return "one replica" if "counts" in result else "without noise"  # of infinitely many copies, or without any


def _sides(result: xr.Dataset) -> tuple[int, int] | None:
    """Columns and rows of a square lattice with many sites, or None; a composite has joint labels that look alike."""
    return None if few(result) or "parts" in result.attrs else sides_of(result["beable"].values.tolist())
