"""What may be asked: every fault of an experiment or a theory in one sentence, every face of a matrix taken."""

from fractions import Fraction

import numpy as np
import pytest
import qutip
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

import copydyn
from copydyn import Experiment, Preparation, Schedule, System, copysolve
from copydyn.experiment.inputs import HERMITIAN_TOLERANCE, NORM_TOLERANCE
from copydyn.theories import CopyDynamics

H = np.array([[0.3, 0.5 + 0.2j], [0.5 - 0.2j, -0.3]])
KET = np.array([0.6, 0.8j])
TIMES = (0.0, 0.5, 1.0)
NAN, INF = float("nan"), float("inf")
SQRT_HALF = np.sqrt(0.5)


def bent(a, b, value):
    h = H.copy()
    h[a, b] = value
    return h


BAD_HAMILTONIANS = [
    (np.ones((2, 3)), ValueError, r"H must be a square matrix, but has shape \(2, 3\)"),
    (np.ones(4), ValueError, r"square matrix, but has shape \(4,\)"),
    (np.ones((2, 2, 2)), ValueError, r"square matrix, but has shape \(2, 2, 2\)"),
    (5.0, ValueError, r"square matrix, but has shape \(\)"),
    ([], ValueError, r"square matrix, but has shape \(0,\)"),
    (np.zeros((0, 0)), ValueError, "at least one label, but is empty"),
    (sparse.csr_array((0, 0)), ValueError, "at least one label, but is empty"),
    (sparse.csr_array((2, 3)), ValueError, r"square matrix, but has shape \(2, 3\)"),
    (bent(0, 1, 0.5 - 0.2j), ValueError, r"Hermitian to 1e-10 .* H\[0, 1\] .* H\[1, 0\] differ by 0.4"),
    (bent(1, 1, 0.1j), ValueError, r"Hermitian .* H\[1, 1\]"),
    (np.ma.array(H, mask=np.eye(2)), ValueError, "H must have no masked entries, but has; fill them"),
    ([np.ma.array(row, mask=[0, 1]) for row in H], ValueError, "H must have no masked entries"),
    (sparse.csr_array(bent(0, 1, 0.5)), ValueError, r"Hermitian .* H\[0, 1\]"),
    (bent(0, 1, NAN), ValueError, r"H must be finite, but its entry \[0, 1\] is \(nan"),
    (bent(1, 0, INF), ValueError, r"H must be finite, but its entry \[1, 0\] is \(inf"),
    (sparse.csr_array(bent(1, 0, NAN)), ValueError, r"H must be finite, but its entry \[1, 0\] is \(nan"),
    (sparse.dia_array(bent(1, 1, -INF)), ValueError, r"H must be finite, but its entry \[1, 1\]"),
    (np.array([[np.longdouble("1e4000")]]), ValueError, "H must be finite"),
    ("sigmax", TypeError, "H must be an array of numbers"),
    ([["0", "1"], ["1", "0"]], TypeError, "H must be an array of numbers"),
    ([[0, 1], [1]], TypeError, "H must be an array of numbers, .* rows differ in length"),
    (lambda t: np.eye(2), TypeError, "H must be a matrix, but is a function of time; copydyn.drives.sampled"),
    ([np.eye(2), [np.eye(2), np.cos]], TypeError, "H must be a matrix, but is a function of time"),
    (qutip.QobjEvo([qutip.sigmaz(), [qutip.sigmax(), np.cos]]), TypeError, "H must be a matrix, but is a function"),
    ([[False, True], [True, False]], TypeError, "H must be an array of numbers, .* type bool"),
    (sparse.csr_array(np.eye(2, dtype=bool)), TypeError, "H must be a matrix of numbers"),
    (None, TypeError, "H must be an array of numbers"),
    ({0: 1}, TypeError, "H must be an array of numbers"),
    (qutip.basis(2, 0), ValueError, r"square matrix, but has shape \(2, 1\)"),
]

