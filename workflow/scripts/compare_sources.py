"""Put measured means and published numbers into one table."""

from pathlib import Path

import peft_atlas.without_gc  # noqa: F401
from peft_atlas.job import job
from peft_atlas.records import COMPARISON, PUBLISHED, SUMMARY, read_table, write_table
from peft_atlas.studies.comparison import compare_sources

with job(snakemake.log[0]):
    summary = read_table(SUMMARY, snakemake.input.summary)
    published = read_table(PUBLISHED, snakemake.input.published)
    write_table(COMPARISON, compare_sources(summary, published), Path(snakemake.output.comparison))
