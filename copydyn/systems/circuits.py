"""Circuits of n qubits: each gate is a pulse, and the beable is the bit string."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from copydyn.experiment import System
from copydyn.experiment.inputs import as_real, as_unitary, as_whole, shown
from copydyn.experiment.rotation import generator
from copydyn.refusal import BadType, BadValue

MOST_QUBITS = 16
"""65 536 labels."""

MOST_LAYERS = 10_000
"""Of random gates: beyond it a typing error is likelier than a wish."""

MOST_WORK = 2**24
"""Gates times labels: a minute, and some gigabytes."""

NOTHING = 1e-13
"""Entries of a generator below this share of the largest are rounding: no edge is made of them."""

GHZ = ("h 0", "cx 0 1", "cx 1 2")


class Gate(NamedTuple):
    """A unitary (2^k, 2^k) and the k qubits that it acts on, the first of which is the slowest of its indices."""

    matrix: np.ndarray
    qubits: tuple[int, ...]
    name: str


def circuit(gates: Sequence[str] = GHZ, qubits: int = 3, duration: float = 1.0, hbar: float = 1.0) -> System:
    """Apply gates one after the other, each a pulse with H = (i hbar / duration) log U on its qubits.

    It lasts as many durations as there are gates. The labels are bit strings, "011", qubit 0 on the left.

    Parameters
    ----------
    gates : sequence of str
        A name of `GATES`, its angles (0.3, "pi", "-pi/2", "3*pi/4"), and its qubits: "h 0", "cx 0 1", "rz pi/4 1".
        From Python a gate may also be a pair (unitary, qubits): see `train_of`.
    qubits : int
        1 to `MOST_QUBITS`.
    duration : float, time
        How long each gate lasts.
    """
    return train_of(gates, qubits, duration=duration, hbar=hbar)


def ghz(qubits: int = 3, duration: float = 1.0, hbar: float = 1.0) -> System:
    """Turn |00...0> into (|00...0> + |11...1>)/sqrt(2): h 0, cx 0 1, cx 1 2, ..."""
    count = _qubits(qubits)
    gates = ["h 0", *(f"cx {qubit} {qubit + 1}" for qubit in range(count - 1))]
    return train_of(gates, count, duration=duration, hbar=hbar, name="ghz")


def random_circuit(qubits: int = 3, depth: int = 4, seed: int = 0, duration: float = 1.0, hbar: float = 1.0) -> System:
    """Apply ``depth`` layers of random gates: each a unitary of two neighbours, uniform by Haar's measure.

    The layers begin at qubit 0 and 1 in turn, as bricks do. The same ``seed`` gives the same gates.
    """
    count = as_whole(qubits, "qubits", least=2, most=MOST_QUBITS)
    words = np.random.Generator(np.random.PCG64(as_whole(seed, "seed")))
    gates = []
    for layer in range(as_whole(depth, "depth", least=1, most=MOST_LAYERS)):
        first = layer % 2 if count > 2 else 0
        gates += [(_haar(4, words), (qubit, qubit + 1)) for qubit in range(first, count - 1, 2)]
    return train_of(gates, count, duration=duration, hbar=hbar, name="random-circuit")


def train_of(
    gates: Sequence[Any], qubits: int, *, duration: float = 1.0, hbar: float = 1.0, name: str = "circuit"
) -> System:
    """Make a `circuit` of gates by name and of any unitaries.

    Parameters
    ----------
    gates : sequence of str or (unitary, qubits)
        Unitaries are (2^k, 2^k) matrices, and the first of their qubits is the slowest index.
    qubits, duration, hbar
        As for `circuit`.

    Raises
    ------
    BadType, BadValue
        If a gate is unknown, has too many or too few angles or qubits, one that does not exist or the same twice, or is
        not unitary.
    """
    count, length = _qubits(qubits), as_real(duration, "duration", positive=True)
    listed = _listed(gates)
    if len(listed) * 2**count > MOST_WORK:
        raise BadValue(
            f"gates times labels must be at most {MOST_WORK}, as each gate is a matrix of its own, but {len(listed)} "
            f"gates on {count} qubits make {len(listed) * 2**count}; take fewer of either."
        )
    train = []
    for number, gate in enumerate(listed):
        matrix, on, _ = as_gate(gate, number, count)
        h = generator(matrix, length, hbar)
        h[np.abs(h) < NOTHING * np.abs(h).max(initial=0.0)] = 0.0
        train.append((length, on_qubits(h, on, count)))
    labels = ["".join(bits) for bits in product("01", repeat=count)]
    parts = [(str(qubit), 2) for qubit in range(count)]
    return System(train, labels=labels, meaning="bit string", hbar=hbar, name=name, parts=parts)


def as_gate(gate: Any, number: int, qubits: int) -> Gate:
    """Read "rz 0.3 1", or check a pair (unitary, qubits); ``number`` is the gate's place in the sentences of refusal.

    Raises
    ------
    BadType, BadValue
    """
    if isinstance(gate, str):
        return _read(gate, f"gate {number}, {shown(gate)},", qubits)
    if not isinstance(gate, (tuple, list)) or len(gate) != 2:
        raise BadType(f"gate {number} must be a string or a pair (unitary, qubits), but is {shown(gate)}.")
    place = f"gate {number}"
    u = as_unitary(gate[0], f"the matrix of {place}")
    if isinstance(gate[1], (str, bytes)):
        raise BadType(f"the qubits of {place} must be whole numbers, but are {shown(gate[1])}.")
    on = tuple(as_whole(qubit, f"a qubit of {place}") for qubit in np.atleast_1d(gate[1]).tolist())
    if u.shape[0] != 2 ** len(on):
        raise BadValue(f"{place} must be a matrix of {2 ** len(on)} rows on {len(on)} qubits, but has {u.shape[0]}.")
    return Gate(u, _on(on, place, qubits), "unitary")


def on_qubits(operator: np.ndarray, on: tuple[int, ...], qubits: int) -> sparse.csr_array:
    """Let an operator (2^k, 2^k) act on k qubits of ``qubits``, and 1 on the others; qubit 0 is the slowest."""
    shifts = [qubits - 1 - qubit for qubit in on]
    labels = np.arange(2**qubits)
    own = sum(((labels >> shift) & 1) << (len(on) - 1 - k) for k, shift in enumerate(shifts))
    idle = labels & ~sum(1 << shift for shift in shifts)
    spread = np.array(
        [
            sum(((row >> (len(on) - 1 - k)) & 1) << shift for k, shift in enumerate(shifts))
            for row in range(2 ** len(on))
        ]
    )
    rows = np.repeat(labels, spread.size)
    columns = (idle[:, None] | spread[None, :]).ravel()
    return sparse.csr_array((operator[own].ravel(), (rows, columns)), shape=(labels.size, labels.size))


def _read(text: str, place: str, qubits: int) -> Gate:
    name, *words = text.split() or [""]
    if name not in GATES:
        raise BadValue(f"{place} must be one of {', '.join(GATES)}, but is none of them.")
    angles, count, make = GATES[name]
    if len(words) != angles + count:
        wish = f"{angles} angle{'s' * (angles != 1)} and " if angles else ""
        raise BadValue(f"{place} must have {wish}{count} qubit{'s' * (count != 1)}, but has {len(words)} words in all.")
    values = [_angle(word, place) for word in words[:angles]]
    on = [_number(word, place) for word in words[angles:]]
    return Gate(make(*values), _on(tuple(on), place, qubits), name)


def _on(on: tuple[int, ...], place: str, qubits: int) -> tuple[int, ...]:
    for qubit in on:
        if qubit >= qubits:
            raise BadValue(f"{place} must act on qubits 0 to {qubits - 1}, but names {qubit}.")
    if len(set(on)) != len(on):
        raise BadValue(f"{place} must act on qubits that differ, but names one twice.")
    return on


_DIGITS = r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)"
_ANGLE = re.compile(rf"([+-]?)(?:({_DIGITS}(?:[eE][+-]?[0-9]+)?)(\*?pi)?|(pi))(?:/({_DIGITS}))?")


def _angle(word: str, place: str) -> float:
    """Read 0.3, pi, -pi/2, 3*pi/4: a number, perhaps times pi, perhaps over a number; nothing is evaluated."""
    found = _ANGLE.fullmatch(word)
    if found is None or (found[5] and float(found[5]) == 0.0):
        raise BadValue(f"{place} must have angles like 0.3, pi or -3*pi/4, but has {shown(word)}.")
    sign, factor, times_pi, only_pi, divisor = found.groups()
    angle = float(factor or 1.0) * (math.pi if times_pi or only_pi else 1.0) / float(divisor or 1.0)
    return as_real(-angle if sign == "-" else angle, f"the angle of {place[:-1]}")


def _number(word: str, place: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", word):
        raise BadValue(f"{place} must name its qubits by whole numbers, but has {shown(word)}.")
    return int(word)


def _listed(gates: Any) -> Sequence[Any]:
    if isinstance(gates, (str, bytes)) or not isinstance(gates, (list, tuple)):
        raise BadType(f"gates must be a list of gates, but is {shown(gates)}.")
    if not gates:
        raise BadValue("gates must hold at least one gate, but is empty.")
    return gates


def _qubits(qubits: int) -> int:
    return as_whole(qubits, "qubits", least=1, most=MOST_QUBITS)


def _haar(size: int, words: np.random.Generator) -> np.ndarray:
    """Draw a unitary by Haar's measure (Mezzadri 2007): QR of a Ginibre matrix, R's diagonal made positive."""
    ginibre = words.normal(size=(size, size)) + 1j * words.normal(size=(size, size))
    q, r = np.linalg.qr(ginibre)
    return np.asarray(q * (np.diagonal(r) / np.abs(np.diagonal(r))))


_I, _X, _Y, _Z = np.eye(2), np.array([[0, 1], [1, 0]]), np.array([[0, -1j], [1j, 0]]), np.diag([1, -1])
_SWAP = np.eye(4)[[0, 2, 1, 3]]


def _fixed(matrix: Any) -> Callable[[], np.ndarray]:
    return lambda: np.array(matrix, dtype=complex)


def _phase(angle: float) -> np.ndarray:
    """diag(1, exp(i angle))."""
    return np.diag([1.0, np.exp(1j * angle)])


def _turn(axis: np.ndarray) -> Callable[[float], np.ndarray]:
    """exp(-i angle sigma / 2)."""
    return lambda angle: math.cos(0.5 * angle) * np.eye(2) - 1j * math.sin(0.5 * angle) * axis


def _general(theta: float, phi: float, lam: float) -> np.ndarray:
    """Turn by three angles: u of OpenQASM 3."""
    c, s = math.cos(0.5 * theta), math.sin(0.5 * theta)
    return np.array([[c, -np.exp(1j * lam) * s], [np.exp(1j * phi) * s, np.exp(1j * (phi + lam)) * c]])


def _controlled(make: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
    """Act where the first qubit is 1."""

    def matrix(*angles: float) -> np.ndarray:
        inner = make(*angles)
        size = inner.shape[0]
        return np.block([[np.eye(size), np.zeros((size, size))], [np.zeros((size, size)), inner]])

    return matrix


_H = np.array([[1, 1], [1, -1]]) / math.sqrt(2.0)
_SX = 0.5 * np.array([[1 + 1j, 1 - 1j], [1 - 1j, 1 + 1j]])

GATES: dict[str, tuple[int, int, Callable[..., np.ndarray]]] = {
    "id": (0, 1, _fixed(_I)),
    "x": (0, 1, _fixed(_X)),
    "y": (0, 1, _fixed(_Y)),
    "z": (0, 1, _fixed(_Z)),
    "h": (0, 1, _fixed(_H)),
    "s": (0, 1, _fixed(np.diag([1, 1j]))),
    "sdg": (0, 1, _fixed(np.diag([1, -1j]))),
    "t": (0, 1, lambda: _phase(0.25 * math.pi)),
    "tdg": (0, 1, lambda: _phase(-0.25 * math.pi)),
    "sx": (0, 1, _fixed(_SX)),
    "rx": (1, 1, _turn(_X)),
    "ry": (1, 1, _turn(_Y)),
    "rz": (1, 1, _turn(_Z)),
    "p": (1, 1, _phase),
    "u": (3, 1, _general),
    "cx": (0, 2, _controlled(_fixed(_X))),
    "cy": (0, 2, _controlled(_fixed(_Y))),
    "cz": (0, 2, _controlled(_fixed(_Z))),
    "ch": (0, 2, _controlled(_fixed(_H))),
    "cp": (1, 2, _controlled(_phase)),
    "crx": (1, 2, _controlled(_turn(_X))),
    "cry": (1, 2, _controlled(_turn(_Y))),
    "crz": (1, 2, _controlled(_turn(_Z))),
    "swap": (0, 2, _fixed(_SWAP)),
    "iswap": (0, 2, _fixed([[1, 0, 0, 0], [0, 0, 1j, 0], [0, 1j, 0, 0], [0, 0, 0, 1]])),
    "ccx": (0, 3, _controlled(_controlled(_fixed(_X)))),
    "ccz": (0, 3, _controlled(_controlled(_fixed(_Z)))),
    "cswap": (0, 3, _controlled(_fixed(_SWAP))),
}
"""Gates by name, as in OpenQASM: how many angles, how many qubits, and the matrix; controls come first."""
