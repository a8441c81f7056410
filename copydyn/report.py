"""The table at the end of a run: what ran, what was found, what finite N gives, and whether the claim holds."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import xarray as xr

from copydyn.claims import Finding
from copydyn.observables import mean_coherence
from copydyn.wording import alignment, plural, plus_minus

WIDTH = 100

ROUNDING = 1e-9
"""Work, in units of energy, that no pulse has done."""

_OF_ENSEMBLES = {
    "mean_energy": "mean energy at the end",
    "energy_variance": "energy variance at the end",
    "entropy": "entropy at the end",
    "trace_distance": "distance from rest at the end",
}
"""Numbers over time of an ensemble without noise, as they are called in tables."""

_MARGIN = "  "
_FIRST = 14
_LAW = "\0"  # ends the name of the row below a quantity


class Row(NamedTuple):
    """A quantity, its value with error, what finite N gives, and a remark on the latter."""

    name: str
    found: str
    expected: str = ""
    remark: str = ""


def table(
    title: str,
    results: Mapping[str, xr.Dataset],
    comparisons: Mapping[str, xr.Dataset],
    findings: Sequence[Finding] = (),
    description: str = "",
) -> str:
    """Write the report as plain text, at most `WIDTH` columns wide; results and comparisons by the theory's name."""
    lines = [*textwrap.wrap(title, WIDTH)]
    for paragraph in description.split("\n\n"):
        lines += textwrap.wrap(paragraph, WIDTH, initial_indent=_MARGIN, subsequent_indent=_MARGIN)
    lines.append("")
    for name, text in _what_ran(results):
        lines += _entry(name, text)
    lines += ["", *_figures(results, comparisons), ""]
    for name, comparison in comparisons.items():
        whose = f"'{name}' " if len(comparisons) > 1 else ""
        lines += _entry("verdict", f"{whose}{comparison.attrs['verdict']}: {comparison.attrs['sentence']}")
    for finding in findings:
        lines += _entry("claim", f"{'holds' if finding.holds else 'DOES NOT HOLD'}: {finding.sentence}")
    return "\n".join(line.rstrip() for line in lines)


def foreseen(name: str, text: str) -> str:
    """Write what a theory knows of a run before it begins."""
    return "\n".join(_entry("foreseen", f"'{name}' {text}"))


def _what_ran(results: Mapping[str, xr.Dataset]) -> Iterator[tuple[str, str]]:
    result = max(results.values(), key=lambda result: "seed" in result.attrs)  # some theories draw no numbers
    attrs, times = result.attrs, result["time"].values
    hbar = "" if attrs["hbar"] == 1.0 else f", hbar = {attrs['hbar']:g}"
    labels = f"{result.sizes['beable']} {plural(result['beable'].attrs['long_name'])}"
    yield "system", f"{attrs['system']}, {labels}{hbar}"
    for name, one in results.items():
        own = f"'{name}' " if name != one.attrs["theory"] else ""
        yield "theory", f"{own}{one.attrs['theory']}{''.join(_settings(one))}"
    for name, one in results.items():
        if "about" in one.attrs:
            whose = f"'{name}' " if len(results) > 1 else ""
            yield "foreseen", f"{whose}{one.attrs['about']}"
    for name, one in results.items():
        if "leaps" in one.attrs:
            whose = f"'{name}' " if len(results) > 1 else ""
            yield "leaps", f"{whose}{_about_leaps(one)}"
    replicas = attrs.get("replicas", 1)
    seed = f", seed {attrs['seed']}" if "seed" in attrs else ""
    span = f"time {times[0]:g} to {times[-1]:g} in {result['time'].attrs['units']}"
    yield "run", f"{replicas} replica{'s' if replicas != 1 else ''}{seed}, {times.size} save times, {span}"


def _about_leaps(result: xr.Dataset) -> str:
    """Say how many leaps there were, and how their deterministic error compares with the noise."""
    attrs = result.attrs
    noise = 1.0 / math.sqrt(int(attrs["copies"]))
    share = float(attrs["leap_error"]) / noise
    said = f"{attrs['leaps']}, whose mean is off by less than {attrs['leap_error']:.2g}, {share:.2g} of the noise"
    return f"{said}: bias-limited" if attrs["bias_limited"] else said


def _figures(results: Mapping[str, xr.Dataset], comparisons: Mapping[str, xr.Dataset]) -> list[str]:
    """Write the numbers: a column for each of several theories, or one block below another where that is too wide."""
    rows = {name: list(_rows(results[name], comparisons[name])) for name in results}
    if len(rows) > 1:
        grid = _columns(rows)
        if max(map(len, grid)) <= WIDTH:
            return grid
    blocks: list[str] = []
    for name, own in rows.items():
        head = [] if len(rows) == 1 else [*([""] if blocks else []), *_entry("theory", f"'{name}'")]
        blocks += [*head, *_grid([Row("", "found", "finite N gives"), *own])]
    return blocks


