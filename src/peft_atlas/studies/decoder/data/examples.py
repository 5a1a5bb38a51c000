"""The prepared rows of a task, as a training job reads them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch

from peft_atlas.errors import AtlasError
from peft_atlas.rng import generator
from peft_atlas.studies.decoder.data.example_contract import DECODER_EXAMPLES, PLAIN
from peft_atlas.tables.contract import read_table


@dataclass(frozen=True)
class Rows:
    """The rows of the contract ``decoder_examples``."""

    frame: pd.DataFrame

    def split(self, name: str) -> pd.DataFrame:
        """Return one split; of the training pool, all of it."""
        return self.frame[self.frame["split"] == name]

    @property
    def plain(self) -> list[list[int]]:
        """Return the token ids of the plain texts."""
        return [list(ids) for ids in self.split(PLAIN)["prompt_tokens"]]

    def drawn(self, count: int, seed: int) -> pd.DataFrame:
        """Return the training rows of a seed, drawn from the pool without replacement; all methods share them."""
        pool = self.split("train")
        if count > len(pool):
            raise AtlasError(f"train_examples = {count}: allowed: at most {len(pool)}, what the pool holds")
        order = torch.randperm(len(pool), generator=generator(seed, "examples"))[:count]
        return pool.iloc[order.tolist()]


def read_rows(path: Path) -> Rows:
    """Return a task's prepared rows.

    Raises
    ------
    AtlasError
        If the file is not one of the contract ``decoder_examples``.
    """
    return Rows(read_table(DECODER_EXAMPLES, path))
