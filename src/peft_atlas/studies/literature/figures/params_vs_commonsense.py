"""Parameter percentage against average commonsense accuracy, as published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from peft_atlas.figures.spec import Description, FigureSpec
from peft_atlas.figures.style import MODELS, REFERENCE_COLOUR, add_legend, method_mark
from peft_atlas.studies.literature.figures.printed import (
    CORRECTED,
    NO_INTERVAL,
    SEED,
    added_averages,
    added_percentages,
    averages,
    in_order,
    methods_of,
    percentages,
    ring,
    ringed,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from peft_atlas.config import FigureStyle

SPEC = FigureSpec(
    name="params_vs_commonsense",
    title="Trainable parameters against average commonsense accuracy",
    section="published",
    study="literature",
    order=4,
    tables=("published",),
    height=0.5,
    narrow_height=1.2,
    appendix=True,
)


def select(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the seed's accuracies with the percentage it quotes and the one that ReFT v3 corrected it to."""
    import pandas as pd

    published = tables["published"]
    accuracy = pd.concat([averages(published, SEED, "seed_notebook"), added_averages(published)], ignore_index=True)
    rows = accuracy.rename(columns={"value": "accuracy"})[["base_model", "method", "accuracy", "source"]]
    corrected = pd.concat([percentages(published, CORRECTED), added_percentages(published)], ignore_index=True)
    for percents, name in ((percentages(published, SEED), "percent_seed"), (corrected, "percent_corrected")):
        found = percents.rename(columns={"value": name})
        rows = rows.merge(found[["base_model", "method", name]], on=["base_model", "method"], how="left")
    reference = rows[rows["base_model"] == "ChatGPT"]
    return pd.concat([in_order(rows), reference], ignore_index=True)


def draw(plotted: pd.DataFrame, axes: Sequence[Axes], style: FigureStyle) -> None:
    """Draw corrected points, a cross where the seed's percentage was another, and ChatGPT's line."""
    axis = axes[0]
    for row in plotted[plotted["base_model"].isin(MODELS)].itertuples():
        mark = method_mark(row.method, style)
        face = mark.colour if row.base_model == MODELS[0] else "white"
        axis.plot(
            row.percent_corrected, row.accuracy, mark.marker, color=mark.colour, markerfacecolor=face, markersize=6
        )
        if row.source != SEED:
            ring(axis, row.percent_corrected, row.accuracy)
        if abs(row.percent_seed / row.percent_corrected - 1) > 0.05:
            axis.plot([row.percent_seed, row.percent_corrected], [row.accuracy] * 2, color=mark.colour, linewidth=0.7)
            axis.plot(row.percent_seed, row.accuracy, "x", color=mark.colour, markersize=5)
    for method in methods_of(plotted.loc[plotted["method"] != "none", "method"]):
        mark = method_mark(method, style)
        axis.plot([], [], mark.marker, color=mark.colour, linestyle="none", label=method)
    axis.plot([], [], "o", color="0.3", linestyle="none", label=MODELS[0])
    axis.plot([], [], "o", color="0.3", markerfacecolor="white", linestyle="none", label=MODELS[1])
    axis.plot([], [], "x", color="0.3", linestyle="none", label="% in the seed notebook")
    for value in plotted.loc[plotted["base_model"] == "ChatGPT", "accuracy"]:
        axis.axhline(value, color=REFERENCE_COLOUR, linestyle="--", linewidth=1, label=f"ChatGPT, {value:.1f} %")
    axis.set_xscale("log")
    axis.set_xticks([0.03, 0.1, 0.3, 1, 3], ["0.03", "0.1", "0.3", "1", "3"])
    axis.minorticks_off()
    axis.set(xlabel="Trainable parameters (%, log scale)", ylabel="Average accuracy (%)")
    add_legend(axis, style, "center left", columns=2, bbox_to_anchor=(1, 0.5))


def describe(plotted: pd.DataFrame) -> Description:
    """Return caption and finding."""
    sentences = []
    for model in MODELS:
        rows = plotted[plotted["base_model"] == model].set_index("method")
        best, lora = rows.loc[rows["accuracy"].idxmax()], rows.loc["LoRA"]
        ratio = lora["percent_corrected"] / best["percent_corrected"]
        sentences.append(
            f"On {model}, {best.name} has {best['accuracy'] - lora['accuracy']:+.1f} points over LoRA at 1/{ratio:.0f} "
            "of its parameters."
        )
    caption = (
        "Filled: LLaMA-7B; open: LLaMA-13B. Accuracies as the seed notebook quotes them; percentages of ReFT v3, with "
        f"a cross at the seed's where it differs by more than a twentieth."
        f"{ringed(plotted['source'], SEED)} {NO_INTERVAL} LoReFT was trained for 6 "
        "epochs, the other methods for 3."
    )
    return Description(caption, " ".join(sentences))
