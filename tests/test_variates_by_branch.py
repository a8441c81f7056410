"""Every branch of the variates against the same draw without its squeezes, or against a quantile: draw by draw."""

import math

import numpy as np
import pytest
from scipy import stats
from test_variates import a_state, many, many_normals, many_poissons, words_from

from copydyn.kernels import variates as v


def log_pmf(k, trials, chance):
    return stats.binom.logpmf(k, trials, chance)


def by_rejection(state, trials, chance, seen):
    """BTRS with its hat and without its squeeze: accepted where v alpha / (a / us^2 + b) <= p(k) / p(mode)."""
    spread = math.sqrt(trials * chance * (1 - chance))
    b = 1.15 + 2.53 * spread
    a = -0.0873 + 0.0248 * b + 0.01 * chance
    while True:
        u, share = v.uniform(state) - 0.5, v.uniform(state)
        us = 0.5 - abs(u)
        if us <= 0.0:
            continue
        k = math.floor((2 * a / us + b) * u + trials * chance + 0.5)
        if not 0 <= k <= trials:
            seen.add("outside")
            continue
        squeezed = us >= 0.07 and share <= 0.92 - 4.2 / b
        hat = math.log(share * (2.83 + 5.1 / b) * spread / (a / us**2 + b))
        accepted = hat <= log_pmf(k, trials, chance) - log_pmf(math.floor((trials + 1) * chance), trials, chance)
        assert accepted or not squeezed, "the squeeze takes what the law does not"
        seen.add((squeezed, bool(accepted)))
        if accepted:
            return k


def by_waiting(state, trials, chance):
    """Successes at the distances floor(E / -log(1 - p)) + 1, E exponential."""
    passed, successes = 0, -1
    while passed <= trials:
        passed += math.floor(v.exponential(state) / -math.log(1 - chance)) + 1
        successes += 1
    return successes


@pytest.mark.parametrize(("trials", "chance"), [(25, 0.45), (60, 0.3), (400, 0.1), (5000, 0.5), (10**6, 0.02)])
def test_binomials_by_rejection_are_those_without_the_squeeze(trials, chance):
    ours, theirs, seen = a_state(1), a_state(1), set()
    for _ in range(1500):
        assert v.binomial(ours, trials, chance) == by_rejection(theirs, trials, chance, seen)
    assert {(True, True), (False, True), (False, False)} <= seen


@pytest.mark.parametrize(("trials", "chance"), [(1, 0.5), (7, 0.3), (99, 0.1), (40, 0.01), (10**7, 9e-7)])
def test_binomials_by_waiting_are_those_of_the_distances(trials, chance):
    ours, theirs = a_state(2), a_state(2)
    for _ in range(500):
        assert v.binomial(ours, trials, chance) == by_waiting(theirs, trials, chance)


@pytest.mark.parametrize(("trials", "chance"), [(7, 0.7), (60, 0.8), (10**6, 0.9)])
def test_binomials_above_a_half_count_the_failures(trials, chance):
    ours, theirs = a_state(3), a_state(3)
    for _ in range(200):
        assert v.binomial(ours, trials, chance) == trials - v.binomial(theirs, trials, 1.0 - chance)


def test_multinomials_are_binomials_of_what_is_left():
    """The last cell with a weight takes the rest, an empty one nothing, and the tails are sums from the far end."""
    weights = np.array([0.0, 0.2, 0.0, 0.5, 0.3, 0.0])
    tails, out = np.cumsum(weights[::-1])[::-1].copy(), np.zeros(6, np.int64)
    ours, theirs = a_state(4), a_state(4)
    for trials in (3, 100, 10**5):
        v.multinomial(ours, trials, weights, tails, out)
        left, expected = trials, []
        for cell in range(4):
            expected.append(v.binomial(theirs, left, weights[cell] / weights[cell:].sum()))
            left -= expected[-1]
        assert out.tolist() == [*expected, left, 0]


@pytest.mark.parametrize("mean", [0.0, 0.02, 0.7, 5.0, 29.9])
def test_poissons_of_small_mean_are_the_quantile_of_a_uniform(mean):
    drawn, shares = many_poissons(a_state(5), mean, 2000), many(v.uniform, a_state(5), 2000)
    np.testing.assert_array_equal(drawn, np.maximum(stats.poisson.ppf(shares, mean), 0.0))


