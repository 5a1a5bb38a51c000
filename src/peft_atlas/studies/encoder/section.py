"""The encoder study in the report: every method on a pretrained transformer and real text."""

from __future__ import annotations

import pandas as pd

from peft_atlas.report.content import Block, Paragraph, table
from peft_atlas.report.material import Material
from peft_atlas.report.method_rows import ComparedTask, measured_rows
from peft_atlas.report.tables import costs_of
from peft_atlas.studies.encoder.contrasts import AGAINST_FULL, BUDGET, PRIMARY
from peft_atlas.studies.encoder.description import STUDY
from peft_atlas.studies.encoder.jobs import CONTROLS_PART, RANKS
from peft_atlas.studies.encoder.packaged import PACKAGED_TASKS, task_in_words


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


def compared(material: Material) -> list[ComparedTask]:
    """Return the methods of each task and budget, at the rates that validation chose."""
    runs, costs = material.tables["runs"], material.tables["costs"]
    own = runs[(runs["study"] == STUDY.name) & runs["selected"].fillna(value=False)]
    parts = own[~own["experiment"].isin([RANKS, CONTROLS_PART])]
    spent = costs.dropna(subset=["run_id"])
    order = {task.name: place for place, task in enumerate(material.settings.encoder.tasks)}
    cells = sorted(
        parts.groupby(["task", "train_examples"]),
        key=lambda cell: (order.get(cell[0][0], len(order)), cell[0][1]),
    )
    return [_compared(material, part, spent) for _, part in cells]


def _compared(material: Material, part: pd.DataFrame, spent: pd.DataFrame) -> ComparedTask:
    """Return the methods of one task and budget."""
    first = part.iloc[0]
    contrasts = material.tables["contrasts"]
    rows = contrasts[contrasts["question"].isin([PRIMARY, AGAINST_FULL, BUDGET])]
    rows = rows[(rows["task"] == first["task"]) & (rows["train_examples"] == first["train_examples"])]
    seeds = part.groupby(["method", "setting"], dropna=False)["seed"].nunique()
    span = f"{seeds.min()}" if seeds.min() == seeds.max() else f"{seeds.min()} to {seeds.max()}"
    examples, epochs = f"{first['train_examples']:,}", f"{first['epochs']} epoch{'s' if first['epochs'] > 1 else ''}"
    task = task_in_words(first["task"])
    return ComparedTask(
        f"{task}, {examples} examples",
        f"{first['model']} on {task}: {examples} training examples, {epochs}, {span} seeds; every method searches its "
        "rate on validation.",
        measured_rows(part, rows, spent),
        published=first["task"] in PACKAGED_TASKS,
    )


def costs(material: Material) -> pd.DataFrame:
    """Return the seconds and bytes of memory of a run of each cell, means over its runs."""
    return costs_of(material.tables["runs"], material.tables["costs"], STUDY.name)
