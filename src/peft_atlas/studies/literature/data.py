"""Read the transcribed tables: one row per printed cell, checked, with its source; a fault is named by its place.

Every ``*.csv`` of the folder is a table of cells, but for `VERDICTS_FILE` and `REFERENCES_FILE`, which say what
is made of them. A table or a row is added by editing files there; no code knows their names.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import pandas as pd
from pydantic import ValidationError, ValidationInfo, field_validator

from peft_atlas.errors import AtlasError
from peft_atlas.step import Step
from peft_atlas.studies.literature.families import family
from peft_atlas.studies.literature.row_types import (
    ArxivId,
    Name,
    Number,
    OptionalName,
    Rank,
    Remark,
    Row,
    Spread,
    Text,
    fault_of,
)
from peft_atlas.studies.literature.sources import SOURCES_FILE, Source, known_source, load_sources
from peft_atlas.tables.csv_text import records

VERDICTS_FILE = "application_verdicts.csv"
REFERENCES_FILE = "references.csv"
NOT_SEEN = "not seen"
SEED = "seed_notebook"
CELL_COLUMNS = ("base_model", "method", "task", "metric", "value", "unit", "source", "locator", "seen", "note")
OPTIONAL_CELL_COLUMNS = ("rank", "spread", "family")

Unit = Literal["percent", "count", "million", "orders_of_magnitude", "score"]
Seen = Literal["verbatim", "paraphrased", "recomputed", "memory", "quoted_by_seed"]
Status = Literal["supported", "bound", "unsupported"]

_NUMBER = re.compile(r"([<>~]?) ?(-?[0-9]+(?:\.([0-9]+))?)")
# The checks reckon with printed numbers exactly up to here.
_DIGITS = 16
_QUALIFIERS = {"": "exact", "<": "less_than", ">": "greater_than", "~": "about"}
_NUMBER_ALLOWED = f"a number as printed with a decimal point, after <, > or ~ if need be, or {NOT_SEEN!r}"
_TYPES = {"line": "int64", "value": "float64", "decimals": "Int64", "rank": "Int64", "spread": "float64"}


@dataclass(frozen=True)
class Printed:
    """A printed number: ``value`` is None where the source was not seen to give it, for a bound it is the bound."""

    value: float | None
    qualifier: str
    decimals: int | None


def parse_printed(text: str) -> Printed:
    """Return what a printed cell says: ``0.990`` is exact with 3 decimals, ``<1`` a bound, ``~2`` about 2.

    Raises
    ------
    ValueError
        If the text is no number; the message says what to write.
    """
    if text == NOT_SEEN:
        return Printed(None, "exact", None)
    match = _NUMBER.fullmatch(text)
    if match is None:
        if re.fullmatch(r"[<>~]? ?-?[0-9]+,[0-9]+", text):
            raise ValueError(_without_comma(text))
        raise ValueError(f"allowed: {_NUMBER_ALLOWED}")
    value = float(match[2])
    if math.isinf(value):
        raise ValueError("allowed: a number that fits 64 bits")
    if len(match[2].replace(".", "").lstrip("-0")) > _DIGITS:
        raise ValueError(f"allowed: at most {_DIGITS} significant digits")
    return Printed(value, _QUALIFIERS[match[1]], len(match[3] or ""))


def _without_comma(text: str) -> str:
    """Return what to write in place of a number with a comma; before three digits it may part thousands."""
    point = f"a decimal comma is not allowed; write {text.replace(',', '.')}"
    return f"{point}, or {text.replace(',', '')} for thousands" if re.search(r",[0-9]{3}$", text) else point


class _Sourced(Row):
    """A row whose column ``source`` must be an id of the context's sources."""

    source: Text

    @field_validator("source")
    @classmethod
    def _known(cls, source: str, info: ValidationInfo) -> str:
        return known_source(source, info)


class Cell(_Sourced):
    """A printed cell; ``unit`` comes before ``value`` because it limits it."""

    base_model: Name
    method: Name
    task: Name
    metric: Name
    unit: Unit
    value: Text
    locator: Text
    seen: Seen
    note: Remark
    rank: Rank = ""
    spread: Spread = ""
    family: OptionalName = ""

    @field_validator("value")
    @classmethod
    def _within_unit(cls, text: str, info: ValidationInfo) -> str:
        value = parse_printed(text).value
        unit = info.data.get("unit")
        if value is None or unit == "score":
            return text
        if "-" in text:
            raise ValueError(f"allowed in the unit {unit}: 0 or more")
        if unit == "percent" and value > 100:
            raise ValueError("allowed in the unit percent: 0 to 100")
        if unit == "count" and not value.is_integer():
            raise ValueError("allowed in the unit count: a whole number")
        return text

    def key(self) -> tuple[str, ...]:
        """Return what distinguishes the cell from the others of its table."""
        return (self.base_model, self.method, self.task, self.metric, self.rank, self.source)


