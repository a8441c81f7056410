"""The ensemble of each theory, and all that is read off it, by its equation as it stands on paper.

The right-hand side is written out as a matrix over the elements of rho and exponentiated: nothing is shared but the
parameters, which all differ. H, psi and the projectors are complex and without symmetry, hbar is not one, and times
begin late, so that a sign, a conjugate, a transposition or a factor that is left out is seen to nine digits.
"""

import numpy as np
import pytest
from scipy.linalg import expm, logm
from scipy.sparse.linalg import expm_multiply

from copydyn import Experiment, System
from copydyn.systems import composite
from copydyn.theories import OQT, SUI, SUV, Schrodinger
from copydyn.theories.irreversible import steady, thermodynamics
from copydyn.theories.irreversible.channel import Ensemble
from copydyn.theories.irreversible.equilibrium import Window, equilibrium_of
from copydyn.theories.irreversible.fluctuations import long_time_variance, scan_of_sizes, two_time_correlation
from copydyn.theories.irreversible.jumping import course_of_jumps
from copydyn.theories.irreversible.levels import levels_of
from copydyn.theories.irreversible.reduction import of_matrices, reduced_ensemble, reduction_of
from copydyn.theories.irreversible.signalling import signal_of_own_equilibria, state_of, witness

HBAR, TIMES = 0.7, np.array([0.3, 0.5, 1.4])
DELAYS = TIMES - TIMES[0]


def matrix(size, seed=5):
    rng = np.random.default_rng(seed)
    h = rng.normal(size=(size, size)) + 1j * rng.normal(size=(size, size))
    return 0.4 * (h + h.conj().T)


def ket(size, seed=6):
    rng = np.random.default_rng(seed)
    psi = rng.normal(size=size) + 1j * rng.normal(size=size)
    return psi / np.linalg.norm(psi)


def rotated(size, ranks, seed=7):
    u = np.linalg.qr(matrix(size, seed) + 1j * np.eye(size))[0]
    edges = np.cumsum([0, *ranks])
    return [u[:, a : a + r] @ u[:, a : a + r].conj().T for a, r in zip(edges, ranks)]


def asked(h, **about):
    return Experiment.of(
        h, ket(len(h)), TIMES, hbar=HBAR, e_ops={"a": matrix(len(h), 8), "b": matrix(len(h), 9)}, **about
    )


def from_left(a):
    return np.kron(a, np.eye(len(a)))


def from_right(a):
    return np.kron(np.eye(len(a)), a.T)


def turning(h):
    return -1j / HBAR * (from_left(h) - from_right(h))


def collapsing(projectors, rate):
    return rate * (sum(np.kron(one, one.conj()) for one in projectors) - np.eye(len(projectors[0]) ** 2))


def thermalising(chi, rate):
    """Drift of chi Tr rho - rho."""
    size = len(chi)
    return rate * (np.outer(chi.ravel(), np.eye(size).ravel()) - np.eye(size**2))


def evolved(generator, rho):
    return np.array([expm_multiply(generator * t, rho.ravel()).reshape(rho.shape) for t in DELAYS])


def pure(psi):
    return np.outer(psi, psi.conj())


def chi_of(h, weights):
    """A matrix that commutes with H, its eigenvalues in the order of the energies."""
    vectors = np.linalg.eigh(h)[1]
    return (vectors * weights) @ vectors.conj().T


