"""Claims: each holds where it should, fails where it should, and says by which number and which rule."""

import json
import re

import numpy as np
import pytest
import xarray as xr
from exact import detuned

from copydyn.comparison.claims import (
    FALSE_ALARM,
    Agrees,
    Born,
    Closer,
    Coherent,
    Conserved,
    Deviates,
    Extinct,
    Reads,
    Signals,
    Still,
    Within,
    two_sided_binomial,
)
from copydyn.comparison.compare import compare
from copydyn.experiment import Experiment, Schedule
from copydyn.experiment.preparations import random
from copydyn.systems import coupled_qubits
from copydyn.theories import CopyDynamics, Schrodinger


def comparison(score=0.5, **series):
    """A comparison of three save times, by what matters here."""
    data = {"score": ((), score)} if score is not None else {}
    for name, values in series.items():
        data[name] = ("time" if np.ndim(values) else (), values)
    return xr.Dataset(data, {"time": [0.0, 1.0, 2.0]}, {"sentence": "because"})


def counted(last):
    """A result of several replicas by their counts at the last of two save times."""
    counts = np.stack([np.full_like(last, 5), last], axis=1)
    events = np.zeros(counts.shape[:2], int)
    coordinates = {"time": [0.0, 1.0], "beable": ["up", "down"]}
    return xr.Dataset(
        {"counts": (("replica", "time", "beable"), counts), "events": (("replica", "time"), events)}, coordinates
    )


@pytest.mark.parametrize(("score", "holds"), [(3.9, True), (-3.9, True), (4.1, False), (-4.1, False)])
def test_agreement_is_a_matter_of_four_standard_errors(score, holds):
    finding = Agrees().judge(None, comparison(score))
    assert finding.holds is holds
    side = "above" if score > 0 else "below"
    assert f"{abs(score):.1f} standard errors {side} the law of finite N; the claim allows 4" in finding.sentence


@pytest.mark.parametrize("score", [None, np.nan])
@pytest.mark.parametrize("claim", [Agrees(), Deviates()])
def test_without_a_law_neither_agreement_nor_deviation_holds(claim, score):
    finding = claim.judge(None, comparison(score))
    assert finding.holds is None
    assert "cannot be judged: because" in finding.sentence


def test_a_deviation_has_the_sign_of_more_than_finite_n_explains():
    assert Deviates().judge(None, comparison(4.1)).holds
    assert not Deviates().judge(None, comparison(3.9)).holds
    assert not Deviates().judge(None, comparison(-9.0)).holds
    assert not Deviates(at_least=5.0).judge(None, comparison(4.1)).holds


@pytest.mark.parametrize(
    ("by", "variable"), [("max_deviation", "worst_deviation"), ("total_variation", "worst_total_variation")]
)
@pytest.mark.parametrize(("worst", "holds"), [(0.32, True), (0.318, False), (0.29, False)])
def test_a_deviation_by_distance_allows_for_two_errors(by, variable, worst, holds):
    found = comparison(**{by: [0, 1, 2], variable: worst, f"{variable}_error": 0.0099})
    finding = Deviates(by, at_least=0.3).judge(None, found)
    assert finding.holds is holds
    assert "± 0.0099; the claim asks for at least 0.3" in finding.sentence


def test_a_deviation_by_infidelity_takes_its_largest_mean():
    found = comparison(infidelity=[0.0, 0.6, 0.1], infidelity_error=[0.0, np.nan, 0.0])
    assert Deviates("infidelity", at_least=0.6).judge(None, found).holds
    assert not Deviates("infidelity", at_least=0.61).judge(None, found).holds


@pytest.mark.parametrize(("bound", "holds"), [(0.25, True), (0.23, False)])
def test_within_means_below_at_all_times_with_two_errors(bound, holds):
    found = comparison(total_variation=[0.0, 0.2, 0.21], total_variation_error=[0.0, 0.02, 0.01])
    finding = Within("total_variation", bound).judge(None, found)
    assert finding.holds is holds
    assert "total variation is at most 0.200 ± 0.020, at time 1" in finding.sentence


def test_a_distance_that_was_not_measured_is_refused(refuses):
    refuses(lambda: Within("infidelity", 0.1).judge(None, comparison()), ValueError, "no infidelity")
    refuses(lambda: Deviates("infidelity", 0.1).judge(None, comparison()), ValueError, "no infidelity")


