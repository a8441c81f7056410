"""The generator and its variates, against published numbers and against their laws."""

import numpy as np
import pytest
from numba import njit
from scipy import stats
from verdicts import assert_counts, assert_mean

from copydyn.kernels import variates as v

# xoshiro256++ from the state 1, 2, 3, 4, as its authors' C code gives it
PUBLISHED = (
    41943041,
    58720359,
    3588806011781223,
    3591011842654386,
    9228616714210784205,
    9973669472204895162,
    14011001112246962877,
    12406186145184390807,
    15849039046786891736,
    10450023813501588000,
)


def a_state(seed):
    return np.random.SeedSequence(seed).generate_state(4, np.uint64)


@njit
def many(draw, state, size):
    out = np.empty(size)
    for place in range(size):
        out[place] = draw(state)
    return out


@njit
def words_from(state, size):
    words, out = v.opened(state), np.empty(size, np.uint64)
    for place in range(size):
        out[place], words = v.next_word(words)
    return out


@njit
def many_binomials(state, trials, chance, size):
    out = np.empty(size, np.int64)
    for place in range(size):
        out[place] = v.binomial(state, trials, chance)
    return out


def test_words_are_those_published():
    assert tuple(words_from(np.array([1, 2, 3, 4], np.uint64), len(PUBLISHED)).tolist()) == PUBLISHED


def test_uniforms_are_uniform():
    sample = many(v.uniform, a_state(1), 400_000)
    assert 0.0 <= sample.min() < sample.max() < 1.0
    assert_counts(np.histogram(sample, 1000, (0, 1))[0], np.full(1000, 400.0))


def test_exponentials_follow_their_law_into_the_tail():
    sample = many(v.exponential, a_state(2), 2_000_000)
    edges = stats.expon.ppf(np.linspace(0, 1, 501))
    assert_counts(np.histogram(sample, edges)[0], np.full(500, 4000.0))
    beyond = sample[sample > 7.69711747013104972]  # where the ziggurat starts afresh
    assert stats.binomtest(beyond.size, sample.size, np.exp(-7.69711747013104972)).pvalue > 1e-5
    assert_mean(beyond - 7.69711747013104972, 1.0, detects=0.3)


@pytest.mark.parametrize(
    ("trials", "chance"),
    [(1, 0.5), (7, 0.3), (7, 0.95), (40, 0.01), (100, 0.1001), (100, 0.5), (1000, 0.3), (10**6, 0.2), (10**6, 0.9999)],
)
def test_binomials_follow_their_law(trials, chance):
    sample = many_binomials(a_state(trials), trials, chance, 200_000)
    values = np.arange(max(0, sample.min() - 5), min(trials, sample.max() + 5) + 1)
    expected = stats.binom.pmf(values, trials, chance) * sample.size
    observed = np.bincount(sample - values[0], minlength=values.size)
    keep = np.argsort(-expected)
    assert_counts(observed[keep], expected[keep])


def test_binomials_of_huge_ensembles_have_the_right_mean_and_spread():
    trials, chance = 10**12, 0.3
    sample = many_binomials(a_state(5), trials, chance, 100_000)
    spread = np.sqrt(trials * chance * (1 - chance))
    standard = (sample - trials * chance) / spread
    assert_mean(standard, 0.0, detects=0.03)
    assert_mean(standard**2, 1.0, detects=0.04)
    assert stats.kstest(standard, "norm").pvalue > 1e-5


@pytest.mark.parametrize(("trials", "chance", "value"), [(0, 0.5, 0), (10, 0.0, 0), (10, 1.0, 10), (2**62, 1.0, 2**62)])
def test_certain_binomials(trials, chance, value):
    assert v.binomial(a_state(0), trials, chance) == value


def test_alias_table_draws_by_weight_and_never_a_zero():
    weight = np.array([0.0, 3.0, 0.5, 0.0, 1e-9, 6.5, 0.0])
    size = weight.size
    threshold, other, stack = np.zeros(size), np.zeros(size, np.int64), np.zeros(size, np.int64)
    total = v.fill_alias(weight, size, threshold, other, stack)
    assert total == weight.sum()
    state = a_state(3)
    drawn = np.bincount([v.draw_alias(state, size, threshold, other) for _ in range(100_000)], minlength=size)
    assert np.all(drawn[weight == 0.0] == 0)
    assert_counts(drawn[[1, 2, 5]], weight[[1, 2, 5]] * 10_000)
    # exactly: what the table gives each cell in all
    share = np.zeros(size)
    np.add.at(share, np.arange(size), threshold)
    np.add.at(share, other, 1.0 - threshold)
    assert np.allclose(share / size, weight / total, atol=1e-15)


def test_alias_table_of_nothing_says_so():
    nothing = np.zeros(3)
    assert v.fill_alias(nothing, 3, np.zeros(3), np.zeros(3, np.int64), np.zeros(3, np.int64)) == 0.0


def test_below_reaches_every_number():
    state = a_state(4)
    assert_counts(np.bincount([v.below(state, 7) for _ in range(70_000)], minlength=7), np.full(7, 10_000.0))
