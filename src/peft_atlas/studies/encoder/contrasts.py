"""The encoder study's comparisons: methods and controls against full fine-tuning, and the ends of the rank curve."""

from __future__ import annotations

from typing import Any

import pandas as pd

from peft_atlas.analysis.contrasts import Comparison, Levels, by_seed, compare
from peft_atlas.studies.encoder.jobs import NAME

AGAINST_FULL, CONTROLS_AGAINST_FULL, RANKS = "encoder_against_full", "encoder_controls", "encoder_ranks"
FULL = "full fine-tuning, its own rate"


def contrasts(runs: pd.DataFrame, curves: pd.DataFrame, levels: Levels) -> list[dict[str, Any]]:
    """Return the comparisons of the encoder study as rows of the contract ``contrasts``.

    Parameters
    ----------
    runs, curves
        Tables of those contracts, of the encoder study alone.
    levels
        Confidence level of the intervals; 1 minus it is the level of the tests.
    """
    return compare(NAME, [*_against_full(runs), *_controls(runs), *_ranks(runs)], levels.confidence)


def chosen_runs(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the runs of methods at the rate that validation chose."""
    return runs[(runs["experiment"] == "methods") & runs["selected"].fillna(value=False)]


def main_task(runs: pd.DataFrame) -> str:
    """Return the task on which most is trained, of equal ones the first by name."""
    rows = chosen_runs(runs)[["task", "method", "setting"]].drop_duplicates()
    return str(rows["task"].value_counts(sort=False).sort_index().idxmax())


def cells(runs: pd.DataFrame) -> list[tuple[tuple[str, str, str | None], pd.DataFrame]]:
    """Return the runs of each task, method and setting, in the order of these names."""
    keys = ["task", "method", "setting"]
    groups = runs.groupby(keys, dropna=False, sort=True)
    return [((str(task), str(method), None if pd.isna(s) else str(s)), part) for (task, method, s), part in groups]


def _full(runs: pd.DataFrame, task: str) -> pd.Series[float]:
    return by_seed(chosen_runs(runs), task=task, method="full")


def _comparison(question: str, cell: tuple[str, str, str | None], part: pd.DataFrame, other: Any) -> Comparison:
    """Return a cell against a reference, a pair of its name and its outcomes."""
    task, method, setting = cell
    first = part.iloc[0]
    rank, alpha = first["rank"], first["alpha"]
    return Comparison(
        question,
        task,
        method,
        None if pd.isna(rank) else int(rank),
        None if pd.isna(alpha) else float(alpha),
        other[0],
        by_seed(part),
        other[1],
        setting=setting,
        train_examples=int(first["train_examples"]),
    )


def _against_full(runs: pd.DataFrame) -> list[Comparison]:
    """Return every method against full fine-tuning, each at the rate that validation chose for it."""
    return [
        _comparison(f"{AGAINST_FULL}_{cell[0]}", cell, part, (FULL, _full(runs, cell[0])))
        for cell, part in cells(chosen_runs(runs))
        if cell[1] != "full"
    ]


def _controls(runs: pd.DataFrame) -> list[Comparison]:
    """Return every control against full fine-tuning."""
    controls = runs[runs["experiment"] == "controls"]
    return [
        _comparison(f"{CONTROLS_AGAINST_FULL}_{cell[0]}", cell, part, (FULL, _full(runs, cell[0])))
        for cell, part in cells(controls)
    ]


def rank_runs(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the runs of the rank curve, with those of the rank that all other runs have."""
    varied = runs[runs["experiment"] == "ranks"]
    keys = varied[["task", "method", "setting"]].drop_duplicates()
    usual = chosen_runs(runs).merge(keys, on=["task", "method", "setting"], how="inner")
    return pd.concat([varied, usual], ignore_index=True)


def _ranks(runs: pd.DataFrame) -> list[Comparison]:
    """Return the highest rank of each curve against the lowest."""
    found = []
    for cell, part in cells(rank_runs(runs)):
        low, high = (part[part["rank"] == edge] for edge in (part["rank"].min(), part["rank"].max()))
        other = (f"rank {int(part['rank'].min())}", by_seed(low))
        found.append(_comparison(f"{RANKS}_{cell[0]}", cell, high, other))
    return found
