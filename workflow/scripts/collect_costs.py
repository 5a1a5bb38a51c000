"""Collect what the jobs cost from Snakemake's benchmark files."""

from pathlib import Path

from peft_atlas.costs import read_costs
from peft_atlas.job import job
from peft_atlas.records import COSTS, write_table

with job(snakemake.log[0]):
    write_table(COSTS, read_costs(map(Path, snakemake.input.benchmarks)), Path(snakemake.output.costs))
