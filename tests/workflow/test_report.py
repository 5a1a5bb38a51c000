"""The report: the same content in both forms, all of it escaped, nothing loaded from elsewhere."""

import re
from html.parser import HTMLParser

import pandas as pd
import pytest

from peft_atlas.report.content import Answer, AnswerText, Explorer, Paragraph, Section, table
from peft_atlas.report.render import render_html, render_markdown
from peft_atlas.tables.contract import read_table
from peft_atlas.tables.schemas import FINDINGS, RUNS

EVIL = "<script>alert(1)</script> & | `x` \\"


class Page(HTMLParser):
    """Collects ids, targets of links, sources of pictures and their alternative texts, and headings."""

    def __init__(self, text):
        super().__init__()
        self.ids, self.links, self.pictures, self.levels, self.tags, self.loaded = [], [], [], [], set(), []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.tags.add(tag)
        self.ids += [values["id"]] if "id" in values else []
        self.links += [values["href"]] if tag == "a" else []
        self.loaded += [values["href"]] if tag == "link" else []
        self.loaded += [values["src"]] if tag == "script" and "src" in values else []
        self.pictures += [(values["src"], values.get("alt"))] if tag == "img" else []
        self.levels += [int(tag[1])] if re.fullmatch(r"h[1-6]", tag) else []


def test_text_from_data_never_becomes_markup():
    frame = pd.DataFrame({"verdict": [EVIL], "n": [1]})
    blocks = [Paragraph(EVIL, EVIL), Answer("a-b", EVIL, (AnswerText(EVIL, EVIL, EVIL),)), table(EVIL, frame)]
    sections = [Section("a", EVIL, blocks)]
    html = render_html(sections, {})
    assert "<script>alert" not in html
    assert "&lt;script&gt;" in html
    points = render_html([Section("a", "a", [Explorer({"points": [EVIL, "</script>"]})])], {})
    assert points.count("</script>") == 2
    markdown = render_markdown(sections)
    rows = [line for line in markdown.splitlines() if line.startswith("| ")]
    assert all(len(re.findall(r"(?<!\\)\|", row)) == 3 for row in rows)


def test_missing_is_a_dash_and_whole_numbers_have_no_point():
    got = table("", pd.DataFrame({"a": [1.0, None, 1234567.0], "b": [0.5, 2.25, 1.0]}), {"b": ".2f"})
    assert [row[0] for row in got.rows] == ["1", "–", "1,234,567"]
    assert got.rows[1][1] == "2.25"
    assert got.numeric == (True, True)


@pytest.fixture(scope="module")
def page(smoked):
    text = (smoked.folder / "results/report.html").read_text(encoding="utf-8")
    return text, Page(text)


@pytest.mark.slow
def test_the_page_is_whole_in_itself(page):
    text, parsed = page
    assert len(text) < 5_000_000
    assert not {"iframe", "object", "embed", "base"} & parsed.tags
    assert all(source.startswith("data:image/svg+xml,") for source, _ in parsed.pictures)
    assert not [link for link in parsed.links if "//" in link]
    assert parsed.loaded == ["data:,"]
    style, script = text.split("<style>")[1].split("</style>")[0], text.rsplit("<script>", 1)[1]
    assert "url(" not in style
    assert "@import" not in style
    assert not re.search(
        r"fetch|XMLHttpRequest|import\(|sendBeacon|eval\(|innerHTML|localStorage|document\.cookie", script
    )


@pytest.mark.slow
def test_links_headings_and_pictures_are_in_order(page, smoked):
    _, parsed = page
    assert len(set(parsed.ids)) == len(parsed.ids)
    for link in parsed.links:
        if link.startswith("#"):
            assert link[1:] in parsed.ids
        else:
            assert (smoked.folder / "results" / link).is_file(), link
    assert all(after - before <= 1 for before, after in zip(parsed.levels, parsed.levels[1:], strict=False))
    assert all(alt for _, alt in parsed.pictures)


# What the stages of `make` do, on the tiny study; each report takes half a minute.
@pytest.mark.slow
def test_a_stage_reports_what_is_still_running_and_nothing_is_trained_twice(project):
    early = {"studies": ["notebook"], "later": ["adaptation", "encoder"]}
    done = project.snakemake("results/report.html", config=early)
    assert done.returncode == 0, done.stdout
    assert "Report: results/report.html (still running: adaptation, encoder)" in done.stdout
    text = (project.folder / "results/report.html").read_text(encoding="utf-8")
    assert text.count("(still running)</h2>") == 2
    assert "Still running: adaptation, encoder." in text
    jobs = project.jobs("results/report.html")
    assert "render_report" in jobs
    assert not [rule for rule in jobs if rule.startswith(("train_", "pretrain_", "check_"))]


@pytest.mark.slow
def test_answers_come_first_and_every_finding_is_told(page, smoked):
    text, _ = page
    markdown = (smoked.folder / "results/report.md").read_text(encoding="utf-8")
    titles = re.findall(r"^## (.*)$", markdown, flags=re.MULTILINE)
    expected = [
        *("In short", "Methods compared", "Will it fit?", "Questions and answers", "Explore"),
        *("What the field has measured since", "Published"),
        *(
            "Recomputed",
            "Memory: predicted against measured",
            "Conflicts",
            "Checks",
            "Failures",
            "Cost",
            "For a paper",
            "My model and data",
        ),
        *("How to rerun this", "Versions, seeds and configuration", "The notebook: where this project began"),
        *("The notebook's claims", "The notebook's errors, and what fixing them changes"),
        "Further figures",
    ]
    others = [title for title in titles if title.startswith("Measured: ") and title not in expected]
    assert [title for title in titles if title not in others] == expected
    findings = read_table(FINDINGS, smoked.folder / "results/findings.parquet")
    runs = read_table(RUNS, smoked.folder / "results/runs.parquet")
    for detail in findings["detail"]:
        assert " ".join(detail.replace("<", "&lt;").split()) in markdown
    counts = ", ".join(f"{n} {status}" for status, n in runs["status"].value_counts().items())
    assert f"{len(runs):,} runs: {counts}." in markdown
    for place in ("Versions, seeds and configuration", "torch"):
        assert place in text
