"""The transcribed tables and their reader: whole, sourced, and no fault passed over in silence."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from peft_atlas.errors import AtlasError
from peft_atlas.studies.literature.data import (
    CELL_COLUMNS,
    Printed,
    load_application_verdicts,
    load_published,
    load_references,
    load_sources,
    parse_printed,
    require_verdicts,
)
from peft_atlas.tables.contract import read_table, write_table
from peft_atlas.tables.schemas import PUBLISHED

FOLDER = Path(__file__).parents[2] / "data" / "published"
HEADER = ",".join(CELL_COLUMNS)
GOOD = "LLaMA-7B,LoRA,BoolQ,accuracy_percent,68.9,percent,here,Table 1,verbatim,"
SOURCES = """\
here:
  title: A title
  authors: Some
  identifier: "arXiv:0000.00000"
  version: v1
  date: "2024-05-22"
  kind: paper
  what_was_read: Table 1.
"""


@pytest.fixture(scope="module")
def published() -> pd.DataFrame:
    return load_published(FOLDER)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "sources.yaml").write_text(SOURCES, encoding="utf-8")
    return tmp_path


def load(folder: Path, text: str | bytes, name: str = "t.csv") -> pd.DataFrame:
    content = text if isinstance(text, bytes) else text.encode()
    (folder / name).write_bytes(content)
    return load_published(folder)


def fault(folder: Path, text: str | bytes) -> str:
    """Return the message without the folder; it must be one line."""
    with pytest.raises(AtlasError) as caught:
        load(folder, text)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    return message.replace(f"{folder}/", "")


# --- what is shipped -----------------------------------------------------------------------------------------------


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


# --- what is accepted ----------------------------------------------------------------------------------------------


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


# --- what is refused, and where ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("68.9", '"64,3"'), "t.csv:2: value = '64,3': a decimal comma is not allowed; write 64.3"),
        (("68.9", '"1,234"'), "a decimal comma is not allowed; write 1.234, or 1234 for thousands"),
        (("68.9", '"1,234.5"'), "t.csv:2: value = '1,234.5': allowed: a number as printed"),
        (("68.9", "n/a"), "t.csv:2: value = 'n/a': allowed: a number as printed"),
        (("68.9", "nan"), "t.csv:2: value = 'nan': allowed: a number"),
        (("68.9", "inf"), "t.csv:2: value = 'inf': allowed: a number"),
        (("68.9", "1e999"), "t.csv:2: value = '1e999': allowed: a number"),
        (("68.9", "1e3"), "t.csv:2: value = '1e3': allowed: a number"),
        (("68.9", "+1"), "t.csv:2: value = '+1': allowed: a number"),
        (("68.9", ".5"), "t.csv:2: value = '.5': allowed: a number"),
        (("68.9", "68.9%"), "t.csv:2: value = '68.9%': allowed: a number"),
        (("68.9", "\u221268.9"), "t.csv:2: value = '\u221268.9': allowed: a number"),
        (("68.9", "\uff16\uff18.\uff19"), "t.csv:2: value = '\uff16\uff18.\uff19': allowed: a number"),
        (("68.9", "68.9 \u00b1 1.2"), "t.csv:2: value = '68.9 \u00b1 1.2': allowed: a number"),
        (("68.9", "68." + "9" * 15), "t.csv:2: value = '68.999999999999999': allowed: at most 16 significant digits"),
        (("68.9", "-0"), "t.csv:2: value = '-0': allowed in the unit percent: 0 or more"),
        (("68.9", "<101"), "t.csv:2: value = '<101': allowed in the unit percent: 0 to 100"),
        (("LoRA", "Lo\u200bRA"), "t.csv:2: method = 'Lo\\u200bRA': allowed: printable characters"),
        (
            ("LoRA", "L\u043eRA"),
            "t.csv:2: method = 'L\u043eRA': allowed: Latin letters, not CYRILLIC SMALL LETTER O, which looks like",
        ),
        (
            ("LoRA", "LoR\u0391"),
            "t.csv:2: method = 'LoR\u0391': allowed: Latin letters, not GREEK CAPITAL LETTER ALPHA",
        ),
        (("Table 1", "x" * 200_000), "t.csv:2: not CSV (field larger than field limit"),
        (("68.9", "=1+1"), "t.csv:2: value = '=1+1': allowed: a number"),
        (("68.9", "\u0663"), "t.csv:2: value = '\u0663': allowed: a number"),
        (("68.9", ""), "t.csv:2: value = '': allowed: a text that is not empty"),
        (("68.9", "104.2"), "t.csv:2: value = '104.2': allowed in the unit percent: 0 to 100"),
        (("68.9", "-1"), "t.csv:2: value = '-1': allowed in the unit percent: 0 or more"),
        (("68.9,percent", "1.5,count"), "t.csv:2: value = '1.5': allowed in the unit count: a whole number"),
        (("68.9,percent", "9" * 400 + ",count"), "allowed: a number that fits 64 bits"),
        (("percent,here", "per cent,here"), "t.csv:2: unit = 'per cent': allowed: 'percent', 'count'"),
        (("here", ""), "t.csv:2: source = '': allowed: a text that is not empty"),
        (("here", "there"), "t.csv:2: source = 'there': no such source; allowed: an id of sources.yaml: here"),
        (("verbatim", "seen"), "t.csv:2: seen = 'seen': allowed: 'verbatim', 'paraphrased'"),
        (("LoRA", ""), "t.csv:2: method = '': allowed: a text that is not empty"),
        (("68.9", "68,9"), "t.csv:2: 11 fields = "),
        ((",verbatim,", ",verbatim"), "t.csv:2: 9 fields = "),
        (("Table 1", '"Table\n1"'), "t.csv:2: locator = 'Table\\n1': allowed: printable characters on one line"),
        (("Table 1", "Table\x00 1"), "t.csv:2: locator = 'Table\\x00 1': allowed: printable characters on one line"),
        (("Table 1", '"Table 1'), "t.csv:2: not CSV"),
        (("Table 1", '"Table" 1'), "t.csv:2: not CSV"),
    ],
)
def test_a_wrong_row_is_named_by_file_line_column_and_value(folder, change, message):
    assert message in fault(folder, f"{HEADER}\n{GOOD.replace(*change)}\n")


def test_the_issues_example_message_in_full(folder):
    lines = "".join(f"{GOOD.replace('BoolQ', f'task {n}')}\n" for n in range(15))
    message = fault(folder, f"{HEADER}\n{lines}{GOOD.replace('68.9', chr(34) + '64,3' + chr(34))}\n")
    assert message == "t.csv:17: value = '64,3': a decimal comma is not allowed; write 64.3"


@pytest.mark.parametrize("spread", ["-1", "1,2", "± 2", "1e1", "\uff12"])
def test_a_spread_is_nothing_or_a_number(folder, spread):
    rows = f"{HEADER},spread\n{GOOD},2.1\n{GOOD.replace('BoolQ', 'PIQA')},\n"
    assert load(folder, rows)["spread"].fillna(-1).tolist() == [2.1, -1]
    message = fault(folder, f'{HEADER},spread\n{GOOD},"{spread}"\n')
    assert f"t.csv:2: spread = '{spread}': allowed: nothing, or what is printed after a ±" in message


@pytest.mark.parametrize("rank", ["0", "-4", "8.0", "eight"])
def test_a_rank_is_nothing_or_a_whole_number(folder, rank):
    assert f"t.csv:2: rank = '{rank}': allowed: nothing or a whole" in fault(folder, f"{HEADER},rank\n{GOOD},{rank}\n")


@pytest.mark.parametrize(
    "name", ["\u03b1NLI", "LoRA (\u03b1 = 16)", "\u00b5Transfer", "\u041c\u0435\u0434\u0443\u0437\u0430"]
)
def test_other_alphabets_are_no_fault(folder, name):
    assert load(folder, f"{HEADER}\n{GOOD.replace('LoRA', name)}\n")["method"].tolist() == [name]


@pytest.mark.parametrize("change", [("LoRA", "Lora"), ("BoolQ", "boolq"), ("LLaMA-7B", "Llama-7B")])
def test_a_name_spelt_in_two_ways_is_named_with_both_places(folder, change):
    (folder / "a.csv").write_text(f"{HEADER}\n{GOOD}\n", encoding="utf-8")
    message = fault(folder, f"{HEADER}\n\n{GOOD.replace(*change)}\n")
    column = {"LoRA": "method", "BoolQ": "task", "LLaMA-7B": "base_model"}[change[0]]
    assert message == f"t.csv:3: {column} = {change[1]!r}: allowed: {change[0]!r}, as on a.csv:2"


def test_a_duplicate_cell_names_both_lines(folder):
    again = GOOD.replace("68.9", "70.0").replace("LoRA", "LoRA ")
    message = fault(folder, f"{HEADER}\n{GOOD}\n\n{again}\n")
    assert message.startswith("t.csv:4: the cell ('LLaMA-7B', 'LoRA', 'BoolQ'")
    assert "is on line 2 too" in message


def test_cells_that_differ_in_rank_or_source_are_not_duplicates(folder):
    two = SOURCES + SOURCES.replace("here:", "there:")
    (folder / "sources.yaml").write_text(two, encoding="utf-8")
    rows = f"{GOOD},8\n{GOOD},16\n{GOOD.replace('here', 'there')},8\n"
    assert len(load(folder, f"{HEADER},rank\n{rows}")) == 3


@pytest.mark.parametrize(
    "header",
    [
        HEADER.removesuffix(",note"),
        f"{HEADER},extra",
        f"{HEADER},note",
        f"{HEADER},spread,rank",
        f"{HEADER},rank,rank",
        f"\ufeff\ufeff{HEADER}",
        ",".join(reversed(CELL_COLUMNS)),
        HEADER.replace(",", ";"),
        HEADER.replace("value", "Value"),
    ],
    ids=[
        "missing",
        "extra",
        "duplicate",
        "optional reordered",
        "optional twice",
        "two marks",
        "reordered",
        "semicolons",
        "capital",
    ],
)
def test_wrong_columns_are_named_with_the_right_ones(folder, header):
    message = fault(folder, f"{header}\n{GOOD}\n")
    assert message.startswith("t.csv:1: columns = ")
    assert message.endswith(f"allowed: {HEADER}[,rank][,spread]")


def test_files_that_are_no_tables(folder):
    assert fault(folder, "").startswith("t.csv:1: columns = ''")
    assert (
        fault(folder, f"{HEADER}\n{GOOD}caf\u00e9\n".encode("latin-1"))
        == "t.csv:2: byte 0xe9 is not UTF-8; allowed: UTF-8"
    )
    assert "not UTF-8" in fault(folder, f"{HEADER}\n{GOOD}\n".encode("utf-16"))
    marked = b"\xef\xbb\xbf" + f"{HEADER}\n".encode() + b"\xe9"
    assert fault(folder, marked).startswith("t.csv:2: byte 0xe9 is not UTF-8")


def test_a_folder_without_tables_or_sources(folder, tmp_path):
    with pytest.raises(AtlasError, match="no table; expected CSV files"):
        load_published(folder)
    with pytest.raises(AtlasError, match=r"sources\.yaml: cannot be read"):
        load_published(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("kind: paper", "kind: blog"), "here.kind = 'blog': allowed: 'paper', 'repository'"),
        (("  kind: paper\n", ""), "here.kind: missing"),
        (('"2024-05-22"', "2024-05-22"), "here.date = datetime.date(2024, 5, 22): allowed: text; put it in quotes"),
        (("version: v1", "version: 8166572"), "here.version = 8166572: allowed: text; put it in quotes"),
        (('"2024-05-22"', '"May 2024"'), "here.date = 'May 2024': allowed: a date as"),
        (("title: A title", "titel: A title"), "here.title: missing"),
        (("kind: paper", "kind: paper\n  url: x"), "here.url = 'x': unknown key"),
        (("kind: paper", "kind: paper\n  kind: notebook"), "the key 'kind' is on line 7 too; allowed: once"),
        ((SOURCES, "here: {title: a, title: b}"), "the key 'title' is on line 1 too; allowed: once"),
        (("version: v1", "version: [v1"), "not YAML"),
        (('"2024-05-22"', "2024-13-45"), "not YAML"),
        ((SOURCES, "here: " + 5000 * "[" + 5000 * "]"), "not YAML: maximum recursion depth exceeded"),
        (("here:\n", ""), "title = 'A title': allowed: a mapping of title"),
        ((SOURCES, ""), "None: allowed: a mapping of source ids"),
    ],
)
def test_a_wrong_source_is_named(folder, change, message):
    (folder / "sources.yaml").write_text(SOURCES.replace(*change), encoding="utf-8")
    with pytest.raises(AtlasError) as caught:
        load_sources(folder / "sources.yaml")
    assert message in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_wrong_verdicts_and_references_are_named(tmp_path):
    path = tmp_path / "verdicts.csv"
    path.write_text("task,status,reason,evidence\nCode Review,bound,it is,here; gone\n", encoding="utf-8")
    with pytest.raises(AtlasError, match=r"verdicts.csv:2: evidence = 'here; gone': no such source"):
        load_application_verdicts(path, {"here"})
    header = "number,authors,title,claimed_arxiv_id,true_arxiv_id,verdict,source,note"
    path.write_text(f"{header}\n1,A,B,2401.13622,2404.03592,correct,here,\n", encoding="utf-8")
    with pytest.raises(AtlasError, match=r"verdicts.csv:2: verdict = 'correct': claimed 2401.13622 and true"):
        load_references(path, {"here"})


def test_a_domain_without_a_verdict_and_a_verdict_without_a_domain_are_named(published):
    path = FOLDER / "application_verdicts.csv"
    verdicts = load_application_verdicts(path, load_sources(FOLDER / "sources.yaml"))
    require_verdicts(published, verdicts, path)
    with pytest.raises(AtlasError, match=r"verdicts\.csv: no row for task = 'Medical Imaging'; allowed: one for each"):
        require_verdicts(published, verdicts[verdicts["task"] != "Medical Imaging"], path)
    wrong = verdicts.replace({"task": {"Medical Imaging": "Medical imaging"}})
    with pytest.raises(AtlasError, match=r"no row for task = 'Medical Imaging'"):
        require_verdicts(published, wrong, path)
    more = pd.concat([verdicts, verdicts.tail(1).assign(task="Weather")])
    with pytest.raises(AtlasError, match=r"verdicts\.csv: task = 'Weather': allowed: a domain of seed_notebook"):
        require_verdicts(published, more, path)


# --- any mangling gives a whole table or one line that says where -------------------------------------------------


def _readable(folder: Path, content: bytes) -> pd.DataFrame | None:
    """Return the table, or None after a fault of one line that names the file; anything else fails the test."""
    try:
        return load(folder, content)
    except AtlasError as error:
        message = str(error)
    assert len(message.splitlines()) == 1
    assert message.startswith(f"{folder}/t.csv:")
    return None


FUZZ = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@FUZZ
@given(column=st.integers(0, 9), cell=st.text(max_size=12))
def test_any_cell_gives_a_row_or_its_place(folder, column, cell):
    fields = GOOD.split(",")
    fields[column] = '"' + cell.replace('"', '""') + '"'
    table = _readable(folder, f"{HEADER}\n{','.join(fields)}\n".encode(errors="replace"))
    if table is not None:
        assert len(table) == 1
        assert 0 <= table["value"].fillna(0).iloc[0] <= 100


@FUZZ
@given(st.data())
def test_any_damage_to_the_bytes_gives_every_row_or_a_fault(folder, data):
    rows = [GOOD.replace("BoolQ", task) for task in ("BoolQ", "PIQA", "SIQA")]
    content = "\n".join([HEADER, *rows, ""]).encode()
    start = data.draw(st.integers(0, len(content)))
    stop = data.draw(st.integers(start, min(len(content), start + 3)))
    damaged = content[:start] + data.draw(st.binary(max_size=3)) + content[stop:]
    table = _readable(folder, damaged)
    if table is not None:
        # No row may vanish: of the lines that are not blank, one is the header and each other is a row.
        text = damaged.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
        assert len(table) == sum(1 for line in text.split("\n") if line) - 1


@FUZZ
@given(st.permutations(range(6)), st.data())
def test_shuffled_and_repeated_rows(folder, order, data):
    kept = data.draw(st.lists(st.sampled_from(order), max_size=8))
    lines = [GOOD.replace("BoolQ", f"task {n}") for n in kept]
    table = _readable(folder, "\n".join([HEADER, *lines]).encode())
    assert (table is None) == (len(set(kept)) < len(kept))
    if table is not None:
        assert table["task"].tolist() == [f"task {n}" for n in kept]


def test_the_shipped_folder_survives_windows_line_ends(tmp_path, published):
    copy = tmp_path / "published"
    shutil.copytree(FOLDER, copy)
    for path in copy.iterdir():
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    pd.testing.assert_frame_equal(load_published(copy), published)
