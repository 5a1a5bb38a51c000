"""Adapt the pretrained networks to one target task, in one part of the study."""

from pathlib import Path

import torch
from safetensors.torch import load_file

import peft_atlas.without_gc  # noqa: F401
from peft_atlas.config import AdaptationConfig
from peft_atlas.job import job
from peft_atlas.records import COSTS, CURVES, RUNS, write_table
from peft_atlas.studies.adaptation import Study, Target, train_target

with job(snakemake.log[0]):
    torch.set_num_threads(snakemake.threads)
    params, wildcards = snakemake.params, snakemake.wildcards
    study = Study(AdaptationConfig.model_validate(params.config), tuple(params.seeds), params.device)
    target = Target(int(wildcards.shift), int(wildcards.examples))
    runs, curves, costs = train_target(study, load_file(snakemake.input.base), target, wildcards.experiment)
    write_table(RUNS, runs, Path(snakemake.output.runs))
    write_table(CURVES, curves, Path(snakemake.output.curves))
    write_table(COSTS, costs, Path(snakemake.output.costs))
