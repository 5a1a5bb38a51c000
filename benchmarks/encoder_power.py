"""What the encoder study's prespecified comparison can detect, simulated from measured variance components.

Run it with ``python benchmarks/encoder_power.py results`` after a run of the encoder study. For each task the variance
of an item's difference between the prespecified setting and full fine-tuning is divided into seed, item and what is in
neither alone; studies with those components and a true difference are drawn and analysed by the study's own code.
``--seeds`` and ``--items`` ask about a study of another size, ``--components`` about other components.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from peft_atlas.analysis.pooled import POWER, Components, components, mean_difference
from peft_atlas.studies.encoder.contrasts import chosen_runs
from peft_atlas.tables.contract import read_table
from peft_atlas.tables.schemas import ITEMS, RUNS

CONFIDENCE, STEP = 0.95, 0.001


def measured(results: Path, setting: str) -> dict[str, NDArray[np.float64]]:
    """Return the differences to full fine-tuning of each task, shape ``(seeds, items)``."""
    runs = chosen_runs(read_table(RUNS, results / "runs.parquet").query("study == 'encoder'"))
    items = read_table(ITEMS, results / "items.parquet").groupby("run_id")["correct"]
    right = {str(name): part.to_numpy(dtype=float) for name, part in items}
    found = {}
    for task, part in runs.groupby("task"):
        own = part[part["setting"] == setting].set_index("seed")["run_id"]
        full = part[part["method"] == "full"].set_index("seed")["run_id"]
        seeds = sorted(set(own.index) & set(full.index))
        if len(seeds) > 1:
            found[str(task)] = np.array([right[own[seed]] - right[full[seed]] for seed in seeds])
    return found


def drawn(parts: Components, seeds: int, items: int, generator: np.random.Generator) -> NDArray[np.float64]:
    """Return differences of a study without effect."""
    by_seed = generator.normal(0, parts.seed**0.5, (seeds, 1))
    by_item = generator.normal(0, parts.item**0.5, (1, items))
    return by_seed + by_item + generator.normal(0, parts.rest**0.5, (seeds, items))


def power(tasks: Sequence[Components], seeds: int, items: int, effect: float, studies: int) -> float:
    """Return how often studies with a true difference find it."""
    generator, found = np.random.default_rng(0), 0
    for _ in range(studies):
        tables = [drawn(parts, seeds, items, generator) + effect for parts in tasks]
        difference = mean_difference(tables, CONFIDENCE)
        found += difference.low > 0 or difference.high < 0
    return found / studies


def detectable(tasks: Sequence[Components], seeds: int, items: int, studies: int) -> float:
    """Return the smallest difference, in steps of a tenth of a point, that is found with 80 % power."""
    low, high = 0, 200
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power(tasks, seeds, items, middle * STEP, studies) >= POWER else (middle, high)
    return high * STEP


def main(arguments: argparse.Namespace) -> None:
    """Print components, and what is detected on each task and on the mean over tasks."""
    if arguments.components:
        seed, item, rest = arguments.components
        known = {f"task {place}": Components(seed**2, item, rest) for place in range(arguments.tasks)}
        seeds, items = arguments.seeds or 8, arguments.items or 1655
    else:
        tables = measured(arguments.results, arguments.setting)
        known = {task: components(table) for task, table in tables.items()}
        seeds = arguments.seeds or min(len(table) for table in tables.values())
        items = arguments.items or min(table.shape[1] for table in tables.values())
    rows = [
        {"task": task, "sd seed": parts.seed**0.5, "var item": parts.item, "var rest": parts.rest}
        | {"detectable, points": 100 * detectable([parts], seeds, items, arguments.studies)}
        for task, parts in known.items()
    ]
    whole = 100 * detectable(list(known.values()), seeds, items, arguments.studies)
    print(f"{seeds} seeds, {items} items, power {POWER:g}, {arguments.studies} simulated studies")
    print(pd.DataFrame(rows).round(4).to_string(index=False))
    print(f"mean over {len(known)} tasks: {whole:.1f} points")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path, nargs="?", default=Path("results"))
    parser.add_argument("--setting", default="query, value", help="the setting of LoRA that is compared")
    parser.add_argument("--components", type=float, nargs=3, metavar=("SD_SEED", "VAR_ITEM", "VAR_REST"))
    parser.add_argument("--tasks", type=int, default=2, help="tasks with these components")
    parser.add_argument("--seeds", type=int)
    parser.add_argument("--items", type=int)
    parser.add_argument("--studies", type=int, default=400)
    main(parser.parse_args())
