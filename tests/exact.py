"""Systems whose Schrödinger path is known without solving for it: every theory and engine is asked about them.

A new system adds its case here. The answers share no code with copydyn or with the reference solver: closed forms
written out, and sums over eigenvectors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh

from copydyn import Experiment, Preparation, Schedule, System
from copydyn.systems import (
    barrier,
    coupled_qubits,
    double_slit,
    double_well,
    gue,
    harmonic,
    heisenberg,
    lattice,
    linear,
    quartic,
    ring,
    spin_echo,
    square_lattice,
    three_level,
    two_level,
)

NEAR_A_NODE = 0.02


@dataclass(frozen=True, eq=False)
class Exact:
    """A question and its answer.

    ``ket`` complex128 (beable,) holds at ``tlist[0]``; ``path(t)`` is psi(t), complex128 (beable,), at any t between
    the first and the last of ``tlist``; no |psi_a|^2 falls below ``least`` on the way.
    """

    name: str
    system: System
    ket: np.ndarray
    tlist: np.ndarray
    path: Callable[[float], np.ndarray]
    least: float

    @property
    def experiment(self) -> Experiment:
        return Experiment(self.system, Preparation(self.ket), Schedule(self.tlist))

    @property
    def away_from_nodes(self) -> bool:
        """Whether the laws of finite N hold for the path without a word about nodes."""
        return self.least > NEAR_A_NODE

    def kets(self, times=None) -> np.ndarray:
        """psi, complex128 (time, beable)."""
        return np.array([self.path(float(time)) for time in (self.tlist if times is None else times)])

    def probabilities(self, times=None) -> np.ndarray:
        """|psi|^2, float64 (time, beable)."""
        return np.abs(self.kets(times)) ** 2


def turned(ket, detuning, coupling, span, hbar=1.0):
    """exp(-i H t/hbar) psi of H = (D/2) sigma_z + g |0><1| + h.c., whose square is (D/2)^2 + |g|^2."""
    energy = np.hypot(0.5 * detuning, abs(coupling))
    angle = energy * span / hbar
    image = np.array(
        [0.5 * detuning * ket[0] + coupling * ket[1], np.conj(coupling) * ket[0] - 0.5 * detuning * ket[1]]
    )
    return np.cos(angle) * ket - 1j * np.sin(angle) / energy * image


def spectral(h, ket, hbar=1.0) -> Callable[[float], np.ndarray]:
    """psi(t) = sum_j |j> exp(-i E_j t/hbar) <j|psi>; the tests hold it to the matrix exponential."""
    energies, modes = eigh(h)
    weights = modes.conj().T @ ket
    return lambda t: np.sum(modes * (weights * np.exp(-1j * energies * t / hbar)), axis=1)


def detuned() -> Exact:
    d, g, hbar = 0.6, 0.4 + 0.3j, 0.5
    ket = np.array([0.8, 0.6 * np.exp(-0.4j)])
    system = two_level(d, g, hbar=hbar)
    return Exact("detuned", system, ket, np.linspace(0, 4, 17), lambda t: turned(ket, d, g, t, hbar), 0.08)


def resonant() -> Exact:
    """psi_0 = cos(0.3 + t/2) passes through zero at t = 2.54."""
    ket = np.array([np.cos(0.3), -1j * np.sin(0.3)])
    return Exact(
        "resonant",
        two_level(0.0, 0.5),
        ket,
        np.linspace(0, 4, 9),
        lambda t: np.array([np.cos(0.3 + 0.5 * t), -1j * np.sin(0.3 + 0.5 * t)]),
        0.0,
    )


def triangle() -> Exact:
    """Three levels with a flux through the triangle, which no choice of phases removes."""
    h = np.array(
        [[0.0, 0.5 + 0.2j, 0.4 - 0.3j], [0.5 - 0.2j, 0.4, 0.3 + 0.4j], [0.4 + 0.3j, 0.3 - 0.4j, -0.3]],
    )
    ket = np.sqrt([0.5, 0.2, 0.3]) * np.exp([0.0, 1.1j, -0.7j])
    return Exact("triangle", three_level(), ket, np.linspace(0, 3, 7), spectral(h, ket), 0.04)


def flux() -> Exact:
    """Three plane waves on a ring, k = 2 pi l / P with the energies -2 J cos(k + Phi/P)."""
    size, hopping, phi = 8, 0.7, 1.3
    momenta = 2 * np.pi * np.array([0, 1, 3]) / size
    weights = np.array([1.0, 0.3j, 0.2])
    energies = -2 * hopping * np.cos(momenta + phi / size)
    waves = np.exp(1j * np.outer(np.arange(size), momenta)) / np.sqrt(size * np.sum(np.abs(weights) ** 2))

    def path(t):
        return waves @ (weights * np.exp(-1j * energies * t))

    return Exact("flux", ring(size, hopping, phi), path(0.0), np.linspace(0, 5, 11), path, 0.027)


def chain() -> Exact:
    """A packet between two walls: standing waves sin(k (a + 1)), k = pi j/(P + 1), E = hbar^2/(m d^2) (1 - cos k)."""
    size, spacing, mass, hbar = 12, 0.5, 2.0, 0.7
    j = np.arange(1, size + 1)
    waves = np.sqrt(2 / (size + 1)) * np.sin(np.pi * np.outer(j, j) / (size + 1))
    energies = hbar**2 / (mass * spacing**2) * (1 - np.cos(np.pi * j / (size + 1)))
    ket = np.exp(-0.25 * ((j - 5.0) / 1.5) ** 2 + 0.8j * j)
    ket /= np.linalg.norm(ket)

    def path(t):
        return waves @ (np.exp(-1j * energies * t / hbar) * (waves @ ket))

    return Exact("chain", lattice(size, spacing, mass, hbar=hbar), ket, np.linspace(0, 6, 7), path, 0.0)


def random_matrix() -> Exact:
    system = gue(5, width=1.5, seed=4, hbar=2.0)
    ket = np.exp(1j * np.array([0.0, 2.0, 1.0, 5.0, 4.0])) / np.sqrt(5)
    h = np.asarray(system.hamiltonian)
    return Exact("gue", system, ket, np.linspace(0, 3, 7), spectral(h, ket, hbar=2.0), 0.05)


def train() -> Exact:
    """Two pulses; the experiment starts inside the first, and one save time is the edge between them."""
    (d1, g1), (d2, g2), edge = (0.0, 0.6), (1.0, 0.5j), 1.5
    pulses = [(edge, two_level(d1, g1).hamiltonian), (2.5, two_level(d2, g2).hamiltonian)]
    ket = np.sqrt([0.7, 0.3]) * np.array([1.0, np.exp(2.6j)])
    times = np.array([0.25, 1.0, 1.5, 2.0, 3.25, 4.0])

    def path(t):
        first = turned(ket, d1, g1, min(t, edge) - times[0])
        return turned(first, d2, g2, max(t - edge, 0.0))

    return Exact("train", System(pulses, name="two pulses"), ket, times, path, 0.15)


def echo() -> Exact:
    """A quarter turn about x, a wait, a half turn about y, a wait, a quarter turn about x, detuned throughout."""
    d, pulse, wait, hbar = 0.5, 0.6, 1.1, 0.8
    ket = np.array([0.9, np.sqrt(0.19) * np.exp(0.3j)])
    strength = np.pi * hbar / (4 * pulse)
    steps = [(pulse, strength), (wait, 0.0), (2 * pulse, -1j * strength), (wait, 0.0), (pulse, strength)]

    def path(t):
        psi = ket
        for length, g in steps:
            psi, t = turned(psi, d, g, min(max(t, 0.0), length), hbar), t - length
        return psi

    system = spin_echo(pulse, wait, d, phase=np.pi / 2, hbar=hbar)
    return Exact("echo", system, ket, np.array([0.0, 0.6, 1.2, 1.7, 2.4, 2.9, 4.0, 4.6]), path, 0.05)


def pair() -> Exact:
    """Two qubits that nothing couples, in a state that does not factor: each path is that of one qubit, twice."""
    (d1, g1), (d2, g2) = (0.6, 0.3 + 0.2j), (-0.5, 0.4j)
    a, b = np.array([0.8, 0.6 * np.exp(4.7j)]), np.array([0.6, 0.8 * np.exp(1.9j)])
    other_a, other_b = np.array([a[1].conj(), -a[0]]), np.array([b[1].conj(), -b[0]])
    schmidt = [(np.sqrt(0.8), a, b), (np.sqrt(0.2) * np.exp(2j), other_a, other_b)]

    def path(t):
        terms = [(w, turned(one, d1, g1, t), turned(two, d2, g2, t)) for w, one, two in schmidt]
        return sum(w * np.kron(one, two) for w, one, two in terms)

    system = coupled_qubits((d1, d2), (g1, g2), (0.0, 0.0, 0.0))
    return Exact("pair", system, path(0.0), np.linspace(0, 2, 5), path, 0.15)


def spins() -> Exact:
    """A ring of three spins: sum of (1/4)(Jx xx + Jy yy + Jz zz) - (h/2) z - (g/2) x, with flips written on bits."""
    jx, jy, jz, h, g = 0.9, 0.5, -0.4, 0.6, 0.3
    matrix = np.zeros((8, 8))
    for bits in range(8):
        spin = [1 - 2 * (bits >> (2 - site) & 1) for site in range(3)]
        for site in range(3):
            other = (site + 1) % 3
            matrix[bits, bits] += 0.25 * jz * spin[site] * spin[other] - 0.5 * h * spin[site]
            both = bits ^ (4 >> site) ^ (4 >> other)
            matrix[both, bits] += 0.25 * (jx - jy * spin[site] * spin[other])
            matrix[bits ^ (4 >> site), bits] -= 0.5 * g
    ket = np.exp(1j * np.array([6.0, 2.0, 5.0, 1.0, 2.0, 4.0, 3.5, 1.0])) / np.sqrt(8)
    system = heisenberg(3, (jx, jy, jz), h, g, periodic=True)
    return Exact("spins", system, ket, np.linspace(0, 2, 5), spectral(matrix, ket), 0.03)


def in_potential(build, heights, **parameters) -> Exact:
    """Five sites at x = -1.6, -0.8, 0, 0.8, 1.6 with the potential ``heights`` there, written out once more."""
    spacing, mass, hbar = 0.8, 1.5, 0.7
    system = build(5, spacing, mass, **parameters, hbar=hbar)
    h = np.diag(heights) + kinetic(5, hbar**2 / (2 * mass * spacing**2))
    ket = np.exp(1j * np.array([4.1, 3.9, 0.3, 0.2, 0.3])) / np.sqrt(5)
    return Exact(system.name, system, ket, np.linspace(0, 3, 7), spectral(h, ket, hbar), 0.03)


def kinetic(size, hop):
    return 2 * hop * np.eye(size) - hop * (np.eye(size, k=1) + np.eye(size, k=-1))


def wells() -> tuple[Exact, ...]:
    x = np.array([-1.6, -0.8, 0.0, 0.8, 1.6])
    return (
        in_potential(harmonic, 0.5 * 1.5 * (0.9 * x) ** 2, frequency=0.9),
        in_potential(double_well, 1.2 * (x**2 / 1.44 - 1) ** 2, barrier=1.2, separation=2.4),
        in_potential(barrier, [0.0, 0.0, 0.6, 0.0, 0.0], height=0.6, width=0.8),
        in_potential(linear, -0.4 * x, force=0.4),
        in_potential(quartic, 0.3 * x**4, strength=0.3),
    )


def square() -> Exact:
    """Three columns of two sites: products of standing waves, whose energies add."""
    spacing, mass, hbar = 0.8, 1.5, 0.7
    across, along = np.arange(1, 4), np.arange(1, 3)
    waves = np.kron(
        *(np.sqrt(2 / (j.size + 1)) * np.sin(np.pi * np.outer(j, j) / (j.size + 1)) for j in (across, along))
    )
    levels = [hbar**2 / (mass * spacing**2) * (1 - np.cos(np.pi * j / (j.size + 1))) for j in (across, along)]
    energies = np.add.outer(*levels).ravel()
    ket = np.exp(1j * np.array([1.5, 0.5, 3.5, 3.4, 1.4, 0.2])) / np.sqrt(6)

    def path(t):
        return waves @ (np.exp(-1j * energies * t / hbar) * (waves @ ket))

    system = square_lattice(3, 2, spacing, mass, hbar=hbar)
    return Exact("square-lattice", system, ket, np.linspace(0, 3, 7), path, 0.03)


def slits() -> Exact:
    """A wall of one column between two, open at its second and fourth site; a wave runs along x."""
    wall = [[0, 0, 0, 0, 0], [3, 0, 3, 0, 3], [0, 0, 0, 0, 0]]
    h = np.kron(kinetic(3, 0.5), np.eye(5)) + np.kron(np.eye(3), kinetic(5, 0.5)) + np.diag(np.ravel(wall))
    ket = (np.array([0.8, 0.5, 0.2])[:, None] * np.exp(1.2j * np.arange(3))[:, None] * np.ones(5)).ravel()
    ket /= np.linalg.norm(ket)
    system = double_slit(3, 5, wall=1, opening=1, separation=1, height=3.0)
    return Exact("double-slit", system, ket, np.linspace(0, 4, 5), spectral(h, ket), 0.0)


ALONE = (detuned, resonant, triangle, flux, chain, random_matrix, train, echo, pair, spins)
EXACT = (*(make() for make in ALONE), *wells(), square(), slits())
