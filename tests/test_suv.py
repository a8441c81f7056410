"""Spontaneous unitarity violation: exact in law, Born's rule, projectors of any rank, energy that is not conserved."""

from itertools import pairwise

import numpy as np
import plain_irreversible as plain
import pytest
import qutip
from verdicts import assert_counts, assert_mean, assert_same_law, assert_share

from copydyn import Experiment, Preparation, Schedule, System
from copydyn.experiment.preparations import product
from copydyn.kernels import reducing
from copydyn.systems import coupled_qubits, ising, three_level, two_level
from copydyn.theories import SUV, Schrodinger
from copydyn.theories.irreversible import thermodynamics as thermal
from copydyn.theories.irreversible.reduction import of_matrices, order_parameter, reduction_of

STILL = System(np.zeros((3, 3)))
BORN = np.sqrt([0.5, 0.3, 0.2])


def still(times, psi=BORN):
    return Experiment(System(np.zeros((len(psi), len(psi)))), Preparation(psi), Schedule(times))


def generators(seed, rows):
    return np.random.SeedSequence(seed).generate_state(4 * rows, np.uint64).reshape(rows, 4)


def rotated(size, ranks, seed=0):
    """Projectors of these ranks in a random basis."""
    rng = np.random.default_rng(seed)
    u = np.linalg.qr(rng.normal(size=(size, size)) + 1j * rng.normal(size=(size, size)))[0]
    edges = np.cumsum([0, *ranks])
    return [u[:, a:b] @ u[:, a:b].conj().T for a, b in pairwise(edges)]


# ---- the kernel


@pytest.mark.parametrize("block", [[0, 1, 2, 3], [0, 1, 1, 0]])
@pytest.mark.parametrize("free", [True, False])
def test_the_kernel_is_its_twin(block, free):
    block, psi, steps, span = np.array(block), np.array([0.5, 0.5j, -0.5, 0.5]), 30, 0.1
    rng = np.random.default_rng(1)
    h = rng.normal(size=(4, 4)) + 1j * rng.normal(size=(4, 4))
    energies, vectors = np.linalg.eigh(h + h.conj().T)
    u = (vectors * np.exp(-0.02j * energies)) @ vectors.conj().T
    states = np.tile(psi, (3, 1))
    scratch = np.zeros(block.max() + 1), np.zeros(block.max() + 1), np.zeros(4, complex)
    random_state = generators(3, 3)
    reducing.advance_by_reduction(states, random_state, steps, span, free, np.ascontiguousarray(u.T), block, *scratch)
    for row, state in enumerate(generators(3, 3)):
        twin, dice = psi, plain.Dice(state)
        for step in range(steps):
            if free:
                twin = plain.reduction_step(twin, span, block, dice)
                continue
            twin = u @ plain.reduction_step(twin, span if step else 0.5 * span, block, dice)
        if not free:
            twin = plain.reduction_step(twin, 0.5 * span, block, dice)
        np.testing.assert_allclose(states[row], twin, atol=1e-11)


def test_a_long_step_has_the_law_of_many_short_ones_of_the_equation():
    """Exact in law for any dt (H = 0): p_0 at gamma t = 1 of one step, of 50, and of 400 Euler steps of eq. 7.

    8000 and 4000 runs: a distance of 0.09 would be seen. Control: half the rate is.
    """
    one = np.abs(SUV(1.0).evolve(still([0.0, 1.0]), seed=1, replicas=8000).state.values[:, 1, 0]) ** 2
    times = np.linspace(0, 1, 51)
    many = np.abs(SUV(1.0).evolve(still(times), seed=2, replicas=8000).state.values[:, -1, 0]) ** 2
    rng, p, dt = np.random.default_rng(0), np.tile([0.5, 0.3, 0.2], (4000, 1)), 1.0 / 400
    for _ in range(400):
        dw = rng.normal(size=p.shape) * np.sqrt(dt)
        p = p + 2 * p * (dw - np.sum(p * dw, axis=1, keepdims=True))
        p = np.clip(p, 0, None) / np.clip(p, 0, None).sum(axis=1, keepdims=True)
    assert_same_law(one, many, detects=0.08)
    assert_same_law(one, p[:, 0], detects=0.095)
    slow = np.abs(SUV(0.5).evolve(still([0.0, 1.0]), seed=1, replicas=8000).state.values[:, 1, 0]) ** 2
    with pytest.raises(AssertionError):
        assert_same_law(slow, p[:, 0], detects=0.095)


