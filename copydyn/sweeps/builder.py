"""From a point of a sweep to its run: experiments, theories, references, each of which is made once."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from copydyn.comparison.compare import distances
from copydyn.experiment import Experiment
from copydyn.refusal import BadValue, Refusal
from copydyn.results.result import arrays as result_arrays
from copydyn.runs.conduct import Checkpoint
from copydyn.runs.made_by import LIBRARIES, made_by
from copydyn.scenario.parsing import quickly
from copydyn.scenario.scenario import read_experiment, read_theory
from copydyn.scenario.source import Override, Source
from copydyn.scenario.toml_text import shown
from copydyn.sweeps.asked import recipe_in
from copydyn.sweeps.recipe import PlainTable, Recipe, Strand, digests, json_copy
from copydyn.sweeps.rows import Frame, Row
from copydyn.theories import THEORIES, Schrodinger
from copydyn.theories.theory import Theory


class Plan(NamedTuple):
    """Of a run: what it needs, as far as that takes neither long nor room.

    Parameters
    ----------
    strand : Strand
    values : dict
        Of the swept keys.
    key : str
        `Recipe.key`.
    first, replicas : int
    keep : Checkpoint
    theory : Theory or None
        None where the scenario must be read for it.
    """

    strand: Strand
    values: dict[str, Any]
    key: str
    first: int
    replicas: int
    keep: Checkpoint
    theory: Theory | None


class Run(NamedTuple):
    """What a theory, of a type, has given for an experiment."""

    experiment: Experiment
    theory: type[Theory]
    result: xr.Dataset


class Builder:
    """Experiments and theories of a recipe's points; what two points share is made once.

    Parameters
    ----------
    recipe : Recipe
    """

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.scenario = recipe.scenario()
        keys = [key for axis in recipe.axes for key in axis.keys]
        self._keys_of_theories = [key for key in keys if key.split(".")[0] == "theory"]
        self._keys_of_experiments = [key for key in keys if key not in self._keys_of_theories]
        self._experiment: tuple[list[Any], Experiment] | None = None
        self._reference: tuple[Experiment, dict[str, np.ndarray]] | None = None
        self._theory: tuple[list[Any], Theory | None] | None = None
        self._plain: dict[int, PlainTable | None] = {}
        self._frame: tuple[Experiment, type[Theory], Frame] | None = None

    def run(self, plan: Plan) -> Run:
        """Make one run.

        Raises
        ------
        Refusal
        """
        strand, values, _, first, replicas, keep, theory = plan
        if theory is None:
            theory = self.theory(strand.theory, values)
        experiment = self.experiment(values)
        result = theory.evolve(experiment, self.recipe.seed, replicas, first=first, keep=keep)
        return Run(experiment, type(theory), result)

    def row(self, run: Run) -> Row:
        """Take a run apart, and measure how far it is from quantum mechanics.

        Raises
        ------
        Refusal
        """
        experiment, theory, result = run
        if self._frame is None or self._frame[0] is not experiment or self._frame[1] is not theory:
            self._frame = (experiment, theory, Frame.of(result))
        arrays = result_arrays(result)
        away = distances(arrays, self.reference(experiment))
        return self._frame[2].row(result, arrays, away)

    def source(self, values: Mapping[str, Any]) -> Source:
        """Give the scenario with the values of a point in their places."""
        source = Source(self.recipe.name, self.recipe.name, json_copy(self.recipe.tables), {})
        for key, value in values.items():
            source.override(Override(f"{key}={shown(value)}", key, value))
        return source

    def experiment(self, values: Mapping[str, Any]) -> Experiment:
        """Give the experiment of a point."""
        said = [values[key] for key in self._keys_of_experiments]
        if self._experiment is None or self._experiment[0] != said:
            self._experiment = (said, read_experiment(self.source(values)))
        return self._experiment[1]

    def reference(self, experiment: Experiment) -> dict[str, np.ndarray]:
        """Give what the Schrödinger equation says of an experiment."""
        if self._reference is None or self._reference[0] is not experiment:
            self._reference = (experiment, result_arrays(Schrodinger().evolve(experiment)))
        return self._reference[1]

    def theory(self, theory: int, values: Mapping[str, Any]) -> Theory:
        """Give a theory with the parameters of a point.

        Raises
        ------
        Refusal
        """
        made = self.quick_theory(theory, values)
        if made is None:
            made = read_theory(self.source(values), theory)
            self._theory = (self._said(theory, values), made)
        return made

    def quick_theory(self, theory: int, values: Mapping[str, Any]) -> Theory | None:
        """Give it where only numbers and words of its table change; None where the scenario must be read for it."""
        said = self._said(theory, values)
        if self._theory is None or self._theory[0] != said:
            if theory not in self._plain:
                self._plain[theory] = self.recipe.plain_table(theory)
            plain, made = self._plain[theory], None
            if plain is not None:
                with suppress(ValueError, TypeError, Refusal):  # the scenario is read for a sentence, with its place
                    made = quickly(THEORIES[plain.kind], {**plain.fixed, **plain.filled(values)})
            self._theory = (said, made)
        return self._theory[1]

    def _said(self, theory: int, values: Mapping[str, Any]) -> list[Any]:
        """Say what a theory is made of."""
        return [theory, *(values[key] for key in self._keys_of_theories)]


class _Own(threading.local):
    """Builders of one thread: two cannot share one, which remembers what it has made last."""

    def __init__(self) -> None:
        self.builder = lru_cache(4)(lambda identity: _begun(Path(identity[0]), identity))


_own = _Own()


_written: dict[tuple[Any, ...], Recipe] = {}


def inherit(path: Path, recipe: Recipe) -> None:
    """Let processes that are forked from now on have the recipe that was written to a file, and not read it again."""
    _written.clear()  # whoever has not begun with an earlier one can still read it
    _written[_identity(str(path))] = recipe


def _begun(path: Path, identity: tuple[Any, ...]) -> Builder:
    recipe = _written.get(identity) or recipe_in(path)
    if recipe.made_by != made_by():
        other = next(name for name in ("code", *LIBRARIES) if recipe.made_by.get(name) != made_by()[name])
        raise BadValue(
            f"{path}: whoever works on a sweep must have the copydyn and the libraries that it was begun with, but has "
            f"another {'copydyn' if other == 'code' else other}; install the same ones everywhere, or give the command "
            "of the sweep again, which begins a new one."
        )
    here, begun = digests(recipe.paths), recipe.files or {}
    changed = [name for name in recipe.paths if here.get(name) != begun.get(name)]
    if changed:
        raise BadValue(
            f"{path}: whoever works on a sweep must read the files that it was begun with, but {shown(changed[0])} is "
            "another one here, or cannot be read; give whole paths, or the command of the sweep again."
        )
    return Builder(recipe)


def builder_of(path: str) -> Builder:
    """Give this thread's builder of the sweep in a file; where a folder was made anew, its file is another one."""
    return _own.builder(_identity(path))


def _identity(path: str) -> tuple[Any, ...]:
    file = os.stat(path)
    return path, file.st_ino, file.st_mtime_ns, file.st_size