BAD_TRAINS = [
    ([(0.0, H)], ValueError, "duration of pulse 0 must be > 0, but is 0"),
    ([(1.0, H), (-1.0, H)], ValueError, "duration of pulse 1 must be > 0, but is -1"),
    ([(INF, H)], ValueError, "duration of pulse 0 must be finite"),
    ([(NAN, H)], ValueError, "duration of pulse 0 must be finite"),
    ([("long", H)], TypeError, "duration of pulse 0 must be a real number"),
    ([(True, H)], TypeError, "duration of pulse 0 must be a real number"),
    ([(1.0, H), (1.0, np.eye(3))], ValueError, r"pulse 1 must have shape \(2, 2\) like the first, but has \(3, 3\)"),
    ([(1.0, H), (1.0, bent(0, 1, 0))], ValueError, "Hamiltonian of pulse 1 must be Hermitian"),
    ([(1.0, H), (1.0, bent(0, 1, NAN))], ValueError, "Hamiltonian of pulse 1 must be finite"),
    ([(1.0, H), (1.0,)], TypeError, "H must be an array of numbers"),
    ([(1.0, "sigmax")], TypeError, "H must be an array of numbers"),
]

BAD_KETS = [
    ([1.0, 0.0, 0.0], ValueError, "psi0 must have one amplitude for each of the 2 beable labels, but has 3"),
    ([], ValueError, "one amplitude for each of the 2 beable labels, but has 0"),
    ([0.0, 0.0], ValueError, "psi0 must not be the zero vector"),
    ([1.0, 1.0], ValueError, "psi0 must be normalised to 1e-08, but its squared norm is 2; .*normalise=True"),
    ([SQRT_HALF, SQRT_HALF + 1e-7], ValueError, "psi0 must be normalised"),
    ([NAN, 1.0], ValueError, r"psi0 must be finite, but psi0\[0\] is \(nan"),
    ([1.0, complex(0, INF)], ValueError, r"psi0 must be finite, but psi0\[1\]"),
    (np.eye(2), ValueError, r"psi0 must be a vector, but has shape \(2, 2\)"),
    (qutip.ket2dm(qutip.basis(2, 0)), ValueError, r"psi0 must be a vector, but has shape \(2, 2\)"),
    (1.0, ValueError, r"psi0 must be a vector, but has shape \(\)"),
    ("up", TypeError, "psi0 must be an array of numbers"),
    ([True, False], TypeError, "psi0 must be an array of numbers"),
    ([[1.0], [0.0, 0.0]], TypeError, "psi0 must be an array of numbers"),
    (None, TypeError, "psi0 must be an array of numbers"),
    (KET[None, :], ValueError, r"psi0 must be a ket, but is a bra, of shape \(1, 2\); take its adjoint"),
    (qutip.Qobj(KET).dag(), ValueError, "psi0 must be a ket, but is a bra"),
    (np.ma.array(KET, mask=[0, 1]), ValueError, "psi0 must have no masked entries"),
]

BAD_TIMES = [
    ([], ValueError, "tlist must hold at least one time, but is empty"),
    ([0.0, 2.0, 1.0], ValueError, r"tlist must increase strictly, but decreases at tlist\[2\] = 1"),
    ([0.0, 1.0, 1.0], ValueError, r"tlist must increase strictly, but repeats at tlist\[2\] = 1"),
    ([-1.0, 1.0], ValueError, r"tlist must not be negative, but tlist\[0\] is -1"),
    ([0.0, NAN], ValueError, r"tlist must be finite, but tlist\[1\] is nan"),
    (np.ma.array(TIMES, mask=[0, 0, 1]), ValueError, "tlist must have no masked entries"),
    ([0.0, INF], ValueError, r"tlist must be finite, but tlist\[1\] is inf"),
    ([[0.0, 1.0]], ValueError, r"tlist must be a list of times, but has shape \(1, 2\)"),
    (3.0, ValueError, r"tlist must be a list of times, but has shape \(\)"),
    ([0.0, 1j], ValueError, "tlist must be real"),
    (["0", "1"], TypeError, "tlist must be an array of numbers"),
    ([[0.0], [1.0, 2.0]], TypeError, "tlist must be an array of numbers"),
    ([False, True], TypeError, "tlist must be an array of numbers"),
    ([0, 10**400], TypeError, "tlist must be an array of numbers"),
    (None, TypeError, "tlist must be an array of numbers"),
]

