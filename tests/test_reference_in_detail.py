"""The referee where its cases are least alike: complex, without symmetry, sparse and dense, in pulses, in pieces.

Each method is forced in turn, and each answer is a product of matrix exponentials of the equation as it stands.
"""

from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse
from scipy.linalg import expm

from qm_reference import inputs, lindblad, mesolve, operators, schroedinger, series, sesolve, timeline

HBAR, TIMES = 0.7, np.array([0.3, 0.5, 0.9, 1.0, 2.6])


def matrix(size, seed=5):
    rng = np.random.default_rng(seed)
    h = rng.normal(size=(size, size)) + 1j * rng.normal(size=(size, size))
    return 0.4 * (h + h.conj().T)


def ket(size, seed=6):
    rng = np.random.default_rng(seed)
    psi = rng.normal(size=size) + 1j * rng.normal(size=size)
    return psi / np.linalg.norm(psi)


def jump(size, seed):
    rng = np.random.default_rng(seed)
    return 0.4 * (rng.normal(size=(size, size)) + 1j * rng.normal(size=(size, size)))


def band(size, seed=8):
    """A sparse H whose couplings all differ, complex, with a middle that is not zero."""
    rng = np.random.default_rng(seed)
    near = rng.normal(size=size - 1) + 1j * rng.normal(size=size - 1)
    far = rng.normal(size=size - 3) + 1j * rng.normal(size=size - 3)
    upper = sparse.diags_array([near, far], offsets=[1, 3])
    return sparse.csr_array(0.5 * (upper + upper.conj().T) + sparse.diags_array(2.0 + rng.normal(size=size)))


PULSES = [(0.6, 1.0), (0.4, -0.7), (5.0, 0.5)]
"""Durations, and what multiplies one of two matrices: an edge on a save time and one off."""


def forms(h):
    return {"dense": h, "sparse": sparse.csr_array(h)}


@pytest.fixture(params=["diagonalisation", "Chebyshev"])
def of_kets(request, monkeypatch):
    def evolution(stretch, energies, hbar, share):
        if request.param == "Chebyshev":
            return schroedinger._Chebyshev(stretch.hamiltonian, energies, hbar, share)
        return schroedinger._Eigenbasis(stretch.hamiltonian, energies, hbar)

    monkeypatch.setattr(schroedinger, "_evolution", evolution)


@pytest.fixture(params=["superoperator", "Taylor"])
def of_matrices(request, monkeypatch):
    def evolution(stretch, generator, share):
        return lindblad._Taylor(generator, share) if request.param == "Taylor" else lindblad._Superoperator(generator)

    monkeypatch.setattr(lindblad, "_evolution", evolution)


def liouvillian(h, jumps, hbar):
    size = len(h)
    left, right = (lambda a: np.kron(a, np.eye(size))), (lambda a: np.kron(np.eye(size), a.T))
    total = -1j / hbar * (left(h) - right(h))
    for c in jumps:
        decay = c.conj().T @ c
        total += np.kron(c, c.conj()) - 0.5 * (left(decay) + right(decay))
    return total


def along(generators, start):
    """States at `TIMES` of a train of constant generators, counted from time 0."""
    edges = np.cumsum([0.0, *(duration for duration, _ in PULSES)])
    found = []
    for time in TIMES:
        now = start
        for (begin, end), generator in zip(pairwise(edges), generators):
            now = expm(generator * max(0.0, min(end, time) - max(begin, TIMES[0]))) @ now
        found.append(now)
    return np.array(found)


@pytest.mark.parametrize("form", ["dense", "sparse"])
@pytest.mark.usefixtures("of_kets")
def test_kets_of_a_complex_train(form):
    a, b = matrix(5, 1) + 2.0 * np.eye(5), matrix(5, 2)
    hamiltonians = [scale * (a if number != 1 else b) for number, (_, scale) in enumerate(PULSES)]
    train = [(duration, forms(h)[form]) for (duration, _), h in zip(PULSES, hamiltonians)]
    exact = along([-1j * h / HBAR for h in hamiltonians], ket(5))
    assert_allclose(sesolve(train, ket(5), TIMES, hbar=HBAR), exact, atol=1e-10)


@pytest.mark.parametrize("form", ["dense", "sparse"])
@pytest.mark.usefixtures("of_matrices")
def test_density_matrices_of_a_complex_train(form):
    """From a mixed state and from a ket; jump operators have no symmetry, and sparse ones stay sparse."""
    a, b, jumps = matrix(3, 1) + 2.0 * np.eye(3), matrix(3, 2), [jump(3, 3), jump(3, 4)]
    hamiltonians = [scale * (a if number != 1 else b) for number, (_, scale) in enumerate(PULSES)]
    train = [(duration, forms(h)[form]) for (duration, _), h in zip(PULSES, hamiltonians)]
    generators = [liouvillian(h, jumps, HBAR) for h in hamiltonians]
    root = jump(3, 9)
    mixed = root @ root.conj().T / np.trace(root @ root.conj().T)
    for start, rho in ((mixed, mixed), (ket(3), np.outer(ket(3), ket(3).conj()))):
        found = mesolve(train, start, TIMES, [forms(c)[form] for c in jumps], hbar=HBAR)
        assert_allclose(found.reshape(5, -1), along(generators, rho.ravel()), atol=1e-8)


