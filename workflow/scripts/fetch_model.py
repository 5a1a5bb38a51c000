"""Fetch the pretrained model of the encoder study."""

from pathlib import Path

import peft_atlas.without_gc  # noqa: F401
from peft_atlas.job import job
from peft_atlas.models.fetch import fetch_model

with job(snakemake.log[0]):
    fetch_model(snakemake.params.model, Path(snakemake.output[0]).parent)
