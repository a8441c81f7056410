"""The oracle for kets against exact solutions, against QuTiP, and against its own promises."""

import subprocess
import sys

import numpy as np
import pytest
import qutip
from numpy.testing import assert_allclose
from scipy import sparse
from scipy.linalg import expm
from scipy.special import jv

from qm_reference import schroedinger, series, sesolve

PLUS = np.array([1.0, 1.0]) / np.sqrt(2.0)
FLIP = np.array([[0.0, 1.0], [1.0, 0.0]])
PAIR, RIAP = qutip.tensor(qutip.sigmax(), qutip.qeye(3)), qutip.tensor(qutip.qeye(3), qutip.sigmax())
PU = qutip.tensor(qutip.basis(3, 0), qutip.basis(2, 0))


@pytest.fixture(params=["diagonalisation", "Chebyshev"])
def method(request, monkeypatch):
    """Either method, whatever the costs say."""

    def evolution(stretch, energies, hbar, share):
        if request.param == "Chebyshev":
            return schroedinger._Chebyshev(stretch.hamiltonian, energies, hbar, share)
        return schroedinger._Eigenbasis(stretch.hamiltonian, energies, hbar)

    monkeypatch.setattr(schroedinger, "_evolution", evolution)
    return request.param


@pytest.fixture
def rng():
    return np.random.default_rng(20260)


def random_hermitian(rng, size):
    matrix = rng.normal(size=(size, size)) + 1j * rng.normal(size=(size, size))
    return (matrix + matrix.conj().T) / np.sqrt(8.0 * size)


def random_ket(rng, size):
    ket = rng.normal(size=size) + 1j * rng.normal(size=size)
    return ket / np.linalg.norm(ket)


def chain(size, hopping=-1.0, onsite=None):
    hops = np.full(size - 1, hopping)
    return sparse.diags_array(
        [hops.conj(), np.zeros(size) if onsite is None else onsite, hops], offsets=[-1, 0, 1], format="csr"
    )


def errors(kets, exact):
    return np.linalg.norm(kets - exact, axis=-1)


# Exact solutions


@pytest.mark.usefixtures("method")
def test_rabi_oscillation_with_detuning_and_complex_coupling():
    detuning, coupling, hbar = 0.7, 1.3 * np.exp(0.4j), 2.0
    H = 0.5 * hbar * np.array([[detuning, np.conj(coupling)], [coupling, -detuning]])
    times = np.linspace(0.0, 25.0, 41)
    rate = np.hypot(detuning, abs(coupling))
    turn = np.sin(0.5 * rate * times)
    exact = np.array([np.cos(0.5 * rate * times) - 1j * detuning / rate * turn, -1j * coupling / rate * turn]).T
    assert errors(sesolve(H, [1.0, 0.0], times, hbar=hbar), exact).max() < 1e-10


@pytest.mark.usefixtures("method")
def test_free_particle_on_a_lattice_spreads_as_bessel_functions():
    size, hopping, times = 241, 1.5, np.linspace(0.0, 20.0, 33)
    sites = np.arange(size) - size // 2
    start = (sites == 0).astype(float)
    exact = 1j**sites * jv(sites, 2.0 * hopping * times[:, None])
    assert errors(sesolve(chain(size, -hopping), start, times), exact).max() < 1e-10


@pytest.mark.usefixtures("method")
def test_plane_wave_on_a_ring_with_flux_turns_at_its_own_energy():
    size, flux, number = 60, 0.9, 7
    hop = -np.exp(1j * flux / size)
    H = sparse.csr_array(np.roll(np.eye(size), 1, axis=0) * hop)
    H = H + H.conj().T
    wave = 2.0 * np.pi * number / size
    psi0 = np.exp(1j * wave * np.arange(size)) / np.sqrt(size)
    times = np.linspace(0.0, 30.0, 16)
    energy = -2.0 * np.cos(wave - flux / size)
    assert errors(sesolve(H, psi0, times), np.exp(-1j * energy * times)[:, None] * psi0).max() < 1e-10


