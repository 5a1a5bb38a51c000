"""The one job on the record of published runs, which is part of every run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from peft_atlas.studies.study import Outputs
from peft_atlas.tables.names import RECORD

if TYPE_CHECKING:
    from peft_atlas.config import StudyConfig

NAME = "record"


def outputs(config: StudyConfig) -> Outputs:
    """Return the tables and the benchmark file of the job."""
    return Outputs(
        tables=tuple(f"results/{name}.parquet" for name in RECORD),
        benchmarks=("results/benchmarks/load_record/all.tsv",),
    )
