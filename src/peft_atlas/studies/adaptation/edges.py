"""Cells whose chosen learning rate is an end of the grid, where a better one may lie outside it."""

from __future__ import annotations

from typing import Any

import pandas as pd

CELL = [*("experiment", "method", "setting", "rank", "alpha", "scaling", "shift_rank", "train_examples")]
LOWEST, HIGHEST = "lowest", "highest"


def chosen_ends(rows: pd.DataFrame) -> pd.DataFrame:
    """Return each cell with the rate that was chosen for it, and ``edge``: which end of its grid that is, if any.

    A grid may have grown for some cells, so that each has ends of its own.

    Parameters
    ----------
    rows
        Runs, or rows of the summary of one metric, at every learning rate that was tried.
    """
    searched = rows[rows["selected"].notna()].copy()
    rates = searched.groupby([*CELL, "task"], dropna=False)["learning_rate"]
    searched["lowest"], searched["highest"] = rates.transform("min"), rates.transform("max")
    chosen = searched[searched["selected"].fillna(value=False)].drop_duplicates([*CELL, "task"])
    return chosen[[*CELL, "task", "learning_rate"]].assign(edge=[_end(row) for row in chosen.itertuples()])


def _end(row: Any) -> str | None:
    """Return which end of its cell's grid a chosen rate is."""
    if row.lowest == row.highest:
        return None
    return {row.lowest: LOWEST, row.highest: HIGHEST}.get(row.learning_rate)


def common_rates(rows: pd.DataFrame) -> list[float]:
    """Return the learning rates that every cell has tried, rising; `chosen_ends` says which rows may be given."""
    searched = rows[rows["selected"].notna()]
    cells = len(searched[[*CELL, "task"]].drop_duplicates())
    tried = searched.drop_duplicates([*CELL, "task", "learning_rate"]).groupby("learning_rate").size()
    return sorted(float(rate) for rate, count in tried.items() if count == cells)


def at_edge(rows: pd.DataFrame, experiment: str) -> set[tuple[str, int, int]]:
    """Return the methods at an end of the grid, each with the shift's rank and the training examples."""
    found = chosen_ends(rows[rows["experiment"] == experiment])
    found = found[found["edge"].notna()]
    return {(row.method, int(row.shift_rank), int(row.train_examples)) for row in found.itertuples()}