def assert_read(result, experiment, rho, generator, goal=None):
    """Every reading of an ensemble is what the matrices ``rho`` (time, beable, beable) say."""
    h = np.asarray(experiment.system.hamiltonian)
    near = {"rtol": 1e-8, "atol": 1e-9}
    np.testing.assert_allclose(result.density_matrix, rho, **near)
    np.testing.assert_allclose(result.probability, np.einsum("taa->ta", rho).real, **near)
    mean = np.einsum("tab,ba->t", rho, h).real
    np.testing.assert_allclose(result.mean_energy, mean, **near)
    np.testing.assert_allclose(result.energy_variance, np.einsum("tab,ba->t", rho, h @ h).real - mean**2, **near)
    if result.sizes["replica"] == 1 and "state" not in result:
        np.testing.assert_allclose(result.energy[0], mean, **near)
        for number, operator in enumerate(experiment.e_ops.values()):
            np.testing.assert_allclose(result.expect[0, :, number], np.einsum("tab,ba->t", rho, operator).real, **near)
    later = [logm(one) for one in rho[1:]]
    entropy = [-np.trace(one @ log).real for one, log in zip(rho[1:], later)]
    np.testing.assert_allclose(result.entropy, [0.0, *entropy], rtol=1e-7, atol=1e-7)
    flows = [(generator @ one.ravel()).reshape(one.shape) for one in rho[1:]]
    slopes = [-np.trace(flow @ log).real for flow, log in zip(flows, later)]
    np.testing.assert_allclose(result.entropy_rate[1:], slopes, rtol=1e-7)
    assert np.isinf(result.entropy_rate[0])
    if goal is not None:
        relative = [np.trace(one @ (log - logm(goal))).real for one, log in zip(rho[1:], later)]
        np.testing.assert_allclose(result.relative_entropy[1:], relative, rtol=1e-7)
        apart = [np.linalg.eigvalsh(one - goal) for one in rho]
        np.testing.assert_allclose(result.trace_distance, [0.5 * np.abs(e).sum() for e in apart], **near)
        np.testing.assert_allclose(result.squared_distance, [np.sum(e**2) for e in apart], **near)


# ---- three equations


WEIGHTS = np.array([0.1, 0.4, 0.2, 0.3])


def test_thermalisation():
    experiment, chi = asked(matrix(4)), chi_of(matrix(4), WEIGHTS)
    theory = OQT(0.45, Window("given", weights=tuple(WEIGHTS)), scheme="ensemble", degrees=1.7)
    generator = turning(matrix(4)) + thermalising(chi, 0.45 * 1.7)
    rho = evolved(generator, pure(ket(4)))
    assert_read(theory.evolve(experiment), experiment, rho, generator, chi)


def test_what_an_ensemble_says_of_its_levels():
    """Occupations and matrices between the levels, for a chi with an empty level and with equal ones."""
    h, weights = matrix(4), np.array([0.35, 0.0, 0.35, 0.3])
    chi = equilibrium_of(asked(h), Window("given", weights=tuple(weights)))
    found, vectors = Ensemble(chi, 0.8, DELAYS), chi.levels.vectors
    generator = turning(h) + thermalising(chi_of(h, weights), 0.8)
    rho = vectors.conj().T @ evolved(generator, pure(ket(4))) @ vectors
    np.testing.assert_allclose(found.density(), rho, atol=1e-10)
    np.testing.assert_allclose(found.occupation(), np.einsum("tmm->tm", rho).real, atol=1e-10)
    np.testing.assert_allclose(found.kept, np.exp(-0.8 * DELAYS))
    values = np.linalg.eigvalsh(rho[1:])
    np.testing.assert_allclose(found.entropy()[1:], -np.sum(values * np.log(values), axis=1), rtol=1e-9)
    flows = [
        vectors.conj().T @ (generator @ (vectors @ one @ vectors.conj().T).ravel()).reshape(4, 4) @ vectors
        for one in rho[1:]
    ]
    slopes = [-np.trace(flow @ logm(one)).real for flow, one in zip(flows, rho[1:])]
    np.testing.assert_allclose(found.entropy_rate()[1:], slopes, rtol=1e-8)
    assert np.all(np.isinf(found.relative_entropy())), "the state has weight where chi has none"


