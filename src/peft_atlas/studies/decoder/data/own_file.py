"""A user's own task: JSONL or CSV with the columns prompt and answer, and choices where there are such.

It needs neither pandas nor torch, so that the workflow can look at a file before it starts a job.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from peft_atlas.errors import AtlasError
from peft_atlas.studies.decoder.data.items import Item
from peft_atlas.texts.columns import is_blank, size_checked
from peft_atlas.texts.csv_file import read_csv
from peft_atlas.texts.normal_form import normalised

# Separates the choices of a CSV field.
SEPARATOR = "|"
_Row = Mapping[str, Any]


def read_own(path: Path) -> list[Item]:
    """Return the rows of a user's file.

    A ``.jsonl`` file has an object per line, in which ``choices`` is a list; any other is read as CSV, in which choices
    are separated by ``|``. A column ``id`` is for the user alone; no two rows may have the same.

    Raises
    ------
    AtlasError
        In one line, if the file cannot be read or a row will not do: no prompt, no answer, a single choice, two choices
        alike, an answer that is not among its choices, choices in some rows only, or a prompt or an id that another row
        has.
    """
    rows = list(_of_json(path) if path.suffix == ".jsonl" else _of_csv(path))
    if not rows:
        raise AtlasError(f"{path}: holds no rows; allowed: at least one")
    _check_once(path, "id", [row.get("id") for row in rows])
    items = [_item(f"{path}: row {place}", row) for place, row in enumerate(rows, 1)]
    if len({bool(item.choices) for item in items}) > 1:
        place = next(n for n, item in enumerate(items, 1) if bool(item.choices) != bool(items[0].choices))
        raise AtlasError(f"{path}: row {place}: choices in some rows only; allowed: in all of them or in none")
    _check_once(path, "prompt", [normalised(item.prompt) for item in items])
    return items


def _of_json(path: Path) -> Iterator[_Row]:
    try:
        # Not splitlines, which also parts at characters that JSON allows inside a text.
        lines = size_checked(path).read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError:
        raise AtlasError(f"{path}: is not UTF-8; allowed: UTF-8") from None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise AtlasError(f"{path}: line {number} is not JSON ({error}); allowed: an object per line") from None
        if not isinstance(row, dict) or not {"prompt", "answer"} <= set(row):
            raise AtlasError(f"{path}: line {number} has no prompt or no answer; allowed: an object with both")
        yield row


def _of_csv(path: Path) -> Iterator[_Row]:
    columns = read_csv(path, "prompt", "answer")
    header = path.read_text(encoding="utf-8-sig").splitlines()[0]
    more = {name: read_csv(path, "prompt", name).labels for name in ("choices", "id") if _has(header, name)}
    for place, (prompt, answer) in enumerate(zip(columns.texts, columns.labels, strict=True)):
        row: dict[str, Any] = {"prompt": prompt, "answer": answer}
        row |= {name: values[place] for name, values in more.items()}
        choices = row.get("choices")
        yield {**row, "choices": choices.split(SEPARATOR)} if isinstance(choices, str) and choices.strip() else row


def _has(header: str, name: str) -> bool:
    return name in [field.strip().strip('"') for field in header.split(",")]


def _check_once(path: Path, name: str, values: list[Any]) -> None:
    """Refuse a value that two rows have; of two rows with one prompt and two answers one would be dropped unseen."""
    seen: dict[str, int] = {}
    for place, value in enumerate(values, 1):
        if value is None:
            continue
        first = seen.setdefault(str(value), place)
        if first != place:
            short = str(value)[:60]
            raise AtlasError(f"{path}: row {place}: {name} {short!r} is that of row {first}; allowed: each once")


def _item(place: str, row: _Row) -> Item:
    """Return a row as an item, checked."""
    for name in ("prompt", "answer"):
        if not isinstance(row[name], str | None) or is_blank(row[name]):
            raise AtlasError(f"{place}: {name} = {row[name]!r}: allowed: a text that is not empty")
    choices = row.get("choices") or []
    if not isinstance(choices, list) or not all(isinstance(each, str) and not is_blank(each) for each in choices):
        raise AtlasError(f"{place}: choices = {str(choices)[:60]!r}: allowed: a list of texts that are not empty")
    if choices:
        _check_choices(place, row["answer"], choices)
    return Item(row["prompt"].rstrip(), row["answer"], tuple(choices))


def _check_choices(place: str, answer: str, choices: list[str]) -> None:
    if len(choices) < 2:
        raise AtlasError(f"{place}: 1 choice, {choices[0]!r}; allowed: at least 2")
    plain = [normalised(choice) for choice in choices]
    twice = next((choice for choice in plain if plain.count(choice) > 1), None)
    if twice is not None:
        raise AtlasError(f"{place}: the choice {twice!r} is given twice; allowed: each once")
    if answer.strip() not in [choice.strip() for choice in choices]:
        raise AtlasError(f"{place}: answer {answer!r} is not among its choices; allowed: {', '.join(choices)[:80]}")