BAD_COPIES = [
    (0, ValueError, "copies must be >= 1, but is 0"),
    (-1, ValueError, "copies must be >= 1, but is -1"),
    (0.5, ValueError, "copies must be a whole number, but is 0.5"),
    (Fraction(1, 3), ValueError, "copies must be a whole number"),
    (Fraction(10**400 + 1, 3), ValueError, "copies must be a finite whole number"),
    (1e300, ValueError, r"copies must be at most 4611686018427387904, but is 1e\+300"),
    (2**62 + 1, ValueError, "copies must be at most 4611686018427387904, but is 4611686018427387905"),
    (NAN, ValueError, "copies must be a finite whole number, but is nan"),
    (INF, ValueError, "copies must be a finite whole number, but is inf"),
    ("many", TypeError, "copies must be a whole number, but is 'many'"),
    (True, TypeError, "copies must be a whole number, but is True"),
    (1 + 0j, TypeError, "copies must be a whole number"),
    (None, TypeError, "copies must be a whole number, but is None"),
    ([100], TypeError, "copies must be a whole number"),
    (np.eye(9), TypeError, "copies must be a whole number, but is .* \\(ndarray\\)"),
]

BAD_SYSTEMS = [
    ({"hbar": 0.0}, ValueError, "hbar must be > 0, but is 0"),
    ({"hbar": -1}, ValueError, "hbar must be > 0, but is -1"),
    ({"hbar": NAN}, ValueError, "hbar must be finite, but is nan"),
    ({"hbar": 10**400}, ValueError, "hbar must be finite"),
    ({"hbar": "h"}, TypeError, "hbar must be a real number"),
    ({"hbar": qutip.sigmax()}, TypeError, "hbar must be a real number"),
    ({"hbar": 1j}, TypeError, "hbar must be a real number"),
    ({"labels": ("up",)}, ValueError, "labels must name each of the 2 values of the beable, but has 1 names"),
    ({"labels": ("up", "down", "strange")}, ValueError, "labels must name each of the 2 .* but has 3 names"),
    ({"labels": ("up", "up")}, ValueError, "labels must differ from each other"),
    ({"labels": (1, "1")}, ValueError, "labels must differ from each other"),
    ({"labels": 5}, TypeError, "labels must be a sequence of names, but is 5"),
    ({"parts": 5}, TypeError, r"parts must be a sequence of \(name, size\), but is 5"),
    ({"parts": "AB"}, TypeError, r"parts must be a sequence of \(name, size\), but is 'AB'"),
    ({"parts": ("AB",)}, TypeError, r"each of the parts must be a pair \(name, size\), but one is 'AB'"),
    ({"parts": (("A",),)}, TypeError, "each of the parts must be a pair"),
    ({"parts": ((2, "A"),)}, TypeError, r"each of the parts must be a pair \(name, size\), but one is \(2, 'A'\)"),
    ({"parts": (("A", "two"),)}, TypeError, "the size of part 'A' must be a whole number"),
    ({"parts": (("A", 0),)}, ValueError, "the size of part 'A' must be >= 1"),
    ({"parts": (("A", ()),)}, ValueError, "labels of part 'A' must differ and be at least one"),
    ({"parts": (("A", ("u", "u")),)}, ValueError, "labels of part 'A' must differ"),
    ({"parts": (("A", 1), ("A", 2))}, ValueError, "parts must differ in their names"),
    ({"parts": (("A", 2), ("B", 2))}, ValueError, "parts must have 2 joint labels .* sizes 2 x 2 make 4"),
]

