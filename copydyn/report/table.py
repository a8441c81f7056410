"""The table at the end of a run: what ran, what was found, what finite N gives, and whether the claim holds.

`numbers` gives what it shows as numbers, `table` writes them down.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import xarray as xr

from copydyn.comparison.claims import Finding
from copydyn.report.layout import WIDEST, entry, grid, natural_width, paragraphs
from copydyn.results.observables import mean_coherence
from copydyn.wording import alignment, plural, plus_minus

ROUNDING = 1e-12
"""Distances of probabilities, and energies relative to those of the run, that are rounding and no result."""

WORKLESS = 1e-9
"""Work, relative to the energies of the run, that no pulse has done."""


class Number(NamedTuple):
    """What a theory gives for one quantity, a key of `QUANTITIES`; NaN where there is no error or nothing expected."""

    key: str
    theory: str
    value: float
    error: float = math.nan
    expected: float = math.nan


class Quantity(NamedTuple):
    """How a quantity is called.

    Parameters
    ----------
    name : str
        In the table, which is about the last save time.
    expected : str
        What the number is that stands beside it, where the column's head does not say so.
    below : str
        The same as the name of a row of its own.
    digits : int
        Of a number without an error, and of what is expected.
    energies : int or None
        Its unit is so many energies; None where a small value is no rounding.
    """

    name: str
    expected: str = ""
    below: str = ""
    digits: int = 4
    energies: int | None = 0


QUANTITIES = {
    "infidelity": Quantity("N x infidelity", below="  finite N gives", energies=None),
    "max_deviation": Quantity(
        "max deviation from |psi|^2", "the s.d. of the noisiest label", "  finite N: the noisiest s.d."
    ),
    "worst_deviation": Quantity("  its largest value on the way"),
    "total_variation": Quantity("total variation from |psi|^2", "by noise alone", "  finite N: by noise alone"),
    "worst_total_variation": Quantity("  its largest value on the way"),
    "energy_drift": Quantity("energy gained", "the work of the pulses", "  the work of the pulses", energies=1),
    "mean_energy": Quantity("mean energy", digits=6, energies=1),
    "energy_variance": Quantity("energy variance", digits=6, energies=2),
    "entropy": Quantity("entropy", digits=6),
    "trace_distance": Quantity("distance from rest", digits=6),
    "coherence": Quantity("mean coherence"),
    "extinct": Quantity("extinct labels"),
    "events": Quantity("copy events a replica"),
}
"""By the names of variables, in the order of the table."""

AT = "at the end"

_OF_ENSEMBLES = ("mean_energy", "energy_variance", "entropy", "trace_distance")
"""Numbers over time of an ensemble without noise."""


def numbers(results: Mapping[str, xr.Dataset], comparisons: Mapping[str, xr.Dataset]) -> list[Number]:
    """Give every number of the table, in its order; results and comparisons by the theory's name."""
    found = [number for name in results for number in _numbers(name, results[name], comparisons[name])]
    return sorted(found, key=lambda number: list(QUANTITIES).index(number.key))  # of each, in the order of the theories


def table(
    title: str,
    results: Mapping[str, xr.Dataset],
    comparisons: Mapping[str, xr.Dataset],
    findings: Sequence[Finding] = (),
    description: str = "",
    *,
    width: int = WIDEST,
    told: Collection[str] = (),
) -> str:
    """Write the report as plain text.

    Parameters
    ----------
    title, description : str
    results, comparisons : mapping of str to Dataset
        By the theory's name.
    findings : sequence of Finding
    width : int
        Columns.
    told : collection of str
        Theories of which was said before the run what they foresee (`foreseen`), and which need not say it again.
    """
    lines = [*paragraphs(title, width, ""), *paragraphs(description, width), ""]
    for name, text in _what_ran(results, told):
        lines += entry(name, text, width)
    lines += ["", *_figures(results, comparisons, width), ""]
    for name, comparison in comparisons.items():
        whose = f"'{name}' " if len(comparisons) > 1 else ""
        lines += entry("verdict", f"{whose}{comparison.attrs['verdict']}: {comparison.attrs['sentence']}", width)
        if why := comparison.attrs.get("beyond_reach"):
            lines += entry("law", f"{whose}of finite N is left out {why}", width)
    for finding in findings:
        lines += entry("claim", f"{finding.verdict}: {finding.sentence}", width)
    return "\n".join(line.rstrip() for line in lines)


def foreseen(name: str, text: str, width: int = WIDEST) -> str:
    """Write what a theory knows of a run before it begins; the name may be empty."""
    return "\n".join(entry("foreseen", f"'{name}' {text}" if name else text, width))


def drawn(seed: int, width: int = WIDEST) -> str:
    """Write the seed of a run that has been given none, before it begins."""
    return "\n".join(entry("seed", f"{seed}, drawn; --seed {seed} gives the same run again", width))


def _what_ran(results: Mapping[str, xr.Dataset], told: Collection[str]) -> Iterator[tuple[str, str]]:
    result = max(results.values(), key=lambda result: "seed" in result.attrs)  # some theories draw no numbers
    attrs, times = result.attrs, result["time"].values
    hbar = "" if attrs["hbar"] == 1.0 else f", hbar = {attrs['hbar']:g}"
    labels = f"{result.sizes['beable']} {plural(result['beable'].attrs['long_name'])}"
    yield "system", f"{attrs['system']}, {labels}{hbar}"
    for name, one in results.items():
        own = f"'{name}' " if name != one.attrs["theory"] else ""
        yield "theory", f"{own}{one.attrs['theory']}{''.join(_settings(one))}"
    for name, one in results.items():
        if "about" in one.attrs and name not in told:
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


