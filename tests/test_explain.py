"""What is foreseen against what then happens, against closed forms, and the sentences of every case."""

import re
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import verdicts
import xarray as xr
from exact import EXACT, train, triangle, turned
from scipy.linalg import expm

from copydyn import compare, laws
from copydyn.__main__ import main
from copydyn.experiment import Experiment, Preparation, Schedule
from copydyn.laws import NodeCrossing
from copydyn.report.foresight import explain
from copydyn.report.foresight.extinction import EVENTS_A_BEAT, WORK, Prospect, Trial, _shortages, attempt
from copydyn.report.foresight.probe import Cost, _Piece, copies_in_all, first_part, probe
from copydyn.report.foresight.stages import Stage, covariance_seconds, stages_of
from copydyn.report.layout import WIDEST
from copydyn.scenario.scenario import load
from copydyn.theories import CopyDynamics, Schrodinger
from copydyn.wording import duration, size

RESONANT = np.array([[0.0, 0.5], [0.5, 0.0]])
THROUGH_ZERO = np.array([0.8, -0.6j])
"""psi_0 = cos(t/2 + arcsin 0.6) on resonance."""

ZERO = np.pi - 2 * np.arcsin(0.6)


def one_of(scenario):
    (theory,) = scenario.theories.values()
    return theory


def variation(path, span, points=200_001):
    """Total variation of rho_0 from ``span[0]`` to each other time: for two levels all that is copied, each way."""
    times = np.linspace(span[0], span[-1], points)
    rho = np.abs(np.array([path(t)[0] for t in times])) ** 2
    return np.interp(span, times, np.concatenate([[0.0], np.cumsum(np.abs(np.diff(rho)))]))


# ---- the law of events


@pytest.mark.parametrize("case", [case for case in EXACT if case.system.size == 2], ids=lambda case: case.name)
def test_two_levels_copy_what_flows(case):
    """Events a copy = total variation of rho_0, through nodes, turning points and changes of the Hamiltonian."""
    system = case.system
    found = laws.expected_events(system.hamiltonian, case.ket, case.tlist, hbar=system.hbar, copies=1000)
    np.testing.assert_allclose(found, 1000 * variation(case.path, case.tlist), rtol=1e-5, atol=1e-4)


def test_events_are_the_integral_in_angles():
    """Three levels, with R, delta and phi as in (32)."""
    case = triangle()
    h, times = np.asarray(case.system.hamiltonian), np.linspace(0.0, 3.0, 20_001)
    kets = case.kets(times)
    rho, phi, rate = np.abs(kets) ** 2, -np.angle(kets), np.zeros(times.size)
    for a in range(3):
        for b in range(a):
            sine = np.sin(phi[:, a] - phi[:, b] + np.angle(h[a, b]))
            rate += 2 * np.abs(h[a, b]) * np.sqrt(rho[:, a] * rho[:, b]) * np.abs(sine)
    expected = np.trapezoid(rate, times)
    assert laws.expected_events(h, case.ket, case.tlist)[-1] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("case", [triangle(), train()], ids=lambda case: case.name)
def test_simulated_events(case):
    """Mean events of 400 ensembles of 20 000 copies to 3 in 10 000; finite N adds some that do not grow with N."""
    theory = CopyDynamics(20_000)
    ket = theory.prepare(case.experiment, 1).ket
    expected = laws.expected_events(case.system.hamiltonian, ket, case.tlist, copies=20_000)
    events = theory.evolve(case.experiment, seed=1, replicas=400)["events"].values
    assert np.array_equal(expected[:1], [0.0])
    for at in (2, -1):
        verdicts.assert_mean(events[:, at], expected[at], detects=0.01 * expected[at])
        with pytest.raises(AssertionError, match="errors off"):  # the control
            verdicts.assert_mean(events[:, at], 1.01 * expected[at], detects=0.02 * expected[at])


def test_noise_makes_events_on_an_edge_at_rest():
    """Beyond the law, sqrt(N) int E|dJ| dt of an edge whose current J vanishes by symmetry, dJ by the law of the noise.

    To a quarter of a unit of 0.35; without them the law would be missed.
    """
    h = np.array([[0.5, 0.4, 0.4], [0.4, 0.0, 0.6], [0.4, 0.6, 0.0]])
    psi, times, copies = np.array([0.6 * np.exp(1j), *np.sqrt([0.32, 0.32])]), np.linspace(0, 2, 201), 10_000
    noise = laws.kick_covariance(h, psi, times)
    lever = np.zeros((times.size, 3), complex)  # dJ = 2 Im[lever . dpsi], J = 2 Im[conj(psi_1) h psi_2]
    lever[:, 1], lever[:, 2] = -0.6 * noise.ket[:, 2].conj(), 0.6 * noise.ket[:, 1].conj()
    square = np.einsum("ta,tab,tb->t", lever, noise.covariance, lever.conj()).real
    variance = 2 * (square - np.einsum("ta,tab,tb->t", lever, noise.relation, lever).real)
    expected = np.trapezoid(np.sqrt(2 / np.pi * variance), times)
    experiment = Experiment.of(h, psi, times[[0, -1]])
    events = CopyDynamics(copies).evolve(experiment, seed=1, replicas=1000)["events"].values[:, -1]
    beyond = (events - laws.expected_events(h, psi, times, copies=copies)[-1]) / np.sqrt(copies)
    verdicts.assert_mean(beyond, expected, detects=0.25)
    with pytest.raises(AssertionError, match="errors off"):  # the control
        verdicts.assert_mean(beyond, 0.0, detects=0.25)


