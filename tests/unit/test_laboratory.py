"""The claims laboratory on simulated runs with known laws, and a part of it trained."""

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy import stats

from peft_atlas.analysis.contrasts import Levels
from peft_atlas.config import load_config
from peft_atlas.studies.adaptation.cells import Study
from peft_atlas.studies.adaptation.train import pretrain
from peft_atlas.studies.laboratory.best_rates import best_rate, best_rates, mean_rates
from peft_atlas.studies.laboratory.claims import exponent, laboratory_claims, negative, within
from peft_atlas.studies.laboratory.contrasts import contrasts
from peft_atlas.studies.laboratory.jobs import QUESTIONS, RULES
from peft_atlas.studies.laboratory.judge import page
from peft_atlas.studies.laboratory.train import part_of, parts_of, train_part
from peft_atlas.tables.contract import read_table, write_table
from peft_atlas.tables.schemas import BEST_RATES, CONTRASTS, RUNS

RATES = tuple(float(rate) for rate in np.logspace(-5, 0, 21))
LAWS = {"fixed": 0.0, "one": -0.4, "two": -0.5, "root": -1.0}


@pytest.mark.parametrize("top", [1.1e-3, 2.7e-3, 4e-2])
def test_the_top_of_a_parabola_is_found_between_the_rates(top):
    accuracy = 0.9 - 0.05 * (np.log10(RATES) - np.log10(top)) ** 2
    assert best_rate(RATES, accuracy) == pytest.approx(top, rel=1e-6)
    lost = accuracy.copy()
    lost[-3:] = np.nan
    assert best_rate(RATES, lost) == pytest.approx(top, rel=1e-6)


def test_a_rate_at_the_end_stays_within_the_grid():
    assert best_rate(RATES, np.linspace(0.1, 0.9, len(RATES))) == pytest.approx(RATES[-1])
    assert np.isnan(best_rate([0.1], [np.nan]))


def simulated(draw=0, laws=LAWS, ratio=10.0, gap=-0.05, spread=0.0, rates=RATES):
    """Return runs of a laboratory whose best rates follow known laws and whose gaps are known."""
    draws, rows = np.random.default_rng(draw), []

    def add(experiment, method, top, accuracy, setting=None, rank=None, task="t", examples=100):
        found = {}
        for seed in range(10):
            own = np.log10(top) + draws.normal(0, 0.05)
            for rate in rates:
                value = accuracy - 0.05 * (np.log10(rate) - own) ** 2 + draws.normal(0, 2e-4)
                found[seed, rate] = max(value, 0.0)
        chosen = pd.Series(found).groupby(level=1).mean().idxmax()
        for (seed, rate), value in found.items():
            row = {**RUNS.blank(), "study": "laboratory", "experiment": experiment, "task": task, "model": "m"}
            row |= {"run_id": f"{experiment}/{task}/{examples}/{method}/{setting}/{rank}/{rate}/{seed}"}
            row |= {"method": method, "setting": setting, "rank": rank, "alpha": None if rank is None else 2.0 * rank}
            row |= {"learning_rate": rate, "selected": rate == chosen, "validation_accuracy": value, "status": "ok"}
            row |= {"test_accuracy": value if rate == chosen else None, "train_examples": examples, "epochs": 1}
            row |= {"edge": chosen in (rates[0], rates[-1]) if rate == chosen else None, "seed": seed}
            rows.append(row | {"trainable_params": 1, "total_params": 2, "device": "cpu", "torch_version": "0"})

    for rule, power in laws.items():
        for rank in (1, 4, 16):
            add("scaling", "LoRA", 1e-2 * rank**power, 0.8, RULES[rule], rank)
    add("variants", "full", 1e-2 / ratio, 0.8)
    add("variants", "LoRA", 1e-2, 0.8, RULES["two"], 8)
    add("variants", "LoRA", 1e-3, 0.8 + spread, RULES["root"], 8)
    add("variants", "DoRA", 1e-2, 0.8, None, 8)
    for size, loss in ((16, 0.0), (256, gap)):
        add("batch", "full", 1e-3, 0.8, task=f"t, batches of {size}")
        add("batch", "LoRA", 1e-2, 0.8 + loss, RULES["two"], 8, task=f"t, batches of {size}")
    for examples, loss in ((100, 0.0), (1000, gap)):
        add("capacity", "full", 1e-3, 0.8, examples=examples)
        for rank in (1, 4):
            add("capacity", "LoRA", 1e-2, 0.8 + loss / rank, RULES["two"], rank, examples=examples)
    return pd.DataFrame(rows)


def judged(tmp_path, **truth):
    levels = Levels(0.95, 0.01)
    write_table(RUNS, simulated(**truth), tmp_path / "runs.parquet")
    runs = read_table(RUNS, tmp_path / "runs.parquet")
    write_table(CONTRASTS, contrasts(runs, pd.DataFrame(), levels), tmp_path / "contrasts.parquet")
    found = laboratory_claims(runs, read_table(CONTRASTS, tmp_path / "contrasts.parquet"), levels)
    return {finding.id.removeprefix("laboratory_"): finding for finding in found}


