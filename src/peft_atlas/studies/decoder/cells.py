"""The study's cells: a row per method, reference or control, stratum and metric, with its difference to full."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from peft_atlas.analysis.contrasts import Levels
from peft_atlas.analysis.statistics import interval_name, mean_interval, proportion_interval
from peft_atlas.methods.names import setting_name
from peft_atlas.studies.decoder.contrasts import NATS, contrasts
from peft_atlas.studies.decoder.data.items import ALL_ROWS
from peft_atlas.studies.decoder.item_contrasts import contrasts as item_contrasts
from peft_atlas.studies.decoder.jobs import (
    BASE,
    CONTROLS_PART,
    COUNTS,
    METHODS,
    PRIOR,
    RANK,
    RANKS,
    REFERENCES,
)

Row = dict[str, Any]
ACCURACY, LOSS, FORGOTTEN = "test_accuracy", "test_loss", "text_loss_change"
_ROLES = {METHODS: "method", RANKS: "rank", REFERENCES: "reference", CONTROLS_PART: "control"}
_KEYS = ["task", "experiment", "method", "setting", "rank"]
# The metric of the runs that a comparison is made in, by the metric of the cells.
_COMPARED = {ACCURACY: ACCURACY, LOSS: LOSS, FORGOTTEN: "text_loss"}
# How the columns of a comparison are called in a cell.
_DIFFERENCE = {
    "difference": "difference",
    "low": "difference_low",
    "high": "difference_high",
    "interval": "difference_interval",
    "p_adjusted": "p_adjusted",
    "adjustment": "adjustment",
    "detectable": "detectable",
}

_IN_WORDS = {BASE: "the untrained model", PRIOR: "most frequent answer", COUNTS: "counts of words"}


def cell_name(method: str, setting: str | None) -> str:
    """Return the name of a cell: that of the method with its setting, words for a reference or control."""
    if method not in _IN_WORDS:
        return setting_name(method, setting)
    return ", ".join(word for word in (_IN_WORDS[method], setting) if word)


def row_name(row: pd.Series[Any]) -> str:
    """Return the name of a row of cells or costs; a rank is named where it is not that of all other settings."""
    setting = None if pd.isna(row["setting"]) else str(row["setting"])
    rank = "" if pd.isna(row["rank"]) or row["rank"] == RANK else f", rank {int(row['rank'])}"
    return f"{cell_name(str(row['method']), setting)}{rank}"


def comparisons(runs: pd.DataFrame, items: pd.DataFrame, confidence: float) -> list[Row]:
    """Return all comparisons with full fine-tuning, in accuracy and in losses, as rows of ``contrasts``."""
    losses = contrasts(runs, runs.head(0), Levels(confidence, 1.0))
    return [*item_contrasts(runs, items, confidence), *losses]


def decoder_cells(runs: pd.DataFrame, items: pd.DataFrame, confidence: float, origin: str) -> list[Row]:
    """Return rows of the contract ``decoder_cells``.

    Parameters
    ----------
    runs, items
        Tables of those contracts, of the decoder study alone.
    confidence
        Confidence level of the intervals.
    origin
        Where the runs are from.
    """
    compared = {_key(row, row["metric"]): row for row in comparisons(runs, items, confidence)}
    tested = runs[runs["selected"].fillna(value=True) & runs["test_examples"].notna()]
    grouped = items.merge(tested[["run_id", *_KEYS]], on="run_id").groupby(_KEYS, dropna=False)
    by_cell = {_plain(key): part for key, part in grouped}
    return [
        row
        for key, part in tested.groupby(_KEYS, dropna=False, sort=True)
        for row in _rows(part, by_cell[_plain(key)], compared, confidence, origin)
    ]


def _plain(key: Any) -> tuple[Any, ...]:
    return tuple(None if pd.isna(value) else value for value in key)


def _key(row: Mapping[str, Any], metric: str) -> tuple[Any, ...]:
    return (*_plain(row[name] for name in ("task", "method", "setting", "rank")), metric)


def _rows(
    part: pd.DataFrame, items: pd.DataFrame, compared: Mapping[Any, Row], confidence: float, origin: str
) -> Iterator[Row]:
    """Yield the rows of one cell."""
    first = part.iloc[0]
    unknown = {name: None if pd.isna(first[name]) else first[name] for name in _OF_THE_RUN}
    shared = {**unknown, "role": _ROLES[str(first["experiment"])], "origin": origin}
    for metric, stratum, rows, values in _measured(part, items):
        is_method = shared["role"] == "method" and stratum == ALL_ROWS
        row = compared.get(_key(first, _COMPARED[metric])) if is_method else None
        difference = {own: None if row is None else row[name] for name, own in _DIFFERENCE.items()}
        unit = "fraction" if metric == ACCURACY else NATS
        estimated = _estimated(values, rows, confidence, fraction=metric == ACCURACY)
        yield {**shared, "stratum": stratum, "metric": metric, "unit": unit, "rows": rows, **estimated, **difference}


_OF_THE_RUN = (
    *("task", "method", "setting", "rank", "alpha", "model", "train_examples", "epochs", "trainable_params"),
    *("params_percent", "learning_rate", "edge"),
)


def _measured(part: pd.DataFrame, items: pd.DataFrame) -> Iterator[tuple[str, str, int | None, pd.Series[float]]]:
    """Yield metric, stratum, test rows and the values by seed."""
    rows = int(part["test_examples"].iloc[0])
    yield ACCURACY, ALL_ROWS, rows, part["test_accuracy"].astype(float)
    if part["test_loss"].notna().all():
        yield LOSS, ALL_ROWS, rows, part["test_loss"].astype(float)
    trained = part["learning_rate"].notna() & part["text_loss"].notna()
    if trained.all():
        yield FORGOTTEN, ALL_ROWS, None, (part["text_loss"] - part["text_loss_before"]).astype(float)
    if len(items["stratum"].unique()) > 1:
        for stratum, some in items.groupby("stratum", sort=True):
            by_run = some.groupby("run_id")["correct"]
            yield ACCURACY, str(stratum), int(by_run.size().iloc[0]), by_run.mean().astype(float)


def _estimated(values: pd.Series[float], rows: int | None, confidence: float, *, fraction: bool) -> Row:
    """Return the mean over seeds with its interval; that of a fraction is over the rows where no two seeds differ."""
    found = mean_interval(values.to_numpy(dtype=float, na_value=np.nan), confidence)
    found = found.within(0, 1) if fraction else found
    low, high, name = found.low, found.high, interval_name(confidence)
    # One seed, or several with one value, say nothing of how far the fraction of other rows may be.
    if (values == values.iloc[0]).all() and rows is not None and found.mean is not None and fraction:
        low, high = proportion_interval(found.mean, rows, confidence)
        name = f"{100 * confidence:g} % Wilson over test rows"
    return {"value": found.mean, "low": low, "high": high, "interval": None if low is None else name, "n": found.n}
