"""The rows that a finding rests on, selected from the result tables by its column ``evidence``.

Evidence is one or more selections parted by ``; ``. A selection is a table's name, or that followed by ``: `` and
conditions parted by ``, ``: a ``column=value`` that rows must equal, of which several values may be joined by
`` and ``, or the bare name of a column that is looked at. For example
``published: table=commonsense, line=46 and 217; parameters: method=LoRA, trainable_params``. What rests on code
names a file of the library instead, ``methods/lora.py: ...``, and what follows is for readers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from peft_atlas.errors import AtlasError

_CODE = ".py"


def rows_of(evidence: str, tables: Mapping[str, pd.DataFrame]) -> list[pd.DataFrame]:
    """Return the rows that each selection of an evidence selects; a part that names code has no rows and no entry.

    Raises
    ------
    AtlasError
        If a selection names no table or column, or selects no row.
    """
    parts = [part for part in evidence.split("; ") if not part.partition(":")[0].endswith(_CODE)]
    return [_selected(part, tables) for part in parts]


def _selected(part: str, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the rows that one selection selects."""
    name, _, conditions = part.partition(": ")
    if name not in tables:
        raise AtlasError(f"evidence {part!r}: no table {name!r}; allowed: {sorted(tables)}")
    rows = tables[name]
    for condition in conditions.split(", ") if conditions else ():
        column, equals, value = condition.partition("=")
        if column not in rows.columns:
            raise AtlasError(f"evidence {part!r}: {name} has no column {column!r}; allowed: {list(rows.columns)}")
        if equals:
            rows = rows[_equal(rows[column], value)]
    if rows.empty:
        raise AtlasError(f"evidence {part!r}: selects no row of {name}")
    return rows


def _equal(column: pd.Series[Any], value: str) -> list[bool]:
    """Return which entries of a column are the value, or one of the values joined by `` and ``."""
    allowed = {value, *value.split(" and ")}
    return [not pd.isna(entry) and _text(entry) in allowed for entry in column]


def _text(entry: Any) -> str:
    """Return an entry as evidence writes it: a whole number without a point."""
    return f"{entry:g}" if isinstance(entry, float) else str(entry)


def select(table: str, rows: pd.DataFrame, columns: Iterable[str]) -> str:
    """Return the selection of rows of a table by the values that they have in some columns."""
    conditions = (f"{column}={' and '.join(dict.fromkeys(map(_text, rows[column])))}" for column in columns)
    return f"{table}: {', '.join(conditions)}"


def select_lines(rows: pd.DataFrame) -> str:
    """Return the selection of rows of the published table by file and line."""
    files = rows.groupby("table", sort=False)
    return "; ".join(select("published", cells, ("table", "line")) for _, cells in files)
