"""The work of a sweep: a task into committed files, in whatever process or machine it is called."""

from __future__ import annotations

import math
import os
import platform
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import xarray as xr

from copydyn.refusal import BadValue, Refusal
from copydyn.runs import checkpoint
from copydyn.runs.conduct import SHORT, Checkpoint, TimedOut, time_limit
from copydyn.runs.made_by import made_by
from copydyn.sweeps.builder import Plan, Run, builder_of
from copydyn.sweeps.moments import Moments
from copydyn.sweeps.packing import packed
from copydyn.sweeps.recipe import Block, Recipe, Strand, Target, targetless
from copydyn.sweeps.records import Damaged, Entry, Record, name_of, named
from copydyn.sweeps.rows import MOST_BYTES, Row, Shape, chances, grouped, parted
from copydyn.sweeps.shelf import Shelf
from copydyn.sweeps.store import Store
from copydyn.version import __version__

FLUSH = 5.0
"""Seconds of work after which the runs that are done are committed, however few they are."""

SETTLE = 0.25
"""Seconds of work after which the runs that are done are measured."""

CHECKPOINT = 60.0
"""Seconds between the checkpoints of a long run."""

_NO_LIMIT = nullcontext()

MOST_HELD = 4 * MOST_BYTES
"""Bytes of runs that a worker keeps in memory until their block is whole; beyond, it reads them again."""


