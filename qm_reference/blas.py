"""Matrices on one thread: how many there are decides the last digits. The referee keeps its own way of saying so."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any


@contextmanager
def one_thread() -> Iterator[None]:
    """Let the BLAS of numpy and of scipy use one thread within; a context manager, and a decorator of functions."""
    with _controller().limit(limits=1, user_api="blas"):
        yield


@cache
def _controller() -> Any:
    import scipy.linalg  # noqa: F401  # so that its BLAS is there to be found
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
