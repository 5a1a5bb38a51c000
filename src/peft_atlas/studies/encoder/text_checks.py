"""A task's texts made ready for training, and the check that no text is in two splits."""

from __future__ import annotations

from pathlib import Path

from peft_atlas.analysis.finding import ATLAS, Effect, Finding, as_rows
from peft_atlas.step import Step
from peft_atlas.studies.encoder.data.example_contract import EXAMPLES
from peft_atlas.studies.encoder.data.prepare import Prepared, prepare
from peft_atlas.studies.encoder.data.sources import Source
from peft_atlas.studies.encoder.data.text import NEAR, SplitSizes, near_duplicates, shared_texts
from peft_atlas.studies.encoder.jobs import NAME
from peft_atlas.tables.contract import write_table


def leakage_check(prepared: Prepared, task: str) -> Finding:
    """Return whether a text is in two splits, and how many test texts have a near duplicate in the pool."""
    rows, cleaning = prepared.splits, prepared.cleaning
    shared, near = shared_texts(rows), near_duplicates(rows, "test", "train")
    counts = ", ".join(f"{name} {count:,}" for name, count in rows["split"].value_counts().items())
    left_out = f"{cleaning.repeated:,} repeated and {cleaning.contradictory:,} contradictory left out"
    return Finding(
        "check",
        f"encoder_leakage_{task}",
        NAME,
        f"In {task} no text is in two splits",
        ATLAS,
        "pass" if shared == 0 else "fail",
        f"studies/encoder/data/text.py: {task}",
        f"{shared} texts are in two splits ({counts}); of {cleaning.read:,} rows {left_out}. {near} of the test texts "
        f"have a near duplicate in the training pool (cosine of character n-grams at least {NEAR:g}); they are kept.",
        effect=Effect(float(shared), "texts", n=len(rows)),
    )


def prepare_step(step: Step) -> None:
    """Clean, split, tokenise and check the texts of one task."""
    params, packaged = step.params, step.path("packaged").parent
    task = dict(params["task"])
    file = task.pop("file")
    source = Source(packaged=packaged, file=None if file is None else Path(file), **task)
    tokenizer = step.path("model").parent / "tokenizer.json"
    sizes = SplitSizes(**params["sizes"])
    prepared = prepare(source, sizes, params["drift"], packaged, tokenizer, params["max_length"])
    write_table(EXAMPLES, prepared.examples, step.output("examples"))
    step.write("findings", as_rows([leakage_check(prepared, source.name)]))
