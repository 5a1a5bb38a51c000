"""What the report says of the encoder study, and which of its findings answer which question."""

from peft_atlas.studies.study import AnswerPart, Study

STUDY = Study(
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
