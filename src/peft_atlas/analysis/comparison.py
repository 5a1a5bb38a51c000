"""Measured and published numbers in one long table with a ``source`` column."""

from __future__ import annotations

from typing import Any

import pandas as pd

from peft_atlas.step import Step

MEASURED = "measured here"
_COLUMNS = [
    "source", "base_model", "task", "method", "setting", "rank", "alpha", "params_percent", "metric", "unit", "value",
    "low", "high", "interval", "n",
]  # fmt: skip


def compare_sources(summary: pd.DataFrame, published: pd.DataFrame) -> pd.DataFrame:
    """Return final measured accuracies next to every published accuracy, both in percent.

    A published accuracy is shown with the parameter percentage that the same source prints for the same
    model, method and family of tasks; null where that source prints none.

    Parameters
    ----------
    summary, published
        Tables of those contracts.
    """
    return pd.concat([_measured(summary), _printed(published)], ignore_index=True)[_COLUMNS]


def task_label(rows: pd.DataFrame) -> pd.Series[str]:
    """Return what the table ``comparison`` calls the task of runs or cells, with the budget where targets are shifted.

    Costs and the explorer find a cell again by this text.
    """
    budget = (", " + rows["train_examples"].astype(str) + " examples").where(rows["shift_rank"].notna(), "")
    return study_prefix(rows["study"]) + rows["experiment"] + ", " + rows["task"] + budget


def study_prefix(study: Any) -> Any:
    """Return how the tasks of a study begin in the table ``comparison``."""
    return study + ": "


def _measured(summary: pd.DataFrame) -> pd.DataFrame:
    """Return the final test accuracy of each cell of each study."""
    final = (summary["metric"] == "test_accuracy") & (summary["epoch"] == summary["epochs"])
    rows = summary[final].copy()
    for column in ("mean", "low", "high"):
        rows[column] = 100 * rows[column]
    rows["task"] = task_label(rows)
    rows = rows.rename(columns={"model": "base_model", "mean": "value", "n_ok": "n"})
    return rows.assign(source=MEASURED, metric="accuracy", unit="percent")


def _printed(published: pd.DataFrame) -> pd.DataFrame:
    """Return the published accuracies as printed, without intervals, since none is printed."""
    rows = published[(published["metric"] == "accuracy_percent") & (published["qualifier"] == "exact")].copy()
    rows = rows[rows["table"] != "rank_sweep"]
    rows["task"] = rows["table"] + ": " + rows["task"]
    nothing: dict[str, Any] = {"setting": None, "alpha": None, "low": None, "high": None, "interval": None, "n": None}
    return rows.assign(metric="accuracy", unit="percent", params_percent=_percentages(published, rows), **nothing)


def _percentages(published: pd.DataFrame, rows: pd.DataFrame) -> pd.Series[float]:
    """Return the percentage that the source of each row prints for its model, method and family of tasks."""
    printed = published[(published["table"] == "parameters") & (published["qualifier"] == "exact")]
    family = {"commonsense": "Commonsense Reasoning", "arithmetic": "Arithmetic Reasoning"}
    known = printed.set_index(["source", "base_model", "method", "task"])["value"].to_dict()
    keys = zip(rows["source"], rows["base_model"], rows["method"], rows["table"].map(family), strict=True)
    return pd.Series([known.get(key, float("nan")) for key in keys], index=rows.index)


def compare_step(step: Step) -> None:
    """Put measured means and published numbers into one table."""
    step.write("comparison", compare_sources(step.read("summary"), step.read("published")))
