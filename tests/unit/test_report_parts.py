"""Evidence, answers, studies that were not run, and what is written for a paper."""

import io
import re
import shutil
import subprocess
from pathlib import Path
from urllib.parse import quote, unquote
from xml.etree import ElementTree

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from result_tables import read_results

from peft_atlas.latex import booktabs, command_name, escape, long_booktabs
from peft_atlas.report.answers import answers_section, own_answers
from peft_atlas.report.content import AnswerText
from peft_atlas.report.evidence import SHOWN, Evidence
from peft_atlas.report.material import Material
from peft_atlas.report.paper import write_paper
from peft_atlas.report.render import _data_address
from peft_atlas.report.sections import build_sections
from peft_atlas.studies.study import QUESTIONS, TOPICS, AdvicePart, AnswerPart, Study, all_studies
from peft_atlas.tables.schemas import CONTRACTS

RUNS = pd.DataFrame(
    {
        "run_id": ["a", "b", "c", "d"],
        "study": ["notebook", "notebook", "notebook", "encoder"],
        "rank": pd.array([1, 2, None, 2], dtype="Int64"),
        "alpha": [16.0, 1.0, None, 0.5],
        "setting": ["query, key, value", None, "query", "query"],
    }
)
TABLES = {"runs": RUNS, "findings": pd.DataFrame({"kind": ["check", "claim"], "id": ["x", "y"]})}


def test_evidence_leads_to_its_rows_and_to_the_first_of_many():
    (block,) = Evidence(TABLES).links("runs: study=notebook, alpha=16 and 1")
    assert [row[0] for row in block.rows.rows] == ["a", "b"]
    assert (block.name, block.conditions, block.total) == ("runs", "study=notebook, alpha=16 and 1", 2)
    many = pd.DataFrame({"run_id": [f"{n:02d}" for n in range(20)]})
    (block,) = Evidence({"runs": many}).links("runs")
    assert (block.total, len(block.rows.rows)) == (20, SHOWN)


@pytest.mark.parametrize(
    "evidence", ["studies/notebook/data.py: held_out, all seeds", "runs: study=none", "what is seen"]
)
def test_what_selects_no_row_is_no_link(evidence):
    assert Evidence(TABLES).links(evidence) == []


def test_two_tables_are_two_links_and_the_same_rows_have_one_anchor():
    evidence = Evidence(TABLES)
    first = evidence.links("findings: kind=claim; runs: study=encoder")
    assert [(block.name, block.total) for block in first] == [("findings", 1), ("runs", 1)]
    assert evidence.links("runs: study=encoder") == [first[1]]
    assert len(evidence.blocks()) == len({block.id for block in evidence.blocks()}) == 2


def test_selections_of_the_same_rows_are_one_link():
    evidence = Evidence(TABLES)
    blocks = evidence.links("runs: study=notebook, rank; runs: study=notebook, alpha; runs: study=encoder")
    assert [block.total for block in blocks] == [3, 1]
    assert evidence.blocks() == blocks


def test_an_answer_opens_with_its_first_sentence_and_folds_the_rest_by_finding():
    text = AnswerText(
        "here", "LoRA with r = 8 is -0.6 [-1.5, +0.3] below. Two tasks.\nWhat of time? It takes 61 %.", ""
    )
    assert text.lead == "LoRA with r = 8 is -0.6 [-1.5, +0.3] below."
    assert text.rest == ("Two tasks.", "What of time? It takes 61 %.")
    assert AnswerText("", "One sentence.", "").rest == ()


@pytest.fixture(scope="module")
def tables(smoked):
    return read_results(smoked.folder / "results", CONTRACTS)


def material(tables, studies=("literature", "notebook")):
    return Material(tables, (), studies, "", (0, 1, 2), 0.95, {}, "code", "machine")