@pytest.mark.parametrize("part", ["A", "B", "C"])
def test_thermalisation_of_one_part(part):
    """Gamma (chi x Tr_A rho - rho), the part first, between, or last, and none like another."""
    owns = {"A": matrix(2, 1), "B": matrix(3, 2), "C": matrix(2, 3)}
    system = composite(owns)
    experiment = asked(system.hamiltonian.toarray(), parts=system.parts)
    number = "ABC".index(part)
    own = owns[part]
    weights = np.array([0.5, 0.2, 0.3])[: len(own)] / np.array([0.5, 0.2, 0.3])[: len(own)].sum()
    theory = OQT(0.45, Window("given", weights=tuple(weights)), scheme="ensemble", degrees=1.7, part=part)
    vectors = np.linalg.eigh(own)[1]
    sizes = [2, 3, 2]
    before, after = np.eye(int(np.prod(sizes[:number]))), np.eye(int(np.prod(sizes[number + 1 :])))
    units = np.eye(len(own))
    kraus = [
        np.sqrt(weights[m]) * np.kron(np.kron(before, np.outer(vectors[:, m], units[n])), after)
        for m in range(len(own))
        for n in range(len(own))
    ]
    channel = sum(np.kron(one, one.conj()) for one in kraus)
    generator = turning(system.hamiltonian.toarray()) + 0.45 * 1.7 * (channel - np.eye(144))
    rho = evolved(generator, pure(ket(12)))
    result = theory.evolve(experiment)
    np.testing.assert_allclose(result.density_matrix, rho, atol=1e-9)
    np.testing.assert_allclose(result.probability, np.einsum("taa->ta", rho).real, atol=1e-9)
    h = system.hamiltonian.toarray()
    np.testing.assert_allclose(result.mean_energy, np.einsum("tab,ba->t", rho, h).real, atol=1e-9)
    np.testing.assert_allclose(result.energy[0], result.mean_energy)
    for place, operator in enumerate(experiment.e_ops.values()):
        np.testing.assert_allclose(result.expect[0, :, place], np.einsum("tab,ba->t", rho, operator).real, atol=1e-9)
    reduced = np.einsum("iajibj->ab", pure(ket(12)).reshape([len(before), len(own), len(after)] * 2))
    rest = sum(np.trace(other).real / len(other) for name, other in owns.items() if name != part)
    told = theory.report(experiment)
    assert told.energy == pytest.approx(np.trace(reduced @ own).real + rest, abs=1e-12)


@pytest.mark.parametrize("ranks", [(1, 1, 1, 1), (2, 1, 1), (1, 3)])
def test_collapse(ranks):
    projectors, experiment = rotated(4, ranks), asked(matrix(4))
    theory = SUV(0.55, projectors, scheme="ensemble", degrees=1.6)
    generator = turning(matrix(4)) + collapsing(projectors, 0.55 * 1.6)
    rho = evolved(generator, pure(ket(4)))
    assert_read(theory.evolve(experiment), experiment, rho, generator)


def test_collapse_that_the_hamiltonian_only_turns():
    """In closed form; H is complex within the blocks of the projectors."""
    h = np.zeros((4, 4), complex)
    h[:2, :2], h[2:, 2:] = matrix(2, 1), matrix(2, 2)
    projectors = [np.diag([1.0, 1, 0, 0]), np.diag([0, 0, 1.0, 0]), np.diag([0, 0, 0, 1.0])]
    h[2, 3] = h[3, 2] = 0.0
    generator = turning(h) + collapsing(projectors, 0.55 * 1.6)
    rho = evolved(generator, pure(ket(4)))
    theory = SUV(0.55, [["0", "1"], ["2"], ["3"]], scheme="ensemble", degrees=1.6)
    assert_read(theory.evolve(asked(h)), asked(h), rho, generator)


@pytest.mark.parametrize("part", ["A", "B", "C"])
@pytest.mark.parametrize("kind", ["SUV", "SUI"])
def test_collapse_of_one_part(part, kind):
    h, sizes = matrix(12, 4), (2, 3, 2)
    experiment = asked(h, parts=tuple(zip("ABC", sizes)))
    number = "ABC".index(part)
    projectors = [
        np.kron(np.kron(np.eye(int(np.prod(sizes[:number]))), pure(unit)), np.eye(int(np.prod(sizes[number + 1 :]))))
        for unit in np.eye(sizes[number])
    ]
    generator = turning(h) + collapsing(projectors, 0.9)
    theory = SUV(0.9, part=part, scheme="ensemble") if kind == "SUV" else SUI(0.0, 0.9, part=part, scheme="ensemble")
    result = theory.evolve(experiment)
    np.testing.assert_allclose(result.density_matrix, evolved(generator, pure(ket(12))), atol=1e-9)
    weights = [np.vdot(ket(12), one @ ket(12)).real for one in projectors]
    np.testing.assert_allclose(np.fromstring(result.attrs["outcome_weights"][1:-1], sep=","), weights, rtol=1e-12)


