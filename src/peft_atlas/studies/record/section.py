"""The record of published runs in the report, by question."""

from __future__ import annotations

from peft_atlas.report.content import Block, Paragraph
from peft_atlas.report.material import Material


def blocks(material: Material) -> list[Block]:
    """Return where the rows come from, and the figures."""
    return [Paragraph("x", "benchmark_runs")]
