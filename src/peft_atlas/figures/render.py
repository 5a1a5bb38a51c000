"""Draw a figure and write its files: PDF, SVG, PNG, plotted numbers (CSV), caption, LaTeX float and card."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, cast

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.backend_bases import get_registered_canvas_class
from matplotlib.collections import Collection
from matplotlib.figure import Figure
from matplotlib.layout_engine import LayoutEngine
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.text import Annotation

from peft_atlas.config import FigureStyle
from peft_atlas.figures.latex import figure_float
from peft_atlas.figures.spec import Description, FigureModule, FigureSpec, load_figure
from peft_atlas.figures.style import at_size, figure_size, magnification, panel_grid, rc_params
from peft_atlas.files import write_text, write_whole
from peft_atlas.step import Step
from peft_atlas.tables.expected_rows import expecting_rows

# Without dates and program versions, the same input gives the same bytes.
_METADATA: dict[str, dict[str, Any]] = {
    "pdf": {"CreationDate": None, "Producer": None, "Creator": None},
    "svg": {"Date": None, "Creator": None},
    "png": {"Software": None},
}
_JSON: dict[str, Any] = {"indent": 2, "ensure_ascii": False}


def render(module: FigureModule, tables: Mapping[str, pd.DataFrame], style: FigureStyle, stem: Path) -> None:
    r"""Write a figure in the style's formats, plus ``.csv``, ``.json``, ``.txt`` and ``.tex``.

    The CSV holds the plotted numbers, ``.json`` the card that the report reads (title, caption, finding, section and
    study), ``.txt`` the caption, and ``.tex`` a float for ``\input``. Each file is written atomically.

    Parameters
    ----------
    module
        The figure.
    tables
        The result tables it needs, by name.
    style
        Sizes, fonts, colours and formats.
    stem
        Path of the files, without extension.
    """
    with expecting_rows(f"figure {module.SPEC.name}"):
        plotted = module.select(tables)
        description = module.describe(plotted)
        figure = draw_figure(module, plotted, style)
    with drawn_with(module.SPEC, style):
        for ending in style.formats:
            write_whole(stem.with_suffix(f".{ending}"), partial(_save, figure, ending, style.dpi))
    write_text(stem.with_suffix(".csv"), plotted.to_csv(index=False, lineterminator="\n"))
    write_text(stem.with_suffix(".txt"), f"{description.finding} {description.caption}\n")
    write_text(stem.with_suffix(".tex"), figure_float(module.SPEC, description, style))
    write_text(
        stem.with_suffix(".json"),
        json.dumps(_card(module.SPEC, description, style) | {"empty": plotted.empty}, **_JSON) + "\n",
    )


def _save(figure: Figure, ending: str, dpi: int, path: Path) -> None:
    """Write a laid-out figure in one format.

    ``Figure.savefig`` would draw it twice, once just to compute a layout that is already there.
    """
    figure.set_dpi(dpi)
    canvas = get_registered_canvas_class(ending)(figure)
    getattr(canvas, f"print_{ending}")(path, metadata=_METADATA[ending])


def _card(spec: FigureSpec, description: Description, style: FigureStyle) -> dict[str, Any]:
    """Collect what the report needs to know about a figure."""
    return {
        "title": spec.title,
        "section": spec.section,
        "study": spec.study,
        "appendix": spec.appendix,
        "caption": description.caption,
        "finding": description.finding,
        "tables": list(spec.tables),
        "formats": list(style.formats),
    }


def settings(spec: FigureSpec, style: FigureStyle) -> dict[str, Any]:
    """Matplotlib settings for drawing and writing a figure."""
    return {"backend": "agg", **rc_params(at_size(spec, style))}


@contextmanager
def drawn_with(spec: FigureSpec, style: FigureStyle) -> Iterator[None]:
    """Set Matplotlib to its own defaults and a figure's settings, with nothing of the user's matplotlibrc."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(settings(spec, style))
        yield


def draw_figure(module: FigureModule, plotted: pd.DataFrame, style: FigureStyle) -> Figure:
    """Draw a figure at the size that the style's preset asks for."""
    with drawn_with(module.SPEC, style):
        figure = build(module, plotted, at_size(module.SPEC, style))
        magnify(figure, magnification(module.SPEC, style))
        # Lay out once for all formats: doing so per format would take longer than drawing.
        cast(LayoutEngine, figure.get_layout_engine()).execute(figure)
        figure.set_layout_engine("none")
    return figure


def build(module: FigureModule, plotted: pd.DataFrame, style: FigureStyle) -> Figure:
    """Draw a figure with lines and marks sized for paper; call this inside the style's ``rc_context``."""
    figure = Figure(figsize=figure_size(module.SPEC, style), layout="constrained")
    axes = np.atleast_1d(figure.subplots(*panel_grid(module.SPEC, style))).ravel()
    module.draw(_literal(plotted), list(axes), style)
    return figure


def magnify(figure: Figure, factor: float) -> None:
    """Scale line widths, markers and offsets, all given in points, by the same factor as the type."""
    if factor == 1:
        return
    for line in figure.findobj(Line2D):
        line.set_linewidth(factor * line.get_linewidth())
        line.set_markersize(factor * line.get_markersize())
        line.set_markeredgewidth(factor * line.get_markeredgewidth())
    for collection in figure.findobj(Collection):
        collection.set_linewidth([factor * width for width in np.atleast_1d(collection.get_linewidth())])
    for patch in figure.findobj(Patch):
        patch.set_linewidth(factor * patch.get_linewidth())
    for note in figure.findobj(Annotation):
        if note.anncoords == "offset points":
            across, up = note.xyann
            note.xyann = (factor * across, factor * up)


def _literal(plotted: pd.DataFrame) -> pd.DataFrame:
    """Escape dollar signs, so that Matplotlib does not take a name between two of them for a formula."""
    return plotted.map(lambda value: value.replace("$", r"\$") if isinstance(value, str) else value)


def draw_step(step: Step) -> None:
    """Draw one figure from the result tables it names."""
    tables = {name: step.read(name) for name in step.params["tables"]}
    style = FigureStyle.model_validate(step.params["style"])
    render(load_figure(step.params["name"]), tables, style, step.output("svg").with_suffix(""))