class ApplicationVerdict(Row):
    """What the sources seen say of one of the seed notebook's seven percentages."""

    task: Text
    status: Status
    reason: Text
    evidence: Text

    @field_validator("evidence")
    @classmethod
    def _known(cls, evidence: str, info: ValidationInfo) -> str:
        for source in evidence.split(";"):
            known_source(source.strip(), info)
        return evidence

    def key(self) -> tuple[str, ...]:
        """Return what distinguishes the verdict from the others."""
        return (self.task,)


class Reference(_Sourced):
    """One of the seed notebook's references, with the identifier it gives and the true one."""

    number: Number
    authors: Text
    title: Text
    claimed_arxiv_id: ArxivId
    true_arxiv_id: ArxivId
    verdict: Literal["correct", "wrong"]
    note: Remark

    @field_validator("verdict")
    @classmethod
    def _follows(cls, verdict: str, info: ValidationInfo) -> str:
        claimed, true = info.data.get("claimed_arxiv_id"), info.data.get("true_arxiv_id")
        if claimed and true and (claimed == true) != (verdict == "correct"):
            raise ValueError(f"claimed {claimed} and true {true} allow only the other verdict")
        return verdict

    def key(self) -> tuple[str, ...]:
        """Return what distinguishes the reference from the others."""
        return (self.number,)


AnyRow = TypeVar("AnyRow", Cell, ApplicationVerdict, Reference)


def load_published(folder: Path) -> pd.DataFrame:
    """Return every printed cell of a folder of tables, one row per cell, sorted by table and line.

    Parameters
    ----------
    folder
        Holds ``sources.yaml`` and the CSV files. A byte order mark, Windows line ends and blank lines are accepted;
        white space around a cell is taken off; every other cell is kept as text and never evaluated.

    Returns
    -------
    pandas.DataFrame
        ``table`` (the file's stem), ``line`` (from 1, the header is line 1), base_model, method, task, ``family``
        (of tasks: what the row's column of that name says, else that of its file), metric,
        ``printed`` (the cell as printed), ``value`` (float64; a bound's limit, NaN where not seen), ``qualifier``
        (exact, less_than, greater_than, about; exact where not seen), ``decimals`` (Int64, as printed), unit,
        ``rank`` (Int64), ``spread`` (float64, what is printed after a ±), source, source_title,
        source_authors, source_identifier, source_version, locator, seen, note.

    Raises
    ------
    AtlasError
        If a file cannot be read or a row is wrong; it names file, line, column, value and what is allowed.
    """
    folder = Path(folder)
    sources = load_sources(folder / SOURCES_FILE)
    cells = [
        (path, line, cell)
        for path in _tables(folder)
        for line, cell in _read(path, Cell, CELL_COLUMNS, sources, OPTIONAL_CELL_COLUMNS)
    ]
    _require_one_spelling(cells)
    records = [_record(path.stem, line, cell, sources[cell.source]) for path, line, cell in cells]
    return pd.DataFrame(records, columns=list(_COLUMNS)).astype(_TYPES)


_COLUMNS = (
    *("table", "line", "base_model", "method", "task", "family", "metric", "printed", "value", "qualifier", "decimals"),
    *("unit", "rank", "spread", "source", "source_title", "source_authors", "source_identifier", "source_version"),
    *("locator", "seen", "note"),
)


def _require_one_spelling(cells: Iterable[tuple[Path, int, Cell]]) -> None:
    """Check that no two names of a column differ in capitals alone: one name would silently become two."""
    first: dict[tuple[str, str], tuple[str, str]] = {}
    for path, line, cell in cells:
        names = {column: getattr(cell, column) for column in ("base_model", "method", "task", "metric")}
        for column, name in {**names, "family": family(path.stem, cell.task, cell.family)}.items():
            known, place = first.setdefault((column, name.casefold()), (name, f"{path.name}:{line}"))
            if known != name:
                raise AtlasError(f"{path}:{line}: {column} = {name!r}: allowed: {known!r}, as on {place}")


