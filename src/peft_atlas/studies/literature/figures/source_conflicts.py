"""Numbers that sources print differently and that rounding does not explain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from peft_atlas.figures.spec import Description, FigureSpec
from peft_atlas.figures.style import LABEL_BOX, label_panels, method_mark
from peft_atlas.studies.literature.figures.printed import NO_INTERVAL, percent_limits

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from peft_atlas.config import FigureStyle

SPEC = FigureSpec(
    name="source_conflicts",
    title="Sources in conflict",
    section="published",
    study="literature",
    order=8,
    tables=("conflicts",),
    height=0.6,
    panels=(1, 2),
)
_ACCURACY, _PERCENT = "accuracy_percent", "trainable_params_percent"


def select(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the conflicts that nothing explains, by metric, model and method, an average first of its method."""
    rows = tables["conflicts"]
    rows = rows[(rows["explained_by"] == "nothing") & rows["metric"].isin([_ACCURACY, _PERCENT])]
    rows = rows.assign(average=rows["task"].str.endswith(": Avg"))
    rows = rows.sort_values(
        ["metric", "method", "base_model", "average", "task"], ascending=[True, True, False, False, True], kind="stable"
    )
    columns = ["metric", "scope", "base_model", "method", "task", "lowest", "highest", "difference", "unit", "readings"]
    return rows[[*columns, "verdict"]].reset_index(drop=True)


def draw(plotted: pd.DataFrame, axes: Sequence[Axes], style: FigureStyle) -> None:
    """Draw accuracies on the left and percentages, on a log axis, on the right: a line from lowest to highest."""
    for axis, metric in zip(axes, (_ACCURACY, _PERCENT), strict=True):
        rows = plotted[plotted["metric"] == metric].reset_index(drop=True)
        for place, row in enumerate(rows.itertuples()):
            _draw_conflict(axis, place, row, style)
        axis.set_yticks(range(len(rows)), [_label(row) for row in rows.itertuples()])
        axis.set_ylim(len(rows) - 0.4, -0.6)
        axis.grid(visible=False, axis="y")
    axes[0].margins(x=0.3)
    axes[0].set(xlabel="Accuracy (%)", title="Accuracy")
    axes[1].set_xscale("log")
    percents = plotted[plotted["metric"] == _PERCENT]
    axes[1].set_xlim(percent_limits(percents["lowest"], 0.008, 9)[0], percent_limits(percents["highest"], 0.008, 9)[1])
    axes[1].set_xticks([0.03, 0.1, 0.3, 1, 3], ["0.03", "0.1", "0.3", "1", "3"])
    axes[1].minorticks_off()
    axes[1].set(xlabel="Trainable parameters (%, log scale)", title="Percentage of parameters")
    label_panels(axes)


def _draw_conflict(axis: Axes, place: int, row: Any, style: FigureStyle) -> None:
    """Draw one cell's lowest and highest reading, the settled one filled where recomputation settles it."""
    mark = method_mark(row.method, style)
    face = mark.colour if row.verdict == "settled" else "white"
    axis.plot([row.lowest, row.highest], [place, place], color=mark.colour, linewidth=1.2)
    printed = [reading.split(" ")[0] for reading in row.readings.split("; ")]
    ends = ((row.lowest, min(printed, key=float), -1), (row.highest, max(printed, key=float), 1))
    for value, text, side in ends:
        axis.plot(value, place, mark.marker, color=mark.colour, markerfacecolor=face, markersize=5)
        axis.annotate(
            text,
            (value, place),
            (6 * side, 0),
            textcoords="offset points",
            ha="right" if side < 0 else "left",
            va="center",
            fontsize=style.font_size - 1.5,
            bbox=LABEL_BOX,
        )


def _label(row: Any) -> str:
    """Return model, method and task in short."""
    model = row.base_model.removeprefix("LLaMA-")
    task = {"all": "two tables"}.get(row.task, row.task.split(": ")[-1].removesuffix(" Reasoning").lower())
    task = task if row.metric == _PERCENT else row.task.split(": ")[-1].replace("Avg", "average")
    return f"{row.method} {model}, {task}"


def describe(plotted: pd.DataFrame) -> Description:
    """Return caption and finding."""
    accuracy, percent = (plotted[plotted["metric"] == metric] for metric in (_ACCURACY, _PERCENT))
    widest = accuracy.loc[accuracy["difference"].idxmax()]
    settled = int((percent["verdict"] == "settled").sum())
    finding = (
        f"{len(accuracy)} accuracies differ between sources, by up to {widest['difference']:.1f} points "
        f"({widest['method']}, {widest['task']}), and nothing seen decides between them; of {len(percent)} percentages "
        f"that differ, recomputation settles {settled}."
    )
    caption = (
        "Lowest and highest number printed for one cell; differences by rounding and by zeros at the end are left out. "
        "Filled: recomputation settles it. Open: each number may be right, for a run or configuration of its own. "
        f"{NO_INTERVAL}"
    )
    return Description(caption, finding)
