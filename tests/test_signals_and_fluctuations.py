"""What is asked of theories of irreversibility: signals, correlations, lasting fluctuations, parts, sizes, claims."""

import numpy as np
import pytest
import qutip
from verdicts import assert_mean

from copydyn import Experiment, Preparation, Schedule
from copydyn.comparison.claims import Born, Reads, Signals
from copydyn.experiment.preparations import product
from copydyn.systems import coupled_qubits, ising, measurement, three_level
from copydyn.theories import OQT, SUI, SUV, ColouredSUV, CopyDynamics, Schrodinger
from copydyn.theories.irreversible import thermodynamics as thermal
from copydyn.theories.irreversible.equilibrium import Window, equilibrium_of
from copydyn.theories.irreversible.fluctuations import (
    long_time_variance,
    scan_of_sizes,
    thermalisation_time,
    two_time_correlation,
)
from copydyn.theories.irreversible.signalling import signal_of_own_equilibria, state_of, witness

APART = coupled_qubits(couplings=(0, 0, 0))
PAIR = Experiment(
    APART, Preparation([0.63, 0.32j, -0.16 + 0.28j, -0.55 + 0.32j], normalise=True), Schedule(np.linspace(0, 6, 13))
)


# ---- signals


@pytest.mark.parametrize("part", ["A", "B"])
@pytest.mark.parametrize("kind", ["OQT", "SUV", "SUI"])
def test_what_acts_on_one_part_is_not_seen_at_the_other(part, kind):
    """Thermalisation or collapse of one part alone leaves the other's state to rounding; the part itself is changed."""
    theories = {
        "OQT": OQT(0.5, part=part, scheme="ensemble"),
        "SUV": SUV(0.5, part=part, scheme="ensemble"),
        "SUI": SUI(0.0, 0.5, part=part, scheme="ensemble"),
    }
    on, off = theories[kind].evolve(PAIR), Schrodinger().evolve(PAIR)
    assert witness(on, off, "B" if part == "A" else "A").max() < 1e-9
    assert witness(on, off, part).max() > 0.05


def test_what_acts_on_both_parts_is_seen():
    """E9: a GKSL form alone forbids nothing; non-local L_mn and P_k change Bob's state by tenths."""
    off = Schrodinger().evolve(PAIR)
    parity = SUV(0.5, [["(0,0)", "(1,1)"], ["(0,1)", "(1,0)"]], scheme="ensemble")
    for theory in (OQT(0.5, scheme="ensemble"), parity, SUI(0.5, 0.5, scheme="ensemble")):
        assert witness(theory.evolve(PAIR), off, "B").max() > 0.1


def test_equilibria_of_each_members_own_state_signal_as_printed():
    """E6: sqrt(.7)|00> + sqrt(.3)|11>; Bob measures Z or X; Alice thermalises to diag(.7, .3) or |0><0|: 0.3."""
    psi = np.diag(np.sqrt([0.7, 0.3]))
    z, x = np.eye(2), np.array([[1, 1], [1, -1]]) / np.sqrt(2)
    assert signal_of_own_equilibria([0.0, 1.0], psi, z, x) == pytest.approx(0.3, abs=1e-14)
    assert signal_of_own_equilibria([0.0, 1.0], psi, z, z[::-1]) == pytest.approx(0.0, abs=1e-14)
    canonical = Window("canonical")  # keeps each member's energy, and needs it inside the spectrum
    y = np.array([[1, 1j], [1, -1j]]) / np.sqrt(2)
    assert signal_of_own_equilibria([0.0, 1.0], psi, x, y, canonical) == pytest.approx(0.0, abs=1e-12)


def test_a_witness_needs_states(refuses):
    off = Schrodinger().evolve(PAIR)
    refuses(lambda: witness(off, off, "C"), ValueError, "part must be one of A, B, but is 'C'")
    copies = CopyDynamics(100).evolve(PAIR, seed=1)
    refuses(lambda: state_of(copies, "B"), ValueError, "a witness needs density matrices")
    refuses(lambda: witness(off, off.isel(time=[0]), "B"), ValueError, "must have the same save times")
    alone = Schrodinger().evolve(Experiment(three_level(), Preparation([1, 0, 0]), Schedule([0.0])))
    refuses(lambda: state_of(alone, "A"), ValueError, "part must be one of a composite system's")


def test_parts_are_traced_out_as_qutip_does():
    rng = np.random.default_rng(1)
    psi = rng.normal(size=12) + 1j * rng.normal(size=12)
    psi /= np.linalg.norm(psi)
    whole = qutip.Qobj(psi, dims=[[2, 3, 2], [1, 1, 1]])
    for kept in ([0], [1], [2], [0, 2], [1, 2]):
        expected = whole.ptrace(kept).full()
        np.testing.assert_allclose(thermal.reduced_ket(psi, (2, 3, 2), kept), expected, atol=1e-14)
        np.testing.assert_allclose(thermal.reduced(np.outer(psi, psi.conj()), (2, 3, 2), kept), expected, atol=1e-14)
    entropies = [thermal.von_neumann_entropy(thermal.reduced_ket(psi, (2, 6), [part])) for part in (0, 1)]
    assert entropies[0] == pytest.approx(float(entropies[1]), abs=1e-13), "both halves of a pure state"
    assert float(entropies[0]) == pytest.approx(qutip.entropy_vn(whole.ptrace([0])), abs=1e-12)


