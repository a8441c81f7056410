"""One seed, the same bytes: which random stream a replica owns.

A stream depends on what is simulated, on the user's seed and on the replica's number, and on nothing else: not on how
many replicas there are, when they are looked at beyond the save times, or where they run.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import lru_cache
from pathlib import Path
from types import NoneType
from typing import Any

import numpy as np
from scipy import sparse

from copydyn.experiment import Experiment
from copydyn.experiment.inputs import as_whole, shown
from copydyn.refusal import BadType
from copydyn.runs.made_by import made_by

_PLAIN = (str, bytes, int, float, complex, np.generic, NoneType, Enum, Path, range)
_NUMBERS = {int, float, complex}
"""Types whose ``repr`` says all; of the latter long lists are named at once."""

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def as_seed(seed: int | None) -> int:
    """Give the user's seed, or a fresh one of 63 bits that is worth writing down: a file keeps it as an int64."""
    return secrets.randbits(63) if seed is None else as_whole(seed, "seed", most=2**63 - 1)


def streams(experiment: Experiment, theory: Any, seed: int, replicas: int, first: int = 0) -> np.ndarray:
    """Seed one generator a replica, uint64 (replica, 4), for `copydyn.kernels.variates`.

    numpy's SeedSequence hashes seed, experiment and theory to four words; replica r takes the r-th output of the four
    SplitMix64 generators (Steele, Lea and Flood, OOPSLA 2014) that start there. Each is a bijection of r, so that no
    two replicas share a word.

    Parameters
    ----------
    theory
        What is simulated, made of dataclasses, numbers, words and arrays, as a theory is: see `said`.
    first : int
        Number of the first replica.
    """
    words = np.frombuffer(fingerprint(experiment, theory), dtype=np.uint32)
    key = np.random.SeedSequence([seed, *words.tolist()]).generate_state(4, np.uint64)
    numbers = np.arange(first + 1, first + 1 + replicas, dtype=np.uint64)
    mixed = key + numbers[:, None] * _GOLDEN
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return np.asarray(mixed ^ (mixed >> np.uint64(31)))


def fingerprint(experiment: Experiment, theory: Any) -> bytes:
    """SHA-256 over the canonical experiment and theory."""
    digest = _digest_of(experiment).copy()
    digest.update(said(theory).encode())
    return digest.digest()


def said(value: Any) -> str:
    """Name a theory by all that it consists of: like ``repr``, which abbreviates arrays, but in full.

    A dataclass is named with its fields, or with those that its method ``distinctive`` gives by name; an array by its
    shape, its kind and the SHA-256 of its numbers.

    Raises
    ------
    BadType
        If a part of it has no name but its place in memory, as a function has, which is another one in every process.
    """
    if isinstance(value, _PLAIN) or (isinstance(value, (tuple, list)) and set(map(type, value)) <= _NUMBERS):
        return repr(value)
    if is_dataclass(value) and not isinstance(value, type):
        own = getattr(value, "distinctive", None)
        told = own() if own else {field.name: getattr(value, field.name) for field in fields(value) if field.repr}
        return f"{type(value).__qualname__}({', '.join(f'{name}={said(one)}' for name, one in told.items())})"
    if isinstance(value, np.ndarray):
        return _said_of_array(value)
    if isinstance(value, tuple):
        names = getattr(value, "_fields", None)
        listed = [said(one) for one in value]
        if names:
            return f"{type(value).__name__}({', '.join(f'{name}={one}' for name, one in zip(names, listed))})"
        return f"({', '.join(listed)}{',' if len(listed) == 1 else ''})"
    if isinstance(value, list):
        return f"[{', '.join(said(one) for one in value)}]"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{said(key)}: {said(one)}' for key, one in value.items())}}}"
    if isinstance(value, (set, frozenset)):
        return f"{{{', '.join(sorted(said(one) for one in value))}}}"
    if hasattr(value, "tocoo"):  # a sparse matrix of scipy
        entries = value.tocoo()
        order = np.lexsort(entries.coords[::-1])
        return said([entries.shape, *(column[order] for column in (*entries.coords, entries.data))])
    if hasattr(value, "full"):  # a qutip.Qobj
        return _said_of_array(value.full())
    if hasattr(value, "__array__") and not isinstance(value, np.generic):
        return _said_of_array(np.asarray(value))
    raise BadType(
        f"a theory must be made of numbers, words, arrays and dataclasses, which can be named, but has {shown(value)}; "
        "give it something whose content decides what it is."
    )


def _said_of_array(array: np.ndarray) -> str:
    if array.dtype.kind == "O":
        return f"array{said(array.tolist())}"
    return (
        f"array({array.shape}, {array.dtype.str}, {hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()})"
    )


@lru_cache(maxsize=4)  # many runs are of one experiment, which is known by itself
def _digest_of(experiment: Experiment) -> Any:
    digest = hashlib.sha256()
    for pulse in experiment.system.pulses:
        entries = sparse.coo_array(pulse.hamiltonian)
        order = np.lexsort(entries.coords[::-1])
        digest.update(repr((float(pulse.duration), entries.shape)).encode())
        for column in (*entries.coords, entries.data + 0.0):  # + 0.0 turns -0.0 into 0.0
            digest.update(np.ascontiguousarray(column[order], dtype=complex).tobytes())
    digest.update(repr(float(experiment.system.hbar)).encode())
    digest.update((experiment.ket + 0.0).tobytes())
    digest.update(experiment.tlist.tobytes())
    return digest


def run_fingerprint(experiment: Experiment, theory: Any, seed: int, replicas: int, first: int = 0) -> bytes:
    """SHA-256 over everything that decides the bytes of a run, and what is kept of it: code and libraries included."""
    digest = hashlib.sha256(fingerprint(experiment, theory))
    digest.update(repr((seed, replicas, first, sorted(made_by().items()))).encode())
    return digest.digest()
