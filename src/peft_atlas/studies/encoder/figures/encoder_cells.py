"""What the encoder study's figures share: its runs, their names, and means over seeds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from peft_atlas.figures.style import Mark, method_mark

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from peft_atlas.config import FigureStyle

# What is written in figures, where the place of an adapter has to be short.
_SHORT = {"query, value": "q v", "query, key, value": "q k v", "all linear modules": "all linear"}

# Height of a line relative to its font size, and points in an inch.
_LINE, _POINTS = 1.6, 72


def encoder_rows(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the encoder study, with ``name``, the method with its place in short."""
    rows = table[table["study"] == "encoder"].copy()
    settings = rows["setting"].astype(object).where(rows["setting"].notna(), None)
    rows["name"] = [short_name(method, setting) for method, setting in zip(rows["method"], settings, strict=True)]
    return rows


def short_name(method: str, setting: str | None) -> str:
    """Return a method's name with its place, for example ``LoRA q v``."""
    return f"{method} {_SHORT[setting]}" if setting in _SHORT else method


def chosen_means(summary: pd.DataFrame) -> pd.DataFrame:
    """Return mean final test accuracy, in percent, of each task and method at its chosen rate."""
    rows = encoder_rows(summary)
    final = (rows["metric"] == "test_accuracy") & (rows["epoch"] == rows["epochs"])
    return in_percent(rows[final & (rows["experiment"] == "methods") & rows["selected"].fillna(value=False)])


def confidence_of(summary: pd.DataFrame) -> float:
    """Return the confidence level that the intervals of the summary have, which begins their name."""
    return float(summary["interval"].dropna().iloc[0].partition(" %")[0]) / 100


def in_percent(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows with mean, low and high in percent."""
    rows = rows.copy()
    for column in ("mean", "low", "high"):
        rows[column] = 100 * rows[column].astype(float)
    return rows.assign(unit="percent")


def tasks_in_order(rows: pd.DataFrame) -> list[str]:
    """Return the tasks, the one with the most methods first."""
    counts = rows.drop_duplicates(["task", "name"])["task"].value_counts(sort=False)
    return sorted(counts.index, key=lambda task: (-counts[task], task))


def names_in_order(names: Sequence[str], style: FigureStyle) -> dict[str, Mark]:
    """Return the mark of each name; what acts on several places has one colour."""
    return {name: method_mark(name.removesuffix(_place(name)), style) for name in names}


def make_room(axes: Sequence[Axes], lines: int, room: int, style: FigureStyle) -> None:
    """Make a figure higher where a panel or a legend has more lines than the usual height has room for.

    Parameters
    ----------
    axes
        Its panels.
    lines, room
        Lines that are to be written, and those that fit.
    style
        The style, whose font size is that of the lines.
    """
    figure = axes[0].get_figure(root=True)
    if figure is not None and lines > room:
        width, height = figure.get_size_inches()
        figure.set_size_inches(width, height + (lines - room) * _LINE * style.font_size / _POINTS)


def say_nothing(axis: Axes, words: str) -> None:
    """Write why a panel is empty, where the configuration left out what it draws."""
    axis.text(0.5, 0.5, words, transform=axis.transAxes, ha="center", va="center")
    axis.set(xticks=[], yticks=[])


def _place(name: str) -> str:
    return next((f" {short}" for short in _SHORT.values() if name.endswith(f" {short}")), "")


def face(name: str, mark: Mark) -> dict[str, Any]:
    """Return how the marker of a name is filled: by its place, so that three LoRAs can be distinguished."""
    places = {" q v": "white", " all linear": "0.75"}
    return {"markerfacecolor": places.get(_place(name), mark.colour), "color": mark.colour, "marker": mark.marker}
