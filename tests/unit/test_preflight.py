"""What can be known before the first job is one line before it, and costs no finished result."""

import json
import shutil
from types import SimpleNamespace

import pandas as pd
import pytest
import torch

from peft_atlas.config import load_config
from peft_atlas.errors import AtlasError
from peft_atlas.studies.encoder import preflight as module
from peft_atlas.studies.encoder.checks import _end, _pair
from peft_atlas.studies.encoder.controls import control_runs
from peft_atlas.studies.encoder.data.account import read_account, write_account
from peft_atlas.studies.encoder.data.example_contract import EXAMPLES
from peft_atlas.studies.encoder.data.examples import Texts
from peft_atlas.studies.encoder.data.near import near_duplicates
from peft_atlas.studies.encoder.data.prepare import prepare
from peft_atlas.studies.encoder.data.sources import Source
from peft_atlas.studies.encoder.data.text import SplitSizes
from peft_atlas.studies.encoder.jobs import MAJORITY, TFIDF
from peft_atlas.studies.encoder.preflight import check_device, preflight
from peft_atlas.studies.encoder.text_checks import leakage_check, rows_check
from peft_atlas.studies.encoder.train import SettingJob, find_setting, train_setting
from peft_atlas.tables.contract import read_table, write_table
from peft_atlas.tables.schemas import RUNS
from peft_atlas.training.search import SearchPlan

SMALL = {"train_examples": 20, "validation_examples": 5, "test_examples": 10, "max_length": 16, "larger_budgets": []}


@pytest.fixture
def own(tmp_path, tiny_model):
    """Return what makes a configuration of a user's file and model, relative to a folder of theirs."""
    shutil.copytree(tiny_model, tmp_path / "model")
    frame = pd.DataFrame({"text": [f"text number {n}" for n in range(120)], "label": ["a", "b"] * 60})
    frame.to_csv(tmp_path / "mine.csv", index=False)

    def make(task=None, studies=("encoder",), **changes):
        tasks = [{"name": "mine", "file": "mine.csv", **(task or {})}]
        section = {**SMALL, "model": str(tmp_path / "model"), "tasks": tasks, **changes}
        return load_config({"studies": list(studies), "encoder": section})

    return make


def test_files_that_will_do_pass(own, tmp_path):
    preflight(own(), tmp_path)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"task": {"file": "other.csv"}}, r"other\.csv: no such file"),
        ({"task": {"label": "class"}}, r"mine\.csv: no column class; allowed: text, label"),
        ({"train_examples": 1000}, r"train_examples = 1000: allowed: at most \d+ of its 120"),
        (
            {"train_examples": 1000, "validation_examples": 300, "test_examples": 400},
            r"train_examples = 1000: .*; validation_examples = 300: .*; test_examples = 400: allowed: at most \d+ of",
        ),
        ({"larger_budgets": [{"train_examples": 500}]}, r"train_examples = 500: .* larger_budgets"),
        ({"max_length": 64}, r"encoder\.max_length = 64: allowed: at most 32, the positions"),
        ({"model": "/nowhere/bert"}, "encoder.model = '/nowhere/bert': no such folder"),
        ({"model": "all-MiniLM-L6-v2", "max_length": 4096}, "max_length = 4096: allowed: at most 512"),
    ],
)
def test_what_will_not_do_is_one_line(own, tmp_path, changes, words):
    with pytest.raises(AtlasError, match=words):
        preflight(own(**changes), tmp_path)


def test_a_study_that_is_left_out_is_not_looked_at(own, tmp_path):
    preflight(own({"file": "other.csv"}, studies=("notebook",)), tmp_path)


def test_a_broken_model_is_one_line(own, tmp_path):
    path = tmp_path / "model/config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "model_type": "gpt2"}))
    with pytest.raises(AtlasError, match=r"model_type = 'gpt2': allowed: bert"):
        preflight(own(), tmp_path)


def test_a_full_disk_is_one_line(own, tmp_path, monkeypatch):
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: SimpleNamespace(free=1_000_000))
    with pytest.raises(AtlasError, match="1 MB free; allowed: at least 100 MB"):
        preflight(own(), tmp_path)


