"""Validation accuracy over the learning rate of every method: what the choice of the rate rests on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from peft_atlas.analysis.statistics import proportion_interval
from peft_atlas.figures.spec import Description, FigureSpec
from peft_atlas.figures.style import label_panels
from peft_atlas.studies.encoder.figures.encoder_cells import (
    confidence_of,
    encoder_rows,
    face,
    in_percent,
    make_room,
    names_in_order,
    tasks_in_order,
)

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
    height=0.62,
    narrow_height=2.2,
    panels=(1, 2),
)
_WITH, _WITHOUT = "Methods with a rank", "Methods without a rank"

# Lines of the legend at the usual height, and lines of a panel that are set apart in full.
_LEGEND_LINES, _APART = 5, 8


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
    plotted["panel"] = [_WITHOUT if missing else _WITH for missing in plotted["rank"].isna()]
    return in_percent(plotted).sort_values(["panel", "name", "learning_rate"], ignore_index=True)


def draw(plotted: pd.DataFrame, axes: Sequence[Axes], style: FigureStyle) -> None:
    """Draw a line per method with a ring around the chosen rate; methods with and without a rank have a panel each."""
    most = int(plotted.groupby("panel")["name"].nunique().max())
    make_room(axes, -(-most // 2), _LEGEND_LINES, style)
    for axis, title in zip(axes, (_WITH, _WITHOUT), strict=True):
        rows = plotted[plotted["panel"] == title]
        marks = names_in_order(rows["name"].unique().tolist(), style)
        for place, (name, line) in enumerate(rows.groupby("name", sort=True)):
            # Set apart a little, so that intervals of methods with the same rates can be read.
            x = line["learning_rate"] * 1.06 ** ((place - (len(marks) - 1) / 2) * min(1, _APART / len(marks)))
            errors = [line["mean"] - line["low"], line["high"] - line["mean"]]
            options = face(str(name), marks[str(name)])
            axis.errorbar(x, line["mean"], yerr=errors, label=name, linewidth=0.9, elinewidth=0.6, **options)
            chosen = line["selected"].fillna(value=False).astype(bool)
            axis.plot(x[chosen], line["mean"][chosen], "o", color="none", markeredgecolor="black", markersize=9)
        axis.set_xscale("log")
        axis.xaxis.set_minor_formatter("")
        rates = sorted(set(rows["learning_rate"]))
        # So few that each can be written; more are read off the decades.
        if len(rates) <= 4:
            axis.set_xticks(rates, [f"{rate:g}" for rate in rates])
            axis.minorticks_off()
        axis.set(title=title, xlabel="Learning rate (log scale)")
        if len(rows):
            axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2, handlelength=1.5, columnspacing=1)
    axes[0].set_ylabel("Validation accuracy (%)")
    low, high = plotted["low"].min() - 3, plotted["high"].max() + 3
    for axis in axes:
        axis.set_ylim(low, high)
    label_panels(axes)


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
        f"{plotted['task'].iloc[0]} after {int(plotted['epochs'].iloc[0])} epochs; rates that were left after the "
        f"first epoch are not drawn. A ring marks the chosen rate. Bars: {plotted['interval'].iloc[0]}, which leaves "
        "out what another seed would change. Points of one rate are set apart for legibility."
    )
    return Description(caption, finding)
