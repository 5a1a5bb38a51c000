"""Test accuracy over rank and alpha."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from peft_atlas.figures.heatmap import BEST, TIED, draw_cells, marks_caption, select_cells
from peft_atlas.figures.spec import Description, FigureSpec

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from peft_atlas.config import FigureStyle

SPEC = FigureSpec(
    name="rank_alpha_heatmap",
    title="Test accuracy over rank and α",
    section="measured",
    study="notebook",
    order=2,
    tables=("summary", "contrasts"),
    width="two_columns",
    height=0.5,
)


def select(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the sweep's cells."""
    return select_cells(tables["summary"], tables["contrasts"])


def draw(plotted: pd.DataFrame, axes: Sequence[Axes], style: FigureStyle) -> None:
    """Draw the grid over rank and alpha."""
    draw_cells(plotted, "alpha", axes[0], style)
    axes[0].set_xlabel("α")


def describe(plotted: pd.DataFrame) -> Description:
    """Return caption and finding."""
    best = plotted[plotted["standing"] == BEST].iloc[0]
    tied = int((plotted["standing"] == TIED).sum())
    worst = plotted.loc[plotted["mean"].idxmin()]
    finding = (
        f"Validation selects r = {best['rank']}, α = {best['alpha']:g} with {best['mean']:.1f} %; {tied} of the other "
        f"{len(plotted) - 1} cells are statistically indistinguishable from it; the lowest, r = {worst['rank']}, "
        f"α = {worst['alpha']:g}, has {worst['mean']:.1f} %."
    )
    return Description(marks_caption(plotted), finding)
