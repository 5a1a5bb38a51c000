"""The adaptation study: rows, choice of the learning rate, and answers on runs made by hand with known truths."""

import time

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from scipy import stats

from peft_atlas.analysis.statistics import equivalence_p, rising_p
from peft_atlas.config import load_config
from peft_atlas.methods.attach import attach
from peft_atlas.methods.lora import LoRA
from peft_atlas.methods.method import Members
from peft_atlas.studies.adaptation.answers import adaptation_answers, slopes
from peft_atlas.studies.adaptation.checks import adaptation_checks
from peft_atlas.studies.adaptation.claims import adaptation_claims
from peft_atlas.studies.adaptation.contrasts import AGAINST_FULL, ALPHA, SATURATION
from peft_atlas.studies.adaptation.jobs import EXPERIMENTS
from peft_atlas.studies.adaptation.train import Study, Target, cells, choose_rate, pretrain, train_target
from peft_atlas.studies.notebook.random_base import random_base
from peft_atlas.tables.contract import read_table, write_table
from peft_atlas.tables.schemas import CONTRASTS, COSTS, CURVES, RUNS
from peft_atlas.training.population import TrainingPlan, evaluate, train_population

SEEDS = (0, 1, 2)


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
            runs += train_target(study, base, Target(*target), experiment)[0]
    return base, runs


@pytest.fixture(scope="module")
def runs(trained, tmp_path_factory):
    path = tmp_path_factory.mktemp("adaptation") / "runs.parquet"
    write_table(RUNS, trained[1], path)
    return read_table(RUNS, path)


def test_every_cell_trains_every_seed_at_every_rate(study, runs):
    rates = len(study.config.learning_rates)
    for experiment, targets in study.config.targets().items():
        expected = len(cells(study.config, experiment)) * rates * len(SEEDS) * len(targets)
        if experiment == "methods":
            expected += len(SEEDS) * len(targets)
        assert (runs["experiment"] == experiment).sum() == expected
    assert set(study.config.targets()) == set(EXPERIMENTS)


def test_one_rate_a_cell_is_chosen_and_test_is_read_there_alone(study, runs):
    searched = runs[runs["selected"].notna()]
    keys = ["experiment", "method", "setting", "rank", "alpha", "scaling", "shift_rank", "train_examples"]
    for _, cell in searched.groupby(keys, dropna=False):
        means = cell.groupby("learning_rate")["validation_accuracy"].mean()
        chosen = cell.loc[cell["selected"], "learning_rate"].unique()
        assert list(chosen) == [means.idxmax()]
    rejected = searched[~searched["selected"]]
    assert rejected[["test_loss", "test_accuracy", "source_accuracy"]].isna().all().all()
    assert searched.loc[searched["selected"], ["test_accuracy", "source_accuracy"]].notna().all().all()


def test_no_adaptation_is_the_pretrained_network_as_it_is(study, trained, runs):
    base, _ = trained
    target = Target(*study.config.targets()["methods"][0])
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
    target, rate = Target(*study.config.targets()["ranks"][0]), study.config.learning_rates[1]
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
    train_target(study, base, Target(*study.config.targets()["shuffled_labels"][0]), "shuffled_labels")
    assert all(torch.equal(values, before[name]) for name, values in base.items())


def test_a_rate_at_which_a_run_diverges_is_not_chosen():
    nan = float("nan")
    assert choose_rate(torch.tensor([[0.5, 0.9, 0.6], [0.5, nan, 0.7]])) == 2
    assert choose_rate(torch.tensor([[0.5, 0.5], [0.6, 0.6]])) == 0
    assert choose_rate(torch.tensor([[nan, nan]])) == 0


def test_every_row_fits_the_contract_of_the_curves(study, trained, tmp_path):
    points = train_target(study, trained[0], Target(*study.config.targets()["methods"][0]), "methods")[1]
    write_table(CURVES, points, tmp_path / "curves.parquet")
    assert set(read_table(CURVES, tmp_path / "curves.parquet").query("method == 'no adaptation'")["epoch"]) == {0}


