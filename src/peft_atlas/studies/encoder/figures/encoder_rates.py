"""Validation accuracy over the learning rate of every method: what the choice of the rate rests on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from peft_atlas.analysis.statistics import proportion_interval
from peft_atlas.figures.panels import panels_for
from peft_atlas.figures.spec import Description, FigureSpec
from peft_atlas.studies.encoder.figures.encoder_cells import (
    confidence_of,
    encoder_rows,
    face,
    in_percent,
    names_in_order,
    tasks_in_order,
)
from peft_atlas.studies.encoder.packaged import task_in_short

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from peft_atlas.config import FigureStyle

SPEC = FigureSpec(
    name="encoder_rates",
    title="Validation accuracy over the learning rate",
    section="measured",
    study="encoder",
    order=22,
    tables=("runs", "summary"),
    height=0.5,
    panels=(2, 4),
    narrow_panels=(4, 2),
    narrow_height=1.8,
)


def select(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return every rate that was trained to the end on the main task: means over the seeds of the search."""
    rows = encoder_rows(tables["runs"])
    known = rows["validation_accuracy"].notna() & rows["selected"].notna() & (rows["status"] != "stopped")
    rows = rows[known & (rows["experiment"] == "methods")]
    rows = rows[rows["task"] == tasks_in_order(rows)[0]]
    keys = ["task", "name", "method", "rank", "learning_rate", "selected", "epochs"]
    searched = rows.astype({"validation_accuracy": float}).groupby(keys, dropna=False, sort=True)
    plotted = searched.agg(
        mean=("validation_accuracy", "mean"),
        n=("seed", "size"),
        texts=("validation_examples", "min"),
        edge=("edge", "first"),
    ).reset_index()
    level = confidence_of(tables["summary"])
    ends = [proportion_interval(mean, int(n), level) for mean, n in zip(plotted["mean"], plotted["texts"], strict=True)]
    plotted = plotted.assign(low=[low for low, _ in ends], high=[high for _, high in ends])
    plotted["interval"] = f"{100 * level:g} % Wilson over validation texts"
    return in_percent(plotted).sort_values(["name", "learning_rate"], ignore_index=True)


def draw(plotted: pd.DataFrame, axes: Sequence[Axes], style: FigureStyle) -> None:
    """Draw a panel per method with a ring around the chosen rate; all share the axis of accuracies."""
    names = sorted(plotted["name"].unique())
    columns = 2 if style.narrow else 4
    panels = panels_for(axes, -(-len(names) // columns), columns)
    marks = names_in_order(names, style)
    for axis, name in zip(panels, names, strict=False):
        line = plotted[plotted["name"] == name].sort_values("learning_rate")
        errors = [line["mean"] - line["low"], line["high"] - line["mean"]]
        axis.errorbar(line["learning_rate"], line["mean"], yerr=errors, linewidth=0.9, elinewidth=0.8,
                      **face(str(name), marks[str(name)]))  # fmt: skip
        chosen = line[line["selected"].fillna(value=False).astype(bool)]
        axis.plot(chosen["learning_rate"], chosen["mean"], "o", color="none", markeredgecolor="black", markersize=9)
        _label_rates(axis, line, chosen)
        axis.set_title(str(name))
    for axis in panels[len(names) :]:
        axis.remove()
    low, high = max(0.0, plotted["low"].min() - 3), min(100.0, plotted["high"].max() + 3)
    for place, axis in enumerate(panels[: len(names)]):
        axis.set_ylim(low, high)
        if place % columns:
            axis.tick_params(labelleft=False)
    figure: Any = panels[0].figure
    figure.supxlabel("Learning rate (log scale)", fontsize=style.font_size)
    figure.supylabel("Validation accuracy (%)", fontsize=style.font_size)


def _label_rates(axis: Axes, line: pd.DataFrame, chosen: pd.DataFrame) -> None:
    """Write the lowest and the highest rate below the axis, and the chosen one where it is neither."""
    rates = sorted(line["learning_rate"].unique())
    ends = {rates[0], rates[-1]}
    inner = set(chosen["learning_rate"]) if len(rates) > 2 else set()
    shown = sorted(ends | inner) if rates[-1] / rates[0] > 30 else sorted(ends)
    axis.set_xscale("log")
    axis.set_xticks(shown, [f"{rate:g}" for rate in shown])
    axis.set_xlim(0.6 * rates[0], rates[-1] / 0.6)
    axis.minorticks_off()


def describe(plotted: pd.DataFrame) -> Description:
    """Return caption and finding."""
    spans = plotted.groupby("name")["mean"].agg(lambda values: values.max() - values.min())
    edges = sorted(set(plotted.loc[plotted["edge"].fillna(value=False).astype(bool), "name"]))
    finding = (
        f"Among the rates trained to the end, {spans.idxmax()} differs most, by {spans.max():.0f} points; choices that "
        f"remain at an end of the rates tried: {', '.join(edges) or 'none'}."
    )
    caption = (
        f"Means over the seeds of the search, {int(plotted['n'].min())} to {int(plotted['n'].max())}, on "
        f"{task_in_short(plotted['task'].iloc[0])} after {int(plotted['epochs'].iloc[0])} epochs; rates that were left "
        f"after the first epoch are not drawn. A panel per method; a ring marks the chosen rate. Bars: "
        f"{plotted['interval'].iloc[0]}, which leaves out what another seed would change."
    )
    return Description(caption, finding)
