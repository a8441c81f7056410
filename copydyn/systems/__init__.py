"""Systems by name: plain functions that return a `copydyn.experiment.System`.

A new system is one function in a file of this package and one line in `SYSTEMS`.
"""

from __future__ import annotations

from collections.abc import Callable

from copydyn.experiment import System
from copydyn.systems.circuits import circuit, ghz, random_circuit
from copydyn.systems.composites import composite, coupled_qubits, from_rows
from copydyn.systems.few_level import three_level, two_level
from copydyn.systems.lattice import lattice, ring
from copydyn.systems.pulsed import landau_zener, ramsey, spin_echo
from copydyn.systems.random_matrix import gue
from copydyn.systems.spins import heisenberg, ising

SYSTEMS: dict[str, Callable[..., System]] = {
    "two-level": two_level,
    "three-level": three_level,
    "gue": gue,
    "ring": ring,
    "lattice": lattice,
    "ramsey": ramsey,
    "spin-echo": spin_echo,
    "landau-zener": landau_zener,
    "heisenberg": heisenberg,
    "ising": ising,
    "coupled-qubits": coupled_qubits,
    "composite": from_rows,
    "circuit": circuit,
    "ghz": ghz,
    "random-circuit": random_circuit,
}

__all__ = [
    "SYSTEMS",
    "circuit",
    "composite",
    "coupled_qubits",
    "ghz",
    "gue",
    "heisenberg",
    "ising",
    "landau_zener",
    "lattice",
    "ramsey",
    "random_circuit",
    "ring",
    "spin_echo",
    "three_level",
    "two_level",
]
