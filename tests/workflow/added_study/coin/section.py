"""The study's part of the report."""

from __future__ import annotations

from peft_atlas.report.content import Block, Paragraph
from peft_atlas.report.material import Material
from peft_atlas.studies.coin.description import STUDY


def blocks(material: Material) -> list[Block]:
    """Return one sentence."""
    return [Paragraph(STUDY.about, "runs: study=coin")]
