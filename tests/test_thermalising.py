"""Kernels of thermalisation: their twins on paper, means without bias, the law, and the order of every scheme.

Errors of means over trajectories are standard errors; seeds are fixed, and bounds are those of `verdicts` (false alarms
1e-5) or four standard errors where said. chi = (0.5, 0.2, 0.3) and psi = (0.6, 0.8 i, 0) unless said.
"""

import numpy as np
import plain_irreversible as plain
import pytest
from verdicts import assert_mean, assert_same_law

from copydyn.kernels import thermalising as kernels

CHI = np.array([0.5, 0.2, 0.3])
PSI = np.array([0.6, 0.8j, 0.0])
KERNELS = {
    "channel": kernels.advance_by_channel,
    "jumps": kernels.advance_by_jumps,
    "euler": kernels.advance_by_euler,
    "full-noise": kernels.advance_by_full_noise,
}


def generators(seed, rows):
    return np.random.SeedSequence(seed).generate_state(4 * rows, np.uint64).reshape(rows, 4)


def run(scheme, steps, rows, *, psi=PSI, chi=CHI, time=1.0, real=True, seed=1, energies=None, sector=None):
    """``rows`` trajectories over Gamma t = ``time`` in ``steps`` steps."""
    chi, size = np.asarray(chi), len(chi)
    states = np.tile(np.asarray(psi, complex), (rows, 1))
    turn = np.exp(-1j * np.zeros(size) if energies is None else -1j * np.asarray(energies) * time / steps)
    amount = np.exp(-0.5 * time / steps) if scheme in ("channel", "jumps") else time / steps
    window = np.flatnonzero(chi > 0)
    sector = np.zeros(size, np.int64) if sector is None else np.asarray(sector)
    scratch = np.zeros(window.size, complex), np.zeros((sector.max() + 1, kernels.ROOM))
    of_chi = window, chi[window], np.sqrt(chi[window])
    KERNELS[scheme](states, generators(seed, rows), steps, amount, turn, *of_chi, sector, real, *scratch)
    return states


def participation(states):
    return np.sum(np.abs(states) ** 4, axis=1)


def mean_rho(states):
    return states.T @ states.conj() / len(states)


def goal(psi=PSI, chi=CHI, time=1.0):
    e = np.exp(-time)
    return e * np.outer(psi, np.conj(psi)) + (1 - e) * np.diag(chi)


# ---- twins


@pytest.mark.parametrize("scheme", KERNELS)
@pytest.mark.parametrize("real", [True, False])
@pytest.mark.parametrize("sector", [[0, 0, 0, 0], [0, 1, 0, 1]])
def test_a_kernel_is_its_twin(scheme, real, sector):
    chi = np.array([0.5, 0.0, 0.2, 0.3]) if sector[1] == 0 else np.array([0.6, 0.25, 0.4, 0.75])
    psi = np.array([0.5, 0.5j, -0.5, 0.3 + 0.4j])
    energies, steps, sector = np.array([0.0, 0.7, 1.1, 2.0]), 40, np.array(sector)
    found = run(scheme, steps, 3, psi=psi, chi=chi, time=4.0, real=real, energies=energies, sector=sector)
    turn, keep, span = np.exp(-1j * energies * 4.0 / steps), np.exp(-2.0 / steps), 4.0 / steps
    for row, state in enumerate(generators(1, 3)):
        twin, dice = psi.copy(), plain.Dice(state)
        for _ in range(steps):
            if scheme == "channel":
                twin = plain.channel_step(twin, keep, turn, chi, sector, real, dice)
            elif scheme == "jumps":
                twin = plain.jump_step(twin, keep, turn, chi, sector, real, dice)
            else:
                noise = plain.reduced_noise if scheme == "euler" else plain.full_noise
                twin = plain.euler_step(twin, span, turn, chi, sector, noise(twin, chi, sector, real, dice))
        np.testing.assert_allclose(found[row], twin, atol=1e-11)


def test_the_reduced_equation_is_equation_5_with_its_operators():
    """At norm one, before the norm is restored: the twin's step is what the operators of eq. 5 give, to rounding."""
    rng = np.random.default_rng(0)
    psi = rng.normal(size=4) + 1j * rng.normal(size=4)
    psi /= np.linalg.norm(psi)
    chi, span = np.array([0.4, 0.0, 0.35, 0.25]), 0.01
    dw = rng.normal(size=(4, 4)) * np.sqrt(span)
    by_operators = plain.operators_step(psi, span, chi, dw)
    z = dw @ psi / np.sqrt(span)
    reduced = plain.euler_step(psi, span, np.ones(4), chi, np.zeros(4, int), z)
    np.testing.assert_allclose(reduced, by_operators / np.linalg.norm(by_operators), atol=1e-14)


# ---- means


@pytest.mark.parametrize("real", [True, False])
@pytest.mark.parametrize("scheme", ["channel", "jumps"])
def test_means_have_no_bias_however_long_the_step(scheme, real):
    """One step of Gamma dt = 1, a million trajectories: each element of rho within four standard errors.

    Controls: Euler's one step misses by 0.09, a hundred standard errors, and so does a chi with two entries swapped.
    """
    states = run(scheme, 1, 1_000_000, real=real)
    products = np.einsum("ra,rb->rab", states, states.conj())
    expected = goal()
    for part, wish in ((products.real, expected.real), (products.imag, expected.imag)):
        error = part.std(axis=0) / 1e3
        assert np.all(np.abs(part.mean(axis=0) - wish) <= 4 * error + 1e-15)
        assert error.max() < 6e-4
    assert np.abs(mean_rho(states) - goal(chi=CHI[[1, 0, 2]])).max() > 0.1


