"""What the study cost, read from Snakemake's benchmark files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from peft_atlas.errors import AtlasError
from peft_atlas.step import Step
from peft_atlas.tables.contract import read_tables
from peft_atlas.tables.schemas import COSTS

# Not the processor time: after 15 s Snakemake samples it every 30 s, so that it lacks up to the last 30 s of a job.
_COLUMNS = {"wall_seconds": "s", "peak_memory_mb": "max_rss"}
# Snakemake's megabytes are of 2^20 bytes, ours of 10^6.
_SCALES = {"peak_memory_mb": 1024**2 / 1e6}


def read_costs(benchmarks: Iterable[Path]) -> list[dict[str, Any]]:
    """Return one row a job, for files named ``<rule>/<job>.tsv``.

    Snakemake samples memory, each half second at first and every 30 s after 15 s, and writes ``NA`` for a job that
    ended before; that is null.

    Raises
    ------
    AtlasError
        If a file has not the columns of a benchmark.
    """
    return [{**COSTS.blank(), "rule": path.parent.name, "job": path.stem, **_measured(path)} for path in benchmarks]


def all_costs(benchmarks: Iterable[Path], runs: Iterable[Path]) -> pd.DataFrame:
    """Return the costs of jobs from benchmark files, and those of single runs from tables that the jobs wrote."""
    parts = [pd.DataFrame(read_costs(benchmarks)), read_tables(COSTS, runs)]
    whole = pd.concat([part.astype(object) for part in parts if len(part)], ignore_index=True)
    return whole.astype(object).where(whole.notna(), None)


def _measured(path: Path) -> dict[str, float | None]:
    """Return the seconds and megabytes of a benchmark file; of several repeats, their mean."""
    table = pd.read_csv(path, sep="\t")
    missing = sorted(set(_COLUMNS.values()) - set(table.columns))
    if missing:
        raise AtlasError(f"{path}: lacks the columns {missing} of a Snakemake benchmark")
    numbers = {
        name: pd.to_numeric(table[column], errors="coerce").mean() * _SCALES.get(name, 1)
        for name, column in _COLUMNS.items()
    }
    return {name: None if pd.isna(value) else float(value) for name, value in numbers.items()}


def costs_step(step: Step) -> None:
    """Collect what the jobs cost from Snakemake's benchmark files."""
    step.write("costs", all_costs(step.paths("benchmarks"), step.paths("runs")))
