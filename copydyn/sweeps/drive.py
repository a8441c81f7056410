"""Driving a sweep: which blocks are missing, who works on them, what is seen of it, and how it ends."""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from copydyn.refusal import BadValue
from copydyn.runs import checkpoint, durable
from copydyn.scenario.toml_text import one_line
from copydyn.sweeps.asked import recipe_in
from copydyn.sweeps.builder import inherit
from copydyn.sweeps.crew import PATIENCE, Answer, Team
from copydyn.sweeps.recipe import Block, Recipe, Unit, pieces, share
from copydyn.sweeps.records import Entry
from copydyn.sweeps.store import Store, alive, unwritable
from copydyn.sweeps.work import Task, about, block_name
from copydyn.wording import duration

BEAT = 2.0
"""Seconds between two signs of life."""

GLANCE = 0.2
"""Seconds between two looks at the bar."""

SILENCE = 15.0
"""Seconds after which somebody who was at work is taken for dead."""

LARGEST_SIGN = 2**16
"""Bytes of a sign of life."""

IN_HAND = 2
"""Tasks a worker, so that none waits for its next one."""


MOST_DEATHS = 3
"""Workers that may die at one task: the first at all of it, later ones at merging it."""

MOST_NAMED = 3
"""Points that are named where many have missed the target."""


class Survey(NamedTuple):
    """Of what is there: the names of records with runs in them; strands that are not whole, and that failed.

    Parameters
    ----------
    missed : list of str
        Points that have missed the target.
    """

    found: list[str]
    missing: int
    failed: int
    missed: list[str]


class Stopped(KeyboardInterrupt):
    """Ctrl-C, with a sentence that says what is kept and how to go on."""


@dataclass
class Tally:
    """How far a sweep is.

    Parameters
    ----------
    total, found, done, failed : int
        Strands: of this sweep or shard, there at its start, made since, and those of either that have failed.
    sentence : str
        The first fault.
    missed : list of str
        Points that have as many replicas as they may, and have missed the target all the same.
    """

    total: int = 0
    found: int = 0
    done: int = 0
    failed: int = 0
    sentence: str = ""
    missed: list[str] = field(default_factory=list)
    begun: float = field(default_factory=time.monotonic)

    def text(self, folder: Path) -> str:
        """Say how it has ended."""
        seconds = time.monotonic() - self.begun
        there = f"{self.found} of them were there already; " if self.found else ""
        made = f"{self.done} made in {duration(seconds)}" if self.done else "nothing was left to do"
        lines = [f"{self.total} {'runs' if self.total != 1 else 'run'}, {there}{made}", f"  kept in       {folder}"]
        if self.failed:
            lines.append(
                f"  failed        {self.failed}, the first one because: {one_line(self.sentence) or 'see status'}"
            )
        if self.missed:
            more = len(self.missed) - MOST_NAMED
            named = "; ".join(sorted(self.missed)[:MOST_NAMED])
            lines.append(f"  target missed {len(self.missed)}: {named}{f'; and {more} more' if more > 0 else ''}")
        return "\n".join(lines)

    @property
    def rate(self) -> float:
        """Strands a second."""
        return self.done / max(time.monotonic() - self.begun, 1e-9)


def drive(
    recipe: Recipe,
    store: Store,
    team: Team,
    *,
    shard: tuple[int, int] = (1, 1),
    timeout: float | None = None,
    retry: bool = False,
    progress: bool = False,
) -> Tally:
    """Make whatever is missing of a sweep, and return once all of it is committed.

    Parameters
    ----------
    shard : (int, int)
        (i, n): every n-th piece of the sweep, from the i-th on.
    timeout : float, optional, seconds
        Of one run.
    retry : bool
        Make runs that have failed once more.
    progress : bool
        Show a bar.

    Raises
    ------
    BadValue
        If the store cannot be written.
    Stopped
        On Ctrl-C.
    """
    return _Drive(recipe, store, team, shard, timeout, retry, progress).go()


