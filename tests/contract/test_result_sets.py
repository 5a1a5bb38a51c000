"""Result tables read, exported and compared elsewhere than in the workflow."""

import io
import os
import subprocess
import sys
import zipfile

import duckdb
import pandas as pd
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

import peft_atlas
from peft_atlas.cli import app
from peft_atlas.errors import AtlasError
from peft_atlas.export import export_tables
from peft_atlas.result_sets import changed_findings, tables_in
from peft_atlas.tables.contract import write_table
from peft_atlas.tables.data_dictionary import data_dictionary
from peft_atlas.tables.literature_schemas import REFERENCES
from peft_atlas.tables.schemas import CONTRACTS, FINDINGS


def finding(name, verdict="pass", effect=None):
    given = {"kind": "check", "id": name, "position": 1, "study": "notebook", "statement": f"statement of {name}"}
    return {
        **FINDINGS.blank(),
        **given,
        "source": "this project",
        "verdict": verdict,
        "effect": effect,
        "evidence": "x",
    }


def results(folder, *rows):
    folder.mkdir()
    write_table(FINDINGS, rows, folder / "findings.parquet")
    return folder


@pytest.fixture
def one(tmp_path):
    return results(tmp_path / "one", finding("a", effect=1.5), finding("b"), finding("c"), finding("gone"))


@pytest.fixture
def other(tmp_path):
    return results(tmp_path / "other", finding("a", effect=2.5), finding("b", "fail"), finding("c"), finding("new"))


def test_a_table_has_what_its_contract_says(one):
    frame = peft_atlas.load("findings", one)
    assert frame["id"].tolist() == ["a", "b", "c", "gone"]
    assert frame.attrs["descriptions"] == {column.name: column.description for column in FINDINGS.columns}
    assert frame.attrs["units"].keys() == set(frame.columns)
    table = peft_atlas.load("findings", one, arrow=True)
    assert table.schema.metadata[b"peft_atlas_version"].decode() == peft_atlas.__version__
    assert table.equals(pq.read_table(one / "findings.parquet"))


def test_results_of_the_current_folder_come_first(one, tmp_path, monkeypatch):
    one.rename(tmp_path / "results")
    monkeypatch.chdir(tmp_path)
    assert peft_atlas.load("findings").attrs["source"] == "results"


def test_a_bundle_is_read_as_a_folder_is(one, tmp_path):
    bundle = tmp_path / "bundle.zip"
    with zipfile.ZipFile(bundle, "w") as archive:
        archive.write(one / "findings.parquet", "results/findings.parquet")
    assert peft_atlas.load("findings", bundle).equals(peft_atlas.load("findings", one))
    assert list(tables_in(bundle)) == ["findings"]
    with pytest.raises(AtlasError, match=r"bundle\.zip: results/runs\.parquet cannot be read"):
        peft_atlas.load("runs", bundle)


@pytest.mark.parametrize(
    ("name", "place", "words"),
    [
        ("run", "one", "table 'run': unknown; allowed: adapter_counts, added_runs, application_verdicts"),
        ("runs", "one", "one/runs.parquet: no such file"),
        ("runs", "nowhere", "nowhere: no such file"),
        ("findings", "one/findings.parquet", "findings.parquet: results/findings.parquet cannot be read from it"),
    ],
)
def test_what_cannot_be_read_is_named(one, tmp_path, name, place, words):
    with pytest.raises(AtlasError) as caught:
        peft_atlas.load(name, tmp_path / place)
    assert words in str(caught.value)


def test_the_package_is_imported_without_pandas():
    program = "import sys, peft_atlas, peft_atlas.cli; print({'pandas', 'torch', 'pyarrow'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=os.environ, check=True)
    assert done.stdout == "set()\n"


def test_an_export_holds_each_table_in_three_formats(one, tmp_path):
    write_table(REFERENCES, [], one / "references.parquet")
    archive = tmp_path / "all.zip"
    assert export_tables(one, archive) == ["findings", "references"]
    expected = pd.read_parquet(one / "findings.parquet")
    with zipfile.ZipFile(archive) as opened:
        inside = f"peft-atlas-{peft_atlas.__version__}"
        csv = pd.read_csv(io.BytesIO(opened.read(f"{inside}/csv/findings.csv")))
        parquet = pq.read_table(io.BytesIO(opened.read(f"{inside}/parquet/findings.parquet")))
        opened.extract(f"{inside}/peft_atlas.duckdb", tmp_path)
    assert csv["id"].tolist() == expected["id"].tolist()
    assert parquet.equals(pq.read_table(one / "findings.parquet"))
    with duckdb.connect(tmp_path / inside / "peft_atlas.duckdb", read_only=True) as database:
        found = database.execute("SELECT id, effect FROM findings WHERE effect IS NOT NULL").fetchall()
        assert found == [("a", 1.5)]
        assert database.execute('SELECT count(*) FROM "references"').fetchall() == [(0,)]


def test_a_difference_is_named_by_finding(one, other):
    changed = changed_findings(one, other)
    assert dict(zip(changed["id"], changed["change"], strict=True)) == {
        **{"a": "effect", "b": "verdict"},
        **{"gone": "gone", "new": "added"},
    }
    assert changed_findings(one, one).empty
    printed = CliRunner().invoke(app, ["diff", str(one), str(other)]).output
    assert "verdict  check b: pass -> fail" in printed
    assert printed.endswith("1 added, 1 gone, 1 verdict, 1 effect.\n")


def test_the_data_dictionary_is_that_of_the_code(root):
    """If this fails: make docs."""
    assert (root / "docs/data-dictionary.md").read_text(encoding="utf-8") == data_dictionary()


def test_the_data_dictionary_has_every_column():
    page = data_dictionary()
    for contract in CONTRACTS.values():
        section = page.split(f"## {contract.name}\n")[1].split("\n## ")[0]
        assert [line.split("`")[1] for line in section.splitlines() if line.startswith("| `")] == [
            column.name for column in contract.columns
        ]
