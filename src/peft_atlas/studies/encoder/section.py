"""The encoder study in the report: every method on a pretrained transformer and real text."""

from __future__ import annotations

import pandas as pd

from peft_atlas.report.content import Block, Paragraph, table
from peft_atlas.report.material import Material
from peft_atlas.report.tables import costs_of
from peft_atlas.studies.encoder.description import STUDY


def blocks(material: Material) -> list[Block]:
    """Return the study's figures and a table of its cells."""
    cells = material.cells_of(STUDY.name)
    names = {"params_percent": "% of parameters", "value": "test accuracy (%)", "n": "seeds", "task": "experiment"}
    shown = cells[["task", "method", "setting", "rank", "alpha", "params_percent", "value", "low", "high", "n"]]
    shown = shown.assign(task=shown["task"].str.removeprefix(f"{STUDY.name}: ")).rename(columns=names)
    formats = {"% of parameters": ".3f", "test accuracy (%)": ".2f", "low": ".2f", "high": ".2f", "alpha": "g"}
    caption = f"Mean test accuracy after the last epoch of every cell; low and high: {cells['interval'].iloc[0]}."
    intro = Paragraph(
        "The prespecified question compares one setting with full fine-tuning over all tasks that train both, with the "
        "most seeds and test texts; everything else is exploratory, with fewer, so that intervals of single means are "
        "wide. Every setting, rank, task and budget has a learning rate that validation chose for it: a grid grows "
        "where its end is chosen, and a choice that stays at an end is marked edge among the runs. Exploratory rates "
        "are left after the first epoch where others are better. Test is read once, after the choice. The encoder "
        "draws no dropout. A run that learnt no more than the shares of the classes is called collapsed and keeps its "
        "numbers.",
        "runs: study=encoder; contrasts: study=encoder",
    )
    return [intro, *material.figures_of(study=STUDY.name), table(caption, shown, formats)]


def costs(material: Material) -> pd.DataFrame:
    """Return the seconds and bytes of memory of a run of each cell, means over its runs."""
    return costs_of(material.tables["runs"], material.tables["costs"], STUDY.name)
