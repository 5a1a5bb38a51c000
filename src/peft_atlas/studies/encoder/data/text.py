"""Text classification with disjoint splits: de-duplicated, split by hash, checked for leaks."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import TfidfVectorizer

from peft_atlas.errors import AtlasError
from peft_atlas.studies.encoder.data.example_contract import SPLITS

# A text's digest, as a fraction of its range, says which split may hold it, whatever other texts there are.
_TEST_BELOW, _VALIDATION_BELOW = 0.3, 0.45
# Cosine of character n-gram TF-IDF from which two texts count as near duplicates.
NEAR = 0.9


@dataclass(frozen=True)
class SplitSizes:
    """How many examples validation and test hold, and how many a seed trains on."""

    train: int
    validation: int
    test: int


@dataclass(frozen=True)
class Cleaning:
    """What cleaning a set of labelled texts removed."""

    read: int
    repeated: int
    contradictory: int


def normalised(text: str) -> str:
    """Return a text in the form in which two texts count as the same: one case, single blanks."""
    return " ".join(text.casefold().split())


def digest(text: str) -> str:
    """Return the SHA-256 of the normalised text."""
    return hashlib.sha256(normalised(text).encode()).hexdigest()


def clean(rows: pd.DataFrame) -> tuple[pd.DataFrame, Cleaning]:
    """Return each text once with its ``digest``, in the order of digests, and what was removed.

    A text that stands with several labels is removed altogether, since none of them can be trusted.
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
        If a split has fewer texts than asked, or the pool fewer than a seed trains on.
    """
    place = rows["digest"].map(lambda text: int(text[:12], 16) / 16**12)
    regions = np.select([place < _TEST_BELOW, place < _VALIDATION_BELOW], ["test", "validation"], "train")
    parts = []
    for name in SPLITS:
        part, asked = rows[regions == name], getattr(sizes, name)
        if len(part) < asked:
            raise AtlasError(f"task {task}: {name}_examples = {asked}: allowed: at most {len(part)} of its {len(rows)}")
        # The pool is kept whole: each seed draws its own training examples from it.
        parts.append((part if name == "train" else part.head(asked)).assign(split=name))
    return pd.concat(parts, ignore_index=True)


def shared_texts(rows: pd.DataFrame) -> int:
    """Return how many texts stand in two splits, compared as normalised texts; of a sound split, 0."""
    seen = {name: set(rows.loc[rows["split"] == name, "text"].map(normalised)) for name in SPLITS}
    return sum(len(seen[left] & seen[right]) for left, right in combinations(SPLITS, 2))


def near_duplicates(rows: pd.DataFrame, left: str, right: str) -> int:
    """Return how many texts of one split have a near duplicate in another.

    Two texts are near duplicates where the TF-IDF vectors of their character 3- to 5-grams have a cosine of at
    least `NEAR`.
    """
    one, other = (rows.loc[rows["split"] == name, "text"].map(normalised) for name in (left, right))
    vectors = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5)).fit(pd.concat([one, other]))
    cosines = vectors.transform(one) @ vectors.transform(other).T
    return int((cosines.max(axis=1).toarray() >= NEAR).sum())


def drift_texts(rows: pd.DataFrame, count: int) -> pd.DataFrame:
    """Return the first texts of another source, by digest, as the split ``drift``, without labels."""
    cleaned, _ = clean(rows)
    return cleaned.head(count).assign(split="drift", label=None)


def examples(rows: pd.DataFrame, tokenise: Callable[[Sequence[str]], list[list[int]]]) -> list[dict[str, Any]]:
    """Return rows of the contract `EXAMPLES`, every text tokenised once."""
    tokens = tokenise(rows["text"].tolist())
    records = rows[["split", "digest", "text", "label"]].to_dict("records")
    return [{**record, "tokens": ids} for record, ids in zip(records, tokens, strict=True)]
