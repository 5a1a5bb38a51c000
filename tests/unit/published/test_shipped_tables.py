"""The transcribed tables are whole and sourced, and harmless variations change nothing."""

from __future__ import annotations

import time

import pandas as pd
import pytest
from published_rows import FOLDER, GOOD, HEADER, load

from peft_atlas.studies.literature.data import (
    Printed,
    load_application_verdicts,
    load_published,
    load_references,
    load_sources,
    parse_printed,
)
from peft_atlas.tables.contract import read_table, write_table
from peft_atlas.tables.literature_schemas import PUBLISHED


def test_every_table_is_whole(published):
    assert published.groupby("table").size().to_dict() == {
        "applications": 40,
        "arithmetic": 127,
        "commonsense": 409,
        "parameters": 97,
        "rank_sweep": 90,
        "seed_notebook": 29,
    }


def test_columns_types_and_contract(published, tmp_path):
    assert set(published.columns) == {column.name for column in PUBLISHED.columns}
    types = {"line": "int64", "value": "float64", "decimals": "Int64", "rank": "Int64", "spread": "float64"}
    assert {name: str(published[name].dtype) for name in types} == types
    write_table(PUBLISHED, published, tmp_path / "published.parquet")
    assert len(read_table(PUBLISHED, tmp_path / "published.parquet")) == len(published)


def test_rows_are_sorted_by_table_and_line(published):
    assert published[["table", "line"]].equals(published[["table", "line"]].sort_values(["table", "line"]))


def test_full_eight_task_rows_for_seven_methods_and_two_sizes(published):
    table = published[(published["table"] == "commonsense") & (published["source"] == "reft_v3")]
    cells = table.groupby(["base_model", "method"]).size()
    assert (cells == 9).all()
    seven = {"PrefT", "AdapterS", "AdapterP", "LoRA", "DoRA (half)", "DoRA", "LoReFT"}
    for model in ("LLaMA-7B", "LLaMA-13B"):
        assert seven <= set(cells[model].index)
    assert list(cells["ChatGPT"].index) == ["none"]


def test_trailing_zeros_and_bounds_stay_as_printed(published):
    def cells(**wanted: str) -> pd.DataFrame:
        chosen = published
        for column, value in wanted.items():
            chosen = chosen[chosen[column] == value]
        return chosen

    april = cells(source="pyreft_plot_2024_04", task="Arithmetic Reasoning", method="PrefT")
    assert april["printed"].tolist() == ["0.110", "0.300"]
    assert april["decimals"].tolist() == [3, 3]
    chat = cells(source="seed_notebook", base_model="ChatGPT").iloc[0]
    assert (chat["printed"], chat["value"], chat["decimals"]) == ("77.0", 77.0, 1)
    bound = cells(source="llama_reviewer", metric="trainable_params_percent").iloc[0]
    assert (bound["printed"], bound["value"], bound["qualifier"]) == ("<1", 1.0, "less_than")
    missing = cells(printed="not seen")
    assert missing["value"].isna().all()
    assert missing["decimals"].isna().all()


def test_the_seed_has_its_28_and_7_numbers(published):
    seed = published[published["source"] == "seed_notebook"]
    assert (seed["seen"] == "quoted_by_seed").all()
    assert seed.groupby(["table", "metric"]).size().to_dict() == {
        ("applications", "trainable_params_percent"): 7,
        ("seed_notebook", "accuracy_percent"): 15,
        ("seed_notebook", "trainable_params_percent"): 14,
    }


def test_rank_sweep_holds_five_ranks_of_two_methods(published):
    averages = published[(published["table"] == "rank_sweep") & (published["task"] == "Avg")]
    found = averages.groupby("method")["printed"].agg(list).to_dict()
    assert found == {
        "DoRA": ["61.9", "77.9", "77.5", "78.4", "76.8"],
        "LoRA": ["39.5", "40.7", "70.9", "76.3", "65.8"],
    }
    assert averages["rank"].tolist() == [4, 8, 16, 32, 64] * 2


