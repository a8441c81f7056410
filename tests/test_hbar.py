"""Twice the energies with twice hbar are the same world: energies double, and nothing else changes, not by a copy.

Wherever hbar is forgotten, or stands on the wrong side of a fraction, one of the two worlds runs at another speed. All
theories, engines, laws, solvers and readings are asked about both; to double is exact in floating point. A last test
holds that each answer does depend on the energies, without which the others would be empty.
"""

import numpy as np
import pytest

import copydyn
from copydyn import Experiment, System, laws
from copydyn.experiment.bases import in_basis
from copydyn.experiment.drives import sampled
from copydyn.experiment.rotation import generator, rotated
from copydyn.laws.path import Path
from copydyn.theories import OQT, SUI, SUV, ColouredSUV, CopyDynamics, Schrodinger
from copydyn.theories.copies import copying
from copydyn.theories.copies.alignment import Alignment
from copydyn.theories.copies.leaps import most_events
from copydyn.theories.irreversible import fluctuations, steady, trajectories
from copydyn.theories.irreversible.equilibrium import Window, equilibrium_of
from copydyn.theories.irreversible.levels import levels_of
from copydyn.theories.irreversible.reduction import of_matrices
from qm_reference import mesolve, sesolve

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

TIMES = [0.3, 0.5, 1.4]


def matrix(size=3, seed=5):
    rng = np.random.default_rng(seed)
    h = rng.normal(size=(size, size)) + 1j * rng.normal(size=(size, size))
    return 0.6 * (h + h.conj().T)


def ket(size=3, seed=6):
    rng = np.random.default_rng(seed)
    psi = np.sqrt(rng.uniform(0.2, 1.0, size)) * np.exp(2j * np.pi * rng.uniform(size=size))
    return psi / np.linalg.norm(psi)


PSI, OTHER = ket(), ket(3, 7)
TWO = (matrix(2, 1), matrix(2, 2))
JOINT = np.kron(TWO[0], np.eye(2)) + np.kron(np.eye(2), TWO[1])
ROTATED = [np.outer(column, column.conj()) for column in np.linalg.eigh(matrix(3, 9))[1].T]
TURN = np.linalg.eigh(matrix(3, 8))[1]


def world(energy=1.0, hbar=1.0, *, kind="whole"):
    """H and hbar, both multiplied; a train of pulses, a diagonal H, or one of two parts, where asked."""
    if kind == "pulses":
        return Experiment.of([(0.6, energy * matrix()), (1.0, energy * matrix(3, 4))], PSI, TIMES, hbar=hbar)
    if kind == "diagonal":
        return Experiment.of(np.diag(energy * np.array([0.2, -0.9, 0.5])), PSI, TIMES, hbar=hbar)
    if kind == "parts":
        return Experiment.of(energy * JOINT, ket(4), TIMES, hbar=hbar, parts=(("A", 2), ("B", 2)))
    return Experiment.of(energy * matrix(), PSI, TIMES, hbar=hbar)


GIVEN = Window("given", weights=(0.5, 0.2, 0.3))
THEORIES = {
    "Schrodinger": (Schrodinger(), "whole"),
    "Schrodinger, pulses": (Schrodinger(), "pulses"),
    "copies": (CopyDynamics(2000, "exact"), "whole"),
    "copies, pulses": (CopyDynamics(2000, "exact"), "pulses"),
    "copies, spectators": (CopyDynamics(2000, "exact", spectators=40), "whole"),
    "copies, rule": (CopyDynamics(2000, "exact", rule="printed"), "whole"),
    "agents": (CopyDynamics(500, "agents"), "whole"),
    "agents, phases": (CopyDynamics(500, "agents", phase_spread=0.3), "whole"),
    "agents, momenta": (CopyDynamics(200, "agents", phase_spread=0.3, alignment=Alignment(2.0)), "whole"),
    "leaps": (CopyDynamics(10**7, "leap"), "pulses"),
    "mean field": (CopyDynamics(2000, "meanfield"), "pulses"),
    "OQT": (OQT(0.8), "whole"),
    "OQT, canonical": (OQT(0.8, "canonical", scheme="euler"), "whole"),
    "OQT, tilted": (OQT(0.8, Window("tilted", width=2.0), noise="complex"), "whole"),
    "OQT, jumps": (OQT(3.0, GIVEN, scheme="jumps"), "whole"),
    "OQT, ensemble": (OQT(0.8, scheme="ensemble"), "whole"),
    "OQT, part": (OQT(0.8, part="B"), "parts"),
    "SUV": (SUV(0.8, ROTATED), "whole"),
    "SUV, jumps": (SUV(3.0, scheme="jumps"), "whole"),
    "SUV, ensemble": (SUV(0.8, scheme="ensemble"), "whole"),
    "SUV, free": (SUV(0.8), "diagonal"),
    "SUI": (SUI(0.4, 0.8, GIVEN, ROTATED), "whole"),
    "SUI, jumps": (SUI(2.0, 1.0, scheme="jumps"), "whole"),
    "SUI, ensemble": (SUI(0.4, 0.8, scheme="ensemble"), "whole"),
    "coloured": (ColouredSUV(0.8), "diagonal"),
}
ENERGIES = {"energy": 1, "mean_energy": 1, "energy_variance": 2, "window_energy": 1, "window_variance": 2}
ENERGIES |= {"window_lowest": 1, "window_highest": 1, "window_energy_shift": 1}
"""What is measured in energies, and in which power."""


