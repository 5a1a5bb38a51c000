"""What a run's numbers depend on, as one digest: a checkpoint of a run that differs in any of it is not read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch

from peft_atlas.models.folder import CONFIG, TOKENIZER, weight_files
from peft_atlas.studies.encoder.data.examples import Texts


def fingerprint(facts: Sequence[Any], texts: Texts, model: Path) -> str:
    """Return the SHA-256 of everything that decides a run's numbers.

    Parameters
    ----------
    facts
        What JSON can hold of the run, its settings and its code.
    texts
        The task's texts, of which split, text, label and tokens count.
    model
        The pretrained model's folder, of which the content of every file that is read counts.
    """
    whole = [*facts, _of_texts(texts), _of_model(model), torch.__version__]
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()


def _of_texts(texts: Texts) -> str:
    """Return a digest of the texts with their labels and tokens."""
    digest = hashlib.sha256(repr(texts.classes).encode())
    columns = [texts.rows[name].tolist() for name in ("split", "digest", "label", "tokens")]
    for split, text, label, tokens in zip(*columns, strict=True):
        digest.update(f"{split}\0{text}\0{label!r}\0{list(map(int, tokens))}\n".encode())
    return digest.hexdigest()


def _of_model(folder: Path) -> list[str]:
    """Return the digest of each file of a model."""
    files = [path for name in (CONFIG, TOKENIZER, *weight_files(folder)) if (path := folder / name).is_file()]
    return [_of_file(path, path.stat().st_size, path.stat().st_mtime_ns) for path in files]


@cache
def _of_file(path: Path, _size: int, _mtime_ns: int) -> str:
    """Return a file's digest; a job's many runs read one model."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
