"""The sources that transcribed cells may come from, as sources.yaml describes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import ValidationError, ValidationInfo, field_validator

from peft_atlas.errors import AtlasError
from peft_atlas.studies.literature.row_types import Date, Row, Text, fault_of
from peft_atlas.tables.csv_text import read_text, short

SOURCES_FILE = "sources.yaml"
Kind = Literal["paper", "repository", "notebook", "recomputed"]


class Source(Row):
    """Where cells come from, and which parts of it were read; one of version and date is given."""

    title: Text
    authors: Text
    identifier: Text
    version: Text | None
    date: Date | None
    kind: Kind
    what_was_read: Text

    @field_validator("date")
    @classmethod
    def _dated(cls, date: str | None, info: ValidationInfo) -> str | None:
        if date is None and info.data.get("version") is None:
            raise ValueError("allowed: a date, since there is no version")
        return date

    def version_and_date(self) -> str:
        """Return version and date as one text, for example ``v3, 2024-05-22``."""
        return ", ".join(part for part in (self.version, self.date) if part)


def known_source(source: str, info: ValidationInfo) -> str:
    """Return a source id; one that sources.yaml does not describe is an error."""
    sources = info.context or {}
    if source not in sources:
        raise ValueError(f"no such source; allowed: an id of {SOURCES_FILE}: {', '.join(sorted(sources))}")
    return source


class _UniqueKeys(yaml.SafeLoader):
    """A YAML loader that refuses a key given twice, of which the standard one silently keeps the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Return a mapping whose keys are all different."""
        seen: dict[str, int] = {}
        for key, _ in node.value:
            name, line = str(key.value), key.start_mark.line + 1
            if name in seen:
                place = f"line {line}: the key {name!r} is on line {seen[name]} too"
                raise yaml.constructor.ConstructorError(problem=f"{place}; allowed: once")
            seen[name] = line
        return dict(super().construct_mapping(node, deep))


def load_sources(path: Path) -> dict[str, Source]:
    """Return the sources that cells may come from, by id.

    Raises
    ------
    AtlasError
        If the file is no mapping of id to title, authors, identifier, version, date, kind and what_was_read.
    """
    path = Path(path)
    try:
        entries = yaml.load(read_text(path), Loader=_UniqueKeys)  # a SafeLoader: builds no objects
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise AtlasError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(entries, dict) or not entries:
        raise AtlasError(f"{path}: {short(entries)}: allowed: a mapping of source ids to their entries")
    return {str(name): _source(path, str(name), entry) for name, entry in entries.items()}


def _source(path: Path, name: str, entry: object) -> Source:
    """Return one checked source."""
    if not isinstance(entry, dict):
        raise AtlasError(f"{path}: {name} = {short(entry)}: allowed: a mapping of {', '.join(Source.model_fields)}")
    try:
        return Source.model_validate(entry)
    except ValidationError as error:
        raise AtlasError(f"{path}: {name}.{fault_of(error)}") from None
