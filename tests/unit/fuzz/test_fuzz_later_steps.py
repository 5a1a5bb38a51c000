"""Published files that load, though rows are missing, in the findings: each gives all of them, or one line."""

import shutil
from pathlib import Path

import pytest
from fuzzing import cases, outcome, tally
from literature_findings import find_all, load_tables

from peft_atlas.studies.literature.conflicts import conflicts
from peft_atlas.studies.literature.data import load_published, load_references, load_sources
from peft_atlas.tables.expected_rows import expecting_rows

FOLDER = Path(__file__).parents[3] / "data/published"
NAMES = sorted(path.name for path in FOLDER.glob("*.csv"))

# Each case makes all findings on the literature, which takes a second.
pytestmark = pytest.mark.slow


def thinned(draw, lines):
    """Return a file's lines without one, without half, without all that share a word, or without any."""
    head, rows = lines[:1], lines[1:]
    kind = draw.randrange(4)
    if kind == 0:
        rows.pop(draw.randrange(len(rows)))
    elif kind == 1:
        rows = [row for row in rows if draw.random() < 0.5]
    elif kind == 2:
        word = draw.choice(rows).split(",")[draw.randrange(4)]
        rows = [row for row in rows if word not in row]
    else:
        rows = []
    return head + rows


def findings(tables, folder):
    """Load a folder and make the findings on it."""
    sources = load_sources(folder / "sources.yaml")
    changed = {"published": load_published(folder), "references": load_references(folder / "references.csv", sources)}
    conflicts(changed["published"], tables["parameters"])
    with expecting_rows("findings of the literature study"):
        find_all(tables, **changed)


def case(draw, tables, folder):
    """Thin one file out and return whether all findings could be made."""
    shutil.copytree(FOLDER, folder, dirs_exist_ok=True)
    path = folder / draw.choice(NAMES)
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(thinned(draw, lines)), encoding="utf-8")
    return outcome(findings, tables, folder)


def test_findings_on_thinned_files(tmp_path):
    tables = load_tables(FOLDER)
    counts = tally("later steps", (case(draw, tables, tmp_path / "p") for draw in cases("later", 260)))
    assert set(counts) <= {"valid", "refused"}
    assert sum(counts.values()) > 0
