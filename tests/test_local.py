"""Thermalisation of one part: kernels and their twins, means without bias, QuTiP, sectors, what it leaves alone."""

import numpy as np
import plain_irreversible as plain
import pytest
import qutip
from verdicts import assert_mean, assert_same_law

from copydyn import Experiment, Preparation, Schedule
from copydyn.kernels import local as kernels
from copydyn.systems import composite
from copydyn.theories import OQT, Schrodinger
from copydyn.theories.irreversible import thermodynamics as thermal
from copydyn.theories.irreversible.equilibrium import Window

OWN = {"A": np.diag([0.0, 1.0, 1.7]), "B": np.array([[0.2, 0.4], [0.4, -0.1]])}
CHI = np.array([0.5, 0.2, 0.3])


def generators(seed, rows):
    return np.random.SeedSequence(seed).generate_state(4 * rows, np.uint64).reshape(rows, 4)


def random_ket(size, seed=3):
    rng = np.random.default_rng(seed)
    psi = rng.normal(size=size) + 1j * rng.normal(size=size)
    return psi / np.linalg.norm(psi)


def pair(times=(0.0, 0.5, 3.0), own=None, third=None):
    parts = {**(OWN if own is None else own), **({} if third is None else {"C": third})}
    system = composite(parts)
    return Experiment(system, Preparation(random_ket(system.size)), Schedule(times))


def run(scheme, steps, rows, psi, chi=CHI, *, real=True, time=1.0, turning=None, sector=None, seed=1):
    """``rows`` trajectories over Gamma t = ``time``; psi (level, rest level)."""
    own, rest = psi.shape
    states = np.tile(psi.ravel(), (rows, 1))
    sector = np.zeros(own, np.int64) if sector is None else np.asarray(sector)
    turn = np.exp(-1j * (np.zeros(psi.size) if turning is None else turning.ravel()) * time / steps)
    window, keep = np.flatnonzero(chi > 0), np.exp(-0.5 * time / steps)
    scratch = np.zeros(own * rest, complex), np.zeros((2, own)), np.zeros(sector.max() + 1)
    kernel = {"channel": kernels.advance_part_by_channel, "jumps": kernels.advance_part_by_jumps}[scheme]
    of_chi = window, chi[window], np.sqrt(chi[window]), sector
    kernel(states, generators(seed, rows), steps, keep, turn, *of_chi, real, *scratch)
    return states.reshape(rows, own, rest)


@pytest.mark.parametrize("real", [True, False])
@pytest.mark.parametrize("scheme", ["channel", "jumps"])
@pytest.mark.parametrize("sector", [(0, 0, 0), (0, 1, 0)])
def test_a_kernel_is_its_twin(scheme, real, sector):
    chi = np.array([0.6, 0.0, 0.4]) if sector[1] == 0 else np.array([0.6, 1.0, 0.4])
    psi, steps, sector = random_ket(6).reshape(3, 2), 30, np.array(sector)
    turning = np.array([[0.0, 0.3], [0.7, 1.0], [1.1, 1.4]])
    found = run(scheme, steps, 5, psi, chi, real=real, time=4.0, turning=turning, sector=sector)
    turn, keep = np.exp(-1j * turning * 4.0 / steps), np.exp(-2.0 / steps)
    for row, state in enumerate(generators(1, 5)):
        twin, dice = psi.copy(), plain.Dice(state)
        for _ in range(steps):
            if scheme == "channel":
                twin = plain.local_channel_step(twin, keep, turn, chi, sector, real, dice)
            else:
                twin = plain.local_jump_step(twin, keep, turn, chi, sector, dice)
        np.testing.assert_allclose(found[row], twin, atol=1e-11)


@pytest.mark.parametrize("real", [True, False])
@pytest.mark.parametrize("scheme", ["channel", "jumps"])
def test_means_have_no_bias_however_long_the_step(scheme, real):
    """One step of Gamma dt = 1, 400 000 trajectories: each element of rho within 4.5 standard errors, of 1e-3 at most.

    Control: chi x (a state of the rest that is not its own) is told apart.
    """
    psi, e = random_ket(6).reshape(3, 2), np.exp(-1.0)
    states = run(scheme, 1, 400_000, psi, real=real).reshape(-1, 6)
    rest = np.einsum("mb,mc->bc", psi, psi.conj())
    wish = e * np.outer(psi.ravel(), psi.ravel().conj()) + (1 - e) * np.kron(np.diag(CHI), rest)
    wrong = e * np.outer(psi.ravel(), psi.ravel().conj()) + (1 - e) * np.kron(np.diag(CHI), np.eye(2) / 2)
    products = np.einsum("ra,rb->rab", states, states.conj())
    scores = []
    for part in (np.real, np.imag):
        error = part(products).std(axis=0) / np.sqrt(len(states))
        assert error.max() < 1e-3
        scores.append(np.abs(part(products.mean(axis=0) - wish)) / (error + 1e-15))
        away = np.abs(part(products.mean(axis=0) - wrong)).max()
        assert away > 0.02
    assert np.max(scores) < 4.5