BAD_THEORIES = [
    ({"engine": "warp"}, ValueError, "engine must be one of auto, exact, leap, agents.*, but is 'warp'"),
    ({"engine": None}, ValueError, "engine must be one of"),
    ({"rule": "bohm"}, ValueError, "rule must be one of smolin, printed.*, but is 'bohm'"),
    ({"preparation": "guess"}, ValueError, "preparation must be one of largest_remainder, .*'guess'"),
    ({"spectators": -1}, ValueError, "spectators must be >= 0, but is -1"),
    ({"spectators": 0.5}, ValueError, "spectators must be a whole number, but is 0.5"),
    ({"spectators": 101}, ValueError, "spectators must be at most the 100 copies, but is 101"),
    ({"floor": -2}, ValueError, "floor must be >= 0, but is -2"),
    ({"floor": 101}, ValueError, "floor must be at most the 100 copies, but is 101"),
    ({"floor": 1.5}, ValueError, "floor must be a whole number, but is 1.5"),
    ({"floor": "low"}, TypeError, "floor must be a whole number"),
    ({"admixture": (1.0, KET)}, ValueError, r"eps of admixture must be in \[0, 1\), but is 1"),
    ({"admixture": (-0.1, KET)}, ValueError, r"eps of admixture must be in \[0, 1\), but is -0.1"),
    ({"admixture": (NAN, KET)}, ValueError, "eps of admixture must be finite"),
    ({"admixture": ("half", KET)}, TypeError, "eps of admixture must be a real number"),
    ({"admixture": 0.5}, TypeError, r"admixture must be a pair \(eps, ket\)"),
    ({"admixture": (0.5, [1.0, 0.0, 0.0])}, ValueError, "ket of admixture must have one amplitude for each of the 2"),
    ({"admixture": (0.5, [1.0, 1.0])}, ValueError, "ket of admixture must be normalised"),
    ({"admixture": (0.5, "ab")}, TypeError, "ket of admixture must be"),
    ({"admixture": (0.5, None)}, TypeError, "ket of admixture must be"),
    ({"admixture": (0.5, -KET)}, ValueError, "admixture must leave something of psi0"),
    ({"admixture": (0.5, [0.0, NAN])}, ValueError, "ket of admixture must be finite"),
    ({"phase_step": 0.0}, ValueError, "phase_step must be > 0, but is 0"),
    ({"phase_step": 0.21}, ValueError, "phase_step must be at most 0.2, but is 0.21"),
    ({"phase_step": NAN}, ValueError, "phase_step must be finite"),
    ({"phase_spread": -0.1}, ValueError, "phase_spread must be >= 0, but is -0.1"),
    ({"phase_spread": NAN}, ValueError, "phase_spread must be finite"),
    ({"phase_spread": "wide"}, TypeError, "phase_spread must be a real number"),
    ({"engine": np.eye(9)}, ValueError, "engine must be one of"),
    ({"follow": (100,)}, ValueError, "follow must name rows .* 100"),
    ({"follow": qutip.sigmax}, TypeError, "follow must be a sequence"),
    ({"follow": np.eye(9)}, TypeError, "follow must be a whole number"),
    ({"follow": (-1,)}, ValueError, "follow must be >= 0, but is -1"),
    ({"follow": (0.5,)}, ValueError, "follow must be a whole number"),
    ({"follow": 3}, TypeError, "follow must be a sequence of row numbers"),
    ({"follow": "12"}, TypeError, "follow must be a sequence of row numbers"),
    ({"engine": "exact", "follow": (0,)}, ValueError, "engine 'exact' knows counts, not copies.*'agents'"),
    ({"engine": "exact", "record_events": True}, ValueError, "engine 'exact' knows counts, not copies"),
    ({"engine": "exact", "phase_spread": 0.1}, ValueError, "engine 'exact' knows counts, not copies"),
]

BAD_RUNS = [
    ({"replicas": 0}, ValueError, "replicas must be >= 1, but is 0"),
    ({"replicas": 1.5}, ValueError, "replicas must be a whole number, but is 1.5"),
    ({"replicas": True}, TypeError, "replicas must be a whole number"),
    ({"seed": -1}, ValueError, "seed must be >= 0, but is -1"),
    ({"seed": 1.5}, ValueError, "seed must be a whole number, but is 1.5"),
    ({"seed": 2**63}, ValueError, "seed must be at most 9223372036854775807"),
    ({"seed": "lucky"}, TypeError, "seed must be a whole number, but is 'lucky'"),
]


def solve(h=H, psi0=KET, tlist=TIMES, **options):
    return copysolve(h, psi0, tlist, **{"copies": 100, "seed": 1, **options})


@pytest.mark.parametrize(("h", "kind", "names"), BAD_HAMILTONIANS + BAD_TRAINS)
def test_bad_hamiltonians_are_refused(refuses, h, kind, names):
    refuses(lambda: System(h), kind, names)
    refuses(lambda: solve(h), kind, names)


@pytest.mark.parametrize(("ket", "kind", "names"), BAD_KETS)
def test_bad_kets_are_refused(refuses, ket, kind, names):
    refuses(lambda: solve(psi0=ket), kind, names)


@pytest.mark.parametrize(("tlist", "kind", "names"), BAD_TIMES)
def test_bad_times_are_refused(refuses, tlist, kind, names):
    refuses(lambda: Schedule(tlist), kind, names)
    refuses(lambda: solve(tlist=tlist), kind, names)


