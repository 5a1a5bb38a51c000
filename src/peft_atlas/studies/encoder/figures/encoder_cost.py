"""What a run of each method costs: processor time, memory, and bytes of the saved adapter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from peft_atlas.analysis.statistics import mean_interval
from peft_atlas.figures.spec import Description, FigureSpec
from peft_atlas.figures.style import label_panels
from peft_atlas.studies.encoder.figures.encoder_cells import (
    confidence_of,
    encoder_rows,
    face,
    make_room,
    names_in_order,
    tasks_in_order,
)
from peft_atlas.studies.encoder.packaged import task_in_short

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from peft_atlas.config import FigureStyle

SPEC = FigureSpec(
    name="encoder_cost",
    title="What a run costs, by method",
    section="measured",
    study="encoder",
    order=24,
    tables=("runs", "costs", "summary"),
    height=0.5,
    panels=(1, 3),
)
_PANELS = (
    ("cpu_seconds", "Processor time of training (s)"),
    ("peak_memory_mb", "Peak memory (MB)"),
    ("adapter_bytes", "Saved adapter (bytes, log scale)"),
)

# Rows at the usual height.
_ROWS = 16


def select(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return mean and interval of each cost over the runs of each method on the main task."""
    import pandas as pd

    runs = encoder_rows(tables["runs"])
    runs = runs[(runs["experiment"] == "methods") & runs["selected"].fillna(value=False)]
    runs = runs[runs["task"] == tasks_in_order(runs)[0]]
    costs = tables["costs"][["run_id", "cpu_seconds", "peak_memory_mb"]].dropna(subset=["run_id"])
    joined = runs.merge(costs, on="run_id", how="inner", validate="one_to_one")
    level = confidence_of(tables["summary"])
    rows = [
        _row(str(name), part, metric, level)
        for name, part in joined.groupby("name", sort=True)
        for metric, _ in _PANELS
    ]
    order = joined.groupby("name")["cpu_seconds"].mean().rank().to_dict()
    plotted = pd.DataFrame([row for row in rows if row["mean"] is not None])
    return plotted.assign(order=plotted["name"].map(order)).sort_values(["metric", "order"], ignore_index=True)


def _row(name: str, part: pd.DataFrame, metric: str, level: float) -> dict[str, Any]:
    """Return one mean; the bytes of an adapter do not vary, and their interval is a point."""
    estimate = mean_interval(part[metric].to_numpy(dtype=float), level).within(0, float("inf"))
    low, high = (estimate.mean if end is None else end for end in (estimate.low, estimate.high))
    task = part["task"].iloc[0]
    interval = f"{100 * level:g} % Student t over runs"
    where = {"task": task, "name": name, "metric": metric, "n": estimate.n, "interval": interval}
    return {**where, "mean": estimate.mean, "low": low, "high": high}


def draw(plotted: pd.DataFrame, axes: Sequence[Axes], style: FigureStyle) -> None:
    """Draw a row a method, a panel a cost, methods in the order of their time."""
    names = plotted.drop_duplicates("name").sort_values("order")["name"].tolist()
    marks = names_in_order(names, style)
    make_room(axes, len(names), _ROWS, style)
    for axis, (metric, label) in zip(axes, _PANELS, strict=True):
        rows = plotted[(plotted["metric"] == metric) & (plotted["mean"] > 0)]
        for row in rows.itertuples():
            errors = [[row.mean - row.low], [row.high - row.mean]]
            axis.errorbar(
                row.mean, names.index(row.name), xerr=errors, elinewidth=0.9, **face(row.name, marks[row.name])
            )
        axis.set_ylim(-0.7, len(names) - 0.3)
        axis.set_yticks(range(len(names)), names if axis is axes[0] else [])
        axis.set_xlabel(label)
    axes[1].set_xlim(left=0)
    axes[0].set_xlim(left=0)
    axes[2].set_xscale("log")
    label_panels(axes)


def describe(plotted: pd.DataFrame) -> Description:
    """Return caption and finding."""
    wide = plotted.pivot(index="name", columns="metric", values="mean")
    full = wide.loc["full"]
    others = wide.drop(index=["full", "head only"], errors="ignore")
    finding = (
        f"Training takes {100 * others['cpu_seconds'].min() / full['cpu_seconds']:.0f} to "
        f"{100 * others['cpu_seconds'].max() / full['cpu_seconds']:.0f} % of full fine-tuning's processor time, and a "
        f"saved adapter {100 * others['adapter_bytes'].min() / full['adapter_bytes']:.2f} to "
        f"{100 * others['adapter_bytes'].max() / full['adapter_bytes']:.1f} % of its bytes."
    )
    caption = (
        f"Means over the seeds of each method at its tuned rate on {task_in_short(plotted['task'].iloc[0])}; bars: "
        f"{plotted['interval'].iloc[0]}. "
        "Processor time of one thread, which other programs on the machine disturb less than elapsed time; the bars "
        "are over the seeds of one run, and another run can differ by more. Memory is the largest resident set of the "
        "process. The head alone has no adapter."
    )
    return Description(caption, finding)
