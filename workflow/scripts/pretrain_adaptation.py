"""Pretrain the networks that the adaptation study adapts, one a seed."""

from pathlib import Path

import torch
from safetensors.torch import save_file

import peft_atlas.without_gc  # noqa: F401
from peft_atlas.config import AdaptationConfig
from peft_atlas.files import write_whole
from peft_atlas.job import job
from peft_atlas.records import CURVES, RUNS, write_table
from peft_atlas.studies.adaptation import Study, pretrain

with job(snakemake.log[0]):
    torch.set_num_threads(snakemake.threads)
    params, output = snakemake.params, snakemake.output
    study = Study(AdaptationConfig.model_validate(params.config), tuple(params.seeds), params.device)
    base, runs, curves = pretrain(study)
    write_whole(Path(output.base), lambda part: save_file(base, part))
    write_table(RUNS, runs, Path(output.runs))
    write_table(CURVES, curves, Path(output.curves))