@pytest.mark.parametrize(("copies", "kind", "names"), BAD_COPIES)
def test_bad_copies_are_refused(refuses, copies, kind, names):
    refuses(lambda: CopyDynamics(copies), kind, names)
    refuses(lambda: solve(copies=copies), kind, names)


@pytest.mark.parametrize(("options", "kind", "names"), BAD_SYSTEMS)
def test_bad_systems_are_refused(refuses, options, kind, names):
    refuses(lambda: System(H, **options), kind, names)


@pytest.mark.parametrize(("options", "kind", "names"), BAD_THEORIES)
def test_bad_theories_are_refused(refuses, options, kind, names):
    experiment = Experiment.of(H, KET, TIMES)
    refuses(lambda: CopyDynamics(100, **options).evolve(experiment, seed=1), kind, names)


def test_copies_and_spectators_together_have_a_limit(refuses):
    for theory, sentence in (
        (CopyDynamics(2**62, spectators=1), r"at most 2\^62 together"),
        (CopyDynamics(2**31 - 1, "agents", spectators=1), "engine 'agents' holds at most 2147483647 copies"),
        (CopyDynamics(10**12, floor=1), r"at most 1e\+12 for engine 'auto'"),
    ):
        refuses(lambda theory=theory: theory.evolve(Experiment.of(H, KET, TIMES), seed=1), ValueError, sentence)


@pytest.mark.parametrize(("options", "kind", "names"), BAD_RUNS)
def test_bad_runs_are_refused(refuses, options, kind, names):
    refuses(lambda: solve(**options), kind, names)


@pytest.mark.parametrize(
    ("e_ops", "kind", "names"),
    [
        (np.eye(3), ValueError, r"e_ops\[0\] must act on 2 labels, but has shape \(3, 3\)"),
        ([H, bent(0, 1, 0)], ValueError, r"e_ops\[1\] must be Hermitian"),
        ({"spin": [1, 2]}, ValueError, r"e_ops\[spin\] must be a square matrix"),
        ("H", TypeError, r"e_ops\[0\] must be an array of numbers"),
        ([np.ma.array(H, mask=np.eye(2))], ValueError, r"e_ops\[0\] must have no masked entries"),
        ({1: H, "a": H, "1": H}, ValueError, "e_ops must differ in their names, but '1' names two of them"),
    ],
)
def test_bad_observables_are_refused(refuses, e_ops, kind, names):
    refuses(lambda: solve(e_ops=e_ops), kind, names)


PAIR = qutip.tensor(qutip.sigmax(), qutip.qeye(3))
TURNED = qutip.tensor(qutip.qeye(3), qutip.sigmax())
UP = qutip.tensor(qutip.basis(2, 0), qutip.basis(3, 0))
PU = qutip.tensor(qutip.basis(3, 0), qutip.basis(2, 0))


@pytest.mark.parametrize(
    ("call", "names"),
    [
        (lambda: solve(PAIR, PU), r"psi0 must live in the tensor space \[2, 3\] of H, but lives in \[3, 2\]"),
        (lambda: solve(PAIR, UP, e_ops=[PAIR, TURNED]), r"e_ops\[1\] must live in the tensor space \[2, 3\] of H"),
        (lambda: solve(PAIR, UP.full(), e_ops={"x": TURNED}), r"e_ops\[x\] must live in .* of H"),
        (lambda: solve(PAIR.full(), UP, e_ops=[TURNED]), r"e_ops\[0\] must live in .* of psi0"),
        (lambda: solve([(1, PAIR), (1, TURNED)], UP), "the Hamiltonian of pulse 1 must live in"),
        (lambda: solve([(1, PAIR)], PU), "psi0 must live in"),
        (lambda: Experiment(System(PAIR), Preparation(PU), Schedule(TIMES)), "psi0 must live in"),
        (lambda: copydyn.infidelity_law(PAIR, PU, TIMES), "psi0 must live in"),
        (lambda: solve(qutip.Qobj(np.eye(6), dims=[[2, 3], [6]]), UP), "H must map a space to itself, but has dims"),
    ],
)
def test_tensor_spaces_that_differ_are_refused(refuses, call, names):
    refuses(call, ValueError, names)


