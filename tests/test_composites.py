"""Composite systems: joint labels, what their parts do alone, and that no part can signal without a rotation."""

import numpy as np
import pytest
import qutip
from scipy import sparse

from copydyn import Experiment, Preparation, Schedule, compare
from copydyn.experiment import System
from copydyn.experiment.preparations import random
from copydyn.results import result
from copydyn.results.parts import partial, partial_frequencies
from copydyn.systems import composite, coupled_qubits, gue, ramsey, spin_echo, three_level, two_level
from copydyn.systems.composites import from_rows
from copydyn.theories import CopyDynamics, Schrodinger

NAN = float("nan")
X, Y, Z = qutip.sigmax(), qutip.sigmay(), qutip.sigmaz()
IDLE = np.zeros((2, 2))
TLIST = np.linspace(0.0, 3.0, 7)


def test_coupled_qubits_are_what_qutip_builds():
    e, g, j = (0.4, -0.3), (0.5 + 0.1j, 0.3j), (0.2, -0.1, 0.3)
    one = qutip.qeye(2)
    own = [0.5 * e[k] * Z + g[k].real * X - g[k].imag * Y for k in (0, 1)]
    expected = qutip.tensor(own[0], one) + qutip.tensor(one, own[1])
    expected += sum(strength * qutip.tensor(s, s) for strength, s in zip(j, (X, Y, Z)))
    assert np.allclose(coupled_qubits(e, g, j).hamiltonian.toarray(), expected.full(), atol=1e-15)


def test_two_resonant_qubits_exchange_their_places():
    """J (XX + YY) turns |01> into cos(2 J t)|01> - i sin(2 J t)|10>."""
    system = coupled_qubits((0.0, 0.0), (0.0, 0.0), (0.3, 0.3, 0.0))
    experiment = Experiment(system, Preparation([0.0, 1.0, 0.0, 0.0]), Schedule(TLIST))
    kets = Schrodinger().evolve(experiment).state.values[0]
    assert np.allclose(kets[:, 1], np.cos(0.6 * TLIST), atol=1e-9)
    assert np.allclose(kets[:, 2], -1j * np.sin(0.6 * TLIST), atol=1e-9)


def test_three_parts_of_different_sizes():
    """H and its labels by QuTiP's tensor: the first part is the slowest."""
    a, b, c = two_level(0.3, 0.2j), gue(3, seed=1), three_level()
    v = gue(18, seed=2).hamiltonian
    whole = composite({"a": a, "b": b, "c": c}, v)
    ones = [qutip.qeye(size) for size in (2, 3, 3)]
    expected = qutip.Qobj(v, dims=[[2, 3, 3]] * 2)
    for place, part in enumerate((a, b, c)):
        factors = list(ones)
        factors[place] = qutip.Qobj(part.hamiltonian)
        expected += qutip.tensor(factors)
    assert np.allclose(whole.hamiltonian.toarray(), expected.full(), atol=1e-14)
    assert whole.labels[:4] == ("(0,0,0)", "(0,0,1)", "(0,0,2)", "(0,1,0)")
    assert [part.name for part in whole.parts] == ["a", "b", "c"]


def test_a_composite_of_systems_keeps_their_labels():
    spin = System(X.full(), labels=("u", "d"))
    assert composite({"A": spin, "B": IDLE}).labels == ("(u,0)", "(u,1)", "(d,0)", "(d,1)")


def test_pulses_of_the_parts_are_cut_at_every_change():
    """Without an interaction each part evolves as if it were alone, whatever the other's pulses."""
    a, b = ramsey(0.5, 2.0, 0.7), spin_echo(0.3, 1.0, -0.4)
    whole = composite({"A": a, "B": b, "C": X.full()})
    assert [pulse.duration for pulse in whole.pulses] == pytest.approx([0.3, 0.2, 0.8, 0.6, 0.6, 0.4, 0.1])
    assert whole.duration == pytest.approx(3.0)
    assert sum(pulse.duration for pulse in whole.pulses) == whole.duration
    kets = [np.array([0.6, 0.8j]), np.array([0.8, 0.6]), np.array([0.8, -0.6])]
    times = Schedule(np.linspace(0.0, 3.0, 5))
    joint = Experiment(whole, Preparation(np.kron(np.kron(kets[0], kets[1]), kets[2])), times)
    found = Schrodinger().evolve(joint)
    for name, part, ket in zip("ABC", (a, b, System(X.full())), kets):
        longer = Experiment(part, Preparation(ket), Schedule(times.tlist[times.tlist <= part.duration]))
        alone = Schrodinger().evolve(longer).probability.values
        assert np.allclose(partial(found, name).probability.values[: len(alone)], alone, atol=1e-9)


