"""Chains of spins against QuTiP and closed forms."""

import numpy as np
import pytest
import qutip

from copydyn import Experiment, Preparation, Schedule
from copydyn.experiment.preparations import random
from copydyn.results.parts import partial
from copydyn.systems import heisenberg, ising
from copydyn.theories import CopyDynamics, Schrodinger

NAN = float("nan")
SIGMA = {"x": qutip.sigmax(), "y": qutip.sigmay(), "z": qutip.sigmaz()}


def chain(sites, terms):
    """Sum of strength * product of sigma at the sites named, by QuTiP's tensor: ({0: "x", 1: "x"}, 0.3), ..."""
    return sum(
        strength * qutip.tensor([SIGMA[where[site]] if site in where else qutip.qeye(2) for site in range(sites)])
        for where, strength in terms
    ).full()


def bonds(sites, periodic):
    return [(i, (i + 1) % sites) for i in range(sites if periodic else sites - 1)]


@pytest.mark.parametrize(("sites", "periodic"), [(2, False), (3, True), (5, False), (5, True)])
def test_heisenberg_is_what_qutip_builds(sites, periodic):
    couplings, field, transverse = (0.7, -0.4, 1.1), 0.3, -0.6
    terms = [({a: axis, b: axis}, j / 4) for a, b in bonds(sites, periodic) for axis, j in zip("xyz", couplings)]
    terms += [({site: "z"}, -field / 2) for site in range(sites)]
    terms += [({site: "x"}, -transverse / 2) for site in range(sites)]
    found = heisenberg(sites, couplings, field, transverse, periodic).hamiltonian
    assert np.allclose(found.toarray(), chain(sites, terms), atol=1e-14)


@pytest.mark.parametrize(("sites", "periodic"), [(2, False), (3, True), (5, False), (5, True)])
def test_ising_is_what_qutip_builds(sites, periodic):
    terms = [({a: "z", b: "z"}, -0.7) for a, b in bonds(sites, periodic)]
    terms += [({site: "x"}, -0.4) for site in range(sites)]
    terms += [({site: "z"}, 0.2) for site in range(sites)]
    found = ising(sites, 0.7, 0.4, -0.2, periodic).hamiltonian
    assert np.allclose(found.toarray(), chain(sites, terms), atol=1e-14)


def test_labels_read_from_the_first_spin():
    """In a field along z the energy of a label can be read off it: all of J = 0."""
    up = heisenberg(3, (0, 0, 0), field=1.0)
    assert up.labels[:3] == ("uuu", "uud", "udu")
    energies = dict(zip(up.labels, up.hamiltonian.diagonal().real))
    assert energies == {label: 0.5 * (label.count("d") - label.count("u")) for label in up.labels}
    walls = ising(4, coupling=1.0, transverse=0.0)
    energies = dict(zip(walls.labels, walls.hamiltonian.diagonal().real))
    assert (energies["0000"], energies["0011"], energies["0101"]) == (-3.0, -1.0, 3.0)


def test_two_spins_make_a_singlet_and_a_triplet():
    j = 0.8
    assert np.allclose(np.linalg.eigvalsh(heisenberg(2, (j, j, j)).hamiltonian.toarray()), [-3 * j / 4, *[j / 4] * 3])


def test_two_spins_exchange_their_places():
    """|ud> -> cos(Jt/2)|ud> - i sin(Jt/2)|du>, up to a phase: |psi_ud|^2 = cos^2(Jt/2)."""
    system, tlist = heisenberg(2, (0.8, 0.8, 0.8)), np.linspace(0.0, 9.0, 10)
    ket = [0.0, 1.0, 0.0, 0.0]
    found = Schrodinger().evolve(Experiment(system, Preparation(ket), Schedule(tlist))).probability.values
    assert np.allclose(found[:, 1], np.cos(0.4 * tlist) ** 2, atol=1e-9)
    assert np.allclose(found[:, 2], np.sin(0.4 * tlist) ** 2, atol=1e-9)


