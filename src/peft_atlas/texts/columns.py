"""A text and a label column as they are in a file: text, or nothing; no value is taken for a number or for missing.

It needs neither pandas nor torch, so that the workflow can look at a user's files before it starts a job.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from peft_atlas.errors import AtlasError

# Larger files are refused before they are read; half a gigabyte of text is ten million sentences.
MAX_BYTES = 500_000_000


@dataclass(frozen=True)
class Columns:
    """Every row of a source.

    Parameters
    ----------
    texts, labels
        One entry per row, None where the row has none.
    notes
        What a reader of the report should know of how the rows were read.
    """

    texts: list[str | None]
    labels: list[str | None]
    notes: tuple[str, ...] = ()

    def __add__(self, other: Columns) -> Columns:
        """Return the rows of both."""
        return Columns(self.texts + other.texts, self.labels + other.labels, self.notes + other.notes)


def is_blank(text: str | None) -> bool:
    """Return whether a text has nothing to see: none, empty, or blanks and control characters alone."""
    return text is None or not any(unicodedata.category(character)[0] not in "ZC" for character in text)


def place_of(path: Path, header: Sequence[str], name: str) -> int:
    """Return where a column is.

    Raises
    ------
    AtlasError
        If no column, or more than one, has the name.
    """
    found = [place for place, each in enumerate(header) if each == name]
    if len(found) > 1:
        raise AtlasError(f"{path}: {len(found)} columns are called {name!r}; allowed: one")
    if not found:
        # Blanks at the ends would not be seen without quotation marks.
        names = ", ".join(each if each == each.strip() and each else repr(each) for each in header[:20])
        others = "".join(f"; is it separated by {mark!r}? allowed: commas" for mark in ";\t|" if mark in names)
        raise AtlasError(f"{path}: no column {name}; allowed: {names[:300]}{others[:60]}")
    return found[0]


def size_checked(path: Path) -> Path:
    """Return the path of a file that is there and not too large to read.

    Raises
    ------
    AtlasError
        If it is not.
    """
    if not path.is_file():
        raise AtlasError(f"{path}: no such file; allowed: a CSV or Parquet file")
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise AtlasError(f"{path}: {size:,} bytes; allowed: at most {MAX_BYTES:,}")
    return path
