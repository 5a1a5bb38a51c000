"""No fault of a published table is passed over in silence."""

from __future__ import annotations

import pandas as pd
import pytest
from published_rows import FOLDER, GOOD, HEADER, SOURCES, fault, load

from peft_atlas.errors import AtlasError
from peft_atlas.studies.literature.data import (
    CELL_COLUMNS,
    load_application_verdicts,
    load_published,
    load_references,
    load_sources,
    require_verdicts,
)


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
    assert message.endswith(f"allowed: {HEADER}[,rank][,spread][,family]")


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
