"""The findings on published runs, against plain loops over the rows and against totals counted by others."""

from __future__ import annotations

import csv
import itertools
import json
import math
import statistics

import numpy as np
import pandas as pd
import pytest
import scipy

from peft_atlas.analysis.evidence import rows_of
from peft_atlas.analysis.finding import Effect, as_rows
from peft_atlas.studies.findings import Given
from peft_atlas.studies.record.audit import audit
from peft_atlas.studies.record.conclusions import conclusions, verdict
from peft_atlas.studies.record.findings import findings
from peft_atlas.studies.record.hidden import full_runs, recounted
from peft_atlas.studies.record.images import dominators
from peft_atlas.studies.record.passes import Noise, changed_orders, math_runs, passes, reruns
from peft_atlas.studies.record.rates import averages, by_rate, tuned
from peft_atlas.studies.record.sweep import best_rates, cells, direction, one_rate_cost, repeats
from peft_atlas.tables.contract import write_table
from peft_atlas.tables.schemas import FINDINGS

FULL, LORA = "full-finetuning/llama-3.2-3B-lr_0.00001", "lora/llama-3.2-3B-rank32"


@pytest.fixture(scope="module")
def rows(root):
    """Return the runs of the mathematical benchmark as plain dictionaries of text, read by nothing of the library."""
    found = []
    for name in ("metamathqa", "metamathqa_unmerged"):
        with (root / f"data/published/runs/benchmark_runs/{name}.csv").open(encoding="utf-8", newline="") as stream:
            found += list(csv.DictReader(stream))
    return sorted(found, key=lambda row: row["run_date"])


def pass_of(rows, month, request=""):
    """Return the accuracy in percent of the last run of each experiment in one month."""
    return {
        row["experiment"]: 100 * float(row["score"])
        for row in rows
        if row["run_date"].startswith(month) and row["pull_request"] == request
    }


# --- the benchmark ---


@pytest.mark.parametrize(
    ("month", "pairs", "sd", "largest"), [("june_2025", 25, 0.403, 1.668), ("january_2026", 38, 0.926, 4.397)]
)
def test_noise_of_reruns(found_here, record, rows, month, pairs, sd, largest):
    noise = found_here[f"record_noise_{month}"]
    assert (noise.verdict, noise.effect.n) == ("fail", pairs)
    assert noise.effect.size == pytest.approx(sd, abs=5e-4)
    assert f"the largest difference is {largest:.2f} points" in noise.detail
    if month == "january_2026":
        one, other = pass_of(rows, "2026-01", "2984"), pass_of(rows, "2026-01")
        squares = [(other[name] - one[name]) ** 2 for name in one if name in other]
        assert noise.effect.size == pytest.approx(math.sqrt(sum(squares) / len(squares) / 2))


def test_the_interval_of_the_noise_covers_as_often_as_it_says():
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(400):
        effect = Noise.of(pd.Series(rng.normal(0, 2**0.5, 20))).effect()
        hits += effect.low <= 1 <= effect.high
    assert 0.92 < hits / 400 < 0.98


def test_reruns_have_equal_settings_and_lie_within_a_week(record):
    pairs = reruns(math_runs(record["benchmark_runs"]))
    assert pairs.groupby("month").size().to_dict() == {"January 2026": 38, "June 2025": 25}
    # The one pair of July has other settings: 3,000 steps in place of 5,000.
    assert not (pairs["experiment"] == "adaptionprompt/llama-3.2-3B-lr_5e-3").any()
    assert pairs["days"].between(0, 7).all()


