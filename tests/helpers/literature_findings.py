"""The findings on the literature from tables that a test loads or changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from peft_atlas.accounting.parameters import closed_form_table
from peft_atlas.analysis.finding import Finding
from peft_atlas.studies.findings import Given
from peft_atlas.studies.literature import data as load
from peft_atlas.studies.literature import findings as literature
from peft_atlas.studies.literature.conflicts import conflicts
from peft_atlas.studies.literature.memory_predictions import predictions
from peft_atlas.studies.literature.memory_table import memory_with_peaks
from peft_atlas.tables.schemas import CONTRASTS

HEADER = ",".join(load.CELL_COLUMNS)


def load_tables(folder: Path) -> dict[str, pd.DataFrame]:
    """Return the tables of a folder of published numbers, and those that are computed from them."""
    sources = load.load_sources(folder / load.SOURCES_FILE)
    closed = closed_form_table()
    published = load.load_published(folder)
    # That both ways really agree is tested in test_accounting; here a copy represents the second.
    parameters = pd.concat([closed, closed.assign(way="attached")], ignore_index=True)
    return {
        "published": published,
        "parameters": parameters,
        "conflicts": conflicts(published, parameters),
        "references": load.load_references(folder / load.REFERENCES_FILE, sources),
        "application_verdicts": load.load_application_verdicts(folder / load.VERDICTS_FILE, sources),
        "memory": memory_with_peaks(),
        "predictions": predictions().convert_dtypes(),
    }


def find_all(
    tables: Mapping[str, pd.DataFrame], so_far: Sequence[Finding] = (), margin: float | None = 0.01, **changed: Any
) -> list[Finding]:
    """Return every finding on the literature; ``margin`` is that of non-inferiority, a fraction, if it was asked.

    ``checks`` are rows that jobs of their own wrote.
    """
    checks = changed.pop("checks", pd.DataFrame())
    given = {**tables, **changed}
    # Finding conflicts takes a third of the time, and most tests change neither table.
    if {"published", "parameters"} & changed.keys():
        given["conflicts"] = conflicts(given["published"], given["parameters"])
    asked = pd.DataFrame([{"question": literature.NON_INFERIORITY, "margin": margin}])
    given["contrasts"] = asked.reindex(columns=CONTRASTS.schema().names)
    return literature.findings(Given(given, checks, 0.95, so_far))


def find(tables: Mapping[str, pd.DataFrame], **changed: Any) -> dict[str, Finding]:
    """Return every finding on the literature by id; arguments as `find_all`."""
    return {finding.id: finding for finding in find_all(tables, **changed)}


def with_cell(tables: Mapping[str, pd.DataFrame], text: str, **where: Any) -> tuple[pd.DataFrame, str]:
    """Return the published table with one cell printed differently, and where that cell is."""
    published = tables["published"].copy()
    chosen = pd.Series(data=True, index=published.index)
    for column, value in where.items():
        chosen &= published[column] == value
    (index,) = published.index[chosen.fillna(value=False)]
    published.loc[index, "printed"] = text
    for name, value in vars(load.parse_printed(text)).items():
        published.loc[index, name] = value
    return published, f"{published.loc[index, 'table']}.csv:{published.loc[index, 'line']}"