def _figures(results: Mapping[str, xr.Dataset], comparisons: Mapping[str, xr.Dataset], width: int) -> list[str]:
    """Write the numbers: a column for each of several theories, or one block below another where that is too wide."""
    found = {name: [number for number in numbers(results, comparisons) if number.theory == name] for name in results}
    if len(results) > 1 and natural_width(rows := _columns(results, found)) <= width:
        return grid(rows, width)
    blocks: list[str] = []
    for name, result in results.items():
        head = [] if len(results) == 1 else [*([""] if blocks else []), *entry("theory", f"'{name}'", width)]
        block = _block(result, found[name])
        if natural_width(block) > width:
            block = _columns({name: result}, found, heads=["found"])
        blocks += [*head, *grid(block, width)]
    return blocks


def _block(result: xr.Dataset, found: Sequence[Number]) -> list[list[str]]:
    """Write what was found and, beside it, what is expected."""
    rows = [[AT, "found", "finite N gives" if "copies" in result.attrs else "expected"]]
    for number in found:
        quantity, expected = QUANTITIES[number.key], _expected(number)
        remark = f", {quantity.expected}" if expected and quantity.expected else ""
        rows.append([quantity.name, _found(number, result), f"{expected}{remark}"])
    return rows if any(row[2] for row in rows[1:]) else [row[:2] for row in rows]


def _columns(
    results: Mapping[str, xr.Dataset], found: Mapping[str, Sequence[Number]], heads: Sequence[str] = ()
) -> list[list[str]]:
    """Write what was found and, below it, what is expected, in a column for each theory."""
    rows = [[AT, *(heads or results)]]
    of = {(number.key, name): number for name, own in found.items() for number in own}
    for key, quantity in QUANTITIES.items():
        row = {name: of[key, name] for name in results if (key, name) in of}
        below = {name: expected for name, number in row.items() if (expected := _expected(number))}
        if row:
            rows.append([quantity.name, *(_found(row[name], results[name]) if name in row else "" for name in results)])
        if below:
            rows.append([quantity.below, *(below.get(name, "") for name in results)])
    return rows


def _found(number: Number, result: xr.Dataset) -> str:
    """Write a value with its error."""
    quantity = QUANTITIES[number.key]
    if quantity.energies is not None:
        noise = ROUNDING * _energy(result) ** quantity.energies
        if 0.0 < abs(number.value) + np.nan_to_num(number.error) < noise:
            return f"< {noise:.0e}"
    said = plus_minus(number.value, number.error, quantity.digits)
    return f"{said} of {result.sizes['beable']}" if number.key == "extinct" else said


def _expected(number: Number) -> str:
    if math.isinf(number.expected):
        return "diverges"
    return "" if math.isnan(number.expected) else f"{number.expected:.{QUANTITIES[number.key].digits}g}"


def _energy(result: xr.Dataset) -> float:
    """Say how large the energies of a run are: the mean one, or hbar by the time that it takes."""
    times = result["time"].values
    means = [result[name].values for name in ("energy", "mean_energy") if name in result]
    largest = max((float(np.abs(values).max()) for values in means), default=0.0)
    return max(largest, float(result.attrs["hbar"]) / max(float(times[-1] - times[0]), np.finfo(float).tiny))


def _numbers(theory: str, result: xr.Dataset, comparison: xr.Dataset) -> Iterator[Number]:
    last = comparison.isel(time=-1)

    def measured(key: str, scale: float = 1.0, expected: float = math.nan) -> Number:
        return Number(key, theory, scale * float(last[key]), scale * float(last[f"{key}_error"]), expected)

    if "infidelity" in last and "copies" in result.attrs:
        copies = int(result.attrs["copies"])
        law = copies * float(last["predicted_infidelity"]) if "predicted_infidelity" in last else math.nan
        yield measured("infidelity", copies, law)
    noise = np.asarray(last["predicted_deviation"].values) if "predicted_deviation" in last else np.array([np.nan])
    largest, total = float(noise.max()), 0.5 * math.sqrt(2.0 / math.pi) * float(noise.sum())
    yield measured("max_deviation", expected=largest)
    yield measured("worst_deviation")
    yield measured("total_variation", expected=total)
    yield measured("worst_total_variation")
    if "energy_drift" in last:
        work = float(last["expected_energy_drift"]) if "expected_energy_drift" in last else 0.0
        done = abs(work) > WORKLESS * _energy(result)
        yield measured("energy_drift", expected=work if done else math.nan)
    for key in _OF_ENSEMBLES:
        if key in result:
            yield Number(key, theory, float(result[key][-1]))
    if "coherence" in result:
        coherence = mean_coherence(result).isel(time=-1).values
        error = float(coherence.std(ddof=1)) / math.sqrt(coherence.size) if coherence.size > 1 else math.nan
        yield Number("coherence", theory, float(coherence.mean()), error)
    if "extinct" in last:
        yield measured("extinct")
    if "events" in result:
        yield Number("events", theory, float(result["events"].isel(time=-1).mean()))


def _whole(number: int) -> str:
    """Write 100000 as such and 10^16 as 1e+16, where that loses nothing."""
    return str(number) if number < 10**7 or float(number) != number else f"{number:.15g}"
