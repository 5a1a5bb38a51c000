"""Train one job of the encoder study: a search of rates, a setting, its ranks, or from random weights."""

from pathlib import Path

import torch

import peft_atlas.without_gc  # noqa: F401
from peft_atlas.config import EncoderConfig
from peft_atlas.job import job
from peft_atlas.records import COSTS, CURVES, RUNS, read_table, write_table
from peft_atlas.studies import encoder
from peft_atlas.tasks.examples import read_texts

with job(snakemake.log[0]):
    torch.set_num_threads(snakemake.threads)
    params, paths = snakemake.params, snakemake.input
    part = encoder.Part(
        EncoderConfig.model_validate(params.config),
        snakemake.wildcards.text_task,
        read_texts(Path(paths.examples)),
        Path(paths.model[0]).parent,
        params.device,
        Path("results/checkpoints"),
    )
    if params.part == "search":
        tables = encoder.search_rates(part, params.setting, params.seed, params.rates)
    else:
        rate = encoder.selected_rate(read_table(RUNS, Path(paths.search)))
        train = {"setting": encoder.train_setting, "ranks": encoder.train_ranks, "random": encoder.train_random}
        tables = train[params.part](part, params.setting, params.seed, rate)
    write_table(RUNS, tables.runs, Path(snakemake.output.runs))
    write_table(CURVES, tables.curves, Path(snakemake.output.curves))
    write_table(COSTS, tables.costs, Path(snakemake.output.costs))
