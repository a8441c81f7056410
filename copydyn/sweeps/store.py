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
import os
import platform
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from copydyn.refusal import BadValue
from copydyn.runs import durable
from copydyn.sweeps.index import Index
from copydyn.sweeps.records import FORMAT, NAME, Damaged, Entry, Record, name_of
from copydyn.version import __version__

LARGEST_RECORD = 2**26
"""Bytes beyond which a small file is taken for another one."""

FOLDERS = ("drafts", "sweeps", "runs", "live")

ASIDE = "damaged"
"""Folder of the store that damaged files are moved to."""

OLD_DRAFT = 86400.0
"""Seconds after which a draft of another machine is taken for left over."""


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
        self.folder = durable.place(folder)
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
        folder = durable.place(folder)
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
                if suffix == ".json" and NAME.fullmatch(name) and name[:2] == folder:
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
                if suffix == ".nc" and NAME.fullmatch(name) and f"{name}.json" not in entries:
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

    def checkpoints(self) -> list[Path]:
        """Give the checkpoints of long runs, which are called after them."""
        names = [os.path.splitext(entry) for entry in _sorted_entries(self.drafts)]
        return [
            self.drafts / f"{name}{suffix}"
            for name, suffix in names
            if suffix == ".checkpoint" and NAME.fullmatch(name)
        ]

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