def test_what_cannot_move_copies_nothing():
    assert laws.expected_events(np.eye(3), [0.6, 0.8, 0.0], [0.0, 5.0]).tolist() == [0.0, 0.0]
    assert laws.expected_events([[0.0, -1.0], [-1.0, 0.0]], np.sqrt([0.5, 0.5]), [0, 9])[-1] < 1e-12  # ground state
    assert laws.expected_events(RESONANT, [0.8, 0.6], [1.0]).tolist() == [0.0]


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ({"copies": 0}, "copies must be >= 1"),
        ({"hbar": -1}, "hbar must be > 0"),
        ({"tlist": [1, 0]}, "increas"),
    ],
)
def test_events_refuse(refuses, arguments, names):
    arguments = {"tlist": [0.0, 1.0], **arguments}
    refuses(lambda: laws.expected_events(RESONANT, [0.8, 0.6], **arguments), ValueError, names)


# ---- the stages


def staged(h, psi, tlist, copies=100_000, **settings):
    experiment, theory = Experiment.of(h, psi, tlist), CopyDynamics(copies, **settings)
    return stages_of(experiment, theory, theory.encoded(experiment))


def test_on_resonance_the_label_is_lost_and_nothing_moves_after():
    (stage,) = staged(RESONANT, THROUGH_ZERO, [0.0, 10.0])
    assert stage.lost == 0
    assert stage.end == pytest.approx(ZERO, rel=1e-9)
    assert stage.events == pytest.approx(64_000, rel=1e-5)
    (crossing,) = stage.crossings
    assert crossing.extinction == pytest.approx(1.0, abs=1e-9)
    found = CopyDynamics(100_000).evolve(Experiment.of(RESONANT, THROUGH_ZERO, [0.0, 10.0]), seed=1)
    assert found["events"].values[0, -1] == 64_000


@pytest.mark.parametrize("split", [False, True])
def test_what_is_left_goes_on_without_the_label(split):
    """Two pairs of levels that do not see each other: one stops at its zero, the other never does."""
    h = np.zeros((4, 4), complex)
    h[:2, :2], h[2:, 2:] = RESONANT, [[0.3, 0.4j], [-0.4j, -0.3]]
    pair = np.array([0.8, 0.6 * np.exp(1j)])
    psi = np.concatenate([np.sqrt(0.5) * THROUGH_ZERO, np.sqrt(0.5) * pair])
    first, second = staged([(1.0, h), (9.0, h)] if split else h, psi, [0.0, 8.0])
    assert (first.lost, second.lost) == (0, None)
    assert first.labels.tolist() == [0, 1, 2, 3]
    assert second.labels.tolist() == [1, 2, 3]
    assert second.start == first.end == pytest.approx(ZERO, rel=1e-9)
    flows = variation(lambda t: turned(pair, 0.6, 0.4j, t), [0.0, ZERO, 8.0])
    assert first.events == pytest.approx(50_000 * (0.64 + flows[1]), rel=1e-4)
    assert second.events == pytest.approx(50_000 * (flows[2] - flows[1]), rel=1e-4)
    found = CopyDynamics(100_000).evolve(Experiment.of(h, psi, [0.0, 8.0]), seed=1, replicas=50)["events"].values
    verdicts.assert_mean(found[:, -1], first.events + second.events, detects=0.01 * first.events)


def test_labels_without_copies_take_no_part():
    """A ring of three, one label empty: two levels are left."""
    h = np.array([[0.0, 0.5, 0.4], [0.5, 0.3, 0.4j], [0.4, -0.4j, 0.1]])
    (stage,) = staged(h, [0.8, 0.6 * np.exp(0.5j), 0.0], [0.0, 2.0])
    assert stage.labels.tolist() == [0, 1]
    flow = variation(lambda t: turned(np.array([0.8, 0.6 * np.exp(0.5j)]), -0.3, 0.5, t), [0.0, 2.0])
    assert stage.events == pytest.approx(100_000 * flow[1], rel=1e-4)


def test_only_the_first_of_many_crossings_are_looked_at(told, monkeypatch):
    """One of two labels is close to its node every pi/2: 14 times in 22, of which three may be looked at."""
    h = np.array([[0.0, 1.0], [1.0, 0.0]])
    ket = np.array([0.1, np.sqrt(0.99)])  # in phase: the minima are 0.01
    (whole,) = staged(h, ket, [1.0, 23.0], copies=1000)
    assert len(whole.crossings) == 14
    assert whole.searched == 23.0
    monkeypatch.setattr("copydyn.report.foresight.stages.MOST_CROSSINGS", 3)
    (part,) = staged(h, ket, [1.0, 23.0], copies=1000)
    np.testing.assert_allclose(np.array(part.crossings), np.array(whole.crossings[:3]), rtol=1e-3)
    assert part.searched == pytest.approx(1.0 + 1.75 * np.pi)
    assert part.events == whole.events
    changes = ["system.detuning=0", "system.coupling=1", "theory.copies=500", "schedule={stop=22,points=3}"]
    text = flat(told("rabi", "preparation.amplitudes=[0.1,0.9949874371066199]", *changes))
    assert "those behind time 5.498 were not looked at: there are too many" in text


def test_one_label_alone_and_floors():
    assert staged(RESONANT, [1.0, 0.0], [0.0, 5.0]) == []
    (stage,) = staged(RESONANT, THROUGH_ZERO, [0.0, 5.0], floor=10)
    assert stage.crossings == []
    assert (stage.end, stage.lost) == (5.0, None)


