"""Preparations by name: plain functions of a system that return its initial ket.

A new preparation is one function and one line in `PREPARATIONS`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from copydyn.blas import one_thread
from copydyn.experiment import Preparation, System
from copydyn.experiment.array_files import blamed_on, read_array
from copydyn.experiment.inputs import as_ket, as_real, as_whole, dense
from copydyn.experiment.square_sites import as_pair, coordinates
from copydyn.refusal import BadValue

MOST_DIAGONALISED = 4096
"""Levels beyond which diagonalising takes minutes and gigabytes."""


def ket(system: System, amplitudes: Sequence[complex], normalise: bool = False) -> Preparation:
    """Start from the given amplitudes (beable,)."""
    as_ket(amplitudes, system.size, normalise=normalise, name="amplitudes")  # a refusal calls them what they are here
    return Preparation(amplitudes, normalise=normalise)


def random(system: System, seed: int = 0, evenness: float = 1.0) -> Preparation:
    """Start from random phases and weights |psi_a|^2 that differ by a factor of at most 1 + 2 ``evenness``.

    Haar-random kets come close to nodes; these stay away from them at the start.
    """
    words = np.random.Generator(np.random.PCG64(as_whole(seed, "seed")))
    spread = as_real(evenness, "evenness")
    if spread < 0.0:
        raise BadValue(f"evenness must be >= 0, but is {spread:g}.")
    weights = 1.0 + 2.0 * spread * words.random(system.size)
    phases = 2.0 * np.pi * words.random(system.size)
    return Preparation(np.sqrt(weights) * np.exp(-1j * phases), normalise=True)


def plane_wave(system: System, momentum: int = 1, ripple: float = 0.0, crests: int = 1) -> Preparation:
    """psi_a ~ (1 + ripple cos(2 pi crests a / P)) exp(2 pi i momentum a / P): a wave with a modulated density."""
    turns = 2.0 * np.pi * np.arange(system.size) / system.size
    height = 1.0 + as_real(ripple, "ripple") * np.cos(as_whole(crests, "crests") * turns)
    return Preparation(height * np.exp(1j * _signed(momentum) * turns), normalise=True)


def packet(system: System, centre: float, width: float, momentum: float = 0.0) -> Preparation:
    """psi_a ~ exp(-(a - centre)^2 / (4 width^2) + i momentum a): a Gaussian packet; all three in sites."""
    here = np.arange(system.size) - as_real(centre, "centre")
    with np.errstate(over="ignore"):  # a packet narrower than its site
        bell = np.exp(-0.25 * (here / as_real(width, "width", positive=True)) ** 2)
    return Preparation(bell * np.exp(1j * as_real(momentum, "momentum") * np.arange(system.size)), normalise=True)


def packet_2d(
    system: System, centre: tuple[float, float], width: float, momentum: tuple[float, float] = (0.0, 0.0)
) -> Preparation:
    """psi_a ~ exp(-|r - centre|^2 / (4 width^2) + i momentum r): a round packet on a square lattice; all in sites.

    Raises
    ------
    BadValue
        If the labels of ``system`` are not those of a square lattice.
    """
    places = coordinates(system)
    away = places - np.array(as_pair(centre, "centre"))
    with np.errstate(over="ignore"):  # a packet narrower than its site
        bell = np.exp(-0.25 * np.sum((away / as_real(width, "width", positive=True)) ** 2, axis=1))
    return Preparation(bell * np.exp(1j * (places @ np.array(as_pair(momentum, "momentum")))), normalise=True)


def file(system: System, path: str, key: str = "", normalise: bool = False) -> Preparation:
    """Start from the ket in a .npy or .npz file.

    Parameters
    ----------
    path : str
        A relative path is taken from the working directory.
    key : str
        Which array of a .npz file; not needed where there is but one.
    normalise : bool
        Divide by the norm instead of refusing a ket that is not normalised.

    Raises
    ------
    BadType, BadValue
        If the file is missing or damaged, or holds no ket of the system.
    """
    amplitudes = read_array(path, key)
    with blamed_on(path):
        return Preparation(as_ket(amplitudes, system.size, normalise=normalise))


@one_thread()
def eigenstate(system: System, level: int = 0) -> Preparation:
    """Start from the eigenvector of the first Hamiltonian with the ``level``-th lowest energy."""
    number = as_whole(level, "level")
    if number >= system.size:
        raise BadValue(f"level must be below {system.size}, the number of levels, but is {number}.")
    if system.size > MOST_DIAGONALISED:
        raise BadValue(
            f"an eigenstate must be one of at most {MOST_DIAGONALISED} levels, as H is diagonalised whole, but has "
            f"{system.size} to choose from; give the ket itself."
        )
    h = system.pulses[0].hamiltonian
    vectors = np.linalg.eigh(dense(h))[1]
    return Preparation(vectors[:, number], normalise=True)


def product(system: System, kets: Sequence[Sequence[complex]] = ()) -> Preparation:
    """Give each part of a composite system a ket of its own, psi = psi_A x psi_B x ..., divided by its norm.

    One ket stands for every part; none, for even amplitudes. A system without parts is one part.
    """
    sizes = [len(part.labels) for part in system.parts] or [system.size]
    given: list[Any] = list(kets) or [np.ones(size) for size in sizes]
    if len(given) == 1:
        given *= len(sizes)
    if len(given) != len(sizes):
        raise BadValue(f"kets must be one for each of the {len(sizes)} parts, or one for all, but are {len(given)}.")
    whole = np.ones(1, dtype=complex)
    for number, (own, size) in enumerate(zip(given, sizes)):
        whole = np.kron(whole, as_ket(own, size, normalise=True, name=f"kets[{number}]"))
    return Preparation(whole, normalise=True)


PREPARATIONS: dict[str, Callable[..., Preparation]] = {
    "ket": ket,
    "random": random,
    "plane-wave": plane_wave,
    "packet": packet,
    "packet-2d": packet_2d,
    "eigenstate": eigenstate,
    "product": product,
    "file": file,
}


def _signed(momentum: int) -> int:
    return as_whole(momentum, "momentum", least=-(2**31))