# ---- correlations, fluctuations, sizes


def test_two_time_correlations_are_those_of_the_regression_theorem():
    """M2 against qutip's correlation_2op_1t with the L_mn as jump operators: 1e-6."""
    experiment = Experiment(three_level(), Preparation([0.6, 0.8j, 0]), Schedule([0.0]))
    chi, times = equilibrium_of(experiment, Window(width=1.2)), np.linspace(0, 4, 9)
    rng = np.random.default_rng(0)
    a, b = (m + m.conj().T for m in rng.normal(size=(2, 3, 3)) + 1j * rng.normal(size=(2, 3, 3)))
    found = two_time_correlation(chi, 0.6, a, b, times)
    vectors = chi.levels.vectors
    jumps = [
        qutip.Qobj(np.sqrt(0.6 * chi.average[m]) * np.outer(vectors[:, m], vectors[:, n].conj()))
        for m in chi.window
        for n in range(3)
    ]
    options = {"atol": 1e-12, "rtol": 1e-10, "nsteps": 10_000}
    theirs = qutip.correlation_2op_1t(
        qutip.Qobj(experiment.system.hamiltonian),
        qutip.ket2dm(qutip.Qobj(experiment.ket)),
        times,
        jumps,
        qutip.Qobj(a),
        qutip.Qobj(b),
        options=options,
    )
    np.testing.assert_allclose(found, theirs, atol=1e-6)
    assert np.abs(found - two_time_correlation(chi, 0.0, a, b, times)).max() > 0.1


@pytest.mark.parametrize("noise", ["real", "complex"])
def test_a_single_system_keeps_fluctuating_as_foreseen(noise):
    """M3: variance of <O> over 20 000 runs at Gamma t = 20, uniform chi on four levels, H = 0 but for a degenerate
    shell, O real: 3 % would be seen. Control: the formula of the other noise is 60 % away."""
    experiment = Experiment.of(np.zeros((4, 4)), np.sqrt([0.4, 0.3, 0.2, 0.1]), [0.0, 20.0])
    operator = np.array([[1.0, 0.4, 0, 0], [0.4, -1.0, 0.2, 0], [0, 0.2, 0.5, 0.3], [0, 0, 0.3, 0.1]])
    runs = OQT(1.0, noise=noise, step=0.05).evolve(experiment, seed=1, replicas=20_000)
    kets = runs.state.values[:, 1]
    values = np.einsum("ra,ab,rb->r", kets.conj(), operator, kets).real
    chi = equilibrium_of(experiment, Window())
    foreseen = long_time_variance(chi, operator, noise)
    squares = (values - np.trace(operator) / 4) ** 2
    assert_mean(squares, foreseen, detects=0.1 * foreseen)
    other = long_time_variance(chi, operator, "complex" if noise == "real" else "real")
    assert abs(other / foreseen - 1) > 0.3


def test_thermalisation_goes_from_invisible_to_complete_with_size():
    """Alpha N / hbar: one degree of freedom is Schroedinger's to 1e-6, 1e10 of them are in equilibrium."""
    experiment = Experiment(three_level(hbar=0.5), Preparation([0.6, 0.8j, 0]), Schedule([0.0, 2.0]))
    scan = scan_of_sizes(experiment, 1e-7, [1.0, 1e3, 1e6, 1e7, 1e10])
    assert scan.from_schrodinger[0] < 1e-6
    assert scan.from_equilibrium[-1] < 1e-6
    assert np.all(np.diff(scan.from_schrodinger) > 0)
    np.testing.assert_allclose(scan.thermalisation_time * scan.gamma, 1.0)
    assert thermalisation_time(1e-7, 1e7, 0.5) == pytest.approx(0.5)
    assert thermalisation_time(0.0, 1e7) == np.inf
    middle = OQT(2e-7, degrees=1e6, scheme="ensemble").evolve(experiment)
    off = Schrodinger().evolve(experiment).state.values[0, 1]
    away = thermal.trace_distance(middle.density_matrix.values[1], np.outer(off, off.conj()))
    assert float(away) == pytest.approx(float(scan.from_schrodinger[2]), abs=1e-9)