@pytest.mark.parametrize(("sites", "transverse"), [(4, 1.0), (8, 0.6), (10, 1.7)])
def test_the_ground_state_of_a_transverse_ising_ring(sites, transverse):
    """Free fermions (Pfeuty 1970): E_0 = -sum_k sqrt(J^2 + g^2 - 2 J g cos k) with k = pi (2 j + 1)/L, L even."""
    k = np.pi * (2 * np.arange(sites) + 1) / sites
    energy = -np.sum(np.sqrt(1.0 + transverse**2 - 2.0 * transverse * np.cos(k)))
    h = ising(sites, 1.0, transverse, periodic=True).hamiltonian
    assert np.linalg.eigvalsh(h.toarray())[0] == pytest.approx(energy, abs=1e-10)


def test_the_spin_along_z_is_kept_without_a_transverse_field():
    """[H, sum Sz] = 0 where Jx = Jy: every copy event keeps the number of u, ensemble by ensemble."""
    for transverse, kept in ((0.0, True), (0.3, False)):
        system = heisenberg(4, (0.9, 0.9, 0.4), field=0.2, transverse=transverse)
        experiment = Experiment(system, random(system, seed=1), Schedule([0.0, 1.0, 2.0]))
        counts = CopyDynamics(10_000).evolve(experiment, seed=1, replicas=3).counts.values
        ups = np.array([label.count("u") for label in system.labels])
        sectors = np.stack([counts[..., ups == number].sum(axis=-1) for number in range(5)], axis=-1)
        assert np.all(sectors == sectors[:, :1]) == kept
        assert np.any(counts[:, 1] != counts[:, 0])


def test_the_partial_frequencies_of_a_spin():
    """The mean of sigma_z at each site, by QuTiP's operators."""
    system = ising(3, 0.5, 0.9, 0.3)
    experiment = Experiment(system, random(system, seed=2), Schedule([0.0, 0.7]))
    result = Schrodinger().evolve(experiment)
    for site in range(3):
        expected = [np.vdot(ket, chain(3, [({site: "z"}, 1.0)]) @ ket).real for ket in result.state.values[0]]
        shares = partial(result, str(site)).probability
        assert list(shares.beable.values) == ["0", "1"]
        assert np.allclose(shares[:, 0] - shares[:, 1], expected, atol=1e-12)


def test_twelve_spins_are_sparse_and_quickly_built():
    system = heisenberg(12, (1.0, 1.0, 0.5), 0.1, 0.2, periodic=True)
    assert system.size == 4096
    assert system.hamiltonian.nnz <= 4096 * (1 + 12 + 12)


@pytest.mark.parametrize(
    ("call", "kind", "names"),
    [
        (lambda: heisenberg(1), ValueError, "sites must be >= 2, but is 1"),
        (lambda: ising(2, periodic=True), ValueError, "sites must be >= 3, but is 2"),
        (lambda: ising(17), ValueError, "sites must be at most 16, but is 17"),
        (lambda: heisenberg(2.5), ValueError, "sites must be a whole number"),
        (lambda: heisenberg(couplings=(1.0, 1.0)), ValueError, r"couplings must be three, Jx, Jy and Jz, .* \(2,\)"),
        (lambda: heisenberg(couplings=(1.0, 1.0, NAN)), ValueError, r"couplings must be finite, but couplings\[2\]"),
        (lambda: heisenberg(couplings="xyz"), TypeError, "couplings must be an array of numbers"),
        (lambda: heisenberg(field=NAN), ValueError, "field must be finite"),
        (lambda: ising(transverse="g"), TypeError, "transverse must be a real number"),
        (lambda: ising(hbar=0), ValueError, "hbar must be > 0"),
    ],
)
def test_bad_chains_are_refused(refuses, call, kind, names):
    refuses(call, kind, names)


def test_by_default_spins_couple_alike_in_all_directions():
    np.testing.assert_array_equal(
        heisenberg(3).hamiltonian.toarray(), heisenberg(3, (1.0, 1.0, 1.0)).hamiltonian.toarray()
    )
