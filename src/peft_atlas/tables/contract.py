"""Contracts for Parquet tables: a schema, atomic writes and checked reads.

Every table is in long format, sorted by its key and free of clock times; missing values are null.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from peft_atlas.errors import AtlasError
from peft_atlas.files import write_whole
from peft_atlas.tables.configuration_mark import marked
from peft_atlas.tables.table_digest import digest_fault, with_digest
from peft_atlas.version import __version__

INTEGER = pa.int64()
NUMBER = pa.float64()
TEXT = pa.string()
FLAG = pa.bool_()
_PANDAS_TYPES: dict[Any, Any] = {INTEGER: pd.Int64Dtype(), FLAG: pd.BooleanDtype()}


@dataclass(frozen=True)
class Column:
    """A column of a table: its Arrow type, unit, meaning and limits; a text must match ``pattern`` as a whole."""

    name: str
    type: Any
    description: str
    unit: str = ""
    required: bool = False
    allowed: tuple[str, ...] = ()
    limits: tuple[float, float] | None = None
    pattern: str = ""

    def field(self) -> Any:
        """Build the Arrow field, with unit and meaning as metadata."""
        metadata = {"unit": self.unit, "description": self.description}
        return pa.field(self.name, self.type, nullable=not self.required, metadata=metadata)


@dataclass(frozen=True)
class Contract:
    """What a result table must contain; ``key`` names the columns that identify its rows and sort them."""

    name: str
    version: int
    key: tuple[str, ...]
    columns: tuple[Column, ...]

    def schema(self) -> Any:
        """Build the Arrow schema, with the contract's name and version, and that of the package, as metadata."""
        metadata = {"contract": self.name, "contract_version": str(self.version), "peft_atlas_version": __version__}
        return pa.schema([column.field() for column in self.columns], metadata=metadata)

    def blank(self) -> dict[str, None]:
        """Start a row with all optional columns missing, for a study to fill in what it knows."""
        return {column.name: None for column in self.columns if not column.required}


def write_table(
    contract: Contract,
    rows: pd.DataFrame | Iterable[Mapping[str, Any]],
    path: Path,
    configuration: str | None = None,
) -> None:
    """Check rows against a contract, sort them by its key and write them atomically.

    ``configuration`` is the digest of what a job was configured with; see `peft_atlas.tables.configuration_mark`.

    Raises
    ------
    AtlasError
        If a column is missing or unknown, a value has the wrong type or is out of range, or two rows share a
        key.
    """
    table = _as_arrow(contract, rows, path)
    _check(contract, table, path)
    order = [(name, "ascending") for name in contract.key]
    table = marked(with_digest(table.take(pc.sort_indices(table, sort_keys=order))), configuration)
    write_whole(path, lambda part: pq.write_table(table, part, compression="zstd", write_page_checksum=True))


def _as_arrow(contract: Contract, rows: pd.DataFrame | Iterable[Mapping[str, Any]], path: Path) -> Any:
    """Convert rows to an Arrow table with the contract's schema."""
    schema = contract.schema()
    frame = rows if isinstance(rows, pd.DataFrame) else None
    records = [] if frame is not None else list(rows)
    found = list(frame.columns) if frame is not None else list(records[0] if records else schema.names)
    if set(found) != set(schema.names):
        wrong = sorted(set(found) ^ set(schema.names))
        raise AtlasError(f"{path}: columns {wrong} do not match the contract {contract.name!r}: {schema.names}")
    try:
        if frame is not None:
            return pa.Table.from_pandas(frame[schema.names], schema, preserve_index=False).replace_schema_metadata(
                schema.metadata
            )
        return pa.Table.from_pylist(records, schema)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise AtlasError(f"{path}: does not match the contract {contract.name!r}: {error}") from None


def _check(contract: Contract, table: Any, path: Path) -> None:
    """Raise an AtlasError if the table violates the contract's columns, limits or key."""
    for column in contract.columns:
        fault = _column_fault(column, table[column.name])
        if fault:
            raise AtlasError(f"{path}: column {column.name} of {contract.name!r} {fault}")
    keys = table.select(list(contract.key)).to_pandas()
    repeated = keys[keys.duplicated()]
    if len(repeated):
        raise AtlasError(f"{path}: two rows of {contract.name!r} share the key {repeated.iloc[0].to_dict()}")


