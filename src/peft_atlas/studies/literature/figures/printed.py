"""What the figures of published numbers share: the rows they read, the order of methods and models."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from peft_atlas.figures.style import METHODS, MODELS
from peft_atlas.studies.literature.families import AVERAGE, COMMONSENSE

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

SEED = "seed_notebook"
CORRECTED = "reft_v3"
_SHOWN = ["base_model", "method", "printed", "value", "source"]
NO_INTERVAL = "Published without any interval or number of seeds; none is drawn."


def percentages(published: pd.DataFrame, source: str, task: str = COMMONSENSE) -> pd.DataFrame:
    """Return base_model, method and the percentage that a source prints next to its results on a task."""
    table = "seed_notebook" if source == SEED else "parameters"
    rows = published[(published["table"] == table) & (published["metric"] == "trainable_params_percent")]
    rows = rows[(rows["source"] == source) & rows["base_model"].isin(MODELS) & (rows["task"] == task)]
    return rows[_SHOWN]


def averages(published: pd.DataFrame, source: str, table: str = "commonsense") -> pd.DataFrame:
    """Return base_model, method and the average accuracy that a source prints."""
    rows = published[(published["table"] == table) & (published["task"] == "Avg") & (published["source"] == source)]
    return rows[_SHOWN]


def added(published: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """Return those rows whose method neither the seed notebook nor ReFT v3 prints for that model and family of tasks.

    Each comes from the first source that prints it; what is trained by no method is none of them.

    Parameters
    ----------
    published
        The table of that contract.
    rows
        Rows of it.
    """
    key = ["base_model", "family", "method"]
    main = published["source"].isin([SEED, CORRECTED])
    known = set(published.loc[main, key].itertuples(index=False, name=None))
    exact = rows[(rows["qualifier"] == "exact") & rows["value"].notna() & (rows["method"] != "none")]
    found = exact[[cell not in known for cell in exact[key].itertuples(index=False, name=None)]]
    return found[found["source"] == found.groupby([*key, "task"])["source"].transform("first")]


def added_averages(published: pd.DataFrame) -> pd.DataFrame:
    """Return, as `averages`, those on commonsense reasoning that sources other than the two print of new methods."""
    rows = published[(published["family"] == COMMONSENSE) & (published["task"] == AVERAGE)]
    return added(published, rows[rows["base_model"].isin(MODELS) & (rows["metric"] == "accuracy_percent")])[_SHOWN]


def added_percentages(published: pd.DataFrame) -> pd.DataFrame:
    """Return, as `percentages`, those that sources other than the two print of new methods."""
    rows = published[(published["family"] == COMMONSENSE) & (published["metric"] == "trainable_params_percent")]
    return added(published, rows[rows["base_model"].isin(MODELS)])[_SHOWN]


def ring(axis: Axes, x: float, y: float) -> None:
    """Mark a point that comes from a source of its own."""
    axis.plot(x, y, "o", color="none", markeredgecolor="0.15", markersize=10)


def ringed(sources: pd.Series, main: str) -> str:
    """Return the sentence of a caption that names the sources of the points with a ring; empty where there is none."""
    others = list(dict.fromkeys(sources[sources.notna() & (sources != main)]))
    return f" Ringed: from {', '.join(others)}, not {main}." if others else ""


def from_others(plotted: pd.DataFrame) -> str:
    """Return the sentence of a caption that names methods of sources other than ReFT v3; empty where there is none."""
    rows = plotted[plotted["source"] != CORRECTED].drop_duplicates(["method", "source"])
    listed = ", ".join(f"{row.method} ({row.source})" for row in rows.itertuples())
    return f" From another source: {listed}." if listed else ""


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
