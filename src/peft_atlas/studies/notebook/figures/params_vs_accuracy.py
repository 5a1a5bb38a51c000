"""Parameter percentage against test accuracy, rank by rank, with the full model as reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from peft_atlas.figures.spec import Description, FigureSpec
from peft_atlas.figures.style import FULL_COLOUR, rank_colours

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from peft_atlas.config import FigureStyle

SPEC = FigureSpec(
    name="params_vs_accuracy",
    title="Trainable parameters against test accuracy, by rank",
    section="measured",
    study="notebook",
    order=4,
    tables=("summary",),
    height=0.48,
    appendix=True,
)


def select(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the sweep's cells and the full model after as many epochs, accuracies in percent."""
    import pandas as pd

    summary = tables["summary"]
    tests = summary[(summary["metric"] == "test_accuracy") & (summary["task"] == "held_out")]
    sweep = tests[(tests["experiment"] == "sweep") & (tests["epoch"] == tests["epochs"])]
    full = tests[(tests["method"] == "full") & (tests["epoch"] == sweep["epochs"].max())]
    plotted = pd.concat([sweep, full], ignore_index=True)
    for column in ("mean", "low", "high"):
        plotted[column] = 100 * plotted[column]
    plotted["unit"] = "percent"
    columns = ["method", "rank", "alpha", "params_percent", "epoch", "mean", "low", "high", "unit", "interval", "n_ok"]
    return plotted[columns].sort_values(["method", "rank", "alpha"], ignore_index=True)


def draw(plotted: pd.DataFrame, axes: Sequence[Axes], style: FigureStyle) -> None:
    """Draw one group of points a rank, spread a little by alpha so that the intervals can be read."""
    axis = axes[0]
    lora, full = plotted[plotted["method"] == "LoRA"], plotted[plotted["method"] == "full"]
    colours = rank_colours(sorted(lora["rank"].unique()))
    for rank, cells in lora.groupby("rank"):
        spread = [1.035 ** (step - (len(cells) - 1) / 2) for step in range(len(cells))]
        x = cells["params_percent"].to_numpy() * spread
        errors = [cells["mean"] - cells["low"], cells["high"] - cells["mean"]]
        axis.errorbar(
            x, cells["mean"], yerr=errors, fmt="o-", color=colours[rank], markersize=3.5, linewidth=0.7, elinewidth=1
        )
    if len(full):
        row = full.iloc[0]
        axis.axhspan(row["low"], row["high"], color=FULL_COLOUR, alpha=0.15, linewidth=0)
        axis.axhline(row["mean"], color=FULL_COLOUR, linestyle="--", linewidth=1, label="full model, same epochs")
        axis.legend(loc="lower right")
    axis.set_xscale("log")
    ticks = lora.groupby("rank")["params_percent"].first()
    axis.set_xticks(ticks, [f"{tick:.3g}\nr = {rank}" for rank, tick in ticks.items()])
    axis.minorticks_off()
    axis.margins(y=0.12)
    axis.set(xlabel="Trainable parameters (% of the full model, log scale)", ylabel="Test accuracy (%)")


def describe(plotted: pd.DataFrame) -> Description:
    """Return caption and finding."""
    lora, full = plotted[plotted["method"] == "LoRA"], plotted[plotted["method"] == "full"]
    best = lora.groupby("rank")["mean"].max()
    alphas = ", ".join(f"{alpha:g}" for alpha in sorted(lora["alpha"].unique()))
    reference = f", against {full['mean'].iloc[0]:.1f} % of the full model" if len(full) else ""
    finding = (
        f"The best mean rises from {best.iloc[0]:.1f} % at r = {best.index[0]} to {best.iloc[-1]:.1f} % at "
        f"r = {best.index[-1]}{reference}."
    )
    caption = (
        f"Mean over {int(plotted['n_ok'].max())} seeds; bars and band: {plotted['interval'].iloc[0]}. Within a rank "
        f"the points are α = {alphas} from left to right, set apart for legibility; all have the percentage on the "
        "axis. The reference is the full model after as many epochs as the sweep trains."
    )
    return Description(caption, finding)
