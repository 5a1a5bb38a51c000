"""Labelled texts from where they come: a packaged set, the user's file, or a Hugging Face data set."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from peft_atlas.errors import AtlasError
from peft_atlas.studies.encoder.data.classes import check_classes
from peft_atlas.studies.encoder.data.dataset import read_dataset
from peft_atlas.studies.encoder.data.own_file import read_file
from peft_atlas.texts.columns import Columns, is_blank

# Ratings this near to zero have no sentiment to learn; the VADER raters' scale is -4 to 4.
_NEUTRAL = 0.5


@dataclass(frozen=True)
class Source:
    """Where the texts of a task are: a folder of packaged files, a file, or the name of a data set."""

    name: str
    packaged: Path | None = None
    file: Path | None = None
    dataset: str | None = None
    subset: str | None = None
    text: str = "text"
    label: str = "label"

    @property
    def is_packaged(self) -> bool:
        """Return whether the texts come inside a package."""
        return self.file is None and self.dataset is None


@dataclass(frozen=True)
class Loaded:
    """The labelled texts of a source, and an account of the rows that are not among them.

    Parameters
    ----------
    rows
        The columns ``text`` and ``label``, both text, of every row that has both.
    read
        Rows of the source.
    without_text, without_label
        Rows with nothing to see as text, and further rows without a label.
    notes
        What a reader of the report should know of how the rows were read.
    """

    rows: pd.DataFrame
    read: int
    without_text: int
    without_label: int
    notes: tuple[str, ...] = ()


def load_source(source: Source) -> Loaded:
    """Return the labelled texts of a source; those of a user are checked to be a classification.

    Raises
    ------
    AtlasError
        If the source cannot be read, lacks a column, has no rows, or its labels are no classes.
    """
    loaded = _complete(source.name, _read(source))
    if not source.is_packaged:
        check_classes(source.name, loaded.rows["text"].tolist(), loaded.rows["label"].tolist())
    return loaded


def read_source(source: Source) -> pd.DataFrame:
    """Return every labelled text of a source as the columns ``text`` and ``label``, both strings.

    Raises
    ------
    AtlasError
        If it cannot be read, lacks a column, or has no rows.
    """
    return _complete(source.name, _read(source)).rows


def _read(source: Source) -> Columns:
    """Return every row of a source."""
    if source.file is not None:
        return read_file(source.file, source.text, source.label)
    if source.dataset is not None:
        return read_dataset(source.name, source.dataset, source.subset, source.text, source.label)
    assert source.packaged is not None
    rows = PACKAGED[source.name](source.packaged)
    texts, labels = ([None if pd.isna(value) else str(value) for value in rows[name]] for name in ("text", "label"))
    return Columns(texts, labels)


def _complete(task: str, columns: Columns) -> Loaded:
    """Return the rows that have a text and a label, and how many lack which."""
    pairs = [pair for pair in zip(columns.texts, columns.labels, strict=True) if not is_blank(pair[0])]
    whole = [(text, label) for text, label in pairs if not is_blank(label)]
    read, without_text, without_label = len(columns.texts), len(columns.texts) - len(pairs), len(pairs) - len(whole)
    if not whole:
        lacking = f"{read:,} rows, {without_text:,} without text, {without_label:,} without label"
        raise AtlasError(f"task {task}: no row has both a text and a label ({lacking}); allowed: at least one")
    return Loaded(
        pd.DataFrame(whole, columns=["text", "label"], dtype=object), read, without_text, without_label, columns.notes
    )


def _questions(folder: Path, *, fine: bool) -> pd.DataFrame:
    """Return TREC's questions with their coarse (6) or fine (50) type; the file repeats nested subsets."""
    lines = (folder / "question_labels.txt").read_text(encoding="latin-1").splitlines()
    pairs = [line.split(" ", 1) for line in lines if " " in line]
    labels = [label if fine else label.partition(":")[0] for label, _ in pairs]
    return pd.DataFrame({"text": [text for _, text in pairs], "label": labels})


def _sentiment(folder: Path, name: str) -> pd.DataFrame:
    """Return VADER's snippets with the sign of their mean rating; near zero is left out."""
    path = folder / f"{name}.txt"
    rows = pd.read_csv(path, sep="\t", quoting=csv.QUOTE_NONE, encoding="latin-1")
    rows = rows[rows["sentiment"].abs() > _NEUTRAL]
    return pd.DataFrame({"text": rows["text"], "label": rows["sentiment"].gt(0).map({True: "pos", False: "neg"})})


def _sms(folder: Path) -> pd.DataFrame:
    rows = pd.read_csv(folder / "sms-spam.csv")
    return pd.DataFrame({"text": rows["text"], "label": rows["spam"].map({0: "ham", 1: "spam"})})


# Reads a packaged set from the folder of its files, by the name of the task.
PACKAGED: dict[str, Callable[[Path], pd.DataFrame]] = {
    "trec6": lambda folder: _questions(folder, fine=False),
    "trec50": lambda folder: _questions(folder, fine=True),
    "sent_movie": lambda folder: _sentiment(folder, "movie"),
    "sent_nyt": lambda folder: _sentiment(folder, "nyt"),
    "sent_tweets": lambda folder: _sentiment(folder, "tweets"),
    "sent_amazon": lambda folder: _sentiment(folder, "amazon"),
    "sms": _sms,
}