def test_what_cannot_be_foreseen_is_refused(refuses):
    experiment = Experiment(three_level(), Preparation([0.6, 0.8j, 0]), Schedule([0.0]))
    uneven = equilibrium_of(experiment, Window("canonical"))
    refuses(lambda: long_time_variance(uneven, np.eye(3)), ValueError, "known of a uniform chi")
    even = equilibrium_of(experiment, Window())
    refuses(lambda: long_time_variance(even, np.eye(3), "pink"), ValueError, "noise must be one of")
    refuses(lambda: scan_of_sizes(experiment, 1.0, [0.0]), ValueError, "degrees must be numbers > 0")


# ---- a measurement


def test_a_pointer_in_a_field_breaks_borns_rule_and_heats():
    """Without a field the pointer's weights stand still; with one they drift, and the energy grows."""
    psi = np.zeros(16)
    psi[[0, 15]] = np.sqrt([0.7, 0.3])
    for field, moves in ((0.0, False), (0.4, True)):
        system = measurement(3, 0.4, transverse=field)
        result = SUV(0.5, "pointer", scheme="ensemble").evolve(
            Experiment(system, Preparation(psi), Schedule(np.linspace(0, 10, 6)))
        )
        up = result.probability.values[:, [label.count("0", 3) >= 2 for label in system.labels]].sum(axis=1)
        assert (np.abs(up - 0.7).max() > 0.01) == moves
        assert (float(result.mean_energy[-1] - result.mean_energy[0]) > 0.04) == moves


# ---- claims


def judged(claim, result):
    return claim.judge(result, result)


def test_a_number_is_read_and_compared(refuses):
    result = OQT(0.5, scheme="ensemble").evolve(
        Experiment(three_level(), Preparation([0.6, 0.8j, 0]), Schedule([0, 9.0]))
    )
    value = float(result.entropy[-1])
    assert judged(Reads(variable="entropy", equals=value), result).holds
    assert not judged(Reads(variable="entropy", equals=value + 1e-4), result).holds
    assert judged(Reads(variable="entropy", when="smallest", at_most=1e-9), result).holds
    assert not judged(Reads(variable="entropy", when="largest", at_least=2.0), result).holds
    refuses(lambda: judged(Reads(variable="state", at_least=0), result), ValueError, "must be a number over time")
    refuses(lambda: Reads(variable="entropy"), ValueError, "equals, at_least or at_most must be given")
    refuses(lambda: Reads(variable="entropy", when="never", at_least=0), ValueError, "when must be one of")


def test_outcomes_are_counted(refuses):
    experiment = Experiment.of(np.diag([0.0, 0.5]), np.sqrt([0.8, 0.2]), [0.0, 10.0])
    right = SUV(1.0).evolve(experiment, seed=1, replicas=3000)
    wrong = ColouredSUV(np.sqrt(0.5), memory=0.3, one_noise=True).evolve(experiment, seed=1, replicas=3000)
    assert judged(Born(), right).holds
    assert not judged(Born(breaks=True), right).holds
    assert judged(Born(breaks=True), wrong).holds
    assert not judged(Born(), wrong).holds
    # a rare outcome that has come once more often than not is no finding; one that cannot come at all is
    once = right.isel(replica=slice(0, 1000)).assign_attrs(outcome_weights="[0.9999, 0.0001]").copy(deep=True)
    once.outcome[:, -1] = 0
    once.outcome[:2, -1] = 1
    assert judged(Born(), once).holds
    assert not judged(Born(), once.assign_attrs(outcome_weights="[1.0, 0.0]")).holds
    refuses(lambda: judged(Born(), Schrodinger().evolve(experiment)), ValueError, "claim 'born' is about outcomes")


def test_signals_are_claimed_of_two_theories(refuses):
    results = {"off": Schrodinger().evolve(PAIR), "on": OQT(0.5, scheme="ensemble").evolve(PAIR)}
    assert Signals("on", "off", "B", at_least=0.05).settle(results, {}).holds
    assert not Signals("on", "off", "B", at_most=0.05).settle(results, {}).holds
    refuses(lambda: Signals("on", "off", "B"), ValueError, "at_least or at_most must be given")
    refuses(lambda: Signals("on", "off", "B", at_most=2.0), ValueError, "must be a trace distance between 0 and 1")
    refuses(
        lambda: Signals("on", "on", "B", at_most=1.0).among(["on", "off"]), ValueError, "against must be one of off"
    )
    refuses(lambda: Signals("on", "off", "C", at_most=1.0).fit(PAIR), ValueError, "part must be one of A, B")


def test_a_chain_has_entropies_of_its_parts():
    """Local thermalisation of a chain: the entropy of one spin from the matrix, and from the ket without it."""
    system = ising(4, 1.0, 0.7)
    experiment = Experiment(system, product(system, [[1, 0.5]]), Schedule([0.0, 1.0]))
    result = SUI(0.3, 0.2, scheme="ensemble").evolve(experiment)
    own = thermal.von_neumann_entropy(state_of(result, "0"))
    assert own[0] == pytest.approx(0.0, abs=1e-12)
    assert 0.1 < own[1] <= np.log(2)
