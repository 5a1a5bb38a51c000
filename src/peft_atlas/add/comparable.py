"""What keeps runs from being compared: another metric, another split, other settings than a benchmark's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pandas as pd

from peft_atlas.add.readers import AddedRow
from peft_atlas.errors import AtlasError
from peft_atlas.tables.added_schemas import ADDED_RUNS
from peft_atlas.tables.csv_source import PLACE, parsed_cell

_KEY = ADDED_RUNS.key
# What all runs of one task on one model must share.
_SHARED = {"metric": "scores of different metrics", "split": "scores on different splits"}
# What a run must share with a published benchmark of its task's name.
_SETTINGS = {"model": "base_model", "steps": "steps", "batch_size": "batch_size"}


def require_valid_rows(rows: Iterable[AddedRow]) -> None:
    """Raise an AtlasError at the first cell that does not fit its column of the contract."""
    columns = [column for column in ADDED_RUNS.columns if column.name not in PLACE]
    for row in rows:
        for column in columns:
            parsed_cell(column, row.fields[column.name], row.place)


def require_comparable(rows: Iterable[AddedRow]) -> None:
    """Raise an AtlasError that names the first row that cannot be compared with those before it, and why."""
    first: dict[tuple[str, str], AddedRow] = {}
    seen: dict[tuple[str, ...], AddedRow] = {}
    for row in rows:
        same = first.setdefault((row.fields["task"], row.fields["model"]), row)
        for name, what in _SHARED.items():
            if row.fields[name] != same.fields[name]:
                raise AtlasError(
                    f"{row.place}: {name} = {row.fields[name]}, but {same.place} has {same.fields[name]} for the same "
                    f"task and model: {what} cannot be compared"
                )
        twin = seen.setdefault(tuple(_plain(row.fields, name) for name in _KEY), row)
        if twin is not row:
            raise AtlasError(f"{row.place}: the same run as {twin.place}: they agree in {', '.join(_KEY)}")


def _plain(fields: Mapping[str, str], name: str) -> str:
    """Return a cell; numbers that are written differently are equal."""
    text = fields[name]
    return f"{float(text):g}" if name in ("rank", "learning_rate", "seed") and text else text


def require_benchmark_settings(rows: Iterable[AddedRow], published: pd.DataFrame) -> None:
    """Raise an AtlasError where a run has a published benchmark's task but other settings than the benchmark.

    Parameters
    ----------
    rows
        The runs.
    published
        Table of the contract ``benchmark_runs``.
    """
    for row in rows:
        runs = published[published["benchmark"] == row.fields["task"]]
        for name, column in _SETTINGS.items() if len(runs) else ():
            usual, own = str(runs[column].mode().iloc[0]), row.fields[name]
            if own != usual:
                raise AtlasError(
                    f"{row.place}: {name} = {own or 'not given'}: cannot be compared with {row.fields['task']}, whose "
                    f"runs have {usual}; give it another --task"
                )
