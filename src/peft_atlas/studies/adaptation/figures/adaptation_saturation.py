"""Accuracy of LoRA over its rank, for target tasks that are a shift of known rank away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from peft_atlas.figures.spec import Description, FigureSpec
from peft_atlas.figures.style import label_panels, rank_colours
from peft_atlas.studies.adaptation.figures.adapted_cells import budgets, cells, interval_text

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from peft_atlas.config import FigureStyle

SPEC = FigureSpec(
    name="adaptation_saturation",
    title="With many examples LoRA saturates near the rank of the shift",
    section="measured",
    study="adaptation",
    order=10,
    tables=("summary",),
    height=0.5,
    panels=(1, 2),
)


def select(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return test accuracy of LoRA by rank, shift and budget, and of full fine-tuning."""
    plotted = cells(tables["summary"], "ranks", "test_accuracy")
    return plotted[plotted["train_examples"].isin(budgets(plotted))].reset_index(drop=True)


def draw(plotted: pd.DataFrame, axes: Sequence[Axes], style: FigureStyle) -> None:
    """Draw a panel a budget and a line a shift, the point where LoRA has the shift's own rank ringed."""
    ranks = sorted(int(rank) for rank in plotted["rank"].dropna().unique())
    shifts = sorted(int(shift) for shift in plotted["shift_rank"].unique())
    colours = rank_colours(shifts)
    for axis, examples in zip(axes, budgets(plotted), strict=True):
        for place, shift in enumerate(shifts):
            rows = plotted[(plotted["train_examples"] == examples) & (plotted["shift_rank"] == shift)]
            # Set a little apart, so that each interval can be read.
            apart = 2 ** (0.09 * (place - (len(shifts) - 1) / 2))
            _draw_shift(axis, rows, apart, colours[shift], 2 * ranks[-1])
        axis.set_xscale("log", base=2)
        axis.set_xticks([*ranks, ranks[-1] * 2], [*map(str, ranks), "full"])
        axis.minorticks_off()
        axis.set(title=f"{examples:,} examples", xlabel="LoRA rank r (log scale)", ylabel="Test accuracy (%)")
    _legend(axes, colours, 2 if style.narrow else 4)
    label_panels(axes)


def _draw_shift(axis: Axes, rows: pd.DataFrame, apart: float, colour: Any, last: int) -> None:
    """Draw LoRA over its rank on the targets of one shift, and full fine-tuning at the right end."""
    lora, full = rows[rows["method"] == "LoRA"].sort_values("rank"), rows[rows["method"] == "full"]
    for line, form, size in ((lora, "o-", 3), (full.assign(rank=last), "*", 7)):
        errors = [line["mean"] - line["low"], line["high"] - line["mean"]]
        places = line["rank"].astype(float) * apart
        axis.errorbar(places, line["mean"], yerr=errors, fmt=form, color=colour, markersize=size, elinewidth=0.8)
    own = lora[lora["rank"] == rows["shift_rank"].iloc[0]] if len(rows) else lora
    axis.plot(own["rank"].astype(float) * apart, own["mean"], "o", markersize=9, markerfacecolor="none", color=colour)


def _legend(axes: Sequence[Axes], colours: dict[int, Any], columns: int) -> None:
    """Write the ranks of the shifts, and what ring and star mean, below the panels."""
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=colour, marker="o", markersize=3, label=f"shift of rank {rank}")
        for rank, colour in colours.items()
    ]
    grey: dict[str, Any] = {"color": "0.35", "linestyle": "none"}
    handles.append(Line2D([], [], marker="o", markersize=9, markerfacecolor="none", label="r = rank of shift", **grey))
    handles.append(Line2D([], [], marker="*", markersize=7, label="full fine-tuning", **grey))
    axes[0].figure.legend(handles=handles, loc="outside lower center", ncols=columns)


def describe(plotted: pd.DataFrame) -> Description:
    """Return caption and finding."""
    sentences = []
    for examples in sorted(set(budgets(plotted))):
        lora = plotted[(plotted["train_examples"] == examples) & (plotted["method"] == "LoRA")]
        best = lora.loc[lora.groupby("shift_rank")["mean"].idxmax()]
        places = ", ".join(f"r = {row.rank} for rank {row.shift_rank}" for row in best.itertuples())
        sentences.append(f"With {examples:,} examples the highest mean is at {places}.")
    caption = (
        "Test accuracy of LoRA on the first layer of a pretrained network, alpha in proportion to r, the learning rate "
        "of every point chosen on validation. A target task is labelled by the network itself after that layer's "
        f"weight moved by a matrix of known rank, all of one norm. {interval_text(plotted)} Seeds differ more than "
        "settings do; the comparisons in the text are paired by seed. The ring marks the shift's own rank, the "
        "smallest that can solve the task exactly; the highest rank of a shift is full. Points are set apart a little."
    )
    return Description(caption, " ".join(sentences))
