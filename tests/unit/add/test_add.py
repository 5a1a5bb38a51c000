"""`peft-atlas add`: what it takes, what it refuses and why, and how the runs are compared."""

import csv
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from click.testing import CliRunner

from peft_atlas.cli import app
from peft_atlas.studies.added.compare import comparisons
from peft_atlas.studies.added.findings import detail
from peft_atlas.tables.added_schemas import ADDED_RUNS
from peft_atlas.tables.csv_source import read_csv_table, read_csv_tables
from peft_atlas.tables.record_schemas import BENCHMARK_RUNS

PUBLISHED = Path(__file__).parents[3] / "data/published/runs/benchmark_runs"
HEAD = "task,model,method,rank,seed,metric,split,score\n"
FULL = [0.90, 0.91, 0.905]
LORA = [0.895, 0.912, 0.901]
ROWS = HEAD + "".join(
    f"reviews,MiniLM,{method},{rank},{seed},accuracy,test,{score}\n"
    for method, rank, scores in (("full", "", FULL), ("LoRA", 8, LORA))
    for seed, score in enumerate(scores)
)


def benchmark_result(**changed):
    """Return a result file of peft's method comparison."""
    config = {"model_id": "meta-llama/Llama-3.2-3B", "dtype": "bfloat16", "batch_size": 4, "max_steps": 5000, "seed": 0}
    metric = changed.pop("metric", "test accuracy")
    status = changed.pop("status", "success")
    return {
        "run_info": {
            "created_at": "2026-10-01T00:00:00+00:00",
            "experiment_name": "mine/a",
            "train_config": {**config, "optimizer_kwargs": {"lr": 1e-4}, "autocast_adapter_dtype": True, **changed},
            "peft_config": {"peft_type": "MINE", "r": 16},
        },
        "train_info": {
            "accelerator_memory_max": 20_000_000_000,
            "train_time": 900.0,
            "file_size": 35,
            "num_trainable_params": 9,
            "num_total_params": 100,
            "status": status,
            "metrics": [{"train time": 400.0, "eval time": 5.0}, {metric: 0.485, "train loss": 0.6}],
        },
        "meta_info": {
            "package_info": {"transformers-version": "5.0", "torch-version": "2.9", "peft-version": "0.20"},
            "system_info": {"accelerator": "A GPU"},
        },
    }


