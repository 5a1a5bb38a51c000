"""CSV files that people write: decoded, split into records with their lines, each fault named by its place."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from peft_atlas.errors import AtlasError


def records(
    path: Path, columns: tuple[str, ...], optional: tuple[str, ...] = ()
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the line and the fields of every record of a CSV file; blank lines are passed over."""
    lines = _lines(path)
    _, named = next(lines, (1, []))
    extra = tuple(named)[len(columns) :]
    if tuple(named) != columns + tuple(name for name in optional if name in extra):
        allowed = ",".join(columns) + "".join(f"[,{name}]" for name in optional)
        raise AtlasError(f"{path}:1: columns = {short(','.join(named))}: allowed: {allowed}")
    for line, fields in lines:
        if len(fields) != len(named):
            raise AtlasError(
                f"{path}:{line}: {len(fields)} fields = {short(','.join(fields))}: allowed: {len(named)}; "
                'a cell with a comma must be in quotes (")'
            )
        yield line, dict(zip(named, fields, strict=True))


def header(path: Path) -> tuple[str, ...]:
    """Return the names of a CSV file's columns; none of an empty file."""
    return tuple(next(_lines(path), (1, []))[1])


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the first line and the fields of every record that is not blank."""
    reader = csv.reader(io.StringIO(read_text(path), newline=""), strict=True)
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


def read_text(path: Path) -> str:
    """Return a file as text, without its byte order mark."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise AtlasError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        # error.object, not the file: the decoder counts from behind the byte order mark.
        line = error.object.count(b"\n", 0, error.start) + 1
        raise AtlasError(f"{path}:{line}: byte {error.object[error.start]:#04x} is not UTF-8; allowed: UTF-8") from None


def short(value: object) -> str:
    """Return a value as it would be written in code, cut to a length that fits a line."""
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:116]}...{text[-1]}"
