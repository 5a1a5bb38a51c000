"""What the workflow and the report know of a figure, and the list of all figures."""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, cast

import peft_atlas.figures

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from peft_atlas.config import FigureStyle

_DEFINES_SPEC = re.compile(r"^SPEC\b\s*[:=]", re.MULTILINE)


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
    study: Literal["notebook", "adaptation", "encoder", "published"]
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


def load_figure(name: str) -> FigureModule:
    """Return the module of the figure with this name."""
    return cast(FigureModule, importlib.import_module(f"{peft_atlas.figures.__name__}.{name}"))


def all_figures() -> list[FigureSpec]:
    """Return the SPEC of every module of this package that defines one, in the report's order.

    The other modules are left alone: some import Matplotlib, for which the workflow itself need not wait.
    """
    folder = Path(peft_atlas.figures.__path__[0])
    names = [path.stem for path in folder.glob("*.py") if _DEFINES_SPEC.search(path.read_text(encoding="utf-8"))]
    specs = [load_figure(name).SPEC for name in names]
    return sorted(specs, key=lambda spec: (spec.section, spec.order, spec.name))
