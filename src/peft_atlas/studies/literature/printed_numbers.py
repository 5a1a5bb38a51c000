"""Exact arithmetic on printed numbers, done on their text: a float of 72.25 would already have taken a side."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal

import pandas as pd


def half_unit(printed: str) -> Decimal:
    """Return half a unit of the last printed digit: 0.05 for ``72.3``, 0.5 for ``57``."""
    exponent = Decimal(printed).as_tuple().exponent
    return Decimal(5).scaleb(int(exponent) - 1)


def rounds_to(printed: str, total: Decimal, count: Decimal | int) -> bool:
    """Return whether total / count may print as ``printed``; at a tie both neighbours may.

    72.25 lies midway between 72.2 and 72.3: half-up, half-even and the binary noise of a float choose differently,
    so neither is an error. Nothing is divided, so nothing is rounded: the products stay below Decimal's 28 digits
    for printed numbers of up to 16 digits and counts of up to 12.
    """
    return abs(count * Decimal(printed) - total) <= count * half_unit(printed)


def unpadded(printed: str) -> Iterator[str]:
    """Return ``printed``, then the same with ever fewer trailing zeros: 0.830 and 0.83; 1.00, 1.0 and 1."""
    yield printed
    while "." in printed and printed[-1] in "0.":
        printed = printed[:-1].removesuffix(".")
        yield printed


def agree(left: str, right: str) -> bool:
    """Return whether one number can print as both: 0.83 and 0.826 can; 84.9 and 84.8 cannot."""
    gap = abs(Decimal(left) - Decimal(right))
    # Two neighbours of equal precision touch at the tie between them alone, which is no explanation.
    return gap == 0 or gap < half_unit(left) + half_unit(right)


def agree_unpadded(left: str, right: str) -> bool:
    """Return whether two printed numbers agree once trailing zeros are taken for padding: 0.830 and 0.826."""
    return any(agree(a, b) for a in unpadded(left) for b in unpadded(right))


def place(table: str, lines: Iterable[int]) -> str:
    """Return where cells are, neighbours as a range: ``commonsense.csv:64, 66-68``."""
    runs: list[list[int]] = []
    for line in sorted(set(map(int, lines))):
        if runs and line == runs[-1][-1] + 1:
            runs[-1].append(line)
        else:
            runs.append([line])
    return f"{table}.csv:" + ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs)


def places(cells: pd.DataFrame) -> str:
    """Return where the cells of several tables are, from their columns table and line."""
    return "; ".join(place(str(table), rows["line"]) for table, rows in cells.groupby("table", sort=False))