def test_the_last_level_is_never_drawn_by_rounding():
    """A level with chi = 0 stays empty if it starts so, whatever the sums of chi are rounded to."""
    chi = np.array([0.1] * 10 + [0.0])
    states = run("channel", 3, 20_000, psi=np.eye(11)[0], chi=chi, time=5.0)
    assert np.all(states[:, 10] == 0.0)
    jumped = run("jumps", 3, 20_000, psi=np.eye(11)[0], chi=chi, time=5.0)
    assert np.all(jumped[:, 10] == 0.0)


def test_an_eigenstate_stays_where_it_is_path_by_path():
    states = run("channel", 50, 200, psi=np.eye(3)[1], chi=np.eye(3)[1], time=10.0, energies=[0.0, 1.0, 2.5])
    np.testing.assert_allclose(np.abs(states), np.tile(np.eye(3)[1], (200, 1)), atol=1e-12)


# ---- the law of long times, and what the phases of eigenvectors do to it


def test_long_times_know_three_laws_of_uniform_chi():
    """Uniform chi on D = 3: E sum|psi|^4 is 2/(D+1) with complex noise, 3/(D+2) with real noise and H = 0, and between
    them with H. Control: the value of the other noise is 0.1 away, and 0.01 is seen."""
    even = {"psi": np.ones(3) / np.sqrt(3), "chi": np.ones(3) / 3, "time": 20.0}
    assert_mean(participation(run("channel", 400, 20_000, real=False, **even)), 0.5, detects=0.01)
    assert_mean(participation(run("channel", 400, 20_000, **even)), 0.6, detects=0.01)
    between = participation(run("channel", 400, 20_000, energies=[0.0, 0.4, 1.1], **even))
    assert 0.52 < between.mean() < 0.59


def test_real_noise_depends_on_the_phases_of_the_eigenvectors():
    """E5: the same |psi_m|, chi and H = 0, rephased vectors: other participation at Gamma t = 2, the same mean rho."""
    flat, phases = np.sqrt([0.5, 0.3, 0.2]), np.exp(1j * np.array([0.0, 0.9, 2.0]))
    runs = [run("channel", 20, 200_000, psi=psi, chi=np.ones(3) / 3, time=2.0) for psi in (flat, flat * phases)]
    ones, others = (participation(states) for states in runs)
    error = np.hypot(ones.std(), others.std()) / np.sqrt(200_000)
    assert ones.mean() - others.mean() > 40 * error
    rephased = mean_rho(runs[1]) * np.outer(phases.conj(), phases)
    assert np.abs(mean_rho(runs[0]) - rephased).max() < 4e-3
    complex_noise = [
        participation(run("channel", 20, 200_000, psi=psi, chi=np.ones(3) / 3, time=2.0, real=False, seed=seed))
        for seed, psi in enumerate((flat, flat * phases))
    ]
    assert abs(complex_noise[0].mean() - complex_noise[1].mean()) < 5 * error


@pytest.mark.parametrize("real", [True, False])
def test_full_and_reduced_noise_have_one_law(real):
    """Participation at Gamma t = 1 of 8000 trajectories each; a distance of 0.07 would be seen."""
    ours = participation(run("euler", 20, 8000, real=real))
    theirs = participation(run("full-noise", 20, 8000, real=real, seed=2))
    assert_same_law(ours, theirs, detects=0.07)


# ---- weak orders


def slope(errors):
    """Order by which errors fall from one number of steps to twice as many, fitted."""
    return -np.polyfit(np.log(2.0) * np.arange(len(errors)), np.log(errors), 1)[0]


def test_weak_order_of_the_channel_is_one_in_what_is_not_linear():
    """E sum|psi|^4 at Gamma t = 1 with 1, 2, 4 steps against 32: errors 0.043, 0.021, 0.009, slope 1.1, within 0.25."""
    limit = participation(run("channel", 32, 600_000, seed=9)).mean()
    errors = [limit - participation(run("channel", n, 600_000)).mean() for n in (1, 2, 4)]
    assert abs(slope(errors) - 1.1) < 0.25, errors
    assert errors[0] > 0.03


def test_weak_order_of_euler_is_one_in_the_mean():
    """max|rho error| at Gamma t = 1 with 4, 8, 16 steps: 0.0092, 0.0041, 0.002; slope 1.15, within 0.35 for noise of
    4e-4 in the last. The channel has no such error at all."""
    errors = [np.abs(mean_rho(run("euler", n, 1_000_000)) - goal()).max() for n in (4, 8, 16)]
    assert abs(slope(errors) - 1.15) < 0.35, errors
    assert errors[0] > 0.007


def test_energies_are_not_left_to_euler():
    """With E dt = 2 a step of Euler on H would be off by 0.3; ours turns exactly, and the mean has no bias."""
    energies, time = np.array([0.0, 3.0, -2.0]), 2.0
    for scheme, tolerance in (("channel", 3e-3), ("euler", 1.5e-2)):
        states = run(scheme, 8, 400_000, psi=np.array([0.6, 0.8, 0.0]), time=time, energies=energies)
        turned = np.exp(-1j * energies * time) * np.array([0.6, 0.8, 0.0])
        assert np.abs(mean_rho(states) - goal(psi=turned, time=time)).max() < tolerance