class _Drive:
    def __init__(
        self,
        recipe: Recipe,
        store: Store,
        team: Team,
        shard: tuple[int, int],
        timeout: float | None,
        retry: bool,
        progress: bool,
    ) -> None:
        self.recipe, self.store, self.team, self.timeout, self.shard = recipe, store, team, timeout, shard
        self.tally = Tally(total=sum(unit.size for unit in recipe.units(shard)))
        self.life = _Life(store, self.tally)
        try:
            self.life.begin()
            store.tidy(alone=not self.life.others)
            written = store.remember(recipe.written())
            inherit(written, recipe)
        except OSError as cause:
            raise unwritable(store.folder, cause) from None
        self.sweep = written.name
        self.index = store.index()
        if not self.life.others:
            self._tidy_checkpoints()
        self.empty = len(self.index) == 0
        self.retry = retry
        self.asked = 0
        self.split = self.merging = False  # blocks are worked on in pieces, which are being merged
        # tasks whose worker died, by block and span, with the strands that are still open
        self.suspects: dict[tuple[int, tuple[int, int] | None], list[int]] = {}
        self.deaths: dict[tuple[int, tuple[int, int] | None], int] = {}
        self.bar = _Bar(self.tally, progress)

    def go(self) -> Tally:
        try:
            self._work_off(self._missing())
            if self.split:
                self.merging = True
                self._work_off(self._in_pieces())
            self.team.close()
            self.life.clear()
        except KeyboardInterrupt:
            self.team.close(patience=PATIENCE)
            self.life.end("interrupted")
            self.bar.close()
            raise Stopped(self._farewell()) from None
        except BaseException:
            self.team.close()
            self.life.end("broken off")
            self.bar.close()
            raise
        self.life.end("")
        self.bar.close()
        return self.tally

    def _tidy_checkpoints(self) -> None:
        """Remove the checkpoints of runs that are there, and of those that no sweep of this store will ask for."""
        left = {
            name: path for path in self.store.checkpoints() if (name := path.stem) and self.index.find(name) is None
        }
        needed: set[str] = set()
        for path in self.store.sweeps() if left else ():
            with suppress(BadValue):  # a sweep that cannot be read cannot be gone on with either
                recipe = recipe_in(path)
                if recipe.made_by == self.recipe.made_by:
                    needed.update(key for key in recipe.names() if key in left)
        for path in self.store.checkpoints():
            if path.stem not in needed:
                with suppress(OSError):
                    checkpoint.remove(path)

    def _work_off(self, tasks: Iterator[Task]) -> None:
        more = True
        while more or self.asked:
            while more and self.asked < IN_HAND * self.team.size:
                task = next(tasks, None)
                more = task is not None
                if task is not None:
                    self._ask(task)
            for answer in self.team.answers(GLANCE):
                self._take(answer)
            self.life.beat()
            self.bar.show()

    def _missing(self) -> Iterator[Task]:
        """Give tasks for what is missing, and for blocks that are in pieces still."""
        for block, span in self._units():
            for piece in pieces(span, share(self.tally.total, self.team.most, self.recipe.block_size)):
                unit = Unit(block, piece)
                self.split |= not unit.whole
                task = self._task(unit)
                if task is not None:
                    yield task

    def _task(self, unit: Unit) -> Task | None:
        block = unit.block
        name = block_name(self.recipe, block) if self.index.pieces or self.life.others else ""
        if self.life.others and self.store.has(name):
            self.tally.found += unit.size
            return None
        there = self._survey(unit)
        own = self.index.pieces.get(name, []) if unit.whole else []
        if there.missing or own:
            found = tuple(dict.fromkeys([*there.found, *own]))
            span = None if unit.whole else unit.span
            return Task(str(self.store.folder), self.sweep, block, found, self.timeout, retry=self.retry, span=span)
        self.tally.found += unit.size
        self.tally.failed += there.failed
        self.tally.missed += there.missed
        return None

    def _in_pieces(self) -> Iterator[Task]:
        """Give a task for every block that was shared out among several, and is all there now, to be merged."""
        self._look_again()
        for block in self.recipe.blocks() if self.index.pieces else ():
            own = self.index.pieces.get(block_name(self.recipe, block), [])
            if own:
                there = self._survey(Unit(block, (0, block.stop - block.start)), retry=False)
                if not there.missing:  # else whoever makes the last of it will merge it
                    found = tuple(dict.fromkeys([*there.found, *own]))
                    yield Task(str(self.store.folder), self.sweep, block, found, self.timeout)

    def _units(self) -> Iterable[Unit]:
        """Give what to work on; where somebody else is at work on the same store, from the end, to meet midway."""
        units = self.recipe.units(self.shard)
        return reversed(list(units)) if self.life.others else units

    def _survey(self, unit: Unit, *, retry: bool | None = None) -> Survey:
        """See which runs of a unit are there."""
        retry = self.retry if retry is None else retry
        if self.empty:
            return Survey([], unit.size, 0, [])
        found: dict[str, None] = {}
        missing = failures = 0
        missed = []
        for number in range(unit.block.start + unit.span[0], unit.block.start + unit.span[1]):
            strand = self.recipe.strand(unit.block.theory, number)
            first, target = strand.first, self.recipe.target
            while True:
                replicas = strand.replicas if target is None else min(strand.replicas, target.most - first)
                place = self.index.find(self.recipe.key(strand, first, replicas))
                if place is not None:
                    found[place.name] = None
                if place is None or (retry and place.row < 0):
                    missing += 1
                    break
                first += replicas
                failures += place.row < 0
                if target is None or place.row < 0:
                    break
                if target.over(place.error, first):
                    if not target.met(place.error, first):
                        missed.append(self.recipe.told_missed(strand.theory, strand.point, place.error, first))
                    break
        return Survey(list(found), missing, failures, missed)

    def _ask(self, task: Task) -> None:
        self.asked += 1
        self.team.ask(task)

    def _take(self, answer: Answer) -> None:
        self.asked -= 1
        task, outcome = answer.task, answer.outcome
        if answer.refusal:
            raise BadValue(answer.refusal)
        if answer.bug:
            raise RuntimeError(f"a worker of the sweep is at fault:\n{answer.bug}")
        if answer.fault:
            raise unwritable(self.store.folder, OSError(0, answer.fault))
        if outcome is None:
            self._suspect(task)
            return
        if task.only is not None:
            self._cleared(task)
            return
        if self.merging:
            return
        self.tally.done += outcome.done
        self.tally.failed += outcome.failed
        self.tally.sentence = self.tally.sentence or outcome.sentence
        self.tally.missed += outcome.missed

    def _suspect(self, task: Task) -> None:
        """Go through a task whose worker has died strand by strand, and blame the run that kills its worker again."""
        self._look_again()
        if task.only is None:
            place = task.block.number, task.span
            deaths = self.deaths[place] = self.deaths.get(place, 0) + 1
            if deaths > MOST_DEATHS:
                raise BadValue(
                    f"{self.store.folder}: workers must live to finish a block, but {deaths} have died at block "
                    f"{task.block.number}; what is kept so far is safe: see to the memory of the machine, and give the "
                    "same command again."
                )
            strands = list(range(*(task.span or (0, task.block.stop - task.block.start))))
            self.suspects[place] = strands
            for strand in strands:
                self._ask(task._replace(only=strand, found=self._found(task.block)))
            return
        self._blame(task.block, task.only)
        self._cleared(task)

    def _blame(self, block: Block, number: int) -> None:
        """Record that the next run of a strand cannot be made."""
        fault = (
            "the process that computed it died twice: it was killed, ran out of memory, crashed, or did not listen to "
            "its timeout; take fewer labels or replicas."
        )
        strand = self.recipe.strands_of(block)[number]
        first, replicas = strand.first, strand.replicas
        while self.recipe.target is not None and self.index.find(self.recipe.key(strand, first, replicas)) is not None:
            first += replicas
            replicas = min(strand.replicas, self.recipe.target.most - first)
        key, values = self.recipe.key(strand, first, replicas), self.recipe.values(strand.point)
        entry = Entry(key, self.recipe.theories[strand.theory], values, first, replicas, fault=fault)
        try:
            self.store.commit(block_name(self.recipe, block), [entry], b"", "", about(self.recipe), whole=False)
        except OSError as cause:
            raise unwritable(self.store.folder, cause) from None

    def _cleared(self, task: Task) -> None:
        """Once all strands of a suspect task are through, do what is left of it."""
        left = self.suspects[task.block.number, task.span]
        left.remove(task.only or 0)
        if not left:
            del self.suspects[task.block.number, task.span]
            self._look_again()
            self._ask(task._replace(only=None, retry=False, found=self._found(task.block)))

    def _look_again(self) -> None:
        self.index, self.empty = self.store.index(), False

    def _found(self, block: Block) -> tuple[str, ...]:
        """Name the records in which runs of a block stand, and those that are pieces of it."""
        own = self.index.pieces.get(block_name(self.recipe, block), [])
        whole = Unit(block, (0, block.stop - block.start))
        return tuple(dict.fromkeys([*self._survey(whole).found, *own]))

    def _farewell(self) -> str:
        tally = self.tally
        return (
            f"interrupted with {tally.found + tally.done} of {tally.total} points done, all of which are kept in "
            f"{self.store.folder}; the same command goes on from there."
        )


