"""What the report says of the adaptation study, and which of its findings answer which question."""

from peft_atlas.studies.study import AnswerPart, Study

STUDY = Study(
    name="adaptation",
    title="Measured: adaptation from a pretrained base",
    label="Measured on a pretrained network that is adapted to a shift of known rank",
    about=(
        "A pretrained network is adapted by every method to targets that differ by a weight shift of known rank, "
        "learning rates chosen on validation."
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
    headlines=("adaptation_equivalence", "adaptation_forgetting", "adaptation_saturation_*"),
)
