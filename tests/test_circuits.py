"""Circuits as pulses: after the last gate Schrödinger's ket is the product of the gates, built by other code."""

import numpy as np
import pytest
import qutip.core.gates as gates
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import expm

from copydyn import Experiment, Preparation, Schedule
from copydyn.experiment.preparations import random
from copydyn.refusal import Refusal
from copydyn.results.parts import partial_frequencies
from copydyn.systems import circuit, ghz, random_circuit
from copydyn.systems.circuits import GATES, _haar, as_gate, on_qubits, train_of
from copydyn.theories import CopyDynamics, Schrodinger

NAN = float("nan")

INDEPENDENT = {
    "h": gates.snot,
    "s": gates.s_gate,
    "t": gates.t_gate,
    "rx": gates.rx,
    "ry": gates.ry,
    "rz": gates.rz,
    "p": gates.phasegate,
    "cx": gates.cnot,
    "cy": gates.cy_gate,
    "cz": gates.cz_gate,
    "cp": gates.cphase,
    "swap": gates.swap,
    "iswap": gates.iswap,
    "ccx": gates.toffoli,
    "cswap": gates.fredkin,
}


def applied(ket, matrix, on):
    """A gate on a ket, by contracting the indices of its qubits: no Kronecker product, no labels."""
    size, count = len(on), int(np.log2(ket.size))
    tensor = np.tensordot(matrix.reshape((2,) * 2 * size), ket.reshape((2,) * count), (range(size, 2 * size), on))
    return np.moveaxis(tensor, range(size), on).ravel()


def last_ket(system, ket):
    experiment = Experiment(system, Preparation(ket), Schedule([0.0, system.duration]))
    return Schrodinger(tol=1e-12).evolve(experiment).state.values[0, -1]


def some_ket(qubits, seed=0):
    words = np.random.default_rng(seed)
    ket = words.normal(size=2**qubits) + 1j * words.normal(size=2**qubits)
    return ket / np.linalg.norm(ket)


@pytest.mark.parametrize("name", INDEPENDENT)
def test_gates_are_those_of_qutip(name):
    angles, qubits, make = GATES[name]
    given = (0.7,) * angles
    expected = INDEPENDENT[name](*given).full()
    assert np.allclose(make(*given), expected, atol=1e-15)
    assert expected.shape == (2**qubits, 2**qubits)


def test_the_other_gates_follow_from_these():
    make = {name: entry[2] for name, entry in GATES.items()}
    assert np.allclose(make["sx"]() @ make["sx"](), make["x"](), atol=1e-15)
    assert np.allclose(make["sdg"]() @ make["s"](), np.eye(2), atol=1e-15)
    assert np.allclose(make["tdg"]() @ make["t"](), np.eye(2), atol=1e-15)
    assert np.allclose(make["x"]() @ make["y"](), 1j * make["z"](), atol=1e-15)
    assert np.allclose(make["id"](), np.eye(2))
    u = np.exp(0.45j) * make["rz"](0.3) @ make["ry"](0.8) @ make["rz"](0.6)  # OpenQASM's u, up to its phase
    assert np.allclose(make["u"](0.8, 0.3, 0.6), u, atol=1e-15)
    for name in ("ch", "crx", "cry", "crz", "ccz"):
        angles, qubits, _ = GATES[name]
        inner = {"ch": "h", "ccz": "cz"}.get(name, name[1:])
        half = 2 ** (qubits - 1)
        block = np.eye(2 * half, dtype=complex)
        block[half:, half:] = make[inner](*(0.7,) * angles)
        assert np.allclose(make[name](*(0.7,) * angles), block, atol=1e-15)


@pytest.mark.parametrize("on", [(0,), (2,), (0, 1), (1, 0), (3, 1), (0, 3), (2, 0, 3), (3, 2, 1, 0)])
def test_an_operator_finds_its_qubits(on):
    words = np.random.default_rng(5)
    matrix = words.normal(size=(2 ** len(on),) * 2) + 1j * words.normal(size=(2 ** len(on),) * 2)
    ket = some_ket(4)
    assert np.allclose(on_qubits(matrix, on, 4) @ ket, applied(ket, matrix, on), atol=1e-13)


@pytest.mark.parametrize("name", GATES)
@pytest.mark.parametrize(("duration", "hbar"), [(1.0, 1.0), (0.3, 2.0)])
def test_a_gate_is_a_pulse(name, duration, hbar):
    angles, qubits, make = GATES[name]
    on = (2, 0, 1)[:qubits]
    text = " ".join([name, *["0.7"] * angles, *map(str, on)])
    system = circuit([text], 3, duration, hbar)
    assert system.duration == duration
    assert np.allclose(
        last_ket(system, some_ket(3)), applied(some_ket(3), make(*(0.7,) * angles), on), rtol=0, atol=1e-11
    )


