"""What to do with the results: figures and numbers for a paper, the same study on one's own data, another run."""

from __future__ import annotations

from peft_atlas.report.content import Block, Code, Paragraph, Section
from peft_atlas.report.material import Material

OWN_DATA = """studies: [encoder]
encoder:
  model: bert-base-uncased            # a name on the Hugging Face hub, or a folder; families bert, roberta, electra ...
  tasks:
    - {name: mine, file: mine.csv, text: sentence, label: class}"""
RERUN = """make                          # set up .venv and run everything
snakemake --cores 2           # the same, with the environment active
snakemake --cores 2 figures   # only the figures, from the combined tables
snakemake --cores 2 --configfile my.yaml"""
LATEX = r"""\usepackage{booktabs, graphicx, longtable}
\graphicspath{{figures/}}
\input{results/paper/numbers}
\input{results/paper/memory}"""


def use_sections(material: Material) -> list[Section]:
    """Return the sections for readers who want to take something from here."""
    return [_paper(material), _own(), Section("rerun", "How to rerun this", [Code(RERUN)])]


def _paper(material: Material) -> Section:
    blocks: list[Block] = [
        Paragraph(
            f"{len(material.figures)} figures as PDF, SVG and PNG, each with its numbers, caption and LaTeX float in "
            "figures/; every effect with its interval as a LaTeX command in results/paper/numbers.tex, tables for "
            "booktabs with it. The files of a figure are linked below it."
        ),
        Code(LATEX),
    ]
    return Section("paper", "For a paper", blocks)


def _own() -> Section:
    blocks: list[Block] = [
        Paragraph(
            "Put this into my.yaml and run snakemake --cores 2 --configfile my.yaml. The file is a CSV or Parquet "
            "with a column of texts and one of classes; encoders for classification can be trained, decoders cannot. "
            "Cards, table and figures of this page are then those of your runs. A dry run (-n) says what it will take."
        ),
        Code(OWN_DATA),
    ]
    return Section("own", "My model and data", blocks)
