"""Every method and control against full fine-tuning, paired by seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from peft_atlas.figures.spec import Description, FigureSpec
from peft_atlas.figures.style import FULL_COLOUR, label_panels
from peft_atlas.studies.encoder.figures.encoder_cells import (
    encoder_rows,
    face,
    in_percent,
    names_in_order,
    tasks_in_order,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from peft_atlas.config import FigureStyle

SPEC = FigureSpec(
    name="encoder_differences",
    title="Test accuracy less that of full fine-tuning, paired by seed",
    section="measured",
    study="encoder",
    order=21,
    tables=("contrasts",),
    height=0.55,
    panels=(1, 2),
)
_QUESTIONS = ("encoder_against_full", "encoder_controls")


def select(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the differences of the first two tasks, in percentage points."""
    rows = encoder_rows(tables["contrasts"])
    rows = rows[rows["question"].str.startswith(_QUESTIONS)].rename(columns={"difference": "mean"})
    rows = in_percent(rows).assign(unit="percentage points")
    columns = ["task", "name", "method", "setting", "mean", "low", "high", "interval", "n", "p_adjusted"]
    rows = rows[rows["task"].isin(tasks_in_order(rows)[:2])]
    return rows[[*columns, "indistinguishable"]].sort_values(["task", "mean"], ignore_index=True)


def draw(plotted: pd.DataFrame, axes: Sequence[Axes], style: FigureStyle) -> None:
    """Draw a row a method with its interval, one panel a task, and full fine-tuning as zero."""
    tasks = tasks_in_order(plotted)
    if len(tasks) < len(axes):
        axes[1].remove()
    for axis, task in zip(axes, tasks, strict=False):
        rows = plotted[plotted["task"] == task].reset_index(drop=True)
        marks = names_in_order(rows["name"].tolist(), style)
        for place, row in enumerate(rows.itertuples()):
            errors = [[row.mean - row.low], [row.high - row.mean]]
            axis.errorbar(row.mean, place, xerr=errors, elinewidth=0.9, **face(row.name, marks[row.name]))
        axis.axvline(0, color=FULL_COLOUR, linestyle="--", linewidth=1)
        axis.set_yticks(range(len(rows)), rows["name"])
        axis.set(title=task, xlabel="Difference (percentage points)")
    label_panels(axes[: len(tasks)])


def describe(plotted: pd.DataFrame) -> Description:
    """Return caption and finding."""
    tasks = tasks_in_order(plotted)
    first = plotted[plotted["task"] == tasks[0]]
    tied = first["indistinguishable"].fillna(value=False).astype(bool)
    finding = (
        f"On {tasks[0]} {int(tied.sum())} of {len(first)} methods and controls cannot be told from full fine-tuning "
        f"over {int(first['n'].max())} seeds; the nearest below or above is {first['mean'].abs().min():.1f} points off."
    )
    caption = (
        "Mean over seeds of a method's test accuracy less that of full fine-tuning on the same training examples, each "
        f"at the rate that validation chose; bars: {plotted['interval'].iloc[0]}. An interval that holds zero does not "
        "show that two methods are equal."
    )
    return Description(caption, finding)
