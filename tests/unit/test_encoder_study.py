"""The encoder study's controls, its check against peft, and what its costs and intervals are made of."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from peft_atlas.analysis.evidence import rows_of
from peft_atlas.analysis.statistics import proportion_interval
from peft_atlas.snakemake_support.costs import all_costs
from peft_atlas.studies.encoder.checks import encoder_checks
from peft_atlas.studies.encoder.controls import control_runs
from peft_atlas.studies.encoder.jobs import CROSS_CHECKED, MAJORITY, TFIDF
from peft_atlas.studies.encoder.run import find_setting
from peft_atlas.studies.encoder.train import SettingJob, train_setting
from peft_atlas.tables.contract import read_table, write_table
from peft_atlas.tables.schemas import COSTS, CURVES, RUNS
from peft_atlas.training.search import SearchPlan

# Left out of `make fast-test`: together these files take most of the time of the unit tests.
pytestmark = pytest.mark.slow

LORA = "LoRA (query, key, value)"


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """Return a function that writes rows and reads them back as a table of a contract."""
    folder = tmp_path_factory.mktemp("tables")

    def as_table(contract, rows):
        write_table(contract, rows, folder / "x.parquet")
        return read_table(contract, folder / "x.parquet")

    return as_table


def trained(part, name):
    """Return the runs of a setting, two seeds at one rate."""
    plan = SearchPlan((1e-2,), part.config.epochs, None, 0)
    return train_setting(part, SettingJob("methods", find_setting(name, 16), plan, (0,), (0, 1))).runs


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
    runs = tables(RUNS, [run for name in names for run in trained(tiny_part, name)])
    found = {finding.id: finding for finding in encoder_checks(tiny_part, runs, names, 0)}
    assert all(rows_of(found[f"encoder_peft_end_{name}"].evidence, {"runs": runs}) for name in names)
    assert len(found) == 1 + 2 * len(names)
    assert {finding.verdict for finding in found.values()} == {"pass"}
    assert found["encoder_section_5"].effect.size == 443_906


@pytest.mark.parametrize(("off", "verdict"), [(0.0, "pass"), (0.5, "fail")])
def test_runs_in_bfloat16_are_repeated_in_float32_for_the_check(tiny_part, tables, monkeypatch, off, verdict):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    part = replace(tiny_part, config=tiny_part.config.model_copy(update={"precision": "auto"}))
    rows = trained(part, LORA)
    assert {row["precision"] for row in rows} == {"bfloat16"}
    rows = [{**row, "test_accuracy": abs(row["test_accuracy"] - off)} for row in rows]
    found = {finding.id: finding for finding in encoder_checks(part, tables(RUNS, rows), [LORA], 0)}
    assert found[f"encoder_peft_end_{LORA}"].verdict == verdict
    assert "in bfloat16, as the study trains" in found[f"encoder_peft_end_{LORA}"].detail


@pytest.mark.slow
def test_the_check_against_peft_sees_another_result(tiny_part, tables):
    rows = trained(tiny_part, LORA)
    # As if our runs had all been wrong in the same way.
    rows = [{**row, "test_accuracy": 0.0} for row in rows]
    found = {finding.id: finding for finding in encoder_checks(tiny_part, tables(RUNS, rows), [LORA], 0)}
    assert found[f"encoder_peft_end_{LORA}"].verdict == "fail"


def test_wilsons_interval_is_the_closed_form():
    low, high = proportion_interval(0.9, 40, 0.95)
    z = 1.959963984540054
    centre = (0.9 + z**2 / 80) / (1 + z**2 / 40)
    half = z * np.sqrt(0.9 * 0.1 / 40 + z**2 / 6400) / (1 + z**2 / 40)
    assert (low, high) == (pytest.approx(centre - half), pytest.approx(centre + half))
    assert proportion_interval(1.0, 10, 0.95)[1] == pytest.approx(1)


def test_costs_of_jobs_and_runs_are_in_one_table(tmp_path, tables):
    benchmark = tmp_path / "train/one.tsv"
    benchmark.parent.mkdir()
    benchmark.write_text("s\tmax_rss\tcpu_time\n2.5\tNA\t2.0\n")
    run = {**COSTS.blank(), "rule": "finetune", "job": "a", "run_id": "a", "train_seconds": 1.5}
    write_table(COSTS, [run], tmp_path / "run.parquet")
    whole = tables(COSTS, all_costs([benchmark], [tmp_path / "run.parquet"]))
    assert whole["train_seconds"].tolist()[0] == 1.5
    assert whole["wall_seconds"].tolist()[1] == 2.5
    assert len(all_costs([benchmark], [])) == 1