def test_outcomes_follow_borns_rule():
    """400 000 runs to gamma t = 12; a share off by 0.005 would be seen. As printed: .5005, .2998, .1997."""
    result = SUV(1.0).evolve(still([0.0, 12.0]), seed=1, replicas=400_000, jobs=2)
    counts = np.bincount(result.outcome.values[:, 1], minlength=3)
    for count, share in zip(counts, (0.5, 0.3, 0.2)):
        assert_share(count, 400_000, share, detects=0.006)
    assert np.mean(np.abs(result.state.values[:, 1]).max(axis=1) ** 2 > 0.99) > 0.99


def test_weights_are_martingales_and_coherences_fall():
    result = SUV(1.0).evolve(still([0.0, 0.5, 2.0]), seed=3, replicas=40_000)
    kets = result.state.values
    np.testing.assert_allclose(result.probability, [[0.5, 0.3, 0.2]] * 3, atol=1e-14)
    for time, gone in ((1, np.exp(-0.5)), (2, np.exp(-2.0))):
        assert_mean(np.abs(kets[:, time, 0]) ** 2, 0.5, detects=0.02)
        assert_mean(kets[:, time, 0].real * kets[:, time, 1].real, np.sqrt(0.15) * gone, detects=0.01)
        assert result.density_matrix.values[time, 0, 1].real == pytest.approx(np.sqrt(0.15) * gone, abs=1e-13)


def test_a_very_long_step_neither_overflows_nor_leaves_an_empty_outcome():
    result = SUV(1e6).evolve(still([0.0, 10.0], np.sqrt([0.6, 0.4, 0.0])), seed=1, replicas=3000)
    weights = np.abs(result.state.values[:, 1]) ** 2
    assert np.all(weights[:, 2] == 0.0)
    np.testing.assert_allclose(weights.max(axis=1), 1.0, atol=1e-12)
    assert_counts(np.bincount(result.outcome.values[:, 1], minlength=2), [1800, 1200])


# ---- projectors


def test_blocks_keep_what_is_inside_them():
    """Rank 2: amplitudes within a block keep their ratio in every run, and the block's weight decides."""
    experiment = still([0.0, 8.0], np.array([0.6, 0.3j, 0.5, np.sqrt(0.3)]))
    result = SUV(1.0, [["0", "1"], ["2", "3"]]).evolve(experiment, seed=1, replicas=20_000)
    kets = result.state.values[:, 1]
    np.testing.assert_allclose(kets[:, 1] * 0.6, kets[:, 0] * 0.3j, atol=1e-12)
    assert_share(np.sum(result.outcome.values[:, 1] == 0), 20_000, 0.45, detects=0.03)


@pytest.mark.parametrize("ranks", [(1, 1, 1, 1), (2, 1, 1), (3, 1)])
def test_projectors_in_any_basis_give_the_ensemble_of_qutip(ranks):
    """max|rho - mesolve| <= 1e-9 with c_ops sqrt(gamma) P_k; and 4000 trajectories with H have that mean."""
    projectors = rotated(4, ranks)
    experiment = Experiment(coupled_qubits(), Preparation([0.6, 0.8j, 0, 0]), Schedule([0.0, 0.4, 2.0]))
    result = SUV(0.9, projectors).evolve(experiment, seed=1, replicas=4000)
    options = {"atol": 1e-13, "rtol": 1e-11, "nsteps": 100_000}
    jumps = [qutip.Qobj(np.sqrt(0.9) * one) for one in projectors]
    h = qutip.Qobj(experiment.system.hamiltonian.toarray())
    theirs = qutip.mesolve(h, qutip.Qobj(experiment.ket), experiment.tlist, jumps, options=options)
    for ours, state in zip(result.density_matrix.values, theirs.states):
        assert np.abs(ours - state.full()).max() < 1e-9
    for label in range(4):
        assert_mean(np.abs(result.state.values[:, 2, label]) ** 2, float(result.probability[2, label]), detects=0.05)