def test_sparse_matrices_of_many_levels(monkeypatch):
    """Series of sparse operators, a train of two: against the matrix that is written out."""
    monkeypatch.setattr(lindblad, "SMALLEST_SPARSE", 2)
    monkeypatch.setattr(lindblad, "LARGEST_SUPEROPERATOR", 2)
    h, c = band(7), sparse.csr_array(np.where(np.abs(jump(7, 3)) > 0.5, jump(7, 3), 0.0))
    generator = lindblad._generator(h, [c], HBAR)
    assert sparse.issparse(generator.drift)
    spectrum = np.linalg.eigvalsh(h.toarray())
    most = np.ptp(spectrum) / HBAR + 2 * np.linalg.norm(c.toarray(), 2) ** 2
    assert most <= generator.norm < 6 * most
    rho = np.outer(ket(7), ket(7).conj())
    exact = [expm(liouvillian(h.toarray(), [c.toarray()], HBAR) * t) @ rho.ravel() for t in (0.0, 0.4, 1.3)]
    found = mesolve(h, ket(7), [0.2, 0.6, 1.5], [c], hbar=HBAR)
    assert_allclose(found.reshape(3, -1), exact, atol=1e-8)
    assert_allclose(generator.matrix() @ rho.ravel(), generator(rho).ravel(), atol=1e-12)


def test_long_ways_are_taken_in_pieces(monkeypatch):
    """Chebyshev's series over several pieces of a sparse band, with save times in some of them and none in others."""
    monkeypatch.setattr(
        schroedinger, "_evolution", lambda stretch, *about: schroedinger._Chebyshev(stretch.hamiltonian, *about)
    )
    h, times = band(40), np.array([0.0, 0.1, 31.0, 31.5, 80.0])
    energies, modes = np.linalg.eigh(h.toarray())
    exact = (np.exp(-1j * np.outer(times, energies) / HBAR) * (modes.conj().T @ ket(40))) @ modes.T
    assert operators.gershgorin_band(h).radius * 80.0 / HBAR > 2 * schroedinger.LONGEST_ANGLE
    assert_allclose(sesolve(h, ket(40), times, hbar=HBAR), exact, atol=1e-9)


def test_bands_hold_the_spectrum():
    for h in (matrix(6), matrix(6) + 5.0 * np.eye(6), -matrix(6, 2) - 3.0 * np.eye(6)):
        energies = np.linalg.eigvalsh(h)
        wide, tight = operators.gershgorin_band(h), operators.tight_band(h)
        assert_allclose([tight.centre - tight.radius, tight.centre + tight.radius], energies[[0, -1]], rtol=1e-10)
        assert wide.centre - wide.radius <= energies[0]
        assert energies[-1] <= wide.centre + wide.radius
        assert tight.norm == pytest.approx(np.abs(energies).max())
        reach = np.abs(h).sum(axis=1) - np.abs(np.diag(h))
        low, high = (np.diag(h).real - reach).min(), (np.diag(h).real + reach).max()
        assert (wide.centre, wide.radius) == (pytest.approx((low + high) / 2), pytest.approx((high - low) / 2))
        assert operators.gershgorin_band(sparse.csr_array(h)) == pytest.approx(wide)
        assert operators.tight_band(sparse.csr_array(h)) == pytest.approx(wide)
    c = jump(5, 3)
    assert operators.norm_bound(c) == pytest.approx(np.linalg.norm(c, 2))
    sizes = np.abs(c)
    product = sizes.sum(axis=0).max() * sizes.sum(axis=1).max()
    assert operators.norm_bound(sparse.csr_array(c)) == pytest.approx(np.sqrt(product))
    assert sizes.sum(axis=0).max() != pytest.approx(sizes.sum(axis=1).max(), rel=1e-2)


def test_an_origin_is_taken_away_from_either_kind_of_matrix():
    h = matrix(4)
    assert_allclose(operators.shifted(h, 0.7), h - 0.7 * np.eye(4), atol=1e-15)
    thin = operators.shifted(sparse.csr_array(h), 0.7)
    assert sparse.issparse(thin)
    assert_allclose(thin.toarray(), h - 0.7 * np.eye(4), atol=1e-15)


