"""Published accuracy of each method on each task, against LoRA's."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from peft_atlas.figures.panels import panels_for
from peft_atlas.figures.spec import Description, FigureSpec
from peft_atlas.figures.style import label_panels
from peft_atlas.studies.literature.figures.printed import (
    CORRECTED,
    NO_INTERVAL,
    added,
    from_others,
    in_order,
    methods_of,
    models_of,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from peft_atlas.config import FigureStyle

SPEC = FigureSpec(
    name="task_method_heatmap",
    title="Accuracy of each method on each task",
    section="published",
    study="literature",
    order=5,
    tables=("published",),
    height=0.68,
    panels=(2, 1),
    narrow_height=2.4,
)
# Tables whose order and title are fixed; the title of any other is its name.
_FAMILIES = {"commonsense": "Commonsense reasoning", "arithmetic": "Arithmetic reasoning"}
_TABLES = {name.title(): table for table, name in _FAMILIES.items()}
_PRINTED_ROW = ["source", "base_model", "table", "method"]
_REFERENCE = "LoRA"
# Share of the colour range beyond which a number is written in white.
_DARK = 0.55
# Letters that fit a column.
_LONG = 6


def select(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the accuracies that ReFT v3 prints, one row per cell, with their difference from LoRA's.

    A method that neither ReFT v3 nor the seed notebook prints comes from the source that prints its average.
    """
    import pandas as pd

    from peft_atlas.studies.literature.printed_rows import exact_cells
    from peft_atlas.studies.literature.recomputation import base_method

    cells = exact_cells(tables["published"])
    cells = cells[cells["metric"] == "accuracy_percent"].copy()
    # The shipped tables of a family take in its rows from any file.
    cells["table"] = cells["family"].map(_TABLES).fillna(cells["table"])
    new = _rows_with_average(added(tables["published"], cells))
    rows = in_order(pd.concat([cells[cells["source"] == CORRECTED], new], ignore_index=True))
    # A method trained for other epochs than its table's has an average alone.
    rows = rows[rows["method"] == rows["method"].map(base_method)]
    keys = ["base_model", "table", "task"]
    lora = rows[rows["method"] == _REFERENCE][[*keys, "value"]]
    rows = rows.merge(lora, on=keys, how="left", suffixes=("", "_lora"))
    rows["less_lora"] = (rows["value"] - rows["value_lora"]).round(6)
    return rows[["base_model", "table", "task", "method", "printed", "value", "less_lora", "unit", "source"]]


def _rows_with_average(cells: pd.DataFrame) -> pd.DataFrame:
    """Return the cells of a source's model, table and method that it prints an average of."""
    averaged = (cells["task"] == "Avg").groupby([cells[name] for name in _PRINTED_ROW]).transform("any")
    return cells[averaged.astype(bool)]


def _families(plotted: pd.DataFrame) -> dict[str, str]:
    """Return the tables with their titles, commonsense and arithmetic reasoning first."""
    found = list(dict.fromkeys(plotted["table"]))
    order = [*(table for table in _FAMILIES if table in found), *(table for table in found if table not in _FAMILIES)]
    return {table: _FAMILIES.get(table, table) for table in order}


def _columns(plotted: pd.DataFrame) -> list[tuple[str, str]]:
    """Return table and task of each column, the commonsense tasks first, an average last of its family."""
    tables = list(_families(plotted))
    found = [
        (table, task) for table in tables for task in dict.fromkeys(plotted.loc[plotted["table"] == table, "task"])
    ]
    return sorted(found, key=lambda column: (tables.index(column[0]), column[1] == "Avg"))


def draw(plotted: pd.DataFrame, axes: Sequence[Axes], style: FigureStyle) -> None:
    """Draw one panel per model: methods by tasks, numbers as printed, colour by difference from LoRA.

    In one column a panel is turned, a row per task.
    """
    columns, models = _columns(plotted), models_of(plotted["base_model"])
    methods, axes = methods_of(plotted["method"]), panels_for(axes, len(models), 1)
    limit = float(plotted["less_lora"].abs().quantile(0.95))
    images = []
    for axis, model in zip(axes, models, strict=True):
        cells = plotted[plotted["base_model"] == model]
        images.append(_draw_panel(cells, columns, methods, limit, axis, style))
        (_label_turned if style.narrow else _label_axes)(axis, columns, methods, _families(plotted))
        axis.set_title(model)
    for axis in axes[:-1]:
        axis.set_xticklabels([])
    bar = axes[0].figure.colorbar(images[0], ax=list(axes), pad=0.01, aspect=60 if style.narrow else 40, extend="both")
    bar.set_label("Accuracy less LoRA's (percentage points)")
    bar.outline.set_visible(False)
    label_panels(axes)


