"""The encoder study's training jobs on a tiny model: search, pauses, what is read when, and what a run is called."""

from dataclasses import replace

import pandas as pd
import pytest
import torch

from peft_atlas.config import load_config
from peft_atlas.errors import AtlasError
from peft_atlas.files import slug
from peft_atlas.methods.method import Sizes
from peft_atlas.methods.names import setting_name
from peft_atlas.methods.registry import study_settings
from peft_atlas.models.encoder import encoder_sites
from peft_atlas.studies.encoder.config import ENCODER_SETTINGS, EncoderConfig
from peft_atlas.studies.encoder.data.packages import MODELS
from peft_atlas.studies.encoder.data.sources import PACKAGED
from peft_atlas.studies.encoder.jobs import CROSS_CHECKED, RANK, RANK_CURVE, training_config
from peft_atlas.studies.encoder.packaged import PACKAGED_MODEL, PACKAGED_TASKS
from peft_atlas.studies.encoder.run import Run, Trial, find_setting
from peft_atlas.studies.encoder.train import SettingJob, selected_rate, train_random, train_setting
from peft_atlas.tables.contract import read_table, write_table
from peft_atlas.tables.schemas import COSTS, CURVES, ITEMS, RUNS
from peft_atlas.training.resource_usage import forget_peak, peak_megabytes, release_memory
from peft_atlas.training.search import LOST, SearchPlan, choose_rate

# Left out of `make fast-test`: together these files take most of the time of the unit tests.
pytestmark = pytest.mark.slow

LORA = "LoRA (query, key, value)"


def job(name=LORA, rates=(1e-2, 2e-2), keep=None, seeds=(0, 1, 2), search_seeds=(0,), extensions=0, rank=RANK):
    plan = SearchPlan(rates, 2, keep, extensions)
    return SettingJob("methods", find_setting(name, 16, rank), plan, search_seeds, seeds)


@pytest.fixture
def tables(tmp_path):
    """Return a function that writes rows and reads them back as a table of a contract."""

    def as_table(contract, rows):
        write_table(contract, rows, tmp_path / "x.parquet")
        return read_table(contract, tmp_path / "x.parquet")

    return as_table


def test_the_configuration_names_the_settings_that_the_methods_have():
    found = {setting_name(s.label, s.setting) for s in study_settings(encoder_sites(16), Sizes())}
    assert found == set(ENCODER_SETTINGS)
    assert {RANK_CURVE, *CROSS_CHECKED, load_config({}).encoder.primary.method} <= found
    assert len({slug(name) for name in found}) == len(found)
    assert Sizes().rank == RANK
    assert PACKAGED_MODEL in MODELS
    assert set(PACKAGED_TASKS) == set(PACKAGED)
    with pytest.raises(AtlasError, match=r"setting 'LoRa': allowed: .*LoRA \(query, value\)"):
        find_setting("LoRa", 16)


def test_every_setting_has_a_grid_of_as_many_rates():
    rates = EncoderConfig().rates
    assert {len(rates.of(name)) for name in ENCODER_SETTINGS} == {3}


def test_exploratory_settings_read_fewer_rows_and_primary_ones_all():
    config = EncoderConfig()
    assert training_config(config, "full")["test_examples"] == config.test_examples
    assert training_config(config, config.primary.method)["validation_examples"] == config.validation_examples
    assert training_config(config, "DoRA")["test_examples"] == config.exploratory.test_examples
    small = config.model_copy(update={"test_examples": 5})
    assert training_config(small, "DoRA")["test_examples"] == 5


@pytest.mark.parametrize(
    "config",
    [EncoderConfig(), EncoderConfig(train_examples=1280, larger_budgets=())],
    ids=["by default", "with the training examples of the default's larger budget"],
)
def test_every_job_can_read_its_configuration(config):
    given = [training_config(config, "full"), *(training_config(config, "full", b) for b in config.larger_budgets)]
    for one in given:
        assert EncoderConfig.model_validate(one).model_dump(mode="json", include=one) == one


def scores_of(accuracies):
    """Return a trainer with known accuracies by rate, and what it was asked for."""
    asked = []

    def train(rate, until):
        asked.append((rate, until))
        accuracy = accuracies[rate]
        return LOST if accuracy is None else (accuracy, 0.0)

    return train, asked


