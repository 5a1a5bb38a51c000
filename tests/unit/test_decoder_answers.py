"""The decoder study: cells, answers and the figure of tables whose effects are known."""

import matplotlib as mpl
import pandas as pd
import pytest
import scipy
from decoder_tables import CELLS, ROWS, SEEDS, cells_of, decoder_tables, published_rows
from figure_checks import faults_of_text, marks_without_interval

from peft_atlas.config import FigureStyle
from peft_atlas.figures.render import draw_figure, settings
from peft_atlas.figures.spec import load_figure
from peft_atlas.studies.decoder.advice import decoder_advice
from peft_atlas.studies.decoder.answers import cost_answers, decoder_answers
from peft_atlas.studies.decoder.cells import ACCURACY, FORGOTTEN, decoder_cells
from peft_atlas.studies.decoder.item_contrasts import contrasts
from peft_atlas.studies.decoder.tabulate import cost_rows
from peft_atlas.studies.literature.data import load_published
from peft_atlas.tables.contract import read_table, write_table
from peft_atlas.tables.decoder_schemas import DECODER


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    return decoder_tables(tmp_path_factory.mktemp("tables"), strata=2)


@pytest.fixture(scope="module")
def cells(tables, tmp_path_factory):
    return cells_of(tables, tmp_path_factory.mktemp("cells"))


def cell(cells, method, metric=ACCURACY, stratum="all"):
    return cells[(cells["method"] == method) & (cells["metric"] == metric) & (cells["stratum"] == stratum)].iloc[0]


def test_cells_are_means_over_seeds_with_student_intervals(tables, cells):
    runs = tables["runs"]
    values = runs.loc[(runs["method"] == "(IA)3"), "test_accuracy"].astype(float).to_numpy()
    half = scipy.stats.t.ppf(0.975, SEEDS - 1) * values.std(ddof=1) / SEEDS**0.5
    found = cell(cells, "(IA)3")
    assert found["value"] == pytest.approx(values.mean())
    assert (found["low"], found["high"]) == pytest.approx((values.mean() - half, values.mean() + half))


def test_one_run_has_the_interval_of_its_rows(cells):
    found = cells[(cells["method"] == "no adaptation") & cells["setting"].str.startswith("0 ").fillna(False)].iloc[0]
    wilson = scipy.stats.binomtest(80, ROWS).proportion_ci(method="wilson")
    assert (found["low"], found["high"]) == pytest.approx((wilson.low, wilson.high))
    assert "Wilson" in found["interval"]


def test_strata_are_read_apart(tables, cells):
    runs, items = tables["runs"], tables["items"]
    full = items[items["run_id"].isin(runs.loc[runs["method"] == "full", "run_id"]) & (items["stratum"] == "kind 1")]
    assert cell(cells, "full", stratum="kind 1")["value"] == pytest.approx(full["correct"].mean())


def test_differences_are_adjusted_by_holm_and_rest_on_seeds_and_items(tables):
    found = {row["method"]: row for row in contrasts(tables["runs"], tables["items"], 0.95)}
    p = {name: row["p_value"] for name, row in found.items()}
    assert found["(IA)3"]["p_adjusted"] == pytest.approx(2 * p["(IA)3"])
    assert found["LoRA"]["p_adjusted"] == pytest.approx(p["LoRA"])
    assert found["(IA)3"]["difference"] == pytest.approx(-0.2, abs=0.05)
    assert (found["(IA)3"]["indistinguishable"], found["LoRA"]["indistinguishable"]) == (False, True)
    assert found["LoRA"]["interval"] == "95 % t over seeds and items"


def answers(tables, cells, values=None):
    published = published_rows(values or {"LoRA": 70.0, "(IA)3": 90.0})
    return {each.id: each for each in decoder_answers(cells, tables["runs"], published, 0.05)}


def test_answers_name_what_differs_and_what_would_have_been_detected(tables, cells):
    found = answers(tables, cells)
    text = found["decoder_against_full_commonsense"].detail
    assert "Different from full fine-tuning: (IA)3; statistically indistinguishable from it: LoRA" in text
    assert f"detectable with 80 % power: {100 * cell(cells, 'LoRA')['detectable']:.1f} points" in text
    forgotten = found["decoder_forgetting_commonsense"].detail
    assert "Different from full fine-tuning: LoRA (all linear modules)" in forgotten
    assert cell(cells, "LoRA", FORGOTTEN)["value"] == pytest.approx(0.3, abs=0.02)


def test_references_and_controls_stand_in_the_answer_on_gains(tables, cells):
    text = answers(tables, cells)["decoder_learnt_commonsense"].detail
    ends = sorted(100 * row["value"] for row in (cell(cells, "full"), cell(cells, "LoRA"), cell(cells, "(IA)3")))
    assert "the untrained model, 0 examples in the prompt 40.0 %" in text
    assert f"The methods gain {ends[0] - 40:.1f} to {ends[-1] - 40:.1f} points on the untrained model" in text


