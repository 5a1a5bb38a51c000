"""The record of published runs in the report, by question."""

from __future__ import annotations

import pandas as pd

from peft_atlas.report.content import Block, FigureBlock, Paragraph, table
from peft_atlas.report.material import Material
from peft_atlas.studies.record.jobs import NAME
from peft_atlas.studies.record.passes import math_runs, passes
from peft_atlas.studies.record.sweep import rate_trends
from peft_atlas.tables.names import RECORD

# Each question, the figures that show it, and the findings that answer it, by the start of their ids.
QUESTIONS = (
    (
        "Which conclusions of a living benchmark survive its own history?",
        ("benchmark_conclusions", "benchmark_over_time"),
        ("record_survives", "record_noise", "record_order", "record_drift", "record_conclusion"),
    ),
    (
        "What do its columns mean?",
        (),
        ("record_printed_time", "record_forgetting", "record_within_error", "record_incomplete", "record_parameters"),
    ),
    (
        "What does LoRA cost and give compared with full fine-tuning, on a LLaMA model and on images?",
        (),
        ("record_time", "record_against_full", "record_modules", "record_images"),
    ),
    (
        "Who wins when every method has its own learning rate?",
        ("winner_by_rate",),
        ("record_rates", "record_tuned", "record_printed_moments", "record_batch", "record_papers"),
    ),
    (
        "How does the best rate move with the rank?",
        ("best_rate_by_rank",),
        ("record_rate_", "record_higher_rank", "record_diverged", "record_scaling"),
    ),
    (
        "Which printed numbers cannot hold as stated?",
        (),
        ("record_peaks", "record_counts"),
    ),
)

# Figures of our own runs that ask what a published one asks.
_OWN = {"winner_by_rate": "adaptation_rates"}


def blocks(material: Material) -> list[Block]:
    """Return, question by question, the figures and the findings on published runs, and where the rows come from."""
    rows = pd.concat([material.tables[name][["repository", "commit"]].assign(table=name) for name in RECORD])
    intro = Paragraph(
        f"{len(rows):,} rows from {rows['repository'].nunique()} repositories: single runs, counts and statements as "
        "their sources have them, each with its commit. What follows is computed from them; single runs have no "
        "interval, so intervals come from reruns, from repeated runs or from the number of models.",
        "; ".join(RECORD),
    )
    figures = {figure.name: figure for figure in material.figures_of(study=NAME)}
    return [intro, *_passes(material), *_answers(material, figures), *_scaling(material), _sources(rows)]


def _answers(material: Material, figures: dict[str, FigureBlock]) -> list[Block]:
    """Return each question's figures, and its findings as a table."""
    found = material.findings("answer", "claim", "check", study=NAME)
    parts: list[Block] = []
    for question, names, ids in QUESTIONS:
        chosen = found[found["id"].str.startswith(ids)]
        parts += [figures[name] for name in names if name in figures]
        parts += _beside(material, names)
        parts.append(table(question, chosen[["statement", "source", "verdict", "detail", "evidence"]]))
    return parts


def _beside(material: Material, names: tuple[str, ...]) -> list[Block]:
    """Return what a figure of our own runs shows on the question of a published one, where its study was run."""
    own = {figure.name: figure for figure in material.figures}
    shown = [own[_OWN[name]] for name in names if _OWN.get(name) in own]
    return [Paragraph(f"Measured here: {figure.finding} (Figure: {figure.title}.)", "summary") for figure in shown]


def _passes(material: Material) -> list[Block]:
    """Return the passes of the benchmark with the software that each ran on."""
    shown = [
        {
            "pass": name,
            "experiments": len(rows),
            "transformers": rows["transformers"].iloc[0],
            "torch": rows["torch"].iloc[0],
            "median accuracy (%)": rows["points"].median(),
        }
        for name, rows in passes(math_runs(material.tables["benchmark_runs"])).items()
    ]
    caption = "Passes of peft's method comparison (Llama-3.2-3B, MetaMathQA to GSM8K) over its history."
    return [table(caption, pd.DataFrame(shown), {"median accuracy (%)": ".1f"})]


def _scaling(material: Material) -> list[Block]:
    """Return how the best rate moves with rank in every source that prints it for several ranks."""
    trends = rate_trends(material.tables["rate_statements"]).drop(columns="statement")
    return [table("The best rate by rank as other sources print it, and how alpha follows the rank there.", trends)]


def _sources(rows: pd.DataFrame) -> Block:
    """Return how many rows each repository gives, by table."""
    counts = rows.groupby(["repository", "table"]).agg(rows=("commit", "size"), commits=("commit", "nunique"))
    return table("Repositories, and how many rows each gives.", counts.reset_index())
