"""The account of a task's rows: what was used, what was left out, and what a reader should be warned of."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from peft_atlas.errors import AtlasError
from peft_atlas.files import write_text
from peft_atlas.studies.encoder.data.classes import class_warnings, shown
from peft_atlas.studies.encoder.data.example_contract import EXAMPLES, SPLITS
from peft_atlas.studies.encoder.data.text import Cleaning
from peft_atlas.tables.contract import read_table

# Classes that a warning names; the others are counted.
_NAMED = 5


@dataclass(frozen=True)
class Account:
    """What became of the rows of a task's source.

    Parameters
    ----------
    splits
        The labelled texts with their splits.
    cleaning
        Counts of what was read and left out.
    labels
        The label of every row that is left after cleaning, in a split or not.
    notes
        What a reader of the report should know of how the source was read.
    """

    splits: pd.DataFrame
    cleaning: Cleaning
    labels: list[str]
    notes: tuple[str, ...] = ()


def write_account(account: Account, path: Path) -> None:
    """Write an account as JSON, but for its texts, which are in the table of the contract `EXAMPLES`."""
    labels = dict(sorted(Counter(account.labels).items()))
    content = {"cleaning": asdict(account.cleaning), "labels": labels, "notes": account.notes}
    write_text(path, json.dumps(content, ensure_ascii=False, indent=1) + "\n")


def read_account(path: Path, examples: Path) -> Account:
    """Return an account from what `write_account` wrote and the task's table; its labels are sorted.

    Raises
    ------
    AtlasError
        If a file is not what was written.
    """
    rows = read_table(EXAMPLES, examples).drop(columns="tokens")
    splits = pd.concat([rows[rows["split"] == name] for name in SPLITS], ignore_index=True)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        labels = list(Counter(content["labels"]).elements())
        return Account(splits, Cleaning(**content["cleaning"]), labels, tuple(content["notes"]))
    except (ValueError, KeyError, TypeError):
        raise AtlasError(f"{path}: damaged; delete it and run again") from None


def account_in_words(account: Account) -> str:
    """Return how many rows were read, used, and left out for which reason."""
    found: Cleaning = account.cleaning
    spare = found.used - len(account.splits)
    return (
        f"Of {found.read:,} rows {found.used:,} are used ({spare:,} of them are in no split, since validation and test "
        f"hold as many as the configuration asks); left out: {found.repeated:,} repeated, {found.contradictory:,} "
        f"contradictory, {found.without_text:,} without text, {found.without_label:,} without label"
    )


def warnings(account: Account) -> Iterator[str]:
    """Yield what a reader should know before the numbers of a task are believed."""
    yield from account.notes
    yield from class_warnings(account.labels)
    for name in SPLITS:
        yield from _absent(account.splits, set(account.labels), name)


def _absent(rows: pd.DataFrame, classes: set[str], split: str) -> Iterator[str]:
    """Yield the classes that a split lacks, in one sentence."""
    lacking = sorted(classes - set(rows.loc[rows["split"] == split, "label"]))
    if lacking:
        named = ", ".join(map(shown, lacking[:_NAMED])) + (", ..." if len(lacking) > _NAMED else "")
        where = "the training pool, so that it cannot be learned" if split == "train" else split
        yield f"{len(lacking)} of {len(classes)} classes have no row in {where}: {named}"