def test_a_circuit_is_the_product_of_its_gates():
    words = ["h 0", "cx 0 2", "rz 0.3 1", "ry -pi/3 3", "iswap 3 1", "ccx 0 3 2", "u pi/2 0.1 3*pi/4 1", "cp .5 2 0"]
    root_swap = expm(-0.25j * np.pi * (np.eye(4) - gates.swap().full()))
    expected = some_ket(4)
    for number, word in enumerate(words):
        matrix, on, _ = as_gate(word, number, 4)
        expected = applied(expected, matrix, on)
    expected = applied(expected, root_swap, (3, 0))
    system = train_of([*words, (root_swap, (3, 0))], 4, duration=0.5)
    assert len(system.pulses) == 9
    assert np.allclose(last_ket(system, some_ket(4)), expected, atol=1e-10)


@pytest.mark.parametrize(("word", "angle"), [
    ("0.3", 0.3), ("-0.3", -0.3), ("+2", 2.0), ("1e-3", 1e-3), (".5", 0.5), ("5.", 5.0), ("pi", np.pi),
    ("-pi", -np.pi), ("pi/4", np.pi / 4), ("3*pi/4", 3 * np.pi / 4), ("3pi/4", 3 * np.pi / 4), ("1/3", 1 / 3),
])  # fmt: skip
def test_angles_are_read(word, angle):
    assert np.allclose(as_gate(f"rz {word} 0", 0, 1).matrix, gates.rz(angle).full(), atol=1e-15)


@pytest.mark.parametrize("qubits", [1, 2, 5])
def test_ghz(qubits):
    start = np.eye(2**qubits)[0]
    expected = (np.eye(2**qubits)[0] + np.eye(2**qubits)[-1]) / np.sqrt(2)
    assert np.allclose(last_ket(ghz(qubits), start), expected, atol=1e-10)


def test_random_circuits_come_from_their_seed_and_are_bricks():
    first, again, other = (random_circuit(4, 3, seed) for seed in (1, 1, 2))
    assert len(first.pulses) == 2 + 1 + 2
    for one, same, different in zip(first.pulses, again.pulses, other.pulses):
        assert np.array_equal(one.hamiltonian.toarray(), same.hamiltonian.toarray())
        assert not np.allclose(one.hamiltonian.toarray(), different.hamiltonian.toarray())
    assert random_circuit(2, 3).duration == 3.0


def test_a_random_gate_touches_its_two_qubits_alone():
    """The third pulse of four qubits acts on 1 and 2: labels that differ in 0 or 3 are not coupled."""
    h = random_circuit(4, 2, 1).pulses[2].hamiltonian.toarray()
    rows, columns = np.nonzero(h)
    assert np.all((rows ^ columns) & 0b1001 == 0)
    assert rows.size == 16 * 4


def test_random_gates_are_uniform():
    """Haar on U(4): E|U_ab|^4 = 2/(4 x 5), and the determinant is uniform on the circle."""
    words = np.random.default_rng(3)
    fourth = np.array([np.mean(np.abs(_haar(4, words)) ** 4) for _ in range(2000)])
    assert abs(fourth.mean() - 0.1) < 4 * fourth.std() / np.sqrt(fourth.size)
    phases = np.array([np.linalg.det(_haar(4, words)) for _ in range(2000)])
    assert abs(phases.mean()) < 0.1  # exp(-20) by chance; without Mezzadri's phases it is one sign


def test_gates_on_other_qubits_keep_the_counts_of_a_qubit():
    """Statement 10 for a circuit: gates on qubits 0 and 1 leave the partial counts of qubit 2 alone, copy by copy."""
    system = circuit(["h 0", "cx 0 1", "rx 0.4 1", "h 2"], 3)
    experiment = Experiment(system, random(system, seed=3), Schedule([0.0, 1.0, 2.0, 3.0, 4.0]))
    result = CopyDynamics(1000).evolve(experiment, seed=1, replicas=4)
    frequencies = partial_frequencies(result, "2").values
    assert np.all(frequencies[:, :4] == frequencies[:, :1])
    assert np.all(result.events.values[:, 3] > 100)
    assert np.all(np.abs(frequencies[:, 4] - frequencies[:, 3]).max(axis=-1) > 0.01)


