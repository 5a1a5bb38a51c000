"""What the encoder study advises: which method to start with, how to search the rate, and which rank."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from peft_atlas.analysis.finding import ATLAS, POINTS, Effect, Finding
from peft_atlas.studies.encoder.answers import in_short, named, searched_spans
from peft_atlas.studies.encoder.contrasts import (
    AGAINST_FULL,
    ALL_TASKS,
    PRIMARY,
    RANK_STEPS,
    chosen_runs,
    main_task,
    rank_runs,
)
from peft_atlas.studies.encoder.jobs import CONTROLS_PART, NAME
from peft_atlas.studies.encoder.packaged import task_in_words


def encoder_advice(
    runs: pd.DataFrame, contrasts: pd.DataFrame, costs: pd.DataFrame, confidence: float
) -> list[Finding]:
    """Return the study's advice, each an imperative with its number, interval and scope.

    Parameters
    ----------
    runs, contrasts
        Tables of those contracts, of the encoder study alone.
    costs
        The study's findings on processor time and memory; may be empty.
    confidence
        Confidence level of the intervals.
    """
    return [*_method(runs, contrasts, costs), *_rate(runs, contrasts), *_rank(runs, contrasts, confidence)]


def _advice(name: str, statement: str, evidence: str, detail: str, effect: Effect) -> Finding:
    return Finding("advice", f"encoder_advice_{name}", NAME, statement, ATLAS, "measured", evidence, detail, effect)


def scope(runs: pd.DataFrame, tasks: Sequence[str], row: pd.Series[Any]) -> str:
    """Return model, tasks, examples and seeds of a comparison that an advice rests on."""
    seeds, model = int(row["n"]), runs.loc[runs["method"] == "full", "model"].iloc[0]
    said = " and ".join(map(task_in_words, tasks))
    few = " (fewer than three: a hint, no result)" if seeds < 3 else ""
    return f"{model}, {said}, {int(row['train_examples'])} training examples, {seeds} seeds{few}."


def _method(runs: pd.DataFrame, contrasts: pd.DataFrame, costs: pd.DataFrame) -> Iterator[Finding]:
    """Return the prespecified setting where it was compared, else the cheapest that is not worse than full."""
    rows = contrasts[contrasts["question"] == PRIMARY]
    whole = rows[rows["task"] == ALL_TASKS]
    tasks = sorted(set(rows["task"]) - {ALL_TASKS})
    if not whole.empty:
        row, evidence = whole.iloc[0], f"contrasts: question={PRIMARY}"
    elif (cheapest := _cheapest(runs, contrasts)) is not None:
        row, evidence, tasks = cheapest, f"contrasts: question={AGAINST_FULL}", [str(cheapest["task"])]
    else:
        return
    effect = Effect.of_contrast(row)
    spent = [f"findings: kind=answer, id={' and '.join(costs['id'])}"] if len(costs) else []
    yield _advice(
        "method",
        _start(named(row), row, effect),
        "; ".join([evidence, *spent]),
        f"Test accuracy differs from that of full fine-tuning by {in_short(effect)}, with {_trained(runs, row)}"
        f"{_spent(costs)}.{_chosen_rates(runs, row, tasks)} {scope(runs, tasks, row)}",
        effect,
    )


def _chosen_rates(runs: pd.DataFrame, row: pd.Series[Any], tasks: Sequence[str]) -> str:
    """Return the learning rate that validation chose for a setting and for full fine-tuning, task by task."""
    own = chosen_runs(runs)
    own = own[own["train_examples"] == row["train_examples"]] if "train_examples" in own else own
    setting = "" if pd.isna(row["setting"]) else row["setting"]
    mine = own[(own["method"] == row["method"]) & (own["setting"].fillna("") == setting)]
    rates = [[_rate_on(rows, task) for task in tasks] for rows in (mine, own[own["method"] == "full"])]
    if not tasks or any(rate is None for both in rates for rate in both):
        return ""
    said = [" and ".join(dict.fromkeys(f"{rate:g}" for rate in both)) for both in rates]
    return f" Learning rate {said[0]}; full fine-tuning {said[1]}."


def _rate_on(rows: pd.DataFrame, task: str) -> float | None:
    """Return the rate of rows on a task; None where there is none or more than one."""
    found = rows.loc[rows["task"] == task, "learning_rate"].dropna().unique()
    return float(found[0]) if len(found) == 1 else None


def _start(name: str, row: pd.Series[Any], effect: Effect) -> str:
    """Return the imperative that an interval allows."""
    rank = "" if pd.isna(row["rank"]) else f" at r = {int(row['rank'])}"
    margin = 0.0 if pd.isna(row["margin"]) else 100 * float(row["margin"])
    if effect.low is not None and effect.low > -margin:
        return f"Start with {name}{rank}."
    if effect.high is not None and effect.high < 0:
        return f"Start with {name}{rank} only where full fine-tuning does not fit."
    return f"Start with {name}{rank}; whether it equals full fine-tuning is open."


def _cheapest(runs: pd.DataFrame, contrasts: pd.DataFrame) -> pd.Series[Any] | None:
    """Return the setting with the fewest trained parameters whose interval reaches full fine-tuning."""
    rows = contrasts[(contrasts["question"] == AGAINST_FULL) & (contrasts["high"] >= 0)]
    rows = rows[rows["method"] != "head only"]
    if rows.empty:
        return None
    weights = chosen_runs(runs).groupby(["task", "method", "setting"], dropna=False)["trainable_params"].first()
    keys = rows[["task", "method", "setting"]].itertuples(index=False, name=None)
    return rows.assign(weights=[weights.get(key, float("inf")) for key in keys]).sort_values("weights").iloc[0]


def _trained(runs: pd.DataFrame, row: pd.Series[Any]) -> str:
    """Return the share of the weights that a setting trains."""
    own = chosen_runs(runs)
    setting = "" if pd.isna(row["setting"]) else row["setting"]
    own = own[(own["method"] == row["method"]) & (own["setting"].fillna("") == setting)]
    return f"{own['params_percent'].astype(float).mean():.2f} % of the weights trained"


def _spent(costs: pd.DataFrame) -> str:
    """Return processor time and memory over those of full fine-tuning, as far as they were measured."""
    by_id = costs.set_index("id")
    words = {"encoder_cost": "the processor time", "encoder_memory": "the memory"}
    said = [f"{100 * by_id.loc[name, 'effect']:.0f} % of {of}" for name, of in words.items() if name in by_id.index]
    return f", {' and '.join(said)}" if said else ""


def _rate(runs: pd.DataFrame, contrasts: pd.DataFrame) -> Iterator[Finding]:
    """Return how far the rate moves accuracy, how far the method does, and LoRA's rate over full's."""
    spans = searched_spans(runs)
    if spans.empty:
        return
    task = main_task(runs)
    against = contrasts[contrasts["question"].isin([AGAINST_FULL, PRIMARY]) & (contrasts["task"] == task)]
    against = against[against["method"] != "head only"]
    # Full fine-tuning is one of them, at 0.
    differences = [0.0, *against["difference"]]
    spread = 100 * (max(differences) - min(differences)) if len(against) else None
    more = spread is not None and spans.median() > spread
    statement = (
        "Search the learning rate before the method." if more else "Search the learning rate for every method you try."
    )
    methods = "" if spread is None else f" Methods differ by {spread:.1f} points on {task_in_words(task)}."
    chosen = runs[runs["edge"].notna()].drop_duplicates(["experiment", "task", "method", "setting", "rank"])
    ends = int(chosen["edge"].astype(bool).sum())
    yield _advice(
        "rate",
        statement,
        "runs: study=encoder, learning_rate, selected, edge, validation_accuracy",
        f"The rate moves validation accuracy by {spans.median():.1f} points in the median of {len(spans)} searches and "
        f"by {spans.max():.1f} at most.{methods}{_times_full(runs)} {_ends(ends, len(chosen))} No interval: a spread "
        "over rates, not over seeds.",
        Effect(float(spans.median()), POINTS, n=len(spans)),
    )


def _ends(ends: int, choices: int) -> str:
    """Return how many chosen rates are an end of the rates tried."""
    if not ends:
        return f"None of {choices} choices is an end of its grid."
    words = "is an end of its" if ends == 1 else "are an end of their"
    return f"{ends} of {choices} choices {words} grid (* in the table)."


def _times_full(runs: pd.DataFrame) -> str:
    """Return LoRA's chosen rates over those of full fine-tuning in the same part of the study."""
    chosen = runs[runs["selected"].fillna(value=False) & (runs["experiment"] != CONTROLS_PART)]
    keys = ["experiment", "task"]
    full = chosen[chosen["method"] == "full"].drop_duplicates(keys).set_index(keys)["learning_rate"]
    lora = chosen[chosen["method"] == "LoRA"].drop_duplicates([*keys, "setting", "rank"])
    ratios = [
        rate / full[experiment, task]
        for rate, experiment, task in lora[["learning_rate", *keys]].itertuples(index=False, name=None)
        if (experiment, task) in full.index
    ]
    if not ratios:
        return ""
    low, high = min(ratios), max(ratios)
    return f" LoRA's best rate is {f'{low:.0f} to {high:.0f}' if high > 1.2 * low else f'{low:.0f}'} times full's."


