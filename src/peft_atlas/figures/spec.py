"""What the workflow and the report know of a figure, and the list of all figures."""

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

    A figure is drawn where its study is one of the configured ones. ``order`` sorts the figures of a section;
    ``height`` is in units of the figure's width; ``tables`` are names of result tables; ``panels`` are rows and
    columns. In one column the panels stand one below the other; ``narrow_height``, in units of that width, and
    ``narrow_panels`` say otherwise. ``exact_panels`` are those of a measured figure that show what was set,
    chosen or printed, which has no interval.
    """

    name: str
    title: str
    section: Literal["measured", "published", "recomputed"]
    study: str
    order: int
    tables: tuple[str, ...]
    width: Literal["one_column", "two_columns"] = "two_columns"
    height: float = 0.42
    panels: tuple[int, int] = (1, 1)
    narrow_height: float | None = None
    narrow_panels: tuple[int, int] | None = None
    exact_panels: tuple[int, ...] = ()


@dataclass(frozen=True)
class Description:
    """A figure's caption and, in one sentence, what it shows."""

    caption: str
    finding: str


class FigureModule(Protocol):
    """What a module of this package defines."""

    SPEC: FigureSpec

    def select(self, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
        """Return the plotted numbers."""

    def draw(self, plotted: pd.DataFrame, axes: Sequence[Axes], style: FigureStyle) -> None:
        """Draw them."""

    def describe(self, plotted: pd.DataFrame) -> Description:
        """Return caption and finding."""


@cache
def figure_modules() -> dict[str, FigureModule]:
    """Return the module of every figure by name, in the report's order; a study's figures are in its own folder."""
    folders = [f"peft_atlas.studies.{study.name}.figures" for study in all_studies() if study.has("figures")]
    modules = [module for folder in folders for module in modules_in(folder) if hasattr(module, "SPEC")]
    found = sorted(modules, key=lambda module: (module.SPEC.section, module.SPEC.order, module.SPEC.name))
    return {module.SPEC.name: cast(FigureModule, module) for module in found}


def load_figure(name: str) -> FigureModule:
    """Return the module of the figure with this name."""
    return figure_modules()[name]


def all_figures() -> list[FigureSpec]:
    """Return what is known of every figure, in the report's order."""
    return [module.SPEC for module in figure_modules().values()]
