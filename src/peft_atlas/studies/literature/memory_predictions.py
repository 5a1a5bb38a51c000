"""Published training peaks next to those that the planner predicts, as a result table."""

from __future__ import annotations

import pandas as pd

from peft_atlas.planning.accuracy import excluded_runs, predicted_against_measured
from peft_atlas.step import Step
from peft_atlas.tables.literature_schemas import PREDICTIONS


def predictions_step(step: Step) -> None:
    """Predict the peak of every measured run."""
    step.write("predictions", predictions())


def predictions() -> pd.DataFrame:
    """Return every measured run, rows of the contract ``predictions``; those that are not predicted say why."""
    rows = pd.concat([predicted_against_measured(), excluded_runs().rename(columns={"reason": "excluded"})])
    return rows.reindex(columns=PREDICTIONS.schema().names).reset_index(drop=True).replace("", None)
