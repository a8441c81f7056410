"""The work of a sweep: a task into committed files, in whatever process or machine it is called."""

from __future__ import annotations

import math
import os
import platform
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from copydyn.comparison import distances
from copydyn.experiment import Experiment
from copydyn.parsing import quickly
from copydyn.refusal import BadValue, Refusal
from copydyn.result import arrays as result_arrays
from copydyn.runs import checkpoint
from copydyn.runs.conduct import SHORT, Checkpoint, TimedOut, time_limit
from copydyn.scenario import read_experiment, read_theory
from copydyn.source import Override, Source
from copydyn.streams import code_stamp
from copydyn.sweeps.asked import recipe_in
from copydyn.sweeps.recipe import Block, PlainTable, Recipe, Strand, Target, digests, json_copy
from copydyn.sweeps.records import Damaged, Entry, Record, name_of, named
from copydyn.sweeps.rows import MOST_BYTES, Frame, Row, Shape, Shelf, grouped, packed, row_of
from copydyn.sweeps.store import Store
from copydyn.theories import THEORIES, Schrodinger
from copydyn.theory import Theory
from copydyn.toml_text import shown
from copydyn.version import __version__

FLUSH = 5.0
"""Seconds of work after which the runs that are done are committed, however few they are."""

CHECKPOINT = 60.0
"""Seconds between the checkpoints of a long run."""

_NO_LIMIT = nullcontext()

FEWEST = 30
"""Replicas before which a point is not taken to have reached its target: an error must be known to be believed."""

MOST_HELD = 4 * MOST_BYTES
"""Bytes of runs that a worker keeps in memory until their block is whole; beyond, it reads them again."""


class Task(NamedTuple):
    """What a worker is asked for: plain words and numbers, whatever way they travel.

    Parameters
    ----------
    folder : str
        Of the store.
    sweep : str
        Which of its sweeps says what is computed.
    block : Block
    found : tuple of str
        Names of the records in which runs of the block stand already.
    timeout : float or None, seconds
        Of one run.
    only : int or None
        Which strand of the block to make, without merging; all by default.
    retry : bool
        Make runs that have failed once more.
    """

    folder: str
    sweep: str
    block: Block
    found: tuple[str, ...]
    timeout: float | None = None
    only: int | None = None
    retry: bool = False


class Outcome(NamedTuple):
    """What a worker answers: strands done, runs that have failed, the first sentence of why."""

    done: int
    failed: int
    sentence: str = ""


def work(task: Task) -> Outcome:
    """Make every run of a block that is not there, commit them, and merge the files of the block into as few as can be.

    Raises
    ------
    OSError
        If the store cannot be written; what is committed stays.
    """
    try:
        return _Desk(task).work()
    except Damaged:  # a file of the block, or another sweep has merged it just now
        return _Desk(task, careful=True).work()


