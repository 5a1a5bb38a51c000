"""The one job on runs that a user has added."""

from __future__ import annotations

from typing import TYPE_CHECKING

from peft_atlas.studies.study import Outputs
from peft_atlas.tables.names import ADDED

if TYPE_CHECKING:
    from peft_atlas.config import StudyConfig

NAME = "added"


def outputs(config: StudyConfig) -> Outputs:
    """Return the table and the benchmark file of the job."""
    return Outputs(
        tables=tuple(f"results/{name}.parquet" for name in ADDED),
        benchmarks=("results/benchmarks/load_added/all.tsv",),
    )
