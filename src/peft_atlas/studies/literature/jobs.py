"""The jobs on the published tables, which are part of every run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from peft_atlas.studies.study import Outputs

if TYPE_CHECKING:
    from peft_atlas.config import StudyConfig

NAME = "literature"
_RULES = ("load_published", "count_parameters", "compute_memory", "predict_memory", "find_conflicts")


def outputs(config: StudyConfig) -> Outputs:
    """Return the tables and the benchmark files of the jobs."""
    names = ("published", "parameters", "memory", "predictions", "conflicts")
    return Outputs(
        tables=tuple(f"results/{name}.parquet" for name in names),
        benchmarks=tuple(f"results/benchmarks/{rule}/all.tsv" for rule in _RULES),
    )
