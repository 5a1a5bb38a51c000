"""How many intruder dimensions each of the laboratory's networks has, as a table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from peft_atlas.tables.columns import flag, integer, number, text
from peft_atlas.tables.contract import Contract, read_table, write_table
from peft_atlas.training.rows import Row

# The weights that solve the task, as a method among others.
EXACT = "exact solution"
COUNTS = Contract(
    "laboratory_intruders",
    1,
    ("method", "rank", "learning_rate", "seed"),
    (
        text("method", "fine-tuning method; or the network before, or with the weights that solve the task"),
        integer("rank", "rank r; null if the method has none"),
        number("learning_rate", "optimiser learning rate; null where nothing was trained"),
        integer("seed", "seed of the network", required=True),
        flag("selected", "validation selected this learning rate; null where nothing was trained"),
        number("validation_accuracy", "accuracy on the target task's validation split", "fraction"),
        integer("intruders", "intruders among the first left singular vectors of the first layer", required=True),
    ),
)


def write_counts(rows: Sequence[Row], path: Path) -> None:
    """Write the counts."""
    write_table(COUNTS, rows, path)


def read_counts(path: Path) -> pd.DataFrame:
    """Read the counts."""
    return read_table(COUNTS, path)
