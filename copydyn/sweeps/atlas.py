"""Where every run of a sweep stands, and what it looks like."""

from __future__ import annotations

import threading
from collections import OrderedDict
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from copydyn.refusal import BadValue
from copydyn.runs import durable
from copydyn.sweeps.asked import recipe_in
from copydyn.sweeps.index import Index
from copydyn.sweeps.recipe import Recipe
from copydyn.sweeps.records import Damaged, Record
from copydyn.sweeps.rows import Form
from copydyn.sweeps.shelf import Shelf
from copydyn.sweeps.store import Store

OK, UNFINISHED, MISSED, FAILED = "ok", "unfinished", "target missed", "failed"
"""What is said of points; nothing of those that are not there."""

MOST_OPEN = 256 * 2**20
"""Bytes of files that are held open."""


class Opened(NamedTuple):
    """A store and what its last sweep is."""

    store: Store
    recipe: Recipe
    runs: Index


def opened(folder: Path) -> Opened:
    """Read which sweep a store holds, and where its runs are.

    Raises
    ------
    BadValue
        If it is no store, or holds no sweep.
    """
    store = Store(durable.place(folder).absolute())  # whoever changes folders finds the files all the same
    return Opened(store, recipe_in(store.last_sweep()), store.index())


class Library:
    """The files of a store, the last ones of which are held open; whoever gets a copy opens them anew.

    Parameters
    ----------
    store : Store
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self._shelves: OrderedDict[str, Shelf] = OrderedDict()
        self._alone = threading.Lock()

    def __reduce__(self) -> tuple[Any, ...]:
        return Library, (self.store,)

    def shelf(self, name: str) -> Shelf:
        """Open a file.

        Raises
        ------
        Damaged
        """
        with self._alone:
            shelf = self._shelves.get(name)
            if shelf is None:
                shelf = Shelf(self.store.content(self.store.record(name)))
                self._shelves[name] = shelf
                while len(self._shelves) > 1 and sum(one.size for one in self._shelves.values()) > MOST_OPEN:
                    self._shelves.popitem(last=False)
            self._shelves.move_to_end(name)
            return shelf


class Atlas:
    """Where every run of a sweep is, and what it looks like.

    Parameters
    ----------
    found : Opened
    look : bool
        Open a file of each form, to know what its runs look like.

    Attributes
    ----------
    index : Index
    forms : dict of str to Form
        What the runs of records look like, by its digest.
    attrs : dict of str to dict
        Attributes that they share.
    record, row : int32 (theory, point, part)
        Number of the run's record, -1 where it is missing, and its row in the file, -1 where it has failed. The parts
        of a point share out its replicas.
    error : float64 (theory, point)
        Of the mean that a target is about, over all replicas that there are; NaN where none is known.
    drawn : int64 (theory, point)
        Replicas that were made.
    missing : bool (theory, point)
        Whether runs are missing, those that a target asks for yet included.
    words : object (theory, point)
        ok, unfinished, target missed, failed, or nothing.
    """

    record: np.ndarray
    row: np.ndarray

    def __init__(self, found: Opened, *, look: bool = True) -> None:
        self.store, self.recipe, self.index = found
        self.library = Library(self.store)
        self._located()
        self.forms: dict[str, Form] = {}
        self.attrs: dict[str, dict[str, Any]] = {}
        for number in np.unique(self.record[self.row >= 0]) if look else ():
            name = self.index.forms[number]
            if name not in self.forms:
                shelf = self.shelf(number)
                self.forms[name], self.attrs[name] = shelf.form(), shelf.attrs
        self._drop_copies()

    def _drop_copies(self) -> None:
        """Keep the first part of points of theories that draw no numbers: all others are the same."""
        certain = [record for record in range(len(self.index.names)) if self.certain(record)]
        copies = np.isin(self.record[..., 1:], certain) & (self.row[..., 1:] >= 0)
        self.record[..., 1:][copies] = self.row[..., 1:][copies] = -1
        made = self.record[..., 0] >= 0
        if certain and np.all(np.isin(self.record[..., 0][made], certain)):
            self.record, self.row = self.record[..., :1], self.row[..., :1]

    def shelf(self, record: int) -> Shelf:
        """Open the file of a record.

        Raises
        ------
        BadValue
            If it is damaged.
        """
        name = self.index.names[record]
        try:
            return self.library.shelf(name)
        except Damaged as damage:
            raise self._unlike(name, ".nc", damage) from None

    def _unlike(self, name: str, suffix: str, damage: Damaged) -> BadValue:
        return BadValue(
            f"{self.store.path_of(name, suffix)}: a file must be what its record says, but {damage}; "
            f"`python -m copydyn repair {self.store.folder}` makes its runs again."
        )

    def kept(self, record: int) -> Record:
        """Read a record again.

        Raises
        ------
        BadValue
            If it is damaged.
        """
        name = self.index.names[record]
        try:
            return self.store.record(name)
        except Damaged as damage:
            raise self._unlike(name, ".json", damage) from None

    def form(self, record: int) -> Form:
        """Give the form of a record's runs."""
        return self.forms[self.index.forms[record]]

    def runs(self, theory: int, point: int) -> list[tuple[int, int]]:
        """Give record and row of the runs of a point that are there."""
        places = zip(self.record[theory, point].tolist(), self.row[theory, point].tolist())
        return [(record, row) for record, row in places if row >= 0]

    def certain(self, record: int) -> bool:
        """Tell whether nothing in a record's runs is drawn."""
        form = self.forms.get(self.index.forms[record])
        return form is not None and form.kind.certain

    def _located(self) -> None:
        recipe = self.recipe
        parts: list[list[_Part]] = []
        for theory in range(len(recipe.theories)):
            parts.append([])
            while recipe.target is not None or len(parts[-1]) < recipe.runs_a_point:
                part = self._part(theory, len(parts[-1]), parts[-1])
                if recipe.target is not None and parts[-1] and np.all(part.record < 0):
                    break
                parts[-1].append(part)
        shape = (len(recipe.theories), recipe.points, max(map(len, parts)))
        self.record, self.row = np.full(shape, -1, np.int32), np.full(shape, -1, np.int32)
        self.error, self.drawn = np.full(shape[:2], np.nan), np.zeros(shape[:2], np.int64)
        self.missing = np.zeros(shape[:2], bool)
        for theory, found in enumerate(parts):
            own = recipe.shape_of(theory)

            def spread(values: np.ndarray, own: tuple[int, ...] = own) -> np.ndarray:
                """Say of all points what was made once where it is the same along an axis."""
                return np.broadcast_to(values.reshape(own), recipe.shape).ravel()

            for number, (record, row, error, replicas) in enumerate(found):
                sound = spread(row >= 0)
                self.record[theory, :, number], self.row[theory, :, number] = spread(record), spread(row)
                self.error[theory, sound] = spread(error)[sound]
                self.drawn[theory] += np.where(sound, replicas, 0)
                self.missing[theory] |= spread(record < 0) & (recipe.target is None)
        self.words = self._worded()

    def _worded(self) -> np.ndarray:
        """Say of each point how far it is, (theory, point) of text."""
        target = self.recipe.target
        failed = np.any((self.record >= 0) & (self.row < 0), axis=-1)
        words = np.where(self.drawn > 0, np.where(self.missing, UNFINISHED, OK), "").astype(object)
        words[failed] = FAILED
        self.missing |= words == ""
        for place in zip(*np.nonzero((words == OK) if target is not None else ())):
            assert target is not None
            error, replicas = float(self.error[place]), int(self.drawn[place])
            if not target.over(error, replicas):
                words[place], self.missing[place] = UNFINISHED, True
            elif not target.met(error, replicas):
                words[place] = MISSED
        return words

    def _part(self, theory: int, number: int, before: list[_Part]) -> _Part:
        """Find the runs of one part of all points of a theory."""
        recipe, target = self.recipe, self.recipe.target
        points, keys = prod(recipe.shape_of(theory)), []
        record, row, error = np.full(points, -1, np.int32), np.full(points, -1, np.int32), np.full(points, np.nan)
        asked = range(points) if target is None or not before else np.flatnonzero(before[-1].row >= 0).tolist()
        replicas = 0
        for point in asked:
            strand = recipe.strand(theory, point if target else point * recipe.runs_a_point + number)
            first, replicas = strand.first, strand.replicas
            if target is not None:
                first = number * strand.replicas
                replicas = min(strand.replicas, target.most - first)
                if replicas < 1:
                    return _Part(record, row, error, 0)
            keys.append(recipe.key(strand, first, replicas))
        place = list(asked)
        record[place], row[place], error[place] = self.index.find_all(keys)
        return _Part(record, row, error, replicas)


class _Part(NamedTuple):
    """Runs that are the same part of all points of a theory: record and row of each, its error, their replicas."""

    record: np.ndarray
    row: np.ndarray
    error: np.ndarray
    replicas: int
