"""The building blocks of a report; the HTML and Markdown templates render the same ones."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

# A sentence ends in a full stop before a capital letter; "r = 8. At" does, "Avg. of" and "e.g. it" do not.
_SENTENCE = re.compile(r"(?<=[.])\s+(?=[A-Z(])")
# Characters of a title that still fits two lines.
_LONG = 110
_NARROW_PIXELS = 480


@dataclass(frozen=True)
class Paragraph:
    """Plain text and the records behind its numbers."""

    text: str
    evidence: str = ""
    kind: str = "paragraph"


@dataclass(frozen=True)
class AnswerText:
    """One study's answer to a question: its label, the text, and the records behind the numbers.

    Each line of ``text`` is a finding. The page shows the first sentence and folds the rest away.
    """

    label: str
    text: str
    evidence: str

    @property
    def lead(self) -> str:
        """First sentence."""
        return _SENTENCE.split(self.text, maxsplit=1)[0]

    @property
    def rest(self) -> tuple[str, ...]:
        """What follows the first sentence, one paragraph per finding."""
        left = self.text.removeprefix(self.lead)
        return tuple(line.strip() for line in left.splitlines() if line.strip())


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
    appendix: bool = False
    empty: bool = False
    kind: str = "figure"

    @property
    def headline(self) -> str:
        """First sentence of the finding, or the first clause of a long one: the figure's title in the page."""
        first = _SENTENCE.split(self.finding, maxsplit=1)[0]
        return (first.partition(";")[0] if len(first) > _LONG else first).removesuffix(".")

    @property
    def rest(self) -> str:
        """What the finding says after its first sentence."""
        left = self.finding.removeprefix(self.headline).lstrip("; .")
        return left[:1].upper() + left[1:]

    @property
    def narrow(self) -> bool:
        """Whether it was drawn for one column, and would have giant type if it filled the page."""
        return self.size[0] < _NARROW_PIXELS

    @property
    def picture(self) -> str:
        """File extension of the picture shown in Markdown."""
        return "png" if "png" in self.formats else "svg"


@dataclass(frozen=True)
class Code:
    """Commands to run."""

    text: str
    kind: str = "code"


@dataclass(frozen=True)
class Card:
    """One piece of advice: an imperative, the number it rests on with interval and scope, and its records."""

    statement: str
    detail: str
    evidence: str
    label: str


@dataclass(frozen=True)
class Cards:
    """The advice that the page opens with."""

    cards: tuple[Card, ...]
    kind: str = "cards"


@dataclass(frozen=True)
class Limits:
    """What the results do not show, set as large as what they show."""

    texts: tuple[str, ...]
    kind: str = "limits"


@dataclass(frozen=True)
class Door:
    """A way into the page for one kind of reader: where it leads, its name, and for whom it is."""

    target: str
    name: str
    about: str


@dataclass(frozen=True)
class Doors:
    """The ways into the page."""

    doors: tuple[Door, ...]
    kind: str = "doors"


@dataclass(frozen=True)
class Bar:
    """A difference with its interval, drawn on an axis from 0 to 100; ``side`` is below, above or open."""

    at: float
    low: float | None
    high: float | None
    zero: float
    side: str


@dataclass(frozen=True)
class MethodLine:
    """A method in the table of methods: its name, the bar of its difference, and the texts of the other columns."""

    name: str
    difference: str
    bar: Bar | None
    cells: tuple[str, ...]


@dataclass(frozen=True)
class MethodTask:
    """The methods on one task: title for the menu, what the task is, and a line per method.

    ``columns`` are the places of the columns that have an entry on this task, ``differs`` whether a method was
    compared with full fine-tuning.
    """

    title: str
    about: str
    lines: tuple[MethodLine, ...]
    columns: tuple[int, ...]
    differs: bool


@dataclass(frozen=True)
class MethodTable:
    """All methods, task by task; ``optional`` says which of the columns after the difference a phone leaves out."""

    header: tuple[str, ...]
    optional: tuple[bool, ...]
    tasks: tuple[MethodTask, ...]
    note: str
    evidence: str
    kind: str = "methods"


@dataclass(frozen=True)
class Words:
    """Terms and what they mean, folded away until a reader asks."""

    title: str
    terms: tuple[tuple[str, str], ...]
    kind: str = "words"


Block = (
    Paragraph
    | Answer
    | Table
    | FigureBlock
    | Code
    | Explorer
    | Planner
    | EvidenceBlock
    | Cards
    | Limits
    | Doors
    | MethodTable
    | Words
)


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
