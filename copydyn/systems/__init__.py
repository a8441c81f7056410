"""Systems by name: plain functions that return a `copydyn.experiment.System`.

A new system is one function in a file of this package and one line in `SYSTEMS`.
"""

from __future__ import annotations

from collections.abc import Callable

from copydyn.experiment import System
from copydyn.systems.circuits import circuit, ghz, random_circuit
from copydyn.systems.composites import composite, coupled_qubits, from_rows
from copydyn.systems.few_level import three_level, two_level
from copydyn.systems.from_file import from_file
from copydyn.systems.lattice import lattice, ring
from copydyn.systems.measurement import measurement
from copydyn.systems.network import network
from copydyn.systems.potentials import barrier, double_well, harmonic, linear, quartic
from copydyn.systems.pulsed import landau_zener, ramsey, spin_echo
from copydyn.systems.random_matrix import gue
from copydyn.systems.spins import heisenberg, ising
from copydyn.systems.square_lattice import double_slit, square_lattice

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
    "harmonic": harmonic,
    "double-well": double_well,
    "barrier": barrier,
    "linear": linear,
    "quartic": quartic,
    "square-lattice": square_lattice,
    "double-slit": double_slit,
    "network": network,
    "measurement": measurement,
    "file": from_file,
}

__all__ = [
    "SYSTEMS",
    "barrier",
    "circuit",
    "composite",
    "coupled_qubits",
    "double_slit",
    "double_well",
    "from_file",
    "ghz",
    "gue",
    "harmonic",
    "heisenberg",
    "ising",
    "landau_zener",
    "lattice",
    "linear",
    "measurement",
    "network",
    "quartic",
    "ramsey",
    "random_circuit",
    "ring",
    "spin_echo",
    "square_lattice",
    "three_level",
    "two_level",
]
