"""Read the transcribed tables: one row per printed cell, checked, with its source; a fault is named by its place.

Every ``*.csv`` of the folder is a table of cells, but for `VERDICTS_FILE` and `REFERENCES_FILE`, which say what
is made of them. A table or a row is added by editing files there; no code knows their names.
"""

from __future__ import annotations

import csv
import io
import math
import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import pandas as pd
import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from peft_atlas.errors import AtlasError
from peft_atlas.step import Step

SOURCES_FILE = "sources.yaml"
VERDICTS_FILE = "application_verdicts.csv"
REFERENCES_FILE = "references.csv"
NOT_SEEN = "not seen"
SEED = "seed_notebook"
CELL_COLUMNS = ("base_model", "method", "task", "metric", "value", "unit", "source", "locator", "seen", "note")
OPTIONAL_CELL_COLUMNS = ("rank", "spread")

Unit = Literal["percent", "count", "million", "orders_of_magnitude", "score"]
Seen = Literal["verbatim", "paraphrased", "recomputed", "memory", "quoted_by_seed"]
Kind = Literal["paper", "repository", "notebook", "recomputed"]
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


def _one_line(text: str) -> str:
    """Return a cell as it is; a line break in it most likely comes from a quote that was left open."""
    if any(not character.isprintable() for character in text):
        raise ValueError('allowed: printable characters on one line; is a quote (") left open?')
    return text


# Of the Greek letters only these; alpha and beta stand in names as themselves.
_GREEK_LOOK_ALIKES = "ΑΒΕΖΗΙΚΜΝΟΡΤΥΧο"  # noqa: RUF001


def _no_look_alike(text: str) -> str:
    """Return a name as it is; a letter among Latin ones that only looks like one of them makes another name."""
    names = {character: unicodedata.name(character, "") for character in text}
    alike = [name for character, name in names.items() if "CYRILLIC" in name or character in _GREEK_LOOK_ALIKES]
    if alike and any(name.startswith("LATIN") for name in names.values()):
        raise ValueError(f"allowed: Latin letters, not {alike[0]}, which looks like one of them")
    return text


def _matching(pattern: str, allowed: str) -> AfterValidator:
    """Return a check that a whole text matches a pattern; ``allowed`` says in words what does."""
    compiled = re.compile(pattern)

    def check(text: str) -> str:
        if compiled.fullmatch(text) is None:
            raise ValueError(f"allowed: {allowed}")
        return text

    return AfterValidator(check)


Remark = Annotated[str, AfterValidator(_one_line)]
Text = Annotated[str, Field(min_length=1), AfterValidator(_one_line)]
Name = Annotated[Text, AfterValidator(_no_look_alike)]
ArxivId = Annotated[str, _matching(r"[0-9]{4}\.[0-9]{4,5}", "an arXiv id without version, as 2404.03592")]
Rank = Annotated[str, _matching(r"(?:[1-9][0-9]{0,8})?", "nothing or a whole number from 1")]
Spread = Annotated[str, _matching(r"(?:[0-9]+(?:\.[0-9]+)?)?", "nothing, or what is printed after a ±, as 2.1")]
Number = Annotated[str, _matching(r"[1-9][0-9]{0,3}", "a whole number from 1")]
Date = Annotated[str, _matching(r"[0-9]{4}(?:-[0-9]{2}){0,2}", "a date as '2024', '2024-05' or '2024-05-22'")]


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, str_strip_whitespace=True)


class _Sourced(_Row):
    """A row whose column ``source`` must be an id of the context's sources."""

    source: Text

    @field_validator("source")
    @classmethod
    def _known(cls, source: str, info: ValidationInfo) -> str:
        return _known_source(source, info)


def _known_source(source: str, info: ValidationInfo) -> str:
    """Return a source id; one that sources.yaml does not describe is an error."""
    sources = info.context or {}
    if source not in sources:
        raise ValueError(f"no such source; allowed: an id of {SOURCES_FILE}: {', '.join(sorted(sources))}")
    return source


class Cell(_Sourced):
    """A printed cell; ``unit`` stands before ``value`` because it limits it."""

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


class ApplicationVerdict(_Row):
    """What the sources seen say of one of the seed notebook's seven percentages."""

    task: Text
    status: Status
    reason: Text
    evidence: Text

    @field_validator("evidence")
    @classmethod
    def _known(cls, evidence: str, info: ValidationInfo) -> str:
        for source in evidence.split(";"):
            _known_source(source.strip(), info)
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


