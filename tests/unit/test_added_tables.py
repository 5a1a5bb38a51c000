"""Rows and tables that a reader adds: they reach findings and figures with no change of code."""

import shutil

import matplotlib as mpl
import pytest
from literature_findings import find_all, load_tables

from peft_atlas.analysis.evidence import rows_of
from peft_atlas.analysis.finding import as_rows
from peft_atlas.config import FigureStyle
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
