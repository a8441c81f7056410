"""What the scenarios on lattices say of the runs that they warn of."""

import numpy as np
import pytest

from copydyn.comparison.compare import compare
from copydyn.scenario.scenario import load
from copydyn.theories import Schrodinger


def evolved(name, *overrides, seed=1, replicas=2):
    """Result, reference and comparison of a shipped scenario with some parameters changed."""
    scenario = load(name, overrides)
    found = scenario.theories["CopyDynamics"].evolve(scenario.experiment, seed, replicas)
    reference = Schrodinger().evolve(scenario.experiment)
    return found, reference, compare(found, reference)


def largest(comparison) -> float:
    return float(comparison["total_variation"].max())


@pytest.mark.parametrize("copies", ["1e5", "1e7"])
def test_with_positions_as_beables_three_sites_are_all_there_is(copies):
    """No chance is involved: 13 of 16 sites are empty at the start and stay so, whatever the seed."""
    found, _, comparison = evolved("momentum-basis", "basis.kind=position", f"theory.copies={copies}", replicas=1)
    assert np.all((found["counts"].values > 0).sum(axis=-1) == 3)
    assert largest(comparison) == pytest.approx(0.938, abs=0.001)


def test_with_energies_as_beables_nothing_happens():
    found, _, comparison = evolved("momentum-basis", "basis.kind=energy")
    assert found["events"].values.max() == 0
    assert largest(comparison) < 1e-4  # the rounding of the counts


def right(dataset) -> np.ndarray:
    """Share of the right well."""
    return dataset["frequency" if "frequency" in dataset else "probability"].values[..., 6:].sum(axis=-1)


def test_without_a_floor_few_copies_tunnel():
    """Bounds on single ensembles. Of 30 with the floor all had 0.95 across at time 13; of 30 without it 29 never had
    0.3 across, and one 0.46.
    """
    found, reference, _ = evolved("double-well")
    assert right(reference)[13] > 0.94
    assert right(reference)[30] < 0.08
    assert np.all(right(found)[:, 13] > 0.85)
    stopped, _, comparison = evolved("double-well", "theory.floor=0", replicas=4)
    assert np.all(right(stopped) < 0.6)
    assert largest(comparison) > 0.6
    used_up = evolved("double-well", "theory.floor=0", "theory.spectators=10", replicas=4)[2]
    assert largest(used_up) > 0.4


def test_fringes_kill_what_spectators_at_the_start_keep_alive():
    """The total variations that the descriptions give, to a quarter; means of four differ by 0.14 at most."""
    for name, spectators, expected in [
        ("barrier", 0, 0.49),
        ("barrier", 50, 0.18),
        ("double-slit", 0, 0.56),
        ("double-slit", 50, 0.31),
    ]:
        settings = ("theory.floor=0", f"theory.spectators={spectators}")
        comparison = evolved(name, *settings, replicas=4)[2]
        assert largest(comparison) == pytest.approx(expected, rel=0.25)
        assert comparison["extinct"].values[-1] >= 4


def test_bright_and_dark_fringes_are_filled_as_they_should_be():
    """Behind the wall, on the axis and three rows beside it, to 10 % of |psi|^2: the floor takes 5 %, noise 2 %."""
    found, reference, _ = evolved("double-slit", replicas=4)
    profile = [dataset["probability"].values[-1].reshape(15, 13)[10:].sum(axis=0) for dataset in (found, reference)]
    assert profile[0][[3, 6, 9]] == pytest.approx(profile[1][[3, 6, 9]], rel=0.1)
    assert profile[0][6] > 4 * profile[0][3]