def test_the_start_has_its_spectators_and_no_rows():
    """Of drawn counts it is what they are drawn around, and a billion agents are not made to know it."""
    experiment = Experiment.of(RESONANT, [0.8, 0.6], [0.0, 1.0])
    theory = CopyDynamics(10**9, engine="agents", spectators=10**8, preparation="multinomial", follow=[1])
    ket = theory.encoded(experiment)
    np.testing.assert_allclose(np.abs(ket) ** 2, np.array([0.74, 0.46]) / 1.2, rtol=1e-9)


# ---- precision


@pytest.fixture
def told(capsys):
    def run(*arguments, code=0):
        assert main(["explain", *map(str, arguments)]) == code
        printed = capsys.readouterr()
        assert printed.err == ""
        assert max(map(len, printed.out.splitlines())) <= WIDEST
        return printed.out

    return run


def flat(text):
    return " ".join(text.split())


def number(text, line):
    found = re.search(rf"{re.escape(line)} +(\d+)", text)
    assert found, text
    return int(found[1])


@pytest.mark.parametrize("changes", [(), ("theory.preparation=multinomial",)])
def test_that_many_copies_give_that_precision(told, changes):
    """600 ensembles of the N that is named: the largest deviation on the way, and the infidelity at the end.

    The former has a standard error of 3 per cent, the latter of 4; at this N the laws themselves are good to as much.
    """
    text = told("rabi", "--precision", "0.03", "schedule.points=21", *changes)
    scenario = load("rabi", ["schedule.points=21"])
    reference = Schrodinger().evolve(scenario.experiment)
    theory = scenario.tables["theory"] | dict(change.split(".")[1].split("=") for change in changes)
    theory["copies"] = number(text, "standard deviation of every n/N below 0.03")
    found = CopyDynamics(**theory).evolve(scenario.experiment, seed=1, replicas=600)
    spread = found["frequency"].values.std(axis=0, ddof=1)
    assert spread.max() == pytest.approx(0.03, rel=0.1)
    label, at = re.search(r"below 0.03 +\d+ +label '(\d)' at time ([\d.]+)\n", text).groups()
    assert spread[found["time"].values == float(at), int(label)] == pytest.approx(0.03, rel=0.1)
    theory["copies"] = number(text, "mean infidelity below its square, 0.0009")
    found = CopyDynamics(**theory).evolve(scenario.experiment, seed=2, replicas=600)
    loss = compare(found, reference)["infidelity"].values[-1]
    assert loss == pytest.approx(0.0009, rel=0.15)
    assert loss != pytest.approx(0.0018, rel=0.15)  # the control: a factor 2


def test_the_band_is_that_of_its_own_copies(told):
    text = told("three-level", "theory.copies=4000", "schedule.points=26")
    scenario = load("three-level", ["theory.copies=4000", "schedule.points=26"])
    found = one_of(scenario).evolve(scenario.experiment, seed=1, replicas=500)
    spread = found["frequency"].values.std(axis=0, ddof=1)
    for label in "012":
        end, largest, when = map(
            float, re.search(rf"label '{label}' +([\d.e-]+) +([\d.e-]+) at time ([\d.]+)", text).groups()
        )
        assert end == pytest.approx(spread[-1, int(label)], rel=0.15)
        assert largest == pytest.approx(spread[:, int(label)].max(), rel=0.15)
        assert 0.0 < when <= 5.0
    loss = compare(found, Schrodinger().evolve(scenario.experiment))["infidelity"].values[-1]
    assert float(re.search(r"mean infidelity +([\d.e-]+)\n", text)[1]) == pytest.approx(loss, rel=0.15)


def test_few_copies_are_warned_of(told):
    assert "they take the noise for small, which it is not" in flat(told("rabi", "theory.copies=100"))


def test_many_labels_get_few_lines(told, monkeypatch):
    monkeypatch.setattr(explain, "covariance_seconds", lambda *_: 0.0)  # on a busy machine the law is left out
    text = told("ring-flux")
    assert text.count("standard deviation of n/N, label") == explain.MOST_LINES
    assert "and 10 more, with less" in text


# ---- sentences


def test_help_imports_nothing_heavy():
    code = (
        "import sys\nfrom copydyn.__main__ import main\n"
        "try: main(['explain', '--help'])\nexcept SystemExit as end: assert end.code == 0\n"
        "assert not {'numpy', 'pydantic', 'xarray', 'matplotlib', 'numba'} & set(sys.modules)"
    )
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert finished.returncode == 0, finished.stderr
    assert "--precision" in finished.stdout


def test_a_calm_scenario(told):
    text = told("rabi")
    assert text.startswith("Detuned Rabi flopping\n\n  system        two-level, 2 levels\n")
    assert "theory        CopyDynamics, 100000 copies, engine exact, rule smolin\n" in text
    assert "run           20 replicas, 101 save times, time 0 to 20 in hbar/energy\n" in text
    assert "nodes         none that matters" in text
    assert "events        about 6.26e+05 copy events a replica\n" in text
    assert re.search(r"time          about .* for 20 replicas one after the other, \S+ events/s\n", text)
    assert re.search(r"memory        about .* of which the result takes 130 kB", text)
    assert list(Path.cwd().glob("results")) == []


def test_a_path_through_a_node(told):
    text = flat(told("rabi-node"))
    assert "laws they diverge at time 1.855, where the path meets the node of label '0'" in text
    assert "nodes label '0' at time 1.855: chance 1 to die out, straight through zero" in text
    assert "about 6.4e+04 copy events a replica, label '0' at time 1.855 being lost; then nothing moves" in text


