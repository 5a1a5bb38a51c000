"""The adaptation study's questions, answered from the combined tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from peft_atlas.analysis.finding import ATLAS, POINTS, Effect, Finding
from peft_atlas.analysis.statistics import Estimate, mean_interval, rising_p, slope_interval
from peft_atlas.studies.adaptation.contrasts import AGAINST_FULL, ALPHA, FORGETTING
from peft_atlas.studies.adaptation.jobs import NAME


def adaptation_answers(runs: pd.DataFrame, contrasts: pd.DataFrame, confidence: float) -> list[Finding]:
    """Return what the adaptation study says on rank, alpha, equivalence, the choice of method and forgetting.

    Parameters
    ----------
    runs, contrasts
        Tables of those contracts, of the adaptation study alone.
    confidence
        Confidence level of the intervals; 1 minus it is the level of the tests.
    """
    chosen = runs[runs["selected"].fillna(value=True)]
    ranks = chosen[(chosen["experiment"] == "ranks") & (chosen["method"] == "LoRA")]
    return [
        *_saturation(ranks, confidence),
        *_higher_ranks(ranks, confidence),
        _alpha(runs, contrasts, confidence),
        _equivalence(contrasts, confidence),
        _choice(chosen[chosen["experiment"] == "methods"], contrasts),
        _forgetting(contrasts),
        _edges(runs),
    ]


def _answer(name: str, question: str, evidence: str, detail: str, effect: Effect | None = None) -> Finding:
    return Finding("answer", f"adaptation_{name}", NAME, question, ATLAS, "measured", evidence, detail, effect=effect)


def slopes(ranks: pd.DataFrame, confidence: float, *, beyond: bool) -> Estimate:
    """Return the change of test accuracy with each doubling of r, up to the shift's rank or beyond it.

    The slope is fitted for each target task and seed over the ranks on that side, the shift's own rank among
    them, and averaged over the tasks that have at least two; the interval is over seeds.
    """
    fitted = []
    for (shift, _), group in ranks.groupby(["shift_rank", "train_examples"], sort=True):
        side = group[group["rank"] >= shift] if beyond else group[group["rank"] <= shift]
        table = side.pivot(index="seed", columns="rank", values="test_accuracy").astype(float)
        if table.shape[1] < 2:
            continue
        x = np.log2(table.columns.to_numpy(dtype=float))
        centred = x - x.mean()
        fitted.append(pd.Series(table.to_numpy() @ centred / (centred @ centred), index=table.index))
    if not fitted:
        return Estimate(None, None, None, None, 0)
    return mean_interval(pd.concat(fitted, axis=1).mean(axis=1, skipna=False).to_numpy(), confidence)


def _saturation(ranks: pd.DataFrame, confidence: float) -> list[Finding]:
    """Return how accuracy changes with LoRA's rank up to the rank of the shift, and beyond it, for each budget."""
    found = []
    for examples, group in ranks.groupby("train_examples", sort=True):
        up, past = (slopes(group, confidence, beyond=beyond) for beyond in (False, True))
        effects = [Effect.of_estimate(side, confidence, f"{POINTS} a doubling", 100) for side in (up, past)]
        words = [e.in_words(2) for e in effects]
        found.append(
            _answer(
                f"saturation_{examples}",
                f"Where does LoRA saturate as its rank passes the shift's, with {examples:,} examples?",
                f"runs: study=adaptation, experiment=ranks, train_examples={examples}, selected=True",
                f"Each doubling of r up to the shift's rank changes test accuracy by {words[0]}, each doubling beyond "
                f"it by {words[1]}: {_reading(up, past)}.",
                effect=effects[1],
            )
        )
    return found


def _reading(up: Estimate, past: Estimate) -> str:
    """Return in words what the slopes before and beyond the shift's rank say of a low intrinsic rank."""
    if up.low is None or past.low is None or past.high is None:
        return "too few seeds or ranks to say more"
    if up.low <= 0:
        return "no rise can be told even below the shift's rank"
    if past.low > 0:
        return "it rises on both sides"
    return "it rises up to the shift's rank and " + ("falls beyond it" if past.high < 0 else "not measurably beyond it")