@pytest.mark.usefixtures("method")
def test_pulses_with_save_times_inside_on_and_off_their_edges(rng):
    size, durations = 6, (0.5, 1.25, 0.25, 3.0)
    matrices = [3.0 * random_hermitian(rng, size) for _ in durations]
    psi0 = random_ket(rng, size)
    times = np.array([0.0, 0.2, 0.5, 0.6, 1.75, 1.9, 4.0, 5.0])  # one edge, at 2, is not saved

    def exact(time):
        ket, start = psi0, 0.0
        for duration, matrix in zip(durations, matrices):
            inside = np.clip(time - start, 0.0, duration)
            ket, start = expm(-1j * matrix * inside) @ ket, start + duration
        return ket

    kets = sesolve(list(zip(durations, matrices)), psi0, times)
    assert errors(kets, [exact(time) for time in times]).max() < 1e-10
    late = times[3:]  # begins inside the second pulse
    assert errors(sesolve(tuple(zip(durations, matrices)), kets[3], late), kets[3:]).max() < 1e-10


def test_a_pi_pulse_is_the_difference_between_its_edges():
    train = [(1.0, np.zeros((2, 2))), (np.pi / 2.0, FLIP), (2.0, [[0.0, 0.0], [0.0, 0.0]])]
    kets = sesolve(train, [1.0, 0.0], [0.0, 1.0, 1.0 + np.pi / 2.0, 4.0])
    assert_allclose(kets, [[1.0, 0.0], [1.0, 0.0], [0.0, -1j], [0.0, -1j]], atol=1e-14)


@pytest.mark.usefixtures("method")
def test_first_time_is_the_time_of_preparation(rng):
    H, psi0 = random_hermitian(rng, 5), random_ket(rng, 5)
    times = np.array([7.0, 7.5, 9.0])
    kets = sesolve(H, psi0, times)
    assert np.array_equal(kets[0], psi0)
    assert errors(kets, sesolve(H, psi0, times - 7.0)).max() < 1e-13


def test_last_save_time_may_miss_the_end_of_the_pulses_by_rounding():
    train = [(0.1, FLIP)] * 3
    assert sum([0.1] * 3) != 0.3
    for end in (0.3, sum([0.1] * 3), 0.3 * (1.0 + 0.9e-12)):
        assert_allclose(sesolve(train, [1.0, 0.0], [0.0, end])[1], [np.cos(0.3), -1j * np.sin(0.3)], atol=1e-12)


# Against QuTiP


def test_agrees_with_qutip_on_a_dense_hamiltonian(rng):
    H, psi0, times = 2.0 * random_hermitian(rng, 24), random_ket(rng, 24), np.linspace(0.0, 6.0, 13)
    theirs = qutip_kets(qutip.Qobj(H), qutip.Qobj(psi0), times)
    assert errors(sesolve(H, psi0, times), theirs).max() < 1e-9


def test_agrees_with_qutip_on_a_sparse_disordered_lattice(rng):
    size = 300
    H = chain(size, -1.0 + 0.0j, rng.uniform(-1.0, 1.0, size))
    psi0, times = random_ket(rng, size), np.linspace(1.0, 5.0, 9)
    theirs = qutip_kets(qutip.Qobj(sparse.csr_matrix(H)), qutip.Qobj(psi0), times)
    assert errors(sesolve(H, psi0, times), theirs).max() < 1e-9


def qutip_kets(H, psi0, times):
    options = {"method": "vern9", "atol": 1e-13, "rtol": 1e-13, "nsteps": 100_000, "progress_bar": ""}
    return np.array([state.full()[:, 0] for state in qutip.sesolve(H, psi0, times, options=options).states])


def test_takes_what_qutip_makes():
    times, psi0 = [0.0, 0.4, 2.0], qutip.basis(2, 0)
    exact = sesolve(FLIP, [1.0, 0.0], times)
    for kind in ("CSR", "Dia", "Dense"):
        assert_allclose(sesolve(qutip.sigmax().to(kind), psi0, times), exact, atol=1e-14)
    assert_allclose(sesolve([(2.0, qutip.sigmax())], psi0, times), exact, atol=1e-14)


# The promises


