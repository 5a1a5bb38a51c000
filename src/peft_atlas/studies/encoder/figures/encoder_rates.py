"""Validation accuracy over the learning rate of every method: what the choice of the rate rests on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from peft_atlas.analysis.statistics import proportion_interval
from peft_atlas.figures.spec import Description, FigureSpec
from peft_atlas.figures.style import label_panels
from peft_atlas.studies.encoder.figures.encoder_cells import (
    encoder_rows,
    face,
    in_percent,
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
    tables=("runs",),
    height=0.62,
    narrow_height=2.8,
    panels=(1, 3),
)
_LEVEL = 0.95
_INTERVAL = "95 % Wilson over validation examples"
# One panel for methods that change weights by a low rank, one for those that add modules, one for all else.
_PANELS = (
    ("Low rank", ("LoRA", "LoRA+", "DoRA", "DoRA (half)", "BitFit + LoRA")),
    ("Added modules", ("AdapterS", "AdapterP", "PrefT", "LoReFT", "(IA)3")),
    ("Own weights", ("full", "BitFit", "head only")),
)


def select(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return every rate that was tried on the main task, with the seed that tried it."""
    rows = encoder_rows(tables["runs"])
    rows = rows[(rows["experiment"] == "methods") & (rows["validation_accuracy"].notna())]
    rows = rows[rows["task"] == tasks_in_order(rows)[0]]
    # The seed of the search is the one that has rates which were not chosen; the others have one rate.
    rows = rows[rows["seed"] == rows.groupby("seed").size().idxmax()].rename(columns={"validation_accuracy": "mean"})
    ends = [
        proportion_interval(float(mean), int(n), _LEVEL)
        for mean, n in zip(rows["mean"], rows["validation_examples"], strict=True)
    ]
    rows = rows.assign(low=[low for low, _ in ends], high=[high for _, high in ends], interval=_INTERVAL)
    columns = ["task", "name", "method", "learning_rate", "selected", "mean", "low", "high", "interval"]
    return in_percent(rows)[[*columns, "seed", "epochs"]].sort_values(["name", "learning_rate"], ignore_index=True)


def draw(plotted: pd.DataFrame, axes: Sequence[Axes], style: FigureStyle) -> None:
    """Draw a line a method, a ring around the chosen rate, one panel a family of methods."""
    for axis, (title, methods) in zip(axes, _PANELS, strict=True):
        rows = plotted[plotted["method"].isin(methods)]
        marks = names_in_order(rows["name"].unique().tolist(), style)
        for place, (name, line) in enumerate(rows.groupby("name", sort=True)):
            # Set apart a little, so that intervals of methods with the same rates can be read.
            x = line["learning_rate"] * 1.06 ** (place - (len(marks) - 1) / 2)
            errors = [line["mean"] - line["low"], line["high"] - line["mean"]]
            options = face(str(name), marks[str(name)])
            axis.errorbar(x, line["mean"], yerr=errors, label=name, linewidth=0.9, elinewidth=0.6, **options)
            chosen = line["selected"].fillna(value=False).astype(bool)
            axis.plot(x[chosen], line["mean"][chosen], "o", color="none", markeredgecolor="black", markersize=9)
        axis.set_xscale("log")
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
    finding = (
        f"Within its grid the rate moves {spans.idxmax()} most, by {spans.max():.0f} points, and "
        f"{spans.idxmin()} least, by {spans.min():.0f}."
    )
    caption = (
        f"One run a point: {plotted['task'].iloc[0]}, seed {int(plotted['seed'].iloc[0])}, after "
        f"{int(plotted['epochs'].iloc[0])} epochs; a ring marks the rate that was chosen and trained with the other "
        f"seeds. Bars: {plotted['interval'].iloc[0]}, which leaves out what another seed would change. Points of one "
        "rate are set apart for legibility."
    )
    return Description(caption, finding)