@pytest.mark.parametrize("real", [True, False])
def test_a_rest_of_one_level_is_no_rest(real):
    """The law of the whole's kernel: participation at Gamma t = 1, 8000 runs each; a distance of 0.07 would be seen."""
    experiment = Experiment.of(np.diag([0.0, 0.4, 1.0]), [0.6, 0.8j, 0.0], [0.0, 1.0])
    theory = OQT(1.0, Window("given", weights=tuple(CHI)), noise="real" if real else "complex", step=0.05)
    whole = theory.evolve(experiment, seed=1, replicas=8000).state.values[:, 1]
    turning = np.array([[0.0], [0.4], [1.0]])
    part = run("channel", 20, 8000, np.array([[0.6], [0.8j], [0.0]]), real=real, turning=turning, seed=2)
    ours, theirs = (np.sum(np.abs(states.reshape(-1, 3)) ** 4, axis=1) for states in (part, whole))
    assert_same_law(ours, theirs, detects=0.07)


@pytest.mark.parametrize("noise", ["real", "complex"])
def test_trajectories_follow_the_law_of_qutips_homodyne_equation(noise):
    """Purity of a qubit's state beside another, 250 runs of ssesolve with sc_ops sqrt(A_m) L_mn x 1 at Gamma t = 0.8;
    a distance of 0.25 of the distribution functions would be seen. Control: the purity that jumps leave, always one at
    their last, is told apart."""
    chi, psi, time = np.array([0.7, 0.3]), random_ket(4, seed=5), 0.8
    system = composite({"A": np.diag([0.0, 0.7]), "B": np.diag([0.0, 0.3])})
    experiment = Experiment(system, Preparation(psi), Schedule([0.0, time]))
    theory = {"window": Window("given", weights=tuple(chi)), "part": "A", "noise": noise, "step": 0.01}
    ours = OQT(1.0, **theory).evolve(experiment, seed=1, replicas=4000).state.values[:, 1]
    jumped = OQT(1.0, **theory, scheme="jumps").evolve(experiment, seed=1, replicas=4000).state.values[:, 1]
    one, basis = qutip.qeye(2), [qutip.basis(2, n) for n in range(2)]
    jumps = [np.sqrt(chi[m]) * qutip.tensor(basis[m] * basis[n].dag(), one) for m in range(2) for n in range(2)]
    h = qutip.Qobj(system.hamiltonian.toarray(), dims=[[2, 2], [2, 2]])
    options = {"dt": 0.02, "method": "euler", "store_final_state": True, "keep_runs_results": True, "progress_bar": ""}
    done = qutip.ssesolve(
        h,
        qutip.Qobj(psi, dims=[[2, 2], [1, 1]]),
        [0.0, time],
        jumps,
        ntraj=250,
        heterodyne=noise == "complex",
        seeds=5,
        options=options,
    )
    theirs = np.array([state.unit().full().ravel() for state in done.runs_final_states])

    def purities(kets):
        rho = thermal.reduced_ket(kets, (2, 2), [0])
        return np.einsum("rab,rba->r", rho, rho).real

    assert_same_law(purities(ours), purities(theirs), detects=0.25)
    with pytest.raises(AssertionError):
        assert_same_law(purities(jumped), purities(theirs), detects=0.25)


# ---- the theory


def qutips(experiment, part, sizes, number, chi, sector, vectors, rate):
    """Integrate eq. 6 with L_mn on one part, n of the sector of m."""
    before, after = int(np.prod(sizes[:number])), int(np.prod(sizes[number + 1 :]))
    jumps = []
    for m in np.flatnonzero(chi):
        for n in np.flatnonzero(sector == sector[m]):
            own = np.sqrt(rate * chi[m]) * np.outer(vectors[:, m], vectors[:, n].conj())
            jumps.append(qutip.Qobj(np.kron(np.kron(np.eye(before), own), np.eye(after))))
    h = qutip.Qobj(experiment.system.hamiltonian.toarray())
    options = {"atol": 1e-13, "rtol": 1e-11, "nsteps": 100_000}
    done = qutip.mesolve(h, qutip.Qobj(experiment.ket), experiment.tlist, jumps, options=options)
    return np.array([state.full() for state in done.states])


@pytest.mark.parametrize("part", ["A", "B", "C"])
def test_the_ensemble_is_what_qutip_integrates(part):
    """M6, 1e-9 against mesolve, the part first, last or in the middle; the others' state is what it is without."""
    experiment = pair(own={"A": OWN["A"], "C": [[0.1, 0.3j], [-0.3j, 0.4]], "B": OWN["B"]})
    sizes, number = (3, 2, 2), "ACB".index(part)
    theory = OQT(0.8, part=part, scheme="ensemble")
    result = theory.evolve(experiment)
    local = theory._local(experiment)
    chi = local.chi
    theirs = qutips(experiment, part, sizes, number, chi.chi, chi.sector, chi.levels.vectors, 0.8)
    assert np.abs(result.density_matrix.values - theirs).max() < 1e-9
    others = [other for other in range(3) if other != number]
    np.testing.assert_allclose(
        thermal.reduced(result.density_matrix.values, sizes, others),
        thermal.reduced_ket(Schrodinger().evolve(experiment).state.values[0], sizes, others),
        atol=1e-9,
    )


