"""Memory that threads do not share by accident."""

from __future__ import annotations

from typing import Any

import numpy as np

LINES = 128
"""Bytes that a core fetches at once: a cache line and its neighbour."""


def zeros(size: int, kind: Any = np.float64) -> np.ndarray:
    """Give an array of zeros on cache lines of its own.

    Arrays of a few numbers lie next to each other: two threads that write to two of them would take the line out of
    each other's hands at every write.
    """
    length = size * np.dtype(kind).itemsize
    block = np.zeros(length + 2 * LINES, np.uint8)
    first = -block.ctypes.data % LINES
    return block[first : first + length].view(kind)


def own(array: np.ndarray) -> np.ndarray:
    """Copy a vector to cache lines of its own."""
    copy = zeros(array.size, array.dtype)
    copy[:] = array
    return copy