def _tables(folder: Path) -> list[Path]:
    """Return the files of a folder that hold cells, sorted; a folder without one is an error."""
    others = (VERDICTS_FILE, REFERENCES_FILE)
    # Some systems write the ending in capitals; such a file must not be passed over.
    paths = [path for path in folder.iterdir() if path.suffix.lower() == ".csv" and path.name not in others]
    if not paths:
        raise AtlasError(f"{folder}: no table; expected CSV files with the columns {', '.join(CELL_COLUMNS)}")
    return sorted(paths)


def _record(table: str, line: int, cell: Cell, source: Source) -> dict[str, Any]:
    """Return a cell as a row of the published table; what is not given is None."""
    printed = parse_printed(cell.value)
    return {
        **cell.model_dump(exclude={"value"}),
        **vars(printed),
        "printed": cell.value,
        "table": table,
        "family": family(table, cell.task, cell.family),
        "line": line,
        "rank": int(cell.rank) if cell.rank else None,
        "spread": float(cell.spread) if cell.spread else None,
        "source_title": source.title,
        "source_authors": source.authors,
        "source_identifier": source.identifier,
        "source_version": source.version_and_date(),
        "note": cell.note or None,
    }


def load_application_verdicts(path: Path, sources: Collection[str]) -> pd.DataFrame:
    """Return task, status (supported, bound, unsupported), reason and evidence (ids of sources, by ``;``), as text.

    Raises
    ------
    AtlasError
        As `load_published`.
    """
    return _frame(Path(path), ApplicationVerdict, ("task", "status", "reason", "evidence"), sources)


def require_verdicts(published: pd.DataFrame, verdicts: pd.DataFrame, path: Path) -> None:
    """Check that each percentage the seed notebook gives of a domain has a verdict, and each verdict a percentage.

    Raises
    ------
    AtlasError
        If one has no partner: a figure would have to invent its standing, or drop it.
    """
    seed = published[(published["table"] == "applications") & (published["source"] == SEED)]
    given, judged = set(seed["task"]), set(verdicts["task"])
    for task in sorted(given - judged):
        raise AtlasError(f"{path}: no row for task = {task!r}; allowed: one for each domain of {SEED}: {sorted(given)}")
    for task in sorted(judged - given):
        raise AtlasError(f"{path}: task = {task!r}: allowed: a domain of {SEED} in applications.csv: {sorted(given)}")


def load_references(path: Path, sources: Collection[str]) -> pd.DataFrame:
    """Return the seed's references: number, authors, title, claimed and true arXiv id, verdict, source, note, as text.

    Raises
    ------
    AtlasError
        As `load_published`.
    """
    columns = ("number", "authors", "title", "claimed_arxiv_id", "true_arxiv_id", "verdict", "source", "note")
    return _frame(Path(path), Reference, columns, sources)


def _frame(path: Path, model: type[AnyRow], columns: tuple[str, ...], sources: Collection[str]) -> pd.DataFrame:
    """Return a checked CSV file as a table of text, in the order of the file."""
    rows = [row.model_dump() for _, row in _read(path, model, columns, sources)]
    return pd.DataFrame(rows, columns=list(columns), dtype="str")


def _read(
    path: Path, model: type[AnyRow], columns: tuple[str, ...], sources: Collection[str], optional: tuple[str, ...] = ()
) -> Iterator[tuple[int, AnyRow]]:
    """Yield the line and the checked row of every record of a CSV file; two rows of one key are an error."""
    lines: dict[tuple[str, ...], int] = {}
    for line, fields in records(path, columns, optional):
        try:
            row = model.model_validate(fields, context=sources)
        except ValidationError as error:
            raise AtlasError(f"{path}:{line}: {fault_of(error)}") from None
        first = lines.setdefault(row.key(), line)
        if first != line:
            raise AtlasError(f"{path}:{line}: the cell {row.key()} is on line {first} too; allowed: once a table")
        yield line, row


def load_step(step: Step) -> None:
    """Read and check the transcribed tables."""
    folder = step.path("tables").parent
    sources = load_sources(folder / SOURCES_FILE)
    verdicts = load_application_verdicts(folder / VERDICTS_FILE, sources)
    references = load_references(folder / REFERENCES_FILE, sources)
    published = load_published(folder)
    require_verdicts(published, verdicts, folder / VERDICTS_FILE)
    step.write("published", published)
    step.write("application_verdicts", verdicts)
    step.write("references", references)