@pytest.mark.parametrize(
    ("bounds", "holds"),
    [
        ({"at_least": 0.75}, True),
        ({"at_least": 0.5}, True),
        ({"at_least": 0.76}, False),
        ({"at_most": 0.75}, True),
        ({"at_most": 0.74}, False),
        ({"at_least": 0.5, "at_most": 0.7}, False),
        ({"probability": 0.75}, True),
        ({"probability": 0.0}, False),
        ({"probability": 1.0}, False),
        ({"probability": 0.01}, False),
    ],
)
def test_extinction_is_a_share_of_replicas(bounds, holds):
    result = counted(np.array([[0, 10], [0, 10], [0, 10], [3, 7]]))
    finding = Extinct("up", **bounds).judge(result, None)
    assert finding.holds is holds
    assert "label 'up' is extinct in 3 of 4 replicas, a share of 0.75" in finding.sentence


def test_extinction_is_about_labels_that_exist(refuses):
    experiment = detuned().experiment
    Extinct("0", at_least=1).fit(experiment)
    refuses(lambda: Extinct("up", at_least=1).fit(experiment), ValueError, "label must be one of 0, 1, but is 'up'")


def test_the_binomial_test_is_two_sided_and_exact():
    assert two_sided_binomial(0, 10, 0.5) == pytest.approx(2 * 0.5**10)
    assert two_sided_binomial(10, 10, 0.5) == pytest.approx(2 * 0.5**10)
    assert two_sided_binomial(1, 10, 0.5) == pytest.approx(2 * 11 * 0.5**10)
    assert two_sided_binomial(5, 10, 0.5) == 1.0
    assert two_sided_binomial(0, 2000, 0.9) == pytest.approx(0.0, abs=1e-300)


def test_the_binomial_test_raises_few_false_alarms_and_has_power():
    """Summed over all outcomes of 200 trials: at most `FALSE_ALARM` under p = 0.4, more than half under p = 0.6."""
    alarms = [k for k in range(201) if two_sided_binomial(k, 200, 0.4) < FALSE_ALARM]
    assert _chance(alarms, 0.4) <= FALSE_ALARM
    assert _chance(alarms, 0.6) > 0.95


def _chance(outcomes, p):
    from scipy.stats import binom

    return binom.pmf(outcomes, 200, p).sum()


def test_stillness_allows_no_event():
    result = counted(np.array([[5, 5]]))
    assert Still().judge(result, None).holds
    result["events"][:, -1] = 3
    finding = Still().judge(result, None)
    assert not finding.holds
    assert finding.sentence == "3 copy events happened; the claim allows none"


def test_a_part_is_conserved_while_the_other_moves():
    """The counts of B stand still where A alone turns, and not where B does; stillness of all is not enough."""
    for drives, events, holds in (((0.5, 0.0), True, True), ((0.5, 0.4), True, False), ((0.0, 0.0), False, None)):
        system = coupled_qubits((0.6, 0.0), drives, (0.0, 0.0, 0.0))
        experiment = Experiment(system, random(system, seed=1), Schedule([0.0, 1.0, 2.0]))
        result = CopyDynamics(1000).evolve(experiment, seed=1, replicas=2)
        finding = Conserved("B").judge(result, None)
        assert finding.holds is holds
        assert (" 0 copy events" in finding.sentence) is not events
        assert (" at most 0 copies" in finding.sentence) is (holds is not False)


def test_claims_about_copies_refuse_a_theory_without_them(refuses):
    experiment = detuned().experiment
    reference = Schrodinger().evolve(experiment)
    refuses(lambda: Extinct("0", at_least=1).judge(reference, None), ValueError, "does not give")
    refuses(lambda: Still().judge(reference, None), ValueError, "does not have")
    refuses(lambda: Conserved("A").judge(reference, None), ValueError, "does not give")


# ---- among several theories

SCORES = {"one": comparison(0.5), "two": comparison(9.0)}