def test_a_node_before_the_first_save_time(told):
    text = flat(told("rabi-node", "schedule={stop=10,points=3}"))
    assert "they diverge at time 1.855, where the path meets the node of label '0': before anything is saved" in text
    assert "copies needed" not in text


def test_a_floor(told):
    text = flat(told("rabi-node-spectators"))
    assert "100020 copies, engine exact, rule smolin, floor 10" in text
    assert "no label can die out: the floor" in text
    assert "do not know that no label may fall below it" in text
    assert "of it the start itself" in text


def test_spectators_and_the_most_dangerous_first(told):
    text = told("packet")
    chances = [float(found) for found in re.findall(r"chance ([\d.e-]+) to die out", text)]
    assert len(chances) == explain.MOST_LINES
    assert chances == sorted(chances, reverse=True)
    assert re.search(r"and \d+ more\n", text)
    assert "take it that the labels before each survived" in flat(text)


def test_empty_labels(told):
    text = flat(told("packet", "theory.spectators=0"))
    assert "they diverge at time 0, where label '31' has no copies: it needs spectators" in text
    assert "labels '31', '32', '33', '34', '35', '36' and 11 more are without a copy at the start and for ever" in text
    assert "copies needed" not in text


def test_a_single_label(told):
    text = flat(told("rabi", "preparation.amplitudes=[1,0]"))
    assert "all copies start with label '0', with none to copy: nothing ever moves" in text
    assert "events none" in text


def test_admixture(told):
    text = flat(told("rabi", "theory.admixture=[0.1,[0,1]]", "--precision=0.001"))
    assert "admixture 0.1" in text
    assert "mean infidelity below its square, 1e-06 no number will do the start is off by 0.064" in text


def test_a_stationary_state_needs_any_number(told, tmp_path):
    mine = tmp_path / "mine.toml"
    mine.write_text(
        "[system]\nkind='two-level'\n[preparation]\namplitudes=[1,1]\nnormalise=true\n"
        "[schedule]\nstop=9\npoints=3\n[theory]\ncopies=1e4\n"
    )
    text = flat(told(mine, "system.coupling=-0.5", "system.detuning=0"))
    assert "standard deviation of every n/N below 0.01 any" in text
    assert "events none" in text


def test_only_one_save_time(told):
    text = flat(told("rabi", "schedule={times=[0.5]}"))
    assert "1 save time, time 0.5 to 0.5" in text
    assert "events none" in text


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (["theory={kind='Schrodinger'}"], "Schrodinger has no copies"),
        (["theory.phase_spread=0.3", "theory.copies=500"], "phases that are not aligned"),
        (["theory.rule=printed"], "rule printed, whose mean is not the Schrödinger equation"),
    ],
)
def test_theories_without_a_law(told, changes, sentence):
    text = flat(told("rabi", *changes))
    assert sentence in text
    assert "copies needed" not in text
    assert ("as far as tried" in text) == ("Schrodinger" not in changes[0])
    assert "time about" in text


def test_too_many_labels(told):
    text = flat(told("ring-flux", "system.sites=600", "theory.copies=1e4", "schedule={stop=0.2,points=2}"))
    assert "they cost too much for 600 labels, more than 512: neither precision nor nodes are foreseen" in text
    assert "as far as tried" in text


def test_a_law_that_takes_too_long(told, monkeypatch):
    """The covariance alone: infidelity, nodes and events take no time."""
    whole = told("ring-flux", "theory.copies=1000")
    monkeypatch.setattr(explain, "PATIENCE", 0.0)
    text = told("ring-flux", "theory.copies=1000")
    assert "the standard deviations are left out: their law would take about" in flat(text)
    assert "standard deviation of" not in text
    for line in ("mean infidelity below its square", "mean infidelity  ", "nodes", "events"):
        (seen,) = re.findall(rf"^ +{line}.*$", text, re.MULTILINE)
        assert flat(seen) in flat(whole)


@pytest.mark.parametrize(("sites", "stop"), [(3, 1000.0), (64, 16.0)])
def test_the_time_of_a_law_is_foreseen(monkeypatch, sites, stop):
    """Within a factor of four, of processor time."""
    monkeypatch.setattr(time, "perf_counter", time.process_time)
    experiment = load("ring-flux", [f"system.sites={sites}", f"schedule={{stop={stop},points=21}}"]).experiment
    foreseen = covariance_seconds(experiment, experiment.ket)
    start = time.process_time()
    laws.kick_covariance(experiment.system.hamiltonian, experiment.ket, experiment.tlist)
    spent = time.process_time() - start
    assert spent / 4 < foreseen < 4 * spent