def test_the_two_methods_agree(rng):
    size = 400
    H = chain(size, 0.5 - 1.0j, rng.normal(size=size))
    psi0, times = random_ket(rng, size), np.linspace(0.0, 12.0, 25)
    assert isinstance(chosen(H, 12.0), schroedinger._Chebyshev)
    dense = H.toarray()
    energies, modes = np.linalg.eigh(dense)
    exact = (np.exp(-1j * np.outer(times, energies)) * (modes.conj().T @ psi0)) @ modes.T
    assert errors(sesolve(H, psi0, times), exact).max() < 1e-11
    assert errors(sesolve(dense, psi0, times), exact).max() < 1e-11


@pytest.mark.parametrize(
    ("H", "span", "kind"),
    [
        (chain(64).toarray(), 10.0, schroedinger._Eigenbasis),
        (chain(64), 10.0, schroedinger._Eigenbasis),
        (chain(4096), 10.0, schroedinger._Chebyshev),
        (chain(512), 5.0, schroedinger._Chebyshev),
        (chain(512), 5000.0, schroedinger._Eigenbasis),
    ],
)
def test_the_cheaper_method_is_chosen(H, span, kind):
    assert isinstance(chosen(H, span), kind)


def chosen(H, span):
    pulses = schroedinger.as_pulses(H)
    (stretch,) = schroedinger.stretches(pulses, np.array([0.0, span]))
    return schroedinger._evolution(stretch, schroedinger.gershgorin_band(stretch.hamiltonian), 1.0, 1e-10 / span)


@pytest.mark.parametrize("span", [0.3, 12.0, 700.0])
@pytest.mark.parametrize("tol", [1e-3, 1e-6, 1e-9, 1e-12])
def test_error_of_the_chebyshev_series_keeps_within_tol(tol, span, monkeypatch):
    """The chain's own modes carry the largest error: the bound is attained, to a factor, at the edge of the band."""
    monkeypatch.setattr(
        schroedinger, "_evolution", lambda *about: schroedinger._Chebyshev(about[0].hamiltonian, *about[1:])
    )
    size = 120
    waves = np.pi * np.arange(1, size + 1) / (size + 1)
    modes = np.sqrt(2.0 / (size + 1)) * np.sin(np.outer(np.arange(1, size + 1), waves))
    times = np.linspace(0.0, span, 7)
    worst = 0.0
    for mode in (0, 17, 60, 119):
        turning = np.exp(2j * np.cos(waves[mode]) * times)
        worst = max(
            worst, errors(sesolve(chain(size), modes[mode], times, tol=tol), turning[:, None] * modes[mode]).max()
        )
    assert worst <= tol
    if tol >= 1e-9:  # above rounding: not so much better than asked that the bound would say nothing
        assert worst >= 1e-5 * tol


def test_fewer_terms_than_the_bound_asks_for_break_the_promise(monkeypatch):
    psi0, times = np.eye(300)[150], [0.0, 20.0]
    exact = sesolve(chain(300), psi0, times, tol=1e-13)
    assert errors(sesolve(chain(300), psi0, times, tol=1e-8), exact).max() <= 1e-8
    needed = series.bessel_terms
    monkeypatch.setattr(schroedinger, "bessel_terms", lambda z, tol: needed(z, tol) - 6)
    assert errors(sesolve(chain(300), psi0, times, tol=1e-8), exact).max() > 1e-8


@pytest.mark.parametrize("z", [0.0, 1e-300, 1e-8, 0.3, 4.0, 40.0, 200.0, 2000.0])
def test_bessel_terms_bound_the_tail_without_waste(z):
    for tol in (1e-3, 1e-8, 1e-13):
        terms = series.bessel_terms(z, tol)
        tail = 4.0 * np.abs(jv(np.arange(terms, terms + 400), z)).sum()
        assert tail <= tol
        least = max(1, int(0.9 * terms) - 3)
        assert terms <= z + 1 or least < z or 4.0 * abs(jv(least, z)) > tol


def test_bessel_coefficients_are_those_of_scipy():
    z = np.array([0.0, 1e-9, 0.7, 12.0, 88.0, 150.0])
    terms = series.bessel_terms(z[-1], 1e-15)
    exact = np.where(np.arange(terms) == 0, 1.0, 2.0) * jv(np.arange(terms), z[:, None])
    assert_allclose(series.bessel_coefficients(z, terms), exact, atol=3e-14)


