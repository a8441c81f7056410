"""Engine "leap": its mean, its noise, its counts, whatever N is, and what it refuses."""

import re
import warnings

import numpy as np
import pytest
import verdicts
from exact import EXACT
from test_copying import EVEN, TRIANGLE, assert_same_counts, ours, schroedinger

import copydyn
from copydyn import Experiment, Schedule, copysolve, laws
from copydyn.kernels.leap import Leaps, Way, advance_leaps, leap_scratch
from copydyn.kernels.replicas import Plan, Progress, Saved
from copydyn.systems import lattice, ring
from copydyn.theories import CopyDynamics
from copydyn.theories.copies.courses import plan_of
from copydyn.theories.copies.ensemble import train_of
from copydyn.theories.copies.leaps import leap_plan, most_events, stars_of

AWAY = [system for system in EXACT if system.away_from_nodes]
HUGE = (10**6, 10**10, 10**16, 2**62)


def name_of(system):
    return system.name


# --- the mean -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("copies", HUGE)
@pytest.mark.parametrize("system", AWAY, ids=name_of)
def test_frequencies_keep_to_the_exact_path_within_the_noise(system, copies):
    """The largest of about a hundred normal deviations; a splitting error would show at 10^16 and more."""
    result = CopyDynamics(copies, "leap").evolve(system.experiment, seed=4)
    noise = np.sqrt(np.array([np.diag(c) for c in laws.linear_noise(
        system.system.hamiltonian if len(system.system.pulses) == 1 else list(system.system.pulses),
        system.ket, system.tlist, hbar=system.system.hbar,
    )]) / copies)  # fmt: skip
    score = np.abs(result.frequency.values[0] - system.probabilities())[1:] / (noise[1:] + 1.0 / copies)
    assert score.max() < 6.0
    rounding = 1e-13  # what |psi|^2 itself is known to
    assert score.max() > 0.1 or noise.max() < rounding
    assert result.attrs["bias_limited"] == 0


@pytest.mark.parametrize("copies", HUGE)
@pytest.mark.parametrize("system", EXACT, ids=name_of)
def test_copies_are_whole_and_conserved_and_support_never_grows(system, copies):
    counts = CopyDynamics(copies, "leap").evolve(system.experiment, seed=4, replicas=2).counts.values
    assert counts.dtype == np.int64
    assert np.all(counts >= 0)
    assert all(sum(map(int, row)) == copies for row in counts.reshape(-1, counts.shape[-1]))
    empty = counts == 0
    assert np.all(empty[:, 1:] | ~empty[:, :-1])


def test_the_empty_front_of_a_packet_stays_empty():
    """A packet cut off at five sites of a chain: quantum mechanics spreads, an ensemble cannot."""
    ket = np.zeros(40, complex)
    ket[3:8] = [0.2, 0.5, 0.6, 0.5, 0.32]
    ket /= np.linalg.norm(ket)
    result = copysolve(lattice(40).hamiltonian, ket, np.linspace(0, 6, 13), copies=10**14, seed=1, engine="leap")
    assert np.all(result.counts.values[:, :, [*range(3), *range(8, 40)]] == 0)
    inside = lattice(40).hamiltonian.toarray()[3:8, 3:8]
    expected = schroedinger(inside, ket[3:8], result.time.values)[0]  # P H P
    assert np.abs(result.frequency.values[0][:, 3:8] - expected).max() < 20 / np.sqrt(1e14)


def test_a_commensurate_real_stationary_state_emits_no_event():
    for psi in (np.ones(8), (-1.0) ** np.arange(8)):
        result = copysolve(ring(8).hamiltonian, psi / np.sqrt(8), np.linspace(0, 50, 6), copies=2**60, seed=1)
        assert result.attrs["theory_engine"] == "leap"
        assert result.events.values.max() == 0


# --- the law of the process where copies are few ------------------------------------------------------------------


def test_few_copies_are_those_of_engine_exact_in_law():
    """Sixty copies, all of them counted: the same process but for the length of its steps."""
    assert_same_counts(ours(4000, engine="leap"), ours(4000, engine="exact"))


