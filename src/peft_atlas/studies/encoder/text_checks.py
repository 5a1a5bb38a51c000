"""Checks of a task's prepared texts: that no text is in two splits, and that every row is accounted for."""

from __future__ import annotations

from peft_atlas.analysis.finding import ATLAS, Effect, Finding, as_rows
from peft_atlas.step import Step
from peft_atlas.studies.encoder.data.account import account_in_words, read_prepared, warnings
from peft_atlas.studies.encoder.data.classes import sizes_in_words
from peft_atlas.studies.encoder.data.near import COMPARED, NEAR, near_duplicates
from peft_atlas.studies.encoder.data.prepare import Prepared
from peft_atlas.studies.encoder.data.text import shared_texts
from peft_atlas.studies.encoder.jobs import NAME

_SOURCE = "studies/encoder/data/text.py: {task}"


def leakage_check(prepared: Prepared, task: str) -> Finding:
    """Return whether a text is in two splits, and how many test texts have a near duplicate in the pool."""
    rows = prepared.splits
    shared, near = shared_texts(rows), near_duplicates(rows, "test", "train")
    counts = ", ".join(f"{name} {count:,}" for name, count in rows["split"].value_counts().items())
    left_out = f"{prepared.cleaning.repeated:,} repeated and {prepared.cleaning.contradictory:,} contradictory left out"
    return Finding(
        "check",
        f"encoder_leakage_{task}",
        NAME,
        f"In {task} no text is in two splits",
        ATLAS,
        "pass" if shared == 0 else "fail",
        _SOURCE.format(task=task),
        f"{shared} texts are in two splits ({counts}); of {prepared.cleaning.read:,} rows {left_out}. {near} of the "
        f"test texts have a near duplicate in the training pool (cosine of character n-grams of the first {COMPARED:,} "
        f"characters at least {NEAR:g}); they are kept.",
        effect=Effect(float(shared), "texts", n=len(rows)),
    )


def rows_check(prepared: Prepared, task: str) -> Finding:
    """Return whether every row of the source is accounted for, its classes and their sizes, and warnings."""
    warned = "".join(f" Note: {warning}." for warning in warnings(prepared))
    return Finding(
        "check",
        f"encoder_rows_{task}",
        NAME,
        f"Every row of {task} is accounted for",
        ATLAS,
        "pass" if prepared.cleaning.used == len(prepared.labels) else "fail",
        _SOURCE.format(task=task),
        f"{account_in_words(prepared)}. {sizes_in_words(prepared.labels)}.{warned}",
        effect=Effect(float(prepared.cleaning.used), "rows", n=prepared.cleaning.read),
    )


def check_step(step: Step) -> None:
    """Check the prepared texts of one task."""
    prepared, task = read_prepared(step.path("examples"), step.path("account")), step.wildcards["text_task"]
    step.write("findings", as_rows([leakage_check(prepared, task), rows_check(prepared, task)]))
