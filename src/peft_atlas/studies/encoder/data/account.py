"""The account of a task's rows: what was used, what was left out, and what a reader should be warned of."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from peft_atlas.files import write_text
from peft_atlas.studies.encoder.data.classes import class_warnings, shown
from peft_atlas.studies.encoder.data.example_contract import EXAMPLES, SPLITS
from peft_atlas.studies.encoder.data.prepare import Prepared
from peft_atlas.studies.encoder.data.text import Cleaning
from peft_atlas.tables.contract import read_table, write_table

# Classes that a warning names; the others are counted.
_NAMED = 5


def write_prepared(prepared: Prepared, examples: Path, account: Path) -> None:
    """Write a task's rows of the contract `EXAMPLES`, and their account as JSON."""
    write_table(EXAMPLES, prepared.examples, examples)
    labels = dict(sorted(Counter(prepared.labels).items()))
    content = {"cleaning": asdict(prepared.cleaning), "labels": labels, "notes": prepared.notes}
    write_text(account, json.dumps(content, ensure_ascii=False, indent=1) + "\n")


def read_prepared(examples: Path, account: Path) -> Prepared:
    """Return what `write_prepared` wrote, its rows in the order of their splits and its labels sorted."""
    rows = read_table(EXAMPLES, examples)
    labelled = pd.concat([rows[rows["split"] == name] for name in SPLITS], ignore_index=True)
    content = json.loads(account.read_text(encoding="utf-8"))
    labels = list(Counter(content["labels"]).elements())
    return Prepared(rows.to_dict("records"), labelled, Cleaning(**content["cleaning"]), labels, tuple(content["notes"]))


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
