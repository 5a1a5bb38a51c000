"""The notebook study's questions, answered from the combined tables."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pandas as pd

from peft_atlas.analysis.curves import SettingCurve, one_rate_curve
from peft_atlas.analysis.finding import ATLAS, INDISTINGUISHABLE, POINTS, Effect, Finding
from peft_atlas.studies.notebook.contrasts import EARLY, LAST_EPOCH, SELECTED, STOPPED, SWEEP_AGAINST_FULL, TUNED
from peft_atlas.studies.notebook.jobs import NAME, TUNED_PART


def notebook_answers(runs: pd.DataFrame, contrasts: pd.DataFrame, confidence: float) -> list[Finding]:
    """Return what the notebook study says on cost, accuracy, rank and alpha.

    Parameters
    ----------
    runs, contrasts
        Tables of those contracts.
    confidence
        Confidence level of the intervals.
    """
    study, compared = runs[runs["study"] == NAME], contrasts[contrasts["study"] == NAME]
    sweep = study[study["experiment"] == "sweep"]
    ranks = one_rate_curve(sweep, "rank", confidence, over=("alpha",))
    return [
        _cost(study),
        _gain(study, compared),
        _setting_matters(sweep, "rank", "alpha", confidence),
        _rank_steps(ranks, _lora(study)["rank"]),
        _setting_matters(sweep, "alpha", "rank", confidence),
        _choice(compared),
    ]


def contrast(contrasts: pd.DataFrame, question: str, **columns: Any) -> pd.Series[Any]:
    """Return the one row of contrasts that a question and columns select."""
    rows = contrasts[contrasts["question"] == question]
    for name, value in columns.items():
        rows = rows[rows[name] == value]
    return rows.iloc[0]


def _answer(name: str, question: str, evidence: str, detail: str, effect: Effect) -> Finding:
    return Finding("answer", f"{NAME}_{name}", NAME, question, ATLAS, "measured", evidence, detail, effect=effect)


def _lora(study: pd.DataFrame) -> pd.Series[Any]:
    """Return a run of the baseline's LoRA."""
    return study[(study["experiment"] == "baseline") & (study["method"] == "LoRA")].iloc[0]


def _cost(study: pd.DataFrame) -> Finding:
    """Return what share of the full model LoRA trains."""
    lora = _lora(study)
    full = study[(study["experiment"] == "baseline") & (study["method"] == "full")].iloc[0]
    return _answer(
        "cost",
        "What does LoRA cost on the notebook's network?",
        "runs: study=notebook, experiment=baseline",
        f"LoRA with r = {lora['rank']} trains {lora['trainable_params']:,} of {full['trainable_params']:,} parameters, "
        f"{lora['params_percent']:.1f} %. Large models come closer to 1 %, because there r is small compared with the "
        f"width of a layer; here the width is {full['model'].split('-')[-2]}.",
        Effect(float(lora["params_percent"]), "percent of the full model's parameters", n=1),
    )


def _gain(study: pd.DataFrame, contrasts: pd.DataFrame) -> Finding:
    """Return LoRA's accuracy against the full model's at tuned rates, and at the notebook's rate by epochs."""
    row = contrast(contrasts, TUNED)
    effect, margin = Effect.of_contrast(row), 100 * float(row["margin"])
    fixed = [contrast(contrasts, question) for question in (STOPPED, EARLY, LAST_EPOCH)]
    words = [Effect.of_contrast(each).in_words(unit="") for each in fixed]
    rate = float(study.loc[study["experiment"] == "baseline", "learning_rate"].iloc[0])
    return _answer(
        "gain",
        "What does LoRA gain or lose against training the full model?",
        f"contrasts: study={NAME}, question={' and '.join((TUNED, STOPPED, EARLY, LAST_EPOCH))}",
        f"With learning rate and epoch of each chosen on validation, LoRA's test accuracy less the full model's is "
        f"{effect.in_words()}: {standing(effect, margin)} ({effect.detectable_in_words()}). {_chosen_rates(study)} At "
        f"the notebook's rate of {rate:g} for both the difference depends on how long they train: {words[0]} stopped "
        f"by validation, {words[1]} against the {fixed[1]['reference']}, {words[2]} after the last epoch. The frozen "
        "base is random; a pretrained one could change it.",
        effect,
    )


