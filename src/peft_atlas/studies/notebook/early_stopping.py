"""Test accuracy at the epoch that validation chooses, for each seed."""

from __future__ import annotations

import pandas as pd


def stopped(curves: pd.DataFrame) -> pd.Series[float]:
    """Return each seed's test accuracy at the epoch with its best validation accuracy, the first of equal ones.

    Parameters
    ----------
    curves
        Learning curves of one cell, rows of the contract ``curves``; test must be read after every epoch.
    """
    return _at_best_epoch(curves, "test_accuracy")


def best_validation(curves: pd.DataFrame) -> pd.Series[float]:
    """Return each seed's best validation accuracy over the epochs."""
    return _at_best_epoch(curves, "validation_accuracy")


def _at_best_epoch(curves: pd.DataFrame, metric: str) -> pd.Series[float]:
    ordered = curves.sort_values(["seed", "epoch"])
    read = ordered[ordered["validation_accuracy"].notna()]
    best = read.loc[read.groupby("seed")["validation_accuracy"].idxmax()]
    values = best.set_index("seed")[metric].astype(float)
    return values.reindex(sorted(curves["seed"].unique()))
