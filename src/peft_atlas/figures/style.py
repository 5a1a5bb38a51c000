"""How figures look: sizes, fonts, and a fixed colour and marker per method."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from peft_atlas.figures.more_marks import mark_of_name, more_pairs

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from peft_atlas.config import FigureStyle
    from peft_atlas.figures.spec import FigureSpec

# Each method of this package has the same colour and marker in every figure. The colours come from a search: any two
# are at least 12 CIEDE2000 units apart, for normal vision and for protanopia, deuteranopia and tritanopia as simulated
# by Machado, Oliveira and Fernandes (2009), and each has a contrast of at least 2.7:1 against white. The controls share
# one grey and differ by marker.
_MARKS = {
    "full": ("#333333", "*"),
    "head only": ("#826e6f", "h"),
    "BitFit": ("#5c390b", "p"),
    "LoRA": ("#0072b2", "o"),
    "LoRA+": ("#7b94ab", "P"),
    "DoRA": ("#ba4e00", "s"),
    "DoRA (half)": ("#b69a11", "D"),
    "LoReFT": ("#8f4375", ">"),
    "PrefT": ("#d871f7", "<"),
    "AdapterS": ("#305f44", "^"),
    "AdapterP": ("#01b093", "v"),
    "DiReFT": ("#0019ce", "X"),
    "(IA)3": ("#868d5c", "d"),
    "BitFit + LoRA": ("#082c48", "8"),
    "no adaptation": ("#767676", "|"),
    "majority class": ("#767676", "_"),
    "TF-IDF + logistic regression": ("#767676", "+"),
    "random encoder": ("#767676", "x"),
    "shuffled labels": ("#767676", "1"),
}
CONTROLS = ("no adaptation", "majority class", "TF-IDF + logistic regression", "random encoder", "shuffled labels")
METHODS = tuple(name for name in _MARKS if name not in CONTROLS)
# Methods of peft share the colours of all but full fine-tuning, with other markers.
_OF_PEFT = more_pairs({name: mark for name, mark in _MARKS.items() if name in METHODS and name != "full"})
FULL_COLOUR = "#333333"
REFERENCE_COLOUR = "#b3202c"
MODELS = ("LLaMA-7B", "LLaMA-13B")
MODEL_MARKERS = {"LLaMA-7B": "o", "LLaMA-13B": "s"}
# Font size in one column relative to two columns.
_NARROW_TYPE = 7 / 8
# Height of a figure on a slide, relative to the slide's width.
_SLIDE_HEIGHT = 0.52
# Background for numbers written across a line.
LABEL_BOX = {"facecolor": "white", "edgecolor": "none", "pad": 0.6}


@dataclass(frozen=True)
class Mark:
    """Colour and marker of a method."""

    colour: Any
    marker: str


def magnification(spec: FigureSpec, style: FigureStyle) -> float:
    """Scale factor of a figure's type and marks, relative to the two-column preset.

    A slide shows the two-column layout as large as its width and height allow.
    """
    if style.preset == "slide":
        width = figure_width(spec, style)
        return min(style.slide / width, _SLIDE_HEIGHT * style.slide / (spec.height * width))
    return _NARROW_TYPE if style.narrow else 1.0


def figure_width(spec: FigureSpec, style: FigureStyle) -> float:
    """Width of a figure on paper, in inches."""
    narrow = style.narrow or spec.width == "one_column"
    return style.one_column if narrow else style.two_columns


def figure_size(spec: FigureSpec, style: FigureStyle) -> tuple[float, float]:
    """Width and height of a figure, in inches."""
    width = figure_width(spec, style)
    if style.preset == "slide":
        larger = magnification(spec, style)
        return larger * width, larger * spec.height * width
    return width, (_narrow_height(spec, style) if style.narrow else spec.height) * width


def _narrow_height(spec: FigureSpec, style: FigureStyle) -> float:
    """Height over width in one column: unless the figure says otherwise, panels keep their height on paper."""
    if spec.narrow_height is not None:
        return spec.narrow_height
    if spec.width == "one_column":
        return spec.height
    columns = spec.panels[1] if spec.narrow_panels is None else spec.narrow_panels[0] / spec.panels[0]
    return 0.8 * columns * spec.height * style.two_columns / style.one_column


def panel_grid(spec: FigureSpec, style: FigureStyle) -> tuple[int, int]:
    """Rows and columns of panels."""
    if not style.narrow:
        return spec.panels
    return spec.narrow_panels or (spec.panels[0] * spec.panels[1], 1)


def at_size(spec: FigureSpec, style: FigureStyle) -> FigureStyle:
    """Adjust the style's font size to where the figure will be used."""
    return style.model_copy(update={"font_size": style.font_size * magnification(spec, style)})


def rc_params(style: FigureStyle) -> dict[str, Any]:
    """Matplotlib settings for ``rc_context``; all sizes follow the font size."""
    size = style.font_size
    return {
        "font.size": size,
        "axes.titlesize": size,
        "axes.labelsize": size,
        "legend.fontsize": size - 1,
        "xtick.labelsize": size - 1,
        "ytick.labelsize": size - 1,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.linewidth": 0.6,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": "#dddddd",
        "grid.linewidth": 0.5,
        "lines.linewidth": 1.2,
        "lines.markersize": 0.55 * size,
        "legend.frameon": False,
        "figure.constrained_layout.use": True,
        # All formats share one layout, so text must be equally wide in pixels and in outlines.
        "text.hinting": "no_hinting",
        # The same input gives the same bytes.
        "svg.hashsalt": "peft-atlas",
        "svg.fonttype": "path",
        "pdf.fonttype": 42,
    }


def method_mark(method: str, style: FigureStyle) -> Mark:
    """Look up a method's colour and marker; a variant ``X (...)`` shares those of X unless it has its own."""
    colour, marker = _MARKS.get(method) or _MARKS.get(method.split(" (")[0]) or mark_of_name(method, _OF_PEFT)
    return Mark(as_grey(colour) if style.palette == "grey" else colour, marker)


def as_grey(colour: str) -> str:
    """Convert a colour to the grey of equal luma (ITU-R BT.601)."""
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return "#" + 3 * f"{round(0.299 * red + 0.587 * green + 0.114 * blue):02x}"


def rank_colours(ranks: Sequence[int]) -> dict[int, Any]:
    """Assign colours to ranks, from light to dark, so that they also differ in grey."""
    import matplotlib as mpl

    last = max(len(ranks) - 1, 1)
    colours = [mpl.colormaps["viridis"](0.72 - 0.67 * place / last) for place in range(len(ranks))]
    return dict(zip(ranks, colours, strict=True))


def add_legend(axis: Axes, style: FigureStyle, loc: str, columns: int = 1, **place: Any) -> None:
    """Add a legend at ``loc`` of an axis or, in one column, below the figure, where there is more room."""
    if style.narrow:
        handles, labels = axis.get_legend_handles_labels()
        axis.figure.legend(handles, labels, loc="outside lower center", ncols=columns)
    else:
        axis.legend(loc=loc, **place)


def label_panels(axes: Sequence[Axes]) -> None:
    """Prefix the panel titles with a, b, c, ..."""
    for letter, axis in zip("abcdefgh", axes, strict=False):
        axis.set_title(f"{letter}  {axis.get_title()}" if axis.get_title() else letter, loc="left", fontweight="bold")
        axis.set_title("", loc="center")
