"""The claims laboratory in the report: its figures, and a table of its verdicts."""

from __future__ import annotations

from peft_atlas.report.content import Block, Paragraph, table
from peft_atlas.report.material import Material
from peft_atlas.studies.laboratory.description import STUDY


def blocks(material: Material) -> list[Block]:
    """Return the study's figures and verdicts."""
    intro = Paragraph(
        f"{STUDY.about} The section on claims has what each verdict rests on.",
        "runs: study=laboratory; contrasts: study=laboratory; findings: study=laboratory",
    )
    claims = material.findings("claim", study=STUDY.name)
    columns = ["statement", "verdict", "source", "effect", "low", "high", "detectable", "unit"]
    shown = (
        claims[columns].assign(verdict=claims["verdict"].str.replace("_", " ")).rename(columns={"statement": "claim"})
    )
    formats = dict.fromkeys(("effect", "low", "high", "detectable"), ".2f")
    caption = (
        "Claims and verdicts. Where a claim rests on several comparisons, the effect is one of them; the section on "
        "claims has all. Detectable: with 80 % power."
    )
    return [intro, *material.figures_of(study=STUDY.name), table(caption, shown, formats)]
