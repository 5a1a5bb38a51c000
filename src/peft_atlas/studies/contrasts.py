"""The paired comparisons of every study of a run, and the summaries over seeds."""

from __future__ import annotations

from typing import Any

import pandas as pd

from peft_atlas.analysis.contrasts import Levels
from peft_atlas.analysis.summary import summarise
from peft_atlas.step import Step
from peft_atlas.studies.study import studies_of


def all_contrasts(runs: pd.DataFrame, curves: pd.DataFrame, levels: Levels) -> list[dict[str, Any]]:
    """Return the comparisons of each study that has runs, as rows of the contract ``contrasts``.

    Parameters
    ----------
    runs, curves
        Tables of those contracts.
    levels
        Confidence level of the intervals and margin of equivalence.
    """
    return [
        row
        for study in studies_of(tuple(runs["study"].unique()))
        if study.has("contrasts")
        for row in study.part("contrasts").contrasts(
            runs[runs["study"] == study.name], curves[curves["study"] == study.name], levels
        )
    ]


def summarise_step(step: Step) -> None:
    """Summarise the runs over seeds: means with intervals, and paired comparisons."""
    runs, curves, params = step.read("runs"), step.read("curves"), step.params
    step.write("summary", summarise(runs, curves, params["confidence"]))
    step.write("contrasts", all_contrasts(runs, curves, Levels(params["confidence"], params["margin"])))
