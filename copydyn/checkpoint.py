"""A run that is not over yet, in one file: everything that is needed to go on with the same bytes."""

from __future__ import annotations

import glob
import io
import os
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from copydyn.refusal import BadValue

_RUN = "run"


def write(path: Path, run: bytes, states: Sequence[Mapping[str, np.ndarray]]) -> None:
    """Put ``states`` of the run with fingerprint ``run`` in the place of what ``path`` held, or leave that as it was.

    Raises
    ------
    OSError
    """
    arrays = {f"{number}/{name}": array for number, state in enumerate(states) for name, array in state.items()}
    buffer = io.BytesIO()  # zip's checksums tell a damaged file; arrays without pickle cannot run anything
    np.savez(buffer, allow_pickle=False, **{_RUN: np.frombuffer(run, np.uint8)}, **arrays)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with draft.open("wb") as file:
            file.write(buffer.getbuffer())
            file.flush()
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
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, EOFError, KeyError, NotImplementedError, zipfile.BadZipFile, zlib.error) as cause:
        why = str(cause).split("\n")[0] or type(cause).__name__
        raise BadValue(
            f"{path}: a checkpoint must be whole, but cannot be read ({why}); remove it to start anew."
        ) from None
    if not isinstance(arrays, dict) or _RUN not in arrays or arrays[_RUN].tobytes() != run:
        raise BadValue(
            f"{path}: a checkpoint must be of this run, but is of another one (system, theory, seed, replicas or "
            "version of copydyn differ); remove it to start anew, or name another file."
        )
    states: list[dict[str, np.ndarray]] = [{} for _ in range(parts)]
    for name, array in arrays.items():
        if name != _RUN:
            number, _, key = name.partition("/")
            states[int(number)][key] = array
    return states


def remove(path: Path) -> None:
    """Remove a checkpoint whose run is in safety, with whatever a killed process has left of its drafts."""
    for file in (path, *path.parent.glob(f".{glob.escape(path.name)}.*")):
        file.unlink(missing_ok=True)
