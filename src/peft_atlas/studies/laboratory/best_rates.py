"""The learning rate at which each seed of a cell does best, between the rates of the grid."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from peft_atlas.analysis.statistics import interval_name, mean_interval

# How many rates on each side of the best one the parabola is fitted to.
_REACH = 2


def best_rate(rates: ArrayLike, accuracy: ArrayLike) -> float:
    """Return the rate with the best validation accuracy, at the top of a parabola through the rates around it.

    The parabola is in the logarithm of the rate and of least squares, so that the noise of single rates counts less;
    its top is kept within the rates that it is fitted to. Where it has no top the best rate itself is returned.

    Parameters
    ----------
    rates
        Learning rates, rising.
    accuracy
        Validation accuracy at each; nan where the run diverged.
    """
    logs, reached = np.log10(np.asarray(rates, np.float64)), np.asarray(accuracy, np.float64)
    known = np.flatnonzero(np.isfinite(reached))
    if not len(known):
        return float("nan")
    logs, reached = logs[known], reached[known]
    best = int(reached.argmax())
    near = slice(max(best - _REACH, 0), best + _REACH + 1)
    if len(logs[near]) >= 4:
        square, linear, _ = np.polyfit(logs[near] - logs[best], reached[near], 2)
        if square < 0:
            top = logs[best] - linear / (2 * square)
            return float(10 ** np.clip(top, logs[near][0], logs[near][-1]))
    return float(10 ** logs[best])


def best_rates(runs: pd.DataFrame) -> pd.DataFrame:
    """Return each seed's best rate in each cell.

    Parameters
    ----------
    runs
        Runs of some cells at every learning rate, of the contract ``runs``.

    Returns
    -------
    DataFrame
        Columns ``method``, ``setting``, ``rank``, ``seed`` and ``best_rate``.
    """
    keys = ["method", "setting", "rank", "seed"]
    # A cell that two parts of the study train has equal runs in both.
    ordered = runs.drop_duplicates([*keys, "learning_rate"]).sort_values("learning_rate")
    found = [
        {**dict(zip(keys, cell, strict=True)), "best_rate": best_rate(rows["learning_rate"], _accuracy(rows))}
        for cell, rows in ordered.groupby(keys, dropna=False, sort=True)
    ]
    return pd.DataFrame(found, columns=[*keys, "best_rate"])


def mean_rates(table: pd.DataFrame, confidence: float) -> list[dict[str, Any]]:
    """Return the geometric mean over seeds of each cell's best rate, as rows of the contract ``best_rates``.

    Parameters
    ----------
    table
        Best rates by seed, as `best_rates` returns them.
    confidence
        Confidence level of the intervals, which are Student's of the logarithms.
    """
    rows = []
    for cell, rates in table.groupby(["method", "setting", "rank"], dropna=False, sort=True)["best_rate"]:
        found = mean_interval(np.log10(rates.astype(float)), confidence)
        method, setting, rank = (None if pd.isna(value) else value for value in cell)
        mean, low, high = (None if value is None else 10**value for value in (found.mean, found.low, found.high))
        rows.append(
            {"method": method, "setting": setting, "rank": rank, "best_rate": mean, "low": low, "high": high}
            | {"interval": f"{interval_name(confidence)}, of logarithms", "n": found.n}
        )
    return rows


def _accuracy(rows: pd.DataFrame) -> ArrayLike:
    return rows["validation_accuracy"].astype(float).to_numpy()


def log_rates(table: pd.DataFrame, setting: str) -> pd.DataFrame:
    """Return the base-10 logarithm of the best rate of one rule, a row per seed and a column per rank."""
    rows = table[table["setting"] == setting]
    return np.log10(rows.pivot(index="seed", columns="rank", values="best_rate").astype(float))
