"""What to do with the results: figures and numbers for a paper, the same study on one's own data, another run."""

from __future__ import annotations

from peft_atlas.report.content import Block, Code, Paragraph, Section
from peft_atlas.report.material import Material

OWN_DATA = """# my.yaml
studies: [encoder]
encoder:
  # A name on the Hugging Face hub, or a folder; without this line, the packaged all-MiniLM-L6-v2.
  model: bert-base-uncased
  tasks:
    - name: mine
      file: mine.csv
      # Your columns of texts and of classes.
      text: sentence
      label: class
  # For a file of 400 texts; without these lines it takes about 5,500.
  train_examples: 200
  validation_examples: 55
  test_examples: 90
  larger_budgets: []"""
OWN_RUN = """snakemake --cores 2 --configfile my.yaml -n
snakemake --cores 2 --configfile my.yaml"""
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
            "1. Get the project and run make once; it installs what is needed. 2. Save your file, a CSV or Parquet "
            "with a column of texts and one of classes, in the project's folder, and this next to it as my.yaml:"
        ),
        Code(OWN_DATA),
        Paragraph(
            "3. With the environment active (source .venv/bin/activate), the first command lists the jobs and the most "
            "that each may take, and the second runs them. 4. Open results/report.html: cards, tables and figures are "
            "those of your runs. The encoder study trains classifiers of the families bert, roberta, electra and their "
            "like; for prompts and answers on a language model of the LLaMA family use the decoder study "
            "(docs/how-to.md)."
        ),
        Code(OWN_RUN),
    ]
    return Section("own", "My model and data", blocks)
