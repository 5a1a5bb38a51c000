"""Trainable parameters against accuracy: measured on the encoder, next to the published LLaMA points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from peft_atlas.figures.spec import Description, FigureSpec
from peft_atlas.figures.style import FULL_COLOUR, label_panels, method_mark
from peft_atlas.studies.encoder.figures.encoder_cells import (
    chosen_means,
    face,
    make_room,
    names_in_order,
    tasks_in_order,
)
from peft_atlas.studies.encoder.packaged import task_in_short
from peft_atlas.studies.literature.families import COMMONSENSE
from peft_atlas.studies.literature.scores import scores

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from peft_atlas.config import FigureStyle

SPEC = FigureSpec(
    name="encoder_params",
    title="Trainable parameters against accuracy on a pretrained encoder, next to the published points",
    section="measured",
    study="encoder",
    order=20,
    tables=("summary", "published"),
    height=0.6,
    panels=(1, 2),
    exact_panels=(1,),
)
# The model of the published points.
BASE_MODEL = "LLaMA-7B"
# Lines of the legend at the usual height, across a page and in one column.
_LEGEND_LINES = {False: 4, True: 12}
_MEASURED, _PUBLISHED = "measured", "published"


def select(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the main task's methods with intervals, and what ReFT v3 prints for LLaMA-7B, which has none."""
    import pandas as pd

    means = chosen_means(tables["summary"])
    measured = means[means["task"] == tasks_in_order(means)[0]].assign(panel=_MEASURED)
    printed = scores(tables["published"])
    printed = printed[(printed["base_model"] == BASE_MODEL) & (printed["family"] == COMMONSENSE)]
    printed = pd.DataFrame(
        {
            "panel": _PUBLISHED,
            "task": COMMONSENSE,
            "name": printed["method"],
            "method": printed["method"],
            "params_percent": printed["percent"].astype(float),
            "published": printed["accuracy"].astype(float),
        }
    )
    columns = ["panel", "task", "name", "method", "params_percent", "mean", "low", "high", "interval", "n_ok"]
    both = pd.concat([measured[columns], printed], ignore_index=True)
    return both.sort_values(["panel", "params_percent"], ignore_index=True)


def draw(plotted: pd.DataFrame, axes: Sequence[Axes], style: FigureStyle) -> None:
    """Draw one panel a source, full fine-tuning as a band, and one legend for both."""
    measured = plotted[plotted["panel"] == _MEASURED]
    full, others = measured[measured["name"] == "full"], measured[measured["name"] != "full"]
    marks = names_in_order(others["name"].tolist(), style)
    for row in others.itertuples():
        errors = [[row.mean - row.low], [row.high - row.mean]]
        mark = marks[row.name]
        axes[0].errorbar(
            row.params_percent, row.mean, yerr=errors, linestyle="none", elinewidth=0.9, **face(row.name, mark)
        )
    for row in full.itertuples():
        axes[0].axhspan(row.low, row.high, color=FULL_COLOUR, alpha=0.13, linewidth=0)
        axes[0].axhline(row.mean, color=FULL_COLOUR, linestyle="--", linewidth=1)
    for row in plotted[plotted["panel"] == _PUBLISHED].itertuples():
        mark = method_mark(row.method, style)
        axes[1].plot(row.params_percent, row.published, mark.marker, color=mark.colour)
    axes[0].set(title=f"Measured, {task_in_short(measured['task'].iloc[0])}", ylabel="Test accuracy (%)")
    axes[1].set(title=f"Published, {BASE_MODEL}", ylabel="Average accuracy (%)")
    for axis in axes:
        axis.set_xscale("log")
        axis.set_xlabel("Trainable parameters (% of the model, log scale)")
    _legend(axes[0], plotted, style)
    label_panels(axes)


def _legend(axis: Axes, plotted: pd.DataFrame, style: FigureStyle) -> None:
    """Write one legend below both panels."""
    from matplotlib.lines import Line2D

    names = [name for name in dict.fromkeys(plotted.sort_values("name")["name"]) if name != "full"]
    marks = names_in_order(names, style)
    handles = [Line2D([], [], linestyle="none", label=name, **face(name, marks[name])) for name in names]
    handles.append(Line2D([], [], color=FULL_COLOUR, linestyle="--", linewidth=1, label="full fine-tuning"))
    columns = 2 if style.narrow else 6
    make_room([axis], -(-len(handles) // columns), _LEGEND_LINES[style.narrow], style)
    axis.figure.legend(handles=handles, loc="outside lower center", ncols=columns, columnspacing=1.2, handletextpad=0.4)


def describe(plotted: pd.DataFrame) -> Description:
    """Return caption and finding."""
    measured = plotted[plotted["panel"] == _MEASURED]
    adapted = measured[~measured["name"].isin(["full", "head only"])]
    shares, means = adapted["params_percent"], adapted["mean"]
    finding = "This run trains no method of a small part."
    if len(adapted):
        finding = (
            f"Settings that train {shares.min():.2f} to {shares.max():.2f} % of the parameters have means within "
            f"{means.max() - means.min():.1f} points of each other."
        )
    least, most = int(measured["n_ok"].min()), int(measured["n_ok"].max())
    seeds = f"{least} to {most}" if least < most else f"{most}"
    caption = (
        f"a: mean test accuracy on {task_in_short(measured['task'].iloc[0])} over {seeds} seeds, each method at "
        "its tuned rate, the head counted in; full and the prespecified method on all test texts, the others on as "
        f"many or fewer; bars, band: {measured['interval'].iloc[0]}. b: average over eight commonsense tasks as ReFT "
        f"v3 prints it for {BASE_MODEL}; no interval is printed."
    )
    return Description(caption, finding)
