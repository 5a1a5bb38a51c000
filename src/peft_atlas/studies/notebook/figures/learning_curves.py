"""Training loss and test accuracy of the full model and LoRA, epoch by epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from peft_atlas.figures.spec import Description, FigureSpec
from peft_atlas.figures.style import label_panels, method_mark

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from peft_atlas.config import FigureStyle

SPEC = FigureSpec(
    name="learning_curves",
    title="The full model overfits; LoRA catches up with it",
    section="measured",
    study="notebook",
    order=1,
    tables=("summary",),
    height=0.36,
    panels=(1, 3),
    narrow_height=1.6,
)
_PANELS = (
    ("held_out", "train_loss", "Training loss"),
    ("held_out", "test_accuracy", "Test, held out"),
    ("as_published", "test_accuracy", "Test, as published"),
)


def select(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return mean and interval of each panel's metric, by method and epoch; accuracies in percent."""
    summary = tables["summary"]
    rows = summary[(summary["study"] == "notebook") & (summary["experiment"] == "baseline")]
    wanted = [rows[(rows["task"] == task) & (rows["metric"] == metric)] for task, metric, _ in _PANELS]
    import pandas as pd

    plotted = pd.concat(wanted, ignore_index=True)
    percent = plotted["unit"].eq("fraction")
    for column in ("mean", "low", "high"):
        plotted.loc[percent, column] *= 100
    plotted.loc[percent, "unit"] = "percent"
    columns = ["task", "metric", "unit", "method", "rank", "alpha", "epoch", "mean", "low", "high", "interval", "n_ok"]
    return plotted[columns]


def draw(plotted: pd.DataFrame, axes: Sequence[Axes], style: FigureStyle) -> None:
    """Draw one panel a metric, a line with its band a method, on the same accuracy axis in both protocols."""
    from matplotlib.ticker import MaxNLocator

    for axis, (task, metric, title) in zip(axes, _PANELS, strict=True):
        panel = plotted[(plotted["task"] == task) & (plotted["metric"] == metric)]
        for method, line in panel.groupby("method", sort=False):
            mark = method_mark(str(method), style)
            axis.fill_between(line["epoch"], line["low"], line["high"], color=mark.colour, alpha=0.2, linewidth=0)
            label = "full model" if method == "full" else _lora_label(line)
            axis.plot(line["epoch"], line["mean"], color=mark.colour, marker=mark.marker, markersize=3, label=label)
        axis.set(title=title, xlabel="Epoch", ylabel="Loss (nats)" if metric == "train_loss" else "Accuracy (%)")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        if metric == "test_accuracy":
            axis.axhline(50, color="0.4", linewidth=0.8, linestyle=":", label="chance")
            axis.set_ylim(min(45, plotted.loc[plotted["unit"] == "percent", "low"].min() - 2), 100)
    axes[0].set_ylim(bottom=0)
    axes[1].legend(loc="upper left")
    label_panels(axes)


def _lora_label(line: pd.DataFrame) -> str:
    first = line.iloc[0]
    return f"LoRA, r = {first['rank']}, α = {first['alpha']:g}"


def describe(plotted: pd.DataFrame) -> Description:
    """Return caption and finding."""
    tests = plotted[plotted["metric"] == "test_accuracy"]
    value = tests[tests["epoch"] == tests["epoch"].max()].set_index(["task", "method"])["mean"]
    held_out = tests[tests["task"] == "held_out"]
    best = held_out.loc[held_out.groupby("method")["mean"].idxmax()].set_index("method")
    finding = (
        f"On held-out data the full model is best after epoch {best.loc['full', 'epoch']} "
        f"({best.loc['full', 'mean']:.1f} %) and LoRA after epoch {best.loc['LoRA', 'epoch']} "
        f"({best.loc['LoRA', 'mean']:.1f} %); after the last they reach {value['held_out', 'full']:.1f} and "
        f"{value['held_out', 'LoRA']:.1f} %. On the notebook's own test rows the same runs reach "
        f"{value['as_published', 'full']:.1f} and {value['as_published', 'LoRA']:.1f} %; chance is 50 %."
    )
    n = int(plotted["n_ok"].max())
    caption = (
        f"Mean over {n} seeds; bands: {plotted['interval'].iloc[0]}. Both methods of a seed start from the same "
        "base and see the same batches. Panels b and c judge the same training: b on held-out examples of the "
        "training set's teacher, c on the notebook's rows, which repeat training inputs under another teacher."
    )
    return Description(caption, finding)