def test_chances_that_nobody_knows(told, monkeypatch):
    unknown = NodeCrossing(1, 3.0, 0.0, np.inf, 1.0, 0.0, np.nan)
    sure = NodeCrossing(0, 5.0, 1e-5, 0.0, 1.0, 1.0, 0.37)
    tiny = NodeCrossing(0, 1.0, 1e-4, 0.0, 1.0, 10.0, 4e-5)
    stage = Stage(0.0, 20.0, np.array([0, 1]), 1e5, [tiny, unknown, sure], None, 20.0)
    monkeypatch.setattr(explain, "stages_of", lambda *_: [stage])
    text = flat(told("rabi"))
    first = "label '0' at time 5: chance 0.37 to die out, 1 copies left at the mean"
    assert f"nodes {first} label '1' at time 3: chance unknown behind an earlier node" in text
    assert "at time 1:" not in text


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["rabi", "--precision", "0"], "precision must be > 0"),
        (["rabi", "--precision=1"], "precision must be below 1"),
        (["rabi", "--precision=nan"], "precision must be finite"),
        (["rabi", "--precision", "fine"], "precision must be a real number"),
        (["rabi", "theory.copies=0"], "copies must be >= 1"),
        (["nowhere"], "no shipped scenario"),
    ],
)
def test_bad_input_is_exit_code_2(capsys, arguments, sentence):
    assert main(["explain", *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert sentence in printed.err
    assert printed.err.endswith(".\n")
    assert printed.err.count("\n") == 1


# ---- the odds of the whole run


def said_of_the_run(text):
    """The chance that is stated for the whole run, and its error, which is zero for the law."""
    line = flat(text).split("whole run ", 1)[1]
    if tried := re.match(r"chance ([\d.]+) ± ([\d.]+) that a label dies out: \d+ of \d+ ensembles tried", line):
        return float(tried[1]), float(tried[2])
    return float(re.match(r"chance ([\d.e-]+) that a label dies out, by the law of single crossings", line)[1]), 0.0


ODDS = {
    ("rabi", 100): 4000,
    ("rabi", 300): 4000,
    ("rabi", 1000): 4000,
    ("three-level", 100): 4000,
    ("three-level", 300): 4000,
    ("gue", 1000): 1000,
    ("ring-flux", 300): 500,
}


@pytest.mark.parametrize(("name", "copies"), ODDS)
def test_the_odds_of_the_whole_run_are_those_of_other_ensembles(told, monkeypatch, name, copies):
    """Within five of their common errors, and the law by itself within a factor of one and a half.

    ``seed`` is another than that of the trial. A chance of zero, as was said once, would be 3 errors off at 1000
    copies of rabi, and 10 and more elsewhere.
    """
    monkeypatch.setattr(explain, "covariance_seconds", lambda *_: 0.0)
    chance, error = said_of_the_run(told(name, f"theory.copies={copies}"))
    scenario = load(name, [f"theory.copies={copies}", "schedule.points=2"])
    number = ODDS[name, copies]
    counts = one_of(scenario).evolve(scenario.experiment, seed=77, replicas=number)["counts"].values[:, -1]
    found = np.mean((counts == 0).any(axis=1))
    spread = np.sqrt((found + 1 / number) / number)
    assert abs(found - chance) < 5 * np.hypot(error, spread) + (chance / 3 if error == 0.0 else 0.0)
    assert found > 3 * spread  # the control: there are such odds


def test_no_trial_where_it_would_take_too_long(told, monkeypatch):
    monkeypatch.setattr("copydyn.report.foresight.extinction.WORK", 1000.0)
    text = flat(told("rabi", "theory.copies=100"))
    assert (
        "the law of single crossings gives 0.6 that a label dies out, which is not reliable: label '0' passes" in text
    )
    assert "ensembles tried" not in text


def test_a_label_may_die_out_without_a_node(told):
    """Label 1 is on its way to its node when the run ends."""
    text = flat(told("three-level", "theory.copies=300"))
    assert "label '1' at time 5: chance about 0.08, no node, but 6.4 copies left" in text
    assert "label '1' has few copies at time 5 without passing its node there" in text


def test_none_of_those_tried_is_a_bound():
    """Never plus or minus nothing."""
    assert Trial(1000, 0, np.zeros(2, int)).error == pytest.approx(0.001, rel=0.01)
    assert Trial(1000, 1000, np.zeros(2, int)).error == pytest.approx(0.001, rel=0.01)
    odds = Prospect(1e-5, [], ["why not"], Trial(1000, 0, np.zeros(2, int)))
    assert explain._whole_run(odds, "ab").startswith("chance below 0.003 that a label dies out: none of 1000 ensembles")


# ---- cost


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("three-level", ["run.replicas=60"]),
        ("rabi", ["theory.engine=agents", "run.replicas=10", "theory.copies=1e5"]),
        ("rabi", ["theory.copies=1000", "run.replicas=300"]),
        ("rabi", ["theory.copies=300", "theory.phase_spread=0.3", "run.replicas=20"]),
    ],
)
def test_time_is_foreseen_within_a_factor_of_three(monkeypatch, name, changes):
    """Of processor time, so that others on the machine do not matter; the middle of three tries."""
    monkeypatch.setattr(time, "perf_counter", time.process_time)
    scenario = load(name, changes)
    experiment, theory, run = scenario.experiment, one_of(scenario), scenario.run
    foreseen = sorted(probe(experiment, theory, run.replicas, 1).seconds for _ in range(3))[1]
    start = time.perf_counter()
    theory.evolve(experiment, 2, run.replicas)
    spent = time.perf_counter() - start
    assert spent / 3 < foreseen < 3 * spent


@pytest.mark.parametrize(
    "changes",
    [
        ["run.replicas=10", "theory.copies=1000", "schedule.points=1000"],
        ["run.replicas=10", "theory.copies=20000", "theory.record_events=true"],
    ],
)
def test_memory_is_foreseen(changes):
    """The bytes of the result to a per cent, the peak within a factor of two and a half."""
    scenario = load("rabi", changes)
    experiment, theory, replicas = scenario.experiment, one_of(scenario), scenario.run.replicas
    system = experiment.system
    (*_, events) = laws.expected_events(
        system.hamiltonian, theory.encoded(experiment), experiment.tlist, hbar=system.hbar, copies=theory.copies
    )  # as `foresee` has them: on a busy machine the piece that is tried is too short to tell
    cost = probe(experiment, theory, replicas, 1, events=float(events))
    tracemalloc.start()
    found = theory.evolve(experiment, 2, replicas)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert cost.kept == pytest.approx(found.nbytes, rel=0.02)
    assert peak / 2.5 < cost.memory < 2.5 * peak