def _higher_ranks(ranks: pd.DataFrame, confidence: float) -> list[Finding]:
    """Return the trend of accuracy over all ranks, for each budget."""
    found = []
    for examples, group in ranks.groupby("train_examples", sort=True):
        table = group.pivot_table(index="seed", columns="rank", values="test_accuracy", dropna=False).astype(float)
        slope = slope_interval(np.log2(table.columns.to_numpy(dtype=float)), table.to_numpy(), confidence)
        effect = Effect.of_estimate(slope, confidence, f"{POINTS} a doubling", 100)
        p = rising_p(table.to_numpy())
        test = "" if p is None else f" Page's test that it rises: p = {p:.2g}."
        found.append(
            _answer(
                f"higher_ranks_{examples}",
                f"Do higher ranks help, with {examples:,} examples?",
                f"runs: study=adaptation, experiment=ranks, train_examples={examples}, selected=True",
                f"Over all shifts, each doubling of r changes test accuracy by {effect.in_words(2)}.{test}",
                effect=effect,
            )
        )
    return found


def _alpha(runs: pd.DataFrame, contrasts: pd.DataFrame, confidence: float) -> Finding:
    """Return what alpha still changes when the learning rate is tuned for each, against one rate for all."""
    rows = contrasts[contrasts["question"] == ALPHA]
    told = rows[~rows["indistinguishable"].fillna(value=True)]
    alphas = runs[runs["experiment"] == "alphas"]
    tuned = _alpha_range(alphas[alphas["selected"]], confidence)
    rates = sorted(alphas["learning_rate"].unique())
    rate = rates[len(rates) // 2]
    fixed = _alpha_range(alphas[alphas["learning_rate"] == rate], confidence)
    effects = [Effect.of_estimate(e, confidence, POINTS, 100) for e in (tuned, fixed)]
    words = [e.in_words() for e in effects]
    return _answer(
        "alpha",
        "Does alpha matter once the learning rate is tuned?",
        "contrasts: study=adaptation, question=alpha_against_selected",
        f"Validation accuracy at the best alpha less that at the worst, picked on other seeds, is {words[0]} with the "
        f"rate tuned for each alpha and {words[1]} at one rate of {rate:g} for all, averaged over ranks and both "
        f"scalings. On test {len(told)} of {len(rows)} alphas can be told from the one that validation selects.",
        effect=effects[0],
    )


def _alpha_range(cells: pd.DataFrame, confidence: float) -> Estimate:
    """Return validation accuracy at the best alpha less that at the worst, averaged over ranks and scalings.

    Best and worst are picked on the seeds of the other half, since a range over noisy means is never 0.
    """
    differences = []
    for _, group in cells.groupby(["setting", "rank"], sort=True):
        table = group.pivot(index="seed", columns="alpha", values="validation_accuracy").astype(float)
        halves = table.iloc[::2], table.iloc[1::2]
        for here, other in (halves, halves[::-1]):
            means = other.mean().dropna()
            if len(means):
                differences.append((here[means.idxmax()] - here[means.idxmin()]).rename("difference"))
    if not differences:
        return Estimate(None, None, None, None, 0)
    return mean_interval(pd.concat(differences).groupby(level=0).mean().to_numpy(), confidence)


def _equivalence(contrasts: pd.DataFrame, confidence: float) -> Finding:
    """Return on which target tasks LoRA is equivalent to full fine-tuning within the margin."""
    rows = _of_lora(contrasts, AGAINST_FULL)
    equal = rows[rows["p_equivalence"].fillna(1.0) < 1 - confidence]
    told = rows[~rows["indistinguishable"].fillna(value=True)]
    better, worse = int((told["difference"] > 0).sum()), int((told["difference"] < 0).sum())
    margin = 100 * float(rows["margin"].iloc[0])
    listed = "; ".join(f"{_target(row)} {_difference(row)}" for row in rows.itertuples())
    largest = rows.loc[rows["difference"].abs().idxmax()]
    return _answer(
        "equivalence",
        "Is LoRA equivalent to full fine-tuning?",
        "contrasts: study=adaptation, question=method_against_full, method=LoRA",
        f"Within ±{margin:g} {POINTS} (two one-sided tests) on {len(equal)} of {len(rows)} target tasks; better on "
        f"{better} and worse on {worse} (paired t-tests, {rows['adjustment'].iloc[0]}). LoRA less full: {listed}.",
        effect=Effect.of_contrast(largest),
    )


def _of_lora(contrasts: pd.DataFrame, question: str) -> pd.DataFrame:
    """Return LoRA's rows of a question, by the rank of the shift and the examples."""
    rows = contrasts[(contrasts["question"] == question) & (contrasts["method"] == "LoRA")]
    return rows.sort_values(["shift_rank", "train_examples"])


def _target(row: Any) -> str:
    return f"rank {row.shift_rank}, {row.train_examples:,} examples:"


def _difference(row: Any) -> str:
    """Return the difference of a row of contrasts in words."""
    size, low, high = (None if pd.isna(v) else 100 * v for v in (row.difference, row.low, row.high))
    return Effect(size, POINTS, low, high).in_words(unit="points")


def _choice(methods: pd.DataFrame, contrasts: pd.DataFrame) -> Finding:
    """Return the method that validation selects for each target task, with its test accuracy less that of full."""
    picked, rows = [], contrasts[contrasts["question"] == AGAINST_FULL]
    for (shift, examples), group in methods.groupby(["shift_rank", "train_examples"], sort=True):
        best = group.groupby("method")["validation_accuracy"].mean().idxmax()
        row = rows[(rows["method"] == best) & (rows["shift_rank"] == shift) & (rows["train_examples"] == examples)]
        against = "" if row.empty else f" ({_difference(next(row.itertuples()))} against full)"
        picked.append((best, f"shift of rank {shift}, {examples:,} examples: {best}{against}"))
    names = [name for name, _ in picked]
    return _answer(
        "choice",
        "Which method would validation have one choose?",
        "runs: study=adaptation, experiment=methods, selected=True",
        f"{'; '.join(text for _, text in picked)}.",
        effect=Effect(float(len(set(names))), "different methods chosen", n=len(names)),
    )


def _forgetting(contrasts: pd.DataFrame) -> Finding:
    """Return what LoRA keeps of the source task against full fine-tuning."""
    rows = _of_lora(contrasts, FORGETTING)
    told = rows[~rows["indistinguishable"].fillna(value=True)]
    more, less = int((told["difference"] > 0).sum()), int((told["difference"] < 0).sum())
    listed = "; ".join(f"{_target(row)} {_difference(row)}" for row in rows.itertuples())
    return _answer(
        "forgetting",
        "What is forgotten on the source task?",
        "contrasts: study=adaptation, question=forgetting_against_full, method=LoRA",
        f"LoRA keeps measurably more than full fine-tuning on {more} of {len(rows)} target tasks and less on {less}. "
        f"Source accuracy after LoRA less after full: {listed}.",
        effect=Effect.of_contrast(rows.loc[rows["difference"].abs().idxmax()]),
    )


def _edges(runs: pd.DataFrame) -> Finding:
    """Return how many chosen learning rates stand at an end of the grid, where a better one may lie outside."""
    searched = runs[runs["selected"].notna()]
    rates = searched["learning_rate"]
    chosen = searched[searched["selected"].fillna(value=False)].drop_duplicates(_CELL)
    low, high = (int((chosen["learning_rate"] == end).sum()) for end in (rates.min(), rates.max()))
    return _answer(
        "rates",
        "Was the grid of learning rates wide enough?",
        "runs: study=adaptation, selected=True",
        f"Of {len(chosen)} cells {low} chose the lowest rate, {rates.min():g}, {high} the highest, {rates.max():g}.",
        effect=Effect(float(low + high), "cells at an end of the grid", n=len(chosen)),
    )


_CELL: Sequence[str] = [
    *("experiment", "method", "setting", "rank", "alpha", "scaling", "shift_rank", "train_examples"),
]
