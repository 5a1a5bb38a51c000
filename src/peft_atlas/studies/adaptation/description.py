"""What the report says of the adaptation study, and which of its findings answer which question."""

from peft_atlas.studies.study import AdvicePart, AnswerPart, Study

STUDY = Study(
    name="adaptation",
    title="Measured: adaptation from a pretrained base",
    label="Measured on a small pretrained network",
    about=(
        "A small network is pretrained on one task, and then adapted by every method to tasks whose labels come from "
        "the same network after its first weights were shifted by a random matrix of known rank; so it is known how "
        "much rank a task needs. Learning rates are chosen on validation."
    ),
    order=2,
    answers=(
        AnswerPart("gain", "adaptation_equivalence", "adaptation_methods", 2),
        AnswerPart("gain", "adaptation_placement", "adaptation_placement"),
        AnswerPart("gain", "adaptation_forgetting"),
        AnswerPart("rank", "adaptation_saturation_*", "adaptation_saturation", 2),
        AnswerPart("alpha", "adaptation_alpha", "adaptation_alpha", 2),
        AnswerPart("choice", "adaptation_choice", "adaptation_methods", 2),
    ),
    advice=(
        AdvicePart("method", "adaptation_advice_method", 2),
        AdvicePart("rank", "adaptation_advice_rank", 2),
    ),
)
