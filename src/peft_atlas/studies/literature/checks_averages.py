"""Checks of printed averages: each is the mean of its row."""

from __future__ import annotations

import pandas as pd

from peft_atlas.analysis.finding import Finding
from peft_atlas.studies.literature.check_finding import check, slug
from peft_atlas.studies.literature.printed_rows import PrintedRow, printed_rows


def row_means(published: pd.DataFrame) -> list[Finding]:
    """Return, for each table and source that prints tasks, whether its averages are the means of their rows."""
    by_source: dict[tuple[str, str], list[PrintedRow]] = {}
    for row in printed_rows(published):
        by_source.setdefault((row.table, row.source), []).append(row)
    return [_row_mean(table, source, rows) for (table, source), rows in by_source.items()]


def _row_mean(table: str, source: str, rows: list[PrintedRow]) -> Finding:
    complete = [row for row in rows if not row.missing]
    wrong = [row for row in complete if not row.is_mean()]
    return check(
        f"row_mean_{slug(table)}_{source}",
        f"In {table}, every average of {source} is the mean of its row, rounded to the printed decimals; at a tie, as "
        "72.25, both neighbours pass",
        source,
        len(wrong),
        len(complete),
        "averages",
        _row_mean_detail(rows, complete, wrong),
        f"published: table={table}, source={source}",
    )


def _row_mean_detail(rows: list[PrintedRow], complete: list[PrintedRow], wrong: list[PrintedRow]) -> str:
    """Return how many averages hold and what is wrong with the others."""
    ties = sum(row.is_tie() for row in complete)
    said = [f"{len(complete) - len(wrong)} of {len(complete)} averages hold, {ties} of them at a tie."]
    said += [_wrong_average(row) for row in wrong]
    said += [
        f"{row.label} ({row.place}) lacks {', '.join(row.missing)} and is not checked." for row in rows if row.missing
    ]
    return " ".join(said)


def _wrong_average(row: PrintedRow) -> str:
    """Return what is wrong with an average, and whether rounding the tasks first could be the cause."""
    if row.is_cut_off():
        cause = "the mean cut off, where the rule is to round it"
    elif row.can_be_mean(row.average):
        cause = "possible if the tasks were averaged before they were rounded"
    else:
        cause = "not the mean of these tasks, however they were rounded"
    return f"{row.label}: {row.average} printed, the row's mean is {row.mean} ({row.place}): {cause}."
