"""Toss the coins."""

from __future__ import annotations

from typing import Any

import numpy as np

from peft_atlas.rng import stream_key
from peft_atlas.step import Step
from peft_atlas.studies.coin.jobs import NAME
from peft_atlas.tables.schemas import CURVES, RUNS


def toss_step(step: Step) -> None:
    """Toss every seed's coin and write its share of heads as an accuracy."""
    runs = [_run(seed, step.params["tosses"]) for seed in step.params["seeds"]]
    names = set(CURVES.schema().names)
    step.write("runs", runs)
    step.write("curves", [{**{k: v for k, v in run.items() if k in names}, "epoch": 1} for run in runs])


def _run(seed: int, tosses: int) -> dict[str, Any]:
    heads = np.random.default_rng(stream_key(seed, "data")).integers(0, 2, tosses).mean()
    known = {
        "run_id": f"{NAME}/tosses/seed={seed}",
        "study": NAME,
        "experiment": "tosses",
        "task": "heads",
        "model": "coin",
        "method": "toss",
        "train_examples": tosses,
        "epochs": 1,
        "seed": seed,
        "status": "ok",
        "test_accuracy": float(heads),
        "total_params": 0,
        "device": "cpu",
        "torch_version": "none",
    }
    return {**RUNS.blank(), **known}
