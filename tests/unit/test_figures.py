"""Every figure, drawn from the smoke study: deterministic, legible, with intervals, colours fixed."""

import json
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from peft_atlas.config import FigureStyle
from peft_atlas.figures.render import build, render
from peft_atlas.figures.spec import all_figures, load_figure
from peft_atlas.figures.style import METHODS, method_mark, rc_params
from peft_atlas.records import CONTRACTS, read_table

pytestmark = pytest.mark.slow
STYLE = FigureStyle()
NAMES = [spec.name for spec in all_figures()]
MEASURED = [spec.name for spec in all_figures() if spec.section == "measured"]


@pytest.fixture(scope="session")
def results(smoked) -> Path:
    return smoked.folder / "results"


def tables_of(name, results):
    return {
        table: read_table(CONTRACTS[table], results / f"{table}.parquet") for table in load_figure(name).SPEC.tables
    }


@pytest.mark.parametrize("name", NAMES)
def test_two_drawings_have_the_same_bytes(name, results, tmp_path):
    tables = tables_of(name, results)
    for folder in ("a", "b"):
        render(load_figure(name), tables, STYLE, tmp_path / folder / name)
    for path in sorted((tmp_path / "a").iterdir()):
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes(), path.name


@pytest.mark.parametrize("name", NAMES)
def test_text_stays_on_the_canvas_and_off_other_text(name, results):
    module = load_figure(name)
    with mpl.rc_context({"backend": "agg", **rc_params(STYLE)}):
        figure = build(module, module.select(tables_of(name, results)), STYLE)
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        renderer = canvas.get_renderer()
        boxes = [(text, text.get_window_extent(renderer)) for text in figure.findobj(Text) if is_shown(text)]
    canvas = figure.bbox
    for text, box in boxes:
        inside = (
            canvas.x0 - 1 <= box.x0 and box.x1 <= canvas.x1 + 1 and canvas.y0 - 1 <= box.y0 <= box.y1 <= canvas.y1 + 1
        )
        assert inside, f"{text.get_text()!r} leaves the canvas"
    for index, (text, box) in enumerate(boxes):
        for other, another in boxes[index + 1 :]:
            assert overlap(box, another) < 2, f"{text.get_text()!r} overlaps {other.get_text()!r}"


def is_shown(text):
    """Return whether a text is drawn: visible, not empty, and, for a tick label, within its axis."""
    if not text.get_visible() or not text.get_text().strip():
        return False
    for axis in [axis for axes in text.figure.axes for axis in (axes.xaxis, axes.yaxis)]:
        ticks = [*axis.majorTicks, *axis.minorTicks]
        if any(text in (tick.label1, tick.label2) for tick in ticks):
            return any(text in (tick.label1, tick.label2) for tick in axis._update_ticks())
    return True


def overlap(left, right):
    """Return by how many pixels two boxes overlap in the direction in which they overlap less."""
    across = min(left.x1, right.x1) - max(left.x0, right.x0)
    down = min(left.y1, right.y1) - max(left.y0, right.y0)
    return max(0.0, min(across, down))


@pytest.mark.parametrize("name", NAMES)
def test_a_card_and_the_plotted_numbers_stand_beside_the_figure(name, smoked):
    folder = smoked.folder / "figures"
    card = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    assert all(card[key].strip() for key in ("title", "caption", "finding"))
    assert len(pd.read_csv(folder / f"{name}.csv"))


@pytest.mark.parametrize("name", MEASURED)
def test_measured_numbers_carry_an_interval_that_the_caption_names(name, results):
    module = load_figure(name)
    plotted = module.select(tables_of(name, results))
    known = plotted[plotted["mean"].notna()]
    assert known[["low", "high", "interval"]].notna().all().all()
    assert known["interval"].iloc[0] in module.describe(plotted).caption


@pytest.mark.parametrize("name", [n for n in NAMES if n not in MEASURED])
def test_published_numbers_say_that_they_have_none(name, results):
    module = load_figure(name)
    caption = module.describe(module.select(tables_of(name, results))).caption
    assert "interval" in caption or module.SPEC.section == "recomputed"


def test_methods_have_one_colour_and_marker_each():
    marks = [method_mark(method, STYLE) for method in (*METHODS, "full")]
    assert len({mark.marker for mark in marks}) == len(marks)
    assert len({tuple(np.round(mpl.colors.to_rgb(mark.colour), 3)) for mark in marks}) == len(marks)
    assert method_mark("a method of tomorrow", STYLE) == method_mark("a method of tomorrow", STYLE)


def test_the_notebooks_figure_reads_the_selected_cell(results):
    plotted = load_figure("rank_alpha_heatmap").select(tables_of("rank_alpha_heatmap", results))
    assert (plotted["standing"] == "selected").sum() == 1