def test_a_gpu_that_is_not_there_is_one_line(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    check_device(load_config({"device": "auto"}))
    with pytest.raises(AtlasError, match=r"device = 'cuda': this machine has no CUDA device; allowed here"):
        check_device(load_config({"device": "cuda"}))


@pytest.mark.parametrize(("text", "label"), [("text", "text"), ("label", "label")])
def test_one_column_is_not_text_and_label(own, text, label):
    with pytest.raises(AtlasError, match="text and label: two columns"):
        own({"text": text, "label": label})


def test_a_path_with_wildcards_of_snakemake_is_refused(own):
    with pytest.raises(AtlasError, match="a path without braces"):
        own({"file": "my {data} v2.csv"})


def texts_of(train, labels):
    """Return a task whose training pool is given; validation and test hold both classes."""
    held_out = [("validation", "x", "a"), ("validation", "y", "b"), ("test", "x", "a"), ("test", "y", "b")]
    rows = [("train", text, label) for text, label in zip(train, labels, strict=True)]
    return Texts(pd.DataFrame(rows + held_out, columns=["split", "text", "label"]), ("a", "b"))


@pytest.mark.parametrize(
    ("texts", "reason"),
    [
        (texts_of(["dark words", "warm words", "cold words"], "aaa"), "one class among the 3 training examples"),
        (texts_of(["😀", "😂 😍", "!"], "aba"), "no word among the 3 training examples"),
    ],
)
def test_a_control_that_cannot_be_fitted_costs_its_own_row(tmp_path, texts, reason):
    runs, curves = control_runs(texts, "mine", 3, (0, 1))
    write_table(RUNS, runs, tmp_path / "runs.parquet")
    found = read_table(RUNS, tmp_path / "runs.parquet").set_index(["method", "seed"])
    assert found.loc[TFIDF, "status"].tolist() == ["failed", "failed"]
    assert found.loc[TFIDF, "reason"].str.startswith(reason).all()
    assert found.loc[TFIDF, "test_accuracy"].isna().all()
    assert found.loc[MAJORITY, "status"].tolist() == ["ok", "ok"]
    assert len(curves) == 4


def test_the_report_has_the_account_of_rows_and_the_classes(tiny_model, tmp_path):
    lines = "".join(f"{n}\t{2 if n % 2 else -2}\tw{n} w{n + 1} elsewhere\n" for n in range(40))
    (tmp_path / "amazon.txt").write_text("id\tsentiment\ttext\n" + lines, encoding="latin-1")
    rows = [
        *(f"w{n} w{n % 7},{'pos' if n % 2 else 'None'}" for n in range(100)),
        "w0 w0,None",
        ",pos",
        "w1,",
        "odd,rare",
    ]
    (tmp_path / "mine.csv").write_text("\n".join(["text,label", *rows]))
    source = Source("mine", file=tmp_path / "mine.csv")
    prepared = prepare(source, SplitSizes(20, 5, 10), 7, tmp_path, tiny_model / "tokenizer.json", 8)
    found = rows_check(prepared.account, "mine")
    assert found.verdict == "pass"
    assert found.detail.startswith("Of 104 rows 101 are used (")
    left_out = "1 repeated, 0 contradictory, 1 without text, 1 without label"
    assert f"left out: {left_out}. 3 classes: None 50, pos 50, rare 1." in found.detail
    assert "1 of 3 classes have no row in" in found.detail
    write_table(EXAMPLES, prepared.examples, tmp_path / "mine.parquet")
    write_account(prepared.account, tmp_path / "mine.json")
    again = read_account(tmp_path / "mine.json", tmp_path / "mine.parquet")
    assert rows_check(again, "mine") == found
    assert leakage_check(again, "mine") == leakage_check(prepared.account, "mine")
    (tmp_path / "mine.json").write_text('{"cleaning": {}')
    with pytest.raises(AtlasError, match=r"mine\.json: damaged"):
        read_account(tmp_path / "mine.json", tmp_path / "mine.parquet")


def test_long_texts_are_compared_within_memory(monkeypatch):
    import tracemalloc

    long = [" ".join(f"{n}word{k}" for k in range(3000)) for n in range(60)]
    rows = pd.DataFrame({"split": ["train"] * 30 + ["test"] * 30, "text": long})
    rows.loc[30, "text"] = rows.loc[0, "text"] + " end"
    tracemalloc.start()
    assert near_duplicates(rows, "test", "train") == 1
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 300e6


def test_blocks_change_no_count(monkeypatch):
    texts = [f"sentence about the number {n // 2} and more{' !' if n % 2 else ''}" for n in range(60)]
    rows = pd.DataFrame({"split": ["train", "test"] * 30, "text": texts})
    whole = near_duplicates(rows, "test", "train")
    monkeypatch.setattr("peft_atlas.studies.encoder.data.near._TEXTS", 7)
    assert near_duplicates(rows, "test", "train") == whole == 30


def test_one_seed_gives_no_false_alarm(tiny_part):
    name = "LoRA (query, value)"
    plan = SearchPlan((1e-2,), tiny_part.config.epochs, None, 0)
    job = SettingJob("methods", find_setting(name, 16), plan, (0,), (0,))
    runs = pd.DataFrame(train_setting(tiny_part, job).runs)
    found = _end(tiny_part, _pair(tiny_part, name, 1e-2, 0), runs, 0)
    assert found.verdict == "pass"
    assert "nan" not in found.detail
    wrong = _end(tiny_part, _pair(tiny_part, name, 1e-2, 0), runs.assign(test_accuracy=-1.0), 0)
    assert wrong.verdict == "fail"
