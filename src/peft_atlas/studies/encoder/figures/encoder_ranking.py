"""Published against measured accuracy of the methods that both have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from peft_atlas.analysis.statistics import interval_name, mean_interval
from peft_atlas.figures.spec import Description, FigureSpec
from peft_atlas.figures.style import method_mark
from peft_atlas.studies.encoder.figures.encoder_cells import encoder_rows, say_nothing
from peft_atlas.studies.encoder.ranking import BASE_MODEL, common_methods, rank_correlation

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from peft_atlas.config import FigureStyle

SPEC = FigureSpec(
    name="encoder_ranking",
    title="Published against measured accuracy, method by method",
    section="measured",
    study="encoder",
    order=25,
    tables=("runs", "published"),
    width="one_column",
    height=1.0,
)
_LEVEL = 0.95
_NOTHING = "No method of this run is among the published ones."


def select(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the methods that both have, with the rank correlation of each row's seeds beside them."""
    import pandas as pd

    common = common_methods(encoder_rows(tables["runs"]), tables["published"])
    correlation = rank_correlation(common, _LEVEL)
    rows = []
    for method, part in common.groupby("method", sort=True):
        estimate = mean_interval(100 * part["test_accuracy"].to_numpy(dtype=float), _LEVEL)
        rows.append(
            {
                "task": part["task"].iloc[0],
                "method": method,
                "published": float(part["published"].iloc[0]),
                "mean": estimate.mean,
                "low": estimate.low,
                "high": estimate.high,
                "interval": interval_name(_LEVEL),
                "n": estimate.n,
                "correlation": correlation.mean,
                "correlation_low": correlation.low,
                "correlation_high": correlation.high,
            }
        )
    return pd.DataFrame(rows)


def draw(plotted: pd.DataFrame, axes: Sequence[Axes], style: FigureStyle) -> None:
    """Draw a point a method."""
    axis = axes[0]
    if plotted.empty:
        say_nothing(axis, _NOTHING)
        return
    for row in plotted.itertuples():
        mark = method_mark(row.method, style)
        errors = [[row.mean - row.low], [row.high - row.mean]]
        axis.errorbar(
            row.published, row.mean, yerr=errors, color=mark.colour, marker=mark.marker, linestyle="none",
            label=row.method, elinewidth=0.9,
        )  # fmt: skip
    axis.set(
        xlabel=f"Published average, {BASE_MODEL} (%)", ylabel=f"Measured test accuracy, {plotted['task'].iloc[0]} (%)"
    )
    axis.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, handletextpad=0.4, columnspacing=1)


def describe(plotted: pd.DataFrame) -> Description:
    """Return caption and finding."""
    if plotted.empty:
        return Description(_NOTHING, _NOTHING)
    first = plotted.iloc[0]
    if first["correlation"] is None or first["correlation"] != first["correlation"]:
        found = ", ".join(plotted["method"])
        finding = f"Of the published methods this run holds {found} alone: too few for a rank correlation."
    else:
        finding = (
            f"Spearman's correlation of the two over {len(plotted)} methods is {first['correlation']:+.2f} "
            f"[{first['correlation_low']:+.2f}, {first['correlation_high']:+.2f}]."
        )
    caption = (
        f"Published: commonsense average of ReFT v3, which prints no interval. Measured: mean over {int(first['n'])} "
        f"seeds; bars, and the brackets of the correlation: {first['interval']}. LoRA and DoRA stand on query, key and "
        "value here, on more modules there."
    )
    return Description(caption, finding)
