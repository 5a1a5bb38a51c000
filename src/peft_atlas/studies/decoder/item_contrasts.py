"""The decoder study's comparisons of accuracy: each method against full fine-tuning, seed by seed and row by row.

Intervals hold for other seeds, that is other training rows, starts and orders, and for other test rows. Holm's method
adjusts the tests over all methods and tasks, and the detectable difference is that of its strictest level.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from peft_atlas.analysis.contrasts import METRIC, PRIMARY, UNIT
from peft_atlas.analysis.pooled import Difference, detectable_difference, mean_difference, quantile_t
from peft_atlas.analysis.power import possible_difference
from peft_atlas.analysis.statistics import cut_interval, holm
from peft_atlas.studies.decoder.contrasts import AGAINST_FULL, FULL, cells, chosen_runs
from peft_atlas.studies.decoder.jobs import NAME

Row = dict[str, Any]
Items = Mapping[str, NDArray[np.float64]]


def contrasts(
    runs: pd.DataFrame, items: pd.DataFrame, confidence: float, question: Mapping[str, Any] | None = None
) -> list[Row]:
    """Return the comparisons of accuracy, as rows of the contract ``contrasts``.

    Parameters
    ----------
    runs, items
        Tables of those contracts; of the items those of other runs are not read.
    confidence
        Confidence level of the intervals.
    question
        Nothing is prespecified beyond these comparisons.
    """
    own = items[items["run_id"].isin(runs["run_id"])]
    right = {str(name): part.to_numpy(dtype=float) for name, part in own.groupby("run_id", sort=False)["correct"]}
    chosen = chosen_runs(runs)
    found = [pair for _, rows in chosen.groupby("task", sort=True) for pair in _pairs(rows, right, confidence)]
    adjusted = holm([difference.p_value for _, difference in found])
    return [_row(cell, each, float(p), len(found), confidence) for (cell, each), p in zip(found, adjusted, strict=True)]


def _pairs(rows: pd.DataFrame, right: Items, confidence: float) -> list[tuple[pd.Series[Any], Difference]]:
    """Return the methods of a task with their differences to full fine-tuning."""
    full = _by_seed(rows[rows["method"] == "full"], right)
    found = []
    for part in cells(rows[rows["method"] != "full"]):
        own = _by_seed(part, right)
        seeds = sorted(set(own) & set(full))
        if len(seeds) >= 2:
            table = np.array([own[seed] - full[seed] for seed in seeds])
            found.append((part.iloc[0], mean_difference([table], confidence)))
    return found


def _by_seed(runs: pd.DataFrame, right: Items) -> dict[int, NDArray[np.float64]]:
    """Return which rows each seed's run got right; a diverged run has none."""
    pairs = zip(runs["seed"], runs["run_id"], strict=True)
    return {int(seed): right[run] for seed, run in pairs if run in right}


def _row(cell: pd.Series[Any], found: Difference, p_adjusted: float, tests: int, confidence: float) -> Row:
    """Return a row of the contract ``contrasts``."""
    known = {name: None if pd.isna(cell[name]) else cell[name] for name in ("setting", "rank", "alpha")}
    low, high = cut_interval(found.mean, (found.low, found.high), (-1.0, 1.0))
    strictest = quantile_t(1 - (1 - confidence) / tests / 2, found.df)
    # Runs that agree on every row have no variance, and what would have been detected is not known.
    detectable = possible_difference(detectable_difference(found.se, strictest, found.df)) if found.se else None
    return {
        "study": NAME,
        "question": AGAINST_FULL,
        "role": PRIMARY,
        "task": cell["task"],
        "method": cell["method"],
        **known,
        "shift_rank": None,
        "train_examples": int(cell["train_examples"]),
        "metric": METRIC,
        "unit": UNIT,
        "reference": FULL,
        "difference": found.mean,
        "low": low,
        "high": high,
        "interval": f"{100 * confidence:g} % t over seeds and items",
        "n": found.n,
        "p_value": found.p_value,
        "p_adjusted": p_adjusted,
        "adjustment": "none, one comparison" if tests == 1 else f"Holm, {tests} comparisons",
        "detectable": detectable,
        "margin": None,
        "p_equivalence": None,
        "indistinguishable": p_adjusted >= 1 - confidence,
    }
