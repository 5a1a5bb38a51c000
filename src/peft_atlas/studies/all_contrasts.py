"""The paired comparisons of every study that was run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd

from peft_atlas.studies.adaptation_contrasts import adaptation_contrasts
from peft_atlas.studies.encoder_contrasts import encoder_contrasts
from peft_atlas.studies.notebook_contrasts import notebook_contrasts

Contrasts = Callable[[pd.DataFrame, pd.DataFrame, float, float], list[dict[str, Any]]]
# One entry a study: its comparisons from its own runs and curves, the confidence level and the margin.
_CONTRASTS: dict[str, Contrasts] = {
    "notebook": lambda runs, curves, confidence, margin: notebook_contrasts(runs, curves, confidence),
    "adaptation": lambda runs, curves, confidence, margin: adaptation_contrasts(runs, confidence, margin),
    "encoder": lambda runs, curves, confidence, margin: encoder_contrasts(runs, curves, confidence),
}


def all_contrasts(runs: pd.DataFrame, curves: pd.DataFrame, confidence: float, margin: float) -> list[dict[str, Any]]:
    """Return the comparisons of each study that has runs, as rows of the contract ``contrasts``.

    Parameters
    ----------
    runs, curves
        Tables of those contracts.
    confidence
        Confidence level of the intervals.
    margin
        Difference in accuracy within which two methods count as equivalent.
    """
    present = [study for study in _CONTRASTS if (runs["study"] == study).any()]
    return [
        row
        for study in present
        for row in _CONTRASTS[study](runs[runs["study"] == study], curves[curves["study"] == study], confidence, margin)
    ]
