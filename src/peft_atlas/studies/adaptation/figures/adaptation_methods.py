"""Every method against full fine-tuning on the target tasks, paired by seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from peft_atlas.figures.spec import Description, FigureSpec
from peft_atlas.figures.style import label_panels, rank_colours
from peft_atlas.studies.adaptation.edges import at_edge
from peft_atlas.studies.adaptation.figures.adapted_cells import budgets

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from peft_atlas.config import FigureStyle

SPEC = FigureSpec(
    name="adaptation_methods",
    title="Which methods are better or worse than full fine-tuning depends on the shift and the examples",
    section="measured",
    study="adaptation",
    order=11,
    tables=("contrasts", "summary"),
    height=0.62,
    panels=(1, 2),
)
_MARKERS = "osD^v<>"


def select(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return test accuracy less that of full fine-tuning, in percentage points, by method, shift and budget."""
    contrasts = tables["contrasts"]
    rows = contrasts[(contrasts["study"] == "adaptation") & (contrasts["question"] == "method_against_full")].copy()
    rows = rows[rows["train_examples"].isin(budgets(rows))]
    summary = tables["summary"]
    edges = at_edge(
        summary[(summary["study"] == "adaptation") & (summary["metric"] == "validation_accuracy")], "methods"
    )
    keys = zip(rows["method"], rows["shift_rank"], rows["train_examples"], strict=True)
    # A reference at an end of the grid leaves every difference from it as open as a method there.
    rows["edge"] = [bool({key, ("full", *key[1:])} & edges) for key in keys]
    for name, column in (("mean", "difference"), ("low", "low"), ("high", "high")):
        rows[name] = 100 * rows[column]
    rows["margin"] = 100 * rows["margin"]
    columns = ["method", "shift_rank", "train_examples", "mean", "low", "high", "interval", "n", "margin", "adjustment"]
    columns += ["role", "detectable", "edge"]
    return rows.assign(unit="percentage points")[[*columns, "unit", "p_adjusted", "p_equivalence"]].reset_index(
        drop=True
    )


def _order(plotted: pd.DataFrame) -> list[str]:
    """Return the methods, the best mean on top."""
    return list(plotted.groupby("method")["mean"].mean().sort_values().index)


def draw(plotted: pd.DataFrame, axes: Sequence[Axes], style: FigureStyle) -> None:
    """Draw a panel a budget, a row a method and a mark a shift, the margin of equivalence shaded."""
    methods, shifts = _order(plotted), sorted(int(rank) for rank in plotted["shift_rank"].unique())
    colours = rank_colours(shifts)
    for axis, examples in zip(axes, budgets(plotted), strict=True):
        margin = plotted["margin"].iloc[0]
        axis.axvspan(-margin, margin, color="0.5", alpha=0.15, linewidth=0)
        axis.axvline(0, color="0.35", linewidth=0.8)
        for place, shift in enumerate(shifts):
            rows = plotted[(plotted["train_examples"] == examples) & (plotted["shift_rank"] == shift)]
            y = [methods.index(method) + 0.22 * ((len(shifts) - 1) / 2 - place) for method in rows["method"]]
            marker, colour = _MARKERS[place % len(_MARKERS)], colours[shift]
            errors = [rows["mean"] - rows["low"], rows["high"] - rows["mean"]]
            axis.errorbar(rows["mean"], y, xerr=errors, fmt="none", color=colour, linewidth=1)
            for edge, face in ((False, colour), (True, "white")):
                kept = rows["edge"].to_numpy(bool) == edge
                label = None if edge else f"shift of rank {shift}"
                places = [height for height, here in zip(y, kept, strict=True) if here]
                axis.plot(
                    rows.loc[kept, "mean"],
                    places,
                    marker,
                    color=colour,
                    markerfacecolor=face,
                    markersize=3.5,
                    label=label,
                )
        axis.set_yticks(range(len(methods)), methods if axis is axes[0] or style.narrow else [""] * len(methods))
        axis.set_ylim(-0.6, len(methods) - 0.4)
        axis.set(title=f"{examples:,} examples", xlabel="Test accuracy less full (points)")
    axes[0].figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(shifts))
    label_panels(axes)


def _interval(plotted: pd.DataFrame, role: str) -> str:
    """Return the name of the intervals of the comparisons in a role."""
    names = plotted.loc[plotted["role"] == role, "interval"].dropna()
    return str(names.iloc[0]) if len(names) else "none"


def describe(plotted: pd.DataFrame) -> Description:
    """Return caption and finding."""
    sentences = []
    for examples in sorted(set(budgets(plotted))):
        rows = plotted[(plotted["train_examples"] == examples) & (plotted["method"] == "LoRA")]
        said = ", ".join(
            f"{row.mean:+.1f} [{row.low:+.1f}, {row.high:+.1f}] at rank {row.shift_rank}"
            for row in rows.sort_values("shift_rank").itertuples()
        )
        sentences.append(f"With {examples:,} examples LoRA differs from full fine-tuning by {said} points.")
    caption = (
        "Test accuracy less that of full fine-tuning, each at the learning rate that validation chose from one grid. "
        f"Means over {int(plotted['n'].max())} seeds. Bars of LoRA, the primary comparison: "
        f"{_interval(plotted, 'primary')}; of the other methods: {_interval(plotted, 'exploratory')} on a target task. "
        "Open marks: the rate of the method or of full fine-tuning is an end of the grid, so nothing is concluded from "
        f"them. Shaded: within ±{plotted['margin'].iloc[0]:g} point, which counts as equivalent. Methods in order of "
        "their mean."
    )
    return Description(caption, " ".join(sentences))