def test_verdicts_cover_the_seeds_domains_and_references_the_wrong_id(published):
    sources = load_sources(FOLDER / "sources.yaml")
    verdicts = load_application_verdicts(FOLDER / "application_verdicts.csv", sources)
    seed = published[(published["table"] == "applications") & (published["source"] == "seed_notebook")]
    assert verdicts["task"].tolist() == seed["task"].tolist()
    assert verdicts.set_index("task")["status"].to_dict()["Code Review"] == "bound"
    references = load_references(FOLDER / "references.csv", sources)
    wrong = references[references["verdict"] == "wrong"]
    assert wrong[["claimed_arxiv_id", "true_arxiv_id"]].to_numpy().tolist() == [["2401.13622", "2404.03592"]]
    used = {*published["source"], *references["source"], *"; ".join(verdicts["evidence"]).split("; ")}
    assert used == set(sources)


def test_the_whole_folder_loads_well_under_a_second():
    start = time.perf_counter()
    load_published(FOLDER)
    assert time.perf_counter() - start < 1


@pytest.mark.parametrize(
    "text",
    [
        f"{HEADER}\n{GOOD}\n",
        f"{HEADER}\n{GOOD}",
        f"\ufeff{HEADER}\n{GOOD}\n",
        f"{HEADER}\r\n{GOOD}\r\n",
        f"{HEADER}\r{GOOD}\r",
        f"{HEADER}\n{GOOD}\n\n\r\n\n",
        f"{HEADER},rank\n{GOOD},\n",
        f"{HEADER},spread\n{GOOD},\n",
        f"{HEADER},rank,spread\n{GOOD},,\n",
        f"{HEADER}\n{GOOD.replace('68.9', ' 68.9 ')}\n",
    ],
    ids=["plain", "no last line end", "BOM", "CRLF", "CR", "blank lines", "rank", "spread", "both", "white space"],
)
def test_harmless_variations_give_the_same_row(folder, text):
    row = load(folder, text).iloc[0]
    assert (row["table"], row["line"], row["printed"], row["value"]) == ("t", 2, "68.9", 68.9)
    assert (row["source_title"], row["source_version"]) == ("A title", "v1, 2024-05-22")
    assert pd.isna(row["rank"])
    assert pd.isna(row["note"])


def test_a_blank_line_between_rows_keeps_line_numbers_true(folder):
    table = load(folder, f"{HEADER}\n{GOOD}\n\n{GOOD.replace('BoolQ', 'PIQA')}\n")
    assert table["line"].tolist() == [2, 4]


def test_a_new_table_needs_no_code(folder):
    (folder / "new.CSV").write_text(f"{HEADER}\n{GOOD}\n", encoding="utf-8")
    assert load(folder, f"{HEADER},rank\n{GOOD},8\n")["table"].tolist() == ["new", "t"]


def test_markup_and_formulas_stay_text(folder):
    note = '"=HYPERLINK(""x"") <script>alert(1)</script> +1 @a"'
    assert load(folder, f"{HEADER}\n{GOOD}{note}\n")["note"].tolist() == [
        '=HYPERLINK("x") <script>alert(1)</script> +1 @a'
    ]


def test_a_table_without_rows_is_empty_and_not_an_error(folder):
    assert len(load(folder, f"{HEADER}\n")) == 0


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("0.990", Printed(0.99, "exact", 3)),
        ("83", Printed(83.0, "exact", 0)),
        ("<1", Printed(1.0, "less_than", 0)),
        ("> 700", Printed(700.0, "greater_than", 0)),
        ("~2", Printed(2.0, "about", 0)),
        ("not seen", Printed(None, "exact", None)),
    ],
)
def test_what_a_printed_cell_says(text, printed):
    assert parse_printed(text) == printed