def test_edges_that_rounding_holds_apart_are_one():
    tenths = System([(0.1, X.full())] * 10)
    whole = composite({"A": tenths, "B": System([(0.3, X.full()), (0.7, Z.full())])})
    assert len(whole.pulses) == 10
    assert min(pulse.duration for pulse in whole.pulses) > 0.09


def test_partial_numbers_are_sums_over_the_others():
    whole = composite({"A": gue(2, seed=1), "B": gue(3, seed=2), "C": gue(2, seed=3)}, gue(12, seed=4).hamiltonian)
    found = CopyDynamics(1000).evolve(Experiment(whole, random(whole), Schedule(TLIST)), seed=1, replicas=2)
    for part, axes in (("A", (3, 4)), ("B", (2, 4)), ("C", (2, 3))):
        reduced = partial(found, part)
        result.check(reduced)
        for name, values in (("counts", found.counts.values), ("frequency", found.frequency.values)):
            assert np.allclose(reduced[name], values.reshape(2, TLIST.size, 2, 3, 2).sum(axis=axes), atol=1e-15)
        assert np.allclose(reduced.probability, reduced.frequency.mean("replica"), atol=1e-15)
        assert partial_frequencies(found, part).identical(reduced.frequency)
        assert reduced.beable.attrs["long_name"] == f"joint label of {part}"
        for label in reduced.beable.values:
            mine = [name.strip("()").split(",")["ABC".index(part)] == label for name in found.beable.values]
            assert np.array_equal(reduced.counts.sel(beable=label), found.counts.values[..., mine].sum(axis=-1))


def test_partial_results_survive_the_disk_and_are_compared(tmp_path):
    system = coupled_qubits()
    experiment = Experiment(system, random(system), Schedule(TLIST))
    found = CopyDynamics(10_000).evolve(experiment, seed=1, replicas=5)
    result.write(found, tmp_path / "a.nc")
    again = result.read(tmp_path / "a.nc")
    assert np.array_equal(partial(again, "B").counts, partial(found, "B").counts)
    compared = compare(partial(again, "A"), partial(Schrodinger().evolve(experiment), "A"))
    assert compared.worst_deviation < 0.02
    assert compared.verdict == "unjudged"


def test_parts_change_nothing_that_is_simulated():
    named = coupled_qubits()
    bare = System(named.hamiltonian)
    ket = random(named)
    ours, theirs = (CopyDynamics(1000).evolve(Experiment(s, ket, Schedule(TLIST)), seed=1) for s in (named, bare))
    assert np.array_equal(ours.counts.values, theirs.counts.values)
    assert ours.attrs["parts"] == '[["A", ["0", "1"]], ["B", ["0", "1"]]]'
    assert "parts" not in theirs.attrs


# ---- statement 10: no signal without a rotation

BELL_LIKE = np.sqrt([0.4, 0.1, 0.1, 0.4]) * np.exp([0.0, 0.5j, 2.0j, 1.0j])
A_WITH_C = sparse.kron(gue(4).hamiltonian, sparse.eye_array(2))

BOB_RESTS = {
    "constant": composite({"A": two_level(0.6, 0.5), "B": IDLE}),
    "his levels are split": composite({"A": two_level(0.6, 0.5), "B": np.diag([0.7, -0.2])}),
    "pulses": composite({"A": ramsey(0.5, 1.0, 0.4), "B": IDLE}),
    "three parts": composite({"A": two_level(0.6, 0.5), "C": gue(2), "B": IDLE}, A_WITH_C),
}

BOB_MOVES = {
    "his own rotation": composite({"A": two_level(0.6, 0.5), "B": two_level(0.0, 0.3)}),
    "a coupling": composite({"A": two_level(0.6, 0.5), "B": IDLE}, 0.2 * np.kron(X.full(), X.full())),
}


def bobs_counts(system, engine):
    ket = BELL_LIKE if system.size == 4 else np.kron(BELL_LIKE, [1.0, 1.0]) / np.sqrt(2)
    end = min(2.0, system.duration)
    experiment = Experiment(system, Preparation(ket, normalise=True), Schedule(np.linspace(0.0, end, 9)))
    found = CopyDynamics(2000, engine, record_events=engine == "agents").evolve(experiment, seed=1, replicas=3)
    assert found.events.values[:, -1].min() > 100, "Alice's copies copy each other"
    return found, partial(found, "B").counts.values


