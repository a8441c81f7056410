"""The oracle for density matrices against exact solutions, against QuTiP, and against its own promises."""

import numpy as np
import pytest
import qutip
from numpy.testing import assert_allclose
from scipy import sparse
from scipy.linalg import expm

from qm_reference import lindblad, mesolve, series, sesolve

LOWER = np.array([[0.0, 1.0], [0.0, 0.0]])
SIGMA_X = np.array([[0.0, 1.0], [1.0, 0.0]])
SIGMA_Y = np.array([[0.0, -1j], [1j, 0.0]])
SIGMA_Z = np.diag([1.0, -1.0])


@pytest.fixture(params=["superoperator", "Taylor"])
def method(request, monkeypatch):
    """Either method, whatever the costs say."""

    def evolution(stretch, generator, share):
        if request.param == "Taylor":
            return lindblad._Taylor(generator, share)
        return lindblad._Superoperator(generator)

    monkeypatch.setattr(lindblad, "_evolution", evolution)
    return request.param


@pytest.fixture
def rng():
    return np.random.default_rng(20261)


def random_matrix(rng, size):
    return (rng.normal(size=(size, size)) + 1j * rng.normal(size=(size, size))) / np.sqrt(2.0 * size)


def random_case(rng, size, jumps):
    """H, rho0 and c_ops without any symmetry."""
    H, root = random_matrix(rng, size), random_matrix(rng, size)
    rho = root @ root.conj().T
    return H + H.conj().T, rho / np.trace(rho), [random_matrix(rng, size) for _ in range(jumps)]


def distance(left, right):
    """The largest trace norm of the difference."""
    return max(np.abs(np.linalg.eigvalsh(a - b)).sum() for a, b in zip(left, right))


def textbook_superoperator(H, c_ops, hbar=1.0):
    """L column by column, straight from the equation."""
    size = len(H)
    columns = []
    for unit in np.eye(size * size).reshape(-1, size, size):
        flow = -1j / hbar * (H @ unit - unit @ H)
        for c in c_ops:
            decay = c.conj().T @ c
            flow = flow + c @ unit @ c.conj().T - 0.5 * (decay @ unit + unit @ decay)
        columns.append(flow.ravel())
    return np.array(columns).T


# Exact solutions


@pytest.mark.usefixtures("method")
def test_damped_qubit():
    splitting, decay, times = 1.7, 0.3, np.linspace(0.0, 9.0, 19)
    psi0 = np.array([0.6, 0.8j])
    rhos = mesolve(np.diag([0.0, splitting]), psi0, times, [np.sqrt(decay) * LOWER])
    excited = 0.64 * np.exp(-decay * times)
    coherence = 0.6 * np.conj(0.8j) * np.exp((1j * splitting - 0.5 * decay) * times)
    exact = np.array([[1.0 - excited, coherence], [coherence.conj(), excited]]).transpose(2, 0, 1)
    assert distance(rhos, exact) < 1e-8


@pytest.mark.usefixtures("method")
def test_dephasing_leaves_populations_alone():
    rate, times = 0.4, np.linspace(2.0, 7.0, 11)
    rho0 = np.array([[0.3, 0.2 + 0.1j], [0.2 - 0.1j, 0.7]])
    rhos = mesolve(np.zeros((2, 2)), rho0, times, (np.sqrt(0.5 * rate) * SIGMA_Z,))
    assert_allclose(rhos[:, 0, 0], 0.3, atol=1e-8)
    assert_allclose(rhos[:, 0, 1], (0.2 + 0.1j) * np.exp(-rate * (times - 2.0)), atol=1e-8)


