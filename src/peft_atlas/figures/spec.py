"""What the workflow and the report know about a figure, and the list of all figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Literal, Protocol, cast

from peft_atlas.discovery import modules_in
from peft_atlas.studies.study import all_studies

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from peft_atlas.config import FigureStyle


@dataclass(frozen=True)
class FigureSpec:
    """A figure's name, title, section of the report, study, input tables and layout.

    A figure is drawn if its study is configured. ``order`` sorts the figures within a section, ``tables`` names the
    result tables it needs, ``height`` is relative to its width, and ``panels`` gives rows and columns. In the
    one-column preset the panels are stacked unless ``narrow_panels`` and ``narrow_height`` (relative to that width)
    say otherwise. ``exact_panels`` are those panels of a measured figure whose values were set, chosen or printed and
    therefore have no interval. What another figure shows better is in the ``appendix`` of the report.
    """

    name: str
    title: str
    section: Literal["measured", "memory", "published", "recomputed"]
    study: str
    order: int
    tables: tuple[str, ...]
    width: Literal["one_column", "two_columns"] = "two_columns"
    height: float = 0.42
    panels: tuple[int, int] = (1, 1)
    narrow_height: float | None = None
    narrow_panels: tuple[int, int] | None = None
    exact_panels: tuple[int, ...] = ()
    appendix: bool = False


@dataclass(frozen=True)
class Description:
    """A figure's caption, and what it shows in one sentence."""

    caption: str
    finding: str


class FigureModule(Protocol):
    """The interface of a figure module."""

    SPEC: FigureSpec

    def select(self, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
        """Select the numbers to plot."""

    def draw(self, plotted: pd.DataFrame, axes: Sequence[Axes], style: FigureStyle) -> None:
        """Draw them on the given axes."""

    def describe(self, plotted: pd.DataFrame) -> Description:
        """Write the caption and the finding."""


@cache
def figure_modules() -> dict[str, FigureModule]:
    """Find every figure's module in its study's folder; keyed by name, in report order."""
    folders = [f"peft_atlas.studies.{study.name}.figures" for study in all_studies() if study.has("figures")]
    modules = [module for folder in folders for module in modules_in(folder) if hasattr(module, "SPEC")]
    found = sorted(modules, key=lambda module: (module.SPEC.section, module.SPEC.order, module.SPEC.name))
    return {module.SPEC.name: cast(FigureModule, module) for module in found}


def load_figure(name: str) -> FigureModule:
    """Look up a figure's module by name."""
    return figure_modules()[name]


def all_figures() -> list[FigureSpec]:
    """List the specs of all figures, in report order."""
    return [module.SPEC for module in figure_modules().values()]