@pytest.mark.slow
def test_each_question_is_answered_by_the_details_of_findings(tables):
    whole = material(tables, tuple(study.name for study in all_studies()))
    section = answers_section(whole, all_studies())
    asked = section.blocks[: len(QUESTIONS)]
    assert [block.question for block in asked] == list(QUESTIONS.values())
    chapters = [study.name for study in all_studies() if study.chapter]
    findings = tables["findings"]
    findings = findings[~findings["study"].isin(chapters) & (findings["kind"] != "advice")]
    details = {*findings["detail"].dropna(), *findings.loc[findings["kind"] == "answer", "statement"]}
    rest = " ".join(part.text for block in section.blocks for part in block.texts)
    for detail in sorted(details, key=len, reverse=True):
        rest = rest.replace(detail, "")
    assert not re.search(r"\d", rest)
    told = tables["findings"][tables["findings"]["kind"] == "answer"]["detail"]
    own = [block for study in all_studies() for block in own_answers(whole, study)]
    texts = [part.text for block in [*section.blocks, *own] if block.kind == "answer" for part in block.texts]
    assert all(any(detail in text for text in texts) for detail in told)


@pytest.mark.slow
def test_a_study_that_was_not_run_is_said_to_be_absent(tables):
    sections = {section.id: section for section in build_sections(material(tables, ("literature",)))}
    assert sections["notebook"].title.endswith("(not run)")
    (absent,) = sections["notebook"].blocks
    assert "add notebook to studies" in absent.text
    assert "rank" in {block.text.split()[1] for block in sections["questions"].blocks if block.kind == "paragraph"}


def test_parts_of_an_answer_name_figures_and_findings():
    for study in all_studies():
        assert isinstance(study, Study)
        assert all(isinstance(part, AnswerPart) and part.question in QUESTIONS for part in study.answers)
        assert all(isinstance(part, AdvicePart) and part.topic in TOPICS for part in study.advice)


def test_latex_gets_no_live_character():
    evil = r"50 % of \x{a}_b & $1 #2 ~ ^ <>"
    assert escape(evil) == (
        r"50 \% of \textbackslash{}x\{a\}\_b \& \$1 \#2 \textasciitilde{} \textasciicircum{} \textless{}\textgreater{}"
    )
    assert command_name("atlas", "notebook_gain-2") == r"\atlasNotebookGainTwo"
    text = booktabs(("a", "b"), (("x & y", "1"),), (False, True))
    assert text.splitlines()[0] == r"\begin{tabular}{@{}lr@{}}"
    assert r"x \& y & 1 \\" in text


@pytest.fixture(scope="module")
def paper(tables, tmp_path_factory):
    folder = tmp_path_factory.mktemp("paper")
    write_paper(tables, ["notebook"], folder)
    return folder


@pytest.mark.slow
def test_the_numbers_of_a_paper_are_those_of_the_findings(paper, tables):
    text = (paper / "numbers.tex").read_text(encoding="utf-8")
    commands = re.findall(r"^\\newcommand\{\\([A-Za-z]+)\}\{(.*)\}$", text, flags=re.MULTILINE)
    assert len(dict(commands)) == len(commands)
    gain = tables["findings"].set_index("id").loc["notebook_gain"]
    for ending, column in (("", "effect"), ("Low", "low"), ("High", "high")):
        got = dict(commands)[f"atlasNotebookGain{ending}"].strip("$")
        # As the report rounds it.
        assert got == f"{gain[column]:+.1f}"
        assert got in gain["detail"]
    assert dict(commands)["atlasNotebookGainN"] == str(gain["n"])


@pytest.mark.slow
def test_the_tables_of_a_paper_have_whole_rows(paper):
    files = sorted(path for path in paper.glob("*.tex") if path.name != "numbers.tex")
    assert [path.stem for path in files] == ["differences_notebook", "measured_notebook", "memory", "parameters"]
    for path in files:
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("%")]
        assert [line for line in lines if line.startswith("\\") and line[1] in "tmb"][1::1]
        columns = len(re.sub(r"[^lr]", "", lines[0].split("@{}")[1]))
        rows = [line for line in lines if line.endswith(r" \\")]
        assert len(rows) > 3
        assert all(len(re.findall(r"(?<!\\)&", row)) == columns - 1 for row in rows)


