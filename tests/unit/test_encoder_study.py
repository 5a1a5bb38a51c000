"""The encoder study's jobs, controls, comparisons, answers, and its check against peft, on a tiny model."""

import numpy as np
import pandas as pd
import pytest
import torch

from peft_atlas.analysis.evidence import rows_of
from peft_atlas.analysis.statistics import proportion_interval
from peft_atlas.analysis.summary import summarise
from peft_atlas.config import FigureStyle
from peft_atlas.errors import AtlasError
from peft_atlas.figures.render import build
from peft_atlas.figures.spec import load_figure
from peft_atlas.methods.method import Sizes
from peft_atlas.methods.names import setting_name
from peft_atlas.methods.registry import study_settings
from peft_atlas.models.encoder import encoder_sites
from peft_atlas.snakemake_support.costs import all_costs
from peft_atlas.studies.encoder.answers import encoder_answers
from peft_atlas.studies.encoder.checks import encoder_checks
from peft_atlas.studies.encoder.config import ENCODER_SETTINGS, EncoderConfig
from peft_atlas.studies.encoder.controls import control_runs
from peft_atlas.studies.encoder.data.packages import MODELS
from peft_atlas.studies.encoder.data.sources import PACKAGED
from peft_atlas.studies.encoder.jobs import CROSS_CHECKED, MAJORITY, RANK, RANK_CURVE, TFIDF, slug
from peft_atlas.studies.encoder.packaged import PACKAGED_MODEL, PACKAGED_TASKS
from peft_atlas.studies.encoder.ranking import rank_correlation
from peft_atlas.studies.encoder.train import Run as EncoderRun
from peft_atlas.studies.encoder.train import (
    Trial,
    find_setting,
    search_rates,
    selected_rate,
    train_random,
    train_ranks,
    train_setting,
)
from peft_atlas.tables.contract import read_table, write_table
from peft_atlas.tables.schemas import COSTS, CURVES, RUNS

LORA = "LoRA (query, key, value)"


@pytest.fixture(scope="module")
def tables(request, tmp_path_factory):
    """Return a function that writes rows and reads them back as a table of a contract."""
    folder = tmp_path_factory.mktemp("tables")

    def as_table(contract, rows):
        write_table(contract, rows, folder / "x.parquet")
        return read_table(contract, folder / "x.parquet")

    return as_table


def test_the_configuration_names_the_settings_that_the_methods_have():
    found = {setting_name(s.label, s.setting) for s in study_settings(encoder_sites(16), Sizes())}
    assert found == set(ENCODER_SETTINGS)
    assert {*RANK_CURVE, *CROSS_CHECKED} <= found
    assert len({slug(name) for name in found}) == len(found)
    assert Sizes().rank == RANK
    assert PACKAGED_MODEL in MODELS
    assert set(PACKAGED_TASKS) == set(PACKAGED)
    with pytest.raises(AtlasError, match=r"setting 'LoRa': allowed: .*LoRA \(query, value\)"):
        find_setting("LoRa", 16)


def test_every_setting_has_a_grid_of_as_many_rates():
    rates = EncoderConfig().rates
    assert {len(rates.of(name)) for name in ENCODER_SETTINGS} == {3}


def test_a_search_reads_test_for_the_rate_that_validation_chooses(tiny_part, tables):
    found = search_rates(tiny_part, LORA, 0, (1e-6, 1e-2))
    runs, curves = tables(RUNS, found.runs), tables(CURVES, found.curves)
    chosen = runs[runs["selected"]]
    assert len(runs) == 2
    assert len(chosen) == 1
    order = runs.sort_values(["validation_accuracy", "validation_loss"], ascending=[False, True])
    assert chosen["learning_rate"].iloc[0] == order["learning_rate"].iloc[0] == selected_rate(runs)
    other = runs[~runs["selected"]].iloc[0]
    assert pd.isna(other["test_accuracy"])
    assert pd.isna(other["embedding_similarity"])
    assert curves.groupby("learning_rate").size().to_dict() == {1e-6: 2, 1e-2: 2}
    assert curves["test_accuracy"].notna().sum() == 1
    assert len(tables(COSTS, found.costs)) == 2


def test_the_chosen_run_is_the_run_that_a_job_of_its_own_gives(tiny_part):
    searched = next(row for row in search_rates(tiny_part, LORA, 0, (1e-6, 1e-2)).runs if row["selected"])
    alone = train_setting(tiny_part, LORA, 0, searched["learning_rate"]).runs[0]
    assert alone == searched


