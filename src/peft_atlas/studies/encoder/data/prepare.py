"""A task's texts made ready: cleaned, split, checked, tokenised once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from tokenizers import Tokenizer

from peft_atlas.studies.encoder.data.sources import Source, read_source
from peft_atlas.studies.encoder.data.text import Cleaning, SplitSizes, clean, drift_texts, examples, split

# Texts of one source stand for what the model knew before: a set that the task does not read.
_DRIFT_SOURCES = ("sent_amazon", "sent_nyt")


@dataclass(frozen=True)
class Prepared:
    """A task's rows of the contract `EXAMPLES`, its labelled texts with their splits, and what cleaning left out."""

    examples: list[dict[str, Any]]
    splits: pd.DataFrame
    cleaning: Cleaning


def prepare(
    source: Source, sizes: SplitSizes, drift: int, packaged: Path, tokenizer: Path, max_length: int
) -> Prepared:
    """Return a task's texts, cleaned, split and tokenised.

    Parameters
    ----------
    source
        Where the task's texts are.
    sizes
        Examples of each split.
    drift
        Texts of another source, whose embeddings show how far a run moved the encoder.
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

    return Prepared(examples(whole, tokenise), rows, cleaning)
