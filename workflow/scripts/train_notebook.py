"""Train one block of seeds of the notebook study."""

from pathlib import Path

import torch

import peft_atlas.without_gc  # noqa: F401
from peft_atlas.config import NotebookConfig
from peft_atlas.job import job
from peft_atlas.records import CURVES, RUNS, write_table
from peft_atlas.studies.notebook import Block, train_baseline, train_sweep

with job(snakemake.log[0]):
    torch.set_num_threads(snakemake.threads)
    block = Block(
        NotebookConfig.model_validate(snakemake.params.config),
        snakemake.wildcards.get("task", "held_out"),
        tuple(snakemake.params.seeds),
        snakemake.params.device,
    )
    train = {"baseline": train_baseline, "sweep": train_sweep}[snakemake.params.part]
    runs, curves = train(block)
    write_table(RUNS, runs, Path(snakemake.output.runs))
    write_table(CURVES, curves, Path(snakemake.output.curves))
