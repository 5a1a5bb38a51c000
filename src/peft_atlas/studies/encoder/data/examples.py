"""The prepared texts of a task, as a training job reads them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch

from peft_atlas.errors import AtlasError
from peft_atlas.rng import generator
from peft_atlas.studies.encoder.data.example_contract import EXAMPLES
from peft_atlas.tables.contract import read_table


@dataclass(frozen=True)
class Texts:
    """The rows of the contract `EXAMPLES`, and the classes in the order of their numbers."""

    rows: pd.DataFrame
    classes: tuple[str, ...]

    def split(self, name: str) -> pd.DataFrame:
        """Return one split; of the training pool, all of it."""
        return self.rows[self.rows["split"] == name]

    def drawn(self, count: int, seed: int) -> pd.DataFrame:
        """Return the training examples of a seed, drawn from the pool without replacement; all methods share them."""
        pool = self.split("train")
        if count > len(pool):
            raise AtlasError(f"train_examples = {count}: allowed: at most {len(pool)}, what the pool holds")
        order = torch.randperm(len(pool), generator=generator(seed, "examples"))[:count]
        return pool.iloc[order.tolist()]

    def numbers(self, part: pd.DataFrame) -> list[int]:
        """Return the class of each row as a number."""
        places = {label: place for place, label in enumerate(self.classes)}
        return [places[label] for label in part["label"]]


def read_texts(path: Path) -> Texts:
    """Return a task's prepared texts.

    Raises
    ------
    AtlasError
        If the file is not one of the contract `EXAMPLES`.
    """
    rows = read_table(EXAMPLES, path)
    return Texts(rows, tuple(sorted(rows["label"].dropna().unique())))