def test_neither_blocks_nor_pieces_change_the_result(rng, monkeypatch):
    size = 500
    H, psi0 = chain(size, -1.0 + 0.5j), random_ket(rng, size)
    times = np.concatenate([np.linspace(0.0, 40.0, 81), [40.001, 90.0]])  # several in a piece, and none
    whole = sesolve(H, psi0, times)
    monkeypatch.setattr(series, "BLOCK_BYTES", 7 * psi0.nbytes)
    assert errors(sesolve(H, psi0, times), whole).max() < 1e-13
    monkeypatch.setattr(schroedinger, "LONGEST_ANGLE", 5.0 * schroedinger.gershgorin_band(H).radius)  # pieces of 5
    assert errors(sesolve(H, psi0, times), whole).max() < 1e-11


@pytest.mark.usefixtures("method")
def test_norm_is_kept_and_time_reverses(rng):
    H, psi0, times = random_hermitian(rng, 40), random_ket(rng, 40), np.linspace(0.0, 50.0, 11)
    kets = sesolve(H, psi0, times)
    assert_allclose(np.linalg.norm(kets, axis=1), 1.0, atol=1e-12)
    back = sesolve(-H, kets[-1] / np.linalg.norm(kets[-1]), times)
    assert errors(back, kets[::-1]).max() < 1e-11


@pytest.mark.usefixtures("method")
def test_hbar_sets_the_unit_of_time(rng):
    H, psi0, times = random_hermitian(rng, 8), random_ket(rng, 8), np.linspace(0.0, 3.0, 5)
    assert errors(sesolve(H, psi0, times, hbar=0.25), sesolve(4.0 * H, psi0, times)).max() < 1e-12


@pytest.mark.usefixtures("method")
def test_a_constant_energy_is_a_phase(rng):
    H, psi0, times = random_hermitian(rng, 8), random_ket(rng, 8), np.linspace(0.0, 3.0, 5)
    lifted = sesolve(sparse.csr_array(H + 100.0 * np.eye(8)), psi0, times)
    assert errors(lifted, np.exp(-100j * times)[:, None] * sesolve(H, psi0, times)).max() < 1e-11


def turned_back(kets, energy, times):
    """The kets without the phase of a constant energy, exp(-i E t), whose angle is known to eighteen digits."""
    angles = np.longdouble(energy) * np.asarray(times, dtype=np.longdouble)
    return kets * (np.cos(angles) + 1j * np.sin(angles)).astype(complex)[:, None]


def test_the_least_tolerance_is_kept_whatever_constant_the_hamiltonian_contains():
    """Energies were diagonalised with the constant in them, whose rounding broke the promise: 2.3e-10 for 1e-10."""
    rng = np.random.default_rng(30)
    A = rng.normal(size=(13, 13))
    H, psi0, times = (A + A.T) / 2 + 1e5 * np.eye(13), np.ones(13) / np.sqrt(13.0), [0.0, 2.24934214765067]
    exact = expm(-1j * times[1] * (H - 1e5 * np.eye(13))) @ psi0
    assert errors(turned_back(sesolve(H, psi0, times), 1e5, times)[1], exact) < 0.1 * 1e-10


@pytest.mark.parametrize("constant", [0.0, 3.0, 1e3, 1e6])
@pytest.mark.usefixtures("method")
def test_the_promise_is_kept_at_the_least_tolerance(constant, rng):
    """20 random cases, each at the tolerance below which a call is refused."""
    for size in range(2, 12):
        H, psi0 = random_hermitian(rng, size), random_ket(rng, size)
        lifted = H + constant * np.eye(size)
        for tol in (1e-12, 1e-10):
            time = 0.999 * tol * 2.0**51 / schroedinger.gershgorin_band(lifted).norm
            times = [0.0, min(time, 300.0)]  # beyond it the reference errs itself
            exact = expm(-1j * times[1] * (lifted - constant * np.eye(size))) @ psi0
            found = turned_back(sesolve(lifted, psi0, times, tol=tol), constant, times)[1]
            assert errors(found, exact) < tol, (size, tol)


@pytest.mark.usefixtures("method")
def test_one_level_and_no_hamiltonian():
    assert_allclose(sesolve([[2.0]], [1.0], [0.0, 1.0])[1], [np.exp(-2j)], atol=1e-15)
    psi0 = np.eye(300)[3]
    assert_allclose(sesolve(sparse.csr_array((300, 300)), psi0, [0.0, 5.0])[1], psi0, atol=1e-15)
    assert_allclose(sesolve(FLIP, PLUS, [4.0]), [PLUS])


