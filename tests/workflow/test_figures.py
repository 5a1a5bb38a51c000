"""Every figure, drawn from the smoke study: deterministic, legible, with intervals, colours fixed."""

import json
from functools import cache
from pathlib import Path

import matplotlib as mpl
import pandas as pd
import pytest
from figure_checks import colours_of_methods, faults_of_text, marks_under_legends, marks_without_interval
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from result_tables import read_results

from peft_atlas.config import STUDIES, FigureStyle
from peft_atlas.figures.render import draw_figure, render, settings
from peft_atlas.figures.spec import all_figures, load_figure
from peft_atlas.figures.style import METHODS, method_mark

pytestmark = pytest.mark.slow
STYLE = FigureStyle()
PRESETS = ("one_column", "two_columns", "slide")
SPECS = {spec.name: spec for spec in all_figures() if spec.study in ("literature", "record", *STUDIES)}
NAMES = list(SPECS)
MEASURED = [spec.name for spec in SPECS.values() if spec.section == "measured"]


@pytest.fixture(scope="session")
def results(smoked) -> Path:
    return smoked.folder / "results"


def tables_of(name, results):
    return read_results(results, SPECS[name].tables)


@pytest.fixture(scope="session")
def plotted_in(results):
    """Return a function that gives what a figure plots, selected once however often it is drawn."""
    return cache(lambda name: load_figure(name).select(tables_of(name, results)))


@pytest.mark.parametrize("name", NAMES)
def test_another_process_draws_the_same_bytes(name, results, smoked, tmp_path):
    drawn = smoked.folder / "figures"
    render(load_figure(name), tables_of(name, results), FigureStyle(dpi=60), tmp_path / name)
    written = sorted(tmp_path.iterdir())
    assert len(written) == 7
    for path in written:
        assert path.read_bytes() == (drawn / path.name).read_bytes(), path.name


def test_the_files_are_those_that_savefig_writes(results, tmp_path):
    name = "pareto_fronts"
    module = load_figure(name)
    render(module, tables_of(name, results), STYLE, tmp_path / "ours")
    figure = draw_figure(module, module.select(tables_of(name, results)), STYLE)
    bare = {"pdf": ("CreationDate", "Producer", "Creator"), "svg": ("Date", "Creator"), "png": ("Software",)}
    for ending in STYLE.formats:
        with mpl.rc_context(settings(module.SPEC, STYLE)):
            figure.savefig(tmp_path / f"theirs.{ending}", dpi=STYLE.dpi, metadata=dict.fromkeys(bare[ending]))
        assert (tmp_path / f"ours.{ending}").read_bytes() == (tmp_path / f"theirs.{ending}").read_bytes()


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("name", NAMES)
def test_a_figure_is_legible_in_every_preset(name, preset, plotted_in):
    # The other palette is tried where the layout is that of two columns once more.
    style = FigureStyle(preset=preset, palette="grey" if preset == "slide" else "colorblind")
    module = load_figure(name)
    figure = draw_figure(module, plotted_in(name), style)
    width, height = figure.get_size_inches()
    most = {"one_column": style.one_column, "two_columns": style.two_columns, "slide": style.slide}[preset]
    assert width <= most + 1e-9
    assert height <= (0.52 * style.slide + 1e-9 if preset == "slide" else 9.5)
    with mpl.rc_context(settings(module.SPEC, style)):
        # As laid out, and as the PNG and the vector formats show it: type is as wide in all.
        for dpi in (figure.dpi, style.dpi, 400):
            figure.set_dpi(dpi)
            assert faults_of_text(figure) == [], dpi
        assert marks_under_legends(figure) == []
    if name in MEASURED:
        assert marks_without_interval(figure, SPECS[name].exact_panels) == []
    # What a legend shows as a method's is the method's own mark; a row of a method never wears another one's colour.
    own = {method: method_mark(method, style) for method in METHODS}
    colours = {to_hex(mark.colour) for mark in own.values()}
    for method, colour, marker in colours_of_methods(figure, METHODS):
        assert colour == to_hex(own[method].colour) or (marker is None and colour not in colours), method
        assert marker in (None, "None", own[method].marker), method


def test_the_checks_of_a_figure_see_faults():
    figure = Figure(figsize=(3, 2))
    axes = figure.subplots()
    axes.plot([1, 2], [1, 2], "o", color="#123456", label="LoRA")
    axes.errorbar([1], [1], yerr=[0.2], fmt="none")
    axes.text(1.5, 1.5, "one text")
    axes.text(1.5, 1.52, "another text")
    axes.text(5, 5, "far away", clip_on=False)
    legend = axes.legend(loc="upper right")
    faults = faults_of_text(figure)
    assert "'far away' leaves the canvas" in faults
    assert "'one text' lies over 'another text'" in faults
    assert marks_without_interval(figure) == [(2, 2)]
    assert len(marks_under_legends(figure)) == 1
    assert colours_of_methods(figure, METHODS) == [("LoRA", "#123456", "o")]
    legend.remove()
    axes.fill_between([1, 3], [0, 0], [4, 4])
    assert marks_without_interval(figure) == []


@pytest.mark.parametrize("name", NAMES)
def test_a_card_and_the_plotted_numbers_come_with_the_figure(name, smoked):
    folder = smoked.folder / "figures"
    card = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    assert all(card[key].strip() for key in ("title", "caption", "finding"))
    assert len(pd.read_csv(folder / f"{name}.csv"))


@pytest.mark.parametrize("name", MEASURED)
def test_measured_numbers_carry_an_interval_that_the_caption_names(name, plotted_in):
    module, plotted = load_figure(name), plotted_in(name)
    known = plotted[plotted["mean"].notna()]
    # A figure may show published numbers next to those measured.
    known = known[known["role"] != "published"] if "role" in known else known
    assert known[["low", "high", "interval"]].notna().all().all()
    assert known["interval"].iloc[0] in module.describe(plotted).caption


@pytest.mark.parametrize("name", [n for n in NAMES if n not in MEASURED])
def test_published_numbers_say_that_they_have_none(name, plotted_in):
    module = load_figure(name)
    caption = module.describe(plotted_in(name)).caption
    assert "interval" in caption or module.SPEC.section == "recomputed"


def test_the_notebooks_figure_reads_the_selected_cell(plotted_in):
    assert (plotted_in("rank_alpha_heatmap")["standing"] == "selected").sum() == 1
