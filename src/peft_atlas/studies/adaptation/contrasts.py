"""The adaptation study's paired comparisons: ranks against the shift's, methods against full fine-tuning, alphas.

Primary are LoRA against full fine-tuning over the six target tasks, on accuracy and on what is kept of the source task,
as it is and at equal learning; LoRA on both layers against full fine-tuning where the shift is in either; and alpha
with its learning rate tuned. Everything else is exploratory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pandas as pd

from peft_atlas.analysis.contrasts import EXPLORATORY, PRIMARY, Comparison, Levels, by_seed, compare
from peft_atlas.studies.adaptation.equal_learning import kept_at_equal_learning
from peft_atlas.studies.adaptation.jobs import NAME, NO_ADAPTATION

EQUAL_LEARNING, POOLED_EQUAL_LEARNING = "forgetting_at_equal_learning", "forgetting_at_equal_learning_pooled"
PLACEMENT, LAYERS = "placement_against_full", "second_layer_against_first"
FIRST, SECOND, BOTH = "fc1", "fc2", "fc1, fc2"
SATURATION, AGAINST_FULL, ALPHA, FORGETTING, POOLED_FORGETTING = (
    "rank_against_shift_rank",
    "method_against_full",
    "alpha_against_selected",
    "forgetting_against_full",
    "forgetting_pooled",
)
FULL = "full fine-tuning"


def contrasts(runs: pd.DataFrame, curves: pd.DataFrame, levels: Levels) -> list[dict[str, Any]]:
    """Return the comparisons of the adaptation study as rows of the contract ``contrasts``.

    Parameters
    ----------
    runs, curves
        Tables of those contracts, of the adaptation study alone.
    levels
        Confidence level of the intervals, 1 minus which is the level of the tests, and the margin of equivalence.
    """
    chosen = runs[runs["selected"].fillna(value=True)]
    methods = chosen[chosen["experiment"] == "methods"]
    comparisons = [
        *_ranks_against_shift(chosen[chosen["experiment"] == "ranks"]),
        *_methods_against_full(methods, levels.margin),
        *_pooled_forgetting(methods),
        *_forgetting_at_equal_learning(runs[runs["experiment"] == "methods"]),
        *_placements(chosen[chosen["experiment"] == "placement"], levels.margin),
        *_alphas_against_selected(chosen[chosen["experiment"] == "alphas"], levels.margin),
    ]
    return compare(NAME, comparisons, levels.confidence)


def _targets(runs: pd.DataFrame) -> Iterator[tuple[str, int, int, pd.DataFrame]]:
    """Yield each target task: its name, the rank of its shift, its training examples, and its runs."""
    for (task, shift, examples), group in runs.groupby(["task", "shift_rank", "train_examples"], sort=True):
        yield str(task), int(shift), int(examples), group


def _ranks_against_shift(runs: pd.DataFrame) -> Iterator[Comparison]:
    """Yield LoRA of every rank against LoRA of the shift's own rank, where the sweep has that."""
    for task, shift, examples, group in _targets(runs[runs["method"] == "LoRA"]):
        ranks = sorted(int(rank) for rank in group["rank"].unique())
        if shift not in ranks:
            continue
        own = by_seed(group, rank=shift)
        for rank in ranks:
            if rank != shift:
                cell = group[group["rank"] == rank]
                yield Comparison(
                    SATURATION,
                    task,
                    "LoRA",
                    rank,
                    float(cell["alpha"].iloc[0]),
                    "LoRA of the shift's own rank",
                    by_seed(cell),
                    own,
                    shift_rank=shift,
                    train_examples=examples,
                    role=EXPLORATORY,
                )


def _methods_against_full(runs: pd.DataFrame, margin: float) -> Iterator[Comparison]:
    """Yield every method against full fine-tuning: accuracy on the target, and what is left on the source."""
    for task, shift, examples, group in _targets(runs):
        full = group[group["method"] == "full"]
        for method, cell in group[group["method"] != "full"].groupby("method", sort=True):
            first = cell.iloc[0]
            accuracy = Comparison(
                AGAINST_FULL,
                task,
                str(method),
                None if pd.isna(first["rank"]) else int(first["rank"]),
                None if pd.isna(first["alpha"]) else float(first["alpha"]),
                FULL,
                by_seed(cell),
                by_seed(full),
                shift_rank=shift,
                train_examples=examples,
                margin=margin,
                role=PRIMARY if method == "LoRA" else EXPLORATORY,
            )
            yield accuracy
            kept, left = (by_seed(rows, "source_accuracy") for rows in (cell, full))
            yield replace(accuracy, question=FORGETTING, metric="source_accuracy", left=kept, right=left, margin=None)