def test_costs_are_shared_by_the_runs_that_train_together(study, trained, tmp_path):
    start = time.perf_counter()
    runs, _, costs = train_target(
        study, trained[0], Target(*study.config.targets()["shuffled_labels"][0]), "shuffled_labels"
    )
    elapsed = time.perf_counter() - start
    write_table(COSTS, costs, tmp_path / "costs.parquet")
    table = read_table(COSTS, tmp_path / "costs.parquet").set_index("run_id")
    assert set(table.index) == {run["run_id"] for run in runs}
    assert 0.1 * elapsed < table["train_seconds"].sum() < elapsed
    methods = {run["run_id"]: run["method"] for run in runs}
    assert table.groupby(methods)["train_seconds"].nunique().eq(1).all()
    seen = pd.Series({run["run_id"]: run["epochs"] * run["train_examples"] for run in runs})
    np.testing.assert_allclose((table["examples_per_second"] * table["train_seconds"]).astype(float), seen[table.index])
    assert (table["peak_memory_mb"] > 100).all()


def made_up(tmp_path, peak, alpha_effect=0.0, lora_less_full=0.0, leak=False):
    """Return runs and contrasts of a study whose truths are known, eight seeds with a little noise."""
    rows, noise = [], np.random.default_rng(0)

    def add(experiment, method, accuracy, rank=None, alpha=None, setting=None, source=0.6, rate=0.01, **other):
        for seed in range(8):
            value = accuracy + 0.01 * seed + 0.001 * noise.standard_normal()
            row = {
                **RUNS.blank(),
                "run_id": f"{experiment}/{method}/{setting}/{rank}/{alpha}/{rate}/{other}/{seed}",
                "study": "adaptation",
                "experiment": experiment,
                "task": f"shift of rank {other['shift_rank']}",
                "model": "m",
                "method": method,
                "setting": setting,
                "rank": rank,
                "alpha": alpha,
                "scaling": None if rank is None else alpha / rank,
                "learning_rate": rate,
                "selected": rate == 0.01,
                "train_examples": 100,
                "epochs": 1,
                "trainable_params": 1,
                "seed": seed,
                "status": "ok",
                "validation_accuracy": value - (0 if rate == 0.01 else 0.1 * (alpha or 0) / 16),
                "test_accuracy": value if rate == 0.01 or leak else None,
                "source_accuracy": source if rate == 0.01 else None,
                "total_params": 2,
                "device": "cpu",
                "torch_version": "0",
                **other,
            }
            rows.append(row)

    for shift in (2, 4):
        for rank in (1, 2, 4, 8):
            add("ranks", "LoRA", 0.5 + peak(rank, shift), rank, 2.0 * rank, shift_rank=shift)
        add("methods", "full", 0.6, source=0.5, shift_rank=shift)
        add("methods", "LoRA", 0.6 + lora_less_full, 8, 16.0, shift_rank=shift)
        add("methods", "no adaptation", 0.4, source=0.7, shift_rank=shift)
    for method in ("LoRA", "full"):
        add("shuffled_labels", method, 0.35, shift_rank=2)
    for alpha in (1.0, 4.0, 16.0):
        for rate in (0.01, 0.02, 0.03):
            add("alphas", "LoRA", 0.6 - alpha_effect * alpha, 4, alpha, "alpha / r", rate=rate, shift_rank=2)
    write_table(RUNS, rows, tmp_path / "runs.parquet")
    runs = read_table(RUNS, tmp_path / "runs.parquet")
    write_table(CONTRASTS, adaptation_contrasts(runs, 0.95, 0.01), tmp_path / "contrasts.parquet")
    return runs, read_table(CONTRASTS, tmp_path / "contrasts.parquet")


def saturating(rank, shift):
    return 0.05 * np.log2(min(rank, shift))


def rising(rank, shift):
    return 0.05 * np.log2(rank)


def test_slopes_on_both_sides_of_the_shift(tmp_path):
    ranks = made_up(tmp_path, saturating)[0].query("experiment == 'ranks'")
    up, past = (slopes(ranks, 0.95, beyond=beyond) for beyond in (False, True))
    assert up.mean == pytest.approx(0.05, abs=2e-3)
    assert past.mean == pytest.approx(0.0, abs=2e-3)
    assert up.low > 0


@pytest.mark.parametrize(("truth", "verdict"), [(saturating, "supported"), (rising, "contradicted")])
def test_the_intrinsic_rank_claim_follows_the_slopes(tmp_path, truth, verdict):
    claims = {claim.id: claim for claim in adaptation_claims(*made_up(tmp_path, truth), 0.95)}
    assert claims["adaptation_intrinsic_rank"].verdict == verdict