def test_drift_between_software_versions(found_here, rows):
    drift = found_here["record_drift_january_2026_july_2026"]
    before, after = pass_of(rows, "2026-01"), pass_of(rows, "2026-07")
    moved = [after[name] - before[name] for name in before if name in after]
    assert (drift.verdict, drift.effect.n, len(moved)) == ("fail", 38, 38)
    assert drift.effect.size == pytest.approx(statistics.fmean(moved))
    assert drift.effect.size == pytest.approx(-1.65, abs=5e-3)
    half = scipy.stats.t.ppf(0.975, 37) * statistics.stdev(moved) / 38**0.5
    assert drift.effect.low == pytest.approx(drift.effect.size - half)
    assert "36 of 37 experiments that changed fell" in drift.detail
    assert found_here["record_drift_june_2025_january_2026"].verdict == "pass"


def test_orders_change_within_one_version_as_often_as_between_two(found_here, rows):
    def flips(one, other):
        names = [name for name in one if name in other]
        pairs = list(itertools.combinations(names, 2))
        return sum((one[a] - one[b]) * (other[a] - other[b]) < 0 for a, b in pairs), len(pairs)

    january, request = pass_of(rows, "2026-01"), pass_of(rows, "2026-01", "2984")
    assert flips(request, january) == (41, 703)
    assert flips(january, pass_of(rows, "2026-07")) == (23, 703)
    assert "41 of 703 pairs" in found_here["record_order_rerun"].detail
    assert "23 of 703 pairs from January 2026 to July 2026" in found_here["record_order_versions"].detail
    for name in ("rerun", "versions"):
        assert "0 of them do so by more than 2.6 points" in found_here[f"record_order_{name}"].detail


def test_an_order_that_changes_beyond_the_noise_is_counted():
    before, after = (pd.DataFrame({"points": points}) for points in ([10.0, 20.0, 30.0], [21.0, 12.0, 30.5]))
    assert changed_orders(before, after) == (1, 3)
    assert changed_orders(before, after, 5.0) == (1, 3)
    assert changed_orders(before, after, 9.5) == (0, 3)


def test_time_by_steps_and_as_printed(found_here):
    detail = found_here["record_printed_time"].detail
    for words in ("1.73 and 2.93 in June 2025", "2.25 and 3.05 in January 2026 and", "2.28 and 3.10 in July 2026"):
        assert words in detail
    assert "5 of 62 other runs are slower than full fine-tuning by the first and 2 by the second" in detail
    time = found_here["record_time"].effect
    assert time.size == pytest.approx(0.331, abs=1e-3)
    assert time.high < 1


def test_forgetting_turns_round_with_its_definition(found_here, rows):
    """Only values under one letter are compared, and only with full fine-tuning of the same pass."""
    by = {"B": [row for row in rows if row["run_date"].startswith("2026-01") and not row["pull_request"]]}
    by["C"] = [row for row in rows if row["run_date"].startswith("2026-07") and not row["pull_request"]]
    values = {
        letter: {
            row["experiment"]: float(row["forgetting"])
            for row in group
            if row["forgetting_definition"] == letter and float(row["score"]) >= 0.3
        }
        for letter, group in by.items()
    }
    shared = [name for name in values["B"] if name in values["C"] and name != FULL]
    less = {letter: sum(known[name] < known[FULL] for name in shared) for letter, known in values.items()}
    finding = found_here["record_forgetting"]
    assert f"{less['B']} of {len(shared)} by definition B against {less['C']} by C" in finding.detail
    assert (less["B"], less["C"], len(shared)) == (25, 4, 28)
    assert "Of all 50 under C, 5 do" in finding.detail


def test_ties_with_the_best_and_what_the_parameters_tell(found_here, rows):
    newest = [row for row in rows if row["in_newest_commit"] == "true"]
    scores = [float(row["score"]) for row in newest]
    best = max(scores)
    error = [math.sqrt((s * (1 - s) + best * (1 - best)) / 1319) for s in scores]
    tied = sum(best - s <= 1.959964 * e for s, e in zip(scores, error, strict=True))
    assert found_here["record_within_error"].effect.size == tied == 10
    full = next(float(row["score"]) for row in newest if row["experiment"] == FULL)
    assert sum(score > full for score in scores) == 17
    detail = found_here["record_parameters_tell"].detail
    assert "+0.57 with accuracy (62 runs), +0.30 with peak memory (51 runs) and +0.08 with printed time" in detail
    assert "17 of 62 runs are above full" in detail


