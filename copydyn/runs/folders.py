"""Where runs are kept: a folder each, written whole or not at all, never over another one."""

from __future__ import annotations

import errno
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from copydyn.refusal import BadValue
from copydyn.runs import durable

_TAKEN = (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR)


def require_writable(parent: Path) -> None:
    """Make sure that a folder can be made in ``parent``, before anything is computed for it.

    Raises
    ------
    BadValue
    """
    parent = durable.place(parent)
    try:
        parent.mkdir(parents=True, exist_ok=True)
        _workshop(parent).rmdir()
    except (OSError, ValueError) as cause:  # a NUL in a path is a ValueError
        raise _refusal(parent, cause) from None


def keep(parent: Path, name: str, files: Mapping[str, bytes]) -> Path:
    """Write ``files`` into the new folder ``parent/name-001``, or whatever number is the next free one.

    They are written into a hidden folder beside it and forced to disk; a single rename makes the run appear.

    Parameters
    ----------
    files : mapping of str to bytes
        Names and contents. They are made beforehand: the HDF5 library does not survive a disk that fills up under it.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    BadValue
        If the folder cannot be written; nothing is left behind then.
    """
    workshop, parent = None, durable.place(parent)
    try:
        parent.mkdir(parents=True, exist_ok=True)
        workshop = _workshop(parent)
        for file, content in files.items():
            durable.write(workshop / file, content)
        durable.force(workshop)
        folder = _moved(workshop, parent, name)
        workshop = None
        durable.force(parent)
        return folder
    except OSError as cause:
        raise _refusal(parent, cause) from None
    finally:
        if workshop is not None:
            shutil.rmtree(workshop, ignore_errors=True)


def add(folder: Path, name: str, content: bytes) -> None:
    """Write one more file into a folder that `keep` has made.

    Raises
    ------
    OSError
    """
    durable.put(folder / name, content, folder)


def slug(name: str) -> str:
    """Give ``name`` as a part of a file's name: letters and digits, in lower case, and a hyphen between them."""
    return "-".join(re.findall(r"[^\W_]+(?:\.[^\W_]+)*", name.lower()))


def _workshop(parent: Path) -> Path:
    folder = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=parent))
    mask = os.umask(0)
    os.umask(mask)
    folder.chmod(0o777 & ~mask)  # mkdtemp hides it from the group; a result is no secret
    return folder


def _moved(workshop: Path, parent: Path, name: str) -> Path:
    """Rename ``workshop`` to the next free number, which another run may take at any moment."""
    pattern = re.compile(re.escape(name) + r"-(\d{3,9})")
    taken = [int(found[1]) for entry in os.listdir(parent) if (found := pattern.fullmatch(entry))]
    number = max(taken, default=0)
    while True:
        number += 1
        folder = parent / f"{name}-{number:03d}"
        if os.path.lexists(folder):
            continue
        try:
            os.rename(workshop, folder)
        except OSError as cause:
            if cause.errno not in _TAKEN:
                raise
        else:
            return folder


def _refusal(parent: Path, cause: OSError | ValueError) -> BadValue:
    blocked = isinstance(cause, (FileExistsError, NotADirectoryError))
    reason = "a file stands in its way" if blocked else getattr(cause, "strerror", None) or str(cause)
    return BadValue(
        f"{parent}: results must be kept in a folder that can be written, but: {reason}; choose one with --out."
    )
