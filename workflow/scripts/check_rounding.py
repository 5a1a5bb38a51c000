"""Check how far the notebook study's runs move on a processor that rounds otherwise."""

from pathlib import Path

import torch

import peft_atlas.without_gc  # noqa: F401
from peft_atlas.config import NotebookConfig
from peft_atlas.findings.finding import as_rows
from peft_atlas.findings.rounding_check import rounding_check
from peft_atlas.job import job
from peft_atlas.records import FINDINGS, write_table

with job(snakemake.log[0]):
    torch.set_num_threads(snakemake.threads)
    config = NotebookConfig.model_validate(snakemake.params.config)
    finding = rounding_check(config, snakemake.params.seeds)
    write_table(FINDINGS, as_rows([finding]), Path(snakemake.output.findings))
