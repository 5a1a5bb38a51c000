"""The adaptation study's paired comparisons: ranks against the shift's, methods against full fine-tuning, alphas."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pandas as pd

from peft_atlas.analysis.contrasts import Comparison, Levels, by_seed, compare
from peft_atlas.studies.adaptation.jobs import NAME

SATURATION, AGAINST_FULL, ALPHA, FORGETTING = (
    "rank_against_shift_rank",
    "method_against_full",
    "alpha_against_selected",
    "forgetting_against_full",
)


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
    comparisons = [
        *_ranks_against_shift(chosen[chosen["experiment"] == "ranks"]),
        *_methods_against_full(chosen[chosen["experiment"] == "methods"], levels.margin),
        *_alphas_against_selected(chosen[chosen["experiment"] == "alphas"]),
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
                alpha = float(cell["alpha"].iloc[0])
                left = by_seed(cell)
                name = "LoRA of the shift's own rank"
                yield Comparison(SATURATION, task, "LoRA", rank, alpha, name, left, own, None, shift, examples)


def _methods_against_full(runs: pd.DataFrame, margin: float) -> Iterator[Comparison]:
    """Yield every method against full fine-tuning: accuracy on the target, and what is left on the source."""
    for task, shift, examples, group in _targets(runs):
        for method, cell in group[group["method"] != "full"].groupby("method", sort=True):
            first = cell.iloc[0]
            rank = None if pd.isna(first["rank"]) else int(first["rank"])
            alpha = None if pd.isna(first["alpha"]) else float(first["alpha"])
            accuracy = Comparison(
                AGAINST_FULL,
                task,
                str(method),
                rank,
                alpha,
                "full fine-tuning",
                by_seed(cell),
                by_seed(group, method="full"),
                None,
                shift,
                examples,
                margin=margin,
            )
            yield accuracy
            kept, full = (by_seed(rows, "source_accuracy") for rows in (cell, group[group["method"] == "full"]))
            yield replace(accuracy, question=FORGETTING, metric="source_accuracy", left=kept, right=full, margin=None)


def _alphas_against_selected(runs: pd.DataFrame) -> Iterator[Comparison]:
    """Yield LoRA at every alpha against the alpha that validation selects, for each rank and scaling."""
    for task, shift, examples, group in _targets(runs):
        for (rule, rank), cell in group.groupby(["setting", "rank"], sort=True):
            means = cell.groupby("alpha")["validation_accuracy"].mean()
            best = float(means.idxmax())
            for alpha in means.index:
                if alpha != best:
                    left, right = by_seed(cell, alpha=alpha), by_seed(cell, alpha=best)
                    name = f"alpha {best:g}, selected on validation"
                    yield Comparison(
                        ALPHA, task, "LoRA", int(rank), float(alpha), name, left, right, str(rule), shift, examples
                    )
