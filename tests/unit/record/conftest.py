"""The record of published runs as it is shipped, and its findings."""

from __future__ import annotations

import pandas as pd
import pytest

from peft_atlas.analysis.finding import Finding
from peft_atlas.studies.findings import Given
from peft_atlas.studies.record.data import load_record
from peft_atlas.studies.record.findings import findings


@pytest.fixture(scope="session")
def record(root) -> dict[str, pd.DataFrame]:
    return load_record(root / "data/published/runs")


@pytest.fixture(scope="session")
def found_here(record) -> dict[str, Finding]:
    """Return every finding on the record by id."""
    return {finding.id: finding for finding in findings(Given(record, pd.DataFrame(), 0.95))}