def test_a_rate_that_diverges_is_not_chosen_and_all_diverging_is_named(tiny_part, tables):
    rates = (1e-3, 1e30)
    runs = tables(RUNS, search_rates(tiny_part, "full", 0, rates).runs)
    assert runs.set_index("learning_rate")["status"].to_dict() == {1e-3: "ok", 1e30: "diverged"}
    assert selected_rate(runs) == 1e-3
    lost = tables(RUNS, search_rates(tiny_part, "full", 0, rates[1:]).runs)
    assert lost["test_accuracy"].isna().all()
    with pytest.raises(AtlasError, match="every one diverged; allowed: a grid with lower rates"):
        selected_rate(lost)


def test_methods_of_a_seed_share_examples_and_head_and_nothing_else_decides(tiny_part):
    runs = [
        EncoderRun(tiny_part, Trial("methods", find_setting(name, 16), 1e-2, 5)) for name in ("full", LORA, "head only")
    ]
    heads = [run.attached.model.head.weight for run in runs]
    assert all(torch.equal(heads[0], head) for head in heads)
    first, second = (tiny_part.texts.drawn(24, seed)["digest"].tolist() for seed in (5, 6))
    assert tiny_part.texts.drawn(24, 5)["digest"].tolist() == first
    assert set(first) != set(second)
    assert len(set(first)) == 24


def test_an_unmoved_encoder_has_similarity_one_and_bytes_are_the_adapters(tiny_part):
    row = train_setting(tiny_part, "head only", 0, 1e-2).runs[0]
    assert row["embedding_similarity"] == pytest.approx(1)
    assert row["adapter_bytes"] == 0
    assert row["trainable_params"] == row["head_params"] == 2 * (16 + 1)
    moved = train_setting(tiny_part, "full", 0, 3e-2).runs[0]
    assert moved["embedding_similarity"] < 0.999
    assert moved["params_percent"] == 100


def test_ranks_and_random_weights(tiny_part):
    part_runs = train_ranks(tiny_part, "DoRA", 0, 1e-2).runs
    assert {run["rank"]: run["alpha"] for run in part_runs} == {1: 2.0, 64: 128.0}
    random = train_random(tiny_part, "full", 0, 1e-3).runs[0]
    assert random["method"] == "random encoder"
    assert random["validation_loss"] != train_setting(tiny_part, "full", 0, 1e-3).runs[0]["validation_loss"]


def test_controls_are_what_they_say(tiny_part, tables):
    runs, curves = control_runs(tiny_part.texts, "tiny", 24, (0, 1))
    table = tables(RUNS, runs)
    assert len(tables(CURVES, curves)) == len(table) == 4
    labels = tiny_part.texts.drawn(24, 0)["label"]
    test = tiny_part.texts.split("test")["label"]
    majority = table[(table["method"] == MAJORITY) & (table["seed"] == 0)].iloc[0]
    assert majority["test_accuracy"] == pytest.approx((test == labels.mode()[0]).mean())
    regression = table[table["method"] == TFIDF]
    assert (regression["total_params"] > 0).all()


@pytest.mark.slow
def test_peft_agrees_at_the_first_step_and_at_the_end(tiny_part, tables):
    names = list(CROSS_CHECKED)
    rows = [run for name in names for run in search_rates(tiny_part, name, 0, (1e-2,)).runs]
    rows += [run for name in names for run in train_setting(tiny_part, name, 1, 1e-2).runs]
    runs = tables(RUNS, rows)
    found = {finding.id: finding for finding in encoder_checks(tiny_part, runs, names, 0)}
    assert all(rows_of(found[f"encoder_peft_end_{name}"].evidence, {"runs": runs}) for name in names)
    assert len(found) == 1 + 2 * len(names)
    assert {finding.verdict for finding in found.values()} == {"pass"}
    assert found["encoder_section_5"].effect == 443_906


@pytest.mark.slow
def test_the_check_against_peft_sees_another_result(tiny_part, tables):
    rows = [*search_rates(tiny_part, LORA, 0, (1e-2,)).runs, *train_setting(tiny_part, LORA, 1, 1e-2).runs]
    # As if our runs had all been wrong in the same way.
    rows = [{**row, "test_accuracy": 0.0} for row in rows]
    found = {finding.id: finding for finding in encoder_checks(tiny_part, tables(RUNS, rows), [LORA], 0)}
    assert found[f"encoder_peft_end_{LORA}"].verdict == "fail"


def fabricated(**accuracies):
    """Return chosen runs of methods with the given test accuracies a seed."""
    rows = []
    for method, values in accuracies.items():
        for seed, accuracy in enumerate(values):
            cell = {"study": "encoder", "experiment": "methods", "task": "t", "model": "m", "method": method}
            numbers = {"train_examples": 8, "epochs": 1, "seed": seed, "total_params": 10, "trainable_params": 1}
            measured = {"test_accuracy": accuracy, "validation_accuracy": accuracy, "embedding_similarity": 0.5}
            rest = {"status": "ok", "selected": True, "learning_rate": 0.1, "params_percent": 10.0, "device": "cpu"}
            name = {"run_id": f"{method}/{seed}", "torch_version": "x"}
            rows.append({**RUNS.blank(), **cell, **numbers, **measured, **rest, **name})
    return rows


