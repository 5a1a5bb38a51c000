"""Summaries and comparisons on runs made by hand, with known answers."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from peft_atlas.analysis.contrasts import EXPLORATORY, Comparison, Levels, by_seed, compare
from peft_atlas.analysis.summary import summarise
from peft_atlas.studies.notebook.contrasts import contrasts as notebook_contrasts
from peft_atlas.studies.notebook.contrasts import selected_cell
from peft_atlas.tables.contract import read_table, write_table
from peft_atlas.tables.schemas import CONTRASTS, CURVES, RUNS, SUMMARY


def row(experiment, task, method, seed, accuracy, rank=None, alpha=None, validation=None, epoch=None, epochs=2):
    shared = {
        "run_id": f"{experiment}/{task}/{method}/{rank}/{alpha}/{seed}",
        "study": "notebook",
        "experiment": experiment,
        "task": task,
        "model": "SimpleNN 4-8-2",
        "method": method,
        "rank": rank,
        "alpha": alpha,
        "scaling": alpha / rank if rank else None,
        "dropout": 0.1 if rank else None,
        "learning_rate": 1e-3,
        "train_examples": 16,
        "epochs": epochs,
        "trainable_params": 10,
        "params_percent": 10.0,
        "seed": seed,
        "train_loss": 0.5,
        "validation_loss": 0.5,
        "validation_accuracy": validation,
        "test_loss": 0.5,
        "test_accuracy": accuracy,
    }
    if epoch is not None:
        return {**CURVES.blank(), **shared, "epoch": epoch}
    status = {"status": "ok", "reason": None} if accuracy is not None else {"status": "diverged", "reason": "made so"}
    return {**RUNS.blank(), **shared, **status, "total_params": 20, "device": "cpu", "torch_version": "0"}


@pytest.fixture
def study(tmp_path):
    """Return runs and curves of three seeds: a baseline, both protocols, and a 2 x 2 sweep with a diverged run.

    Validation of the baseline is best after its first epoch, where test accuracy is 0.1 below the last epoch's.
    """
    runs = []
    for seed in range(3):
        base = 0.7 + 0.01 * seed
        for task in ("held_out", "as_published"):
            shift = 0.0 if task == "held_out" else -0.2
            seen = 0.7 if task == "held_out" else None
            runs.append(row("baseline", task, "full", seed, base + shift, validation=seen))
            runs.append(row("baseline", task, "LoRA", seed, base + shift + 0.02 + 0.001 * seed, 2, 4.0, seen))
        for rate, gain in ((1e-3, 0.0), (1e-2, 0.1)):
            for method, cell in (("full", (None, None)), ("LoRA", (2, 4.0))):
                won = (method == "LoRA") == (rate == 1e-2)
                lead = 0.03 if method == "LoRA" else 0.0
                tuned = row("tuned", "held_out", method, seed, base + gain + lead if won else None, *cell, 0.7)
                name = f"{tuned['run_id']}/{rate}"
                tuned |= {"run_id": name, "learning_rate": rate, "selected": won, "status": "ok", "reason": None}
                runs.append(tuned)
        runs.append(row("dropout_after_A", "held_out", "LoRA", seed, base, 2, 4.0))
        for rank in (1, 2):
            for alpha in (1.0, 4.0):
                lost = (rank, alpha, seed) == (1, 1.0, 2)
                value = None if lost else base + 0.01 * rank + 0.001 * alpha + 0.002 * seed * rank
                seen = None if lost else 0.6 + 0.01 * rank - 0.001 * alpha
                runs.append(row("sweep", "held_out", "LoRA", seed, value, rank, alpha, seen))
    shared = set(CURVES.schema().names)
    curves = [{**{k: v for k, v in run.items() if k in shared}, "epoch": epoch} for run in runs for epoch in (1, 2)]
    for point in curves:
        searched = point["experiment"] == "tuned" and point["selected"]
        if (point["experiment"] == "baseline" or searched) and point["epoch"] == 1 and point["task"] == "held_out":
            point["validation_accuracy"] = 0.8
            point["test_accuracy"] -= 0.1 if point["method"] == "full" else 0.05
    write_table(RUNS, runs, tmp_path / "runs.parquet")
    write_table(CURVES, curves, tmp_path / "curves.parquet")
    return read_table(RUNS, tmp_path / "runs.parquet"), read_table(CURVES, tmp_path / "curves.parquet")


def test_the_summary_counts_what_is_missing(study, tmp_path):
    write_table(SUMMARY, summarise(*study, 0.95), tmp_path / "summary.parquet")
    summary = read_table(SUMMARY, tmp_path / "summary.parquet")
    cell = summary[(summary["rank"] == 1) & (summary["alpha"] == 1) & (summary["metric"] == "test_accuracy")]
    last = cell[cell["epoch"] == 2].iloc[0]
    assert (last["n_runs"], last["n_ok"]) == (3, 2)
    assert last["mean"] == pytest.approx(np.mean([0.711, 0.723]))
    assert summary[(summary["task"] == "as_published") & (summary["metric"] == "validation_accuracy")].empty


def test_validation_selects_and_test_does_not(study):
    runs, _ = study
    assert selected_cell(runs) == (2, 1.0)
    sweep = runs[runs["experiment"] == "sweep"]
    best_on_test = sweep.groupby(["rank", "alpha"])["test_accuracy"].mean().idxmax()
    assert best_on_test != (2, 1.0)


def test_comparisons_are_paired_by_seed(study, tmp_path):
    runs, curves = study
    write_table(CONTRASTS, notebook_contrasts(runs, curves, Levels(0.95, 0.01)), tmp_path / "contrasts.parquet")
    contrasts = read_table(CONTRASTS, tmp_path / "contrasts.parquet")
    gain = contrasts[(contrasts["question"] == "lora_against_full") & (contrasts["task"] == "held_out")].iloc[0]
    assert gain["difference"] == pytest.approx(0.021)
    left = by_seed(runs, experiment="baseline", task="held_out", method="LoRA")
    right = by_seed(runs, experiment="baseline", task="held_out", method="full")
    assert gain["p_value"] == pytest.approx(stats.ttest_rel(left, right).pvalue)
    fix = contrasts[contrasts["question"] == "held_out_against_as_published"]
    assert fix["difference"].tolist() == pytest.approx([0.2, 0.2])
    sweep = contrasts[contrasts["question"] == "sweep_against_selected"]
    assert len(sweep) == 3
    lost = sweep[(sweep["rank"] == 1) & (sweep["alpha"] == 1)].iloc[0]
    assert lost["n"] == 2


def test_a_family_is_adjusted_together():
    seeds = pd.Index([0, 1, 2, 3], name="seed")
    right = pd.Series([0.1, 0.2, 0.3, 0.4], seeds)
    lefts = [right + np.array([0.01, 0.02, 0.01, 0.02]), right + np.array([0.5, 0.4, 0.5, 0.4])]
    rows = compare("s", [Comparison("q", "t", "m", i, None, "ref", left, right) for i, left in enumerate(lefts)], 0.95)
    p = sorted(r["p_value"] for r in rows)
    assert sorted(r["p_adjusted"] for r in rows) == pytest.approx([2 * p[0], max(2 * p[0], p[1])])
    assert rows[0]["adjustment"] == "Holm, 2 comparisons"


def test_one_seed_gives_no_test():
    one = pd.Series([0.5], pd.Index([0], name="seed"))
    got = compare("s", [Comparison("q", "t", "m", None, None, "ref", one, one)], 0.95)[0]
    assert got["indistinguishable"] is None
    assert got["p_adjusted"] is None


def test_an_exploratory_family_has_simultaneous_intervals_that_agree_with_its_verdicts():
    seeds, draws = pd.Index(range(8), name="seed"), np.random.default_rng(1)
    # As small as differences of accuracies: an interval is cut where one cannot be.
    right = pd.Series(0.1 * draws.normal(size=8), seeds)
    lefts = [right + 0.1 * draws.normal(shift, 1, size=8) for shift in (0, 0.5, 1, 1.5, 2)]
    rows = compare(
        "s",
        [Comparison("q", "t", "m", i, None, "r", left, right, role=EXPLORATORY) for i, left in enumerate(lefts)],
        0.95,
    )
    for row, left in zip(rows, lefts, strict=True):
        each = 1 - 0.95 ** (1 / 5)
        low, high = stats.ttest_1samp(left - right, 0).confidence_interval(1 - each)
        assert (row["low"], row["high"]) == pytest.approx((low, high))
        assert row["indistinguishable"] == (low <= 0 <= high)
        assert row["p_adjusted"] == pytest.approx(1 - (1 - row["p_value"]) ** 5, rel=1e-6)
        assert row["adjustment"] == "Sidak, 5 comparisons"
        assert "simultaneous over 5" in row["interval"]
    assert {row["indistinguishable"] for row in rows} == {True, False}


def test_exploratory_rows_do_not_touch_a_primary_family_and_are_adjusted_task_by_task():
    seeds, draws = pd.Index(range(6), name="seed"), np.random.default_rng(2)
    right = pd.Series(draws.normal(size=6), seeds)

    def made(task, method, role):
        return Comparison("q", task, method, None, None, "r", right + draws.normal(1, 1, size=6), right, role=role)

    primary = [made(task, "LoRA", "primary") for task in "ab"]
    others = [made(task, method, EXPLORATORY) for task in "ab" for method in ("x", "y", "z")]
    alone, together = compare("s", primary, 0.95), compare("s", [*others[:2], *primary, *others[2:]], 0.95)
    assert [row for row in together if row["role"] == "primary"] == alone
    assert {row["adjustment"] for row in together} == {"Holm, 2 comparisons", "Sidak, 3 comparisons"}
    # The rows keep the order of the comparisons.
    assert [row["method"] for row in together] == ["x", "y", "LoRA", "LoRA", "z", "x", "y", "z"]


def test_the_detectable_difference_is_that_of_the_adjusted_level():
    seeds = pd.Index(range(5), name="seed")
    right = pd.Series(0.0, seeds)
    left = pd.Series([0.1, 0.2, 0.3, 0.2, 0.1], seeds)
    one = compare("s", [Comparison("q", "t", "m", 1, None, "r", left, right)], 0.95)[0]
    two = compare("s", [Comparison("q", "t", "m", i, None, "r", left, right) for i in (1, 2)], 0.95)[0]
    for row, level in ((one, 0.05), (two, 0.025)):
        shift = row["detectable"] / (left.std() / 5**0.5)
        critical = stats.t.ppf(1 - level / 2, 4)
        assert 1 - stats.nct.cdf(critical, 4, shift) == pytest.approx(0.8, abs=2e-3)


def test_both_methods_are_stopped_where_their_validation_is_best(study):
    rows = pd.DataFrame(notebook_contrasts(*study, Levels(0.95, 0.01)))
    stopped = rows[rows["question"] == "lora_against_full_stopped"].iloc[0]
    # Epoch 1 of both: the last epoch's difference, 0.021, and 0.05 more.
    assert stopped["difference"] == pytest.approx(0.071)
    assert stopped["role"] == "exploratory"


def test_the_primary_question_is_asked_at_the_rate_that_was_chosen_for_each(study):
    rows = pd.DataFrame(notebook_contrasts(*study, Levels(0.95, 0.01)))
    tuned = rows[rows["question"] == "lora_against_full_tuned"].iloc[0]
    # LoRA at 0.01 gains 0.1 and 0.03 on the full model at 0.001; stopped after epoch 1 the full model loses 0.05 more.
    assert tuned["difference"] == pytest.approx(0.13 + 0.05)
    assert (tuned["role"], tuned["margin"], tuned["n"]) == ("primary", 0.01, 3)
    assert (rows.loc[rows["question"].str.startswith("lora_against_full"), "role"] == "primary").sum() == 1


def test_a_metric_that_was_never_read_is_no_row_of_the_summary(study):
    """A control that trains nothing has no training loss; a cell whose every run diverged is a row without a mean."""
    runs, curves = study
    control = (curves["experiment"] == "sweep") & (curves["rank"] == 2) & (curves["alpha"] == 1)
    lost = (curves["experiment"] == "sweep") & (curves["rank"] == 2) & (curves["alpha"] == 4)
    curves.loc[control, "train_loss"] = None
    measured = ["train_loss", "validation_loss", "validation_accuracy", "test_loss", "test_accuracy"]
    curves.loc[lost, measured] = None
    summary = pd.DataFrame(summarise(runs, curves, 0.95))
    sweep = summary[(summary["experiment"] == "sweep") & (summary["rank"] == 2) & (summary["epoch"] == 2)]
    assert "train_loss" not in set(sweep.loc[sweep["alpha"] == 1, "metric"])
    diverged = sweep[(sweep["alpha"] == 4) & sweep["metric"].isin(measured)]
    assert set(diverged["metric"]) == set(measured)
    assert set(diverged["n_ok"]) == {0}


def test_two_seeds_give_no_impossible_interval(tmp_path):
    left, right = pd.Series([0.2, 0.9]), pd.Series([0.8, 0.1])
    comparison = Comparison("q", "t", "LoRA", 8, 16.0, "full", left, right)
    found = compare("notebook", [comparison], 0.95)[0]
    assert (found["low"], found["high"]) == (-1, 1)
    assert stats.ttest_rel(left, right).confidence_interval(0.95).high > 8
    points = [row("baseline", "held_out", "full", seed, accuracy, epoch=2) for seed, accuracy in enumerate(left)]
    write_table(RUNS, [row("baseline", "held_out", "full", s, a) for s, a in enumerate(left)], tmp_path / "r.parquet")
    write_table(CURVES, points, tmp_path / "c.parquet")
    runs, curves = read_table(RUNS, tmp_path / "r.parquet"), read_table(CURVES, tmp_path / "c.parquet")
    means = pd.DataFrame(summarise(runs, curves, 0.95)).set_index("metric")
    assert means.loc["test_accuracy", ["low", "high"]].tolist() == [0, 1]
    assert means.loc["test_loss", "low"] >= 0
