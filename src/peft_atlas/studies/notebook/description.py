"""What the report says of the notebook study, and which of its findings answer which question."""

from peft_atlas.studies.study import AdvicePart, AnswerPart, Study

STUDY = Study(
    name="notebook",
    title="The notebook: where this project began",
    label="Measured on the notebook's small network",
    about=(
        "The notebook is a short course on LoRA with code, which this project set out to check. It trains a network of "
        "two layers in full and with LoRA, sweeps rank and alpha, and quotes a survey of parameter-efficient "
        "fine-tuning (arXiv:2404.13506). Its experiments are repeated here with its errors fixed."
    ),
    order=90,
    first_task="sweep, held_out",
    answers=(
        AnswerPart("cost", "notebook_cost", "params_vs_accuracy", 1),
        AnswerPart("gain", "notebook_gain", "learning_curves", 1),
        AnswerPart("rank", "notebook_rank", "params_vs_accuracy", 1),
        AnswerPart("rank", "notebook_rank_trend"),
        AnswerPart("alpha", "notebook_alpha", "rank_scaling_heatmap", 1),
        AnswerPart("choice", "notebook_choice", "rank_alpha_heatmap", 1),
    ),
    advice=(AdvicePart("rank", "notebook_advice_rank", 1),),
    chapter=True,
)
