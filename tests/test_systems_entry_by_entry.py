"""Every matrix of every system against one written out by loops, all parameters different from one and each other."""

import numpy as np
import pytest
from scipy import sparse
from scipy.linalg import expm

from copydyn import systems

HBAR = 0.7
X, Y, Z = np.array([[0, 1], [1, 0]]), np.array([[0, -1j], [1j, 0]]), np.diag([1, -1])


def dense(h):
    return h.toarray() if sparse.issparse(h) else np.asarray(h)


def trains(system):
    """Durations and matrices."""
    return [pulse.duration for pulse in system.pulses], np.array([dense(pulse.hamiltonian) for pulse in system.pulses])


def spins(sites, terms):
    """Sum of strength * Pauli matrices at sites, bit by bit: {site: "x"}, strength; site 0 is the highest bit."""
    h = np.zeros((2**sites, 2**sites), complex)
    for where, strength in terms:
        for column in range(2**sites):
            row, factor = column, strength
            for site, axis in where.items():
                bit = column >> (sites - 1 - site) & 1
                factor = factor * {"x": 1, "y": 1j * (1 - 2 * bit), "z": 1 - 2 * bit}[axis]
                row ^= (axis != "z") << (sites - 1 - site)
            h[row, column] += factor
    return h


def chain(heights, hop):
    size = len(heights)
    h = np.zeros((size, size))
    for a in range(size):
        h[a, a] = heights[a] + 2 * hop
        if a + 1 < size:
            h[a, a + 1] = h[a + 1, a] = -hop
    return h


def ring_of_five():
    h = np.zeros((5, 5), complex)
    for a in range(5):
        h[a, (a + 1) % 5] += -1.3 * np.exp(0.9j / 5)
        h[(a + 1) % 5, a] += -1.3 * np.exp(-0.9j / 5)
    return h


def closed_lattice():
    hop = HBAR**2 / (2 * 1.7 * 0.6**2)
    h = chain([0.3, -0.2, 0.5, 0.9], hop)
    h[0, 3] = h[3, 0] = -hop
    return h


SITES = (np.arange(5) - 2) * 0.6
HOP = HBAR**2 / (2 * 1.7 * 0.6**2)
LINE = {"sites": 5, "spacing": 0.6, "mass": 1.7, "hbar": HBAR}


def barred():
    """Each site's share of its cell that lies within 0.15 +- 0.65, by counting a million points."""
    fine = (np.arange(200_000) + 0.5) / 200_000 - 0.5
    return [2.3 * np.mean(np.abs(x + 0.6 * fine - 0.15) < 0.65) for x in SITES]


def square(columns, rows, potential):
    h = np.zeros((columns * rows, columns * rows))
    for a in range(columns):
        for b in range(rows):
            here = a * rows + b
            h[here, here] = potential(a, b) + 4 * HOP
            for there in ([here + rows] if a + 1 < columns else []) + ([here + 1] if b + 1 < rows else []):
                h[here, there] = h[there, here] = -HOP
    return h


OWN = np.array([[0.4, -0.1, 0.8], [1.1, 0.2, -0.7]])


def trapped(a, b):
    x, y = (a - 0.5) * 0.6, (b - 1) * 0.6
    return OWN[a, b] + 0.5 * 1.7 * 0.9**2 * (x**2 + y**2) - (0.35 * x - 0.8 * y)


def slit(a, b):
    return 2.3 if a in (2, 3) and b not in (1, 2, 4, 5) else 0.0


def linked():
    h = np.diag([0.2, -0.3, 0.6, 1.1]).astype(complex)
    for (a, b), g, f in (((0, 2), 0.7, 0.4), ((3, 1), -1.2, -0.9), ((1, 2), 0.5, 2.2)):
        h[a, b] += g * np.exp(1j * f)
        h[b, a] += g * np.exp(-1j * f)
    return h


