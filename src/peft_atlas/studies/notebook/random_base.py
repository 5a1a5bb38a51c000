"""The notebook's random frozen base, and what the adaptation study measures instead."""

from __future__ import annotations

import pandas as pd

from peft_atlas.analysis.finding import POINTS, SEED_NOTEBOOK, Effect, Finding
from peft_atlas.analysis.statistics import paired_difference
from peft_atlas.studies.adaptation.jobs import NO_ADAPTATION

_STATEMENT = "The frozen base is random, so nothing is adapted"


def random_base(adaptation: pd.DataFrame, confidence: float) -> Finding:
    """Return the erratum: fixed where the adaptation study was run, with what LoRA gains over its pretrained base.

    Parameters
    ----------
    adaptation
        Runs of the adaptation study, none where it was not run.
    confidence
        Confidence level of the interval.
    """
    rows = adaptation[(adaptation["experiment"] == "methods") & adaptation["selected"].fillna(value=True)]
    if rows.empty:
        detail = (
            "Sections 2-4 train adapters on random weights; they do not test fine-tuning, and no claim about it is "
            "based on them here. The adaptation study, which uses a pretrained base, was not run."
        )
        evidence = "runs: study=notebook"
        return Finding("erratum", "random_base", "notebook", _STATEMENT, SEED_NOTEBOOK, "open", evidence, detail)
    means = rows.pivot_table(index="seed", columns="method", values="test_accuracy", aggfunc="mean", dropna=False)
    estimate = paired_difference(means["LoRA"].astype(float), means[NO_ADAPTATION].astype(float), confidence)
    effect = Effect.of_estimate(estimate, confidence, POINTS, 100)
    words = effect.in_words()
    return Finding(
        "erratum",
        "random_base",
        "notebook",
        _STATEMENT,
        SEED_NOTEBOOK,
        "fixed",
        "runs: study=adaptation, experiment=methods",
        "The adaptation study pretrains the base and adapts it to tasks that differ from its own by a known shift; "
        f"over its target tasks LoRA changes test accuracy by {words} against the base as it is.",
        effect=effect,
    )
