"""Any damage to a published file gives every row or a fault with its place."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from literature_findings import find
from published_rows import FOLDER, GOOD, HEADER, load

from peft_atlas.errors import AtlasError
from peft_atlas.studies.literature.checks_agreement import bounds
from peft_atlas.studies.literature.data import (
    REFERENCES_FILE,
    SOURCES_FILE,
    load_published,
    load_references,
    load_sources,
)
from peft_atlas.tables.expected_rows import expecting_rows


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
    for path in filter(Path.is_file, copy.rglob("*")):
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    pd.testing.assert_frame_equal(load_published(copy), published)


def fewer(tables, folder, name, keep):
    """Return the tables as they are where one published file holds only the rows with a word in them."""
    copy = folder / "published"
    shutil.copytree(FOLDER, copy)
    head, *rows = (copy / name).read_text(encoding="utf-8").splitlines(keepends=True)
    (copy / name).write_text(head + "".join(row for row in rows if keep in row), encoding="utf-8")
    sources = load_sources(copy / SOURCES_FILE)
    references = load_references(copy / REFERENCES_FILE, sources)
    return {**tables, "published": load_published(copy), "references": references}


def test_a_bound_without_numbers_is_no_finding_and_no_fault(tables, tmp_path):
    left = fewer(tables, tmp_path, "applications.csv", "<")["published"]
    assert len(left[left["table"] == "applications"])
    assert all(found.verdict for found in bounds(left))


def test_a_missing_row_that_a_finding_rests_on_is_one_line_with_its_cause(tables, tmp_path):
    left = fewer(tables, tmp_path, "references.csv", "no such row")
    words = r"literature study: not made, since its tables lack rows that quotations\.py:\d+, _wording rests on"
    with pytest.raises(AtlasError, match=words) as caught, expecting_rows("findings of the literature study"):
        find(left)
    assert isinstance(caught.value.__cause__, IndexError)
