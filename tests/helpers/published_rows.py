"""Rows of published tables to write, and the reader's verdict on them."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from peft_atlas.errors import AtlasError
from peft_atlas.studies.literature.data import (
    CELL_COLUMNS,
    load_published,
)

FOLDER = Path(__file__).parents[2] / "data" / "published"
HEADER = ",".join(CELL_COLUMNS)
GOOD = "LLaMA-7B,LoRA,BoolQ,accuracy_percent,68.9,percent,here,Table 1,verbatim,"
SOURCES = """\
here:
  title: A title
  authors: Some
  identifier: "arXiv:0000.00000"
  version: v1
  date: "2024-05-22"
  kind: paper
  what_was_read: Table 1.
"""


def load(folder: Path, text: str | bytes, name: str = "t.csv") -> pd.DataFrame:
    content = text if isinstance(text, bytes) else text.encode()
    (folder / name).write_bytes(content)
    return load_published(folder)


def fault(folder: Path, text: str | bytes) -> str:
    """Return the message without the folder; it must be one line."""
    with pytest.raises(AtlasError) as caught:
        load(folder, text)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    return message.replace(f"{folder}/", "")
