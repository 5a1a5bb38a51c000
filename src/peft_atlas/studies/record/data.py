"""Read the record of published runs: one row per run, statement or count, each with its origin.

Every ``*.csv`` of ``data/published/runs/<contract>`` is read by the contract of that name, so a source is added as a
file there.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from peft_atlas.step import Step
from peft_atlas.tables.csv_source import read_csv_tables
from peft_atlas.tables.record_schemas import RECORD_CONTRACTS


def load_record(folder: Path) -> dict[str, pd.DataFrame]:
    """Return every table of the record by its contract's name.

    Parameters
    ----------
    folder
        Holds a folder of CSV files per contract.

    Raises
    ------
    AtlasError
        If a file cannot be read or a row is wrong; it names file, line, column, value and what is allowed.
    """
    return {each.name: read_csv_tables(each, Path(folder) / each.name) for each in RECORD_CONTRACTS}


def load_step(step: Step) -> None:
    """Read and check the record of published runs."""
    # The inputs are <folder>/<contract>/<source>.csv.
    for name, rows in load_record(step.path("tables").parents[1]).items():
        step.write(name, rows)
