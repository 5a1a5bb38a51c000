"""Paired comparisons over seeds: each cell of a study against a reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from peft_atlas.analysis.statistics import equivalence_p, holm, interval_name, paired_difference

METRIC, UNIT = "test_accuracy", "fraction"


@dataclass(frozen=True)
class Levels:
    """The confidence level of intervals and tests, and the difference within which two results are equivalent."""

    confidence: float
    margin: float


@dataclass(frozen=True)
class Comparison:
    """One cell's outcomes against a reference's, both a Series indexed by seed; the reference itself has none."""

    question: str
    task: str
    method: str
    rank: int | None
    alpha: float | None
    reference: str
    left: pd.Series[float]
    right: pd.Series[float]
    setting: str | None = None
    shift_rank: int | None = None
    train_examples: int | None = None
    metric: str = METRIC
    margin: float | None = None


def by_seed(runs: pd.DataFrame, metric: str = METRIC, **cell: object) -> pd.Series[float]:
    """Return a metric of the runs of one cell, indexed by seed; nan where a run has none."""
    chosen = runs
    for name, value in cell.items():
        chosen = chosen[chosen[name].isna() if value is None else chosen[name] == value]
    return chosen.set_index("seed")[metric].astype(float).sort_index()


def compare(study: str, comparisons: Sequence[Comparison], confidence: float) -> list[dict[str, Any]]:
    """Return one row a comparison, p adjusted by Holm's method within each question.

    A cell is ``indistinguishable`` from its reference where the adjusted paired t-test does not reject at
    1 - confidence; a comparison that cannot be made (fewer than two seeds) has null there.
    """
    rows = [_row(study, comparison, confidence) for comparison in comparisons]
    for question in dict.fromkeys(row["question"] for row in rows):
        family = [row for row in rows if row["question"] == question]
        adjusted = holm([float("nan") if row["p_value"] is None else row["p_value"] for row in family])
        for row, p in zip(family, adjusted, strict=True):
            known = row["p_value"] is not None
            row["p_adjusted"] = float(p) if known else None
            row["indistinguishable"] = bool(p >= 1 - confidence) if known else None
            row["adjustment"] = f"Holm, {sum(r['p_value'] is not None for r in family)} comparisons"
    return rows


def _row(study: str, comparison: Comparison, confidence: float) -> dict[str, Any]:
    """Return a comparison's estimate, before adjustment."""
    left, right = comparison.left.align(comparison.right, join="outer")
    estimate = paired_difference(left.to_numpy(), right.to_numpy(), confidence)
    margin = comparison.margin
    return {
        "study": study,
        "question": comparison.question,
        "task": comparison.task,
        "method": comparison.method,
        "setting": comparison.setting,
        "rank": comparison.rank,
        "alpha": comparison.alpha,
        "shift_rank": comparison.shift_rank,
        "train_examples": comparison.train_examples,
        "metric": comparison.metric,
        "unit": UNIT,
        "reference": comparison.reference,
        "difference": estimate.mean,
        "low": estimate.low,
        "high": estimate.high,
        "interval": interval_name(confidence) + ", paired",
        "n": estimate.n,
        "p_value": estimate.p_value,
        "p_adjusted": None,
        "adjustment": None,
        "margin": margin,
        "p_equivalence": None if margin is None else equivalence_p((left - right).to_numpy(), margin),
        "indistinguishable": None,
    }
