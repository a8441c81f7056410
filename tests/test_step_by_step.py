"""Every trajectory of every theory is, number by number, what stands on paper for the same parameters.

All parameters differ from each other and from one, H and psi are complex and without symmetry, times do not begin at
zero and are not even: whatever is left out, turned round or taken for another moves a trajectory by far more than
rounding. The twins of `plain_irreversible` take one step; what a theory makes of its parameters is made here once more.
"""

import math

import numpy as np
import plain_irreversible as plain
import pytest
from scipy.linalg import expm

from copydyn import Experiment, Preparation, Schedule, System
from copydyn.runs.streams import streams
from copydyn.systems import composite
from copydyn.theories import OQT, SUI, SUV, ColouredSUV
from copydyn.theories.irreversible.equilibrium import Window

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

HBAR, TIMES, SEED, RUNS = 0.7, np.array([0.3, 0.55, 1.0]), 11, 8
SPANS = np.diff(TIMES)


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


def asked(h, hbar=HBAR, **about):
    return Experiment.of(h, ket(len(h)), TIMES, hbar=hbar, **about)


def levels(h, hbar=HBAR):
    """Energies over hbar from the middle of the band, and vectors whose largest entries are positive."""
    energies, vectors = np.linalg.eigh(h)
    tops = vectors[np.abs(vectors).argmax(axis=0), np.arange(len(h))]
    return (energies - 0.5 * (energies[0] + energies[-1])) / hbar, vectors * (tops.conj() / np.abs(tops))


def steps_of(longest):
    """How many even steps there are in each span, and how long they are."""
    return [(steps := max(1, math.ceil(span / longest * (1 - 1e-12))), span / steps) for span in SPANS]


def assert_twins(theory, experiment, twin, tolerance=1e-10):
    """``twin(dice)`` gives the kets of one trajectory between the beables, (time, beable)."""
    found = theory.evolve(experiment, seed=SEED, replicas=RUNS).state.values
    for row, state in enumerate(streams(experiment, theory, SEED, RUNS)):
        np.testing.assert_allclose(found[row], twin(plain.Dice(state)), atol=tolerance)
    assert np.ptp(np.abs(found), axis=0).max() > 0.01, "a control: noise is seen"


# ---- thermalisation


def thermalised(psi, chi, sector, frequencies, gamma, scheme, real, longest, dice):
    kets = [psi]
    for steps, dt in steps_of(longest):
        turn, keep, span = np.exp(-1j * frequencies * dt), np.exp(-0.5 * gamma * dt), gamma * dt
        for _ in range(steps):
            if scheme == "channel":
                psi = plain.channel_step(psi, keep, turn, chi, sector, real, dice)
            elif scheme == "jumps":
                psi = plain.jump_step(psi, keep, turn, chi, sector, real, dice)
            else:
                noise = plain.reduced_noise if scheme == "euler" else plain.full_noise
                psi = plain.euler_step(psi, span, turn, chi, sector, noise(psi, chi, sector, real, dice))
        kets.append(psi)
    return np.array(kets)


@pytest.mark.parametrize("scheme", ["channel", "euler", "full-noise", "jumps"])
@pytest.mark.parametrize("noise", ["real", "complex"])
def test_trajectories_of_oqt(scheme, noise):
    chi, h = np.array([0.45, 0.0, 0.2, 0.35]), matrix(4)
    frequencies, vectors = levels(h)
    rate = 3.1 if scheme == "jumps" else 0.9  # so that jumps are seen in few runs
    theory = OQT(rate, Window("given", weights=tuple(chi)), noise=noise, scheme=scheme, step=0.08, degrees=1.7)
    gamma, fastest = rate * 1.7, np.abs(frequencies).max()
    longest = min(0.08 / gamma, 10 * 0.08 / fastest) if noise == "real" else 0.08 / gamma
    longest = math.inf if scheme == "jumps" else longest
    sector, start = np.zeros(4, int), vectors.conj().T @ ket(4)

    def twin(dice):
        args = (chi, sector, frequencies, gamma, scheme, noise == "real", longest, dice)
        return thermalised(start, *args) @ vectors.T

    assert_twins(theory, asked(h), twin)


