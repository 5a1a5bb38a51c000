"""The short report as a PDF, and the whole one in print: no longer than promised, refused where no browser is."""

import re
import shutil
import subprocess
import sys

import pytest
import yaml

from peft_atlas.errors import AtlasError
from peft_atlas.report.content import Doors, Explorer, Planner
from peft_atlas.report.material import load_material
from peft_atlas.report.render import render_html
from peft_atlas.report.short_report import find_browser, print_pdf, short_sections
from peft_atlas.tables.schemas import CONTRACTS

# Skia writes a page's dictionary plainly; /Pages is the tree above them.
PAGE = re.compile(rb"/Type\s*/Page\b(?!s)")


@pytest.fixture(scope="module")
def material(smoked, root):
    results = smoked.folder / "results"
    tables = {path.stem: path for path in results.glob("*.parquet") if path.stem in CONTRACTS}
    figures = sorted(path.with_suffix("") for path in (smoked.folder / "figures").glob("*.json"))
    config = yaml.safe_load((results / "config.yaml").read_text(encoding="utf-8"))
    return load_material(tables, figures, config, root)


def test_the_short_report_has_advice_answers_and_figures_on_at_most_12_pages(material, browser, tmp_path):
    sections = short_sections(material)
    assert [section.id for section in sections] == ["answers", "methods", "questions", "figures", "provenance"]
    kinds = {type(block) for section in sections for block in section.blocks}
    assert not kinds & {Doors, Explorer, Planner}
    path = tmp_path / "short.pdf"
    print_pdf(render_html(sections, material.tables), path, find_browser())
    assert path.read_bytes().startswith(b"%PDF")
    assert 3 <= len(PAGE.findall(path.read_bytes())) <= 12


def test_the_whole_report_prints_on_at_most_30_pages(open_report, tmp_path):
    printed = open_report().pdf(prefer_css_page_size=True)
    assert 12 < len(PAGE.findall(printed)) <= 30


def test_a_browser_that_prints_nothing_is_named_and_no_file_is_left(tmp_path):
    with pytest.raises(AtlasError, match=r"false: made no PDF \(no message\)"):
        print_pdf("<p>a</p>", tmp_path / "a.pdf", "false")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_without_a_browser_the_target_is_refused_before_any_job(root, tmp_path, monkeypatch):
    # What Snakemake itself asks for, and no browser.
    for name in ("which", "bash", "git"):
        (tmp_path / name).symlink_to(shutil.which(name))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(AtlasError, match=r"^no browser to print with: allowed: chromium, .* \(Debian: chromium\)$"):
        find_browser()
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "-s",
        root / "Snakefile",
        "-d",
        tmp_path,
        "--cores",
        "1",
        "-n",
        "paper",
    ]
    done = subprocess.run(command, text=True, capture_output=True)
    assert done.returncode != 0
    assert done.stderr.strip().splitlines()[-1].startswith("no browser to print with")
