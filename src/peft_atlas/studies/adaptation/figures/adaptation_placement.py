"""LoRA on the first layer, the second and both against full fine-tuning, by where and how the target was shifted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from peft_atlas.figures.spec import Description, FigureSpec
from peft_atlas.figures.style import label_panels, rank_colours
from peft_atlas.studies.adaptation.figures.adapted_cells import budgets

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from peft_atlas.config import FigureStyle

SPEC = FigureSpec(
    name="adaptation_placement",
    title="LoRA in the wrong layer loses what the task needs; on both layers it need not know",
    section="measured",
    study="adaptation",
    order=15,
    tables=("contrasts",),
    height=0.46,
    panels=(1, 2),
)
_LABELS = {
    "fc1": "LoRA on the first layer",
    "fc2": "LoRA on the second layer",
    "fc1, fc2": "LoRA on both layers",
    "head only": "second layer trained in full",
}
_MARKERS = dict(zip(_LABELS, "osD^", strict=True))


def select(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return test accuracy less that of full fine-tuning, in percentage points, by placement, shift and budget."""
    contrasts = tables["contrasts"]
    rows = contrasts[(contrasts["study"] == "adaptation") & (contrasts["question"] == "placement_against_full")].copy()
    rows = rows[rows["train_examples"].isin(budgets(rows))]
    for name, column in (("mean", "difference"), ("low", "low"), ("high", "high"), ("margin", "margin")):
        rows[name] = 100 * rows[column]
    rows["placement"] = rows["setting"].astype(object).where(rows["setting"].notna(), rows["method"])
    columns = ["task", "placement", "rank", "train_examples", "mean", "low", "high", "interval", "n", "margin", "role"]
    return rows.assign(unit="percentage points")[[*columns, "unit", "p_adjusted", "detectable"]].reset_index(drop=True)


def _tasks(plotted: pd.DataFrame) -> list[str]:
    """Return the target tasks, those of known rank first."""
    return sorted(plotted["task"].unique(), key=lambda task: (task.startswith("full-rank"), task), reverse=True)


def draw(plotted: pd.DataFrame, axes: Sequence[Axes], style: FigureStyle) -> None:
    """Draw a panel per budget, a row per target task and a mark per placement, the margin shaded."""
    tasks, placements = _tasks(plotted), [name for name in _LABELS if name in set(plotted["placement"])]
    colours = rank_colours(list(range(len(placements))))
    for axis, examples in zip(axes, budgets(plotted), strict=True):
        margin = plotted["margin"].iloc[0]
        axis.axvspan(-margin, margin, color="0.5", alpha=0.15, linewidth=0)
        axis.axvline(0, color="0.35", linewidth=0.8)
        for place, name in enumerate(placements):
            rows = plotted[(plotted["train_examples"] == examples) & (plotted["placement"] == name)]
            y = [tasks.index(task) + 0.2 * ((len(placements) - 1) / 2 - place) for task in rows["task"]]
            axis.errorbar(
                rows["mean"],
                y,
                xerr=[rows["mean"] - rows["low"], rows["high"] - rows["mean"]],
                fmt=_MARKERS[name],
                color=colours[place],
                markersize=3.5,
                linewidth=1,
                label=_LABELS[name],
            )
        names = [_short(task) for task in tasks]
        axis.set_yticks(range(len(tasks)), names if axis is axes[0] or style.narrow else [""] * len(tasks))
        axis.set_ylim(-0.6, len(tasks) - 0.4)
        axis.set(title=f"{examples:,} examples", xlabel="Test accuracy less full (points)")
    axes[0].figure.legend(
        *axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=1 if style.narrow else 2
    )
    label_panels(axes)


def _short(task: str) -> str:
    """Return a task's name on two lines."""
    if task.startswith("full-rank"):
        return "full rank,\n" + ("both layers" if "both" in task else "first layer")
    return task.replace(" in the second layer", "").replace("shift of ", "") + (
        ",\nsecond layer" if "second" in task else ",\nfirst layer"
    )


def describe(plotted: pd.DataFrame) -> Description:
    """Return caption and finding."""
    largest = plotted[plotted["train_examples"] == budgets(plotted)[-1]]
    both = largest[largest["placement"] == "fc1, fc2"]["mean"]
    single = largest[largest["placement"].isin(("fc1", "fc2"))].groupby("task")["mean"]
    finding = (
        f"With {budgets(plotted)[-1]:,} examples LoRA on both layers is {both.min():+.1f} to {both.max():+.1f} points "
        f"from full fine-tuning, on the worse of the two layers {single.min().min():+.1f} to {single.min().max():+.1f}."
    )
    primary = plotted[plotted["role"] == "primary"]["interval"].dropna()
    others = plotted[plotted["role"] == "exploratory"]["interval"].dropna()
    names = [str(part.iloc[0]) if len(part) else "none" for part in (primary, others)]
    caption = (
        "Test accuracy less that of full fine-tuning, each at the learning rate that validation chose. The three LoRAs "
        f"train about equally many parameters. Means over {int(plotted['n'].max())} seeds. Bars of LoRA on both "
        f"layers, the primary comparison: {names[0]}; of the others: {names[1]}. Shaded: within "
        f"±{plotted['margin'].iloc[0]:g} point. A full-rank shift has a decaying spectrum."
    )
    return Description(caption, finding)