def _chosen_rates(study: pd.DataFrame) -> str:
    """Return which rates were chosen from which grid, and whether one is at the grid's end."""
    tried = study[study["experiment"] == TUNED_PART]
    chosen = tried[tried["selected"].fillna(value=False)].drop_duplicates("method").set_index("method")
    rates = sorted(tried["learning_rate"].unique())
    ends = [method for method, edge in chosen["edge"].items() if edge is not pd.NA and edge]
    mark = f"; that of {' and '.join(ends)} is at the end of the grid" if ends else ""
    return (
        f"The rates are {chosen.loc['LoRA', 'learning_rate']:g} for LoRA and {chosen.loc['full', 'learning_rate']:g} "
        f"for the full model, of {len(rates)} from {rates[0]:g} to {rates[-1]:g}{mark}."
    )


def standing(effect: Effect, margin: float) -> str:
    """Return in words whether a difference is within a margin of non-inferiority, which both are in one unit of."""
    if effect.low is None or effect.high is None:
        return "too few seeds to judge"
    if effect.low > 0:
        return "LoRA is better"
    if effect.low > -margin:
        return f"LoRA is not inferior by more than {margin:g} point"
    if effect.high < -margin:
        return f"LoRA is inferior by more than {margin:g} point"
    return f"inferiority by {margin:g} point is not excluded"


def _setting_matters(sweep: pd.DataFrame, setting: str, over: str, confidence: float) -> Finding:
    """Return the difference on test between the values of a setting that are best and worst on validation."""
    validation = one_rate_curve(sweep, setting, confidence, metric="validation_accuracy", over=(over,)).table.mean()
    test = one_rate_curve(sweep, setting, confidence, over=(over,))
    best, worst = float(validation.idxmax()), float(validation.idxmin())
    effect = test.step_effect(worst, best)
    caveat = {
        "rank": " At a fixed alpha the rank also changes the factor alpha / r, so this is not its effect alone.",
        "alpha": " At a fixed learning rate alpha also sets the step size, so this is not its effect alone.",
    }
    return _answer(
        setting,
        f"Does {setting} matter?",
        f"runs: study=notebook, experiment=sweep, {setting}={best:g} and {worst:g}",
        f"From {setting} = {worst:g} to {setting} = {best:g}, the worst and the best on validation, test accuracy "
        f"changes by {effect.in_words()}, {test.condition}.{caveat[setting]}",
        effect,
    )


def _rank_steps(ranks: SettingCurve, usual: int) -> Finding:
    """Return how accuracy changes from the smallest rank to the baseline's and from there to the largest.

    The curve saturates, so that one slope would describe neither end.
    """
    values = ranks.grid
    ends = [values[0], *([float(usual)] if values[0] < usual < values[-1] else []), values[-1]]
    pairs = list(pairwise(ends))
    steps = [ranks.step_effect(*pair) for pair in pairs]
    said = [f"{step.in_words()} from r = {low:g} to {high:g}" for step, (low, high) in zip(steps, pairs, strict=True)]
    neighbours = [
        f"{ranks.step_effect(low, high).in_words(unit='')} from {low:g} to {high:g}" for low, high in pairwise(values)
    ]
    return _answer(
        "rank_trend",
        "Do higher ranks help?",
        "runs: study=notebook, experiment=sweep, rank, test_accuracy",
        f"Test accuracy changes by {' and by '.join(said)}, averaged over the alphas of the grid, {ranks.condition}. "
        f"Between neighbouring ranks: {'; '.join(neighbours)}.",
        steps[0] if steps else Effect(None, POINTS),
    )


def _choice(contrasts: pd.DataFrame) -> Finding:
    """Return how many cells of the sweep are indistinguishable from the selected one, and how many beat full."""
    rows = contrasts[contrasts["question"] == SELECTED]
    against_full = contrasts[contrasts["question"] == SWEEP_AGAINST_FULL]
    better = int((~against_full["indistinguishable"].fillna(value=True) & (against_full["difference"] > 0)).sum())
    tied = int(rows["indistinguishable"].fillna(value=False).sum())
    detectable = 100 * float(rows["detectable"].max()) if rows["detectable"].notna().any() else None
    effect = Effect(float(tied), f"cells; detectable in {POINTS}", n=len(rows), detectable=detectable)
    if rows.empty:
        detail = "The sweep has one cell."
    else:
        detail = (
            f"{tied} of the {len(rows)} other cells of the sweep are {INDISTINGUISHABLE} {rows['reference'].iloc[0]} "
            f"({rows['adjustment'].iloc[0]}; in the noisiest cell {_detectable(detectable)})."
        )
    return _answer(
        "choice",
        "How much do rank and alpha have to be chosen?",
        f"contrasts: question={SELECTED}; contrasts: question={SWEEP_AGAINST_FULL}",
        f"{detail} {better} of {len(against_full)} cells are better than the full model after as many epochs.",
        effect,
    )


def _detectable(number: float | None) -> str:
    return "detectable difference unknown" if number is None else f"{number:.1f} points are detectable with 80 % power"