def _rank(runs: pd.DataFrame, contrasts: pd.DataFrame, confidence: float) -> Iterator[Finding]:
    """Return whether the rank is worth a search, from the steps between ranks that were tuned alike."""
    rows = contrasts[contrasts["question"] == RANK_STEPS].sort_values("rank")
    curve = rank_runs(runs, confidence)
    if rows.empty or curve.empty:
        return
    effects = [Effect.of_contrast(row) for _, row in rows.iterrows()]
    chosen = curve[curve["selected"].fillna(value=False)].drop_duplicates("rank").sort_values("rank")
    rates = ", ".join(f"{row.learning_rate:g} at r = {row.rank}" for row in chosen.itertuples())
    steps = ", ".join(
        f"{in_short(effect)} from {str(row['reference']).replace('rank ', 'r = ')} to {int(row['rank'])}"
        for effect, (_, row) in zip(effects, rows.iterrows(), strict=True)
    )
    yield _advice(
        "rank",
        _rank_imperative(rows, effects),
        f"contrasts: question={RANK_STEPS}",
        f"Each rank at its own rate ({rates}), accuracy changes by {steps} "
        f"({effects[-1].detectable_in_words()}). {scope(runs, [str(rows['task'].iloc[0])], rows.iloc[0])}",
        effects[-1],
    )


def _rank_imperative(rows: pd.DataFrame, effects: Sequence[Effect]) -> str:
    """Return what to do with the rank: take the last that was a rise, stay below a fall, or leave it."""
    ranks = [int(rank) for rank in rows["rank"]]
    risen = [rank for rank, effect in zip(ranks, effects, strict=True) if effect.low is not None and effect.low > 0]
    fallen = [rank for rank, effect in zip(ranks, effects, strict=True) if effect.high is not None and effect.high < 0]
    if risen:
        return f"Take at least r = {risen[-1]}."
    if fallen:
        return f"Stay below r = {fallen[0]}."
    return "Leave the rank small; tune the rate at the rank you use."
