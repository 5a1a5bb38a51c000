"""What the report says of the study."""

from peft_atlas.studies.study import AnswerPart, Study

STUDY = Study(
    name="coin",
    title="Measured: a coin",
    label="Measured on a coin",
    about="A coin is tossed for each seed.",
    order=4,
    answers=(AnswerPart("choice", "coin_choice"),),
)
