"""A run that is not over yet, in one file: everything that is needed to go on with the same bytes."""

from __future__ import annotations

import errno
import glob
import hashlib
import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from copydyn.refusal import BadValue

_TITLE = b"copydyn checkpoint 1\n"
_HASH = 32
"""Bytes of a SHA-256. A file is title, hash of what follows, fingerprint of the run, and its arrays as .npz."""


def write(path: Path, run: bytes, states: Sequence[Mapping[str, np.ndarray]], *, force: bool = True) -> None:
    """Put ``states`` of the run with fingerprint ``run`` in the place of what ``path`` held, or leave that as it was.

    Parameters
    ----------
    force : bool
        Wait until the file is on disk, where it outlives a loss of power; a busy disk takes seconds for that.

    Raises
    ------
    OSError
    """
    arrays = {f"{number}/{name}": array for number, state in enumerate(states) for name, array in state.items()}
    buffer = io.BytesIO(run)
    buffer.seek(len(run))
    np.savez(buffer, allow_pickle=False, **arrays)
    content = buffer.getbuffer()
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.unlink(missing_ok=True)  # a link that somebody has put there would be followed
        with draft.open("xb") as file:
            file.write(_TITLE + hashlib.sha256(content).digest())
            file.write(content)
            file.flush()
            if force:
                os.fsync(file.fileno())
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def read(path: Path, run: bytes, parts: int) -> list[dict[str, np.ndarray]] | None:
    """Give the states that `write` has put there, one for each of the ``parts`` of the run; None where no file is.

    Raises
    ------
    BadValue
        If the file cannot be read, is damaged, or is about another run.
    """
    try:
        if path.exists() and not path.is_file():
            raise OSError(errno.EINVAL, "it is no regular file")  # a pipe would be waited for
        stored = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as cause:
        reason = cause.strerror or str(cause)
        raise BadValue(f"{path}: a checkpoint must be a file that can be read, but: {reason}.") from None
    head = len(_TITLE) + _HASH
    content = memoryview(stored)[head:]
    if not stored.startswith(_TITLE):
        raise BadValue(f"{path}: a checkpoint must begin as one, but is another kind of file; name another one.")
    if stored[len(_TITLE) : head] != hashlib.sha256(content).digest() or len(content) < _HASH:
        raise BadValue(f"{path}: a checkpoint must be whole, but is truncated or damaged; remove it to start anew.")
    if content[:_HASH] != run:
        raise BadValue(
            f"{path}: a checkpoint must be of this run, but is of another one (system, theory, seed, replicas or "
            "version of copydyn differ); remove it to start anew, or name another file."
        )
    states: list[dict[str, np.ndarray]] = [{} for _ in range(parts)]
    with np.load(io.BytesIO(content[_HASH:]), allow_pickle=False) as arrays:
        for name in arrays.files:
            number, _, key = name.partition("/")
            states[int(number)][key] = arrays[name]
    return states


def remove(path: Path) -> None:
    """Remove a checkpoint whose run is in safety, with whatever a killed process has left of its drafts."""
    for file in (path, *path.parent.glob(f".{glob.escape(path.name)}.*")):
        file.unlink(missing_ok=True)
