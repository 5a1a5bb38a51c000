"""What adaptation gains on the target task and loses on the source task, by method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from peft_atlas.figures.spec import Description, FigureSpec
from peft_atlas.figures.style import label_panels, method_mark
from peft_atlas.studies.adaptation.figures.adapted_cells import budgets, cells, interval_text, middle_shift

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from peft_atlas.config import FigureStyle

SPEC = FigureSpec(
    name="adaptation_forgetting",
    title="Accuracy gained on the target task against accuracy kept on the source task",
    section="measured",
    study="adaptation",
    order=14,
    tables=("summary",),
    height=0.55,
    panels=(1, 2),
)


def select(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return accuracy on target and source by method on the middle shift, for two budgets, one row each."""
    import pandas as pd

    parts = [cells(tables["summary"], "methods", metric) for metric in ("test_accuracy", "source_accuracy")]
    rows = pd.concat(parts, ignore_index=True)
    rows = rows[(rows["shift_rank"] == middle_shift(rows)) & rows["train_examples"].isin(budgets(rows))]
    return rows.reset_index(drop=True)


def draw(plotted: pd.DataFrame, axes: Sequence[Axes], style: FigureStyle) -> None:
    """Draw a panel a budget and a mark a method, with intervals in both directions."""
    for axis, examples in zip(axes, budgets(plotted), strict=True):
        panel = plotted[plotted["train_examples"] == examples].set_index(["method", "metric"]).sort_index()
        for method in panel.index.unique("method"):
            target, source = panel.loc[(method, "test_accuracy")], panel.loc[(method, "source_accuracy")]
            mark = method_mark(str(method), style)
            axis.errorbar(
                target["mean"],
                source["mean"],
                xerr=[[target["mean"] - target["low"]], [target["high"] - target["mean"]]],
                yerr=[[source["mean"] - source["low"]], [source["high"] - source["mean"]]],
                fmt=mark.marker,
                color=mark.colour,
                markersize=5.5,
                linewidth=0.8,
                label=str(method),
            )
        axis.set(title=f"{examples:,} examples", xlabel="Test accuracy, target (%)", ylabel="Test accuracy, source (%)")
    axes[0].figure.legend(
        *axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3 if style.narrow else 5
    )
    label_panels(axes)


def describe(plotted: pd.DataFrame) -> Description:
    """Return caption and finding."""
    examples = budgets(plotted)[-1]
    rows = plotted[plotted["train_examples"] == examples]
    means = rows.pivot(index="method", columns="metric", values="mean")
    best = means["test_accuracy"].idxmax()
    gained, kept = means.loc[best, "test_accuracy"], means.loc[best, "source_accuracy"]
    finding = (
        f"With {examples:,} examples {best} reaches most on the target, {gained:.1f} %, and {kept:.1f} % on the "
        f"source, where the pretrained network has {means['source_accuracy'].max():.1f} %."
    )
    caption = (
        f"Shift of rank {plotted['shift_rank'].iloc[0]}; each method at the learning rate that validation on the "
        f"target chose. {interval_text(plotted)} The source task is what the network was pretrained on; no source "
        "example is seen again."
    )
    return Description(caption, finding)
