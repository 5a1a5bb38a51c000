"""Cells that are printed with different numbers: where, by how much, and what explains or settles it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import combinations
from typing import Any

import pandas as pd

from peft_atlas.analysis.evidence import select_lines
from peft_atlas.step import Step
from peft_atlas.studies.literature.families import AVERAGE
from peft_atlas.studies.literature.printed_numbers import agree, agree_unpadded, places
from peft_atlas.studies.literature.printed_rows import PrintedRow, exact_cells, printed_rows
from peft_atlas.studies.literature.recomputation import NOTHING, PERCENT, match_printed

SOURCES, TASKS = "between sources", "between tasks of a source"
ROUNDING, PADDING, AVERAGING, UNEXPLAINED = "rounding", "padding zeros", "order of rounding", "nothing"
EXPLAINED, SETTLED, OPEN = "explained", "settled", "open"
_CELL = ["base_model", "method", "metric", "unit", "rank"]
_Places = dict[tuple[str, int], PrintedRow]


@dataclass(frozen=True)
class Context:
    """What explains conflicts: the rows that averages close, by table and line, and the matched percentages."""

    rows: _Places
    matches: pd.DataFrame


def conflicts(published: pd.DataFrame, parameters: pd.DataFrame) -> pd.DataFrame:
    """Return every cell that is printed with more than one number, one row per cell.

    The same cell is one base model, method, rank, metric and task (of an average: family of tasks), whatever the
    source and table. In addition, one source should print one percentage of parameters for a method and model next to
    all families of tasks. A new table is compared with no change here.

    Parameters
    ----------
    published, parameters
        Tables of those contracts.

    Returns
    -------
    pandas.DataFrame
        Rows of the contract ``conflicts``. ``explained_by`` is `ROUNDING` where one number prints as all readings;
        `PADDING` where it does once trailing zeros are dropped, which is tried on percentages of parameters alone,
        since accuracies all have their decimals; `AVERAGING` where every reading can be the mean that each source's
        tasks had before they were rounded; else `UNEXPLAINED`.
    """
    context = Context(
        {(row.table, row.line): row for row in printed_rows(published)}, match_printed(published, parameters)
    )
    groups = [(SOURCES, g) for g in shared_cells(published)] + [(TASKS, g) for g in shared_percentages(published)]
    found = [_conflict(scope, group, context) for scope, group in groups if _differ(group)]
    return pd.DataFrame(found, columns=list(_COLUMNS))


_COLUMNS = (
    *("scope", "family", "base_model", "method", "task", "metric", "rank", "sources", "unit", "readings", "places"),
    *("lowest", "highest", "difference", "n_cells", "explained_by", "verdict", "resolution", "remarks", "evidence"),
)


def shared_cells(published: pd.DataFrame) -> list[pd.DataFrame]:
    """Return every cell that is printed more than once, as the rows that print it."""
    cells = _with_label(exact_cells(published))
    return _repeated(cells, [*_CELL, "label"])


def shared_percentages(published: pd.DataFrame) -> list[pd.DataFrame]:
    """Return every percentage that one source prints next to several families of tasks, as those rows."""
    cells = exact_cells(published)
    # Where the model is not stated, two percentages may belong to two models.
    cells = cells[(cells["metric"] == PERCENT) & (cells["base_model"] != "not stated")]
    return _repeated(cells.assign(family="all", label="all"), [*_CELL, "source"])


def _with_label(cells: pd.DataFrame) -> pd.DataFrame:
    """Return cells with their family of tasks and the name of what they print, which for an average holds both."""
    both = zip(cells["family"], cells["task"], strict=True)
    return cells.assign(label=[f"{of}: {task}" if task == AVERAGE else task for of, task in both])


def _repeated(cells: pd.DataFrame, key: list[str]) -> list[pd.DataFrame]:
    """Return the groups of two cells or more that share a key."""
    again = cells[cells.duplicated(key, keep=False)]
    return [group for _, group in again.groupby(key, dropna=False, sort=False)]


def _differ(group: pd.DataFrame) -> bool:
    return len(set(map(Decimal, group["printed"]))) > 1


def _conflict(scope: str, group: pd.DataFrame, context: Context) -> dict[str, Any]:
    """Return one row of the table."""
    first = group.iloc[0]
    values = sorted(set(map(Decimal, group["printed"])))
    explained_by = _explanation(group, context.rows)
    verdict, resolution = _resolution(group, explained_by, context)
    return {
        "scope": scope,
        **{name: first[name] for name in ("family", "base_model", "method", "metric", "unit")},
        "rank": None if pd.isna(first["rank"]) else int(first["rank"]),
        "task": first["label"],
        "sources": ", ".join(group["source"].unique()),
        "readings": _readings(group),
        "places": places(group),
        "lowest": float(values[0]),
        "highest": float(values[-1]),
        "difference": float(values[-1] - values[0]),
        "n_cells": len(group),
        "explained_by": explained_by,
        "verdict": verdict,
        "resolution": resolution,
        "remarks": "; ".join(group["note"].dropna().unique()) or None,
        "evidence": select_lines(group),
    }


def _keys(group: pd.DataFrame) -> list[tuple[str, int]]:
    return list(zip(group["table"], group["line"].astype(int), strict=True))


def _readings(group: pd.DataFrame) -> str:
    """Return each printed text with those who print it: ``72.3 (reft_v3, llm_adapters_readme); 72.2 (dora_v6)``."""
    # A source that prints the cell next to several tasks is identified by the task.
    by_task = len(set(group["source"])) == 1
    who = group["task"] if by_task else group["source"]
    grouped = group.assign(who=who).groupby("printed", sort=False)["who"].unique()
    return "; ".join(f"{printed} ({', '.join(names)})" for printed, names in grouped.items())


def _explanation(group: pd.DataFrame, rows: _Places) -> str:
    """Return what lets all readings be one number, the plainest first."""
    printed = list(dict.fromkeys(group["printed"]))
    if _all_pairs(printed, agree):
        return ROUNDING
    if group["metric"].iloc[0] == PERCENT and _all_pairs(printed, agree_unpadded):
        return PADDING
    closed = [rows[key] for key in _keys(group) if key in rows]
    if closed and all(row.can_be_mean(text) for row in closed for text in printed):
        return AVERAGING
    return UNEXPLAINED


def _all_pairs(printed: Iterable[str], test: Callable[[str, str], bool]) -> bool:
    return all(test(left, right) for left, right in combinations(printed, 2))


def _resolution(group: pd.DataFrame, explained_by: str, context: Context) -> tuple[str, str]:
    """Return a verdict on a conflict and the sentence that gives its ground."""
    if explained_by == AVERAGING:
        return EXPLAINED, _by_means(group, context.rows)
    if explained_by != UNEXPLAINED:
        return EXPLAINED, f"{explained_by.capitalize()} alone explains the different readings."
    matched = context.matches.merge(group[["table", "line"]], on=["table", "line"])
    if len(matched):
        return _by_recomputation(matched)
    closed = [context.rows[key] for key in _keys(group) if key in context.rows]
    if closed:
        return OPEN, f"{_by_means(group, context.rows)} So these are different results; nothing seen decides."
    return OPEN, "Nothing seen recomputes a measured accuracy; both readings are kept."


def _by_means(group: pd.DataFrame, rows: _Places) -> str:
    """Return the means of the tasks that each source prints next to the average."""
    closed = [rows[key] for key in _keys(group) if key in rows]
    by_mean: dict[tuple[str, Decimal], list[str]] = {}
    for row in closed:
        by_mean.setdefault((row.average, row.mean), []).append(row.source)
    words = (
        f"{average} is printed with tasks whose mean is {mean} ({', '.join(who)})"
        for (average, mean), who in by_mean.items()
    )
    return "; ".join(words) + "."


def _by_recomputation(matched: pd.DataFrame) -> tuple[str, str]:
    """Return which readings a documented configuration gives."""
    fitting = matched[matched["fit"] != NOTHING]
    lost = list(dict.fromkeys(matched.loc[matched["fit"] == NOTHING, "printed"]))
    found = "; ".join(_settings(fitting))
    if fitting.empty:
        return OPEN, f"No documented configuration gives {' or '.join(lost)}."
    if lost:
        return SETTLED, f"{found}; no documented configuration gives {' or '.join(lost)}."
    return OPEN, f"{found}; each fits a documented configuration of its own, so the number says nothing without it."


def _settings(fitting: pd.DataFrame) -> Iterator[str]:
    """Return each configuration with the readings it gives, its count and the place that documents it."""
    for (setting, count, documented), rows in fitting.groupby(
        ["setting", "trainable_params", "documented"], sort=False
    ):
        printed = " and ".join(dict.fromkeys(rows["printed"]))
        yield f"{printed} is {setting} ({count:,} parameters; {documented})"


def conflicts_step(step: Step) -> None:
    """Find the cells that are printed with more than one number, and what explains or settles each."""
    step.write("conflicts", conflicts(step.read("published"), step.read("parameters")))
