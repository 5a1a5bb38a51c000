"""The encoder study in the report: every method on a pretrained transformer and real text."""

from __future__ import annotations

from peft_atlas.report.content import Block, Paragraph
from peft_atlas.report.material import Material
from peft_atlas.report.studies.spec import AnswerPart, StudySpec

SPEC = StudySpec(
    name="encoder",
    title="Measured: a pretrained transformer on text",
    label="Measured on a pretrained transformer and real text",
    about="Every method of the published tables trains a pretrained transformer on labelled text, with equal budgets.",
    order=3,
    answers=(
        AnswerPart("cost", "encoder_cost*", "encoder_cost"),
        AnswerPart("gain", "encoder_gain_*", "encoder_differences", 3),
        AnswerPart("rank", "encoder_rank_*", "encoder_ranks", 3),
        AnswerPart("choice", "encoder_ranking", "encoder_params", 3),
    ),
    headlines=("encoder_gain_*", "encoder_ranking"),
)


def blocks(material: Material) -> list[Block]:
    """Return the study's figures."""
    intro = Paragraph(
        f"{SPEC.about} Learning rates are chosen on validation, test is read once, differences are paired by seed.",
        "runs: study=encoder; contrasts: study=encoder",
    )
    return [intro, *material.figures_of(study=SPEC.name)]
