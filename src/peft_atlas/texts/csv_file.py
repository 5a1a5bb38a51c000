"""A CSV file read as it is: every value is text, and a row that does not fit the header is named by its line."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from peft_atlas.errors import AtlasError
from peft_atlas.texts.columns import MAX_BYTES, Columns, place_of, size_checked


@dataclass(frozen=True)
class _Record:
    """A row: its fields, and the first and last line that it takes."""

    fields: list[str]
    first: int
    last: int


def read_csv(path: Path, text: str, label: str) -> Columns:
    """Return the text and the label column of a CSV file in UTF-8, with commas and double quotation marks.

    Lines without any character are no rows. A row with fewer fields than the header lacks the last ones.

    Raises
    ------
    AtlasError
        If it is not such a file; it names the line.
    """
    records = list(_records(path, _decoded(path)))
    if not records:
        raise AtlasError(f"{path}: is empty; allowed: a header and rows")
    header, rows = records[0].fields, records[1:]
    places = place_of(path, header, text), place_of(path, header, label)
    _check_widths(path, len(header), rows)
    _check_swallowed(path, len(header), places, rows)
    texts, labels = ([_field(row.fields, place) for row in rows] for place in places)
    return Columns(texts, labels, tuple(_notes(path, len(header), rows)))


def _decoded(path: Path) -> str:
    """Return a file's text, without a byte order mark."""
    data = size_checked(path).read_bytes()
    try:
        content = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        guess = "; it looks like UTF-16" if data[:2] in {b"\xff\xfe", b"\xfe\xff"} else ""
        raise AtlasError(
            f"{path}: line {line} is not UTF-8 (byte {data[error.start]:#04x}){guess}; allowed: UTF-8"
        ) from None
    if "\0" in content:
        line = content[: content.index("\0")].count("\n") + 1
        raise AtlasError(f"{path}: line {line} holds a NUL character; allowed: text in UTF-8")
    return content


def _records(path: Path, content: str) -> Iterator[_Record]:
    """Yield the rows that are not empty lines, the header among them."""
    # The limit is the process's; other readers keep theirs.
    usual = csv.field_size_limit(MAX_BYTES)
    # A carriage return alone ends a line only where nothing else does, as in files of the old Macintosh.
    lines = io.StringIO(content if "\n" in content else content.replace("\r", "\n"), newline="\n").readlines()
    reader = csv.reader(lines, strict=True)
    first = 1
    try:
        for fields in reader:
            if fields:
                yield _Record(fields, first, reader.line_num)
            first = reader.line_num + 1
    except csv.Error as error:
        fault = _fault(str(error), lines[first - 1 : reader.line_num], reader.line_num)
        raise AtlasError(f"{path}: line {first}: {fault}") from None
    finally:
        csv.field_size_limit(usual)


def _fault(words: str, lines: Sequence[str], last: int) -> str:
    """Return what is wrong with the lines of a row; the reader's own words do not say where a mark was opened."""
    if "new-line" in words:
        return "a carriage return in a field; allowed: line breaks in fields that are in quotation marks"
    closed = "".join(lines).count('"') > 1
    end = f"closed within a text in line {last}" if closed else "not closed"
    inside = 'a text that holds quotation marks in quotation marks, those inside doubled ("")'
    return f"a quotation mark is opened and {end}; allowed: {inside}"


def _check_widths(path: Path, width: int, rows: Sequence[_Record]) -> None:
    """Raise an AtlasError if a row has more fields than the header, unless all further ones are empty."""
    for row in rows:
        if len(row.fields) > width and any(row.fields[width:]):
            raise AtlasError(
                f"{path}: line {row.first} has {len(row.fields)} fields; allowed: {width}, as many as the header; "
                "a text with a comma must be in quotation marks"
            )


def _check_swallowed(path: Path, width: int, places: tuple[int, int], rows: Sequence[_Record]) -> None:
    """Raise an AtlasError if a text of several lines holds what are rows, as after a stray quotation mark."""
    many = [row for row in rows if row.last > row.first]
    if not many:
        return
    known = {_field(row.fields, places[1]) for row in rows if row.last == row.first} - {None, ""}
    for row in many:
        for place, cell in enumerate(row.fields):
            for number, line in enumerate(cell.splitlines()):
                # The first line of the cell lacks the fields that came before the stray mark.
                left = place if number == 0 else 0
                parts = line.split(",")
                at = places[1] - left
                if len(parts) == width - left and 0 <= at < len(parts) and len(parts) > 1 and parts[at] in known:
                    raise AtlasError(
                        f"{path}: the row from line {row.first} to {row.last} holds other rows; allowed: no stray "
                        "quotation mark at the start of a field"
                    )


def _field(fields: Sequence[str], place: int) -> str | None:
    return fields[place] if place < len(fields) else None


def _notes(path: Path, width: int, rows: Sequence[_Record]) -> Iterator[str]:
    """Yield what is unusual of the rows, each with the line where it is first seen."""
    kinds = (
        ("fewer fields than the header", [row for row in rows if len(row.fields) < width]),
        ("line breaks within a field", [row for row in rows if row.last > row.first]),
        ("empty fields after the last column", [row for row in rows if len(row.fields) > width]),
    )
    for words, found in kinds:
        if found:
            yield f"{len(found):,} rows of {path.name} have {words}, the first in line {found[0].first:,}"
