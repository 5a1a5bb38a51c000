"""LaTeX floats for figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from peft_atlas.figures.spec import Description, FigureSpec
from peft_atlas.latex import escape

if TYPE_CHECKING:
    from peft_atlas.config import FigureStyle


def figure_float(spec: FigureSpec, description: Description, style: FigureStyle) -> str:
    r"""Write a float for ``\input``: the figure at its own width, with caption and label; needs graphicx.

    A two-column figure becomes a ``figure*``, which a one-column document treats like a ``figure``.
    """
    starred = "" if style.narrow or spec.width == "one_column" else "*"
    file = f"{spec.name}.pdf" if "pdf" in style.formats else f"{spec.name}.png"
    lines = [
        f"% {spec.title}; \\graphicspath must include the folder of the figures.",
        f"\\begin{{figure{starred}}}",
        "  \\centering",
        f"  \\includegraphics[width=\\linewidth]{{{file}}}",
        f"  \\caption{{{escape(description.finding)} {escape(description.caption)}}}",
        f"  \\label{{fig:{spec.name.replace('_', '-')}}}",
        f"\\end{{figure{starred}}}",
    ]
    return "\n".join(lines) + "\n"
