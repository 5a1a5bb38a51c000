"""Checks of the published tables, each over all the data: a new row or table is checked with no change here.

A check tests what a source says, so its failure is the source's; the detail names file and line of every failing cell.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd

from peft_atlas.analysis.evidence import select
from peft_atlas.analysis.finding import ATLAS, SEED_NOTEBOOK, Effect, Finding
from peft_atlas.studies.literature.conflicts import (
    SOURCES,
    TASKS,
    UNEXPLAINED,
    conflicts,
    shared_cells,
    shared_percentages,
)
from peft_atlas.studies.literature.jobs import NAME
from peft_atlas.studies.literature.percentages_without_counts import percentages_without_counts
from peft_atlas.studies.literature.printed_numbers import place
from peft_atlas.studies.literature.printed_rows import PrintedRow, exact_cells, printed_rows
from peft_atlas.studies.literature.recomputation import COUNT, NOTHING, PADDED, PERCENT, match_printed
from peft_atlas.studies.literature.scores import SEED

__all__ = ["conflicts", "published_checks"]

PERCENT_NAME, COUNT_NAME = "percentage", "count"
_QUOTED = "quoted_by_seed"


def published_checks(
    published: pd.DataFrame,
    parameters: pd.DataFrame,
    conflicting: pd.DataFrame,
    application_verdicts: pd.DataFrame,
    references: pd.DataFrame,
) -> list[Finding]:
    """Return the checks of the transcribed tables.

    Parameters
    ----------
    published, parameters, conflicting, application_verdicts, references
        Tables of the contracts ``published``, ``parameters``, ``conflicts``, ``application_verdicts`` and
        ``references``.
    """
    return [
        *row_means(published),
        *recomputed_numbers(published, parameters),
        _two_ways(parameters),
        *same_cells(published, conflicting),
        *same_percentages(published, conflicting),
        *quotations(published),
        *repeated_values(published, application_verdicts),
        *bounds(published),
        percentages_without_counts(published),
        _domains(application_verdicts),
        _references(references),
    ]


def who(source: str) -> str:
    """Return how findings name a source: its id, the seed notebook in words."""
    return SEED_NOTEBOOK if source == SEED else source


def check(
    name: str, statement: str, source: str, failing: int, n: int, unit: str, detail: str, evidence: str
) -> Finding:
    """Return a check that passes where nothing fails; the effect is how many of ``n`` fail."""
    return Finding(
        kind="check",
        id=name,
        study=NAME,
        statement=statement,
        source=who(source),
        verdict="fail" if failing else "pass",
        evidence=evidence,
        detail=detail,
        effect=Effect(float(failing), unit, n=n),
    )


def slug(text: str) -> str:
    """Return a text as a part of an id: ``Commonsense Reasoning`` becomes ``commonsense_reasoning``."""
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")


# --- averages ------------------------------------------------------------------------------------------------------


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


# --- counts and percentages ----------------------------------------------------------------------------------------


def recomputed_numbers(published: pd.DataFrame, parameters: pd.DataFrame) -> list[Finding]:
    """Return, for each source, whether a documented configuration gives every count and percentage it prints."""
    matched = match_printed(published, parameters)
    return [
        _recomputed(str(source), str(metric), rows, published)
        for (source, metric), rows in matched.groupby(["source", "metric"], sort=False)
    ]


def _recomputed(source: str, metric: str, rows: pd.DataFrame, published: pd.DataFrame) -> Finding:
    wrong = rows[rows["fit"] == NOTHING]
    name = {PERCENT: PERCENT_NAME, COUNT: COUNT_NAME}[metric]
    printed = exact_cells(published[(published["source"] == source) & (published["metric"] == metric)])
    return check(
        f"recomputed_{name}_{source}",
        f"A documented configuration gives every {name} that {source} prints, at the printed decimals; zeros at the "
        "end may be padding",
        source,
        len(wrong),
        len(rows),
        f"{name}s",
        _recomputed_detail(rows, wrong, len(printed) - len(rows)),
        f"published: source={source}, metric={metric}; parameters: base_model, method",
    )


def _recomputed_detail(rows: pd.DataFrame, wrong: pd.DataFrame, unknown: int) -> str:
    """Return how many numbers a configuration gives and which it does not."""
    padded = rows[rows["fit"] == PADDED]
    said = [f"{len(rows) - len(wrong)} of {len(rows)} are reached."]
    if len(padded):
        numbers = ", ".join(dict.fromkeys(padded["printed"]))
        said.append(f"{len(padded)} only once zeros are dropped: {numbers}.")
    said += [
        f"{row.base_model} {row.method} prints {row.printed} ({place(row.table, [row.line])}); the nearest of "
        f"{row.tried} documented configurations, {row.setting}, gives {row.percent:.4f}."
        for row in wrong.itertuples()
    ]
    if unknown:
        said.append(f"{unknown} more have no documented configuration here and are not judged.")
    return " ".join(said)


def _two_ways(parameters: pd.DataFrame) -> Finding:
    """Return whether both ways of counting agree on every configuration."""
    by_setting = parameters.groupby(["base_model", "method", "setting"])
    differ = [rows for _, rows in by_setting if len(set(rows["trainable_params"])) > 1]
    twice = [rows for _, rows in by_setting if len(set(rows["way"])) > 1]
    return check(
        "counted_two_ways",
        "The closed form and a model with the adapter attached count the same trainable parameters",
        ATLAS,
        len(differ),
        len(twice),
        "configurations",
        f"{len(twice)} of {len(by_setting)} configurations are counted in two ways; {len(differ)} differ.",
        "parameters: way, trainable_params",
    )


# --- the same number in several places -----------------------------------------------------------------------------


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


# --- domains and references ----------------------------------------------------------------------------------------


def _domains(application_verdicts: pd.DataFrame) -> Finding:
    """Return whether a source supports every percentage of the application domains."""
    lost = application_verdicts[application_verdicts["status"] != "supported"]
    listed = " ".join(f"{row.task} ({row.status}): {row.reason}" for row in lost.itertuples())
    return check(
        "application_percentages",
        "A source that was seen supports every percentage of the application domains",
        SEED,
        len(lost),
        len(application_verdicts),
        "numbers",
        f"{len(application_verdicts) - len(lost)} of {len(application_verdicts)} are supported. {listed}".strip(),
        "application_verdicts: status",
    )


def _references(references: pd.DataFrame) -> Finding:
    """Return whether every reference names the work by its right identifier."""
    wrong = references[references["verdict"] != "correct"]
    listed = " ".join(
        f"Reference {row.number} (references.csv), {row.title}: arXiv:{row.claimed_arxiv_id} given, it is "
        f"arXiv:{row.true_arxiv_id}."
        for row in wrong.itertuples()
    )
    return check(
        "references",
        "Every reference has its right identifier",
        SEED,
        len(wrong),
        len(references),
        "references",
        listed or "All have.",
        "references: verdict",
    )
