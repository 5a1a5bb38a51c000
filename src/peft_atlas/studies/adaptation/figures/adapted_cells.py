"""What the figures of the adaptation study share: which rows they read, and how budgets and shifts are named."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = [
    *("method", "setting", "rank", "alpha", "learning_rate", "shift_rank", "train_examples", "trainable_params"),
    *("metric", "mean", "low", "high", "unit", "interval", "n_runs", "n_ok"),
]


def cells(summary: pd.DataFrame, experiment: str, metric: str, *, chosen: bool = True) -> pd.DataFrame:
    """Return the cells of a part of the study, accuracies in percent; ``chosen`` leaves rejected learning rates out."""
    rows = summary[(summary["study"] == "adaptation") & (summary["experiment"] == experiment)]
    rows = rows[rows["metric"] == metric].copy()
    if chosen:
        rows = rows[rows["selected"].fillna(value=True)]
    for column in ("mean", "low", "high"):
        rows[column] = 100 * rows[column]
    return rows.assign(unit="percent")[COLUMNS].reset_index(drop=True)


def budgets(plotted: pd.DataFrame) -> list[int]:
    """Return the smallest and the largest budget of training examples, one twice where there is one."""
    found = sorted(int(examples) for examples in plotted["train_examples"].unique())
    return [found[0], found[-1]]


def middle_shift(plotted: pd.DataFrame) -> int:
    """Return the middle one of the shifts' ranks, the lower of two."""
    found = sorted(int(rank) for rank in plotted["shift_rank"].unique())
    return found[(len(found) - 1) // 2]


def interval_text(plotted: pd.DataFrame) -> str:
    """Return the caption's words on means and intervals."""
    return f"Means over {int(plotted['n_ok'].max())} seeds; bars: {plotted['interval'].dropna().iloc[0]}."
