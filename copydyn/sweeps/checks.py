"""Whether the files of a sweep are what was written: `verified` says so, `set_aside` makes room for what is not."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from copydyn.refusal import BadValue
from copydyn.runs import durable
from copydyn.scenario.toml_text import one_line, shown
from copydyn.sweeps.asked import recipe_in
from copydyn.sweeps.atlas import Atlas, Opened
from copydyn.sweeps.index import Index
from copydyn.sweeps.recipe import Recipe
from copydyn.sweeps.records import Damaged, Entry, Record
from copydyn.sweeps.store import ASIDE, FOLDERS, LARGEST_RECORD, Store, unwritable

_OURS = re.compile(r"([0-9a-f]{32})\.(nc|json)")
_SWEEP = re.compile(r"\d{3,9}\.toml")

FILES = ("store.json", *FOLDERS, ASIDE)


class Trouble(NamedTuple):
    """Something that is not as it should be.

    Parameters
    ----------
    kind : {"damaged", "missing", "foreign", "left over", "doubled"}
        What is left over or doubled was left by a sweep that was killed, and is cleared away by the next one.
    what : str
        Which file or run.
    why : str
    """

    kind: str
    what: str
    why: str


class Verdict(NamedTuple):
    """Of a store.

    Parameters
    ----------
    folder : Path
    files, runs : int
        How many were checked.
    troubles : list of Trouble
    """

    folder: Path
    files: int
    runs: int
    troubles: list[Trouble]

    @property
    def sound(self) -> bool:
        """Whether everything is there, and as it was written."""
        return not self.troubles

    def text(self) -> str:
        """Name every trouble."""
        lines = [one_line(f"{trouble.kind:<10}  {trouble.what}: {trouble.why}") for trouble in self.troubles]
        checked = f"{self.folder}: {self.runs} runs in {self.files} files"
        if self.sound:
            return f"{checked}, all of them as they were written."
        kinds = [trouble.kind for trouble in self.troubles]
        found = ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds))
        return "\n".join([*lines, f"{checked}; {found}; `python -m copydyn repair {self.folder}` mends what is ours."])


def verified(folder: Path, *, progress: bool = False) -> Verdict:
    """Read every file of a store and hold it against its record, and what is there against what was asked for.

    Raises
    ------
    BadValue
        If the folder is no store.
    """
    store = Store(folder)
    troubles = [*_foreign(store), *_left_over(store)]
    recipe = None
    for path in store.sweeps():
        try:
            recipe = recipe_in(path)
        except BadValue as fault:
            recipe = None
            troubles.append(Trouble("damaged", str(path), _without(str(fault), path)))
    if recipe is None and not store.sweeps():
        troubles.append(Trouble("missing", str(store.folder / "sweeps"), "nothing was asked of this store."))
    sound: list[Record] = []
    homes: dict[str, str] = {}
    for name in _shown(list(store.names()), progress=progress):
        try:
            record = store.record(name)
            if record.sha256:
                store.content(record)
        except Damaged as damage:
            troubles.append(Trouble("damaged", str(store.path_of(name, "")), f"{damage}{_runs_of(store, name)}."))
            continue
        sound.append(record)
        for entry in record.entries:
            other = homes.setdefault(entry.key, name)
            if other != name:
                troubles.append(Trouble("doubled", str(store.path_of(name, "")), f"{_told(entry)} is in {other} too."))
    if recipe is not None:
        troubles += _missing(store, recipe, Index(sound, {}))
    return Verdict(store.folder, len(sound), len(homes), troubles)


def set_aside(folder: Path) -> str:
    """Move damaged files, and records that have lost theirs, into the folder `damaged` of the store.

    Returns
    -------
    str
        What was done.

    Raises
    ------
    BadValue
        If the folder is no store, or cannot be written.
    """
    store = Store(folder)
    moved = 0
    try:
        for name in list(store.names()):
            try:
                record = store.record(name)
                if record.sha256:
                    store.content(record)
            except Damaged:
                for suffix in (".json", ".nc"):  # the record first: from then on the runs do not count
                    moved += _moved(store, store.path_of(name, suffix))
    except OSError as cause:
        raise unwritable(store.folder, cause) from None
    where = f", which {'is' if moved == 1 else 'are'} in {store.folder / ASIDE} now" if moved else ""
    return f"{moved} damaged {'file' if moved == 1 else 'files'}{where}"


def _moved(store: Store, path: Path) -> bool:
    """Move a file out of the way, never over another one."""
    if not os.path.lexists(path):
        return False
    aside = store.folder / ASIDE
    aside.mkdir(exist_ok=True)
    number, target = 0, aside / path.name
    while os.path.lexists(target):
        number += 1
        target = aside / f"{path.name}.{number}"
    os.rename(path, target)
    return True


def _foreign(store: Store) -> Iterator[Trouble]:
    """Find what copydyn has not written."""
    why = "copydyn has not written this, and leaves it alone."
    for entry in _entries(store.folder):
        if entry.name not in FILES or (entry.name in FOLDERS and not entry.is_dir(follow_symlinks=False)):
            yield Trouble("foreign", entry.path, why)
    for folder in _entries(store.folder / "runs"):
        if not (re.fullmatch(r"[0-9a-f]{2}", folder.name) and folder.is_dir(follow_symlinks=False)):
            yield Trouble("foreign", folder.path, why)
            continue
        for entry in _entries(Path(folder.path)):
            known = _OURS.fullmatch(entry.name)
            if not (known and known[1].startswith(folder.name) and entry.is_file(follow_symlinks=False)):
                yield Trouble("foreign", entry.path, why)
    for entry in _entries(store.folder / "sweeps"):
        if not (_SWEEP.fullmatch(entry.name) and entry.is_file(follow_symlinks=False)):
            yield Trouble("foreign", entry.path, why)
    for entry in _entries(store.folder / "live"):
        if not (entry.name.endswith(".json") and entry.is_file(follow_symlinks=False)):
            yield Trouble("foreign", entry.path, why)


def _left_over(store: Store) -> Iterator[Trouble]:
    """Find results without a record."""
    for name in store.orphans():
        yield Trouble(
            "left over",
            str(store.path_of(name, ".nc")),
            "it has no record: a sweep was killed before it wrote one, or it is lost; its runs do not count.",
        )


def _missing(store: Store, recipe: Recipe, index: Index) -> Iterator[Trouble]:
    atlas = Atlas(Opened(store, recipe, index), look=False)
    for theory in range(len(recipe.theories)):
        for number in range(recipe.strands_of_theory(theory)):
            strand = recipe.strand(theory, number)
            first = strand.first
            if recipe.target is None:
                missing = atlas.record[theory, strand.point, first // recipe.replicas_a_run] < 0
            else:
                first, missing = int(atlas.drawn[theory, strand.point]), atlas.missing[theory, strand.point]
            if missing:
                values = recipe.values(strand.point)
                entry = Entry("", recipe.theories[theory], values, first, strand.replicas)
                yield Trouble("missing", _told(entry), "it is not there yet, or not any more.")


def _runs_of(store: Store, name: str) -> str:
    """Name the runs of a file that is damaged, where its record can be read still."""
    try:
        record = Record.parsed(durable.read(store.path_of(name, ".json"), LARGEST_RECORD), name)
    except (Damaged, OSError):
        return ""
    told = [_told(entry) for entry in record.entries[:3]]
    more = f" and {len(record.entries) - 3} more" if len(record.entries) > 3 else ""
    return f"; it holds {'; '.join(told)}{more}"


def _told(entry: Entry) -> str:
    values = ", ".join(f"{key}={shown(value)}" for key, value in entry.point.items())
    last = entry.first + entry.replicas - 1
    return f"{entry.theory}{f' at {values}' if values else ''}, replicas {entry.first} to {last}"


def _without(sentence: str, path: Path) -> str:
    return sentence.split("\n")[0].removeprefix(f"{path}: ")


def _shown(names: list[str], *, progress: bool) -> Iterator[str]:
    if not progress:
        yield from names
        return
    from tqdm import tqdm

    yield from tqdm(names, desc="verify", unit="file", leave=False)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return []
