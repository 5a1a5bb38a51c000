"""Average commonsense accuracy of each method, with ChatGPT."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from peft_atlas.figures.spec import Description, FigureSpec
from peft_atlas.figures.style import LABEL_BOX, MODEL_MARKERS, MODELS, REFERENCE_COLOUR, add_legend, method_mark
from peft_atlas.studies.literature.figures.printed import (
    CORRECTED,
    NO_INTERVAL,
    SEED,
    added_averages,
    averages,
    in_order,
    methods_of,
    ring,
    ringed,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from peft_atlas.config import FigureStyle

SPEC = FigureSpec(
    name="commonsense_average",
    title="Average accuracy on commonsense reasoning",
    section="published",
    study="literature",
    order=3,
    tables=("published",),
    height=0.42,
)


def select(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the averages that the seed notebook quotes, by model and method, and ChatGPT's."""
    import pandas as pd

    rows = averages(tables["published"], SEED, "seed_notebook")
    rows = pd.concat([rows, added_averages(tables["published"])], ignore_index=True)
    reference = rows[rows["base_model"] == "ChatGPT"]
    shown = pd.concat([in_order(rows), reference], ignore_index=True).assign(unit="percent")
    later = averages(tables["published"], CORRECTED).rename(columns={"printed": "printed_reft_v3"})
    return shown.merge(later[["base_model", "method", "printed_reft_v3"]], on=["base_model", "method"], how="left")


def draw(plotted: pd.DataFrame, axes: Sequence[Axes], style: FigureStyle) -> None:
    """Draw one row per method, one marker per model, and ChatGPT's line."""
    axis = axes[0]
    methods = methods_of(plotted.loc[plotted["method"] != "none", "method"])
    for model in MODELS:
        rows = plotted[plotted["base_model"] == model]
        for row in rows.itertuples():
            colour = method_mark(row.method, style).colour
            face = colour if model == MODELS[0] else "white"
            place = methods.index(row.method)
            axis.plot(row.value, place, MODEL_MARKERS[model], color=colour, markerfacecolor=face, markersize=6)
            if row.source != SEED:
                ring(axis, row.value, place)
            side = -7 if model == MODELS[0] else 7
            axis.annotate(
                row.printed,
                (row.value, place),
                (side, 0),
                textcoords="offset points",
                va="center",
                ha="right" if side < 0 else "left",
                bbox=LABEL_BOX,
            )
        face = "0.3" if model == MODELS[0] else "white"
        axis.plot([], [], MODEL_MARKERS[model], color="0.3", markerfacecolor=face, linestyle="none", label=model)
    chatgpt = plotted[plotted["base_model"] == "ChatGPT"]
    for row in chatgpt.itertuples():
        label = f"ChatGPT, {row.printed} %"
        axis.axvline(row.value, color=REFERENCE_COLOUR, linestyle="--", linewidth=1, label=label)
    axis.set_yticks(range(len(methods)), methods)
    axis.invert_yaxis()
    axis.margins(x=0.12)
    axis.set_xlabel("Average accuracy over eight tasks (%), as printed")
    axis.grid(visible=False, axis="y")
    add_legend(axis, style, "lower left")


def describe(plotted: pd.DataFrame) -> Description:
    """Return caption and finding."""
    models = plotted[plotted["base_model"].isin(MODELS)]
    best = models.loc[models.groupby("base_model")["value"].idxmax()]
    listed = " and ".join(f"{row.method} on {row.base_model} ({row.printed} %)" for row in best.itertuples())
    chatgpt = plotted.loc[plotted["base_model"] == "ChatGPT", "value"].iloc[0]
    above = ", ".join(
        f"{(models.loc[models['base_model'] == model, 'value'] > chatgpt).sum()} on {model}" for model in MODELS
    )
    equal = int((plotted["printed"] == plotted["printed_reft_v3"]).sum())
    return Description(
        "Averages that the seed notebook quotes from the survey, whose table was not seen; "
        f"{equal} of {int((plotted['source'] == SEED).sum())} equal ReFT v3's."
        f"{ringed(plotted['source'], SEED)} {NO_INTERVAL}",
        f"Highest are {listed}; above ChatGPT are {above}.",
    )
