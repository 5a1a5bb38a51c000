"""Write a figure: PDF, SVG, PNG, the plotted numbers as CSV, and its card."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from peft_atlas.config import FigureStyle
from peft_atlas.figures.spec import FigureModule, FigureSpec
from peft_atlas.figures.style import rc_params
from peft_atlas.files import write_text, write_whole

# Dates and program versions would make two equal runs differ.
_METADATA: dict[str, dict[str, Any]] = {
    "pdf": {"CreationDate": None, "Producer": None, "Creator": None},
    "svg": {"Date": None, "Creator": None},
    "png": {"Software": None},
}


def render(module: FigureModule, tables: Mapping[str, pd.DataFrame], style: FigureStyle, stem: Path) -> None:
    """Write ``<stem>.pdf``, ``.svg``, ``.png``, ``.csv`` and the card ``.json``, each whole or not at all.

    The card holds title, caption, finding and section, which the report shows.

    Parameters
    ----------
    module
        The figure.
    tables
        Its result tables, by name.
    style
        Sizes, fonts and colours.
    stem
        Path of the files, without an ending.
    """
    plotted = module.select(tables)
    description = module.describe(plotted)
    with mpl.rc_context({"backend": "agg", **rc_params(style)}):
        figure = build(module, plotted, style)
        for ending, metadata in _METADATA.items():
            save = partial(figure.savefig, format=ending, metadata=metadata)
            write_whole(stem.with_suffix(f".{ending}"), save)
    write_text(stem.with_suffix(".csv"), plotted.to_csv(index=False, lineterminator="\n"))
    card = {
        "title": module.SPEC.title,
        "section": module.SPEC.section,
        "caption": description.caption,
        "finding": description.finding,
        "tables": list(module.SPEC.tables),
    }
    write_text(stem.with_suffix(".json"), json.dumps(card, indent=2, ensure_ascii=False) + "\n")


def build(module: FigureModule, plotted: pd.DataFrame, style: FigureStyle) -> Figure:
    """Return the drawn figure; call it within ``rc_context`` of the style."""
    figure = Figure(figsize=figure_size(module.SPEC, style), layout="constrained")
    axes = np.atleast_1d(figure.subplots(*module.SPEC.panels)).ravel()
    module.draw(_literal(plotted), list(axes), style)
    return figure


def _literal(plotted: pd.DataFrame) -> pd.DataFrame:
    """Return a table whose texts Matplotlib draws as they are: a name between dollar signs is no formula."""
    return plotted.map(lambda value: value.replace("$", r"\$") if isinstance(value, str) else value)


def figure_size(spec: FigureSpec, style: FigureStyle) -> tuple[float, float]:
    """Return width and height of a figure in inches."""
    width = style.one_column if spec.width == "one_column" else style.two_columns
    return width, spec.height * width
