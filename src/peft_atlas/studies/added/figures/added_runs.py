"""Scores of the runs that a user has added, with their mean and interval per method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from peft_atlas.figures.spec import Description, FigureSpec
from peft_atlas.figures.style import method_mark
from peft_atlas.studies.added.jobs import NAME

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from peft_atlas.config import FigureStyle

SPEC = FigureSpec(
    name="added_runs",
    title="Scores of the runs that were added",
    section="measured",
    study=NAME,
    order=0,
    tables=("added_runs",),
    height=0.5,
    narrow_height=1.0,
)
_CONFIDENCE = 0.95
# More rows than these would not be legible; labels take two lines where there are few.
_MOST, _FEW = 20, 8
_LINE = 26


def select(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return each run's score in percent, with mean and interval over the seeds of its cell."""
    import pandas as pd

    from peft_atlas.analysis.statistics import interval_name, mean_interval
    from peft_atlas.studies.added.data import tasks

    parts = []
    for task, model, cells in tasks(tables["added_runs"]):
        for cell in cells:
            estimate = mean_interval(cell.points, _CONFIDENCE).within(0, 100)
            part = pd.DataFrame({"seed": cell.points.index, "score": cell.points.to_numpy()})
            found = part.assign(task=task, model=model, method=cell.method, cell=cell.name, mean=estimate.mean)
            ends = {"low": estimate.low, "high": estimate.high}
            named = interval_name(_CONFIDENCE) if estimate.low is not None else None
            parts.append(found.assign(**ends, interval=named, unit="percent"))
    return pd.concat(parts, ignore_index=True).astype({"low": float, "high": float})


def draw(plotted: pd.DataFrame, axes: Sequence[Axes], style: FigureStyle) -> None:
    """Draw a row per cell, the highest means alone where there are many: runs hollow, the mean with its interval."""
    (axis,) = axes
    ranked = sorted(plotted.groupby(["task", "model", "cell"], sort=False), key=lambda each: -each[1]["mean"].iloc[0])
    groups = ranked[:_MOST]
    for place, (_, rows) in enumerate(groups):
        first = rows.iloc[0]
        colour = method_mark(first["method"], style).colour
        axis.plot(rows["score"], [place] * len(rows), "o", color=colour, markerfacecolor="white", markersize=4)
        if rows["low"].notna().all():
            error = [[first["mean"] - first["low"]], [first["high"] - first["mean"]]]
            axis.errorbar([first["mean"]], [place - 0.25], xerr=error, fmt="D", color=colour, markersize=4)
    several = len(plotted["task"].unique()) > 1
    labels = [f"{cell}, {task}" if several else str(cell) for (task, _, cell), _ in groups]
    axis.set_yticks(range(len(groups)), [_short(label, 2 if len(groups) <= _FEW else 1) for label in labels])
    axis.set_ylim(len(groups) - 0.4, -0.7)
    axis.set_xlabel("Score (%)")
    axis.grid(visible=False, axis="y")


def _short(label: str, lines: int) -> str:
    """Return a label in at most so many lines."""
    import textwrap

    return "\n".join(textwrap.wrap(label, _LINE, max_lines=lines, placeholder=" ..."))


def describe(plotted: pd.DataFrame) -> Description:
    """Return caption and finding."""
    runs, cells = len(plotted), plotted.drop_duplicates(["task", "model", "cell"])
    best = cells.loc[cells["mean"].idxmax()]
    several = plotted["interval"].dropna()
    drawn = f"diamonds, their mean with {several.iloc[0]}" if len(several) else "single runs, so without intervals"
    left_out = f" The {_MOST} highest of {len(cells)} settings are drawn." if len(cells) > _MOST else ""
    caption = f"Runs added with peft-atlas add, not measured here. Circles, one run each; {drawn}.{left_out}"
    finding = (
        f"{runs} added runs of {len(cells)} settings; the highest mean is {best['mean']:.1f} % "
        f"({best['cell']} on {best['task']})."
    )
    return Description(caption, finding)
