"""The published averages next to what was measured: differences from full fine-tuning, and what is forgotten."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from peft_atlas.figures.spec import Description, FigureSpec
from peft_atlas.figures.style import METHODS, label_panels, method_mark

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from peft_atlas.config import FigureStyle

SPEC = FigureSpec(
    name="decoder_published",
    title="Methods on a language model, and the published averages",
    section="measured",
    study="decoder",
    order=30,
    tables=("decoder_cells", "published"),
    height=0.45,
    narrow_height=2.0,
    panels=(1, 3),
    exact_panels=(0,),
)
_PUBLISHED, _DIFFERENCE, _FORGOTTEN = "Published", "Measured", "Forgotten"
_SOURCE, _BASE_MODEL = "reft_v3", "LLaMA-7B"
_TABLES = {"commonsense": "commonsense", "arithmetic": "arithmetic"}
# Markers of the tasks, the same in all panels.
_MARKERS = ("o", "s", "^", "D", "v")
_SHORT = {"query, value": "q v", "query, key, value": "q k v", "all linear modules": "all linear"}


def select(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the published averages and the measured cells by panel, accuracies in percent.

    ``level`` is the accuracy itself, of which ``mean`` is the difference from full fine-tuning.
    """
    import pandas as pd

    cells = tables["decoder_cells"]
    cells = cells[(cells["stratum"] == "all") & (cells["role"] == "method")]
    cells = cells.assign(name=[_name(row) for row in cells.itertuples()])
    accuracy = cells[cells["metric"] == "test_accuracy"]
    differences = accuracy[accuracy["difference"].notna()].assign(panel=_DIFFERENCE, unit="percentage points")
    differences = differences.assign(level=100 * differences["value"].astype(float))
    for column, own in (("mean", ""), ("low", "_low"), ("high", "_high")):
        differences[column] = 100 * differences[f"difference{own}"].astype(float)
    differences = differences.assign(
        interval=differences["difference_interval"], detectable=100 * differences["detectable"].astype(float)
    )
    forgotten = cells[cells["metric"] == "text_loss_change"].rename(columns={"value": "mean"})
    forgotten = forgotten.assign(panel=_FORGOTTEN, unit="nats per token", level=float("nan"))
    wanted = ["panel", "task", "name", "method", "role", "mean", "low", "high", "interval", "n", "rows", "unit"]
    wanted += ["level", "detectable", "model", "origin"]
    printed = _published(tables["published"])
    return pd.concat([printed, differences[wanted], forgotten[wanted]], ignore_index=True)


def _name(row: Any) -> str:
    """Return a method's name with its place in short."""
    known = isinstance(row.setting, str)
    return f"{row.method} {_SHORT.get(row.setting, row.setting)}" if known else str(row.method)


def _published(published: pd.DataFrame) -> pd.DataFrame:
    """Return the averages of one publication on the smaller model."""
    rows = published[(published["source"] == _SOURCE) & (published["task"] == "Avg")]
    rows = rows[(rows["base_model"] == _BASE_MODEL) & rows["table"].isin(list(_TABLES))]
    rows = rows.assign(panel=_PUBLISHED, task=rows["table"].map(_TABLES), name=rows["method"], role="published")
    rows = rows.rename(columns={"value": "mean", "base_model": "model"}).assign(unit="percent")
    return rows[["panel", "task", "name", "method", "role", "mean", "unit", "model"]]


