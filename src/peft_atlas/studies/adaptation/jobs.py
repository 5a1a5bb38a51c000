"""The adaptation study's jobs: their files, and the part of the configuration that each depends on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from peft_atlas.studies.study import Outputs

if TYPE_CHECKING:
    from peft_atlas.config import StudyConfig

NAME = "adaptation"
NO_ADAPTATION = "no adaptation"
PRETRAINED = "results/runs/adaptation/pretraining/base"
PART = "results/runs/adaptation/{experiment}/shift={shift}_examples={examples}"
BENCHMARK = "results/benchmarks/train_adaptation/{experiment}_shift={shift}_examples={examples}.tsv"
# What every part of the study depends on besides its target task, and what some parts do as well.
_SHARED = {"data", "batch_size", "steps", "learning_rates", "extensions", "sizes"}
_OWN = {"ranks": {"ranks"}, "alphas": {"alpha_sweep"}, "placement": {"placement"}}


def seeds(config: StudyConfig) -> list[int]:
    """Return the seeds of the study, the first ones of the run's."""
    return list(config.seeds[: config.adaptation.seeds])


def pretraining_config(config: StudyConfig) -> dict[str, Any]:
    """Return what the pretrained bases depend on."""
    return config.adaptation.model_dump(mode="json", include={"data", "pretraining", "batch_size"})


def part_config(config: StudyConfig, experiment: str) -> dict[str, Any]:
    """Return what a part of the study depends on besides its target task and the bases."""
    return config.adaptation.model_dump(mode="json", include=_SHARED | _OWN.get(experiment, set()))


def outputs(config: StudyConfig) -> Outputs:
    """Return the files that the study's jobs write."""
    parts = [
        {"experiment": experiment, "shift": shift, "examples": examples}
        for experiment, targets in config.adaptation.targets().items()
        for shift, examples in targets
    ]
    adapted = [PART.format(**part) for part in parts]
    configurations = [part_config(config, experiment) for experiment in config.adaptation.targets()]
    return Outputs(
        configurations=(pretraining_config(config), *configurations),
        runs=tuple(f"{stem}.runs.parquet" for stem in (PRETRAINED, *adapted)),
        curves=tuple(f"{stem}.curves.parquet" for stem in (PRETRAINED, *adapted)),
        run_costs=tuple(f"{stem}.costs.parquet" for stem in adapted),
        benchmarks=(
            "results/benchmarks/pretrain_adaptation/all.tsv",
            *(BENCHMARK.format(**part) for part in parts),
        ),
    )
