"""Validation accuracy over the learning rate: the same search for every method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from peft_atlas.figures.panels import panels_for
from peft_atlas.figures.spec import Description, FigureSpec
from peft_atlas.figures.style import method_mark
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
    height=0.62,
    panels=(3, 4),
    narrow_panels=(6, 2),
    narrow_height=2.3,
)


def select(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return validation accuracy by method and learning rate on the middle shift, for two budgets."""
    rows = cells(tables["summary"], "methods", "validation_accuracy", chosen=False)
    rows = rows[(rows["shift_rank"] == middle_shift(rows)) & rows["train_examples"].isin(budgets(rows))]
    return rows[rows["learning_rate"].notna()].reset_index(drop=True)


def draw(plotted: pd.DataFrame, axes: Sequence[Axes], style: FigureStyle) -> None:
    """Draw a panel per method and a line per budget, the best rate of each filled."""
    methods = sorted(plotted["method"].unique())
    columns = 2 if style.narrow else 4
    panels = panels_for(axes, -(-len(methods) // columns), columns)
    for axis, method in zip(panels, methods, strict=False):
        _draw_method(axis, plotted[plotted["method"] == method], str(method), style)
    for axis in panels[len(methods) :]:
        axis.set_axis_off()
    low, high = max(0.0, plotted["low"].min() - 2), min(100.0, plotted["high"].max() + 2)
    rates = sorted(plotted["learning_rate"].unique())
    shown = dict.fromkeys((rates[0], rates[-1])) if len(rates) > 2 else rates
    for place, axis in enumerate(panels[: len(methods)]):
        axis.set_xscale("log")
        axis.set_ylim(low, high)
        axis.set_xticks(list(shown), [f"{rate:g}" for rate in shown])
        axis.set_xlim(0.6 * rates[0], rates[-1] / 0.6)
        axis.minorticks_off()
        if place % columns:
            axis.tick_params(labelleft=False)
    figure: Any = panels[0].figure
    figure.supxlabel("Learning rate (log scale)", fontsize=style.font_size)
    figure.supylabel("Validation accuracy (%)", fontsize=style.font_size)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=2)


def _draw_method(axis: Axes, rows: pd.DataFrame, method: str, style: FigureStyle) -> None:
    """Draw one method: the larger budget with a solid line, the smaller with a dashed one."""
    mark, found = method_mark(method, style), budgets(rows)
    for examples, dashes in zip(dict.fromkeys(found[::-1]), ("-", "--"), strict=False):
        line = rows[rows["train_examples"] == examples].sort_values("learning_rate")
        errors = [line["mean"] - line["low"], line["high"] - line["mean"]]
        options = {"color": mark.colour, "marker": mark.marker, "markersize": 3.5, "linewidth": 0.9}
        axis.errorbar(line["learning_rate"], line["mean"], yerr=errors, linestyle="none", elinewidth=0.8, **options,
                      markerfacecolor="white")  # fmt: skip
        axis.plot(line["learning_rate"], line["mean"], dashes, color=mark.colour, linewidth=0.9)
        axis.plot([], [], dashes, color="0.3", linewidth=0.9, label=f"{examples:,} examples")
        best = line.loc[line["mean"].idxmax()]
        axis.plot(best["learning_rate"], best["mean"], mark.marker, color=mark.colour, markersize=4.5)
    axis.set_title(method)


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
        f"Shift of rank {plotted['shift_rank'].iloc[0]}; a panel per method, all on the same axes. Filled: the rate "
        f"with the best mean, at which test is read. {interval_text(plotted)}"
    )
    return Description(caption, finding)
