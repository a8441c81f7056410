"""One seed, the same bytes: which random stream a replica owns.

A stream depends on what is simulated, on the user's seed and on the replica's number, and on nothing else: not on how
many replicas there are, when they are looked at beyond the save times, or where they run.
"""

from __future__ import annotations

import hashlib
import secrets
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from copydyn.experiment import Experiment
from copydyn.inputs import as_whole

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
        Anything whose ``repr`` says what is simulated, such as the frozen dataclass of a theory.
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
    digest.update(repr(theory).encode())
    return digest.digest()


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
    """SHA-256 over everything that decides the bytes of a run, and what is kept of it: the code included."""
    digest = hashlib.sha256(fingerprint(experiment, theory))
    digest.update(repr((seed, replicas, first, code_stamp(), np.__version__)).encode())
    return digest.digest()


@cache
def code_stamp() -> str:
    """SHA-256 over the source of copydyn, which decides the bytes of a run as much as the seed does."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()
