"""The adaptation study in the report: saturation, methods, alpha, learning rates, forgetting, and its cells."""

from __future__ import annotations

import pandas as pd

from peft_atlas.report.content import Block, Paragraph, table
from peft_atlas.report.material import Material
from peft_atlas.report.method_rows import ComparedTask, measured_rows
from peft_atlas.report.tables import costs_of
from peft_atlas.studies.adaptation.contrasts import AGAINST_FULL
from peft_atlas.studies.adaptation.description import STUDY
from peft_atlas.studies.adaptation.edges import at_edge
from peft_atlas.studies.adaptation.jobs import NO_ADAPTATION


def blocks(material: Material) -> list[Block]:
    """Return the study's figures and a table of its comparisons with full fine-tuning."""
    intro = Paragraph(
        f"{STUDY.about} Test is read once, at the chosen rate; differences are paired by seed.",
        "runs: study=adaptation; contrasts: study=adaptation",
    )
    contrasts = material.tables["contrasts"]
    rows = contrasts[(contrasts["study"] == STUDY.name) & (contrasts["question"] == "method_against_full")]
    columns = ["method", "shift_rank", "train_examples", "difference", "low", "high", "n", "p_adjusted"]
    shown = rows[columns].rename(columns={"n": "seeds", "p_adjusted": "adjusted p"})
    for column in ("difference", "low", "high"):
        shown[column] = 100 * shown[column]
    formats = {"difference": "+.2f", "low": "+.2f", "high": "+.2f", "adjusted p": ".2g"}
    named = f"; low and high: {rows['interval'].dropna().iloc[0]}" if rows["interval"].notna().any() else ""
    caption = f"Test accuracy less that of full fine-tuning in percentage points, paired by seed{named}."
    return [intro, *material.figures_of(study=STUDY.name), table(caption, shown, formats)]


def compared(material: Material) -> list[ComparedTask]:
    """Return the methods on each target task; runs share time and memory, which are left out."""
    runs, contrasts = material.tables["runs"], material.tables["contrasts"]
    chosen = runs[(runs["study"] == STUDY.name) & (runs["experiment"] == "methods")]
    chosen = chosen[chosen["selected"].fillna(value=False) & (chosen["method"] != NO_ADAPTATION)]
    ends = dict.fromkeys(at_edge(runs[runs["study"] == STUDY.name], "methods"), True)
    rows = contrasts[(contrasts["study"] == STUDY.name) & (contrasts["question"] == AGAINST_FULL)]
    found = []
    for (shift, examples), part in chosen.groupby(["shift_rank", "train_examples"], sort=True):
        own = rows[(rows["shift_rank"] == shift) & (rows["train_examples"] == examples)]
        keys = zip(part["method"], part["shift_rank"], part["train_examples"], strict=True)
        marked = part.assign(edge=[ends.get((str(m), int(s), int(n)), False) for m, s, n in keys])
        found.append(
            ComparedTask(
                f"Small network, shift of rank {shift}, {examples:,} examples",
                f"A pretrained network of two layers, adapted to a task whose first layer differs by a random matrix "
                f"of rank {shift}: {examples:,} training examples, {part['seed'].nunique()} seeds.",
                measured_rows(marked, own),
            )
        )
    return found


def costs(material: Material) -> pd.DataFrame:
    """Return the seconds and bytes of memory of a run of each cell; runs that train together share the time equally."""
    return costs_of(material.tables["runs"], material.tables["costs"], STUDY.name)
