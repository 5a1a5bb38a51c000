"""Coverage, power and error rates of the analysis, by simulation of studies with known effects."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from peft_atlas.analysis.contrasts import EXPLORATORY, PRIMARY, Comparison, compare
from peft_atlas.analysis.power import detectable_difference, equivalence_power, possible_difference, power
from peft_atlas.analysis.statistics import equivalence_p

# Left out of `make fast-test`: together these files take most of the time of the unit tests.
pytestmark = pytest.mark.slow

STUDIES = 300


def study(draws, effects, seeds=10, spread=None, role=PRIMARY):
    """Return the comparisons of one simulated study, effects in points: methods against one reference, seeds shared."""
    index = pd.Index(range(seeds), name="seed")
    of_seed = 3 * draws.standard_normal(seeds)
    reference = pd.Series(of_seed + 0.5 * draws.standard_normal(seeds), index)
    spreads = spread or [1.0] * len(effects)
    return [
        Comparison(
            *("q", "t", f"m{place}", None, None, "r"),
            pd.Series(of_seed + effect + sd * draws.standard_normal(seeds), index) / 100,
            reference / 100,
            role=role,
        )
        for place, (effect, sd) in enumerate(zip(effects, spreads, strict=True))
    ]


def simulated(effects, role=PRIMARY, spread=None, number=0):
    """Return the rows of many simulated studies, the number of the study with each."""
    draws = np.random.default_rng(number)
    made = [compare("s", study(draws, effects, role=role, spread=spread), 0.95) for _ in range(STUDIES)]
    return pd.DataFrame([{**row, "study_number": place} for place, rows in enumerate(made) for row in rows])


def test_intervals_of_a_primary_family_cover_each():
    rows = simulated([0.0, 1.0, -2.0])
    truth = rows["method"].map({"m0": 0.0, "m1": 0.01, "m2": -0.02})
    covered = (rows["low"] <= truth) & (truth <= rows["high"])
    assert covered.mean() == pytest.approx(0.95, abs=0.025)


def test_simultaneous_intervals_cover_together_though_variances_differ():
    effects, spread = [0.0, 1.0, -2.0, 0.5, 3.0], [0.3, 1.0, 2.0, 4.0, 1.0]
    rows = simulated(effects, EXPLORATORY, spread)
    truth = rows["method"].map({f"m{place}": effect / 100 for place, effect in enumerate(effects)})
    rows["covered"] = (rows["low"] <= truth) & (truth <= rows["high"])
    together = rows.groupby("study_number")["covered"].all().mean()
    # Sidak's inequality: at least nominal, whatever the correlation; 2.5 standard errors of the simulation allowed.
    assert 0.92 <= together <= 1.0


@pytest.mark.parametrize("role", [PRIMARY, EXPLORATORY])
def test_a_family_without_effects_rejects_at_its_level(role):
    rows = simulated([0.0] * 6, role, number=1)
    rejects = ~rows["indistinguishable"].astype(bool)
    wrong = rejects.groupby(rows["study_number"]).any().mean()
    assert wrong <= 0.05 + 2.5 * (0.05 * 0.95 / STUDIES) ** 0.5
    assert wrong > 0.005


@pytest.mark.parametrize(("n", "level"), [(3, 0.05), (8, 0.05), (10, 0.05 / 6), (20, 0.001)])
def test_the_detectable_difference_is_detected_in_four_of_five_studies(n, level):
    difference = detectable_difference(1.7, n, level)
    draws = np.random.default_rng(2).normal(difference, 1.7, size=(20_000, n))
    p = stats.ttest_1samp(draws, 0, axis=1).pvalue
    assert (p < level).mean() == pytest.approx(0.8, abs=0.01)


def test_a_simulated_study_detects_what_it_says_is_detectable():
    """The estimate rests on each study's own spread, so that over studies the power is near 80 %."""
    first = simulated([0.0], number=3)
    effect = 100 * float(first["detectable"].median())
    rows = simulated([effect], number=4)
    assert (~rows["indistinguishable"].astype(bool)).mean() == pytest.approx(0.8, abs=0.06)


def test_power_is_scipys_noncentral_t():
    for difference, sd, n, level in ((1.0, 2.0, 12, 0.05), (0.3, 1.0, 5, 0.01)):
        critical = stats.t.ppf(1 - level / 2, n - 1)
        shift = difference / sd * n**0.5
        expected = stats.nct.sf(critical, n - 1, shift) + stats.nct.cdf(-critical, n - 1, shift)
        assert power(difference, sd, n, level) == pytest.approx(expected, abs=2e-3)


@pytest.mark.parametrize(("sd", "n", "margin"), [(1.0, 10, 1.2), (1.0, 6, 0.8), (0.5, 20, 0.4)])
def test_the_power_of_equivalence_is_that_of_simulated_studies(sd, n, margin):
    draws = np.random.default_rng(5).normal(0, sd, size=(3000, n))
    found = np.mean([equivalence_p(row, margin) < 0.05 for row in draws])
    assert equivalence_power(sd, n, margin, 0.05) == pytest.approx(found, abs=0.03)


def test_too_few_or_constant_values_have_no_detectable_difference():
    assert detectable_difference(None, 5, 0.05) is None
    assert detectable_difference(1.0, 1, 0.05) is None
    assert detectable_difference(0.0, 5, 0.05) is None
    assert equivalence_power(0.0, 5, 1.0, 0.05) is None


def test_no_detectable_difference_of_accuracies_is_above_one():
    # Two seeds whose differences vary by 60 points: the test would need about nine times the possible.
    left, right = pd.Series({0: 0.9, 1: 0.2}), pd.Series({0: 0.1, 1: 0.8})
    (row,) = compare("study", [Comparison("q", "t", "m", None, None, "full", left, right)], 0.95)
    assert row["detectable"] == 1.0
    # A loss has no such limit.
    (loss,) = compare(
        "study", [Comparison("q", "t", "m", None, None, "full", left, right, unit="nats per token")], 0.95
    )
    assert loss["detectable"] > 1.5
    assert possible_difference(None) is None
    assert possible_difference(0.25) == 0.25
