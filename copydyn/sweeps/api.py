"""`copydyn.sweep`: one scenario at many values of its keys, as an xarray.Dataset with a dimension for each of them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import xarray as xr

from copydyn.experiment.inputs import as_whole
from copydyn.refusal import BadType, BadValue, did_you_mean
from copydyn.runs.conduct import MOST_JOBS
from copydyn.runs.durable import place
from copydyn.scenario.scenario import Scenario
from copydyn.scenario.source import Override, Source
from copydyn.scenario.toml_text import brief, shown
from copydyn.sweeps.asked import Asked, asked, recipe_in
from copydyn.sweeps.axes import Axis, parse_values, zipped
from copydyn.sweeps.crew import Crew, Team
from copydyn.sweeps.drive import Stopped, Tally, drive
from copydyn.sweeps.opening import open_sweep
from copydyn.sweeps.recipe import json_copy
from copydyn.sweeps.store import Store

OPTIONS = ("replicas", "seed", "target_error", "target", "max_replicas", "timeout", "batch")


def sweep(
    scenario: str | Path | Scenario,
    axes: Mapping[str | tuple[str, ...], Any] | None = None,
    *,
    out: Path | str,
    jobs: int | None = None,
    dask: str | None = None,
    shard: tuple[int, int] = (1, 1),
    retry: bool = False,
    progress: bool = False,
    **options: Any,
) -> xr.Dataset:
    """Evolve a scenario at every point of a grid, on all cores, and keep every run; go on where a call was stopped.

    Parameters
    ----------
    scenario : str, path or Scenario
        A shipped scenario, or the path of a TOML file, whose [sweep] table may have axes and options as well; or what
        `copydyn.scenario.load` has made of one.
    axes : mapping, optional
        Key to values, ``{"theory.copies": [1e3, 1e4], "system.detuning": "linspace(0, 2, 21)"}``; of keys that change
        together a tuple, ``{("theory.copies", "theory.floor"): [(1e3, 1), (1e4, 3)]}``. A value that is neither a list
        nor an array is put in the place of the scenario's.
    out : path
        The folder that the runs are kept in.
    jobs : int, optional
        Processes; all cores by default. The results do not depend on it.
    dask : str, optional
        Address of a Dask scheduler, or "local", instead of processes.
    shard : (int, int)
        (i, n) makes the i-th part of n, for array jobs that share ``out``.
    retry : bool
        Make runs that have failed once more.
    progress : bool
        Show a bar.
    **options
        replicas, seed, target_error, target, max_replicas, timeout, batch, as on the command line.

    Returns
    -------
    Dataset
        See `copydyn.sweeps.opening.open_sweep`: opened lazily from ``out``.

    Raises
    ------
    BadType, BadValue
        If anything is wrong with what is asked for, before anything is computed; or if ``out`` cannot be written.
    """
    unknown = [name for name in options if name not in OPTIONS]
    if unknown:
        hint = did_you_mean(unknown[0], OPTIONS) or f"there are {', '.join(OPTIONS)}."
        raise BadType(f"'{unknown[0]}' is no option of a sweep; {hint}")
    given = {name: value for name, value in options.items() if value is not None}
    overrides = [
        Override(f"{name}={shown(value)}", "run.seed" if name == "seed" else f"sweep.{name}", value)
        for name, value in given.items()
    ]
    more, fixed = axes_of({} if axes is None else axes)
    source, out = _source_of(scenario), place(out)
    wanted = asked(source, options=[*fixed, *overrides], more=more, seed=seed_of(out))
    run(wanted, out, jobs=jobs, dask=dask, shard=shard, retry=retry, progress=progress)
    return open_sweep(out)


def run(
    wanted: Asked,
    out: Path,
    *,
    jobs: int | None = None,
    dask: str | None = None,
    shard: tuple[int, int] = (1, 1),
    retry: bool = False,
    progress: bool = False,
) -> Tally:
    """Make what is missing of a sweep.

    Raises
    ------
    BadType, BadValue
    Stopped
        On Ctrl-C.
    """
    jobs = cores() if jobs is None else as_whole(jobs, "jobs", least=1, most=MOST_JOBS)
    part, parts = (as_whole(number, "shard", least=1) for number in shard)
    if part > parts:
        raise BadValue(f"shard must be i/n with i from 1 to n, but is {part}/{parts}.")
    team: Team = Crew(jobs) if dask is None else _dask(dask, jobs)
    try:
        store = Store.create(out)
        return drive(
            wanted.recipe, store, team, shard=(part, parts), timeout=wanted.timeout, retry=retry, progress=progress
        )
    except KeyboardInterrupt as stop:
        if str(stop):
            raise
        # while it was beginning, ending, or failing
        raise Stopped(
            f"interrupted; what is kept so far is in {out}, and the same command goes on from there."
        ) from None
    finally:
        team.close()


def axes_of(axes: Mapping[str | tuple[str, ...], Any]) -> tuple[list[Axis], list[Override]]:
    """Read axes as Python has them: lists, arrays, expressions; single values are put in the place of the scenario's.

    Raises
    ------
    BadType, BadValue
    """
    if not isinstance(axes, Mapping):
        raise BadType(f"axes must be a mapping of keys to values, but is {shown(axes)}.")
    made: list[Axis] = []
    fixed: list[Override] = []
    for key, values in axes.items():
        keys = key if isinstance(key, tuple) else (key,)
        if not keys or not all(isinstance(one, str) for one in keys):
            raise BadType(f"an axis must be called by a key, or a tuple of keys, but by {key!r}.")
        values = values.tolist() if hasattr(values, "tolist") else values
        if isinstance(values, str) and len(keys) == 1:
            values = parse_values(values, f"{key}={values}") or values
        if isinstance(values, (range, tuple)) and len(keys) == 1:
            values = list(values)
        # a hundred values are more than is shown of them
        place = f"{', '.join(keys)}={brief(shown(values[:100])) if isinstance(values, list) else repr(values)}"
        if not isinstance(values, list) and len(keys) == 1:
            fixed.append(Override(place, keys[0], values))
            continue
        columns = {keys[0]: values}
        if isinstance(key, tuple):
            if any(not isinstance(row, (list, tuple)) or len(row) != len(keys) for row in values):
                raise BadValue(f"{place}: every value of these {len(keys)} keys must be a tuple of {len(keys)}.")
            columns = {one: [row[number] for row in values] for number, one in enumerate(keys)}
        made.append(zipped({one: list(map(_plain, column)) for one, column in columns.items()}, place))
    return made, fixed


def seed_of(out: Path) -> int | None:
    """Give the seed of the sweep that a store holds: without one of its own, the same command must go on with it.

    Raises
    ------
    BadValue
    """
    if not (out / "store.json").exists():
        return None
    sweeps = Store(out).sweeps()
    for path in reversed(sweeps):
        try:
            return recipe_in(path).seed
        except BadValue:
            continue
    if sweeps:
        raise BadValue(f"{sweeps[-1]}: the seed of the sweep cannot be read any more; give it with --seed.")
    return None


def cores() -> int:
    """Count the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _plain(value: Any) -> Any:
    """Give a value as TOML could have said it."""
    value = value.item() if hasattr(value, "item") and not isinstance(value, (list, tuple)) else value
    if isinstance(value, complex):
        return [value.real, value.imag]
    return [_plain(entry) for entry in value] if isinstance(value, (list, tuple)) else value


def _source_of(scenario: Any) -> str | Source:
    """Give what a sweep is asked of: keys, which an Experiment has not.

    Raises
    ------
    BadType
    """
    if isinstance(scenario, Scenario):
        return Source(scenario.name, scenario.name, json_copy(scenario.tables), {})
    if not isinstance(scenario, (str, Path)):
        raise BadType(
            "scenario must be a scenario's name, the path of its file, or a Scenario, whose keys a sweep changes, but "
            f"is of type {type(scenario).__name__}; write a scenario, or evolve the experiments one by one."
        )
    return str(scenario) if isinstance(scenario, str) else str(scenario.absolute())


def _dask(address: str, jobs: int) -> Team:
    from copydyn.sweeps.cluster import Cluster

    return Cluster(address, jobs)
