"""Paired comparisons over seeds: each cell of a study against a reference, in families adjusted together.

A family is what asks one question in one role. A primary family is prespecified and small: its tests are adjusted by
Holm's method, and each interval has the confidence by itself. An exploratory family is everything else that is compared
on one task, since a table or figure invites the reader to pick from it: its intervals cover together
(`simultaneous_confidence`), and its adjusted p is below 1 - confidence exactly where such an interval excludes 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from peft_atlas.analysis.power import detectable_difference, possible_difference
from peft_atlas.analysis.statistics import (
    Estimate,
    equivalence_p,
    holm,
    interval_name,
    paired_difference,
    sidak,
    simultaneous_confidence,
)

METRIC, UNIT = "test_accuracy", "fraction"
Role = Literal["primary", "exploratory"]
PRIMARY: Role = "primary"
EXPLORATORY: Role = "exploratory"


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
    unit: str = UNIT
    margin: float | None = None
    role: Role = PRIMARY

    @property
    def family(self) -> tuple[Any, ...]:
        """Return what is adjusted together with it: all of a primary question, an exploratory one task by task."""
        return self.question, self.role, *(() if self.role == PRIMARY else (self.task, self.train_examples))

    def estimate(self, confidence: float) -> Estimate:
        """Return the mean difference with its interval."""
        left, right = self._aligned()
        found = paired_difference(left.to_numpy(), right.to_numpy(), confidence)
        return found.within(-1, 1) if self.unit == UNIT else found

    def p_equivalence(self) -> float | None:
        """Return the p of equivalence within the margin, unadjusted; None where no margin is set."""
        left, right = self._aligned()
        return None if self.margin is None else equivalence_p((left - right).to_numpy(), self.margin)

    def _aligned(self) -> tuple[pd.Series[float], pd.Series[float]]:
        left, right = self.left.align(self.right, join="outer")
        return left, right


def by_seed(runs: pd.DataFrame, metric: str = METRIC, **cell: object) -> pd.Series[float]:
    """Return a metric of the runs of one cell, indexed by seed; nan where a run has none."""
    chosen = runs
    for name, value in cell.items():
        chosen = chosen[chosen[name].isna() if value is None else chosen[name] == value]
    return chosen.set_index("seed")[metric].astype(float).sort_index()


def compare(study: str, comparisons: Sequence[Comparison], confidence: float) -> list[dict[str, Any]]:
    """Return one row per comparison, adjusted within its family.

    A cell is ``indistinguishable`` from its reference where the adjusted paired t-test does not reject at
    1 - confidence; a comparison that cannot be made (fewer than two seeds) has null there. ``detectable`` is the
    smallest difference that the test detects with 80 % power, at the strictest level that the adjustment may ask for.
    Tests of equivalence are not adjusted.
    """
    rows: list[dict[str, Any]] = [{}] * len(comparisons)
    for family in dict.fromkeys(comparison.family for comparison in comparisons):
        places = [place for place, comparison in enumerate(comparisons) if comparison.family == family]
        for place, row in zip(places, _family(study, [comparisons[p] for p in places], confidence), strict=True):
            rows[place] = row
    return rows


def _family(study: str, comparisons: Sequence[Comparison], confidence: float) -> list[dict[str, Any]]:
    """Return the rows of the comparisons that are adjusted together."""
    role = comparisons[0].role
    alone = [comparison.estimate(confidence) for comparison in comparisons]
    p_values = [np.nan if estimate.p_value is None else estimate.p_value for estimate in alone]
    tests = int(np.isfinite(p_values).sum())
    primary = role == PRIMARY
    each = confidence if primary else simultaneous_confidence(confidence, tests)
    level = (1 - confidence) / max(tests, 1) if primary else 1 - each
    adjusted = holm(p_values) if primary else sidak(p_values)
    rows = []
    for comparison, p in zip(comparisons, adjusted, strict=True):
        estimate, known = comparison.estimate(each), bool(np.isfinite(p))
        rows.append(
            {
                **_identity(study, comparison),
                **_estimated(estimate, _interval(confidence, role, tests)),
                "p_adjusted": float(p) if known else None,
                "adjustment": _adjustment(role, tests),
                "detectable": possible_difference(
                    detectable_difference(estimate.sd, estimate.n, level), comparison.unit
                ),
                "p_equivalence": comparison.p_equivalence(),
                "indistinguishable": bool(p >= 1 - confidence) if known else None,
            }
        )
    return rows


def _interval(confidence: float, role: Role, tests: int) -> str:
    """Return the name of the intervals of a family."""
    together = f", simultaneous over {tests} comparisons" if role == EXPLORATORY and tests > 1 else ""
    return f"{interval_name(confidence)}, paired{together}"


def _adjustment(role: Role, tests: int) -> str:
    """Return how the p of a family are adjusted."""
    if tests <= 1:
        return "none, one comparison"
    return f"{'Holm' if role == PRIMARY else 'Sidak'}, {tests} comparisons"


def _identity(study: str, comparison: Comparison) -> dict[str, Any]:
    """Return the columns that say what is compared."""
    names = (
        *("question", "task", "method", "setting", "rank", "alpha", "shift_rank", "train_examples", "metric"),
        *("reference", "margin", "role", "unit"),
    )
    return {"study": study, **{name: getattr(comparison, name) for name in names}}


def _estimated(estimate: Estimate, interval: str) -> dict[str, Any]:
    """Return the columns of an estimate."""
    return {
        "difference": estimate.mean,
        "low": estimate.low,
        "high": estimate.high,
        "interval": interval,
        "n": estimate.n,
        "p_value": estimate.p_value,
    }
