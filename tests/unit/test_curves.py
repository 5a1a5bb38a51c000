"""Curves over a setting: refused over rates tuned elsewhere; a slope only where a line fits."""

import numpy as np
import pandas as pd
import pytest

from peft_atlas.analysis.curves import lack_of_fit_p, one_rate_curve, tuned_curve
from peft_atlas.analysis.finding import Effect, Finding
from peft_atlas.errors import AtlasError

RANKS = (1, 2, 4, 8, 16)


def runs(accuracy, rates=(0.001, 0.01), tuned=RANKS, seeds=10, noise=0.005, number=0):
    """Return runs of every rank: searched over ``rates`` where tuned, else at the last of them alone."""
    draws, rows = np.random.default_rng(number), []
    for rank in RANKS:
        for rate in rates if rank in tuned else rates[-1:]:
            for seed in range(seeds):
                value = accuracy(rank) + 0.02 * seed + noise * draws.standard_normal()
                selected = rate == rates[-1] if rank in tuned else None
                rows.append({"seed": seed, "rank": rank, "learning_rate": rate, "selected": selected})
                rows[-1]["test_accuracy"] = value if selected is not False else None
    return pd.DataFrame(rows).astype({"selected": "boolean"})


def line(rank):
    return 0.5 + 0.02 * np.log2(rank)


def saturating(rank):
    return 0.5 + 0.06 * min(np.log2(rank), 1.5)


def test_a_curve_over_a_rate_that_was_tuned_at_one_rank_is_refused():
    """Rank 64 at the rate of rank 8 is a learning rate's effect, which a curve would call the rank's."""
    with pytest.raises(AtlasError, match=r"the learning rate was not tuned at rank = 16 \(0 rates tried\)"):
        tuned_curve(runs(line, tuned=(1, 2, 4, 8)), "rank", 0.95)


def test_a_chosen_rate_without_a_search_is_no_tuned_rate():
    with pytest.raises(AtlasError, match=r"not tuned at rank = 1 \(1 rates tried\)"):
        tuned_curve(runs(line, rates=(0.01,)), "rank", 0.95)


def test_one_rate_for_all_says_so_and_is_refused_where_it_was_tuned_at_some():
    untuned = runs(line, rates=(0.01,), tuned=())
    assert one_rate_curve(untuned, "rank", 0.95).condition == "at one learning rate of 0.01, tuned for none"
    with pytest.raises(AtlasError, match="allowed: one rate, tuned for none"):
        one_rate_curve(runs(line, rates=(0.01,), tuned=(8,)), "rank", 0.95)
    with pytest.raises(AtlasError, match="allowed: one rate, tuned for none"):
        one_rate_curve(pd.concat([untuned, untuned.assign(learning_rate=0.1)]), "rank", 0.95)


def test_a_slope_is_refused_where_a_line_does_not_fit_and_steps_are_given():
    curve = tuned_curve(runs(saturating), "rank", 0.95)
    with pytest.raises(AtlasError, match="a straight line does not fit"):
        curve.slope()
    assert curve.step(1, 4).mean == pytest.approx(0.09, abs=0.005)
    assert curve.step(4, 16).mean == pytest.approx(0.0, abs=0.005)


def test_a_slope_is_given_where_a_line_fits():
    curve = tuned_curve(runs(line), "rank", 0.95)
    slope = curve.slope()
    assert slope.mean == pytest.approx(0.02, abs=0.002)
    assert slope.low < 0.02 < slope.high


def test_two_values_have_a_step_and_no_slope():
    two = runs(line)
    with pytest.raises(AtlasError, match="report steps"):
        tuned_curve(two[two["rank"] <= 2], "rank", 0.95).slope()


def test_a_mean_over_another_setting_is_missing_where_a_run_is():
    first, second = runs(line, number=1).assign(alpha=1.0), runs(line, number=2).assign(alpha=4.0)
    second.loc[(second["seed"] == 3) & (second["rank"] == 4), "test_accuracy"] = None
    table = tuned_curve(pd.concat([first, second]), "rank", 0.95, over=("alpha",)).table
    assert table.isna().sum().sum() == 1
    chosen = [part[part["selected"] & (part["seed"] == 5) & (part["rank"] == 8)] for part in (first, second)]
    assert table.loc[5, 8] == pytest.approx(np.mean([part["test_accuracy"].iloc[0] for part in chosen]))


@pytest.mark.parametrize("seeds", [4, 12])
def test_the_test_of_fit_rejects_a_true_line_as_often_as_its_level_says(seeds):
    """Errors of a seed are correlated and of unequal size where there are seeds enough for Hotelling's test."""
    draws, x = np.random.default_rng(0), np.arange(6.0)
    spread = np.array([1, 3, 1, 2, 1, 2]) if seeds > 6 else np.ones(6)
    p = []
    for _ in range(1500):
        own = draws.standard_normal((seeds, 1))
        p.append(lack_of_fit_p(x, 0.7 * x + 3 * own + spread * draws.standard_normal((seeds, 6))))
    assert np.mean(np.array(p) < 0.05) == pytest.approx(0.05, abs=0.017)


def test_an_exact_line_fits_and_an_exact_curve_does_not():
    x = np.arange(5.0)
    seeds = np.arange(8.0)[:, None]
    assert lack_of_fit_p(x, 0.1 + 0.3 * x + seeds) == 1.0
    assert lack_of_fit_p(x, x**2 + seeds) < 1e-9
    assert lack_of_fit_p(x[:2], seeds + x[:2]) is None


def finding(detail, effect):
    return Finding("answer", "x", "s", "?", "here", "measured", "runs", detail, effect=effect)


def test_nothing_is_called_indistinguishable_without_what_would_have_been_detected():
    said = "A is statistically indistinguishable from B"
    with pytest.raises(AtlasError, match="without the smallest detectable difference"):
        finding(f"{said}.", Effect(0.1, "points", -1, 1))
    with pytest.raises(AtlasError, match="without the smallest detectable difference"):
        finding(f"{said}.", Effect(0.1, "points", -1, 1, detectable=1.4))
    with pytest.raises(AtlasError, match="without the smallest detectable difference"):
        finding(f"{said} (detectable with 80 % power: 1.4 points).", None)
    effect = Effect(0.1, "points", -1, 1, detectable=1.4)
    assert finding(f"{said} ({effect.detectable_in_words()}).", effect).detail.endswith("1.4 points).")