def test_a_choice_inside_the_grid_stays_there():
    train, asked = scores_of({1.0: 0.5, 3.0: 0.8, 9.0: 0.6})
    choice = choose_rate(SearchPlan((1.0, 3.0, 9.0), 2, None, 2), train)
    assert (choice.rate, choice.edge, choice.tried) == (3.0, False, (1.0, 3.0, 9.0))
    assert asked == [(1.0, 2), (3.0, 2), (9.0, 2)]


def test_a_choice_at_the_end_extends_the_grid_until_it_is_inside():
    train, _ = scores_of({1.0: 0.5, 3.0: 0.6, 9.0: 0.7, 27.0: 0.8, 81.0: 0.1})
    choice = choose_rate(SearchPlan((1.0, 3.0, 9.0), 2, None, 2), train)
    assert (choice.rate, choice.edge, choice.tried) == (27.0, False, (1.0, 3.0, 9.0, 27.0, 81.0))


def test_a_choice_still_at_the_end_is_marked_and_a_grid_grows_downwards_too():
    train, _ = scores_of({1.0: 0.9, 3.0: 0.6, 0.333: 0.95, 0.111: 0.97})
    choice = choose_rate(SearchPlan((1.0, 3.0), 2, None, 2), train)
    assert (choice.rate, choice.edge) == (0.111, True)


def test_a_rate_that_diverges_ends_the_grid():
    train, _ = scores_of({1.0: 0.5, 3.0: 0.6, 9.0: None})
    choice = choose_rate(SearchPlan((1.0, 3.0), 2, None, 3), train)
    assert (choice.rate, choice.edge) == (3.0, False)


def test_halving_trains_the_best_to_the_end_and_no_other():
    train, asked = scores_of({1.0: 0.5, 3.0: 0.8, 9.0: 0.7})
    choice = choose_rate(SearchPlan((1.0, 3.0, 9.0), 3, 2, 0), train)
    assert choice.rate == 3.0
    assert asked == [(1.0, 1), (3.0, 1), (9.0, 1), (3.0, 3), (9.0, 3)]


def test_of_equal_accuracies_the_lower_loss_decides_and_one_rate_has_no_end():
    losses = {1.0: 0.4, 3.0: 0.2, 9.0: 0.3}
    assert choose_rate(SearchPlan((1.0, 3.0, 9.0), 1, None, 0), lambda rate, _: (0.5, -losses[rate])).rate == 3.0
    assert choose_rate(SearchPlan((1.0,), 1, None, 2), lambda *_: (0.5, 0.0)).edge is None


@pytest.mark.parametrize("keep", [None, 1])
def test_a_setting_is_tuned_on_validation_and_tested_at_the_chosen_rate_alone(tiny_part, tables, keep):
    found = train_setting(tiny_part, job(keep=keep))
    runs, curves, items = tables(RUNS, found.runs), tables(CURVES, found.curves), tables(ITEMS, found.items)
    chosen, other = runs[runs["selected"]], runs[~runs["selected"]]
    assert sorted(chosen["seed"]) == [0, 1, 2]
    assert len(set(chosen["learning_rate"])) == 1
    assert selected_rate(runs) == chosen["learning_rate"].iloc[0]
    assert chosen["test_accuracy"].notna().all()
    assert other["test_accuracy"].isna().all()
    assert ("stopped" in other["status"].tolist()) == (keep is not None)
    assert chosen["edge"].all()
    right = items.groupby("run_id")["correct"].mean()
    assert chosen.set_index("run_id")["test_accuracy"].to_dict() == pytest.approx(right.to_dict())
    assert curves["test_accuracy"].notna().sum() == 3
    assert len(tables(COSTS, found.costs)) == 4
    assert list(tiny_part.checkpoints.glob("*")) == []


