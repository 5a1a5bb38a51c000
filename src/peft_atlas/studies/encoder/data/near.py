"""Near duplicates of test texts in the training pool, found within a stated memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.feature_extraction.text import HashingVectorizer

from peft_atlas.texts.normal_form import normalised

# Cosine of character n-gram TF-IDF from which two texts count as near duplicates.
NEAR = 0.9
# Characters of a text that are compared: far more than a model of 512 positions reads of most texts.
COMPARED = 2_000
# Characters of a text that are looked at: runs of blanks count as one.
_READ = 10 * COMPARED
# Texts whose vectors are in memory at once, and characters of them; n-grams of 3 to 5 take some 36 bytes a character.
_TEXTS, _CHARACTERS = 2_000, 1_000_000
_KEPT = 4
# Buckets of the n-grams: 8 bytes each, and so many that two n-grams of a corpus rarely share one.
_BUCKETS = 2**22


def near_duplicates(rows: pd.DataFrame, left: str, right: str) -> int:
    """Return how many texts of one split have a near duplicate in another.

    Two texts are near duplicates where the TF-IDF vectors of the character 3- to 5-grams of their first `COMPARED`
    characters have a cosine of at least `NEAR`. Vectors are made in blocks, some 100 MB at a time, and twice: first
    to count in how many texts an n-gram is, then to compare.
    """
    one, other = (_blocks(rows.loc[rows["split"] == name, "text"]) for name in (left, right))
    # Of small tasks all blocks are kept, so that their n-grams are counted once.
    counts = lru_cache(maxsize=_KEPT)(_counts)
    rarity = _rarity(counts, [*one, *other])
    near = 0
    for some in one:
        vectors = _vectors(counts(some), rarity).T.tocsr()
        best = np.zeros(len(some))
        for against in other:
            found = (_vectors(counts(against), rarity) @ vectors).max(axis=0)
            np.maximum(best, found.toarray().ravel(), out=best)
        near += int((best >= NEAR).sum())
    return near


def _blocks(texts: pd.Series[str]) -> list[tuple[str, ...]]:
    """Return what is compared of texts, in order, in blocks whose vectors fit into the memory."""
    blocks: list[list[str]] = []
    characters = 0
    for text in texts:
        short = normalised(text[:_READ])[:COMPARED]
        if not blocks or len(blocks[-1]) == _TEXTS or characters + len(short) > _CHARACTERS:
            blocks.append([])
            characters = 0
        blocks[-1].append(short)
        characters += len(short)
    return [tuple(block) for block in blocks]


def _counts(texts: Sequence[str]) -> Any:
    """Return how often each n-gram is in each text, shape ``(texts, buckets)``, sparse."""
    words = HashingVectorizer(
        analyzer="char_wb", ngram_range=(3, 5), n_features=_BUCKETS, alternate_sign=False, norm=None
    )
    return words.transform(texts)


def _rarity(counts: Callable[[tuple[str, ...]], Any], blocks: Sequence[tuple[str, ...]]) -> NDArray[np.float64]:
    """Return the inverse document frequency of each n-gram, smoothed as scikit-learn's TF-IDF."""
    found = np.zeros(_BUCKETS)
    for block in blocks:
        found += np.bincount(counts(block).indices, minlength=_BUCKETS)
    return np.log((1 + sum(map(len, blocks))) / (1 + found)) + 1


def _vectors(counts: Any, rarity: NDArray[np.float64]) -> Any:
    """Return TF-IDF vectors of length 1, sparse."""
    weighted = counts.copy()
    weighted.data *= rarity[weighted.indices]
    lengths = np.sqrt(np.asarray(weighted.multiply(weighted).sum(axis=1)).ravel())
    weighted.data /= np.repeat(np.where(lengths > 0, lengths, 1), np.diff(weighted.indptr))
    return weighted