def test_full_fine_tuning_against_lora_is_not_decided(found_here, rows):
    claim = found_here["record_conclusion_full_above_lora"]
    months = (("2025-06", ""), ("2026-01", "2984"), ("2026-01", ""), ("2026-07", ""))
    gaps = [known[FULL] - known[LORA] for known in (pass_of(rows, *month) for month in months)]
    assert claim.verdict == "undecided"
    assert claim.effect.size == pytest.approx(statistics.fmean(gaps))
    assert "What would decide it: " in claim.detail
    assert claim.effect.detectable > 0
    mlp = found_here["record_conclusion_mlp_above_attention"]
    assert mlp.verdict == "supported"
    assert "+4.4 in January 2026 (pull request 2984), +2.0 in January 2026 and +1.6 in July 2026" in mlp.detail
    # A tenfold rate, but the weight decay was changed with it.
    assert "weight decay (not set and 0.1) too" in found_here["record_conclusion_ia3_rate"].detail


@pytest.mark.parametrize(
    ("values", "low", "high", "expected"),
    [
        ({"a": 1.0, "b": 2.0}, 0.5, 2.5, "supported"),
        ({"a": -1.0, "b": -2.0}, -2.5, -0.5, "contradicted"),
        ({"a": 3.0, "b": -0.1}, 0.5, 2.5, "undecided"),
        ({"a": 1.0, "b": 2.0}, -0.5, 3.5, "undecided"),
    ],
)
def test_a_conclusion_needs_every_pass_and_the_interval(values, low, high, expected):
    assert verdict(values, Effect(0.0, "points", low, high)) == expected


def test_verdicts_follow_the_rows(record):
    """Full fine-tuning made better by 10 points in every pass is above LoRA; equal versions do not drift."""
    runs = record["benchmark_runs"].copy()
    runs.loc[runs["experiment"] == FULL, "score"] += 0.1
    found = {finding.id: finding for finding in conclusions(runs)}
    assert found["record_conclusion_full_above_lora"].verdict == "supported"
    assert found["record_survives"].effect.size == 6
    january = runs[runs["transformers"] == "4.57.1"].assign(transformers="9.9", pull_request=pd.NA)
    moved = january.assign(run_date=january["run_date"].str.replace("2026-01", "2026-09"))
    after = {finding.id: finding for finding in audit(pd.concat([runs, moved], ignore_index=True))}
    assert after["record_drift_january_2026_september_2026"].effect.size == pytest.approx(0, abs=0.2)


def test_checks_pass_where_there_is_nothing_to_find(record):
    runs = record["benchmark_runs"].copy()
    runs["train_seconds"] = runs["step_seconds_sum"]
    known = runs[runs["forgetting_definition"] == "B"].drop_duplicates("experiment", keep="last")
    before = runs["experiment"].map(known.set_index("experiment")["forgetting"])
    runs.loc[runs["forgetting_definition"] == "C", "forgetting"] = before
    found = {finding.id: finding for finding in audit(runs)}
    assert found["record_printed_time"].verdict == "pass"
    assert found["record_forgetting"].verdict == "pass"
    assert "0 % of it at the median" in found["record_printed_time"].detail


def test_passes_keep_the_last_run_of_each_experiment(record):
    found = passes(math_runs(record["benchmark_runs"]))
    assert {name: len(each) for name, each in found.items()} == {
        "June 2025": 32,
        "January 2026 (pull request 2984)": 38,
        "January 2026": 40,
        "April 2026": 14,
        "July 2026": 63,
    }
    assert all(each.index.is_unique for each in found.values())


# --- images ---


