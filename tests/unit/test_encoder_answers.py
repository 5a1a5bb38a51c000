"""The encoder study's comparisons, answers, costs and figures on simulated runs whose effects are known."""

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from encoder_tables import Cell, default_cells, simulated
from figure_checks import faults_of_text

from peft_atlas.analysis.contrasts import Levels
from peft_atlas.analysis.evidence import rows_of
from peft_atlas.analysis.pooled import TwoWay
from peft_atlas.analysis.summary import summarise
from peft_atlas.config import FigureStyle
from peft_atlas.errors import AtlasError
from peft_atlas.figures.more_marks import PEFT_METHODS
from peft_atlas.figures.render import build, draw_figure, settings
from peft_atlas.figures.spec import load_figure
from peft_atlas.studies.encoder import contrasts, item_contrasts
from peft_atlas.studies.encoder.answers import encoder_answers, seeds_for
from peft_atlas.studies.encoder.costs import cost_answers
from peft_atlas.studies.literature.data import load_published
from peft_atlas.tables.contract import read_table, write_table
from peft_atlas.tables.schemas import CONTRASTS, RUNS, SUMMARY

LORA = "LoRA (query, value)"
QUESTION = {"method": LORA, "margin": 0.015}


def compared(tables, folder, confidence=0.95):
    """Return the table of the contract ``contrasts``."""
    rows = contrasts.contrasts(tables["runs"], tables["curves"], Levels(confidence, 0.01))
    rows += item_contrasts.contrasts(tables["runs"], tables["items"], confidence, QUESTION)
    write_table(CONTRASTS, rows, folder / "contrasts.parquet")
    return read_table(CONTRASTS, folder / "contrasts.parquet")


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Return the tables of a simulated study, in which LoRA loses 4 points on both tasks."""
    folder = tmp_path_factory.mktemp("study")
    tables = simulated(default_cells(effect=-0.04), folder, draw=1)
    return {**tables, "contrasts": compared(tables, folder)}


def right(study, **cell):
    """Return the correctness of the chosen runs of a cell, shape ``(seeds, items)``."""
    runs = study["runs"][study["runs"]["selected"].fillna(value=False)]
    for name, value in cell.items():
        runs = runs[runs[name] == value]
    items = study["items"].set_index("run_id")["correct"].astype(float)
    return np.array([items[run].to_numpy() for run in runs.sort_values("seed")["run_id"]])


def row_of(study, question, **where):
    rows = study["contrasts"][study["contrasts"]["question"] == question]
    for name, value in where.items():
        rows = rows[rows[name] == value]
    assert len(rows) == 1
    return rows.iloc[0]


def test_the_prespecified_difference_is_the_mean_over_tasks_seeds_and_items(study):
    by_task = {}
    for task in ("trec6", "sent_movie"):
        lora = right(study, task=task, method="LoRA", setting="query, value", experiment="methods")
        full = right(study, task=task, method="full", experiment="methods")
        by_task[task] = (lora - full).mean()
        assert row_of(study, "encoder_primary", task=task)["difference"] == pytest.approx(by_task[task])
    whole = row_of(study, "encoder_primary", task="mean over tasks")
    assert whole["difference"] == pytest.approx(np.mean(list(by_task.values())))
    assert whole["role"] == "primary"
    assert whole["low"] < -0.04 < whole["high"]
    assert whole["detectable"] < row_of(study, "encoder_primary", task="trec6")["detectable"]
    check = row_of(study, "encoder_primary_bootstrap")
    assert check["low"] < whole["difference"] < check["high"]


def test_the_seeds_that_chose_the_rates_are_left_out_for_a_check(study):
    # In the simulated study seed 0 ran at every rate.
    by_task = [
        right(study, task=task, method="LoRA", setting="query, value", experiment="methods")[1:]
        - right(study, task=task, method="full", experiment="methods")[1:]
        for task in ("trec6", "sent_movie")
    ]
    row = row_of(study, "encoder_primary_cross_fit")
    assert row["difference"] == pytest.approx(np.mean([part.mean() for part in by_task]))
    assert row["n"] == 7
    said = f"over the 7 seeds that chose no rate it is {100 * row['difference']:+.1f} ["
    assert said in answers(study)["encoder_gain_primary"].detail


def test_exploratory_settings_are_compared_on_the_texts_that_all_have_read(study):
    full = right(study, method="full", task="trec6", experiment="methods")[:3, :800]
    bitfit = right(study, method="BitFit")
    row = row_of(study, "encoder_against_full", method="BitFit")
    assert row["difference"] == pytest.approx((bitfit - full).mean())
    assert row["adjustment"].startswith("Dunnett, 6 ")
    assert row["p_adjusted"] >= row["p_value"]
    assert LORA not in set(study["contrasts"].loc[study["contrasts"]["question"] == "encoder_against_full", "setting"])


def test_modules_and_ranks_rest_on_one_error_of_all_settings(study):
    runs = study["runs"]
    chosen = runs[(runs["task"] == "trec6") & runs["selected"].fillna(value=False)]
    chosen = chosen[chosen["experiment"].isin(["methods", "ranks"]) & (chosen["seed"] < 3)]
    items = study["items"][study["items"]["row"] < 800].groupby("run_id")["correct"].mean()
    chosen = chosen.assign(own=[items[run] for run in chosen["run_id"]])
    wide = chosen.pivot(index=["method", "setting", "rank"], columns="seed", values="own")
    model = TwoWay(wide.to_numpy(dtype=float))
    row = row_of(study, "encoder_ranks", rank=64)
    assert row["reference"] == "rank 8"
    half = (row["high"] - row["low"]) / 2
    assert half == pytest.approx(model.pair(0, 1, 0.95).high - model.pair(0, 1, 0.95).mean)
    assert set(study["contrasts"].loc[study["contrasts"]["question"] == "encoder_modules", "setting"]) == {
        "query, key, value",
        "all linear modules",
    }


def test_a_rank_curve_whose_rates_were_not_tuned_at_each_rank_is_refused(tmp_path):
    cells = [
        Cell("full", 0.8),
        Cell("LoRA", 0.8, "query, key, value", rank=8),
        Cell("LoRA", 0.2, "query, key, value", rank=64, experiment="ranks", rates=(0.01,)),
    ]
    tables = simulated(cells, tmp_path)
    with pytest.raises(AtlasError, match="not tuned"):
        compared(tables, tmp_path)


def test_the_budget_changes_the_difference_by_what_the_two_differ(study):
    small = right(study, task="trec6", method="LoRA", setting="query, value", experiment="methods")[:3]
    small = small - right(study, task="trec6", method="full", experiment="methods")[:3]
    large = right(study, method="LoRA", experiment="1280 examples") - right(
        study, method="full", experiment="1280 examples"
    )
    assert row_of(study, "encoder_budget")["difference"] == pytest.approx(large.mean())
    assert row_of(study, "encoder_budget_change")["difference"] == pytest.approx((large - small).mean())


def answers(study, confidence=0.95):
    return {finding.id: finding for finding in encoder_answers(study["runs"], study["contrasts"], confidence)}


def test_answers_say_scope_interval_and_what_could_be_detected(study):
    found = answers(study)
    expected = {"encoder_gain_primary", "encoder_gain_1280_examples", "encoder_group", "encoder_modules"}
    expected |= {"encoder_rank", "encoder_order", "encoder_rates", "encoder_pretraining_trec6", "encoder_forgetting"}
    assert set(found) == expected
    primary = found["encoder_gain_primary"]
    assert "320 training examples" in primary.detail
    assert "worse than full fine-tuning; worse by more than the margin of 1.5 points" in primary.detail
    assert primary.effect.detectable == pytest.approx(
        100 * row_of(study, "encoder_primary", task="mean over tasks")["detectable"]
    )
    for finding in found.values():
        assert rows_of(finding.evidence, study)


def test_the_seeds_that_an_aim_takes_follow_from_what_is_detectable():
    assert seeds_for(1.2, 1.2, 8) == 8
    assert seeds_for(0.6, 1.2, 8) == 32
    # Simulated from the components of a default run: 8 seeds detect 2.1 points on one task, 12 detect 1.7.
    assert seeds_for(1.7, 2.06, 8) == 12


def test_no_difference_reads_as_equivalent_or_with_what_could_be_detected(tmp_path):
    cells = default_cells(effect=0.0)
    tables = simulated(cells, tmp_path, draw=3, seed_sd=0.002)
    detail = answers({**tables, "contrasts": compared(tables, tmp_path)})["encoder_gain_primary"].detail
    assert "statistically indistinguishable from full fine-tuning (detectable with 80 % power" in detail
    assert "equivalent within the margin of 1.5 points" in detail


def test_no_order_is_given_where_it_is_one_of_chance(study):
    order = answers(study)["encoder_order"]
    assert order.effect.size < 0.8
    assert "too low to rank them" in order.detail


def test_answers_hold_with_little_to_say(tmp_path):
    tables = simulated([Cell("full", 0.9, seeds=2), Cell("BitFit", 0.85, seeds=2)], tmp_path)
    found = answers({**tables, "contrasts": compared(tables, tmp_path)})
    assert "encoder_gain_primary" not in found
    assert cost_answers(tables["runs"], tables["costs"], LORA, 0.95) == []


def test_a_collapsed_run_counts_in_comparisons_and_is_counted(study, tmp_path):
    runs = study["runs"].copy()
    one = (runs["method"] == "BitFit") & (runs["seed"] == 1)
    runs.loc[one, "status"] = "collapsed"
    tables = {**study, "runs": runs}
    assert compared(tables, tmp_path).equals(study["contrasts"])
    assert "collapsed to the shares of the classes: 1 of" in answers(tables)["encoder_rates"].detail


@pytest.mark.slow
def test_refused_methods_are_one_sentence_and_change_nothing_else(study, tmp_path):
    blank = dict.fromkeys(study["runs"].columns)
    row = study["runs"][study["runs"]["method"] == "BitFit"].iloc[0]
    kept = {name: row[name] for name in ("study", "experiment", "task", "model", "train_examples", "epochs", "seed")}
    refused = {
        **blank,
        **kept,
        "run_id": "x/refused",
        "method": "Poly",
        "status": "refused",
        "reason": "it needs a task",
    }
    refused |= {name: row[name] for name in ("total_params", "device", "torch_version")}
    rows = [*study["runs"].astype(object).where(study["runs"].notna(), None).to_dict("records"), refused]
    write_table(RUNS, rows, tmp_path / "runs.parquet")
    tables = {**study, "runs": read_table(RUNS, tmp_path / "runs.parquet")}
    assert compared(tables, tmp_path).equals(study["contrasts"])
    found, before = answers(tables), answers(study)
    assert {name: each for name, each in found.items() if name != "encoder_refused"} == before
    assert found["encoder_refused"].detail.startswith("1 of 9 settings on TREC questions cannot be trained on tiny")
    assert "Poly: it needs a task." in found["encoder_refused"].detail
    for name in ("encoder_differences", "encoder_rates", "encoder_cost"):
        assert drawn(tables, name)[0].equals(drawn(study, name)[0])
    assert summarise(tables["runs"], study["curves"], 0.95) == summarise(study["runs"], study["curves"], 0.95)


def test_costs_are_ratios_by_seed(study):
    time, memory = cost_answers(study["runs"], study["costs"], LORA, 0.95)
    spent = study["runs"].merge(study["costs"], on="run_id")
    spent = spent[
        spent["selected"].fillna(value=False) & (spent["task"] == "trec6") & (spent["experiment"] == "methods")
    ]
    lora = spent[spent["setting"] == "query, value"].set_index("seed")["cpu_seconds"]
    full = spent[spent["method"] == "full"].set_index("seed")["cpu_seconds"]
    logs = np.log(lora / full).astype(float)
    assert time.effect.size == pytest.approx(np.exp(logs.mean()))
    half = 2.364624251592784 * logs.std(ddof=1) / np.sqrt(8)
    assert time.effect.high == pytest.approx(np.exp(logs.mean() + half))
    assert memory.effect.size == pytest.approx(640 / 960)
    assert {time.id, memory.id} == {"encoder_cost", "encoder_memory"}
    assert rows_of(time.evidence, study)


def drawn(study, name, confidence=0.95):
    """Return what a figure plots and says."""
    means = pd.DataFrame(summarise(study["runs"], study["curves"], confidence))
    module = load_figure(name)
    known = {**study, "summary": means}
    plotted = module.select({table: known[table] for table in module.SPEC.tables})
    build(module, plotted, FigureStyle())
    return plotted, module.describe(plotted)


@pytest.mark.slow
def test_a_method_that_no_figure_knows_is_drawn_in_all_of_them(tmp_path):
    cells = [*default_cells(), Cell("Brand new", 0.8)]
    tables = simulated(cells, tmp_path)
    study = {**tables, "contrasts": compared(tables, tmp_path)}
    for name in ("encoder_differences", "encoder_rates", "encoder_cost"):
        plotted, _ = drawn(study, name)
        assert "Brand new" in set(plotted["name"]), name


@pytest.fixture(scope="module")
def crowded(tmp_path_factory):
    """Return a study of 27 methods besides the usual ones, half of them with a rank."""
    folder = tmp_path_factory.mktemp("crowded")
    more = [
        Cell(name, 0.8 + place / 500, rank=8 if place % 2 else None) for place, name in enumerate(PEFT_METHODS[:27])
    ]
    tables = simulated([*default_cells(), *more], folder)
    return {**tables, "contrasts": compared(tables, folder)}


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["two_columns", "one_column"])
@pytest.mark.parametrize("name", ["encoder_differences", "encoder_rates", "encoder_cost", "encoder_params"])
def test_figures_make_room_for_many_methods(crowded, root, name, preset):
    means = pd.DataFrame(summarise(crowded["runs"], crowded["curves"], 0.95))
    published = load_published(root / "data/published") if name == "encoder_params" else None
    module, style = load_figure(name), FigureStyle(preset=preset)
    known = {**crowded, "summary": means, "published": published}
    figure = draw_figure(module, module.select({table: known[table] for table in module.SPEC.tables}), style)
    with mpl.rc_context(settings(module.SPEC, style)):
        assert faults_of_text(figure) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["encoder_rates", "encoder_cost", "encoder_ranks"])
def test_figures_take_the_confidence_level_of_the_tables(study, name):
    wide, narrow = (drawn(study, name, confidence)[0] for confidence in (0.95, 0.8))
    assert wide["interval"].dropna().str.startswith("95 %").all()
    assert narrow["interval"].dropna().str.startswith("80 %").all()
    known = wide["low"].notna() & (wide["high"] > wide["low"])
    assert ((wide["high"] - wide["low"])[known] > (narrow["high"] - narrow["low"])[known]).all()


def test_figures_say_so_where_the_configuration_left_out_what_they_draw(tmp_path):
    tables = simulated([Cell("full", 0.9, seeds=2), Cell("BitFit", 0.85, seeds=2)], tmp_path)
    study = {**tables, "contrasts": compared(tables, tmp_path)}
    assert "No rank curve" in drawn(study, "encoder_ranks")[1].finding
    assert "no prespecified" in drawn(study, "encoder_differences")[1].finding


def test_means_have_the_summarys_contract(study, tmp_path):
    write_table(SUMMARY, summarise(study["runs"], study["curves"], 0.95), tmp_path / "summary.parquet")
    assert len(read_table(SUMMARY, tmp_path / "summary.parquet"))
