"""Draw one figure from the result tables it names."""

from pathlib import Path

import peft_atlas.without_gc  # noqa: F401
from peft_atlas.config import FigureStyle
from peft_atlas.figures.render import render
from peft_atlas.figures.spec import load_figure
from peft_atlas.job import job
from peft_atlas.records import CONTRACTS, read_table

with job(snakemake.log[0]):
    tables = {name: read_table(CONTRACTS[name], snakemake.input[name]) for name in snakemake.params.tables}
    style = FigureStyle.model_validate(snakemake.params.style)
    render(load_figure(snakemake.params.name), tables, style, Path(snakemake.output.svg).with_suffix(""))
