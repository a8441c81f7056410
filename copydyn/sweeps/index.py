"""Where every run of a store is: an index in arrays, as there may be millions."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from copydyn.sweeps.records import Record


class Place(NamedTuple):
    """Where a run is.

    Parameters
    ----------
    name : str
        Of its record.
    row : int
        In the file; -1 where the run has failed.
    error : float
        As `Entry.error`, NaN where it has none.
    """

    name: str
    row: int
    error: float


class Index:
    """Where every run of a store is; some 40 bytes a run.

    Parameters
    ----------
    records : sequence of Record
    damaged : dict
        Name to what is wrong with it.

    Attributes
    ----------
    pieces : dict
        Block to the names of its records that are not whole.
    attributes : list
        `Record.attributes` of each; the same object where they are equal.
    """

    def __init__(self, records: Iterable[Record], damaged: dict[str, str]) -> None:
        self.damaged = damaged
        self.names: list[str] = []
        self.forms: list[str] = []
        self.pieces: dict[str, list[str]] = {}
        self.attributes: list[dict[str, Any] | None] = []
        met: dict[str, dict[str, Any] | None] = {}
        keys, numbers, rows, errors = array("B"), array("l"), array("l"), array("d")
        sizes = array("l")
        for number, record in enumerate(records):
            self.names.append(record.name)
            self.forms.append(record.form)
            self.attributes.append(met.setdefault(repr(record.attributes), record.attributes))
            if not record.whole:
                self.pieces.setdefault(record.block, []).append(record.name)
            row = 0
            for entry in record.entries:
                keys.frombytes(bytes.fromhex(entry.key))
                numbers.append(number)
                rows.append(-1 if entry.fault else row)
                errors.append(math.nan if entry.error is None else entry.error)
                sizes.append(len(record.entries))
                row += not entry.fault
        halves = np.frombuffer(keys, dtype=">u8").reshape(-1, 2) if keys else np.zeros((0, 2), ">u8")
        # of a run that is there twice, the larger file comes last, and counts
        order = np.lexsort((np.array(numbers), np.array(sizes), halves[:, 1], halves[:, 0]))
        self._keys = [halves[order, column].astype(np.uint64) for column in (0, 1)]
        self._numbers, self._rows = np.array(numbers, np.int32)[order], np.array(rows, np.int32)[order]
        self._errors = np.array(errors)[order]

    def find(self, key: str) -> Place | None:
        """Give the place of a run, or None."""
        high, low = (np.uint64(int(half, 16)) for half in (key[:16], key[16:]))
        last = int(np.searchsorted(self._keys[0], high, side="right")) - 1
        while last >= 0 and self._keys[0][last] == high:
            if self._keys[1][last] == low:
                return Place(self.names[self._numbers[last]], int(self._rows[last]), float(self._errors[last]))
            last -= 1
        return None

    def find_all(self, keys: Sequence[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Give the number of the record, -1 where a run is missing, the row, and the error of many runs."""
        halves = np.frombuffer(bytes.fromhex("".join(keys)), dtype=">u8").reshape(-1, 2).astype(np.uint64)
        records, rows = np.full(len(keys), -1, np.int32), np.full(len(keys), -1, np.int32)
        errors = np.full(len(keys), np.nan)
        if self._keys[0].size:
            last = np.maximum(np.searchsorted(self._keys[0], halves[:, 0], side="right") - 1, 0)
            there = (self._keys[0][last] == halves[:, 0]) & (self._keys[1][last] == halves[:, 1])
            records[there], rows[there] = self._numbers[last[there]], self._rows[last[there]]
            errors[there] = self._errors[last[there]]
        return records, rows, errors

    def __len__(self) -> int:
        first = np.ones(self._keys[0].size, bool)
        first[1:] = (np.diff(self._keys[0]) != 0) | (np.diff(self._keys[1]) != 0)
        return int(first.sum())
