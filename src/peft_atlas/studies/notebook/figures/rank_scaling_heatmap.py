"""Test accuracy over rank and the scaling alpha / r, the factor that the update is really multiplied by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from peft_atlas.figures.heatmap import draw_cells, marks_caption, select_cells
from peft_atlas.figures.spec import Description, FigureSpec

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from peft_atlas.config import FigureStyle

SPEC = FigureSpec(
    name="rank_scaling_heatmap",
    title="Test accuracy over rank and scaling α/r",
    section="measured",
    study="notebook",
    order=3,
    tables=("summary", "contrasts"),
    width="two_columns",
    height=0.42,
    appendix=True,
)


def select(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the sweep's cells."""
    return select_cells(tables["summary"], tables["contrasts"])


def draw(plotted: pd.DataFrame, axes: Sequence[Axes], style: FigureStyle) -> None:
    """Draw the grid over rank and alpha / r."""
    draw_cells(plotted, "scaling", axes[0], style)
    axes[0].set_xlabel("Scaling α/r (log steps; blank: not in the grid)")


def describe(plotted: pd.DataFrame) -> Description:
    """Return caption and finding."""
    best = plotted.loc[plotted.groupby("rank")["mean"].idxmax()]
    listed = ", ".join(f"{row.scaling:g} at r = {row.rank}" for row in best.itertuples())
    caption = f"The cells of the rank × α grid over α/r. {marks_caption(plotted)}"
    return Description(caption, f"The scaling with the highest mean at each rank is {listed}.")
