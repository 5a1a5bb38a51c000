"""A task's texts made ready: cleaned, split, checked, tokenised once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from peft_atlas.errors import AtlasError
from peft_atlas.models.folder import read_tokenizer
from peft_atlas.studies.encoder.data.account import Account
from peft_atlas.studies.encoder.data.sources import Source, load_source, read_source
from peft_atlas.studies.encoder.data.text import Cleaning, SplitSizes, clean, drift_texts, examples, split

# Texts of one source play the part of what the model knew before: a set that the task does not read.
_DRIFT_SOURCES = ("sent_amazon", "sent_nyt")
# Texts, and characters of them, that are tokenised at once.
_PART, _CHARACTERS = 4096, 1_000_000
_Tokenise = Callable[[Sequence[str]], list[list[int]]]


@dataclass(frozen=True)
class Prepared:
    """A task's rows of the contract `EXAMPLES`, tokenised, and the account of where they come from."""

    examples: list[dict[str, Any]]
    account: Account


@dataclass(frozen=True)
class Labelled:
    """A source's labelled texts after cleaning, each with its ``digest``; the account; and notes for the reader."""

    rows: pd.DataFrame
    cleaning: Cleaning
    notes: tuple[str, ...] = ()


def labelled_texts(source: Source) -> Labelled:
    """Return a source's texts, each once, with at least two classes.

    Raises
    ------
    AtlasError
        As `load_source`, and if contradictions leave fewer than two classes.
    """
    loaded = load_source(source)
    rows, cleaning = clean(loaded.rows)
    account = replace(cleaning, read=loaded.read, without_text=loaded.without_text, without_label=loaded.without_label)
    classes = rows["label"].nunique()
    if classes < 2:
        raise AtlasError(
            f"task {source.name}: {classes} classes are left of {account.read:,} rows, {account.contradictory:,} of "
            "which have the text of a row with another label; allowed: at least 2; are text and label swapped?"
        )
    return Labelled(rows, account, loaded.notes)


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
    tokenise = _tokeniser(tokenizer, max_length)
    own = labelled_texts(source)
    rows, notes = _with_tokens(own.rows, tokenise)
    parts = split(rows, sizes, source.name)
    other = next(name for name in _DRIFT_SOURCES if name != source.name)
    elsewhere = drift_texts(read_source(Source(other, packaged)), drift)
    whole = pd.concat([parts, elsewhere], ignore_index=True)
    cleaning = replace(own.cleaning, without_text=own.cleaning.without_text + len(own.rows) - len(rows))
    account = Account(parts, cleaning, rows["label"].tolist(), own.notes + notes)
    return Prepared(examples(whole, tokenise), account)


def _tokeniser(path: Path, max_length: int) -> _Tokenise:
    """Return what turns texts into token ids."""
    words = read_tokenizer(path.parent)
    words.no_padding()
    words.enable_truncation(max_length)

    def tokenise(texts: Sequence[str]) -> list[list[int]]:
        return [encoded.ids for part in _parts(texts) for encoded in words.encode_batch(part)]

    return tokenise


def _parts(texts: Sequence[str]) -> Iterator[list[str]]:
    """Yield texts in parts of few characters, since a text takes 30 bytes per character while it is tokenised."""
    part: list[str] = []
    characters = 0
    for text in texts:
        part.append(text)
        characters += len(text)
        if characters > _CHARACTERS or len(part) == _PART:
            yield part
            part, characters = [], 0
    if part:
        yield part


def _with_tokens(rows: pd.DataFrame, tokenise: _Tokenise) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Return the rows whose text has a token, without which no mean over tokens exists, and a note on others."""
    texts = rows["text"].tolist()
    # In parts, since ids of all rows at once would take more memory than the texts.
    parts = (tokenise(texts[start : start + _PART]) for start in range(0, len(texts), _PART))
    some = pd.Series([bool(ids) for part in parts for ids in part], rows.index)
    if some.all():
        return rows, ()
    text = rows.loc[~some, "text"].iloc[0]
    note = f"{(~some).sum():,} texts have no token that the model knows, as {text[:20]!r}, and count as without text"
    return rows[some].reset_index(drop=True), (note,)
