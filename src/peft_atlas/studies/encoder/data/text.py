"""Text classification with disjoint splits: de-duplicated, split by hash, checked for leaks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from peft_atlas.errors import AtlasError
from peft_atlas.studies.encoder.data.example_contract import SPLITS
from peft_atlas.texts.normal_form import digest, normalised

# A text's digest, as a fraction of its range, says which split may hold it, whatever other texts there are.
_TEST_BELOW, _VALIDATION_BELOW = 0.3, 0.45


@dataclass(frozen=True)
class SplitSizes:
    """How many examples validation and test hold, and how many a seed trains on."""

    train: int
    validation: int
    test: int


@dataclass(frozen=True)
class Cleaning:
    """An account of the rows of a source: what was read, and what was left out for which reason.

    Parameters
    ----------
    read
        Rows of the source.
    repeated, contradictory
        Rows whose text another row has, with the same label or with another one.
    without_text, without_label
        Rows that lack a text, and further rows that lack a label.
    """

    read: int
    repeated: int
    contradictory: int
    without_text: int = 0
    without_label: int = 0

    @property
    def used(self) -> int:
        """Return the rows that are left."""
        return self.read - self.repeated - self.contradictory - self.without_text - self.without_label


def clean(rows: pd.DataFrame) -> tuple[pd.DataFrame, Cleaning]:
    """Return each text once with its ``digest``, in the order of digests, and what was removed.

    A text that comes with several labels is removed altogether, since none of them can be trusted.
    """
    rows = rows.assign(digest=rows["text"].map(digest))
    labels = rows.groupby("digest")["label"].transform("nunique")
    kept = rows[labels == 1].drop_duplicates("digest").sort_values("digest", ignore_index=True)
    contradictory = int((labels > 1).sum())
    return kept, Cleaning(len(rows), len(rows) - contradictory - len(kept), contradictory)


def split(rows: pd.DataFrame, sizes: SplitSizes, task: str) -> pd.DataFrame:
    """Return cleaned rows with their ``split``: test and validation of the sizes asked, all else of the pool.

    Raises
    ------
    AtlasError
        If a split has fewer texts than asked, or the pool fewer than a seed trains on; names all that are too small.
    """
    place = rows["digest"].map(lambda text: int(text[:12], 16) / 16**12)
    regions = np.select([place < _TEST_BELOW, place < _VALIDATION_BELOW], ["test", "validation"], "train")
    found = {name: rows[regions == name] for name in SPLITS}
    asked = {name: int(getattr(sizes, name)) for name in SPLITS}
    small = [
        f"{name}_examples = {asked[name]}: allowed: at most {len(part)}"
        for name, part in found.items()
        if len(part) < asked[name]
    ]
    if small:
        budgets = " (train_examples: the most that train_examples or larger_budgets ask)"
        raise AtlasError(f"task {task}: {'; '.join(small)} of its {len(rows)} texts{budgets}")
    # The pool is kept whole: each seed draws its own training examples from it.
    parts = [(part if name == "train" else part.head(asked[name])).assign(split=name) for name, part in found.items()]
    return pd.concat(parts, ignore_index=True)


def shared_texts(rows: pd.DataFrame) -> int:
    """Return how many texts are in two splits, compared as normalised texts; of a sound split, 0."""
    seen = {name: set(rows.loc[rows["split"] == name, "text"].map(normalised)) for name in SPLITS}
    return sum(len(seen[left] & seen[right]) for left, right in combinations(SPLITS, 2))


def drift_texts(rows: pd.DataFrame, count: int) -> pd.DataFrame:
    """Return the first texts of another source, by digest, as the split ``drift``, without labels."""
    cleaned, _ = clean(rows)
    return cleaned.head(count).assign(split="drift", label=None)


def examples(rows: pd.DataFrame, tokenise: Callable[[Sequence[str]], list[list[int]]]) -> list[dict[str, Any]]:
    """Return rows of the contract `EXAMPLES`, every text tokenised once."""
    tokens = tokenise(rows["text"].tolist())
    records = rows[["split", "digest", "text", "label"]].to_dict("records")
    return [{**record, "tokens": ids} for record, ids in zip(records, tokens, strict=True)]
