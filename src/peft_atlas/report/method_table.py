"""The table of methods of the first page: one task at a time, the difference to full fine-tuning drawn as a bar."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd

from peft_atlas.analysis.comparison import MEASURED
from peft_atlas.analysis.power import POWER
from peft_atlas.report.content import Bar, MethodLine, MethodTable, MethodTask
from peft_atlas.report.material import Material
from peft_atlas.report.method_rows import FULL, ComparedTask, MethodRow
from peft_atlas.studies.study import Study

MISSING = "–"
# Published averages are shown next to the measured methods where at least so many of these have one.
_FEWEST_PUBLISHED = 2
_AVERAGE = ": Avg"
# Differences beyond this many points are drawn at the end of the axis.
_WIDEST = 15.0
# Far below all others, which would leave these no room on the axis; its bar is cut.
_BARE_HEAD = "head only"
_COLUMNS: dict[str, bool] = {
    "accuracy": True,
    "best rate": False,
    "rate ÷ full's": True,
    "weights trained": False,
    "time": True,
    "memory": True,
    "file": True,
}


def compared_tasks(material: Material, studies: Sequence[Study]) -> list[ComparedTask]:
    """Return every task on which a study of this run compared methods: text, shifts, published, then chapters."""
    own = [study for study in studies if study.name in material.studies]
    found = []
    for study in sorted(own, key=lambda each: (each.chapter, each.order)):
        give: Callable[[Material], list[ComparedTask]] | None = getattr(study.part("section"), "compared", None)
        found += give(material) if give else []
    return [task for task in found if task.rows]


def method_table(material: Material, studies: Sequence[Study]) -> MethodTable | None:
    """Return the table of all tasks; None where no study compared methods."""
    tasks = compared_tasks(material, studies)
    if not tasks:
        return None
    published = _published(material, tasks)
    shown = tuple(_task(task, published) for task in tasks)
    columns = (str(published.name),) if len(published) else ()
    header, optional = (*_COLUMNS, *columns), (*_COLUMNS.values(), *(True for _ in columns))
    note = (
        "Bar: difference in test accuracy from full fine-tuning in percentage points, with its interval; red is below "
        "0, green above, ◂ and ▸ are off the scale. It is paired on the seeds and texts that both share, so it need "
        "not be the difference of the accuracy column. * The best rate is an end of the rates tried, so that a better "
        "one may lie beyond. Time and memory: full fine-tuning is 100 %, and its own row gives seconds of processor "
        "time per run and peak memory of the process. Times are of one run, next to other jobs; in three default runs "
        "on two machines a method's share differed by up to 21 points. File: what is saved, apart from the classifier "
        "on top."
    )
    if columns:
        note += (
            " A published value is the method's, whatever modules it adapted there; it is shown once, on the method's "
            "most accurate setting."
        )
    return MethodTable(header, optional, shown, note, "contrasts; runs: selected=True; costs; comparison")


def _task(task: ComparedTask, published: pd.Series[Any]) -> MethodTask:
    full = next((row for row in task.rows if row.method == FULL), None)
    ranked = sorted(task.rows, key=_place, reverse=True)
    widest = _widest(task.rows)
    # Once per method, however many settings of it were measured: on its first row.
    first = {row.method: row for row in reversed(ranked)}
    lines = tuple(
        _line(row, full, widest, published, beside=task.published and first[row.method] is row) for row in ranked
    )
    known = tuple(place for place in range(len(lines[0].cells)) if any(line.cells[place] != MISSING for line in lines))
    about = f"{task.about}{_detectable(task.rows)}"
    return MethodTask(task.title, about, lines, known, any(line.bar is not None for line in lines))


def _detectable(rows: Sequence[MethodRow]) -> str:
    """Return what the comparisons whose interval contains 0 could have detected; nothing where there are none."""
    effects = [row.difference for row in rows if row.difference is not None and not row.difference.excludes_zero]
    known = sorted(effect.detectable for effect in effects if effect.detectable is not None)
    if not known:
        return ""
    ends = dict.fromkeys(f"{end:.1f}" for end in (known[0], known[-1]))
    return (
        f" Where an interval contains 0, a difference of {' to '.join(ends)} points would have been detected with "
        f"{100 * POWER:g} % power."
    )


def _place(row: MethodRow) -> tuple[bool, float, float]:
    """Return full fine-tuning first, then by the difference to it, then by accuracy."""
    known = row.difference is not None and row.difference.size is not None
    size = row.difference.size if known and row.difference is not None and row.difference.size is not None else 0.0
    return row.method == FULL, size if known else float("-inf"), row.accuracy or 0.0


def _widest(rows: Sequence[MethodRow]) -> float:
    """Return the half-width of the axis of differences: all intervals but those of a bare head, at most `_WIDEST`."""
    effects = [row.difference for row in rows if row.difference is not None and row.method != _BARE_HEAD]
    ends = [abs(end) for effect in effects for end in (effect.size, effect.low, effect.high) if end is not None]
    return min(_WIDEST, max(ends, default=1.0)) or 1.0


def _line(
    row: MethodRow, full: MethodRow | None, widest: float, published: pd.Series[Any], *, beside: bool
) -> MethodLine:
    cells = (
        _number(row.accuracy, "{:.1f} %"),
        MISSING if row.rate is None else f"{row.rate:g}{'*' if row.edge else ''}",
        _times(row.rate, full.rate if full else None),
        _number(row.percent, "{:.3g} %"),
        _share(row.seconds, full.seconds if full else None, "{:.1f} s", own=row is full),
        _share(row.megabytes, full.megabytes if full else None, "{:.0f} MB", own=row is full),
        MISSING if row.file_bytes is None else bytes_in_words(row.file_bytes),
        *((str(published.get(row.method, MISSING)) if beside else MISSING,) if len(published) else ()),
    )
    return MethodLine(row.name, _difference(row, full, widest), _bar(row, widest), cells)


def _number(value: float | None, form: str) -> str:
    return MISSING if value is None or pd.isna(value) else form.format(value)


def _times(rate: float | None, full: float | None) -> str:
    return MISSING if rate is None or not full else f"{rate / full:.2g}" if rate / full < 10 else f"{rate / full:.0f}"


def _share(value: float | None, full: float | None, form: str, *, own: bool) -> str:
    """Return a value relative to full fine-tuning's; of full fine-tuning the value itself."""
    if value is None or (not own and not full):
        return MISSING
    return form.format(value) if own or not full else f"{100 * value / full:.0f} %"


