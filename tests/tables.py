"""Every number of a table against the files beside it, from which it is worked out once more."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
import xarray as xr

from copydyn.results import result
from copydyn.runs.folders import slug


class Truth(NamedTuple):
    """A mean over replicas, its standard error, and what is expected; NaN where there is none."""

    value: float
    error: float = math.nan
    expected: float = math.nan


NAMES = {
    "N x infidelity": "infidelity",
    "max deviation from |psi|^2": "max_deviation",
    "total variation from |psi|^2": "total_variation",
    "energy gained": "energy_drift",
    "mean energy": "mean_energy",
    "energy variance": "energy_variance",
    "entropy": "entropy",
    "distance from rest": "trace_distance",
    "mean coherence": "coherence",
    "extinct labels": "extinct",
    "copy events a replica": "events",
}
BELOW = {
    "finite N gives": "infidelity",
    "finite N: the noisiest s.d.": "max_deviation",
    "finite N: by noise alone": "total_variation",
    "the work of the pulses": "energy_drift",
}
REMARKS = {
    "max_deviation": ", the s.d. of the noisiest label",
    "total_variation": ", by noise alone",
    "energy_drift": ", the work of the pulses",
}
ON_THE_WAY = "its largest value on the way"


def require_what_the_files_say(folder: Path, names: list[str]) -> int:
    """Hold the table in ``folder`` against the files of its theories; give how many numbers there were."""
    text = (folder / "table.txt").read_text(encoding="utf-8")
    reference = result.read(folder / "reference.nc")
    parts = {name: f"-{slug(name)}" if len(names) > 1 else "" for name in names}
    truths = {name: truths_of(folder, part, reference) for name, part in parts.items()}
    seen = list(numbers_in(text, names))
    for name, key, beside, said in seen:
        truth = truths[name][key]
        assert says(said, truth.expected if beside else truth.value, math.nan if beside else truth.error), (
            f"{name}: {key} is said to be {said}, but is {truth}"
        )
    found = [(name, key) for name, key, beside, _ in seen if not beside]
    assert sorted(found) == sorted((name, key) for name, own in truths.items() for key in own)
    expected = [(name, key) for name, key, beside, _ in seen if beside]
    known = [
        (name, key) for name, own in truths.items() for key, truth in own.items() if not math.isnan(truth.expected)
    ]
    assert sorted(expected) == sorted(known)
    return len(seen)


def truths_of(folder: Path, part: str, reference: xr.Dataset) -> dict[str, Truth]:
    """Work out what the table of one theory must say, from its result and, for the laws, its comparison."""
    found = result.read(folder / f"result{part}.nc")
    compared = xr.load_dataset(folder / f"comparison{part}.nc", engine="h5netcdf", decode_times=False)
    shares = found["frequency"].values if "frequency" in found else found["probability"].values[None]
    away = np.abs(shares - reference["probability"].values)
    largest, variation = away.max(axis=2), 0.5 * away.sum(axis=2)
    sigmas = compared["predicted_deviation"].values[-1] if "predicted_deviation" in compared else np.array([np.nan])
    truths = {
        "max_deviation": Truth(*mean(largest[:, -1]), sigmas.max()),
        "worst_max_deviation": Truth(*mean(largest.max(axis=1))),
        "total_variation": Truth(*mean(variation[:, -1]), math.sqrt(2 / math.pi) * sigmas.sum() / 2),
        "worst_total_variation": Truth(*mean(variation.max(axis=1))),
    }
    if "copies" in found.attrs and "infidelity" in compared:
        copies, law = found.attrs["copies"], math.nan
        if "predicted_infidelity" in compared:
            law = copies * float(compared["predicted_infidelity"][-1])
        value, error = (copies * float(compared[name][-1]) for name in ("infidelity", "infidelity_error"))
        truths["infidelity"] = Truth(value, error, law)
    if "energy" in found:
        work = math.nan
        if "energy" in reference:
            work = float(reference["energy"][0, -1] - reference["energy"][0, 0])
        drift = found["energy"].values[:, -1] - found["energy"].values[:, 0]
        truths["energy_drift"] = Truth(*mean(drift), work if abs(work) > 1e-6 else math.nan)
    for name in ("mean_energy", "energy_variance", "entropy", "trace_distance"):
        if name in found:
            truths[name] = Truth(float(found[name][-1]))
    if "coherence" in found:
        of_copies = np.nansum((found["frequency"] * found["coherence"]).values[:, -1], axis=1)
        truths["coherence"] = Truth(*mean(of_copies))
    if "counts" in found:
        truths["extinct"] = Truth(*mean((found["counts"].values[:, -1] == 0).sum(axis=1)))
    if "events" in found:
        truths["events"] = Truth(float(found["events"].values[:, -1].mean()))
    return truths


def mean(values: np.ndarray) -> tuple[float, float]:
    """Over replicas, with std/sqrt(R)."""
    error = math.sqrt(np.var(values, ddof=1) / len(values)) if len(values) > 1 else math.nan
    return float(np.mean(values)), error


def numbers_in(text: str, names: list[str]) -> list[tuple[str, str, bool, str]]:
    """Read a table: of which theory, which quantity, whether it is what is expected, and what stands there."""
    cells, columns, key, only = [], None, "", names[0]
    for line in text.splitlines():
        if alone := re.fullmatch(r"  theory +'(.*)'", line):
            only = alone[1]
        if line.startswith("  at the end"):
            heads = names if all(f"  {name}" in line for name in names) and len(names) > 1 else [only]
            columns = places(line, heads)
        elif columns and not line.strip():
            columns = None
        elif columns and not line.startswith("  --"):
            starts = list(columns)
            ends = [*starts[1:], len(line)]
            row = line[: starts[0]].strip()
            below = row in BELOW and line.startswith("    ")
            if below:
                key = BELOW[row]
            elif row == ON_THE_WAY:
                key = f"worst_{key}"
            else:
                key = NAMES[row]
            for start, end in zip(starts, ends):
                said, (name, beside) = line[start:end].strip(), columns[start]
                if said and beside:
                    said = said.removesuffix(REMARKS.get(key, ""))
                    assert "," not in said
                if said:
                    cells.append((name, key, beside or below, said))
            key = key.removeprefix("worst_")
    return cells


def places(line: str, names: list[str]) -> dict[int, tuple[str, bool]]:
    """Say where each column begins, whose it is, and whether it tells what is expected."""
    if len(names) > 1:
        return {line.index(f"  {name}") + 2: (name, False) for name in names}
    found = {line.index("  found") + 2: (names[0], False)}
    beside = re.search("finite N gives|expected", line)
    return {**found, beside.start(): (names[0], True)} if beside else found


def says(said: str, value: float, error: float) -> bool:
    """Tell whether a text is this value with this error, to its last digit."""
    if said == "diverges":
        return math.isinf(value)
    if said.startswith("< "):
        return abs(value) < 1.5 * float(said[2:])
    said = re.sub(r" of \d+$", "", said)
    pair = re.fullmatch(r"\((\S+) ± (\S+)\)(e\S+)|(\S+) ± (\S+)|(\S+)", said)
    power = float(f"1{pair[3]}") if pair[3] else 1.0
    number, spread = (pair[1], pair[2]) if pair[3] else (pair[4] or pair[6], pair[5])
    sound = close(float(number) * power, value, half_a_digit(number) * power)
    if spread is None:
        return sound and not error > 1e-9 * abs(value)
    return sound and close(float(spread) * power, error, half_a_digit(spread) * power)


def half_a_digit(said: str) -> float:
    digits, _, power = said.partition("e")
    return 0.5 * 10.0 ** (int(power or 0) - len(digits.partition(".")[2]))


def close(said: float, value: float, slack: float) -> bool:
    return said == value or abs(said - value) <= slack * (1.0 + 1e-6) + 1e-12 * abs(value)