@pytest.mark.parametrize(("mean", "least"), [(30.0, 0.99), (77.0, 0.995), (1e4, 0.999), (1e6, 0.999)])
def test_poissons_of_large_mean_are_the_quantile_of_a_normal(mean, least):
    """The expansion errs where a whole number is all but met, in less than one draw of a hundred, and by one."""
    drawn, normals = many_poissons(a_state(6), mean, 5000), many_normals(a_state(6), 5000)
    off = drawn - stats.poisson.ppf(stats.norm.cdf(normals), mean)
    assert np.mean(off == 0) >= least
    assert np.abs(off).max() <= 1


def test_the_ziggurats_have_layers_of_one_area_and_squeeze_what_lies_under_the_law():
    """Each layer between two edges has the area of the base, tail included; below its inner edge all is the law's."""
    for edge, height, density, tail in (
        (v._EDGE, v._HEIGHT, lambda x: np.exp(-x), np.exp(-v._TAIL)),
        (
            v._BELL_EDGE,
            v._BELL_HEIGHT,
            lambda x: np.exp(-0.5 * x * x),
            np.sqrt(2 * np.pi) * stats.norm.sf(v._BELL_TAIL),
        ),
    ):
        areas = edge[1:256] * np.diff(height)[1:]
        base = edge[1] * height[1] + tail
        np.testing.assert_allclose(areas, base, rtol=1e-7)
        assert edge[0] * height[1] == pytest.approx(base, rel=1e-12)
        np.testing.assert_array_equal(height[1:], density(edge[1:]))
        assert np.all(np.diff(edge) < 0)
        assert edge[256] == 0.0


class Dice:
    """The generator's own words, one after the other."""

    def __init__(self, seed, size):
        self._words = iter(words_from(a_state(seed), size).tolist())

    def word(self):
        return int(next(self._words))

    def uniform(self):
        return (self.word() >> 11) * 2.0**-53


def exponential(dice):
    """The ziggurat without its squeeze: a height is drawn wherever the kernel draws one, and compared with exp(-x)."""
    offset = 0.0
    while True:
        word = dice.word()
        layer = word & 255
        x = (word >> 11) * 2.0**-53 * v._EDGE[layer]
        if x < v._EDGE[layer + 1]:
            return offset + x, layer, "inside"
        if layer == 0:
            offset += v._TAIL
            continue
        if v._HEIGHT[layer] + dice.uniform() * (v._HEIGHT[layer + 1] - v._HEIGHT[layer]) < math.exp(-x):
            return offset + x, layer, "edge"


def normal(dice):
    while True:
        word = dice.word()
        layer = word & 255
        x = ((word >> 11) * 2.0**-52 - 1.0) * v._BELL_EDGE[layer]
        if abs(x) < v._BELL_EDGE[layer + 1]:
            return x, layer, "inside"
        if layer == 0:
            while True:
                (far, _, _), (y, _, _) = exponential(dice), exponential(dice)
                far /= v._BELL_TAIL
                if 2.0 * y > far * far:
                    return math.copysign(v._BELL_TAIL + far, x), layer, "tail"
        low, high = v._BELL_HEIGHT[layer], v._BELL_HEIGHT[layer + 1]
        if low + dice.uniform() * (high - low) < math.exp(-0.5 * x * x):
            return x, layer, "edge"


@pytest.mark.parametrize(("draw", "plain"), [(v.exponential, exponential), (None, normal)], ids=["exp", "normal"])
def test_ziggurats_draw_what_their_plain_twins_draw(draw, plain):
    """20 000 draws of each: insides, edges and tails."""
    drawn = many_normals(a_state(7), 20_000) if draw is None else many(draw, a_state(7), 20_000)
    dice, ways = Dice(7, 21_000), set()
    for x in drawn:
        expected, _, way = plain(dice)
        assert x == expected
        ways.add("tail" if abs(x) > (v._BELL_TAIL if draw is None else v._TAIL) else way)
    assert ways == {"inside", "edge", "tail"}


def test_what_stirling_leaves_out_is_known_to_ten_digits():
    """Below ten by the logarithm of the gamma function, above by three terms of its series: against the former."""
    for k in (0.0, 1.0, 9.0, 10.0, 11.0, 40.0, 1000.0):
        main = 0.5 * math.log(2 * math.pi) + (k + 0.5) * math.log(k + 1) - (k + 1)
        assert v._stirling_tail(k) == pytest.approx(math.lgamma(k + 1) - main, abs=1e-10 + 1e-15 * main)