def test_fast_levels_shorten_the_steps_of_real_noise_alone():
    """Ten times ``step`` is what the fastest level may turn, against the middle of the band."""
    chi, h = np.array([0.5, 0.3, 0.2]), np.diag([100.0, 107.0, 103.0]).astype(complex) + 0.3 * matrix(3)
    frequencies, vectors = levels(h)
    for noise, longest in (("real", 10 * 0.1 / np.abs(frequencies).max()), ("complex", 0.1 / 0.2)):
        theory = OQT(0.2, Window("given", weights=tuple(chi)), noise=noise, step=0.1)
        args = (chi, np.zeros(3, int), frequencies, 0.2, "channel", noise == "real", longest)
        assert_twins(
            theory, asked(h), lambda dice, a=args: thermalised(vectors.conj().T @ ket(3), *a, dice) @ vectors.T
        )


@pytest.mark.parametrize("scheme", ["channel", "jumps"])
def test_trajectories_of_oqt_in_sectors(scheme):
    """Charges with two values: chi of each sector has the mean energy that the state has within it."""
    energies, charge = np.array([0.0, 0.6, 1.1, 1.5, 2.3]), np.array([1.0, -1.0, 1.0, -1.0, 1.0])
    experiment = asked(np.diag(energies).astype(complex))
    theory = OQT(4.0, Window(width=1.4, charge=tuple(charge), sectors="own"), scheme=scheme, step=0.3)
    chi, sector = np.zeros(5), (charge > 0).astype(int)
    for own in (charge < 0, charge > 0):
        weights = np.abs(ket(5)[own]) ** 2
        weights /= weights.sum()
        mean = weights @ energies[own]
        spread = np.sqrt(weights @ (energies[own] - mean) ** 2)
        inside = own & (np.abs(energies - mean) <= 1.4 * spread)
        chi[inside] = 1 / inside.sum()
    assert 0 < np.count_nonzero(chi) < 5
    frequencies = (energies - 1.15) / HBAR
    longest = math.inf if scheme == "jumps" else min(0.3 / 4.0, 3.0 / np.abs(frequencies).max())
    real = scheme == "channel"
    assert_twins(
        theory,
        experiment,
        lambda dice: thermalised(ket(5), chi, sector, frequencies, 4.0, scheme, real, longest, dice),
    )


@pytest.mark.parametrize("scheme", ["channel", "jumps"])
@pytest.mark.parametrize("part", ["A", "B"])
@pytest.mark.parametrize("noise", ["real", "complex"])
def test_trajectories_of_oqt_of_one_part(part, scheme, noise):
    own, other = matrix(3, 1), matrix(2, 2)
    parts = {"A": own, "B": other} if part == "A" else {"A": other, "B": own}
    system = composite(parts)
    system = System(system.hamiltonian, parts=system.parts, hbar=HBAR)
    experiment = Experiment(system, Preparation(ket(6)), Schedule(TIMES))
    chi = np.array([0.2, 0.5, 0.3])
    theory = OQT(2.1, Window("given", weights=tuple(chi)), noise=noise, scheme=scheme, step=0.2, degrees=1.3, part=part)
    gamma = 2.1 * 1.3
    (fast, v), (slow, w) = levels(own), levels(other)
    longest = min(0.2 / gamma, 2.0 / np.abs(fast).max()) if noise == "real" else 0.2 / gamma
    longest = math.inf if scheme == "jumps" else longest
    told = ket(6).reshape((3, 2) if part == "A" else (2, 3))
    told = told if part == "A" else told.T

    def twin(dice):
        psi, kets, sector = v.conj().T @ told @ w.conj(), [], np.zeros(3, int)
        kets.append(psi)
        for steps, dt in steps_of(longest):
            turn, keep = np.exp(-1j * (fast[:, None] + slow) * dt), np.exp(-0.5 * gamma * dt)
            for _ in range(steps):
                if scheme == "channel":
                    psi = plain.local_channel_step(psi, keep, turn, chi, sector, noise == "real", dice)
                else:
                    psi = plain.local_jump_step(psi, keep, turn, chi, sector, dice)
            kets.append(psi)
        back = [v @ psi @ w.T for psi in kets]
        return np.array([(one if part == "A" else one.T).ravel() for one in back])

    assert_twins(theory, experiment, twin)


# ---- collapse


