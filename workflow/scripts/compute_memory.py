"""Compute the bytes that training takes, by base model, method and precision."""

from pathlib import Path

import peft_atlas.without_gc  # noqa: F401
from peft_atlas.accounting.memory import memory_table
from peft_atlas.job import job
from peft_atlas.records import MEMORY, write_table

with job(snakemake.log[0]):
    write_table(MEMORY, memory_table(), Path(snakemake.output.memory))
