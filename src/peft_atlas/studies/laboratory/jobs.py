"""The claims laboratory's jobs: their files, and the part of the configuration that each depends on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from peft_atlas.studies.study import Outputs

if TYPE_CHECKING:
    from peft_atlas.config import StudyConfig

NAME = "laboratory"
STEM = "results/runs/laboratory/{question}"
BENCHMARK = "results/benchmarks/train_laboratory/{question}.tsv"
# Names of the rules by which alpha follows the rank, as tables and figures have them.
RULES = {"fixed": "alpha fixed", "one": "alpha = r", "two": "alpha = 2r", "root": "alpha / sqrt(r)"}
SCALING, VARIANTS, BATCH, CAPACITY = "scaling", "variants", "batch", "capacity"
# Their networks with what is shrunk: the intruders, or the whole update.
INTRUDERS = "intruders"
# The weights that solve the task, as a method among others.
EXACT = "exact solution"
SHRUNK_PARTS = ("intruders", "update")
SHRUNK = "results/runs/laboratory/intruders.runs.parquet"
COUNTS = "results/laboratory_intruders.parquet"
FINDINGS = "results/findings/laboratory.parquet"
PAGE = "results/laboratory.md"
# The figure that needs no table of all studies.
FIGURE = "figures/laboratory_rates.svg"


QUESTIONS = (SCALING, VARIANTS, BATCH, CAPACITY)


def part_config(config: StudyConfig) -> dict[str, Any]:
    """Return what every job depends on: the section, and what the networks and tasks of the adaptation study are."""
    shared = {"data", "batch_size", "steps", "sizes", "placement", "seeds"}
    return {
        "own": config.laboratory.model_dump(mode="json"),
        "networks": config.adaptation.model_dump(mode="json", include=shared),
    }


def outputs(config: StudyConfig) -> Outputs:
    """Return the files that the jobs write."""
    stems = [STEM.format(question=question) for question in QUESTIONS]
    return Outputs(
        configurations=(part_config(config),),
        runs=(*(f"{stem}.runs.parquet" for stem in stems), SHRUNK),
        curves=tuple(f"{stem}.curves.parquet" for stem in stems),
        run_costs=tuple(f"{stem}.costs.parquet" for stem in stems),
        checks=(FINDINGS,),
        benchmarks=(
            *(BENCHMARK.format(question=question) for question in QUESTIONS),
            "results/benchmarks/measure_intruders/all.tsv",
            "results/benchmarks/judge_laboratory/all.tsv",
        ),
        tables=(PAGE, COUNTS, FIGURE),
    )
