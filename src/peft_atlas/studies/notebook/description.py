"""What the report says of the notebook study, and which of its findings answer which question."""

from peft_atlas.studies.study import AnswerPart, Study

STUDY = Study(
    name="notebook",
    title="Measured: the notebook's network",
    label="Measured on the notebook's small network",
    about=(
        "Sections 2-4 of the seed notebook: a small network trained in full and with LoRA, and a sweep over rank and "
        "alpha."
    ),
    order=1,
    first_task="sweep, held_out",
    answers=(
        AnswerPart("cost", "notebook_cost", "params_vs_accuracy", 1),
        AnswerPart("gain", "notebook_gain", "learning_curves", 1),
        AnswerPart("rank", "notebook_rank", "params_vs_accuracy", 1),
        AnswerPart("rank", "notebook_rank_trend"),
        AnswerPart("alpha", "notebook_alpha", "rank_scaling_heatmap", 1),
        AnswerPart("choice", "notebook_choice", "rank_alpha_heatmap", 1),
    ),
    headlines=("notebook_gain", "notebook_rank_trend"),
)
