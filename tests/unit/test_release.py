"""The finished report in docs/: whole in itself, with its tables, and of this version of the code."""

import hashlib
import json
import re
import subprocess
import zipfile
from pathlib import Path

import pytest

from peft_atlas import __version__
from peft_atlas.errors import AtlasError
from peft_atlas.report.release import MANIFEST, main, write_release
from peft_atlas.tables.contract import write_table
from peft_atlas.tables.literature_schemas import REFERENCES

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
def results(tmp_path):
    folder = tmp_path / "run/results"
    (folder / "paper").mkdir(parents=True)
    (tmp_path / "run/figures").mkdir()
    page = '<a href="#top">a</a><a href="references.parquet">b</a><a href="../figures/f.pdf">c</a><link href="data:,">'
    (folder / "report.html").write_text(page, encoding="utf-8")
    write_table(REFERENCES, [], folder / "references.parquet")
    (folder / "paper/numbers.tex").write_text("x", encoding="utf-8")
    (tmp_path / "run/figures/f.pdf").write_bytes(b"figure")
    (tmp_path / "run/figures/f.png").write_bytes(b"picture")
    return folder


def test_every_link_of_a_released_report_leads_somewhere(results, tmp_path):
    docs = tmp_path / "docs"
    docs.mkdir()
    write_release(results, docs, tmp_path)
    links = re.findall(r'href="([^"#]+)"', (docs / "report.html").read_text(encoding="utf-8"))
    links += re.findall(r'href="([^"]+)"', (docs / "index.html").read_text(encoding="utf-8"))
    assert {link for link in links if not (docs / link).is_file()} == {"data:,"}
    with zipfile.ZipFile(docs / f"peft-atlas-{__version__}.zip") as bundle:
        described = ["croissant.json", "ro-crate-metadata.json"]
        shown = ["figures/f.pdf", "results/paper/numbers.tex", "results/references.parquet"]
        assert bundle.namelist() == sorted([*described, *shown])
        assert bundle.read("results/references.parquet") == (results / "references.parquet").read_bytes()
        crate = json.loads(bundle.read("ro-crate-metadata.json"))
    listed = [each["@id"] for each in crate["@graph"] if each["@type"] == "File"]
    assert listed == ["croissant.json", *shown]


def test_the_same_results_make_the_same_bytes_and_an_older_bundle_goes(results, tmp_path):
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "peft-atlas-0.0.0.zip").write_bytes(b"old")
    first = write_release(results, docs, tmp_path).read_bytes()
    assert write_release(results, docs, tmp_path).read_bytes() == first
    assert [file.name for file in docs.glob("*.zip")] == [f"peft-atlas-{__version__}.zip"]


@pytest.mark.parametrize(("page", "said"), [(None, "no finished report"), ("encoder (still running)", "has not ended")])
def test_no_release_without_a_finished_report(page, said, tmp_path):
    (tmp_path / "results").mkdir()
    if page:
        (tmp_path / "results/report.html").write_text(page, encoding="utf-8")
    with pytest.raises(AtlasError, match=said):
        main([str(tmp_path / "results"), str(tmp_path / "docs")])
    assert not (tmp_path / "docs").exists()


@pytest.mark.skipif(not (DOCS / MANIFEST).is_file(), reason="no release in docs/: make finished-report")
def test_the_release_in_docs_is_of_this_version_and_as_written():
    facts = json.loads((DOCS / MANIFEST).read_text(encoding="utf-8"))
    assert facts["version"] == __version__
    for name, file in facts["files"].items():
        assert hashlib.sha256((DOCS / name).read_bytes()).hexdigest() == file["sha256"]
        assert (DOCS / name).stat().st_size == file["bytes"]
    assert facts["files"]["report.html"]["bytes"] < 5_000_000
    page = (DOCS / "report.html").read_text(encoding="utf-8")
    assert set(re.findall(r'href="((?!#|data:)[^"]+)"', page)) == {f"peft-atlas-{__version__}.zip"}


def test_a_release_from_a_clean_checkout_says_so(results, tmp_path):
    docs = tmp_path / "run/docs"
    docs.mkdir()
    git = ["git", "-C", tmp_path / "run", "-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "all"]):
        subprocess.run([*git, *words], check=True)
    facts = json.loads(write_release(results, docs, tmp_path / "run").read_text(encoding="utf-8"))
    assert re.fullmatch(r"[0-9a-f]{12}", facts["code"])
