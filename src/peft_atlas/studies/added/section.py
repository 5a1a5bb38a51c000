"""The runs that a user has added in the report: figure, comparisons, rows, table of methods, explorer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from peft_atlas.analysis.finding import Effect
from peft_atlas.analysis.statistics import interval_name, mean_interval
from peft_atlas.report.content import Block, Paragraph, table
from peft_atlas.report.explorer import point
from peft_atlas.report.material import Material
from peft_atlas.report.method_rows import ComparedTask, MethodRow
from peft_atlas.studies.added.compare import comparisons
from peft_atlas.studies.added.data import FULL, Cell, tasks
from peft_atlas.studies.added.jobs import NAME

_SHOWN = ("task", "model", "method", "setting", "rank", "learning_rate", "seed", "metric", "split", "score", "source")


def blocks(material: Material) -> list[Block]:
    """Return what was added, from where, and how it compares."""
    runs = material.tables["added_runs"]
    intro = Paragraph(
        f"{len(runs)} runs of {runs['table'].nunique()} sets, added with peft-atlas add. They were not made here: what "
        "they were tuned on, and whether alike, is their source's word.",
        "added_runs",
    )
    compared = material.findings("answer", study=NAME)[["statement", "detail", "source", "evidence"]]
    figures = material.figures_of(study=NAME)
    rows = table("The runs as they were added.", runs[list(_SHOWN)].sort_values(list(_SHOWN[:3])))
    return [intro, *figures, table("Comparisons, one row each.", compared), rows]


def compared(material: Material) -> list[ComparedTask]:
    """Return the methods of each task that was added, for the table of the first page."""
    added = material.tables["added_runs"]
    found = comparisons(added, material.tables["benchmark_runs"], material.confidence)
    # A task's own full fine-tuning comes before a published one.
    effects = {(each.task, each.model, each.cell.name): each.effect for each in reversed(found) if each.full}
    return [
        ComparedTask(
            f"Your runs: {task}, {model}",
            _about(task, model, cells),
            tuple(_row(cell, effects.get((task, model, cell.name))) for cell in cells),
        )
        for task, model, cells in tasks(added)
    ]


def explored(material: Material) -> Iterator[dict[str, Any]]:
    """Yield a point of the explorer per cell: the mean of its scores, with an interval where it has several seeds."""
    for task, model, cells in tasks(material.tables["added_runs"]):
        for cell in cells:
            yield _point(task, model, cell, material.confidence)


def _point(task: str, model: str, cell: Cell, confidence: float) -> dict[str, Any]:
    values, first = _values(cell), cell.runs.iloc[0]
    estimate = mean_interval(cell.points, confidence).within(0, 100)
    rate = None if values["learning_rate"] is None else f"rate {values['learning_rate']:g}"
    setting = ", ".join(filter(None, [None if pd.isna(first["setting"]) else first["setting"], rate]))
    row = {"task": task, "base_model": model, "method": cell.method, "rank": first["rank"], "alpha": None}
    known = interval_name(confidence) if estimate.low is not None else "no interval"
    runs = "one run" if len(cell.runs) == 1 else f"{len(cell.runs)} runs"
    sources = ", ".join(sorted(cell.runs["source"].unique()))
    source = f"Added, {first['metric']} on the {first['split']} split, {runs}, {known}; {sources}"
    intervals = {"accuracy": (estimate.low, estimate.high)}
    return point({**row, "setting": setting or None}, NAME, values, intervals, source)


def _values(cell: Cell) -> dict[str, float | None]:
    """Return the explorer's metrics of a cell, means over its runs; None where no run has it."""
    shown = _row(cell, None)
    return {
        "accuracy": shown.accuracy,
        "params_percent": shown.percent,
        "trainable_params": _mean(cell, "trainable_params"),
        "seconds": shown.seconds,
        "memory_bytes": _mean(cell, "peak_memory_bytes"),
        "adapter_bytes": shown.file_bytes,
        "learning_rate": shown.rate,
        "rank": _mean(cell, "rank"),
    }


def _about(task: str, model: str, cells: list[Cell]) -> str:
    first = cells[0].runs.iloc[0]
    seeds = sorted({len(cell.runs) for cell in cells})
    number = "one run" if seeds == [1] else f"{seeds[0]} to {seeds[-1]} runs" if len(seeds) > 1 else f"{seeds[0]} runs"
    against = "" if any(cell.method == FULL for cell in cells) else " Full fine-tuning is not among them."
    what = f"{first['metric']} on the {first['split']} split of {task}, {model}"
    return f"Added, not measured here: {what}; {number} per method.{against}"


def _row(cell: Cell, effect: Effect | None) -> MethodRow:
    trained, total = _mean(cell, "trainable_params"), _mean(cell, "total_params")
    memory = _mean(cell, "peak_memory_bytes")
    rate = cell.runs["learning_rate"].iloc[0]
    return MethodRow(
        cell.name,
        cell.method,
        float(cell.points.mean()),
        None if cell.method == FULL else effect,
        None if pd.isna(rate) else float(rate),
        percent=100 * trained / total if trained and total else None,
        seconds=_mean(cell, "train_seconds"),
        megabytes=None if memory is None else memory / 1e6,
        file_bytes=_mean(cell, "file_bytes"),
    )


def _mean(cell: Cell, column: str) -> float | None:
    values = cell.runs[column].dropna().astype(float)
    return float(values.mean()) if len(values) else None