def qubits():
    g = [0.3 + 0.2j, -0.6 + 0.9j]
    h = spins(2, [({0: "z"}, 0.2), ({1: "z"}, -0.35), *(({0: k, 1: k}, j) for k, j in zip("xyz", (0.25, -0.45, 0.8)))])
    for number, shift in ((0, 2), (1, 1)):
        for column in range(4):
            h[column ^ shift, column] += g[number] if column & shift else np.conj(g[number])
    return h


def heisenberg_ring():
    bonds = [(0, 1), (1, 2), (2, 0)]
    terms = [({a: k, b: k}, j / 4) for a, b in bonds for k, j in zip("xyz", (0.6, -0.9, 1.4))]
    return spins(3, terms + [({a: "z"}, -0.3 / 2) for a in range(3)] + [({a: "x"}, -0.8 / 2) for a in range(3)])


def pointer():
    terms = [({0: "z"}, 0.4 / 2), ({1: "z", 2: "z"}, -0.7), *(({0: "z", a: "z"}, -1.2) for a in (1, 2))]
    return spins(3, terms + [({a: "x"}, -0.3) for a in (1, 2)])


ising_chain = spins(
    3,
    [({0: "z", 1: "z"}, -0.6), ({1: "z", 2: "z"}, -0.6)]
    + [term for a in range(3) for term in (({a: "x"}, -1.3), ({a: "z"}, -0.4))],
)
THREE = np.array([[0.2, 0.5 + 0.2j, 0.4 - 0.3j], [0.5 - 0.2j, -0.7, 0.3 + 0.6j], [0.4 + 0.3j, 0.3 - 0.6j, 1.1]])

ENTRIES = {
    "two-level": (systems.two_level(0.6, 0.4 - 0.3j, HBAR), np.array([[0.3, 0.4 - 0.3j], [0.4 + 0.3j, -0.3]])),
    "three-level": (systems.three_level((0.2, -0.7, 1.1), (0.5 + 0.2j, 0.4 - 0.3j, 0.3 + 0.6j), HBAR), THREE),
    "ring": (systems.ring(5, 1.3, 0.9, HBAR), ring_of_five()),
    "lattice": (systems.lattice(4, 0.6, 1.7, [0.3, -0.2, 0.5, 0.9], hbar=HBAR), chain([0.3, -0.2, 0.5, 0.9], HOP)),
    "closed lattice": (systems.lattice(4, 0.6, 1.7, [0.3, -0.2, 0.5, 0.9], True, HBAR), closed_lattice()),
    "harmonic": (systems.harmonic(**LINE, frequency=0.9), chain(0.5 * 1.7 * (0.9 * SITES) ** 2, HOP)),
    "double well": (
        systems.double_well(**LINE, barrier=1.4, separation=1.9),
        chain(1.4 * (1 - (SITES / 0.95) ** 2) ** 2, HOP),
    ),
    "barrier": (systems.barrier(**LINE, height=2.3, width=1.3, centre=0.15), chain(barred(), HOP)),
    "linear": (systems.linear(**LINE, force=0.35), chain(-0.35 * SITES, HOP)),
    "quartic": (systems.quartic(**LINE, strength=0.45), chain(0.45 * SITES**4, HOP)),
    "heisenberg": (systems.heisenberg(3, (0.6, -0.9, 1.4), 0.3, 0.8, True, HBAR), heisenberg_ring()),
    "ising": (systems.ising(3, 0.6, 1.3, 0.4, hbar=HBAR), ising_chain),
    "measurement": (systems.measurement(2, 0.4, 0.7, 1.2, 0.3, HBAR), pointer()),
    "coupled qubits": (
        systems.coupled_qubits((0.4, -0.7), (0.3 + 0.2j, -0.6 + 0.9j), (0.25, -0.45, 0.8), HBAR),
        qubits(),
    ),
    "network": (
        systems.network(4, [(0, 2), (3, 1), (1, 2)], [0.7, -1.2, 0.5], [0.4, -0.9, 2.2], [0.2, -0.3, 0.6, 1.1], HBAR),
        linked(),
    ),
    "square lattice": (
        systems.square_lattice(2, 3, 0.6, 1.7, OWN.tolist(), 0.9, (0.35, -0.8), HBAR),
        square(2, 3, trapped),
    ),
    "double slit": (
        systems.double_slit(5, 7, 0.6, 1.7, wall=2, thickness=2, opening=2, separation=1, height=2.3, hbar=HBAR),
        square(5, 7, slit),
    ),
}


