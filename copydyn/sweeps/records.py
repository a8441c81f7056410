"""What stands in a store: runs, and the records of the files that they are in."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from types import NoneType
from typing import Any

FORMAT = 1
"""Of folders and records; a program refuses what is newer than itself."""

NAME = re.compile(r"[0-9a-f]{32}")
"""What runs, files and records are called."""


@dataclass(frozen=True)
class Entry:
    """One run, as its record has it.

    Parameters
    ----------
    key : str
        `Recipe.key`.
    theory : str
        Name.
    point : dict
        Swept key to value.
    first, replicas : int
    seconds : float
        Wall time of computing it.
    fault : str
        Why there is no result; empty where there is one.
    error : float or None
        Largest standard error of the targeted mean over all replicas up to here.
    detail : str
        What only a developer wants to know of a fault.
    """

    key: str
    theory: str
    point: dict[str, Any]
    first: int
    replicas: int
    seconds: float = 0.0
    fault: str = ""
    error: float | None = None
    detail: str = ""


@dataclass(frozen=True)
class Record:
    """What a file must be.

    Parameters
    ----------
    name : str
        Of file and record.
    block : str
        Of the sweep, that the runs belong to.
    sha256, size
        Of the file; empty and 0 where no run has given a result, and there is none.
    form : str
        What the runs look like: files with the same form have the same labels, times and variables.
    entries : list of Entry
        In the order of the file, which leaves out the runs that have failed.
    whole : bool
        Whether it will stay: else it is a part of its block that is merged once the block is whole.
    about : dict
        Seed, versions, and when it was written by which machine; ``attributes``, of the results, that all runs of the
        file share, and ``own``, those of which each has its own, as lists along the runs of the file.
    """

    name: str
    block: str
    sha256: str
    size: int
    form: str
    entries: list[Entry]
    whole: bool
    about: dict[str, Any] = field(default_factory=dict)

    @property
    def attributes(self) -> dict[str, Any] | None:
        """Attributes that all runs of the file share; None in a record of before they were kept."""
        return self.about.get("attributes")

    @property
    def own(self) -> dict[str, list[Any]]:
        """Attributes of which each run of the file has its own."""
        return self.about.get("own", {})

    def text(self) -> bytes:
        """Write the record: one line of JSON, and its SHA-256."""
        body = {**vars(self), "entries": [_worth_saying(entry) for entry in self.entries]}
        line = json.dumps(
            {"copydyn record": FORMAT, **body}, ensure_ascii=False, separators=(",", ":"), default=str
        ).encode()
        return line + b"\n" + hashlib.sha256(line).hexdigest().encode() + b"\n"

    @classmethod
    def parsed(cls, content: bytes, name: str) -> Record:
        """Read what `text` has written under ``name``.

        Raises
        ------
        Damaged
        """
        line, _, rest = content.partition(b"\n")
        if rest != hashlib.sha256(line).hexdigest().encode() + b"\n":
            raise Damaged("its record is damaged or cut off")
        try:
            body = json.loads(line)
            if body.pop("copydyn record") > FORMAT:
                raise Damaged("its record is of a newer version of copydyn")
            record = cls(**{**body, "entries": [Entry(**entry) for entry in body["entries"]]})
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise Damaged("its record is none of copydyn") from None
        if not _well_formed(record):
            raise Damaged("its record is none of copydyn")
        if record.name != name or name != name_of(record.entries):
            raise Damaged("its record is that of other runs")
        return record


def _well_formed(record: Record) -> bool:
    """Tell whether everything in a record is of its kind, whoever has written it."""
    return (
        isinstance(record.block, str)
        and isinstance(record.sha256, str)
        and _whole(record.size)
        and isinstance(record.form, str)
        and isinstance(record.whole, bool)
        and isinstance(record.about, dict)
        and _attributes_are_well_formed(record)
        and all(
            isinstance(entry.key, str)
            and NAME.fullmatch(entry.key) is not None
            and isinstance(entry.theory, str)
            and isinstance(entry.point, dict)
            and _whole(entry.first)
            and _whole(entry.replicas)
            and isinstance(entry.seconds, (int, float))
            and isinstance(entry.fault, str)
            and isinstance(entry.error, (float, int, NoneType))
            and abs(entry.error or 0) < 2**1023
            and isinstance(entry.detail, str)
            for entry in record.entries
        )
    )


def _attributes_are_well_formed(record: Record) -> bool:
    sound = sum(not entry.fault for entry in record.entries)
    return (
        isinstance(record.attributes, (dict, NoneType))
        and isinstance(record.own, dict)
        and all(isinstance(values, list) and len(values) == sound for values in record.own.values())
    )


def _whole(number: Any) -> bool:
    return isinstance(number, int) and 0 <= number < 2**63


class Damaged(Exception):
    """A file is not what its record says."""


def _worth_saying(entry: Entry) -> dict[str, Any]:
    said = dict(vars(entry))
    for key in ("fault", "error", "detail"):
        if said[key] in ("", None):
            del said[key]
    return said


def name_of(entries: Iterable[Entry]) -> str:
    """Name a file after the runs in it, and after which of them have failed."""
    return named(f"{entry.key}!" if entry.fault else entry.key for entry in entries)


def named(keys: Iterable[str]) -> str:
    """Make one name of many."""
    return hashlib.sha256(" ".join(keys).encode()).hexdigest()[:32]