@pytest.mark.parametrize("few", [16, 64, 400])
def test_some_copies_are_those_of_engine_exact_in_law(few):
    """A thousand copies of three labels: counted or flowing, as the parameter has it."""
    experiment = Experiment.of(TRIANGLE, EVEN, [0.0, 1.0, 2.5])
    found, expected = (
        theory.evolve(experiment, seed=3, replicas=3000)
        for theory in (CopyDynamics(1000, "leap", few=few), CopyDynamics(1000, "exact"))
    )
    for time in (1, 2):
        for label in range(3):
            both = (run.counts.values[:, time, label] for run in (found, expected))
            verdicts.assert_same_law(*both, detects=0.11)
    both = (run.events.values[:, -1] for run in (found, expected))
    verdicts.assert_same_law(*both, detects=0.11)
    both = (np.cos(run.phase.values[:, -1, 0]) for run in (found, expected))
    verdicts.assert_same_law(*both, detects=0.11)


def test_a_lattice_of_many_clusters_is_that_of_engine_exact_in_law():
    """Sixty sites with ten to a few hundred copies, more than a cluster takes."""
    size = 60
    ket = np.exp(-(((np.arange(size) - 28.0) / 14.0) ** 2) + 0.7j * np.arange(size))
    ket /= np.linalg.norm(ket)
    experiment = Experiment.of(lattice(size).hamiltonian, ket, [0.0, 2.0])
    found, expected = (
        CopyDynamics(8000, engine).evolve(experiment, seed=5, replicas=1200) for engine in ("leap", "exact")
    )
    for site in (5, 15, 28, 40, 48):
        both = (run.counts.values[:, -1, site] for run in (found, expected))
        verdicts.assert_same_law(*both, detects=0.17)
    extinct = ((run.counts.values[:, -1] == 0).sum(axis=1) for run in (found, expected))
    verdicts.assert_same_law(*extinct, detects=0.17)


# --- the noise ----------------------------------------------------------------------------------------------------

NOISY = [system for system in AWAY if system.name in ("detuned", "triangle", "flux", "gue", "train")]
REPLICAS = 3000


@pytest.fixture(scope="module", params=[(system, copies) for system in NOISY for copies in (10**8, 10**12)],
                ids=lambda case: f"{case[0].name}, N = {case[1]:.0e}")  # fmt: skip
def noisy(request):
    """A system, N, its kets at the end scaled by N^(1/2), and the law's covariance."""
    system, copies = request.param
    experiment = Experiment(system.experiment.system, system.experiment.preparation, Schedule(system.tlist[[0, -1]]))
    result = CopyDynamics(copies, "leap").evolve(experiment, seed=8, replicas=REPLICAS)
    law = laws.finite_copies(experiment, experiment.ket)
    return system, copies, result, law


def test_infidelity_law_holds_at_any_number_of_copies(noisy):
    """With the counts' own deviations, 1e-6 of the frequencies at 10^12, told from |psi|^2 as float64 knows it."""
    system, copies, result, law = noisy
    psi = system.path(float(system.tlist[-1]))
    kets = np.sqrt(result.frequency.values[:, -1]) * np.exp(-1j * result.phase.values[:, -1])
    overlap = kets @ psi.conj()
    loss = copies * (np.abs(kets - overlap[:, None] * psi) ** 2).sum(axis=1)
    expected = float(law["infidelity_law"].values[-1])
    verdicts.assert_mean(loss, expected, detects=0.25 * expected)
    with pytest.raises(AssertionError):
        verdicts.assert_mean(loss, 1.5 * expected, detects=0.5 * expected)


def test_covariance_law_holds_at_any_number_of_copies(noisy):
    system, copies, result, _ = noisy
    pulses = list(system.system.pulses) if len(system.system.pulses) > 1 else system.system.hamiltonian
    law = laws.linear_noise(pulses, system.ket, system.tlist[[0, -1]], hbar=system.system.hbar)[-1]
    deviation = np.sqrt(copies) * (result.frequency.values[:, -1] - system.probabilities()[-1])
    found = deviation.T @ deviation / REPLICAS
    error = np.sqrt((np.outer(np.diag(law), np.diag(law)) + law**2) / REPLICAS)
    assert np.abs((found - law) / error).max() < 5.0
    assert np.abs((found - 1.3 * law) / error).max() > 5.0  # the control


