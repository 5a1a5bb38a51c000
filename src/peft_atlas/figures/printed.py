"""What the figures of published numbers share: the rows they read and the order of methods."""

from __future__ import annotations

from typing import TYPE_CHECKING

from peft_atlas.figures.style import METHODS, MODELS

if TYPE_CHECKING:
    import pandas as pd

SEED = "seed_notebook"
CORRECTED = "reft_v3"
COMMONSENSE = "Commonsense Reasoning"
NO_INTERVAL = "Published without any interval or number of seeds; none is drawn."


def percentages(published: pd.DataFrame, source: str, task: str = COMMONSENSE) -> pd.DataFrame:
    """Return base_model, method and the percentage that a source prints beside its results on a task."""
    table = "seed_notebook" if source == SEED else "parameters"
    rows = published[(published["table"] == table) & (published["metric"] == "trainable_params_percent")]
    rows = rows[(rows["source"] == source) & rows["base_model"].isin(MODELS) & (rows["task"] == task)]
    return rows[["base_model", "method", "printed", "value", "source"]]


def averages(published: pd.DataFrame, source: str, table: str = "commonsense") -> pd.DataFrame:
    """Return base_model, method and the average accuracy that a source prints."""
    rows = published[(published["table"] == table) & (published["task"] == "Avg") & (published["source"] == source)]
    return rows[["base_model", "method", "printed", "value", "source"]]


def in_order(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows of the known methods, in the order that all figures share."""
    known = rows[rows["method"].isin(METHODS)]
    return known.sort_values("method", key=lambda column: column.map(METHODS.index), kind="stable", ignore_index=True)
