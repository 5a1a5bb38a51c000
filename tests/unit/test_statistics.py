"""Statistics against scipy and closed forms."""

import re
from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from peft_atlas.analysis.finding import Effect
from peft_atlas.analysis.statistics import (
    equivalence_p,
    holm,
    interval_name,
    mean_interval,
    paired_difference,
    rising_p,
    sidak,
    simultaneous_confidence,
    slope_interval,
)

values = st.lists(st.floats(-100, 100), min_size=2, max_size=30).filter(lambda v: np.std(v) > 1e-6)


@given(values, st.floats(0.6, 0.99))
def test_mean_interval_is_scipys(sample, confidence):
    estimate = mean_interval(sample, confidence)
    low, high = stats.ttest_1samp(sample, 0).confidence_interval(confidence)
    assert (estimate.low, estimate.high) == pytest.approx((low, high))
    assert estimate.p_value == pytest.approx(stats.ttest_1samp(sample, 0).pvalue, abs=1e-12)


@given(values)
def test_paired_difference_is_scipys_paired_test(sample):
    other = np.sin(np.arange(len(sample)) * 7.0) * 10
    estimate = paired_difference(sample, other, 0.95)
    assert estimate.p_value == pytest.approx(stats.ttest_rel(sample, other).pvalue, abs=1e-9)
    assert estimate.mean == pytest.approx(np.mean(sample) - np.mean(other), abs=1e-9)


def test_missing_values_lower_n_and_are_not_zero():
    estimate = mean_interval([1.0, float("nan"), 3.0], 0.95)
    assert (estimate.n, estimate.mean) == (2, 2.0)
    assert paired_difference([1.0, 2.0, 3.0], [float("nan"), 1.0, 1.0], 0.95).n == 2


@pytest.mark.parametrize("sample", [[], [float("nan")]])
def test_nothing_measured_is_missing(sample):
    assert mean_interval(sample, 0.95).mean is None


def test_one_seed_has_a_mean_and_no_interval():
    estimate = mean_interval([0.7], 0.95)
    assert (estimate.mean, estimate.low, estimate.high, estimate.p_value, estimate.n) == (0.7, None, None, None, 1)


def test_values_that_do_not_vary():
    assert mean_interval([0.0, 0.0, 0.0], 0.95).p_value == 1.0
    assert mean_interval([0.5, 0.5], 0.95).p_value == 0.0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_against_its_definition(p):
    adjusted = holm(p)
    order = np.argsort(p, kind="stable")
    running = 0.0
    for place, index in enumerate(order):
        running = max(running, (len(p) - place) * p[index])
        assert adjusted[index] == pytest.approx(min(1.0, running))


def test_holm_leaves_missing_values_out_of_the_count():
    np.testing.assert_allclose(holm([0.01, np.nan, 0.04]), [0.02, np.nan, 0.04])


@given(st.integers(2, 8), st.integers(2, 8), st.integers(0, 1000))
def test_slopes_are_least_squares_seed_by_seed(seeds, settings, number):
    draws = np.random.default_rng(number)
    x, y = np.arange(settings, dtype=float) ** 1.5, draws.normal(size=(seeds, settings))
    slopes = [stats.linregress(x, row).slope for row in y]
    estimate = slope_interval(x, y, 0.9)
    expected = mean_interval(slopes, 0.9)
    assert (estimate.mean, estimate.low, estimate.n) == pytest.approx((expected.mean, expected.low, expected.n))


def test_a_slope_needs_two_settings():
    assert slope_interval([1.0], [[0.5], [0.6]], 0.95).mean is None


def test_intervals_are_named():
    assert interval_name(0.95) == "95 % Student t over seeds"


def test_equivalence_is_two_one_sided_tests():
    differences = np.array([0.002, -0.001, 0.004, 0.001, 0.003])
    n, mean, error = 5, differences.mean(), differences.std(ddof=1) / 5**0.5
    expected = max(stats.t.sf((mean + 0.01) / error, n - 1), stats.t.cdf((mean - 0.01) / error, n - 1))
    assert equivalence_p(differences, 0.01) == pytest.approx(expected, rel=1e-9)
    # Equivalent at level a exactly where the 1 - 2a interval lies within the margin.
    low, high = stats.t.interval(0.9, n - 1, mean, error)
    assert equivalence_p(differences, max(-low, high) * 1.001) < 0.05
    assert equivalence_p(differences, max(-low, high) * 0.999) > 0.05
    assert equivalence_p([0.1], 1.0) is None
    assert equivalence_p([0.1, 0.1], 1.0) is None


def test_pages_test_is_exact():
    """Of all orders of three rows, those whose statistic is at least as large (Page 1963)."""
    table = np.array([[1.0, 2.0, 3.0], [2.0, 1.0, 3.0], [1.0, 3.0, 2.0]])
    weights = np.arange(1, 4)
    found = float((table.sum(0) * weights).sum())
    orders = [np.array(order) for order in permutations([1, 2, 3])]
    sums = [float((np.sum(rows, axis=0) * weights).sum()) for rows in product(orders, repeat=3)]
    assert rising_p(table) == pytest.approx(np.mean(np.array(sums) >= found), rel=1e-9)
    assert rising_p(table[:1]) is None
    assert rising_p(np.where(table > 2, np.nan, table)) is None


@given(st.lists(st.floats(1e-9, 1), min_size=1, max_size=20))
def test_sidak_against_its_definition_and_its_intervals(p):
    adjusted = sidak(p)
    np.testing.assert_allclose(adjusted, [1 - (1 - one) ** len(p) for one in p], rtol=1e-5, atol=1e-12)
    each = simultaneous_confidence(0.95, len(p))
    assert each ** len(p) == pytest.approx(0.95)
    for one, both in zip(p, adjusted, strict=True):
        assert (one < 1 - each - 1e-12) <= (both < 0.05)


FRACTIONS = st.lists(st.floats(0, 1), min_size=0, max_size=6)


@given(FRACTIONS, st.floats(0.6, 0.99))
def test_an_interval_of_accuracies_stays_within_possible_values_and_covers_what_it_covered(sample, confidence):
    whole = mean_interval(sample, confidence)
    cut = whole.within(0, 1)
    if whole.low is None:
        assert cut == whole
        return
    assert 0 <= cut.low <= cut.mean <= cut.high <= 1
    for possible in (0.0, 0.3, cut.mean, 1.0):
        assert (whole.low <= possible <= whole.high) == (cut.low <= possible <= cut.high)
    assert (cut.mean, cut.sd, cut.n, cut.p_value) == (whole.mean, whole.sd, whole.n, whole.p_value)


def test_a_mean_beyond_its_limit_by_rounding_is_in_its_interval():
    cut = mean_interval([1 + 1e-7, 1 + 3e-7], 0.95).within(-1, 1)
    assert cut.low < cut.mean == cut.high


@given(st.floats(-20, 20), st.floats(0, 20), st.integers(0, 3))
def test_the_printed_ends_of_an_interval_contain_zero_as_the_interval_does(low, width, digits):
    effect = Effect(low + width / 2, low=low, high=low + width)
    assume(effect.low != effect.high)
    printed = re.search(r"\[(.*), (.*)\]", effect.in_words(digits))
    assert (float(printed[1]) <= 0 <= float(printed[2])) == (not effect.excludes_zero)
