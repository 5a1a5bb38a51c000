"""Means with intervals over seeds, for every cell, epoch and metric of the learning curves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from peft_atlas.analysis.statistics import interval_name, mean_interval
from peft_atlas.step import Step
from peft_atlas.tables.schemas import CELL_KEYS

CURVE_UNITS = {
    "train_loss": "nats",
    "validation_loss": "nats",
    "validation_accuracy": "fraction",
    "test_loss": "nats",
    "test_accuracy": "fraction",
}
# What the mean of a metric can be, by its unit.
_POSSIBLE = {"nats": (0.0, float("inf")), "fraction": (0.0, 1.0), "cosine": (-1.0, 1.0)}
# Read once a run, at its end.
RUN_UNITS = {"source_accuracy": "fraction", "embedding_similarity": "cosine"}


def summarise(runs: pd.DataFrame, curves: pd.DataFrame, confidence: float) -> list[dict[str, Any]]:
    """Return one row for each cell, epoch and metric that was read, with the mean over its seeds.

    A run without a value (diverged, or not read) counts in ``n_runs`` and not in ``n_ok``.

    Parameters
    ----------
    runs, curves
        Tables of those contracts.
    confidence
        Confidence level of the intervals.
    """
    ends = runs.assign(epoch=runs["epochs"])
    return [*_means(curves, CURVE_UNITS, confidence), *_means(ends, RUN_UNITS, confidence)]


def _means(table: pd.DataFrame, units: dict[str, str], confidence: float) -> list[dict[str, Any]]:
    """Return the rows of the metrics that one table holds."""
    rows: list[dict[str, Any]] = []
    name = interval_name(confidence)
    for keys, group in table.groupby([*CELL_KEYS, "epoch"], dropna=False, sort=False):
        cell = {key: None if pd.isna(value) else value for key, value in zip([*CELL_KEYS, "epoch"], keys, strict=True)}
        for metric, unit in units.items():
            estimate = mean_interval(group[metric].to_numpy(dtype=float, na_value=np.nan), confidence)
            estimate = estimate.within(*_POSSIBLE[unit])
            if estimate.n == 0 and not _meant_to_be_read(table, group, metric):
                continue
            row = {"mean": estimate.mean, "sd": estimate.sd, "low": estimate.low, "high": estimate.high}
            counts = {"n_runs": len(group), "n_ok": estimate.n}
            rows.append({**cell, "metric": metric, "unit": unit, **counts, **row, "interval": name})
    return rows


def _meant_to_be_read(table: pd.DataFrame, group: pd.DataFrame, metric: str) -> bool:
    """Return whether a cell without a value is one whose every run diverged, and not one that the study does not read.

    A cell whose runs ended well lacks a metric because it was not read, whatever other cells have: the controls of a
    study have no training loss, and are not tested after every epoch. Of a cell whose runs all diverged, those of its
    part of the study that did not, with as many epochs, say what would have been read.
    """
    read = group["status"].eq("ok") if "status" in table else group[list(CURVE_UNITS)].notna().any(axis=1)
    if read.any():
        return False
    first = group.iloc[0]
    alike = table["epoch"] == first["epoch"]
    for column in ("study", "experiment", "task", "selected", "epochs"):
        alike &= table[column].isna() if pd.isna(first[column]) else table[column] == first[column]
    return bool(table.loc[alike, metric].notna().any())


def summarise_step(step: Step) -> None:
    """Summarise all runs over their seeds."""
    step.write("summary", summarise(step.read("runs"), step.read("curves"), step.params["confidence"]))