@pytest.mark.parametrize(
    ("claim", "holds", "sentence"),
    [
        (Agrees(theory="one"), True, "'one': the infidelity, averaged over time, is 0.5 "),
        (Agrees(theory="two"), False, "'two': the infidelity, averaged over time, is 9.0 "),
        (Agrees(theory="all"), False, "'one': .* allows 4; 'two': .* allows 4$"),
        (Agrees(10.0, theory="all"), True, "'one': .* allows 10; 'two': .* allows 10$"),
    ],
)
def test_a_claim_is_about_the_theory_that_it_names_or_about_all(claim, holds, sentence):
    finding = claim.settle({"one": None, "two": None}, SCORES)
    assert finding.holds is holds
    assert re.match(sentence, finding.sentence)


@pytest.mark.parametrize("name", ["", "all", "one"])
def test_one_theory_alone_need_not_be_named(name):
    claim = Agrees(theory=name)
    claim.among(["one"])
    assert claim.settle({"one": None}, {"one": comparison(0.5)}) == claim.judge(None, comparison(0.5))


def test_a_theory_that_is_not_there_is_refused(refuses):
    for claim in (Agrees(theory="one"), Agrees(theory="all"), Closer("one", "two", "infidelity")):
        claim.among(["one", "two"])
    refuses(lambda: Agrees().among(["one", "two"]), ValueError, "theory must be one of one, two, all, but is missing")
    refuses(lambda: Agrees(theory="x").among(["one", "two"]), ValueError, "one of one, two, all, but is 'x'")
    refuses(lambda: Agrees(theory="x").among(["one"]), ValueError, "theory must be one of one, all, but is 'x'")
    rivals = [Closer("x", "two", "infidelity"), Closer("one", "x", "infidelity"), Closer("one", "one", "infidelity")]
    for claim, sentence in zip(rivals, ["theory must be one of one, two,", "than must be one of two,", "one of two,"]):
        refuses(lambda claim=claim: claim.among(["one", "two"]), ValueError, sentence)
    refuses(lambda: Closer("one", "two", "score"), ValueError, "by must be one of max_deviation, .* but is 'score'")
    refuses(lambda: Closer("one", "two", "infidelity", -1.0), ValueError, "by_factor must be > 0, but is -1")


@pytest.mark.parametrize(
    ("ours", "theirs", "factor", "holds"),
    [(0.1, 0.31, 1.0, True), (0.1, 0.19, 1.0, False), (0.31, 0.1, 1.0, False), (0.1, 0.31, 3.0, False),
     (0.1, 0.6, 3.0, True), (0.1, 0.5, 3.0, False), (0.1, 0.5, 4.0, False)],
)  # fmt: skip
def test_closer_means_beyond_two_combined_errors(ours, theirs, factor, holds):
    """The errors are 0.04 and 0.03, 0.05 together; threefold the first, 0.12, 0.124 together; fourfold 0.163."""
    found = {
        name: comparison(max_deviation=[0.0, value, 0.0], worst_deviation=value, worst_deviation_error=error)
        for name, value, error in (("ours", ours, 0.04), ("theirs", theirs, 0.03))
    }
    finding = Closer("ours", "theirs", "max_deviation", factor).settle({}, found)
    assert finding.holds is holds
    assert (
        f"max deviation reaches {ours:.3f} ± 0.040 in 'ours' and {theirs:.3f} ± 0.030 in 'theirs'" in finding.sentence
    )


def test_closer_by_infidelity_takes_its_largest_means():
    found = {
        name: comparison(infidelity=[0.0, value, 0.1], infidelity_error=[0.0, np.nan, 0.0])
        for name, value in (("ours", 0.2), ("theirs", 0.6))
    }
    assert Closer("ours", "theirs", "infidelity").settle({}, found).holds
    assert not Closer("theirs", "ours", "infidelity").settle({}, found).holds


def phased(coherence):
    """A result by the coherence (replica, time) of its label 'up'; that of 'down' is one."""
    both = np.stack([coherence, np.ones_like(coherence)], axis=-1)
    coordinates = {"time": np.arange(both.shape[1], dtype=float), "beable": ["up", "down"]}
    return xr.Dataset({"coherence": (("replica", "time", "beable"), both)}, coordinates)


