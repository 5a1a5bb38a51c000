"""Tables that people keep as CSV, read by the contract of the result table that they become."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from peft_atlas.errors import AtlasError
from peft_atlas.tables.contract import FLAG, INTEGER, NUMBER, Column, Contract
from peft_atlas.tables.csv_text import records, short

# Where a row is; the loader fills these in.
PLACE = ("table", "line")
_FLAGS = {"true": True, "false": False}


def read_csv_table(contract: Contract, path: Path) -> pd.DataFrame:
    """Return a CSV file as a table of a contract, with the file's stem as ``table`` and each row's ``line``.

    Parameters
    ----------
    contract
        Its columns but ``table`` and ``line`` are the file's, in this order. An empty cell is missing.
    path
        The file. A byte order mark, Windows line ends and blank lines are accepted.

    Raises
    ------
    AtlasError
        If the file cannot be read, a value does not fit its column, or two rows share the contract's key; the message
        names file, line, column, value and what is allowed.
    """
    columns = [column for column in contract.columns if column.name not in PLACE]
    numbered = list(records(path, tuple(column.name for column in columns)))
    lines = [line for line, _ in numbered]
    parsed: dict[str, Any] = {"table": path.stem, "line": lines}
    for column in columns:
        texts = [fields[column.name] for _, fields in numbered]
        parsed[column.name] = _parsed(column, texts, lines, path)
    frame = pd.DataFrame(parsed, columns=[column.name for column in contract.columns], index=range(len(lines)))
    _require_unique(contract, frame, path)
    return frame


def read_csv_tables(contract: Contract, folder: Path) -> pd.DataFrame:
    """Return every CSV file of a folder as one table of a contract.

    Raises
    ------
    AtlasError
        As `read_csv_table`; also if the folder holds no table, or two files share a row's key.
    """
    paths = sorted(path for path in folder.glob("*") if path.suffix.lower() == ".csv")
    if not paths:
        raise AtlasError(f"{folder}: no table; expected CSV files of the contract {contract.name!r}")
    whole = pd.concat([read_csv_table(contract, path) for path in paths], ignore_index=True)
    _require_unique(contract, whole, folder)
    return whole


def _parsed(column: Column, texts: list[str], lines: list[int], path: Path) -> Any:
    """Return a column's values, of pandas' type for missing values."""
    values: list[Any] = []
    for text, line in zip(texts, lines, strict=True):
        values.append(parsed_cell(column, text, f"{path}:{line}"))
    return pd.array(values, dtype=_TYPES.get(column.type, "object"))


def parsed_cell(column: Column, text: str, place: str) -> Any:
    """Return a cell's value, None where it is empty.

    Raises
    ------
    AtlasError
        If it does not fit its column; the message names place, column, value and what is allowed.
    """
    try:
        return _value(column, text, _PARSERS.get(column.type, _text))
    except ValueError as error:
        raise AtlasError(f"{place}: {column.name} = {short(text)}: allowed: {error}") from None


def _value(column: Column, text: str, parse: Callable[[str], Any]) -> Any:
    """Return a cell's value, None where it is empty; what does not fit the column raises a ValueError that says why."""
    if not text:
        if column.required:
            raise ValueError("a value; it must not be empty")
        return None
    value = parse(text)
    if column.allowed and value not in column.allowed:
        raise ValueError(", ".join(column.allowed))
    if column.pattern and not re.fullmatch(column.pattern, text):
        raise ValueError(f"a text that matches {column.pattern}")
    if column.limits and not column.limits[0] <= value <= column.limits[1]:
        raise ValueError(f"a number from {column.limits[0]:g} to {column.limits[1]:g}")
    return value


def _text(text: str) -> str:
    if not text.isprintable():
        raise ValueError('printable characters on one line; is a quote (") left open?')
    return text


def _integer(text: str) -> int:
    if not re.fullmatch(r"-?[0-9]{1,18}", text):
        raise ValueError("a whole number")
    return int(text)


def _number(text: str) -> float:
    if not re.fullmatch(r"-?[0-9]+(\.[0-9]*)?([eE][-+]?[0-9]+)?", text) or math.isinf(float(text)):
        raise ValueError("a finite number with a decimal point, as 0.5 or 1e-4")
    return float(text)


def _flag(text: str) -> bool:
    if text not in _FLAGS:
        raise ValueError("true, false")
    return _FLAGS[text]


_PARSERS: dict[Any, Callable[[str], Any]] = {INTEGER: _integer, NUMBER: _number, FLAG: _flag}
_TYPES: dict[Any, str] = {INTEGER: "Int64", NUMBER: "float64", FLAG: "boolean"}


def _require_unique(contract: Contract, frame: pd.DataFrame, path: Path) -> None:
    """Check that no two rows share the contract's key."""
    key = list(contract.key)
    again = frame[frame.duplicated(key)]
    if len(again):
        row = again.iloc[0]
        same = frame[(frame[key] == row[key]).all(axis=1)].iloc[0]
        place = path / f"{row['table']}.csv" if path.is_dir() else path
        raise AtlasError(
            f"{place}:{row['line']}: {', '.join(key)} = {short(tuple(map(str, row[key])))}: allowed: once, "
            f"and it is on {same['table']}.csv:{same['line']} too"
        )
