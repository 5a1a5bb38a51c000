"""`peft-atlas refresh` on a small made-up repository with the layout of peft's."""

from __future__ import annotations

import json
import subprocess

import pytest
from click.testing import CliRunner

from peft_atlas.cli import app
from peft_atlas.errors import AtlasError
from peft_atlas.refresh.difference import columns_of, compare, read_rows
from peft_atlas.tables.csv_source import read_csv_table
from peft_atlas.tables.record_schemas import BENCHMARK_RUNS

RESULTS = {"MetaMathQA": "test accuracy", "image-gen": "test dino_similarity"}


def result(benchmark, experiment, date, score, **changed):
    """Return a result file as peft's harness writes it."""
    windows = [{"train loss": 0.7, "train time": 30.0 + place, "eval time": 5.0} for place in range(2)]
    interface = changed.pop("interface", "accelerator")
    return {
        "run_info": {
            "created_at": date,
            "experiment_name": experiment,
            "train_config": {
                "model_id": "a/model", "dtype": "bfloat16", "batch_size": 4, "max_steps": 500, "seed": 0,
                "optimizer_kwargs": {"lr": 1e-4}, "lr_scheduler": "cosine", "autocast_adapter_dtype": True,
            },
            "peft_config": changed.pop("adapter", {"peft_type": "LORA", "r": 8, "lora_alpha": 16, "use_dora": False,
                                                   "target_modules": ["v_proj", "q_proj"]}),
        },
        "train_info": {
            f"{interface}_memory_max": 1000, f"{interface}_memory_reserved_99th": 900, "train_time": 70.0,
            "file_size": 12, "num_trainable_params": 10, "num_total_params": 100, "status": "success",
            "metrics": [*windows, {RESULTS[benchmark]: score, "train loss": 0.6, **changed}],
        },
        "meta_info": {
            "package_info": {"transformers-version": "5.0", "torch-version": "2.9", "peft-version": "0.18"},
            "system_info": {"accelerator": "A GPU"},
        },
    }  # fmt: skip


class Repository:
    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()
        self.git("init", "-q")

    def git(self, *words):
        names = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
        done = subprocess.run(["git", "-C", self.folder, *names, *words], check=True, text=True, capture_output=True)
        return done.stdout.strip()

    def write(self, path, content):
        file = self.folder / "method_comparison" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(content), encoding="utf-8")

    def commit(self):
        self.git("add", "-A")
        self.git("commit", "-qm", "results")
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path):
    """Three commits: a first run; its rerun beside it; the rerun rewritten with other keys, and a method removed."""
    made = Repository(tmp_path / "clone")
    lora, full = "MetaMathQA/results/lora--a.json", "MetaMathQA/results/full-finetuning--b.json"
    made.write(lora, result("MetaMathQA", "lora/a", "2025-06-01T00:00:00+00:00", 0.5, interface="cuda"))
    made.write(full, result("MetaMathQA", "full-finetuning/b", "2025-06-02T00:00:00+00:00", 0.4, adapter=None))
    made.write("image-gen/results/lora--c.json", result("image-gen", "lora/c", "2026-01-01T00:00:00+00:00", 0.7))
    made.commits = [made.commit()]
    made.write(lora, result("MetaMathQA", "lora/a", "2026-01-01T00:00:00+00:00", 0.51, interface="cuda"))
    made.commits.append(made.commit())
    made.write(lora, result("MetaMathQA", "lora/a", "2026-01-01T00:00:00+00:00", 0.51, forgetting=0.1))
    made.git("rm", "-q", "method_comparison/" + full)
    made.write("MetaMathQA/experiments/lora/a/adapter_config.json", {})
    made.write("MetaMathQA/experiments/never/ran/adapter_config.json", {})
    made.commits.append(made.commit())
    return made


@pytest.fixture
def record(tmp_path):
    """A record without rows."""
    folder = tmp_path / "runs/benchmark_runs"
    folder.mkdir(parents=True)
    for name in ("metamathqa", "image_generation"):
        (folder / f"{name}.csv").write_text(",".join(columns_of(BENCHMARK_RUNS)) + "\n", encoding="utf-8")
    return tmp_path / "runs"


def refresh(repository, record, *words):
    return CliRunner().invoke(
        app, ["refresh", "peft", str(repository.folder), "--record", str(record), *words], catch_exceptions=False
    )


def rows(record, name="metamathqa"):
    return read_csv_table(BENCHMARK_RUNS, record / f"benchmark_runs/{name}.csv").set_index(["experiment", "run_date"])


