"""Write the page that shows all figures."""

from pathlib import Path

import peft_atlas.without_gc  # noqa: F401
from peft_atlas.files import write_text
from peft_atlas.job import job
from peft_atlas.report.render import read_figures, render_gallery

with job(snakemake.log[0]):
    figures = read_figures(map(Path, snakemake.params.figures))
    write_text(Path(snakemake.output.gallery), render_gallery(figures))
