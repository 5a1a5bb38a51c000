"""Check the notebook study: splits, forward pass, parameter counts, merging, repeatability."""

from pathlib import Path

import torch

import peft_atlas.without_gc  # noqa: F401
from peft_atlas.config import NotebookConfig
from peft_atlas.findings.finding import as_rows
from peft_atlas.findings.notebook_checks import notebook_checks
from peft_atlas.job import job
from peft_atlas.records import FINDINGS, RUNS, read_table, write_table

with job(snakemake.log[0]):
    torch.set_num_threads(snakemake.threads)
    params = snakemake.params
    findings = notebook_checks(
        NotebookConfig.model_validate(params.config),
        params.seeds,
        read_table(RUNS, snakemake.input.sweep),
        params.device,
        params.confidence,
    )
    write_table(FINDINGS, as_rows(findings), Path(snakemake.output.findings))
