"""What the report says of the decoder study."""

from peft_atlas.studies.study import AdvicePart, Study

STUDY = Study(
    name="decoder",
    title="Measured: a language model on tasks like the published ones",
    label="Measured on a language model of the LLaMA architecture",
    about="The methods of the published commonsense and arithmetic tables on a small language model of the same "
    "architecture: accuracy, what is forgotten, and what each costs, with rates that validation chose.",
    order=3,
    advice=(AdvicePart("language_model", "decoder_advice_method", 1),),
    opt_in=True,
    released=True,
)
