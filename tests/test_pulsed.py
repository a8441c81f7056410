"""Ramsey, spin echo, Landau and Zener against rotations written out, and against formulas of their own."""

import numpy as np
import pytest
import qutip

from copydyn import Experiment, Preparation, Schedule
from copydyn.experiment.preparations import eigenstate
from copydyn.systems import landau_zener, ramsey, spin_echo
from copydyn.theories import CopyDynamics, Schrodinger

NAN = float("nan")
KET = np.array([0.9, np.sqrt(0.19) * np.exp(0.3j)])


def about(axis, angle):
    """exp(-i angle axis.sigma / 2), axis of length one."""
    spin = sum(part * sigma.full() for part, sigma in zip(axis, (qutip.sigmax(), qutip.sigmay(), qutip.sigmaz())))
    return np.cos(angle / 2) * np.eye(2) - 1j * np.sin(angle / 2) * spin


def turn(pulse, detuning, phase, parts=1, hbar=1.0):
    """A pulse of ``parts`` quarter turns: about the axis (cos f, sin f, D/w), w the Rabi energy."""
    field = np.array([np.pi * hbar / (2 * pulse) * np.cos(phase), np.pi * hbar / (2 * pulse) * np.sin(phase), detuning])
    return about(field / np.linalg.norm(field), np.linalg.norm(field) * parts * pulse / hbar)


def wait(span, detuning, hbar=1.0):
    return about((0, 0, 1), detuning * span / hbar)


def last_ket(system, ket=KET):
    experiment = Experiment(system, Preparation(ket), Schedule([0.0, system.duration]))
    return Schrodinger().evolve(experiment).state.values[0, -1]


@pytest.mark.parametrize(("detuning", "phase", "hbar"), [(0.0, 0.0, 1.0), (0.6, 0.0, 1.0), (-1.1, 0.8, 0.5)])
def test_ramsey_is_two_turns_and_a_wait(detuning, phase, hbar):
    expected = turn(0.7, detuning, phase, hbar=hbar) @ wait(3.0, detuning, hbar) @ turn(0.7, detuning, 0.0, hbar=hbar)
    system = ramsey(0.7, 3.0, detuning, phase, hbar)
    assert system.duration == pytest.approx(4.4)
    assert np.allclose(last_ket(system), expected @ KET, atol=1e-9)


