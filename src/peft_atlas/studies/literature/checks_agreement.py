"""Checks of numbers that are printed in several places: they are the same everywhere."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from peft_atlas.analysis.evidence import select
from peft_atlas.analysis.finding import Finding
from peft_atlas.studies.literature.check_finding import check, slug
from peft_atlas.studies.literature.conflicts import SOURCES, TASKS, UNEXPLAINED, shared_cells, shared_percentages
from peft_atlas.studies.literature.printed_numbers import place
from peft_atlas.studies.literature.printed_rows import exact_cells
from peft_atlas.studies.literature.recomputation import PERCENT

_QUOTED = "quoted_by_seed"


def same_cells(published: pd.DataFrame, conflicting: pd.DataFrame) -> list[Finding]:
    """Return, for each metric and family of tasks, whether all that print a cell print the same number."""
    shared: dict[tuple[str, str], list[pd.DataFrame]] = {}
    for cells in shared_cells(published):
        shared.setdefault((cells["family"].iloc[0], cells["metric"].iloc[0]), []).append(cells)
    found = conflicting[conflicting["scope"] == SOURCES]
    return [
        _agreement(
            f"same_cell_{slug(of)}_{metric}",
            f"{of}, {metric}: a cell that is printed more than once is the same number everywhere, but for rounding",
            found[(found["family"] == of) & (found["metric"] == metric)],
            cells,
            f"family={of}, metric={metric}",
        )
        for (of, metric), cells in shared.items()
    ]


def same_percentages(published: pd.DataFrame, conflicting: pd.DataFrame) -> list[Finding]:
    """Return, for each source, whether it prints one percentage for a method and model next to all tasks."""
    shared: dict[str, list[pd.DataFrame]] = {}
    for cells in shared_percentages(published):
        shared.setdefault(cells["source"].iloc[0], []).append(cells)
    found = conflicting[conflicting["scope"] == TASKS]
    return [
        _agreement(
            f"same_percentage_{source}",
            f"{source} prints one percentage of parameters for a method and model next to every family of tasks",
            found[found["sources"] == source],
            cells,
            f"sources={source}, metric={PERCENT}",
            source,
        )
        for source, cells in shared.items()
    ]


def _agreement(
    name: str,
    statement: str,
    found: pd.DataFrame,
    shared: list[pd.DataFrame],
    where: str,
    source: str = "all sources",
) -> Finding:
    """Return whether conflicts among the cells that several print are left that nothing explains."""
    wrong = found[found["explained_by"] == UNEXPLAINED]
    explained = found[found["explained_by"] != UNEXPLAINED]["explained_by"].value_counts()
    caused = "".join(f" {count} more differ by {cause}." for cause, count in explained.items())
    listed = "; ".join(_listed(rows) for _, rows in wrong.groupby(["base_model", "method"], sort=False))
    detail = f"{len(wrong)} of {len(shared)} differ{': ' + listed if listed else ''}.{caused}"
    # Where nothing differs, the check rests on the cells that were compared.
    evidence = f"conflicts: {where}" if len(found) else select("published", pd.concat(shared), ("table", "metric"))
    return check(name, statement, source, len(wrong), len(shared), "cells", detail, evidence)


def _listed(rows: pd.DataFrame) -> str:
    """Return the conflicts of one model and method: each cell's readings and places."""
    cells = [f"{row.task} {' / '.join(_numbers(row.readings))} ({row.places})" for row in rows.itertuples()]
    return f"{rows['base_model'].iloc[0]} {rows['method'].iloc[0]}: {', '.join(cells)}"


def _numbers(readings: str) -> list[str]:
    """Return the printed numbers of a conflict's readings, without who prints them."""
    return [reading.split(" ")[0] for reading in readings.split("; ")]


def quotations(published: pd.DataFrame) -> list[Finding]:
    """Return, for each source that quotes, whether some other source prints each quoted number of a named model."""
    return [_quotation(str(source), cells, published) for source, cells in _quoted(published).groupby("source")]


