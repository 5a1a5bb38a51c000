"""The notebook study in the report: baseline, sweep, and every measured cell."""

from __future__ import annotations

import pandas as pd

from peft_atlas.report.content import Block, Paragraph, table
from peft_atlas.report.material import Material
from peft_atlas.report.studies.spec import AnswerPart, StudySpec

SPEC = StudySpec(
    name="notebook",
    title="Measured: the notebook's network",
    label="Measured on the notebook's small network",
    about=(
        "Sections 2-4 of the seed notebook: a small network trained in full and by LoRA, and a sweep over rank and "
        "alpha."
    ),
    order=1,
    answers=(
        AnswerPart("cost", "notebook_cost", "params_vs_accuracy", 1),
        AnswerPart("gain", "notebook_gain", "learning_curves", 1),
        AnswerPart("rank", "notebook_rank", "params_vs_accuracy", 1),
        AnswerPart("rank", "notebook_rank_trend"),
        AnswerPart("alpha", "notebook_alpha", "rank_scaling_heatmap", 1),
        AnswerPart("choice", "notebook_choice", "rank_alpha_heatmap", 1),
    ),
    headlines=("notebook_gain", "notebook_choice"),
)


def blocks(material: Material) -> list[Block]:
    """Return the study's figures and a table of its cells."""
    cells = material.cells_of(SPEC.name)
    names = {"params_percent": "% of parameters", "value": "test accuracy (%)", "n": "seeds", "task": "experiment"}
    shown = cells[["task", "method", "rank", "alpha", "params_percent", "value", "low", "high", "n"]]
    shown = shown.assign(task=shown["task"].str.removeprefix(f"{SPEC.name}: ")).rename(columns=names)
    formats = {"% of parameters": ".2f", "test accuracy (%)": ".2f", "low": ".2f", "high": ".2f", "alpha": "g"}
    caption = f"Mean test accuracy after the last epoch of every cell; low and high: {cells['interval'].iloc[0]}."
    intro = Paragraph(
        "A network of 100-256-2, trained by this workflow. Settings are chosen on validation; the sweep reads test "
        "once, after training, and the baseline's test curve chooses nothing; differences are paired by seed.",
        "runs: study=notebook; curves: study=notebook; summary: study=notebook; contrasts: study=notebook",
    )
    return [intro, *material.figures_of(study=SPEC.name), table(caption, shown, formats)]


def costs(material: Material) -> pd.DataFrame:
    """Return the seconds a run of each cell; members of a block train together, so they share its time equally."""
    spent, runs = material.tables["costs"], material.tables["runs"]
    runs = runs[runs["study"] == SPEC.name]
    keys = ["task", "method", "setting", "rank", "alpha", "experiment"]
    cells = runs[keys].drop_duplicates(ignore_index=True)
    seconds, memory = {}, {}
    for rule, experiments in (("train_sweep", ["sweep"]), ("train_baseline", ["baseline", "dropout_after_A"])):
        jobs, members = spent[spent["rule"] == rule], runs[runs["experiment"].isin(experiments)]
        for experiment in experiments:
            seconds[experiment] = jobs["wall_seconds"].sum() / max(len(members), 1)
            memory[experiment] = jobs["peak_memory_mb"].max() * 1e6
    return cells.assign(seconds=cells["experiment"].map(seconds), memory_bytes=cells["experiment"].map(memory))