@pytest.mark.parametrize("ranks", [(1, 1, 1, 1), (2, 1, 1)])
def test_both(ranks):
    projectors, h, experiment = rotated(4, ranks), matrix(4), asked(matrix(4))
    chi, given = chi_of(h, WEIGHTS), Window("given", weights=tuple(WEIGHTS))
    theory = SUI(0.4, 0.55, given, projectors, scheme="ensemble", degrees=1.6)
    generator = turning(h) + collapsing(projectors, 0.55 * 1.6) + thermalising(chi, 0.4 * 1.6)
    rho = evolved(generator, pure(ket(4)))
    values, vectors = np.linalg.eig(generator)
    rest = vectors[:, np.abs(values).argmin()].reshape(4, 4)
    rest /= np.trace(rest)
    result = theory.evolve(experiment)
    assert_read(result, experiment, rho, generator, rest)
    found = theory.steady(experiment)
    np.testing.assert_allclose(found.rho, rest, atol=1e-12)
    # the residual of a matrix that is no steady state is what its equation says
    chi_of_state, reduction = equilibrium_of(experiment, given), of_matrices(projectors, 4)
    args = (chi_of_state, reduction, 0.64, 0.88)
    flow = (generator @ rho[1].ravel()).reshape(4, 4)
    np.testing.assert_allclose(steady.flow(rho[1], *args), flow, atol=1e-12)
    assert steady.residual(rho[1], *args) == pytest.approx(np.abs(flow).max() / (0.64 + 0.88))
    slow = np.abs(steady.flow(rho[1], *args[:-2], 0.064, 0.088)).max()  # in units of the rates, also below one
    assert steady.residual(rho[1], *args[:-2], 0.064, 0.088) == pytest.approx(slow / (0.064 + 0.088))
    # energies
    given_by, taken = steady.energy_balance(rho[1], *args)
    of_collapse = (collapsing(projectors, 0.88) @ rho[1].ravel()).reshape(4, 4)
    of_heat = (thermalising(chi, 0.64) @ rho[1].ravel()).reshape(4, 4)
    assert given_by == pytest.approx(np.trace(of_collapse @ h).real, rel=1e-10)
    assert taken == pytest.approx(-np.trace(of_heat @ h).real, rel=1e-10)
    assert abs(given_by - taken) > 1e-3
    # a collapse without end
    p = np.array(projectors)
    inside, goal = sum(one @ h @ one for one in p), sum(one @ chi @ one for one in p)
    zeno = np.linalg.solve(turning(inside) - 0.64 * np.eye(16), -0.64 * goal.ravel()).reshape(4, 4)
    np.testing.assert_allclose(steady.zeno_limit(chi_of_state, reduction, 0.64), zeno, atol=1e-12)


def test_a_matrix_that_is_no_state_collapses_as_well():
    """`reduced_ensemble` takes differences of states, whose trace is nothing; times need not begin at zero."""
    h, projectors = matrix(4), rotated(4, (2, 2))
    rho = pure(ket(4)) - pure(ket(4, 1))
    generator = turning(h) + collapsing(projectors, 0.9)
    found = reduced_ensemble(h / HBAR, of_matrices(projectors, 4), 0.9, rho, np.array([0.4, 3.0]))
    for one, t in zip(found, (0.4, 3.0)):
        np.testing.assert_allclose(one, (expm(generator * t) @ rho.ravel()).reshape(4, 4), atol=1e-11)


@pytest.mark.parametrize("wide", [False, True])
def test_what_commutes_is_counted(wide):
    """[H, X] = [P_k, X] = 0, by the null space of all these equations at once."""
    h = np.zeros((5, 5), complex)
    h[:3, :3], h[3:, 3:] = matrix(3, 1), matrix(2, 2)
    projectors = [np.diag([1.0, 1, 0, 0, 0]), np.diag([0, 0, 1.0, 1, 1])] if wide else [pure(e) for e in np.eye(5)]
    equations = np.vstack([from_left(one) - from_right(one) for one in (h, *projectors)])
    expected = 25 - np.linalg.matrix_rank(equations)
    chi = equilibrium_of(Experiment.of(h, ket(5), TIMES), Window())
    assert steady.conserved(chi, of_matrices(projectors, 5)) == expected == (3 if wide else 2)


# ---- what is asked of them


