"""Validation accuracy over the learning rate: the same search for every method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from peft_atlas.figures.spec import Description, FigureSpec
from peft_atlas.figures.style import label_panels, method_mark
from peft_atlas.studies.adaptation.figures.adapted_cells import budgets, cells, interval_text, middle_shift

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from peft_atlas.config import FigureStyle

SPEC = FigureSpec(
    name="adaptation_rates",
    title="Validation accuracy over the learning rate, by method",
    section="measured",
    study="adaptation",
    order=13,
    tables=("summary",),
    height=0.55,
    panels=(1, 2),
)


def select(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return validation accuracy by method and learning rate on the middle shift, for two budgets."""
    rows = cells(tables["summary"], "methods", "validation_accuracy", chosen=False)
    rows = rows[(rows["shift_rank"] == middle_shift(rows)) & rows["train_examples"].isin(budgets(rows))]
    return rows[rows["learning_rate"].notna()].reset_index(drop=True)


def draw(plotted: pd.DataFrame, axes: Sequence[Axes], style: FigureStyle) -> None:
    """Draw a panel a budget and a line a method, the best rate of each filled."""
    for axis, examples in zip(axes, budgets(plotted), strict=True):
        panel = plotted[plotted["train_examples"] == examples]
        for method, line in panel.groupby("method", sort=True):
            line = line.sort_values("learning_rate")
            mark = method_mark(str(method), style)
            errors = [line["mean"] - line["low"], line["high"] - line["mean"]]
            axis.errorbar(
                line["learning_rate"],
                line["mean"],
                yerr=errors,
                color=mark.colour,
                marker=mark.marker,
                markersize=4,
                linewidth=0.9,
                markerfacecolor="white",
                label=str(method),
            )
            best = line.loc[line["mean"].idxmax()]
            axis.plot(best["learning_rate"], best["mean"], mark.marker, color=mark.colour, markersize=5)
        axis.set_xscale("log")
        rates = sorted(panel["learning_rate"].unique())
        axis.set_xticks(rates, [f"{rate:g}" for rate in rates])
        axis.minorticks_off()
        axis.set(title=f"{examples:,} examples", xlabel="Learning rate (log scale)", ylabel="Validation accuracy (%)")
    axes[0].figure.legend(
        *axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3 if style.narrow else 5
    )
    label_panels(axes)


def describe(plotted: pd.DataFrame) -> Description:
    """Return caption and finding."""
    spans = plotted.groupby(["train_examples", "method"])["mean"].agg(lambda column: column.max() - column.min())
    widest = spans.idxmax()
    best = plotted.groupby(["train_examples", "method"])["mean"].max().groupby("train_examples")
    apart = float((best.max() - best.min()).max())
    finding = (
        f"From the best to the worst rate of the grid a method loses {spans.min():.1f} to {spans.max():.1f} points, "
        f"{widest[1]} with {widest[0]:,} examples the most; at their best the methods lie up to {apart:.1f} apart."
    )
    caption = (
        f"Shift of rank {plotted['shift_rank'].iloc[0]}. Filled: the rate with the best mean, at which test is read. "
        f"{interval_text(plotted)}"
    )
    return Description(caption, finding)
