"""The best rate by batch size and Welch's interval, against scipy on values with the printed moments."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from peft_atlas.studies.record.batch import batch_findings, best_by_batch
from peft_atlas.studies.record.data import load_record


def sample(mean, sd):
    """Return three values with this mean and standard deviation."""
    return mean + sd * np.array([-1.0, 0.0, 1.0])


def rows(cells):
    """Return a row per method, batch size and rate."""
    return pd.DataFrame(
        [
            {
                "study": "lr_matters_batch", "model": "m", "data": "d", "method": method, "rank": 8,
                "batch_size": size, "learning_rate": rate, "mean": mean, "sd": sd, "runs": 3,
            }
            for method, size, rate, mean, sd in cells
        ]
    )  # fmt: skip


def test_the_interval_between_best_and_worst_is_welchs():
    found = batch_findings(
        rows([("LoRA", 16, 1e-4, 20.0, 0.3), ("LoRA", 16, 1e-3, 5.0, 1.0), ("X", 16, 1e-3, 21.0, 0.6)])
    )
    expected = stats.ttest_ind(sample(21.0, 0.6), sample(20.0, 0.3), equal_var=False).confidence_interval(0.95)
    assert (found[0].effect.low, found[0].effect.high) == pytest.approx((expected.low, expected.high))
    assert found[0].effect.size == pytest.approx(1.0)


def test_the_picture_says_that_the_best_rate_rises_with_the_batch(root):
    means = load_record(root / "data/published/runs")["rate_means"]
    assert len(means) == 5 * 3 * 12
    assert set(means["how_read"]) == {"picture, read twice at two sizes"}
    best = best_by_batch(means).set_index(["method", "batch_size"])["learning_rate"]
    by_hand = {}
    for row in means.itertuples():
        top = by_hand.get((row.method, row.batch_size))
        by_hand[row.method, row.batch_size] = row if top is None or row.mean > top.mean else top
    assert best.to_dict() == {key: row.learning_rate for key, row in by_hand.items()}
    (found,) = batch_findings(means)
    assert "rises at every step in 5 of 5 methods" in found.detail


def test_without_rows_nothing_is_said():
    assert batch_findings(rows([("LoRA", 16, 1e-4, 20.0, 0.3)]).iloc[:0]) == []
