"""Files that are on disk whole or not at all: written beside their place, forced to disk, and renamed into it."""

from __future__ import annotations

import errno
import io
import os
import platform
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def put(path: Path, content: bytes, drafts: Path) -> None:
    """Write ``content`` to ``path``, which whoever looks finds whole, as it was before, or missing.

    Parameters
    ----------
    drafts : Path
        A folder on the same disk for what is being written; a killed process leaves its draft there.

    Raises
    ------
    OSError
        Nothing of the draft is left behind then.
    """
    draft = drafts / f"{path.name}.{platform.node()}.{os.getpid()}"
    try:
        write(draft, content, exclusive=False)
        os.replace(draft, path)
    except BaseException:
        with suppress(OSError):  # what made the writing fail is what its author wants to hear
            os.unlink(draft)
        raise
    force(path.parent)


def put_new(path: Path, content: bytes, drafts: Path) -> None:
    """Write ``content`` to ``path`` as `put` does, unless somebody else has done so.

    Raises
    ------
    FileExistsError
        If the file is there.
    OSError
    """
    draft = drafts / f"{path.name}.{platform.node()}.{os.getpid()}"
    try:
        write(draft, content, exclusive=False)
        os.link(draft, path)
    finally:
        with suppress(OSError):
            os.unlink(draft)
    force(path.parent)


@contextmanager
def replacing(path: Path, drafts: Path) -> Iterator[io.FileIO]:
    """Give a file to write into, and to read from, that takes the place of ``path`` at the end; see `put`.

    Raises
    ------
    OSError
        Nothing of the draft is left behind then, nor where the caller raises.
    """
    draft = drafts / f"{path.name}.{platform.node()}.{os.getpid()}"
    handle = io.FileIO(os.open(draft, os.O_RDWR | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0), 0o666), "r+b")
    try:
        with handle:
            yield handle
            os.fsync(handle.fileno())
        os.replace(draft, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(draft)
        raise
    force(path.parent)


def write(path: Path, content: bytes, *, exclusive: bool = True) -> None:
    """Write a file, which must be new where ``exclusive``, and wait until it is on disk.

    Raises
    ------
    OSError
    """
    flags = os.O_WRONLY | os.O_CREAT | (os.O_EXCL if exclusive else os.O_TRUNC) | getattr(os, "O_NOFOLLOW", 0)
    handle = os.open(path, flags, 0o666)
    try:
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(handle, rest) :]  # a disk that is nearly full takes a part
        os.fsync(handle)
    finally:
        os.close(handle)


def read(path: Path, most: int | None = None) -> bytes:
    """Read a whole file; a link is none, nor is a pipe, which would be waited for.

    Parameters
    ----------
    most : int, optional
        Bytes that it may have.

    Raises
    ------
    OSError
    """
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "it is no regular file")
        if most is not None and found.st_size > most:
            raise OSError(errno.EFBIG, f"it has {found.st_size} bytes, which are too many")
        pieces = [piece := os.read(handle, max(1, os.fstat(handle).st_size))]
        while piece:
            pieces.append(piece := os.read(handle, 1 << 20))
    finally:
        os.close(handle)
    return b"".join(pieces)


def force(folder: Path) -> None:
    """Wait until the names in ``folder`` are on disk; only POSIX can open a folder for that."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def place(path: Path | str) -> Path:
    """Give a path as the shell would: a leading ~ is the home folder, where somebody is known by that name."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)
