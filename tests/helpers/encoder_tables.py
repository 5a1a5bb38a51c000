"""Runs, curves, items and costs of an encoder study that was never run, with effects that are known."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from peft_atlas.tables.contract import read_table, write_table
from peft_atlas.tables.schemas import COSTS, CURVES, ITEMS, RUNS

RATES = (0.003, 0.01, 0.03)


@dataclass(frozen=True)
class Cell:
    """One setting on one task: its true accuracy, seeds, test rows, and what tells it from others."""

    method: str
    accuracy: float
    setting: str | None = None
    seeds: int = 3
    rows: int = 800
    task: str = "trec6"
    experiment: str = "methods"
    rank: int | None = None
    examples: int = 320
    rates: tuple[float, ...] = RATES
    seconds: float = 6.0
    megabytes: float = 640.0
    extra: dict = field(default_factory=dict)

    def identity(self, rate, seed):
        """Return the columns that name a run."""
        alpha = None if self.rank is None else 2.0 * self.rank
        name = f"encoder/{self.experiment}/{self.task}/{self.method}/{self.setting}/{self.rank}/{rate:g}/{seed}"
        return {
            "run_id": name, "study": "encoder", "experiment": self.experiment, "task": self.task, "model": "tiny",
            "method": self.method, "setting": self.setting, "rank": self.rank, "alpha": alpha,
            "scaling": None if alpha is None else 2.0, "train_examples": self.examples, "learning_rate": rate,
            "epochs": 2, "trainable_params": 100, "params_percent": 100.0 if self.method == "full" else 1.0,
            "seed": seed,
        }  # fmt: skip


def default_cells(effect=-0.02):
    """Return a study of the default's shape, in which LoRA differs from full fine-tuning by an effect."""
    lora, full = {"method": "LoRA", "rank": 8}, {"method": "full", "seconds": 11.0, "megabytes": 960.0}
    primary = {"seeds": 8, "rows": 1655}
    return [
        Cell(accuracy=0.87, **full, **primary),
        Cell(accuracy=0.87 + effect, setting="query, value", **lora, **primary),
        Cell(accuracy=0.77, task="sent_movie", **full, **primary),
        Cell(accuracy=0.77 + effect, setting="query, value", task="sent_movie", **lora, **primary),
        Cell(accuracy=0.86, setting="query, key, value", **lora),
        Cell(accuracy=0.86, setting="all linear modules", **lora),
        Cell("DoRA", 0.86, rank=8),
        Cell("BitFit", 0.85),
        Cell("(IA)3", 0.85),
        Cell("head only", 0.66),
        Cell("LoRA", 0.85, "query, key, value", experiment="ranks", rank=1),
        Cell("LoRA", 0.86, "query, key, value", experiment="ranks", rank=64),
        Cell(accuracy=0.92, experiment="1280 examples", examples=1280, **full | {"rows": 1655}),
        Cell(accuracy=0.925, setting="query, value", experiment="1280 examples", examples=1280, **lora, rows=1655),
        Cell("random encoder", 0.5, experiment="controls", rows=1655, rates=(0.01,)),
        Cell("majority class", 0.23, experiment="controls", rows=1655, rates=(0.01,)),
    ]


def simulated(cells, folder, draw=0, seed_sd=0.008):
    """Return the tables of the contracts ``runs``, ``curves``, ``items`` and ``costs``, by name.

    A seed moves all settings of a task alike and each by itself; a text is as hard for all.
    """
    generator = np.random.default_rng(draw)
    hard = {task: generator.normal(0, 0.15, 1655) for task in sorted({cell.task for cell in cells})}
    shared = {task: generator.normal(0, 0.01, 100) for task in hard}
    rows = {"runs": [], "curves": [], "items": [], "costs": []}
    for cell in cells:
        for seed in range(cell.seeds):
            chance = (
                cell.accuracy + shared[cell.task][seed] + generator.normal(0, seed_sd) + hard[cell.task][: cell.rows]
            )
            correct = generator.random(cell.rows) < np.clip(chance - hard[cell.task][: cell.rows].mean(), 0, 1)
            _add(rows, cell, seed, correct, generator)
    contracts = {"runs": RUNS, "curves": CURVES, "items": ITEMS, "costs": COSTS}
    found = {}
    for name, contract in contracts.items():
        write_table(contract, rows[name], folder / f"{name}.parquet")
        found[name] = read_table(contract, folder / f"{name}.parquet")
    return found


def _add(rows, cell, seed, correct, generator):
    """Add the runs of a seed: the chosen rate, and with the first seed the others."""
    middle = cell.rates[len(cell.rates) // 2]
    control = cell.experiment == "controls"
    for rate in cell.rates if seed == 0 else (middle,):
        chosen = rate == middle
        identity = {**cell.identity(rate, seed), "selected": None if control else chosen}
        accuracy = float(correct.mean()) if chosen else None
        validation = cell.accuracy - (0 if chosen else 0.03)
        measured = {
            "train_loss": 0.4,
            "validation_loss": 0.5,
            "validation_accuracy": validation if seed == 0 else None,
            "test_loss": 0.5 if chosen else None,
            "test_accuracy": accuracy,
        }
        rows["runs"].append(
            {
                **RUNS.blank(), **identity, **measured, "status": "ok", "edge": False if len(cell.rates) > 1 else None,
                "total_params": 1000, "head_params": 10, "validation_examples": 400, "test_examples": cell.rows,
                "embedding_similarity": 0.7 if chosen else None, "adapter_bytes": 1000, "device": "cpu",
                "precision": "float32", "torch_version": "x",
            }
        )  # fmt: skip
        rows["curves"].append({**CURVES.blank(), **identity, **measured, "epoch": 2})
        if chosen:
            own = {**ITEMS.blank(), "run_id": identity["run_id"]}
            rows["items"].extend({**own, "row": row, "correct": bool(c)} for row, c in enumerate(correct))
        spent = {"cpu_seconds": cell.seconds * generator.uniform(0.95, 1.05), "peak_memory_mb": cell.megabytes}
        names = {"rule": "finetune", "job": identity["run_id"], "run_id": identity["run_id"]}
        rows["costs"].append({**COSTS.blank(), **names, **spent})


def as_published():
    """Return an empty table of what is published."""
    columns = ["source", "base_model", "table", "task", "method", "metric", "qualifier", "printed", "value"]
    return pd.DataFrame(columns=columns)
