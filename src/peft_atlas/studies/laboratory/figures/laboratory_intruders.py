"""What shrinking LoRA's intruder dimensions, or its whole update, does to both tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from peft_atlas.figures.spec import Description, FigureSpec
from peft_atlas.figures.style import rank_colours

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from peft_atlas.config import FigureStyle

SPEC = FigureSpec(
    name="laboratory_intruders",
    title="What shrinking intruder dimensions does to both tasks, compared with shrinking the whole update",
    section="measured",
    study="laboratory",
    order=41,
    tables=("contrasts",),
    height=0.46,
    panels=(1, 2),
)
_TASKS = {"source_after_shrinking": "Source task", "target_after_shrinking": "Target task"}
_PARTS = {"intruders": "intruder dimensions shrunk", "update": "whole update shrunk"}


def select(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the change in accuracy, in percentage points, by task, rank and part, at the factor that is judged."""
    contrasts = tables["contrasts"]
    rows = contrasts[(contrasts["study"] == "laboratory") & contrasts["question"].isin(_TASKS)].copy()
    words = rows["setting"].str.split(" times ", expand=True).reindex(columns=[0, 1])
    rows = rows.assign(part=words[0], factor=words[1].astype(float), unit="percentage points")
    rows = rows[rows["factor"] == rows["factor"].max()]
    for name, column in (("mean", "difference"), ("low", "low"), ("high", "high")):
        rows[name] = 100 * rows[column]
    columns = ["question", "part", "factor", "rank", "mean", "low", "high", "interval", "n", "unit"]
    return rows[columns].reset_index(drop=True)


def draw(plotted: pd.DataFrame, axes: Sequence[Axes], style: FigureStyle) -> None:
    """Draw a panel per task, and a line over the rank for each part."""
    colours = rank_colours(list(range(len(_PARTS))))
    for axis, (question, task) in zip(axes, _TASKS.items(), strict=True):
        axis.axhline(0, color="0.35", linewidth=0.8)
        rows = plotted[plotted["question"] == question]
        for place, (part, label) in enumerate(_PARTS.items()):
            line = rows[rows["part"] == part].sort_values("rank")
            axis.errorbar(
                line["rank"].astype(float) * 2 ** (0.12 * (place - 0.5)),
                line["mean"],
                yerr=[line["mean"] - line["low"], line["high"] - line["mean"]],
                marker="os"[place],
                color=colours[place],
                markersize=4,
                linewidth=1,
                label=label,
            )
        ranks = sorted(int(rank) for rank in rows["rank"].unique())
        axis.set_xscale("log", base=2)
        axis.set_xticks(ranks, [str(rank) for rank in ranks])
        axis.set(title=task, xlabel="Rank r (log scale)")
    axes[0].set_ylabel("Change in accuracy (points)")
    axes[0].figure.legend(
        *axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=1 if style.narrow else 2
    )


def describe(plotted: pd.DataFrame) -> Description:
    """Return caption and finding."""
    factor, low, high = plotted["factor"].iloc[0], int(plotted["rank"].min()), int(plotted["rank"].max())
    said = "; ".join(f"{part}, {_changes(plotted[plotted['part'] == name])}" for name, part in _PARTS.items())
    kinds = "; ".join(f"{_PARTS[str(part)]}: {rows['interval'].iloc[0]}" for part, rows in plotted.groupby("part"))
    caption = (
        f"Test accuracy of LoRA's networks with the singular values of the first layer's intruder dimensions, or the "
        f"whole update, times {factor:g}, less that of the same networks as trained, over {int(plotted['n'].max())} "
        f"seeds; {kinds}. A full-rank shift with decaying spectrum, LoRA on the layer that was shifted."
    )
    finding = f"From r = {low} to r = {high}, times {factor:g}: {said}."
    return Description(caption, finding)


def _changes(rows: pd.DataFrame) -> str:
    """Return by how much each task's accuracy changes at the lowest and the highest rank."""
    words = []
    for question, task in _TASKS.items():
        line = rows[rows["question"] == question].sort_values("rank")["mean"].to_numpy()
        words.append(f"{task.lower()} {line[0]:+.1f} to {line[-1]:+.1f} points")
    return ", ".join(words)