def _column_fault(column: Column, values: Any) -> str | None:
    """Describe what is wrong with a column, or return None."""
    if column.required and values.null_count:
        return f"has {values.null_count} missing values; none are allowed"
    if column.allowed:
        found = sorted(set(values.to_pylist()) - {*column.allowed, None})
        if found:
            return f"has {found}; allowed: {list(column.allowed)}"
    if column.pattern:
        wrong = [text for text in values.drop_null().to_pylist() if not re.fullmatch(column.pattern, text)]
        if wrong:
            return f"has {wrong[0]!r}; allowed: {column.pattern}"
    if column.type == NUMBER:
        low, high = column.limits or (float("-inf"), float("inf"))
        numbers = values.drop_null().to_numpy()
        outside = numbers[~(np.isfinite(numbers) & (numbers >= low) & (numbers <= high))]
        if len(outside):
            return f"has {outside[0]}; allowed: null or a finite number from {low} to {high}"
    return None


def read_table(contract: Contract, path: Path) -> pd.DataFrame:
    """Read a result table, checking that the file is complete and obeys the contract.

    Raises
    ------
    AtlasError
        If the file is missing, truncated, in another format, or written for another contract or version.
    """
    path = Path(path)
    if not path.is_file():
        raise AtlasError(f"{path}: no such file; expected a table of the contract {contract.name!r}")
    try:
        table = pq.read_table(path, page_checksum_verification=True)
    except (pa.ArrowException, OSError, ValueError) as error:
        cause = str(error).splitlines()[0]
        raise AtlasError(f"{path}: not a complete Parquet file ({cause}); delete it and run again") from None
    return checked_frame(contract, table, path)


def checked_frame(contract: Contract, table: Any, path: Path) -> pd.DataFrame:
    """Return an Arrow table that was read from a path as a data frame.

    Raises
    ------
    AtlasError
        If it does not obey the contract, or its values are not those that were written.
    """
    expected = contract.schema()
    if not table.schema.equals(expected, check_metadata=False) or _label(table.schema) != _label(expected):
        raise AtlasError(f"{path}: holds {_label(table.schema)}, expected {_label(expected)}; delete it and run again")
    fault = digest_fault(table)
    if fault:
        raise AtlasError(f"{path}: {fault}; delete it and run again")
    _check(contract, table, path)
    return table.to_pandas(types_mapper=_PANDAS_TYPES.get)


def _label(schema: Any) -> str:
    """Name the contract and version recorded in a schema's metadata."""
    metadata = schema.metadata or {}
    name, version = metadata.get(b"contract", b"a foreign table"), metadata.get(b"contract_version", b"none")
    return f"{name.decode(errors='replace')} version {version.decode(errors='replace')}"


def read_tables(contract: Contract, paths: Iterable[Path]) -> pd.DataFrame:
    """Read several files of one contract into one table, sorted by the contract's key.

    Raises
    ------
    AtlasError
        As `read_table`, and if two files contain the same row; both are named.
    """
    frames = {Path(path): read_table(contract, path) for path in paths}
    if not frames:
        return pd.DataFrame(columns=contract.schema().names)
    _check_apart(contract, frames)
    whole = pd.concat(frames.values(), ignore_index=True)
    return whole.sort_values(list(contract.key), kind="stable", ignore_index=True)


def _check_apart(contract: Contract, frames: Mapping[Path, pd.DataFrame]) -> None:
    """Raise an AtlasError if two files share a key, for example because one was copied over another."""
    places: dict[tuple[Any, ...], Path] = {}
    for path, frame in frames.items():
        for key in frame[list(contract.key)].itertuples(index=False, name=None):
            first = places.setdefault(key, path)
            if first != path:
                row = dict(zip(contract.key, key, strict=True))
                raise AtlasError(f"{path} and {first} both contain {row}; delete the wrong one and run again")
