"""Summarise the runs over seeds: means with intervals, and paired comparisons."""

from pathlib import Path

import peft_atlas.without_gc  # noqa: F401
from peft_atlas.job import job
from peft_atlas.records import CONTRASTS, CURVES, RUNS, SUMMARY, read_table, write_table
from peft_atlas.studies.all_contrasts import all_contrasts
from peft_atlas.studies.summary import summarise

with job(snakemake.log[0]):
    runs, curves = read_table(RUNS, snakemake.input.runs), read_table(CURVES, snakemake.input.curves)
    confidence, margin = snakemake.params.confidence, snakemake.params.margin
    write_table(SUMMARY, summarise(runs, curves, confidence), Path(snakemake.output.summary))
    write_table(CONTRASTS, all_contrasts(runs, curves, confidence, margin), Path(snakemake.output.contrasts))
