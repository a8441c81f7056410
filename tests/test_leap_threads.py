"""Leaps of one large ensemble by several threads, and on large lattices: never another byte, and memory foreseen."""

import numpy as np
import pytest
from scipy import sparse

from copydyn import Experiment, copysolve
from copydyn.runs import room
from copydyn.systems import square_lattice
from copydyn.theories import CopyDynamics
from copydyn.theories.copies.team import WORTH, team_of

SIZE = WORTH + 1000


def chain(gauge):
    """Neighbours coupled by exp(i gauge): real couplings go by diagonals, complex ones label by label."""
    hop = -np.exp(1j * gauge) * np.ones(SIZE - 1)
    return sparse.csr_array(sparse.diags_array([hop, hop.conj()], offsets=[1, -1]))


def wave():
    """Many copies in the middle, few at the ends, none beyond: all kinds of labels."""
    place = np.arange(SIZE) - SIZE / 2
    ket = np.exp(-((place / (0.1 * SIZE)) ** 2) + 0.9j * place)
    return ket / np.linalg.norm(ket)


def fringes():
    """Two waves against each other: next to every dark fringe labels bend by much of themselves."""
    place = np.arange(SIZE)
    ket = np.exp(0.3j * place) + 0.93 * np.exp(-0.3j * place)
    return ket / np.linalg.norm(ket)


@pytest.mark.parametrize("gauge", [0.0, 0.4])
def test_fringes_have_the_same_bytes_by_any_number_of_threads(gauge):
    experiment = Experiment.of(chain(gauge), fringes(), [0.0, 0.35, 0.5])
    here, far = fringes(), np.abs(fringes())
    slope = np.gradient(here)
    assert np.mean(np.abs(np.gradient(slope) * here - slope**2) > far**2) > 0.05, "they do bend"
    alone = CopyDynamics(10**16, "leap").evolve(experiment, seed=3)
    assert CopyDynamics(10**16, "leap").evolve(experiment, seed=3, jobs=3).identical(alone)


@pytest.mark.parametrize("gauge", [0.0, 0.4])
def test_one_ensemble_has_the_same_bytes_by_any_number_of_threads(gauge):
    experiment = Experiment.of(chain(gauge), wave(), [0.0, 0.35, 0.5])
    theory = CopyDynamics(10**12, "leap")
    alone = theory.evolve(experiment, seed=3)
    counts = alone.counts.values[0, 0]
    assert np.count_nonzero(counts == 0) > 1000
    assert np.count_nonzero((counts > 0) & (counts < 100)) > 100
    for jobs in (2, 3):
        assert theory.evolve(experiment, seed=3, jobs=jobs).identical(alone)


def test_threads_meet_only_where_it_is_worth_it():
    assert team_of(4, WORTH - 1, 1, 9) is None
    assert team_of(1, 10**6, 1, 9) is None
    assert team_of(4, 10**6, 10**6, 9) is None, "what every thread would do twice"
    assert team_of(4, 10**6, 1, 9).size == 4


def test_diagonals_and_rows_are_the_same_flow():
    """A gauge makes a real lattice complex and changes no frequency but by rounding."""
    size = 100
    place = np.arange(size)
    ket = np.exp(-(((place - 50) / 20.0) ** 2) + 0.5j * place)
    ket /= np.linalg.norm(ket)
    hop = -np.ones(size - 1)
    real = sparse.csr_array(sparse.diags_array([hop, hop], offsets=[1, -1]))
    turn = np.exp(0.3j * place)
    twisted = sparse.csr_array(sparse.diags_array(turn) @ real @ sparse.diags_array(turn.conj()))
    ends = [
        copysolve(h, psi, [0.0, 5.0], copies=2**60, seed=1, engine="leap").frequency.values[0, -1]
        for h, psi in ((real, ket), (twisted, turn * ket))
    ]
    exact = np.abs(np.linalg.eigh(real.toarray())[1] @ (
        np.exp(-5j * np.linalg.eigh(real.toarray())[0]) * (np.linalg.eigh(real.toarray())[1].T @ ket)
    )) ** 2  # fmt: skip
    for end in ends:
        assert np.abs(end - exact).max() < 20 / 2.0**30


def test_a_square_lattice_keeps_to_its_waves():
    """Two dimensions, 64 x 64 sites, 10^16 copies: within the noise of the product of two chains."""
    side, span = 64, 3.0
    place = np.arange(side) - 31.5
    one = np.exp(-((place / 12.0) ** 2) + 0.6j * place)
    one /= np.linalg.norm(one)
    system = square_lattice(side, side)
    energies, modes = np.linalg.eigh(square_lattice(side, 2).hamiltonian.toarray()[::2, ::2] - np.eye(side))
    later = modes @ (np.exp(-1j * span * energies) * (modes.T @ one))
    result = copysolve(system.hamiltonian, np.outer(one, one).ravel(), [0.0, span], copies=10**16, seed=1)
    assert result.attrs["theory_engine"] == "leap"
    exact = np.outer(np.abs(later) ** 2, np.abs(later) ** 2).ravel()
    deviation = np.abs(result.frequency.values[0, -1] - exact)
    assert deviation.max() < 6 * np.sqrt(exact.max() * span * 4 / 1e16)


def test_running_out_of_memory_is_foreseen(refuses, monkeypatch):
    monkeypatch.setattr(room, "available", lambda: 1e7)
    experiment = Experiment.of(chain(0.0), wave(), [0.0, 0.5])
    refuses(
        lambda: CopyDynamics(10**12, "leap").evolve(experiment, seed=1),
        ValueError,
        r"must fit into the 10 MB that are free, but would take about [0-9.]+ MB",
    )


def test_memory_grows_with_the_size_alone():
    """Bytes per label and edge, told from what is allocated."""
    small, large = (room.of_leaps(size, 2 * size, 9) for size in (10**4, 10**6))
    assert abs(large / small - 100.0) < 1.0
    assert large < 1e9
