"""The prespecified comparison on simulated test items with known effects: coverage, error rates, equivalence."""

import numpy as np
import pandas as pd
import pytest

from peft_atlas.studies.encoder import item_contrasts
from peft_atlas.studies.encoder.contrasts import ALL_TASKS, PRIMARY
from peft_atlas.tables.schemas import RUNS

# Left out of `make fast-test`: together these files take most of the time of the unit tests.
pytestmark = pytest.mark.slow

STUDIES, SEEDS, ITEMS, MARGIN = 80, 8, 100, 0.015
BASE = {"trec6": 0.85, "sent_movie": 0.7}


def study(draws, effects, seed_sd=0.02, item_sd=0.1):
    """Return runs and items of LoRA and full fine-tuning on two tasks; what a run gets right is drawn text by text."""
    cells = [(task, method) for task in BASE for method in ("full", "LoRA")]
    hard = {task: draws.normal(0, item_sd, ITEMS) for task in BASE}
    shared = {task: draws.normal(0, seed_sd, (SEEDS, 1)) for task in BASE}
    own = draws.normal(0, seed_sd / 2, (len(cells), SEEDS, 1))
    chances = [
        BASE[task] + (effects[task] if method == "LoRA" else 0.0) + hard[task] + shared[task] + own[place]
        for place, (task, method) in enumerate(cells)
    ]
    right = draws.random((len(cells), SEEDS, ITEMS)) < np.array(chances)
    keys = [(task, method, seed) for task, method in cells for seed in range(SEEDS)]
    names = [f"{task}/{method}/{seed}" for task, method, seed in keys]
    fixed = {**RUNS.blank(), "study": "encoder", "experiment": "methods", "rank": 8, "alpha": 16.0, "selected": True}
    fixed |= {"train_examples": 320, "epochs": 2, "status": "ok", "learning_rate": 0.01}
    runs = pd.DataFrame(keys, columns=["task", "method", "seed"]).assign(**{**fixed, "run_id": names})
    runs["setting"] = np.where(runs["method"] == "LoRA", "query, value", None)
    runs["test_accuracy"] = right.mean(axis=2).ravel()
    rows = np.tile(np.arange(ITEMS), len(names))
    return runs, pd.DataFrame({"run_id": np.repeat(names, ITEMS), "row": rows, "correct": right.ravel()})


@pytest.fixture(scope="module")
def without_bootstrap():
    """Leave the bootstrap out, which only checks the interval and takes most of the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(item_contrasts, "bootstrap_interval", lambda tables, confidence: (0.0, 0.0))
        yield


def simulated(effects, number):
    draws = np.random.default_rng(number)
    question = {"method": "LoRA (query, value)", "margin": MARGIN}
    found = [pd.DataFrame(item_contrasts.contrasts(*study(draws, effects), 0.95, question)) for _ in range(STUDIES)]
    rows = pd.concat(found, ignore_index=True)
    return rows[rows["question"] == PRIMARY]


def about(share):
    """Return what a simulated share may be: within three standard errors of the nominal one."""
    return pytest.approx(share, abs=3 * (share * (1 - share) / STUDIES) ** 0.5)


@pytest.mark.slow  # 240 simulated studies through the code of the study
@pytest.mark.usefixtures("without_bootstrap")
def test_intervals_cover_known_effects_and_the_primary_test_keeps_its_level():
    truth = {"trec6": -0.03, "sent_movie": 0.01}
    rows = simulated(truth, 0)
    truth[ALL_TASKS] = -0.01
    true = rows["task"].map(truth)
    covered = (rows["low"] <= true) & (true <= rows["high"])
    assert covered[rows["task"] == ALL_TASKS].mean() == about(0.95)
    assert covered[rows["task"] != ALL_TASKS].mean() == about(0.95)
    whole = rows[rows["task"] == ALL_TASKS]
    assert whole["difference"].mean() == pytest.approx(-0.01, abs=0.003)
    none = simulated({"trec6": 0.0, "sent_movie": 0.0}, 1)
    none = none[none["task"] == ALL_TASKS]
    assert (~none["indistinguishable"].astype(bool)).mean() == about(0.05)
    # At a difference of the margin equivalence is claimed wrongly in at most 5 of 100 studies.
    edge = simulated({"trec6": -MARGIN, "sent_movie": -MARGIN}, 2)
    assert (edge.loc[edge["task"] == ALL_TASKS, "p_equivalence"] < 0.05).mean() <= 0.05 + 3 * (
        0.05 * 0.95 / STUDIES
    ) ** 0.5
