"""Test accuracy over the rank of LoRA and DoRA on the encoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from peft_atlas.figures.spec import Description, FigureSpec
from peft_atlas.figures.style import FULL_COLOUR, method_mark
from peft_atlas.studies.encoder.figures.encoder_cells import chosen_means, encoder_rows, in_percent, say_nothing

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from peft_atlas.config import FigureStyle

SPEC = FigureSpec(
    name="encoder_ranks",
    title="Test accuracy over the rank, on a pretrained encoder",
    section="measured",
    study="encoder",
    order=23,
    tables=("summary",),
    width="one_column",
    height=0.85,
)
_NOTHING = "No rank curve in this run: it takes LoRA or DoRA and several ranks."


def select(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the rank curves, with the rank of all other runs, and full fine-tuning, in percent."""
    import pandas as pd

    rows = encoder_rows(tables["summary"])
    final = (rows["metric"] == "test_accuracy") & (rows["epoch"] == rows["epochs"])
    varied = in_percent(rows[final & (rows["experiment"] == "ranks")])
    chosen = chosen_means(tables["summary"])
    chosen = chosen[chosen["task"].isin(varied["task"])]
    usual = chosen[chosen["name"].isin(varied["name"])]
    plotted = pd.concat([varied, usual, chosen[chosen["name"] == "full"]], ignore_index=True)
    columns = ["task", "name", "method", "rank", "alpha", "learning_rate", "mean", "low", "high", "interval", "n_ok"]
    return plotted[columns].sort_values(["name", "rank"], ignore_index=True)


def draw(plotted: pd.DataFrame, axes: Sequence[Axes], style: FigureStyle) -> None:
    """Draw a line a method and full fine-tuning as a band."""
    axis = axes[0]
    if plotted.empty:
        say_nothing(axis, _NOTHING)
        return
    curves = plotted[plotted["name"] != "full"]
    for place, (method, line) in enumerate(curves.groupby("method", sort=True)):
        mark = method_mark(str(method), style)
        x = line["rank"].astype(float) * 1.05 ** (2 * place - 1)
        errors = [line["mean"] - line["low"], line["high"] - line["mean"]]
        axis.errorbar(x, line["mean"], yerr=errors, color=mark.colour, marker=mark.marker, label=method, elinewidth=0.9)
    for row in plotted[plotted["name"] == "full"].itertuples():
        axis.axhspan(row.low, row.high, color=FULL_COLOUR, alpha=0.13, linewidth=0)
        axis.axhline(row.mean, color=FULL_COLOUR, linestyle="--", linewidth=1, label="full fine-tuning")
    axis.set_xscale("log", base=2)
    ranks = sorted(curves["rank"].unique())
    axis.set_xticks([float(rank) for rank in ranks], [str(rank) for rank in ranks])
    axis.minorticks_off()
    axis.set(xlabel="Rank (log scale)", ylabel="Test accuracy (%)")
    axis.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)


def describe(plotted: pd.DataFrame) -> Description:
    """Return caption and finding."""
    if plotted.empty:
        return Description(_NOTHING, _NOTHING)
    curves = plotted[plotted["name"] != "full"]
    words = [
        f"{method} from {line['mean'].iloc[0]:.1f} % at rank {line['rank'].iloc[0]} to {line['mean'].iloc[-1]:.1f} % "
        f"at rank {line['rank'].iloc[-1]}"
        for method, line in curves.groupby("method", sort=True)
    ]
    caption = (
        f"Mean over {int(plotted['n_ok'].max())} seeds on {plotted['task'].iloc[0]}; bars and band: "
        f"{plotted['interval'].iloc[0]}. Alpha is twice the rank and the rate is the one chosen at rank 8, so that a "
        "higher rank is not helped by a rate of its own."
    )
    return Description(caption, f"Mean test accuracy goes for {', and for '.join(words)}.")
