"""Accuracy over the rank of LoRA on the encoder, with a learning rate tuned at each rank."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from peft_atlas.analysis.statistics import proportion_interval
from peft_atlas.figures.spec import Description, FigureSpec
from peft_atlas.figures.style import FULL_COLOUR, label_panels, method_mark
from peft_atlas.studies.encoder.contrasts import rank_runs
from peft_atlas.studies.encoder.figures.encoder_cells import (
    chosen_means,
    confidence_of,
    encoder_rows,
    in_percent,
    say_nothing,
)
from peft_atlas.studies.encoder.packaged import task_in_short

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from peft_atlas.config import FigureStyle

SPEC = FigureSpec(
    name="encoder_ranks",
    title="Accuracy over rank and learning rate, on a pretrained encoder",
    section="measured",
    study="encoder",
    order=23,
    tables=("runs", "summary"),
    height=0.5,
    panels=(1, 2),
)
_TRIED, _TUNED, _FULL = "validation, every rate", "test, tuned rate", "full"
_NOTHING = "No rank curve in this run: it takes LoRA and several ranks."


def select(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return validation accuracy of every rank and rate, test accuracy at the tuned rates, and full fine-tuning."""
    import pandas as pd

    level = confidence_of(tables["summary"])
    curve = rank_runs(encoder_rows(tables["runs"]), level)
    curve = curve[curve["validation_accuracy"].notna() & (curve["status"] != "stopped")]
    texts = zip(curve["validation_accuracy"].astype(float), curve["validation_examples"], strict=True)
    ends = [proportion_interval(share, int(n), level) for share, n in texts]
    tried = curve.assign(
        panel=_TRIED,
        mean=curve["validation_accuracy"].astype(float),
        low=[low for low, _ in ends],
        high=[high for _, high in ends],
        interval=f"{100 * level:g} % Wilson over validation texts",
    )
    rows = encoder_rows(tables["summary"])
    final = (rows["metric"] == "test_accuracy") & (rows["epoch"] == rows["epochs"]) & rows["mean"].notna()
    varied = in_percent(rows[final & (rows["experiment"] == "ranks")])
    chosen = chosen_means(tables["summary"])
    chosen = chosen[chosen["task"].isin(varied["task"])]
    usual = chosen[chosen["name"].isin(varied["name"])]
    tuned = pd.concat([varied, usual]).assign(panel=_TUNED)
    full = chosen[chosen["name"] == "full"].assign(panel=_FULL)
    plotted = pd.concat([in_percent(tried), tuned, full], ignore_index=True)
    columns = ["panel", "task", "name", "method", "rank", "alpha", "learning_rate", "selected", "mean", "low", "high"]
    return plotted[[*columns, "interval", "n_ok"]].sort_values(["panel", "rank", "learning_rate"], ignore_index=True)


def draw(plotted: pd.DataFrame, axes: Sequence[Axes], style: FigureStyle) -> None:
    """Draw a line per rank over the rate, and the tuned ranks with full fine-tuning as a band."""
    if not (plotted["panel"] == _TUNED).any():
        say_nothing(axes[0], _NOTHING)
        axes[1].remove()
        return
    _draw_rates(plotted[plotted["panel"] == _TRIED], axes[0], style)
    _draw_ranks(plotted, axes[1], style)
    label_panels(axes)


def _draw_rates(tried: pd.DataFrame, axis: Axes, style: FigureStyle) -> None:
    mark = method_mark(str(tried["method"].iloc[0]), style)
    for place, (rank, line) in enumerate(tried.groupby("rank", sort=True)):
        dashes, filled = ("-", "--", ":", "-.")[place % 4], ("white", mark.colour, "0.75")[place % 3]
        options = {"marker": mark.marker, "linestyle": dashes, "color": mark.colour, "markerfacecolor": filled}
        # Set apart a little, so that the intervals of ranks with the same rates can be read.
        line = line.assign(learning_rate=line["learning_rate"] * 1.05 ** (place - 1))
        errors = [line["mean"] - line["low"], line["high"] - line["mean"]]
        axis.errorbar(line["learning_rate"], line["mean"], yerr=errors, label=f"r = {rank}", elinewidth=0.6, **options)
        chosen = line[line["selected"].fillna(value=False).astype(bool)]
        axis.plot(chosen["learning_rate"], chosen["mean"], "o", color="none", markeredgecolor="black", markersize=9)
    rates = sorted(set(tried["learning_rate"]))
    axis.set_xscale("log")
    axis.set_xticks(rates, [f"{rate:g}" for rate in rates])
    axis.minorticks_off()
    axis.set(xlabel="Learning rate (log scale)", ylabel="Validation accuracy (%)")
    axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=3)


def _draw_ranks(plotted: pd.DataFrame, axis: Axes, style: FigureStyle) -> None:
    tuned = plotted[plotted["panel"] == _TUNED]
    mark, ranks = method_mark(str(tuned["method"].iloc[0]), style), tuned["rank"].astype(float)
    errors = [tuned["mean"] - tuned["low"], tuned["high"] - tuned["mean"]]
    look = {"color": mark.colour, "marker": mark.marker, "elinewidth": 0.9}
    axis.errorbar(ranks, tuned["mean"], yerr=errors, label=str(tuned["name"].iloc[0]), **look)
    for row in plotted[plotted["panel"] == _FULL].itertuples():
        axis.axhspan(row.low, row.high, color=FULL_COLOUR, alpha=0.13, linewidth=0)
        axis.axhline(row.mean, color=FULL_COLOUR, linestyle="--", linewidth=1, label="full fine-tuning")
    axis.set_xscale("log", base=2)
    axis.set_xticks(list(ranks), [str(int(rank)) for rank in ranks])
    axis.minorticks_off()
    axis.set(xlabel="Rank (log scale)", ylabel="Test accuracy (%)")
    axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2)


def _interval(plotted: pd.DataFrame, panel: str) -> str:
    """Return the name of the interval that a panel draws."""
    return str(plotted.loc[plotted["panel"] == panel, "interval"].iloc[0])


def describe(plotted: pd.DataFrame) -> Description:
    """Return caption and finding."""
    tuned = plotted[plotted["panel"] == _TUNED]
    if tuned.empty:
        return Description(_NOTHING, _NOTHING)
    words = ", ".join(f"{row.mean:.1f} % at rank {row.rank}" for row in tuned.itertuples())
    seeds, task = int(tuned["n_ok"].min()), task_in_short(tuned["task"].iloc[0])
    caption = (
        "a: validation accuracy of every rank at the rates trained to the end, a point per run; rings mark "
        f"the chosen rates, bars are {_interval(plotted, _TRIED)}, and points of one rate are set apart. b: mean test "
        f"accuracy over {seeds} seeds (full: {int(plotted['n_ok'].max())}, on as many test texts or more) on {task}, "
        f"each rank at its own rate, alpha twice the rank; bars and band: {tuned['interval'].iloc[0]}."
    )
    return Description(caption, f"With a rate tuned at each rank, {tuned['name'].iloc[0]} reaches {words}.")
