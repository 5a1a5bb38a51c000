"""The published averages next to what was measured: accuracy, and what is forgotten, with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from peft_atlas.figures.spec import Description, FigureSpec
from peft_atlas.figures.style import METHODS, REFERENCE_COLOUR, label_panels, method_mark

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
_PUBLISHED, _ACCURACY, _FORGOTTEN = "Published", "Measured", "Forgotten"
_SOURCE, _BASE_MODEL = "reft_v3", "LLaMA-7B"
_TABLES = {"commonsense": "commonsense", "arithmetic": "arithmetic"}
# Markers of the tasks, the same in all panels; what is not one of the published tables comes last.
_MARKERS = ("o", "s", "^", "D", "v")
_SHORT = {"query, value": "q v", "query, key, value": "q k v", "all linear modules": "all linear"}


def select(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the published averages and the measured cells by panel, accuracies in percent."""
    import pandas as pd

    cells = tables["decoder_cells"]
    cells = cells[(cells["stratum"] == "all") & cells["role"].isin(["method", "reference", "control"])]
    cells = cells[(cells["method"] != "shuffled labels") & (cells["method"] != "majority class")]
    panels = {"test_accuracy": _ACCURACY, "text_loss_change": _FORGOTTEN}
    cells = cells[cells["metric"].isin(list(panels))].rename(columns={"value": "mean"})
    scale = cells["metric"].map({"test_accuracy": 100.0, "text_loss_change": 1.0}).astype(float)
    for column in ("mean", "low", "high"):
        cells[column] = cells[column].astype(float) * scale
    cells = cells.assign(
        panel=cells["metric"].map(panels),
        unit=cells["metric"].map({"test_accuracy": "percent", "text_loss_change": "nats per token"}),
        name=[_name(row) for row in cells.itertuples()],
        detectable=cells["detectable"].astype(float) * scale,
    )
    wanted = ["panel", "task", "name", "method", "role", "mean", "low", "high", "interval", "n", "rows", "unit"]
    wanted += ["detectable", "model", "origin"]
    printed = _published(tables["published"])
    return pd.concat([printed, cells[wanted]], ignore_index=True)


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
    """Draw a row per method and a marker per task; lines for the untrained model and for counts of words."""
    tasks = list(dict.fromkeys(plotted["task"]))
    for axis, panel in zip(axes, (_PUBLISHED, _ACCURACY, _FORGOTTEN), strict=True):
        rows = plotted[(plotted["panel"] == panel) & plotted["role"].isin(["method", "published"])]
        names = _in_order(rows)
        for place, task in enumerate(tasks):
            own = rows[rows["task"] == task]
            shift = 0.16 * (place - (len(tasks) - 1) / 2)
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
    _lines(plotted, axes[1], tasks)
    axes[0].set(title=f"Published, {_BASE_MODEL}", xlabel="Average accuracy (%)")
    axes[1].set(title=_ACCURACY, xlabel="Test accuracy (%)")
    axes[2].set(title=_FORGOTTEN, xlabel="Rise of text loss (nats)")
    axes[2].axvline(0, color="0.5", linewidth=0.8, linestyle="--")
    for place, task in enumerate(tasks):
        face = "0.3" if place == 0 else "white"
        axes[0].plot([], [], _MARKERS[place % len(_MARKERS)], color="0.3", markerfacecolor=face, label=task)
    handles = [pair for axis in axes[:2] for pair in zip(*axis.get_legend_handles_labels(), strict=True)]
    columns = 1 if style.narrow else 4
    axes[0].figure.legend(*zip(*handles, strict=True), loc="outside lower center", ncols=columns)
    label_panels(axes)


def _lines(plotted: pd.DataFrame, axis: Axes, tasks: Sequence[str]) -> None:
    """Draw what needs no training or no model as vertical lines, of the first measured task."""
    measured = plotted[plotted["panel"] == _ACCURACY]
    shown = [task for task in tasks if task in set(measured["task"])]
    if not shown:
        return
    own = measured[(measured["task"] == shown[0]) & measured["role"].isin(["reference", "control"])]
    for style, row in zip(("--", ":", "-."), own.itertuples(), strict=False):
        axis.axvline(row.mean, color=REFERENCE_COLOUR, linestyle=style, linewidth=1, label=_line_name(row))


def _line_name(row: Any) -> str:
    return str(row.name).replace("no adaptation ", "untrained, ").replace(" examples in the prompt", "-shot")


def _in_order(rows: pd.DataFrame) -> list[str]:
    """Return the names of rows in the order of methods that all figures share."""
    order = {name: place for place, name in enumerate(METHODS)}
    pairs = rows[["name", "method"]].drop_duplicates().itertuples(index=False)
    return [name for name, _ in sorted(pairs, key=lambda pair: (order.get(pair[1], len(order)), pair[0]))]


def describe(plotted: pd.DataFrame) -> Description:
    """Return caption and finding."""
    measured = plotted[(plotted["panel"] == _ACCURACY) & (plotted["role"] == "method")]
    if measured.empty:
        return Description("Published averages alone: no run of the study ended.", "Nothing was measured.")
    first = measured.iloc[0]
    origin = "" if first["origin"] == "this run" else f" {str(first['origin'])[:1].upper()}{first['origin'][1:]}."
    bars = " or ".join(dict.fromkeys(measured["interval"].dropna())) or "none"
    counts = "; ".join(
        f"{task}: {int(part['n'].max())} seeds, {int(part['rows'].max())} test rows"
        for task, part in measured.groupby("task", sort=False)
    )
    caption = (
        f"a: averages over tasks as ReFT (v3) prints them for {_BASE_MODEL}, without intervals. b: accuracy of "
        f"{first['model']} after training; lines ({first['task']}): the untrained model, and counts of words. c: rise "
        f"of its loss on plain text that is not trained on. Bars: {bars} ({counts}).{origin} Levels of a and b are not "
        "comparable: models, tasks and amounts of training differ."
    )
    return Description(caption, _finding(measured))


def _finding(measured: pd.DataFrame) -> str:
    """Return the spread of the methods on each task, against what would have been detected."""
    parts = []
    for task, rows in measured.groupby("task", sort=False):
        low, high = rows["mean"].min(), rows["mean"].max()
        could = rows["detectable"].max()
        words = "" if could != could else f"; {could:.1f} points from full fine-tuning are detectable with 80 % power"
        ends = f"between {low:.1f} and {high:.1f} %" if f"{low:.1f}" != f"{high:.1f}" else f"at {low:.1f} %"
        who = f"the {len(rows)} methods end" if len(rows) > 1 else f"{rows['name'].iloc[0]} ends"
        parts.append(f"on {task} {who} {ends}{words}")
    text = "; ".join(parts)
    return f"{text[:1].upper()}{text[1:]}."