@pytest.mark.parametrize(
    "form", [sparse.csr_matrix, sparse.coo_array, sparse.csc_array, sparse.dia_matrix, np.ndarray.tolist]
)
def test_every_form_of_a_matrix_means_the_same(form, rng):
    H, psi0 = random_hermitian(rng, 4), random_ket(rng, 4)
    assert errors(sesolve(form(H), psi0[:, None], [0.0, 2.0]), sesolve(H, psi0, [0.0, 2.0])).max() < 1e-13


def test_inputs_are_left_alone_and_the_result_is_free(rng):
    H, psi0, times = chain(300) + 0j, random_ket(rng, 300), np.linspace(0.0, 1.0, 3)
    doubled = sparse.coo_array((np.ones(2), ([0, 0], [0, 0])), shape=(300, 300)).tocsr()
    for array in (H.data, psi0, times):
        array.setflags(write=False)
    kets = sesolve(H + doubled, psi0, times)
    assert kets.dtype == np.complex128
    assert kets.shape == (3, 300)
    kets[0] = 0.0
    assert np.linalg.norm(psi0) == pytest.approx(1.0)


def test_the_oracle_knows_neither_the_accused_nor_heavy_company():
    strangers = "{'copydyn', 'mesa', 'qutip', 'scipy', 'numba', 'pandas'}"
    code = f"import sys, qm_reference; print(*({strangers} & set(sys.modules)))"
    known = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert known.stdout.split() == []


# Refusals

NAN = float("nan")


