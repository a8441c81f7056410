"""The same experiment in other bases: quantum mechanics must not notice, and the laws of finite N must."""

from pathlib import Path

import numpy as np
import pytest
from scipy import sparse
from scipy.stats import unitary_group
from test_systems import NAN, ket_of, matrix
from verdicts import assert_mean

import copydyn
from copydyn import Experiment
from copydyn.comparison.compare import kets_of
from copydyn.experiment import preparations
from copydyn.experiment.bases import BASES, Basis, in_basis, transformed
from copydyn.refusal import Refusal
from copydyn.scenario.scenario import load
from copydyn.systems import gue, harmonic, lattice, ring, square_lattice, two_level
from copydyn.theories import CopyDynamics, Schrodinger

U5 = unitary_group.rvs(5, random_state=3)
PULSES = [(0.7, gue(5, seed=1).hamiltonian), (0.5, sparse.csr_array(gue(5, seed=2).hamiltonian)), (1.3, np.eye(5))]
TIMES = [0.25, 0.7, 1.0, 2.5]


def train(hbar=0.6) -> Experiment:
    ket = np.exp(1j * np.array([0.0, 2.0, 1.0, 5.0, 4.0])) / np.sqrt(5)
    e_ops = {"x": np.diag(np.arange(5.0)), "h": gue(5, seed=7).hamiltonian}
    return Experiment.of(PULSES, ket, TIMES, hbar=hbar, e_ops=e_ops, labels="abcde", name="train", time_unit="s")


@pytest.mark.parametrize(
    "basis", [*sorted(BASES.keys() - {"unitary"}), U5, Basis(U5, "vwxyz", "letter"), sparse.eye(5)]
)
def test_quantum_mechanics_does_not_notice(basis):
    told, kept = in_basis(train(), basis), train()
    u = {"position": np.eye(5)}.get(basis) if isinstance(basis, str) else getattr(basis, "unitary", basis)
    u = u if u is not None else BASES[basis](kept.system).unitary
    u = u.toarray() if sparse.issparse(u) else u
    ours, theirs = Schrodinger().evolve(told), Schrodinger().evolve(kept)
    assert np.allclose(ours["state"].values[0], theirs["state"].values[0] @ u.T, atol=1e-9)
    for name in ("expect", "energy"):
        assert np.allclose(ours[name], theirs[name], atol=1e-9)
    assert (told.system.hbar, told.system.name, told.system.time_unit) == (0.6, "train", "s")
    assert told.system.duration == kept.system.duration


def test_labels_and_meaning_are_those_of_the_basis():
    names = {kind: in_basis(train(), kind).system for kind in ("position", "momentum", "energy")}
    assert names["position"].labels == tuple("abcde")
    assert names["momentum"].labels == ("-2", "-1", "0", "1", "2")
    assert names["energy"].labels == ("0", "1", "2", "3", "4")
    assert [system.meaning for system in names.values()] == ["label", "momentum", "energy level"]
    assert in_basis(train(), Basis(U5, "vwxyz", "letter")).system.labels == tuple("vwxyz")


def test_there_and_back_is_the_experiment_that_was():
    back = in_basis(in_basis(train(), U5), U5.conj().T)
    for ours, theirs in zip(back.system.pulses, train().system.pulses, strict=True):
        h = theirs.hamiltonian
        assert np.allclose(ours.hamiltonian, h if isinstance(h, np.ndarray) else h.toarray(), atol=1e-14)
        assert ours.duration == theirs.duration
    assert np.allclose(back.ket, train().ket, atol=1e-15)


def test_position_is_the_experiment_itself():
    experiment = train()
    assert in_basis(experiment, "position") is experiment


# ---- momentum