def _quoted(published: pd.DataFrame) -> pd.DataFrame:
    """Return quoted cells that name their model; others cannot be looked up."""
    return published[(published["seen"] == _QUOTED) & (published["base_model"] != "not stated")]


def _quotation(source: str, cells: pd.DataFrame, published: pd.DataFrame) -> Finding:
    others = exact_cells(published[published["source"] != source])
    known = {_what(row) for row in others.itertuples()}
    found = [_what(row) in known for row in cells.itertuples()]
    lost = cells[np.array([not hit for hit in found], dtype=bool)]
    listed = "; ".join(f"{row.method} {row.printed} ({place(row.table, [row.line])})" for row in lost.itertuples())
    return check(
        f"quotation_{source}",
        "Every quoted number that names its model is printed by a source that was seen",
        source,
        len(lost),
        len(cells),
        "numbers",
        f"{len(cells) - len(lost)} of {len(cells)} are{'; not: ' + listed if listed else ''}. "
        "That they are copied rightly does not say that they are right.",
        f"published: source={source}, seen={_QUOTED}; published: value",
    )


def _what(row: Any) -> tuple[Any, ...]:
    """Return what a cell says of what: its family and task, model, method, metric and value."""
    return (row.family, row.task, row.base_model, row.method, row.metric, row.value)


def repeated_values(published: pd.DataFrame, application_verdicts: pd.DataFrame) -> list[Finding]:
    """Return, for each source that gives percentages without a model, whether one is given for several domains.

    A value may be given for two domains where a source supports both, since they then share model and configuration.
    """
    cells = exact_cells(published)
    cells = cells[(cells["metric"] == PERCENT) & (cells["base_model"] == "not stated") & (cells["seen"] == _QUOTED)]
    status = application_verdicts.set_index("task")["status"].to_dict()
    return [_repeated(str(source), group, status) for source, group in cells.groupby("source", sort=False)]


def _repeated(source: str, cells: pd.DataFrame, status: dict[str, str]) -> Finding:
    wrong = [
        group
        for _, group in cells.groupby(["method", "printed"], sort=False)
        if len(group) > 1 and not all(status.get(task) == "supported" for task in group["task"])
    ]
    listed = " ".join(
        f"{group['printed'].iloc[0]} is given for {', '.join(group['task'])} "
        f"({'; '.join(place(table, rows['line']) for table, rows in group.groupby('table'))})."
        for group in wrong
    )
    return check(
        f"repeated_value_{source}",
        "No percentage is repeated across domains whose models and methods differ",
        source,
        sum(map(len, wrong)),
        len(cells),
        "numbers",
        listed or "None is repeated.",
        f"published: source={source}, base_model=not stated; application_verdicts: status",
    )


def bounds(published: pd.DataFrame) -> list[Finding]:
    """Return, for each source, whether its numbers keep to every bound printed for the same task, metric and method."""
    limits = published[published["qualifier"].isin(["less_than", "greater_than"])]
    pairs = limits.merge(exact_cells(published), on=["task", "metric"], suffixes=("_bound", ""))
    pairs = pairs[np.array([row.method in row.method_bound for row in pairs.itertuples()], dtype=bool)]
    return [_bound(str(source), rows) for source, rows in pairs.groupby("source", sort=False)]


def _bound(source: str, pairs: pd.DataFrame) -> Finding:
    breaks = [_breaks(row.qualifier_bound, row.value_bound, row.value) for row in pairs.itertuples()]
    broken = pairs[np.array(breaks, dtype=bool)]
    listed = " ".join(
        f"It has {row.printed} for {row.task} ({place(row.table, [row.line])}), where {row.source_bound} gives "
        f"the bound {row.printed_bound} ({place(row.table_bound, [row.line_bound])}): a bound stored as a value."
        for row in broken.itertuples()
    )
    return check(
        f"bounds_{source}",
        "No number breaks a bound that a source prints for the same task and method",
        source,
        len(broken),
        len(pairs),
        "numbers",
        listed or "None does.",
        f"published: source={source}; published: qualifier=less_than and greater_than",
    )


def _breaks(qualifier: str, bound: float, value: float) -> bool:
    return value >= bound if qualifier == "less_than" else value <= bound
