"""The page on choosing a method: its numbers are those of the released tables, and its prose has none."""

import html
import re

import pandas as pd
import pytest

from peft_atlas.analysis.finding import Effect
from peft_atlas.errors import AtlasError
from peft_atlas.report.choice_page import _answers, _card, _size, fill, released_blocks
from peft_atlas.report.method_rows import ComparedTask, MethodRow
from peft_atlas.result_sets import load, released_bundle

PAGE = "docs/choose-a-method.md"
RELEASED = re.compile(r"<!-- released: \w+ -->.*?<!-- end -->", flags=re.DOTALL)


@pytest.fixture(scope="module")
def page(root):
    return (root / PAGE).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def blocks():
    return released_blocks(released_bundle())


def test_the_page_is_that_of_the_released_tables(page, blocks):
    """If this fails: make docs."""
    assert fill(page, blocks) == page


def test_every_block_is_on_the_page_and_says_something(page, blocks):
    assert set(re.findall(r"<!-- released: (\w+) -->", page)) == set(blocks)
    assert all(content.strip() for content in blocks.values())


def test_the_prose_holds_no_number(page):
    prose = RELEASED.sub("", page)
    prose = re.sub(r"^```.*?^```|`[^`]*`|^\d\. ", "", prose, flags=re.MULTILINE | re.DOTALL)
    assert re.findall(r"\d\S*", prose) == []


def test_the_advice_is_that_of_the_released_report(root, blocks):
    text = re.sub(r"<[^>]+>|\s+", " ", html.unescape((root / "docs/report.html").read_text(encoding="utf-8")))
    items = [item.replace("\\", "") for item in re.findall(r"^- \*\*(.+?)\*\*", blocks["advice"], flags=re.MULTILINE)]
    assert len(items) >= 4
    assert [item for item in items if item not in text] == []


def test_a_quoted_answer_is_its_finding_as_it_is_in_the_table(blocks):
    findings = load("findings", released_bundle()).set_index("id")
    row = findings.loc["encoder_rank"]
    assert f"**{row['statement']}** {row['detail']}" in blocks["rank"]


def test_markup_in_an_answer_is_text():
    rows = {"kind": ["answer"], "id": ["a"], "position": [0], "statement": ["Is a_b < c?"], "detail": ["Marked *."]}
    assert list(_answers(pd.DataFrame(rows), ["a"])) == [r"**Is a\_b \< c?** Marked \*."]


def test_the_size_table_has_what_would_have_been_detected():
    rows = (
        MethodRow("full", "full", 90.0),
        MethodRow("LoRA", "LoRA", 88.0, Effect(-2.0, "", -3.0, -1.0, n=5, detectable=1.5)),
        MethodRow("DoRA", "DoRA", 89.0, Effect(-1.0, "", -2.0, 0.0, n=5, detectable=1.5)),
    )
    lines = _size([ComparedTask("a | b", "", rows)]).splitlines()
    assert lines[2:] == [r"| a \| b | LoRA | -2.0 [-3.0, -1.0] | 1.5 | 5 |"]


@pytest.mark.parametrize(
    ("method", "peak", "saved", "card"),
    [
        # By hand: 24 GB on the label are 0.92 * 24 * 2**30 - 0.5e9 = 23.2e9 bytes for certain, 80 GB 78.5 to 85.0e9.
        ("full", (20e9, 19e9, 23e9), "2 GB", "24 GB"),
        ("full", (20e9, 19e9, 24e9), "2 GB", "40 GB"),
        ("LoRA", (60e9, 50e9, 78e9), "2 MB", "80 GB"),
        ("LoRA", (85e9, 84e9, 90e9), "2 MB", "80 GB: cannot tell"),
        ("LoRA", (120e9, 100e9, 130e9), "2 MB", "80 GB: does not fit"),
    ],
)
def test_the_card_is_the_smallest_that_holds_the_whole_interval(method, peak, saved, card):
    row = {
        "base_model": "M", "method": method, "setting": "r=8", "precision": "bf16_mixed", "base_params": 10**9,
        "trainable_params": 10**9 if method == "full" else 10**6,
        "micro_batch": 4, "sequence": 1024, "fits_24gb": None, "fits_40gb": None, "fits_80gb": None,
        **dict(zip(("peak_bytes", "peak_low_bytes", "peak_high_bytes"), peak, strict=True)),
    }  # fmt: skip
    unpredicted = row | {"peak_bytes": None}
    lines = _card(pd.DataFrame([row, row | {"precision": "fp32"}, unpredicted])).splitlines()
    assert lines[0] == "A step of 4 × 1,024 tokens."
    assert len(lines) == 5
    cells = lines[4].split(" | ")
    assert (cells[4], cells[-1]) == (saved, f"{card} |")


def test_a_block_of_another_name_is_refused():
    with pytest.raises(AtlasError, match=r"block 'rnak': unknown; allowed: rank"):
        fill("<!-- released: rnak -->\n<!-- end -->", {"rank": ""})