@pytest.mark.parametrize(
    ("bounds", "holds"),
    [
        ({"at_least": 0.69}, True),
        ({"at_least": 0.71}, False),
        ({"at_most": 0.91}, True),
        ({"at_most": 0.89}, False),
        ({"at_least": 0.5, "at_most": 0.7}, False),
    ],
)
def test_coherence_is_averaged_over_the_late_times_with_two_errors(bounds, holds):
    """Late means 0.75 and 0.85 of two replicas: 0.80 with an error of 0.05, whatever happened before."""
    result = phased(np.array([[0.0, 0.1, 0.7, 0.8], [1.0, 0.2, 0.9, 0.8]]))
    finding = Coherent("up", **bounds).judge(result, None)
    assert finding.holds is holds
    assert "the late coherence of label 'up' is 0.800 ± 0.050; the claim asks for" in finding.sentence
    assert Coherent("down", at_least=1.0).judge(result, None).holds


def test_empty_labels_have_no_coherence():
    nan = np.nan
    finding = Coherent("up", at_least=0.9).judge(phased(np.array([[1, 1, nan, nan], [1, 1, 0.95, nan]])), None)
    assert finding.holds
    assert "0.95" in finding.sentence
    nothing = Coherent("up", at_most=0.9).judge(phased(np.full((2, 4), nan)), None)
    assert nothing.holds is None
    assert "empty in every replica" in nothing.sentence


def test_a_claim_of_coherence_is_about_labels_and_phases_that_exist(refuses):
    refuses(lambda: Coherent("0"), ValueError, "at_least or at_most must be given")
    refuses(lambda: Coherent("0", at_least=1.2), ValueError, r"at_least must be a coherence .* but is 1\.2")
    refuses(lambda: Coherent("0", at_most=np.nan), ValueError, "at_most must be finite")
    experiment = detuned().experiment
    refuses(lambda: Coherent("up", at_least=1).fit(experiment), ValueError, "label must be one of 0, 1, but is 'up'")
    aligned = CopyDynamics(10).evolve(experiment, seed=1)
    refuses(lambda: Coherent("0", at_least=1).judge(aligned, None), ValueError, "give the theory a phase_spread")


def test_claims_read_a_real_comparison():
    experiment = detuned().experiment
    result = CopyDynamics(1000).evolve(experiment, seed=1, replicas=2)
    found = compare(result, Schrodinger().evolve(experiment))
    assert Within("max_deviation", 0.9).judge(result, found).holds
    assert not Deviates("max_deviation", 0.9).judge(result, found).holds
    assert not Still().judge(result, found).holds
    assert Extinct("0", at_most=0).judge(result, found).holds


# ---- outcomes and readings, by hand


def outcomes(found, weights):
    """A result whose runs all have outcome 0 first, and so many of each at the end."""
    last = np.repeat(np.arange(len(found)), found)
    data = {"outcome": (("replica", "time"), np.stack([np.zeros_like(last), last], axis=1))}
    return xr.Dataset(data, {"time": [0.0, 1.0]}, {"outcome_weights": json.dumps(list(weights))})


