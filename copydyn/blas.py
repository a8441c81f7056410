"""Matrices on one thread: OpenBLAS and its like split sums by how many threads there are, and the last digits follow.

One seed, the same bytes needs sums of one order. The matrices here are small, so that threads would gain little.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

_lock = threading.Lock()
_inside = 0
_before: dict[Any, int] = {}


@contextmanager
def one_thread() -> Iterator[None]:
    """Let every BLAS of this process use one thread within; a context manager, and a decorator of functions.

    It may be nested, and entered by several threads: the last to leave gives back what the first has found, or, where
    the library does not let it, whoever leaves next. It costs ten microseconds, and the first time some milliseconds.
    """
    global _inside
    with _lock:
        if _inside == 0:
            for library in _libraries():
                threads = library.get_num_threads()
                if threads != 1:
                    library.set_num_threads(1)
                    _before[library] = threads
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                _give_back()


def _give_back() -> None:
    for library, threads in list(_before.items()):
        library.set_num_threads(threads)
        if library.get_num_threads() == threads:  # OpenBLAS may not obey another thread than the one that asked first
            del _before[library]


@cache
def _libraries() -> list[Any]:
    """Find the BLAS of numpy and that of scipy, which may be another one."""
    import scipy.linalg  # noqa: F401  # so that its BLAS is there to be found
    from threadpoolctl import ThreadpoolController

    return list(ThreadpoolController().select(user_api="blas").lib_controllers)
