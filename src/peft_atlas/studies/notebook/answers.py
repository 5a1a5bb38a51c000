"""The notebook study's questions, answered from the combined tables."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from peft_atlas.analysis.finding import ATLAS, POINTS, Effect, Finding
from peft_atlas.analysis.statistics import Estimate, paired_difference, slope_interval


def notebook_answers(runs: pd.DataFrame, contrasts: pd.DataFrame, confidence: float) -> list[Finding]:
    """Return what the notebook study says on cost, accuracy, rank and alpha.

    Parameters
    ----------
    runs, contrasts
        Tables of those contracts.
    confidence
        Confidence level of the intervals.
    """
    study = runs[runs["study"] == "notebook"]
    sweep = study[study["experiment"] == "sweep"]
    return [
        _cost(study),
        _gain(contrasts),
        _setting_matters(sweep, "rank", confidence),
        _rank_trend(sweep, confidence),
        _setting_matters(sweep, "alpha", confidence),
        _equal_cells(contrasts),
    ]


def contrast(contrasts: pd.DataFrame, question: str, **columns: Any) -> pd.Series[Any]:
    """Return the one row of contrasts that a question and columns select."""
    rows = contrasts[contrasts["question"] == question]
    for name, value in columns.items():
        rows = rows[rows[name] == value]
    return rows.iloc[0]


def _cost(study: pd.DataFrame) -> Finding:
    """Return what share of the full model LoRA trains."""
    lora = study[(study["experiment"] == "baseline") & (study["method"] == "LoRA")].iloc[0]
    full = study[(study["experiment"] == "baseline") & (study["method"] == "full")].iloc[0]
    return Finding(
        "answer",
        "notebook_cost",
        "notebook",
        "What does LoRA cost on the notebook's network?",
        ATLAS,
        "measured",
        "runs: study=notebook, experiment=baseline",
        f"LoRA with r = {lora['rank']} trains {lora['trainable_params']:,} of {full['trainable_params']:,} parameters, "
        f"{lora['params_percent']:.1f} %: far from the 1 % of large models, since r is not small beside a width of "
        f"{full['model'].split('-')[-2]}.",
        effect=Effect(float(lora["params_percent"]), "percent of the full model's parameters", n=1),
    )


def _gain(contrasts: pd.DataFrame) -> Finding:
    """Return LoRA's test accuracy against the full model's."""
    row = contrast(contrasts, "lora_against_full", task="held_out")
    effect = Effect.of_contrast(row)
    words = effect.in_words()
    told = "does not tell" if pd.isna(row["p_value"]) or row["indistinguishable"] else "tells"
    return Finding(
        "answer",
        "notebook_gain",
        "notebook",
        "What does LoRA give against training the full model?",
        ATLAS,
        "measured",
        "contrasts: question=lora_against_full, task=held_out",
        f"After equal epochs LoRA's test accuracy less the full model's is {words}; a paired t-test {told} them apart.",
        effect=effect,
    )


def _by_setting(sweep: pd.DataFrame, setting: str, metric: str) -> pd.DataFrame:
    """Return a metric averaged over the other setting: one row a seed, one column a value of ``setting``."""
    return sweep.pivot_table(index="seed", columns=setting, values=metric, aggfunc="mean", dropna=False)


def _setting_matters(sweep: pd.DataFrame, setting: str, confidence: float) -> Finding:
    """Return the difference on test between the values of a setting that are best and worst on validation."""
    validation = _by_setting(sweep, setting, "validation_accuracy").mean()
    test = _by_setting(sweep, setting, "test_accuracy")
    best, worst = validation.idxmax(), validation.idxmin()
    estimate = paired_difference(test[best].to_numpy(), test[worst].to_numpy(), confidence)
    effect = Effect.of_estimate(estimate, confidence, POINTS, 100)
    words = effect.in_words()
    remark = " At a fixed learning rate alpha also sets the step size, so this is not its effect alone."
    return Finding(
        "answer",
        f"notebook_{setting}",
        "notebook",
        f"Does {setting} matter?",
        ATLAS,
        "measured",
        f"runs: study=notebook, experiment=sweep, {setting}={best:g} and {worst:g}",
        f"From {setting} = {worst:g} to {setting} = {best:g}, the worst and the best on validation, test accuracy "
        f"changes by {words}.{remark if setting == 'alpha' else ''}",
        effect=effect,
    )


def _rank_trend(sweep: pd.DataFrame, confidence: float) -> Finding:
    """Return the change of test accuracy with each doubling of the rank."""
    test = _by_setting(sweep, "rank", "test_accuracy")
    ranks = np.log2(test.columns.to_numpy(dtype=float))
    estimate: Estimate = slope_interval(ranks, test.to_numpy(dtype=float), confidence)
    effect = Effect.of_estimate(estimate, confidence, f"{POINTS} a doubling", 100)
    words = effect.in_words(2)
    return Finding(
        "answer",
        "notebook_rank_trend",
        "notebook",
        "Do higher ranks help?",
        ATLAS,
        "measured",
        "runs: study=notebook, experiment=sweep, rank, test_accuracy",
        f"Each doubling of the rank changes test accuracy by {words}, averaged over the alphas of the grid.",
        effect=effect,
    )


def _equal_cells(contrasts: pd.DataFrame) -> Finding:
    """Return how many cells of the sweep cannot be told from the selected one."""
    rows = contrasts[contrasts["question"] == "sweep_against_selected"]
    tied = int(rows["indistinguishable"].fillna(value=False).sum())
    if rows.empty:
        detail, reference = "The sweep has one cell.", "the only cell"
    else:
        reference = rows["reference"].iloc[0]
        detail = f"{tied} of the {len(rows)} other cells of the sweep cannot be told from {reference}."
    return Finding(
        "answer",
        "notebook_choice",
        "notebook",
        "How much choice of rank and alpha is there?",
        ATLAS,
        "measured",
        "contrasts: question=sweep_against_selected",
        detail,
        effect=Effect(float(tied), "cells", n=len(rows)),
    )