def test_pieces_run_on_the_engine_of_the_whole(monkeypatch):
    """Short ones alone are simulated event by event, and the first that was not took a thousand times as long."""
    engines, evolve = [], CopyDynamics.evolve
    monkeypatch.setattr(
        CopyDynamics,
        "evolve",
        lambda theory, *given, **more: engines.append(theory.engine) or evolve(theory, *given, **more),
    )
    experiment = load("rabi", ["schedule.stop=1e9", "schedule.points=3"]).experiment
    theory = CopyDynamics(100)
    assert theory.resolved(experiment).engine == "leap"
    assert theory.resolved(first_part(experiment, 1e-6)).engine == "exact"
    probe(experiment, theory, 2, 1)
    assert len(engines) > 1
    assert set(engines) == {"leap"}


def test_no_more_rows_than_can_be_made_at_once(monkeypatch):
    monkeypatch.setattr("copydyn.report.foresight.probe.MOST_ROWS", 1000)
    scenario = load("rabi", ["theory.copies=1e5", "theory.follow=[99999]", "theory.spectators=100"])
    cost = probe(scenario.experiment, one_of(scenario), 1, 1)
    assert cost.rows == pytest.approx(1000, abs=3)
    assert cost.memory > 24 * 100_200
    assert cost.events == pytest.approx(6.26e5, rel=0.1)  # of all copies, not of those tried


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0 s"), (0.00345, "0.0034 s"), (1.04, "1.0 s"), (99.6, "100 s"), (119.0, "120 s"), (150.0, "2.5 min"),
     (1e4, "2.8 h"), (1e6, "12 days"), (1e9, "32 years")],
)  # fmt: skip
def test_durations(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(("count", "text"), [(0, "0 kB"), (850, "0.85 kB"), (3.04e7, "30 MB"), (2e15, "2.0 PB")])
def test_sizes(count, text):
    assert size(count) == text


# ---- each number against its law


FORESEEN = {
    "lost on the way": ("three-level", ["theory.copies=3000", "theory.spectators=20", "schedule.points=6"]),
    "spectators": ("rabi", ["theory.copies=3000", "theory.spectators=30", "schedule={stop=3,points=7}"]),
    "floor": ("rabi", ["theory.copies=3000", "theory.floor=30", "schedule={start=1,stop=3,points=7}"]),
    "drawn": ("rabi", ["theory.copies=500", "theory.preparation=multinomial", "schedule={stop=3,points=7}"]),
    "admixture": ("rabi", ["theory.copies=5000", "theory.admixture=[0.001,[0,1]]", "schedule={stop=3,points=7}"]),
}


@pytest.mark.parametrize("hbar", [1.0, 0.5])
@pytest.mark.parametrize("case", FORESEEN)
def test_every_number_that_is_foreseen_is_that_of_its_law(told, monkeypatch, case, hbar):
    """The copies needed, the band, the start and the events; none of them is of a simulated ensemble."""
    monkeypatch.setattr(explain, "covariance_seconds", lambda *_: 0.0)  # on a busy machine the law is left out
    name, changes = FORESEEN[case]
    changes = [*changes, f"system.hbar={hbar}"]
    text = told(name, *changes, "--precision", "0.03")
    scenario = load(name, changes)
    experiment, theory = scenario.experiment, one_of(scenario)
    ket, labels, times = theory.encoded(experiment), experiment.system.labels, experiment.tlist
    law = laws.finite_copies(experiment, ket, multinomial=theory.drawn(experiment))
    noise, losses = law["frequency_noise"].values, law["infidelity_law"].values
    total = theory.copies + len(labels) * max(theory.spectators, theory.floor)
    start = 1.0 - abs(np.vdot(experiment.ket, ket)) ** 2

    at, label = np.unravel_index(np.argmax(noise), noise.shape)
    needed, where = re.search(r"every n/N below 0.03 +(\d+) +(.*)\n", text).groups()
    assert int(needed) == three_digits_up(noise.max() / 0.03**2)
    assert where == f"label '{labels[label]}' at time {times[at]:.4g}"
    fixed = theory.admixture is not None  # what an admixture does to the start does not fall with N
    wanted = losses[-1] / (0.03**2 - start) if fixed else (losses[-1] + total * start) / 0.03**2
    assert f"its square, 0.0009{'':4}" in text
    assert number(text, "mean infidelity below its square, 0.0009") == three_digits_up(wanted)

    spread = np.sqrt(noise / total)
    order = sorted(range(len(labels)), key=lambda label: -spread[:, label].max())
    lines = re.findall(r"standard deviation of n/N, label '(.*)' +(\S+) +(\S+) at time (\S+)\n", text)
    assert len(lines) == len(labels)
    for (said, end, largest, when), label in zip(lines, order):
        assert float(largest) == pytest.approx(spread[:, label].max(), rel=5e-3)
        label = labels.index(said)
        assert float(end) == pytest.approx(spread[-1, label], rel=5e-3)
        assert float(largest) == pytest.approx(spread[:, label].max(), rel=5e-3)
        assert float(when) == pytest.approx(times[np.argmax(spread[:, label])], rel=1e-3)
    mean = float(re.search(r"^  mean infidelity +(\S+)$", text, re.MULTILINE)[1])
    assert mean == pytest.approx(losses[-1] / total + start, rel=5e-3)
    said = re.search(r"of it the start itself +(\S+)\n", text)
    assert (said is None) is (case == "drawn")
    assert said is None or float(said[1]) == pytest.approx(start, rel=5e-3)

    events, lost = flow_of(experiment, ket, total, text)
    assert float(re.search(r"about (\S+) copy events a replica", text)[1]) == pytest.approx(events, rel=5e-3)
    assert (lost is not None) is (case == "lost on the way" and hbar == 0.5)


def three_digits_up(value):
    """Give the whole number not below ``value`` of three digits."""
    needed = int(np.ceil(value))
    unit = 10 ** max(0, len(str(needed)) - 3)
    return int(np.ceil(needed / unit)) * unit


def flow_of(experiment, ket, total, text):
    """Events by the law: up to a label that is said to be lost, and from there on without it."""
    h, hbar, (start, end) = np.asarray(experiment.system.hamiltonian), experiment.system.hbar, experiment.tlist[[0, -1]]
    lost = re.search(r"label '(.)' at time (\S+) being lost", flat(text))
    if not lost:
        return laws.expected_events(h, ket, [start, end], hbar=hbar, copies=total)[-1], None
    label, when = int(lost[1]), float(lost[2])
    first = laws.expected_events(h, ket, [start, when], hbar=hbar, copies=total)[-1]
    left = np.delete(expm(-1j * h * (when - start) / hbar) @ ket, label)
    rest = np.delete(np.delete(h, label, 0), label, 1)
    left /= np.linalg.norm(left)
    return first + laws.expected_events(rest, left, [when, end], hbar=hbar, copies=total)[-1], label


@pytest.mark.parametrize("hbar", [1.0, 0.5])
@pytest.mark.parametrize("preparation", ["largest_remainder", "multinomial"])
def test_chances_are_those_of_the_law_of_crossings_the_likeliest_first(told, hbar, preparation):
    """And that of the whole run is one less the product of those to survive each, not their sum."""
    changes = ["theory.copies=300", "schedule={stop=10,points=11}", f"system.hbar={hbar}"]
    changes.append(f"theory.preparation={preparation}")
    text = flat(told("rabi", *changes))
    scenario = load("rabi", changes)
    experiment, theory = scenario.experiment, one_of(scenario)
    ket = theory.encoded(experiment)
    drawn = theory.drawn(experiment)
    rows = laws.node_crossings(
        experiment.system.hamiltonian, ket, experiment.tlist, hbar=hbar, copies=300, multinomial=drawn
    )
    chances = {f"{row.time:.4g}": row.extinction for row in rows}
    said = re.findall(r"label '.' at time (\S+): chance (\S+) to die out, (\S+) copies left", text)
    assert len(said) > 1
    assert [float(chance) for _, chance, _ in said] == sorted((float(chance) for _, chance, _ in said), reverse=True)
    for when, chance, left in said:
        assert chance == f"{chances[when]:.2g}"
        (row,) = (row for row in rows if f"{row.time:.4g}" == when)
        assert left == f"{row.m:.2g}"
    whole = 1.0 - np.prod([1.0 - chance for chance in chances.values()])
    assert f"{whole:.2g}" in text[text.index("whole run") :]


def test_what_was_tried_is_said_with_its_error():
    trial = Trial(400, 100, np.array([30, 0, 80]))
    assert trial.odds == 0.25
    assert trial.error == pytest.approx(np.sqrt((101 / 402) * (301 / 402) / 400))
    said = explain._whole_run(Prospect(0.5, [], ["one reason", "another"], trial), ["a", "b", "c"])
    assert said == (
        "chance 0.250 ± 0.022 that a label dies out: 100 of 400 ensembles tried, label 'c' in 80, 'a' in 30. The law "
        "of single crossings, 0.5, is not reliable: one reason; another"
    )
    for share in (0.1, 0.5):  # the error is the spread of such trials; of 4000, to 5 per cent
        tries = np.random.default_rng(1).binomial(400, share, 4000)
        assert Trial(400, int(400 * share), np.zeros(1)).error == pytest.approx(np.std(tries / 400), rel=0.05)


@pytest.mark.parametrize(("spectators", "floor", "total"), [(0, 0, 100), (5, 0, 115), (0, 7, 121), (5, 7, 121)])
def test_spectators_and_floor_make_up_for_each_other(spectators, floor, total):
    experiment = Experiment(triangle().system, Preparation(triangle().ket), Schedule([0.0, 1.0]))
    assert copies_in_all(experiment, CopyDynamics(100, spectators=spectators, floor=floor)) == total


@pytest.mark.parametrize(
    ("share", "times"), [(0.5, [1.0, 2.0, 3.0]), (0.4, [1.0, 2.0, 2.6]), (1.0, [1.0, 2.0, 4.0, 5.0])]
)
def test_a_first_part_is_a_share_of_the_time_that_passes(share, times):
    experiment = Experiment.of(RESONANT, THROUGH_ZERO, [1.0, 2.0, 4.0, 5.0])
    np.testing.assert_allclose(first_part(experiment, share).tlist, times)


def test_nodes_and_labels_without_copies_are_met_at_their_times(told):
    """With hbar halved everything happens in half the time; what is said ends at the last save time before the node."""
    for hbar, stop, when, last in ((1.0, 10, 1.855, 1.5), (0.5, 5, 0.9273, 0.75)):
        text = told("rabi-node", f"system.hbar={hbar}", f"schedule={{stop={stop},points=21}}")
        assert f"they diverge at time {when}, where the path meets the node of label '0'" in flat(text)
        assert f"nodes label '0' at time {when}: chance 1 to die out" in flat(text)
        assert re.search(rf"what 100000 copies give +at time {last} +largest on the way\n", text)
        assert f"about 6.4e+04 copy events a replica, label '0' at time {when} being lost" in flat(text)


def test_shortages_are_at_their_times(told):
    for hbar, stop in ((1.0, 5), (0.5, 2.5)):
        changes = ["theory.copies=300", f"system.hbar={hbar}", f"schedule={{stop={stop},points=6}}"]
        text = flat(told("three-level", *changes))
        assert f"label '1' at time {stop:g}: chance about 0.08, no node, but 6.4 copies left" in text


def test_steps_of_the_phases_are_told_where_they_take_longer(told):
    assert "steps about 8.4e+02 of the phases a replica" in flat(told("rabi", "theory.copies=300", "system.hbar=0.5"))
    assert " steps " not in flat(told("rabi"))


def test_a_label_that_starts_empty_is_not_lost():
    """Of two pairs of levels that do not see each other one is empty, and the other stops at its zero, or before it."""
    h = np.zeros((3, 3))
    h[:2, :2] = RESONANT
    ket = np.array([*THROUGH_ZERO, 0.0])
    for stop, lost in ((3.0, 150), (1.0, 0)):
        experiment = Experiment.of(h, ket, [0.0, 0.1, stop])
        events = WORK / 150 - 1.0 - EVENTS_A_BEAT * 3 * laws.beats(experiment)  # as many as allow 150 ensembles
        trial = attempt(experiment, CopyDynamics(1000), 1, events)
        assert trial.ensembles == pytest.approx(150, abs=1)
        assert trial.lost == pytest.approx(lost, abs=1)
        assert trial.labels.tolist() == [trial.lost, 0, 0]


@pytest.mark.parametrize("replicas", [1, 7])
@pytest.mark.parametrize("events", [None, 5000.0])
def test_the_cost_is_that_of_all_replicas(monkeypatch, replicas, events):
    """A tenth of the time took 2 s and made 400 events: of the whole 4000, or as many as are foreseen otherwise."""
    log = xr.Dataset({"events": (("replica", "time"), [[0, 400]]), "event_time": ("event", np.zeros(400))})
    monkeypatch.setattr("copydyn.report.foresight.probe._longest", lambda *_: _Piece(0.1, 1, log, 2.0))
    experiment = Experiment.of(RESONANT, THROUGH_ZERO, np.linspace(0, 1, 11))
    cost = probe(experiment, CopyDynamics(100), replicas, 1, events=events)
    whole = events or 4000.0
    assert cost.events == pytest.approx(whole)
    assert cost.speed == pytest.approx(200.0)
    assert cost.seconds == pytest.approx(replicas * whole / 200.0)
    assert cost.kept == pytest.approx(8 * (replicas * 11 + replicas * whole))


def test_the_noise_that_is_not_small_is_that_of_its_own_copies(told):
    """The mean infidelity of N copies at the first crossing where it is above 0.05; of one copy 300 times that."""
    changes = ["theory.copies=300", "system.hbar=0.5"]
    scenario = load("rabi", changes)
    experiment, ket = scenario.experiment, one_of(scenario).encoded(scenario.experiment)
    losses = laws.infidelity_law(experiment.system.hamiltonian, ket, experiment.tlist, hbar=0.5) / 300
    said = float(re.search(r"not small, with a mean infidelity of (\S+?)\.? ", flat(told("rabi", *changes)) + " ")[1])
    assert 0.05 < said < 1.05 * losses[-1]
    assert np.abs(losses / said - 1.0).min() < 0.02


def test_the_cost_of_a_run_is_asked_for_with_the_events_of_all_its_stages(monkeypatch):
    scenario = load("three-level", ["theory.copies=3000", "system.hbar=0.5", "schedule.points=6", "run.replicas=9"])
    experiment, theory = scenario.experiment, one_of(scenario)
    stages = stages_of(experiment, theory, theory.encoded(experiment))
    assert len(stages) > 1
    asked = []

    def noted(*given, **more):
        asked.append((given[2], more["events"]))
        return Cost(1.0, 1.0, 1.0, 1.0, 1.0)

    monkeypatch.setattr(explain, "probe", noted)
    explain.foresee(experiment, theory, 9, 1, 0.01)
    assert asked == [(9, pytest.approx(sum(stage.events for stage in stages)))]


def test_a_shortage_is_where_a_label_is_likeliest_to_be_empty():
    """Of three labels one has few copies half-way, one at the end, one never."""
    experiment = Experiment.of(np.eye(3), np.sqrt([0.4, 0.3, 0.3]), [0.0, 1.0, 2.0, 3.0])
    mean = np.array([[40.0, 30.0, 30.0], [4.0, 50.0, 46.0], [30.0, 40.0, 30.0], [58.0, 6.0, 36.0]])
    variance = np.array([[0.0, 0.0, 0.0], [4.0, 4.0, 2.0], [9.0, 9.0, 2.0], [9.0, 9.0, 2.0]])
    first, second = _shortages(experiment, [], np.array([mean, variance]), 0.0)
    for found, (label, at) in ((first, (0, 1)), (second, (1, 3))):
        assert (found.label, found.time, found.copies) == (label, float(at), mean[at, label])
        assert found.odds == pytest.approx(float(laws.extinction_by_counts(mean[at, label], variance[at, label])))
    assert first.odds > second.odds


def test_crossings_are_of_the_labels_of_the_system():
    h = np.zeros((3, 3))
    h[1:, 1:] = RESONANT
    (stage,) = staged(h, np.array([0.0, *THROUGH_ZERO]), [0.0, 10.0])
    assert (stage.lost, [row.label for row in stage.crossings]) == (1, [1])
    assert stage.labels.tolist() == [1, 2]
