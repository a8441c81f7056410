"""How far the laws of finite N reach: ensembles find what is in reach, and what is beyond is left out and said."""

import numpy as np
import pytest
import xarray as xr

from copydyn import compare, laws
from copydyn.comparison.compare import kets_of
from copydyn.laws.reach import MOST_DOUBT
from copydyn.pipeline import law_of
from copydyn.report import table as report
from copydyn.report.plots import plot
from copydyn.scenario.scenario import load
from copydyn.theories import Schrodinger


def told(name, *changes):
    """The law, the result and the comparison of a scenario."""
    scenario = load(name, [*changes])
    (theory,), experiment = scenario.theories.values(), scenario.experiment
    law = law_of(experiment, theory)
    result = theory.evolve(experiment, 11, scenario.run.replicas)
    return law, result, compare(result, Schrodinger().evolve(experiment), law)


def whole(law, copies):
    return law["infidelity_law"].values + law["offset_shift"].values + copies * law.attrs["offset"]


def worst(law, result, comparison):
    """Errors by which the infidelity is off, less the law's own doubt, in reach, and its share beyond."""
    copies, held = result.attrs["copies"], law["in_reach"].values
    error = np.hypot(law["infidelity_spread"], np.sqrt(copies) * law["offset_spread"]).values
    error /= np.sqrt(result.sizes["replica"])
    off = np.abs(copies * comparison["infidelity"].values - whole(law, copies))
    score = np.maximum(0.0, off - law["infidelity_doubt"].values) / np.where(error > 0.0, error, np.inf)
    share = off / np.maximum(whole(law, copies), 1e-12)
    return float(score[held].max()), float(share[~held].max(initial=0.0))


SHIPPED = {
    "rabi": 3000,
    "three-level": 3000,
    "ramsey": 1000,
    "spin-echo": 1000,
    "landau-zener": 1000,
    "momentum-basis": 10_000,
}


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_laws_hold_where_they_say_so(name):
    """100 ensembles of a small N, by the law's own errors: 5 of them at any of 11 times, 7e-6 of normal tails."""
    law, result, comparison = told(name, f"theory.copies={SHIPPED[name]}", "run.replicas=100", "schedule.points=11")
    assert law["in_reach"].values[:3].all()
    assert worst(law, result, comparison)[0] < 5.0


@pytest.mark.parametrize("name", ["rabi", "three-level", "ramsey", "spin-echo"])
def test_many_copies_are_in_reach_throughout(name):
    scenario = load(name, ["theory.copies=1e6", "schedule.points=6"])
    law = law_of(scenario.experiment, *scenario.theories.values())
    assert law.attrs["beyond_reach"] == ""
    assert law["in_reach"].values.all()
    assert np.all(law["infidelity_doubt"].values[1:] < 0.01 * law["infidelity_law"].values[1:])


def test_labels_that_die_out_end_the_law():
    """Of 100 copies half of the ensembles lose a label; before, the law is right, and later off by a factor."""
    law, result, comparison = told("rabi", "theory.copies=100", "run.replicas=400", "schedule={stop=20,points=81}")
    assert "labels have few copies, most of it by label '1'" in law.attrs["beyond_reach"]
    held = law["in_reach"].values
    assert 0 < held.sum() < 10
    score, share = worst(law, result, comparison)
    assert score < 5.0
    assert share > 1.0
    assert np.isnan(comparison["predicted_infidelity"].values[~held]).all()
    assert np.isnan(comparison["predicted_deviation"].values[~held]).all()
    assert np.isfinite(comparison["predicted_infidelity"].values[held]).all()


