"""The methods of a task as numbers: what a study hands to the table of methods of the first page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from peft_atlas.analysis.finding import Effect
from peft_atlas.methods.names import setting_name

FULL = "full"


@dataclass(frozen=True)
class MethodRow:
    """What is known of one method on one task; None where it was not measured.

    Parameters
    ----------
    name
        Name of the method with its setting.
    method
        Name of the method alone, by which published numbers are found.
    accuracy
        Mean test accuracy, or the published one, percent.
    difference
        Accuracy less that of full fine-tuning, paired, in points.
    rate
        The learning rate that validation chose.
    edge
        Whether that is an end of the rates tried.
    percent
        Trained weights, percent of the full model's.
    seconds
        Processor seconds of training, mean over runs.
    megabytes
        Peak memory, mean over runs.
    file_bytes
        Size of what is saved.
    """

    name: str
    method: str
    accuracy: float | None = None
    difference: Effect | None = None
    rate: float | None = None
    edge: bool = False
    percent: float | None = None
    seconds: float | None = None
    megabytes: float | None = None
    file_bytes: float | None = None


@dataclass(frozen=True)
class ComparedTask:
    """The methods that were compared on one task.

    Parameters
    ----------
    title
        A few words for the menu.
    about
        One sentence: the task, the model, how much was trained, with how many seeds.
    rows
        The methods.
    published
        Whether published accuracies of the same methods help to read the rows.
    """

    title: str
    about: str
    rows: tuple[MethodRow, ...]
    published: bool = False


def measured_rows(
    runs: pd.DataFrame, contrasts: pd.DataFrame, costs: pd.DataFrame | None = None, *, rank: bool = False
) -> tuple[MethodRow, ...]:
    """Return the methods of one task from their runs at the chosen rates.

    Parameters
    ----------
    runs
        Runs of one task at the chosen rates, of the contract ``runs``.
    contrasts
        Comparisons of these methods with full fine-tuning, of the contract ``contrasts``.
    costs
        Costs of single runs; None where runs share their time and memory.
    rank
        Whether a method's rank and alpha belong to its name.
    """
    keys = ["method", "setting", "rank", "alpha"]
    effects = {_key(row): Effect.of_contrast(row) for _, row in contrasts.iterrows()}
    joined = runs if costs is None else runs.merge(costs, on="run_id", how="left", suffixes=("", "_cost"))
    return tuple(_row(part, effects, rank=rank) for _, part in joined.groupby(keys, dropna=False, sort=False))


def _key(row: Mapping[str, Any] | pd.Series[Any]) -> tuple[Any, ...]:
    """Return what identifies a method's cell, missing values alike."""
    return tuple(None if pd.isna(row[name]) else row[name] for name in ("method", "setting", "rank", "alpha"))


def _row(part: pd.DataFrame, effects: Mapping[tuple[Any, ...], Effect], *, rank: bool) -> MethodRow:
    first = part.iloc[0]
    setting = None if pd.isna(first["setting"]) else str(first["setting"])
    sizes = f", r = {int(first['rank'])}, α = {first['alpha']:g}" if rank and not pd.isna(first["rank"]) else ""
    means = {name: _mean(part, name) for name in ("params_percent", "cpu_seconds", "peak_memory_mb", "adapter_bytes")}
    accuracy = _mean(part, "test_accuracy")
    return MethodRow(
        f"{setting_name(str(first['method']), setting)}{sizes}",
        str(first["method"]),
        None if accuracy is None else 100 * accuracy,
        effects.get(_key(first)),
        None if pd.isna(first["learning_rate"]) else float(first["learning_rate"]),
        bool(part["edge"].fillna(value=False).any()),
        means["params_percent"],
        means["cpu_seconds"],
        means["peak_memory_mb"],
        means["adapter_bytes"],
    )


def _mean(part: pd.DataFrame, name: str) -> float | None:
    values = part[name].dropna().astype(float) if name in part else pd.Series(dtype=float)
    return float(values.mean()) if len(values) else None
