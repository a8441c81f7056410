"""Smooth drives as pulses: the true error lies below the stated one and falls as steps^-2."""

import numpy as np
import pytest
import qutip
from scipy import sparse
from scipy.linalg import expm

from copydyn import Experiment, drives
from copydyn.drives import Drive, sampled
from copydyn.theories import Schrodinger

X, Y, Z = (qutip.sigmax().full(), qutip.sigmay().full(), qutip.sigmaz().full())
HBAR, SPAN = 0.7, 3.0

DRIVES = {
    "sweep": lambda t: (t - 1.5) * Z + 0.5 * X,
    "bump": lambda t: np.exp(-4.0 * (t - 1.5) ** 2) * X + 0.3 * Z,
    "turning field": lambda t: np.cos(2.0 * t) * X + np.sin(2.0 * t) * Y + 0.4 * Z,
    "pump without commutator": lambda t: np.sin(3.0 * t) * X,
    "three levels": lambda t: np.array(
        [[0.0, 0.5, 0.2j * t], [0.5, np.sin(t), 0.4 * t**2], [-0.2j * t, 0.4 * t**2, -0.6]],
    ),
}


def done_by(drive: Drive) -> np.ndarray:
    """The unitary of the whole train."""
    u = np.eye(drive.pulses[0].hamiltonian.shape[0])
    for length, h in drive.pulses:
        u = expm(-1j * length / HBAR * (h.toarray() if sparse.issparse(h) else h)) @ u
    return u


def exactly(hamiltonian) -> np.ndarray:
    """The same by an integrator of Adams' kind that knows nothing of pulses."""
    h = qutip.QobjEvo(lambda t: qutip.Qobj(hamiltonian(t) / HBAR))
    return qutip.propagator(h, SPAN, options={"atol": 1e-12, "rtol": 1e-11, "nsteps": 100_000}).full()


@pytest.mark.parametrize("name", DRIVES)
def test_the_true_error_lies_below_the_stated_one_and_falls_as_the_square_of_the_step(name):
    exact = exactly(DRIVES[name])
    found, stated = [], []
    for steps in (40, 80, 160):
        drive = sampled(DRIVES[name], SPAN, steps, hbar=HBAR)
        assert len(drive.pulses) == steps
        found.append(np.linalg.norm(done_by(drive) - exact, 2))
        stated.append(drive.error)
    assert np.all(np.array(found) <= stated), (found, stated)
    assert stated[-1] < 0.01  # a bound that says something
    for errors in (found, stated):
        assert np.log2(np.array(errors[:-1]) / errors[1:]) == pytest.approx(2.0, abs=0.1)


def test_the_bound_is_tight_where_nothing_cancels():
    """Commuting H(t) = t^2 X: the midpoints miss (h^3/24) H'' a step and nothing else, so that the bound is reached."""
    drive = sampled(lambda t: t**2 * X, SPAN, 30, hbar=HBAR)
    off = np.linalg.norm(done_by(drive) - exactly(lambda t: t**2 * X), 2)
    assert off == pytest.approx(drive.error, rel=1e-4)


def test_the_control_that_must_fail():
    """Sampled at the beginning of each step the error is of first order, and soon above the bound."""
    late = DRIVES["bump"]
    drive = sampled(late, SPAN, 160, hbar=HBAR)
    early = Drive(sampled(lambda t: late(t - 0.5 * SPAN / 160), SPAN, 160, hbar=HBAR).pulses, 0.0)
    assert np.linalg.norm(done_by(early) - exactly(late), 2) > 3 * drive.error


@pytest.mark.parametrize("tolerance", [1e-2, 1e-3, 1e-4])
def test_a_tolerance_chooses_the_steps(tolerance):
    drive = sampled(DRIVES["turning field"], SPAN, tolerance=tolerance, hbar=HBAR)
    assert 0.5 * tolerance < drive.error <= tolerance
    assert np.linalg.norm(done_by(drive) - exactly(DRIVES["turning field"]), 2) <= tolerance


def test_a_constant_drive_has_no_error():
    drive = sampled(lambda t: X, SPAN, tolerance=1e-12)
    assert (len(drive.pulses), drive.error) == (drives.FEWEST, 0.0)


def test_sparse_drives_stay_sparse_and_their_bound_holds_as_well():
    def h(t):
        return sparse.csr_array(DRIVES["three levels"](t))

    dense, thin = sampled(DRIVES["three levels"], SPAN, 50), sampled(h, SPAN, 50)
    assert all(sparse.issparse(pulse.hamiltonian) for pulse in thin.pulses)
    assert np.allclose(thin.pulses[7].hamiltonian.toarray(), dense.pulses[7].hamiltonian, atol=0)
    assert dense.error <= thin.error < 3 * dense.error


def test_pulses_go_where_a_hamiltonian_goes():
    drive = sampled(DRIVES["sweep"], SPAN, tolerance=1e-4, hbar=HBAR)
    end = Schrodinger().evolve(Experiment.of(drive.pulses, [0.6, 0.8j], [0.0, SPAN], hbar=HBAR)).state.values[0, -1]
    assert np.linalg.norm(end - exactly(DRIVES["sweep"]) @ [0.6, 0.8j]) < drive.error


@pytest.mark.parametrize(
    ("call", "kind", "names"),
    [
        (lambda: sampled(X, 1.0, 10), TypeError, "hamiltonian must be a function of the time"),
        (lambda: sampled(lambda t: X, 0.0, 10), ValueError, "duration must be > 0, but is 0"),
        (lambda: sampled(lambda t: X, 1.0), ValueError, "steps or tolerance must be given"),
        (lambda: sampled(lambda t: X, 1.0, 10, tolerance=1.0), ValueError, "steps or tolerance must be given"),
        (lambda: sampled(lambda t: X, 1.0, 0), ValueError, "steps must be >= 1, but is 0"),
        (lambda: sampled(lambda t: X, 1.0, 1e9), ValueError, "steps must be at most 100000"),
        (lambda: sampled(lambda t: X, 1.0, tolerance=0.0), ValueError, "tolerance must be > 0"),
        (lambda: sampled(lambda t: X, 1.0, 10, hbar=-1), ValueError, "hbar must be > 0"),
        (lambda: sampled(lambda t: t * X + Z, 1.0, tolerance=1e-30), ValueError, "within reach of 100000 steps"),
        (lambda: sampled(lambda t: t * X + Z, 1e308, tolerance=0.1), ValueError, "within reach of 100000 steps"),
        (lambda: sampled(lambda t: 1j * t * X, 1.0, 10), ValueError, r"H\(t = 0.05\) must be Hermitian"),
        (lambda: sampled(lambda t: X / t if t else X * np.nan, 1.0, 10), ValueError, r"H\(t = 0\) must be finite"),
        (lambda: sampled(lambda t: np.eye(2 + (t > 0.5)), 1.0, 10), ValueError, r"H\(t = 0.55\) must have shape"),
        (lambda: sampled(lambda t: "X", 1.0, 10), TypeError, r"H\(t = 0\) must be an array of numbers"),
    ],
)
def test_bad_drives_are_refused(refuses, call, kind, names):
    refuses(call, kind, names)
