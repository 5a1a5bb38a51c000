"""Read the runs that a user has added, and group them into cells."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd

from peft_atlas.methods.names import setting_name
from peft_atlas.step import Step
from peft_atlas.tables.added_schemas import ADDED_RUNS
from peft_atlas.tables.csv_source import read_csv_table

CELL = ("method", "setting", "rank", "learning_rate")
FULL = "full"


@dataclass(frozen=True)
class Cell:
    """The runs of one method and setting on one task and model, which differ in their seed.

    Parameters
    ----------
    name
        Method with its setting, rank and learning rate as far as they are known.
    runs
        Rows of the contract ``added_runs``.
    """

    name: str
    runs: pd.DataFrame

    @property
    def method(self) -> str:
        """Return the method's name."""
        return str(self.runs["method"].iloc[0])

    @property
    def points(self) -> pd.Series[float]:
        """Return the scores in percent, by seed."""
        return 100 * self.runs.set_index("seed")["score"].astype(float)


def load_step(step: Step) -> None:
    """Read and check the runs that a user has added, one CSV file per set."""
    step.write("added_runs", pd.concat([read_csv_table(ADDED_RUNS, path) for path in step.paths("tables")]))


def tasks(runs: pd.DataFrame) -> Iterator[tuple[str, str, list[Cell]]]:
    """Yield each task and model with its cells, full fine-tuning first, then in the order of names."""
    for (task, model), group in runs.groupby(["task", "model"]):
        cells = [Cell(_name(key), part) for key, part in group.groupby(list(CELL), dropna=False)]
        yield str(task), str(model), sorted(cells, key=lambda cell: (cell.method != FULL, cell.name))


def _name(key: tuple[Any, ...]) -> str:
    method, setting, rank, rate = (None if pd.isna(value) else value for value in key)
    name = setting_name(str(method), setting)
    sizes = [f"r = {int(rank)}"] if rank is not None else []
    sizes += [f"rate {rate:g}"] if rate is not None else []
    return ", ".join([name, *sizes])
