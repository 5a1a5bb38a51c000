"""A digest of a table's values, kept in its file, by which damage is seen that Parquet itself reads as other data."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_KEY = b"content_sha256"


def with_digest(table: Any) -> Any:
    """Return an Arrow table whose metadata hold the digest of its values."""
    return table.replace_schema_metadata({**(table.schema.metadata or {}), _KEY: table_digest(table)})


def digest_fault(table: Any) -> str | None:
    """Return what is wrong with a table that was read from a file, None if nothing is, or if it holds no digest."""
    kept = (table.schema.metadata or {}).get(_KEY)
    if kept is None or kept.decode(errors="replace") == table_digest(table):
        return None
    return "its values are not those that were written"


def table_digest(table: Any) -> str:
    """Return the SHA-256 of a table's names, types and values; how they are stored does not count."""
    digest = hashlib.sha256()
    for name, values in zip(table.schema.names, table.itercolumns(), strict=True):
        digest.update(f"{name}\0{_type(values.type)}\0{len(values)}\0".encode())
        _add(digest, values)
    return digest.hexdigest()


def _type(arrow: Any) -> str:
    """Return a type's name; Parquet gives the elements of a list another field name, which does not count."""
    return f"list of {_type(arrow.value_type)}" if pa.types.is_list(arrow) else str(arrow)


def _add(digest: Any, values: Any) -> None:
    """Add a column: which values are missing, then the lengths of texts and lists, then the values."""
    digest.update(np.packbits(values.is_null().to_numpy()).tobytes())
    present = values.drop_null()
    if pa.types.is_list(values.type):
        digest.update(pc.list_value_length(present).to_numpy().tobytes())
        _add(digest, pc.list_flatten(present))
    elif pa.types.is_string(values.type):
        texts = [text.encode() for text in present.to_pylist()]
        digest.update(np.array([len(text) for text in texts], dtype=np.int64).tobytes())
        digest.update(b"".join(texts))
    else:
        digest.update(present.to_numpy().tobytes())
