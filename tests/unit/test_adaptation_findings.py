"""Answers, claims and checks of the adaptation study on runs made by hand with known truths."""

import re

import numpy as np
import pandas as pd
import pytest

from peft_atlas.analysis.contrasts import Levels
from peft_atlas.studies.adaptation.answers import adaptation_answers
from peft_atlas.studies.adaptation.checks import adaptation_checks
from peft_atlas.studies.adaptation.claims import adaptation_claims
from peft_atlas.studies.adaptation.contrasts import (
    AGAINST_FULL,
    ALPHA,
    EQUAL_LEARNING,
    FORGETTING,
    LAYERS,
    PLACEMENT,
    POOLED_EQUAL_LEARNING,
    POOLED_FORGETTING,
    SATURATION,
)
from peft_atlas.studies.adaptation.contrasts import contrasts as adaptation_contrasts
from peft_atlas.studies.adaptation.edges import at_edge, chosen_ends, common_rates
from peft_atlas.studies.adaptation.equal_learning import kept_at_equal_learning
from peft_atlas.studies.adaptation.rank_answers import shift_curves
from peft_atlas.studies.notebook.random_base import random_base
from peft_atlas.tables.contract import read_table, write_table
from peft_atlas.tables.schemas import CONTRASTS, RUNS


def made_up(tmp_path, peak, alpha_effect=0.0, lora_less_full=0.0, leak=False):
    """Return runs and contrasts of a study whose truths are known, eight seeds with a little noise."""
    rows, noise = [], np.random.default_rng(0)

    def add(experiment, method, accuracy, rank=None, alpha=None, setting=None, source=0.6, rate=0.01, **other):
        for seed in range(8):
            value = accuracy + 0.01 * seed + 0.001 * noise.standard_normal()
            row = {
                **RUNS.blank(),
                "run_id": f"{experiment}/{method}/{setting}/{rank}/{alpha}/{rate}/{other}/{seed}",
                "study": "adaptation",
                "experiment": experiment,
                "task": f"shift of rank {other['shift_rank']}",
                "model": "m",
                "method": method,
                "setting": setting,
                "rank": rank,
                "alpha": alpha,
                "scaling": None if rank is None else alpha / rank,
                "learning_rate": rate,
                "selected": rate == 0.01,
                "train_examples": 100,
                "epochs": 1,
                "trainable_params": 1,
                "seed": seed,
                "status": "ok",
                "validation_accuracy": value - (0 if rate == 0.01 else 0.1 * (alpha or 0) / 16),
                "test_accuracy": value if rate == 0.01 or leak else None,
                "source_accuracy": source if rate == 0.01 else None,
                "total_params": 2,
                "device": "cpu",
                "torch_version": "0",
                **other,
            }
            rows.append(row)

    for shift in (2, 4):
        for rank in (1, 2, 4, 8):
            for rate in (0.01, 0.02):
                add("ranks", "LoRA", 0.5 + peak(rank, shift), rank, 2.0 * rank, rate=rate, shift_rank=shift)
        add("methods", "full", 0.6, source=0.5, shift_rank=shift)
        add("methods", "LoRA", 0.6 + lora_less_full, 8, 16.0, shift_rank=shift)
        add("methods", "no adaptation", 0.4, source=0.7, shift_rank=shift)
    for task, first, second, both in (("moved first", 0.0, -0.2, 0.0), ("moved second", -0.2, 0.0, 0.05)):
        add("placement", "full", 0.6, shift_rank=2, task=task)
        for setting, gap in (("fc1", first), ("fc2", second), ("fc1, fc2", both)):
            add("placement", "LoRA", 0.6 + gap, 2, 4.0, setting, shift_rank=2, task=task)
    for method in ("LoRA", "full"):
        add("shuffled_labels", method, 0.35, shift_rank=2)
    for alpha in (1.0, 4.0, 16.0):
        for rate in (0.01, 0.02, 0.03):
            add("alphas", "LoRA", 0.6 - alpha_effect * alpha, 4, alpha, "alpha / r", rate=rate, shift_rank=2)
    write_table(RUNS, rows, tmp_path / "runs.parquet")
    runs = read_table(RUNS, tmp_path / "runs.parquet")
    write_table(
        CONTRASTS, adaptation_contrasts(runs, pd.DataFrame(), Levels(0.95, 0.01)), tmp_path / "contrasts.parquet"
    )
    return runs, read_table(CONTRASTS, tmp_path / "contrasts.parquet")


