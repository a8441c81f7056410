"""The lives of single copies: hand-made logs with known answers, Bell and Vink's law, and the way to a file."""

import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import verdicts
from scipy.integrate import solve_ivp

from copydyn.__main__ import main
from copydyn.experiment import Experiment
from copydyn.results import histories, result
from copydyn.results.histories import autocorrelation, events_table, path_of, running_frequency, waiting_times
from copydyn.results.observables import OBSERVABLES
from copydyn.systems import two_level
from copydyn.theories import CopyDynamics, Schrodinger

TLIST = np.array([0.0, 1.0, 2.0, 4.0])

# replica, time, copier, copied, from, to: copy 0 goes 0 -> 1 -> 0 in replica 0, copy 2 goes 1 -> 0 in replica 1
LOG = [(0, 0.5, 0, 2, 0, 1), (0, 1.5, 0, 1, 1, 0), (1, 3.0, 2, 0, 1, 0)]
"""Three copies, of which 0 and 1 start with label 0 and copy 2 with label 1."""


def handmade(log=LOG, tlist=TLIST, follow=(2, 0), logged=True):
    """The result of an ensemble that did what ``log`` says."""
    experiment = Experiment.of(two_level().hamiltonian, [0.8, 0.6], tlist, labels=("up", "down"), time_unit="s")
    labels = np.tile([0, 0, 1], (2, len(tlist), 1))
    for replica, when, copier, _, _, to in log:
        labels[replica, np.asarray(tlist) >= when, copier] = to
    counts = np.stack([(labels == a).sum(axis=-1) for a in (0, 1)], axis=-1)
    variables = {"counts": counts, "frequency": counts / 3, "probability": (counts / 3).mean(axis=0)}
    if follow:
        variables["tagged_beable"] = labels[:, :, list(follow)].astype(np.int32)
    if logged:
        columns = zip(*log) if log else [[]] * 6
        names = ("replica", "time", "copier", "copied", "from", "to")
        kinds = (np.int64, float, *[np.int32] * 4)
        variables |= {
            f"event_{name}": np.array(column, kind) for name, column, kind in zip(names, columns, kinds, strict=True)
        }
    return result.new(experiment, variables, {"theory": "by hand", "theory_follow": repr(tuple(follow))})


# ---- answers known beforehand


def test_a_path_starts_at_the_preparation_and_changes_at_the_events():
    path = path_of(handmade(), 0)
    assert path["time"].values.tolist() == [0.0, 0.5, 1.5]
    assert path.values.tolist() == [0, 1, 0]
    assert path.attrs["until"] == 4.0
    assert path_of(handmade(), 2, replica=1).values.tolist() == [1, 0]
    assert path_of(handmade(), 1).values.tolist() == [0]  # it never moves: its label is that of its row


def test_waiting_times_say_which_stays_ended():
    waits = waiting_times(handmade())
    rows = sorted(
        zip(*(waits[name].values.tolist() for name in ("replica", "copy", "beable", "start", "ended")), waits.values)
    )
    assert rows == [
        (0, 0, 0, 0.0, True, 0.5),
        (0, 0, 0, 1.5, False, 2.5),
        (0, 0, 1, 0.5, True, 1.0),
        (0, 1, 0, 0.0, False, 4.0),
        (0, 2, 1, 0.0, False, 4.0),
        (1, 0, 0, 0.0, False, 4.0),
        (1, 1, 0, 0.0, False, 4.0),
        (1, 2, 0, 3.0, False, 1.0),
        (1, 2, 1, 0.0, True, 3.0),
    ]
    assert float(waits.sum()) == 2 * 3 * 4.0  # every copy waits all the time, somewhere
    assert sorted(waiting_times(handmade(), copies=2, label="down").values) == [3.0, 4.0]
    assert waiting_times(handmade(), copies=2, label=1).identical(waiting_times(handmade(), copies=[2], label="down"))


def test_running_frequency_from_the_log_is_exact():
    shares = running_frequency(handmade())
    assert shares.dims == ("replica", "copy", "time", "beable")
    assert shares["copy"].values.tolist() == [2, 0]
    np.testing.assert_allclose(shares.sel(copy=0, beable="down")[0], [0.0, 0.5, 0.5, 0.25], atol=1e-15)
    np.testing.assert_allclose(shares.sel(copy=2, beable="down")[1], [1.0, 1.0, 1.0, 0.75], atol=1e-15)
    np.testing.assert_allclose(shares.sum("beable"), 1.0, atol=1e-15)
    assert running_frequency(handmade(), copies=[1]).values[0, 0, :, 0].tolist() == [1.0, 1.0, 1.0, 1.0]


