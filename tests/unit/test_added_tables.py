"""Rows and tables that a reader adds: they reach findings and figures with no change of code."""

import shutil

import matplotlib as mpl
import pytest
from literature_findings import find_all, load_tables

from peft_atlas.analysis.evidence import rows_of
from peft_atlas.analysis.finding import as_rows
from peft_atlas.config import FigureStyle
from peft_atlas.errors import AtlasError
from peft_atlas.figures.render import build
from peft_atlas.figures.spec import all_figures, load_figure
from peft_atlas.figures.style import rc_params
from peft_atlas.studies.literature import data as load
from peft_atlas.studies.literature.conflicts import conflicts
from peft_atlas.studies.literature.scores import scores
from peft_atlas.tables.contract import write_table
from peft_atlas.tables.schemas import FINDINGS

CELL = "{},{},{},{},{},percent,reft_v3,Table 99,verbatim,added"
PUBLISHED = [spec.name for spec in all_figures() if spec.study == "literature"]
STYLE = FigureStyle()

# Left out of `make fast-test`: together these files take most of the time of the unit tests.
pytestmark = pytest.mark.slow


def tables_of(folder):
    tables = load_tables(folder)
    tables["conflicts"] = conflicts(tables["published"], tables["parameters"])
    return tables | {"findings": as_rows(find_all(tables))}


@pytest.fixture(scope="module")
def added(root, tmp_path_factory):
    """The tables with a method, a base model, and a family of tasks without LoRA that are not among those shipped."""
    folder = tmp_path_factory.mktemp("added") / "published"
    shutil.copytree(root / "data/published", folder)
    tasks = ["BoolQ", "PIQA", "SIQA", "HellaSwag", "WinoGrande", "ARC-e", "ARC-c", "OBQA", "Avg"]
    models = ["LLaMA-7B", "LLaMA-13B", "LLaMA-30B"]
    accuracy, percent = "accuracy_percent", "trainable_params_percent"
    rows = [CELL.format(model, "Tomorrow", task, accuracy, "85.0") for model in models for task in tasks]
    with (folder / "commonsense.csv").open("a", encoding="utf-8") as stream:
        stream.writelines(f"{row}\n" for row in rows)
    rows = [CELL.format(model, "Tomorrow", "Commonsense Reasoning", percent, "0.004") for model in models]
    for method, value in (("Tomorrow", "61.0"), ("LoReFT", "60.0")):
        rows += [CELL.format(models[0], method, task, accuracy, value) for task in ("one", "two", "Avg")]
        rows.append(CELL.format(models[0], method, "Reading", percent, "0.004"))
    (folder / "Reading.csv").write_text("\n".join([",".join(load.CELL_COLUMNS), *rows]) + "\n", encoding="utf-8")
    return tables_of(folder)


def drawn(name, tables):
    """Return what a figure plots, its caption with its finding, and every text on it."""
    module = load_figure(name)
    plotted = module.select(tables)
    with mpl.rc_context({"backend": "agg", **rc_params(STYLE)}):
        figure = build(module, plotted, STYLE)
        figure.canvas.draw()
        texts = {text.get_text() for text in figure.findobj(mpl.text.Text)}
    description = module.describe(plotted)
    return plotted, f"{description.finding} {description.caption}", " ".join(texts)


def test_an_added_method_model_and_family_have_scores(added):
    table = scores(added["published"]).set_index(["base_model", "family", "method"])
    assert table.loc[("LLaMA-30B", "Commonsense Reasoning", "Tomorrow"), "accuracy"] == 85.0
    assert table.loc[("LLaMA-7B", "Reading", "LoReFT"), "dominated_by"] == "Tomorrow"


def test_findings_take_up_what_was_added(added, tmp_path):
    found = added["findings"].set_index("id")
    assert "Tomorrow on LLaMA-7B (85.0 %" in found.loc["published_best", "detail"]
    assert "Tomorrow" in found.loc["balance_commonsense_reasoning", "detail"]
    assert "row_mean_reading_reft_v3" in found.index
    # LoRA is not in the added family, so nothing is said of it there.
    assert not found.index.str.contains("balance_reading|among_the_best_reading").any()
    write_table(FINDINGS, added["findings"], tmp_path / "findings.parquet")
    for evidence in added["findings"]["evidence"]:
        assert all(len(rows) for rows in rows_of(evidence, added))


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_figure_draws_what_was_added(name, added):
    drawn(name, added)


def test_the_front_gains_points_and_panels(added):
    plotted, words, texts = drawn("pareto_fronts", added)
    assert {"LLaMA-30B", "LLaMA-7B", "LLaMA-13B"} == set(plotted["base_model"])
    assert "On reading the front is Tomorrow on LLaMA-7B; LoRA is not there." in words
    assert all(part in texts for part in ("Tomorrow", "LLaMA-7B, reading", "LLaMA-30B, commonsense reasoning"))