def test_one_method_beats_lora_on_images_in_all_three(record, found_here):
    assert found_here["record_images"].effect.size == 1
    assert "oft/flux2-klein-default (similarity 0.708" in found_here["record_images"].detail
    made = pd.DataFrame(
        {
            "score": [0.5, 0.6, 0.6, 0.7],
            "trainable_params": pd.array([10, 9, 11, 9], dtype="Int64"),
            "memory_max_reserved_bytes": pd.array([10, 10, 9, None], dtype="Int64"),
        },
        index=["lora", "better", "larger", "unknown"],
    )
    assert list(dominators(made, "lora").index) == ["better"]


# --- rates ---


def test_the_195_runs(record, found_here):
    runs = averages(record["rate_runs"])
    assert len(runs) == 195
    best = tuned(runs).set_index("method")["mean"].to_dict()
    printed = {"LoRA": 49.60, "DoRA": 49.45, "PiSSA": 49.43, "InitAB": 49.29, "MiLoRA": 49.17}
    assert best == pytest.approx(printed, abs=0.0051)
    means = by_rate(runs)
    assert means.idxmax(axis=1).value_counts().to_dict() == {"PiSSA": 7, "LoRA": 5, "DoRA": 1}
    gap = means["PiSSA"] - means["LoRA"]
    assert (round(gap[6.32e-6], 2), round(gap[2e-4], 2)) == (16.17, -5.76)
    answer = found_here["record_rates"]
    assert answer.effect.size == pytest.approx(0.43, abs=5e-3)
    assert answer.effect.low < 0 < answer.effect.high
    assert found_here["record_printed_moments"].verdict == "pass"
    assert found_here["record_papers_tune"].detail.startswith("1 of 64 try several of all three; 46 one learning rate")


def test_a_wrong_printed_mean_is_found(record):
    from peft_atlas.studies.record.rates import rate_findings

    rates = record["rate_runs"].copy()
    rates.loc[rates["printed_mean"].first_valid_index(), "printed_mean"] += 0.1
    found = {finding.id: finding for finding in rate_findings(rates)}
    assert found["record_printed_moments"].verdict == "fail"
    assert "129 of 130 means" in found["record_printed_moments"].detail


# --- the sweep ---


def test_the_best_rate_never_falls_with_rank(root, found_here):
    """The same, by plain loops over the file."""
    losses: dict[str, dict[int, dict[float, list[float]]]] = {}
    path = root / "data/published/runs/rate_runs/tinker_sft.csv"
    with path.open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            ranks = losses.setdefault(row["model"], {})
            ranks.setdefault(int(row["rank"]), {}).setdefault(float(row["learning_rate"]), []).append(
                float(row["score"])
            )
    kinds = {"same": 0, "up": 0, "down": 0, "both": 0}
    better = steps = 0
    for ranks in losses.values():
        means = {r: {rate: statistics.fmean(v) for rate, v in by.items()} for r, by in sorted(ranks.items())}
        rates = [min(by, key=by.get) for by in means.values()]
        bests = [min(by.values()) for by in means.values()]
        rise = any(b > a for a, b in itertools.pairwise(rates))
        fall = any(b < a for a, b in itertools.pairwise(rates))
        kinds["both" if rise and fall else "up" if rise else "down" if fall else "same"] += 1
        better += sum(b < a for a, b in itertools.pairwise(bests))
        steps += len(bests) - 1
    assert kinds == {"same": 17, "up": 17, "down": 0, "both": 1}
    assert (better, steps) == (87, 91)
    detail = found_here["record_rate_with_rank"].detail
    assert (
        "the same at every rank in 17, rising with rank in 17, falling with rank in 0 and rising and falling in 1"
        in detail
    )
    assert "87 of 91 steps" in found_here["record_higher_rank_lower_loss"].detail
    assert found_here["record_rate_independent_of_rank"].verdict == "contradicted"
    assert found_here["record_rate_falls_with_rank"].verdict == "contradicted"
    assert found_here["record_diverged"].effect.size == 110