def spread_after(leaps, replicas):
    """N Var(n_0/N) after so many leaps, over that of the law, for the path of `midpoints`."""
    copies = 10**14
    experiment = Experiment.of(*PATH)
    train, plan = train_of(experiment.system), plan_of(experiment)
    start = np.tile(np.sqrt(copies) * PATH[1].astype(complex), (replicas, 1))
    names = np.random.SeedSequence(leaps).generate_state(4 * replicas, np.uint64).reshape(replicas, 4)
    progress = Progress(np.zeros(replicas), *np.zeros((2, replicas), np.int64))
    shape = (replicas, 2, 2)
    saved = Saved(np.zeros(shape, np.int64), np.zeros(shape, complex), np.zeros(shape[:2], np.int64))
    cut = Leaps(np.zeros(1), np.array([leaps]), np.array([30]))
    counts, work = np.zeros((replicas, 2), np.int64), leap_scratch(2, 1, 30)
    undivided = 1e3  # no amplitude bends by so much that a leap would draw its noise in cells
    how = (stars_of(train), plan, cut, Way(64, 0.1, undivided), copies, 2**62, work)
    advance_leaps(counts, start, names, progress, saved, train, *how)
    rho = schroedinger(*PATH)[0][-1, 0]
    return copies * np.mean((counts[:, 0] / copies - rho) ** 2) / laws.linear_noise(*PATH)[-1, 0, 0]


PATH = (np.array([[0.346, 0.225], [0.225, -0.346]]), np.array([np.cos(1.0674), np.sin(1.0674)]), np.array([0.0, 3.43]))


def midpoints(leaps):
    """The same by the midpoint rule for the law's integral: kicks in the middle of each leap, carried to the end."""
    h, psi, (_, end) = PATH
    total = 0.0
    for time in (np.arange(leaps) + 0.5) / leaps * end:
        ket = schroedinger(h, psi, np.array([0.0, time]))[1][-1]
        rate = 2 * abs((ket[0].conj() * h[0, 1] * ket[1]).imag)
        kick, last = (
            schroedinger(h, v, np.array([time, end]))[1][-1] for v in (np.array([0.5, -0.5]) / ket.conj(), ket)
        )
        total += rate * (2 * (last[0].conj() * kick[0]).real) ** 2 * end / leaps
    return total / laws.linear_noise(*PATH)[-1, 0, 0]


def test_the_noise_of_leaps_is_the_midpoint_rule():
    """And so of second order in the leap: 3 % off with leaps of nearly half a radian, which can be seen."""
    errors = np.array([midpoints(leaps) - 1.0 for leaps in (4, 8, 16, 32)])
    assert np.all(np.abs(np.log2(errors[:-1] / errors[1:]) - 2.0) < 0.15)
    for leaps, replicas in ((4, 200_000), (8, 100_000)):
        error = np.sqrt(2.0 / replicas)
        assert abs(spread_after(leaps, replicas) - midpoints(leaps)) < 4.5 * error
        if leaps == 4:
            assert abs(midpoints(leaps) - 1.0) > 8 * error  # what a better or a worse rule would give


def test_the_series_of_the_mean_flow_keeps_its_bound():
    """Against the matrix exponential, for fewer and fewer copies, which are content with fewer and fewer terms."""
    experiment = Experiment.of(TRIANGLE, EVEN, [0.0, 3.0])
    train, plan = train_of(experiment.system), plan_of(experiment)
    errors = [leap_plan(experiment, plan, stars_of(train), 0.4, copies).error for copies in (10**4, 10**8, 10**16)]
    assert errors == sorted(errors, reverse=True)
    for copies, error in zip((10**4, 10**8, 10**16), errors):
        assert error < 0.02 / np.sqrt(copies)
    quiet = CopyDynamics(2**62, "leap").evolve(experiment, seed=1)
    drift = np.abs(quiet.frequency.values[0, -1] - schroedinger(TRIANGLE, EVEN, [0.0, 3.0])[0][-1]).max()
    assert drift < 10 / np.sqrt(2.0**62)


# --- what is said about a run -------------------------------------------------------------------------------------


def test_a_long_run_of_many_copies_says_that_it_is_limited_by_its_bias():
    h = np.array([[0.3, 0.5], [0.5, -0.3]])
    long, short = (
        copysolve(h, [0.8, 0.6j], [0.0, span], copies=2**62, seed=1, engine="leap") for span in (120_000.0, 3.0)
    )
    assert (long.attrs["bias_limited"], short.attrs["bias_limited"]) == (1, 0)
    assert long.attrs["leap_error"] > 0.1 / 2.0**31 > short.attrs["leap_error"]


@pytest.mark.parametrize(
    ("copies", "settings", "engine", "why"),
    [
        (10**5, {}, "exact", "at most 6e.05 events an ensemble"),
        (10**12, {}, "leap", "up to 6e.12 events an ensemble, which cost more than about"),
        (10**11, {"floor": 3}, "exact", "engine 'leap' knows no floor, but floor is 3"),
        (10**12, {"rule": "printed"}, "exact", "rule 'printed' has no leaps"),
        (10**5, {"record_events": True}, "agents", "need rows of copies"),
        (10**5, {"engine": "leap"}, "leap", "as asked for"),
    ],
)
def test_auto_chooses_and_says_why(copies, settings, engine, why):
    experiment = Experiment.of(np.array([[0.3, 2.0], [2.0, -0.3]]), [0.8, 0.6j], [0.0, 3.0])
    theory = CopyDynamics(copies, **settings)
    chosen, reason = theory.choice(experiment)
    assert chosen == engine == theory.resolved(experiment).engine
    assert re.search(why, reason), reason