class _Desk:
    """A block in the making.

    Parameters
    ----------
    task : Task
    careful : bool
        Read whole files before their runs are believed to be there.
    """

    def __init__(self, task: Task, *, careful: bool = False) -> None:
        self.careful = careful
        self.block, self.timeout, self.only = task.block, task.timeout, task.only
        self.store = Store(Path(task.folder))
        self.builder = builder_of(str(self.store.folder / "sweeps" / task.sweep))
        self.recipe = self.builder.recipe
        self.strands = self.recipe.strands_of(task.block)
        self.keys = [self.recipe.key(strand, strand.first, strand.replicas) for strand in self.strands]
        self.block_name = named(self.keys)
        self.room = self.store.drafts
        self.drafts = set(os.listdir(self.store.drafts))
        self.entries: dict[str, Entry] = {}
        self.rows: dict[str, Row] = {}  # in memory
        self.held = 0  # their bytes
        self.shapes: dict[str, Shape | None] = {}
        self.homes: dict[str, str] = {}  # names of the files that runs already stand in
        self.foreign: set[str] = set()
        self.pieces: dict[str, Record] = {}  # the block's own files
        self.retry = task.retry
        self.unsaved: list[str] = []
        self.order: list[str] = []
        self.failed, self.sentence = 0, ""
        self.kept = time.monotonic()
        for name in task.found:
            self._take_in(name)

    def work(self) -> Outcome:
        strands, keys = self.strands, self.keys
        if self.only is not None:
            strands, keys = strands[self.only : self.only + 1], keys[self.only : self.only + 1]
        for strand, key in zip(strands, keys):
            self._strand(strand, key)
        self._flush(last=True)
        if self.only is None:
            self._merge()
        return Outcome(len(strands), self.failed, self.sentence)

    def _take_in(self, name: str) -> None:
        try:
            record = self.store.record(name)
            if self.careful and record.sha256:
                self.store.content(record)
        except Damaged:
            return  # its runs are made again
        own = record.block == self.block_name
        if own:
            self.pieces[name] = record
        for entry in record.entries:
            if entry.fault and self.retry:
                continue
            self.entries[entry.key], self.homes[entry.key] = entry, name
            if not own:
                self.foreign.add(entry.key)

    def _strand(self, strand: Strand, key: str) -> None:
        """Make the runs of a strand: one, or with a target as many as it takes."""
        target, moments, first = self.recipe.target, None, strand.first
        while True:
            replicas = strand.replicas if target is None else min(strand.replicas, target.most - first)
            if first != strand.first:
                key = self.recipe.key(strand, first, replicas)
            entry = self.entries.get(key)
            if target is not None and moments is None:
                moments = _Moments(target.of)
            if entry is None:
                entry = self._run(strand, key, first, replicas, moments)
            elif moments is not None and not entry.fault:
                moments.add(self._row(key))
            self.order.append(key)
            if entry.fault:
                self.failed += 1
                self.sentence = self.sentence or entry.fault
            first += replicas
            if target is None or entry.fault or reached(entry.error, first, target):
                break
        if time.monotonic() - self.kept > FLUSH:
            self._flush()

    def _run(self, strand: Strand, key: str, first: int, replicas: int, moments: _Moments | None) -> Entry:
        """Make one run."""
        values = self.recipe.values(strand.point)
        begun = time.perf_counter()
        draft = f"{key}.checkpoint"
        keep = Checkpoint(self.room / draft, CHECKPOINT)
        fault = detail = ""
        row = None
        try:
            with _NO_LIMIT if self.timeout is None else time_limit(self.timeout):
                row = self.builder.row(strand.theory, values, self.recipe.seed, first, replicas, keep)
        except Refusal as refusal:
            fault = str(refusal).split("\n")[0]
        except TimedOut:
            fault = f"the run took longer than the timeout of {self.timeout:g} s; give it more with --timeout."
        except MemoryError as cause:
            fault = (
                f"the run must fit into memory, but: {cause or 'out of memory'}; take fewer labels, replicas or times."
            )
        except Exception as cause:
            fault = f"copydyn itself is at fault: {type(cause).__name__}: {str(cause) or 'no more is known'}."
            detail = traceback.format_exc()
        seconds = round(time.perf_counter() - begun, 6)
        if seconds > SHORT or draft in self.drafts:
            checkpoint.remove(keep.path)
        error = None
        if moments is not None and row is not None:
            moments.add(row)
            error = moments.error()
        name = self.recipe.theories[strand.theory]
        entry = Entry(key, name, values, first, replicas, seconds, fault, error, detail)
        self.entries[key] = entry
        self._hold(key, row)
        self.unsaved.append(key)
        return entry

    def _row(self, key: str) -> Row:
        """Give a run that has not failed, from its file where it has left memory."""
        if key not in self.rows:
            self._read(self.homes[key])
        return self.rows[key]

    def _read(self, name: str) -> None:
        record = self.store.record(name)
        rows = iter(Shelf(self.store.content(record)).rows() if record.sha256 else ())
        for entry in record.entries:
            self._hold(entry.key, None if entry.fault else next(rows))

    def _hold(self, key: str, row: Row | None) -> None:
        """Keep a run in memory, with what is needed to share it out to files once it is no longer there."""
        self.shapes[key] = None if row is None else row.shape
        if row is not None:
            self.rows[key] = row
            self.held += row.size

    def _flush(self, *, last: bool = False) -> None:
        """Commit what is not yet."""
        if not self.unsaved:
            return
        whole = last and not self.pieces and self.only is None
        for keys in self._grouped(self.unsaved):
            self._commit(keys, whole=whole)
        self.unsaved = []
        self.kept = time.monotonic()
        self._make_room()

    def _merge(self) -> None:
        """Write the runs of the block in as few files as they fit into, and remove those that have become needless."""
        if all(record.whole for record in self.pieces.values()):
            return
        mine = [key for key in dict.fromkeys(self.order) if key not in self.foreign]
        for key in mine:
            if key not in self.shapes:
                self._read(self.homes[key])
        wanted = set()
        for keys in self._grouped(mine):
            name = name_of(self.entries[key] for key in keys)
            wanted.add(name)
            if name not in self.pieces:
                self._commit(keys, whole=True)
                self._make_room()
            elif not self.pieces[name].whole:
                self.store.settle(self.pieces[name])
        for name in self.pieces:
            if name not in wanted:
                self.store.remove(name)

    def _make_room(self) -> None:
        if self.held > MOST_HELD:
            self.rows.clear()
            self.held = 0

    def _grouped(self, keys: Sequence[str]) -> list[list[str]]:
        groups = grouped([self.shapes[key] for key in keys])
        return [[keys[place] for place in group] for group in groups]

    def _commit(self, keys: Sequence[str], *, whole: bool) -> None:
        entries = [self.entries[key] for key in keys]
        sound = [(entry, self._row(entry.key)) for entry in entries if not entry.fault]
        content, form = b"", ""
        if sound:
            columns: dict[str, list[Any]] = {key: [entry.point[key] for entry, _ in sound] for key in sound[0][0].point}
            columns["replica_first"] = [entry.first for entry, _ in sound]
            attrs = {"scenario": self.builder.scenario, "sweep_seed": self.recipe.seed}
            content = packed([row for _, row in sound], columns, attrs)
            form = sound[0][1].shape.form
        record = self.store.commit(self.block_name, entries, content, form, about(self.recipe), whole=whole)
        self.pieces[record.name] = record
        for key in keys:
            self.homes[key] = record.name


