"""Pooled comparisons against other software, plain loops and simulated data with known effects."""

import numpy as np
import pytest
import scipy.stats
from scipy.stats import multivariate_t, ttest_1samp

from peft_atlas.analysis.pooled import (
    TwoWay,
    bootstrap_interval,
    components,
    detectable_difference,
    difference,
    dunnett_critical,
    dunnett_probability,
    mean_difference,
    quantile_t,
)

# Left out of `make fast-test`: together these files take most of the time of the unit tests.
pytestmark = pytest.mark.slow


def items(generator, seeds, count, effect=0.0, seed_sd=0.01, item_sd=0.05, rest_sd=0.3):
    """Return differences of seeds x items with known components."""
    by_seed = generator.normal(0, seed_sd, (seeds, 1))
    by_item = generator.normal(0, item_sd, (1, count))
    return effect + by_seed + by_item + generator.normal(0, rest_sd, (seeds, count))


@pytest.mark.parametrize(
    ("comparisons", "df", "printed"), [(1, 10, 2.228), (2, 10, 2.57), (5, 20, 2.73), (9, 12, 3.12)]
)
def test_dunnetts_critical_values_are_those_of_his_table(comparisons, df, printed):
    assert dunnett_critical(comparisons, df, 0.95) == pytest.approx(printed, abs=0.03)


def test_dunnetts_probability_is_the_multivariate_ts():
    shape = np.full((4, 4), 0.5) + 0.5 * np.eye(4)
    for bound, df in ((1.5, 6), (2.7, 20)):
        expected = multivariate_t.cdf(
            np.full(4, bound), shape=shape, df=df, lower_limit=np.full(4, -bound), maxpts=20_000, random_state=0
        )
        assert dunnett_probability(bound, 4, df) == pytest.approx(expected, abs=4e-3)
    assert dunnett_probability(2.0, 1, 8) == pytest.approx(1 - 2 * scipy.stats.t.sf(2.0, 8), abs=1e-4)


def test_simultaneous_intervals_cover_all_differences_as_often_as_they_say():
    generator, covered, runs = np.random.default_rng(1), 0, 1000
    truth = np.array([0.0, 0.3, -0.2, 0.1, 0.0, 0.5])
    for _ in range(runs):
        outcomes = truth[:, None] + generator.normal(0, 1, 3) + generator.normal(0, 0.4, (6, 3))
        found = TwoWay(outcomes).against(range(1, 6), 0, 0.9)
        covered += all(d.low <= t <= d.high for d, t in zip(found, truth[1:] - truth[0], strict=True))
    assert covered / runs == pytest.approx(0.9, abs=0.03)


def test_the_two_way_model_is_the_one_of_least_squares():
    outcomes = np.random.default_rng(2).normal(size=(4, 3))
    cells, seeds = (axis.ravel() for axis in np.indices(outcomes.shape))
    design = np.column_stack([cells == place for place in range(4)] + [seeds == place for place in (1, 2)]).astype(
        float
    )
    fit, residual, *_ = np.linalg.lstsq(design, outcomes.ravel(), rcond=None)
    model, variance = TwoWay(outcomes), residual[0] / 6
    assert model.error_variance == pytest.approx(variance)
    contrast = np.array([-1, 1, 0, 0, 0, 0])
    se = np.sqrt(variance * contrast @ np.linalg.inv(design.T @ design) @ contrast)
    pair = model.pair(1, 0, 0.95)
    assert (pair.mean, pair.se, pair.df) == (pytest.approx(contrast @ fit), pytest.approx(se), 6)
    group = np.array([-1, 1 / 3, 1 / 3, 1 / 3, 0, 0])
    se = np.sqrt(variance * group @ np.linalg.inv(design.T @ design) @ group)
    assert model.group((1, 2, 3), 0, 0.95).se == pytest.approx(se)