S = TypeVar("S")
T = TypeVar("T")


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
        Which strand of the block to make by itself, as it may end the process.
    retry : bool
        Make runs that have failed once more.
    span : (int, int) or None
        Which strands of the block to make, without merging; all, and that, by default.
    """

    folder: str
    sweep: str
    block: Block
    found: tuple[str, ...]
    timeout: float | None = None
    only: int | None = None
    retry: bool = False
    span: tuple[int, int] | None = None

    @property
    def strands(self) -> int:
        """How many strands to make."""
        start, stop = self.span or (self.block.start, self.block.stop)
        return 1 if self.only is not None else stop - start


class Outcome(NamedTuple):
    """What a worker answers.

    Parameters
    ----------
    done, failed : int
        Strands that are done, and runs that have failed.
    sentence : str
        Why the first one has.
    missed : tuple of str
        Points that have as many replicas as they may, and have missed the target all the same.
    """

    done: int
    failed: int
    sentence: str = ""
    missed: tuple[str, ...] = ()


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
        self.block, self.timeout = task.block, task.timeout
        self.mine = slice(*(task.span or (None,))) if task.only is None else slice(task.only, task.only + 1)
        self.merging = task.only is None and task.span is None
        self.store = Store(Path(task.folder))
        self.builder = builder_of(str(self.store.folder / "sweeps" / task.sweep))
        self.recipe = self.builder.recipe
        self.strands = self.recipe.strands_of(task.block)
        self.values = [self.recipe.values(strand.point) for strand in self.strands]
        self.keys = [
            self.recipe.key(strand, strand.first, strand.replicas, values)
            for strand, values in zip(self.strands, self.values)
        ]
        self.block_name = named(self.keys)
        self.room = str(self.store.drafts)
        self.drafts = {os.path.join(self.room, name) for name in os.listdir(self.room)}
        self.entries: dict[str, Entry] = {}
        self.rows: dict[str, Row] = {}  # in memory
        self.held = 0  # their bytes
        self.shapes: dict[str, Shape | None] = {}
        self.homes: dict[str, str] = {}  # names of the files that runs already stand in
        self.foreign: set[str] = set()
        self.pieces: dict[str, Record] = {}  # the block's own files
        self.retry = task.retry
        self.unsettled: list[tuple[Plan, tuple[Run | None, str, str], float]] = []
        self.unsaved: list[str] = []
        self.order: list[str] = []
        self.missed: list[str] = []
        self.kept = self.settled = time.monotonic()
        found = task.found
        if not all(map(self.store.has, found)):  # somebody has merged them just now
            found += tuple(record.name for record in self.store.records({}) if record.block == self.block_name)
        for name in dict.fromkeys(found):
            self._take_in(name)

    def work(self) -> Outcome:
        strands, keys, values = self.strands[self.mine], self.keys[self.mine], self.values[self.mine]
        if self.recipe.target is not None:
            for strand in strands:
                self._until_sure(strand, self.recipe.target)
        else:
            self.order = keys
            # made together, their code stays in the caches, which runs of a millisecond push it out of
            plans = [
                self._plan(strand, point, key, strand.first, strand.replicas)
                for strand, point, key in zip(strands, values, keys)
                if key not in self.entries
            ]
            for plan in plans:
                self._run(plan)
                self._now_and_then()
        self._flush(last=True)
        if self.merging:
            self._merge()
        faults = [self.entries[key].fault for key in self.order if self.entries[key].fault]
        return Outcome(len(strands), len(faults), faults[0] if faults else "", tuple(self.missed))

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

    def _until_sure(self, strand: Strand, target: Target) -> None:
        """Make as many runs as it takes to reach the target."""
        aim, first, values = Aim(target.of), strand.first, self.recipe.values(strand.point)
        while True:
            replicas = min(strand.replicas, target.most - first)
            key = self.recipe.key(strand, first, replicas, values)
            self.order.append(key)
            if key not in self.entries:
                self._run(self._plan(strand, values, key, first, replicas))
                self._settle(aim)
            elif not self.entries[key].fault:
                aim.add(self._row(key))
            entry = self.entries[key]
            first += replicas
            self._now_and_then()
            if entry.fault or target.over(entry.error, first):
                if not entry.fault and not target.met(entry.error, first):
                    self.missed.append(self.recipe.told_missed(strand.theory, strand.point, entry.error, first))
                break

    def _plan(self, strand: Strand, values: dict[str, Any], key: str, first: int, replicas: int) -> Plan:
        keep = Checkpoint(os.path.join(self.room, f"{key}.checkpoint"), CHECKPOINT)
        return Plan(strand, values, key, first, replicas, keep, self.builder.quick_theory(strand.theory, values))

    def _run(self, plan: Plan) -> None:
        """Make one run."""
        begun = time.perf_counter()
        with _NO_LIMIT if self.timeout is None else time_limit(self.timeout):
            run = self._tried(self.builder.run, plan)
        seconds = time.perf_counter() - begun
        if seconds > SHORT or plan.keep.path in self.drafts:
            checkpoint.remove(Path(plan.keep.path))
        self.unsettled.append((plan, run, seconds))

    def _now_and_then(self) -> None:
        now = time.monotonic()
        if now - self.kept > FLUSH:
            self._flush()
        elif now - self.settled > SETTLE:
            self._settle()

    def _settle(self, aim: Aim | None = None) -> None:
        """Measure what runs have given."""
        for plan, (run, fault, detail), seconds in self.unsettled:
            row, error = None, None
            if run is not None:
                row, fault, detail = self._tried(self.builder.row, run)
            if aim is not None and row is not None:
                _, fault, detail = self._tried(aim.add, row)
                row, error = (row, aim.error()) if not fault else (None, None)
            name = self.recipe.theories[plan.strand.theory]
            key, said = plan.key, round(seconds, 6)
            self.entries[key] = Entry(key, name, plan.values, plan.first, plan.replicas, said, fault, error, detail)
            self._hold(key, row)
            self.unsaved.append(key)
        self.unsettled = []
        self.settled = time.monotonic()

    def _tried(self, do: Callable[[S], T], given: S) -> tuple[T | None, str, str]:
        """Do what may fail, and say why it has: for everybody, and what only a developer wants to know."""
        detail = ""
        try:
            return do(given), "", ""
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
        return None, fault, detail

    def _row(self, key: str) -> Row:
        """Give a run that has not failed, from its file where it has left memory."""
        if key not in self.rows:
            self._read(self.homes[key])
        return self.rows[key]

    def _read(self, name: str) -> None:
        record = self.store.record(name)
        rows = iter(Shelf(self.store.content(record)).rows(record.own) if record.sha256 else ())
        for entry in record.entries:
            self._hold(entry.key, None if entry.fault else next(rows))

    def _hold(self, key: str, row: Row | None) -> None:
        """Keep a run in memory, with what is needed to share it out to files once it is no longer there."""
        self.shapes[key] = None if row is None else row.form.shape
        if row is not None:
            self.rows[key] = row
            self.held += row.form.shape.size

    def _flush(self, *, last: bool = False) -> None:
        """Commit what is not yet."""
        self._settle()
        if not self.unsaved:
            return
        whole = last and not self.pieces and self.merging
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
        content, form, said = b"", "", about(self.recipe)
        if sound:
            columns: dict[str, list[Any]] = {key: [entry.point[key] for entry, _ in sound] for key in sound[0][0].point}
            columns["replica_first"] = [entry.first for entry, _ in sound]
            attrs = {"scenario": self.builder.scenario, "sweep_seed": self.recipe.seed}
            content = packed([row for _, row in sound], columns, attrs)
            form = sound[0][1].form.shape.form
            said["attributes"], said["own"] = parted([row.attrs for _, row in sound])
        record = self.store.commit(self.block_name, entries, content, form, said, whole=whole)
        self.pieces[record.name] = record
        for key in keys:
            self.homes[key] = record.name


def block_name(recipe: Recipe, block: Block) -> str:
    """Name a block after its strands, so that the same block is known again."""
    return named(recipe.key(strand, strand.first, strand.replicas) for strand in recipe.strands_of(block))


def about(recipe: Recipe) -> dict[str, Any]:
    """Say what made a file."""
    versions = {"copydyn": __version__, **made_by(), "code": made_by()["code"][:16], "xarray": xr.__version__}
    return {
        "seed": recipe.seed,
        "versions": {**versions, "python": platform.python_version(), "machine": platform.machine()},
        "host": platform.node(),
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
    }


class Aim:
    """How sure the mean over replicas is that a target is about, run by run.

    Parameters
    ----------
    of : {"probability", "max_deviation", "total_variation", "infidelity"}
    """

    def __init__(self, of: str) -> None:
        self.of, self.moments, self.certain = of, Moments((1,)), False

    def add(self, row: Row) -> None:
        """Take in the replicas of a run.

        Raises
        ------
        BadValue
            If they have no such value of their own, so that its mean has no error.
        """
        if row.form.kind.certain:
            self.certain = True
            return
        values = self._of_each(row)
        if values is None:
            raise BadValue(targetless(self.of, str(row.attrs.get("theory", "the theory"))))
        if self.moments.number[0] == 0:
            self.moments = Moments((1, *values.shape[1:]))
        self.moments.add([0], np.asarray(values, dtype=float)[None])

    def _of_each(self, row: Row) -> np.ndarray | None:
        """Give the value of each replica, (replica, ...), if they have any."""
        if self.of == "probability":
            return chances(row.values)
        return row.values[self.of] if self.of in row.values and row.form.each(self.of) else None

    def error(self) -> float | None:
        """Largest standard error of the mean; None where it cannot be known, as of one replica."""
        if self.certain:
            return 0.0
        error = float(np.max(self.moments.error()))
        return error if math.isfinite(error) else None
