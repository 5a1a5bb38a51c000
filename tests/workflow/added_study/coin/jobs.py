"""The study's one job."""

from __future__ import annotations

from typing import TYPE_CHECKING

from peft_atlas.studies.study import Outputs

if TYPE_CHECKING:
    from peft_atlas.config import StudyConfig

NAME = "coin"
STEM = "results/runs/coin/tosses"


def outputs(config: StudyConfig) -> Outputs:
    """Return the files that the job writes."""
    return Outputs(
        runs=(f"{STEM}.runs.parquet",),
        curves=(f"{STEM}.curves.parquet",),
        benchmarks=("results/benchmarks/train_coin/all.tsv",),
    )
