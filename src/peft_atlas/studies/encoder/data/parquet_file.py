"""The text and the label column of Arrow tables and Parquet files: what is no text becomes text as it is printed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.types as kinds

from peft_atlas.errors import AtlasError
from peft_atlas.texts.columns import MAX_BYTES, Columns, place_of, size_checked

# Rows that are decoded at once; a small file can decode to far more bytes than it has.
_BATCH = 256


def read_parquet(path: Path, text: str, label: str) -> Columns:
    """Return two columns of a Parquet file; an index that pandas saved is a column like others.

    Raises
    ------
    AtlasError
        If it cannot be read, is too large when decoded, or a column has no type of `texts_of` or `labels_of`.
    """
    try:
        with pq.ParquetFile(size_checked(path)) as file:
            for name in (text, label):
                place_of(path, file.schema_arrow.names, name)
            check_types(str(path), file.schema_arrow, text, label)
            table = pa.Table.from_batches(_batches(path, file, [text, label]), None)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise AtlasError(f"{path}: cannot be read ({(str(error).splitlines() or ['no cause'])[0][:200]})") from None
    return Columns(values(str(path), table[text]), values(str(path), table[label]))


def _batches(path: Path, file: Any, names: Sequence[str]) -> list[Any]:
    """Return a file's rows in batches, as long as they fit into the memory that is allowed."""
    found, size = [], 0
    for batch in file.iter_batches(_BATCH, columns=list(names)):
        size += batch.nbytes
        if size > MAX_BYTES:
            raise AtlasError(f"{path}: more than {MAX_BYTES:,} bytes when decoded; allowed: at most that")
        found.append(batch)
    schema = pa.schema([file.schema_arrow.field(name) for name in dict.fromkeys(names)])
    return found or [pa.RecordBatch.from_pylist([], schema)]


def check_types(place: str, schema: Any, text: str, label: str) -> None:
    """Raise an AtlasError unless texts are text, and labels are text, numbers, truth values or dates."""
    for name, is_text in ((text, True), (label, False)):
        kind = schema.field(name).type
        inner = kind.value_type if kinds.is_dictionary(kind) else kind
        if kinds.is_nested(inner) or (is_text and not _is_text(inner)):
            allowed = "text" if is_text else "text, whole numbers or truth values"
            raise AtlasError(f"{place}: column {name} holds {str(kind)[:60]}; allowed: {allowed}")


def _is_text(kind: Any) -> bool:
    tests = (kinds.is_string, kinds.is_large_string, kinds.is_string_view, kinds.is_binary, kinds.is_large_binary)
    return kinds.is_null(kind) or any(test(kind) for test in tests)


def values(place: str, column: Any) -> list[str | None]:
    """Return a column's values as text; null and NaN are None."""
    try:
        found = column.to_pylist()
    except (ValueError, OverflowError) as error:
        # Of a damaged file: bytes that are no UTF-8, dates that no calendar has.
        raise AtlasError(f"{place}: holds a value that cannot be read ({str(error)[:100]}); allowed: text") from None
    return [_value(place, value) for value in found]


def _value(place: str, value: Any) -> str | None:
    # Only NaN differs from itself.
    if value is None or value != value:
        return None
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            raise AtlasError(f"{place}: holds bytes that are not UTF-8 ({value[:20]!r}); allowed: text") from None
    return str(value)
