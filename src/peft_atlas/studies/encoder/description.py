"""What the report says of the encoder study, and which of its findings answer which question."""

from peft_atlas.studies.study import AdvicePart, AnswerPart, Study

STUDY = Study(
    name="encoder",
    title="Measured: a pretrained transformer on text",
    label="Measured on a pretrained transformer and real text",
    about="One prespecified question, whether LoRA is as good as full fine-tuning on a pretrained transformer and "
    "labelled text, and exploratory ones on other methods, ranks and modules; every learning rate is tuned.",
    order=1,
    answers=(
        AnswerPart("cost", "encoder_cost", "encoder_cost"),
        AnswerPart("cost", "encoder_memory", "encoder_cost"),
        AnswerPart("gain", "encoder_gain_primary", "encoder_differences", 3),
        AnswerPart("gain", "encoder_gain_*_examples", "encoder_differences", 3),
        AnswerPart("rank", "encoder_rank", "encoder_ranks", 3),
        AnswerPart("choice", "encoder_group", "encoder_differences", 2),
        AnswerPart("choice", "encoder_modules", "encoder_differences", 2),
        AnswerPart("choice", "encoder_order", "encoder_params", 2),
    ),
    advice=(
        AdvicePart("method", "encoder_advice_method", 3),
        AdvicePart("rate", "encoder_advice_rate", 3),
        AdvicePart("rank", "encoder_advice_rank", 3),
    ),
)
