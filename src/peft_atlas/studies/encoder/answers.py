"""The encoder study's questions, answered from the combined tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from peft_atlas.analysis.finding import ATLAS, POINTS, Effect, Finding
from peft_atlas.analysis.statistics import interval_name, mean_interval, slope_interval
from peft_atlas.methods.names import setting_name
from peft_atlas.studies.encoder.contrasts import (
    AGAINST_FULL,
    CONTROLS_AGAINST_FULL,
    cells,
    chosen_runs,
    main_task,
    rank_runs,
)
from peft_atlas.studies.encoder.jobs import NAME, RANDOM_WEIGHTS
from peft_atlas.studies.encoder.ranking import BASE_MODEL, common_methods, rank_correlation
from peft_atlas.studies.literature.scores import SOURCE


def encoder_answers(
    runs: pd.DataFrame, contrasts: pd.DataFrame, published: pd.DataFrame, confidence: float
) -> list[Finding]:
    """Return what the encoder study says of methods, pretraining, rates, ranks, forgetting and the published order.

    Parameters
    ----------
    runs, contrasts
        Tables of those contracts, of the encoder study alone.
    published
        Table of that contract.
    confidence
        Confidence level of the intervals.
    """
    return [
        *_gains(runs, contrasts),
        *_pretraining(contrasts),
        *_rates(runs),
        *_rank_trends(runs, confidence),
        *_forgetting(runs, confidence),
        *_ranking(runs, published, confidence),
    ]


def _answer(name: str, question: str, evidence: str, detail: str, effect: Effect | None = None) -> Finding:
    return Finding("answer", name, NAME, question, ATLAS, "measured", evidence, detail, effect=effect)


def _named(row: pd.Series[Any]) -> str:
    return setting_name(row["method"], None if pd.isna(row["setting"]) else row["setting"])


def _gains(runs: pd.DataFrame, contrasts: pd.DataFrame) -> Iterator[Finding]:
    """Return, for each task, the method that validation prefers against full fine-tuning, and how many are as good."""
    chosen = chosen_runs(runs)
    for task in dict.fromkeys(chosen["task"]):
        rows = contrasts[contrasts["question"] == f"{AGAINST_FULL}_{task}"]
        adapted = chosen[(chosen["task"] == task) & ~chosen["method"].isin(["full", "head only"])]
        if adapted.empty or rows.empty:
            continue
        means = {cell[1:]: part["validation_accuracy"].astype(float).mean() for cell, part in cells(adapted)}
        method, setting = max(means, key=lambda cell: means[cell])
        best = rows[(rows["method"] == method) & (rows["setting"].fillna("") == (setting or ""))].iloc[0]
        effect, tied = Effect.of_contrast(best), int(rows["indistinguishable"].fillna(value=False).sum())
        same = (adapted["method"] == method) & (adapted["setting"].fillna("") == (setting or ""))
        share = float(adapted.loc[same, "params_percent"].iloc[0])
        words = effect.in_words()
        yield _answer(
            f"encoder_gain_{task}",
            f"What does training a small part of a pretrained transformer give on {task}?",
            f"contrasts: question={AGAINST_FULL}_{task}",
            f"{_named(best)}, which validation prefers, trains {share:.2f} % of the parameters; its test accuracy less "
            f"that of full fine-tuning is {words}. Of {len(rows)} methods {tied} cannot be told from full fine-tuning "
            f"over {int(best['n'])} seeds: that is not the same as being equal.",
            effect=effect,
        )


def _pretraining(contrasts: pd.DataFrame) -> Iterator[Finding]:
    """Return what random weights in place of the pretrained ones cost."""
    rows = contrasts[
        contrasts["question"].str.startswith(CONTROLS_AGAINST_FULL) & (contrasts["method"] == RANDOM_WEIGHTS)
    ]
    for _, row in rows.iterrows():
        effect = Effect.of_contrast(row)
        words = effect.in_words()
        yield _answer(
            f"encoder_pretraining_{row['task']}",
            "Is it the pretraining that is fine-tuned?",
            f"contrasts: question={row['question']}, method={RANDOM_WEIGHTS}",
            f"The same network from random weights, trained in full on the same examples of {row['task']}, differs by "
            f"{words} in test accuracy.",
            effect=effect,
        )


def _rates(runs: pd.DataFrame) -> Iterator[Finding]:
    """Return how far the learning rate moves accuracy, and how many choices lie at an end of their grid."""
    searched = runs[(runs["experiment"] == "methods") & runs["selected"].notna()]
    spans, edges = [], 0
    for _, part in cells(searched):
        tried = part[part["seed"] == part["seed"].min()].sort_values("learning_rate")
        if len(tried) < 2:
            continue
        accuracy = tried["validation_accuracy"].astype(float)
        spans.append(100 * float(accuracy.max() - accuracy.min()))
        edges += bool(tried["selected"].iloc[0] or tried["selected"].iloc[-1])
    if spans:
        yield _answer(
            "encoder_rates",
            "How much does the learning rate matter?",
            "runs: study=encoder, experiment=methods, learning_rate, selected, validation_accuracy",
            f"Within its grid the rate moves validation accuracy by {np.median(spans):.1f} {POINTS} in the median and "
            f"{max(spans):.1f} at the most (searches: {len(spans)}). Choices at an end of their grid, where a better "
            f"rate may lie outside: {edges}.",
            effect=Effect(float(np.median(spans)), POINTS, n=len(spans)),
        )


def _rank_trends(runs: pd.DataFrame, confidence: float) -> Iterator[Finding]:
    """Return the change of test accuracy with each doubling of the rank."""
    for (task, method, setting), part in cells(rank_runs(runs)):
        wide = part.pivot(index="seed", columns="rank", values="test_accuracy").astype(float)
        ranks = np.log2(wide.columns.to_numpy(dtype=float))
        estimate = slope_interval(ranks, wide.to_numpy(), confidence)
        effect = Effect.of_estimate(estimate, confidence, f"{POINTS} a doubling", 100)
        words = effect.in_words(2)
        yield _answer(
            f"encoder_rank_{method}",
            f"Do higher ranks of {method} help on a pretrained transformer?",
            f"runs: study=encoder, experiment=ranks and methods, task={task}, method={method}",
            f"From rank {int(part['rank'].min())} to {int(part['rank'].max())} of {setting_name(method, setting)} each "
            f"doubling changes test accuracy by {words}, at the rate chosen for rank 8 and alpha twice the rank.",
            effect=effect,
        )


def _forgetting(runs: pd.DataFrame, confidence: float) -> Iterator[Finding]:
    """Return how far the embeddings of other texts move, for full fine-tuning and for the method that moves least."""
    chosen = chosen_runs(runs)
    first = main_task(runs)
    chosen = chosen[(chosen["task"] == first) & (chosen["method"] != "head only")]
    kept = {
        setting_name(cell[1], cell[2]): mean_interval(part["embedding_similarity"].to_numpy(dtype=float), confidence)
        for cell, part in cells(chosen)
    }
    full = kept.pop("full", None)
    others = {name: estimate for name, estimate in kept.items() if estimate.mean is not None}
    if full is None or full.mean is None or not others:
        return
    most = max(others, key=lambda name: others[name].mean or 0)
    least = min(others, key=lambda name: others[name].mean or 0)
    yield _answer(
        "encoder_forgetting",
        "How far does training move what the encoder says of other texts?",
        f"runs: study=encoder, experiment=methods, task={first}, selected=True, embedding_similarity",
        f"The mean cosine between a text's embedding before and after is {full.mean:.3f} for full fine-tuning, "
        f"{others[most].mean:.3f} for {most} and {others[least].mean:.3f} for {least}, the ends of the other methods; "
        "1 is unchanged.",
        effect=Effect(full.mean, "cosine", low=full.low, high=full.high, interval=interval_name(confidence), n=full.n),
    )


def _ranking(runs: pd.DataFrame, published: pd.DataFrame, confidence: float) -> Iterator[Finding]:
    """Return whether the published order of methods is the measured one."""
    common = common_methods(runs, published)
    estimate = rank_correlation(common, confidence)
    if estimate.mean is None:
        return
    words = Effect.of_estimate(estimate, confidence, "").in_words(2, unit="")
    yield _answer(
        "encoder_ranking",
        "Does the published order of methods carry over to a small encoder?",
        f"runs: study=encoder, experiment=methods, selected=True; published: source={SOURCE}, base_model={BASE_MODEL}",
        f"Over {common['method'].nunique()} methods Spearman's correlation of test accuracy with the average published "
        f"for {BASE_MODEL} on commonsense reasoning is {words} over {estimate.n} seeds; 1 is the same order, 0 none. "
        "The interval covers seeds, not the choice of task.",
        effect=Effect(
            estimate.mean,
            "Spearman's correlation",
            low=estimate.low,
            high=estimate.high,
            interval=interval_name(confidence),
            n=estimate.n,
        ),
    )