def test_correlations_in_time():
    """Tr[A exp(L t)(B rho)], B rho being no state."""
    h, a, b = matrix(4), matrix(4, 8), matrix(4, 9)
    chi = equilibrium_of(asked(h), Window("given", weights=tuple(WEIGHTS)))
    generator = turning(h) + thermalising(chi_of(h, WEIGHTS), 0.6)
    struck = evolved(generator, b @ pure(ket(4)))
    expected = np.einsum("ab,tba->t", a, struck)
    np.testing.assert_allclose(two_time_correlation(chi, 0.6, a, b, DELAYS), expected, atol=1e-11)
    assert np.abs(expected.imag).min() > 0.01


def test_lasting_fluctuations_are_those_of_the_levels_of_the_window():
    h, operator, chosen = matrix(5), matrix(5, 8), [0, 2, 3]
    weights = np.zeros(5)
    weights[chosen] = 1 / 3
    chi = equilibrium_of(asked(h), Window("given", weights=tuple(weights)))
    vectors = np.linalg.eigh(h)[1][:, chosen]
    inside = vectors.conj().T @ operator @ vectors
    spread = np.trace(inside @ inside).real / 3 - (np.trace(inside).real / 3) ** 2
    assert long_time_variance(chi, operator) == pytest.approx(spread / 4)
    assert long_time_variance(chi, operator, "real") == pytest.approx(2 * spread / 5)


def test_distances_against_size():
    experiment, window = asked(matrix(4)), Window("given", weights=tuple(WEIGHTS))
    scan = scan_of_sizes(experiment, 0.3, [0.5, 4.0], window)
    chi = chi_of(matrix(4), WEIGHTS)
    for number, degrees in enumerate((0.5, 4.0)):
        gamma = 0.3 * degrees / HBAR
        rho = evolved(turning(matrix(4)) + thermalising(chi, gamma), pure(ket(4)))[-1]
        alone = evolved(turning(matrix(4)), pure(ket(4)))[-1]
        assert scan.gamma[number] == pytest.approx(gamma)
        assert scan.thermalisation_time[number] == pytest.approx(1 / gamma)
        for name, other in (("from_schrodinger", alone), ("from_equilibrium", chi)):
            expected = 0.5 * np.abs(np.linalg.eigvalsh(rho - other)).sum()
            assert float(scan[name][number]) == pytest.approx(expected, rel=1e-9)
    assert scan.attrs == {"strength": 0.3, "time": pytest.approx(TIMES[-1] - TIMES[0])}


