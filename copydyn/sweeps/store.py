"""The folder that a sweep is kept in: files that never change, each with a record that says what it must be.

    store.json                  which format this is
    sweeps/001.toml             the sweeps that were asked for, as scenario files; the last one counts
    runs/ab/abcd....nc          results of many runs, netCDF
    runs/ab/abcd....json        their record: SHA-256 of the former; of every run point, theory, replicas, time
    drafts/                     what is being written, and checkpoints of long runs
    live/                       who is at work

A file and its record are called after the runs in them. A run counts once its record is there, and that is written
last, with everything else forced to disk before. Nothing that is there is ever changed.
"""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import platform
import re
import time
from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import NoneType
from typing import Any, NamedTuple

import numpy as np

from copydyn import durable
from copydyn.refusal import BadValue
from copydyn.version import __version__

LARGEST_RECORD = 2**26
"""Bytes beyond which a small file is taken for another one."""

FORMAT = 1
"""Of the folder; a program refuses what is newer than itself."""

FOLDERS = ("drafts", "sweeps", "runs", "live")

ASIDE = "damaged"
"""Folder of the store that damaged files are moved to."""

OLD_DRAFT = 86400.0
"""Seconds after which a draft of another machine is taken for left over."""

_NAME = re.compile(r"[0-9a-f]{32}")


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
        Seed, versions, and when it was written by which machine.
    """

    name: str
    block: str
    sha256: str
    size: int
    form: str
    entries: list[Entry]
    whole: bool
    about: dict[str, Any] = field(default_factory=dict)

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
        and all(
            isinstance(entry.key, str)
            and _NAME.fullmatch(entry.key) is not None
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


def _whole(number: Any) -> bool:
    return isinstance(number, int) and 0 <= number < 2**63


class Damaged(Exception):
    """A file is not what its record says."""


def _worth_saying(entry: Entry) -> dict[str, Any]:
    return {key: value for key, value in vars(entry).items() if value not in ("", None) or key == "theory"}


def name_of(entries: Iterable[Entry]) -> str:
    """Name a file after the runs in it, and after which of them have failed."""
    return named(f"{entry.key}!" if entry.fault else entry.key for entry in entries)


def named(keys: Iterable[str]) -> str:
    """Make one name of many."""
    return hashlib.sha256(" ".join(keys).encode()).hexdigest()[:32]


class Store:
    """A folder of runs.

    Parameters
    ----------
    folder : Path
        Made by `create` where it is not there.

    Raises
    ------
    BadValue
        If it holds something else, or is of a newer version.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        try:
            mark = durable.read(self.folder / "store.json", LARGEST_RECORD)
        except FileNotFoundError:
            raise BadValue(
                f"{folder}: a store must be a folder with a file store.json, but there is none; name the folder of a "
                "sweep, which `python -m copydyn sweep` makes."
            ) from None
        except OSError as cause:
            raise _unreadable(self.folder / "store.json", cause) from None
        self._require_own_folders()
        try:
            found = json.loads(mark)["copydyn store"]
            known = isinstance(found, int) and not isinstance(found, bool)
        except (ValueError, TypeError, KeyError, RecursionError):
            known = False
        if not known:
            raise BadValue(
                f"{self.folder / 'store.json'}: it must say which format the store has, but is damaged; write "
                f'{{"copydyn store": {FORMAT}}} into it if the store was made by this version.'
            )
        if found < 1:
            raise BadValue(
                f"{self.folder / 'store.json'}: the format of a store must be 1 to {FORMAT}, but is {found}; write "
                f"{FORMAT} in its place if the store was made by this version."
            )
        if found > FORMAT:
            raise BadValue(
                f"{folder}: a store must be of format {FORMAT} or older, but is of format {found}, made by a newer "
                f"version of copydyn than {__version__}; install that."
            )

    def _require_own_folders(self) -> None:
        """Refuse folders that are links: whoever works on a store must not write or clear up anywhere else."""
        for name in (*FOLDERS, ASIDE):
            if os.path.islink(self.folder / name):
                raise BadValue(
                    f"{self.folder / name}: a folder of a store must be in the store, but is a link; put the whole "
                    "store where it leads to."
                )

    @classmethod
    def create(cls, folder: Path) -> Store:
        """Make the folder, unless it is there.

        Raises
        ------
        BadValue
            If it cannot be written, or holds something else.
        """
        folder = Path(folder)
        mark = folder / "store.json"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if not os.path.lexists(mark):
                strangers = [entry for entry in os.listdir(folder) if entry not in FOLDERS]
                if strangers:
                    raise BadValue(
                        f"{folder}: a sweep must have a folder of its own, but {sorted(strangers)[0]!r} is in it; "
                        "choose another one with --out."
                    )
                for name in FOLDERS:
                    if os.path.islink(folder / name):
                        raise BadValue(f"{folder / name}: a folder of a store must be in the store, but is a link.")
                    (folder / name).mkdir(exist_ok=True)
                text = json.dumps({"copydyn store": FORMAT, "made by": f"copydyn {__version__}"}) + "\n"
                durable.put(mark, text.encode(), folder / "drafts")
            store = cls(folder)
            for name in FOLDERS:
                (folder / name).mkdir(exist_ok=True)
            probe = store.drafts / f"probe.{platform.node()}.{os.getpid()}"
            durable.write(probe, b"", exclusive=False)
            os.unlink(probe)
        except (OSError, ValueError) as cause:
            if isinstance(cause, BadValue):
                raise
            raise unwritable(folder, cause) from None
        return store

    @property
    def drafts(self) -> Path:
        """Where files are written before they are renamed, and checkpoints kept."""
        return self.folder / "drafts"

    def path_of(self, name: str, suffix: str) -> Path:
        """Give the place of a file or a record."""
        return self.folder / "runs" / name[:2] / f"{name}{suffix}"

    def commit(
        self, block: str, entries: Sequence[Entry], content: bytes, form: str, about: dict[str, Any], *, whole: bool
    ) -> Record:
        """Keep runs: first their file, then their record, from which moment on they count.

        Raises
        ------
        OSError
            Nothing counts then that did not before.
        """
        name = name_of(entries)
        digest = hashlib.sha256(content).hexdigest() if content else ""
        record = Record(name, block, digest, len(content), form, list(entries), whole, about)
        folder = self.path_of(name, "").parent
        if folder.is_symlink():
            raise OSError(errno.ELOOP, f"{folder.name} in its folder runs is a link")
        if not folder.is_dir():
            folder.mkdir(parents=True, exist_ok=True)
            durable.force(folder.parent)
        if content:
            durable.put(self.path_of(name, ".nc"), content, self.drafts)
        durable.put(self.path_of(name, ".json"), record.text(), self.drafts)
        return record

    def settle(self, record: Record) -> None:
        """Say of a part that it is all of its block.

        Raises
        ------
        OSError
        """
        durable.put(self.path_of(record.name, ".json"), replace(record, whole=True).text(), self.drafts)

    def has(self, name: str) -> bool:
        """Tell whether a record of that name is there."""
        return os.path.lexists(self.path_of(name, ".json"))

    def record(self, name: str) -> Record:
        """Read a record.

        Raises
        ------
        Damaged
            If it is missing or not what was written; also if the file beside it has another size.
        """
        try:
            content = durable.read(self.path_of(name, ".json"), LARGEST_RECORD)
        except FileNotFoundError:
            raise Damaged("its record is missing") from None
        except OSError as cause:
            raise Damaged(f"its record cannot be read ({(cause.strerror or str(cause)).lower()})") from None
        record = Record.parsed(content, name)
        if record.sha256:
            try:
                found = os.stat(self.path_of(name, ".nc"), follow_symlinks=False).st_size
            except OSError as cause:
                missing = isinstance(cause, FileNotFoundError)
                reason = "is missing" if missing else f"cannot be read ({(cause.strerror or str(cause)).lower()})"
                raise Damaged(f"its file {reason}") from None
            if found != record.size:
                raise Damaged(f"its file has {found} bytes in place of {record.size}")
        return record

    def content(self, record: Record) -> bytes:
        """Read the file of a record, and see that it is the one that was written.

        Raises
        ------
        Damaged
        """
        try:
            content = durable.read(self.path_of(record.name, ".nc"))
        except FileNotFoundError:
            raise Damaged("its file is missing") from None
        except OSError as cause:
            raise Damaged(f"its file cannot be read ({(cause.strerror or str(cause)).lower()})") from None
        if hashlib.sha256(content).hexdigest() != record.sha256:
            raise Damaged("its file is damaged, or another one")
        return content

    def names(self) -> Iterator[str]:
        """Name every record, in order."""
        for folder in self._folders_of_runs():
            for entry in _sorted_entries(self.folder / "runs" / folder):
                name, suffix = os.path.splitext(entry)
                if suffix == ".json" and _NAME.fullmatch(name) and name[:2] == folder:
                    yield name

    def _folders_of_runs(self) -> list[str]:
        """Name the folders in `runs`; a link to elsewhere is none, and nothing is read or removed there."""
        names = _sorted_entries(self.folder / "runs")
        return [name for name in names if len(name) == 2 and not os.path.islink(self.folder / "runs" / name)]

    def orphans(self) -> Iterator[str]:
        """Name the files that have no record."""
        for folder in self._folders_of_runs():
            entries = set(_sorted_entries(self.folder / "runs" / folder))
            for entry in sorted(entries):
                name, suffix = os.path.splitext(entry)
                if suffix == ".nc" and _NAME.fullmatch(name) and f"{name}.json" not in entries:
                    yield name

    def remove(self, name: str) -> None:
        """Remove a record, and then its file."""
        for suffix in (".json", ".nc"):
            try:
                os.unlink(self.path_of(name, suffix))
            except FileNotFoundError:
                continue

    def index(self) -> Index:
        """Read all records."""
        damaged: dict[str, str] = {}
        return Index(self.records(damaged), damaged)

    def records(self, damaged: dict[str, str]) -> Iterator[Record]:
        """Read one record after the other, and put into ``damaged`` what is wrong with the others."""
        for name in self.names():
            try:
                record = self.record(name)
            except Damaged as damage:
                if self.has(name):  # else another process has merged it into a larger file just now
                    damaged[name] = str(damage)
                continue
            yield record

    def tidy(self, *, alone: bool) -> None:
        """Remove the drafts of processes that are no more and, where nobody else is at work, files without a record.

        Raises
        ------
        OSError
        """
        for name in list(self.orphans()) if alone else ():
            os.unlink(self.path_of(name, ".nc"))
        here = platform.node()
        for entry in _sorted_entries(self.drafts):
            path = self.drafts / entry
            parts = entry.split(".")
            if entry.endswith(".checkpoint") or not parts[-1].isdecimal():
                continue
            theirs = ".".join(parts[:-1]).endswith(f".{here}")
            try:
                dead = not alive(int(parts[-1])) if theirs else time.time() - path.stat().st_mtime > OLD_DRAFT
                if dead:
                    path.unlink()
            except OSError:
                continue

    # ---- the sweeps that were asked for

    def sweeps(self) -> list[Path]:
        """Give the files of the sweeps, the last one last."""
        names = [entry for entry in _sorted_entries(self.folder / "sweeps") if re.fullmatch(r"\d{3,9}\.toml", entry)]
        return [self.folder / "sweeps" / name for name in sorted(names, key=lambda name: int(name[:-5]))]

    def last_sweep(self) -> Path:
        """Give the file of the sweep that was asked for last.

        Raises
        ------
        BadValue
            If none was.
        """
        sweeps = self.sweeps()
        if not sweeps:
            raise BadValue(f"{self.folder}: a store must hold a sweep, but nothing was asked of it; run one into it.")
        return sweeps[-1]

    def remember(self, text: str) -> Path:
        """Keep a sweep that is asked for, unless it is the last one already, and give its file.

        Raises
        ------
        OSError
        """
        content = sealed(text)
        while True:
            files = self.sweeps()
            if files and durable.read(files[-1]) == content:
                return files[-1]
            number = int(files[-1].stem) + 1 if files else 1
            if number >= 10**9:
                raise OSError(errno.EFBIG, f"{files[-1].name} in its folder sweeps leaves no number for another one")
            with suppress(FileExistsError):  # somebody has asked for another sweep just now
                durable.put_new(self.folder / "sweeps" / f"{number:03d}.toml", content, self.drafts)


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
    """

    def __init__(self, records: Iterable[Record], damaged: dict[str, str]) -> None:
        self.damaged = damaged
        self.names: list[str] = []
        self.forms: list[str] = []
        self.pieces: dict[str, list[str]] = {}
        keys, numbers, rows, errors = array("B"), array("l"), array("l"), array("d")
        sizes = array("l")
        for number, record in enumerate(records):
            self.names.append(record.name)
            self.forms.append(record.form)
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

    def find_all(self, keys: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Give the number of the record, -1 where a run is missing, and the row of many runs."""
        halves = np.frombuffer(bytes.fromhex("".join(keys)), dtype=">u8").reshape(-1, 2).astype(np.uint64)
        records, rows = np.full(len(keys), -1, np.int32), np.full(len(keys), -1, np.int32)
        if self._keys[0].size:
            last = np.maximum(np.searchsorted(self._keys[0], halves[:, 0], side="right") - 1, 0)
            there = (self._keys[0][last] == halves[:, 0]) & (self._keys[1][last] == halves[:, 1])
            records[there], rows[there] = self._numbers[last[there]], self._rows[last[there]]
        return records, rows

    def __len__(self) -> int:
        first = np.ones(self._keys[0].size, bool)
        first[1:] = (np.diff(self._keys[0]) != 0) | (np.diff(self._keys[1]) != 0)
        return int(first.sum())