def block_name(recipe: Recipe, block: Block) -> str:
    """Name a block after its strands, so that the same block is known again."""
    return named(recipe.key(strand, strand.first, strand.replicas) for strand in recipe.strands_of(block))


def reached(error: float | None, replicas: int, target: Target) -> bool:
    """Tell whether a point has enough replicas, or as many as it may have."""
    return replicas >= target.most or (replicas >= FEWEST and error is not None and error <= target.error)


def about(recipe: Recipe) -> dict[str, Any]:
    """Say what made a file."""
    versions = {"copydyn": __version__, "code": code_stamp()[:16], "numpy": np.__version__, "xarray": xr.__version__}
    return {
        "seed": recipe.seed,
        "versions": {**versions, "python": platform.python_version(), "machine": platform.machine()},
        "host": platform.node(),
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
    }


class _Moments:
    """Mean and spread over replicas of what a target is about, run by run."""

    def __init__(self, of: str) -> None:
        self.of = {"probability": "frequency"}.get(of, of)
        self.number, self.mean, self.squares = 0, np.zeros(()), np.zeros(())
        self.certain = False

    def add(self, row: Row) -> None:
        """Take in the replicas of a run (Chan, Golub and LeVeque's update)."""
        if self.of in row.variables:
            values = np.asarray(row.variables[self.of][1], dtype=float)
        elif self.of == "frequency" and "state" in row.variables:
            values = np.sum(row.variables["state"][1] ** 2, axis=-1)  # |psi|^2 of each trajectory, of its two parts
        else:
            self.certain = True  # a theory that draws no numbers
            return
        number, mean = len(values), values.mean(axis=0)
        squares = ((values - mean) ** 2).sum(axis=0)
        total, shift = self.number + number, mean - self.mean
        self.squares = self.squares + squares + shift**2 * self.number * number / total
        self.mean = self.mean + shift * number / total
        self.number = total

    def error(self) -> float:
        """Largest standard error of the mean; infinite for one replica."""
        if self.certain:
            return 0.0
        if self.number < 2:
            return math.inf
        return float(np.sqrt(np.max(self.squares) / (self.number - 1) / self.number))


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
        self._reference: tuple[list[Any], dict[str, np.ndarray]] | None = None
        self._theory: tuple[list[Any], Theory] | None = None
        self._plain: dict[int, PlainTable | None] = {}
        self._frame: tuple[Experiment, type[Theory], Frame] | None = None

    def row(
        self, theory: int, values: Mapping[str, Any], seed: int, first: int, replicas: int, keep: Checkpoint
    ) -> Row:
        """Make one run and measure how far it is from quantum mechanics.

        Raises
        ------
        Refusal
        """
        made = self.theory(theory, values)
        experiment = self.experiment(values)
        result = made.evolve(experiment, seed, replicas, first=first, keep=keep)
        if self._frame is None or self._frame[0] is not experiment or self._frame[1] is not type(made):
            self._frame = (experiment, type(made), Frame.of(result))
        arrays = result_arrays(result)
        besides = distances(arrays, self.reference(values), result.sizes.get("replica", 1))
        return row_of(result, arrays, besides, self._frame[2])

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

    def reference(self, values: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Give what the Schrödinger equation says of the point's experiment."""
        said = [values[key] for key in self._keys_of_experiments]
        if self._reference is None or self._reference[0] != said:
            self._reference = (said, result_arrays(Schrodinger().evolve(self.experiment(values))))
        return self._reference[1]

    def theory(self, theory: int, values: Mapping[str, Any]) -> Theory:
        """Give a theory with the parameters of a point."""
        said = [theory, *(values[key] for key in self._keys_of_theories)]
        if self._theory is None or self._theory[0] != said:
            self._theory = (said, self._new_theory(theory, values))
        return self._theory[1]

    def _new_theory(self, theory: int, values: Mapping[str, Any]) -> Theory:
        """Make a theory; where only numbers and words of its table change, without reading the whole scenario again."""
        if theory not in self._plain:
            self._plain[theory] = self.recipe.plain_table(theory)
        plain = self._plain[theory]
        if plain is not None:
            with suppress(ValueError, TypeError, Refusal):  # whose sentences are made below, with their place
                made: Theory = quickly(THEORIES[plain.kind], {**plain.fixed, **plain.filled(values)})
                return made
        return read_theory(self.source(values), theory)


class _Own(threading.local):
    """Builders of one thread: two cannot share one, which remembers what it has made last."""

    def __init__(self) -> None:
        self.builder = lru_cache(4)(lambda path, *_: _begun(Path(path)))


_own = _Own()


def _begun(path: Path) -> Builder:
    recipe = recipe_in(path)
    if recipe.code != code_stamp() or recipe.numpy != np.__version__:
        raise BadValue(
            f"{path}: whoever works on a sweep must have the copydyn and numpy that it was begun with, but has others; "
            "install the same ones everywhere, or give the command of the sweep again, which begins a new one."
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
    file = os.stat(path)
    return _own.builder(path, file.st_ino, file.st_mtime_ns, file.st_size)
