"""Combine the runs and learning curves of all jobs."""

from pathlib import Path

import peft_atlas.without_gc  # noqa: F401
from peft_atlas.job import job
from peft_atlas.records import CURVES, RUNS, read_tables, write_table

with job(snakemake.log[0]):
    write_table(RUNS, read_tables(RUNS, map(Path, snakemake.input.runs)), Path(snakemake.output.runs))
    write_table(CURVES, read_tables(CURVES, map(Path, snakemake.input.curves)), Path(snakemake.output.curves))