@pytest.mark.parametrize("place", [0, 4, 9])
@pytest.mark.parametrize(("more", "follows"), [(126, True), (144, False)])
def test_of_ten_outcomes_the_least_likely_counts_ten_times(place, more, follows):
    """Either number has a chance below `FALSE_ALARM` by itself, and one above it tenfold, whichever outcome it is of.

    Uncorrected, one in 1000 runs that follow Born's rule would be said to break it.
    """
    found = np.full(10, 1000 - more // 9)
    found[place] = 1000 + more
    single = two_sided_binomial(1000 + more, 10_000, 0.1)
    assert single < FALSE_ALARM
    assert (10 * single >= FALSE_ALARM) is follows
    finding = Born().judge(outcomes(found, np.full(10, 0.1)), None)
    assert finding.holds is follows
    assert Born(breaks=True).judge(outcomes(found, np.full(10, 0.1)), None).holds is not follows
    assert f"probability {10 * single:.2g}, least" in finding.sentence
    shares = ", ".join(f"{number / 10_000:.4g}" for number in found[:6])
    assert f"have the shares {shares} where Born's rule gives {', '.join(['0.1'] * 6)} (so far" in finding.sentence


@pytest.mark.parametrize(
    ("found", "weights", "tests"),
    [
        ([58, 42], [0.5, 0.5], 1),
        ([40, 35, 25], [0.3, 0.4, 0.3], 3),
        ([0, 40, 35, 25], [0.0, 0.3, 0.4, 0.3], 3),
        ([60, 40, 0, 0], [0.5, 0.5, 0.0, 1e-15], 1),
        ([40, 35, 25, 0], [0.5, 0.3, 0.2, 0.0], 3),
    ],
)
def test_outcomes_that_can_come_are_counted_and_two_are_one(found, weights, tests):
    finding = Born().judge(outcomes(found, weights), None)
    single = min(two_sided_binomial(n, 100, p) for n, p in zip(found, weights) if p > 1e-12)
    assert f"probability {min(1.0, tests * single):.2g}, least" in finding.sentence


def test_weights_need_not_sum_to_one_to_rounding():
    """Those of the outcomes that can come are taken together as one."""
    weights = np.array([0.5, 0.3, 0.2])
    assert Born().judge(outcomes([500, 300, 200], weights * (1 - 1e-9)), None).holds
    finding = Born().judge(outcomes([560, 270, 170], 0.9 * weights), None)
    assert f"probability {3 * two_sided_binomial(560, 1000, 0.5):.2g}, least" in finding.sentence


SERIES = [0.3, 0.9, -0.7, 0.1]


@pytest.mark.parametrize(
    ("when", "value", "place"), [("first", 0.3, 0), ("last", 0.1, 3), ("largest", 0.9, 1), ("smallest", -0.7, 2)]
)
def test_a_reading_is_of_its_moment(when, value, place):
    data = {"entropy": ("time", SERIES, {"units": "1", "long_name": "entropy"})}
    result = xr.Dataset(data, {"time": [0.0, 1.0, 2.5, 4.0]})

    def holds(**bounds):
        finding = Reads("entropy", when, **bounds).judge(result, None)
        time = (0, 1, 2.5, 4)[place]
        extreme = f"the {when} " if when in ("largest", "smallest") else ""
        assert finding.sentence.startswith(f"{extreme}entropy is {value:g} at time {time:g}; the claim asks for ")
        return finding.holds

    assert holds(equals=value)
    for away in (-0.03, 0.03):
        assert not holds(equals=value + away)
        assert holds(equals=value + away, tolerance=0.04)
        assert holds(at_least=value + away) is (away < 0.0)
        assert holds(at_most=value + away) is (away > 0.0)
        assert holds(at_least=value - 0.1, at_most=value + away) is (away > 0.0)
        assert not holds(at_least=value - 0.1, at_most=value + 0.1, equals=value + away)
    assert holds(at_least=value, at_most=value), "the bounds themselves are allowed"


def test_a_signal_is_looked_for_on_the_whole_way(monkeypatch):
    monkeypatch.setattr(
        "copydyn.comparison.claims.irreversibility.witness", lambda on, off, part: np.array([0.0, 0.4, 0.1])
    )
    one = {"on": None, "off": None}
    for bounds, holds in (
        ({"at_least": 0.4}, True),
        ({"at_least": 0.41}, False),
        ({"at_most": 0.4}, True),
        ({"at_most": 0.39}, False),
        ({"at_least": 0.1, "at_most": 0.3}, False),
        ({"at_least": 0.5, "at_most": 0.6}, False),
    ):
        finding = Signals("on", "off", "B", **bounds).settle(one, {})
        assert finding.holds is holds
        assert "up to 0.4 away" in finding.sentence


def test_stillness_is_that_of_every_replica():
    result = counted(np.array([[5, 5], [5, 5]]))
    result["events"][1, -1] = 2
    assert Still().judge(result, None) == (False, "2 copy events happened; the claim allows none")


def test_conserved_means_in_each_replica_at_every_time_from_its_own_start():
    system = coupled_qubits((0.6, 0.0), (0.5, 0.0), (0.0, 0.0, 0.0))
    experiment = Experiment(system, random(system, seed=1), Schedule([0.0, 1.0, 2.0]))
    result = CopyDynamics(1000, preparation="multinomial").evolve(experiment, seed=1, replicas=2)
    starts = result["counts"].values[:, 0]
    assert not np.array_equal(*starts), "the replicas start with other counts"
    assert Conserved("B").judge(result, None).holds
    moved = result.copy(deep=True)
    moved["counts"][1, 1] += [-3, 3, 0, 0]  # of the second part, and back again by the end
    finding = Conserved("B").judge(moved, None)
    assert finding.holds is False
    assert "change by at most 3 copies" in finding.sentence
