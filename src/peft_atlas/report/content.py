"""What a report is made of; both templates render the same blocks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd


@dataclass(frozen=True)
class Paragraph:
    """Plain text, with the records that its numbers come from."""

    text: str
    evidence: str = ""
    kind: str = "paragraph"


@dataclass(frozen=True)
class AnswerText:
    """What one study answers: its label, the answer, and the records that the numbers come from."""

    label: str
    text: str
    evidence: str


@dataclass(frozen=True)
class Answer:
    """A question, what each study answers, and the figure that shows it."""

    id: str
    question: str
    texts: tuple[AnswerText, ...]
    figure: FigureBlock | None = None
    kind: str = "answer"


@dataclass(frozen=True)
class Table:
    """A table of texts; ``numeric`` says which columns are set flush right.

    ``evidence`` names the column whose texts name records, if there is one.
    """

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: tuple[bool, ...]
    evidence: str = "evidence"
    kind: str = "table"


@dataclass(frozen=True)
class Explorer:
    """The points that a reader can plot against each other, with the metrics they have."""

    data: Mapping[str, Any]
    kind: str = "explorer"


@dataclass(frozen=True)
class EvidenceBlock:
    """Rows of a result table that a statement rests on; ``rows`` are the first of ``total``."""

    id: str
    name: str
    conditions: str
    total: int
    rows: Table
    kind: str = "evidence"


@dataclass(frozen=True)
class FigureBlock:
    """A figure and the files that go with it.

    ``name`` is its name under figures/, ``svg`` the drawing as a data address, ``size`` its width and height in
    CSS pixels: the page reserves that space before it decodes the picture, so that links land where they point.
    """

    name: str
    title: str
    section: str
    study: str
    caption: str
    finding: str
    svg: str
    size: tuple[int, int]
    formats: tuple[str, ...] = ("pdf", "png", "svg")
    kind: str = "figure"

    @property
    def picture(self) -> str:
        """Return the ending of the file that a Markdown page shows."""
        return "png" if "png" in self.formats else "svg"


@dataclass(frozen=True)
class Code:
    """Commands to type."""

    text: str
    kind: str = "code"


Block = Paragraph | Answer | Table | FigureBlock | Code | Explorer | EvidenceBlock


@dataclass(frozen=True)
class Section:
    """A titled part of the report."""

    id: str
    title: str
    blocks: Sequence[Block] = field(default_factory=tuple)


def table(caption: str, frame: pd.DataFrame, formats: dict[str, str] | None = None) -> Table:
    """Return a data frame as a table of texts, numbers by a format a column, missing values as a dash.

    Parameters
    ----------
    caption
        What the table shows.
    frame
        Its rows; column names are the header.
    formats
        Format of a column's numbers, such as ``.1f``; ``g`` where none is given.
    """
    formats = formats or {}
    numeric = tuple(pd.api.types.is_numeric_dtype(frame[column]) for column in frame.columns)
    rows = tuple(
        tuple(_cell(value, formats.get(column, "")) for column, value in zip(frame.columns, row, strict=True))
        for row in frame.itertuples(index=False)
    )
    return Table(caption, tuple(str(column).replace("_", " ") for column in frame.columns), rows, numeric)


def _cell(value: object, form: str) -> str:
    """Return a value as text."""
    if value is None or (not isinstance(value, str) and pd.isna(value)):
        return "–"
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) or hasattr(value, "__float__"):
        return format(value, form or (",.0f" if float(value).is_integer() else ".4g"))
    return str(value)
