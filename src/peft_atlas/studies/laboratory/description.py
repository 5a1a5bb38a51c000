"""What the report says of the claims laboratory, and which of its findings answer which question."""

from peft_atlas.studies.study import AnswerPart, Study

STUDY = Study(
    name="laboratory",
    title="Measured: claims laboratory",
    label="Measured in the claims laboratory, on the small network of the adaptation study",
    about=(
        "Claims that the field disputes, on how LoRA's best learning rate moves with its rank, on batch size, "
        "capacity, variants and intruder dimensions, each judged by a fixed rule."
    ),
    order=4,
    answers=(AnswerPart("rank", "laboratory_best_rate", "laboratory_rates"),),
    opt_in=True,
)
