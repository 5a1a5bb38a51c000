"""The shipped tables, and a folder for others."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from published_rows import FOLDER, SOURCES

from peft_atlas.studies.literature.data import (
    load_published,
)


@pytest.fixture(scope="module")
def published() -> pd.DataFrame:
    return load_published(FOLDER)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "sources.yaml").write_text(SOURCES, encoding="utf-8")
    return tmp_path