class _Life:
    """A small file that says, every other second, that somebody is at work, and how far."""

    def __init__(self, store: Store, tally: Tally) -> None:
        self._store, self._tally = store, tally
        self._path = store.folder / "live" / f"{platform.node()}-{os.getpid()}.json"
        self._since, self._last = _now(), 0.0
        self.others = False

    def begin(self) -> None:
        """Write it for the first time, and only then look for others: of two that begin, each sees the other."""
        self._write("running")
        self.beat()

    def beat(self) -> None:
        """Write it, if the last time is long enough ago."""
        if time.monotonic() - self._last > BEAT:
            self._last = time.monotonic()
            self.others = self._others()
            self._write("running")

    def end(self, why: str) -> None:
        """Take it away, or leave it as a word of how the sweep ended."""
        if why:
            self._write(why)
        else:
            with suppress(OSError):
                self._path.unlink(missing_ok=True)

    def _others(self) -> bool:
        """Tell whether somebody else is at work on the same store."""
        signs = signs_of_life(self._store)
        return any(sign.alive and sign.path != self._path for sign in signs)

    def clear(self) -> None:
        """Take away what those have left who are no more; their word has been read, or never will be."""
        for sign in signs_of_life(self._store):
            if not sign.alive and sign.path != self._path:
                with suppress(OSError):
                    sign.path.unlink(missing_ok=True)

    def _write(self, state: str) -> None:
        tally = self._tally
        body = {
            "state": state,
            "host": platform.node(),
            "pid": os.getpid(),
            "since": self._since,
            "seen": _now(),
            "time": time.time(),
            "total": tally.total,
            "found": tally.found,
            "done": tally.done,
            "failed": tally.failed,
            "rate": tally.rate,
        }
        with suppress(OSError):  # it is a courtesy, and not worth a sweep
            durable.put(self._path, json.dumps(body).encode(), self._store.drafts)


