"""What the report says of the record of published runs, and which findings on it answer which question."""

from peft_atlas.studies.study import AnswerPart, Study

STUDY = Study(
    name="record",
    title="What the field has measured since",
    label="In published runs",
    about="Published runs, one by one: a living benchmark with its history, sweeps of rates, printed memory and time.",
    # Before the literature, whose claims rest on these answers too.
    order=90,
    answers=(
        AnswerPart("cost", "record_time"),
        AnswerPart("cost", "record_time_pairs"),
        AnswerPart("gain", "record_against_full"),
        AnswerPart("choice", "record_modules"),
        AnswerPart("rank", "record_rate_with_rank", "best_rate_by_rank"),
        AnswerPart("choice", "record_rates", "winner_by_rate"),
        AnswerPart("choice", "record_batch"),
        AnswerPart("choice", "record_images"),
        AnswerPart("literature", "record_survives", "benchmark_over_time"),
    ),
    measured=False,
)
