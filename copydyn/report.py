"""The table at the end of a run: what ran, what was found, what finite N gives, and whether the claim holds."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import xarray as xr

from copydyn.claims import Finding
from copydyn.wording import plus_minus

WIDTH = 100

_MARGIN = "  "
_FIRST = 14


class Row(NamedTuple):
    """A quantity, its value with error, and what is expected."""

    name: str
    found: str
    expected: str = ""


def table(
    title: str, result: xr.Dataset, comparison: xr.Dataset, finding: Finding | None = None, description: str = ""
) -> str:
    """Write the report as plain text, at most `WIDTH` columns wide."""
    lines = [*textwrap.wrap(title, WIDTH)]
    for paragraph in description.split("\n\n"):
        lines += textwrap.wrap(paragraph, WIDTH, initial_indent=_MARGIN, subsequent_indent=_MARGIN)
    lines.append("")
    for name, text in _what_ran(result):
        lines += _entry(name, text)
    lines += ["", *_grid([Row("", "found", "finite N gives"), *_rows(result, comparison)]), ""]
    lines += _entry("verdict", f"{comparison.attrs['verdict']}: {comparison.attrs['sentence']}")
    if finding is not None:
        lines += _entry("claim", f"{'holds' if finding.holds else 'DOES NOT HOLD'}: {finding.sentence}")
    return "\n".join(line.rstrip() for line in lines)


def _what_ran(result: xr.Dataset) -> Iterator[tuple[str, str]]:
    attrs, times = result.attrs, result["time"].values
    hbar = "" if attrs["hbar"] == 1.0 else f", hbar = {attrs['hbar']:g}"
    yield "system", f"{attrs['system']}, {result.sizes['beable']} {result['beable'].attrs['long_name']}s{hbar}"
    yield "theory", f"{attrs['theory']}{''.join(_settings(result))}"
    replicas = attrs.get("replicas", 1)
    seed = f", seed {attrs['seed']}" if "seed" in attrs else ""
    span = f"time {times[0]:g} to {times[-1]:g} in {result['time'].attrs['units']}"
    yield "run", f"{replicas} replica{'s' if replicas != 1 else ''}{seed}, {times.size} save times, {span}"


def _settings(result: xr.Dataset) -> Iterator[str]:
    """Name the number of copies and every setting that is not at rest."""
    attrs = result.attrs
    if "copies" in attrs:
        yield f", {_whole(attrs['copies'])} copies"
    for setting in ("engine", "rule"):
        if f"theory_{setting}" in attrs:
            yield f", {setting} {attrs[f'theory_{setting}']}"
    for setting in ("spectators", "floor", "phase_spread"):
        if attrs.get(f"theory_{setting}"):
            yield f", {setting.replace('_', ' ')} {attrs[f'theory_{setting}']:g}"


def _rows(result: xr.Dataset, comparison: xr.Dataset) -> Iterator[Row]:
    last = comparison.isel(time=-1)
    if "infidelity" in last and "copies" in result.attrs:
        copies = int(result.attrs["copies"])
        law = f"{copies * float(last['predicted_infidelity']):.4g}" if "predicted_infidelity" in last else ""
        yield Row("N x infidelity at the end", _value(last, "infidelity", copies), law)
    noise = np.asarray(last["predicted_deviation"].values) if "predicted_deviation" in last else np.array([np.nan])
    known = bool(np.all(np.isfinite(noise)))
    largest = f"{noise.max():.3g}, one deviation of the noisiest label" if known else ""
    total = f"{0.5 * math.sqrt(2.0 / math.pi) * noise.sum():.3g}, by noise alone" if known else ""
    yield Row("max |n/N - |psi|^2| at the end", _value(last, "max_deviation"), largest)
    yield Row("  its largest value on the way", _value(comparison, "worst_deviation"))
    yield Row("total variation at the end", _value(last, "total_variation"), total)
    yield Row("  its largest value on the way", _value(comparison, "worst_total_variation"))
    if "energy_drift" in last:
        yield Row("energy gained", _value(last, "energy_drift"))
    if "extinct" in last:
        yield Row("extinct labels at the end", f"{_value(last, 'extinct')} of {result.sizes['beable']}")
    if "events" in result:
        yield Row("copy events a replica", f"{float(result['events'].isel(time=-1).mean()):.4g}")


def _value(comparison: xr.Dataset, name: str, scale: float = 1.0) -> str:
    return plus_minus(scale * float(comparison[name]), scale * float(comparison[f"{name}_error"]))


def _grid(rows: list[Row]) -> list[str]:
    first, second = (max(len(row[column]) for row in rows) for column in (0, 1))
    lines = [f"{_MARGIN}{row.name:<{first}}   {row.found:<{second}}   {row.expected}" for row in rows]
    return [lines[0], _MARGIN + "-" * (max(len(line.rstrip()) for line in lines) - len(_MARGIN)), *lines[1:]]


def _entry(name: str, text: str) -> list[str]:
    rest = " " * (len(_MARGIN) + _FIRST)
    return textwrap.wrap(text, WIDTH, initial_indent=f"{_MARGIN}{name:<{_FIRST}}", subsequent_indent=rest)


def _whole(number: int) -> str:
    """Write 100000 as such and 10^16 as 1e+16, where that loses nothing."""
    return str(number) if number < 10**7 or float(number) != number else f"{number:.15g}"
