"""Means with intervals over seeds, for every cell, epoch and metric of the learning curves."""

from __future__ import annotations

from typing import Any

import pandas as pd

from peft_atlas.records import CELL_KEYS
from peft_atlas.statistics import interval_name, mean_interval

UNITS = {
    "train_loss": "nats",
    "validation_loss": "nats",
    "validation_accuracy": "fraction",
    "test_loss": "nats",
    "test_accuracy": "fraction",
}


def summarise(curves: pd.DataFrame, confidence: float) -> list[dict[str, Any]]:
    """Return one row for each cell, epoch and metric that was read, with the mean over its seeds.

    A run without a value (diverged, or not read) counts in ``n_runs`` and not in ``n_ok``.

    Parameters
    ----------
    curves
        Table of the contract ``curves``.
    confidence
        Confidence level of the intervals.
    """
    rows: list[dict[str, Any]] = []
    name = interval_name(confidence)
    for keys, group in curves.groupby([*CELL_KEYS, "epoch"], dropna=False, sort=False):
        cell = {key: None if pd.isna(value) else value for key, value in zip([*CELL_KEYS, "epoch"], keys, strict=True)}
        for metric, unit in UNITS.items():
            estimate = mean_interval(group[metric].to_numpy(), confidence)
            if estimate.n == 0 and not _ever_read(curves, group, metric):
                continue
            row = {"mean": estimate.mean, "sd": estimate.sd, "low": estimate.low, "high": estimate.high}
            counts = {"n_runs": len(group), "n_ok": estimate.n}
            rows.append({**cell, "metric": metric, "unit": unit, **counts, **row, "interval": name})
    return rows


def _ever_read(curves: pd.DataFrame, group: pd.DataFrame, metric: str) -> bool:
    """Return whether other cells of the same part of the study have this metric at this epoch.

    It tells a cell whose every run diverged, which is a row without a mean, from a metric that the study
    does not read at this epoch, which is no row.
    """
    first = group.iloc[0]
    alike = curves["epoch"] == first["epoch"]
    for column in ("study", "experiment", "task", "selected"):
        alike &= curves[column].isna() if pd.isna(first[column]) else curves[column] == first[column]
    return bool(curves.loc[alike, metric].notna().any())
