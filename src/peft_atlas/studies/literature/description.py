"""What the report says of the published tables, and which findings on them answer which question."""

from peft_atlas.studies.study import AdvicePart, AnswerPart, Study

STUDY = Study(
    name="literature",
    title="Published",
    label="In the literature",
    about="Tables of the literature, transcribed as printed, each with its source.",
    order=100,
    answers=(
        AnswerPart("cost", "published_cost", "training_memory", 5),
        AnswerPart("choice", "published_best", "pareto_fronts"),
        AnswerPart("literature", "literature_holds", "printed_recomputed", 1),
    ),
    first_task="commonsense: Avg",
    measured=False,
    advice=(
        AdvicePart("method", "published_advice_method", 1),
        AdvicePart("cost", "published_advice_memory", 3),
        AdvicePart("literature", "published_advice_literature", 3),
    ),
)
