"""Labelled texts from where they come: a packaged set, the user's file, or a Hugging Face data set."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from peft_atlas.errors import AtlasError

# Ratings this near to zero have no sentiment to learn; the VADER raters' scale is -4 to 4.
_NEUTRAL = 0.5


@dataclass(frozen=True)
class Source:
    """Where the texts of a task are: a folder of packaged files, a file, or the name of a data set."""

    name: str
    packaged: Path | None = None
    file: Path | None = None
    dataset: str | None = None
    subset: str | None = None
    text: str = "text"
    label: str = "label"


def read_source(source: Source) -> pd.DataFrame:
    """Return every labelled text of a source as the columns ``text`` and ``label``, both strings.

    Raises
    ------
    AtlasError
        If it cannot be read, lacks a column, or has no rows.
    """
    if source.file is not None:
        rows = _columns(_read_file(source.file), source, str(source.file))
    elif source.dataset is not None:
        rows = _columns(_read_dataset(source), source, source.dataset)
    else:
        assert source.packaged is not None
        rows = PACKAGED[source.name](source.packaged)
    rows = rows.dropna().astype(str)
    if rows.empty:
        raise AtlasError(f"task {source.name}: no row has both a text and a label")
    return rows.reset_index(drop=True)


def _columns(frame: pd.DataFrame, source: Source, place: str) -> pd.DataFrame:
    """Return a source's two columns under our names."""
    missing = [name for name in (source.text, source.label) if name not in frame.columns]
    if missing:
        raise AtlasError(f"{place}: no column {', '.join(missing)}; allowed: {', '.join(map(str, frame.columns))}")
    return pd.DataFrame({"text": frame[source.text], "label": frame[source.label]})


def _read_file(path: Path) -> pd.DataFrame:
    """Return the rows of a CSV or Parquet file."""
    readers: dict[str, Callable[[Path], pd.DataFrame]] = {".csv": pd.read_csv, ".parquet": pd.read_parquet}
    if path.suffix not in readers:
        raise AtlasError(f"{path}: allowed: a file that ends in .csv or .parquet")
    if not path.is_file():
        raise AtlasError(f"{path}: no such file; allowed: a CSV or Parquet file")
    try:
        return readers[path.suffix](path)
    except (ValueError, OSError) as error:
        raise AtlasError(f"{path}: cannot be read ({str(error).splitlines()[0]})") from None


def _read_dataset(source: Source) -> pd.DataFrame:
    """Return the labelled splits of a Hugging Face data set as one frame; splits are made anew, by hash."""
    import datasets

    try:
        parts = datasets.load_dataset(source.dataset, source.subset)
    except Exception as error:
        # The hub's client raises errors of a dozen kinds, among them those of its HTTP library.
        cause = (str(error).splitlines() or [type(error).__name__])[0]
        raise AtlasError(
            f"task {source.name}: data set {source.dataset!r} cannot be loaded ({cause}); allowed: a name that the hub "
            "has, with the hub in reach, a folder, or the texts as file"
        ) from None
    frames = []
    for part in parts.values():
        frame = part.to_pandas()
        feature = part.features.get(source.label)
        if hasattr(feature, "names"):
            # A test part without labels has -1 there.
            frame[source.label] = [feature.names[value] if value >= 0 else None for value in frame[source.label]]
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)


def _questions(folder: Path, *, fine: bool) -> pd.DataFrame:
    """Return TREC's questions with their coarse (6) or fine (50) type; the file repeats nested subsets."""
    lines = (folder / "question_labels.txt").read_text(encoding="latin-1").splitlines()
    pairs = [line.split(" ", 1) for line in lines if " " in line]
    labels = [label if fine else label.partition(":")[0] for label, _ in pairs]
    return pd.DataFrame({"text": [text for _, text in pairs], "label": labels})


def _sentiment(folder: Path, name: str) -> pd.DataFrame:
    """Return VADER's snippets with the sign of their mean rating; near zero is left out."""
    path = folder / f"{name}.txt"
    rows = pd.read_csv(path, sep="\t", quoting=csv.QUOTE_NONE, encoding="latin-1")
    rows = rows[rows["sentiment"].abs() > _NEUTRAL]
    return pd.DataFrame({"text": rows["text"], "label": rows["sentiment"].gt(0).map({True: "pos", False: "neg"})})


def _sms(folder: Path) -> pd.DataFrame:
    rows = pd.read_csv(folder / "sms-spam.csv")
    return pd.DataFrame({"text": rows["text"], "label": rows["spam"].map({0: "ham", 1: "spam"})})


# Reads a packaged set from the folder of its files, by the name of the task.
PACKAGED: dict[str, Callable[[Path], pd.DataFrame]] = {
    "trec6": lambda folder: _questions(folder, fine=False),
    "trec50": lambda folder: _questions(folder, fine=True),
    "sent_movie": lambda folder: _sentiment(folder, "movie"),
    "sent_nyt": lambda folder: _sentiment(folder, "nyt"),
    "sent_tweets": lambda folder: _sentiment(folder, "tweets"),
    "sent_amazon": lambda folder: _sentiment(folder, "amazon"),
    "sms": _sms,
}