def test_chi_is_made_of_the_populations_of_the_part():
    """The mean and the variance of the part's energy in its reduced state; the window of that. The constant of the
    energy is shared out: the part's levels are counted with the mean of the rest's, 0.05."""
    experiment = pair()
    rho = thermal.reduced_ket(experiment.ket, (3, 2), [0])
    energies, weights = np.array([0.0, 1.0, 1.7]), np.diag(rho).real
    mean = weights @ energies
    variance = weights @ (energies - mean) ** 2
    told = OQT(0.8, part="A").report(experiment)
    assert told.energy == pytest.approx(mean + 0.05, abs=1e-12)
    assert told.variance == pytest.approx(variance, abs=1e-12)
    assert told.levels == int(np.sum(np.abs(energies - mean) <= np.sqrt(variance)))
    assert "part 'A': <H> = " in OQT(0.8, part="A").announce(experiment)


@pytest.mark.parametrize("scheme", ["channel", "jumps"])
@pytest.mark.parametrize("window", ["shells", "own"])
def test_sectors_of_a_part_keep_what_the_rest_knows_of_them(window, scheme):
    """Each sector has its own state of the rest: 1e-9 against mesolve, trajectories within 0.03 of it. The charge's
    sectors are not the populations' in the first basis: it is not diagonal within the degenerate level."""
    own = np.diag([0.0, 0.0, 1.3])
    charge = np.array([[0, 1, 0], [1, 0, 0], [0, 0, -1.0]])
    chosen = Window(sectors="shells") if window == "shells" else Window(charge=charge, sectors="own")
    experiment = pair(own={"A": own, "B": OWN["B"]})
    theory = OQT(0.8, chosen, part="A", scheme=scheme)
    result = theory.evolve(experiment, seed=2, replicas=20_000)
    chi = theory._local(experiment).chi
    rho = result.density_matrix.values
    theirs = qutips(experiment, "A", (3, 2), 0, chi.chi, chi.sector, chi.levels.vectors, 0.8)
    assert np.abs(rho - theirs).max() < 1e-9
    product = np.einsum("ab,ij->aibj", thermal.reduced(rho[-1], (3, 2), 0), thermal.reduced(rho[-1], (3, 2), 1))
    assert np.abs(rho[-1] - product.reshape(6, 6)).max() > 0.02
    kets = result.state.values
    np.testing.assert_allclose(np.sum(np.abs(kets) ** 2, axis=-1), 1.0, atol=1e-12)
    for time in (1, 2):
        for label in range(6):
            assert_mean(np.abs(kets[:, time, label]) ** 2, rho[time, label, label].real, detects=0.03)
        cross = kets[:, time, 0] * kets[:, time, 3].conj()
        assert_mean(cross.real, rho[time, 0, 3].real, detects=0.03)
        assert_mean(cross.imag, rho[time, 0, 3].imag, detects=0.03)


def test_a_run_has_the_same_bytes_for_any_jobs_and_numbers():
    theory, experiment = OQT(0.7, part="B"), pair()
    whole = theory.evolve(experiment, seed=7, replicas=100, jobs=2).state.values
    np.testing.assert_array_equal(theory.evolve(experiment, seed=7, replicas=9, first=50).state.values, whole[50:59])
    still = OQT(0.0, part="B").evolve(experiment, seed=7)
    reference = Schrodinger().evolve(experiment)
    np.testing.assert_allclose(np.abs(still.state[0]), np.abs(reference.state[0]), atol=1e-9)


def test_what_is_no_part_is_refused(refuses):
    coupling = 0.1 * np.kron(np.diag([1.0, 0, 0]), [[0, 1], [1, 0]])
    coupled = Experiment(composite(OWN, coupling), Preparation(random_ket(6)), Schedule([0.0, 1.0]))
    refuses(
        lambda: OQT(1.0, part="A").evolve(coupled), ValueError, "part 'A' must not interact with the rest, but does"
    )
    refuses(lambda: OQT(1.0, part="C").evolve(pair()), ValueError, "part must be one of A, B")
    refuses(
        lambda: OQT(1.0, part="A").evolve(Experiment.of(np.eye(2), [1, 0], [0])), ValueError, "a composite system's"
    )
    refuses(lambda: OQT(1.0, part="A").evolve(pair(np.linspace(0, 1, 200_000))), ValueError, "must be at most 4194304")
    for scheme in ("euler", "full-noise"):
        refuses(lambda scheme=scheme: OQT(1.0, part="A", scheme=scheme), ValueError, "where a part is thermalised")
    refuses(lambda: OQT(1.0, part=3), TypeError, "part must be the name of a part")