def saturating(rank, shift):
    return 0.05 * np.log2(min(rank, shift))


def rising(rank, shift):
    return 0.05 * np.log2(rank)


def test_steps_on_both_sides_of_the_shift(tmp_path):
    runs = made_up(tmp_path, saturating)[0].query("experiment == 'ranks'")
    for each in shift_curves(runs, 0.95):
        assert each.below.size == pytest.approx(5 * np.log2(each.shift), abs=0.2)
        assert each.beyond.size == pytest.approx(0.0, abs=0.2)
        assert each.below.low > 0


def test_each_shift_is_reported_by_itself_where_they_differ_in_sign(tmp_path):
    def crossing(rank, shift):
        return (-0.02 if shift == 2 else 0.02) * np.log2(max(rank / shift, 1))

    runs, contrasts = made_up(tmp_path, crossing)
    answers = {answer.id: answer for answer in adaptation_answers(runs, contrasts, 0.95)}
    detail = answers["adaptation_saturation_100"].detail
    assert "falls for 1 and rises for 1 of 2 shifts" in detail
    assert re.search(r"-4\.\d \[.*?\] \(k = 2\), \+[12]\.\d \[.*?\] \(k = 4\)", detail)


@pytest.mark.parametrize(("truth", "verdict"), [(saturating, "supported"), (rising, "contradicted")])
def test_the_intrinsic_rank_claim_follows_the_slopes(tmp_path, truth, verdict):
    claims = {claim.id: claim for claim in adaptation_claims(*made_up(tmp_path, truth), 0.95)}
    assert claims["adaptation_intrinsic_rank"].verdict == verdict


@pytest.mark.parametrize(
    ("gap", "verdict", "words"),
    [
        (0.0, "supported", "equivalent within ±1 point on 2"),
        (-0.05, "contradicted", "worse on 2 of 2"),
        (0.05, "supported", "better on 2 of 2"),
    ],
)
def test_equivalence_and_difference_are_distinguished(tmp_path, gap, verdict, words):
    runs, contrasts = made_up(tmp_path, saturating, lora_less_full=gap)
    answers = {answer.id: answer for answer in adaptation_answers(runs, contrasts, 0.95)}
    assert words in answers["adaptation_equivalence"].detail
    claims = {claim.id: claim for claim in adaptation_claims(runs, contrasts, 0.95)}
    assert claims["adaptation_comparable_to_full"].verdict == verdict


@pytest.mark.parametrize(("effect", "verdict"), [(0.0, "contradicted"), (0.01, "supported")])
def test_alpha_is_judged_at_tuned_rates(tmp_path, effect, verdict):
    runs, contrasts = made_up(tmp_path, saturating, alpha_effect=effect)
    claims = {claim.id: claim for claim in adaptation_claims(runs, contrasts, 0.95)}
    assert claims["adaptation_alpha_matters_when_tuned"].verdict == verdict
    answer = {a.id: a for a in adaptation_answers(runs, contrasts, 0.95)}["adaptation_alpha"]
    assert answer.effect.size == pytest.approx(1500 * effect, abs=0.3)
    assert "At one learning rate of 0.02 for all" in answer.detail


def test_each_question_has_its_comparisons(tmp_path):
    contrasts = made_up(tmp_path, saturating)[1]
    counts = contrasts.groupby("question").size().to_dict()
    forgetting = {FORGETTING: 4, POOLED_FORGETTING: 1, EQUAL_LEARNING: 2, POOLED_EQUAL_LEARNING: 1}
    assert counts == {SATURATION: 6, AGAINST_FULL: 4, ALPHA: 2, PLACEMENT: 6, LAYERS: 2, **forgetting}
    kept = contrasts[(contrasts["question"] == FORGETTING) & (contrasts["method"] == "LoRA")]
    assert kept["difference"].tolist() == pytest.approx([0.1, 0.1])
    primary = contrasts[contrasts["role"] == "primary"]
    assert set(primary["method"]) == {"LoRA"}
    assert set(primary["question"]) == {AGAINST_FULL, ALPHA, PLACEMENT, *forgetting}


