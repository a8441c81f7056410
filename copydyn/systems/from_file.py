"""Hamiltonians from files."""

from __future__ import annotations

from collections.abc import Sequence

from copydyn.experiment import System
from copydyn.experiment.array_files import blamed_on, read_array
from copydyn.experiment.inputs import as_hermitian


def from_file(
    path: str, key: str = "", labels: Sequence[str] = (), meaning: str = "label", hbar: float = 1.0
) -> System:
    """H from a .npy file, a .npz file, or one of `scipy.sparse.save_npz`.

    Parameters
    ----------
    path : str
        A relative path is taken from the working directory.
    key : str
        Which array of a .npz file; not needed where there is but one.
    labels : sequence of str (beable,)
        "0", "1", ... by default.
    meaning : str
        What the beable is.

    Raises
    ------
    BadType, BadValue
        If the file is missing or damaged, or holds no Hermitian matrix.
    """
    matrix = read_array(path, key)
    with blamed_on(path):
        h = as_hermitian(matrix)
    return System(h, labels=labels, meaning=meaning, hbar=hbar, name="file")