def draw(plotted: pd.DataFrame, axes: Sequence[Axes], style: FigureStyle) -> None:
    """Draw a row per method and a marker per task; a line where nothing differs and nothing is forgotten."""
    tasks = list(dict.fromkeys(plotted["task"]))
    for axis, panel in zip(axes, (_PUBLISHED, _DIFFERENCE, _FORGOTTEN), strict=True):
        rows = plotted[plotted["panel"] == panel]
        names = _in_order(rows)
        for place, task in enumerate(tasks):
            own = rows[rows["task"] == task]
            shift = 0.3 * (place - (len(tasks) - 1) / 2)
            for row in own.itertuples():
                mark = method_mark(str(row.method), style)
                face = mark.colour if place == 0 else "white"
                form = {"color": mark.colour, "marker": _MARKERS[place % len(_MARKERS)], "markerfacecolor": face}
                at = names.index(row.name) + shift
                if panel == _PUBLISHED:
                    axis.plot(row.mean, at, linestyle="none", **form)
                else:
                    errors = [[row.mean - row.low], [row.high - row.mean]] if row.low == row.low else None
                    axis.errorbar(row.mean, at, xerr=errors, elinewidth=0.9, **form)
        axis.set_yticks(range(len(names)), names)
        axis.set_ylim(len(names) - 0.4, -0.6)
        axis.margins(x=0.12)
    axes[0].set(title=f"Published, {_BASE_MODEL}", xlabel="Average accuracy (%)")
    axes[1].set(title=_DIFFERENCE, xlabel="Difference from full (points)")
    axes[2].set(title=_FORGOTTEN, xlabel="Rise of text loss (nats)")
    for axis in axes[1:]:
        axis.axvline(0, color="0.5", linewidth=0.8, linestyle="--")
        axis.locator_params(axis="x", nbins=5)
    for place, task in enumerate(tasks):
        face = "0.3" if place == 0 else "white"
        axes[0].plot([], [], _MARKERS[place % len(_MARKERS)], color="0.3", markerfacecolor=face, label=task)
    axes[0].figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(tasks))
    label_panels(axes)


def _in_order(rows: pd.DataFrame) -> list[str]:
    """Return the names of rows in the order of methods that all figures share."""
    order = {name: place for place, name in enumerate(METHODS)}
    pairs = rows[["name", "method"]].drop_duplicates().itertuples(index=False)
    return [name for name, _ in sorted(pairs, key=lambda pair: (order.get(pair[1], len(order)), pair[0]))]


def describe(plotted: pd.DataFrame) -> Description:
    """Return caption and finding."""
    measured = plotted[plotted["panel"] == _DIFFERENCE]
    if measured.empty:
        return Description("Published averages alone: no run of the study ended.", "Nothing was measured.")
    first = measured.iloc[0]
    origin = "" if first["origin"] == "this run" else f" {str(first['origin'])[:1].upper()}{first['origin'][1:]}."
    drawn = plotted[plotted["panel"] != _PUBLISHED]
    bars = "; ".join(
        f"{panel}, {' or '.join(dict.fromkeys(part['interval'].dropna())) or 'none'}"
        for panel, part in zip("bc", (part for _, part in drawn.groupby("panel", sort=False)), strict=False)
    )
    counts = "; ".join(
        f"{task}: {int(part['n'].max())} seeds, {int(part['rows'].max()):,} test rows"
        for task, part in measured.groupby("task", sort=False)
    )
    caption = (
        f"a: averages over tasks as ReFT (v3) prints them for {_BASE_MODEL}, without intervals. b: test accuracy of "
        f"{first['model']} after training, less that of full fine-tuning on the same seeds and rows. c: rise of its "
        f"loss on plain text that is not trained on. Bars: {bars} ({counts}).{origin} Levels of a and b are not "
        "comparable: models, tasks and amounts of training differ."
    )
    return Description(caption, _finding(measured))


def _finding(measured: pd.DataFrame) -> str:
    """Return how far the methods are from full fine-tuning on each task, against what would have been detected."""
    parts = []
    for task, rows in measured.groupby("task", sort=False):
        low, high, full = rows["mean"].min(), rows["mean"].max(), (rows["level"] - rows["mean"]).mean()
        could = rows["detectable"].max()
        words = "" if could != could else f"; {could:.1f} points are detectable with 80 % power"
        ends = f"{low:+.1f} to {high:+.1f}" if f"{low:.1f}" != f"{high:.1f}" else f"{low:+.1f}"
        who = f"{len(rows)} methods" if len(rows) > 1 else rows["name"].iloc[0]
        parts.append(f"on {task}, full fine-tuning reaches {full:.1f} % and {who} {ends} points from it{words}")
    text = "; ".join(parts)
    return f"{text[:1].upper()}{text[1:]}."