@pytest.mark.parametrize(
    ("gap", "verdict", "words"),
    [
        (0.0, "supported", "on 2 of 2 target tasks; better on 0 and worse on 0"),
        (-0.05, "contradicted", "on 0 of 2 target tasks; better on 0 and worse on 2"),
        (0.05, "supported", "on 0 of 2 target tasks; better on 2 and worse on 0"),
    ],
)
def test_equivalence_and_difference_are_told_apart(tmp_path, gap, verdict, words):
    runs, contrasts = made_up(tmp_path, saturating, lora_less_full=gap)
    answers = {answer.id: answer for answer in adaptation_answers(runs, contrasts, 0.95)}
    assert words in answers["adaptation_equivalence"].detail
    claims = {claim.id: claim for claim in adaptation_claims(runs, contrasts, 0.95)}
    assert claims["adaptation_comparable_to_full"].verdict == verdict


@pytest.mark.parametrize(("effect", "verdict"), [(0.0, "contradicted"), (0.01, "supported")])
def test_alpha_is_judged_at_tuned_rates(tmp_path, effect, verdict):
    runs, contrasts = made_up(tmp_path, saturating, alpha_effect=effect)
    claims = {claim.id: claim for claim in adaptation_claims(runs, contrasts, 0.95)}
    assert claims["adaptation_alpha_matters_when_tuned"].verdict == verdict
    answer = {a.id: a for a in adaptation_answers(runs, contrasts, 0.95)}["adaptation_alpha"]
    assert answer.effect == pytest.approx(1500 * effect, abs=0.3)
    assert "at one rate of 0.02 for all" in answer.detail


def test_each_question_has_its_comparisons(tmp_path):
    contrasts = made_up(tmp_path, saturating)[1]
    counts = contrasts.groupby("question").size().to_dict()
    assert counts == {SATURATION: 6, AGAINST_FULL: 4, ALPHA: 2, "forgetting_against_full": 4}
    kept = contrasts[(contrasts["question"] == "forgetting_against_full") & (contrasts["method"] == "LoRA")]
    assert kept["difference"].tolist() == pytest.approx([0.1, 0.1])


def test_the_checks_find_a_leak_and_a_test_that_was_read_early(tmp_path):
    sound = {check.id: check.verdict for check in adaptation_checks(made_up(tmp_path, saturating)[0], 0.95)}
    assert set(sound.values()) == {"pass"}
    runs = made_up(tmp_path, saturating, leak=True)[0]
    runs.loc[runs["experiment"] == "shuffled_labels", "test_accuracy"] += 0.2
    broken = {check.id: check.verdict for check in adaptation_checks(runs, 0.95)}
    assert broken["adaptation_test_read_once"] == "fail"
    assert broken["adaptation_shuffled_lora"] == "fail"


def test_the_random_base_is_mended_where_the_study_ran(tmp_path):
    runs = made_up(tmp_path, saturating)[0]
    mended, open_ = random_base(runs, 0.95), random_base(runs[:0], 0.95)
    assert (mended.verdict, open_.verdict) == ("mended", "open")
    assert mended.effect == pytest.approx(20, abs=0.2)


def test_equivalence_is_two_one_sided_tests():
    differences = np.array([0.002, -0.001, 0.004, 0.001, 0.003])
    n, mean, error = 5, differences.mean(), differences.std(ddof=1) / 5**0.5
    expected = max(stats.t.sf((mean + 0.01) / error, n - 1), stats.t.cdf((mean - 0.01) / error, n - 1))
    assert equivalence_p(differences, 0.01) == pytest.approx(expected, rel=1e-9)
    # Equivalent at level a exactly where the 1 - 2a interval lies within the margin.
    low, high = stats.t.interval(0.9, n - 1, mean, error)
    assert equivalence_p(differences, max(-low, high) * 1.001) < 0.05
    assert equivalence_p(differences, max(-low, high) * 0.999) > 0.05
    assert equivalence_p([0.1], 1.0) is None
    assert equivalence_p([0.1, 0.1], 1.0) is None


def test_pages_test_is_pages():
    # The sum of rank sums times column numbers, against its mean and variance under no trend (Page 1963).
    table = np.array([[1.0, 2.0, 3.0, 4.0], [2.0, 1.0, 3.0, 4.0], [1.0, 3.0, 2.0, 4.0]])
    m, n = table.shape
    statistic = float((stats.rankdata(table, axis=1).sum(0) * np.arange(1, n + 1)).sum())
    z = (statistic - m * n * (n + 1) ** 2 / 4) / (m * n**2 * (n + 1) ** 2 * (n - 1) / 144) ** 0.5
    assert rising_p(table) == pytest.approx(stats.norm.sf(z), rel=1e-9)
    assert rising_p(table[:1]) is None
    assert rising_p(pd.DataFrame(table).mask(lambda t: t > 3)) is None
