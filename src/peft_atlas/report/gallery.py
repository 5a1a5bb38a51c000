"""The gallery: all figures on one page."""

from __future__ import annotations

from pathlib import Path

from peft_atlas.files import write_text
from peft_atlas.report.render import read_figures, render_gallery
from peft_atlas.step import Step


def gallery_step(step: Step) -> None:
    """Write the gallery page."""
    figures = read_figures(map(Path, step.params["figures"]))
    write_text(step.output("gallery"), render_gallery(figures))