BAD_CIRCUITS = [
    (lambda: circuit([]), ValueError, "gates must hold at least one gate"),
    (lambda: circuit("h 0"), TypeError, "gates must be a list of gates, but is 'h 0'"),
    (lambda: circuit(["h 0"], 0), ValueError, "qubits must be >= 1"),
    (lambda: circuit(["h 0"], 17), ValueError, "qubits must be at most 16"),
    (lambda: circuit(["h 0"], duration=0), ValueError, "duration must be > 0"),
    (lambda: circuit(["h 0"], hbar=0), ValueError, "hbar must be > 0"),
    (lambda: circuit(["h 0", "cnot 0 1"]), ValueError, "gate 1, 'cnot 0 1', must be one of id, x, .*, but is none of"),
    (lambda: circuit([""]), ValueError, "gate 0, '', must be one of"),
    (lambda: circuit(["h"]), ValueError, "gate 0, 'h', must have 1 qubit, but has 0 words"),
    (lambda: circuit(["cx 0"]), ValueError, "gate 0, 'cx 0', must have 2 qubits, but has 1 words"),
    (lambda: circuit(["rz 0"]), ValueError, "gate 0, 'rz 0', must have 1 angle and 1 qubit, but has 1 words"),
    (lambda: circuit(["h 0 1"]), ValueError, "must have 1 qubit, but has 2 words"),
    (lambda: circuit(["h 3"]), ValueError, "gate 0, 'h 3', must act on qubits 0 to 2, but names 3"),
    (lambda: circuit(["h -1"]), ValueError, "gate 0, 'h -1', must name its qubits by whole numbers, but has '-1'"),
    (lambda: circuit(["h 0.0"]), ValueError, "must name its qubits by whole numbers, but has '0.0'"),
    (lambda: circuit(["cx 1 1"]), ValueError, "gate 0, 'cx 1 1', must act on qubits that differ"),
    (lambda: circuit(["rz pie 0"]), ValueError, "must have angles like .*, but has 'pie'"),
    (lambda: circuit(["rz 3* 0"]), ValueError, "must have angles like"),
    (lambda: circuit(["rz pi/0 0"]), ValueError, "must have angles like"),
    (lambda: circuit(["rz __import__('os') 0"]), ValueError, "must have angles like"),
    (lambda: circuit(["rz nan 0"]), ValueError, "must have angles like"),
    (lambda: circuit(["rz 1e999 0"]), ValueError, "the angle of gate 0, 'rz 1e999 0' must be finite"),
    (lambda: circuit(["h\n0\n1\n"]), ValueError, r"gate 0, 'h\\n0\\n1\\n', must have 1 qubit"),
    (lambda: circuit([5]), TypeError, r"gate 0 must be a string or a pair \(unitary, qubits\), but is 5"),
    (lambda: train_of([(np.eye(2),)], 2), TypeError, "gate 0 must be a string or a pair"),
    (lambda: train_of([(2 * np.eye(2), 0)], 2), ValueError, "matrix of gate 0 must be unitary .* norm of row 0 is 4"),
    (lambda: train_of([(np.array([[1, 0.1], [0, 1]]), 0)], 2), ValueError, "matrix of gate 0 must be unitary"),
    (lambda: train_of([(np.eye(4), 0)], 2), ValueError, "gate 0 must be a matrix of 2 rows on 1 qubits, but has 4"),
    (lambda: train_of([(np.eye(4), (0, 2))], 2), ValueError, "gate 0 must act on qubits 0 to 1, but names 2"),
    (lambda: train_of([(np.eye(4), (0, 0))], 2), ValueError, "gate 0 must act on qubits that differ"),
    (lambda: train_of([(np.eye(4), "01")], 2), TypeError, "the qubits of gate 0 must be whole numbers"),
    (lambda: train_of([(np.eye(2), NAN)], 2), ValueError, "a qubit of gate 0 must be a finite whole number"),
    (lambda: train_of([(NAN * np.eye(2), 0)], 2), ValueError, "matrix of gate 0 must be finite"),
    (lambda: random_circuit(1), ValueError, "qubits must be >= 2"),
    (lambda: random_circuit(depth=0), ValueError, "depth must be >= 1"),
    (lambda: random_circuit(depth=1e15), ValueError, "depth must be at most 10000"),
    (lambda: random_circuit(seed=-1), ValueError, "seed must be >= 0"),
]


@pytest.mark.parametrize(("call", "kind", "names"), BAD_CIRCUITS)
def test_bad_circuits_are_refused(refuses, call, kind, names):
    refuses(call, kind, names)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(["rz", "cx", "h", "0", "1", "-1", "pi", "/2", "*", " ", "\n", "1e400", "é", "_"])))
def test_whatever_a_gate_says_is_read_or_refused(pieces):
    for text in ("".join(pieces), " ".join(pieces)):
        assert len(said_of(text).splitlines()) <= 1


def said_of(text):
    try:
        circuit([text], 2)
    except Refusal as refusal:
        return str(refusal)
    return ""


def ghz_shares(**theory):
    """Shares of |000> and |111> in 12 ensembles at the end of the GHZ circuit, (replica, 2), and the copy events."""
    system = ghz(3)
    experiment = Experiment(system, Preparation(np.eye(8)[0]), Schedule([0.0, 3.0]))
    found = CopyDynamics(100_000, **theory).evolve(experiment, seed=1, replicas=12)
    return found.frequency.values[:, -1][:, [0, 7]], found.events.values[:, -1]


def test_a_ghz_state_needs_something_to_breed_from():
    """|000> is one label: without spectators nothing happens; those of the start alone are lost on the way.

    The first gate turns sqrt(s) (|010> + |110>) into sqrt(2 s) |010>, a node of 110, from which the second gate breeds.
    """
    shares, events = ghz_shares()
    assert not np.any(events)
    assert np.all(shares == [1.0, 0.0])
    shares, _ = ghz_shares(floor=10)
    assert np.all(np.abs(shares - 0.5) < 0.01)
    shares, _ = ghz_shares(spectators=10)
    assert np.all(np.abs(shares[:, 0] - 0.5) < 0.01)
    assert np.sum(shares[:, 1] < 0.1) > 6
