"""Runs, items and costs of a decoder study that was never run, with effects that are known."""

import numpy as np
import pandas as pd

from peft_atlas.analysis.finding import Finding, as_rows
from peft_atlas.studies.decoder.cells import decoder_cells
from peft_atlas.studies.decoder.jobs import BASE, CONTROLS_PART, COUNTS, METHODS, PRIOR, REFERENCES
from peft_atlas.tables.contract import read_table, write_table
from peft_atlas.tables.decoder_schemas import DECODER
from peft_atlas.tables.schemas import CONTRACTS, COSTS, ITEMS, RUNS

ROWS, SEEDS = 200, 5
# Accuracy, rise of the loss on plain text, rate, processor seconds, by method, setting and rank.
CELLS = {
    ("full", None, None): (0.80, 0.10, 1e-4, 50.0),
    ("LoRA", "all linear modules", 8): (0.80, 0.30, 1e-3, 40.0),
    ("(IA)3", None, None): (0.60, 0.10, 3e-2, 30.0),
}
UNTRAINED = {
    (REFERENCES, BASE, "0 examples in the prompt"): 0.40,
    (REFERENCES, BASE, "4 examples in the prompt"): 0.50,
    (CONTROLS_PART, PRIOR, None): 0.30,
    (CONTROLS_PART, COUNTS, None): 0.45,
}


def decoder_tables(folder, task="commonsense", strata=1):
    """Return the tables of the contracts ``runs``, ``items``, ``costs`` and ``findings``, written into a folder."""
    draws = np.random.default_rng(0)
    rows = {"runs": [], "items": [], "costs": []}
    hard = draws.random(ROWS)
    for (method, setting, rank), (accuracy, forgotten, rate, seconds) in CELLS.items():
        for seed in range(SEEDS):
            right = hard + 0.1 * draws.normal(size=ROWS) < accuracy
            known = {
                "rank": rank, "alpha": None if rank is None else 2.0 * rank, "learning_rate": rate, "selected": True,
                "trainable_params": 1000, "params_percent": 1.0, "edge": False, "test_loss": 1 - accuracy,
                "text_loss_before": 5.0, "text_loss": 5.0 + forgotten + 0.01 * draws.normal(),
            }  # fmt: skip
            _add(rows, task, METHODS, method, setting, seed, right, known, seconds, strata)
    for (experiment, method, setting), accuracy in UNTRAINED.items():
        right = np.arange(ROWS) < accuracy * ROWS
        _add(rows, task, experiment, method, setting, 0, right, {"text_loss": None}, None, strata)
    contracts = {"runs": RUNS, "items": ITEMS, "costs": COSTS}
    for name, contract in contracts.items():
        write_table(contract, rows[name], folder / f"{name}.parquet")
    check = Finding("check", f"decoder_leakage_{task}", "decoder", "No leak", "atlas", "pass", "prepare", "0 shared.")
    write_table(CONTRACTS["findings"], as_rows([check]), folder / "findings.parquet")
    return {
        **{name: read_table(contract, folder / f"{name}.parquet") for name, contract in contracts.items()},
        "findings": read_table(CONTRACTS["findings"], folder / "findings.parquet"),
    }


def cells_of(tables, folder):
    """Return the table of the contract ``decoder_cells`` on runs and items, written into a folder."""
    path = folder / "decoder_cells.parquet"
    write_table(DECODER, decoder_cells(tables["runs"], tables["items"], 0.95, "this run"), path)
    return read_table(DECODER, path)


def _add(rows, task, experiment, method, setting, seed, right, known, seconds, strata):
    run_id = "/".join(("decoder", experiment, task, method, str(setting), f"seed={seed}"))
    rows["runs"].append(
        {
            **RUNS.blank(), "run_id": run_id, "study": "decoder", "experiment": experiment, "task": task,
            "model": "a model", "method": method, "setting": setting, "train_examples": 100, "epochs": 3, "seed": seed,
            "status": "ok", "test_accuracy": float(right.mean()), "test_examples": len(right), "total_params": 10_000,
            "device": "cpu", "torch_version": "2", **known,
        }
    )  # fmt: skip
    rows["items"] += [
        {**ITEMS.blank(), "run_id": run_id, "row": place, "correct": bool(each), "stratum": f"kind {place % strata}"}
        for place, each in enumerate(right)
    ]
    if seconds is not None:
        spent = {"cpu_seconds": seconds, "peak_memory_mb": 100 + seconds}
        rows["costs"].append({**COSTS.blank(), "rule": "finetune", "job": run_id, "run_id": run_id, **spent})


def published_rows(values):
    """Return averages of LLaMA-7B as the contract ``published`` has them, by method."""
    return pd.DataFrame(
        [
            {"table": "commonsense", "base_model": "LLaMA-7B", "method": method, "task": "Avg", "source": "reft_v3",
             "value": value}
            for method, value in values.items()
        ]
    )  # fmt: skip