@pytest.mark.parametrize(("rate", "rabi"), [(0.5, 2.0), (2.0, 1.0), (200.0, 1.0)])
@pytest.mark.usefixtures("method")
def test_dephased_rabi_oscillation_free_critical_and_frozen(rate, rabi):
    """With z'' + rate z' + rabi^2 z = 0: at rate = 2 rabi the Liouvillian is defective, far above it stiff."""
    times = np.linspace(0.0, 8.0, 17)
    root = np.sqrt(complex(0.25 * rate**2 - rabi**2))
    rising = times * np.exp(-0.5 * rate * times) if root == 0.0 else _sinh(root, 0.5 * rate, times) / root
    exact = _cosh(root, 0.5 * rate, times) + 0.5 * rate * rising
    rhos = mesolve(0.5 * rabi * SIGMA_X, [1.0, 0.0], times, [np.sqrt(0.5 * rate) * SIGMA_Z])
    assert_allclose(np.einsum("tij,ji->t", rhos, SIGMA_Z), exact, atol=1e-8)


def _sinh(root, decay, times):
    return 0.5 * (np.exp((root - decay) * times) - np.exp(-(root + decay) * times))


def _cosh(root, decay, times):
    return 0.5 * (np.exp((root - decay) * times) + np.exp(-(root + decay) * times))


def test_stiff_qubit_reaches_its_steady_state():
    """Resonance fluorescence: p_1 = s / (2 (1 + s)) with s = 2 rabi^2 / decay^2."""
    rabi, decay = 3.0e3, 1.0e3
    rhos = mesolve(0.5 * rabi * SIGMA_X, [1.0, 0.0], [0.0, 1.0, 10.0], [np.sqrt(decay) * LOWER])
    saturation = 2.0 * (rabi / decay) ** 2
    assert_allclose(rhos[1:, 1, 1], 0.5 * saturation / (1.0 + saturation), atol=1e-8)


def test_damped_coherent_state_stays_coherent():
    """alpha(t) = alpha exp(-(i w + kappa/2) t) in a sparse, truncated oscillator."""
    size, frequency, kappa, alpha = 40, 1.0, 0.5, 1.5
    lower = sparse.diags_array([np.sqrt(np.arange(1.0, size))], offsets=[1], format="csr")
    number = sparse.diags_array(np.arange(float(size)), format="csr")
    times = np.linspace(0.0, 4.0, 9)

    def coherent(amplitude):
        ratios = amplitude / np.sqrt(np.arange(1, size))
        return np.exp(-0.5 * abs(amplitude) ** 2) * np.cumprod(np.append(1.0, ratios))

    kets = [coherent(alpha * np.exp(-(1j * frequency + 0.5 * kappa) * time)) for time in times]
    rhos = mesolve(frequency * number, kets[0], times, [np.sqrt(kappa) * lower])
    assert distance(rhos, [np.outer(ket, ket.conj()) for ket in kets]) < 1e-8


@pytest.mark.usefixtures("method")
def test_random_case_follows_the_equation_as_written(rng):
    H, rho0, c_ops = random_case(rng, 4, 3)
    times = np.array([0.5, 0.6, 1.5, 4.0])
    L = textbook_superoperator(H, c_ops, hbar=0.5)
    exact = [(expm(L * (time - 0.5)) @ rho0.ravel()).reshape(4, 4) for time in times]
    assert distance(mesolve(H, rho0, times, c_ops, hbar=0.5), exact) < 1e-8


@pytest.mark.usefixtures("method")
def test_pulses_with_save_times_inside_on_and_off_their_edges(rng):
    size, durations = 3, (0.5, 1.0, 2.0)
    _, rho0, c_ops = random_case(rng, size, 2)
    matrices = [random_case(rng, size, 0)[0] for _ in durations]
    times = np.array([0.0, 0.3, 0.5, 1.1, 3.25, 3.5])  # one edge, at 1.5, is not saved

    def exact(time):
        vector, start = rho0.ravel(), 0.0
        for duration, matrix in zip(durations, matrices):
            inside = np.clip(time - start, 0.0, duration)
            vector, start = expm(textbook_superoperator(matrix, c_ops) * inside) @ vector, start + duration
        return vector.reshape(size, size)

    rhos = mesolve(list(zip(durations, matrices)), rho0, times, c_ops)
    assert distance(rhos, [exact(time) for time in times]) < 1e-8
    assert distance(mesolve(list(zip(durations, matrices)), rhos[3], times[3:], c_ops), rhos[3:]) < 1e-8


