"""Accuracy against parameters by base model and family of tasks, with the methods that another one dominates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from peft_atlas.figures.panels import panels_for
from peft_atlas.figures.spec import Description, FigureSpec
from peft_atlas.figures.style import label_panels, method_mark
from peft_atlas.studies.literature.figures.printed import (
    CORRECTED,
    NO_INTERVAL,
    families_of,
    in_order,
    methods_of,
    models_of,
    percent_limits,
    ring,
    ringed,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from peft_atlas.config import FigureStyle

SPEC = FigureSpec(
    name="pareto_fronts",
    title="Pareto fronts of accuracy and trainable parameters",
    section="published",
    study="literature",
    order=7,
    tables=("published",),
    height=0.78,
    panels=(2, 2),
    narrow_height=2.5,
)
_FRONT = "0.45"


def select(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return percentage and accuracy of each method with what dominates it, by model and family."""
    from peft_atlas.studies.literature.scores import scores_of_all

    return in_order(scores_of_all(tables["published"])).assign(unit="percent")


def draw(plotted: pd.DataFrame, axes: Sequence[Axes], style: FigureStyle) -> None:
    """Draw a row per model and a column a family: front methods filled, dominated ones open."""
    models, families = models_of(plotted["base_model"]), families_of(plotted["family"])
    axes = panels_for(axes, len(models), len(families))
    panels = [(model, family) for model in models for family in families]
    limits = percent_limits(plotted["percent"], 0.017, 6)
    for axis, (model, family) in zip(axes, panels, strict=True):
        rows = plotted[(plotted["base_model"] == model) & (plotted["family"] == family)]
        if rows.empty:
            axis.set_axis_off()
            continue
        _draw_front(axis, rows)
        for row in rows.itertuples():
            mark = method_mark(row.method, style)
            face = "white" if row.dominated else mark.colour
            axis.plot(row.percent, row.accuracy, mark.marker, color=mark.colour, markerfacecolor=face, markersize=6.5)
            if row.source != CORRECTED:
                ring(axis, row.percent, row.accuracy)
        axis.set_xscale("log")
        axis.set_xlim(*limits)
        axis.set_xticks([0.03, 0.1, 0.3, 1, 3], ["0.03", "0.1", "0.3", "1", "3"])
        axis.minorticks_off()
        axis.margins(y=0.12)
        axis.set_title(f"{model}, {family.lower()}")
    columns = 1 if style.narrow else len(families)
    for axis in axes[-columns:]:
        axis.set_xlabel("Trainable parameters (%, log scale)")
    for axis in axes[::columns]:
        axis.set_ylabel("Average accuracy (%)")
    _add_legend(plotted, axes, style)
    label_panels(axes)


def _draw_front(axis: Axes, rows: pd.DataFrame) -> None:
    """Draw the best accuracy that any given percentage reaches, as steps, and shade what lies below."""
    front = rows[~rows["dominated"]].sort_values("percent")
    x, y = [*front["percent"], 1000], [*front["accuracy"], front["accuracy"].max()]
    axis.step(x, y, where="post", color=_FRONT, linewidth=1, zorder=1)
    axis.fill_between(x, y, 0, step="post", color="0.5", alpha=0.07, linewidth=0, zorder=0)
    low, high = rows["accuracy"].min(), rows["accuracy"].max()
    room = 0.12 * (high - low) or 1.0
    axis.set_ylim(low - room, high + room)


def _add_legend(plotted: pd.DataFrame, axes: Sequence[Axes], style: FigureStyle) -> None:
    """Write the methods and what filled and open mean, below the panels."""
    from matplotlib.lines import Line2D

    handles = []
    for method in methods_of(plotted["method"]):
        mark = method_mark(method, style)
        handles.append(Line2D([], [], marker=mark.marker, color=mark.colour, linestyle="none", label=method))
    grey: dict[str, Any] = {"color": "0.35", "marker": "o", "linestyle": "none"}
    handles.append(Line2D([], [], label="on the front", **grey))
    handles.append(Line2D([], [], label="dominated", markerfacecolor="white", **grey))
    handles.append(Line2D([], [], color=_FRONT, linewidth=1, label="Pareto front"))
    axes[0].figure.legend(handles=handles, loc="outside lower center", ncols=3 if style.narrow else 6)


def describe(plotted: pd.DataFrame) -> Description:
    """Return caption and finding."""
    sentences = []
    for family in families_of(plotted["family"]):
        rows = plotted[plotted["family"] == family]
        fronts = {model: list(group.loc[~group["dominated"], "method"]) for model, group in rows.groupby("base_model")}
        words = " and ".join(f"{' with '.join(fronts[model])} on {model}" for model in models_of(fronts))
        lora = rows[rows["method"] == "LoRA"]
        standing = (
            f"LoRA is dominated on {lora['dominated'].sum()} of {len(lora)}" if len(lora) else "LoRA is not there"
        )
        sentences.append(f"On {family.lower()} the front is {words}; {standing}.")
    caption = (
        "Averages and percentages of ReFT v3. Filled: no other method is better in one of the two and no worse in the "
        "other. Open: some method is. Shaded: what the front dominates. The scales of accuracy differ between panels."
        f"{ringed(plotted['source'], CORRECTED)} {NO_INTERVAL}"
    )
    return Description(caption, " ".join(sentences))
