"""Read and check the transcribed tables."""

from pathlib import Path

from peft_atlas.job import job
from peft_atlas.published.load import load_published
from peft_atlas.records import PUBLISHED, write_table

with job(snakemake.log[0]):
    write_table(PUBLISHED, load_published(Path(snakemake.params.folder)), Path(snakemake.output.published))