PROJECTORS = {"beables": "beables", "rank two": rotated(4, (2, 1, 1)), "groups": [["0", "3"], ["1", "2"]]}


def collapse_basis(projectors):
    """Vectors <a|c> and blocks; of rotated projectors any basis within a block gives the same trajectories."""
    if projectors == "beables":
        return np.eye(4, dtype=complex), np.arange(4)
    if isinstance(projectors[0][0], str):
        return np.eye(4, dtype=complex), np.array([0, 1, 1, 0])
    vectors = [np.linalg.eigh(one)[1][:, -round(np.trace(one).real) :] for one in projectors]
    return np.hstack(vectors), np.repeat(np.arange(len(vectors)), [one.shape[1] for one in vectors])


@pytest.mark.parametrize("scale", [1.0, 0.05], ids=["turns decide the step", "the rate decides the step"])
@pytest.mark.parametrize("kind", PROJECTORS)
def test_trajectories_of_suv(kind, scale):
    h = scale * matrix(4)
    theory = SUV(1.3, PROJECTORS[kind], step=0.11, degrees=1.6)
    frequencies, _ = levels(h)
    longest = min(0.11 / (1.3 * 1.6), 2 * 0.11 / np.abs(frequencies).max())
    vectors, block = collapse_basis(PROJECTORS[kind])
    middle = np.diag(np.full(4, 0.5 * sum(np.linalg.eigvalsh(h)[[0, -1]])))
    inside = vectors.conj().T @ (h - middle) @ vectors / HBAR

    def twin(dice):
        psi = vectors.conj().T @ ket(4)
        kets = [psi]
        for steps, dt in steps_of(longest):
            u, span = expm(-1j * inside * dt), 1.3 * 1.6 * dt
            for step in range(steps):
                psi = u @ plain.reduction_step(psi, span if step else 0.5 * span, block, dice)
            psi = plain.reduction_step(psi, 0.5 * span, block, dice)
            kets.append(psi)
        return np.array(kets) @ vectors.T

    assert_twins(theory, asked(h), twin)


def test_trajectories_of_suv_that_the_hamiltonian_only_turns():
    """One step from one save time to the next, and H exactly beside it."""
    energies = np.array([0.2, 0.9, -0.4, 0.5])
    theory = SUV(1.3, degrees=1.6, step=0.01)

    def twin(dice):
        psi = ket(4)
        kets = [psi]
        for span in SPANS:
            turn = np.exp(-1j * (energies - 0.25) * span / HBAR)
            psi = turn * plain.reduction_step(psi, 0.5 * 2.08 * span, np.arange(4), dice)
            psi = plain.reduction_step(psi, 0.5 * 2.08 * span, np.arange(4), dice)
            kets.append(psi)
        return np.array(kets)

    assert_twins(theory, asked(np.diag(energies).astype(complex)), twin)


@pytest.mark.parametrize("scale", [1.0, 0.05], ids=["turns decide the step", "the rate decides the step"])
@pytest.mark.parametrize("kind", PROJECTORS)
@pytest.mark.parametrize("noise", ["real", "complex"])
def test_trajectories_of_sui(kind, noise, scale):
    h, chi = scale * matrix(4), np.array([0.1, 0.4, 0.0, 0.5])
    given = Window("given", weights=tuple(chi))
    theory = SUI(0.8, 1.1, given, PROJECTORS[kind], noise=noise, step=0.13, degrees=1.5)
    frequencies, modes = levels(h)
    longest = min(0.13 / (1.1 * 1.5), 2 * 0.13 / np.abs(frequencies).max())
    vectors, block = collapse_basis(PROJECTORS[kind])
    u = modes.conj().T @ vectors  # <m|c>

    def twin(dice):
        psi, sector = vectors.conj().T @ ket(4), np.zeros(4, int)
        kets = [psi]
        for steps, dt in steps_of(longest):
            turn, keep, span = np.exp(-1j * frequencies * dt), np.exp(-0.5 * 0.8 * 1.5 * dt), 1.1 * 1.5 * dt
            for step in range(steps):
                psi = plain.reduction_step(psi, span if step else 0.5 * span, block, dice)
                told = plain.channel_step(u @ psi, keep, turn, chi, sector, noise == "real", dice)
                psi = u.conj().T @ told
            psi = plain.reduction_step(psi, 0.5 * span, block, dice)
            kets.append(psi)
        return np.array(kets) @ vectors.T

    assert_twins(theory, asked(h), twin)