@pytest.mark.parametrize(
    ("c_ops", "share"), [([], 0.29192658172642894), ([[[0.0, 0.3], [0.0, 0.0]]], 0.3790699105547264)]
)
def test_a_pulse_that_holds_no_save_time(c_ops, share):
    rhos = mesolve([(1.0, SIGMA_X), (1.0, SIGMA_Z)], [1.0, 0.0], [0.0, 2.0], c_ops)
    assert_allclose(rhos[1, 0, 0], share, atol=1e-8)


def test_trains_of_any_kind_with_few_save_times(rng):
    """Many short pulses, as of a sampled drive or a circuit, with none, one or several save times in each."""
    _, rho0, c_ops = random_case(rng, 3, 2)
    train = [(duration, random_case(rng, 3, 0)[0]) for duration in rng.uniform(0.01, 0.3, size=40)]
    ends = np.cumsum([duration for duration, _ in train])
    exact = [rho0.ravel()]
    for duration, matrix in train:
        exact.append(expm(textbook_superoperator(matrix, c_ops) * duration) @ exact[-1])
    for saved in ([39], [3, 4, 39], range(40), [0]):
        rhos = mesolve(train, rho0, [0.0, *ends[list(saved)]], c_ops)
        assert distance(rhos[1:], [exact[row + 1].reshape(3, 3) for row in saved]) < 1e-8
    within = ends[10] + np.array([0.2, 0.8]) * train[11][0]
    rhos = mesolve(train, rho0, [0.0, *within, ends[-1]], c_ops)
    assert distance(rhos[-1:], [exact[-1].reshape(3, 3)]) < 1e-8


@pytest.mark.usefixtures("method")
def test_without_jumps_it_is_the_schroedinger_equation(rng):
    H, _, _ = random_case(rng, 5, 0)
    psi0, times = np.eye(5)[2], np.linspace(0.0, 6.0, 7)
    kets = sesolve(H, psi0, times, hbar=0.7)
    assert distance(mesolve(H, psi0, times, hbar=0.7), [np.outer(ket, ket.conj()) for ket in kets]) < 1e-8


# Against QuTiP


@pytest.mark.parametrize(("size", "jumps"), [(2, 1), (3, 2), (6, 3)])
@pytest.mark.usefixtures("method")
def test_agrees_with_qutip_on_random_cases(size, jumps, rng):
    H, rho0, c_ops = random_case(rng, size, jumps)
    times = np.linspace(0.0, 3.0, 7)
    theirs = qutip_densities(qutip.Qobj(H), qutip.Qobj(rho0), times, [qutip.Qobj(c) for c in c_ops])
    assert distance(mesolve(H, rho0, times, c_ops), theirs) < 1e-8


def test_agrees_with_qutip_on_a_driven_thermal_oscillator():
    size, times = 36, np.linspace(0.0, 2.0, 5)
    a = qutip.destroy(size)
    H = a.dag() * a + 0.4 * (a + a.dag())
    c_ops = [np.sqrt(0.6) * a, np.sqrt(0.2) * a.dag()]
    psi0 = qutip.basis(size, 1)
    assert distance(mesolve(H, psi0, times, c_ops), qutip_densities(H, psi0, times, c_ops)) < 1e-8


def qutip_densities(H, rho0, times, c_ops):
    options = {"method": "vern9", "atol": 1e-13, "rtol": 1e-12, "nsteps": 100_000, "progress_bar": ""}
    return [state.full() for state in qutip.mesolve(H, rho0, times, c_ops=c_ops, options=options).states]


# The promises


