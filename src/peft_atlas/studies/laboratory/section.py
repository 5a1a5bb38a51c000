"""The claims laboratory in the report: the best rate over the rank; its claims are with all others."""

from __future__ import annotations

from peft_atlas.report.content import Block, Paragraph
from peft_atlas.report.material import Material
from peft_atlas.studies.laboratory.description import STUDY


def blocks(material: Material) -> list[Block]:
    """Return the study's figures."""
    intro = Paragraph(
        f"{STUDY.about} The verdicts are in the section on claims.",
        "runs: study=laboratory; contrasts: study=laboratory; findings: study=laboratory",
    )
    return [intro, *material.figures_of(study=STUDY.name)]
