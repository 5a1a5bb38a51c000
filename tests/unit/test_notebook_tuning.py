"""The baseline at tuned learning rates: what is chosen, what is read, and that it is the baseline at the same rate."""

import numpy as np
import pandas as pd
import pytest

from peft_atlas.studies.notebook.config import NotebookConfig
from peft_atlas.studies.notebook.train import Block, train_baseline
from peft_atlas.studies.notebook.tuning import chosen_rate, train_tuned

RATES = (1e-3, 1e-2)
SEEDS = tuple(range(11))  # more than train together


@pytest.fixture(scope="module")
def block():
    data = {"features": 8, "train_examples": 48, "validation_examples": 40, "test_examples": 40}
    values = {
        "data": {**data, "published_test_examples": 16},
        "hidden_features": 8,
        "baseline": {"rank": 2, "alpha": 4.0, "epochs": 3},
        "tuning": {"learning_rates": RATES},
        "learning_rate": 1e-2,
    }
    return Block(NotebookConfig.model_validate(values), "held_out", SEEDS, "cpu")


@pytest.fixture(scope="module")
def tuned(block):
    runs, curves = train_tuned(block)
    return pd.DataFrame(runs), pd.DataFrame(curves)


def test_the_rate_is_chosen_by_the_best_epoch_of_each_run(tuned):
    runs, curves = tuned
    for method, rows in curves.groupby("method"):
        best = rows.groupby(["learning_rate", "seed"])["validation_accuracy"].max().groupby("learning_rate").mean()
        chosen = runs[(runs["method"] == method) & runs["selected"]]
        assert set(chosen["learning_rate"]) == {best.idxmax()}
        assert sorted(chosen["seed"]) == list(SEEDS)
        assert chosen["edge"].all()  # of two rates both are ends


def test_test_is_read_at_the_chosen_rate_alone(tuned):
    for rows in tuned:
        assert rows.loc[~rows["selected"], ["test_loss", "test_accuracy"]].isna().all().all()
        assert rows.loc[rows["selected"], ["test_loss", "test_accuracy"]].notna().all().all()
    assert tuned[0].loc[~tuned[0]["selected"], "edge"].isna().all()


def test_a_run_is_the_baselines_at_the_same_rate(block, tuned):
    baseline = pd.DataFrame(train_baseline(block)[1]).query("experiment == 'baseline'")
    same = tuned[1][tuned[1]["learning_rate"] == block.config.learning_rate]
    keys = ["method", "seed", "epoch"]
    left, right = (rows.set_index(keys)["validation_loss"].sort_index().astype(float) for rows in (same, baseline))
    np.testing.assert_allclose(left, right, rtol=1e-5)


def test_a_rate_at_which_a_run_diverges_at_once_is_not_chosen():
    def points(rate, seed, *accuracies):
        return [{"learning_rate": rate, "seed": seed, "validation_accuracy": value} for value in accuracies]

    rows = [*points(0.1, 0, 0.9, 0.9), *points(0.1, 1, None, None), *points(0.01, 0, 0.6), *points(0.01, 1, 0.7)]
    assert chosen_rate(rows) == 0.01
    # One that diverges later was stopped before.
    assert chosen_rate([*rows[:2], *points(0.1, 1, 0.9, None), *rows[4:]]) == 0.1
    assert chosen_rate(points(0.1, 0, None)) == 0.1
