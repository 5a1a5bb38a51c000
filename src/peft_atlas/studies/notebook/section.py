"""The notebook study in the report: baseline, sweep, and every measured cell."""

from __future__ import annotations

import pandas as pd

from peft_atlas.analysis.comparison import task_label
from peft_atlas.report.content import Block, Paragraph, table
from peft_atlas.report.material import Material
from peft_atlas.report.method_rows import ComparedTask, measured_rows
from peft_atlas.studies.notebook.contrasts import LAST_EPOCH
from peft_atlas.studies.notebook.description import STUDY
from peft_atlas.studies.notebook.jobs import TUNED_PART

# Parts of the study that a rule of their own trains.
OWN_RULES = ("sweep", TUNED_PART)


def blocks(material: Material) -> list[Block]:
    """Return the study's figures and a table of its cells."""
    cells = material.cells_of(STUDY.name)
    names = {"params_percent": "% of parameters", "value": "test accuracy (%)", "n": "seeds", "task": "experiment"}
    shown = cells[["task", "method", "rank", "alpha", "params_percent", "value", "low", "high", "n"]]
    shown = shown.assign(task=shown["task"].str.removeprefix(f"{STUDY.name}: ")).rename(columns=names)
    formats = {"% of parameters": ".2f", "test accuracy (%)": ".2f", "low": ".2f", "high": ".2f", "alpha": "g"}
    caption = f"Mean test accuracy after the last epoch of every cell; low and high: {cells['interval'].iloc[0]}."
    intro = Paragraph(
        "A network of 100-256-2, trained by this workflow. Settings are chosen on validation; the sweep reads test "
        "once, after training, and the baseline's test curve chooses nothing; differences are paired by seed.",
        "runs: study=notebook; curves: study=notebook; summary: study=notebook; contrasts: study=notebook",
    )
    return [intro, *material.figures_of(study=STUDY.name), table(caption, shown, formats)]


def compared(material: Material) -> list[ComparedTask]:
    """Return LoRA and full training of the baseline, judged on held-out data."""
    runs, contrasts = material.tables["runs"], material.tables["contrasts"]
    part = runs[(runs["study"] == STUDY.name) & (runs["experiment"] == "baseline") & (runs["task"] == "held_out")]
    if part.empty:
        return []
    first = part.iloc[0]
    about = (
        f"The notebook's network of two layers on its synthetic task: {first['train_examples']:,} training examples, "
        f"{first['epochs']} epochs, {part['seed'].nunique()} seeds, one rate for both, tuned for neither."
    )
    rows = contrasts[(contrasts["study"] == STUDY.name) & (contrasts["question"] == LAST_EPOCH)]
    return [ComparedTask("The notebook's network", about, measured_rows(part, rows, rank=True))]


def costs(material: Material) -> pd.DataFrame:
    """Return the seconds a run of each cell; members of a block train together, so they share its time equally."""
    spent, runs = material.tables["costs"], material.tables["runs"]
    runs = runs[runs["study"] == STUDY.name]
    rules = runs["experiment"].map(lambda name: f"train_{name}" if name in OWN_RULES else "train_baseline")
    by_rule = spent.groupby("rule")
    seconds = by_rule["wall_seconds"].sum() / rules.value_counts()
    memory = 1e6 * by_rule["peak_memory_mb"].max()
    cells = runs.assign(
        task=task_label(runs),
        seconds=rules.map(seconds),
        memory_bytes=rules.map(memory),
    )
    names = ["task", "method", "setting", "rank", "alpha", "seconds", "memory_bytes"]
    return cells[names].drop_duplicates(ignore_index=True)
