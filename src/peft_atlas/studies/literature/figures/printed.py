"""What the figures of published numbers share: the rows they read, the order of methods and models."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from peft_atlas.figures.style import METHODS, MODELS

if TYPE_CHECKING:
    import pandas as pd

SEED = "seed_notebook"
CORRECTED = "reft_v3"
COMMONSENSE = "Commonsense Reasoning"
NO_INTERVAL = "Published without any interval or number of seeds; none is drawn."


def percentages(published: pd.DataFrame, source: str, task: str = COMMONSENSE) -> pd.DataFrame:
    """Return base_model, method and the percentage that a source prints next to its results on a task."""
    table = "seed_notebook" if source == SEED else "parameters"
    rows = published[(published["table"] == table) & (published["metric"] == "trainable_params_percent")]
    rows = rows[(rows["source"] == source) & rows["base_model"].isin(MODELS) & (rows["task"] == task)]
    return rows[["base_model", "method", "printed", "value", "source"]]


def averages(published: pd.DataFrame, source: str, table: str = "commonsense") -> pd.DataFrame:
    """Return base_model, method and the average accuracy that a source prints."""
    rows = published[(published["table"] == table) & (published["task"] == "Avg") & (published["source"] == source)]
    return rows[["base_model", "method", "printed", "value", "source"]]


def in_order(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows in the order of methods that all figures share; the method ``none`` has no place in it."""
    rows = rows[rows["method"] != "none"]
    order = methods_of(rows["method"])
    return rows.sort_values("method", key=lambda column: column.map(order.index), kind="stable", ignore_index=True)


def methods_of(names: Iterable[str]) -> list[str]:
    """Return methods, each once, in the order that all figures share; those of no known place come last."""
    return _in_order_of(METHODS, names)


def models_of(names: Iterable[str]) -> list[str]:
    """Return base models, each once, LLaMA-7B and LLaMA-13B first."""
    return _in_order_of(MODELS, names)


def families_of(names: Iterable[str]) -> list[str]:
    """Return families of tasks, each once, commonsense reasoning first."""
    return _in_order_of((COMMONSENSE,), sorted(set(names)))


def _in_order_of(known: Sequence[str], names: Iterable[str]) -> list[str]:
    found = list(dict.fromkeys(names))
    return [*(name for name in known if name in found), *(name for name in found if name not in known)]


def percent_limits(values: pd.Series, low: float, high: float) -> tuple[float, float]:
    """Return the ends of a log axis of percentages: the usual ones, moved so that no number lies outside."""
    return min(low, 0.6 * float(values.min())), max(high, 1.5 * float(values.max()))