def test_tensor_spaces_that_agree_and_arrays_are_taken():
    expected = solve(PAIR.full(), UP.full())
    for h, ket in ((PAIR, UP), (PAIR, UP.full()), (PAIR.full(), UP), ([(1.0, PAIR)], UP)):
        assert np.array_equal(solve(h, ket, e_ops=[PAIR])["counts"], expected["counts"])


def test_a_preparation_and_an_admixture_refuse_a_bra(refuses):
    refuses(lambda: Preparation(qutip.Qobj(KET).dag()), ValueError, "psi0 must be a ket, but is a bra")
    refuses(lambda: CopyDynamics(10, admixture=(0.1, KET[None, :])), ValueError, "the ket of admixture must be a ket")


def test_an_experiment_takes_its_three_nouns(refuses):
    system, preparation, schedule = System(H), Preparation(KET), Schedule(TIMES)
    refuses(lambda: Experiment(H, preparation, schedule), TypeError, "takes a System here, but got ndarray")
    refuses(lambda: Experiment(system, KET, schedule), TypeError, "takes a Preparation here, but got ndarray")
    refuses(lambda: Experiment(system, preparation, TIMES), TypeError, "takes a Schedule here, but got tuple")


def test_times_end_within_the_pulses(refuses):
    pulses = [(0.1, H)] * 10  # their sum misses 1 by rounding
    assert solve(pulses, tlist=[0.0, 1.0])["time"].values[-1] == 1.0
    refuses(lambda: solve(pulses, tlist=[0.0, 1.001]), ValueError, "tlist must end within the pulses, which last 1")


def test_hermitian_to_the_stated_tolerance():
    most = HERMITIAN_TOLERANCE * np.abs(H).max()
    for kind in (np.array, sparse.csr_array):
        inside = System(kind(bent(0, 1, H[0, 1] + 0.99 * most))).hamiltonian
        assert abs(inside - inside.conj().T).max() == 0.0
        with pytest.raises(ValueError, match="Hermitian"):
            System(kind(bent(0, 1, H[0, 1] + 1.01 * most)))


def test_kets_are_normalised_to_the_stated_tolerance():
    ket = Experiment.of(H, KET * (1 + 0.4 * NORM_TOLERANCE), TIMES).ket
    assert abs(np.linalg.norm(ket) - 1) < 1e-15
    for scale in (3.0, 1e-200, 1e200):
        asked = Experiment(System(H), Preparation(scale * KET, normalise=True), Schedule(TIMES))
        assert np.allclose(asked.ket, KET, atol=1e-15)


SAME_HAMILTONIANS = {
    "nested lists": H.tolist(),
    "tuples": tuple(map(tuple, H.tolist())),
    "fortran order": np.asfortranarray(H),
    "csr matrix": sparse.csr_matrix(H),
    "csr": sparse.csr_array(H),
    "csc": sparse.csc_array(H),
    "coo": sparse.coo_array(H),
    "dia": sparse.dia_array(H),
    "dense Qobj": qutip.Qobj(H).to("Dense"),
    "CSR Qobj": qutip.Qobj(H).to("CSR"),
    "Dia Qobj": qutip.Qobj(H).to("Dia"),
}


@pytest.mark.parametrize("face", SAME_HAMILTONIANS)
def test_every_face_of_a_matrix_gives_the_same_bytes(face):
    expected = solve(replicas=2)
    assert solve(SAME_HAMILTONIANS[face], replicas=2).identical(expected)


def test_the_faces_of_a_ket_give_the_same_bytes():
    expected = solve()
    for ket in (KET.tolist(), KET[:, None], np.ma.array(KET), qutip.Qobj(KET), qutip.Qobj(KET).to("CSR")):
        assert solve(psi0=ket).identical(expected)


@pytest.mark.parametrize("kind", [int, np.int8, float, np.float32, complex])
def test_numbers_of_every_kind_are_taken(kind):
    expected = solve(np.array([[0, 1], [1, 0]], complex), [0.6, 0.8], [0, 1])
    assert solve(np.array([[0, 1], [1, 0]], kind), [0.6, 0.8], np.array([0, 1], float)).identical(expected)
    assert solve([(1, np.array([[0, 1], [1, 0]], kind))], [0.6, 0.8], [0, 1])["counts"].sum() == 200


@pytest.mark.parametrize("copies", [100.0, np.int32(100), np.float64(100), np.uint64(100), Fraction(100)])
def test_whole_numbers_of_every_kind_are_copies(copies):
    assert solve(copies=copies).identical(solve(copies=100))