def test_the_choice_stands_in_the_attributes():
    for copies in (1e3, 1e12):
        attrs = copysolve([[0.3, 0.5], [0.5, -0.3]], [0.8, 0.6j], [0.0, 1.0], copies=copies, seed=1).attrs
        assert "events an ensemble" in attrs["engine_reason"]
        assert ("leaps" in attrs) == (attrs["theory_engine"] == "leap") == (copies > 1e6)


def test_most_events_is_a_bound():
    for system in AWAY:
        experiment = system.experiment
        pulses = list(system.system.pulses) if len(system.system.pulses) > 1 else system.system.hamiltonian
        exact = laws.expected_events(pulses, system.ket, system.tlist, hbar=system.system.hbar)[-1]
        assert exact <= most_events(experiment, 1) * (1 + 1e-9)


def test_most_events_are_the_largest_row_without_its_diagonal():
    h = np.array([[5.0, 0.3j, -0.4], [-0.3j, -7.0, 0.2], [-0.4, 0.2, 9.0]])
    experiment = Experiment.of([(1.0, h), (2.0, 2.0 * h)], [0.6, 0.0, 0.8], [0.5, 3.0], hbar=0.5)
    assert most_events(experiment, 1000) == pytest.approx(1000 * 0.7 / 0.5 * (0.5 + 2.0 * 2.0), rel=1e-12)


# --- what is refused ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "kind", "names"),
    [
        ({"leap_step": 0.0}, ValueError, "leap_step must be > 0"),
        ({"leap_step": -0.1}, ValueError, "leap_step must be > 0"),
        ({"leap_step": float("nan")}, ValueError, "leap_step must be finite"),
        ({"leap_step": 1e-9}, ValueError, "leap_step must be at least 0.0001"),
        ({"leap_step": "long"}, TypeError, "leap_step must be a real number"),
        ({"few": 3}, ValueError, "few must be >= 16"),
        ({"few": 10**9}, ValueError, "few must be at most 1000000"),
        ({"rule": "printed"}, ValueError, "engine 'leap' needs rule 'smolin'"),
        ({"floor": 2}, ValueError, "engine 'leap' knows no floor"),
        ({"follow": (0,)}, ValueError, "engine 'leap' knows counts, not copies"),
        ({"engine": "exact", "leap_step": 0.1}, ValueError, "leap_step is about engine 'leap'"),
        ({"engine": "agents", "few": 20}, ValueError, "few is about engine 'leap'"),
    ],
)
def test_what_cannot_leap_is_refused(settings, kind, names, refuses):
    refuses(lambda: CopyDynamics(10**6, **{"engine": "leap", **settings}), kind, names)


def test_a_long_leap_is_shortened_and_says_so():
    with pytest.warns(
        RuntimeWarning, match=r"leap_step must be at most 0\.5 rad, but is 2: .* it is shortened to 0\.5"
    ):
        theory = CopyDynamics(10**9, "leap", leap_step=2.0)
    assert theory.leap_step == 0.5
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        CopyDynamics(10**9, "leap", leap_step=0.5)


def test_too_many_leaps_are_refused(refuses):
    h = np.array([[1e12, 0.5], [0.5, -1e12]])
    refuses(lambda: copysolve(h, [0.8, 0.6], [0.0, 1e3], copies=1e12, seed=1), ValueError, "leaps must be at most")


def test_seeds_of_other_engines_are_not_touched_by_the_settings_of_leaps():
    """The random streams hang on what is written here."""
    assert "leap_step" not in repr(CopyDynamics(10))
    assert repr(CopyDynamics(10, "leap", leap_step=0.3)).endswith("leap_step=0.3)")
    assert copydyn.theories.CopyDynamics(10**9, "leap", few=20) != CopyDynamics(10**9, "leap")


def test_plan_of_a_run_without_time_has_no_leap():
    result = copysolve([[0.3, 0.5], [0.5, -0.3]], [0.8, 0.6j], [1.0], copies=1e12, seed=1, engine="leap")
    assert result.attrs["leaps"] == 0
    assert isinstance(plan_of(Experiment.of(np.eye(2), [1, 0], [0.0])), Plan)