def test_ways_are_cut_where_the_hamiltonian_changes():
    pulses = inputs.as_pulses([(0.6, matrix(2)), (0.4, matrix(2, 1)), (5.0, matrix(2, 2))])
    found = list(timeline.stretches(pulses, TIMES))
    assert_allclose([one.length for one in found], [0.3, 0.4, 1.6])
    for one, spans in zip(found, ([0.2], [0.3, 0.4], [1.6])):
        assert_allclose(one.spans, spans)
    assert_allclose(found[0].to_end, [0.2, 0.3])
    assert_allclose(found[1].to_end, [0.3, 0.4])
    late = list(timeline.stretches(pulses, np.array([0.6, 0.9])))
    assert [one.hamiltonian is pulses[1].hamiltonian for one in late] == [True]


def test_a_lone_pulse_has_no_end():
    (pulse,) = inputs.as_pulses(matrix(2))
    assert pulse.duration == np.inf
    assert [one.length for one in timeline.stretches((pulse,), np.array([1.0, 4.0]))] == [3.0]


@pytest.mark.parametrize("spans", [np.linspace(0.25, 2.0, 8), np.array([0.3, 0.5, 2.0])])
def test_turns_by_doubling_are_turns(spans):
    frequencies = np.array([-1.3, 0.0, 2.1])
    assert_allclose(schroedinger._turns(frequencies, spans), np.exp(-1j * np.outer(spans, frequencies)), atol=1e-14)


def test_series_are_summed_block_by_block(monkeypatch):
    rng = np.random.default_rng(3)
    coefficients, vectors = rng.normal(size=(4, 11)), rng.normal(size=(11, 3, 2)) + 1j * rng.normal(size=(11, 3, 2))
    exact = np.einsum("tk,kab->tab", coefficients, vectors)
    for held in (1, 3, 4, 11, 50):
        monkeypatch.setattr(series, "BLOCK_BYTES", held * vectors[0].nbytes)
        out = np.full((4, 3, 2), np.nan, dtype=complex)
        series.sum_series(coefficients, iter(vectors), out)
        assert_allclose(out, exact, atol=1e-13)


def test_the_share_of_an_error_goes_by_time(monkeypatch):
    """Half of the tolerance, over the whole way, is what the pieces of a series may add up to."""
    shares = []
    for module, solve in ((schroedinger, sesolve), (lindblad, mesolve)):
        kept = module._evolution
        monkeypatch.setattr(module, "_evolution", lambda *about, kept=kept: shares.append(about[-1]) or kept(*about))
        solve([(1.0, matrix(2)), (4.0, matrix(2, 1))], ket(2), [0.5, 1.0, 4.5], tol=1e-6)
    assert_allclose(shares, [0.5e-6 / 4.0] * 4)


def test_norms_of_a_generator_are_in_the_unit_of_rates():
    """2 |H - centre| / hbar + 2 sum |c|^2, whatever constant H has."""
    c = [jump(3, 3), jump(3, 4)]
    for h in (matrix(3), matrix(3) + 9.0 * np.eye(3)):
        found = lindblad._generator(h, c, HBAR)
        expected = np.ptp(np.linalg.eigvalsh(h)) / HBAR + 2 * sum(np.linalg.norm(one, 2) ** 2 for one in c)
        assert found.norm == pytest.approx(expected)
        rho = np.outer(ket(3), ket(3).conj())
        assert_allclose(found(rho).ravel(), liouvillian(h, c, HBAR) @ rho.ravel(), atol=1e-13)


@pytest.mark.parametrize(("solve", "digits"), [(sesolve, 51), (mesolve, 50)])
def test_rounding_adds_up_over_a_train(solve, digits):
    """Two pulses, each of half of what the whole way may lose: of kets |H| t, of density matrices twice that."""
    h, most = np.diag([1.0, -1.0]), 1e-12 * 2.0**digits
    for share, taken in ((0.499, True), (0.501, False)):
        train = [(share * most, h), (share * most, -h)]
        if taken:
            solve(train, [0.6, 0.8j], [0.0, 2 * share * most], tol=1e-12)
            continue
        with pytest.raises(ValueError, match="twice the rounding error"):
            solve(train, [0.6, 0.8j], [0.0, 2 * share * most], tol=1e-12)


def test_pieces_are_no_longer_than_asked():
    stretch = timeline.Stretch(matrix(2), 1.9, np.array([0.2, 1.0, 1.7]))
    pieces = list(timeline._pieces(stretch, 1.0))
    assert len(pieces) == 2
    assert_allclose(pieces[0][0], [0.2, 0.95])
    assert_allclose(pieces[1][0], [0.05, 0.75, 0.95])
    assert [saved for _, saved in pieces] == [1, 2]
    ((spans, saved),) = timeline._pieces(timeline.Stretch(matrix(2), 1.9, np.array([1.9])), np.inf)
    assert (spans.tolist(), saved) == ([1.9], 1)