def test_running_frequency_from_save_times_is_trapezoidal():
    shares = running_frequency(handmade(logged=False))
    np.testing.assert_allclose(shares.sel(copy=0, beable="down")[0], [0.0, 0.5, 0.5, 0.25])
    np.testing.assert_allclose(shares.sel(copy=2, beable="down")[1], [1.0, 1.0, 1.0, 0.75])
    np.testing.assert_allclose(shares.sum("beable"), 1.0)
    assert running_frequency(handmade(logged=False), copies=0)["copy"].values.tolist() == [0]


def test_both_ways_to_a_running_frequency_agree():
    """Of a simulated ensemble with many save times: they differ by no more than one interval an event."""
    experiment = Experiment.of(two_level(0.6, 0.5).hamiltonian, [0.8, 0.6j], np.linspace(0, 10, 2001))
    found = CopyDynamics(300, follow=range(300), record_events=True).evolve(experiment, seed=1, replicas=2)
    exact = running_frequency(found)
    rough = running_frequency(found.drop_vars("event_time"))
    assert np.abs(exact - rough)[:, :, 200:].max() < 0.02
    assert np.abs(exact - rough).max() > 1e-6  # the two are two


def test_autocorrelation_by_hand():
    """One tagged copy in each of two replicas at three times, n/N = 1/3 or 2/3: the sums are written out."""
    found = handmade(log=[(0, 0.5, 0, 2, 0, 1)], tlist=np.array([0.0, 1.0, 2.0]), follow=(0,), logged=False)
    x = np.array([[1 / 3, -1 / 3, -1 / 3], [1 / 3, 1 / 3, 1 / 3]])  # in label 0 or not, less n_0/N
    products = np.array([[np.mean(row**2), np.mean(row[1:] * row[:-1]), row[2] * row[0]] for row in x])  # replica, lag
    ratio = products.mean(axis=0) / products[:, 0].mean()
    rest = products - ratio * products[:, :1]
    error = rest.std(axis=0, ddof=1) / np.sqrt(2) / products[:, 0].mean()
    correlation = autocorrelation(found)
    assert correlation["lag"].values.tolist() == [0.0, 1.0, 2.0]
    np.testing.assert_allclose(correlation.autocorrelation.sel(beable="up"), ratio, atol=1e-12)
    np.testing.assert_allclose(correlation.autocorrelation_error.sel(beable="up"), error, atol=1e-12)


def test_autocorrelation_of_several_copies_by_loops():
    """Means over times, copies and replicas, whose products at lag zero differ, and the error of their ratio."""
    log = [(0, 1.5, 0, 2, 0, 1), (1, 2.5, 1, 2, 0, 1)]
    found = handmade(log=log, tlist=np.array([1.0, 2.0, 3.0]), follow=(1, 0), logged=False)
    correlation = autocorrelation(found)
    assert correlation["lag"].values.tolist() == [0.0, 1.0, 2.0]
    for label, name in enumerate(("up", "down")):
        products = np.zeros((2, 3))  # replica, lag
        for replica in range(2):
            for lag in range(3):
                terms = []
                for tag in range(2):
                    x = [
                        float(found["tagged_beable"][replica, at, tag] == label)
                        - float(found["frequency"][replica, at, label])
                        for at in range(3)
                    ]
                    terms.append(sum(x[at] * x[at + lag] for at in range(3 - lag)) / (3 - lag))
                products[replica, lag] = sum(terms) / 2
        assert not np.isclose(*products[:, 0])
        ratio = products.mean(axis=0) / products[:, 0].mean()
        rest = products - ratio * products[:, :1]
        error = np.sqrt((rest**2).sum(axis=0) / 1 / 2) / products[:, 0].mean()  # the mean of ``rest`` is zero
        np.testing.assert_allclose(correlation.autocorrelation.sel(beable=name), ratio, atol=1e-12)
        np.testing.assert_allclose(correlation.autocorrelation_error.sel(beable=name), error, atol=1e-12)


