"""The baseline at tuned learning rates: full model and LoRA search one grid, each run stopped by validation."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from peft_atlas.step import Step
from peft_atlas.studies.notebook.config import NotebookConfig
from peft_atlas.studies.notebook.jobs import TUNED_PART
from peft_atlas.studies.notebook.train import Block, Cell, collect, train_cells
from peft_atlas.training.rows import Row

# Seeds trained together; bounds the memory of the job and changes no result.
_TOGETHER = 10
_TEST = ("test_loss", "test_accuracy")


def train_tuned(block: Block) -> tuple[list[Row], list[Row]]:
    """Return runs and learning curves of the full model and LoRA at every learning rate.

    For each method the rate is chosen whose runs reach the best validation accuracy at any epoch, on average over
    seeds; of equal ones the lowest. Test is kept at the chosen rate alone, after every epoch.
    """
    parts = (
        train_cells(part, part.data(), cells, test_each_epoch=True) for part in _parts(block) for cells in _cells(block)
    )
    runs, curves = collect(parts)
    for method in dict.fromkeys(run["method"] for run in runs):
        own = [row for row in (*runs, *curves) if row["method"] == method]
        _mark(own, chosen_rate([row for row in curves if row["method"] == method]))
    return runs, curves


def _parts(block: Block) -> Iterator[Block]:
    """Yield the block a few seeds at a time."""
    for start in range(0, len(block.seeds), _TOGETHER):
        yield Block(block.config, block.task, block.seeds[start : start + _TOGETHER], block.device)


def _cells(block: Block) -> list[list[Cell]]:
    """Return the cells of each method, one per learning rate."""
    setting, rates = block.config.baseline, block.config.tuning.learning_rates
    return [
        [Cell(TUNED_PART, "full", setting.epochs, learning_rate=rate) for rate in rates],
        [Cell(TUNED_PART, "LoRA", setting.epochs, setting.rank, setting.alpha, learning_rate=rate) for rate in rates],
    ]


def chosen_rate(curves: list[Row]) -> float:
    """Return the rate with the best mean over seeds of the best validation accuracy of a run.

    A rate at which a run diverged before its first epoch ended is not chosen while another is left.

    Parameters
    ----------
    curves
        Learning curves of one method at every rate.
    """
    best: dict[float, dict[int, float]] = {}
    for row in curves:
        seeds = best.setdefault(row["learning_rate"], {})
        reached = -1.0 if row["validation_accuracy"] is None else float(row["validation_accuracy"])
        seeds[row["seed"]] = max(reached, seeds.get(row["seed"], -1.0))
    lost = {rate for rate, seeds in best.items() if min(seeds.values()) < 0}
    means = {rate: -1.0 if rate in lost else float(np.mean([*seeds.values()])) for rate, seeds in best.items()}
    return max(sorted(means), key=lambda rate: means[rate])


def _mark(rows: list[Row], chosen: float) -> None:
    """Say in runs and curves which rate was chosen and whether it is an end of the grid; take test from the others."""
    rates = {row["learning_rate"] for row in rows}
    for row in rows:
        row["selected"] = row["learning_rate"] == chosen
        if not row["selected"]:
            row.update(dict.fromkeys(_TEST))
        elif "edge" in row and len(rates) > 1:
            row["edge"] = chosen in (min(rates), max(rates))


def tuned_step(step: Step) -> None:
    """Train the baseline at every learning rate, all seeds."""
    params = step.params
    block = Block(NotebookConfig.model_validate(params["config"]), "held_out", tuple(params["seeds"]), params["device"])
    runs, curves = train_tuned(block)
    step.write("runs", runs)
    step.write("curves", curves)