def _draw_panel(
    cells: pd.DataFrame,
    columns: list[tuple[str, str]],
    methods: list[str],
    limit: float,
    axis: Axes,
    style: FigureStyle,
) -> Any:
    """Draw one model's cells; a cell that is not printed shows the hatching behind."""
    import numpy as np

    by_cell = {(row.method, row.table, row.task): row for row in cells.itertuples()}
    grid = np.array([[getattr(by_cell.get((m, *c)), "less_lora", np.nan) for c in columns] for m in methods])
    axis.patch.set(facecolor="white", hatch="////", edgecolor="0.8", linewidth=0)
    image = axis.imshow(grid.T if style.narrow else grid, cmap="RdBu", vmin=-limit, vmax=limit, aspect="auto")
    best = cells.groupby(["table", "task"])["value"].max().to_dict()
    for place in np.ndindex(grid.shape):
        row = by_cell.get((methods[place[0]], *columns[place[1]]))
        if row is None:
            continue
        weight = "bold" if row.value == best[columns[place[1]]] else "normal"
        colour = "white" if abs(grid[place]) > _DARK * limit else "0.1"
        size = style.font_size - 1.5
        x, y = place if style.narrow else place[::-1]
        axis.text(x, y, row.printed, ha="center", va="center", color=colour, fontweight=weight, fontsize=size)
    return image


def _label_axes(axis: Axes, columns: list[tuple[str, str]], methods: list[str], families: dict[str, str]) -> None:
    """Write tasks, methods and families, and part the families and the averages by white lines."""
    axis.set_xticks(range(len(columns)), [_broken(task) for _, task in columns])
    axis.set_yticks(range(len(methods)), methods)
    _part_families(axis, columns, axis.axvline)
    for table, name in families.items():
        places = [place for place, column in enumerate(columns) if column[0] == table]
        if places:
            middle = (sum(places) / len(places), 1)
            where = axis.get_xaxis_transform()
            axis.annotate(name, middle, (0, 6), xycoords=where, textcoords="offset points", ha="center", va="baseline")


def _label_turned(axis: Axes, columns: list[tuple[str, str]], methods: list[str], families: dict[str, str]) -> None:
    """Write the methods below, tasks at the left with the family in the name of its average, and part the families."""
    names = [f"{families[table].split()[0]}\naverage" if task == "Avg" else task for table, task in columns]
    axis.set_yticks(range(len(columns)), names)
    axis.set_xticks(range(len(methods)), methods, rotation=90)
    _part_families(axis, columns, axis.axhline)


def _part_families(axis: Axes, columns: list[tuple[str, str]], line: Callable[..., Any]) -> None:
    """Part the families and the averages by white lines, and leave out what else an axis draws."""
    for place, (here, following) in enumerate(pairwise(columns)):
        if here[0] != following[0] or following[1] == "Avg":
            line(place + 0.5, color="white", linewidth=5 if here[0] != following[0] else 1.5)
    axis.grid(visible=False)
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)


def _broken(task: str) -> str:
    """Return a long name on two lines, parted at an inner capital: Wino and Grande."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "\n", task) if len(task) > _LONG else task


def describe(plotted: pd.DataFrame) -> Description:
    """Return caption and finding."""
    sentences = []
    for table, name in _families(plotted).items():
        rows = plotted[(plotted["table"] == table) & (plotted["task"] != "Avg")]
        best = rows.loc[rows.groupby(["base_model", "task"])["value"].idxmax(), "method"]
        top, count = best.value_counts().index[0], best.value_counts().iloc[0]
        sentences.append(f"{top} is best in {count} of {len(best)} columns of {name.lower()} tasks")
    low = plotted.loc[plotted["less_lora"].idxmin()]
    finding = (
        f"{', '.join(sentences)}; the widest gap to {_REFERENCE} is {low['less_lora']:+.1f} points "
        f"({low['method']}, {low['task']}, {low['base_model']})."
    )
    caption = (
        "Accuracy in percent as ReFT v3 prints it; colour: difference from LoRA, cut off at the ends of the bar. Bold: "
        f"highest of its column. Hatched: not printed.{from_others(plotted)} {NO_INTERVAL}"
    )
    return Description(caption, finding)
