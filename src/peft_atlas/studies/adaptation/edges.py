"""Cells whose chosen learning rate is an end of the grid, where a better one may lie outside it."""

from __future__ import annotations

import pandas as pd

CELL = [*("experiment", "method", "setting", "rank", "alpha", "scaling", "shift_rank", "train_examples")]
LOWEST, HIGHEST = "lowest", "highest"


def chosen_ends(rows: pd.DataFrame) -> pd.DataFrame:
    """Return each cell with the rate that was chosen for it, and ``edge``: which end of the grid that is, if any.

    Parameters
    ----------
    rows
        Runs, or rows of the summary of one metric, at every learning rate that was tried.
    """
    searched = rows[rows["selected"].notna()]
    lowest, highest = searched["learning_rate"].min(), searched["learning_rate"].max()
    chosen = searched[searched["selected"].fillna(value=False)].drop_duplicates(CELL)
    ends = {lowest: LOWEST, highest: HIGHEST} if lowest < highest else {}
    return chosen[[*CELL, "learning_rate"]].assign(edge=chosen["learning_rate"].map(ends))


def at_edge(rows: pd.DataFrame, experiment: str) -> set[tuple[str, int, int]]:
    """Return the methods at an end of the grid, each with the shift's rank and the training examples."""
    found = chosen_ends(rows[rows["experiment"] == experiment])
    found = found[found["edge"].notna()]
    return {(row.method, int(row.shift_rank), int(row.train_examples)) for row in found.itertuples()}
