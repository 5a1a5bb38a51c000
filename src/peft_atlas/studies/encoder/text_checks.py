"""Checks of a task's prepared texts: that no text is in two splits, and that every row is accounted for."""

from __future__ import annotations

from peft_atlas.analysis.finding import ATLAS, Effect, Finding, as_rows
from peft_atlas.step import Step
from peft_atlas.studies.encoder.data.account import Account, account_in_words, read_account, warnings
from peft_atlas.studies.encoder.data.classes import sizes_in_words
from peft_atlas.studies.encoder.data.near import COMPARED, NEAR, near_duplicates
from peft_atlas.studies.encoder.data.text import shared_texts
from peft_atlas.studies.encoder.jobs import NAME

_SOURCE = "studies/encoder/data/text.py: {task}"


def leakage_check(account: Account, task: str) -> Finding:
    """Return whether a text is in two splits, and how many test texts have a near duplicate in the pool."""
    rows = account.splits
    shared, near = shared_texts(rows), near_duplicates(rows, "test", "train")
    counts = ", ".join(f"{name} {count:,}" for name, count in rows["split"].value_counts().items())
    left_out = f"{account.cleaning.repeated:,} repeated and {account.cleaning.contradictory:,} contradictory left out"
    return Finding(
        "check",
        f"encoder_leakage_{task}",
        NAME,
        f"In {task} no text is in two splits",
        ATLAS,
        "pass" if shared == 0 else "fail",
        _SOURCE.format(task=task),
        f"{shared} texts are in two splits ({counts}); of {account.cleaning.read:,} rows {left_out}. {near} of the "
        f"test texts have a near duplicate in the training pool (cosine of character n-grams of the first {COMPARED:,} "
        f"characters at least {NEAR:g}); they are kept.",
        effect=Effect(float(shared), "texts", n=len(rows)),
    )


def rows_check(account: Account, task: str) -> Finding:
    """Return whether every row of the source is accounted for, its classes and their sizes, and warnings."""
    warned = "".join(f" Note: {warning}." for warning in warnings(account))
    return Finding(
        "check",
        f"encoder_rows_{task}",
        NAME,
        f"Every row of {task} is accounted for",
        ATLAS,
        "pass" if account.cleaning.used == len(account.labels) else "fail",
        _SOURCE.format(task=task),
        f"{account_in_words(account)}. {sizes_in_words(account.labels)}.{warned}",
        effect=Effect(float(account.cleaning.used), "rows", n=account.cleaning.read),
    )


def check_step(step: Step) -> None:
    """Check the prepared texts of one task."""
    account, task = read_account(step.path("account"), step.path("examples")), step.wildcards["text_task"]
    step.write("findings", as_rows([leakage_check(account, task), rows_check(account, task)]))
