"""One seed, the same bytes: which random stream a replica owns.

A stream depends on what is simulated, on the user's seed and on the replica's number, and on nothing else: not on how
many replicas there are, when they are looked at beyond the save times, or where they run.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import Any

import numpy as np
from scipy import sparse

from copydyn.experiment import Experiment
from copydyn.inputs import as_whole


def as_seed(seed: int | None) -> int:
    """Give the user's seed, or a fresh one of 63 bits that is worth writing down: a file keeps it as an int64."""
    return secrets.randbits(63) if seed is None else as_whole(seed, "seed", most=2**63 - 1)


def stream(experiment: Experiment, theory: Any, seed: int, replica: int) -> np.ndarray:
    """Seed one generator, uint64 (4,), for `copydyn.kernels.variates`.

    Parameters
    ----------
    theory
        Anything whose ``repr`` says what is simulated, such as the frozen dataclass of a theory.
    """
    words = np.frombuffer(fingerprint(experiment, theory), dtype=np.uint32)
    sequence = np.random.SeedSequence([seed, *words.tolist()], spawn_key=(replica,))
    return sequence.generate_state(4, np.uint64)


def fingerprint(experiment: Experiment, theory: Any) -> bytes:
    """SHA-256 over the canonical experiment and theory."""
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
    digest.update(repr(theory).encode())
    return digest.digest()
