"""Check the encoder study against peft, and its counts against the seed notebook's section 5."""

from pathlib import Path

import torch

import peft_atlas.without_gc  # noqa: F401
from peft_atlas.config import EncoderConfig
from peft_atlas.findings.encoder_checks import encoder_checks
from peft_atlas.findings.finding import as_rows
from peft_atlas.job import job
from peft_atlas.records import FINDINGS, RUNS, read_tables, write_table
from peft_atlas.studies.encoder import Part
from peft_atlas.tasks.examples import read_texts

with job(snakemake.log[0]):
    torch.set_num_threads(snakemake.threads)
    params, paths = snakemake.params, snakemake.input
    part = Part(
        EncoderConfig.model_validate(params.config),
        params.task,
        read_texts(Path(paths.examples)),
        Path(paths.model[0]).parent,
        "cpu",
    )
    runs = read_tables(RUNS, map(Path, paths.runs))
    findings = encoder_checks(part, runs, params.settings, params.seed)
    write_table(FINDINGS, as_rows(findings), Path(snakemake.output.findings))