def test_the_checks_find_a_leak_and_a_test_that_was_read_early(tmp_path):
    sound = {check.id: check.verdict for check in adaptation_checks(made_up(tmp_path, saturating)[0], 0.95)}
    assert set(sound.values()) == {"pass"}
    runs = made_up(tmp_path, saturating, leak=True)[0]
    runs.loc[runs["experiment"] == "shuffled_labels", "test_accuracy"] += 0.2
    broken = {check.id: check.verdict for check in adaptation_checks(runs, 0.95)}
    assert broken["adaptation_test_read_once"] == "fail"
    assert broken["adaptation_shuffled_lora"] == "fail"


def test_the_random_base_is_fixed_where_the_study_ran(tmp_path):
    runs = made_up(tmp_path, saturating)[0]
    fixed, open_ = random_base(runs, 0.95), random_base(runs[:0], 0.95)
    assert (fixed.verdict, open_.verdict) == ("fixed", "open")
    assert fixed.effect.size == pytest.approx(20, abs=0.2)


def test_runs_that_are_equal_under_two_scalings_are_compared_once(tmp_path):
    runs = made_up(tmp_path, saturating)[0]
    alphas = runs[runs["experiment"] == "alphas"]
    # At rank 4 a scaling of alpha / sqrt(4) is that of twice the alpha over 4: alphas 2 and 8 are new, 0.5 is 1 / 4.
    again = alphas.assign(setting="alpha / sqrt(r)", alpha=alphas["alpha"] / 2)
    both = pd.concat([runs, again.assign(run_id=again["run_id"] + "/again")], ignore_index=True)
    rows = adaptation_contrasts(both, pd.DataFrame(), Levels(0.95, 0.01))
    compared = [row for row in rows if row["question"] == ALPHA]
    assert len(compared) == 2
    assert {row["adjustment"] for row in compared} == {"Holm, 2 comparisons"}


def test_a_rate_at_the_end_of_the_grid_is_marked_and_nothing_is_concluded_from_it(tmp_path):
    runs, contrasts = made_up(tmp_path, saturating)
    assert at_edge(runs, "methods") == set()  # one rate alone is no search
    other = runs[runs["experiment"] == "methods"].assign(learning_rate=0.02, selected=False, test_accuracy=None)
    runs = pd.concat([runs, other.assign(run_id=other["run_id"] + "/2")], ignore_index=True)
    assert ("LoRA", 2, 100) in at_edge(runs, "methods")
    answers = {answer.id: answer for answer in adaptation_answers(runs, contrasts, 0.95)}
    assert "rate of LoRA and full at the end of the grid" in answers["adaptation_equivalence"].detail
    assert "Not compared where their rate is an end of the grid: LoRA, full" in answers["adaptation_choice"].detail


def test_what_is_kept_of_the_source_is_pooled_by_seed(tmp_path):
    runs, contrasts = made_up(tmp_path, saturating)
    chosen = runs[(runs["experiment"] == "methods") & runs["selected"].fillna(value=True)]
    means = chosen.groupby(["method", "seed"])["source_accuracy"].mean()
    pooled = contrasts[contrasts["question"] == POOLED_FORGETTING].iloc[0]
    assert pooled["difference"] == pytest.approx((means["LoRA"] - means["full"]).mean())
    assert pooled["n"] == 8


def test_that_no_alpha_differs_is_no_evidence_of_equality(tmp_path):
    runs, _ = made_up(tmp_path, saturating)
    noise = np.random.default_rng(5)
    cells = (runs["experiment"] == "alphas") & runs["selected"].fillna(value=False)
    runs.loc[cells, "test_accuracy"] = 0.5 + 0.05 * noise.standard_normal(int(cells.sum()))
    contrasts = pd.DataFrame(adaptation_contrasts(runs, pd.DataFrame(), Levels(0.95, 0.01)))
    claims = {claim.id: claim for claim in adaptation_claims(runs, contrasts, 0.95)}
    assert claims["adaptation_alpha_matters_when_tuned"].verdict == "undecided"


