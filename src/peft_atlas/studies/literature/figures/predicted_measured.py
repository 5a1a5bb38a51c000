"""Predicted against measured peaks of training memory, by source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import TYPE_CHECKING, Any

from peft_atlas.figures.spec import Description, FigureSpec
from peft_atlas.figures.style import REFERENCE_COLOUR, as_grey, label_panels

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from peft_atlas.config import FigureStyle

SPEC = FigureSpec(
    name="predicted_measured",
    title="Predicted against measured peaks of training memory",
    section="memory",
    study="literature",
    order=1,
    tables=("predictions",),
    height=0.5,
    panels=(1, 2),
    narrow_height=2.1,
)
_BAND, _FAR = 0.1, 0.2
# Colours that stay apart in common colour-vision deficiencies (Okabe and Ito). One marker more than colours, so that a
# source beyond them has a colour again but another marker.
_COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#999999")
_MARKERS = ("o", "s", "^", "D", "v", "P", "h", "<")
_OUT_OF_MEMORY, _IMPOSSIBLE = "ran out of memory, at the card's memory", "a printed peak that cannot hold"


def select(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the predicted runs that print a peak or ran out of memory on a known card, the largest source first."""
    rows = tables["predictions"]
    lost = rows["out_of_memory"].fillna(value=False) & rows["card_gb"].notna()
    rows = rows[rows["predicted_gb"].notna() & (rows["measured_gb"].notna() | lost)]
    rows = rows.assign(kind="peak", runs=rows.groupby("source")["record"].transform("size"))
    rows.loc[rows["finding"].notna(), "kind"] = "impossible"
    rows.loc[rows["measured_gb"].isna(), "kind"] = "out of memory"
    columns = ["source", "record", "model", "method", "setting", "kind", "predicted_gb", "low_gb", "high_gb"]
    columns += ["measured_gb", "card_gb", "verdict", "relative_error", "finding"]
    rows = rows.sort_values(["runs", "source", "record"], ascending=[False, True, True], kind="stable")
    return rows[columns].reset_index(drop=True)


def draw(plotted: pd.DataFrame, axes: Sequence[Axes], style: FigureStyle) -> None:
    """Draw peaks against the identity line with its 10 % band, and the errors of each source."""
    peaks = plotted[plotted["kind"] == "peak"]
    sources = list(dict.fromkeys(peaks["source"]))
    marks = marks_of(sources, style)
    _draw_peaks(axes[0], plotted, marks)
    _draw_errors(axes[1], peaks, marks)
    axes[0].figure.legend(
        *axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=1 if style.narrow else 3
    )
    label_panels(axes)


def marks_of(sources: Sequence[str], style: FigureStyle) -> dict[str, tuple[str, str]]:
    """Return a colour and a marker for each source, in the order of the sources."""
    chosen = zip(sources, cycle(_COLOURS), cycle(_MARKERS), strict=False)
    return {name: (as_grey(colour) if style.palette == "grey" else colour, marker) for name, colour, marker in chosen}


def _draw_peaks(axis: Axes, plotted: pd.DataFrame, marks: Mapping[str, tuple[str, str]]) -> None:
    """Draw each run with its interval, on log axes."""
    peaks = plotted[plotted["kind"] == "peak"]
    low, high = 0.8 * peaks["measured_gb"].min(), 1.25 * max(plotted["predicted_gb"].max(), peaks["measured_gb"].max())
    ends = [low, high]
    axis.fill_between(ends, [(1 - _BAND) * x for x in ends], [(1 + _BAND) * x for x in ends], color="0.9", zorder=0)
    axis.plot(ends, ends, color="0.4", linewidth=0.9, zorder=1)
    for source, rows in peaks.groupby("source", sort=False):
        colour, marker = marks[str(source)]
        axis.vlines(rows["measured_gb"], rows["low_gb"], rows["high_gb"], color=colour, linewidth=0.6, alpha=0.5)
        axis.plot(
            rows["measured_gb"], rows["predicted_gb"], marker, color=colour, markersize=4, linestyle="none",
            markerfacecolor="none", label=source,
        )  # fmt: skip
    for kind, column, marker, name in (
        ("out of memory", "card_gb", ">", _OUT_OF_MEMORY),
        ("impossible", "measured_gb", "x", _IMPOSSIBLE),
    ):
        rows = plotted[plotted["kind"] == kind]
        if len(rows):
            axis.plot(
                rows[column], rows["predicted_gb"], marker, color=REFERENCE_COLOUR, markersize=4.5, linestyle="none",
                markerfacecolor="none", label=name,
            )  # fmt: skip
    axis.set(xscale="log", yscale="log", xlim=ends, ylim=ends, xlabel="Measured peak (GB)", title="Peaks, log scales")
    axis.set_ylabel("Predicted peak (GB)")
    ticks = [size for size in (2, 5, 10, 20, 50, 100) if low <= size <= high]
    axis.set_xticks(ticks, list(map(str, ticks)))
    axis.set_yticks(ticks, list(map(str, ticks)))
    axis.minorticks_off()


def _draw_errors(axis: Axes, peaks: pd.DataFrame, marks: Mapping[str, tuple[str, str]]) -> None:
    """Draw the errors of each source in a row of its own, and their median as a bar."""
    axis.axvspan(-100 * _BAND, 100 * _BAND, color="0.9", zorder=0)
    axis.axvline(0, color="0.4", linewidth=0.9, zorder=1)
    for place, (source, rows) in enumerate(peaks.groupby("source", sort=False)):
        colour, marker = marks[str(source)]
        errors = 100 * rows["relative_error"]
        axis.plot(
            errors, [place] * len(errors), marker, color=colour, markersize=4, linestyle="none", markerfacecolor="none"
        )
        axis.plot([errors.median()] * 2, [place - 0.3, place + 0.3], color="0.1", linewidth=1.6)
    names = [f"{_short(source)} ({len(rows)})" for source, rows in peaks.groupby("source", sort=False)]
    axis.set_yticks(range(len(names)), names)
    axis.set_ylim(len(names) - 0.4, -0.6)
    axis.grid(visible=False, axis="y")
    axis.set(xlabel="Predicted less measured (%)", title="Errors (runs), bar: median")


def _short(source: Any) -> str:
    """Return a source's name as it is written at an axis."""
    return str(source).removeprefix("TRL runs of ")


def describe(plotted: pd.DataFrame) -> Description:
    """Return caption and finding."""
    peaks = plotted[plotted["kind"] == "peak"]
    errors = peaks["relative_error"].abs()
    lost = plotted[plotted["kind"] == "out of memory"]
    wrong = int((lost["verdict"] == "fits").sum())
    finding = (
        f"The median error of the predicted peak is {100 * errors.median():.1f} % over {len(peaks)} measured runs of "
        f"{peaks['source'].nunique()} sources, and {100 * (errors <= _FAR).mean():.1f} % of them are within "
        f"{100 * _FAR:.0f} %; of {len(lost)} runs that ran out of memory on a known card, {wrong or 'none'} "
        f"{'are' if wrong > 1 else 'is'} said to fit."
    )
    impossible = int((plotted["kind"] == "impossible").sum())
    caption = (
        f"Line: equal; band: {100 * _BAND:.0f} %. Thin lines: 90 % interval from the errors on all other sources. "
        "Nothing was fitted to the source that is predicted. Each mark is one run, without an interval of its own. "
        f"{impossible} printed peaks are below weights, gradients and moments of the "
        "setting that their source states; they are in no number here."
    )
    return Description(caption, finding)