class Sign(NamedTuple):
    """Of life: what somebody who works, or has worked, on a store says.

    Parameters
    ----------
    path : Path
    said : dict
        state, host, pid, since, seen, time, total, found, done, failed, rate.
    """

    path: Path
    said: dict[str, Any]

    @property
    def silent(self) -> float:
        """Seconds since it was heard."""
        return max(0.0, time.time() - float(self.said["time"]))

    @property
    def alive(self) -> bool:
        """Whether it is at work still."""
        if self.said["state"] != "running":
            return False
        if self.said.get("host") == platform.node():
            return alive(int(self.said["pid"]))
        return self.silent < SILENCE


def signs_of_life(store: Store) -> list[Sign]:
    """Read who works, or has worked, on a store."""
    signs = []
    try:
        paths = sorted((store.folder / "live").glob("*.json"))
    except OSError:
        return []
    for path in paths:
        try:
            said = {name: one_line(str(value)) for name, value in json.loads(durable.read(path, LARGEST_SIGN)).items()}
            numbers = {"time": float(said["time"]), "rate": float(said.get("rate", "0")), "pid": int(said["pid"])}
            sign = Sign(path, {**said, **numbers, "state": said["state"]})
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            continue  # a courtesy, which may be damaged
        signs.append(sign)
    return signs


class _Bar:
    """Done, failed, rate and time left."""

    def __init__(self, tally: Tally, progress: bool) -> None:
        self._tally, self._bar = tally, None
        if progress:
            from tqdm import tqdm

            columns, lines = shutil.get_terminal_size()
            self._bar = tqdm(
                total=tally.total, desc="points", unit="point", leave=False, ncols=columns, nrows=lines, file=sys.stderr
            )

    def show(self) -> None:
        """Draw it anew."""
        if self._bar is None:
            return
        tally = self._tally
        if tally.failed:
            self._bar.set_postfix_str(f"{tally.failed} failed", refresh=False)
        self._bar.initial = tally.found
        self._bar.n = tally.found + tally.done
        self._bar.refresh()

    def close(self) -> None:
        """Take it away."""
        if self._bar is not None:
            self._bar.close()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