def test_lora_on_both_layers_is_primary_and_each_layer_is_reported(tmp_path):
    runs, contrasts = made_up(tmp_path, saturating)
    placed = contrasts[contrasts["question"] == PLACEMENT]
    assert set(placed.loc[placed["role"] == "primary", "setting"]) == {"fc1, fc2"}
    layers = contrasts[contrasts["question"] == LAYERS].set_index("task")["difference"]
    assert layers.to_dict() == pytest.approx({"moved first": -0.2, "moved second": 0.2}, abs=0.003)
    detail = {a.id: a for a in adaptation_answers(runs, contrasts, 0.95)}["adaptation_placement"].detail
    assert "better than full fine-tuning on 1 and worse on 0 of 2 target tasks" in detail
    assert re.search(r"moved second: -20\.\d \[.*?\] in the first layer, \+4\.9 \[.*?\] in both", detail)


def path(method, points, chosen):
    """Return runs of two seeds that lie on a path of (rate, accuracy on the target, accuracy on the source)."""
    return pd.DataFrame(
        {
            **{"method": method, "seed": seed, "learning_rate": rate, "selected": rate == chosen},
            **{"validation_accuracy": target + 0.01 * seed, "source_accuracy": source + 0.01 * seed},
        }
        for rate, target, source in points
        for seed in (0, 1)
    )


def test_at_equal_learning_the_better_method_is_read_where_it_has_learnt_as_much():
    base = path("no adaptation", [(np.nan, 0.2, 0.9)], None).assign(selected=pd.NA)
    # Both lose half a point of the source per point of the target, but full fine-tuning goes further.
    lora = path("LoRA", [(0.1, 0.4, 0.8), (0.2, 0.6, 0.7), (0.4, 0.5, 0.3)], 0.2)
    full = path("full", [(0.1, 0.5, 0.75), (0.2, 0.7, 0.65), (0.4, 0.8, 0.6)], 0.4)
    left, right = kept_at_equal_learning(lora, full, base)
    assert left.tolist() == pytest.approx([0.7, 0.71])
    assert right.tolist() == pytest.approx([0.7, 0.71])
    # What has learnt least of all stands between no adaptation and its own best rate.
    small = path("LoRA", [(0.1, 0.3, 0.85)], 0.1)
    assert kept_at_equal_learning(small, full, base)[1].tolist() == pytest.approx([0.85, 0.86])


def test_every_cell_has_the_ends_of_its_own_grid():
    def cell(name, rates, chosen):
        row = {"experiment": "methods", "method": name, "setting": None, "rank": None, "alpha": None, "scaling": None}
        row |= {"shift_rank": 1, "train_examples": 100, "task": "t"}
        return [{**row, "learning_rate": rate, "selected": rate == chosen} for rate in rates]

    rows = pd.DataFrame([*cell("a", (1, 2, 4), 4), *cell("b", (1, 2, 4, 8), 4), *cell("c", (0.5, 1, 2, 4), 0.5)])
    found = chosen_ends(rows).set_index("method")["edge"].to_dict()
    assert (found["a"], found["c"]) == ("highest", "lowest")
    assert pd.isna(found["b"])
    assert common_rates(rows) == [1.0, 2.0, 4.0]


@pytest.mark.parametrize(("gap", "verdict"), [(0.1, "supported"), (-0.1, "contradicted")])
def test_that_lora_forgets_less_is_judged_at_equal_learning(tmp_path, gap, verdict):
    runs, _ = made_up(tmp_path, saturating)
    lora = (runs["experiment"] == "methods") & (runs["method"] == "LoRA")
    runs.loc[lora, "source_accuracy"] = 0.5 + gap
    contrasts = pd.DataFrame(adaptation_contrasts(runs, pd.DataFrame(), Levels(0.95, 0.01)))
    claim = {claim.id: claim for claim in adaptation_claims(runs, contrasts, 0.95)}["adaptation_forgets_less"]
    assert claim.verdict == verdict
    assert claim.effect.size == pytest.approx(100 * gap, abs=0.1)
