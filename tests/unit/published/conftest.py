"""The shipped tables, and a folder for others."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from literature_findings import find, load_tables
from published_rows import FOLDER, SOURCES

from peft_atlas.analysis.finding import Finding
from peft_atlas.studies.literature.data import load_published


@pytest.fixture(scope="session")
def published() -> pd.DataFrame:
    return load_published(FOLDER)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "sources.yaml").write_text(SOURCES, encoding="utf-8")
    return tmp_path


@pytest.fixture(scope="session")
def tables() -> dict[str, pd.DataFrame]:
    """Return the tables on the literature as they are shipped."""
    return load_tables(FOLDER)


@pytest.fixture(scope="session")
def found(tables: dict[str, pd.DataFrame]) -> dict[str, Finding]:
    """Return every finding on the shipped tables by id."""
    return find(tables)