@pytest.mark.parametrize("engine", ["exact", "agents"])
@pytest.mark.parametrize("case", BOB_RESTS)
def test_no_signal_without_a_rotation(case, engine):
    """With H_B = 0 and no coupling every copy event keeps Bob's label: his counts stand still, one by one."""
    found, counts = bobs_counts(BOB_RESTS[case], engine)
    assert np.all(counts == counts[:, :1])
    if engine == "agents":
        bob = np.array([label.strip("()").split(",")[-1] for label in BOB_RESTS[case].labels])
        assert np.array_equal(bob[found.event_from.values], bob[found.event_to.values])


@pytest.mark.parametrize("case", BOB_MOVES)
def test_the_control_that_bob_does_move(case):
    _, counts = bobs_counts(BOB_MOVES[case], "exact")
    assert np.abs(np.diff(counts, axis=1)).sum() > 100


# ---- a composite written out in a scenario, and bad ones


def test_a_composite_of_rows():
    system = from_rows(["A", "B"], [[[0, 1], [1, 0]], [[1, 0], [0, 2]]], np.diag([0, 0, 0, 1]).tolist())
    expected = np.kron(X.full(), np.eye(2)) + np.kron(np.eye(2), np.diag([1, 2])) + np.diag([0, 0, 0, 1])
    assert np.allclose(system.hamiltonian.toarray(), expected, atol=0)


@pytest.mark.parametrize(
    ("call", "kind", "names"),
    [
        (lambda: composite([IDLE, IDLE]), TypeError, "parts must be a mapping of names to Hamiltonians"),
        (lambda: composite({}), TypeError, "parts must be a mapping"),
        (lambda: composite({"A": np.ones((2, 3))}), ValueError, r"part 'A': H must be a square matrix"),
        (lambda: composite({"A": "x"}), TypeError, r"part 'A': H must be an array of numbers"),
        (lambda: composite({"A": [(0.0, IDLE)]}), ValueError, "part 'A': the duration of pulse 0 must be > 0"),
        (lambda: composite({"A": two_level(hbar=2.0)}), ValueError, "part 'A' must have hbar = 1 like the whole"),
        (
            lambda: composite(dict.fromkeys("ABCDEFGH", sparse.eye_array(20))),
            ValueError,
            "at most 1048576 joint labels",
        ),
        (lambda: composite({"A": IDLE}, hbar=0), ValueError, "hbar must be > 0"),
        (lambda: composite({"A": IDLE, "B": IDLE}, IDLE), ValueError, r"interaction must act on the 2 x 2 = 4 joint"),
        (lambda: composite({"A": IDLE}, [[0, 1], [0, 0]]), ValueError, "interaction must be Hermitian"),
        (lambda: from_rows(["A"]), ValueError, r"names must give each of the 2 parts a name .* \['A'\]"),
        (lambda: from_rows(["A", "A"]), ValueError, "names must give each of the 2 parts a name of its own"),
        (lambda: from_rows("AB"), ValueError, "names must give each of the 2 parts a name of its own"),
        (lambda: coupled_qubits(splittings=(1.0,)), ValueError, r"splittings must be 2 numbers, but have shape \(1,\)"),
        (lambda: coupled_qubits(splittings=(1.0, NAN)), ValueError, "splittings must be finite"),
        (lambda: coupled_qubits(drives=(1.0,)), ValueError, "drives must be 2 numbers"),
        (lambda: coupled_qubits(drives=(1.0, "g")), TypeError, "drives must be a complex number"),
        (lambda: coupled_qubits(couplings=(1.0, 2.0)), ValueError, "couplings must be 3 numbers"),
    ],
)
def test_bad_composites_are_refused(refuses, call, kind, names):
    refuses(call, kind, names)


def test_parts_that_are_not_there_are_refused(refuses):
    system = coupled_qubits()
    experiment = Experiment(system, random(system), Schedule([0.0, 1.0]))
    found = Schrodinger().evolve(experiment)
    refuses(lambda: partial(found, "C"), ValueError, "part must be one of A, B, but is 'C'")
    refuses(lambda: partial(found.probability, "A"), TypeError, "a result must be an xarray.Dataset")
    refuses(lambda: partial_frequencies(found, "A"), ValueError, "partial frequencies are of copies")
    single = Schrodinger().evolve(Experiment(two_level(), Preparation([0.6, 0.8]), Schedule([0.0, 1.0])))
    refuses(lambda: partial(single, "A"), ValueError, "part must be one of the system's, which has none, .*parts=")