def test_the_tails_of_a_packet_end_its_law():
    """From 1136 at t = 15.25 the law falls to 890 at 15.5, where 1225(22) is found."""
    scenario = load("packet", ["schedule={times=[0,8,15.25,15.5,16]}"])
    (theory,) = scenario.theories.values()
    law = law_of(scenario.experiment, theory)
    copies = theory.copies + 48 * theory.spectators
    bare = whole(law, copies)
    assert bare[3] < 0.8 * bare[2]  # the control: so it would be drawn
    assert law["in_reach"].values.tolist() == [True, True, True, False, False]
    assert np.all(np.diff(bare[law["in_reach"].values]) > 0.0)
    assert "from time 15.5 on: too much of the noise is made where labels have few copies" in law.attrs["beyond_reach"]
    doubt = law["infidelity_doubt"].values[-1]
    assert abs(1225.0 - bare[-1]) < 1.1 * doubt  # of the right size, too


def test_a_floor_ends_the_law():
    """Ten copies of label 1 are left where its path comes to its node; before that the law holds."""
    law, result, comparison = told("rabi-node-spectators", "run.replicas=60", "schedule={stop=8,points=33}")
    assert "labels rest on the floor, which the law does not know, label '1'" in law.attrs["beyond_reach"]
    held = law["in_reach"].values
    assert 4.0 < result["time"].values[held].max() < 6.0
    assert worst(law, result, comparison)[0] < 5.0
    without = laws.finite_copies(
        load("rabi-node-spectators").experiment,
        kets_of(result.isel(time=[0]))[0, 0],
        copies=100_020,
    )
    assert "floor" not in without.attrs["beyond_reach"]  # the control: who is not told does not know


def test_drawn_counts_of_few_copies_are_doubted():
    """(P - 1)/4 of infidelity needs many copies in every label."""
    few, many = (
        law_of(
            (scenario := load("rabi", [f"theory.copies={copies}", "theory.preparation=multinomial"])).experiment,
            *scenario.theories.values(),
        )
        for copies in (4, 10_000)
    )
    assert few["in_reach"].values[0] == (few["infidelity_doubt"].values[0] < MOST_DOUBT * 0.25)
    assert not few["in_reach"].values[0]
    assert many["in_reach"].values[0]


def test_without_copies_nothing_is_said_of_reach():
    experiment = load("rabi").experiment
    law = laws.finite_copies(experiment, experiment.ket)
    assert "in_reach" not in law
    assert "beyond_reach" not in law.attrs


def test_only_what_is_in_reach_is_judged_drawn_and_written():
    law, result, comparison = told("rabi", "theory.copies=1000", "run.replicas=50", "schedule={stop=20,points=41}")
    held = law["in_reach"].values
    assert held[:20].all()
    assert not held[-1]
    assert comparison.attrs["verdict"] == "agrees"
    assert "as far as the law reaches" in comparison.attrs["sentence"]
    spoiled = law.assign(infidelity_law=xr.where(law["in_reach"], law["infidelity_law"], 1e6))
    again = compare(result, Schrodinger().evolve(load("rabi", ["schedule={stop=20,points=41}"]).experiment), spoiled)
    assert float(again["score"]) == float(comparison["score"])
    table = report.table("t", {"CopyDynamics": result}, {"CopyDynamics": comparison})
    flat = " ".join(table.split())
    assert "law of finite N is left out from time" in flat
    assert "nan" not in flat
    figure = plot(result, Schrodinger().evolve(load("rabi", ["schedule={stop=20,points=41}"]).experiment), comparison)
    drawn = [line for ax in figure.axes for line in ax.get_lines() if line.get_label() == "law of finite N"]
    np.testing.assert_array_equal(np.isfinite(drawn[0].get_ydata()), held)
    notes = [text.get_text() for ax in figure.axes for text in ax.get_legend().get_texts()]
    assert any("no law of finite N from time" in " ".join(note.split()) for note in notes)


def test_what_is_never_in_reach_is_not_judged():
    law, _, comparison = told("rabi", "theory.copies=10", "run.replicas=20", "schedule={stop=20,points=5}")
    assert not law["in_reach"].values[1:].any()
    assert comparison.attrs["verdict"] == "unjudged"
    assert "does not reach any save time that could be judged" in comparison.attrs["sentence"]
    assert np.isnan(comparison["score"])
