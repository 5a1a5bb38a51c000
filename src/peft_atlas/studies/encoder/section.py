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
        "Every method sees the same examples, epochs and number of learning rates, which validation chooses from with "
        "the first seed; test is read once, at the chosen rate. The encoder draws no dropout. Intervals cover the "
        "seed, which draws training examples, head, adapter and order, and not the choice of task or of test rows.",
        "runs: study=encoder; contrasts: study=encoder",
    )
    return [intro, *material.figures_of(study=STUDY.name), table(caption, shown, formats)]


def costs(material: Material) -> pd.DataFrame:
    """Return the seconds and bytes of memory of a run of each cell, means over its runs."""
    return costs_of(material.tables["runs"], material.tables["costs"], STUDY.name)
