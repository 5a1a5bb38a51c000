"""Rows of the published tables, put together from their cells: the tasks and the average printed for them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pandas as pd

from peft_atlas.studies.literature.printed_numbers import half_unit, place, rounds_to

AVERAGE = "Avg"
_ROW = ["table", "source", "base_model", "method", "metric", "rank"]


@dataclass(frozen=True)
class PrintedRow:
    """A printed average with the cells it is the average of; ``missing`` names tasks of the table that it lacks."""

    table: str
    source: str
    base_model: str
    method: str
    rank: int | None
    line: int
    average: str
    cells: tuple[str, ...]
    missing: tuple[str, ...]

    @property
    def total(self) -> Decimal:
        """Return the sum of the printed cells."""
        return sum(map(Decimal, self.cells), Decimal(0))

    @property
    def mean(self) -> Decimal:
        """Return the mean of the printed cells."""
        return self.total / len(self.cells)

    def is_mean(self) -> bool:
        """Return whether the average is the rounded mean of the printed cells."""
        return rounds_to(self.average, self.total, len(self.cells))

    def is_tie(self) -> bool:
        """Return whether the mean lies midway between two numbers that may be printed."""
        gap = abs(len(self.cells) * Decimal(self.average) - self.total)
        return gap == len(self.cells) * half_unit(self.average)

    def can_be_mean(self, average: str) -> bool:
        """Return whether a number can be the mean of what the cells were before they were rounded."""
        slack = sum(map(half_unit, self.cells), Decimal(0))
        gap = abs(len(self.cells) * Decimal(average) - self.total)
        return gap <= slack + len(self.cells) * half_unit(average)

    def is_cut_off(self) -> bool:
        """Return whether cutting the mean off gives the average; of 71.0, summed in binary, that may leave 70.9."""
        gap = self.total - len(self.cells) * Decimal(self.average)
        return 0 <= gap <= 2 * len(self.cells) * half_unit(self.average)

    @property
    def place(self) -> str:
        """Return the place of the average."""
        return place(self.table, [self.line])

    @property
    def label(self) -> str:
        """Return model, method and rank in words."""
        rank = "" if self.rank is None else f" r = {self.rank}"
        return f"{self.base_model} {self.method}{rank}"


def exact_cells(published: pd.DataFrame) -> pd.DataFrame:
    """Return the cells that print a number: no bound, no approximation, nothing that was not seen."""
    return published[(published["qualifier"] == "exact") & published["value"].notna()]


def printed_rows(published: pd.DataFrame) -> list[PrintedRow]:
    """Return every row that prints an average next to tasks, in the order of the tables.

    A row is complete if it has every task that its source prints anywhere in the same table. A source that prints
    averages alone gives no row.
    """
    # No more columns than a row is made of: what is grouped is copied.
    cells = exact_cells(published)[[*_ROW, "task", "line", "printed"]]
    return [row for _, source in cells.groupby(["table", "source"], sort=False) for row in _rows_of(source)]


def _rows_of(source: pd.DataFrame) -> Iterator[PrintedRow]:
    """Return the rows that one source prints in one table."""
    for key, cells in source.groupby(_ROW, dropna=False, sort=False):
        tasks, average = cells[cells["task"] != AVERAGE], cells[cells["task"] == AVERAGE]
        if tasks.empty or average.empty:
            continue
        same_metric = source[(source["metric"] == key[4]) & (source["task"] != AVERAGE)]
        missing = sorted(set(same_metric["task"]) - set(tasks["task"]))
        yield _row(average.iloc[0], tasks, missing)


def _row(average: pd.Series[Any], tasks: pd.DataFrame, missing: list[str]) -> PrintedRow:
    return PrintedRow(
        table=average["table"],
        source=average["source"],
        base_model=average["base_model"],
        method=average["method"],
        rank=None if pd.isna(average["rank"]) else int(average["rank"]),
        line=int(average["line"]),
        average=average["printed"],
        cells=tuple(tasks["printed"]),
        missing=tuple(missing),
    )
