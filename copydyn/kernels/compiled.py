"""The decorators of the kernels, and what tells the compiler which way they go as a rule."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.extending import lower_builtin, type_callable


def _stamp_of_sources() -> str:
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


_STAMP = _stamp_of_sources()

_reasons: list[str] = []
"""Why kernels are not kept."""


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a function that works on arrays which the caller owns, and neither makes nor returns any.

    Counting references to arrays, which is atomic, would take more than half of the time of a short step, and more
    where threads share an array; so it is switched off, and a kernel that needs memory of its own does not compile.
    """
    return _compiled(function, _nrt=False)


def allocating_kernel(function: Callable[..., Any]) -> Any:
    """Compile a function that makes arrays."""
    return _compiled(function)


def likely(condition: bool) -> bool:
    """Give ``condition`` back; inside a kernel the compiler takes it for true as a rule.

    Left alone, it takes the loop that a rejected draw goes back to for the one that runs most, and keeps the registers
    for it: what a proposal needs is then written to the stack and read back every time. No result depends on it.
    """
    return condition


@type_callable(likely)
def _type_of_likely(context: Any) -> Callable[[Any], Any]:
    return lambda condition: types.boolean if condition == types.boolean else None


@lower_builtin(likely, types.boolean)
def _expected(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    bit = ir.IntType(1)
    expect = builder.module.declare_intrinsic("llvm.expect", [bit], ir.FunctionType(bit, [bit, bit]))
    return builder.call(expect, [arguments[0], bit(1)])


def _compiled(function: Callable[..., Any], **options: Any) -> Any:
    """Compile ``function``; what is kept on disk holds for as long as no source file of the kernels changes.

    Left alone, numba looks at the time and size of the function's own file only, while code of the others is inlined
    into it: after an edit or an upgrade it would go on running a mixture of old and new.
    """
    options |= {"nogil": True, "error_model": "numpy"}
    try:
        compiled = njit(cache=True, **options)(function)
    except RuntimeError:  # beside the sources it may not write, nor at home
        _without_cache("it finds no folder for them that can be written")
        return njit(**options)(function)
    cache: Any = getattr(compiled, "_cache", None)
    index = getattr(cache, "_cache_file", None)
    if index is not None:  # absent where compilation is switched off
        index._source_stamp = (index._source_stamp, _STAMP)
        cache.load_overload = _forgiving(cache.load_overload, cache)
        cache.save_overload = _forgiving(cache.save_overload, cache)
    return compiled


def _forgiving(action: Callable[..., Any], cache: Any) -> Callable[..., Any]:
    """Let a full disk or a damaged file of the cache cost time and nothing else."""

    def attempt(*arguments: Any) -> Any:
        try:
            return action(*arguments)
        except Exception as cause:  # whatever a damaged file makes of itself
            _without_cache((getattr(cause, "strerror", None) or str(cause)).rstrip("."))
            with suppress(Exception):
                cache.flush()  # begins a new index in the place of a damaged one
            return None

    return attempt


def _without_cache(reason: str) -> None:
    """Say once that kernels are compiled in vain."""
    if not _reasons:
        warnings.warn(
            f"numba cannot keep compiled kernels, as {reason}: every run compiles them anew, which takes a minute or "
            "two; set NUMBA_CACHE_DIR to a folder that can be written.",
            RuntimeWarning,
            stacklevel=2,
        )
    _reasons.append(reason)
