"""The building blocks of a report; the HTML and Markdown templates render the same ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd


@dataclass(frozen=True)
class Paragraph:
    """Plain text and the records behind its numbers."""

    text: str
    evidence: str = ""
    kind: str = "paragraph"


@dataclass(frozen=True)
class AnswerText:
    """One study's answer to a question: its label, the text, and the records behind the numbers."""

    label: str
    text: str
    evidence: str


@dataclass(frozen=True)
class Answer:
    """A question, each study's answer, and the figure that shows it best."""

    id: str
    question: str
    texts: tuple[AnswerText, ...]
    figure: FigureBlock | None = None
    kind: str = "answer"


@dataclass(frozen=True)
class Table:
    """A table of strings; columns flagged in ``numeric`` are right-aligned.

    ``evidence`` is the column, if any, whose entries refer to records and become links.
    """

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: tuple[bool, ...]
    evidence: str = "evidence"
    kind: str = "table"


@dataclass(frozen=True)
class Explorer:
    """Data for the interactive scatter plot: points and the metrics known for each."""

    data: Mapping[str, Any]
    kind: str = "explorer"


@dataclass(frozen=True)
class PlannerAnswer:
    """One answer of the planner, for readers without a script: sentence, verdict, and what they rest on.

    ``peak`` is in gigabytes, as text. ``facts`` are pairs of name and text; ``bars`` name, gigabytes, and start and
    width in percent of the peak; ``ways`` name, peak with interval, verdict and largest micro-batch.
    """

    sentence: str
    verdict: str
    peak: str
    facts: tuple[tuple[str, str], ...]
    bars: tuple[tuple[str, str, float, float], ...]
    ways: tuple[tuple[str, str, str, str], ...]


@dataclass(frozen=True)
class Planner:
    """The planner of training memory: what its script computes with, and the answer that it opens with."""

    data: Mapping[str, Any]
    answer: PlannerAnswer
    kind: str = "planner"


@dataclass(frozen=True)
class EvidenceBlock:
    """Result rows that support a statement; ``rows`` holds the first few of ``total``."""

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
        """File extension of the picture shown in Markdown."""
        return "png" if "png" in self.formats else "svg"


@dataclass(frozen=True)
class Code:
    """Commands to run."""

    text: str
    kind: str = "code"


Block = Paragraph | Answer | Table | FigureBlock | Code | Explorer | Planner | EvidenceBlock


@dataclass(frozen=True)
class Section:
    """A titled part of the report."""

    id: str
    title: str
    blocks: Sequence[Block] = field(default_factory=tuple)


def table(caption: str, frame: pd.DataFrame, formats: dict[str, str] | None = None) -> Table:
    """Format a data frame as a table of strings: numbers per column format, missing values as a dash.

    Parameters
    ----------
    caption
        Caption of the table.
    frame
        The rows; column names become the header.
    formats
        Number format per column, such as ``.1f``; without one, whole numbers as such and four digits otherwise.
    """
    formats = formats or {}
    numeric = tuple(pd.api.types.is_numeric_dtype(frame[column]) for column in frame.columns)
    rows = tuple(
        tuple(_cell(value, formats.get(column, "")) for column, value in zip(frame.columns, row, strict=True))
        for row in frame.itertuples(index=False)
    )
    return Table(caption, tuple(str(column).replace("_", " ") for column in frame.columns), rows, numeric)


def _cell(value: object, form: str) -> str:
    """Format one cell."""
    if value is None or (not isinstance(value, str) and pd.isna(value)):
        return "–"
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) or hasattr(value, "__float__"):
        return format(value, form or (",.0f" if float(value).is_integer() else ".4g"))
    return str(value)
