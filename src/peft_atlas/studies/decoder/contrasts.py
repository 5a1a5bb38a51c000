"""The decoder study's comparisons of losses, and which of its runs all comparisons rest on.

Comparisons of accuracy rest on single rows and are in `peft_atlas.studies.decoder.item_contrasts`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from peft_atlas.analysis.contrasts import Comparison, Levels, by_seed, compare
from peft_atlas.studies.decoder.jobs import METHODS, NAME

# Names of the comparisons, as the column `question` has them.
AGAINST_FULL, ANSWER_LOSS, FORGETTING = "decoder_against_full", "decoder_answer_loss", "decoder_forgetting"
FULL = "full fine-tuning, its own rate"
NATS = "nats per token"
# The metric of each comparison of losses, as the runs name it.
_METRICS = {ANSWER_LOSS: "test_loss", FORGETTING: "text_loss"}


def contrasts(runs: pd.DataFrame, curves: pd.DataFrame, levels: Levels) -> list[dict[str, Any]]:
    """Return each method against full fine-tuning in loss on answers and on plain text, as rows of ``contrasts``.

    Both are differences of paired seeds, and Holm's method adjusts the tests of a loss over all methods and tasks.

    Parameters
    ----------
    runs, curves
        Tables of those contracts, of the decoder study alone.
    levels
        Confidence level of the intervals; 1 minus it is the level of the tests.
    """
    chosen = chosen_runs(runs)
    found = [each for question in _METRICS for each in _comparisons(chosen, question)]
    return compare(NAME, found, levels.confidence)


def _comparisons(chosen: pd.DataFrame, question: str) -> Iterator[Comparison]:
    metric = _METRICS[question]
    for task, rows in chosen.groupby("task", sort=True):
        full = by_seed(rows, metric, method="full")
        for part in cells(rows):
            first = part.iloc[0]
            if first["method"] != "full":
                rank, alpha = (None if pd.isna(first[name]) else first[name] for name in ("rank", "alpha"))
                setting = None if pd.isna(first["setting"]) else str(first["setting"])
                left = by_seed(part, metric)
                yield Comparison(
                    *(question, str(task), str(first["method"]), None if rank is None else int(rank), alpha, FULL),
                    *(left, full.reindex(left.index), setting),
                    train_examples=int(first["train_examples"]),
                    metric=metric,
                    unit=NATS,
                )


def chosen_runs(runs: pd.DataFrame, experiment: str = METHODS) -> pd.DataFrame:
    """Return the runs of a part of the study at the rates that validation chose."""
    return runs[(runs["experiment"] == experiment) & runs["selected"].fillna(value=False)]


def cells(runs: pd.DataFrame) -> list[pd.DataFrame]:
    """Return the runs of each method, setting and rank, in the order of these names."""
    return [part for _, part in runs.groupby(["method", "setting", "rank"], dropna=False, sort=True)]