def test_sparse_and_dense_operators_agree(rng):
    size = 48
    H = sparse.random_array((size, size), density=0.05, rng=rng) + 1j * sparse.random_array(
        (size, size), density=0.05, rng=rng
    )
    H, jump = H + H.conj().T, sparse.random_array((size, size), density=0.03, rng=rng)
    times = np.linspace(0.0, 2.0, 4)
    sparsely = mesolve(H, np.eye(size)[0], times, [jump])
    assert distance(sparsely, mesolve(H.toarray(), np.eye(size)[0], times, [jump.toarray()])) < 1e-9


@pytest.mark.usefixtures("method")
def test_trace_hermiticity_and_positivity_are_kept(rng):
    H, rho0, c_ops = random_case(rng, 6, 2)
    rhos = mesolve(H, rho0, np.linspace(0.0, 40.0, 9), c_ops)
    assert_allclose(np.trace(rhos, axis1=1, axis2=2), 1.0, atol=1e-12)
    assert np.array_equal(rhos[1:], rhos[1:].conj().swapaxes(1, 2))
    assert min(np.linalg.eigvalsh(rho)[0] for rho in rhos) > -1e-12


@pytest.mark.parametrize("tol", [1e-3, 1e-6, 1e-9, 1e-12])
def test_error_of_the_taylor_series_keeps_within_tol(tol, monkeypatch):
    """Opposite ends of the spectrum and a decay besides: |L| is nearly as large as its bound."""
    monkeypatch.setattr(lindblad, "_evolution", lambda _, generator, share: lindblad._Taylor(generator, share))
    H, c_ops, times = np.diag([-1.0, 1.0]), [0.1 * LOWER], np.linspace(0.0, 20.0, 6)
    L = textbook_superoperator(H, c_ops)
    rho0 = 0.5 * np.ones((2, 2))
    exact = [(expm(L * time) @ rho0.ravel()).reshape(2, 2) for time in times]
    error = distance(mesolve(H, rho0, times, c_ops, tol=tol), exact)
    assert error <= tol
    if tol >= 1e-9:  # above rounding: not so much better than asked that the bound would say nothing
        assert error >= 1e-4 * tol


@pytest.mark.parametrize("z", [0.0, 1e-300, 0.01, 1.0, 4.0])
def test_taylor_terms_bound_the_remainder_without_waste(z):
    for tol in (1e-3, 1e-8, 1e-16):
        terms = series.taylor_terms(z, tol)
        further = series.taylor_coefficients(np.array([z]), terms + 200)[0]
        assert further[terms:].sum() <= tol
        assert terms <= z + 1 or further[terms - 1 :].sum() > 0.5 * tol


def test_cost_decides_between_the_methods(rng):
    H, _, c_ops = random_case(rng, 8, 2)
    assert isinstance(chosen(H, c_ops, np.linspace(0.0, 1e4, 50)), lindblad._Superoperator)
    assert isinstance(chosen(H, c_ops, np.sort(rng.uniform(0.0, 1.0, 50))), lindblad._Taylor)
    large = sparse.eye_array(200, format="csr")
    assert isinstance(chosen(large, [large], np.array([0.0, 1e6])), lindblad._Taylor)


def chosen(H, c_ops, times):
    pulses = lindblad.as_pulses(H)
    (stretch,) = lindblad.stretches(pulses, times)
    generator = lindblad._generator(stretch.hamiltonian, lindblad.as_jumps(c_ops, H.shape[0]), 1.0)
    return lindblad._evolution(stretch, generator, 1e-8 / times[-1])


def test_even_steps_share_one_propagator(monkeypatch, rng):
    H, rho0, c_ops = random_case(rng, 3, 1)
    made = []
    monkeypatch.setattr("scipy.linalg.expm", lambda matrix: made.append(1) or expm(matrix))
    mesolve(H, rho0, np.linspace(0.0, 300.0, 1001), c_ops)
    assert len(made) == 1


