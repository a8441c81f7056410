"""A sweep as it is asked for, on the command line, in the [sweep] table of a scenario, or in Python, into a `Recipe`.

[sweep]       replicas, target_error, target, max_replicas, timeout, batch
[sweep.grid]  an axis a key: theory.copies = [1e3, 1e4], system.detuning = "linspace(0, 2, 21)"
[[sweep.zip]] keys that change together, and are one axis
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from copydyn.comparison.compare import OF_THE_MEAN
from copydyn.experiment.inputs import as_real, as_whole
from copydyn.refusal import BadValue, Refusal
from copydyn.runs import durable
from copydyn.runs.made_by import LIBRARIES
from copydyn.runs.streams import as_seed
from copydyn.scenario.parsing import Reader
from copydyn.scenario.scenario import Run, made
from copydyn.scenario.source import BadScenario, Override, Source, parse_override, read
from copydyn.scenario.toml_text import Key, shown
from copydyn.sweeps.axes import Axis, parse_axis, parse_values, require_key, zipped
from copydyn.sweeps.recipe import LARGEST_BLOCK, MOST_POINTS, Recipe, Target, json_copy, targetless
from copydyn.sweeps.store import unsealed
from copydyn.theories import OQT, SUI, SUV, ColouredSUV, CopyDynamics
from copydyn.theories.theory import Theory

TRIED = 64
"""Values of an axis that are tried before the sweep begins; of more, some in between are left to the sweep."""

TRYING = 1.0
"""Seconds after which whatever else could be tried is left to the sweep as well."""

LARGEST_FILE = 2**26
"""Bytes of the file of a sweep, which lists all values of its axes."""

TABLES_OF_AXES = ("grid", "zip")

REPLICAS_BY_DEFAULT = 100
"""How many times more replicas than a run has a target may take, if nothing is said."""


@dataclass(frozen=True)
class Options:
    """What [sweep] may say besides its axes; see `python -m copydyn sweep --help`.

    Raises
    ------
    BadType, BadValue
    """

    replicas: int | None = None
    target_error: float | None = None
    target: str = "probability"
    max_replicas: int | None = None
    timeout: float | None = None
    batch: int | None = None
    scenario: str = ""
    order: list[str] | None = None
    code: str = ""
    numpy: str = ""
    scipy: str = ""
    numba: str = ""
    llvmlite: str = ""
    files: list[str] | None = None

    def __post_init__(self) -> None:
        if self.replicas is not None:
            as_whole(self.replicas, "replicas", least=1)
        if self.timeout is not None:
            as_real(self.timeout, "timeout", positive=True)
        if self.max_replicas is not None and self.target_error is None:
            raise BadValue("max_replicas is about a target_error, but there is none; give one, or replicas alone.")
        if self.batch is not None:
            as_whole(self.batch, "batch", least=1, most=LARGEST_BLOCK)
        Target(1.0 if self.target_error is None else self.target_error, self.max_replicas or 1, self.target)


class Asked(NamedTuple):
    """What to compute, and how long one run may take."""

    recipe: Recipe
    timeout: float | None


def asked(
    name_or_path: str | Source,
    axes: Sequence[str] = (),
    *,
    options: Sequence[Override] = (),
    seed: int | None = None,
    more: Sequence[Axis] = (),
) -> Asked:
    """Read a sweep.

    Parameters
    ----------
    name_or_path : str or Source
        A scenario, with or without a [sweep] table; or what was read of one.
    axes : sequence of str
        "theory.copies=1e3,1e4" is an axis, "theory.copies=1e3" a value in place of the file's.
    options : sequence of Override
        Of "sweep.replicas", "run.seed" and so on.
    seed : int, optional
        Where neither the scenario nor ``options`` has one; a fresh one by default.
    more : sequence of Axis
        Axes from elsewhere.

    Raises
    ------
    BadScenario
        With one sentence a fault, each with its line or the expression that it stands in.
    """
    source = name_or_path if isinstance(name_or_path, Source) else read(name_or_path, most=LARGEST_FILE)
    given: list[Axis] = []
    fixed: list[str] = []
    for text in axes:
        try:
            axis = parse_axis(text)
            if axis is None:
                override = parse_override(text)
                source.override(override)
                fixed.append(override.key)
            else:
                given.append(axis)
        except Refusal as refusal:
            source.faults.append(str(refusal))
    for option in options:
        source.override(option)
    return _asked(source, [*given, *more], fixed, seed)


def recipe_in(path: Path) -> Recipe:
    """Read the recipe that `Recipe.written` has written.

    Raises
    ------
    BadValue
        If the file is damaged.
    """
    try:
        whole = unsealed(durable.read(path))
    except OSError as cause:
        raise BadValue(f"{path}: the sweep must be readable, but: {cause.strerror or cause}.") from None
    if not whole:
        raise BadValue(
            f"{path}: the sweep must be as it was asked for, but the file is damaged or was changed; give the command "
            "of the sweep again, which writes a new one."
        )
    source = read(str(path), most=LARGEST_FILE)
    try:
        recipe = _asked(source, [], [], None, tried=False).recipe
        for theory in range(len(recipe.theories)):
            recipe.key(recipe.strand(theory, 0), 0, 1)
    except (TypeError, KeyError, IndexError, AttributeError) as cause:
        if isinstance(cause, Refusal):
            raise
        raise BadValue(
            f"{path}: the sweep must be one that copydyn has written, but is none; give the command of the sweep "
            "again, which writes a new one."
        ) from None
    return recipe


def _asked(source: Source, given: list[Axis], fixed: Sequence[str], seed: int | None, *, tried: bool = True) -> Asked:
    reader = Reader(source)
    options = reader.make("sweep", Options, besides=TABLES_OF_AXES) or Options()
    own = _axes_of(source, reader.faults)
    table = source.tables.pop("sweep", None)
    taken = {key for axis in given for key in axis.keys} | set(fixed)
    axes = [axis for axis in own if not taken.intersection(axis.keys)] + given
    if isinstance(table, dict) and isinstance(options.order, list):
        strangers = [key for key in options.order if key not in taken.union(*(axis.keys for axis in own))]
        if strangers:
            reader.faults.append(
                f"{source.place_of('sweep', 'order')}: [sweep] order must name keys that are swept, but names "
                f"{shown(strangers[0])}; leave it out."
            )
        places = {key: number for number, key in enumerate(options.order)}
        axes.sort(key=lambda axis: places.get(axis.keys[0], len(places)))
    run = reader.make("run", Run)
    if reader.faults:
        raise BadScenario(list(dict.fromkeys([*reader.faults, *(_faults_of(source, axes) if tried else ())])))
    replicas = run.replicas if options.replicas is None else int(options.replicas)
    target = None
    if options.target_error is not None:
        most = options.max_replicas if options.max_replicas is not None else REPLICAS_BY_DEFAULT * replicas
        if most < replicas:
            raise BadScenario(
                [
                    f"{source.place_of('sweep', 'max_replicas')}: [sweep] max_replicas must be at least the {replicas} "
                    f"replicas of a run, but is {int(most)}."
                ]
            )
        target = Target(float(options.target_error), int(most), options.target)
    chosen = as_seed(seed if run.seed is None else run.seed)
    name = options.scenario or source.name
    if tried and (faults := _faults_of(source, axes, "" if target is None else target.of)):
        raise BadScenario(faults)
    # whoever reads a store looks for the runs of the versions that have made it; of old ones, fewer are known
    begun: dict[str, Any] = {}
    if not tried:
        begun["made_by"] = {name: getattr(options, name) for name in ("code", *LIBRARIES) if getattr(options, name)}
        begun["files"] = {path: digest for digest, _, path in (line.partition(" ") for line in options.files or [])}
    recipe = Recipe(name, source.tables, tuple(axes), chosen, replicas, target, options.batch, **begun)
    if recipe.points * recipe.runs_a_point > MOST_POINTS:
        word = ("sweep", "replicas") if options.replicas is not None else ("run", "replicas")
        raise BadScenario(
            [
                f"{source.place_of(*word)}: [{word[0]}] replicas must be fewer, but {recipe.points} x {replicas} of "
                f"them make more than {MOST_POINTS} runs of {recipe.replicas_a_run}; take fewer, or fewer points."
            ]
        )
    if tried and (faults := [fault for axis in axes for fault in _idle(axis, recipe)]):
        raise BadScenario(faults)
    return Asked(recipe, options.timeout)


def _idle(axis: Axis, recipe: Recipe) -> list[str]:
    """Say which keys of an axis change nothing, such as the name of a theory, or what another axis writes over."""
    return [
        f"{axis.origin}: '{key}' must be a key that changes what is computed, which it does not; leave it out."
        for key in axis.keys
        if not recipe.decides(key)
    ]


def _axes_of(source: Source, faults: list[str]) -> list[Axis]:
    """Read the axes in [sweep.grid] and [[sweep.zip]]."""
    table = source.tables.get("sweep")
    if not isinstance(table, dict):
        return []
    axes = []
    grid, bundles = table.get("grid", {}), table.get("zip", [])
    if not isinstance(grid, dict):
        faults.append(f"{source.place_of('sweep', 'grid')}: [sweep] grid must be a table, but is {shown(grid)}.")
        grid = {}
    bundles = [bundles] if isinstance(bundles, dict) else bundles
    if not isinstance(bundles, list) or not all(isinstance(bundle, dict) for bundle in bundles):
        faults.append(f"{source.place_of('sweep', 'zip')}: [sweep] zip must be tables, but is {shown(bundles)}.")
        bundles = []
    wanted: list[tuple[Key, dict[str, Any]]] = []
    wanted += [(("sweep", "grid"), {key: value}) for key, value in _flat(grid).items()]
    wanted += [(("sweep", "zip", number), _flat(bundle)) for number, bundle in enumerate(bundles)]
    for above, columns in wanted:
        try:
            axes.append(_axis_of(columns, source, above))
        except Refusal as refusal:
            faults.append(str(refusal))
    return axes


def _axis_of(columns: Mapping[str, Any], source: Source, above: Key) -> Axis:
    place = _place_of(source, above, next(iter(columns), ""))
    if not columns:
        raise BadValue(f"{place}: [[sweep.zip]] must have keys that change together, but is empty.")
    made: dict[str, list[Any]] = {}
    for key, values in columns.items():
        where = _place_of(source, above, key)
        require_key(key, where)
        if isinstance(values, str):
            parsed = parse_values(values, f"{where}: [sweep] {key}")
            made[key] = [values] if parsed is None else parsed
        elif isinstance(values, list):
            made[key] = values
        else:
            raise BadValue(
                f'{where}: [sweep] {key} must be a list or an expression in quotes, such as "linspace(0,2,21)", but is '
                f"{shown(values)}."
            )
    return zipped(made, place)


def _place_of(source: Source, above: Key, key: str) -> str:
    """Say where a key stands that may be written with dots, or in quotes as a whole."""
    return source.places.get((*above, key)) or source.place_of(*above, *key.split("."))


def _flat(tables: Mapping[str, Any]) -> dict[str, Any]:
    """Give nested tables as one, with dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in tables.items():
        if isinstance(value, dict):
            flat |= {f"{key}.{rest}": entry for rest, entry in _flat(value).items()}
        else:
            flat[key] = value
    return flat


