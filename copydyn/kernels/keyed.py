"""Random streams that are named: what a stream is for decides its bits, whoever asks for it and when.

Threads that share one ensemble can then share out its edges in any way, and a run that goes on after a kill needs no
state of a generator. The names are hashed by Philox4x32-10 (Salmon, Moraes, Dror and Shaw, SC11, 2011), a keyed
bijection of a 128-bit counter.
"""

from __future__ import annotations

from numba import uint64

from copydyn.kernels.compiled import kernel

_LOW = 0xFFFFFFFF


@kernel
def philox(c0, c1, c2, c3, k0, k1):
    """Give the four 32-bit words, as uint64, of the counter (c0, c1, c2, c3) under the key (k0, k1)."""
    low, half = uint64(_LOW), uint64(32)
    c0, c1, c2, c3 = uint64(c0), uint64(c1), uint64(c2), uint64(c3)
    k0, k1 = uint64(k0), uint64(k1)
    for _ in range(10):
        first = uint64(0xD2511F53) * c0
        second = uint64(0xCD9E8D57) * c2
        c0, c2 = (second >> half) ^ c1 ^ k0, (first >> half) ^ c3 ^ k1
        c1, c3 = second & low, first & low
        k0 = (k0 + uint64(0x9E3779B9)) & low
        k1 = (k1 + uint64(0xBB67AE85)) & low
    return c0, c1, c2, c3


@kernel
def stream(random_state, first, second, third, fourth):
    """Give the four words at which the stream of this name starts, for `variates.next_word`.

    Parameters
    ----------
    random_state : uint64 (4,)
        Of the replica; its first word is the key. It does not change.
    first, second, third, fourth : int
        The name, whole numbers below 2^32, ``fourth`` below 2^31.
    """
    half = uint64(32)
    k0, k1 = random_state[0] >> half, random_state[0] & uint64(_LOW)
    a0, a1, a2, a3 = philox(first, second, third, 2 * fourth, k0, k1)
    b0, b1, b2, b3 = philox(first, second, third, 2 * fourth + 1, k0, k1)
    # the last bit keeps xoshiro from its one forbidden state, all zeros
    return (a0 << half) | a1, (a2 << half) | a3, (b0 << half) | b1, (b2 << half) | b3 | uint64(1)