def bytes_in_words(size: float) -> str:
    """Return a number of bytes with a decimal prefix, in two or three digits."""
    for step, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if size >= step:
            return f"{size / step:.3g} {unit}"
    return f"{size:.0f} B"


def _difference(row: MethodRow, full: MethodRow | None, widest: float) -> str:
    """Return the difference with its interval as text, with a mark where it lies off the bar's scale."""
    if row is full:
        return "0"
    if row.difference is None or row.difference.size is None:
        return MISSING
    size = row.difference.size
    mark = "◂ " if size < -widest else "▸ " if size > widest else ""
    return mark + row.difference.in_words(unit="")


def _bar(row: MethodRow, widest: float) -> Bar | None:
    """Return the difference on an axis from 0 to 100 with its zero in the middle."""
    effect = row.difference
    if effect is None or effect.size is None:
        return None

    def place(value: float | None) -> float | None:
        return None if value is None else round(50 + 46 * max(-1.0, min(1.0, value / widest)), 1)

    below, above = effect.high is not None and effect.high < 0, effect.low is not None and effect.low > 0
    side = "below" if below else "above" if above else "open"
    at = place(effect.size)
    return None if at is None else Bar(at, place(effect.low), place(effect.high), 50.0, side)


def _published(material: Material, tasks: Sequence[ComparedTask]) -> pd.Series[Any]:
    """Return published averages by method as text, the families of tasks of one source and model side by side.

    Of all sources and models the one that prints most of these methods' averages, of equal ones the source with most
    cells and the smaller model. The name of the series is the column's header; it is empty where too few are printed.
    """
    methods = {row.method for task in tasks if task.published for row in task.rows} - {FULL}
    comparison = material.tables["comparison"]
    printed = comparison[comparison["source"] != MEASURED]
    rows = printed[printed["task"].str.endswith(_AVERAGE) & printed["method"].isin(methods)]
    counts = rows.groupby(["source", "base_model"])["method"].agg(["nunique", "size"]).reset_index()
    counts = counts[counts["nunique"] >= _FEWEST_PUBLISHED]
    if counts.empty:
        return pd.Series(dtype=object)
    sizes = material.tables["parameters"].groupby("base_model")["base_params"].max()
    counts = counts.assign(
        cells=counts["source"].map(printed["source"].value_counts()), params=counts["base_model"].map(sizes)
    )
    best = counts.sort_values(["size", "cells", "params"], ascending=[False, False, True]).iloc[0]
    chosen = rows[(rows["source"] == best["source"]) & (rows["base_model"] == best["base_model"])]
    families = chosen["task"].str.removesuffix(_AVERAGE)
    wide = chosen.assign(family=families).pivot_table(index="method", columns="family", values="value")
    wide = wide[sorted(wide.columns, key=lambda family: (-int(wide[family].notna().sum()), family))]
    texts = wide.map(lambda value: _number(value, "{:.1f}")).agg(" / ".join, axis=1)
    return texts.rename(f"{best['base_model']} published (%): {' / '.join(wide.columns)}")
