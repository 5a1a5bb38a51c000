"""Every finding of the study."""

from __future__ import annotations

from peft_atlas.analysis.finding import ATLAS, Effect, Finding
from peft_atlas.analysis.statistics import mean_interval
from peft_atlas.studies.coin.jobs import NAME
from peft_atlas.studies.findings import Given


def findings(given: Given) -> list[Finding]:
    """Return the study's one answer."""
    heads = mean_interval(given.of(NAME, "runs")["test_accuracy"].astype(float), given.confidence)
    effect = Effect.of_estimate(heads, given.confidence, "percent heads", 100)
    detail = f"The coin shows heads in {effect.in_words(unit='percent')} of the tosses."
    return [
        Finding("answer", "coin_choice", NAME, "Which side?", ATLAS, "measured", "runs: study=coin", detail, effect)
    ]