def test_signals_are_distances_of_what_is_left_of_a_part():
    h, sizes = matrix(12, 4), (2, 3, 2)
    experiment = asked(h, parts=tuple(zip("ABC", sizes)))
    on, off = OQT(0.5, scheme="ensemble").evolve(experiment), Schrodinger().evolve(experiment)
    for number, part in enumerate("ABC"):
        states = []
        for rho in (on.density_matrix.values, np.array([pure(one) for one in off.state.values[0]])):
            tensor = rho.reshape(-1, *sizes, *sizes)
            for gone in sorted({0, 1, 2} - {number}, reverse=True):
                tensor = np.trace(tensor, axis1=1 + gone, axis2=1 + gone + (tensor.ndim - 1) // 2)
            states.append(tensor)
        np.testing.assert_allclose(state_of(on, part), states[0], atol=1e-12)
        np.testing.assert_allclose(state_of(off, part), states[1], atol=1e-12)
        expected = [0.5 * np.abs(np.linalg.eigvalsh(a - b)).sum() for a, b in zip(*states)]
        np.testing.assert_allclose(witness(on, off, part), expected, atol=1e-9)
    assert witness(on, off, "B")[-1] > 0.05


@pytest.mark.parametrize("width", [1.0, 0.6])
def test_a_signal_of_own_equilibria(width):
    """Alice's levels out of order, Bob's bases complex, and none like another."""
    energies, psi = np.array([1.1, 0.0, 0.4]), ket(6, 3).reshape(3, 2)
    first, second = np.eye(2, dtype=complex), np.linalg.qr(matrix(2, 3) + 1j * np.eye(2))[0]

    def after(basis):
        ended = np.zeros(3)
        for row in basis:
            outcome = psi @ row
            weights = np.abs(outcome) ** 2
            share = weights.sum()
            weights /= share
            mean = weights @ energies
            inside = np.abs(energies - mean) <= width * np.sqrt(weights @ (energies - mean) ** 2)
            ended += share * inside / inside.sum()
        return ended

    expected = 0.5 * np.abs(after(first) - after(second)).sum()
    found = signal_of_own_equilibria(energies, psi, first, second, Window(width=width))
    assert found == pytest.approx(expected, abs=1e-12)
    assert width != 1.0 or expected > 0.05


# ---- matrices


def test_readings_of_matrices():
    root, other = matrix(4, 1) + 1j * matrix(4, 2), matrix(4, 3) + 2j * np.eye(4)
    rho, sigma = (one @ one.conj().T / np.trace(one @ one.conj().T).real for one in (root, other))
    flow, h = matrix(4, 4), matrix(4)
    flow -= np.trace(flow) / 4 * np.eye(4)
    assert thermodynamics.entropy_rate(rho, flow) == pytest.approx(-np.trace(flow @ logm(rho)).real)
    expected = np.trace(rho @ (logm(rho) - logm(sigma))).real
    assert thermodynamics.relative_entropy(rho, sigma) == pytest.approx(expected)
    mean, variance = thermodynamics.energy_moments(rho, h)
    assert mean == pytest.approx(np.trace(rho @ h).real)
    assert variance == pytest.approx(np.trace(rho @ h @ h).real - mean**2)
    assert thermodynamics.squared_distance(rho, sigma) == pytest.approx(np.trace((rho - sigma) @ (rho - sigma)).real)
    assert thermodynamics.relative_entropy(rho, pure(ket(4))) == np.inf
    assert thermodynamics.entropy_rate(pure(ket(4)), rho - pure(ket(4))) == np.inf
    assert thermodynamics.entropy_rate(pure(ket(4)), 0 * rho) == 0.0
    np.testing.assert_array_equal(thermodynamics.as_density(rho), 0.5 * (rho + rho.conj().T))


def test_weights_and_outcomes_of_projectors():
    projectors, kets = rotated(4, (2, 1, 1)), np.array([ket(4, seed) for seed in range(6)]).reshape(2, 3, 4)
    reduction = of_matrices(projectors, 4)
    expected = np.einsum("rta,kab,rtb->rtk", kets.conj(), np.array(projectors), kets).real
    np.testing.assert_allclose(reduction.weights(kets), expected, atol=1e-12)
    np.testing.assert_array_equal(reduction.outcomes(kets), expected.argmax(axis=-1))
    assert len(set(expected.argmax(axis=-1).ravel())) > 1
    rho = pure(ket(4))
    np.testing.assert_allclose(reduction.reduced(rho), sum(p @ rho @ p for p in projectors), atol=1e-12)
    assert (reduction.blocks, reduction.rank_one) == (3, False)
    assert of_matrices(rotated(4, (1, 1, 1, 1)), 4).rank_one


def test_an_order_of_pointers_is_kept():
    """A group, a pointer and a part are numbered in their own order, and outcomes with them."""
    system = System(matrix(6), parts=(("A", 3), ("B", 2)))
    assert reduction_of(system, part="A").block.tolist() == [0, 0, 1, 1, 2, 2]
    assert reduction_of(system, part="B").block.tolist() == [0, 1, 0, 1, 0, 1]
    labels = list(system.labels)
    groups = [[labels[4], labels[0]], [labels[1], labels[5]], [labels[2], labels[3]]]
    assert reduction_of(system, groups).block.tolist() == [0, 1, 2, 2, 0, 1]
    swapped = [np.diag([0.0, 1, 0]), np.diag([1.0, 0, 0]), np.diag([0, 0, 1.0])]
    assert of_matrices(swapped, 3).block.tolist() == [1, 0, 2]
    assert reduction_of(system, "pointer").block.tolist() == [0, 1, 0, 1, 0, 1]


def test_a_leg_of_jumps_is_no_step():
    """Jumps know no step: a leg covers its whole span, whatever the rates."""
    experiment = asked(matrix(4))
    course = course_of_jumps(experiment, levels_of(experiment), reduction_of(experiment.system), 30.0)
    np.testing.assert_allclose(sum(leg.steps * leg.dt for leg in course.legs), TIMES[-1] - TIMES[0])
    assert [leg.save for leg in course.legs if leg.save >= 0] == [1, 2]
