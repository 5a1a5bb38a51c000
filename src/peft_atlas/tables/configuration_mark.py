"""The mark that says with which configuration a job wrote a table, by which a part from elsewhere is seen."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from peft_atlas.errors import AtlasError

_KEY = b"configuration_sha256"


def configuration_digest(config: Mapping[str, Any]) -> str:
    """Return the SHA-256 of the part of the configuration that a job depends on."""
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()


def marked(table: Any, digest: str | None) -> Any:
    """Return an Arrow table whose metadata name the configuration, unchanged where the job has none."""
    if digest is None:
        return table
    return table.replace_schema_metadata({**(table.schema.metadata or {}), _KEY: digest})


def require_configurations(paths: Iterable[Path], allowed: Collection[str]) -> None:
    """Refuse tables that were written with another configuration than those of this run.

    Parameters
    ----------
    paths
        The tables. One without a mark, or one that cannot be read, is skipped: reading it reports what is wrong.
    allowed
        Digests of the configurations.

    Raises
    ------
    AtlasError
        If one has another mark; it names the table.
    """
    for path in paths:
        try:
            mark = (pq.read_schema(path).metadata or {}).get(_KEY)
        except (pa.ArrowException, OSError, ValueError):
            continue
        if mark is not None and mark.decode(errors="replace") not in allowed:
            raise AtlasError(f"{path}: was made with another configuration; delete it and run again")