def test_what_was_handed_in_is_neither_changed_nor_watched():
    h, ket, times = H.copy(), KET.copy(), np.array(TIMES)
    experiment = Experiment.of(h, ket, times)
    h[:], ket[:], times[:] = 0.0, 0.0, 9.0
    for kept, original in ((experiment.system.hamiltonian, H), (experiment.ket, KET), (experiment.tlist, TIMES)):
        assert np.allclose(kept, original, rtol=0, atol=1e-15)
    for array in (experiment.system.hamiltonian, experiment.ket, experiment.tlist):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


def test_large_entries_do_not_overflow():
    assert np.array_equal(System(np.array([[8e307]])).hamiltonian, [[8e307]])


def test_labels_and_their_defaults():
    assert System(np.eye(3)).labels == ("0", "1", "2")
    assert System(H, labels=("up", "down")).labels == ("up", "down")
    assert System(np.eye(4), parts=(("A", 2), ("B", 2))).labels == ("(0,0)", "(0,1)", "(1,0)", "(1,1)")
    assert System(H, parts=(("A", ("u", "d")),)).labels == ("(u)", "(d)")
    assert System(H, labels=("up", "down"), parts=[["A", 2]]).labels == ("up", "down")
    assert System(H, parts=[["A", 2]]).parts == (("A", ("0", "1")),)
    assert System(H).parts == ()
    assert System(H).duration == np.inf
    assert System([(1.0, H), (0.5, H)]).duration == 1.5


def test_segments_of_a_train():
    """Save times on edges, between them, and a start inside the second pulse."""
    system = System([(1.0, H), (1.0, H), (2.0, H)])
    assert list(system.segments(np.array([0.0, 0.5, 1.0, 4.0]))) == [
        (0, 0.0, 0.5, 1),
        (0, 0.5, 1.0, 2),
        (1, 1.0, 2.0, None),
        (2, 2.0, 4.0, 3),
    ]
    assert list(system.segments(np.array([1.5, 2.0, 2.5]))) == [(1, 1.5, 2.0, 1), (2, 2.0, 2.5, 2)]
    assert list(system.segments(np.array([1.0, 1.5]))) == [(1, 1.0, 1.5, 1)]
    assert list(system.segments(np.array([3.0]))) == []


durations = st.lists(st.floats(1e-3, 10.0), min_size=1, max_size=6)
fractions = st.lists(st.floats(0.0, 1.0), min_size=1, max_size=8, unique=True)


@settings(max_examples=200, deadline=None)
@given(durations, fractions, st.booleans())
def test_segments_cover_the_way_without_gaps(lengths, parts, on_edges):
    system = System([(length, H) for length in lengths])
    edges = np.cumsum(lengths)
    times = np.unique(np.array(parts) * system.duration)
    if on_edges:
        times = np.unique(np.concatenate([times, np.minimum(edges, system.duration)]))
    segments = list(system.segments(times))
    ends = [times[0], *(segment.end for segment in segments)]
    assert [segment.start for segment in segments] == ends[:-1]
    assert ends[-1] == times[-1]
    assert all(segment.start < segment.end for segment in segments)
    assert [segment.save for segment in segments if segment.save is not None] == list(range(1, times.size))
    assert all(segment.end == times[segment.save] for segment in segments if segment.save is not None)
    for segment in segments:  # each within one pulse, and within the right one; rounding may leave a sliver at the end
        begin = 0.0 if segment.pulse == 0 else edges[segment.pulse - 1]
        last = segment.pulse == len(lengths) - 1
        assert begin <= segment.start
        assert last or segment.end <= edges[segment.pulse]


def test_a_system_says_what_it_is_in_a_line():
    assert repr(System(np.eye(2), meaning="level", name="two")) == "<System two: 2 labels (level), 0 to 1, hbar = 1>"
    said = repr(System([(1.0, np.eye(4)), (2.0, np.eye(4))], parts=[("A", 2), ("B", 2)], hbar=0.5))
    assert said == "<System system: 4 labels (label), (0,0) to (1,1), 2 pulses, parts A, B, hbar = 0.5>"
    experiment = Experiment.of(np.eye(1), [1.0], [0.0])
    assert "<System system: 1 labels (label), 0, hbar = 1>" in repr(experiment)
