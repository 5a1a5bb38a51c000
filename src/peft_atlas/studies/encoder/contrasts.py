"""The encoder study's controls against full fine-tuning, and which of its runs comparisons rest on.

Comparisons that need the table of items are in `peft_atlas.studies.encoder.item_contrasts`. A chosen run that collapsed
counts in every comparison with the accuracy that it has: to leave it out would flatter its setting.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from peft_atlas.analysis.contrasts import EXPLORATORY, Comparison, Levels, by_seed, compare
from peft_atlas.analysis.curves import tuned_curve
from peft_atlas.studies.encoder.jobs import CONTROLS_PART, METHODS, NAME, RANKS

# Names of the comparisons, as the column `question` has them.
PRIMARY, BOOTSTRAP = "encoder_primary", "encoder_primary_bootstrap"
CROSS_FIT = "encoder_primary_cross_fit"
BUDGET, BUDGET_CHANGE = "encoder_budget", "encoder_budget_change"
AGAINST_FULL, GROUP = "encoder_against_full", "encoder_group_against_full"
RANK_STEPS, MODULES = "encoder_ranks", "encoder_modules"
CONTROLS_AGAINST_FULL = "encoder_controls"
ALL_TASKS = "mean over tasks"
FULL = "full fine-tuning, its own rate"

Cell = tuple[str, str, str | None]


def contrasts(runs: pd.DataFrame, curves: pd.DataFrame, levels: Levels) -> list[dict[str, Any]]:
    """Return the controls against full fine-tuning as rows of the contract ``contrasts``.

    Parameters
    ----------
    runs, curves
        Tables of those contracts, of the encoder study alone.
    levels
        Confidence level of the intervals; 1 minus it is the level of the tests.
    """
    return compare(NAME, [_control(runs, cell, part) for cell, part in _controls(runs)], levels.confidence)


def _controls(runs: pd.DataFrame) -> list[tuple[Cell, pd.DataFrame]]:
    """Return the controls of the tasks that train full fine-tuning, which all do."""
    return cells(runs[runs["experiment"] == CONTROLS_PART])


def _control(runs: pd.DataFrame, cell: Cell, part: pd.DataFrame) -> Comparison:
    """Return a control against full fine-tuning; controls differ in their variance, so that each has its own."""
    task, method, setting = cell
    full = by_seed(chosen_runs(runs), task=task, method="full")
    own = int(part["train_examples"].iloc[0])
    left = by_seed(part)
    return Comparison(
        CONTROLS_AGAINST_FULL,
        task,
        method,
        None,
        None,
        FULL,
        left,
        full.reindex(left.index),
        setting=setting,
        train_examples=own,
        role=EXPLORATORY,
    )


def chosen_runs(runs: pd.DataFrame, experiment: str = METHODS) -> pd.DataFrame:
    """Return the runs of a part of the study at the rates that validation chose."""
    return runs[(runs["experiment"] == experiment) & runs["selected"].fillna(value=False)]


def main_task(runs: pd.DataFrame) -> str:
    """Return the task on which most is trained, of equal ones the first by name."""
    rows = chosen_runs(runs)[["task", "method", "setting"]].drop_duplicates()
    return str(rows["task"].value_counts(sort=False).sort_index().idxmax())


def cells(runs: pd.DataFrame) -> list[tuple[Cell, pd.DataFrame]]:
    """Return the runs of each task, method and setting, in the order of these names."""
    keys = ["task", "method", "setting"]
    groups = runs.groupby(keys, dropna=False, sort=True)
    return [((str(task), str(method), None if pd.isna(s) else str(s)), part) for (task, method, s), part in groups]


def rank_runs(runs: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """Return all runs of the rank curve, with those of the rank that all other settings have; none without a curve.

    Raises
    ------
    AtlasError
        If the learning rate was not tuned at every rank: the curve would show the rate, not the rank.
    """
    varied = runs[runs["experiment"] == RANKS]
    keys = varied[["task", "method", "setting"]].drop_duplicates()
    usual = runs[runs["experiment"] == METHODS].merge(keys, on=["task", "method", "setting"], how="inner")
    whole = pd.concat([varied, usual], ignore_index=True)
    if not whole.empty:
        tuned_curve(whole, "rank", confidence)
    return whole
