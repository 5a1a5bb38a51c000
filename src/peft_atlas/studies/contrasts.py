"""The paired comparisons of every study of a run, and the summaries over seeds."""

from __future__ import annotations

from collections.abc import Mapping
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
    per_item = all_item_contrasts(runs, step.read("per_item", "items"), params["confidence"], params["questions"])
    rows = all_contrasts(runs, curves, Levels(params["confidence"], params["margin"]))
    step.write("contrasts", [*rows, *per_item])


def all_item_contrasts(
    runs: pd.DataFrame, items: pd.DataFrame, confidence: float, questions: Mapping[str, Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return the comparisons that rest on single test items, of each study that has runs and such comparisons.

    Parameters
    ----------
    runs, items
        Tables of those contracts.
    confidence
        Confidence level of the intervals.
    questions
        What each study prespecified, by its name.
    """
    return [
        row
        for study in studies_of(tuple(runs["study"].unique()))
        if study.has("item_contrasts")
        for row in study.part("item_contrasts").contrasts(
            runs[runs["study"] == study.name], items, confidence, questions[study.name]
        )
    ]
