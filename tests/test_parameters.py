"""Every parameter of every theory is an attribute of its results: none can be forgotten."""

from dataclasses import fields, replace

import numpy as np
import pytest
import xarray as xr

from copydyn import Experiment, System
from copydyn.experiment.preparations import product
from copydyn.theories import OQT, SUI, SUV, THEORIES, ColouredSUV, CopyDynamics, Schrodinger
from copydyn.theories.copies.alignment import Alignment
from copydyn.theories.copies.rules import Harmonic, Rule
from copydyn.theories.irreversible.equilibrium import Window

TURN, TILT = np.array([[0.3, 0.2], [0.2, -0.3]]), np.array([[0.1, 0.4], [0.4, 0.5]])
SPINS = System(np.kron(TURN, np.eye(2)) + np.kron(np.eye(2), TILT), parts=(("A", 2), ("B", 2)))
START = product(SPINS, [[0.6, 0.8j], [0.8, 0.6]])
DIAGONAL = Experiment.of(np.diag([0.3, -0.3]), [0.6, 0.8], [0.0, 0.5])
COUPLED = Experiment.of([[0.3, 0.2], [0.2, -0.3]], [0.6, 0.8], [0.0, 0.5])


def on_spins(tlist=(0.0, 0.5)) -> Experiment:
    return Experiment.of(SPINS.hamiltonian, START.ket, tlist, parts=SPINS.parts)


CASES = [
    (CopyDynamics(100, "exact"), COUPLED, {"floor": 2, "spectators": 3, "phase_step": 0.01, "rule": "printed"}),
    (CopyDynamics(100, "exact"), COUPLED, {"preparation": "multinomial", "admixture": (0.1, (1.0, 0.0))}),
    (CopyDynamics(100, "exact"), COUPLED, {"rule": Rule(harmonics=(Harmonic(order=2),)), "copies": 101}),
    (CopyDynamics(100, "agents"), COUPLED, {"phase_spread": 0.2, "follow": (1, 2), "alignment": Alignment(2.0)}),
    (CopyDynamics(100, "exact"), COUPLED, {"engine": "agents", "record_events": True}),
    (CopyDynamics(10**6, "leap"), COUPLED, {"leap_step": 0.1, "few": 32}),
    (Schrodinger(), COUPLED, {"tol": 1e-6}),
    (OQT(0.5), on_spins(), {"rate": 0.6, "degrees": 2.0, "noise": "complex", "scheme": "jumps", "step": 0.01}),
    (OQT(0.5, scheme="ensemble"), on_spins(), {"window": Window("canonical", width=2.0), "phase_rule": "largest"}),
    (OQT(0.5, scheme="ensemble"), on_spins(), {"window": Window("given", weights=(0.4, 0.3, 0.2, 0.1))}),
    (OQT(0.5, scheme="ensemble"), on_spins(), {"part": "B"}),
    (OQT(0.5, scheme="ensemble"), on_spins(), {"window": Window(sectors="shells")}),
    (SUV(0.5), on_spins(), {"rate": 0.6, "part": "B", "scheme": "jumps", "step": 0.01}),
    (SUV(0.5), on_spins(), {"degrees": 3.0, "projectors": (("(0,0)",), ("(0,1)", "(1,0)", "(1,1)"))}),
    (SUI(0.5, 0.4), on_spins(), {"thermalising": 0.6, "reducing": 0.2, "part": "B"}),
    (SUI(0.5, 0.4), on_spins(), {"projectors": (("(0,0)",), ("(0,1)", "(1,0)", "(1,1)"))}),
    (SUI(0.5, 0.4), on_spins(), {"noise": "complex", "phase_rule": "largest", "scheme": "ensemble", "step": 0.01}),
    (SUI(0.5, 0.4), on_spins(), {"window": Window("tilted", width=2.0), "degrees": 2.0}),
    (ColouredSUV(0.5), DIAGONAL, {"strength": 0.6, "drift": 0.1, "memory": 2.0, "one_noise": True, "step": 0.01}),
    (ColouredSUV(0.5), DIAGONAL, {"noise": "spherical"}),
]


def attributes(theory, experiment) -> dict:
    return {k: v for k, v in theory.evolve(experiment, seed=1).attrs.items() if k.startswith("theory_")}


def test_every_parameter_of_every_theory_is_among_the_cases():
    for kind in THEORIES.values():
        varied = set().union(*(changes for theory, _, changes in CASES if type(theory) is kind))
        assert varied == {field.name for field in fields(kind)}, kind.__name__


@pytest.mark.parametrize(("theory", "experiment", "changes"), CASES)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_parameter_that_changes_changes_an_attribute(theory, experiment, changes):
    """SUI forgot part and sectors."""
    for name, value in changes.items():
        before = attributes(theory, experiment)
        theory = replace(
            theory, **{"engine": "agents"} if name == "engine" and value == theory.engine else {name: value}
        )
        after = attributes(theory, experiment)
        changed = {key for key in {*before, *after} if before.get(key) != after.get(key)}
        assert changed, name
        assert name == "window" or f"theory_{name}" in changed, (name, changed)


@pytest.mark.parametrize("kind", [OQT, SUI])
def test_the_parts_of_a_window_are_told(kind):
    window = Window(width=2.5, charge=((0.3, 0.2), (0.2, -0.3)), sectors="global")
    found = attributes(kind(0.5, *([0.4] if kind is SUI else []), window=window, scheme="ensemble"), COUPLED)
    told = {"window": "window", "width": 2.5, "sectors": "global", "charge": "((0.3, 0.2), (0.2, -0.3))"}
    assert {f"theory_{name}": value for name, value in told.items()}.items() <= found.items()


def test_attributes_survive_a_file_however_long(tmp_path):
    matrices = tuple(np.diag(np.eye(64)[k]) for k in range(64))
    result = SUV(0.5, projectors=matrices).evolve(Experiment.of(np.eye(64), np.eye(64)[0], [0.0, 0.1]), seed=1)
    assert len(result.attrs["theory_projectors"]) > 2**16
    result.to_netcdf(tmp_path / "result.nc", engine="h5netcdf")
    with xr.open_dataset(tmp_path / "result.nc", engine="h5netcdf") as again:
        assert again.attrs["theory_projectors"] == result.attrs["theory_projectors"]


def test_the_copies_asked_for_and_those_in_the_ensemble_are_both_named():
    attrs = CopyDynamics(100, "exact", spectators=3).evolve(COUPLED, seed=1).attrs
    assert (attrs["theory_copies"], attrs["copies"]) == (100, 106)