def _columns(rows: Mapping[str, list[Row]]) -> list[str]:
    """Write what was found, below it what finite N gives, in a column for each theory."""
    cells: dict[str, dict[str, str]] = {}
    for theory, own in sorted(rows.items(), key=lambda item: -len(item[1])):  # who has most rows sets the order
        for row in own:
            cells.setdefault(row.name, {})[theory] = row.found
            law = cells.setdefault(f"{row.name}{_LAW}", {})
            if row.expected:
                law[theory] = row.expected
    first = max(len(_label(name)) for name in cells)
    widths = {name: max(len(name), *(len(row.get(name, "")) for row in cells.values())) for name in rows}
    head = f"{_MARGIN}{'':<{first}}" + "".join(f"  {name:<{width}}" for name, width in widths.items())
    lines = [head.rstrip()]
    for name, cell in cells.items():
        if cell:
            entries = "".join(f"  {cell.get(theory, ''):<{width}}" for theory, width in widths.items())
            lines.append(f"{_MARGIN}{_label(name):<{first}}{entries}".rstrip())
    return [lines[0], _MARGIN + "-" * (max(map(len, lines)) - len(_MARGIN)), *lines[1:]]


def _label(name: str) -> str:
    return "  finite N gives" if name.endswith(_LAW) else name


def _settings(result: xr.Dataset) -> Iterator[str]:
    """Name the number of copies and every setting that is not at rest."""
    attrs = result.attrs
    if "copies" in attrs:
        asked, total = attrs["theory_copies"], attrs["copies"]
        yield f", {_whole(asked)} copies" + (f" ({_whole(total)} with spectators)" if total != asked else "")
    for setting in ("rate", "thermalising", "reducing", "strength", "drift"):
        if f"theory_{setting}" in attrs:
            yield f", {setting} {attrs[f'theory_{setting}']:g}"
    for setting in ("engine", "rule", "scheme", "window", "projectors", "part", "noise"):
        if f"theory_{setting}" in attrs:
            said = str(attrs[f"theory_{setting}"])
            yield f", {setting} {'given' if said.startswith('(') else said}"  # matrices would fill the table
    for setting in ("spectators", "floor", "phase_spread"):
        if attrs.get(f"theory_{setting}"):
            yield f", {setting.replace('_', ' ')} {attrs[f'theory_{setting}']:g}"
    if attrs.get("theory_alignment", "None") != "None":
        yield f", {alignment(attrs['theory_alignment'])}"
    admixture = attrs.get("theory_admixture", "None")  # written as the pair of its share and its ket
    if admixture != "None":
        yield f", admixture {admixture.strip('(').split(',')[0]}"


def _rows(result: xr.Dataset, comparison: xr.Dataset) -> Iterator[Row]:
    last = comparison.isel(time=-1)
    if "infidelity" in last and "copies" in result.attrs:
        copies = int(result.attrs["copies"])
        law = f"{copies * float(last['predicted_infidelity']):.4g}" if "predicted_infidelity" in last else ""
        yield Row("N x infidelity at the end", _value(last, "infidelity", copies), law)
    noise = np.asarray(last["predicted_deviation"].values) if "predicted_deviation" in last else np.array([np.nan])
    known = bool(np.all(np.isfinite(noise)))
    largest = (f"{noise.max():.3g}", "the s.d. of the noisiest label") if known else ("", "")
    total = (f"{0.5 * math.sqrt(2.0 / math.pi) * noise.sum():.3g}", "by noise alone") if known else ("", "")
    yield Row("max |n/N - |psi|^2| at the end", _value(last, "max_deviation"), *largest)
    yield Row("  its largest value on the way", _value(comparison, "worst_deviation"))
    yield Row("total variation at the end", _value(last, "total_variation"), *total)
    yield Row("  its largest value on the way", _value(comparison, "worst_total_variation"))
    if "energy_drift" in last:
        work = float(last["expected_energy_drift"]) if "expected_energy_drift" in last else 0.0
        by_pulses = (f"{work:.4g}", "the work of the pulses") if abs(work) > ROUNDING else ("", "")
        yield Row("energy gained", _value(last, "energy_drift"), *by_pulses)
    for variable, said in _OF_ENSEMBLES.items():
        if variable in result:
            yield Row(said, f"{float(result[variable][-1]):.6g}")
    if "coherence" in result:
        coherence = mean_coherence(result).isel(time=-1).values
        error = coherence.std(ddof=1) / math.sqrt(coherence.size) if coherence.size > 1 else math.nan
        yield Row("mean coherence at the end", plus_minus(float(coherence.mean()), float(error)))
    if "extinct" in last:
        yield Row("extinct labels at the end", f"{_value(last, 'extinct')} of {result.sizes['beable']}")
    if "events" in result:
        yield Row("copy events a replica", f"{float(result['events'].isel(time=-1).mean()):.4g}")


def _value(comparison: xr.Dataset, name: str, scale: float = 1.0) -> str:
    return plus_minus(scale * float(comparison[name]), scale * float(comparison[f"{name}_error"]))


def _grid(rows: list[Row]) -> list[str]:
    first, second = (max(len(row[column]) for row in rows) for column in (0, 1))
    laws = [f"{row.expected}, {row.remark}" if row.remark else row.expected for row in rows]
    lines = [f"{_MARGIN}{row.name:<{first}}   {row.found:<{second}}   {law}" for row, law in zip(rows, laws)]
    return [lines[0], _MARGIN + "-" * (max(len(line.rstrip()) for line in lines) - len(_MARGIN)), *lines[1:]]


def _entry(name: str, text: str) -> list[str]:
    rest = " " * (len(_MARGIN) + _FIRST)
    return textwrap.wrap(text, WIDTH, initial_indent=f"{_MARGIN}{name:<{_FIRST}}", subsequent_indent=rest)


def _whole(number: int) -> str:
    """Write 100000 as such and 10^16 as 1e+16, where that loses nothing."""
    return str(number) if number < 10**7 or float(number) != number else f"{number:.15g}"
