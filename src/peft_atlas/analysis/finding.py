"""One statement with its verdict and evidence."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

import pandas as pd

from peft_atlas.analysis.statistics import Estimate, interval_name

SEED_NOTEBOOK = "seed notebook"
ATLAS = "PEFT Atlas"


@dataclass(frozen=True)
class Finding:
    """A row of the contract ``findings``; ``evidence`` names a table and the columns that select its rows."""

    kind: Literal["answer", "claim", "erratum", "check"]
    id: str
    study: str
    statement: str
    source: str
    verdict: str
    evidence: str
    detail: str | None = None
    effect: float | None = None
    unit: str | None = None
    low: float | None = None
    high: float | None = None
    interval: str | None = None
    n: int | None = None


def as_rows(findings: Iterable[Finding]) -> pd.DataFrame:
    """Return findings as rows of the contract ``findings``, in the order they are given."""
    return pd.DataFrame([{**asdict(finding), "position": place} for place, finding in enumerate(findings)])


def effect_of(contrast: pd.Series[Any]) -> dict[str, Any]:
    """Return the effect columns that a row of contrasts gives a finding, fractions as percentage points."""
    effect, low, high = (None if pd.isna(contrast[c]) else 100 * contrast[c] for c in ("difference", "low", "high"))
    return {
        "effect": effect,
        "unit": "percentage points",
        "low": low,
        "high": high,
        "interval": contrast["interval"],
        "n": int(contrast["n"]),
    }


def effect_of_estimate(estimate: Estimate, confidence: float, unit: str, scale: float = 1.0) -> dict[str, Any]:
    """Return the effect columns that an estimate over seeds gives a finding."""
    scaled = (None if value is None else scale * value for value in (estimate.mean, estimate.low, estimate.high))
    effect, low, high = scaled
    return {
        "effect": effect,
        "unit": unit,
        "low": low,
        "high": high,
        "interval": interval_name(confidence) + ", paired",
        "n": estimate.n,
    }


def in_words(effect: float | None, low: float | None, high: float | None, unit: str, digits: int = 1) -> str:
    """Return an effect with its interval as text, for example ``+0.6 percentage points [0.2, 1.1]``."""
    if effect is None:
        return "not measured"
    interval = "" if low is None or high is None else f" [{low:+.{digits}f}, {high:+.{digits}f}]"
    return f"{effect:+.{digits}f} {unit}{interval}"
