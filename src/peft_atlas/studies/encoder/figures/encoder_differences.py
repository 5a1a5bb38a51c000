"""The prespecified question, the exploratory settings and the controls, each less full fine-tuning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from peft_atlas.figures.spec import Description, FigureSpec
from peft_atlas.figures.style import FULL_COLOUR, label_panels
from peft_atlas.studies.encoder.figures.encoder_cells import (
    encoder_rows,
    face,
    in_percent,
    make_room,
    names_in_order,
    say_nothing,
)
from peft_atlas.studies.encoder.packaged import task_in_short

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from peft_atlas.config import FigureStyle

SPEC = FigureSpec(
    name="encoder_differences",
    title="Test accuracy less that of full fine-tuning",
    section="measured",
    study="encoder",
    order=21,
    tables=("contrasts",),
    height=0.4,
    narrow_height=1.7,
    panels=(1, 3),
)
_PRESPECIFIED, _EXPLORATORY, _CONTROLS = "Prespecified", "Exploratory", "Controls"
_PANELS = {
    "encoder_primary": _PRESPECIFIED,
    "encoder_budget": _PRESPECIFIED,
    "encoder_against_full": _EXPLORATORY,
    "encoder_controls": _CONTROLS,
}
# What trains no part of the encoder shows what a head alone reaches.
_BASELINE = "head only"
# Rows of a panel at the usual height.
_ROWS = 13
_MEAN = "mean over tasks"
_NOTHING = "Nothing of this kind\nin this run."


def select(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the differences by panel, in percentage points."""
    rows = encoder_rows(tables["contrasts"])
    rows = rows[rows["question"].isin(list(_PANELS))].rename(columns={"difference": "mean"})
    rows = in_percent(rows).assign(unit="percentage points", panel=rows["question"].map(_PANELS))
    rows.loc[rows["name"] == _BASELINE, "panel"] = _CONTROLS
    for column in ("detectable", "margin"):
        rows[column] = 100 * rows[column].astype(float)
    # The controls of the task that has the exploratory settings, where there are such.
    main = rows.loc[rows["panel"] == _EXPLORATORY, "task"]
    if len(main):
        rows = rows[(rows["panel"] != _CONTROLS) | (rows["task"] == main.iloc[0])]
    rows = rows.assign(label=[_label(row) for row in rows.itertuples()])
    rows = _one_task_once(rows)
    # The mean over tasks is above the tasks, and these are above the larger budgets.
    rows["order"] = rows["mean"].where(rows["panel"] != _PRESPECIFIED, [_place(row) for row in rows.itertuples()])
    columns = ["panel", "task", "label", "name", "method", "setting", "train_examples", "mean", "low", "high"]
    columns += ["interval", "n", "p_adjusted", "detectable", "margin", "indistinguishable"]
    return rows.sort_values(["panel", "order"], ignore_index=True)[columns]


def _one_task_once(rows: pd.DataFrame) -> pd.DataFrame:
    """Drop the row of a study's only task, which repeats the mean over tasks, and give the mean that task's name."""
    mean = (rows["question"] == "encoder_primary") & (rows["task"] == _MEAN)
    task = (rows["question"] == "encoder_primary") & (rows["task"] != _MEAN)
    if not mean.any() or task.sum() != 1:
        return rows
    return rows.assign(label=rows["label"].mask(mean, rows.loc[task, "label"].iloc[0]))[~task]


def _label(row: Any) -> str:
    """Return the label of a row: the task where one method is compared, else the method."""
    if row.panel == _PRESPECIFIED:
        task = task_in_short(str(row.task))
        return f"{task},\n{row.train_examples:,} examples" if row.question == "encoder_budget" else task
    return str(row.name).replace("TF-IDF + logistic regression", "TF-IDF")


def _place(row: Any) -> float:
    """Return the place of a prespecified comparison from below."""
    if row.question == "encoder_budget":
        return -float(row.train_examples)
    return 2.0 if row.task == _MEAN else 1.0


def draw(plotted: pd.DataFrame, axes: Sequence[Axes], style: FigureStyle) -> None:
    """Draw a row per comparison with its interval, a panel per kind, and full fine-tuning as zero."""
    make_room(axes, int(plotted["panel"].value_counts().max()), _ROWS, style)
    for axis, panel in zip(axes, (_PRESPECIFIED, _EXPLORATORY, _CONTROLS), strict=True):
        rows = plotted[plotted["panel"] == panel].reset_index(drop=True)
        if rows.empty:
            say_nothing(axis, _NOTHING)
            continue
        marks = names_in_order(rows["name"].tolist(), style)
        for place, row in enumerate(rows.itertuples()):
            errors = [[row.mean - row.low], [row.high - row.mean]]
            axis.errorbar(row.mean, place, xerr=errors, elinewidth=0.9, **face(row.name, marks[row.name]))
        if rows["margin"].notna().any():
            axis.axvspan(-rows["margin"].max(), rows["margin"].max(), color=FULL_COLOUR, alpha=0.13, linewidth=0)
        axis.axvline(0, color=FULL_COLOUR, linestyle="--", linewidth=1)
        axis.set_yticks(range(len(rows)), rows["label"])
        axis.set_ylim(-0.7, len(rows) - 0.3)
        axis.set(title=panel, xlabel="Difference (points)")
    label_panels(axes)


def describe(plotted: pd.DataFrame) -> Description:
    """Return caption and finding."""
    caption = (
        "Mean test accuracy less that of full fine-tuning on the same training examples and test texts, each at its "
        f"tuned rate. {' '.join(_bars(plotted))} An interval that holds zero does not show that two methods are equal."
    )
    return Description(caption, _finding(plotted))


def _finding(plotted: pd.DataFrame) -> str:
    own = plotted[(plotted["panel"] == _PRESPECIFIED) & (plotted["task"] == _MEAN)]
    if own.empty:
        return "This run has no prespecified comparison."
    row = own.iloc[0]
    where = "in the mean over tasks" if row["label"] == _MEAN else f"on {row['label']}"
    return (
        f"{row['name']} less full fine-tuning is {row['mean']:+.1f} [{row['low']:+.1f}, {row['high']:+.1f}] points "
        f"{where}; detectable with 80 % power: {row['detectable']:.1f} points."
    )


def _bars(plotted: pd.DataFrame) -> list[str]:
    """Return for each panel what its bars are, over how many seeds, and what they could detect."""
    captions = []
    for letter, panel in zip("abc", (_PRESPECIFIED, _EXPLORATORY, _CONTROLS), strict=True):
        rows = plotted[plotted["panel"] == panel]
        if rows.empty:
            continue
        least, most = int(rows["n"].min()), int(rows["n"].max())
        seeds = f"{least} to {most}" if least < most else f"{most}"
        words = f"bars: {' or '.join(dict.fromkeys(rows['interval']))}, {seeds} seeds"
        if panel == _PRESPECIFIED:
            words = f"{rows['name'].iloc[0]}, the band is the margin; {words}"
        if panel == _EXPLORATORY:
            detectable = f"detectable with 80 % power: {rows['detectable'].max():.1f} points"
            words = f"{words} on {task_in_short(rows['task'].iloc[0])}; {detectable}"
        captions.append(f"{letter}: {words}.")
    return captions