@pytest.fixture
def one_stream(monkeypatch):
    """Random numbers that belong to the seed alone, and not to H and hbar as well."""

    def streams(experiment, theory, seed, replicas, first=0):
        return np.random.SeedSequence(seed).generate_state(4 * replicas, np.uint64).reshape(replicas, 4)

    monkeypatch.setattr(trajectories, "streams", streams)
    monkeypatch.setattr(copying, "streams", streams)


def told(theory, experiment):
    """All numbers of a result, and of its attributes."""
    result = theory.evolve(experiment, seed=3, replicas=4)
    numbers = {name: one.values for name, one in result.data_vars.items() if one.dtype.kind in "iufc"}
    numbers |= {name: one for name, one in result.attrs.items() if isinstance(one, float)}
    return {name: value for name, value in numbers.items() if name not in ("hbar", "steady_residual")}


@pytest.mark.usefixtures("one_stream")
@pytest.mark.parametrize("name", THEORIES)
def test_no_theory_knows_the_unit_of_energy(name):
    theory, kind = THEORIES[name]
    once, twice = (told(theory, world(scale, scale, kind=kind)) for scale in (1.0, 2.0))
    assert once.keys() == twice.keys()
    for what, value in once.items():
        scale = 2.0 ** ENERGIES.get(what, 0)
        exact = np.asarray(value).dtype.kind in "iu"
        near = {"rtol": 0, "atol": 0} if exact else {"rtol": 1e-9, "atol": 1e-11}
        np.testing.assert_allclose(twice[what], scale * np.asarray(value), **near, err_msg=what)
    slow = told(theory, world(1.0, 2.0, kind=kind))
    tells = "state" if "state" in once else "density_matrix" if "density_matrix" in once else "frequency"
    assert np.abs(slow[tells][..., -1, :] - once[tells][..., -1, :]).max() > 0.01, "a control: another hbar alone"


def of_law(function, **options):
    """A law of bare arrays, at H and hbar."""

    def asked(energy, hbar):
        train = [(0.6, energy * matrix()), (3.0, energy * matrix(3, 4))]
        return function(train, PSI, [0.3, 1.0, 2.5], hbar=hbar, **options)

    return asked


def fields_of(noise):
    return [noise.ket, noise.pull, noise.covariance, noise.relation, noise.infidelity_spread]


def of_finite_copies(energy, hbar):
    found = laws.finite_copies(world(energy, hbar, kind="pulses"), PSI, multinomial=True, copies=500)
    shifted = laws.finite_copies(
        world(energy, hbar), (PSI + 0.1 * OTHER) / np.linalg.norm(PSI + 0.1 * OTHER), copies=500
    )
    return [one.values for data in (found, shifted) for one in data.data_vars.values() if one.dtype.kind == "f"]


def of_crossings(energy, hbar):
    rows = of_law(laws.node_crossings, closer_than=1.0, copies=100)(energy, hbar)
    return [tuple(row) for row in rows]


def of_node(energy, hbar):
    h = energy * np.array([[0.0, 0.5], [0.5, 0.0]])
    node = laws.first_node(h, [0.8, -0.6j], [0.0, 6.0], hbar=hbar)
    return [node.label, node.time]


def of_steady(energy, hbar):
    chi, reduction = equilibrium_of(world(energy, hbar), GIVEN), of_matrices(ROTATED, 3)
    coarse = of_matrices([ROTATED[0] + ROTATED[1], ROTATED[2]], 3)
    found = [steady.steady_state(chi, one, 0.4, 0.8).rho for one in (reduction, coarse)]
    found.append(steady.steady_state(chi, reduction, 0.4, 0.8, "fixed-point").rho)
    found += [steady.zeno_limit(chi, coarse, 0.4), steady.flow(ROTATED[0], chi, reduction, 0.4, 0.8)]
    return [*found, np.array(steady.energy_balance(ROTATED[0], chi, reduction, 0.4, 0.8)) / energy]