def test_matrices_and_labels_say_the_same():
    experiment = Experiment(three_level(), Preparation([0.6, 0.8j, 0]), Schedule([0.0, 1.0]))
    by_matrix = SUV(0.5, [np.diag([1.0, 0, 1]), np.diag([0, 1.0, 0])], scheme="ensemble").evolve(experiment)
    by_label = SUV(0.5, [["0", "2"], ["1"]], scheme="ensemble").evolve(experiment)
    np.testing.assert_array_equal(by_matrix.density_matrix, by_label.density_matrix)


def test_one_projector_that_is_everything_does_nothing():
    experiment = Experiment(three_level(), Preparation([0.6, 0.8j, 0]), Schedule([0.0, 1.0]))
    result = SUV(5.0, [["0", "1", "2"]]).evolve(experiment, seed=1, replicas=2)
    reference = Schrodinger().evolve(experiment)
    np.testing.assert_allclose(result.probability, reference.probability, atol=1e-9)


def test_the_pointer_rule_is_the_sign_of_its_magnetisation():
    system = ising(4)
    values = order_parameter(system)
    assert values[system.labels.index("1000")] == 3.0
    assert values[system.labels.index("0110")] == -1.0
    assert reduction_of(system, "pointer").blocks == 2
    assert reduction_of(ising(3), "pointer").blocks == 3


# ---- with a Hamiltonian


def test_energy_grows_where_the_projectors_do_not_commute_with_h():
    """E8: dE/dt = gamma Tr rho (Delta(H) - H), not zero at the start; without thermalisation it heats to I/D."""
    system = ising(3, 1.0, 0.8, 0.3)
    times = np.array([0.0, 1e-4, 5.0, 200.0])
    experiment = Experiment(system, product(system, [[1, 0.4]]), Schedule(times))
    result = SUV(0.7, scheme="ensemble").evolve(experiment)
    h, rho = system.hamiltonian.toarray(), result.density_matrix.values[0]
    expected = 0.7 * np.trace(rho @ (np.diag(np.diag(h)) - h)).real
    slope = (result.mean_energy[1] - result.mean_energy[0]) / 1e-4
    assert float(slope) == pytest.approx(expected, rel=1e-3)
    assert abs(expected) > 0.5
    np.testing.assert_allclose(result.density_matrix.values[-1], np.eye(8) / 8, atol=1e-8)


def test_splitting_is_of_second_order_in_the_mean():
    """|mean p_0 - exact| of a driven two-level system of 1, 2, 4 steps to t = 1.5, 2e5 runs: slope 2.1, within 0.5."""
    experiment = Experiment(two_level(0.3, 0.9), Preparation([1, 0]), Schedule([0.0, 1.5]))
    theory = SUV(1.5)
    exact = theory.evolve(experiment, seed=1)
    reduction = theory.reduction(experiment)
    h = experiment.system.hamiltonian
    energies, vectors = np.linalg.eigh(h)
    errors = []
    for steps in (1, 2, 4):
        u = (vectors * np.exp(-1.5j / steps * energies)) @ vectors.conj().T
        states = np.tile(np.array([1, 0], complex), (200_000, 1))
        scratch = np.zeros(2), np.zeros(2), np.zeros(2, complex)
        span, rows = 1.5 * 1.5 / steps, np.ascontiguousarray(u.T)
        random_state = generators(5, len(states))
        reducing.advance_by_reduction(states, random_state, steps, span, False, rows, reduction.block, *scratch)
        errors.append(abs(np.mean(np.abs(states[:, 0]) ** 2) - float(exact.probability[1, 0])))
    slope = -np.polyfit(np.log(2.0) * np.arange(3), np.log(errors), 1)[0]
    assert abs(slope - 2.1) < 0.5, errors


