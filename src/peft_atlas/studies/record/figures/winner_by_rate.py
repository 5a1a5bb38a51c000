"""Accuracy of five methods over the learning rate, and the gap to LoRA that a shared rate would show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from peft_atlas.figures.spec import Description, FigureSpec
from peft_atlas.figures.style import Mark, label_panels, method_mark
from peft_atlas.studies.record.jobs import NAME

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from peft_atlas.config import FigureStyle

SPEC = FigureSpec(
    name="winner_by_rate",
    title="Who wins depends on the learning rate",
    section="published",
    study=NAME,
    order=22,
    tables=("rate_runs",),
    height=0.48,
    panels=(1, 2),
)
_LORA = "LoRA"
# Methods that no other figure shows.
_OWN = {"PiSSA": Mark("#a0522d", "H"), "MiLoRA": Mark("#4b6e00", "^"), "InitAB": Mark("#a8327e", "v")}
_INTERVAL = "95 % Student t over 3 runs"


def select(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return each method's mean at each rate with its interval, the gap to LoRA there, and which rate is its best."""
    import pandas as pd

    from peft_atlas.analysis.statistics import mean_interval
    from peft_atlas.studies.record.rates import averages, welch

    runs = averages(tables["rate_runs"])
    found = []
    for (method, rate), group in runs.groupby(["method", "learning_rate"]):
        estimate = mean_interval(group["average"], 0.95)
        found.append((method, rate, estimate.mean, estimate.low, estimate.high, estimate.n))
    rows = pd.DataFrame(found, columns=["method", "learning_rate", "mean", "low", "high", "runs"])
    lora = rows[rows["method"] == _LORA].set_index("learning_rate")["mean"]
    rows = rows.assign(gap=rows["mean"] - rows["learning_rate"].map(lora), unit="percent")
    rows["best"] = rows["mean"] == rows.groupby("method")["mean"].transform("max")
    best = rows[rows["best"]].set_index("method")["learning_rate"]
    values = {
        method: runs.loc[(runs["method"] == method) & (runs["learning_rate"] == rate), "average"]
        for method, rate in best.items()
    }
    tuned = {method: welch(values[method], values[_LORA]) for method in best.index}
    for name, end in (("tuned_gap", "size"), ("tuned_low", "low"), ("tuned_high", "high")):
        rows[name] = [getattr(tuned[method], end) for method in rows["method"]]
    return rows


def _mark(method: str, style: FigureStyle) -> Mark:
    return _OWN[method] if method in _OWN and style.palette != "grey" else method_mark(method, style)


def draw(plotted: pd.DataFrame, axes: Sequence[Axes], style: FigureStyle) -> None:
    """Draw accuracy over the rate, and each method's gaps to LoRA at shared rates and tuned."""
    left, right = axes
    for method, line in plotted.groupby("method"):
        mark = _mark(str(method), style)
        errors = [line["mean"] - line["low"], line["high"] - line["mean"]]
        left.errorbar(
            line["learning_rate"], line["mean"], yerr=errors, color=mark.colour, marker=mark.marker, markersize=3.5,
            linewidth=0.9, elinewidth=0.6, markerfacecolor="white", label=str(method),
        )  # fmt: skip
        best = line[line["best"]].iloc[0]
        left.plot(best["learning_rate"], best["mean"], mark.marker, color=mark.colour, markersize=5.5, zorder=4)
    left.set_xscale("log")
    left.set_ylim(0, None)
    left.set(xlabel="Learning rate (log scale)", ylabel="Accuracy (%)", title="Each method by rate")
    others = [method for method in dict.fromkeys(plotted["method"]) if method != _LORA]
    right.axvline(0, color="0.4", linewidth=0.8)
    for place, method in enumerate(others):
        rows = plotted[plotted["method"] == method]
        mark, first = _mark(method, style), rows.iloc[0]
        right.plot(
            rows["gap"], [place] * len(rows), mark.marker, color=mark.colour, markerfacecolor="white", markersize=3.5
        )
        error = [[first["tuned_gap"] - first["tuned_low"]], [first["tuned_high"] - first["tuned_gap"]]]
        right.errorbar([first["tuned_gap"]], [place - 0.28], xerr=error, fmt="D", color="0.15", markersize=3.5)
    right.plot([], [], "D", color="0.15", label="tuned")
    right.plot([], [], "o", color="0.3", markerfacecolor="white", label="at a shared rate")
    right.set_yticks(range(len(others)), others)
    right.set_ylim(-0.7, len(others) - 0.5)
    right.set(xlabel="Accuracy less LoRA's (points)", title="What one shared rate would say")
    right.grid(visible=False, axis="y")
    handles, labels = left.get_legend_handles_labels()
    more = right.get_legend_handles_labels()
    columns = 3 if style.narrow else 7
    left.figure.legend([*handles, *more[0]], [*labels, *more[1]], loc="outside lower center", ncols=columns)
    label_panels(axes)


def describe(plotted: pd.DataFrame) -> Description:
    """Return caption and finding."""
    best = plotted[plotted["best"]]
    winners = plotted.loc[plotted.groupby("learning_rate")["mean"].idxmax(), "method"].value_counts()
    counts = ", ".join(f"{method} at {n}" for method, n in winners.items())
    by = plotted.groupby("learning_rate")["mean"]
    spread = by.max() - by.min()
    finding = (
        f"Tuned, {len(best)} methods lie within {best['mean'].max() - best['mean'].min():.2f} points; at one shared "
        f"rate up to {spread.max():.0f} points apart. Highest by rate: {counts} of {len(spread)} rates."
    )
    caption = (
        "Lee et al., Qwen3-0.6B, rank 128, batch 64; mean of GSM8K and MATH. Filled: each method's best rate, chosen "
        f"on the scores shown. The interval is computed here: {_INTERVAL}, cut at 0; of tuned differences 95 % Welch t "
        "over runs."
    )
    return Description(caption, finding)