def of_correlation(energy, hbar):
    chi = equilibrium_of(world(energy, hbar), GIVEN)
    return [fluctuations.two_time_correlation(chi, 0.6, matrix(3, 1), matrix(3, 2), np.array([0.0, 0.7]))]


def of_sizes(energy, hbar):
    """The energy alpha a degree of freedom is an energy as well."""
    scan = fluctuations.scan_of_sizes(world(energy, hbar), 0.2 * energy, [1.0, 3.0])
    alone = fluctuations.thermalisation_time(0.2 * energy, 3.0, hbar)
    return [*(one.values for one in scan.data_vars.values()), alone]


def of_drive(energy, hbar):
    drive = sampled(lambda t: energy * (matrix() + np.sin(3 * t) * matrix(3, 4)), 1.0, 8, hbar=hbar)
    asked = sampled(lambda t: energy * (matrix() + np.sin(3 * t) * matrix(3, 4)), 1.0, tolerance=0.01, hbar=hbar)
    return [drive.error, len(asked.pulses), asked.error]


def of_jump(energy, hbar):
    """A jump within a pulse, whose error is the integral of the change alone."""
    return [sampled(lambda t: energy * (matrix() if t < 0.4 else -matrix()), 1.0, 3, hbar=hbar).error]


def of_rotation(energy, hbar):
    turned = rotated(world(energy, hbar), TURN, 0.4)
    return [Schrodinger().evolve(turned).state.values, generator(TURN, 0.4, hbar) / energy]


def of_bases(energy, hbar):
    told = [in_basis(world(energy, hbar), basis) for basis in ("momentum", "energy", TURN)]
    return [Schrodinger().evolve(one).state.values for one in told]


def of_levels(energy, hbar):
    levels = levels_of(world(energy, hbar))
    return [levels.frequencies, levels.phi(np.array([0.7])), levels.energies / energy]


ASKED = {
    "infidelity_law": of_law(laws.infidelity_law, multinomial=True),
    "linear_noise": of_law(laws.linear_noise),
    "kick_covariance": lambda *world: fields_of(of_law(laws.kick_covariance, multinomial=True)(*world)),
    "expected_events": of_law(laws.expected_events, copies=1000),
    "node_crossings": of_crossings,
    "first_node": of_node,
    "finite_copies": of_finite_copies,
    "beats": lambda energy, hbar: [laws.beats(world(energy, hbar, kind="pulses"))],
    "path": lambda energy, hbar: [Path.of(energy * matrix(), PSI, TIMES, hbar=hbar).saved],
    "most events": lambda energy, hbar: [most_events(world(energy, hbar, kind="pulses"), 1000)],
    "steady states": of_steady,
    "correlations": of_correlation,
    "sizes": of_sizes,
    "drives": of_drive,
    "drives that jump": of_jump,
    "rotations": of_rotation,
    "bases": of_bases,
    "levels": of_levels,
    "sesolve": lambda energy, hbar: [sesolve(energy * matrix(), PSI, TIMES, hbar=hbar)],
    "mesolve": lambda energy, hbar: [mesolve(energy * matrix(), PSI, TIMES, [matrix(3, 1)], hbar=hbar)],
}


@pytest.mark.parametrize("name", ASKED)
def test_no_law_solver_or_reading_knows_the_unit_of_energy(name):
    once, twice, slow = (ASKED[name](*world) for world in ((1.0, 1.0), (2.0, 2.0), (1.0, 2.0)))
    differ = False
    for ours, theirs, others in zip(once, twice, slow, strict=False):
        np.testing.assert_allclose(np.array(theirs), np.array(ours), rtol=1e-9, atol=1e-11)
        differ |= np.shape(ours) != np.shape(others) or not np.allclose(ours, others, rtol=1e-3, equal_nan=True)
    assert len(once) == len(twice) > 0
    assert differ or len(once) != len(slow), "a control: another hbar alone"


@pytest.mark.usefixtures("one_stream")
def test_copysolve_hands_hbar_on():
    once, twice, slow = (
        copydyn.copysolve(energy * matrix(), PSI, TIMES, copies=2000, seed=3, hbar=hbar).counts.values
        for energy, hbar in ((1.0, 1.0), (2.0, 2.0), (1.0, 2.0))
    )
    np.testing.assert_array_equal(once, twice)
    assert np.any(once != slow)


def test_a_result_says_its_hbar():
    result = Schrodinger().evolve(world(1.0, 0.7))
    assert result.attrs["hbar"] == 0.7
    assert System(matrix()).hbar == 1.0
