"""Collect what the jobs cost from Snakemake's benchmark files."""

from pathlib import Path

import peft_atlas.without_gc  # noqa: F401
from peft_atlas.costs import all_costs
from peft_atlas.job import job
from peft_atlas.records import COSTS, write_table

with job(snakemake.log[0]):
    costs = all_costs(map(Path, snakemake.input.benchmarks), map(Path, snakemake.input.runs))
    write_table(COSTS, costs, Path(snakemake.output.costs))
