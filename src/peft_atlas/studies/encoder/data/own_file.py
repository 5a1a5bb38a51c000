"""The user's own file, by its ending."""

from __future__ import annotations

from pathlib import Path

from peft_atlas.errors import AtlasError
from peft_atlas.texts.columns import Columns
from peft_atlas.texts.csv_file import read_csv


def read_file(path: Path, text: str, label: str) -> Columns:
    """Return the text and the label column of a CSV or Parquet file.

    Raises
    ------
    AtlasError
        If the file cannot be read, or lacks a column.
    """
    if path.suffix == ".csv":
        return read_csv(path, text, label)
    if path.suffix != ".parquet":
        raise AtlasError(f"{path}: allowed: a file that ends in .csv or .parquet")
    # Here, since most users bring a CSV file and Arrow takes a while to import.
    from peft_atlas.studies.encoder.data.parquet_file import read_parquet

    return read_parquet(path, text, label)
