"""One seed, the same bytes, for any number of threads of BLAS."""

import threading

import numpy as np
import pytest
from scipy import linalg
from threadpoolctl import ThreadpoolController

import qm_reference
from copydyn import Experiment, blas, compare, laws
from copydyn.experiment.bases import in_basis
from copydyn.experiment.preparations import eigenstate
from copydyn.experiment.rotation import generator
from copydyn.systems import gue
from copydyn.theories import OQT, SUI, SUV, ColouredSUV, CopyDynamics, Schrodinger

LIBRARIES = ThreadpoolController().select(user_api="blas")
THREADS = (1, 2)


def experiment(size: int, *, diagonal: bool = False) -> Experiment:
    """A dense H of so many levels, another object each time: levels are remembered by the object."""
    random_state = np.random.default_rng(size)
    square = random_state.normal(size=(size, size, 2)) @ [1.0, 1j]
    h = (square + square.conj().T) / np.sqrt(4.0 * size)
    ket = random_state.normal(size=size) + 1j * random_state.normal(size=size)
    return Experiment.of(np.diag(np.diag(h).real) if diagonal else h, ket / np.linalg.norm(ket), [0.0, 0.3, 0.7])


def arrays_of(dataset) -> list[np.ndarray]:
    return [dataset[name].values for name in sorted(dataset.data_vars) if dataset[name].dtype.kind in "ifc"]


def evolved(theory, size, **how):
    return lambda: arrays_of(theory.evolve(experiment(size, **how), seed=1, replicas=2))


def compared():
    one = experiment(64)
    return arrays_of(compare(SUV(0.5).evolve(one, seed=1, replicas=2), Schrodinger().evolve(one)))


def unitary(size: int) -> np.ndarray:
    square = np.random.default_rng(size).normal(size=(size, size, 2)) @ [1.0, 1j]
    return linalg.qr(square)[0]


UNITARY = unitary(64)

WAYS = {
    "SUV 64": evolved(SUV(0.5), 64),
    "SUV jumps 64": evolved(SUV(0.5, scheme="jumps"), 64),
    "SUV 200": evolved(SUV(0.5), 200),
    "SUI 64": evolved(SUI(0.5, 0.4, noise="complex"), 64),
    "SUI 200": evolved(SUI(0.5, 0.4, noise="complex"), 200),
    "OQT 200": evolved(OQT(0.5, noise="complex"), 200),
    "OQT ensemble 256": evolved(OQT(0.5, scheme="ensemble"), 256),
    "ColouredSUV 200": evolved(ColouredSUV(0.5), 200, diagonal=True),
    "CopyDynamics 64": evolved(CopyDynamics(2000), 64),
    "leap 200": evolved(CopyDynamics(10**9, "leap"), 200),
    "meanfield 64": evolved(CopyDynamics(2000, "meanfield"), 64),
    "Schrodinger 256": evolved(Schrodinger(), 256),
    "comparison": compared,
    "law": lambda: arrays_of(laws.finite_copies(one := experiment(64), one.ket)),
    "law of the infidelity": lambda: [
        laws.infidelity_law((one := experiment(200)).system.hamiltonian, one.ket, [0, 1])
    ],
    "sesolve": lambda: [qm_reference.sesolve((one := experiment(256)).system.hamiltonian, one.ket, [0, 1e3])],
    "mesolve": lambda: [
        qm_reference.mesolve((one := experiment(64)).system.hamiltonian, one.ket, [0, 1], [0.1 * np.eye(64, k=1)])
    ],
    "basis": lambda: [in_basis(experiment(64), UNITARY).ket],
    "eigenstate": lambda: [eigenstate(gue(256), 3).ket],
    "rotation": lambda: [generator(UNITARY, 1.0)],
}


@pytest.mark.parametrize("way", WAYS)
def test_threads_of_blas_change_no_byte(way):
    found = []
    for threads in THREADS:
        with LIBRARIES.limit(limits=threads):
            found.append([array.tobytes() for array in WAYS[way]()])
    assert found[0] == found[1]


def test_left_alone_they_would():
    """The control: what is compared above is not the same by itself. It needs a BLAS with two threads."""
    found = []
    for threads in THREADS:
        with LIBRARIES.limit(limits=threads):
            if max(now()) < threads:
                pytest.skip("this BLAS has one thread")
            found.append(np.linalg.eigh(experiment(200).system.hamiltonian)[1].tobytes())
    assert found[0] != found[1]


def now() -> list[int]:
    return [library.get_num_threads() for library in LIBRARIES.lib_controllers]


def test_threads_come_back_nested_raised_and_shared():
    with LIBRARIES.limit(limits=2):
        before = now()
        with blas.one_thread(), blas.one_thread():
            assert now() == [1] * len(before)
        assert now() == before
        with pytest.raises(ZeroDivisionError), blas.one_thread():
            _ = 1 / 0
        assert now() == before
        inside, leave = threading.Event(), threading.Event()

        def stay() -> None:
            with blas.one_thread():
                inside.set()
                leave.wait(10.0)

        other = threading.Thread(target=stay)
        with blas.one_thread():
            other.start()
            inside.wait(10.0)
        assert now() == [1] * len(before), "another one is still within"
        leave.set()
        other.join()
        with blas.one_thread():
            assert now() == [1] * len(before)
        assert now() == before