@pytest.mark.parametrize(("apart", "words"), [(20.0, "could"), (0.1, "could not")])
def test_a_published_difference_is_held_against_what_is_detectable(tables, cells, apart, words):
    found = answers(tables, cells, {"LoRA": 70.0, "(IA)3": 70.0 + apart})
    assert (
        f"lie {apart:.1f} points apart; a difference of that size from full fine-tuning {words}"
        in found["decoder_order_commonsense"].detail
    )


def test_an_order_is_given_only_where_it_is_reliable(tables, cells):
    found = answers(tables, cells)["decoder_order_commonsense"]
    assert found.effect.size > 0.8
    assert "reliable over seeds: " in found.detail
    alike = tables["runs"].assign(test_accuracy=[0.5 + 0.01 * (seed % 3) for seed in tables["runs"]["seed"]])
    chance = {each.id: each for each in decoder_answers(cells, alike, published_rows({"LoRA": 1.0}), 0.05)}
    assert "not reliable enough to rank them" in chance["decoder_order_commonsense"].detail


def test_the_advice_is_the_most_accurate_setting_that_no_test_tells_apart(cells):
    (found,) = decoder_advice(cells, 0.05)
    assert found.statement == "On a language model, start with LoRA (all linear modules) at r = 8."
    assert found.effect.size == pytest.approx(100 * cell(cells, "LoRA")["difference"])
    assert "Significantly different on a task: (IA)3." in found.detail
    worse = cells.assign(p_adjusted=cells["p_adjusted"].where(cells["p_adjusted"].isna(), 0.001))
    (found,) = decoder_advice(worse, 0.05)
    assert found.statement.endswith("at r = 8 only where full fine-tuning does not fit.")


def test_no_advice_rests_on_two_seeds_or_on_a_setting_that_a_task_lacks(cells):
    assert list(decoder_advice(cells.assign(n=2), 0.05)) == []
    other = cells[cells["method"] != "LoRA"].assign(task="arithmetic", p_adjusted=0.9)
    (found,) = decoder_advice(pd.concat([cells, other], ignore_index=True), 0.01)
    assert "(IA)3" in found.statement


def test_costs_are_means_over_the_tested_runs(tables, cells):
    rows = pd.DataFrame(cost_rows(tables["runs"], tables["costs"], "this run"))
    assert rows.set_index("method")["cpu_seconds"].to_dict() == {key[0]: cell[3] for key, cell in CELLS.items()}
    (found,) = cost_answers(rows)
    assert "full fine-tuning takes 50 s and " in found.detail
    assert "LoRA (all linear modules) 0.80 (" in found.detail
    larger = rows[rows["method"] == "LoRA"].assign(rank=64)
    (found,) = cost_answers(pd.concat([rows, larger], ignore_index=True))
    assert "LoRA (all linear modules), rank 64 0.80" in found.detail


@pytest.mark.parametrize("preset", ["two_columns", "one_column", "slide"])
def test_the_figure_has_intervals_and_room_for_both_tasks(root, tmp_path, preset):
    both = [decoder_tables(tmp_path / task, task) for task in ("commonsense", "arithmetic")]
    runs, items = (pd.concat([each[name] for each in both], ignore_index=True) for name in ("runs", "items"))
    write_table(DECODER, decoder_cells(runs, items, 0.95, "this run"), tmp_path / "decoder.parquet")
    known = {"decoder_cells": read_table(DECODER, tmp_path / "decoder.parquet")}
    module, style = load_figure("decoder_published"), FigureStyle(preset=preset)
    plotted = module.select({**known, "published": load_published(root / "data/published")})
    figure = draw_figure(module, plotted, style)
    with mpl.rc_context(settings(module.SPEC, style)):
        assert faults_of_text(figure) == []
        assert marks_without_interval(figure, module.SPEC.exact_panels) == []
    measured = plotted[(plotted["panel"] == "Measured") & (plotted["role"] == "method")]
    assert set(measured["task"]) == {"commonsense", "arithmetic"}
    known = known["decoder_cells"].query("role == 'method' and stratum == 'all' and metric == 'test_accuracy'")
    for task, part in known.groupby("task"):
        level = 100 * part.set_index("method")["value"].astype(float)
        own = measured[measured["task"] == task].set_index("method")["mean"]
        assert own.to_dict() == pytest.approx((level - level["full"]).drop("full").to_dict())
        assert f"on {task}, full fine-tuning reaches {level['full']:.1f} % and 2 methods" in (
            module.describe(plotted).finding[:1].lower() + module.describe(plotted).finding[1:]
        )


def test_without_a_run_the_figure_has_the_published_averages_alone(root, tmp_path):
    write_table(DECODER, [], tmp_path / "decoder.parquet")
    module, style = load_figure("decoder_published"), FigureStyle()
    known = {"decoder_cells": read_table(DECODER, tmp_path / "decoder.parquet")}
    plotted = module.select({**known, "published": load_published(root / "data/published")})
    figure = draw_figure(module, plotted, style)
    with mpl.rc_context(settings(module.SPEC, style)):
        assert faults_of_text(figure) == []
    assert set(plotted["panel"]) == {"Published"}
    assert module.describe(plotted).finding == "Nothing was measured."
