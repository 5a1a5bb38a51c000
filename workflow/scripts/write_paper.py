"""Write numbers and tables for LaTeX."""

from pathlib import Path

import peft_atlas.without_gc  # noqa: F401
from peft_atlas.job import job
from peft_atlas.records import CONTRACTS, read_table
from peft_atlas.report.paper import write_paper

with job(snakemake.log[0]):
    names = snakemake.params.tables
    tables = {name: read_table(CONTRACTS[name], snakemake.input[name]) for name in names}
    write_paper(tables, snakemake.params.studies, Path(snakemake.output.numbers).parent)