def test_a_long_table_breaks_over_pages_and_repeats_its_header():
    text = long_booktabs(("a", "b_c"), (("x & y", "1"),), (False, True), "5 % of it.", "tab:x")
    assert text.startswith(r"\begin{longtable}{@{}lr@{}}")
    assert text.count(r"a & b\_c \\") == 2
    assert text.index(r"\endfirsthead") < text.index(r"\endhead") < text.index(r"x \& y & 1 \\")
    assert r"\caption{5 \% of it.}\label{tab:x}\\" in text


@pytest.mark.slow
def test_every_source_has_an_entry_in_the_bibliography(paper, tables):
    text = (paper / "sources.bib").read_text(encoding="utf-8")
    repositories = {name.replace("/", "_").lower() for name in tables["benchmark_runs"]["repository"]}
    keys = re.findall(r"^@misc\{(.*),$", text, flags=re.MULTILINE)
    assert len(keys) == len(set(keys))
    assert set(keys) >= {*tables["published"]["source"], *repositories}
    assert text.count("{") == text.count("}")
    entry = text.split("@misc{reft_v3,")[1].split("@misc")[0]
    assert "author = {Wu and others}," in entry
    assert "year = {2024}," in entry
    assert "howpublished = {arXiv:2404.03592}," in entry


def _input(path):
    """Return how a table is put into a document: a short one is scaled to the line."""
    long = "longtable" in path.read_text(encoding="utf-8")
    put = rf"\input{{{path.stem}}}"
    return rf"{{\tiny {put}}}" if long else rf"\resizebox{{\linewidth}}{{!}}{{{put}}}"


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex on this machine")
def test_latex_takes_numbers_tables_and_figures(paper, smoked, tmp_path):
    inputs = "\n".join(_input(path) for path in sorted(paper.glob("[dm]*.tex")))
    figures = sorted((smoked.folder / "figures").glob("*.tex"))
    floats = "\n\\clearpage\n".join(rf"\input{{{path}}}" for path in figures)
    text = rf"""\documentclass{{article}}
\usepackage[T1]{{fontenc}}\usepackage{{booktabs,graphicx,longtable}}\graphicspath{{{{{smoked.folder}/figures/}}}}
\begin{{document}}\input{{numbers}}\atlasNotebookGain\ \atlasNotebookGainUnit
{inputs}
\clearpage
{floats}
\end{{document}}"""
    (paper / "paper.tex").write_text(text, encoding="utf-8")
    command = ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", f"-output-directory={tmp_path}", "paper.tex"]
    done = subprocess.run(command, cwd=paper, text=True, capture_output=True, errors="replace", timeout=120)
    assert done.returncode == 0, done.stdout[-2000:]
    assert Path(tmp_path / "paper.pdf").stat().st_size > 100_000


def test_a_figure_in_the_page_lacks_nothing_that_is_drawn():
    figure, axis = plt.subplots(figsize=(2, 1.5))
    axis.plot([0, 1], [0, 1], marker="o", label="a")
    axis.legend()
    stream = io.StringIO()
    figure.savefig(stream, format="svg")
    plt.close(figure)
    address = _data_address(stream.getvalue())
    whole, lean = ElementTree.fromstring(stream.getvalue()), ElementTree.fromstring(unquote(address.partition(",")[2]))

    def shapes(tree):
        drawn = [node for node in tree.iter() if re.search(r"\}(path|use|rect|g|clipPath)$", node.tag)]
        return [(node.tag, {key: said(key, value) for key, value in node.items() if key != "id"}) for node in drawn]

    def said(key, value):
        # Outlines and places need not be finer than a hundredth of a point.
        number = re.compile(r"-?\d+\.\d+") if key in ("d", "x", "y") else re.compile(r"(?!)")
        return " ".join(number.sub(lambda found: f"{float(found[0]):.2f}", value).split())

    assert shapes(lean) == shapes(whole)
    moved = [[node.get("transform") for node in tree.iter() if node.get("transform")] for tree in (lean, whole)]
    assert moved[0] == moved[1]
    referred = {value[1:] for node in lean.iter() for key, value in node.items() if key.endswith("href")}
    assert referred <= {node.get("id") for node in lean.iter()}
    assert len(address) < 0.97 * len(quote(stream.getvalue()))