def test_exponents_are_those_that_were_simulated():
    table = best_rates(simulated().query("experiment == 'scaling'"))
    for rule, power in LAWS.items():
        found = exponent(table, rule, 0.95)
        assert found.mean == pytest.approx(power, abs=0.03)
        assert found.low < power < found.high or abs(found.mean - power) < 0.02


def test_mean_rates_are_geometric_and_fit_their_contract(tmp_path):
    table = best_rates(simulated().query("experiment == 'scaling'"))
    write_table(BEST_RATES, mean_rates(table, 0.9), tmp_path / "best_rates.parquet")
    rows = read_table(BEST_RATES, tmp_path / "best_rates.parquet")
    one = rows[(rows["setting"] == RULES["root"]) & (rows["rank"] == 16)].iloc[0]
    own = table[(table["setting"] == RULES["root"]) & (table["rank"] == 16)]["best_rate"]
    assert one["best_rate"] == pytest.approx(stats.gmean(own))
    ends = stats.ttest_1samp(np.log10(own), 0).confidence_interval(0.9)
    assert (one["low"], one["high"]) == pytest.approx((10**ends.low, 10**ends.high))


def test_verdicts_follow_what_was_simulated(tmp_path):
    claims = judged(tmp_path)
    verdicts = {name: claim.verdict for name, claim in claims.items()}
    assert verdicts == {
        "best_rate": "measured",
        "best_rate_factor_two": "supported",
        "best_rate_independent": "supported",
        "best_rate_falls": "supported",
        "best_rate_root": "contradicted",
        "ten_times": "supported",
        "large_batch": "supported",
        "capacity": "supported",
        "variants_similar": "supported",
        "attention_only": "not_testable",
    }
    assert claims["capacity"].effect.size == pytest.approx(-5, abs=0.5)
    for claim in claims.values():
        assert claim.kind == "answer" or "decides nothing for large models" in claim.detail
    text = page(list(claims.values()))
    assert "“LR is independent of LoRA rank (validated empirically)”" in text


def test_verdicts_turn_with_the_truth(tmp_path):
    laws = {"fixed": -0.5, "one": 0.4, "two": 0.0, "root": 0.0}
    verdicts = {name: c.verdict for name, c in judged(tmp_path, laws=laws, ratio=100, gap=0.05, spread=0.05).items()}
    assert verdicts["best_rate_independent"] == verdicts["best_rate_falls"] == "contradicted"
    assert verdicts["best_rate_root"] == "supported"
    assert verdicts["large_batch"] == verdicts["capacity"] == verdicts["variants_similar"] == "contradicted"


def test_a_rate_at_the_end_of_the_grid_decides_nothing(tmp_path):
    narrow = tuple(rate for rate in RATES if rate <= 1e-2)
    claims = judged(tmp_path, rates=narrow)
    assert claims["best_rate_independent"].verdict == claims["ten_times"].verdict == "undecided"
    assert "nothing is concluded" in claims["best_rate_independent"].detail


@pytest.mark.parametrize(
    ("low", "high", "inside", "below"),
    [
        (-0.1, 0.1, "supported", "undecided"),
        (-0.4, -0.2, "contradicted", "supported"),
        (0.2, 0.3, "contradicted", "contradicted"),
        (-0.3, 0.0, "undecided", "undecided"),
        (None, None, "undecided", "undecided"),
    ],
)
def test_rules_of_verdicts(low, high, inside, below):
    assert within(low, high, 0.14) == inside
    assert negative(low, high) == below


def test_every_part_trains_what_its_name_says(root):
    config = load_config(yaml.safe_load((root / "workflow/smoke.yaml").read_text(encoding="utf-8")))
    networks, own, seeds = config.adaptation, config.laboratory, (0, 1)
    base = pretrain(Study(networks, seeds, "cpu"))[0]
    names = [name for question in QUESTIONS for name in parts_of(question, own)]
    assert len(names) == len(set(names)) == 4 + 1 + 2 + 2
    runs = []
    for name in names:
        part = part_of(name, own, networks)
        assert part.train_examples == (int(name.split("-")[1]) if name.startswith("capacity") else 64)
        trained, costs = train_part(part, own, networks, seeds, base, "cpu")
        assert {cost["run_id"] for cost in costs} == {run["run_id"] for run in trained}
        runs += trained
    frame = pd.DataFrame(runs)
    assert not frame["run_id"].duplicated().any()
    assert set(frame["study"]) == {"laboratory"}
    # The same cell of two parts is the same run.
    two = frame[(frame["method"] == "LoRA") & (frame["setting"] == "alpha = 2r") & (frame["rank"] == 2)]
    same = two[two["experiment"].isin(("scaling", "variants"))].groupby(["learning_rate", "seed"])["validation_loss"]
    assert (same.max() == same.min()).all()
    assert (same.size() == 2).all()
    with pytest.raises(ValueError, match="has no such part"):
        part_of("colour", own, networks)
