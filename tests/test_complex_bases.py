"""Bases and rotations of complex Hamiltonians: what is real, or symmetric, hides a conjugate that is left out."""

import numpy as np
import pytest
from scipy import sparse
from scipy.linalg import expm

from copydyn import Experiment, Preparation, Schedule, System
from copydyn.experiment.bases import BASES, Basis, in_basis, momentum, transformed, unitary
from copydyn.experiment.rotation import MINUS_ONE, generator, rotated
from copydyn.results.parts import partial, partial_frequencies
from copydyn.systems import square_lattice
from copydyn.theories import CopyDynamics, Schrodinger
from copydyn.theories.irreversible.signalling import signal_of_own_equilibria

TIMES = [0.3, 0.6, 1.1]


def matrix(size, seed=5):
    rng = np.random.default_rng(seed)
    h = rng.normal(size=(size, size)) + 1j * rng.normal(size=(size, size))
    return 0.4 * (h + h.conj().T)


def ket(size, seed=6):
    rng = np.random.default_rng(seed)
    psi = rng.normal(size=size) + 1j * rng.normal(size=size)
    return psi / np.linalg.norm(psi)


def asked(h, **about):
    return Experiment.of(h, ket(len(h) if isinstance(h, np.ndarray) else 4), TIMES, hbar=0.7, **about)


U = np.linalg.qr(matrix(4, 3) + 1j * np.eye(4))[0]


def test_energies_of_a_complex_hamiltonian_keep_their_counts():
    h = matrix(4)
    told = in_basis(asked(h, e_ops={"a": matrix(4, 8)}), "energy")
    energies = np.linalg.eigvalsh(h)
    np.testing.assert_allclose(told.system.hamiltonian, np.diag(energies), atol=1e-14)
    assert np.count_nonzero(told.system.hamiltonian - np.diag(np.diag(told.system.hamiltonian))) == 0
    u = BASES["energy"](asked(h).system).unitary
    np.testing.assert_allclose(u @ h @ u.conj().T, np.diag(energies), atol=1e-13)
    np.testing.assert_allclose(told.ket, u @ ket(4), atol=1e-13)
    np.testing.assert_allclose(told.e_ops["a"], u @ matrix(4, 8) @ u.conj().T, atol=1e-13)
    result = CopyDynamics(1000).evolve(told, seed=1)
    assert result["events"].values[0, -1] == 0
    assert np.all(result["counts"].values == result["counts"].values[:, :1])
    moving = CopyDynamics(1000).evolve(asked(h), seed=1)
    assert moving["events"].values[0, -1] > 100, "a control: other labels are copied"


def test_energies_are_those_of_the_first_hamiltonian():
    told = in_basis(asked([(0.5, matrix(4)), (2.0, matrix(4, 1))]), "energy")
    first, second = (pulse.hamiltonian for pulse in told.system.pulses)
    np.testing.assert_allclose(first, np.diag(np.linalg.eigvalsh(matrix(4))), atol=1e-14)
    assert np.abs(second - np.diag(np.diag(second))).max() > 0.1


@pytest.mark.parametrize("form", ["dense", "sparse"])
def test_a_matrix_is_told_in_another_basis(form):
    a = matrix(4)
    found = transformed(sparse.csr_array(a) if form == "sparse" else a, U)
    np.testing.assert_allclose(found, U @ a @ U.conj().T, atol=1e-13)
    np.testing.assert_array_equal(found, found.conj().T)
    told = in_basis(asked(a, labels=tuple("abcd"), meaning="letter", name="me", time_unit="s"), Basis(U, "wxyz", "new"))
    np.testing.assert_allclose(told.system.hamiltonian, U @ a @ U.conj().T, atol=1e-13)
    np.testing.assert_allclose(told.ket, U @ ket(4), atol=1e-13)
    system = told.system
    assert (system.labels, system.meaning, system.name) == (tuple("wxyz"), "new", "me")
    assert (system.time_unit, system.hbar) == ("s", 0.7)
    np.testing.assert_array_equal(told.tlist, TIMES)


def test_what_is_rounding_becomes_zero_and_nothing_else():
    a = np.diag([1.0, 2.0, 3.0]).astype(complex)
    a[0, 1], a[1, 0] = 2.9e-13 * (1 + 1j), 2.9e-13 * (1 - 1j)
    a[0, 2], a[2, 0] = 3.1e-13j, -3.1e-13j
    found = transformed(a, np.eye(3))
    assert found[0, 1] == 0.0
    assert found[0, 2] == 3.1e-13j
    assert sparse.issparse(transformed(sparse.csr_array(np.diag(np.arange(1.0, 6.0))), np.eye(5)))
    assert not sparse.issparse(transformed(sparse.csr_array(matrix(4)), U))


@pytest.mark.parametrize("size", [4, 5])
def test_momenta_are_waves(size):
    system = System(matrix(size))
    basis = momentum(system)
    for label, row in zip(basis.labels, basis.unitary):
        wave = np.exp(2j * np.pi * int(label) * np.arange(size) / size) / np.sqrt(size)
        assert np.vdot(row.conj(), wave) == pytest.approx(1.0)
        np.testing.assert_allclose(row, wave.conj(), atol=1e-14)
    plane = momentum(square_lattice(3, 2))
    waves = np.exp(2j * np.pi * (1 * np.arange(3)[:, None] / 3 + -1 * np.arange(2) / 2)).ravel() / np.sqrt(6)
    np.testing.assert_allclose(plane.unitary[plane.labels.index("(1,-1)")], waves.conj(), atol=1e-14)


