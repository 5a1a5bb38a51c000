"""A Hugging Face data set: one of the hub, or a folder of one; splits are made here, by hash."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from peft_atlas.errors import AtlasError
from peft_atlas.texts.columns import Columns
from peft_atlas.texts.csv_file import read_csv

# What data sets write where a test part hides its labels.
_HIDDEN = "-1"


def read_dataset(task: str, name: str, subset: str | None, text: str, label: str) -> Columns:
    """Return the rows of every part of a data set.

    Raises
    ------
    AtlasError
        If it cannot be loaded, or lacks a column.
    """
    files = csv_files(name) if subset is None else []
    # `datasets` guesses the types of a CSV file's columns: the class None is then no class, and 01 is 1.
    parts = _csv_parts(files, text, label) if files else _loaded_parts(task, name, subset, text, label)
    return sum(_without_hidden_labels(parts), Columns([], []))


def folder_files(name: str) -> list[Path]:
    """Return every file of a folder that a data set may be read from, sorted; of the hub's data sets none."""
    found = (path for path in Path(name).rglob("*") if path.is_file())
    return sorted(path for path in found if not any(part.startswith(".") for part in path.relative_to(name).parts))


def csv_files(name: str) -> list[Path]:
    """Return the CSV files of a folder that holds no other data files; else none."""
    data = [path for path in folder_files(name) if path.suffix in {".csv", ".parquet", ".json", ".jsonl"}]
    return data if all(path.suffix == ".csv" for path in data) else []


def _csv_parts(files: Sequence[Path], text: str, label: str) -> list[Columns]:
    """Return the rows of each file; one without a column of labels, as a test part may be, has none."""
    found, refused = [], []
    for file in files:
        try:
            found.append(read_csv(file, text, label))
        except AtlasError as error:
            if not str(error).startswith(f"{file}: no column {label};"):
                raise
            refused.append(error)
            texts = read_csv(file, text, text).texts
            found.append(Columns(texts, [None] * len(texts)))
    if len(refused) == len(files):
        raise refused[0]
    return found


def _loaded_parts(task: str, name: str, subset: str | None, text: str, label: str) -> list[Columns]:
    """Return the rows of each part as `datasets` loads it."""
    import datasets

    try:
        parts = datasets.load_dataset(name, subset)
    except Exception as error:
        # The hub's client raises errors of a dozen kinds, among them those of its HTTP library.
        cause = (str(error).splitlines() or [type(error).__name__])[0]
        raise AtlasError(
            f"task {task}: data set {name!r} cannot be loaded ({cause}); allowed: a name that the hub "
            "has, with the hub in reach, a folder, or the texts as file"
        ) from None
    return [_part(name, part, text, label) for part in parts.values()]


def _part(name: str, part: Any, text: str, label: str) -> Columns:
    """Return the rows of one part, labels by the names of their classes where it has such names."""
    from peft_atlas.studies.encoder.data.parquet_file import check_types, values

    missing = [each for each in (text, label) if each not in part.column_names]
    if missing:
        raise AtlasError(f"{name}: no column {', '.join(missing)}; allowed: {', '.join(part.column_names)}")
    table = part.with_format("arrow")[:]
    check_types(name, table.schema, text, label)
    labels, classes = values(name, table[label]), getattr(part.features.get(label), "names", None)
    if classes is not None:
        # A test part without labels has -1 there.
        labels = [None if value is None or int(value) < 0 else classes[int(value)] for value in labels]
    return Columns(values(name, table[text]), labels)


def _without_hidden_labels(parts: Sequence[Columns]) -> list[Columns]:
    """Return parts whose every label is -1 without labels, where other parts do not use that label."""
    hidden = [set(part.labels) == {_HIDDEN} for part in parts]
    if any(_HIDDEN in part.labels for part, hides in zip(parts, hidden, strict=True) if not hides):
        return list(parts)
    blank = [Columns(part.texts, [None] * len(part.texts), part.notes) for part in parts]
    return [other if hides else part for part, other, hides in zip(parts, blank, hidden, strict=True)]
