"""The laboratory's paired comparisons: batch size, capacity, variants of LoRA, and intruders shrunk."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from peft_atlas.analysis.contrasts import EXPLORATORY, PRIMARY, Comparison, Levels, by_seed, compare
from peft_atlas.studies.laboratory.jobs import BATCH, CAPACITY, INTRUDERS, NAME, VARIANTS

BATCH_GAP, CAPACITY_GAP, VARIANT = "gap_at_large_batch", "gap_with_many_examples", "variant_against_lora"
SHRUNK_SOURCE, SHRUNK_TARGET = "source_after_shrinking", "target_after_shrinking"
AGAINST_UPDATE = "intruders_against_update"


def contrasts(runs: pd.DataFrame, curves: pd.DataFrame, levels: Levels) -> list[dict[str, Any]]:
    """Return the comparisons of the laboratory as rows of the contract ``contrasts``.

    Parameters
    ----------
    runs, curves
        Tables of those contracts, of the laboratory alone.
    levels
        Confidence level of the intervals, 1 minus which is the level of the tests, and the margin of equivalence.
    """
    chosen = runs[runs["selected"].fillna(value=False)]
    comparisons = [
        *_batches(chosen[chosen["experiment"] == BATCH]),
        *_capacity(chosen[chosen["experiment"] == CAPACITY]),
        *_variants(chosen[chosen["experiment"] == VARIANTS], levels.margin),
        *_shrunk(chosen[chosen["experiment"] == INTRUDERS], levels.margin),
    ]
    return compare(NAME, comparisons, levels.confidence)


def _gap(runs: pd.DataFrame, rank: int) -> pd.Series[float]:
    """Return LoRA's test accuracy less that of full fine-tuning, by seed."""
    return by_seed(runs, method="LoRA", rank=rank) - by_seed(runs, method="full")


def _batches(runs: pd.DataFrame) -> Iterator[Comparison]:
    """Yield LoRA less full fine-tuning with the largest batches, against the same with the smallest."""
    tasks = sorted(runs["task"].unique(), key=lambda task: int(task.rpartition(" ")[2]))
    if len(tasks) > 1:
        lora = runs[runs["method"] == "LoRA"].iloc[0]
        left, right = (_gap(runs[runs["task"] == task], int(lora["rank"])) for task in (tasks[-1], tasks[0]))
        reference = f"the same with {tasks[0].rpartition(', ')[2]}"
        yield Comparison(
            *(BATCH_GAP, tasks[-1], "LoRA less full", int(lora["rank"]), float(lora["alpha"]), reference, left, right),
            train_examples=int(lora["train_examples"]),
        )


def _capacity(runs: pd.DataFrame) -> Iterator[Comparison]:
    """Yield, for each rank, LoRA less full fine-tuning with the most examples against the same with the fewest."""
    counts = sorted(int(count) for count in runs["train_examples"].unique())
    if len(counts) < 2:
        return
    many, few = (runs[runs["train_examples"] == count] for count in (counts[-1], counts[0]))
    for rank, cell in many[many["method"] == "LoRA"].groupby("rank", sort=True):
        size, alpha = int(str(rank)), float(cell["alpha"].iloc[0])
        reference = f"the same with {counts[0]:,} examples"
        yield Comparison(
            *(CAPACITY_GAP, str(cell["task"].iloc[0]), "LoRA less full", size, alpha, reference),
            *(_gap(many, size), _gap(few, size)),
            train_examples=counts[-1],
        )


def _variants(runs: pd.DataFrame, margin: float) -> Iterator[Comparison]:
    """Yield each variant of LoRA against LoRA, each at its own rate."""
    own = (runs["method"] == "LoRA") & (runs["setting"] == "alpha = 2r")
    plain = by_seed(runs[own])
    for (method, setting), cell in runs[~own & (runs["method"] != "full")].groupby(["method", "setting"], dropna=False):
        first = cell.iloc[0]
        yield Comparison(
            *(VARIANT, str(first["task"]), str(method), int(first["rank"]), float(first["alpha"]), "LoRA"),
            *(by_seed(cell), plain, None if pd.isna(setting) else str(setting)),
            train_examples=int(first["train_examples"]),
            margin=margin,
            role=EXPLORATORY,
        )


def _shrunk(runs: pd.DataFrame, margin: float) -> Iterator[Comparison]:
    """Yield each rank's networks with something shrunk against the same as trained, and against the other part shrunk.

    The intruders at the largest factor are what is judged; all else is exploratory.
    """
    if runs.empty:
        return
    factors = runs["setting"].str.rpartition(" ")[2].astype(float)
    judged = f"intruders times {factors[factors < 1].max():g}"
    for (rank, setting), cell in runs[factors < 1].groupby(["rank", "setting"], sort=True):
        first, size, part = cell.iloc[0], int(str(rank)), str(setting)
        role = PRIMARY if part == judged else EXPLORATORY
        others = {SHRUNK_SOURCE: "intruders times 1", SHRUNK_TARGET: "intruders times 1"}
        if part.startswith("intruders"):
            others[AGAINST_UPDATE] = part.replace("intruders", "update")
        for question, reference in others.items():
            metric = "test_accuracy" if question == SHRUNK_TARGET else "source_accuracy"
            right = by_seed(runs, metric, rank=size, setting=reference)
            yield Comparison(
                *(question, str(first["task"]), "LoRA", size, float(first["alpha"]), reference),
                *(by_seed(cell, metric), right, part),
                train_examples=int(first["train_examples"]),
                metric=metric,
                margin=margin if question == SHRUNK_TARGET else None,
                role=role,
            )
