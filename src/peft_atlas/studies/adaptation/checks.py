"""Checks of the adaptation study on its own runs: controls that must gain nothing, and a test set that is read once."""

from __future__ import annotations

import pandas as pd

from peft_atlas.analysis.finding import ATLAS, POINTS, Effect, Finding
from peft_atlas.analysis.statistics import paired_difference
from peft_atlas.studies.adaptation.jobs import NO_ADAPTATION


def adaptation_checks(runs: pd.DataFrame, confidence: float) -> list[Finding]:
    """Return the checks of the adaptation study.

    Parameters
    ----------
    runs
        Runs of the adaptation study.
    confidence
        Confidence level of the intervals.
    """
    return [*_shuffled(runs, confidence), _read_once(runs)]


def _shuffled(runs: pd.DataFrame, confidence: float) -> list[Finding]:
    """Return, a method, whether training on shuffled labels gains nothing over no adaptation."""
    control = runs[(runs["experiment"] == "shuffled_labels") & runs["selected"].fillna(value=False)]
    base = runs[runs["method"] == NO_ADAPTATION]
    found = []
    for method, group in control.groupby("method", sort=True):
        first = group.iloc[0]
        same = (base["shift_rank"] == first["shift_rank"]) & (base["train_examples"] == first["train_examples"])
        left, right = (rows.set_index("seed")["test_accuracy"].astype(float) for rows in (group, base[same]))
        left, right = left.align(right, join="outer")
        effect = Effect.of_estimate(paired_difference(left, right, confidence), confidence, POINTS, 100)
        gained = effect.low is not None and effect.low > 0
        words = effect.in_words()
        found.append(
            Finding(
                "check",
                f"adaptation_shuffled_{str(method).lower()}",
                "adaptation",
                f"{method} gains nothing from shuffled labels",
                ATLAS,
                "fail" if gained else "pass",
                f"runs: study=adaptation, experiment=shuffled_labels, method={method}, selected=True",
                f"Test accuracy after training on labels permuted among the examples, less no adaptation: {words}.",
                effect=effect,
            )
        )
    return found


def _read_once(runs: pd.DataFrame) -> Finding:
    """Return whether test was read at the chosen learning rates alone."""
    searched = runs[runs["selected"].notna()]
    early = searched[~searched["selected"].fillna(value=True) & searched["test_accuracy"].notna()]
    return Finding(
        "check",
        "adaptation_test_read_once",
        "adaptation",
        "Test is read at the learning rate that validation chose, and at no other",
        ATLAS,
        "fail" if len(early) else "pass",
        "runs: study=adaptation, selected=False",
        f"{len(searched):,} runs at searched rates; {len(early)} of those not chosen have a test accuracy.",
        effect=Effect(float(len(early)), "runs", n=len(searched)),
    )