def test_differences_are_paired_by_seed(tables):
    runs = tables(RUNS, fabricated(full=(0.9, 0.7, 0.8), BitFit=(0.88, 0.67, 0.79)))
    rows = encoder_contrasts(runs, pd.DataFrame(), 0.95)
    assert len(rows) == 1
    differences = np.array([-0.02, -0.03, -0.01])
    assert rows[0]["difference"] == pytest.approx(differences.mean())
    half = 4.302652729911275 * differences.std(ddof=1) / np.sqrt(3)
    assert rows[0]["high"] - rows[0]["low"] == pytest.approx(2 * half)


def test_the_order_of_methods_is_correlated_seed_by_seed(tables):
    runs = tables(RUNS, fabricated(a=(0.1, 0.1), b=(0.2, 0.3), c=(0.3, 0.2)))
    common = runs.assign(published=runs["method"].map({"a": 1.0, "b": 2.0, "c": 3.0}))
    # Ranks 123 against 123 in the first seed, 132 in the second: 1 and 1 - 6 * 2 / 24.
    assert rank_correlation(common, 0.95).mean == pytest.approx((1 + 0.5) / 2)
    assert rank_correlation(common[common["method"] != "c"], 0.95).mean is None


def test_answers_hold_with_little_to_say(tables):
    runs = tables(RUNS, fabricated(full=(0.9, 0.7), BitFit=(0.88, 0.67)))
    contrasts = pd.DataFrame(encoder_contrasts(runs, pd.DataFrame(), 0.95))
    columns = ["source", "base_model", "table", "task", "method", "metric", "qualifier", "printed", "value"]
    found = encoder_answers(runs, contrasts, pd.DataFrame(columns=columns), 0.95)
    assert [finding.id for finding in found][:1] == ["encoder_gain_t"]
    assert found[0].effect == pytest.approx(-2.5)
    for finding in found:
        assert rows_of(finding.evidence, {"runs": runs, "contrasts": contrasts})


def test_wilsons_interval_is_the_closed_form():
    low, high = proportion_interval(0.9, 40, 0.95)
    z = 1.959963984540054
    centre = (0.9 + z**2 / 80) / (1 + z**2 / 40)
    half = z * np.sqrt(0.9 * 0.1 / 40 + z**2 / 6400) / (1 + z**2 / 40)
    assert (low, high) == (pytest.approx(centre - half), pytest.approx(centre + half))
    assert proportion_interval(1.0, 10, 0.95)[1] == pytest.approx(1)


def test_costs_of_jobs_and_runs_stand_in_one_table(tmp_path, tables):
    benchmark = tmp_path / "train/one.tsv"
    benchmark.parent.mkdir()
    benchmark.write_text("s\tmax_rss\tcpu_time\n2.5\tNA\t2.0\n")
    run = {**COSTS.blank(), "rule": "finetune", "job": "a", "run_id": "a", "train_seconds": 1.5}
    write_table(COSTS, [run], tmp_path / "run.parquet")
    whole = tables(COSTS, all_costs([benchmark], [tmp_path / "run.parquet"]))
    assert whole["train_seconds"].tolist()[0] == 1.5
    assert whole["wall_seconds"].tolist()[1] == 2.5
    assert len(all_costs([benchmark], [])) == 1


def test_figures_say_so_where_the_configuration_left_out_what_they_draw(tables):
    rows = fabricated(full=(0.9, 0.7), BitFit=(0.88, 0.67))
    keys = {column.name for column in CURVES.columns}
    curves = [{**CURVES.blank(), **{k: v for k, v in row.items() if k in keys}, "epoch": 1} for row in rows]
    columns = ["source", "base_model", "table", "task", "method", "metric", "qualifier", "printed", "value"]
    known = {
        "runs": tables(RUNS, rows),
        "summary": pd.DataFrame(summarise(tables(RUNS, rows), tables(CURVES, curves), 0.95)),
        "published": pd.DataFrame(columns=columns),
    }
    for name, words in (("encoder_ranks", "No rank curve"), ("encoder_ranking", "No method")):
        module = load_figure(name)
        plotted = module.select({table: known[table] for table in module.SPEC.tables})
        figure = build(module, plotted, FigureStyle())
        assert any(words in text.get_text() for text in figure.axes[0].texts)
        assert words in module.describe(plotted).finding
