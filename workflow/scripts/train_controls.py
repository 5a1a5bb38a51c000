"""Fit the controls of one task: majority class and TF-IDF with logistic regression."""

from pathlib import Path

import peft_atlas.without_gc  # noqa: F401
from peft_atlas.job import job
from peft_atlas.records import CURVES, RUNS, write_table
from peft_atlas.studies.encoder_controls import control_runs
from peft_atlas.tasks.examples import read_texts

with job(snakemake.log[0]):
    params, texts = snakemake.params, read_texts(Path(snakemake.input.examples))
    runs, curves = control_runs(texts, snakemake.wildcards.text_task, params.train_examples, params.seeds)
    write_table(RUNS, runs, Path(snakemake.output.runs))
    write_table(CURVES, curves, Path(snakemake.output.curves))