@pytest.mark.parametrize("logged", [True, False])
def test_a_record_that_starts_late_counts_from_its_start(logged):
    late = handmade(
        log=[(replica, when + 2.0, *rest) for replica, when, *rest in LOG], tlist=TLIST + 2.0, logged=logged
    )
    early = handmade(logged=logged)
    np.testing.assert_allclose(running_frequency(late), running_frequency(early), atol=1e-15)
    np.testing.assert_allclose(running_frequency(late)["time"], TLIST + 2.0)
    if logged:
        assert sorted(waiting_times(late).values) == sorted(waiting_times(early).values)
        assert path_of(late, 0)["time"].values.tolist() == [2.0, 2.5, 3.5]
        assert path_of(late, 0).attrs["until"] == 6.0


def test_autocorrelation_of_a_copy_that_is_alone_has_no_error():
    found = handmade(follow=(0,), tlist=np.array([0.0, 1.0]), logged=False).isel(replica=[0])
    assert np.all(np.isnan(autocorrelation(found).autocorrelation_error))


@pytest.mark.parametrize("name", OBSERVABLES)
def test_what_is_registered_says_its_unit_and_name(name):
    found = handmade(tlist=np.array([0.0, 1.0, 2.0]))
    observable = OBSERVABLES[name]
    seen = observable.function(found, 0)
    seen = seen[name] if hasattr(seen, "data_vars") else seen
    assert seen.attrs["long_name"] == observable.long_name
    assert seen.attrs["units"] == {"time": "s"}.get(observable.units, observable.units)
    assert seen.name == name


# ---- refusals


@pytest.mark.parametrize(
    ("call", "kind", "names"),
    [
        (lambda: events_table(handmade(logged=False)), ValueError, "record_events=True"),
        (lambda: path_of(handmade(logged=False), 0), ValueError, "must keep an event log"),
        (lambda: waiting_times(handmade(logged=False)), ValueError, "must keep an event log"),
        (lambda: running_frequency(handmade(logged=False, follow=())), ValueError, "has neither"),
        (
            lambda: running_frequency(handmade(logged=False), copies=1),
            ValueError,
            r"1 is not; evolve with follow=\[1\]",
        ),
        (lambda: autocorrelation(handmade(follow=())), ValueError, r"has none; evolve with follow=\[0\]"),
        (lambda: autocorrelation(handmade()), ValueError, "equal intervals"),
        (lambda: autocorrelation(handmade(tlist=TLIST[:3]), copies=1), ValueError, "must be tagged"),
        (lambda: path_of(handmade(), 3), ValueError, "a copy must be at most 2, but is 3"),
        (lambda: path_of(handmade(), 0, replica=2), ValueError, "replica must be at most 1"),
        (lambda: waiting_times(handmade(), copies="up"), TypeError, "copies must be rows"),
        (lambda: waiting_times(handmade(), copies=[]), ValueError, "is empty"),
        (lambda: waiting_times(handmade(), copies=[1, 1]), ValueError, "stands twice"),
        (lambda: waiting_times(handmade(), copies=[0.5]), ValueError, "whole number"),
        (lambda: waiting_times(handmade(), label="left"), ValueError, "label must be a name"),
        (lambda: waiting_times(handmade(), label=2), ValueError, "label must be at most 1"),
        (lambda: waiting_times("log"), TypeError, "a result must be"),
        (lambda: events_table(Schrodinger().evolve(Experiment.of(np.eye(2), [1, 0], TLIST))), ValueError, "event log"),
    ],
)
def test_refusals(refuses, call, kind, names):
    refuses(call, kind, names)


# ---- statement 8: one copy is a Bell-Vink process

SPAN = 3.0
TAGS = 50
DETUNED = two_level(0.6, 0.4 + 0.2j).hamiltonian
KET = np.array([0.8, 0.6 * np.exp(-2j)])  # out of label 0 until t = 1.7, then back into it


@pytest.fixture(scope="module")
def tagged():
    """The first 50 copies, all of label 0, of 120 ensembles of 20 000; what they share of the noise is 1 per cent."""
    experiment = Experiment.of(DETUNED, KET, np.linspace(0, SPAN, 7))
    return CopyDynamics(20_000, record_events=True, follow=range(TAGS)).evolve(experiment, seed=1, replicas=120)


