"""Released runs of the decoder study: their tables, which a run that does not train it shows as what they are."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from peft_atlas.errors import AtlasError
from peft_atlas.tables.contract import read_table
from peft_atlas.tables.schemas import CONTRACTS

# Folders of released runs. The first one that is there answers the questions; what runs cost is reported of all.
FOLDERS = ("decoder_full", "decoder")
MANIFEST = "release.json"
# Contracts of the tables by their names in the folder.
TABLES = {"runs": "runs", "items": "items", "costs": "costs", "checks": "findings"}
FACTS = ("version", "code", "machine", "date")


@dataclass(frozen=True)
class Released:
    """The tables of a finished run of the study, and where they are from, in words."""

    runs: pd.DataFrame
    items: pd.DataFrame
    costs: pd.DataFrame
    checks: pd.DataFrame
    origin: str


def released_files(place: Path) -> list[Path]:
    """Return the files of all released runs in a folder, in the order of `FOLDERS`."""
    names = [MANIFEST, *(f"{name}.parquet" for name in TABLES)]
    found = [place / folder for folder in FOLDERS if (place / folder / MANIFEST).is_file()]
    return [folder / name for folder in found for name in names]


def read_all_released(files: Sequence[Path]) -> list[Released]:
    """Return the released runs that files belong to, in their order.

    Raises
    ------
    AtlasError
        As `read_released`.
    """
    return [read_released(folder) for folder in dict.fromkeys(file.parent for file in files)]


def read_released(folder: Path) -> Released:
    """Return a released run.

    Raises
    ------
    AtlasError
        If a table is missing or of another version of its contract, or the manifest lacks a fact.
    """
    path = folder / MANIFEST
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        known = {name: str(facts[name]) for name in FACTS}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise AtlasError(f"{path}: lacks {error}; allowed: JSON with {', '.join(FACTS)}") from None
    tables = {name: read_table(CONTRACTS[contract], folder / f"{name}.parquet") for name, contract in TABLES.items()}
    return Released(**tables, origin=origin_in_words(known))


def origin_in_words(facts: Mapping[str, str]) -> str:
    """Return where a released run is from."""
    return (
        f"released run, not made on this machine: version {facts['version']} ({facts['code']}), {facts['machine']}, "
        f"{facts['date']}"
    )
