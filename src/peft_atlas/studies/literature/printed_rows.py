"""Rows of the published tables, put together from their cells: the tasks and the average printed for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pandas as pd

from peft_atlas.studies.literature.families import AVERAGE
from peft_atlas.studies.literature.printed_numbers import half_unit, place, rounds_to

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
    cells = exact_cells(published)[[*_ROW, "task", "line", "printed"]]
    # Plain tuples: selections of a data frame, of which there would be hundreds, took most of the time of all checks.
    rows: dict[tuple[Any, ...], list[Any]] = {}
    known: dict[tuple[str, str, str], set[str]] = {}
    for cell in cells.itertuples(index=False):
        rank = None if pd.isna(cell.rank) else int(cell.rank)
        key = (cell.table, cell.source, cell.base_model, cell.method, cell.metric, rank)
        rows.setdefault(key, []).append(cell)
        if cell.task != AVERAGE:
            known.setdefault((cell.table, cell.source, cell.metric), set()).add(cell.task)
    order = {place: number for number, place in enumerate(dict.fromkeys(key[:2] for key in rows))}
    found = [_row(key, row, known) for key, row in sorted(rows.items(), key=lambda item: order[item[0][:2]])]
    return [row for row in found if row is not None]


def _row(
    key: tuple[Any, ...], cells: Sequence[Any], known: Mapping[tuple[str, str, str], set[str]]
) -> PrintedRow | None:
    """Return the row of a key, None if it prints no average or nothing but one."""
    table, source, base_model, method, metric, rank = key
    tasks = [cell for cell in cells if cell.task != AVERAGE]
    average = next((cell for cell in cells if cell.task == AVERAGE), None)
    if average is None or not tasks:
        return None
    return PrintedRow(
        table=table,
        source=source,
        base_model=base_model,
        method=method,
        rank=rank,
        line=int(average.line),
        average=average.printed,
        cells=tuple(cell.printed for cell in tasks),
        missing=tuple(sorted(known[table, source, metric] - {cell.task for cell in tasks})),
    )
