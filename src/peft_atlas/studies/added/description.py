"""What the report says of runs that a user has added, and which findings on them answer which question."""

from peft_atlas.studies.study import AnswerPart, Study

STUDY = Study(
    name="added",
    title="Your runs",
    label="In the runs that you added",
    about="Runs of other programs, added with peft-atlas add, each with its source.",
    order=50,
    answers=(AnswerPart("gain", "added_*", "added_runs"),),
    measured=False,
    needs="data/added/*.csv",
)
