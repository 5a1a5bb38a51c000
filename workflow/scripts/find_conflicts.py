"""Find the cells that are printed with more than one number, and what explains or settles each."""

from pathlib import Path

import peft_atlas.without_gc  # noqa: F401
from peft_atlas.findings.conflicts import conflicts
from peft_atlas.job import job
from peft_atlas.records import CONFLICTS, PARAMETERS, PUBLISHED, read_table, write_table

with job(snakemake.log[0]):
    published = read_table(PUBLISHED, snakemake.input.published)
    parameters = read_table(PARAMETERS, snakemake.input.parameters)
    write_table(CONFLICTS, conflicts(published, parameters), Path(snakemake.output.conflicts))
