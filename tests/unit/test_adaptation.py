"""The adaptation study trains what it says: rows, choice of the learning rate, and costs."""

import time

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from peft_atlas.accounting.closed_forms import lora_params
from peft_atlas.config import load_config
from peft_atlas.methods.attach import attach
from peft_atlas.methods.lora import LoRA
from peft_atlas.methods.method import Members
from peft_atlas.studies.adaptation.cells import Study, Target, cells, equal_ranks
from peft_atlas.studies.adaptation.train import choose_rate, pretrain, rate_beyond, train_target
from peft_atlas.tables.contract import read_table, write_table
from peft_atlas.tables.schemas import COSTS, CURVES, RUNS
from peft_atlas.training.population import TrainingPlan, evaluate, train_population

SEEDS = (0, 1, 2)
KEYS = ["experiment", "task", "method", "setting", "rank", "alpha", "scaling", "shift_rank", "train_examples"]


@pytest.fixture(scope="module")
def study(root):
    config = load_config(yaml.safe_load((root / "workflow/smoke.yaml").read_text(encoding="utf-8"))).adaptation
    return Study(config, SEEDS, "cpu")


@pytest.fixture(scope="module")
def trained(study):
    """Return the pretrained networks and every run of every part of the study."""
    torch.set_num_threads(1)
    base, runs, _ = pretrain(study)
    for experiment, targets in study.config.targets().items():
        for target in targets:
            runs += train_target(study, base, Target.of(*target), experiment)[0]
    return base, runs


@pytest.fixture(scope="module")
def runs(trained, tmp_path_factory):
    path = tmp_path_factory.mktemp("adaptation") / "runs.parquet"
    write_table(RUNS, trained[1], path)
    return read_table(RUNS, path)


def test_every_cell_trains_every_seed_at_every_rate(study, runs):
    rates = set(study.config.learning_rates)
    for experiment, targets in study.config.targets().items():
        part = runs[(runs["experiment"] == experiment) & runs["selected"].notna()]
        found = part[part["learning_rate"].isin(rates)]
        assert len(found) == len(cells(study.config, experiment)) * len(rates) * len(SEEDS) * len(targets)
        unadapted = (runs["experiment"] == experiment) & runs["selected"].isna()
        assert unadapted.sum() == (len(SEEDS) * len(targets) if experiment == "methods" else 0)


def test_a_grid_grows_only_where_its_end_is_best_and_says_so_if_it_still_is(study, runs):
    grid = study.config.learning_rates
    grown = 0
    # The control keeps its grid: beyond it nothing is trained, and a control that does not train tests nothing.
    control = runs[runs["experiment"] == "shuffled_labels"]
    assert set(control["learning_rate"]) == set(grid)
    runs = runs[runs["experiment"] != "shuffled_labels"]
    for _, cell in runs[runs["selected"].notna()].groupby(KEYS, dropna=False):
        rates = sorted(cell["learning_rate"].unique())
        first = cell[cell["learning_rate"].isin(grid)].groupby("learning_rate")["validation_accuracy"].mean().idxmax()
        assert (len(rates) > len(grid)) == (first in (grid[0], grid[-1]))
        assert len(rates) <= len(grid) + study.config.extensions
        grown += len(rates) > len(grid)
        chosen = cell[cell["selected"]]
        assert set(chosen["edge"]) == {chosen["learning_rate"].iloc[0] in (rates[0], rates[-1])}
    assert grown > 0
    assert rate_beyond(0.03, (0.003, 0.01, 0.03)) == 0.09
    assert rate_beyond(0.0001, (0.0001, 0.0003)) == 3.33e-5
    assert rate_beyond(0.01, (0.003, 0.01, 0.03)) is None
    assert rate_beyond(0.01, (0.01,)) is None


def test_one_rate_a_cell_is_chosen_and_test_is_read_there_alone(study, runs):
    searched = runs[runs["selected"].notna()]
    for _, cell in searched.groupby(KEYS, dropna=False):
        means = cell.groupby("learning_rate")["validation_accuracy"].mean()
        chosen = cell.loc[cell["selected"], "learning_rate"].unique()
        assert list(chosen) == [means.idxmax()]
    rejected = searched[~searched["selected"]]
    assert rejected[["test_loss", "test_accuracy"]].isna().all().all()
    # Nothing is chosen by what is kept of the source, which is compared at equal learning over the rates.
    assert searched["source_accuracy"].notna().all()
    assert searched.loc[searched["selected"], ["test_accuracy", "source_accuracy"]].notna().all().all()


