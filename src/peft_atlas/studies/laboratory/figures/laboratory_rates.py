"""LoRA's best learning rate over its rank, by the rule that sets alpha."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from peft_atlas.figures.spec import Description, FigureSpec
from peft_atlas.figures.style import method_mark, rank_colours

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from peft_atlas.config import FigureStyle

SPEC = FigureSpec(
    name="laboratory_rates",
    title="Whether the best learning rate depends on the rank depends on how alpha does",
    section="measured",
    study="laboratory",
    order=40,
    tables=("best_rates",),
    height=0.55,
)
_MARKERS = "osD^"


def select(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the best rate with its interval, by rule and rank, and that of full fine-tuning."""
    table = tables["best_rates"]
    wanted = table[table["method"].isin(("LoRA", "full"))].rename(columns={"best_rate": "mean"})
    return wanted.assign(unit="learning rate").reset_index(drop=True)


def draw(plotted: pd.DataFrame, axes: Sequence[Axes], style: FigureStyle) -> None:
    """Draw a line with intervals per rule, and full fine-tuning's best rate as a band."""
    (axis,) = axes
    lora = plotted[plotted["method"] == "LoRA"]
    rules = sorted(lora["setting"].unique())
    colours = rank_colours(list(range(len(rules))))
    for place, rule in enumerate(rules):
        line = lora[lora["setting"] == rule].sort_values("rank")
        axis.errorbar(
            line["rank"].astype(float) * 2 ** (0.06 * (place - (len(rules) - 1) / 2)),
            line["mean"],
            yerr=[line["mean"] - line["low"], line["high"] - line["mean"]],
            marker=_MARKERS[place % len(_MARKERS)],
            color=colours[place],
            markersize=4,
            linewidth=1,
            label=_greek(str(rule)),
        )
    for row in plotted[plotted["method"] == "full"].itertuples():
        mark = method_mark("full", style)
        axis.axhspan(row.low, row.high, color=mark.colour, alpha=0.2, linewidth=0)
        axis.axhline(row.mean, color=mark.colour, linewidth=1, label="full fine-tuning")
    ranks = sorted(int(rank) for rank in lora["rank"].unique())
    axis.set_xscale("log", base=2)
    axis.set_xticks(ranks, [str(rank) for rank in ranks])
    axis.set_yscale("log")
    axis.set(xlabel="Rank r (log scale)", ylabel="Best learning rate (log scale)")
    axis.figure.legend(*axis.get_legend_handles_labels(), loc="outside lower center", ncols=2 if style.narrow else 5)


def _greek(rule: str) -> str:
    return (
        rule.replace("alpha", "α")
        .replace("sqrt(r)", "√r")
        .replace("α / √r", "fixed α/√r")
        .replace("α fixed", "fixed α/r")
    )


def describe(plotted: pd.DataFrame) -> Description:
    """Return caption and finding."""
    lora = plotted[plotted["method"] == "LoRA"]
    words = []
    for rule, line in lora.groupby("setting", sort=True):
        ends = line.sort_values("rank")["mean"].to_numpy()
        words.append(f"{rule} from {ends[0]:.2g} to {ends[-1]:.2g}")
    low, high = int(lora["rank"].min()), int(lora["rank"].max())
    full = plotted.loc[plotted["method"] == "full", "mean"]
    more = f" That of full fine-tuning is {full.iloc[0]:.2g}." if len(full) else ""
    finding = f"From r = {low} to r = {high} LoRA's best rate goes, with {', with '.join(words)}.{more}"
    caption = (
        "Best rate of each seed at the top of a parabola through the rates around its best one on validation; "
        f"geometric means over {int(plotted['n'].max())} seeds; bars and band: {plotted['interval'].iloc[0]}. "
        "Without a rank in alpha, alpha is fixed. A full-rank shift with decaying spectrum, LoRA on the layer that was "
        "shifted."
    )
    return Description(caption, finding)
