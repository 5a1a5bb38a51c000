"""The notebook study's jobs: their files, the seeds of each, and the part of the configuration that each depends on."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

from peft_atlas.studies.study import Outputs

if TYPE_CHECKING:
    from peft_atlas.config import StudyConfig

NAME = "notebook"
PROTOCOLS = ("held_out", "as_published")
BASELINE = "results/runs/notebook/baseline/{task}/block={block}"
TUNED = "results/runs/notebook/tuned/held_out"
# What runs of that part have as their experiment.
TUNED_PART = "tuned"
SWEEP = "results/runs/notebook/sweep/held_out/block={block}"
CHECKS = "results/findings/notebook_checks.parquet"
ROUNDING_CHECK = "results/findings/rounding_check.parquet"
# Each job gets the part of the study that its results depend on, and no more.
_SWEEP_ONLY = {"ranks", "alphas", "epochs"}
_TUNING_ONLY = {"tuning"}
_BATCHING = {"seeds_per_job"}


def seed_blocks(config: StudyConfig) -> dict[int, tuple[int, ...]]:
    """Return the seeds of each training job, by block number; the last block may be shorter."""
    size = config.notebook.seeds_per_job
    starts = range(0, len(config.seeds), size)
    return {block: config.seeds[start : start + size] for block, start in enumerate(starts)}


def baseline_config(config: StudyConfig) -> dict[str, Any]:
    """Return what the baseline depends on."""
    return config.notebook.model_dump(mode="json", exclude=_SWEEP_ONLY | _TUNING_ONLY | _BATCHING)


def tuned_config(config: StudyConfig) -> dict[str, Any]:
    """Return what the baseline at tuned learning rates depends on."""
    return config.notebook.model_dump(mode="json", exclude=_SWEEP_ONLY | _BATCHING | {"learning_rate"})


def sweep_config(config: StudyConfig) -> dict[str, Any]:
    """Return what the sweep depends on."""
    return config.notebook.model_dump(mode="json", exclude={"baseline"} | _TUNING_ONLY | _BATCHING)


def check_config(config: StudyConfig) -> dict[str, Any]:
    """Return what the study's checks depend on."""
    return config.notebook.model_dump(mode="json", exclude=_TUNING_ONLY | _BATCHING)


def outputs(config: StudyConfig) -> Outputs:
    """Return the files that the study's jobs write."""
    blocks = seed_blocks(config)
    baselines = list(product(PROTOCOLS, blocks))
    parts = [BASELINE.format(task=task, block=block) for task, block in baselines]
    parts += [SWEEP.format(block=block) for block in blocks] + [TUNED]
    return Outputs(
        runs=tuple(f"{part}.runs.parquet" for part in parts),
        curves=tuple(f"{part}.curves.parquet" for part in parts),
        checks=(CHECKS, ROUNDING_CHECK),
        configurations=(baseline_config(config), sweep_config(config), tuned_config(config)),
        benchmarks=(
            *(f"results/benchmarks/train_baseline/{task}_block={block}.tsv" for task, block in baselines),
            *(f"results/benchmarks/train_sweep/block={block}.tsv" for block in blocks),
            *(f"results/benchmarks/{rule}/all.tsv" for rule in ("train_tuned", "check_notebook", "check_rounding")),
        ),
    )