def test_ramsey_fringes():
    """From |0> by short pulses, |psi_1|^2 = cos^2((D wait/hbar - phase)/2): the textbook's fringe."""
    for detuning, phase in [(0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (1.3, 2.0)]:
        end = last_ket(ramsey(1e-6, 3.0, detuning, phase), np.array([1.0, 0.0]))
        assert abs(end[1]) ** 2 == pytest.approx(np.cos(0.5 * (3.0 * detuning - phase)) ** 2, abs=1e-5)


@pytest.mark.parametrize(("detuning", "phase", "hbar"), [(0.0, 0.0, 1.0), (0.6, 1.2, 1.0), (-1.1, 0.8, 0.5)])
def test_an_echo_is_three_turns_and_two_waits(detuning, phase, hbar):
    quarter, half = turn(0.4, detuning, 0.0, 1, hbar), turn(0.4, detuning, phase, 2, hbar)
    expected = quarter @ wait(3.0, detuning, hbar) @ half @ wait(3.0, detuning, hbar) @ quarter
    system = spin_echo(0.4, 3.0, detuning, phase, hbar)
    assert system.duration == pytest.approx(7.6)
    assert np.allclose(last_ket(system), expected @ KET, atol=1e-9)


@pytest.mark.parametrize("phase", [0.0, np.pi / 2])
def test_an_echo_forgets_the_detuning_and_ramsey_does_not(phase):
    """Short pulses: whatever the detuning, the echo ends where it would on resonance."""
    still = np.abs(last_ket(spin_echo(1e-6, 3.0, 0.0, phase))) ** 2
    for detuning in (0.3, 0.9, -1.5):
        assert np.allclose(np.abs(last_ket(spin_echo(1e-6, 3.0, detuning, phase))) ** 2, still, atol=1e-5)
        assert not np.allclose(
            np.abs(last_ket(ramsey(1e-6, 3.0, detuning, phase))) ** 2,
            np.abs(last_ket(ramsey(1e-6, 3.0, 0.0, phase))) ** 2,
            atol=0.1,
        )


def test_no_copy_moves_between_the_pulses():
    """The waits have no couplings: the counts stand still, event by event, while the phases turn."""
    system = ramsey(1.0, 6.0, 0.6)
    experiment = Experiment(system, Preparation(KET), Schedule([0.0, 1.0, 4.0, 7.0, 8.0]))
    result = CopyDynamics(10_000).evolve(experiment, seed=1, replicas=5)
    counts, events = result.counts.values, result.events.values
    assert np.array_equal(counts[:, 1], counts[:, 3])
    assert np.array_equal(events[:, 1], events[:, 3])
    assert np.all(events[:, [1, 4]] > events[:, [0, 3]] + 100)
    turned = np.diff(result.phase.values[:, [1, 3]], axis=-1)[..., 0]  # phi_1 - phi_0, of which D = 0.6 takes 6 x 0.6
    assert np.allclose(np.exp(1j * (turned[:, 1] - turned[:, 0])), np.exp(-3.6j), atol=1e-9)


@pytest.mark.parametrize(("coupling", "rate", "hbar"), [(0.5, 1.0, 1.0), (0.3, 1.0, 1.0), (0.4, -2.0, 0.7)])
def test_landau_and_zener(coupling, rate, hbar):
    """From the lowest state of the beginning, the upper one of the end is reached with exp(-2 pi g^2/(hbar |r|)).

    In the eigenstates, not the labels, the limit is reached as (hbar r)^2 / (r T)^4 at least: T = 60 is infinite.
    """
    system = landau_zener(coupling, rate, 60.0, tolerance=1e-2, hbar=hbar)
    end = last_ket(system, eigenstate(system).ket)
    upper = np.linalg.eigh(system.pulses[-1].hamiltonian)[1][:, 1]
    assert abs(np.vdot(upper, end)) ** 2 == pytest.approx(
        np.exp(-2 * np.pi * coupling**2 / (hbar * abs(rate))), abs=2e-3
    )


def test_landau_and_zener_within_the_stated_error_of_a_smooth_sweep():
    for tolerance in (1e-2, 1e-3):
        system = landau_zener(0.5, 1.0, 10.0, tolerance)
        start = eigenstate(system).ket
        h = qutip.QobjEvo([0.5 * qutip.sigmax(), [0.5 * qutip.sigmaz(), lambda t: t - 5.0]])
        options = {"atol": 1e-11, "rtol": 1e-10, "nsteps": 100_000}
        smooth = qutip.sesolve(h, qutip.Qobj(start), [0.0, 10.0], options=options).states[-1].full()[:, 0]
        assert 1e-3 * tolerance < np.linalg.norm(last_ket(system, start) - smooth) < tolerance


@pytest.mark.parametrize(
    ("call", "kind", "names"),
    [
        (lambda: ramsey(pulse=0.0), ValueError, "pulse must be > 0, but is 0"),
        (lambda: ramsey(wait=-1.0), ValueError, "wait must be > 0, but is -1"),
        (lambda: ramsey(detuning=NAN), ValueError, "detuning must be finite"),
        (lambda: ramsey(phase="pi"), TypeError, "phase must be a real number"),
        (lambda: ramsey(hbar=0), ValueError, "hbar must be > 0"),
        (lambda: spin_echo(pulse=1e-312), ValueError, "pulse must be long enough for a finite H, but is 1e-312"),
        (lambda: spin_echo(pulse=-1), ValueError, "pulse must be > 0, but is -1"),
        (lambda: spin_echo(wait=0), ValueError, "wait must be > 0, but is 0"),
        (lambda: spin_echo(phase=NAN), ValueError, "phase must be finite"),
        (lambda: landau_zener(coupling="g"), TypeError, "coupling must be a real number"),
        (lambda: landau_zener(rate=0), ValueError, "rate must not be zero"),
        (lambda: landau_zener(duration=0), ValueError, "duration must be > 0"),
        (lambda: landau_zener(tolerance=1e-30), ValueError, "tolerance must be within reach of 100000 steps"),
    ],
)
def test_bad_pulses_are_refused(refuses, call, kind, names):
    refuses(call, kind, names)