def test_entropy_rate_and_moments_are_those_of_the_matrix():
    experiment = Experiment(three_level(), Preparation([0.6, 0.8j, 0]), Schedule(np.linspace(0, 2, 2001)))
    result = SUV(0.7, scheme="ensemble").evolve(experiment)
    entropy, rate = result.entropy.values, result.entropy_rate.values
    assert rate[0] == np.inf
    np.testing.assert_allclose(rate[100:-1], (entropy[101:] - entropy[99:-2]) / 2e-3, atol=1e-4)
    energy, _ = thermal.energy_moments(result.density_matrix.values, experiment.system.hamiltonian)
    np.testing.assert_allclose(result.mean_energy, energy)


def test_bytes_do_not_depend_on_jobs_or_numbers():
    experiment = Experiment(three_level(), Preparation([0.6, 0.8j, 0]), Schedule([0.0, 1.0]))
    for theory in (SUV(0.5), SUV(0.5, rotated(3, (2, 1)))):
        whole = theory.evolve(experiment, seed=7, replicas=100, jobs=2).state.values
        np.testing.assert_array_equal(
            theory.evolve(experiment, seed=7, replicas=10, first=80).state.values, whole[80:90]
        )


def test_a_system_too_large_for_matrices_is_left_to_trajectories(refuses):
    system = ising(9)
    experiment = Experiment(system, product(system, [[1, 0.3]]), Schedule([0.0, 0.1]))
    result = SUV(0.5, "pointer").evolve(experiment, seed=1, replicas=4)
    assert "density_matrix" not in result
    assert result.sizes == {"replica": 4, "time": 2, "beable": 512}
    refuses(
        lambda: SUV(0.5, scheme="ensemble").evolve(experiment), ValueError, "an ensemble can be followed with up to"
    )


P = np.diag([1.0, 0, 0])
REST = np.diag([0, 1.0, 1.0])
BAD = [
    (lambda: SUV(-1), ValueError, "rate must be >= 0"),
    (lambda: SUV(1, scheme="milstein"), ValueError, "scheme must be one of splitting, jumps, ensemble"),
    (lambda: SUV(1, projectors=3), TypeError, "projectors must be 'beables'"),
    (lambda: SUV(1, [["0"], ["1", "2"]], part="A"), ValueError, "part stands in the place of projectors"),
    (lambda: SUV(1, [[[1, 1], [0, 1]]]), ValueError, "projectors must be Hermitian"),
]
OF_SYSTEMS = [
    ("sites", "projectors must be one of beables, pointer"),
    ([["0"], ["1"]], "projectors must be complete, but no group names label '2'"),
    ([["0", "1"], ["1", "2"]], "projectors must be orthogonal to each other, but label '1' is named twice"),
    ([["0", "1"], ["2", "3"]], "projectors must name labels of the system, but name '3'"),
    ([2 * P, REST], r"projectors\[0\] must be idempotent, P P = P, but misses it by 2"),
    ([P], "projectors must be complete, summing to one, but miss it by 1"),
    ([P, np.eye(3)], "projectors must be orthogonal to each other, but 0 and 1 overlap by 1"),
    ([P, REST, 0 * P], r"projectors\[2\] must project on something, but is zero"),
    ([np.eye(2)], "must act on the 3 beables, but has shape"),
    ("pointer", "a pointer must be of spins"),
]


@pytest.mark.parametrize(("call", "kind", "names"), BAD)
def test_bad_parameters_are_refused(refuses, call, kind, names):
    refuses(call, kind, names)


@pytest.mark.parametrize(("projectors", "names"), OF_SYSTEMS)
def test_what_is_no_set_of_projectors_is_refused(refuses, projectors, names):
    experiment = Experiment(three_level(), Preparation([0.6, 0.8j, 0]), Schedule([0.0, 1.0]))
    refuses(lambda: SUV(1.0, projectors).evolve(experiment), ValueError, names)


def test_other_refusals(refuses):
    refuses(lambda: SUV(1.0).evolve(None), TypeError, "experiment must be an Experiment")
    refuses(lambda: of_matrices([[[0.5, 1], [0, 0.5]]], 2), ValueError, "must be Hermitian")
    refuses(lambda: SUV(1.0, part="C").evolve(still([0.0])), ValueError, "part must be one of a composite system's")
