"""Heatmaps of the rank and alpha sweep, with marks for the best cells and for missing runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from peft_atlas.config import FigureStyle

BEST, TIED = "selected", "indistinguishable"


def select_cells(summary: pd.DataFrame, contrasts: pd.DataFrame) -> pd.DataFrame:
    """Select the sweep's cells: mean test accuracy in percent, interval, and how they compare with the selected one."""
    final = (summary["metric"] == "test_accuracy") & (summary["epoch"] == summary["epochs"])
    cells = summary[final & (summary["experiment"] == "sweep")].copy()
    for column in ("mean", "sd", "low", "high"):
        cells[column] = 100 * cells[column]
    compared = contrasts[contrasts["question"] == "sweep_against_selected"]
    tied = compared.set_index(["rank", "alpha"])["indistinguishable"].to_dict()
    detectable = (100 * compared.set_index(["rank", "alpha"])["detectable"]).to_dict()
    keys = list(zip(cells["rank"], cells["alpha"], strict=True))
    cells["standing"] = [_standing(tied.get(key, BEST)) for key in keys]
    cells["detectable"] = [detectable.get(key) for key in keys]
    cells["unit"] = "percent"
    columns = ["rank", "alpha", "scaling", "mean", "low", "high", "unit", "interval", "n_runs", "n_ok", "standing"]
    columns.append("detectable")
    return cells[columns].sort_values(["rank", "alpha"], ignore_index=True)


def _standing(tied: Any) -> str:
    """Say how a cell compares with the selected one, given the test's ``indistinguishable`` flag."""
    import pandas as pd

    if isinstance(tied, str):
        return tied
    if pd.isna(tied):
        return "not compared"
    return TIED if tied else "worse or better"


def draw_cells(cells: pd.DataFrame, column: str, axis: Axes, style: FigureStyle) -> None:
    """Draw rank against ``column`` with mean and half-interval in each cell.

    A frame marks the selected cell, a dot cells statistically indistinguishable from it, and hatching a cell in
    which some runs failed. Combinations that are not in the grid stay blank.
    """
    import seaborn as sns
    from matplotlib.patches import Rectangle

    grid = cells.pivot(index="rank", columns=column, values="mean").sort_index(ascending=False)
    notes = cells.assign(text=[_cell_text(row) for row in cells.itertuples()])
    text = notes.pivot(index="rank", columns=column, values="text").reindex(index=grid.index).fillna("")
    size = style.font_size - (1.5 if len(grid.columns) <= 6 else 3)
    sns.heatmap(
        grid.astype(float),
        annot=text,
        fmt="",
        cmap=style.heatmap,
        ax=axis,
        linewidths=0.6,
        annot_kws={"fontsize": size, "linespacing": 1.1},
        cbar_kws={"label": "Mean test accuracy (%)", "pad": 0.02},
    )
    for row in cells.itertuples():
        place = (list(grid.columns).index(getattr(row, column)), list(grid.index).index(row.rank))
        if row.standing == BEST:
            axis.add_patch(Rectangle(place, 1, 1, fill=False, edgecolor="#b3202c", linewidth=2, clip_on=False))
        if row.n_ok < row.n_runs:
            axis.add_patch(Rectangle(place, 1, 1, fill=False, hatch="////", edgecolor="0.3", linewidth=0))
    axis.set_xticklabels([_short(value) for value in grid.columns], rotation=0)
    axis.set_yticklabels([f"{rank}" for rank in grid.index], rotation=0)
    axis.set_ylabel("Rank r")
    axis.grid(visible=False)
    axis.tick_params(length=0)


def _cell_text(row: Any) -> str:
    """Format a cell's mean, half-interval and mark; an interval that ends at 0 or 100 % is shorter on that side."""
    import pandas as pd

    if pd.isna(row.mean):
        return "no run"
    mark = " •" if row.standing in (BEST, TIED) else ""
    half = "" if pd.isna(row.high) else f"\n±{max(row.high - row.mean, row.mean - row.low):.1f}"
    return f"{row.mean:.1f}{mark}{half}"


def _short(value: float) -> str:
    """Format a setting as a number, or as a fraction 1/n if it is one."""
    return f"{value:g}" if value >= 1 or value == 0 or (1 / value) % 1 else f"1/{1 / value:g}"


def marks_caption(cells: pd.DataFrame) -> str:
    """Explain means, intervals and marks, for the caption."""
    tests = (cells["standing"] != BEST).sum()
    detectable = (
        f"; in the noisiest {cells['detectable'].max():.1f} points are detectable with 80 % power" if tests else ""
    )
    return (
        f"Mean test accuracy in percent over {int(cells['n_ok'].max())} seeds, ± half the interval "
        f"({cells['interval'].iloc[0]}). Red frame: the cell selected on validation. Dots: cells whose test accuracy "
        f"is statistically indistinguishable from it (paired t-test over seeds, simultaneous over {tests} "
        f"comparisons{detectable}). Hatching: some runs failed."
    )
