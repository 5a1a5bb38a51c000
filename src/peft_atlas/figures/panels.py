"""Panels whose number depends on the data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def panels_for(axes: Sequence[Axes], rows: int, columns: int) -> list[Axes]:
    """Return the given axes, or as many as the data needs: a table that is added may bring a model or a family."""
    if len(axes) == rows * columns:
        return list(axes)
    figure: Any = axes[0].figure
    before = len({axis.get_position().y0 for axis in axes})
    if before == len(axes) > 1:
        rows, columns = rows * columns, 1
    width, height = figure.get_size_inches()
    figure.set_size_inches(width, height * rows / before)
    for axis in axes:
        axis.remove()
    return list(figure.subplots(rows, columns, squeeze=False).ravel())
