"""The record is whole, each row has its origin, and a fault is named by file, line, column and value."""

from __future__ import annotations

import shutil

import pandas as pd
import pytest

from peft_atlas.errors import AtlasError
from peft_atlas.studies.record.data import load_record
from peft_atlas.tables.contract import read_table, write_table
from peft_atlas.tables.csv_source import read_csv_table
from peft_atlas.tables.names import RECORD
from peft_atlas.tables.record_schemas import RATE_RUNS, RECORD_CONTRACTS, TUNING_AUDIT

HEADER = ",".join(column.name for column in TUNING_AUDIT.columns if column.name not in ("table", "line"))
GOOD = f"DyLoRA,2022-10,2210.07558,2023-05,,EACL,GPT-2,NLG,false,false,true,a/b,README.md,{'0' * 40},55"


def test_every_table_is_whole(record):
    """Totals as counted when the facts were gathered."""
    rows = record["benchmark_runs"]
    assert rows.groupby("table").size().to_dict() == {
        "image_generation": 32,
        "metamathqa": 184,
        "metamathqa_unmerged": 59,
    }
    assert rows[rows["table"] == "metamathqa"]["experiment"].nunique() == 66
    assert rows.groupby("table")["in_newest_commit"].sum().to_dict() == {
        "image_generation": 31,
        "metamathqa": 63,
        "metamathqa_unmerged": 0,
    }
    assert (rows["pull_request"] == 2984).sum() == 38
    rates = record["rate_runs"]
    # 195 runs with a score on each of two tasks.
    assert rates.groupby(["study", "metric"]).size().to_dict() == {
        ("lr_matters", "gsm8k_accuracy_percent"): 195,
        ("lr_matters", "math_accuracy_percent"): 195,
        ("tinker_sft", "test_nll"): 548,
    }
    assert rates[rates["study"] == "tinker_sft"]["model"].nunique() == 35
    assert {name: len(record[name]) for name in RECORD if name not in ("benchmark_runs", "rate_runs")} == {
        "rate_means": 180,
        "rate_sweeps": 35,
        "rate_statements": 77,
        "adapter_counts": 38,
        "tuning_audit": 64,
        "training_runs": 244,
    }


def test_names_that_the_workflow_knows_are_those_of_the_contracts():
    assert tuple(contract.name for contract in RECORD_CONTRACTS) == RECORD


@pytest.mark.parametrize("contract", RECORD_CONTRACTS, ids=RECORD)
def test_every_table_keeps_to_its_contract_and_every_row_has_an_origin(contract, record, tmp_path):
    write_table(contract, record[contract.name], tmp_path / "t.parquet")
    back = read_table(contract, tmp_path / "t.parquet")
    assert len(back) == len(record[contract.name])
    assert back["commit"].str.fullmatch("[0-9a-f]{40}").all()
    assert back[["repository", "path"]].notna().all().all()


def test_a_row_says_its_line(root, record):
    lines = (root / "data/published/runs/tuning_audit/lora_papers.csv").read_text(encoding="utf-8").splitlines()
    for row in record["tuning_audit"].itertuples():
        assert lines[row.line - 1].startswith(f"{row.method},")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("DyLoRA", "", "t.csv:2: method = '': allowed: a value; it must not be empty"),
        ("2022-10", "October", "t.csv:2: arxiv_month = 'October': allowed: a text that matches"),
        (",false,true", ",no,true", "t.csv:2: batch_size_tuned = 'no': allowed: true, false"),
        ("0" * 40, "abc", "t.csv:2: commit = 'abc': allowed: a text that matches [0-9a-f]{40}"),
        ("NLG", "N\u200bLG", "t.csv:2: tasks = 'N\\u200bLG': allowed: printable characters"),
        (",55", "", "t.csv:2: 14 fields ="),
    ],
)
def test_a_wrong_row_is_named_by_its_place(tmp_path, old, new, message):
    path = tmp_path / "t.csv"
    path.write_text(f"{HEADER}\n{GOOD.replace(old, new, 1)}\n", encoding="utf-8")
    with pytest.raises(AtlasError) as caught:
        read_csv_table(TUNING_AUDIT, path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("column", "text", "allowed"),
    [
        ("rank", "4.0", "a whole number"),
        ("score", "1,5", "a finite number with a decimal point"),
        ("score", "nan", "a finite number with a decimal point"),
        ("score", "1e999", "a finite number with a decimal point"),
        ("learning_rate", "-0.1", "a number from 0 to inf"),
    ],
)
def test_a_wrong_number_is_named_by_its_place(root, tmp_path, column, text, allowed):
    header, *rows = (root / "data/published/runs/rate_runs/tinker_sft.csv").read_text(encoding="utf-8").splitlines()
    fields = rows[1].split(",")
    fields[header.split(",").index(column)] = f'"{text}"'
    path = tmp_path / "t.csv"
    path.write_text("\n".join([header, rows[0], ",".join(fields)]), encoding="utf-8")
    with pytest.raises(AtlasError) as caught:
        read_csv_table(RATE_RUNS, path)
    assert f"t.csv:3: {column} = '{text}': allowed: {allowed}" in str(caught.value)


def test_a_row_given_twice_is_named_in_one_file_and_in_two(root, tmp_path):
    shutil.copytree(root / "data/published/runs", tmp_path / "runs")
    folder = tmp_path / "runs/tuning_audit"
    shutil.copy(folder / "lora_papers.csv", folder / "more.csv")
    with pytest.raises(AtlasError, match=r"more\.csv:2: method = \('DyLoRA',\): .*lora_papers\.csv:2 too"):
        load_record(tmp_path / "runs")
    (folder / "more.csv").unlink()
    (folder / "lora_papers.csv").write_text(f"{HEADER}\n{GOOD}\n{GOOD}\n", encoding="utf-8")
    with pytest.raises(AtlasError, match=r"lora_papers\.csv:3: method = .*lora_papers\.csv:2 too"):
        load_record(tmp_path / "runs")


def test_other_columns_and_a_folder_without_a_table_are_refused(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(AtlasError, match=r"t\.csv:1: columns = 'a,b': allowed: method,arxiv_month"):
        read_csv_table(TUNING_AUDIT, tmp_path / "t.csv")
    (tmp_path / "tuning_audit").mkdir()
    with pytest.raises(AtlasError, match=r"benchmark_runs: no table; expected CSV files"):
        load_record(tmp_path)


def test_windows_line_ends_and_a_byte_order_mark_change_nothing(root, tmp_path, record):
    shutil.copytree(root / "data/published/runs", tmp_path / "runs")
    for path in tmp_path.rglob("*.csv"):
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    for name, rows in load_record(tmp_path / "runs").items():
        pd.testing.assert_frame_equal(rows, record[name])
