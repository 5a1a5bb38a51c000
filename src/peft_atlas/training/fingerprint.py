"""What a run's numbers depend on, as one digest: a checkpoint of a run that differs in any of it is not read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from peft_atlas.models.folder import CONFIG, TOKENIZER, weight_files


def fingerprint(facts: Sequence[Any], rows: pd.DataFrame, model: Path) -> str:
    """Return the SHA-256 of everything that decides a run's numbers.

    Parameters
    ----------
    facts
        What JSON can hold of the run, its settings and its code.
    rows
        The task's rows, of which every column counts; a value is text, a number, missing, or a sequence of these.
    model
        The pretrained model's folder, of which the content of every file that is read counts.
    """
    whole = [*facts, _of_rows(rows), _of_model(model), torch.__version__]
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()


def _of_rows(rows: pd.DataFrame) -> str:
    """Return a digest of the columns and their values."""
    digest = hashlib.sha256(repr(list(rows.columns)).encode())
    for row in rows.itertuples(index=False, name=None):
        digest.update(f"{[_plain(value) for value in row]!r}\n".encode())
    return digest.hexdigest()


def _plain(value: Any) -> Any:
    """Return a value as what is written alike whichever library holds it."""
    if isinstance(value, str):
        return value
    return [_plain(each) for each in value] if hasattr(value, "__len__") else None if pd.isna(value) else float(value)


def _of_model(folder: Path) -> list[str]:
    """Return the digest of each file of a model."""
    files = [path for name in (CONFIG, TOKENIZER, *weight_files(folder)) if (path := folder / name).is_file()]
    return [_of_file(path, path.stat().st_size, path.stat().st_mtime_ns) for path in files]


@cache
def _of_file(path: Path, _size: int, _mtime_ns: int) -> str:
    """Return a file's digest; a job's many runs read one model."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
