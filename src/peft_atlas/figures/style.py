"""How figures look: sizes, fonts, and one colour and marker a method in every figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from peft_atlas.config import FigureStyle

# The order fixes each method's colour and marker; a method that is not here gets one of the last.
METHODS = (
    "LoRA",
    "DoRA",
    "DoRA (half)",
    "LoReFT",
    "PrefT",
    "AdapterS",
    "AdapterP",
    "DiReFT",
    "BitFit",
    "LoRA+",
    "(IA)3",
    "BitFit + LoRA",
    "head only",
)
_MARKERS = "osDv^<>XphPd8H*"
# The palettes have ten colours; from there on come the same, mixed with so much black.
_PALETTE_COLOURS, _DARKER = 10, 0.45
FULL_COLOUR = "#333333"
REFERENCE_COLOUR = "#b3202c"
MODELS = ("LLaMA-7B", "LLaMA-13B")
MODEL_MARKERS = {"LLaMA-7B": "o", "LLaMA-13B": "s"}
# Behind a number that stands on a line.
LABEL_BOX = {"facecolor": "white", "edgecolor": "none", "pad": 0.6}


@dataclass(frozen=True)
class Mark:
    """Colour and marker of a method."""

    colour: Any
    marker: str


def rc_params(style: FigureStyle) -> dict[str, Any]:
    """Return Matplotlib settings for use with ``rc_context``; sizes follow the font size."""
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
        "savefig.dpi": style.dpi,
        # The same input gives the same bytes.
        "svg.hashsalt": "peft-atlas",
        "svg.fonttype": "path",
        "pdf.fonttype": 42,
    }


def method_mark(method: str, style: FigureStyle) -> Mark:
    """Return the colour and marker that a method has in every figure."""
    if method == "full":
        return Mark(FULL_COLOUR, "*")
    import seaborn as sns

    colours = sns.color_palette(style.palette, _PALETTE_COLOURS)
    index = METHODS.index(method) if method in METHODS else len(METHODS) + sum(map(ord, method)) % 2
    darker, place = divmod(index, _PALETTE_COLOURS)
    colour = tuple((1 - _DARKER * darker) * part for part in colours[place])
    return Mark(colour, _MARKERS[index % len(_MARKERS)])


def rank_colours(ranks: Sequence[int]) -> dict[int, Any]:
    """Return a colour for each rank, from light to dark, told apart in grey too."""
    import seaborn as sns

    return dict(zip(ranks, sns.color_palette("crest", len(ranks)), strict=True))


def label_panels(axes: Sequence[Axes]) -> None:
    """Write a, b, c ... before the title of each panel, where there are several."""
    for letter, axis in zip("abcdefgh", axes, strict=False):
        axis.set_title(f"{letter}  {axis.get_title()}" if axis.get_title() else letter, loc="left", fontweight="bold")
        axis.set_title("", loc="center")


def percent_text(value: float) -> str:
    """Return a percentage with three significant digits at the most and no padding."""
    return f"{value:.3g}"