@pytest.mark.parametrize("kind", PROJECTORS)
@pytest.mark.parametrize("thermalising", [0.0, 1.7])
def test_trajectories_of_jumps(kind, thermalising):
    h, chi = matrix(4), np.array([0.1, 0.4, 0.0, 0.5])
    given = Window("given", weights=tuple(chi))
    both = SUI(thermalising, 2.3, given, PROJECTORS[kind], scheme="jumps", degrees=1.5)
    theory = both if thermalising else SUV(2.3, PROJECTORS[kind], scheme="jumps", degrees=1.5)
    frequencies, modes = levels(h)
    vectors, block = collapse_basis(PROJECTORS[kind])
    u = modes.conj().T @ vectors
    rates = thermalising * 1.5, 2.3 * 1.5

    def twin(dice):
        psi = modes.conj().T @ ket(4)
        kets = [psi]
        for span in SPANS:
            psi = plain.events(psi, span, *rates, frequencies, chi, u, block, dice)
            kets.append(psi)
        return np.array(kets) @ modes.T

    assert_twins(theory, asked(h), twin)


# ---- noise with a memory


def driven(y, xi, dt, drift, noise, decay, width, kind, weight, dice, *, paired):
    """`plain.driven_step`, and of two states that one noise drives with opposite signs."""
    if not paired:
        return plain.driven_step(y, xi, dt, drift, noise, decay, width, kind, weight, dice)

    def shares(y):
        p = weight * np.exp(2 * (y - y.max()))
        return p / p.sum()

    before, signs = xi.copy(), np.array([1.0, -1.0])
    if kind == "ou":
        xi = decay * xi + width * np.sqrt(1 - decay**2) * np.array([dice.normal()])
    elif kind == "spherical":
        xi = decay * xi + np.sqrt(1 - xi**2) * np.sqrt(1 - decay**2) * np.cos(2 * np.pi * dice.uniform())
    middle = y + 0.5 * dt * (drift * shares(y) + noise * signs * before)
    y = y + dt * (drift * shares(middle) + 0.5 * noise * signs * (before + xi))
    return y - y.max(), xi


@pytest.mark.parametrize("kind", ["ou", "spherical", "frozen"])
@pytest.mark.parametrize("drift", [None, 0.6])
@pytest.mark.parametrize("paired", [False, True])
def test_trajectories_of_coloured_suv(kind, drift, paired):
    size, strength, memory, step = (2 if paired else 3), 0.9, 0.4, 0.05
    energies = np.array([0.3, -0.5, 0.8])[:size]
    experiment = asked(np.diag(energies).astype(complex))
    theory = ColouredSUV(strength, drift, kind, memory, one_noise=paired, step=step)
    born = {"ou": 4 * 0.81 * 0.5, "spherical": 4 * 0.81 * 0.4 / 3, "frozen": 0.9}[kind]
    j = born if drift is None else drift
    pull = 2 * j if paired else j
    longest = step / pull
    longest = min(longest, step / strength if kind == "frozen" else step * memory)
    width = np.sqrt(0.5 / memory)
    weight = np.abs(ket(size)) ** 2

    def twin(dice):
        noises = 1 if paired else size
        y = np.zeros(size)
        xi = np.array([width * dice.normal() if kind == "ou" else 2 * dice.uniform() - 1 for _ in range(noises)])
        shares = [weight]
        for steps, dt in steps_of(longest):
            decay = 1.0 if kind == "frozen" else np.exp(-dt / memory)
            for _ in range(steps):
                y, xi = driven(y, xi, dt, pull, strength, decay, width, kind, weight, dice, paired=paired)
            p = weight * np.exp(2 * y)
            shares.append(p / p.sum())
        phases = np.angle(ket(size)) - np.outer(TIMES - TIMES[0], energies) / HBAR
        return np.sqrt(shares) * np.exp(1j * phases)

    assert_twins(theory, experiment, twin)
    found = theory.evolve(experiment, seed=SEED, replicas=3)
    assert found.attrs["theory_drift"] == pytest.approx(j)
    np.testing.assert_array_equal(found.outcome, (np.abs(found.state) ** 2).argmax("beable"))
