"""Arrays from .npy and .npz files, which are data and never a program: nothing pickled is loaded."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from copydyn.experiment.inputs import shown
from copydyn.refusal import BadType, BadValue, Refusal

NPY = b"\x93NUMPY"
ZIP = (b"PK\x03\x04", b"PK\x05\x06")
SPARSE_PARTS = {"format", "shape", "data"}
"""What `scipy.sparse.save_npz` writes, whatever the format."""


def read_array(path: str, key: str = "") -> Any:
    """Read an array or a sparse matrix.

    Parameters
    ----------
    path : str
        A .npy file, a .npz file of `numpy.savez`, or one of `scipy.sparse.save_npz`; a relative path is taken from
        the working directory.
    key : str
        Which array of a .npz file; not needed where there is but one.

    Returns
    -------
    ndarray or scipy.sparse array

    Raises
    ------
    BadType, BadValue
        If there is no such file or array, if it is cut off, or if it holds pickled objects.
    """
    if not isinstance(path, str):
        raise BadType(f"path must be a string, but is of type {type(path).__name__}.")
    where = repr(path)
    if os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path):  # a pipe would be waited for
        raise BadValue(f"path must name a file that can be read, but {where} cannot: it is no regular file.")
    try:
        content = Path(path).open("rb")  # noqa: SIM115  # closed below; only its opening is guarded here
    except FileNotFoundError:
        raise BadValue(
            f"path must name a file, but there is none at {where}; a relative path is taken from the working "
            f"directory, {str(Path.cwd())!r}."
        ) from None
    except (OSError, ValueError) as cause:
        reason = getattr(cause, "strerror", None) or "this is no path"
        raise BadValue(f"path must name a file that can be read, but {where} cannot: {reason.lower()}.") from None
    with content:
        try:
            start = content.read(len(NPY))
        except OSError as cause:
            raise BadValue(
                f"path must name a file that can be read, but {where} cannot: {(cause.strerror or str(cause)).lower()}."
            ) from None
        if start != NPY and start[:4] not in ZIP:
            raise BadValue(f"path must name a .npy or .npz file, but {where} is none; write one with numpy.save.")
        content.seek(0)
        try:
            with warnings.catch_warnings(action="ignore"):  # that a header is old, or of another version
                return _array_in(content, where, key)
        except Refusal:
            raise
        except Exception as cause:  # numpy, zipfile, zlib and tokenize fail on altered bytes in ways that none lists
            if "allow_pickle" in str(cause):
                raise BadValue(
                    f"path must name a file of numbers, but {where} holds pickled objects, which are never loaded "
                    "because they may run any program; save an array of numbers."
                ) from None
            raise BadValue(f"path must name a whole file, but {where} is cut off or damaged; write it anew.") from None


@contextmanager
def blamed_on(path: str) -> Iterator[None]:
    """Let refusals of what the file holds begin with its path."""
    try:
        yield
    except Refusal as refusal:
        raise type(refusal)(f"path {path!r}: {refusal}") from None


def _array_in(content: Any, where: str, key: str) -> Any:
    loaded = np.load(content, allow_pickle=False)
    if isinstance(loaded, np.ndarray):
        if key:
            raise BadValue(f"key must be left out for a .npy file, which holds one array, but is {key!r} for {where}.")
        return loaded
    names = list(loaded.keys())
    if set(names) >= SPARSE_PARTS:
        if key:
            raise BadValue(f"key must be left out, but is {key!r}: {where} holds one sparse matrix.")
        return _sparse_in(content)
    if not names:
        raise BadValue(f"path must name a file with an array in it, but {where} is empty.")
    if not key and len(names) == 1:
        key = names[0]
    if key not in names:
        raise BadValue(
            f"key must be one of {shown(names)[1:-1]} for {where}, but is {key!r}; choose an array by its name."
        )
    array = loaded[key]
    if not isinstance(array, np.ndarray):
        raise BadValue(f"key must name an array, but {key!r} of {where} is none.")
    return array


def _sparse_in(content: Any) -> Any:
    content.seek(0)
    matrix = sparse.load_npz(content)
    if hasattr(matrix, "check_format"):
        matrix.check_format(full_check=True)  # an index out of range would be read from foreign memory
    return sparse.coo_array(matrix)
