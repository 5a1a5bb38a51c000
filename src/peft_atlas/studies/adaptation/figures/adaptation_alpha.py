"""LoRA over alpha with the learning rate tuned for each and with one rate for all, under both scalings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from peft_atlas.figures.spec import Description, FigureSpec
from peft_atlas.figures.style import label_panels, rank_colours
from peft_atlas.studies.adaptation.edges import common_rates
from peft_atlas.studies.adaptation.figures.adapted_cells import cells, interval_text

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from peft_atlas.config import FigureStyle

SPEC = FigureSpec(
    name="adaptation_alpha",
    title="Tuning the learning rate removes much of alpha's effect",
    section="measured",
    study="adaptation",
    order=12,
    tables=("summary",),
    height=0.42,
    panels=(1, 3),
    exact_panels=(2,),
)
TUNED, FIXED = "rate tuned for each alpha", "one rate for all"
_LINES = ("-", "--")


def select(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return validation accuracy by alpha, rank and scaling: at the chosen rate, and at the grid's middle one."""
    import pandas as pd

    summary = tables["summary"]
    every = cells(summary, "alphas", "validation_accuracy", chosen=False)
    alphas = summary[(summary["study"] == "adaptation") & (summary["experiment"] == "alphas")]
    rates = common_rates(alphas[alphas["metric"] == "validation_accuracy"])
    chosen = cells(summary, "alphas", "validation_accuracy").assign(protocol=TUNED)
    fixed = every[every["learning_rate"] == rates[len(rates) // 2]].assign(protocol=FIXED)
    return pd.concat([chosen, fixed], ignore_index=True)


def draw(plotted: pd.DataFrame, axes: Sequence[Axes], style: FigureStyle) -> None:
    """Draw accuracy with tuned rates, accuracy at one rate on the same scale, and the rate that was chosen."""
    ranks = sorted(int(rank) for rank in plotted["rank"].unique())
    colours = rank_colours(ranks)
    for axis, protocol in zip(axes, (TUNED, FIXED), strict=False):
        for (rule, rank), line in plotted[plotted["protocol"] == protocol].groupby(["setting", "rank"], sort=True):
            line = line.sort_values("alpha")
            errors = [line["mean"] - line["low"], line["high"] - line["mean"]]
            axis.errorbar(
                line["alpha"],
                line["mean"],
                yerr=errors,
                marker="o" if rule == "alpha / r" else "s",
                linestyle=_LINES[rule != "alpha / r"],
                color=colours[rank],
                markersize=3,
                label=f"r = {rank}, {_greek(str(rule))}",
            )
        axis.set(title=protocol.capitalize(), ylabel="Validation accuracy (%)")
    low, high = plotted["low"].min(), plotted["high"].max()
    for axis in axes[:2]:
        axis.set_ylim(low - 1, high + 1)
    chosen = plotted[plotted["protocol"] == TUNED]
    for (rule, rank), line in chosen.groupby(["setting", "rank"], sort=True):
        line = line.sort_values("alpha")
        marker = "o" if rule == "alpha / r" else "s"
        style_ = _LINES[rule != "alpha / r"]
        axes[2].plot(line["alpha"], line["learning_rate"], marker, linestyle=style_, color=colours[rank], markersize=4)
    axes[2].set_yscale("log")
    axes[2].set(title="Chosen learning rate", ylabel="Learning rate (log scale)")
    for axis in axes:
        axis.set_xscale("log", base=2)
        alphas = sorted(plotted["alpha"].unique())
        axis.set_xticks(alphas, [f"{alpha:g}" for alpha in alphas])
        axis.set_xlabel("α (log scale)")
    axes[0].figure.legend(
        *axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2 if style.narrow else 4
    )
    label_panels(axes)


def _greek(rule: str) -> str:
    return rule.replace("alpha / sqrt(r)", "α/√r").replace("alpha / r", "α/r")


def describe(plotted: pd.DataFrame) -> Description:
    """Return caption and finding."""
    spans = {}
    for protocol in (TUNED, FIXED):
        rows = plotted[plotted["protocol"] == protocol].groupby(["setting", "rank"])["mean"]
        spans[protocol] = float((rows.max() - rows.min()).max())
    fixed = plotted.loc[plotted["protocol"] == FIXED, "learning_rate"].iloc[0]
    tuned = plotted[plotted["protocol"] == TUNED]
    rates = tuned.groupby("alpha")["learning_rate"].median()
    first = plotted.iloc[0]
    finding = (
        f"Between the alphas mean accuracy differs by at most {spans[TUNED]:.1f} points where the rate is tuned for "
        f"each, by up to {spans[FIXED]:.1f} where all share the rate {fixed:g}. The chosen rate, in the median, is "
        f"{rates.iloc[0]:g} at α = {rates.index[0]:g} and {rates.iloc[-1]:g} at α = {rates.index[-1]:g}."
    )
    caption = (
        f"LoRA on a shift of rank {first['shift_rank']} with {first['train_examples']:,} examples. "
        f"{interval_text(plotted)} Validation, since test is read at the chosen rates alone; the best of several rates "
        "is slightly optimistic, equally for every alpha. A scaling of α/√r at one rank is α/r at another alpha."
    )
    return Description(caption, finding)