class Source(_Row):
    """Where cells come from, and which parts of it were read; one of version and date is given."""

    title: Text
    authors: Text
    identifier: Text
    version: Text | None
    date: Date | None
    kind: Kind
    what_was_read: Text

    @field_validator("date")
    @classmethod
    def _dated(cls, date: str | None, info: ValidationInfo) -> str | None:
        if date is None and info.data.get("version") is None:
            raise ValueError("allowed: a date, since there is no version")
        return date

    def version_and_date(self) -> str:
        """Return version and date as one text, for example ``v3, 2024-05-22``."""
        return ", ".join(part for part in (self.version, self.date) if part)


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
        ``table`` (the file's stem), ``line`` (from 1, the header is line 1), base_model, method, task, metric,
        ``printed`` (the cell as printed), ``value`` (float64; a bound's limit, NaN where not seen), ``qualifier``
        (exact, less_than, greater_than, about; exact where not seen), ``decimals`` (Int64, as printed), unit,
        ``rank`` (Int64), ``spread`` (float64, what is printed after a ±), source, source_title, source_version,
        locator, seen, note.

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
    *("table", "line", "base_model", "method", "task", "metric", "printed", "value", "qualifier", "decimals"),
    *("unit", "rank", "spread", "source", "source_title", "source_version", "locator", "seen", "note"),
)


def _require_one_spelling(cells: Iterable[tuple[Path, int, Cell]]) -> None:
    """Check that no two names of a column differ in capitals alone: one name would silently become two."""
    first: dict[tuple[str, str], tuple[str, str]] = {}
    for path, line, cell in cells:
        for column in ("base_model", "method", "task", "metric"):
            name = getattr(cell, column)
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
        "line": line,
        "rank": int(cell.rank) if cell.rank else None,
        "spread": float(cell.spread) if cell.spread else None,
        "source_title": source.title,
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
    for line, fields in _records(path, columns, optional):
        try:
            row = model.model_validate(fields, context=sources)
        except ValidationError as error:
            raise AtlasError(f"{path}:{line}: {_fault(error)}") from None
        first = lines.setdefault(row.key(), line)
        if first != line:
            raise AtlasError(f"{path}:{line}: the cell {row.key()} is on line {first} too; allowed: once a table")
        yield line, row


def _records(path: Path, columns: tuple[str, ...], optional: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the line and the fields of every record of a CSV file; blank lines are passed over."""
    lines = _lines(path)
    _, header = next(lines, (1, []))
    extra = tuple(header)[len(columns) :]
    if tuple(header) != columns + tuple(name for name in optional if name in extra):
        allowed = ",".join(columns) + "".join(f"[,{name}]" for name in optional)
        raise AtlasError(f"{path}:1: columns = {_short(','.join(header))}: allowed: {allowed}")
    for line, fields in lines:
        if len(fields) != len(header):
            raise AtlasError(
                f"{path}:{line}: {len(fields)} fields = {_short(','.join(fields))}: allowed: {len(header)}; "
                'a cell with a comma stands in quotes (")'
            )
        yield line, dict(zip(header, fields, strict=True))


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the first line and the fields of every record that is not blank."""
    reader = csv.reader(io.StringIO(_text(path), newline=""), strict=True)
    start = 1
    try:
        for fields in reader:
            if fields:
                yield start, [field.strip() for field in fields]
            start = reader.line_num + 1
    except csv.Error as error:
        raise AtlasError(
            f'{path}:{start}: not CSV ({error}); allowed: cells parted by commas, quoted by pairs of "'
        ) from None


def _text(path: Path) -> str:
    """Return a file as text, without its byte order mark."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise AtlasError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        # error.object, not the file: the decoder counts from behind the byte order mark.
        line = error.object.count(b"\n", 0, error.start) + 1
        raise AtlasError(f"{path}:{line}: byte {error.object[error.start]:#04x} is not UTF-8; allowed: UTF-8") from None


def _fault(error: ValidationError) -> str:
    """Return the first fault of a row as ``column = value: what is allowed``."""
    fault = error.errors(include_url=False)[0]
    column = ".".join(str(part) for part in fault["loc"])
    reason = str(fault.get("ctx", {}).get("error") or _plain(fault["type"], fault))
    shown = "" if fault["type"] == "missing" else f" = {_short(fault['input'])}"
    return f"{column}{shown}: {reason}"


def _plain(kind: str, fault: Mapping[str, Any]) -> str:
    """Return what is allowed in place of a value that fails one of pydantic's own rules."""
    context = fault.get("ctx", {})
    known = {
        "literal_error": f"allowed: {context.get('expected')}",
        "string_too_short": "allowed: a text that is not empty",
        "string_type": "allowed: text; put it in quotes",
        "extra_forbidden": "unknown key",
        "missing": "missing",
    }
    return known.get(kind, str(fault["msg"]))


def _short(value: object) -> str:
    """Return a value as it would be written in code, cut to a length that fits a line."""
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:116]}...{text[-1]}"


class _UniqueKeys(yaml.SafeLoader):
    """A YAML loader that refuses a key given twice, of which the standard one silently keeps the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Return a mapping whose keys are all different."""
        seen: dict[str, int] = {}
        for key, _ in node.value:
            name, line = str(key.value), key.start_mark.line + 1
            if name in seen:
                place = f"line {line}: the key {name!r} is on line {seen[name]} too"
                raise yaml.constructor.ConstructorError(problem=f"{place}; allowed: once")
            seen[name] = line
        return dict(super().construct_mapping(node, deep))


def load_sources(path: Path) -> dict[str, Source]:
    """Return the sources that cells may come from, by id.

    Raises
    ------
    AtlasError
        If the file is no mapping of id to title, authors, identifier, version, date, kind and what_was_read.
    """
    path = Path(path)
    try:
        entries = yaml.load(_text(path), Loader=_UniqueKeys)  # a SafeLoader: builds no objects
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise AtlasError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(entries, dict) or not entries:
        raise AtlasError(f"{path}: {_short(entries)}: allowed: a mapping of source ids to their entries")
    return {str(name): _source(path, str(name), entry) for name, entry in entries.items()}


def _source(path: Path, name: str, entry: object) -> Source:
    """Return one checked source."""
    if not isinstance(entry, dict):
        raise AtlasError(f"{path}: {name} = {_short(entry)}: allowed: a mapping of {', '.join(Source.model_fields)}")
    try:
        return Source.model_validate(entry)
    except ValidationError as error:
        raise AtlasError(f"{path}: {name}.{_fault(error)}") from None


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
