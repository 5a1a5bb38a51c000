"""The report of a run in which something failed: all that is there, and what is not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from peft_atlas.errors import AtlasError
from peft_atlas.report.material import load_material
from peft_atlas.report.render import write_report
from peft_atlas.report.sections import build_sections
from peft_atlas.snakemake_support.costs import read_costs
from peft_atlas.tables.contract import write_table
from peft_atlas.tables.schemas import COSTS

_FIGURE_FILES = (".svg", ".json")


def write_incomplete_report(
    stem: Path,
    tables: Mapping[str, str | Path],
    figures: Sequence[Path],
    unfinished: Iterable[str],
    benchmarks: Iterable[Path],
    config: Mapping[str, Any],
    root: Path,
) -> str:
    """Write ``<stem>.html`` and ``.md`` from what exists and return one line that says so, or why they could not be.

    Parameters
    ----------
    stem
        Path of the report's files, without an ending.
    tables, figures, config, root
        As `load_material` takes them.
    unfinished
        Outputs of the jobs that did not end well; an older file of that name is not shown.
    benchmarks
        Benchmark files of the jobs that ended well; the costs are theirs, since the table of all costs waits for all.
    """
    late = set(unfinished)
    costs = stem.with_name(f"{stem.name}_costs.parquet")
    tables = {**tables, "costs": costs}
    write_table(COSTS, read_costs(benchmarks), costs)
    lost = sorted(str(path) for path in tables.values() if str(path) in late or not Path(path).is_file())
    if lost:
        return f"No report: {', '.join(lost)} could not be made."
    shown = [figure for figure in figures if not late & _files(figure) and all(map(_exists, _files(figure)))]
    missing = [str(figure) for figure in figures if figure not in shown]
    try:
        material = load_material(tables, shown, config, root, missing)
        write_report(build_sections(material), stem.with_suffix(".html"), stem.with_suffix(".md"), material.tables)
    except AtlasError as error:
        return f"No report: {error}"
    return f"Incomplete report: {stem}.html; it says what is missing ({len(missing)} figures)."


def _files(figure: Path) -> set[str]:
    return {f"{figure}{ending}" for ending in _FIGURE_FILES}


def _exists(name: str) -> bool:
    return Path(name).is_file()