@pytest.mark.parametrize("name", ENTRIES)
def test_every_entry_is_what_the_formula_says(name):
    system, expected = ENTRIES[name]
    slack = 2e-5 if name == "barrier" else 1e-13
    np.testing.assert_allclose(dense(system.hamiltonian), expected, rtol=0, atol=slack)
    assert system.hbar == HBAR


@pytest.mark.parametrize("phase", [0.0, 1.1])
def test_pulses_are_entry_by_entry_what_their_formulas_say(phase):
    width, wait, d = 0.6, 2.3, 0.9
    still, strength = 0.5 * d * Z, np.pi * HBAR / (4 * width)
    about = strength * (np.cos(phase) * X + np.sin(phase) * Y)
    lengths, matrices = trains(systems.ramsey(width, wait, d, phase, HBAR))
    assert lengths == [width, wait, width]
    np.testing.assert_allclose(matrices, [still + strength * X, still, still + about], atol=1e-13)
    lengths, matrices = trains(systems.spin_echo(width, wait, d, phase, HBAR))
    assert lengths == [width, wait, 2 * width, wait, width]
    quarter = still + strength * X
    np.testing.assert_allclose(matrices, [quarter, still, still + about, still, quarter], atol=1e-13)


def test_a_sweep_is_a_straight_line_through_its_middle():
    lengths, matrices = trains(systems.landau_zener(0.4, 1.3, 5.0, tolerance=0.05, hbar=HBAR))
    assert sum(lengths) == pytest.approx(5.0)
    middles = np.cumsum(lengths) - 0.5 * np.array(lengths)
    np.testing.assert_allclose(matrices, [0.65 * (t - 2.5) * Z + 0.4 * X for t in middles], atol=1e-12)


def test_parts_with_pulses_of_their_own_make_joint_pulses_with_the_interaction_in_each():
    a, b = np.array([[0.3, 0.2j], [-0.2j, -0.5]]), np.array([[0.1, 0.6, 0], [0.6, 0.2, 0.4j], [0, -0.4j, 0.9]])
    c = np.diag([1.0, 2.0, -0.7])
    v = spins(1, [({0: "y"}, 0.35)])
    v = np.kron(v, np.arange(9).reshape(3, 3) + np.arange(9).reshape(3, 3).T)
    system = systems.composite({"A": [(0.8, a), (1.2, X)], "B": [(0.5, b), (2.0, c)]}, v, hbar=HBAR)
    lengths, matrices = trains(system)
    np.testing.assert_allclose(lengths, [0.5, 0.3, 1.2])
    pairs = ((a, b), (a, c), (X, c))
    expected = [np.kron(one, np.eye(3)) + np.kron(np.eye(2), two) + v for one, two in pairs]
    np.testing.assert_allclose(matrices, expected, atol=1e-13)


@pytest.mark.parametrize(("duration", "hbar"), [(1.0, 1.0), (0.6, 0.7), (2.5, 3.0)])
def test_gates_are_done_in_their_duration_at_any_hbar(duration, hbar):
    """exp(-i H T/hbar) of each pulse is the gate on its qubits, whose matrix is written out here."""
    system = systems.circuit(["u 0.4 1.1 -0.7 1", "cx 1 0"], 2, duration, hbar)
    lengths, matrices = trains(system)
    assert lengths == [duration, duration]
    c, s = np.cos(0.2), np.sin(0.2)
    u = np.array([[c, -np.exp(-0.7j) * s], [np.exp(1.1j) * s, np.exp(0.4j) * c]])
    flipped = np.eye(4)[[0, 3, 2, 1]]  # qubit 1, the lower bit, controls qubit 0
    for h, gate in zip(matrices, (np.kron(np.eye(2), u), flipped), strict=True):
        np.testing.assert_allclose(expm(-1j * h * duration / hbar), gate, atol=1e-12)