@pytest.mark.usefixtures("method")
def test_trivial_cases():
    assert_allclose(mesolve([[2.0]], [[1.0]], [0.0, 3.0]), np.ones((2, 1, 1)))
    rho0 = np.diag([0.25, 0.75])
    assert_allclose(mesolve(3.0 * np.eye(2), rho0, [1.0, 3.0, 9.0]), [rho0] * 3, atol=1e-15)
    assert_allclose(mesolve(SIGMA_Y, rho0, [5.0], [LOWER]), [rho0])


# Refusals


@pytest.mark.parametrize(
    ("change", "kind", "sentence"),
    [
        ({"H": [[0.0, 1.0], [0.0, 0.0]]}, ValueError, "H must be Hermitian"),
        ({"rho0": np.eye(3) / 3.0}, ValueError, r"rho0 must have shape \(2, 2\) like H, but has shape \(3, 3\)"),
        ({"rho0": np.ones((2, 3))}, ValueError, r"rho0 must be a square matrix, but has shape \(2, 3\)"),
        ({"rho0": [1.0, 0.0, 0.0]}, ValueError, r"rho0 must be a ket of shape \(2,\) like H, but has shape \(3,\)"),
        ({"rho0": [1.0, 1.0]}, ValueError, "rho0 must be normalised"),
        ({"rho0": [[0.5, 0.5], [0.1, 0.5]]}, ValueError, "rho0 must be Hermitian"),
        ({"rho0": np.eye(2)}, ValueError, "rho0 must have trace 1 to 1e-08, but its trace is 2;"),
        ({"rho0": np.diag([1.1, -0.1])}, ValueError, "rho0 must have no eigenvalue below -1e-08, but has -0.1,"),
        ({"rho0": np.diag([np.nan, 1.0])}, ValueError, r"rho0 must be finite, but rho0\[0, 0\] is nan"),
        ({"c_ops": LOWER}, TypeError, r"c_ops must be a list of matrices, but is ndarray; write \[c\]"),
        ({"c_ops": [LOWER, np.eye(3)]}, ValueError, r"c_ops\[1\] must have shape \(2, 2\) like H"),
        ({"c_ops": [np.ones(2)]}, ValueError, r"c_ops\[0\] must be a square matrix"),
        ({"c_ops": [np.full((2, 2), np.inf)]}, ValueError, r"c_ops\[0\] must be finite"),
        ({"c_ops": [None]}, TypeError, r"c_ops\[0\] must be an array of numbers"),
        ({"rho0": [[1.0, 0.0]]}, ValueError, "rho0 must be a ket, but is a bra"),
        ({"rho0": np.ma.array([1.0, 0.0], mask=[0, 1])}, ValueError, "rho0 must have no masked entries"),
        ({"rho0": qutip.basis([2, 1], [0, 0]), "H": qutip.sigmax()}, ValueError, "rho0 must live in the tensor space"),
        (
            {"c_ops": [qutip.tensor(qutip.sigmax(), qutip.qeye(1))], "H": qutip.sigmax()},
            ValueError,
            r"c_ops\[0\] must l",
        ),
        ({"tlist": [0.0, 0.0]}, ValueError, "tlist must increase strictly"),
        ({"H": [(0.5, SIGMA_X)]}, ValueError, "tlist must end within the pulses"),
        ({"hbar": -1.0}, ValueError, "hbar must be finite and > 0, but is -1;"),
        ({"tol": 0.0}, ValueError, "tol must be finite and > 0, but is 0;"),
        ({"tlist": [0.0, 1e9]}, ValueError, "tol must be at least twice the rounding error"),
        ({"c_ops": [1e200 * LOWER]}, ValueError, "tol must be at least twice the rounding error"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(change, kind, sentence):
    arguments = {"H": SIGMA_X, "rho0": [1.0, 0.0], "tlist": [0.0, 1.0], "c_ops": [LOWER], **change}
    with pytest.raises(kind, match=sentence) as refusal:
        mesolve(**arguments)
    assert type(refusal.value) is kind