def bell_vink(factor=1.0):
    """Survival in label 0, and time spent there, of a copy that starts there: the rates along Schrödinger's path."""
    values, vectors = np.linalg.eigh(np.asarray(DETUNED))

    def slope(t, state):
        ket = vectors @ (np.exp(-1j * values * t) * (vectors.conj().T @ KET))
        current = factor * 2 * (ket[1].conj() * DETUNED[1, 0] * ket[0]).imag  # from 0 to 1
        out, back = max(current, 0.0) / abs(ket[0]) ** 2, max(-current, 0.0) / abs(ket[1]) ** 2
        _, there, _ = state
        return [-out * state[0], -out * there + back * (1 - there), there]

    times = np.linspace(0, SPAN, 7)
    return solve_ivp(slope, (0, SPAN), [1.0, 1.0, 0.0], t_eval=times, max_step=0.02, rtol=1e-8).y


def first_stays(found):
    waits = waiting_times(found, range(TAGS))
    return waits[waits["start"] == 0.0]


def test_waiting_times_are_those_of_bell_and_vink(tagged):
    """P(first wait > t) = exp(-int rate), at four times, to 0.05; and not that of rates twice as large."""
    waits = first_stays(tagged)
    assert waits.size == 120 * TAGS
    assert np.all(waits["beable"] == 0)
    survival = bell_vink()[0]
    for at in (1, 2, 4, 6):
        longer = int(np.sum((waits > tagged["time"].values[at]) | ~waits["ended"]))
        verdicts.assert_share(longer, waits.size, survival[at], detects=0.05)
        with pytest.raises(AssertionError, match="chance"):  # the control
            verdicts.assert_share(longer, waits.size, bell_vink(2.0)[0][at], detects=0.05)


def test_running_frequency_is_that_of_bell_and_vink(tagged):
    """E f_0(t) = (1/t) int P(in 0 at t' | in 0 at 0) dt', half-way and at the end, to 0.04; a sample is a replica."""
    shares = running_frequency(tagged)[..., 0].mean("copy")
    for at in (3, 6):
        now = tagged["time"].values[at]
        verdicts.assert_mean(shares[:, at].values, bell_vink()[2][at] / now, detects=0.04)
        with pytest.raises(AssertionError, match="errors off"):  # the control
            verdicts.assert_mean(shares[:, at].values, bell_vink(2.0)[2][at] / now, detects=0.04)


def test_a_stationary_state_waits_for_ever():
    """Statement 7 with counts that are exactly stationary: no event, so that no wait ends."""
    experiment = Experiment.of(two_level(0.0, -0.5).hamiltonian, np.sqrt([0.5, 0.5]), np.linspace(0, 10, 3))
    found = CopyDynamics(1000, record_events=True, follow=[0, 999]).evolve(experiment, seed=1, replicas=2)
    assert len(events_table(found)) == 0
    waits = waiting_times(found)
    assert waits.size == 2000
    assert not waits["ended"].any()
    assert np.all(waits == 10.0)
    assert np.all(running_frequency(found)[:, 0, :, 0] == 1.0)
    assert np.all(autocorrelation(found).autocorrelation == 1.0)


# ---- to file and back


def test_log_and_tags_of_a_scenario_end_up_in_a_table(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    wishes = ["theory.copies=500", "theory.record_events=true", "theory.follow=[0,1]"]
    assert main(["scenario", "rabi", *wishes, "--replicas", "3", "--no-plot", "--quiet"]) in (0, 1)
    kept = result.read(Path("results/rabi-001/result.nc"))
    assert running_frequency(kept)["copy"].values.tolist() == [0, 1]
    table = events_table(kept)
    assert list(table.columns) == ["replica", "time", "copier", "copied", "from", "to"]
    assert len(table) == int(kept.events[:, -1].sum())
    table.to_csv("events.csv", index=False)
    pd.testing.assert_frame_equal(pd.read_csv("events.csv"), table, check_dtype=False)
    first = table[(table["replica"] == 2) & (table["copier"] == 0)]
    assert path_of(kept, 0, replica=2)["time"].values[1:].tolist() == first["time"].tolist()


def test_a_million_events_are_written_in_seconds(tmp_path):
    experiment = Experiment.of(DETUNED, KET, [0.0, SPAN])
    found = CopyDynamics(1_400_000, record_events=True).evolve(experiment, seed=1)
    assert found.sizes["event"] > 1_000_000
    start = time.process_time()
    result.write(found, tmp_path / "result.nc")
    kept = result.read(tmp_path / "result.nc")
    spent = time.process_time() - start
    assert kept.identical(found)
    assert spent < 10.0  # 1.2 s on an idle core; linear in the events, or this fails
    assert histories.events_table(kept).shape == (found.sizes["event"], 6)