def test_what_one_rate_for_all_ranks_costs(record):
    costs = one_rate_cost(cells(record["rate_runs"]))
    assert len(costs) == 34
    assert costs.max() == pytest.approx(2.13, abs=5e-3)
    assert costs.median() == pytest.approx(0.03, abs=5e-3)
    made = pd.DataFrame(
        [("m", 1, 1e-4, 1.0), ("m", 1, 1e-3, 1.1), ("m", 8, 1e-4, 2.0), ("m", 8, 1e-3, 1.6)],
        columns=["model", "rank", "learning_rate", "nll"],
    )
    # The larger rate costs rank 1 a tenth, the smaller costs rank 8 a quarter.
    assert one_rate_cost(made)["m"] == pytest.approx(10.0)
    assert list(best_rates(made)["learning_rate"]) == [1e-4, 1e-3]


def test_how_a_series_of_rates_moves():
    assert direction([1, 1, 1]) == "the same at every rank"
    assert direction([1, 1, 3]) == "rising with rank"
    assert direction([3, 1, 1]) == "falling with rank"
    assert direction([1, 3, 1]) == "rising and falling"


def test_cells_that_were_run_twice(record):
    assert len(repeats(record["rate_runs"])) == 66


# --- hidden settings ---


def test_counts_that_need_the_unembedding(found_here):
    finding = found_here["record_counts_need_unembedding"]
    assert (finding.verdict, finding.effect.size, finding.effect.n) == ("fail", 4, 4)
    for number in ("486,866,944", "251,985,920", "704,970,752"):
        assert number in finding.detail


def test_listed_counts_follow_from_the_shapes(record, found_here):
    """By hand for Llama-3.2-1B: 16 layers of width 2048, inner 8192, keys and values 512 wide, vocabulary 128,256."""
    finding = found_here["record_counts_of_models"]
    assert (finding.verdict, finding.effect.n) == ("pass", 24)
    row = recounted(record["adapter_counts"]).set_index("model").loc["meta-llama/Llama-3.2-1B"]
    assert row["mlp_recounted"] == 16 * 3 * (2048 + 8192)
    assert row["attention_recounted"] == 16 * (2 * (2048 + 2048) + 2 * (2048 + 512))
    assert row["unembedding_recounted"] == 2048 + 128_256


def test_peaks_below_eight_bytes_per_parameter(record, found_here):
    runs = full_runs(record["training_runs"]).set_index("model")
    # Of Llama-3.2-1B by hand: 1,235,814,400 parameters.
    assert runs.loc["Llama-3.2-1B", "floor_bytes"] == 8 * 1_235_814_400
    assert found_here["record_peaks_below_floor"].effect.size == 3
    assert "Llama-3.2-3B with 16.5 of 25.7 GB" in found_here["record_peaks_below_floor"].detail


# --- all ---


def test_every_finding_keeps_to_its_contract_and_selects_rows(record, found_here, tmp_path):
    table = as_rows(found_here.values())
    write_table(FINDINGS, table, tmp_path / "findings.parquet")
    for finding in found_here.values():
        assert all(len(part) for part in rows_of(finding.evidence, record | {"findings": table})), finding.id
        assert finding.detail
        assert finding.effect.n
        assert (finding.effect.low is None) == (finding.effect.interval is None), finding.id
    assert json.dumps(list(found_here))


@pytest.mark.parametrize(
    "source",
    ["metamathqa", "metamathqa_unmerged", "image_generation", "lr_matters", "tinker_sft", "rank_and_rate", "tinker",
     "lora_papers", "repositories"],
)  # fmt: skip
def test_a_source_that_is_taken_away_takes_its_findings_and_no_other(record, found_here, source):
    less = {name: rows[rows["table"] != source].reset_index(drop=True) for name, rows in record.items()}
    left = {finding.id: finding for finding in findings(Given(less, pd.DataFrame(), 0.95))}
    # The order of a rerun and one noise rest on runs that are in a pull request alone.
    assert set(left) < set(found_here)
    for finding in left.values():
        assert all(len(part) for part in rows_of(finding.evidence, less | {"findings": as_rows(left.values())}))