def test_a_paused_run_has_the_numbers_of_one_that_never_was(tiny_part):
    searched = train_setting(tiny_part, job(keep=1, seeds=(0,)))
    chosen = next(run for run in searched.runs if run["selected"])
    trial = Trial("methods", find_setting(LORA, 16), chosen["learning_rate"], 0)
    alone = Run(replace(tiny_part, checkpoints=None), trial).train().read_test()
    assert alone.history.train_loss[-1] == chosen["train_loss"]
    assert alone.test.loss == chosen["test_loss"]
    assert alone.test.accuracy == chosen["test_accuracy"]


def test_a_choice_is_the_mean_over_the_search_seeds(tiny_part):
    found = train_setting(tiny_part, job(rates=(1e-3, 1e-2, 5e-2), search_seeds=(0, 1)))
    tried = pd.DataFrame([row for row in found.runs if row["seed"] in (0, 1)])
    means = tried.groupby("learning_rate")[["validation_accuracy", "validation_loss"]].mean()
    best = means.sort_values(["validation_accuracy", "validation_loss"], ascending=[False, True]).index[0]
    assert {row["learning_rate"] for row in found.runs if row["selected"]} == {best}


def test_a_rate_that_diverges_is_not_chosen_and_all_diverging_is_named(tiny_part, tables):
    runs = tables(RUNS, train_setting(tiny_part, job("full", (3e-2, 1e30), seeds=(0,))).runs)
    assert (runs.set_index("learning_rate")["status"] == "diverged").to_dict() == {3e-2: False, 1e30: True}
    assert selected_rate(runs) == 3e-2
    with pytest.raises(AtlasError, match="every one diverged; allowed: a grid with lower rates"):
        train_setting(tiny_part, job("full", (1e30,), seeds=(0,)))


def test_methods_of_a_seed_share_examples_and_head_and_nothing_else_decides(tiny_part):
    runs = [Run(tiny_part, Trial("methods", find_setting(name, 16), 1e-2, 5)) for name in ("full", LORA, "head only")]
    heads = [run.attached.model.head.weight for run in runs]
    assert all(torch.equal(heads[0], head) for head in heads)
    first, second = (tiny_part.texts.drawn(24, seed)["digest"].tolist() for seed in (5, 6))
    assert tiny_part.texts.drawn(24, 5)["digest"].tolist() == first
    assert set(first) != set(second)
    assert len(set(first)) == 24


def test_an_unmoved_encoder_has_similarity_one_and_bytes_are_the_adapters(tiny_part):
    row = train_setting(tiny_part, job("head only", (1e-2,), seeds=(0,))).runs[0]
    assert row["embedding_similarity"] == pytest.approx(1)
    assert row["adapter_bytes"] == 0
    assert row["trainable_params"] == row["head_params"] == 2 * (16 + 1)
    moved = train_setting(tiny_part, job("full", (3e-2,), seeds=(0,))).runs[0]
    assert moved["embedding_similarity"] < 0.999
    assert moved["params_percent"] == 100


def test_a_rank_of_the_curve_has_its_own_rate_and_random_weights_are_others(tiny_part):
    ranked = train_setting(tiny_part, job(rank=4, seeds=(0,)))
    assert {(run["rank"], run["alpha"]) for run in ranked.runs} == {(4, 8.0)}
    random = train_random(tiny_part, 1e-3, (0,)).runs[0]
    assert random["method"] == "random encoder"
    assert random["test_loss"] != train_setting(tiny_part, job("full", (1e-3,), seeds=(0,))).runs[0]["test_loss"]
    assert random["selected"] is None


def test_a_run_that_predicts_one_class_is_collapsed_and_keeps_its_numbers(tiny_part, tables):
    run = train_setting(tiny_part, job("full", (1.0,), seeds=(0,))).runs[0]
    assert run["status"] == "collapsed"
    assert tables(RUNS, [run])["test_accuracy"].notna().all()
    assert run["reason"]


def test_the_memory_of_a_run_does_not_hold_the_runs_before_it(tiny_part):
    # A width at which the trained state is tens of megabytes, far above what the process varies by.
    large = torch.nn.Linear(3000, 3000)
    release_memory()
    forget_peak()
    alone = peak_megabytes()
    kept = [torch.ones(3000, 3000) for _ in range(8)]
    assert peak_megabytes() > alone + 200
    del kept, large
    release_memory()
    forget_peak()
    assert peak_megabytes() < alone + 20