@pytest.mark.parametrize("size", [8, 9])
def test_a_free_ring_is_diagonal_in_momentum(size):
    """exp(2 pi i k a/P) has the energy -2 J cos((2 pi k + Phi)/P); not one coupling is left, even of rounding."""
    system = ring(size, 0.7, flux=1.3)
    told = in_basis(Experiment.of(system.hamiltonian, ket_of(preparations.random(system), system), [0, 1]), "momentum")
    k = np.array([int(label) for label in told.system.labels])
    assert list(k) == list(range(-(size // 2), size - size // 2))
    h = matrix(told.system)
    assert sparse.issparse(told.system.hamiltonian)
    assert np.count_nonzero(h - np.diag(np.diag(h))) == 0
    assert np.allclose(np.diag(h), -1.4 * np.cos((2 * np.pi * k + 1.3) / size), atol=1e-14)
    assert CopyDynamics(1000).evolve(told, seed=1)["events"].values[0, -1] == 0


@pytest.mark.parametrize("momentum", [-3, 0, 2])
def test_a_plane_wave_is_one_label_of_momentum(momentum):
    system = ring(12)
    told = in_basis(Experiment(system, preparations.plane_wave(system, momentum), copydyn.Schedule([0])), "momentum")
    assert np.flatnonzero(told.ket).tolist() == [told.system.labels.index(str(momentum))]


def test_momentum_on_a_square_lattice_has_two_components():
    system = square_lattice(6, 5)
    start = preparations.packet_2d(system, (2.5, 2.0), 30.0, (2 * np.pi / 6, -2 * np.pi * 2 / 5))
    told = in_basis(Experiment(system, start, copydyn.Schedule([0])), "momentum")
    assert told.system.labels[int(np.argmax(np.abs(told.ket)))] == "(1,-2)"
    assert told.system.labels[:6] == ("(-3,-2)", "(-3,-1)", "(-3,0)", "(-3,1)", "(-3,2)", "(-2,-2)")
    assert np.max(np.abs(told.ket)) ** 2 > 0.99


# ---- energy


def test_energies_keep_their_counts():
    system = harmonic(12)
    start = preparations.packet(system, 8, 1.5, 0.4)
    told = in_basis(Experiment(system, start, copydyn.Schedule(np.linspace(0, 3, 4))), "energy")
    h = matrix(told.system)
    assert np.count_nonzero(h - np.diag(np.diag(h))) == 0
    assert np.allclose(np.diag(h), np.linalg.eigvalsh(matrix(system)))
    result = CopyDynamics(10_000).evolve(told, seed=1)
    assert result["events"].values[0, -1] == 0
    assert np.all(result["counts"].values == result["counts"].values[:, :1])


def test_eigenvectors_have_a_phase_of_their_own():
    u = BASES["energy"](gue(6, seed=4)).unitary
    largest = u[np.arange(6), np.abs(u).argmax(axis=1)]
    assert np.all(largest.real > 0)
    assert np.allclose(largest.imag, 0, atol=1e-15)


# ---- copies


def test_the_noise_of_copies_belongs_to_the_basis():
    """N E[1 - fidelity] is the law for U H U^+ and U psi. False alarm 1e-5; the old basis' law is the control."""
    h, ket, u = two_level(0.6, 0.5).hamiltonian, np.array([0.8, 0.6j]), np.array([[0.96, 0.28], [-0.28, 0.96]])
    experiment, copies, replicas = Experiment.of(h, ket, [0.0, 4.0]), 4000, 400
    result = CopyDynamics(copies).evolve(in_basis(experiment, u), seed=20121, replicas=replicas)
    there = Schrodinger().evolve(experiment)["state"].values[0, -1]
    lost = copies * (1 - np.abs(kets_of(result)[:, -1] @ (u @ there).conj()) ** 2)
    law = copydyn.infidelity_law(u @ h @ u.T, u @ ket, [0.0, 4.0])[-1]
    assert_mean(lost, law, detects=0.5 * law)
    other = copydyn.infidelity_law(h, ket, [0.0, 4.0])[-1]
    with pytest.raises(AssertionError, match="errors off"):
        assert_mean(lost, other, detects=0.5 * law)


def test_rounding_makes_no_couplings_and_no_amplitudes():
    u = BASES["momentum"](ring(16)).unitary
    told = transformed(lattice(16, periodic=True).hamiltonian, u)
    assert told.nnz == 15  # the wave k = 0 has no energy
    assert told.dtype == complex
    assert np.count_nonzero(transformed(np.eye(16), u).imag) == 0


# ---- what is refused


BAD = [
    (lambda: in_basis(train(), "spin"), ValueError, "basis must be one of position, momentum, energy, unitary, or a"),
    (
        lambda: in_basis(train(), np.eye(4)),
        ValueError,
        "U must have one row for each of the 5 beable labels, but has 4",
    ),
    (lambda: in_basis(train(), 2 * np.eye(5)), ValueError, "U must be unitary to 1e-10, but the squared norm of row 0"),
    (lambda: in_basis(train(), NAN * np.eye(5)), ValueError, "U must be finite"),
    (lambda: in_basis(train(), np.ones((5, 4))), ValueError, "U must be a square matrix"),
    (lambda: in_basis(train(), 5), ValueError, "U must be a square matrix, but has shape"),
    (lambda: in_basis(train(), Basis(U5, "vw")), ValueError, "labels must name each of the 5"),
    (lambda: BASES["unitary"](two_level()), ValueError, "matrix or path must be given, and not both"),
    (lambda: BASES["unitary"](two_level(), np.eye(2), "u.npy"), ValueError, "matrix or path must be given, and not"),
    (
        lambda: BASES["unitary"](two_level(), [[1, 1], [0, 1]]),
        ValueError,
        "matrix must be unitary to 1e-10, but the sq",
    ),
    (lambda: BASES["unitary"](two_level(), path="absent.npy"), ValueError, "none at 'absent.npy'"),
    (lambda: BASES["momentum"](lattice(10_000)), ValueError, "at most 8192 labels, .* but the system has 10000; "),
    (lambda: BASES["energy"](lattice(10_000)), ValueError, "at most 8192 labels, .* but the system has 10000; "),
]


@pytest.mark.parametrize(("call", "kind", "names"), BAD)
def test_bad_bases_are_refused(refuses, call, kind, names):
    refuses(call, kind, names)


# ---- in a scenario


def scenario(basis: str) -> str:
    Path("mine.toml").write_text(
        '[system]\nkind = "two-level"\ndetuning = 0.6\n[preparation]\namplitudes = [0.8, "0.6j"]\n'
        f"[schedule]\nstop = 1\npoints = 3\n[theory]\ncopies = 1e3\n[basis]\n{basis}\n"
    )
    return "mine.toml"


def test_a_scenario_chooses_its_basis(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    u = np.array([[0.6, 0.8j], [0.8j, 0.6]])
    np.save("u.npy", u)
    for text in ('kind = "unitary"\nmatrix = [[0.6, "0.8j"], ["0.8j", 0.6]]', 'kind = "unitary"\npath = "u.npy"'):
        experiment = load(scenario(text)).experiment
        assert np.allclose(experiment.ket, u @ [0.8, 0.6j])
        assert np.allclose(experiment.system.hamiltonian, u @ two_level(0.6).hamiltonian @ u.conj().T)
    assert load(scenario('kind = "momentum"')).experiment.system.labels == ("-1", "0")
    assert load("rabi", ["basis.kind=energy"]).experiment.system.meaning == "energy level"
    assert "[basis]" in load(scenario('kind = "momentum"')).as_run(1)
    assert np.array_equal(load(scenario('kind = "position"')).experiment.ket, load("rabi").experiment.ket)


@pytest.mark.parametrize(
    ("basis", "sentence"),
    [
        ('kind = "spin"', r"12: \[basis\] kind must be one of position, momentum, energy, unitary, but is \"spin\""),
        ('kind = "unitary"\nmatrix = [[1, 1], [0, 1]]', r"13: \[basis\] matrix must be unitary to 1e-10, but the sq"),
        ('kind = "unitary"\nmatrix = [[1]]', r"\[basis\] U must have one row for each of the 2 beable labels, but has"),
        ('kind = "unitary"\npath = "absent.npy"', r"13: \[basis\] path must name a file, but there is none at 'absent"),
        ('kind = "momentum"\nk = 3', r"13: \[basis\] 'k' is no key of momentum"),
    ],
)
def test_a_scenario_refuses_what_is_no_basis(tmp_path, monkeypatch, basis, sentence):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Refusal, match=sentence):
        load(scenario(basis))
