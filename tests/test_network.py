"""Systems given as a list of edges."""

import numpy as np
import pytest

from copydyn.scenario.scenario import load
from copydyn.systems import network, ring


def test_a_ring_is_a_network():
    size, flux = 7, 1.3
    edges = [(a, (a + 1) % size) for a in range(size)]
    found = network(size, edges, -0.6, flux / size).hamiltonian.toarray()
    assert np.allclose(found, ring(size, 0.6, flux).hamiltonian.toarray(), atol=1e-15)


def test_each_edge_and_site_has_its_own():
    h = network(3, [(2, 0), (1, 2)], [0.5, 2.0], [0.3, 0.0], [1.0, 2.0, 3.0]).hamiltonian.toarray()
    assert np.allclose(h, [[1, 0, 0.5 * np.exp(-0.3j)], [0, 2, 2], [0.5 * np.exp(0.3j), 2, 3]])


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ((3, [(0, 1), (1, 1)]), r"edges must join different sites, but edges\[1\] is \(1, 1\)"),
        ((3, [(0, 1), (1, 2), (1, 0)]), r"edges must differ, but \(0, 1\) stands twice, first as edges\[0\]"),
        ((3, [(0, 3)]), r"edges must join sites from 0 to 2, but edges\[0\] is \(0, 3\)"),
        ((3, [(0, 0.5)]), "edges must be pairs of whole numbers"),
        ((3, [0, 1]), "edges must be pairs of whole numbers"),
        ((3, [(0, 1)], [1.0, 2.0]), "couplings must be one, or one for each of the 1 edges"),
        ((3, [(0, 1)], 1.0, 0.0, [1.0]), "energies must be one, or one for each of the 3 sites"),
        ((3, [(0, 1)], float("nan")), "couplings must be finite"),
    ],
)
def test_what_is_no_network_is_refused(arguments, names, refuses):
    refuses(lambda: network(*arguments), ValueError, names)


def test_a_scenario_may_list_edges(tmp_path):
    file = tmp_path / "net.toml"
    file.write_text(
        'title = "net"\n[system]\nkind = "network"\nsites = 3\nedges = [[0, 1], [1, 2]]\ncouplings = [0.5, 0.25]\n'
        '[preparation]\namplitudes = [0.6, "0.8j", 0]\n[schedule]\nstop = 1\npoints = 2\n[theory]\ncopies = 1e16\n'
    )
    scenario = load(str(file))
    assert scenario.experiment.system.size == 3
    theory = next(iter(scenario.theories.values()))
    assert theory.resolved(scenario.experiment).engine == "leap"
