"""What a new import changes in a table: rows added, changed and gone."""

from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from peft_atlas.files import write_text
from peft_atlas.tables.contract import Contract
from peft_atlas.tables.csv_source import PLACE, read_csv_table
from peft_atlas.tables.csv_text import records

KEY = ("experiment", "run_date")
# Columns that no file holds: which definition was in force follows from the harness' history, and is set by hand.
BY_HAND = ("forgetting_definition",)
Row = Mapping[str, str]


@dataclass(frozen=True)
class Difference:
    """A table before and after an import.

    Parameters
    ----------
    added
        New rows.
    changed
        For each changed row its key, and of each changed column the value before and after.
    gone
        Rows that the clone's history does not hold. They stay in the table, which keeps every run that was ever seen.
    rows
        All rows afterwards, in the order of the key.
    """

    added: tuple[Row, ...]
    changed: tuple[tuple[Row, Mapping[str, tuple[str, str]]], ...]
    gone: tuple[Row, ...]
    rows: tuple[Row, ...]

    def lines(self) -> Iterable[str]:
        """Yield the difference as text, one line per row."""
        yield f"{len(self.added)} added, {len(self.changed)} changed, {len(self.gone)} gone"
        yield from (f"  + {_name(row)}  {row['metric']} {row['score']}" for row in self.added)
        for row, columns in self.changed:
            each = "; ".join(f"{name}: {old or 'empty'} -> {new or 'empty'}" for name, (old, new) in columns.items())
            yield f"  ~ {_name(row)}  {each}"
        yield from (f"  - {_name(row)}  {row['metric']} {row['score']}" for row in self.gone)


def _name(row: Row) -> str:
    return f"{row['experiment']} {row['run_date']}"


def columns_of(contract: Contract) -> list[str]:
    """Return the columns of a contract's CSV files."""
    return [column.name for column in contract.columns if column.name not in PLACE]


def read_rows(contract: Contract, path: Path) -> list[Row]:
    """Return the rows of a CSV file as text, checked against its contract."""
    read_csv_table(contract, path)
    return [fields for _, fields in records(path, tuple(columns_of(contract)))]


def compare(before: Iterable[Row], imported: Iterable[Row]) -> Difference:
    """Return what an import changes; what is set by hand stays as it is, and is empty in a new row."""
    old = {_key(row): row for row in before}
    new = {_key(row): {**row, **{name: old.get(_key(row), {}).get(name, "") for name in BY_HAND}} for row in imported}
    added = tuple(row for key, row in new.items() if key not in old)
    gone = tuple(row for key, row in old.items() if key not in new)
    changes = ((row, _changes(old[key], row)) for key, row in new.items() if key in old)
    whole = {**old, **new}
    return Difference(
        added,
        tuple((row, columns) for row, columns in changes if columns),
        gone,
        tuple(whole[key] for key in sorted(whole)),
    )


def _key(row: Row) -> tuple[str, ...]:
    return tuple(row[name] for name in KEY)


def _changes(old: Row, new: Row) -> dict[str, tuple[str, str]]:
    """Return the columns whose values differ; numbers that are written differently are equal."""
    return {name: (old[name], new[name]) for name in old if _value(old[name]) != _value(new[name])}


def _value(text: str) -> str | float:
    try:
        return float(text)
    except ValueError:
        return text


def require_valid(contract: Contract, rows: Iterable[Row], path: Path) -> None:
    """Check rows against the contract before anything is written; a fault names the line that the row would have.

    Raises
    ------
    AtlasError
        As `peft_atlas.tables.csv_source.read_csv_table`.
    """
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder) / path.name
        write_rows(contract, rows, draft)
        read_csv_table(contract, draft)


def write_rows(contract: Contract, rows: Iterable[Row], path: Path) -> None:
    """Write rows as the CSV file of a contract."""
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, columns_of(contract), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, stream.getvalue())