@pytest.fixture
def add(tmp_path, monkeypatch):
    """Return a function that writes a file and adds it in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def added(file, content, *words, name="mine"):
        Path(file).write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        done = CliRunner().invoke(app, ["add", file, "--name", name, *words], catch_exceptions=True)
        return str(done.exception) if done.exception else done.output

    return added


def rows(name="mine"):
    return read_csv_table(ADDED_RUNS, Path(f"data/added/{name}.csv"))


def test_a_csv_file_becomes_rows_of_the_contract(add):
    assert add("runs.csv", ROWS) == "data/added/mine.csv: 6 runs. Next: peft-atlas report\n"
    assert rows()["score"].tolist() == [*FULL, *LORA]
    assert rows()["rank"].isna().tolist() == [True] * 3 + [False] * 3
    assert set(rows()["source"]) == {"runs.csv"}


def test_a_run_of_the_benchmark_keeps_what_its_file_says(add):
    add("mine--a.json", benchmark_result())
    row = rows().iloc[0]
    assert (row["task"], row["metric"], row["split"], row["score"]) == ("MetaMathQA", "accuracy", "test", 0.485)
    # The training steps alone; the file's train_time holds the evaluation too.
    assert (row["train_seconds"], row["rank"], row["steps"]) == (400.0, 16, 5000)


def test_a_trainers_last_evaluation_is_taken_not_its_best(add):
    state = {
        "global_step": 20,
        "train_batch_size": 8,
        "log_history": [
            {"learning_rate": 1e-3},
            {"eval_accuracy": 0.9, "eval_loss": 0.1},
            {"learning_rate": 5e-4},
            {"eval_accuracy": 0.8},
            {"train_runtime": 12.5},
        ],
    }
    words = ["--task", "t", "--model", "m", "--method", "LoRA", "--seed", "3", "--split", "test"]
    add("trainer_state.json", state, *words)
    row = rows().iloc[0]
    assert (row["score"], row["learning_rate"], row["steps"], row["train_seconds"]) == (0.8, 1e-3, 20, 12.5)
    assert "does not say --task, --model, --method, --seed, --split" in add("trainer_state.json", state)
    assert "no eval_f1; --metric can be one of accuracy, loss" in add(
        "trainer_state.json", state, *words, "--metric", "f1"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            ROWS.replace("reviews,MiniLM,LoRA", "reviews,MiniLM,IA3").replace(",test,", ",validation,"),
            "different splits",
        ),
        (ROWS.replace("LoRA", "IA3").replace("accuracy", "f1"), "scores of different metrics cannot be compared"),
        (ROWS, "the same run as data/added/first.csv:2"),
        (ROWS.replace("0.912", "91.2"), "more.csv:6: score = '91.2': allowed: a number from 0 to 1"),
        (ROWS.replace("accuracy", "loss"), "allowed: accuracy, exact_match, f1, similarity"),
        (ROWS.replace("seed", "sed"), "column 'sed': unknown"),
        (ROWS.replace("seed,", "").replace(",0,acc", ",acc"), "no column seed"),
    ],
)
def test_what_cannot_be_compared_is_refused_and_nothing_is_written(add, text, said):
    add("first.csv", ROWS, name="first")
    assert said in add("more.csv", text, name="more")
    assert not Path("data/added/more.csv").exists()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"max_steps": 200}, "steps = 200: cannot be compared with MetaMathQA, whose runs have 5000"),
        ({"model_id": "a/b"}, "model = a/b: cannot be compared with MetaMathQA"),
        ({"status": "cancelled"}, "status = 'cancelled': a run that did not end"),
        ({"metric": "test f1"}, "cannot be compared, its last metrics have none of: test accuracy (MetaMathQA)"),
    ],
)
def test_a_run_with_other_settings_than_the_benchmarks_is_refused(add, changed, said):
    assert said in add("r.json", benchmark_result(**changed))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "neither CSV nor JSON"),
        ([], "neither a trainer's state"),
        ({"log_history": 3}, "give these options"),
        ({"run_info": {}, "train_info": [], "meta_info": {}}, "not as a trainer or peft's method comparison writes it"),
        ({**benchmark_result(), "meta_info": {}}, "not a result of MetaMathQA"),
    ],
)
def test_a_file_of_another_kind_is_named_in_one_line(add, content, said):
    message = add("r.json", content)
    assert said in message
    assert "\n" not in message


def test_a_set_grows_and_can_be_replaced(add):
    add("runs.csv", ROWS)
    assert "7 runs" in add("more.csv", HEAD + "reviews,MiniLM,LoRA,8,9,accuracy,test,0.9\n")
    assert "1 runs" in add("more.csv", HEAD + "reviews,MiniLM,LoRA,8,9,accuracy,test,0.9\n", "--replace")


def test_a_difference_over_shared_seeds_has_the_interval_of_a_paired_t_test(add):
    add("runs.csv", ROWS)
    (found,) = comparisons(rows(), pd.DataFrame(columns=[c.name for c in BENCHMARK_RUNS.columns]), 0.95)
    expected = scipy.stats.ttest_rel(LORA, FULL)
    assert found.effect.size == pytest.approx(100 * (np.mean(LORA) - np.mean(FULL)))
    assert (found.effect.low, found.effect.high) == pytest.approx([100 * end for end in expected.confidence_interval()])
    assert "statistically indistinguishable from it (detectable with 80 % power" in detail(found)


def test_single_runs_have_no_interval_and_no_mark(add):
    add("runs.csv", HEAD + "t,m,full,,0,accuracy,test,0.9\nt,m,LoRA,8,0,accuracy,test,0.8\n")
    (found,) = comparisons(rows(), pd.DataFrame(columns=[c.name for c in BENCHMARK_RUNS.columns]), 0.95)
    assert (found.effect.size, found.effect.low) == (pytest.approx(-10), None)
    assert "indistinguishable" not in detail(found)
    assert "no interval" in detail(found)


def test_a_run_of_the_benchmark_is_judged_by_the_noise_of_its_reruns(add):
    add("mine--a.json", benchmark_result())
    full, lora = comparisons(rows(), read_csv_tables(BENCHMARK_RUNS, PUBLISHED), 0.95)
    with (PUBLISHED / "metamathqa.csv").open(encoding="utf-8") as stream:
        newest = {
            row["experiment"]: float(row["score"])
            for row in csv.DictReader(stream)
            if row["in_newest_commit"] == "true"
        }
    assert lora.effect.size == pytest.approx(48.5 - 100 * newest["lora/llama-3.2-3B-rank32"])
    assert full.effect.size == pytest.approx(48.5 - 100 * newest["full-finetuning/llama-3.2-3B-lr_0.00001"])
    # Two runs of this benchmark at one seed were up to 4.4 points apart.
    assert 2 < lora.effect.high - lora.effect.size < 4.4
    assert "not known whether the software was the same" in detail(lora)