def test_no_adaptation_is_the_pretrained_network_as_it_is(study, trained, runs):
    base, _ = trained
    target = Target.of(*study.config.targets()["methods"][0])
    model = study.network
    model.load_state_dict(base)
    loss, accuracy = evaluate(model, study.data(base, target).test, (len(SEEDS), 1))
    rows = runs[(runs["method"] == "no adaptation") & (runs["train_examples"] == target.train_examples)]
    assert rows["test_accuracy"].tolist() == accuracy[:, 0].tolist()
    assert rows["test_loss"].tolist() == loss[:, 0].tolist()
    assert rows["source_accuracy"].tolist() == rows["source_accuracy_before"].tolist()
    assert set(rows["trainable_params"]) == {0}


def test_a_member_is_the_run_alone_at_its_rate(study, trained, runs):
    base, _ = trained
    target, rate = Target.of(*study.config.targets()["ranks"][0]), study.config.learning_rates[1]
    task = study.data(base, target)
    model = study.network
    model.load_state_dict(base)
    members = Members((len(SEEDS), 1), SEEDS)
    attach(model, LoRA(2, 2 * study.config.sizes.scaling, 0.0, ("fc1",)), members)
    steps = -(-target.train_examples // study.config.batch_size)
    plan = TrainingPlan(-(-study.config.steps // steps), study.config.batch_size, rate)
    curves = train_population(model, task, plan, members.population, SEEDS)
    same = (runs["experiment"] == "ranks") & (runs["method"] == "LoRA") & (runs["rank"] == 2)
    same &= (runs["shift_rank"] == target.shift_rank) & (runs["train_examples"] == target.train_examples)
    rows = runs[same & (runs["learning_rate"] == rate)].sort_values("seed")
    expected = curves.validation_loss[-1][:, 0].numpy()
    np.testing.assert_allclose(rows["validation_loss"].to_numpy(float), expected, rtol=1e-5)


def test_the_base_is_left_as_it_was(study, trained):
    base, _ = trained
    before = {name: values.clone() for name, values in base.items()}
    train_target(study, base, Target.of(*study.config.targets()["shuffled_labels"][0]), "shuffled_labels")
    assert all(torch.equal(values, before[name]) for name, values in base.items())


def test_a_rate_at_which_a_run_diverges_is_not_chosen():
    nan = float("nan")
    assert choose_rate(torch.tensor([[0.5, 0.9, 0.6], [0.5, nan, 0.7]])) == 2
    assert choose_rate(torch.tensor([[0.5, 0.5], [0.6, 0.6]])) == 0
    assert choose_rate(torch.tensor([[nan, nan]])) == 0


def test_every_row_fits_the_contract_of_the_curves(study, trained, tmp_path):
    points = train_target(study, trained[0], Target.of(*study.config.targets()["methods"][0]), "methods")[1]
    write_table(CURVES, points, tmp_path / "curves.parquet")
    assert set(read_table(CURVES, tmp_path / "curves.parquet").query("method == 'no adaptation'")["epoch"]) == {0}


def test_costs_are_shared_by_the_runs_that_train_together(study, trained, tmp_path):
    start = time.perf_counter()
    runs, _, costs = train_target(
        study, trained[0], Target.of(*study.config.targets()["shuffled_labels"][0]), "shuffled_labels"
    )
    elapsed = time.perf_counter() - start
    write_table(COSTS, costs, tmp_path / "costs.parquet")
    table = read_table(COSTS, tmp_path / "costs.parquet").set_index("run_id")
    assert set(table.index) == {run["run_id"] for run in runs}
    assert 0.1 * elapsed < table["train_seconds"].sum() < elapsed
    grid = study.config.learning_rates
    together = {
        run["run_id"]: f"{run['method']} {run['learning_rate'] in grid or run['learning_rate']}" for run in runs
    }
    assert table.groupby(together)["train_seconds"].nunique().eq(1).all()
    seen = pd.Series({run["run_id"]: run["epochs"] * run["train_examples"] for run in runs})
    np.testing.assert_allclose((table["examples_per_second"] * table["train_seconds"]).astype(float), seen[table.index])
    assert (table["peak_memory_mb"] > 100).all()


def test_placements_train_about_as_many_parameters(root):
    config = load_config(yaml.safe_load((root / "config.yaml").read_text(encoding="utf-8"))).adaptation
    first, second = (64, 128), (128, 10)
    widths = {("fc1",): [first], ("fc2",): [second], ("fc1", "fc2"): [first, second]}
    counts = {layers: lora_params(rank, widths[layers]) for layers, rank in equal_ranks(config)}
    assert set(counts) == set(widths)
    assert max(counts.values()) < 1.05 * min(counts.values())


def test_placed_runs_say_which_layers_are_adapted_and_which_moved(study, runs):
    placed = runs[(runs["experiment"] == "placement") & (runs["method"] == "LoRA")]
    assert set(placed["setting"]) == {"fc1", "fc2", "fc1, fc2"}
    assert placed["task"].nunique() == 4
    assert not runs["run_id"].duplicated().any()