def _faults_of(source: Source, axes: Sequence[Axis], target: str = "") -> list[str]:
    """Try the first point, and then every axis by itself: what is wrong with a value is said before anything runs."""
    faults: list[str] = []
    until = time.monotonic() + TRYING
    first = [(axis, 0) for axis in axes]
    _try(source, first, faults, target)
    if faults:
        return faults
    for number, axis in enumerate(axes):
        for place in np.unique(np.linspace(0, len(axis) - 1, min(TRIED, len(axis))).astype(int)).tolist()[1:]:
            _try(source, [*first[:number], (axis, place), *first[number + 1 :]], faults, target)
            if faults or time.monotonic() > until:
                return faults
    return faults


def _try(source: Source, places: Sequence[tuple[Axis, int]], faults: list[str], target: str) -> None:
    tables = json_copy(source.tables)
    tried = replace(source, tables=tables, places=dict(source.places), faults=list(source.faults))
    tables.pop("claim", None)  # they are not judged in a sweep
    for axis, place in places:
        for key, value in zip(axis.keys, axis.values[place]):
            tried.override(Override(f"{axis.origin}: {key}={shown(value)}", key, value))
    try:
        scenario = made(tried)
    except BadScenario as bad:
        faults += [fault for fault in bad.faults if fault not in faults]
    except Refusal as refusal:
        faults.append(str(refusal))
    else:
        origin = source.place_of("sweep", "target")
        faults += [
            f"{origin}: {targetless(target, quoted)}"
            for quoted, theory in ((f"'{name}'", theory) for name, theory in scenario.theories.items())
            if not _has(theory, target)
        ]


def _has(theory: Theory, target: str) -> bool:
    """Tell whether each replica of a theory has what a target is about, as far as that is known before it has run."""
    if isinstance(theory, CopyDynamics):
        return target != "infidelity" or theory.aligned or theory.engine == "meanfield"
    if isinstance(theory, (OQT, SUV, SUI, ColouredSUV)):
        return target not in OF_THE_MEAN or getattr(theory, "scheme", "") == "ensemble"
    return True