def test_the_heatmap_gains_a_row_a_panel_and_columns(added):
    plotted, words, texts = drawn("task_method_heatmap", added)
    assert set(plotted.loc[plotted["table"] == "Reading", "task"]) == {"one", "two", "Avg"}
    assert "Tomorrow is best in 2 of 2 columns of reading tasks" in words
    assert all(part in texts for part in ("Tomorrow", "LLaMA-30B", "Reading"))


def test_no_number_lies_outside_of_a_log_axis(added):
    module = load_figure("pareto_fronts")
    with mpl.rc_context({"backend": "agg", **rc_params(STYLE)}):
        figure = build(module, module.select(added), STYLE)
    for axis in figure.axes:
        if axis.axison:
            low, high = axis.get_xlim()
            points = [line.get_xdata()[0] for line in axis.lines if len(line.get_xdata()) == 1]
            assert all(low < x < high for x in points)


OWN = "MyLoRA"
ENTRY = """
mine:
  title: "My own study"
  authors: Me
  identifier: "example.org/mine"
  version: v1
  date: null
  kind: repository
  what_was_read: all of it
"""
TASKS = ["BoolQ", "PIQA", "SIQA", "HellaSwag", "WinoGrande", "ARC-e", "ARC-c", "OBQA", "Avg"]
DRAWN_BY_SOURCE = {"commonsense_average", "method_parameters", "params_vs_commonsense", "pareto_fronts"}


@pytest.fixture(scope="module", params=["in the tables' own files", "in a file of its own"])
def own(request, root, tmp_path_factory):
    """The tables with a method from a source of one's own, under its own name."""
    folder = tmp_path_factory.mktemp("own") / "published"
    shutil.copytree(root / "data/published", folder)
    with (folder / "sources.yaml").open("a", encoding="utf-8") as stream:
        stream.write(ENTRY)
    cells = [("LLaMA-7B", OWN, task, "accuracy_percent", "81.0") for task in TASKS]
    percent = ("LLaMA-7B", OWN, "Commonsense Reasoning", "trainable_params_percent", "0.20")
    ending = ["percent", "mine", "Table 1", "verbatim", ""]
    if request.param == "in a file of its own":
        lines = [",".join([*cell, *ending, "Commonsense Reasoning"]) for cell in (*cells, percent)]
        text = "\n".join([",".join([*load.CELL_COLUMNS, "family"]), *lines]) + "\n"
        (folder / "mine.csv").write_text(text, encoding="utf-8")
    else:
        for name, rows in (("commonsense", cells), ("parameters", [percent])):
            with (folder / f"{name}.csv").open("a", encoding="utf-8") as stream:
                stream.writelines(",".join([*row, *ending]) + "\n" for row in rows)
    return tables_of(folder)


@pytest.fixture(scope="module")
def shipped(root):
    return tables_of(root / "data/published")


@pytest.mark.parametrize("name", sorted({*DRAWN_BY_SOURCE, "task_method_heatmap"}))
def test_a_row_of_an_own_source_is_drawn_under_its_source(name, own):
    plotted, words, texts = drawn(name, own)
    rows = plotted[plotted["method"] == OWN]
    assert set(rows["source"]) == {"mine"}
    assert len(rows) == (len(TASKS) if name == "task_method_heatmap" else 1)
    assert "mine" in words
    assert OWN in texts


def test_an_own_source_changes_no_statement_about_another(own, shipped):
    found, before = (tables["findings"].set_index("id")["detail"] for tables in (own, shipped))
    for name in ("published_best", "balance_commonsense_reasoning"):
        assert found[name] == before[name]


@pytest.mark.parametrize("name", sorted({*DRAWN_BY_SOURCE, "task_method_heatmap", "task_family_ranking"}))
def test_the_shipped_figures_draw_no_other_source(name, shipped):
    plotted = load_figure(name).select(shipped)
    assert set(plotted["source"].dropna()) <= {"reft_v3", "seed_notebook"}


def test_a_family_spelled_in_two_ways_is_refused(root, tmp_path):
    folder = tmp_path / "published"
    shutil.copytree(root / "data/published", folder)
    lines = [",".join([*load.CELL_COLUMNS, "family"]), CELL.format("LLaMA-7B", "A", "one", "accuracy_percent", "1")]
    (folder / "mine.csv").write_text("\n".join([lines[0], f"{lines[1]},commonsense reasoning"]), encoding="utf-8")
    with pytest.raises(AtlasError, match="family = 'commonsense reasoning': allowed: 'Commonsense Reasoning', as on"):
        load.load_published(folder)
