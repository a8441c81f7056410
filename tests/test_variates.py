"""The generator and its variates, against published numbers and against their laws."""

import numpy as np
import pytest
from numba import njit
from scipy import stats
from verdicts import assert_counts, assert_mean

from copydyn.kernels import keyed
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


# Philox4x32-10 as its authors' known-answer tests give it: counter and key, and what they become
PHILOX = (
    ((0,) * 6, (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((0xFFFFFFFF,) * 6, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344, 0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
)


@pytest.mark.parametrize(("counter_and_key", "words"), PHILOX)
def test_philox_is_as_published(counter_and_key, words):
    assert tuple(int(word) for word in keyed.philox(*counter_and_key)) == words


def test_streams_of_other_names_differ():
    state = a_state(1)
    names = [(0, 0, 0, 0), (1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1)]
    starts = {tuple(int(word) for word in keyed.stream(state, *name)) for name in names}
    starts |= {tuple(int(word) for word in keyed.stream(a_state(2), *names[0]))}
    assert len(starts) == 6


@njit
def many_normals(state, size):
    words, out = v.opened(state), np.empty(size)
    for place in range(size):
        out[place], words = v.next_normal(words)
    return out


@njit
def many_poissons(state, mean, size):
    words, out = v.opened(state), np.empty(size)
    for place in range(size):
        out[place], words = v.next_poisson(words, mean)
    return out


def test_normals_follow_their_law_into_the_tail():
    sample = many_normals(a_state(6), 2_000_000)
    edges = stats.norm.ppf(np.linspace(0, 1, 501))
    assert_counts(np.histogram(sample, edges)[0], np.full(500, 4000.0))
    beyond = np.abs(sample[np.abs(sample) > 3.6541528853610088])  # where the ziggurat ends
    chance = 2 * stats.norm.sf(3.6541528853610088)
    assert stats.binomtest(beyond.size, sample.size, chance).pvalue > 1e-5
    assert stats.kstest(stats.norm.sf(beyond) * 2 / chance, "uniform").pvalue > 1e-5


@pytest.mark.parametrize("mean", [0.02, 0.7, 5.0, 29.9, 30.0, 77.0, 1e4])
def test_poissons_follow_their_law(mean):
    sample = many_poissons(a_state(int(mean)), mean, 400_000).astype(int)
    values = np.arange(max(0, sample.min() - 3), sample.max() + 4)
    expected = stats.poisson.pmf(values, mean) * sample.size
    keep = np.argsort(-expected)
    assert_counts(np.bincount(sample - values[0], minlength=values.size)[keep], expected[keep])


def test_poissons_of_huge_means_have_the_right_mean_and_spread():
    for mean in (1e8 - 1, 1e12, 1e18):
        standard = (many_poissons(a_state(7), mean, 200_000) - mean) / np.sqrt(mean)
        assert_mean(standard, 0.0, detects=0.03)
        assert_mean(standard**2, 1.0, detects=0.04)
    assert np.all(many_poissons(a_state(7), 0.0, 10) == 0.0)
