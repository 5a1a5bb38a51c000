"""The sources that result tables hold numbers of, each with its licence."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from peft_atlas.workflow_command import workflow_root

MIT = "https://spdx.org/licenses/MIT"
FACTS_ONLY = "No licence known; only facts were taken: numbers, and names of models and settings."
_LINKS = {
    r"arXiv:(\d{4}\.\d{4,5})": "https://arxiv.org/abs/{}",
    r"doi:(\S+)": "https://doi.org/{}",
    r"(github\.com/\S+)": "https://{}",
}


@dataclass(frozen=True)
class Origin:
    """A source of numbers.

    Parameters
    ----------
    id
        Its address, or a name within the description where it has none.
    name
        Title or repository.
    licence
        Address of its licence; `FACTS_ONLY` where none is known.
    tables
        Names of the tables that hold numbers of it.
    """

    id: str
    name: str
    licence: str
    tables: tuple[str, ...]


def origins(frames: Mapping[str, pd.DataFrame]) -> list[Origin]:
    """Return the sources of some result tables, sorted by their address.

    Parameters
    ----------
    frames
        The tables by name; those with a column ``repository``, and ``published``, name sources.
    """
    data = workflow_root() / "data/published"
    named = [*_repositories(frames, data), *_publications(frames, data)]
    by_id: dict[str, Origin] = {}
    for each in named:
        known = by_id.get(each.id)
        tables = sorted({*each.tables, *(known.tables if known else ())})
        by_id[each.id] = Origin(each.id, each.name, each.licence, tuple(tables))
    return [by_id[name] for name in sorted(by_id)]


def _repositories(frames: Mapping[str, pd.DataFrame], data: Path) -> list[Origin]:
    licences: dict[str, str | None] = _yaml(data / "runs/licences.yaml")
    found: dict[str, list[str]] = {}
    for table, frame in frames.items():
        for repository in frame["repository"].unique() if "repository" in frame else ():
            found.setdefault(str(repository), []).append(table)
    return [
        Origin(f"https://github.com/{name}", name, _licence(licences.get(name)), tuple(tables))
        for name, tables in found.items()
    ]


def _publications(frames: Mapping[str, pd.DataFrame], data: Path) -> list[Origin]:
    if "published" not in frames:
        return []
    sources = _yaml(data / "sources.yaml")
    rows = frames["published"][["source", "source_title"]].drop_duplicates()
    return [
        Origin(
            _address(str(row.source), sources.get(row.source, {})), str(row.source_title), FACTS_ONLY, ("published",)
        )
        for row in rows.itertuples()
    ]


def _yaml(path: Path) -> dict[str, Any]:
    return dict(yaml.safe_load(path.read_text(encoding="utf-8")))


def _licence(name: str | None) -> str:
    return f"https://spdx.org/licenses/{name}" if name else FACTS_ONLY


def _address(name: str, source: Mapping[str, Any]) -> str:
    """Return the address of a source; sources that share an identifier stay apart by their own names."""
    for pattern, address in _LINKS.items():
        if match := re.search(pattern, str(source.get("identifier", ""))):
            return f"{address.format(match[1].rstrip(';'))}#{name}"
    return f"#{name}"