def test_a_unitary_is_taken_from_a_file(tmp_path):
    np.savez(tmp_path / "u.npz", first=np.eye(4), second=U)
    system = System(matrix(4))
    found = unitary(system, path=str(tmp_path / "u.npz"), key="second", labels="abcd", meaning="letter")
    np.testing.assert_array_equal(found.unitary, U)
    assert (tuple(found.labels), found.meaning) == (tuple("abcd"), "letter")
    np.testing.assert_array_equal(unitary(system, U.tolist(), labels="abcd").unitary, U)


# ---- rotations


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("beside", [0.0, 0.5, 1.5, 1e6])
def test_angles_beside_minus_pi(sign, beside):
    """exp(i a) with a beside -pi by less than `MINUS_ONE` turns by +pi, by more from its own side; +pi likewise."""
    angle = -np.pi + sign * beside * MINUS_ONE
    u = (U * np.exp(1j * np.array([angle, 0.3, -0.4, 2.0]))) @ U.conj().T
    h = generator(u, 0.7, hbar=0.3)
    found = np.sort(-np.linalg.eigvalsh(h) * 0.7 / 0.3)
    seen = np.angle(np.exp(1j * angle))  # in (-pi, pi], to rounding
    seen = np.pi if seen < -np.pi + MINUS_ONE else seen
    np.testing.assert_allclose(found, np.sort([seen, 0.3, -0.4, 2.0]), atol=1e-10 + (2e-15 if beside != 0.5 else 6e-10))
    np.testing.assert_allclose(expm(-1j * 0.7 / 0.3 * h), u, atol=2e-9)


def test_a_generator_of_a_complex_unitary():
    found = generator(expm(-1j * matrix(4) * 0.4 / 0.7), 0.4, hbar=0.7)
    np.testing.assert_allclose(found, matrix(4), atol=1e-12)


def test_a_rotation_keeps_what_is_read_and_adds_a_time():
    experiment = asked(matrix(4), e_ops={"a": matrix(4, 8)})
    turned = rotated(experiment, U, 0.25)
    np.testing.assert_allclose(turned.tlist, [*TIMES, 1.35])
    assert [pulse.duration for pulse in turned.system.pulses] == pytest.approx([1.1, 0.25])
    assert turned.system.hbar == 0.7
    before, after = (Schrodinger().evolve(one) for one in (experiment, turned))
    np.testing.assert_allclose(after.state[0, -1], U @ before.state.values[0, -1], atol=1e-9)
    np.testing.assert_allclose(after.expect[0, :3], before.expect[0], atol=1e-9)
    last = U @ before.state.values[0, -1]
    assert float(after.expect[0, -1, 0]) == pytest.approx(np.vdot(last, matrix(4, 8) @ last).real, abs=1e-9)


# ---- what is read in a complex basis


def test_signals_that_bob_sends_by_sigma_y():
    """He measures sigma_y or sigma_z: rows of his bases are bras, <outcome|b>, without another conjugate.

    With sqrt(.7)|0>|0> + i sqrt(.3)|1>(|0> + i|1>)/sqrt(2) the outcomes of sigma_y differ in weight, and those of its
    conjugate differ the other way round.
    """
    psi = np.array([[np.sqrt(0.7), 0.0], [1j * np.sqrt(0.15), -np.sqrt(0.15)]])
    energies, z = np.array([0.0, 1.0]), np.eye(2)
    y = np.array([[1, -1j], [1, 1j]]) / np.sqrt(2)  # <+y| and <-y|
    expected = []
    for basis in (y, z):
        total = np.zeros(2)
        for bra in basis:
            outcome = np.array([sum(psi[a, b] * bra[b] for b in (0, 1)) for a in (0, 1)])
            share = np.sum(np.abs(outcome) ** 2)
            if share < 1e-12:
                continue
            weights = np.abs(outcome) ** 2 / share
            mean, spread = weights[1], np.sqrt(weights[0] * weights[1])
            inside = np.abs(energies - mean) <= spread + 1e-9
            total += share * inside / inside.sum()
        expected.append(total)
    found = signal_of_own_equilibria(energies, psi, y, z)
    assert found == pytest.approx(0.5 * np.abs(expected[0] - expected[1]).sum(), abs=1e-12)


# ---- parts


def test_parts_of_different_sizes_are_summed_over_the_others(refuses):
    system = System(matrix(12), parts=(("A", ("u", "d")), ("B", 3), ("C", 2)), meaning="joint")
    found = CopyDynamics(1000).evolve(Experiment.of(system.hamiltonian, ket(12), TIMES, parts=system.parts), seed=1)
    tensor = found.frequency.values.reshape(1, 3, 2, 3, 2)
    for part, axes in (("A", (3, 4)), ("B", (2, 4)), ("C", (2, 3))):
        reduced = partial(found, part)
        np.testing.assert_allclose(reduced.frequency, tensor.sum(axis=axes), atol=1e-15)
        np.testing.assert_allclose(partial_frequencies(found, part), tensor.sum(axis=axes), atol=1e-15)
        np.testing.assert_array_equal(reduced.counts.values, found.counts.values.reshape(1, 3, 2, 3, 2).sum(axis=axes))
        assert reduced.attrs["part"] == part
        assert "parts" not in reduced.attrs
        assert reduced.beable.attrs["long_name"].endswith(f" of {part}")
    assert partial(found, "A").beable.values.tolist() == ["u", "d"]
    alone = Schrodinger().evolve(Experiment(system, Preparation(ket(12)), Schedule(TIMES)))
    np.testing.assert_allclose(
        partial(alone, "B").probability,
        (np.abs(alone.state.values[0]) ** 2).reshape(3, 2, 3, 2).sum(axis=(1, 3)),
        atol=1e-12,
    )
    refuses(lambda: partial(found, "D"), ValueError, "part must be one of A, B, C, but is 'D'")
    refuses(lambda: partial_frequencies(alone, "B"), ValueError, "partial frequencies are of copies")