@pytest.mark.parametrize(
    ("change", "kind", "sentence"),
    [
        ({"H": np.ones((2, 3))}, ValueError, r"H must be a square matrix, but has shape \(2, 3\)"),
        ({"H": np.ones(2)}, ValueError, r"H must be a square matrix, but has shape \(2,\)"),
        ({"H": np.zeros((0, 0))}, ValueError, "H must act on at least one level"),
        ({"H": []}, ValueError, "H must be a square matrix"),
        ({"H": [[0.0, 1.0], [1.0]]}, TypeError, "H must be an array of numbers"),
        ({"H": "sigmax"}, TypeError, "H must be an array of numbers, but holds <U6 entries"),
        ({"H": FLIP > 0}, TypeError, "H must be an array of numbers, but holds bool entries"),
        ({"H": [[0.0, 1.0], [1.0 + 1e-9, 0.0]]}, ValueError, r"H must be Hermitian.*entry \[0, 1\].*by 1e-09"),
        ({"H": sparse.csr_array([[1.0, 0.0], [2.0, 0.0]])}, ValueError, "H must be Hermitian.*by 2;"),
        ({"H": [[0.0, NAN], [NAN, 0.0]]}, ValueError, r"H must be finite, but H\[0, 1\] is nan"),
        ({"H": sparse.csr_array([[0.0, 0.0], [0.0, np.inf]])}, ValueError, r"H must be finite, but H\[1, 1\] is inf"),
        ({"H": [(0.0, FLIP)]}, ValueError, "the duration of pulse 0 must be finite and > 0, but is 0;"),
        ({"H": [(1.0, FLIP), (-1.0, FLIP)]}, ValueError, "the duration of pulse 1 must be finite and > 0, but is -1;"),
        ({"H": [(NAN, FLIP)]}, ValueError, "the duration of pulse 0 must be finite and > 0, but is nan;"),
        ({"H": [("1", FLIP)]}, TypeError, "the duration of pulse 0 must be a real number, but is '1'"),
        ({"H": [(1.0, FLIP), (1.0, np.eye(3))]}, ValueError, r"H of pulse 1 must have shape \(2, 2\) like the first"),
        ({"H": [(1.0, [[0.0, 1.0], [2.0, 0.0]])]}, ValueError, "H of pulse 0 must be Hermitian"),
        ({"H": [(0.5, FLIP)]}, ValueError, "tlist must end within the pulses, which last 0.5, but ends at 1;"),
        ({"psi0": [1.0, 0.0, 0.0]}, ValueError, r"psi0 must be a ket of shape \(2,\) like H, but has shape \(3,\)"),
        ({"psi0": np.eye(2)}, ValueError, r"psi0 must be a ket of shape \(2,\) like H, but has shape \(2, 2\)"),
        ({"psi0": [[1.0, 0.0]]}, ValueError, r"psi0 must be a ket, but is a bra, of shape \(1, 2\); take its adjoint"),
        ({"psi0": qutip.basis(2, 0).dag()}, ValueError, "psi0 must be a ket, but is a bra"),
        ({"psi0": np.ma.array([1.0, 0.0], mask=[0, 1])}, ValueError, "psi0 must have no masked entries"),
        ({"H": np.ma.array(FLIP, mask=np.eye(2))}, ValueError, "H must have no masked entries"),
        ({"H": PAIR, "psi0": PU}, ValueError, r"psi0 must live in the tensor space \[2, 3\] of H, .* in \[3, 2\]"),
        (
            {"H": [(1.0, PAIR), (1.0, RIAP)], "psi0": np.eye(6)[0]},
            ValueError,
            "H of pulse 1 must live in .* of pulse 0",
        ),
        ({"psi0": [0.0, 0.0]}, ValueError, "psi0 must be a state, but its norm is 0"),
        ({"psi0": [1.0, 1.0]}, ValueError, "psi0 must be normalised to 1e-08, but its squared norm is 2;"),
        ({"psi0": [1.0 + 1e-8, 0.0]}, ValueError, "psi0 must be normalised"),
        ({"psi0": [1e200, 1e200]}, ValueError, "psi0 must be normalised"),
        ({"psi0": [1.0, NAN]}, ValueError, r"psi0 must be finite, but psi0\[1\] is nan"),
        ({"psi0": None}, TypeError, "psi0 must be an array of numbers"),
        ({"tlist": []}, ValueError, "tlist must hold at least one time, but is empty"),
        ({"tlist": 1.0}, ValueError, r"tlist must be one-dimensional, but has shape \(\)"),
        ({"tlist": [0.0, 2.0, 1.0]}, ValueError, r"tlist must increase strictly, but tlist\[2\] = 1 follows 2;"),
        ({"tlist": [0.0, 1.0, 1.0]}, ValueError, r"tlist must increase strictly, but tlist\[2\] = 1 follows 1;"),
        ({"tlist": [-1.0, 1.0]}, ValueError, "tlist must not be negative, but begins at -1;"),
        ({"tlist": [0.0, NAN]}, ValueError, r"tlist must be finite, but tlist\[1\] is nan"),
        ({"tlist": [0.0, 1j]}, ValueError, "tlist must be real, but holds 1j;"),
        ({"tlist": ["now"]}, TypeError, "tlist must be an array of numbers"),
        ({"hbar": 0.0}, ValueError, "hbar must be finite and > 0, but is 0;"),
        ({"hbar": True}, TypeError, "hbar must be a real number, but is True"),
        ({"tol": 1e-16}, ValueError, "tol must be at least 1e-13 and below 1, but is 1e-16;"),
        ({"tol": 2.0}, ValueError, "tol must be at least 1e-13 and below 1, but is 2;"),
        ({"tlist": [0.0, 1e7]}, ValueError, "tol must be at least twice the rounding error .* subtract a constant"),
        ({"H": 1e300 * FLIP, "tlist": [0.0, 1e300]}, ValueError, "tol must be at least twice the rounding error"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(change, kind, sentence):
    arguments = {"H": FLIP, "psi0": [1.0, 0.0], "tlist": [0.0, 1.0], **change}
    with pytest.raises(kind, match=sentence) as refusal:
        sesolve(**arguments)
    assert type(refusal.value) is kind
    assert refusal.value.__suppress_context__ or refusal.value.__context__ is None


def test_rounding_in_what_is_handed_in_is_forgiven():
    nearly = [[0.0, 1.0], [1.0 + 5e-11, 0.0]]
    kets = sesolve(nearly, [np.sqrt(1.0 + 5e-9), 0.0], [0.0, 1.0])
    assert errors(kets[1], np.array([np.cos(1.0), -1j * np.sin(1.0)])) < 1e-8
