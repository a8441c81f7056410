"""Statistical assertions that say how often they cry wolf and what they can see.

Every test here has fixed seeds, so that it passes or fails for good; its false-alarm rate is the chance that a correct
program meets an unlucky seed. Each assertion also takes the smallest deviation that matters, ``detects``, and refuses
to pass silently when it would miss that one more often than once in a hundred times.
"""

from __future__ import annotations

import numpy as np
from scipy import stats

FALSE_ALARM = 1e-5
POWER = 0.99


def assert_mean(samples, expected: float, *, detects: float, false_alarm: float = FALSE_ALARM) -> None:
    """The mean of independent ``samples`` is ``expected``; a deviation of ``detects`` would be seen."""
    samples = np.asarray(samples, dtype=float)
    error = samples.std(ddof=1) / np.sqrt(samples.size)
    bound = stats.t.isf(false_alarm / 2, samples.size - 1)
    assert_power(bound * error, error, detects)
    score = (samples.mean() - expected) / error
    assert abs(score) <= bound, (
        f"mean {samples.mean():.5g} ± {error:.2g} against {expected:.5g}: {score:.1f} errors off"
    )


def assert_share(successes: int, trials: int, expected: float, *, detects: float, false_alarm: float = FALSE_ALARM):
    """A share of ``trials`` independent trials is ``expected`` (two-sided exact binomial test)."""
    error = np.sqrt(max(expected * (1 - expected), 0.25 / trials) / trials)
    assert_power(stats.norm.isf(false_alarm / 2) * error, error, detects)
    chance = stats.binomtest(int(successes), int(trials), expected).pvalue
    assert chance >= false_alarm, f"{successes} of {trials} against {expected:.5g}: chance {chance:.1e}"


def assert_same_law(ours, theirs, *, detects: float, false_alarm: float = FALSE_ALARM) -> None:
    """Two sets of independent samples have one law (Kolmogorov and Smirnov).

    ``detects`` is a distance of the distribution functions; a shift of one standard deviation is about 0.38.
    """
    sizes = 1.0 / np.size(ours) + 1.0 / np.size(theirs)
    bound = np.sqrt(-0.5 * np.log(false_alarm / 2) * sizes)
    assert_power(bound, np.sqrt(0.25 * sizes), detects)
    found = stats.ks_2samp(ours, theirs, method="asymp")
    assert found.pvalue >= false_alarm, f"distance {found.statistic:.3f} (bound {bound:.3f}), p = {found.pvalue:.1e}"


def assert_counts(observed, expected, *, false_alarm: float = FALSE_ALARM) -> None:
    """Observed counts follow the expected ones (chi squared; cells below five expected are merged from the end)."""
    observed, expected = _merge(np.asarray(observed, float), np.asarray(expected, float))
    chance = stats.chisquare(observed, expected * observed.sum() / expected.sum()).pvalue
    assert chance >= false_alarm, f"{observed} against {np.round(expected, 1)}: p = {chance:.1e}"


def assert_power(bound: float, error: float, detects: float) -> None:
    """A true deviation of ``detects`` passes a ``bound`` at most once in a hundred times."""
    seen = stats.norm.sf((bound - detects) / error)
    assert seen >= POWER, f"underpowered: a deviation of {detects:g} is seen with chance {seen:.2f}; take more samples"


def _merge(observed, expected):
    order = np.argsort(-expected)
    observed, expected = list(observed[order]), list(expected[order])
    while len(expected) > 2 and expected[-1] < 5:
        last, tail = expected.pop(), observed.pop()
        expected[-1] += last
        observed[-1] += tail
    return np.array(observed), np.array(expected)
