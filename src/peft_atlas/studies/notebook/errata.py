"""The seed notebook's errors: each is fixed, with what the fix changes, or left open."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from peft_atlas.analysis.finding import POINTS, SEED_NOTEBOOK, Effect, Finding
from peft_atlas.analysis.statistics import mean_interval
from peft_atlas.studies.notebook.answers import contrast


def notebook_errata(
    runs: pd.DataFrame, contrasts: pd.DataFrame, checks: pd.DataFrame, confidence: float
) -> list[Finding]:
    """Return the errors of the notebook's sections 2-4.

    Parameters
    ----------
    runs, contrasts
        Tables of those contracts.
    checks
        The notebook study's checks, of the contract ``findings``.
    confidence
        Confidence level of the intervals.
    """
    study = runs[runs["study"] == "notebook"]
    return [
        _forward(checks),
        _split(contrasts, checks),
        _dropout(contrasts),
        _budget(contrasts),
        _one_seed(study, confidence),
        _biases(study),
        _redundant_ranks(study),
    ]


def _erratum(
    name: str, statement: str, verdict: str, evidence: str, detail: str, effect: Effect | None = None
) -> Finding:
    return Finding("erratum", name, "notebook", statement, SEED_NOTEBOOK, verdict, evidence, detail, effect=effect)


def _check(checks: pd.DataFrame, name: str) -> pd.Series[Any]:
    return checks[checks["id"] == name].iloc[0]


def _forward(checks: pd.DataFrame) -> Finding:
    check = _check(checks, "forward_as_published")
    return _erratum(
        "forward_transposes_twice",
        "LoRALinear.forward cannot run",
        "fixed",
        "findings: kind=check, id=forward_as_published",
        f"{check['detail']} Fixed: the update is (alpha / r) B A x.",
        effect=Effect(float(check["effect"]), "ranks that run as published", n=int(check["n"])),
    )


def _split(contrasts: pd.DataFrame, checks: pd.DataFrame) -> Finding:
    row = contrast(contrasts, "held_out_against_as_published", method="LoRA")
    effect = Effect.of_contrast(row)
    shared = _check(checks, "leakage_as_published")["detail"]
    return _erratum(
        "test_rows_relabelled",
        "The test rows are the first training rows, with labels from a different teacher",
        "fixed",
        "contrasts: question=held_out_against_as_published; findings: id=label_agreement_as_published",
        f"As published: {shared} {_check(checks, 'label_agreement_as_published')['detail']} Judging the same LoRA "
        f"training on held-out rows of its own teacher changes test accuracy by {effect.in_words()}.",
        effect=effect,
    )


def _dropout(contrasts: pd.DataFrame) -> Finding:
    effect = Effect.of_contrast(contrast(contrasts, "dropout_place"))
    return _erratum(
        "dropout_after_A",
        "Dropout comes after A; the LoRA authors' code and peft apply it before A",
        "fixed",
        "contrasts: question=dropout_place",
        f"Applying it before A changes test accuracy by {effect.in_words()}.",
        effect=effect,
    )


def _budget(contrasts: pd.DataFrame) -> Finding:
    row = contrast(contrasts, "reference_budget")
    effect = Effect.of_contrast(row)
    return _erratum(
        "unequal_budget",
        "The sweep is compared with a full model that was trained for more epochs",
        "fixed",
        "contrasts: question=reference_budget",
        f"Accuracy of the full model at its last epoch less that of {row['reference']}: {effect.in_words()}. The "
        "figures use equal epochs.",
        effect=effect,
    )


def _one_seed(study: pd.DataFrame, confidence: float) -> Finding:
    """Return how far the best test accuracy of one seed exceeds the mean of that cell over the other seeds."""
    sweep = study[study["experiment"] == "sweep"]
    table = sweep.pivot_table(index="seed", columns=["rank", "alpha"], values="test_accuracy", dropna=False).to_numpy(
        float
    )
    complete = table[~np.isnan(table).any(axis=1)]
    excess = [
        row.max() - np.delete(complete, index, axis=0)[:, row.argmax()].mean() for index, row in enumerate(complete)
    ]
    estimate = mean_interval(excess if len(complete) > 1 else [], confidence)
    effect = Effect.of_estimate(estimate, confidence, POINTS, 100)
    return _erratum(
        "one_seed_selected_on_test",
        "The best cell of the grid is chosen by the test accuracies of a single seed",
        "fixed",
        "runs: study=notebook, experiment=sweep",
        "The best test accuracy of one seed exceeds the mean of the same cell over the other seeds by "
        f"{effect.in_words()}. Fixed: seeds are an axis, and validation selects.",
        effect=effect,
    )


def _biases(study: pd.DataFrame) -> Finding:
    lora = study[(study["experiment"] == "baseline") & (study["method"] == "LoRA")].iloc[0]
    _, hidden, classes = (int(width) for width in lora["model"].split()[-1].split("-"))
    return _erratum(
        "total_without_biases",
        "get_total_parameters leaves out the biases",
        "fixed",
        "runs: study=notebook, experiment=baseline, method=LoRA, total_params",
        f"The LoRA model has {lora['total_params']:,} parameters; the notebook's own count is "
        f"{lora['total_params'] - hidden - classes:,}.",
        effect=Effect(float(hidden + classes), "parameters", n=1),
    )


def _redundant_ranks(study: pd.DataFrame) -> Finding:
    """Return the share of the largest LoRA's parameters that its output layer cannot use."""
    largest = study[study["experiment"] == "sweep"].sort_values("rank").iloc[-1]
    _, hidden, classes = (int(width) for width in largest["model"].split()[-1].split("-"))
    spare = max(int(largest["rank"]) - min(hidden, classes), 0) * (hidden + classes)
    share = 100 * spare / float(largest["trainable_params"])
    return _erratum(
        "redundant_rank",
        f"Ranks above {classes} are redundant in the output layer, which has {classes} outputs",
        "open",
        f"runs: study=notebook, experiment=sweep, rank={largest['rank']}",
        f"At r = {largest['rank']}, {spare:,} of {largest['trainable_params']:,} trainable parameters ({share:.1f} %) "
        "extend an update that already has full rank. Kept, since it is the notebook's grid.",
        effect=Effect(share, "percent of the trainable parameters", n=1),
    )
