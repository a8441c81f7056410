"""Where every run of a sweep stands, and what it looks like."""

from __future__ import annotations

from collections import OrderedDict
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from copydyn.refusal import BadValue
from copydyn.result import NONE
from copydyn.sweeps.asked import recipe_in
from copydyn.sweeps.index import Index
from copydyn.sweeps.recipe import Recipe
from copydyn.sweeps.records import Damaged
from copydyn.sweeps.rows import Form
from copydyn.sweeps.shelf import Shelf
from copydyn.sweeps.store import Store

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
    store = Store(folder)
    return Opened(store, recipe_in(store.last_sweep()), store.index())


class Library:
    """The files of a store, the last ones of which are held open.

    Parameters
    ----------
    store : Store
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self._shelves: OrderedDict[str, Shelf] = OrderedDict()

    def shelf(self, name: str) -> Shelf:
        """Open a file.

        Raises
        ------
        Damaged
        """
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
    """

    def __init__(self, found: Opened, *, look: bool = True) -> None:
        self.store, self.recipe, self.index = found
        self.library = Library(self.store)
        self.record, self.row = self._located()
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
            raise BadValue(
                f"{self.store.path_of(name, '.nc')}: a file must be what its record says, but {damage}; "
                f"`python -m copydyn repair {self.store.folder}` makes its runs again."
            ) from None

    def form(self, record: int) -> Form:
        """Give the form of a record's runs."""
        return self.forms[self.index.forms[record]]

    def certain(self, record: int) -> bool:
        """Tell whether nothing in a record's runs is drawn."""
        return self.attrs.get(self.index.forms[record], {}).get("replica_spread") == NONE

    def _located(self) -> tuple[np.ndarray, np.ndarray]:
        recipe = self.recipe
        parts: list[list[tuple[np.ndarray, np.ndarray]]] = []
        for theory in range(len(recipe.theories)):
            own = recipe.shape_of(theory)
            parts.append([])
            while recipe.target is not None or len(parts[-1]) < recipe.runs_a_point:
                record, row = self._part(theory, len(parts[-1]), prod(own), parts[-1])
                if recipe.target is not None and parts[-1] and np.all(record < 0):
                    break
                parts[-1].append((record, row))
        most = max(map(len, parts))
        shape = (len(recipe.theories), recipe.points, most)
        records, rows = np.full(shape, -1, np.int32), np.full(shape, -1, np.int32)
        for theory, found in enumerate(parts):
            own = recipe.shape_of(theory)
            for part, (record, row) in enumerate(found):
                # what is the same for a theory along an axis was made once
                records[theory, :, part] = np.broadcast_to(record.reshape(own), recipe.shape).ravel()
                rows[theory, :, part] = np.broadcast_to(row.reshape(own), recipe.shape).ravel()
        return records, rows

    def _part(
        self, theory: int, part: int, points: int, before: list[tuple[np.ndarray, np.ndarray]]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Find the runs of one part of all points of a theory."""
        recipe, target = self.recipe, self.recipe.target
        record, row = np.full(points, -1, np.int32), np.full(points, -1, np.int32)
        asked, keys = range(points) if not before else np.flatnonzero(before[-1][1] >= 0).tolist(), []
        for point in asked:
            strand = recipe.strand(theory, point if target else point * recipe.runs_a_point + part)
            first, replicas = strand.first, strand.replicas
            if target is not None:
                first = part * strand.replicas
                replicas = min(strand.replicas, target.most - first)
                if replicas < 1:
                    return record, row
            keys.append(recipe.key(strand, first, replicas))
        record[list(asked)], row[list(asked)] = self.index.find_all(keys)
        return record, row
