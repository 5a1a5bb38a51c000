"""Recompute the published parameter counts, by closed form and on models of the published shapes."""

from pathlib import Path

import peft_atlas.without_gc  # noqa: F401
from peft_atlas.accounting.attached import parameter_table
from peft_atlas.job import job
from peft_atlas.records import PARAMETERS, write_table

with job(snakemake.log[0]):
    write_table(PARAMETERS, parameter_table(), Path(snakemake.output.parameters))