def test_every_run_of_the_history_is_imported_once(repository, record):
    done = refresh(repository, record, "--write")
    assert done.exit_code == 0
    found = rows(record)
    assert list(found["score"]) == [0.4, 0.5, 0.51]
    first, again = (
        found.loc[("lora/a", "2025-06-01T00:00:00+00:00")],
        found.loc[("lora/a", "2026-01-01T00:00:00+00:00")],
    )
    assert (first["commit"], again["commit"]) == tuple(repository.commits[:2])
    assert (first["memory_max_reserved_bytes"], first["step_seconds_sum"], first["eval_seconds_sum"]) == (1000, 61, 10)
    assert (first["target_modules"], first["rank"], first["alpha"]) == ("q_proj|v_proj", 8, 16)
    assert list(found["in_newest_commit"]) == [False, False, True]
    full = found.loc[("full-finetuning/b", "2025-06-02T00:00:00+00:00")]
    assert full["peft_type"] == "FULL"
    assert rows(record, "image_generation")["metric"].tolist() == ["test_dino_similarity"]
    assert "experiments without a result: 1: never/ran" in done.output


def test_a_second_import_changes_nothing(repository, record):
    refresh(repository, record, "--write")
    before = {path: path.read_bytes() for path in record.rglob("*.csv")}
    done = refresh(repository, record, "--write")
    assert done.output.count("0 added, 0 changed, 0 gone") == 2
    assert {path: path.read_bytes() for path in record.rglob("*.csv")} == before


def test_rows_added_changed_and_gone_are_shown_and_nothing_is_lost(repository, record):
    refresh(repository, record, "--write")
    path = record / "benchmark_runs/metamathqa.csv"
    text = path.read_text(encoding="utf-8")
    header, first, second, third = text.splitlines()
    foreign = first.replace("full-finetuning/b", "gone/x")
    # A definition that was set by hand stays; the same number written differently is no change.
    judged = third.replace(",0.51,,,0.6,", ",0.5100,,B,0.6,").replace("0.0001", "1e-4")
    assert judged != third
    path.write_text("\n".join([header, second.replace(",500,", ",499,"), judged, foreign]) + "\n", encoding="utf-8")
    done = refresh(repository, record)
    assert "metamathqa.csv: 1 added, 1 changed, 1 gone" in done.output
    assert "+ full-finetuning/b 2025-06-02T00:00:00+00:00  test_accuracy 0.4" in done.output
    assert "~ lora/a 2025-06-01T00:00:00+00:00  steps: 499 -> 500" in done.output
    assert "- gone/x" in done.output
    assert path.read_text(encoding="utf-8").count(",499,") == 1  # shown, not written
    refresh(repository, record, "--write")
    after = rows(record)
    assert len(after) == 4
    assert after.loc[("lora/a", "2026-01-01T00:00:00+00:00"), "forgetting_definition"] == "B"


def test_a_result_that_is_not_one_is_named_and_nothing_is_written(repository, record):
    repository.write("image-gen/results/lora--d.json", {"run_info": {}})
    commit = repository.commit()
    with pytest.raises(AtlasError) as caught:
        refresh(repository, record, "--write")
    place = f"{commit[:12]}:method_comparison/image-gen/results/lora--d.json"
    assert str(caught.value).startswith(f"{place}: not a result of image-gen: KeyError")
    assert rows(record).empty


def test_a_value_outside_its_limits_is_named_before_anything_is_written(repository, record):
    repository.write("image-gen/results/lora--d.json", result("image-gen", "lora/d", "2026-02-01T00:00:00+00:00", 1.7))
    repository.commit()
    with pytest.raises(AtlasError, match=r"image_generation\.csv:3: score = '1\.7': allowed: a number from 0 to 1"):
        refresh(repository, record, "--write")
    assert rows(record).empty


def test_what_is_no_clone_or_a_shallow_one_is_refused(repository, record, tmp_path):
    (tmp_path / "empty").mkdir()
    shallow = tmp_path / "shallow"
    subprocess.run(["git", "clone", "-q", "--depth", "1", f"file://{repository.folder}", shallow], check=True)
    for folder, message in (
        (tmp_path / "empty", "not a clone that git can read"),
        (tmp_path / "nowhere", "not a clone that git can read"),
        (shallow, "a shallow clone; allowed: one with its history"),
    ):
        with pytest.raises(AtlasError, match=message) as caught:
            CliRunner().invoke(app, ["refresh", "peft", str(folder), "--record", str(record)], catch_exceptions=False)
        assert "\n" not in str(caught.value)


def test_the_shipped_rows_read_as_text_do_not_differ_from_themselves(root):
    path = root / "data/published/runs/benchmark_runs/metamathqa.csv"
    shipped = read_rows(BENCHMARK_RUNS, path)
    found = compare(shipped, shipped)
    assert (found.added, found.changed, found.gone) == ((), (), ())
    assert len(found.rows) == 184
