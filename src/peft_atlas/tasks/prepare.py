"""A task's texts made ready: cleaned, split, checked, tokenised once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from tokenizers import Tokenizer

from peft_atlas.findings.finding import ATLAS, Finding
from peft_atlas.tasks.sources import Source, read_source
from peft_atlas.tasks.text import NEAR, SplitSizes, clean, drift_texts, examples, near_duplicates, shared_texts, split

# Texts of one source stand for what the model knew before: a set that the task does not read.
_DRIFT_SOURCES = ("sent_amazon", "sent_nyt")


def prepare(
    source: Source, sizes: SplitSizes, drift: int, packaged: Path, tokenizer: Path, max_length: int
) -> tuple[list[dict[str, Any]], list[Finding]]:
    """Return a task's rows of the contract `EXAMPLES`, and the checks of its splits.

    Parameters
    ----------
    source
        Where the task's texts are.
    sizes
        Examples of each split.
    drift
        Texts of another source, whose embeddings tell how far a run moved the encoder.
    packaged
        Folder of the packaged texts.
    tokenizer
        A ``tokenizer.json``.
    max_length
        Tokens of a text that are kept.
    """
    cleaned, cleaning = clean(read_source(source))
    rows = split(cleaned, sizes, source.name)
    other = next(name for name in _DRIFT_SOURCES if name != source.name)
    elsewhere = drift_texts(read_source(Source(other, packaged)), drift)
    whole = pd.concat([rows, elsewhere], ignore_index=True)
    words = Tokenizer.from_file(str(tokenizer))
    words.no_padding()
    words.enable_truncation(max_length)

    def tokenise(texts: Sequence[str]) -> list[list[int]]:
        return [encoded.ids for encoded in words.encode_batch(list(texts))]

    left_out = f"{cleaning.repeated:,} repeated and {cleaning.contradictory:,} contradictory left out"
    removed = f"of {cleaning.read:,} rows {left_out}"
    return examples(whole, tokenise), [_leaks(rows, source.name, removed)]


def _leaks(rows: pd.DataFrame, task: str, removed: str) -> Finding:
    """Return whether a text stands in two splits, and how many of test have a near duplicate in the pool."""
    shared, near = shared_texts(rows), near_duplicates(rows, "test", "train")
    counts = ", ".join(f"{name} {count:,}" for name, count in rows["split"].value_counts().items())
    return Finding(
        "check",
        f"encoder_leakage_{task}",
        "encoder",
        f"In {task} no text stands in two splits",
        ATLAS,
        "pass" if shared == 0 else "fail",
        f"tasks/text.py: {task}",
        f"{shared} texts stand in two splits ({counts}); {removed}. {near} of the test texts have a near duplicate in "
        f"the training pool (cosine of character n-grams at least {NEAR:g}); they are kept.",
        effect=float(shared),
        unit="texts",
        n=len(rows),
    )