def test_with_two_cells_the_pooled_test_is_the_paired_t_test():
    outcomes = np.random.default_rng(3).normal(size=(2, 7))
    expected = ttest_1samp(outcomes[0] - outcomes[1], 0)
    found = TwoWay(outcomes).pair(0, 1, 0.95)
    assert found.p_value == pytest.approx(expected.pvalue)
    assert found.low == pytest.approx(expected.confidence_interval(0.95).low)
    assert found.noninferiority_p(0.4) == pytest.approx(
        ttest_1samp(outcomes[0] - outcomes[1], -0.4, alternative="greater").pvalue
    )


def test_an_order_of_chance_has_no_reliability_and_a_plain_one_has_all():
    generator = np.random.default_rng(4)
    noise = [TwoWay(generator.normal(size=(10, 3))).reliability(range(10)) for _ in range(200)]
    assert np.median(noise) < 0.25
    plain = np.arange(10)[:, None] + generator.normal(0, 0.1, (10, 3))
    assert TwoWay(plain).reliability(range(10)) > 0.99


def test_components_are_found_again():
    generator = np.random.default_rng(5)
    found = [components(items(generator, 8, 800, 0, 0.02, 0.1, 0.3)) for _ in range(40)]
    assert np.mean([each.seed for each in found]) == pytest.approx(0.02**2, rel=0.25)
    assert np.mean([each.item for each in found]) == pytest.approx(0.1**2, rel=0.1)
    assert np.mean([each.rest for each in found]) == pytest.approx(0.3**2, rel=0.02)


def test_the_mean_over_tasks_covers_as_often_as_it_says_though_their_variances_differ():
    generator, covered, runs = np.random.default_rng(6), 0, 600
    for _ in range(runs):
        tasks = [items(generator, 8, 200, 0.02, 0.01, 0.15, 0.3), items(generator, 8, 200, -0.01, 0.03, 0.1, 0.4)]
        found = mean_difference(tasks, 0.95)
        covered += found.low <= 0.005 <= found.high
    assert covered / runs == pytest.approx(0.95, abs=0.025)


def test_without_variance_between_items_it_is_students_interval_over_seeds():
    table = np.random.default_rng(7).normal(size=(6, 1)) + np.array([[0.1, -0.1]])
    table[:, 1] -= table[:, 1].mean() - table[:, 0].mean()
    expected = ttest_1samp(table.mean(axis=1), 0).confidence_interval(0.95)
    found = mean_difference([table], 0.95)
    assert (found.low, found.high) == (pytest.approx(expected.low), pytest.approx(expected.high))


def test_the_bootstrap_agrees_where_seeds_are_many_and_is_wider_where_the_interaction_is_large():
    tasks = [items(np.random.default_rng(8), 40, 300, 0.05, 0.01, 0.05, 0.02)]
    model, (low, high) = mean_difference(tasks, 0.95), bootstrap_interval(tasks, 0.95, 1000)
    assert high - low == pytest.approx(model.high - model.low, rel=0.2)
    assert low < model.mean < high
    noisy = [items(np.random.default_rng(8), 40, 300, 0.05, 0.001, 0.001, 0.3)]
    model, (low, high) = mean_difference(noisy, 0.95), bootstrap_interval(noisy, 0.95, 1000)
    # Drawn twice, the interaction counts up to three times.
    assert 1 < (high - low) / (model.high - model.low) < 2
    assert bootstrap_interval(tasks, 0.95, 50) == bootstrap_interval(tasks, 0.95, 50)


@pytest.mark.parametrize("df", [4, 7, 20])
def test_what_is_called_detectable_is_found_four_times_in_five(df):
    critical = quantile_t(0.975, df)
    shift = detectable_difference(1.0, critical, df)
    power = scipy.stats.nct.sf(critical, df, shift) + scipy.stats.nct.cdf(-critical, df, shift)
    assert power == pytest.approx(0.8, abs=0.03)


def test_equivalence_takes_both_sides():
    found = difference(0.01, 0.004, 9, 10, 0.95)
    upper = scipy.stats.t.sf((0.015 - 0.01) / 0.004, 9)
    assert found.equivalence_p(0.015) == pytest.approx(upper)
    assert found.noninferiority_p(0.015) == pytest.approx(scipy.stats.t.sf(0.025 / 0.004, 9))
