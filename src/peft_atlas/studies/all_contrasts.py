"""The paired comparisons of every study that was run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd

from peft_atlas.studies.encoder_contrasts import encoder_contrasts
from peft_atlas.studies.notebook_contrasts import notebook_contrasts

# One entry a study: its comparisons from its own runs and curves.
_CONTRASTS: dict[str, Callable[[pd.DataFrame, pd.DataFrame, float], list[dict[str, Any]]]] = {
    "notebook": notebook_contrasts,
    "encoder": encoder_contrasts,
}


def all_contrasts(runs: pd.DataFrame, curves: pd.DataFrame, confidence: float) -> list[dict[str, Any]]:
    """Return the comparisons of each study that has runs, as rows of the contract ``contrasts``."""
    present = [study for study in _CONTRASTS if (runs["study"] == study).any()]
    return [
        row
        for study in present
        for row in _CONTRASTS[study](runs[runs["study"] == study], curves[curves["study"] == study], confidence)
    ]