def _pooled_forgetting(runs: pd.DataFrame) -> Iterator[Comparison]:
    """Yield what LoRA keeps of the source task against full fine-tuning, each seed's mean over the target tasks.

    The tasks share the seeds' networks, so that a seed is the unit and its mean the outcome.
    """
    kept = {method: _mean_by_seed(runs[runs["method"] == method], "source_accuracy") for method in ("LoRA", "full")}
    lora = runs[runs["method"] == "LoRA"]
    if len(lora):
        rank, alpha = int(lora["rank"].iloc[0]), float(lora["alpha"].iloc[0])
        yield Comparison(
            *(POOLED_FORGETTING, "all target tasks", "LoRA", rank, alpha, FULL, kept["LoRA"], kept["full"]),
            metric="source_accuracy",
        )


def _mean_by_seed(runs: pd.DataFrame, metric: str) -> pd.Series[float]:
    """Return each seed's mean over the target tasks; a seed that lacks one is missing."""
    wide = runs.pivot(index="seed", columns=["shift_rank", "train_examples"], values=metric).astype(float)
    return wide.mean(axis=1, skipna=False)


def _forgetting_at_equal_learning(runs: pd.DataFrame) -> Iterator[Comparison]:
    """Yield what LoRA keeps of the source against full fine-tuning where both have learnt equally much."""
    kept = []
    for task, shift, examples, group in _targets(runs):
        lora, full, base = (group[group["method"] == name] for name in ("LoRA", "full", NO_ADAPTATION))
        if min(map(len, (lora, full, base))) == 0:
            continue
        size, reference = (int(lora["rank"].iloc[0]), float(lora["alpha"].iloc[0])), f"{FULL} at equal learning"
        left, right = kept_at_equal_learning(lora, full, base)
        kept.append((left, right))
        yield Comparison(
            *(EQUAL_LEARNING, task, "LoRA", *size, reference, left, right),
            shift_rank=shift,
            train_examples=examples,
            metric="source_accuracy",
        )
    if kept:
        left, right = (pd.concat(side, axis=1).mean(axis=1, skipna=False) for side in zip(*kept, strict=True))
        pooled = (POOLED_EQUAL_LEARNING, "all target tasks", "LoRA", *size, reference, left, right)
        yield Comparison(*pooled, metric="source_accuracy")


def _placements(runs: pd.DataFrame, margin: float) -> Iterator[Comparison]:
    """Yield LoRA of each placement, and the head alone, against full fine-tuning; and LoRA on one layer or the other.

    All placements train about equally many parameters. Primary is LoRA on both layers, for which nobody needs to know
    what was shifted.
    """
    for task, shift, examples, group in _targets(runs):
        full = by_seed(group[group["method"] == "full"])
        for (method, setting), cell in group[group["method"] != "full"].groupby(["method", "setting"], dropna=False):
            first = cell.iloc[0]
            named = None if pd.isna(setting) else str(setting)
            size = [None if pd.isna(first[name]) else float(first[name]) for name in ("rank", "alpha")]
            yield Comparison(
                *(PLACEMENT, task, str(method), None if size[0] is None else int(size[0]), size[1], FULL),
                *(by_seed(cell), full, named),
                shift_rank=shift,
                train_examples=examples,
                margin=margin,
                role=PRIMARY if named == BOTH else EXPLORATORY,
            )
        cells = {str(setting): cell for setting, cell in group[group["method"] == "LoRA"].groupby("setting")}
        if {FIRST, SECOND} <= set(cells):
            second = cells[SECOND].iloc[0]
            yield Comparison(
                *(LAYERS, task, "LoRA", int(second["rank"]), float(second["alpha"]), "LoRA on the first layer"),
                *(by_seed(cells[SECOND]), by_seed(cells[FIRST]), SECOND),
                shift_rank=shift,
                train_examples=examples,
                role=EXPLORATORY,
            )


def _alphas_against_selected(runs: pd.DataFrame, margin: float) -> Iterator[Comparison]:
    """Yield LoRA at every alpha against the alpha that validation selects, for each rank and scaling.

    Where two scalings multiply the update of a rank by the same factor, their runs are equal bit for bit; such a
    comparison is made once.
    """
    seen: set[tuple[str, int, int, float, float]] = set()
    for task, shift, examples, group in _targets(runs):
        for (rule, rank), cell in group.groupby(["setting", "rank"], sort=True):
            factors = cell.groupby("alpha")["scaling"].first()
            best = float(cell.groupby("alpha")["validation_accuracy"].mean().idxmax())
            for alpha, factor in factors.items():
                key = (task, examples, int(rank), float(factor), float(factors[best]))
                if alpha == best or key in seen:
                    continue
                seen.add(key)
                yield Comparison(
                    ALPHA,
                    task,
                    "LoRA",
                    int(rank),
                    float(alpha),
                    f"alpha {best:g}, selected on validation",
                    by_seed(cell, alpha=alpha),
                    by_seed(cell, alpha=best),
                    setting=str(rule),
                    shift_rank=shift,
                    train_examples=examples,
                    margin=margin,
                )