def unwritable(folder: Path, cause: OSError | ValueError) -> BadValue:
    """Say why a sweep cannot be kept."""
    blocked = isinstance(cause, (FileExistsError, NotADirectoryError))
    reason = "a file stands in its way" if blocked else (getattr(cause, "strerror", None) or str(cause))
    return BadValue(
        f"{folder}: a sweep must be kept in a folder that can be written, but: {reason}; what is kept so far is safe, "
        "and the same command goes on once this is mended, or choose another folder with --out."
    )


SEAL = "\n# SHA-256 of what stands above: "


def sealed(text: str) -> bytes:
    """Let a text end in its SHA-256, as a comment of TOML."""
    return f"{text}{SEAL}{hashlib.sha256(text.encode()).hexdigest()}\n".encode()


def unsealed(content: bytes) -> bool:
    """Tell whether `sealed` has made this, and nobody has changed it."""
    text, _, _ = content.decode("utf-8", "replace").rpartition(SEAL)
    return bool(text) and sealed(text) == content


def _unreadable(path: Path, cause: OSError) -> BadValue:
    blocked = isinstance(cause, NotADirectoryError)
    reason = "a file stands in the way of its folder" if blocked else (cause.strerror or str(cause))
    return BadValue(f"{path}: it must be a file that can be read, but: {reason}; name another folder, or mend it.")


def _sorted_entries(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []


def alive(pid: int) -> bool:
    """Tell whether a process of this machine is there."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):  # nor has anybody a number that large
        return False
    except OSError:
        return True
    return True
